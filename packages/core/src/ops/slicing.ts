import type { DType } from '../dtype.js'
import { GraphError, ShapeError, show, ValueError } from '../errors.js'
import {
  call,
  composite,
  defineOp,
  type Like,
  type Operand,
  type Result,
  type Row,
  sidesOf,
  type Staged,
} from '../op.js'
import { checkOptions } from '../options.js'
import {
  checkAxes,
  checkAxis,
  formatShape,
  holdsFor,
  isList,
  MAX_RANK,
  sameShape,
  type Shape,
  type Sizes,
} from '../shape.js'
import { readSlice, type SlicedSizes, type SliceWhere } from '../slice-text.js'
import type { Tensor } from '../tensor.js'
import { reshape, squeeze } from './movement.js'

/** Positions begin + i * strides, i < size, axis by axis. */
interface Range {
  readonly begin: readonly number[]
  readonly size: readonly number[]
  readonly strides: readonly number[]
}

/** A row that reads a range of its argument; its gradient is put back where it was read, into zeros. */
function reading<P>(
  name: string,
  rangeOf: (shape: Sizes, attrs: P) => Range,
  shapeInGraph?: Row<'x', P>['shapeInGraph'],
): Row<'x', P> {
  return defineOp({
    name,
    args: ['x'],
    ...(shapeInGraph && { shapeInGraph }),
    infer: ([x], attrs) => ({ shape: rangeOf(x!.shape, attrs).size, dtype: x!.dtype }),
    kernel(attrs, [x]) {
      const { begin, strides } = rangeOf(x!.shape, attrs)
      return { kind: 'slice', begin, strides }
    },
    vjp: {
      x({ g, x, attrs }) {
        const { begin, strides } = rangeOf(x.shape, attrs)
        return call(placeRow, [g], { begin, strides, shape: x.shape, value: 0 })
      },
    },
  })
}

interface Place {
  readonly begin: readonly number[]
  readonly strides: readonly number[]
  readonly shape: Sizes
  readonly value: number
}

/** A row that writes its argument into a range of something larger; its gradient is read from there. */
function writing<P>(name: string, placeOf: (shape: Sizes, attrs: P) => Place): Row<'x', P> {
  return defineOp({
    name,
    args: ['x'],
    infer([x], attrs) {
      return { shape: placeOf(x!.shape, attrs).shape, dtype: x!.dtype }
    },
    kernel(attrs, [x]) {
      const { begin, strides, value } = placeOf(x!.shape, attrs)
      return { kind: 'place', begin, strides, value }
    },
    vjp: {
      x({ g, x, attrs }) {
        const { begin, strides } = placeOf(x.shape, attrs)
        return call(rangeRow, [g], { begin, strides, size: x.shape })
      },
    },
  })
}

const rangeRow: Row<'x', Range> = reading('range', (_, range: Range) => range)

const placeRow: Row<'x', Place> = writing('place', (_, to: Place) => to)

const sliceRow = reading('slice', sliceOf)

interface SliceAttrs {
  readonly begin: readonly number[]
  readonly size: readonly number[]
}

function sliceOf(shape: Sizes, { begin, size }: SliceAttrs): Range {
  const fail = (why: string): ValueError =>
    new ValueError(`slice: of ${formatShape(shape)}: ${why}`, { op: 'slice' })
  for (const [name, list] of [
    ['begin', begin],
    ['size', size],
  ] as const)
    if (!isList(list) || list.length !== shape.length)
      throw fail(`${name} ${show(list)} must have ${shape.length} numbers, one for each axis`)
  const sizes = shape.map((side, axis) => {
    const from = begin[axis]!
    const count = size[axis]! === -1 ? side - from : size[axis]!
    if (!Number.isInteger(from) || from < 0 || from > side)
      throw fail(`begin ${show(from)} on axis ${axis} is out of range 0..${side}`)
    if (!Number.isInteger(count) || count < 0 || from + count > side)
      throw fail(`begin ${from} and size ${show(size[axis])} on axis ${axis} leave the range 0..${side}`)
    return count
  })
  return { begin, size: sizes, strides: shape.map(() => 1) }
}

/**
 * The part of x that `text` tells as NumPy does: positions drop their axis, `start:stop:step` keeps it, negative ones
 * count from the end, `...` stands for all axes between, `None` for a new axis. `x.slice('0, 1:-1, ::2')` is
 * `x[0, 1:-1, ::2]`.
 * @throws ValueError for a position out of range or a text that is no slice; ShapeError for more parts than axes.
 * @example slice(tensor([[1, 2, 3], [4, 5, 6]]), '1, ::-1') // [6. 5. 4.]
 */
