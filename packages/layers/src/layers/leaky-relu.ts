import { leakyRelu, type Tensor } from '@adjoint/core'
import { checkNumber, NOT_NEGATIVE } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link leakyReLU}. */
export interface LeakyReLUOptions<N extends string = string> extends LayerOptions<N> {
  /** The factor of what is below 0 (default 0.3). */
  readonly negativeSlope?: number
}

/** x above 0, negativeSlope · x below. */
export class LeakyReLU<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['negativeSlope']
  readonly negativeSlope: number

  constructor(options: LeakyReLUOptions<N> = {}) {
    super(options)
    this.negativeSlope = checkNumber(this.label, 'negativeSlope', options.negativeSlope ?? 0.3, NOT_NEGATIVE)
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), negativeSlope: this.negativeSlope }
  }
}

export interface LeakyReLU<N extends string> extends SameShape<N> {}

/**
 * Leaves what is above 0 and shrinks the rest.
 * @example leakyReLU()(x)
 */
export function leakyReLU<const N extends string = string>(options: LeakyReLUOptions<N> = {}): LeakyReLU<N> {
  return new LeakyReLU(options)
}
