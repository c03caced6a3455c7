import {
  inputsOf,
  type Kernel,
  neededForResults,
  type Program,
  sizeOf,
  type ValueId,
} from '@adjoint/core/extend'
import { GPU_JS } from './language.js'
import { LEAST_FOR_TILES, Writer } from './writer.js'

/** Values that one dispatch computes, side by side in one storage. */
export interface Dispatch {
  readonly outs: readonly ValueId[]
  /** Whether results need it; the others only change variables. */
  readonly isFirst: boolean
  /** A kernel that is run as it is run op by op. */
  readonly isForeign: boolean
}

export interface Schedule {
  readonly dispatches: readonly Dispatch[]
  /** Whether a value is read where it lies; others are computed where they are used, even where they have a place. */
  readonly isLoaded: (id: ValueId) => boolean
}

/** Up to so many operations a value is always cheap to do again: a few sums, products and comparisons. */
const CHEAP = 16
/** What one thread may compute instead of reading it, in operations, and all threads together. */
const MOST_WORK = 4096
const MOST_ALL = 2 ** 22
/** From what length on rows are long, and what all elements together may fold of rows or look through of indices. */
const LONG_ROW = 32
const MOST_FOLDED = 2 ** 18
/**
 * How long the text may be of what is computed in several places, all together, and of one dispatch: longer shaders take
 * drivers seconds to compile.
 */
const MOST_AGAIN = 2 ** 13
const MOST_TEXT = 2 ** 15
/**
 * Up to so many lines of code, with those of its functions, a value is computed where it is used. Of a product, which is
 * computed in tiles, a thread has a copy of the code for each row, column and term.
 */
const LONG = 512
const LONG_IN_TILES = 16
/** What loops run over is read where each term would try more conditions. */
const MOST_BRANCHES = 8

/**
 * Decides what is stored and what is computed where it is used, and puts what does not need each other into one
 * dispatch: their number is the length of the longest chain of stored values.
 * Undefined where one value alone is computed from more arrays than that.
 * @param mostArrays how many arrays one dispatch may read.
 * @param isBetterAlone whether a kernel is run as it is run op by op, though it could be written.
 * @param isApart whether a dispatch is a draw for each of its values, which all read arrays of their own.
 */
export function schedule(
  program: Program,
  mostArrays: number,
  isBetterAlone: BetterAlone = () => false,
  isApart = false,
): Schedule | undefined {
  const isForeign = (id: ValueId): boolean => isForeignTo(program, id, isBetterAlone)
  const { stored, loaded } = storedOf(program, isForeign)
  const isLoaded = (id: ValueId): boolean => loaded.has(id)
  const { values, results } = program
  const isFirst = neededForResults(program)
  const numbers = new Set(results.filter((id) => sizeOf(values[id]!.shape) === 1))
  const levels = new Map<ValueId, number>()
  const loads = new Map<ValueId, ReadonlySet<ValueId>>()
  let last = 0
  const place = (id: ValueId, least: number): void => {
    let level = least
    const own = loadsOf(program, id, isLoaded)
    loads.set(id, own)
    for (const input of own) level = Math.max(level, (levels.get(input) ?? -1) + 1)
    levels.set(id, level)
  }
  const tasks = [...stored].sort((a, b) => a - b)
  for (const id of tasks)
    if (isFirst[id] && !numbers.has(id)) {
      place(id, 0)
      last = Math.max(last, levels.get(id)!)
    }
  // Numbers that are read come last, together.
  for (const id of numbers) {
    place(id, 0)
    last = Math.max(last, levels.get(id)!)
  }
  for (const id of numbers) levels.set(id, last)
  for (const id of tasks) if (!isFirst[id]) place(id, last + 1)
  const dispatches: Dispatch[] = []
  const dispatchOf = new Map<ValueId, Dispatch>()
  const most = Math.max(-1, ...levels.values())
  for (let level = 0; level <= most; level++) {
    const here = tasks.filter((id) => levels.get(id) === level)
    const groups: { outs: ValueId[]; arrays: Set<unknown>; length: number }[] = []
    for (const id of here) {
      const dispatch = (outs: ValueId[], isForeign: boolean): Dispatch => ({
        outs,
        isForeign,
        isFirst: isFirst[id] === 1,
      })
      if (isForeign(id)) {
        const made = dispatch([id], true)
        dispatches.push(made)
        dispatchOf.set(id, made)
        continue
      }
      const arrays = new Set<unknown>()
      for (const input of loads.get(id)!) arrays.add(dispatchOf.get(input) ?? kindOfArray(program, input))
      if (readsSlots(program, id, isLoaded)) arrays.add('slots')
      if (arrays.size > mostArrays) return undefined
      const isNumber = numbers.has(id)
      const { length } = written(program, id, isLoaded).lines
      let group = groups.find(
        (g) =>
          numbers.has(g.outs[0]!) === isNumber &&
          (isApart ||
            (g.length + length <= MOST_TEXT && new Set([...g.arrays, ...arrays]).size <= mostArrays)),
      )
      if (group === undefined) groups.push((group = { outs: [], arrays: new Set(), length: 0 }))
      group.outs.push(id)
      group.length += length
      for (const array of arrays) group.arrays.add(array)
    }
    for (const { outs } of groups) {
      const made: Dispatch = { outs, isForeign: false, isFirst: isFirst[outs[0]!] === 1 }
      dispatches.push(made)
      for (const id of outs) dispatchOf.set(id, made)
    }
  }
  return { dispatches, isLoaded }
}