export function slice<D extends DType, S extends Sizes, const T extends string | readonly number[]>(
  x: Tensor<D, S>,
  where: SliceWhere<S, T>,
  size?: readonly number[],
): Tensor<D, SlicedSizes<S, T>>
export function slice<X extends Staged>(x: X, text: string): Result<X>
/** The block of x that starts at `begin` and has `size`; -1, or no size, means to the end. */
export function slice<X extends Operand>(x: X, begin: readonly number[], size?: readonly number[]): Result<X>
export function slice(x: Operand, where: string | readonly number[], size?: readonly number[]): Tensor {
  if (typeof where !== 'string') {
    const toTheEnd = isList(where) ? new Array<number>(Math.min(where.length, MAX_RANK)).fill(-1) : []
    return call(sliceRow, [x], { begin: where, size: size === undefined ? toTheEnd : size })
  }
  if (size !== undefined)
    throw new ValueError(`slice: a text such as ${show(where)} says all; got a size ${show(size)} as well`, {
      op: 'slice',
    })
  return call(getItemRow, [x], { text: where })
}

const getItemRow: Row<'x', { readonly text: string }> = composite({
  name: 'getItem',
  args: ['x'],
  compose([x], { text }) {
    const { range, axes } = readSlice(text, x!.shape)
    const taken = call(stridedSliceRow, [x!], range)
    const shape = axes.map((axis) => (axis === null ? 1 : taken.shape[axis]!))
    return sameShape(shape, taken.shape) ? taken : reshape(taken, shape)
  },
  shapeInGraph(shape, { text }) {
    const { range, axes } = readSlice(text, shape)
    const sides = axes[0] === 0 ? sidesAfter(shape, range) : null
    if (sides === null)
      throw new GraphError(
        `slice: ${show(text)} would mix the rows of the batch: on a symbolic tensor axis 0 is the batch, ` +
          `here ${formatShape(shape)}; begin with : or ...`,
        { op: 'slice', shapes: [shape] },
      )
    return axes.map((axis) => (axis === null ? 1 : sides[axis]!))
  },
})

/** The sides that a strided slice leaves, null where they are not known; null for the whole if it cuts the batch. */
function sidesAfter(shape: Shape, options: StridedSliceOptions): Shape | null {
  const { begin, end, strides } = options
  if ((begin?.[0] ?? null) !== null || (end?.[0] ?? null) !== null || (strides?.[0] ?? 1) !== 1) return null
  const { size } = stridedSliceOf(
    shape.map((side) => side ?? 0),
    options,
  )
  return shape.map((side, axis) => (side === null ? null : size[axis]!))
}

/** Where a strided slice begins and ends, and its steps, axis by axis; null means left out. */
export interface StridedSliceOptions {
  readonly begin?: readonly (number | null)[]
  readonly end?: readonly (number | null)[]
  readonly strides?: readonly (number | null)[]
}

const stridedSliceRow: Row<'x', StridedSliceOptions> = reading('stridedSlice', stridedSliceOf, sidesAfter)

function stridedSliceOf(shape: Sizes, options: StridedSliceOptions): Range {
  const part = (name: keyof StridedSliceOptions, axis: number): number | null => {
    const list: unknown = options[name] ?? []
    const value: unknown = isList(list) ? (list[axis] ?? null) : undefined
    if (!isList(list) || list.length > shape.length || (value !== null && !Number.isInteger(value)))
      throw new ValueError(
        `stridedSlice: ${name} ${show(list)} must be whole numbers or null, one for each axis of ${formatShape(shape)}`,
        { op: 'stridedSlice' },
      )
    return value as number | null
  }
  const range = { begin: [] as number[], size: [] as number[], strides: [] as number[] }
  shape.forEach((side, axis) => {
    const stride = part('strides', axis) ?? 1
    if (stride === 0)
      throw new ValueError(`stridedSlice: the stride on axis ${axis} must not be 0`, { op: 'stridedSlice' })
    // As in Python: positions count from the end where negative, and are clamped to the axis.
    const [lowest, highest] = stride > 0 ? [0, side] : [-1, side - 1]
    const clamped = (at: number | null, otherwise: number): number =>
      at === null ? otherwise : Math.min(Math.max(at < 0 ? at + side : at, lowest), highest)
    const from = clamped(part('begin', axis), stride > 0 ? lowest : highest)
    const to = clamped(part('end', axis), stride > 0 ? highest : lowest)
    range.begin.push(from)
    range.size.push(Math.max(0, Math.ceil((to - from) / stride)))
    range.strides.push(stride)
  })
  return range
}

/**
 * `x[begin:end:stride, …]` as in Python: negative positions count from the end, null or left out means from the
 * start, to the end, in steps of 1. Negative strides go backwards.
 * @throws ValueError for a stride of 0.
 */
export function stridedSlice<X extends Operand>(x: X, options: StridedSliceOptions): Result<X> {
  return call(
    stridedSliceRow,
    [x],
    checkOptions('stridedSlice', options, ['begin', 'end', 'strides']),
  ) as Result<X>
}

