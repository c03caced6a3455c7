import type { ReduceOp } from '../backend.js'
import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'
import type { Numbers } from './functions.js'
import { permute } from './movement.js'
import { exp, log } from '../math/engine.js'

/** How many terms are summed one after another before partial sums are summed in pairs. */
const RUN = 64

interface Reduction {
  readonly op: ReduceOp
  readonly axes: readonly number[]
  readonly correction?: number
}

/**
 * Reduces `x` over `axes` (sorted). Sums keep float64 partial sums of at most 64 terms, added in pairs
 * (Higham 1993), so the error grows with the logarithm of the number of terms.
 */
export function reduce(
  { op, axes, correction = 0 }: Reduction,
  x: NumericArray,
  shape: Sizes,
  out: NumericArray,
): void {
  const { values, outer, count, inner } = asMatrix(axes, x, shape)
  const partial = op === 'prod' && out instanceof Int32Array ? productOfInts : PARTIALS[op]
  const divisor = op === 'mean' || op === 'variance' ? Math.max(count - correction, 0) : 1
  for (let o = 0; o < outer; o++) {
    const base = o * count * inner
    if (partial === partialSum && inner >= 4) {
      // Row by row, so that memory is read in order.
      const sums = sumRows(values, base, count, inner)
      for (let j = 0; j < inner; j++) out[o * inner + j] = sums[j]! / divisor
    } else
      for (let j = 0; j < inner; j++) out[o * inner + j] = partial(values, base + j, count, inner) / divisor
  }
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
  variance: (x, at, count, step) => {
    const mean = partialSum(x, at, count, step) / count
    return partialSquares(x, at, count, step, mean, 1)
  },
  norm: euclideanNorm,
  logSumExp: (x, at, count, step) => {
    const max = maximum(x, at, count, step)
    if (!Number.isFinite(max)) return max
    let sum = 0
    for (let i = 0; i < count; i++, at += step) sum += exp(x[at]! - max)
    return max + log(sum)
  },
  prod: (x, at, count, step) => {
    let product = 1
    for (let i = 0; i < count; i++, at += step) product *= x[at]!
    return product
  },
  max: maximum,
  // Math.max and Math.min propagate NaN.
  min: (x, at, count, step) => {
    let best = Infinity
    for (let i = 0; i < count; i++, at += step) best = Math.min(best, x[at]!)
    return best
  },
  any: (x, at, count, step) => {
    for (let i = 0; i < count; i++, at += step) if (x[at] !== 0) return 1
    return 0
  },
  all: (x, at, count, step) => {
    for (let i = 0; i < count; i++, at += step) if (x[at] === 0) return 0
    return 1
  },
}

function maximum(x: Numbers, at: number, count: number, step: number): number {
  let best = -Infinity
  for (let i = 0; i < count; i++, at += step) best = Math.max(best, x[at]!)
  return best
}

/** Of 32-bit integers, wrapped as NumPy wraps it. */
function productOfInts(x: Numbers, at: number, count: number, step: number): number {
  let product = 1
  for (let i = 0; i < count; i++, at += step) product = Math.imul(product, x[at]!)
  return product
}

function partialSum(x: Numbers, at: number, count: number, step: number): number {
  if (count > RUN) {
    const half = Math.ceil(count / 2 / RUN) * RUN
    return partialSum(x, at, half, step) + partialSum(x, at + half * step, count - half, step)
  }
  // From -0, so that a sum of -0 alone keeps its sign; the sum of nothing is 0.
  let sum = count === 0 ? 0 : -0
  for (let i = 0; i < count; i++, at += step) sum += x[at]!
  return sum
}

/** The sum of ((x - center) scale)² */
function partialSquares(
  x: Numbers,
  at: number,
  count: number,
  step: number,
  center: number,
  scale: number,
): number {
  if (count > RUN) {
    const half = Math.ceil(count / 2 / RUN) * RUN
    const rest = partialSquares(x, at + half * step, count - half, step, center, scale)
    return partialSquares(x, at, half, step, center, scale) + rest
  }
  let sum = 0
  for (let i = 0; i < count; i++, at += step) {
    const term = (x[at]! - center) * scale
    sum += term * term
  }
  return sum
}

/** The root of the sum of squares; where squares over- or underflow, of values scaled by a power of two. */
function euclideanNorm(x: Numbers, at: number, count: number, step: number): number {
  const squares = partialSquares(x, at, count, step, 0, 1)
  if ((squares > 1e-280 && squares < Infinity) || Number.isNaN(squares)) return Math.sqrt(squares)
  let largest = 0
  for (let i = 0; i < count; i++) largest = Math.max(largest, Math.abs(x[at + i * step]!))
  if (largest === 0 || largest === Infinity) return largest
  const scale = largest > 1 ? 2 ** -600 : 2 ** 600
  return Math.sqrt(partialSquares(x, at, count, step, 0, scale)) / scale
}

/** The columns of [count, inner], summed. */
function sumRows(x: NumericArray, base: number, count: number, inner: number): Float64Array {
  if (count > RUN) {
    const half = Math.ceil(count / 2 / RUN) * RUN
    const sums = sumRows(x, base, half, inner)
    const rest = sumRows(x, base + half * inner, count - half, inner)
    for (let j = 0; j < inner; j++) sums[j]! += rest[j]!
    return sums
  }
  const sums = new Float64Array(inner)
  if (count > 0) sums.fill(-0)
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
      for (let i = 1; i < count && !Number.isNaN(extreme); i++) {
        const value = x[base + i * inner]!
        if (Number.isNaN(value) || (op === 'max' ? value > extreme : value < extreme)) {
          best = i
          extreme = value
        }
      }
      out[o * inner + j] = best
    }
}
