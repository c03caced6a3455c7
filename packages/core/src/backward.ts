import { checkAnomaly, inBackwardOf, isWatchingForAnomalies, unwatched } from './anomaly.js'
import { currentBackend } from './backend.js'
import { ShapeError } from './errors.js'
import type { Rule, RuleContext } from './op.js'
import { add } from './ops/arithmetic.js'
import { logicalAnd } from './ops/comparison.js'
import { reshape } from './ops/movement.js'
import { sum } from './ops/reduce.js'
import { cast, where } from './ops/select.js'
import { formatShape, sameShape } from './shape.js'
import { type Entry, isRecording, type Segment } from './tape.js'
import type { Tensor } from './tensor.js'

/** What flows into one position of the tape. */
export interface Seed {
  readonly position: number
  readonly cotangent: Tensor
}

/**
 * Reads a stretch of the tape backwards, from the seeds to the wanted positions, and returns the cotangents found
 * there (undefined where nothing arrived). Rules are made of ops, so what happens here is recorded like all else.
 */
export function backward(
  { entries, start }: Segment,
  seeds: readonly Seed[],
  wanted: readonly number[],
): (Tensor | undefined)[] {
  const end = seeds.reduce((last, { position }) => Math.max(last, position + 1), start)
  const isNeeded = reachable(entries, start, end, wanted)
  const walk = (): (Tensor | undefined)[] => {
    const cotangents = new Cotangents(end - start)
    for (const { position, cotangent } of seeds)
      if (position >= start) cotangents.add(position - start, cotangent, undefined)
    const keep = new Set(wanted)
    for (let at = end - 1; at >= start; at--) {
      const g = cotangents.at(at - start)
      if (g === undefined || isNeeded[at - start] === 0) continue
      spread(entries[at - start]!, at - start, g, start, isNeeded, cotangents)
      if (!keep.has(at)) cotangents.drop(at - start)
    }
    return wanted.map((position) => cotangents.at(position - start))
  }
  const backend = currentBackend()
  const isForgotten =
    !isRecording() && !entries.some(({ row }, i) => row?.mayKeep === true && isNeeded[i] === 1)
  return isForgotten && backend.temporarily !== undefined ? backend.temporarily(walk) : walk()
}

/** What has arrived at each entry. */
class Cotangents {
  readonly #sums: (Tensor | undefined)[]
  /** Where a sum may be other than 0, if that is known: a bool tensor that broadcasts to it. */
  readonly #reaches: (Tensor | undefined)[]

  constructor(count: number) {
    this.#sums = new Array<Tensor | undefined>(count)
    this.#reaches = new Array<Tensor | undefined>(count)
  }

  at(index: number): Tensor | undefined {
    return this.#sums[index]
  }

  reachAt(index: number): Tensor | undefined {
    return this.#reaches[index]
  }

