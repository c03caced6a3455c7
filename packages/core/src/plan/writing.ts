import type { Kernel } from '../backend.js'
import { type Loops, loopsOver } from '../cpu/map.js'
import { BYTES } from '../dtype.js'
import { sizeOf } from '../shape.js'
import { type Choice, choose } from '../wasm/choose.js'
import type { Code, Int, Local } from '../wasm/code.js'
import { divide, type Division, LINE } from '../wasm/divide.js'
import type { Lanes } from '../wasm/lanes.js'
import { loadOnce, writeMap, writeSteps } from '../wasm/map.js'
import type { Load } from '../wasm/reduce.js'
import { keep } from '../wasm/vector-math.js'
import { isWoven, reachOf, type Window, type Windows } from './fuse.js'
import { productWriting } from './product.js'
import type { Program, ValueId } from './program.js'
import { costOf, keyOf, NO_WINDOWS, weave } from './weave.js'

/** What has an address: a value, a place in another one, or one of the numbers given to every run. */
export type Operand = ValueId | Window | { readonly slot: number }

/** A stage's code: a function of addresses and sizes, and what it is called with. */
export interface Writing {
  /** Equal for stages that the same function does. */
  readonly key: string
  readonly operands: readonly Operand[]
  /** How much there is of what the function goes over. */
  readonly sizes: readonly number[]
  /** Bytes of scratch; its address comes after those of the operands. */
  readonly scratch: number
  /**
   * @param whole the sizes of the whole stage, where this is a part of it: they tell how far rows are apart.
   * @param functions those of the callees, which do as much as they are told.
   */
  readonly write: (
    c: Code,
    addresses: readonly Local[],
    sizes: readonly Int[],
    whole: readonly Int[],
    functions: readonly number[],
  ) => void
  readonly callees?: readonly Writing[]
  /** How threads can share it, if they can. */
  readonly divide: () => Division | undefined
  /** As few parts as may be. */
  readonly leastParts: number
  /** How it goes through rows, if it is so many rows that do not know of one another. */
  readonly rows?: (count: number) => Rows | undefined
  /** Of what is computed along rows, how many there are: nothing but these can be told apart. */
  readonly ownRows?: number | undefined
}

/** How operands move on from row to row. */
export interface Rows {
  /** In bytes, for each operand. */
  readonly steps: readonly number[]
  /** How much of the extent is a row. */
  readonly extent: number
  /** Whether nothing is written beyond the end of some rows whose number is a multiple of four. */
  readonly isExact: boolean
}

/** How a stage is written; undefined where the plain loops have to do it. */
export function writingOf(
  program: Program,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
  windows: Windows,
): Writing | undefined {
  const id = members[0]!
  const last = members.at(-1)!
  if (isWoven(program, id))
    return isWoven(program, last)
      ? mapWriting(program, members, isStored, windows)
      : reductionWriting(program, members.slice(0, -1), last)
  if (members.length > 1 || windows.into.has(id))
    return productWriting(program, id, members.slice(1), isStored, windows)
  const value = program.values[id]!
  if (value.source.kind !== 'kernel' || sizeOf(value.shape) === 0) return undefined
  const { kernel, inputs } = value.source
  const ins = inputs.map((input) => program.values[input]!)
  const choice = choose(kernel, ins, value)
  if (choice === undefined) return undefined
  const { writer, sizes, scratch } = choice
  const operands = [...inputs, id]
  return {
    key: writer.key,
    operands,
    sizes,
    scratch,
    write: (c, addresses, own, whole) =>
      writer.write(c, addresses, own, addresses[operands.length] ?? 0, undefined, whole),
    divide: () => divide(kernel, ins, choice),
    leastParts: 1,
    rows: (rows) => rowsOf(kernel, choice, rows),
    ownRows: sizes[0] !== undefined && rowsOf(kernel, choice, sizes[0]) ? sizes[0] : undefined,
  }
}

/** What reduces rows to numbers, or to softmax. */
function rowsOf(kernel: Kernel, { sizes: [outer, count, inner] }: Choice, rows: number): Rows | undefined {
  if (outer !== rows || inner !== 1 || rows === 1) return undefined
  const bytes = count! * 4
  if (kernel.kind === 'reduce') return { steps: [bytes, 4], extent: 1, isExact: true }
  return kernel.kind === 'softmax'
    ? { steps: [bytes, bytes], extent: 1, isExact: count! % 4 === 0 }
    : undefined
}

