import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'

/** out[i] = decay[i] out[i - 1] + x[i] along `axis`, without decay out[i - 1] + x[i]. The sum is kept in float64. */
export function cumulate(
  { axis, reverse, initial }: { readonly axis: number; readonly reverse: boolean; readonly initial: number },
  shape: Sizes,
  x: NumericArray,
  decay: NumericArray | undefined,
  out: NumericArray,
): void {
  const count = shape[axis]!
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const step = reverse ? -inner : inner
  for (let o = 0; o < outer; o++)
    for (let j = 0; j < inner; j++) {
      let at = (o * count + (reverse ? count - 1 : 0)) * inner + j
      let sum = initial
      for (let i = 0; i < count; i++, at += step) {
        sum = decay === undefined ? sum + x[at]! : decay[at]! * sum + x[at]!
        out[at] = sum
      }
    }
}
