import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'
import { exp, log as logOf, log1p } from '../math/engine.js'

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
  /** exp of the row at hand, unrounded. */
  const powers = new Float64Array(log ? 0 : count)
  for (let o = 0; o < outer; o++)
    for (let j = 0; j < inner; j++) {
      const base = o * count * inner + j
      let max = -Infinity
      for (let i = 0, at = base; i < count; i++, at += inner) max = Math.max(max, x[at]!)
      if (log) {
        // The largest are counted and the rest is summed apart, so that 1 and very little keeps the digits of that.
        let largest = 0
        let rest = 0
        for (let i = 0, at = base; i < count; i++, at += inner) {
          const power = exp(x[at]! - max)
          if (x[at] === max) largest += power
          else rest += power
        }
        const logSum = logOf(largest) + log1p(rest / largest)
        for (let i = 0, at = base; i < count; i++, at += inner) out[at] = x[at]! - max - logSum
      } else {
        let sum = 0
        for (let i = 0, at = base; i < count; i++, at += inner) sum += powers[i] = exp(x[at]! - max)
        for (let i = 0, at = base; i < count; i++, at += inner) out[at] = powers[i]! / sum
      }
    }
}
