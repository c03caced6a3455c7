import { add, mul, random, type Tensor, where } from '@adjoint/core'
import { type NoiseOptions, RateLayer } from './noise-layer.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** The limit of SELU at -∞: -alpha · scale. */
const LEAST = -1.6732632423543772 * 1.0507009873554805

/**
 * Sets what it drops to what SELU gives for -∞, then scales and shifts, so that mean 0 and variance 1 stay
 * (Klambauer et al. 2017).
 */
export class AlphaDropout<N extends string = string> extends RateLayer<N> {
  protected override drop(x: Tensor): Tensor {
    const keep = random.bernoulli(1 - this.rate, x.shape, this.nextSeed())
    const a = 1 / Math.sqrt((1 - this.rate) * (1 + this.rate * LEAST ** 2))
    const b = -a * LEAST * this.rate
    return add(mul(where(keep as unknown as Tensor, x, LEAST), a), b)
  }
}

export interface AlphaDropout<N extends string> extends SameShape<N> {}

/**
 * Dropout for networks of SELU activations: mean and variance of its input stay.
 * @example alphaDropout(0.1)(x)
 */
export function alphaDropout<const N extends string = string>(
  rate: number | (NoiseOptions<N> & { readonly rate: number }),
  options: NoiseOptions<N> = {},
): AlphaDropout<N> {
  return new AlphaDropout(positional<'rate', number, NoiseOptions<N>>('alphaDropout', 'rate', rate, options))
}
