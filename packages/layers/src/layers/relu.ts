import { greater, minimum, mul, sub, type Tensor, where } from '@adjoint/core'
import { checkNumber, NOT_NEGATIVE } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link reLU}. */
export interface ReLUOptions<N extends string = string> extends LayerOptions<N> {
  /** What larger values become; null (default): they stay. */
  readonly maxValue?: number | null
  /** The factor of what is not above the threshold, counted from there (default 0). */
  readonly negativeSlope?: number
  /** Default 0. */
  readonly threshold?: number
}

/** min(x, maxValue) above the threshold, negativeSlope · (x - threshold) elsewhere. */
export class ReLU<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['maxValue', 'negativeSlope', 'threshold']
  readonly maxValue: number | null
  readonly negativeSlope: number
  readonly threshold: number

  constructor(options: ReLUOptions<N> = {}) {
    super(options)
    const { maxValue = null, negativeSlope = 0, threshold = 0 } = options
    this.maxValue = maxValue === null ? null : checkNumber(this.label, 'maxValue', maxValue, NOT_NEGATIVE)
    this.negativeSlope = checkNumber(this.label, 'negativeSlope', negativeSlope, NOT_NEGATIVE)
    this.threshold = checkNumber(this.label, 'threshold', threshold, NOT_NEGATIVE)
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    const { maxValue, negativeSlope, threshold } = this
    const above = maxValue === null ? x : minimum(x, maxValue)
    return where(
      greater(x, threshold),
      above,
      negativeSlope === 0 ? 0 : mul(sub(x, threshold), negativeSlope),
    )
  }

  override getConfig(): Record<string, unknown> {
    const { maxValue, negativeSlope, threshold } = this
    return { ...super.getConfig(), maxValue, negativeSlope, threshold }
  }
}

export interface ReLU<N extends string> extends SameShape<N> {}

/**
 * Cuts at a threshold, and above at a largest value where one is given.
 * @example reLU({ maxValue: 6 })(x)
 */
export function reLU<const N extends string = string>(options: ReLUOptions<N> = {}): ReLU<N> {
  return new ReLU(options)
}
