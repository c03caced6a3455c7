import { inputsOf, neededForResults, type Program, sizeOf, type ValueId } from '@adjoint/core/extend'

type Value = Program['values'][number]

/** From so many terms on, reductions to few values are made in two steps, so that many threads share them. */
const MANY = 1024
const FEW = 256

/**
 * The same program in a form that suits a GPU: long reductions in two steps, and every result a value of its own that is
 * computed, not given. Positions of results and of assigned variables stay as they are.
 */
export function rewrite(program: Program): Program {
  const values: Value[] = []
  const renumbered: ValueId[] = []
  const add = (value: Value): ValueId => values.push(value) - 1
  const copied = (id: ValueId): ValueId => {
    const { shape, dtype } = values[id]!
    return add({ shape, dtype, source: { kind: 'kernel', kernel: { kind: 'view' }, inputs: [id] } })
  }
  const isMade = (id: ValueId): boolean => {
    const { source } = values[id]!
    return source.kind === 'kernel' && source.kernel.kind !== 'view'
  }
  const copies = new Map<ValueId, ValueId>()
  /** The change of variables reads numbers where they are put together. */
  const placed = (id: ValueId): ValueId => (sizeOf(values[id]!.shape) === 1 ? (copies.get(id) ?? id) : id)
  const take = (value: Value): ValueId => {
    const { source } = value
    if (source.kind !== 'kernel') return add(value)
    const inputs = source.inputs.map((id) => placed(renumbered[id]!))
    const moved: Value = { ...value, source: { ...source, inputs } }
    return inTwoSteps(moved, values, add) ?? add(moved)
  }
  const isFirst = neededForResults(program)
  program.values.forEach((value, id) => {
    // Random numbers stay in the order in which they are drawn, whoever needs them.
    if (isFirst[id] === 1 || value.source.kind === 'drawn') renumbered[id] = take(value)
  })
  // Numbers are read together, so they are put together; what is given or a view of something is copied.
  const own = (id: ValueId): ValueId => {
    if (isMade(id) && sizeOf(values[id]!.shape) !== 1) return id
    const copy = copies.get(id) ?? copied(id)
    copies.set(id, copy)
    return copy
  }
  const results = program.results.map((id) => own(renumbered[id]!))
  program.values.forEach((value, id) => {
    renumbered[id] ??= take(value)
  })
  // Two variables may be given the same value: each has a place of its own. So has a number that others are made from: it
  // changes with them.
  const taken = new Set<ValueId>()
  for (const { source } of values)
    for (const id of inputsOf(source)) if (sizeOf(values[id]!.shape) === 1) taken.add(id)
  const assigned = program.assigned.map(({ variable, value }) => {
    const made = renumbered[value]!
    const id = isMade(made) && !taken.has(made) ? made : copied(made)
    taken.add(id)
    return { variable, value: id }
  })
  return {
    values,
    slotCount: program.slotCount,
    checks: program.checks.map((check) => ({ ...check, value: renumbered[check.value]! })),
    results,
    assigned,
  }
}

function inTwoSteps(
  value: Value,
  values: readonly Value[],
  add: (value: Value) => ValueId,
): ValueId | undefined {
  const { source, dtype, shape } = value
  if (source.kind !== 'kernel' || source.kernel.kind !== 'reduce') return undefined
  const { op, axes } = source.kernel
  if (op === 'variance' || op === 'norm' || op === 'logSumExp') return undefined
  const [input] = inputsOf(source)
  const x = values[input!]!
  const isTogether = axes.every((axis, i) => axis === axes[0]! + i)
  const count = axes.reduce((n, axis) => n * x.shape[axis]!, 1)
  if (!isTogether || count < MANY || sizeOf(shape) > FEW) return undefined
  const parts = partsOf(count)
  if (parts === undefined) return undefined
  const outer = sizeOf(x.shape.slice(0, axes[0]))
  const inner = sizeOf(x.shape.slice(axes.at(-1)! + 1))
  const view = (of: ValueId, as: readonly number[], type = dtype): ValueId =>
    add({ shape: as, dtype: type, source: { kind: 'kernel', kernel: { kind: 'view' }, inputs: [of] } })
  const reduce = (of: ValueId, as: readonly number[], axis: number): ValueId =>
    add({
      shape: as,
      dtype,
      source: { kind: 'kernel', kernel: { kind: 'reduce', op, axes: [axis] }, inputs: [of] },
    })
  // Threads beside each other read what lies beside each other.
  const cut = view(input!, [outer, count / parts, parts, inner], x.dtype)
  return view(reduce(reduce(cut, [outer, parts, inner], 1), [outer, inner], 1), shape)
}

/** A divisor of `count` near its root, not far from it. */
function partsOf(count: number): number | undefined {
  const root = Math.floor(Math.sqrt(count))
  for (let parts = root; parts >= 16; parts--)
    if (count % parts === 0 && count / parts <= 16 * root) return parts
  return undefined
}
