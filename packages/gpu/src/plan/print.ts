import {
  formatValue,
  formatVariable,
  inputsOf,
  type Kernel,
  type Program,
  type ValueId,
} from '@adjoint/core/extend'
import type { Dispatch, Schedule } from './schedule.js'

/**
 * A plan as text: what is given, then each dispatch with what it stores and, indented, what it computes on the way. What
 * is the same as before it in the dispatch, but of other values, as a weight's update by an optimizer, is said in a word.
 */
export function printed(program: Program, { dispatches, isLoaded }: Schedule): string {
  const { values, assigned, results } = program
  /** The value that is meant: views and copies on the way are nothing that is computed. */
  const meant = (id: ValueId): ValueId => {
    const { source, shape } = values[id]!
    if (source.kind !== 'kernel' || isLoaded(id)) return id
    const [input] = source.inputs as [ValueId]
    const isSame = isCopy(source.kernel) || isView(source.kernel, values[input]!.shape, shape)
    return isSame ? meant(input) : id
  }
  const line = (id: ValueId): string =>
    formatValue(program, id).replace(/%(\d+)(?![\d:])/g, (_, of: string) => `%${meant(Number(of))}`)
  const isRead = (id: ValueId): boolean => values[id]!.source.kind !== 'kernel' || isLoaded(id)
  /** What is computed on the way to a value, and what is read for it. */
  const wayTo = (id: ValueId): { readonly inner: ValueId[]; readonly read: ValueId[] } => {
    const [inner, read] = [new Set<ValueId>(), new Set<ValueId>()]
    const visit = (at: ValueId): void => {
      for (const input of inputsOf(values[at]!.source).map(meant)) {
        if (isRead(input)) read.add(input)
        else if (!inner.has(input)) {
          inner.add(input)
          visit(input)
        }
      }
    }
    visit(id)
    return { inner: [...inner].sort((a, b) => a - b), read: [...read] }
  }
  const linesOf = ({ outs }: Dispatch): string[] => {
    const said = new Set<ValueId>()
    const alike = new Map<string, ValueId>()
    return outs.flatMap((id) => {
      const { inner, read } = wayTo(id)
      const form = formOf([...inner, id].map(line).join('\n'))
      const first = alike.get(form)
      if (first !== undefined && inner.length > 0) {
        const [name] = line(id).split(' = ')
        return [`  ${name} = as %${first}, of ${read.map((at) => `%${at}`).join(', ')}`]
      }
      alike.set(form, id)
      const news = inner.filter((at) => !said.has(at))
      for (const at of inner) said.add(at)
      return [...news.map((at) => `    ${line(at)}`), `  ${line(id)}`]
    })
  }
  const given = values.flatMap(({ source }, id) => (source.kind === 'kernel' ? [] : [line(id)]))
  const steps = dispatches.flatMap((dispatch, i) => [
    `dispatch ${i + 1}${dispatch.isFirst ? '' : ', for the change'}:`,
    ...linesOf(dispatch),
  ])
  const changes = assigned.map(({ variable, value }) => `${formatVariable(variable)} becomes %${value}`)
  return [...given, ...steps, ...changes, `returns ${results.map((id) => `%${id}`).join(', ')}`].join('\n')
}

/** Whether a kernel gives what it reads, also over and over. */
function isCopy(kernel: Kernel): boolean {
  return kernel.kind === 'map' && kernel.fn.source === 'x'
}

/** Whether it gives it under a shape of the same sides, but for those of 1. */
function isView({ kind }: Kernel, from: readonly number[], to: readonly number[]): boolean {
  const sides = (shape: readonly number[]): string => shape.filter((side) => side !== 1).join()
  return kind === 'view' && sides(from) === sides(to)
}

/** Lines without what tells values that are computed alike apart: their names and shapes. */
function formOf(lines: string): string {
  const names = new Map<string, number>()
  const numberOf = (name: string): number => {
    if (!names.has(name)) names.set(name, names.size)
    return names.get(name)!
  }
  return lines.replace(/%\d+/g, (name) => `%${numberOf(name)}`).replace(/^(%\d+: \w+) \[[\d,]*\]/gm, '$1')
}
