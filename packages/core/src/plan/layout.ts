import { BYTES } from '../dtype.js'
import { sameShape, sizeOf } from '../shape.js'
import type { Variable } from '../tensor.js'
import { padded } from '../wasm/host.js'
import type { Schedule, Stage } from './fuse.js'
import { isWoven } from './fuse.js'
import type { Program, ValueId } from './program.js'
import { inputsOf } from './program.js'

/** Where a value's bytes are. */
export type Place =
  /** So many bytes into the plan's own memory. */
  | { readonly kind: 'arena'; readonly offset: number }
  /** Where the variable is kept between runs. */
  | { readonly kind: 'variable'; readonly variable: Variable }

export interface Layout {
  /** For each root that is stored. */
  readonly places: ReadonlyMap<ValueId, Place>
  readonly bytes: number
  /** What has to be copied to variables at the end, because it could not be written there. */
  readonly copies: readonly { readonly variable: Variable; readonly value: ValueId }[]
  /** Arguments that nothing is written over: they are there in the next run too. */
  readonly kept: ReadonlySet<ValueId>
}

/** Arguments of fewer bytes are copied in as fast as they are looked up. */
const LEAST_KEPT = 4096

/**
 * Finds a place for every value that is stored. Values that are not needed at the same time share memory.
 * @param keepsArguments whether large arguments share none, because the next run may be given the same.
 */
export function layOut(program: Program, plan: Schedule, keepsArguments: boolean): Layout {
  const { stages, roots } = plan
  const { values } = program
  const stageOf = new Map<ValueId, number>()
  stages.forEach(({ members }, at) => {
    for (const member of members) stageOf.set(member, at)
  })
  const kept = new Set<ValueId>()
  values.forEach(({ source }, id) => {
    if (keepsArguments && source.kind === 'argument' && bytesOf(program, id) >= LEAST_KEPT) kept.add(id)
  })
  const lives = livesOf(program, plan, stageOf, kept)
  const places = new Map<ValueId, Place>()
  values.forEach(({ source }, id) => {
    if (source.kind === 'variable') places.set(id, { kind: 'variable', variable: source.variable })
  })
  const copies: { variable: Variable; value: ValueId }[] = []
  const written = new Set<ValueId>()
  for (const { variable, value } of program.assigned) {
    const root = roots[value]!
    if (!written.has(root) && mayWriteTo(variable, root, program, stages, roots, stageOf, lives)) {
      places.set(root, { kind: 'variable', variable })
      written.add(root)
    } else copies.push({ variable, value })
  }
  let bytes = 0
  const taken: { start: number; end: number; from: number; to: number }[] = []
  const sized = [...lives]
    .filter(([id]) => !places.has(id))
    .map(([id, life]) => ({ id, ...life, size: padded(bytesOf(program, id)) }))
    .sort((a, b) => b.size - a.size || a.id - b.id)
  for (const { id, from, to, size } of sized) {
    const others = taken.filter((t) => t.from <= to && from <= t.to).sort((a, b) => a.start - b.start)
    let start = 0
    for (const other of others) {
      if (start + size <= other.start) break
      start = Math.max(start, other.end)
    }
    taken.push({ start, end: start + size, from, to })
    places.set(id, { kind: 'arena', offset: start })
    bytes = Math.max(bytes, start + size)
  }
  return { places, bytes, copies, kept }
}

export function bytesOf({ values }: Program, id: ValueId): number {
  const { shape, dtype } = values[id]!
  return sizeOf(shape) * BYTES[dtype]
}

/** From which stage to which a root's bytes are needed; -1 is before the first. */
interface Life {
  readonly from: number
  readonly to: number
}

function livesOf(
  program: Program,
  { stages, roots, windows }: Schedule,
  stageOf: ReadonlyMap<ValueId, number>,
  kept: ReadonlySet<ValueId>,
): Map<ValueId, Life> {
  const { values, results, assigned, checks } = program
  const last = new Map<ValueId, number>()
  const use = (id: ValueId, at: number): void => {
    last.set(roots[id]!, Math.max(last.get(roots[id]!) ?? -1, at))
  }
  stages.forEach(({ members }, at) => {
    // Inside a stage values are passed on in registers, or a few rows at a time.
    for (const member of members) {
      if (windows.joined.has(member) || windows.from.has(member)) continue
      for (const input of inputsOf(values[member]!.source))
        if (stageOf.get(roots[input]!) !== at) use(windows.from.get(input)?.of ?? input, at)
    }
  })
  /** Concatenations begin with the first stage that writes to them. */
  const begun = new Map<ValueId, number>()
  for (const [member, { of }] of windows.into)
    begun.set(of, Math.min(begun.get(of) ?? Infinity, stageOf.get(member)!))
  for (const id of [...results, ...assigned.map(({ value }) => value), ...checks.map(({ value }) => value)])
    use(id, stages.length)
  const lives = new Map<ValueId, Life>()
  values.forEach(({ source }, id) => {
    if (roots[id] !== id || source.kind === 'variable') return
    const to = last.get(id)
    if (to === undefined) return
    // What is copied in once, or before the run, is there from the beginning; constants are there to stay.
    const isGiven = source.kind !== 'kernel'
    lives.set(id, {
      from: isGiven ? -1 : (begun.get(id) ?? stageOf.get(id)!),
      to: source.kind === 'constant' || kept.has(id) ? stages.length : to,
    })
  })
  return lives
}

/**
 * Whether a variable's next value can be written over the one it has: the stage that computes it is not needed for the
 * results, no later one reads the old value, and what it reads itself of the old value is the element that it replaces.
 */
function mayWriteTo(
  variable: Variable,
  root: ValueId,
  program: Program,
  stages: readonly Stage[],
  roots: readonly ValueId[],
  stageOf: ReadonlyMap<ValueId, number>,
  lives: ReadonlyMap<ValueId, Life>,
): boolean {
  const at = stageOf.get(root)
  if (at === undefined || stages[at]!.isFirst || !lives.has(root) || !isWoven(program, root)) return false
  const old = program.values.findIndex(
    ({ source }) => source.kind === 'variable' && source.variable === variable,
  )
  if (!isFlat(program, stages[at]!)) return false
  if (old < 0) return true
  if (program.assigned.some(({ value }) => roots[value] === old)) return false
  const isRead = (stage: Stage): boolean => stage.members.some((member) => reads(program, member, old))
  if (stages.slice(at + 1).some(isRead)) return false
  const { shape } = program.values[root]!
  return !isRead(stages[at]!) || sameShape(program.values[old]!.shape, shape)
}

/** Whether all that a stage reads has its shape or is one number: then its vectors never reach into a next row. */
function isFlat(program: Program, { members }: Stage): boolean {
  const size = sizeOf(program.values[members[0]!]!.shape)
  return members.every(
    (member) =>
      isWoven(program, member) &&
      inputsOf(program.values[member]!.source).every((input) => {
        const own = sizeOf(program.values[input]!.shape)
        return own === size || own === 1
      }),
  )
}

/** Whether a kernel reads a value, under its own shape or another. */
function reads({ values }: Program, id: ValueId, old: ValueId): boolean {
  const isOld = (at: ValueId): boolean => {
    const { source } = values[at]!
    return (
      at === old || (source.kind === 'kernel' && source.kernel.kind === 'view' && isOld(source.inputs[0]!))
    )
  }
  return inputsOf(values[id]!.source).some(isOld)
}
