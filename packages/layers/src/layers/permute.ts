import { type Dim, type Shape, ShapeError, type Tensor, transpose, ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { type CallOptions, described, type SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn } from '../types.js'
import { positional } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** The axes of each row in another order. */
export class Permute<
  out T extends readonly number[] = readonly number[],
  N extends string = string,
> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['dims']
  readonly dims: T

  constructor(options: LayerOptions<N> & { readonly dims: T }) {
    super(options)
    const { dims } = options
    const sorted = Array.isArray(dims) ? [...(dims as readonly number[])].toSorted((a, b) => a - b) : []
    if (sorted.length === 0 || sorted.some((axis, i) => axis !== i + 1))
      throw new ValueError(`${this.label}: dims must hold each of the axes 1, 2, … once, got ${show(dims)}`)
    this.dims = [...dims] as unknown as T
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.shape.length !== this.dims.length + 1)
      throw new ShapeError(
        `${this.label}: dims ${show(this.dims)} need ${this.dims.length} axes beside the batch, got ${described(x!)}`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: [x!.shape[0]!, ...this.dims.map((axis) => x!.shape[axis]!)], dtype: x!.dtype }
  }

  override call(x: Tensor): Tensor {
    return transpose(x, [0, ...this.dims])
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), dims: this.dims }
  }
}

type WithBatchSide<S extends Shape> = readonly [null, ...S]
/** The sides of `S` in the order `T`, which counts from 1. */
type Permuted<S extends Shape, T extends readonly number[]> = number extends S['length']
  ? Shape
  : {
        readonly [K in keyof T]: T[K] extends keyof WithBatchSide<S> ? WithBatchSide<S>[T[K]] : Dim
      } extends infer R extends Shape
    ? R
    : Shape

export interface Permute<T extends readonly number[], N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S, infer D> ? SymbolicTensor<Permuted<S, T>, D, N> : Tensor
}

/**
 * Puts the axes of each row in another order; they count from 1, the batch stays.
 * @example permute([2, 1])(x) // [batch, 3, 4] becomes [batch, 4, 3]
 */
export function permute<const T extends readonly number[], const N extends string = string>(
  dims: T | (LayerOptions<N> & { readonly dims: T }),
  options: LayerOptions<N> = {},
): Permute<T, N> {
  return new Permute<T, N>(positional<'dims', T, LayerOptions<N>>('permute', 'dims', dims, options))
}
