import { add, random, type Tensor } from '@adjoint/core'
import type { CallContext } from '../layer.js'
import { checkNumber, NOT_NEGATIVE } from '../option-checks.js'
import { floatOf, NoiseLayer, type NoiseOptions } from './noise-layer.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** x + normal(0, stddev) in training. */
export class GaussianNoise<N extends string = string> extends NoiseLayer<N> {
  static override readonly optionNames: readonly string[] = ['stddev', 'seed']
  readonly stddev: number

  constructor(options: NoiseOptions<N> & { readonly stddev: number }) {
    super(options)
    this.stddev = checkNumber(this.label, 'stddev', options.stddev, NOT_NEGATIVE)
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.stddev === 0) return x
    return add(
      x,
      random.normal(x.shape, { std: this.stddev, dtype: floatOf(x, this.dtype), ...this.nextSeed() }),
    )
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), stddev: this.stddev }
  }
}

export interface GaussianNoise<N extends string> extends SameShape<N> {}

/**
 * Adds normally distributed noise while training; does nothing otherwise.
 * @example gaussianNoise(0.1)(x)
 */
export function gaussianNoise<const N extends string = string>(
  stddev: number | (NoiseOptions<N> & { readonly stddev: number }),
  options: NoiseOptions<N> = {},
): GaussianNoise<N> {
  return new GaussianNoise(
    positional<'stddev', number, NoiseOptions<N>>('gaussianNoise', 'stddev', stddev, options),
  )
}
