import type { ReduceOp } from '../backend.js'
import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'
import type { Numbers } from './functions.js'
import { permute } from './movement.js'

/** How many terms are summed one after another before partial sums are summed in pairs. */
const RUN = 64

/**
 * Reduces `x` over `axes` (sorted). Sums keep float64 partial sums of at most 64 terms, added in pairs
 * (Higham 1993), so the error grows with the logarithm of the number of terms.
 */
export function reduce(
  op: ReduceOp,
  axes: readonly number[],
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
): void {
  const { values, outer, count, inner } = asMatrix(axes, x, shape)
  const partial = PARTIALS[op]
  for (let o = 0; o < outer; o++) {
    const base = o * count * inner
    if (inner === 1) out[o] = finish(op, partial(values, base, count, 1), count)
    else reduceColumns(op, values, base, count, inner, out, o * inner)
  }
}

function finish(op: ReduceOp, value: number, count: number): number {
  return op === 'mean' ? value / count : value
}

/** The values as [outer, count, inner], to be reduced over the middle axis. */
function asMatrix(
  axes: readonly number[],
  x: NumericArray,
  shape: Sizes,
): { values: NumericArray; outer: number; count: number; inner: number } {
  const first = axes[0] ?? 0
  const last = axes[axes.length - 1] ?? -1
  const between = shape.some(
    (side, axis) => side !== 1 && axis > first && axis < last && !axes.includes(axis),
  )
  if (!between) {
    const kept = shape.map((side, axis) => (axes.includes(axis) ? 1 : side))
    return {
      values: x,
      outer: sizeOf(kept.slice(0, first)),
      count: axes.reduce((n, axis) => n * shape[axis]!, 1),
      inner: sizeOf(kept.slice(first)),
    }
  }
  const keep = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const perm = [...keep, ...axes]
  const moved = perm.map((axis) => shape[axis]!)
  const values = x.slice() as NumericArray
  permute(perm, x, shape, values, moved)
  const outer = sizeOf(moved.slice(0, keep.length))
  return { values, outer, count: sizeOf(moved.slice(keep.length)), inner: 1 }
}

type Partial = (x: Numbers, at: number, count: number, step: number) => number

const PARTIALS: Readonly<Record<ReduceOp, Partial>> = {
  sum: partialSum,
  mean: partialSum,
  prod: (x, at, count, step) => {
    let product = 1
    for (let i = 0; i < count; i++, at += step) product *= x[at]!
    return product
  },
  // Math.max and Math.min propagate NaN.
  max: (x, at, count, step) => {
    let best = -Infinity
    for (let i = 0; i < count; i++, at += step) best = Math.max(best, x[at]!)
    return best
  },
  min: (x, at, count, step) => {
    let best = Infinity
    for (let i = 0; i < count; i++, at += step) best = Math.min(best, x[at]!)
    return best
  },
}

function partialSum(x: Numbers, at: number, count: number, step: number): number {
  if (count > RUN) {
    const half = Math.ceil(count / 2 / RUN) * RUN
    return partialSum(x, at, half, step) + partialSum(x, at + half * step, count - half, step)
  }
  let sum = 0
  for (let i = 0; i < count; i++, at += step) sum += x[at]!
  return sum
}

/** Reduces the columns of [count, inner]; for long sums row by row, so that memory is read in order. */
function reduceColumns(
  op: ReduceOp,
  x: NumericArray,
  base: number,
  count: number,
  inner: number,
  out: NumericArray,
  to: number,
): void {
  if ((op === 'sum' || op === 'mean') && inner >= 4) {
    const sums = sumRows(x, base, count, inner)
    for (let j = 0; j < inner; j++) out[to + j] = finish(op, sums[j]!, count)
    return
  }
  for (let j = 0; j < inner; j++) out[to + j] = finish(op, PARTIALS[op](x, base + j, count, inner), count)
}

function sumRows(x: NumericArray, base: number, count: number, inner: number): Float64Array {
  if (count > RUN) {
    const half = Math.ceil(count / 2 / RUN) * RUN
    const sums = sumRows(x, base, half, inner)
    const rest = sumRows(x, base + half * inner, count - half, inner)
    for (let j = 0; j < inner; j++) sums[j]! += rest[j]!
    return sums
  }
  const sums = new Float64Array(inner)
  for (let i = 0; i < count; i++) {
    const row = base + i * inner
    for (let j = 0; j < inner; j++) sums[j]! += x[row + j]!
  }
  return sums
}

/** Position of the first extreme along `axis`; the first NaN wins, as in NumPy. */
export function argReduce(
  op: 'max' | 'min',
  axis: number,
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
): void {
  const count = shape[axis]!
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  for (let o = 0; o < outer; o++)
    for (let j = 0; j < inner; j++) {
      const base = o * count * inner + j
      let best = 0
      let extreme = x[base]!
      for (let i = 1; i < count && extreme === extreme; i++) {
        const value = x[base + i * inner]!
        if (value !== value || (op === 'max' ? value > extreme : value < extreme)) {
          best = i
          extreme = value
        }
      }
      out[o * inner + j] = best
    }
}
