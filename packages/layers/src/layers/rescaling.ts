import { add, mul, type Tensor } from '@adjoint/core'
import { checkNumber, FINITE } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { positional } from './options.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link rescaling}. */
export interface RescalingOptions<N extends string = string> extends LayerOptions<N> {
  /** Added after scaling (default 0). */
  readonly offset?: number
}

/** x · scale + offset. */
export class Rescaling<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['scale', 'offset']
  readonly scale: number
  readonly offset: number

  constructor(options: RescalingOptions<N> & { readonly scale: number }) {
    super(options)
    this.scale = checkNumber(this.label, 'scale', options.scale, FINITE)
    this.offset = checkNumber(this.label, 'offset', options.offset ?? 0, FINITE)
  }

  override call(x: Tensor): Tensor {
    return add(mul(x, this.scale), this.offset)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), scale: this.scale, offset: this.offset }
  }
}

export interface Rescaling<N extends string> extends SameShape<N> {}

/**
 * Multiplies by a number and adds another one, as for pixels.
 * @example rescaling(1 / 127.5, { offset: -1 })(image)
 */
export function rescaling<const N extends string = string>(
  scale: number | (RescalingOptions<N> & { readonly scale: number }),
  options: RescalingOptions<N> = {},
): Rescaling<N> {
  return new Rescaling(positional<'scale', number, RescalingOptions<N>>('rescaling', 'scale', scale, options))
}
