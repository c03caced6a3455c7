import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'

/**
 * exp(x - max) / sum(exp(x - max)) along `axis`, or its logarithm x - max - log(sum(exp(x - max))).
 * The maximum is subtracted first, so exp cannot overflow. Where a whole row is -Infinity the result is NaN.
 */
export function softmax(
  { axis, log }: { readonly axis: number; readonly log: boolean },
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
      const end = base + count * inner
      let max = -Infinity
      for (let i = base; i < end; i += inner) max = Math.max(max, x[i]!)
      let sum = 0
      for (let i = base; i < end; i += inner) sum += Math.exp(x[i]! - max)
      if (log) {
        const logSum = Math.log(sum)
        for (let i = base; i < end; i += inner) out[i] = x[i]! - max - logSum
      } else for (let i = base; i < end; i += inner) out[i] = Math.exp(x[i]! - max) / sum
    }
}
