import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'

/** out[o, k, i] = x[o, indices[k], i], with x as [outer, axis, inner]. */
export function gather(
  axis: number,
  x: NumericArray,
  shape: Sizes,
  indices: NumericArray,
  out: NumericArray,
): void {
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const width = shape[axis]! * inner
  let to = 0
  for (let o = 0; o < outer; o++)
    for (let k = 0; k < indices.length; k++) {
      const from = o * width + indices[k]! * inner
      for (let i = 0; i < inner; i++) out[to++] = x[from + i]!
    }
}

/** out = x; out[o, indices[k], i] += updates[o, k, i]. Sums are kept in float64 and rounded once. */
export function scatterAdd(
  axis: number,
  x: NumericArray,
  shape: Sizes,
  indices: NumericArray,
  updates: NumericArray,
  out: NumericArray,
): void {
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const width = shape[axis]! * inner
  const sums = out instanceof Float32Array ? Float64Array.from(x) : out
  if (sums === out) out.set(x)
  let from = 0
  for (let o = 0; o < outer; o++)
    for (let k = 0; k < indices.length; k++) {
      const to = o * width + indices[k]! * inner
      for (let i = 0; i < inner; i++) sums[to + i]! += updates[from++]!
    }
  if (sums !== out) out.set(sums)
}
