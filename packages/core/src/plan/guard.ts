import { ScalarFunction } from '../expr/scalar.js'
import type { Variable } from '../tensor.js'
import type { Program, ValueId } from './program.js'

const keep = new ScalarFunction('isSound > 0 ? after : before', ['isSound', 'after', 'before'], [])
const next = new ScalarFunction('isSound > 0 ? 1 : guard - 1', ['isSound', 'guard'], [])

type Assigned = Program['assigned'][number]

/**
 * The same program whose variables keep what they hold unless `isSound` is over 0. `guard`, which begins as 1, becomes 0
 * then, and one less in every run after it: it tells how many have changed nothing.
 */
export function guarded(program: Program, isSound: ValueId, guard: Variable): Program {
  const values = [...program.values]
  const add = (value: Program['values'][number]): ValueId => values.push(value) - 1
  const held = new Map<Variable, ValueId>()
  values.forEach(({ source }, id) => {
    if (source.kind === 'variable') held.set(source.variable, id)
  })
  const heldBy = (variable: Variable): ValueId => {
    const { shape, dtype } = variable
    return held.get(variable) ?? add({ shape, dtype, source: { kind: 'variable', variable } })
  }
  const become = (variable: Variable, fn: ScalarFunction, inputs: readonly ValueId[]): Assigned => {
    const { shape, dtype } = variable
    const kernel = { kind: 'map', fn, params: [] } as const
    return { variable, value: add({ shape, dtype, source: { kind: 'kernel', kernel, inputs } }) }
  }
  const assigned = program.assigned.map(({ variable, value }) =>
    become(variable, keep, [isSound, value, heldBy(variable)]),
  )
  return { ...program, values, assigned: [...assigned, become(guard, next, [isSound, heldBy(guard)])] }
}
