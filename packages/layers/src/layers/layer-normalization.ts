import { add, mean, mul, rsqrt, square, sub, type Tensor } from '@adjoint/core'
import { SCALED_OPTIONS, ScaledLayer, type ScaledOptions } from './scaled.js'
import type { SameShape } from './single-input.js'

/** Options of {@link layerNormalization}. */
export interface LayerNormalizationOptions<N extends string = string> extends ScaledOptions<N> {
  /** The axes that have one mean and variance, the batch counted as 0 (default -1). */
  readonly axis?: number | readonly number[]
}

/** gamma · (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance over the axes of each row. */
export class LayerNormalization<N extends string = string> extends ScaledLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis', ...SCALED_OPTIONS]

  constructor(options: LayerNormalizationOptions<N> = {}) {
    super(options, options.axis ?? -1)
  }

  override call(x: Tensor): Tensor {
    const axes = this.axesIn(x.shape)
    const deviation = sub(x, mean(x, axes, true))
    const variance = mean(square(deviation), axes, true)
    return this.scaled(mul(deviation, rsqrt(add(variance, this.epsilon))))
  }
}

export interface LayerNormalization<N extends string> extends SameShape<N> {}

/**
 * Brings the features of each row to mean 0 and variance 1, then scales and shifts each by learned numbers (Ba et al.
 * 2016).
 * @example layerNormalization()(x)
 */
export function layerNormalization<const N extends string = string>(
  options: LayerNormalizationOptions<N> = {},
): LayerNormalization<N> {
  return new LayerNormalization(options)
}
