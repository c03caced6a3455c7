import { reshape, ShapeError, type Tensor } from '@adjoint/core'
import { formatShape } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { FlattenShape, LayerOptions, NumIn } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** All axes but the batch as one; a batch of scalars becomes [batch, 1]. */
export class Flatten<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = []

  override get takesStrings(): boolean {
    return true
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const unknown = x!.shape.indexOf(null, 1)
    if (unknown > 0)
      throw new ShapeError(
        `${this.label}: axis ${unknown} of ${formatShape(x!.shape)} is not known; give the input a fixed shape`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  override call(x: Tensor): Tensor {
    const [rows, ...sides] = x.shape
    return reshape(x, [rows!, sides.reduce((n, side) => n * side, 1)])
  }
}

export interface Flatten<N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S, infer D> ? SymbolicTensor<FlattenShape<S>, D, N> : Tensor
}

/**
 * Lays all axes but the batch out as one.
 * @example flatten()(x) // [batch, 4, 5] becomes [batch, 20]
 */
export function flatten<const N extends string = string>(options: LayerOptions<N> = {}): Flatten<N> {
  return new Flatten(options)
}