/** Which of the arrays that a plan is given a value is in. */
export function kindOfArray({ values, assigned }: Program, id: ValueId): string {
  const { source } = values[id]!
  if (source.kind === 'variable')
    return assigned.some(({ variable }) => variable === source.variable) ? 'changed' : 'held'
  return source.kind === 'constant' ? 'fixed' : 'given'
}

type BetterAlone = (kernel: Kernel, inputs: readonly (readonly number[])[], out: readonly number[]) => boolean

function isForeignTo({ values }: Program, id: ValueId, isBetterAlone: BetterAlone): boolean {
  const { source, shape } = values[id]!
  if (source.kind !== 'kernel') return false
  const inputs = source.inputs.map((input) => values[input]!.shape)
  const { kernel } = source
  return !isWritable(kernel, inputs) || isFoldedOften(kernel, shape) || isBetterAlone(kernel, inputs, shape)
}

/** Whether rows are long for a kernel of which each element would fold its row again. */
function isFoldedOften(kernel: Kernel, shape: readonly number[]): boolean {
  if (kernel.kind !== 'softmax') return false
  const count = shape[kernel.axis]!
  return count > LONG_ROW && sizeOf(shape) * count > MOST_FOLDED
}
/** Whether one element of a kernel's output can be written as a formula of a few loops. */
function isWritable(kernel: Kernel, shapes: readonly (readonly number[])[]): boolean {
  if (kernel.kind === 'cumulate') return false
  if (kernel.kind === 'scatterAdd') {
    const [size, count] = [sizeOf(shapes[0]!), sizeOf(shapes[1]!)]
    return count <= 4096 && size * count <= MOST_FOLDED
  }
  return true
}

/** What is read, all in all, to compute a stored value. */
function loadsOf(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): ReadonlySet<ValueId> {
  const loads = new Set<ValueId>()
  const seen = new Set<ValueId>()
  const visit = (at: ValueId): void => {
    for (const input of inputsOf(program.values[at]!.source)) {
      if (seen.has(input)) continue
      seen.add(input)
      const { source } = program.values[input]!
      if (source.kind === 'constant' && source.values.length === 1) continue
      if (source.kind !== 'kernel' || isLoaded(input)) loads.add(input)
      else visit(input)
    }
  }
  visit(id)
  return loads
}

function readsSlots({ values }: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): boolean {
  const seen = new Set<ValueId>()
  const visit = (at: ValueId): boolean => {
    if (seen.has(at)) return false
    seen.add(at)
    const { source } = values[at]!
    if (source.kind === 'constant') return source.slot !== undefined
    if (source.kind !== 'kernel') return false
    return source.slots !== undefined || source.inputs.some((input) => !isLoaded(input) && visit(input))
  }
  return visit(id)
}

/** How a value is computed in terms of those that are loaded. */
function written(program: Program, id: ValueId, isLoaded: (id: ValueId) => boolean): Writer {
  const writer = new Writer(
    GPU_JS,
    program,
    isLoaded,
    (at, flat) => `x[${at} + ${flat}]`,
    (slot) => `slots[${slot}]`,
  )
  writer.write(id, 'i0')
  return writer
}

/** Which values have a place of their own, and which of these are read from it where they are used. */
interface Stored {
  readonly stored: ReadonlySet<ValueId>
  readonly loaded: ReadonlySet<ValueId>
}

