import {
  any,
  type Dim,
  div,
  max,
  maximum,
  mean,
  mul,
  type Shape,
  ShapeError,
  sum,
  type Tensor,
  where,
} from '@adjoint/core'
import { type CallContext, type CallOptions, described, type SymbolicAval } from '../layer.js'
import { alignedMask, maskWeights } from '../masks.js'
import { checkFlag } from '../option-checks.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link globalAveragePooling1D} and {@link globalMaxPooling1D}. */
export interface GlobalPooling1DOptions<
  N extends string = string,
  K extends boolean = boolean,
> extends LayerOptions<N> {
  /** Whether the axis of the steps stays, with one place (default false). */
  readonly keepDims?: K
}

/** What is made of all time steps that count. */
abstract class GlobalPooling1D<N extends string, out K extends boolean> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['keepDims']
  declare readonly keeps?: K
  readonly keepDims: boolean

  constructor(options: GlobalPooling1DOptions<N, K> = {}) {
    super(options)
    this.keepDims = checkFlag(this.label, 'keepDims', options.keepDims ?? false)
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length !== 3)
      throw new ShapeError(`${this.label}: expected [batch, steps, features], got ${described(x!)}`, {
        op: this.name,
        shapes: [x!.shape],
      })
  }

  override computeMask(): undefined {
    return undefined
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), keepDims: this.keepDims }
  }
}

/** The mean over time steps; of those that count, where there is a mask. */
export class GlobalAveragePooling1D<
  N extends string = string,
  out K extends boolean = boolean,
> extends GlobalPooling1D<N, K> {
  override call(x: Tensor, { mask }: CallContext): Tensor {
    const { keepDims } = this
    if (mask === undefined || mask === null) return mean(x, 1, keepDims)
    const counts = maskWeights(mask, x)
    // Where no step counts the sum is 0, and so is the mean.
    return div(sum(mul(x, counts), 1, keepDims), maximum(sum(counts, 1, keepDims), 1))
  }
}

/** The largest of all time steps; of those that count, where there is a mask. */
export class GlobalMaxPooling1D<
  N extends string = string,
  out K extends boolean = boolean,
> extends GlobalPooling1D<N, K> {
  override call(x: Tensor, { mask }: CallContext): Tensor {
    const { keepDims } = this
    if (mask === undefined || mask === null) return max(x, 1, keepDims)
    const counts = alignedMask(mask, x.rank)
    const largest = max(where(counts, x, -Infinity), 1, keepDims)
    return where(any(counts, 1, keepDims), largest, 0)
  }
}

type Pooled<S extends Shape, K extends boolean> = S extends readonly [Dim, infer F extends Dim]
  ? [K] extends [true]
    ? readonly [1, F]
    : readonly [F]
  : Shape

interface PoolingCall<N extends string, K extends boolean> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S, infer D> ? SymbolicTensor<Pooled<S, K>, D, N> : Tensor
}

export interface GlobalAveragePooling1D<N extends string, K extends boolean> extends PoolingCall<N, K> {}
export interface GlobalMaxPooling1D<N extends string, K extends boolean> extends PoolingCall<N, K> {}

/**
 * The mean over the time steps of [batch, steps, features], which is [batch, features]. Masked steps do not count; of a
 * row without others the mean is 0.
 * @throws ShapeError for an input of other axes.
 * @example globalAveragePooling1D()(embedding(100, 8, { maskZero: true })(ids))
 */
export function globalAveragePooling1D<const N extends string = string, const K extends boolean = false>(
  options: GlobalPooling1DOptions<N, K> = {},
): GlobalAveragePooling1D<N, K> {
  return new GlobalAveragePooling1D<N, K>(options)
}

/**
 * The largest value of each feature over the time steps of [batch, steps, features], which is [batch, features]. Masked
 * steps do not count, though they do in Keras; of a row without others it is 0.
 * @throws ShapeError for an input of other axes.
 * @example globalMaxPooling1D()(embedding(100, 8, { maskZero: true })(ids))
 */
export function globalMaxPooling1D<const N extends string = string, const K extends boolean = false>(
  options: GlobalPooling1DOptions<N, K> = {},
): GlobalMaxPooling1D<N, K> {
  return new GlobalMaxPooling1D<N, K>(options)
}
