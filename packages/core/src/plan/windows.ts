import type { Kernel } from '../backend.js'
import { loopsOver } from '../cpu/map.js'
import { BYTES } from '../dtype.js'
import { sizeOf } from '../shape.js'
import { choose } from '../wasm/choose.js'
import type { Grouping, Schedule, Stage, Window } from './fuse.js'
import { isWoven } from './fuse.js'
import type { Program, ValueId } from './program.js'
import { inputsOf } from './program.js'

// What is joined along an axis is written to its place among the others by the stage that computes it, and a part of an
// array is read where it lies: rows of either are further apart than they are long.

/** Vectors must not reach from row to row. */
const VECTOR = 16
const FLOAT = BYTES.float32

/** With those concatenations and slices along one axis done in place that the stages around them can do without. */
export function withWindows(program: Program, { stages, roots }: Grouping): Schedule {
  const { values, results, assigned, checks } = program
  const kept = new Set(
    [...results, ...assigned, ...checks].map((x) => roots[typeof x === 'number' ? x : x.value]!),
  )
  const stageOf = new Map<ValueId, Stage>()
  const readers = new Map<ValueId, ValueId[]>()
  for (const stage of stages)
    for (const member of stage.members) {
      stageOf.set(member, stage)
      for (const input of inputsOf(values[member]!.source))
        readers.set(roots[input]!, [...(readers.get(roots[input]!) ?? []), member])
    }
  const into = new Map<ValueId, Window>()
  const from = new Map<ValueId, Window>()
  const joined = new Set<ValueId>()
  /** How many rows a stage with windows goes through, all of them at once. */
  const rowsOf = new Map<Stage, number>()

  /** Whether a stage can write, or read, rows of this value that are apart. */
  const goesByRows = (stage: Stage, id: ValueId, rows: number): boolean => {
    if ((rowsOf.get(stage) ?? rows) !== rows) return false
    const { members } = stage
    const { shape } = values[id]!
    if (sizeOf(values[members[0]!]!.shape) !== sizeOf(shape)) return false
    if (values[id]!.dtype !== 'float32' || rows < 2 || ((sizeOf(shape) / rows) * FLOAT) % VECTOR !== 0)
      return false
    if (members.every((member) => isWoven(program, member))) {
      const given = members.flatMap((member) =>
        inputsOf(values[member]!.source).map((input) => values[input]!),
      )
      const { outer, inner } = loopsOver(given, shape)
      return outer.length === 0 ? inner % rows === 0 : outer.length === 1 && outer[0] === rows
    }
    const { source } = values[members[0]!]!
    if (source.kind !== 'kernel' || source.kernel.kind !== 'matmul' || source.inputs.includes(id))
      return false
    const ins = source.inputs.map((input) => values[input]!)
    return (
      rows * shape.at(-1)! === sizeOf(shape) &&
      choose(source.kernel, ins, values[members[0]!]!)?.takesEpilogue === true
    )
  }

  const joinInPlace = (id: ValueId, axis: number, inputs: readonly ValueId[]): void => {
    const size = sizeOf(values[id]!.shape)
    const rows = sizeOf(values[id]!.shape.slice(0, axis))
    const windows = new Map<ValueId, Window>()
    let offset = 0
    for (const input of inputs) {
      const stage = stageOf.get(input)
      const isFree = !into.has(input) && !windows.has(input) && !kept.has(input)
      if (stage?.isFirst !== stageOf.get(id)!.isFirst || !isFree || !goesByRows(stage, input, rows)) return
      windows.set(input, { of: id, offset, rows, step: (size / rows) * FLOAT })
      offset += (sizeOf(values[input]!.shape) / rows) * FLOAT
    }
    joined.add(id)
    for (const [input, window] of windows) {
      into.set(input, window)
      rowsOf.set(stageOf.get(input)!, rows)
    }
  }

  const readInPlace = (
    id: ValueId,
    { begin, strides }: Extract<Kernel, { kind: 'slice' }>,
    x: ValueId,
  ): void => {
    const { shape } = values[id]!
    const whole = values[x]!.shape
    const axis = whole.findIndex((side, i) => side !== shape[i])
    const isAlongOne = whole.every((side, i) => side === shape[i] || i === axis)
    if (axis < 1 || !isAlongOne || strides.some((stride) => stride !== 1) || kept.has(id)) return
    if (values[roots[x]!]!.source.kind === 'variable' || from.has(roots[x]!)) return
    // Under another shape it may be read by anything.
    if (values.some(({ source }, at) => roots[at] === id && at !== id && source.kind === 'kernel')) return
    const rows = sizeOf(whole.slice(0, axis))
    const inner = sizeOf(whole.slice(axis + 1)) * FLOAT
    const all = readers.get(id) ?? []
    const stages = all.map((reader) => stageOf.get(reader)!)
    if (!all.every((reader, i) => isWoven(program, reader) && goesByRows(stages[i]!, id, rows))) return
    from.set(id, { of: x, offset: begin[axis]! * inner, rows, step: whole[axis]! * inner })
    for (const stage of stages) rowsOf.set(stage, rows)
  }

  values.forEach(({ source, shape, dtype }, id) => {
    if (source.kind !== 'kernel' || roots[id] !== id || dtype !== 'float32' || sizeOf(shape) === 0) return
    const { kernel, inputs } = source
    if (kernel.kind === 'concat') joinInPlace(id, kernel.axis, inputs)
    if (kernel.kind === 'slice') readInPlace(id, kernel, inputs[0]!)
  })
  return { stages, roots, windows: { into, from, joined } }
}
