import { broadcastTo, type Dim, expandDims, type Shape, ShapeError, type Tensor } from '@adjoint/core'
import { type CallOptions, described, type SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn } from '../types.js'
import { checkCount, positional } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** A vector as a sequence of n equal ones. */
export class RepeatVector<K extends number = number, N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['n']
  readonly n: K

  constructor(options: LayerOptions<N> & { readonly n: K }) {
    super(options)
    this.n = checkCount(this.label, 'n', options.n) as K
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length !== 2)
      throw new ShapeError(`${this.label}: expected [batch, features], got ${described(x!)}`, {
        op: this.name,
        shapes: [x!.shape],
      })
  }

  override call(x: Tensor): Tensor {
    return broadcastTo(expandDims(x, 1), [x.shape[0]!, this.n, x.shape[1]!])
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), n: this.n }
  }
}

export interface RepeatVector<K extends number, N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S, infer D>
    ? SymbolicTensor<S extends readonly [infer F extends Dim] ? readonly [K, F] : Shape, D, N>
    : Tensor
}

/**
 * Repeats a vector.
 * @example repeatVector(3)(x) // [batch, 4] becomes [batch, 3, 4]
 */
export function repeatVector<const K extends number, const N extends string = string>(
  n: K | (LayerOptions<N> & { readonly n: K }),
  options: LayerOptions<N> = {},
): RepeatVector<K, N> {
  return new RepeatVector<K, N>(positional<'n', K, LayerOptions<N>>('repeatVector', 'n', n, options))
}
