import { elu, type Tensor } from '@adjoint/core'
import { checkNumber, FINITE } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link eLU}. */
export interface ELUOptions<N extends string = string> extends LayerOptions<N> {
  /** Minus the limit at -∞ (default 1). */
  readonly alpha?: number
}

/** x above 0, alpha · (exp(x) - 1) below (Clevert et al. 2015). */
export class ELU<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['alpha']
  readonly alpha: number

  constructor(options: ELUOptions<N> = {}) {
    super(options)
    this.alpha = checkNumber(this.label, 'alpha', options.alpha ?? 1, FINITE)
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return elu(x, this.alpha)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), alpha: this.alpha }
  }
}

export interface ELU<N extends string> extends SameShape<N> {}

/**
 * Leaves what is above 0 and lets the rest run into -alpha.
 * @example eLU()(x)
 */
export function eLU<const N extends string = string>(options: ELUOptions<N> = {}): ELU<N> {
  return new ELU(options)
}
