import type { Kernel } from '../backend.js'
import { sameShape } from '../shape.js'
import { exactJson, exactNumber } from './exact.js'
import type { Check, Program, Source, ValueId } from './program.js'
import { inputsOf } from './program.js'

/** The program without values that nobody needs, and with equal ones computed once. */
export function simplify(program: Program): Program {
  const same = equalValues(program)
  const isNeeded = neededValues(program, same)
  const renumbered = new Map<ValueId, ValueId>()
  const values: Program['values'][number][] = []
  program.values.forEach((value, id) => {
    if (same[id] !== id || !isNeeded[id]) return
    renumbered.set(id, values.length)
    const { source } = value
    values.push(
      source.kind === 'kernel'
        ? {
            ...value,
            source: { ...source, inputs: source.inputs.map((input) => renumbered.get(same[input]!)!) },
          }
        : value,
    )
  })
  const at = (id: ValueId): ValueId => renumbered.get(same[id]!)!
  const checks = new Map<string, Check>()
  for (const check of program.checks) {
    const value = at(check.value)
    checks.set(`${value} ${check.limit}`, { ...check, value })
  }
  return {
    values,
    slotCount: program.slotCount,
    checks: [...checks.values()],
    results: program.results.map(at),
    assigned: program.assigned.map(({ variable, value }) => ({ variable, value: at(value) })),
  }
}

/** For each value the first one that is computed in the same way from the same values. */
function equalValues({ values }: Program): ValueId[] {
  const same: ValueId[] = []
  const seen = new Map<string, ValueId>()
  const ids = new Map<object, number>()
  /** For each value the one that it is a view of, or itself. */
  const roots: ValueId[] = []
  values.forEach(({ source, shape, dtype }, id) => {
    const isView = source.kind === 'kernel' && source.kernel.kind === 'view'
    roots.push(isView ? roots[same[source.inputs[0]!]!]! : id)
    if (isView && sameShape(values[roots[id]!]!.shape, shape)) {
      same.push(roots[id]!)
      return
    }
    const key = keyOf(source, same, ids)
    const known = key === undefined ? undefined : seen.get(`${key} ${dtype} ${shape.join()}`)
    if (key !== undefined && known === undefined) seen.set(`${key} ${dtype} ${shape.join()}`, id)
    same.push(known ?? id)
  })
  return same
}

function keyOf(source: Source, same: readonly ValueId[], ids: Map<object, number>): string | undefined {
  if (source.kind !== 'kernel') return undefined
  const inputs = source.inputs.map((id) => same[id]).join()
  return `${kernelKey(source.kernel, ids)} ${inputs} ${source.slots?.join() ?? ''}`
}

/** Equal for kernels that do the same. Formulas are told apart by identity, numbered in `ids`. */
export function kernelKey(kernel: Kernel, ids: Map<object, number>): string {
  if (kernel.kind !== 'map') return exactJson(kernel)
  let id = ids.get(kernel.fn)
  if (id === undefined) ids.set(kernel.fn, (id = ids.size))
  return `map ${id} ${kernel.params.map(exactNumber).join()}`
}

function neededValues({ values, checks, results, assigned }: Program, same: readonly ValueId[]): Uint8Array {
  const needed = new Uint8Array(values.length)
  for (const id of [...results, ...assigned.map(({ value }) => value), ...checks.map(({ value }) => value)])
    needed[same[id]!] = 1
  for (let id = values.length - 1; id >= 0; id--)
    if (needed[id] === 1) for (const input of inputsOf(values[id]!.source)) needed[same[input]!] = 1
  // Random numbers are drawn whether they are used or not, so that the next ones are the same as without a plan.
  values.forEach(({ source }, id) => {
    if (source.kind === 'drawn') needed[id] = 1
  })
  return needed
}

/** Why two captures of the same function are not the same program; undefined where they are. */
export function difference(a: Program, b: Program): string | undefined {
  if (a.values.length !== b.values.length) return `${a.values.length} values, then ${b.values.length}`
  const ids = new Map<object, number>()
  for (let id = 0; id < a.values.length; id++) {
    const [x, y] = [a.values[id]!.source, b.values[id]!.source]
    if (x.kind === 'kernel' && y.kind === 'kernel' && x.slots !== undefined) {
      // Its parameters may differ.
      if (!hasSameFormula(x.kernel, y.kernel) || x.inputs.join() !== y.inputs.join())
        return `another op as number ${id}`
    } else if (x.kind === 'kernel' && y.kind === 'kernel') {
      const [kernel, other] = [kernelKey(x.kernel, ids), kernelKey(y.kernel, ids)]
      if (x.kernel.kind === 'map' && y.kernel.kind === 'map' && x.kernel.fn === y.kernel.fn) {
        const at = x.kernel.params.findIndex((p, i) => !Object.is(p, (y.kernel as typeof x.kernel).params[i]))
        if (at >= 0)
          return `the number ${x.kernel.fn.params[at]} of ${x.kernel.fn.source} was ${x.kernel.params[at]}, then ${y.kernel.params[at]}`
      }
      if (kernel !== other || x.inputs.join() !== y.inputs.join()) return `another op as number ${id}`
    } else if (x.kind === 'constant' && y.kind === 'constant') {
      if (x.slot !== undefined && y.slot !== undefined) continue
      const at = x.values.findIndex((value, i) => !Object.is(value, y.values[i]))
      if (at >= 0 || x.values.length !== y.values.length)
        return `a constant was ${show(x.values[at])}, then ${show(y.values[at])}`
    } else if (x.kind === 'variable' && y.kind === 'variable' && x.variable !== y.variable)
      return `another variable as number ${id}`
    else if (x.kind !== y.kind) return `another op as number ${id}`
  }
  return undefined
}

function hasSameFormula(a: Kernel, b: Kernel): boolean {
  return a.kind === 'map' && b.kind === 'map' && a.fn === b.fn
}

function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}
