import { mul, random, type Tensor, where } from '@adjoint/core'
import { type NoiseOptions, RateLayer } from './noise-layer.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** Options of {@link dropout}. */
export interface DropoutOptions<N extends string = string> extends NoiseOptions<N> {}

/** Zeros at random places while training; the rest is divided by 1 - rate, so that the mean stays. */
export class Dropout<N extends string = string> extends RateLayer<N> {
  protected override drop(x: Tensor): Tensor {
    const keep = random.bernoulli(1 - this.rate, this.maskShape(x), this.nextSeed())
    // What is dropped is left out, not multiplied by 0: infinities go too, and no gradient comes from it.
    return where(keep as unknown as Tensor, mul(x, 1 / (1 - this.rate)), 0)
  }

  /** Along sides of 1 all is kept or dropped together. */
  protected maskShape(x: Tensor): readonly number[] {
    return x.shape
  }
}

export interface Dropout<N extends string> extends SameShape<N> {}

/**
 * Leaves out a part of its input at random while training, and scales the rest up; does nothing otherwise.
 * @param rate which part, in [0, 1).
 * @example dropout(0.5)(x)
 */
export function dropout<const N extends string = string>(
  rate: number | (DropoutOptions<N> & { readonly rate: number }),
  options: DropoutOptions<N> = {},
): Dropout<N> {
  return new Dropout(positional<'rate', number, DropoutOptions<N>>('dropout', 'rate', rate, options))
}
