import { show, ShapeError, ValueError } from './errors.js'
import { type Dim, formatShape, MAX_RANK, type Shape, type Sizes } from './shape.js'

/** What `x.slice('1:-1, ::2, ..., None')` asks of a tensor of one shape. */
export interface SlicePlan {
  /** What is taken of each axis: one position of those that are dropped. */
  readonly range: {
    readonly begin: readonly (number | null)[]
    readonly end: readonly (number | null)[]
    readonly strides: readonly (number | null)[]
  }
  /** The axes that stay, in order; null for a new one. */
  readonly axes: readonly (number | null)[]
}

const RANGE = /^(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?)?$/
const HOW = "write positions, ranges, ... or None, for example '0, 1:-1, ::2, ..., None'"
const POSITION = /^-?\d+$/

/**
 * Reads a slice as NumPy writes it: positions drop their axis, `start:stop:step` keeps it, `...` stands for the axes
 * between, `None` (or `newaxis`) for a new axis of size 1. Sides of `shape` that are null are not known yet.
 * @throws ValueError, ShapeError naming the part of the text, the axis and its size.
 */
export function readSlice(text: string, shape: Shape): SlicePlan {
  const fail = (why: string): ValueError => new ValueError(`slice: ${why}`, { op: 'slice', shapes: [shape] })
  const parts = text.split(',').map((part) => part.trim())
  // Python's `x[1,]`.
  if (parts.length > 1 && parts.at(-1) === '') parts.pop()
  if (parts.length > 2 * MAX_RANK + 1) throw fail(`${show(text)} has ${parts.length} parts, too many`)
  if (parts.includes('')) throw fail(`${show(text)} has an empty part; ${HOW}`)
  const used = parts.filter((part) => part !== '...' && !isNew(part)).length
  if (used > shape.length)
    throw new ShapeError(
      `slice: ${show(text)} is for ${used} axes or more, but ${formatShape(shape)} has ${shape.length}; leave some out`,
      { op: 'slice', shapes: [shape] },
    )
  const axes: Bound[] = []
  const range = { begin: [] as Bound[], end: [] as Bound[], strides: [] as Bound[] }
  const take = (begin: Bound, end: Bound, stride: Bound): void => {
    range.begin.push(begin)
    range.end.push(end)
    range.strides.push(stride)
  }
  const keep = (begin: Bound, end: Bound, stride: Bound): void => {
    axes.push(range.begin.length)
    take(begin, end, stride)
  }
  const keepWhole = (count: number): void => {
    for (let i = 0; i < count; i++) keep(null, null, null)
  }
  let isOpen = true
  for (const part of parts) {
    const axis = range.begin.length
    const where = (): string => `${show(part)} in ${show(text)}, for axis ${axis} of ${formatShape(shape)}`
    const bounds = RANGE.exec(part)
    if (isNew(part)) axes.push(null)
    else if (part === '...') {
      if (!isOpen) throw fail(`${show(text)} has ... twice; which axes each stands for would be unclear`)
      isOpen = false
      keepWhole(shape.length - used)
    } else if (bounds !== null) {
      const [begin, end, stride] = [1, 2, 3].map((i) => (bounds[i] === undefined ? null : Number(bounds[i])))
      if (stride === 0)
        throw fail(`${where()}, has a step of 0; leave the step out, or go backwards with ::-1`)
      keep(begin!, end!, stride!)
    } else if (POSITION.test(part)) {
      const at = Number(part)
      const side = shape[axis]!
      if (side !== null && (at < -side || at >= side))
        throw fail(
          `${where()}, is out of range: ` +
            (side === 0
              ? 'the axis is empty; a range such as : stays empty'
              : `its size is ${side}, allowed are ${-side}..${side - 1}; a range such as ${at}: is cut to fit`),
        )
      take(at, at === -1 ? null : at + 1, null)
    } else throw fail(`${where()}, is no index; ${HOW}`)
  }
  keepWhole(shape.length - range.begin.length)
  if (axes.length > MAX_RANK)
    throw fail(`${show(text)} makes rank ${axes.length}, over the limit of ${MAX_RANK}`)
  return { range, axes }
}

type Bound = number | null

function isNew(part: string): boolean {
  return part === 'None' || part === 'newaxis'
}

// ---- the same for types, of texts that are known to the compiler

type Blank = ' ' | '\t' | '\n'
type Trim<T extends string> = T extends `${Blank}${infer R}`
  ? Trim<R>
  : T extends `${infer R}${Blank}`
    ? Trim<R>
    : T
type Parts<T extends string> = T extends `${infer A},${infer R}`
  ? Trim<R> extends ''
    ? [Trim<A>]
    : [Trim<A>, ...Parts<R>]
  : [Trim<T>]

type New = 'None' | 'newaxis'
type Whole = ':' | '::' | '::1' | '::-1'

/** What a part leaves of its axis. Sides are copied, never computed: those that are cut are just numbers. */
type Left<D extends Dim, P extends string> = P extends Whole
  ? [D]
  : P extends `${string}:${string}`
    ? [D extends null ? null : number]
    : []

/** The shape that the parts leave of `S`; never where they take more axes than there are. */
type Front<S extends Shape, P extends readonly string[]> = P extends readonly [
  infer A extends string,
  ...infer R extends readonly string[],
]
  ? A extends '...'
    ? Back<S, R>
    : A extends New
      ? Join<[1], Front<S, R>>
      : S extends readonly [infer D extends Dim, ...infer T extends Shape]
        ? Join<Left<D, A>, Front<T, R>>
        : never
  : S

/** As {@link Front} behind the dots: from the end. */
type Back<S extends Shape, P extends readonly string[]> = P extends readonly [
  ...infer R extends readonly string[],
  infer A extends string,
]
  ? A extends New
    ? Join<Back<S, R>, [1]>
    : S extends readonly [...infer T extends Shape, infer D extends Dim]
      ? Join<Back<T, R>, Left<D, A>>
      : never
  : S

type Join<A extends Shape, B extends Shape> = [A] extends [never]
  ? never
  : [B] extends [never]
    ? never
    : readonly [...A, ...B]

/** Whether a text is not known to the compiler, wholly or in part. */
type IsOpen<T extends string> = {} extends Record<T, 1> ? true : false

/** Whether there is nothing to compute. */
type Unknown<S extends Shape, T extends string> =
  IsOpen<T> extends true ? true : number extends S['length'] ? true : false

/** The shape of `x.slice(text)` for x of shape `S`, where both are literal; else any shape. */
export type SlicedShape<S extends Shape, T extends string | readonly number[]> = T extends string
  ? Unknown<S, T> extends true
    ? Shape
    : Front<S, Parts<T>>
  : Shape

/** As {@link SlicedShape}, of a tensor in hand. */
export type SlicedSizes<S extends Sizes, T extends string | readonly number[]> =
  SlicedShape<S, T> extends infer R extends Sizes ? R : Sizes

/** What may say where to slice a tensor of shape `S`: a text, or what is wrong with it, or the begin of a block. */
export type SliceWhere<S extends Shape, T extends string | readonly number[]> = T extends string
  ? Unknown<S, T> extends true
    ? T
    : [Front<S, Parts<T>>] extends [never]
      ? `slice: this takes more axes than the ${S['length']} there are`
      : T
  : T
