import { inBackwardOf, isWatchingForAnomalies } from './anomaly.js'
import { ShapeError } from './errors.js'
import type { Rule, RuleContext } from './op.js'
import { add } from './ops/arithmetic.js'
import { reshape } from './ops/movement.js'
import { sum } from './ops/reduce.js'
import { cast } from './ops/select.js'
import { formatShape, sameShape } from './shape.js'
import type { Entry, Segment } from './tape.js'
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
  const cotangents = new Array<Tensor | undefined>(end - start)
  for (const { position, cotangent } of seeds)
    if (position >= start) cotangents[position - start] = accumulate(cotangents[position - start], cotangent)
  const keep = new Set(wanted)
  for (let at = end - 1; at >= start; at--) {
    const g = cotangents[at - start]
    if (g === undefined || isNeeded[at - start] === 0) continue
    spread(entries[at - start]!, g, start, isNeeded, cotangents)
    if (!keep.has(at)) cotangents[at - start] = undefined
  }
  return wanted.map((position) => cotangents[position - start])
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
  g: Tensor,
  start: number,
  isNeeded: Uint8Array,
  cotangents: (Tensor | undefined)[],
): void {
  const { row, inputs, parents } = entry
  if (row === undefined) {
    const parent = parents[0]! - start
    if (parent >= 0) cotangents[parent] = accumulate(cotangents[parent], g)
    return
  }
  let context: RuleContext<string, unknown> | undefined
  for (let i = 0; i < inputs.length; i++) {
    const parent = parents[i]! - start
    if (parent < 0 || isNeeded[parent] === 0) continue
    const rule = row.vjp![row.args[Math.min(i, row.args.length - 1)]!] as Rule<string, unknown> | null
    if (rule === null) continue
    context ??= contextOf(entry, g)
    const cotangent = isWatchingForAnomalies()
      ? inBackwardOf(row.name, entry.site, () => rule(context!, i))
      : rule(context, i)
    cotangents[parent] = accumulate(cotangents[parent], fitTo(inputs[i]!, cotangent, row.name))
  }
}

function contextOf({ row, inputs, attrs, out }: Entry, g: Tensor): RuleContext<string, unknown> {
  const context: Record<string, unknown> = { g, out, attrs, inputs }
  for (let i = 0; i < row!.args.length; i++) context[row!.args[i]!] = inputs[i]
  return context as RuleContext<string, unknown>
}

function accumulate(sum: Tensor | undefined, next: Tensor): Tensor {
  return sum === undefined ? next : add(sum, next)
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
  return reshape(sum(cotangent, axes), primal.shape)
}