/** Stores results, and what would be too much to compute wherever it is used. */
function storedOf(program: Program, isForeign: (id: ValueId) => boolean): Stored {
  const { values, results, assigned } = program
  const stored = new Set<ValueId>([...results, ...assigned.map(({ value }) => value)])
  const loaded = new Set<ValueId>()
  const isFirst = neededForResults(program)
  const isLoaded = (id: ValueId): boolean => loaded.has(id)
  const consumers: ValueId[][] = values.map(() => [])
  values.forEach(({ source }, id) => {
    for (const input of inputsOf(source)) consumers[input]!.push(id)
  })
  const workOf = (id: ValueId): number => written(program, id, isLoaded).work
  const users = (id: ValueId): number => new Set(consumers[id]).size
  const isInline = (id: ValueId): boolean => values[id]!.source.kind === 'kernel' && !loaded.has(id)
  const store = (id: ValueId): void => {
    stored.add(id)
    loaded.add(id)
    relieve(id)
  }
  // A product may end with what reads a kernel that comes after it.
  for (const id of values.keys())
    if (isForeign(id)) {
      stored.add(id)
      loaded.add(id)
    }
  values.forEach(({ source, shape }, id) => {
    if (source.kind !== 'kernel') return
    const { kernel, inputs } = source
    if (isForeign(id)) {
      for (const input of inputs) if (values[input]!.source.kind === 'kernel') store(input)
      return
    }
    if (loaded.has(id)) return
    const isTiled = kernel.kind === 'matmul' && sizeOf(shape) >= LEAST_FOR_TILES
    if (LOOPS.has(kernel.kind))
      for (const input of inputs.filter(isInline)) {
        const { branches, length } = written(program, input, isLoaded)
        if (branches > MOST_BRANCHES || (isTiled && length > LONG_IN_TILES)) store(input)
      }
    // A product ends with the elementwise kernels that it alone goes through.
    if (kernel.kind === 'matmul') {
      store(endOf(id))
      return
    }
    const all = consumers[id]!.reduce((sum, c) => sum + readsBy(c), 0)
    const { work, length, lines } = written(program, id, isLoaded)
    // What the change of variables takes from the results' part is not computed twice.
    const isKept = isFirst[id] === 1 && consumers[id]!.some((c) => isFirst[c] === 0)
    const isShort = users(id) === 1 || users(id) * lines.length <= MOST_AGAIN
    const isAgain =
      length <= LONG &&
      (work <= CHEAP ||
        (!isKept && all <= sizeOf(shape)) ||
        (!isKept && isShort && work <= MOST_WORK && all * work <= MOST_ALL))
    if (!isAgain) store(id)
    else if (stored.has(id)) relieve(id)
  })
  for (const id of stored) relieve(id)
  return { stored, loaded }

  /** Where one thread would have too much to do, what its loops run over is stored. */
  function relieve(id: ValueId): void {
    const { source } = values[id]!
    if (source.kind !== 'kernel' || isForeign(id) || workOf(id) <= MOST_WORK) return
    for (const input of source.inputs) {
      if (!isInline(input)) continue
      if (!LOOPS.has(source.kernel.kind)) relieve(input)
      else if (workOf(input) > CHEAP) store(input)
    }
  }

  /** The last of the elementwise kernels that follow a product one by one. */
  function endOf(id: ValueId): ValueId {
    let end = id
    for (;;) {
      const [next, other] = new Set(consumers[end])
      if (next === undefined || other !== undefined || stored.has(end)) return end
      const { source, shape } = values[next]!
      if (source.kind !== 'kernel' || source.kernel.kind !== 'map') return end
      if (sizeOf(shape) !== sizeOf(values[id]!.shape)) return end
      end = next
    }
  }

  /** How many elements of its inputs a consumer reads, if that is stored. */
  function readsBy(consumer: ValueId): number {
    const { source, shape } = values[consumer]!
    if (source.kind !== 'kernel') return 0
    const { kernel, inputs } = source
    const size = sizeOf(shape)
    const [first, second] = inputs.map((input) => values[input]!.shape)
    switch (kernel.kind) {
      case 'matmul':
        return size * first!.at(kernel.transposeA ? -2 : -1)!
      case 'reduce':
      case 'argReduce':
        return sizeOf(first!)
      case 'softmax':
        return size * first![kernel.axis]!
      case 'scatterAdd':
        return size * sizeOf(second!)
      default:
        return size
    }
  }
}

/** Kernels of which one element takes a loop over elements of the first input. */
const LOOPS: ReadonlySet<Kernel['kind']> = new Set(['matmul', 'reduce', 'argReduce', 'softmax', 'scatterAdd'])
