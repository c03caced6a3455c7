import { ShapeError, type Tensor } from '@adjoint/core'
import { described, type SymbolicAval } from '../layer.js'
import { Dropout, type DropoutOptions } from './dropout.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** Drops whole channels of a sequence [batch, steps, channels]: neighbouring steps would tell what was dropped. */
export class SpatialDropout1D<N extends string = string> extends Dropout<N> {
  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length !== 3)
      throw new ShapeError(`${this.label}: expected [batch, steps, channels], got ${described(x!)}`, {
        op: this.name,
        shapes: [x!.shape],
      })
  }

  protected override maskShape(x: Tensor): readonly number[] {
    return [x.shape[0]!, 1, x.shape[2]!]
  }
}

export interface SpatialDropout1D<N extends string> extends SameShape<N> {}

/**
 * Leaves out whole channels at random while training, and scales the rest up (Tompson et al. 2015).
 * @param rate which part of the channels, in [0, 1).
 * @example spatialDropout1D(0.2)(embedded)
 */
export function spatialDropout1D<const N extends string = string>(
  rate: number | (DropoutOptions<N> & { readonly rate: number }),
  options: DropoutOptions<N> = {},
): SpatialDropout1D<N> {
  return new SpatialDropout1D(
    positional<'rate', number, DropoutOptions<N>>('spatialDropout1D', 'rate', rate, options),
  )
}