/** Several elementwise kernels in one loop. */
function mapWriting(
  program: Program,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
  windows: Windows,
): Writing | undefined {
  const { values } = program
  const { shape } = values[members[0]!]!
  if (sizeOf(shape) === 0) return undefined
  const { inputs } = weave(program, members, isStored, windows, () => false)
  const given = inputs.map((id): ValueId | Window => windows.from.get(id) ?? id)
  const loops = loopsThrough(
    loopsOver(
      inputs.map((id) => ({ shape: values[id]!.shape })),
      shape,
    ),
    given,
    members.flatMap((id) => windows.into.get(id) ?? []),
  )
  const { source, slots, stored, into } = weave(
    program,
    members,
    isStored,
    windows,
    (id) => loops.steps[inputs.indexOf(id)] === 0,
  )
  const { outer, strides, inner } = loops
  const [, ...others] = outer
  const stepBytes = (axis: number): number[] => [
    ...inputs.map((id, i) => (strides[axis]?.[i] ?? 0) * BYTES[values[id]!.dtype]),
    ...slots.map(() => 0),
  ]
  // How long the outermost loop is does not matter to the code.
  const isFlat = outer.length === 0
  const apart = into.map(({ step }) => step)
  const key = `map ${isFlat ? '' : inner} ${others.join()} ${strides.join(' ')} ${apart.join()} ${keyOf(source)}`
  const hasWindows = into.length > 0 || given.some((operand) => typeof operand === 'object')
  return {
    key,
    operands: [...given, ...slots.map((slot) => ({ slot })), ...stored, ...into],
    sizes: [outer[0] ?? inner],
    scratch: 0,
    divide: () => divideMap(program, members, inputs, slots.length, stored, into, loops),
    rows: (rows) => (hasWindows ? undefined : rowsOfMap(program, inputs, slots.length, stored, loops, rows)),
    leastParts: isFlat ? Math.ceil(inner / MOST_OF_MAP) : 1,
    write: (c, addresses, [size]) => {
      const from = addresses.slice(0, inputs.length + slots.length)
      const to = addresses.slice(from.length)
      const counts = [size!, ...others]
      const rowBytes = stored.map((id) => inner * BYTES[values[id]!.dtype])
      const nest = (axis: number): void => {
        const count = counts[axis]!
        const moves = stepBytes(axis)
        if (isFlat || axis === others.length) {
          writeMap(c, source, {
            inputs: from,
            inputSteps: moves,
            outputs: to,
            outputSteps: [...rowBytes, ...apart],
            rows: isFlat ? 1 : count,
            inner: isFlat ? count : inner,
          })
          if (axis > 0)
            to.forEach((at, i) => c.advance(at, others.at(-1)! * inner * BYTES[values[stored[i]!]!.dtype]))
          return
        }
        const i = c.copyOf(0)
        c.op(0).set(i)
        c.loop(i, count, 1, () => {
          nest(axis + 1)
          from.forEach((at, k) => c.advance(at, moves[k]!))
        })
        if (axis > 0) from.forEach((at, k) => c.advance(at, -moves[k]! * others[axis - 1]!))
      }
      nest(0)
    },
  }
}

/** The same loops, going through the rows of windows if there are any. */
function loopsThrough(loops: Loops, given: readonly (ValueId | Window)[], into: readonly Window[]): Loops {
  const windows = [...into, ...given.filter((operand) => typeof operand === 'object')]
  if (windows.length === 0) return loops
  const { rows } = windows[0]!
  const isFlat = loops.outer.length === 0
  const inner = isFlat ? loops.inner / rows : loops.inner
  const strides = given.map((operand, i) => {
    if (typeof operand === 'object') return operand.step / BYTES.float32
    return isFlat ? loops.steps[i]! * inner : loops.strides[0]![i]!
  })
  return { outer: [rows], strides: [strides], inner, steps: loops.steps }
}

