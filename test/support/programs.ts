import { random, type Tensor } from '@adjoint/core'

/** Tensors of the same shapes, with values in [-1, 1). */
export function randomLike(xs: readonly Tensor[], seed: number): Tensor[] {
  return xs.map((x, i) => random.uniform(x.shape, { min: -1, max: 1, seed: seed + i, dtype: 'float64' }))
}

/** The sum of the products of all elements, and the sum of their sizes, to which rounding is relative. */
export function dot(xs: readonly Tensor[], ys: readonly Tensor[]): { value: number; scale: number } {
  let value = 0
  let scale = 0
  xs.forEach((x, i) => {
    const y = ys[i]!.dataSync()
    x.dataSync().forEach((a, at) => {
      value += a * y[at]!
      scale += Math.abs(a * y[at]!)
    })
  })
  return { value, scale }
}
