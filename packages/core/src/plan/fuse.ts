import type { Expr } from '../expr/tree.js'
import { sameShape, type Sizes, sizeOf } from '../shape.js'
import { choose, MOST_OPERANDS } from '../wasm/choose.js'
import { isVectorized } from '../wasm/lanes.js'
import type { Program, ValueId } from './program.js'
import { inputsOf, neededForResults } from './program.js'

/**
 * Kernels that run as one: several elementwise ones over the same shape, perhaps after the product of matrices that they
 * take, or before the reduction that takes them; or any one alone.
 */
export interface Stage {
  /** What they compute, in order, a product first, a reduction last. Of what a reduction takes nothing is stored. */
  readonly members: readonly ValueId[]
  /** Whether it has to run before the results are known; the others only change variables. */
  readonly isFirst: boolean
  /** The members in parts that run one after another on a few of so many rows at a time. */
  readonly byRows?: ByRows
}

export interface ByRows {
  readonly count: number
  readonly parts: readonly (readonly ValueId[])[]
}

/** A program's kernels in the order in which they will run. */
export interface Grouping {
  readonly stages: readonly Stage[]
  /** For each value the one whose memory it shares: itself, unless it is another one under a new shape. */
  readonly roots: readonly ValueId[]
}

/** The place of a value in the memory of another one: rows of so many bytes each. */
export interface Window {
  readonly of: ValueId
  readonly offset: number
  readonly rows: number
  /** Bytes from row to row. */
  readonly step: number
}

export interface Windows {
  /** Where values are written besides their own place, if they have one. */
  readonly into: ReadonlyMap<ValueId, Window>
  /** Where values are read that have no place of their own. */
  readonly from: ReadonlyMap<ValueId, Window>
  /** Concatenations of which all is where it belongs. */
  readonly joined: ReadonlySet<ValueId>
}

export interface Schedule extends Grouping {
  readonly windows: Windows
}

const MOST_MEMBERS = 24

interface Group {
  readonly members: ValueId[]
  readonly isFirst: boolean
}

/** Puts elementwise kernels together where what they pass on to each other then never has to be stored. */
export function schedule(program: Program): Grouping {
  const { values } = program
  const roots = rootsOf(program)
  const isFirst = neededForResults(program)
  const consumers: ValueId[][] = values.map(() => [])
  values.forEach(({ source }, id) => {
    if (roots[id] === id) for (const input of inputsOf(source)) consumers[roots[input]!]!.push(id)
  })
  const groups = new Map<ValueId, Group>()
  const mayJoin = (group: Group, at: ValueId): boolean =>
    group.members.every(
      (member) =>
        consumers[member]!.every((c) => c >= at || groups.get(c) === group) &&
        // A member under another shape could only be read from memory, where it is not yet.
        inputsOf(values[member]!.source).every(
          (input) => roots[input] === input || groups.get(roots[input]!) !== group,
        ),
    )
  values.forEach(({ source, shape }, id) => {
    if (source.kind !== 'kernel' || roots[id] !== id) return
    const own: Group = { members: [id], isFirst: isFirst[id] === 1 }
    groups.set(id, own)
    if (!isWoven(program, id)) return
    for (const input of new Set(source.inputs)) {
      // An input under another shape was stored under its own.
      const other = groups.get(input)
      if (other === undefined || other === own || !isWoven(program, input)) continue
      if (!sameShape(values[input]!.shape, shape) || other.isFirst !== own.isFirst) continue
      if (other.members.length + own.members.length > MOST_MEMBERS) continue
      const merged: Group = { members: [...other.members, ...own.members], isFirst: own.isFirst }
      const before = new Map(merged.members.map((member) => [member, groups.get(member)!]))
      for (const member of merged.members) groups.set(member, merged)
      if (mayJoin(merged, id)) {
        own.members.splice(0, own.members.length, ...merged.members.sort((a, b) => a - b))
        for (const member of own.members) groups.set(member, own)
      } else for (const [member, group] of before) groups.set(member, group)
    }
  })
  const assigned = new Set(program.assigned.map(({ value }) => roots[value]!))
  for (const group of new Set(groups.values())) {
    // Tiles overlap, and what is computed twice cannot be written over what it is computed from.
    if (group.members.some((member) => assigned.has(member))) continue
    const head = headOf(program, group, roots, consumers, groups)
    if (head === undefined) continue
    group.members.unshift(head)
    groups.set(head, group)
  }
  const kept = keptValues(program, roots)
  values.forEach((_, id) => {
    const group = takenBy(program, id, consumers, kept, groups)
    if (group === undefined) return
    group.members.push(id)
    groups.set(id, group)
  })
  const stages = [...new Set(groups.values())].sort((a, b) => a.members.at(-1)! - b.members.at(-1)!)
  const ordered = [...stages.filter((s) => s.isFirst), ...stages.filter((s) => !s.isFirst)]
  return { stages: ordered, roots }
}

/** More members than this, or series, would make the code of a product's tiles too long. */
const MOST_AFTER_PRODUCT = 6

/**
 * The product of matrices whose tiles the group can finish before they are stored: nothing else takes it, and what
 * else the group reads is of its shape, a row of it, or one number.
 */
