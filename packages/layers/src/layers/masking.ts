import { any, notEqual, ShapeError, type Tensor, where } from '@adjoint/core'
import { described, type SymbolicAval } from '../layer.js'
import { alignedMask } from '../masks.js'
import { checkNumber, FINITE } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link masking}. */
export interface MaskingOptions<N extends string = string> extends LayerOptions<N> {
  /** A time step all of whose features are this is left out (default 0). */
  readonly maskValue?: number
}

/** Masks the time steps at which all features are one value, and makes these 0. */
export class Masking<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['maskValue']
  readonly maskValue: number

  constructor(options: MaskingOptions<N> = {}) {
    super(options)
    this.maskValue = checkNumber(this.label, 'maskValue', options.maskValue ?? 0, FINITE)
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length < 3)
      throw new ShapeError(`${this.label}: expected [batch, steps, …, features], got ${described(x!)}`, {
        op: this.name,
        shapes: [x!.shape],
      })
  }

  override computeMask([x]: readonly Tensor[]): Tensor {
    return any(notEqual(x!, this.maskValue), -1)
  }

  override call(x: Tensor): Tensor {
    return where(alignedMask(this.computeMask([x]), x.rank), x, 0)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), maskValue: this.maskValue }
  }
}

export interface Masking<N extends string> extends SameShape<N> {}

/**
 * Leaves out the time steps of [batch, steps, …, features] at which all features are `maskValue`: layers behind it do not
 * see them, as far as they know masks, and neither do losses and metrics of time steps.
 * @throws ShapeError for an input without steps.
 * @example masking()(x)
 */
export function masking<const N extends string = string>(options: MaskingOptions<N> = {}): Masking<N> {
  return new Masking(options)
}
