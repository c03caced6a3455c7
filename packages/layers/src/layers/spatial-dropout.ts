import { ShapeError, type Tensor } from '@adjoint/core'
import { described, type SymbolicAval } from '../layer.js'
import { Dropout, type DropoutOptions } from './dropout.js'
import { positional } from './options.js'
import type { SameShape } from './single-input.js'

/** Drops whole channels, the last axis: neighbouring steps or pixels would tell what was dropped. */
abstract class SpatialDropout<N extends string> extends Dropout<N> {
  /** What it takes: `[batch, steps, channels]`. */
  protected abstract readonly axes: readonly string[]

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length !== this.axes.length)
      throw new ShapeError(`${this.label}: expected [${this.axes.join(', ')}], got ${described(x!)}`, {
        op: this.name,
        shapes: [x!.shape],
      })
  }

  protected override maskShape({ shape }: Tensor): readonly number[] {
    return shape.map((side, axis) => (axis === 0 || axis === shape.length - 1 ? side : 1))
  }
}

/** Drops whole channels of a sequence. */
export class SpatialDropout1D<N extends string = string> extends SpatialDropout<N> {
  protected override readonly axes: readonly string[] = ['batch', 'steps', 'channels']
}
export interface SpatialDropout1D<N extends string> extends SameShape<N> {}

/** Drops whole channels of pictures. */
export class SpatialDropout2D<N extends string = string> extends SpatialDropout<N> {
  protected override readonly axes: readonly string[] = ['batch', 'rows', 'columns', 'channels']
}
export interface SpatialDropout2D<N extends string> extends SameShape<N> {}

/** Drops whole channels of volumes. */
export class SpatialDropout3D<N extends string = string> extends SpatialDropout<N> {
  protected override readonly axes: readonly string[] = ['batch', 'planes', 'rows', 'columns', 'channels']
}
export interface SpatialDropout3D<N extends string> extends SameShape<N> {}

type Rate<N extends string> = number | (DropoutOptions<N> & { readonly rate: number })

/**
 * Leaves out whole channels of [batch, steps, channels] at random while training, and scales the rest up (Tompson et
 * al. 2015).
 * @param rate which part of the channels, in [0, 1).
 * @example spatialDropout1D(0.2)(embedded)
 */
export function spatialDropout1D<const N extends string = string>(
  rate: Rate<N>,
  options: DropoutOptions<N> = {},
): SpatialDropout1D<N> {
  return new SpatialDropout1D(
    positional<'rate', number, DropoutOptions<N>>('spatialDropout1D', 'rate', rate, options),
  )
}

/** As {@link spatialDropout1D}, for [batch, rows, columns, channels]. */
export function spatialDropout2D<const N extends string = string>(
  rate: Rate<N>,
  options: DropoutOptions<N> = {},
): SpatialDropout2D<N> {
  return new SpatialDropout2D(
    positional<'rate', number, DropoutOptions<N>>('spatialDropout2D', 'rate', rate, options),
  )
}

/** As {@link spatialDropout1D}, for [batch, planes, rows, columns, channels]. */
export function spatialDropout3D<const N extends string = string>(
  rate: Rate<N>,
  options: DropoutOptions<N> = {},
): SpatialDropout3D<N> {
  return new SpatialDropout3D(
    positional<'rate', number, DropoutOptions<N>>('spatialDropout3D', 'rate', rate, options),
  )
}
