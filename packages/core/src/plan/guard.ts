import { ScalarFunction } from '../expr/scalar.js'
import type { Variable } from '../tensor.js'
import type { Program, ValueId } from './program.js'

const keep = new ScalarFunction('isSound ? after : before', ['isSound', 'after', 'before'], [])

/** The same program whose variables keep what they hold where `isSound` is 0. `guard` becomes that in any case. */
export function guarded(program: Program, isSound: ValueId, guard: Variable): Program {
  const values = [...program.values]
  const add = (value: Program['values'][number]): ValueId => values.push(value) - 1
  const held = new Map<Variable, ValueId>()
  values.forEach(({ source }, id) => {
    if (source.kind === 'variable') held.set(source.variable, id)
  })
  const assigned = program.assigned.map(({ variable, value }) => {
    const { shape, dtype } = variable
    const before = held.get(variable) ?? add({ shape, dtype, source: { kind: 'variable', variable } })
    const kernel = { kind: 'map', fn: keep, params: [] } as const
    const inputs = [isSound, value, before]
    return { variable, value: add({ shape, dtype, source: { kind: 'kernel', kernel, inputs } }) }
  })
  return { ...program, values, assigned: [...assigned, { variable: guard, value: isSound }] }
}