function headOf(
  program: Program,
  { members, isFirst }: Group,
  roots: readonly ValueId[],
  consumers: readonly (readonly ValueId[])[],
  groups: ReadonlyMap<ValueId, Group>,
): ValueId | undefined {
  const { values } = program
  const { shape } = values[members[0]!]!
  if (members.length > MOST_AFTER_PRODUCT || !isWoven(program, members[0]!)) return undefined
  const inputs = members.flatMap((id) => inputsOf(values[id]!.source))
  const isPlain = [...members, ...inputs].every((id) => values[id]!.dtype === 'float32')
  if (!isPlain || !inputs.every((id) => reachOf(values[id]!.shape, shape) !== undefined)) return undefined
  if (!members.every((id) => isVectorized(formulaOf(program, id)!, 'float64'))) return undefined
  return inputs.findLast((id) => {
    const { source } = values[id]!
    const group = groups.get(id)
    if (source.kind !== 'kernel' || source.kernel.kind !== 'matmul' || group?.members.length !== 1)
      return false
    if (group.isFirst !== isFirst || !sameShape(values[id]!.shape, shape)) return false
    if (!consumers[id]!.every((c) => members.includes(c))) return false
    if (inputs.some((input) => input !== id && roots[input] === id)) return false
    const ins = source.inputs.map((input) => values[input]!)
    return sizeOf(shape) > 0 && choose(source.kernel, ins, values[id]!)?.takesEpilogue === true
  })
}

/** Sums of more than this are not computed as they are taken: threads share the elementwise part, but not a sum. */
const MOST_OF_SUM = 16_384

/**
 * The group of elementwise kernels whose values a reduction can take as they are computed: nothing else needs them, and
 * what they read is of their shape, or one number.
 */
function takenBy(
  program: Program,
  id: ValueId,
  consumers: readonly (readonly ValueId[])[],
  kept: ReadonlySet<ValueId>,
  groups: ReadonlyMap<ValueId, Group>,
): Group | undefined {
  const { values } = program
  const { source, shape } = values[id]!
  if (source.kind !== 'kernel' || source.kernel.kind !== 'reduce') return undefined
  const x = values[source.inputs[0]!]!
  const group = groups.get(source.inputs[0]!)
  if (group === undefined || group.isFirst !== groups.get(id)!.isFirst) return undefined
  const { members } = group
  if (members.at(-1) !== source.inputs[0] || members.length >= MOST_MEMBERS) return undefined
  if (
    sizeOf(shape) === 0 ||
    sizeOf(x.shape) === 1 ||
    choose(source.kernel, [x], values[id]!)?.takesLoad !== true
  )
    return undefined
  const isOwn = (member: ValueId): boolean =>
    isWoven(program, member) &&
    !kept.has(member) &&
    consumers[member]!.every((c) => c === id || groups.get(c) === group)
  if (!members.every(isOwn)) return undefined
  const isSeries = members.some((member) => !isVectorized(formulaOf(program, member)!, 'float64'))
  if (isSeries && sizeOf(x.shape) > MOST_OF_SUM) return undefined
  const inputs = members
    .flatMap((member) => inputsOf(values[member]!.source))
    .filter((input) => groups.get(input) !== group)
  const isWhole = (input: ValueId): boolean =>
    values[input]!.dtype === 'float32' && sizeOf(values[input]!.shape) === sizeOf(x.shape)
  const isReadable = (input: ValueId): boolean => isWhole(input) || sizeOf(values[input]!.shape) === 1
  return inputs.every(isReadable) && inputs.some(isWhole) ? group : undefined
}

/** What has to be there after a run. */
function keptValues({ results, checks, assigned }: Program, roots: readonly ValueId[]): Set<ValueId> {
  const ids = [...results, ...checks.map(({ value }) => value), ...assigned.map(({ value }) => value)]
  return new Set(ids.map((id) => roots[id]!))
}

/** How an operand covers a matrix or a stack of them; undefined for ways that products' tiles do not know. */
export function reachOf(shape: Sizes, out: Sizes): 'all' | 'row' | 'one' | undefined {
  const size = sizeOf(shape)
  if (size === 1) return 'one'
  if (size === sizeOf(out)) return 'all'
  return size === out.at(-1) && size === shape.at(-1) ? 'row' : undefined
}

function formulaOf({ values }: Program, id: ValueId): Expr | undefined {
  const { source } = values[id]!
  return source.kind === 'kernel' && source.kernel.kind === 'map' ? source.kernel.fn.body : undefined
}

/** Whether a value is elementwise and can be computed in lanes. */
export function isWoven({ values }: Program, id: ValueId): boolean {
  const { source, dtype } = values[id]!
  if (source.kind !== 'kernel' || source.kernel.kind !== 'map') return false
  return (
    source.inputs.length <= MOST_OPERANDS &&
    isVectorized(source.kernel.fn.body, dtype) &&
    !source.inputs.some((input) => values[input]!.dtype === 'string')
  )
}

function rootsOf({ values }: Program): ValueId[] {
  const roots: ValueId[] = []
  values.forEach(({ source }, id) => {
    const isView = source.kind === 'kernel' && source.kernel.kind === 'view'
    roots.push(isView ? roots[source.inputs[0]!]! : id)
  })
  return roots
}