  add(index: number, next: Tensor, reach: Tensor | undefined): void {
    const sum = this.#sums[index]
    this.#sums[index] = sum === undefined ? next : add(sum, next)
    // Of a sum it is known only where all parts come from under one mask.
    if (sum === undefined) this.#reaches[index] = reach
    else if (this.#reaches[index] !== reach) this.#reaches[index] = undefined
  }

  drop(index: number): void {
    this.#sums[index] = undefined
  }
}

/** 1 for each entry that a wanted one flows into. */
function reachable(
  entries: readonly Entry[],
  start: number,
  end: number,
  wanted: readonly number[],
): Uint8Array {
  const needed = new Uint8Array(end - start)
  for (const position of wanted) if (position >= start && position < end) needed[position - start] = 1
  for (let i = 0; i < needed.length; i++) {
    const { parents } = entries[i]!
    for (let k = 0; needed[i] === 0 && k < parents.length; k++)
      if (parents[k]! >= start) needed[i] = needed[parents[k]! - start]!
  }
  return needed
}

/** Hands the cotangent of one entry on to the entries that made its inputs. */
function spread(
  entry: Entry,
  index: number,
  g: Tensor,
  start: number,
  isNeeded: Uint8Array,
  cotangents: Cotangents,
): void {
  const { row, inputs, parents } = entry
  const reach = cotangents.reachAt(index)
  if (row === undefined) {
    const parent = parents[0]! - start
    if (parent >= 0) cotangents.add(parent, g, reach)
    return
  }
  let context: RuleContext<string, unknown> | undefined
  for (let i = 0; i < inputs.length; i++) {
    const parent = parents[i]! - start
    if (parent < 0 || isNeeded[parent] === 0) continue
    const rule = row.vjp![row.args[Math.min(i, row.args.length - 1)]!] as Rule<string, unknown> | null
    if (rule === null) continue
    context ??= contextOf(entry, g)
    const cotangent = cotangentOf(entry, context, rule, i, reach)
    cotangents.add(parent, fitTo(inputs[i]!, cotangent, row.name), reachOf(entry, i, reach))
  }
}

/** What a rule gives: of an elementwise op only where something reaches it, be its derivative infinite elsewhere. */
function cotangentOf(
  { row, site }: Entry,
  context: RuleContext<string, unknown>,
  rule: Rule<string, unknown>,
  at: number,
  reach: Tensor | undefined,
): Tensor {
  const { name, fn } = row!
  const isMasked = reach !== undefined && fn !== undefined
  const make = (): Tensor => {
    const cotangent = rule(context, at)
    return isMasked && cotangent !== context.g ? where(reach, cotangent, 0) : cotangent
  }
  if (!isWatchingForAnomalies()) return make()
  return inBackwardOf(name, site, () => {
    if (!isMasked) return make()
    const cotangent = unwatched(make)
    checkAnomaly(name, [context.g], cotangent)
    return cotangent
  })
}

/** Where something reaches the input of an elementwise op, if that is known. */
function reachOf({ row, inputs, out }: Entry, at: number, reach: Tensor | undefined): Tensor | undefined {
  if (row!.fn === undefined || !sameShape(inputs[at]!.shape, out.shape)) return undefined
  const own = row!.reach?.(at, inputs)
  if (own === undefined || own === reach) return reach
  return reach === undefined ? own : logicalAnd(own, reach)
}

function contextOf({ row, inputs, attrs, out }: Entry, g: Tensor): RuleContext<string, unknown> {
  const context: Record<string, unknown> = { g, out, attrs, inputs }
  for (let i = 0; i < row!.args.length; i++) context[row!.args[i]!] = inputs[i]
  return context as RuleContext<string, unknown>
}

/** A cotangent in the shape and dtype of its primal: what was broadcast is summed back, here and nowhere else. */
function fitTo(primal: Tensor, cotangent: Tensor, op: string): Tensor {
  const fitted = sameShape(cotangent.shape, primal.shape) ? cotangent : sumTo(cotangent, primal, op)
  return fitted.dtype === primal.dtype ? fitted : cast(fitted, primal.dtype)
}

function sumTo(cotangent: Tensor, primal: Tensor, op: string): Tensor {
  const extra = cotangent.rank - primal.rank
  const axes: number[] = []
  for (let axis = 0; axis < cotangent.rank; axis++) {
    const own = axis < extra ? 1 : primal.shape[axis - extra]!
    if (axis < extra || (own === 1 && cotangent.shape[axis] !== 1)) axes.push(axis)
    else if (own !== cotangent.shape[axis])
      throw new ShapeError(
        `${op}: its gradient rule returned ${formatShape(cotangent.shape)} for an input of ${formatShape(primal.shape)}`,
        { op, shapes: [cotangent.shape, primal.shape] },
      )
  }
  // A cotangent smaller than its primal stands for the same value everywhere only after broadcasting.
  if (extra < 0)
    throw new ShapeError(
      `${op}: its gradient rule returned ${formatShape(cotangent.shape)} for an input of ${formatShape(primal.shape)}`,
      { op, shapes: [cotangent.shape, primal.shape] },
    )
  const summed = sum(cotangent, axes)
  return sameShape(summed.shape, primal.shape) ? summed : reshape(summed, primal.shape)
}
