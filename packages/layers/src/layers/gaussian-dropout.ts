import { mul, random, type Tensor } from '@adjoint/core'
import { floatOf, type NoiseOptions, RateLayer } from './noise-layer.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** x · normal(1, sqrt(rate / (1 - rate))) in training (Srivastava et al. 2014, section 10). */
export class GaussianDropout<N extends string = string> extends RateLayer<N> {
  protected override drop(x: Tensor): Tensor {
    const std = Math.sqrt(this.rate / (1 - this.rate))
    return mul(x, random.normal(x.shape, { mean: 1, std, dtype: floatOf(x, this.dtype), ...this.nextSeed() }))
  }
}

export interface GaussianDropout<N extends string> extends SameShape<N> {}

/**
 * Multiplies by normally distributed noise of mean 1 while training, with the variance that dropout of that rate has.
 * @example gaussianDropout(0.2)(x)
 */
export function gaussianDropout<const N extends string = string>(
  rate: number | (NoiseOptions<N> & { readonly rate: number }),
  options: NoiseOptions<N> = {},
): GaussianDropout<N> {
  return new GaussianDropout(
    positional<'rate', number, NoiseOptions<N>>('gaussianDropout', 'rate', rate, options),
  )
}