/** A reduction of what elementwise kernels compute on the way, which is stored nowhere. */
function reductionWriting(program: Program, members: readonly ValueId[], reduction: ValueId): Writing {
  const { values } = program
  const { source: from } = values[reduction]!
  if (from.kind !== 'kernel') throw new Error('no reduction')
  const { kernel } = from
  const x = values[members.at(-1)!]!
  const choice = choose(kernel, [x], values[reduction]!)!
  const { writer, sizes } = choice
  const isOne = (id: ValueId): boolean => reachOf(values[id]!.shape, x.shape) === 'one'
  const { source, inputs, slots } = weave(program, members, () => false, NO_WINDOWS, isOne)
  const main = inputs.find((id) => !isOne(id))!
  return {
    key: `${writer.key} ${inputs.indexOf(main)} ${inputs.map(isOne).join()} ${keyOf(source)}`,
    operands: [...inputs, ...slots.map((slot) => ({ slot })), reduction],
    sizes,
    scratch: 0,
    divide() {
      const division = divide(kernel, [x], choice)
      if (division === undefined) return undefined
      const [ofX, ofOut] = division.steps as [number, number]
      const work = division.work + sizeOf(x.shape) * costOf(program, members)
      return {
        ...division,
        work,
        steps: [...inputs.map((id) => (isOne(id) ? 0 : ofX)), ...slots.map(() => 0), ofOut],
      }
    },
    leastParts: 1,
    write(c, addresses, own, whole) {
      const start = addresses[inputs.indexOf(main)]!
      /** What has the same shape lies as far from the first of them everywhere. */
      const distances = inputs.map((id, i) => {
        const distance = c.local('i32')
        if (id !== main && !isOne(id)) c.op(addresses[i]!, start, 'i32.sub').set(distance)
        return distance
      })
      const once = inputs.map((id, i) =>
        isOne(id) ? loadOnce(c, addresses[i]!, values[id]!.dtype) : undefined,
      )
      const numbers = slots.map((_, i) => loadOnce(c, addresses[inputs.length + i]!, 'float64'))
      const load: Load = (_, at, offset) => {
        const given = inputs.map((id, i): Lanes => {
          if (once[i] !== undefined) return once[i]
          c.get(at)
          if (id !== main) c.op(distances[i]!, 'i32.add')
          return { kind: 'single', all: keep(c, () => c.memory('v128.load', offset)) }
        })
        const result = writeSteps(c, source, [...given, ...numbers]).at(-1)!
        if (result.kind !== 'single') throw new Error('not float32')
        return result.all
      }
      writer.write(c, [start, addresses.at(-1)!], own, 0, undefined, whole, load)
    },
    rows(rows) {
      const own = rowsOf(kernel, choice, rows)
      if (own === undefined) return undefined
      const [ofX, ofOut] = own.steps as [number, number]
      return { ...own, steps: [...inputs.map((id) => (isOne(id) ? 0 : ofX)), ...slots.map(() => 0), ofOut] }
    },
    ownRows: rowsOf(kernel, choice, sizes[0]!) ? sizes[0] : undefined,
  }
}

/** So many elements of an elementwise stage are a part at most: what it overwrites can be kept in the cache. */
const MOST_OF_MAP = 32_768

/** An elementwise stage is divided along its outermost loop. */
function divideMap(
  program: Program,
  members: readonly ValueId[],
  inputs: readonly ValueId[],
  slots: number,
  stored: readonly ValueId[],
  into: readonly Window[],
  { outer, strides, inner, steps }: Loops,
): Division | undefined {
  const { values } = program
  const isFlat = outer.length === 0
  // The last vector of a row reaches into the next one, which has to be written afterwards.
  const reachesOver = !isFlat && inner % 4 !== 0
  if (reachesOver && outer.length > 1) return undefined
  const perUnit = isFlat ? LINE : 1
  const rest = outer.slice(1).reduce((a, b) => a * b, isFlat ? 1 : inner)
  const elements = (isFlat ? inner : outer[0]!) * rest
  return {
    reachesOver,
    units: Math.floor((isFlat ? inner : outer[0]!) / perUnit),
    steps: [
      ...inputs.map((id, i) => perUnit * (isFlat ? steps : strides[0]!)[i]! * BYTES[values[id]!.dtype]),
      ...Array.from({ length: slots }, () => 0),
      ...stored.map((id) => perUnit * rest * BYTES[values[id]!.dtype]),
      ...into.map(({ step }) => step),
    ],
    size: 0,
    perUnit,
    work: elements * (inputs.length + stored.length + costOf(program, members)),
  }
}

function rowsOfMap(
  { values }: Program,
  inputs: readonly ValueId[],
  slots: number,
  stored: readonly ValueId[],
  { outer, strides, inner, steps }: Loops,
  rows: number,
): Rows | undefined {
  const isFlat = outer.length === 0
  if (outer.length > 1 || (isFlat ? inner % rows !== 0 : outer[0] !== rows)) return undefined
  const extent = isFlat ? inner / rows : 1
  const width = isFlat ? extent : inner
  const moves = isFlat ? steps.map((step) => step * width) : strides[0]!
  return {
    steps: [
      ...inputs.map((id, i) => moves[i]! * BYTES[values[id]!.dtype]),
      ...Array.from({ length: slots }, () => 0),
      ...stored.map((id) => width * BYTES[values[id]!.dtype]),
    ],
    extent,
    isExact: isFlat || inner % 4 === 0,
  }
}