const flipRow = reading('flip', (shape, { axes }: { readonly axes: number | readonly number[] | null }) => {
  const flipped = checkAxes('flip', axes, shape.length)
  return {
    begin: shape.map((side, axis) => (flipped.includes(axis) ? Math.max(side - 1, 0) : 0)),
    size: shape,
    strides: shape.map((_, axis) => (flipped.includes(axis) ? -1 : 1)),
  }
})

/** x read backwards along `axes`; null or left out means along all. */
export function flip<X extends Operand>(x: X, axes: number | readonly number[] | null = null): Like<X> {
  return call(flipRow, [x], { axes }) as Like<X>
}

interface Part {
  readonly axis: number
  readonly begin: number
  readonly size: number
}

const partRow = reading('part', (shape, { axis, begin, size }: Part) => {
  const along = checkAxis('part', axis, shape.length)
  if (begin + size > shape[along]!)
    throw new ShapeError(
      `part: ${begin} to ${begin + size} leaves axis ${along} of ${formatShape(shape)}, of size ${shape[along]}`,
      { op: 'part', shapes: [shape] },
    )
  return {
    begin: shape.map((_, a) => (a === along ? begin : 0)),
    size: shape.with(along, size),
    strides: shape.map(() => 1),
  }
})

/** `size` slices of x along `axis`, from `begin` on. @internal */
export function part(x: Operand, axis: number, begin: number, size: number): Tensor {
  return call(partRow, [x], { axis, begin, size })
}

/**
 * Pieces of x one after another along `axis`: of the given sizes, or so many of equal size.
 * @throws ShapeError unless the sizes add up to the side of x.
 */
export function split<X extends Operand>(
  x: X,
  sizes: number | readonly number[],
  axis: number = 0,
): Result<X>[] {
  const sides = sidesOf(x)
  const along = checkAxis('split', axis, sides.length)
  const side = sides[along]!
  const list = typeof sizes === 'number' ? equalSizes(sizes, side) : sizes
  if (!isList(list) || !holdsFor(list, (size) => Number.isInteger(size) && Number(size) >= 0))
    throw new ValueError(`split: sizes ${show(sizes)} must be whole numbers >= 0`, { op: 'split' })
  const total = list.reduce((sum: number, size: number) => sum + size, 0)
  if (side !== null && total !== side)
    throw new ShapeError(
      `split: sizes ${show(list)} add up to ${total}, but axis ${along} of ${formatShape(sides)} has ${side}`,
      { op: 'split', shapes: [sides] },
    )
  let begin = 0
  return list.map((size: number) => part(x, along, (begin += size) - size, size) as Result<X>)
}

function equalSizes(count: number, side: number | null): number[] {
  if (
    !Number.isInteger(count) ||
    count < 1 ||
    side === null ||
    count > Math.max(side, 1) ||
    side % count !== 0
  )
    throw new ShapeError(`split: a side of ${side ?? 'unknown size'} cannot be split into ${show(count)}`, {
      op: 'split',
    })
  return new Array<number>(count).fill(side / count)
}

/** The slices of x along `axis`, without that axis. */
export function unstack<X extends Operand>(x: X, axis: number = 0): Result<X>[] {
  const sides = sidesOf(x)
  const along = checkAxis('unstack', axis, sides.length)
  const count = sides[along]
  if (count === null || count === undefined)
    throw new ShapeError(`unstack: the size of axis ${along} of ${formatShape(sides)} is not known`, {
      op: 'unstack',
    })
  return Array.from({ length: count }, (_, i) => squeeze(part(x, along, i, 1), along) as Result<X>)
}

/** How many elements to add before and after, axis by axis. */
export type Paddings = readonly (readonly [before: number, after: number])[]

const padRow = writing(
  'pad',
  (shape, { paddings, value }: { readonly paddings: Paddings; readonly value: number }) => ({
    begin: checkPaddings(shape, paddings).map(([before]) => before),
    strides: shape.map(() => 1),
    shape: shape.map((side, axis) => side + paddings[axis]![0] + paddings[axis]![1]),
    value,
  }),
)

function checkPaddings(shape: Sizes, paddings: Paddings): Paddings {
  if (!isList(paddings) || paddings.length !== shape.length)
    throw new ValueError(
      `pad: paddings ${show(paddings)} must have a pair [before, after] for each axis of ${formatShape(shape)}`,
      { op: 'pad' },
    )
  paddings.forEach((pair: unknown, axis) => {
    if (!isList(pair) || pair.length !== 2 || !holdsFor(pair, (n) => Number.isInteger(n) && Number(n) >= 0))
      throw new ValueError(
        `pad: the padding ${show(pair)} of axis ${axis} must be two whole numbers >= 0; the axis has ${shape[axis]}`,
        { op: 'pad' },
      )
  })
  return paddings
}

/** x with `value` around it. @internal */
export function padWith(x: Operand, paddings: Paddings, value: number): Tensor {
  return call(padRow, [x], { paddings, value })
}
