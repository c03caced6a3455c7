import { add, mean, mul, rsqrt, type Shape, square, type Tensor, type Variable } from '@adjoint/core'
import type { LayerOptions } from '../types.js'
import { ScaledLayer } from './scaled.js'
import type { SameShape } from './single-input.js'

/** Options of {@link rmsNormalization}. */
export interface RMSNormalizationOptions<N extends string = string> extends LayerOptions<N> {
  /** The axes that have one mean square, the batch counted as 0 (default -1). */
  readonly axis?: number | readonly number[]
  /** Added to the mean square, so that nothing is divided by 0 (default 1e-6). */
  readonly epsilon?: number
}

/** scale · x / sqrt(mean(x²) + epsilon), with the mean over the axes of each row. */
export class RMSNormalization<N extends string = string> extends ScaledLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis', 'epsilon']
  #factor!: Variable

  constructor(options: RMSNormalizationOptions<N> = {}) {
    super(options, options.axis ?? -1, 1e-6)
  }

  override build(inputShape: Shape): void {
    this.keepSides(inputShape)
    this.#factor = this.addWeight('scale', this.sides, { initializer: 'ones' })
  }

  override call(x: Tensor): Tensor {
    const meanSquare = mean(square(x), this.axesIn(x.shape), true)
    return mul(mul(x, rsqrt(add(meanSquare, this.epsilon))), this.aligned(this.#factor, x))
  }
}

export interface RMSNormalization<N extends string> extends SameShape<N> {}

/**
 * Divides the features of each row by the root of their mean square, then scales each by a learned number (Zhang &
 * Sennrich 2019).
 * @example rmsNormalization()(x)
 */
export function rmsNormalization<const N extends string = string>(
  options: RMSNormalizationOptions<N> = {},
): RMSNormalization<N> {
  return new RMSNormalization(options)
}
