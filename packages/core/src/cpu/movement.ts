import type { Stored } from '../backend.js'
import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes, stridesOf } from '../shape.js'

/** out[i, j, …] = x[start + i * strides[0] + j * strides[1] + …] for all positions of `shape`. */
function copyFrom(
  x: NumericArray,
  start: number,
  strides: readonly number[],
  out: NumericArray,
  shape: Sizes,
): void {
  walk(
    shape,
    (at, from, count, step) => {
      for (let i = 0; i < count; i++, from += step) out[at + i] = x[from]!
    },
    start,
    strides,
  )
}

/** out[start + i * strides[0] + …] = x[i, j, …] */
function copyTo(
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
  start: number,
  strides: readonly number[],
): void {
  walk(
    shape,
    (at, to, count, step) => {
      for (let i = 0; i < count; i++, to += step) out[to] = x[at + i]!
    },
    start,
    strides,
  )
}

/** Calls `row` for each innermost row of `shape`: its flat position, its strided position, its length and step. */
function walk(
  shape: Sizes,
  row: (at: number, strided: number, count: number, step: number) => void,
  start: number,
  strides: readonly number[],
): void {
  const rank = shape.length
  const count = rank === 0 ? 1 : shape[rank - 1]!
  const step = rank === 0 ? 0 : strides[rank - 1]!
  const rows = count === 0 ? 0 : sizeOf(shape) / count
  const index = shape.map(() => 0)
  let strided = start
  for (let r = 0; r < rows; r++) {
    row(r * count, strided, count, step)
    for (let axis = rank - 2; axis >= 0; axis--) {
      strided += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      strided -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
}

export function permute(
  perm: readonly number[],
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
  outShape: Sizes,
): void {
  const strides = stridesOf(shape)
  copyFrom(
    x,
    0,
    perm.map((axis) => strides[axis]!),
    out,
    outShape,
  )
}

interface Range {
  readonly begin: readonly number[]
  readonly strides: readonly number[]
}

export function slice(range: Range, x: NumericArray, shape: Sizes, out: NumericArray, outShape: Sizes): void {
  const { start, strides } = within(range, shape)
  copyFrom(x, start, strides, out, outShape)
}

export function place(
  range: Range & { readonly value: number },
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
  outShape: Sizes,
): void {
  if (range.value !== 0) out.fill(range.value)
  const { start, strides } = within(range, outShape)
  copyTo(x, shape, out, start, strides)
}

/** A range of axes as a start and strides in elements of `shape`. */
function within({ begin, strides }: Range, shape: Sizes): { start: number; strides: number[] } {
  const own = stridesOf(shape)
  return {
    start: begin.reduce((sum, b, axis) => sum + b * own[axis]!, 0),
    strides: strides.map((s, axis) => s * own[axis]!),
  }
}

export function concat(axis: number, inputs: readonly Stored[], out: NumericArray, outShape: Sizes): void {
  const inner = sizeOf(outShape.slice(axis + 1))
  const outer = sizeOf(outShape.slice(0, axis))
  const stride = outShape[axis]! * inner
  let start = 0
  for (const input of inputs) {
    const x = input.handle as NumericArray
    const width = input.shape[axis]! * inner
    for (let o = 0; o < outer; o++)
      for (let i = 0, to = start + o * stride, from = o * width; i < width; i++) out[to + i] = x[from + i]!
    start += width
  }
}
