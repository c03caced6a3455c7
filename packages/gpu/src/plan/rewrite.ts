import { inputsOf, type Program, sizeOf, type ValueId } from '@adjoint/core/extend'

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
  for (const value of program.values) {
    const { source } = value
    if (source.kind !== 'kernel') {
      renumbered.push(add(value))
      continue
    }
    const inputs = source.inputs.map((id) => renumbered[id]!)
    const moved: Value = { ...value, source: { ...source, inputs } }
    renumbered.push(inTwoSteps(moved, values, add) ?? add(moved))
  }
  const copies = new Map<ValueId, ValueId>()
  const copied = (id: ValueId): ValueId => {
    const { shape, dtype } = values[id]!
    let copy = copies.get(id)
    if (copy === undefined)
      copies.set(
        id,
        (copy = add({ shape, dtype, source: { kind: 'kernel', kernel: { kind: 'view' }, inputs: [id] } })),
      )
    return copy
  }
  /** Numbers are read together, so they are put together; what is given or a view of something is copied. */
  const own = (id: ValueId): ValueId => {
    const { source, shape } = values[id]!
    const isMade = source.kind === 'kernel' && source.kernel.kind !== 'view'
    return isMade && sizeOf(shape) !== 1 ? id : copied(id)
  }
  const taken = new Set<ValueId>()
  return {
    values,
    slotCount: program.slotCount,
    checks: program.checks.map((check) => ({ ...check, value: renumbered[check.value]! })),
    results: program.results.map((id) => own(renumbered[id]!)),
    // Two variables may be given the same value: each has a place of its own.
    assigned: program.assigned.map(({ variable, value }) => {
      const { source, shape, dtype } = values[renumbered[value]!]!
      const isMade = source.kind === 'kernel' && source.kernel.kind !== 'view'
      const id =
        isMade && !taken.has(renumbered[value]!)
          ? renumbered[value]!
          : add({
              shape,
              dtype,
              source: { kind: 'kernel', kernel: { kind: 'view' }, inputs: [renumbered[value]!] },
            })
      taken.add(id)
      return { variable, value: id }
    }),
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
  const cut = view(input!, [outer, parts, count / parts, inner], x.dtype)
  return view(reduce(reduce(cut, [outer, parts, inner], 2), [outer, inner], 1), shape)
}

/** A divisor of `count` near its root, not far from it. */
function partsOf(count: number): number | undefined {
  const root = Math.floor(Math.sqrt(count))
  for (let parts = root; parts >= 16; parts--)
    if (count % parts === 0 && count / parts <= 16 * root) return parts
  return undefined
}
