import { sameShape } from '../shape.js'
import { MOST_OPERANDS } from '../wasm/choose.js'
import { isVectorized } from '../wasm/lanes.js'
import type { Program, ValueId } from './program.js'
import { inputsOf } from './program.js'

/** Kernels that run as one: several elementwise ones over the same shape, or any one alone. */
export interface Stage {
  /** What they compute, in order. */
  readonly members: readonly ValueId[]
  /** Whether it has to run before the results are known; the others only change variables. */
  readonly isFirst: boolean
}

/** A program's kernels in the order in which they will run. */
export interface Schedule {
  readonly stages: readonly Stage[]
  /** For each value the one whose memory it shares: itself, unless it is another one under a new shape. */
  readonly roots: readonly ValueId[]
}

const MOST_MEMBERS = 24

interface Group {
  readonly members: ValueId[]
  readonly isFirst: boolean
}

/** Puts elementwise kernels together where what they pass on to each other then never has to be stored. */
export function schedule(program: Program): Schedule {
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
  const stages = [...new Set(groups.values())].sort((a, b) => a.members.at(-1)! - b.members.at(-1)!)
  return { stages: [...stages.filter((s) => s.isFirst), ...stages.filter((s) => !s.isFirst)], roots }
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

/** 1 for what results and checks are computed from. */
function neededForResults({ values, results, checks }: Program): Uint8Array {
  const needed = new Uint8Array(values.length)
  for (const id of [...results, ...checks.map(({ value }) => value)]) needed[id] = 1
  for (let id = values.length - 1; id >= 0; id--)
    if (needed[id] === 1) for (const input of inputsOf(values[id]!.source)) needed[input] = 1
  return needed
}
