import { type Shape, ShapeError, Tensor, ValueError } from '@adjoint/core'
import { formatShape, show, typeName } from '@adjoint/core/extend'
import {
  type CallContext,
  type CallOptions,
  checkInputShape,
  LayerBase,
  type SymbolicAval,
} from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { IsSym, LayerOptions, NumIn } from '../types.js'
import { positional } from './options.js'

/** What {@link lambda} makes a layer of: a function of one tensor, or of a list of them. */
export type LambdaFunction =
  ((x: Tensor, context: CallContext) => Tensor) | ((xs: readonly Tensor[], context: CallContext) => Tensor)

/** Options of {@link lambda}. */
export interface LambdaOptions<N extends string = string, S extends Shape = Shape> extends LayerOptions<N> {
  /** Without the batch: then the function does not run before there is data. Inferred otherwise, by running it. */
  readonly outputShape?: S
}

/** A function of tensors as a layer. It has no weights but those of layers that it calls. */
export class Lambda<N extends string = string, S extends Shape = Shape> extends LayerBase<N> {
  static override readonly optionNames: readonly string[] = ['fn', 'outputShape']
  readonly #fn: LambdaFunction
  readonly #outputShape: S | undefined

  constructor(options: LambdaOptions<N, S> & { readonly fn: LambdaFunction }) {
    super(options)
    const { fn, outputShape } = options
    if (typeof fn !== 'function' || fn instanceof LayerBase)
      throw new ValueError(`${this.label}: expected a function of a tensor, got ${show(fn)}`)
    this.#fn = fn
    this.#outputShape =
      outputShape === undefined
        ? undefined
        : (checkInputShape(this.label, outputShape) as readonly unknown[] as S)
  }

  override get runsUserCode(): boolean {
    return true
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval | undefined {
    if (this.#outputShape === undefined) return undefined
    return { shape: [null, ...this.#outputShape], dtype: x!.dtype === 'float64' ? 'float64' : this.dtype }
  }

  override call(x: unknown, context: CallContext): Tensor {
    const out: unknown = (this.#fn as (x: unknown, context: CallContext) => unknown)(x, context)
    if (!(out instanceof Tensor))
      throw new ValueError(`${this.label}: its function must return a tensor, got ${typeName(out)}`)
    const tensor = out as Tensor
    const sides = this.#outputShape
    if (
      sides !== undefined &&
      (tensor.rank !== sides.length + 1 ||
        sides.some((side, i) => side !== null && side !== tensor.shape[i + 1]))
    )
      throw new ShapeError(
        `${this.label}: its function gave ${formatShape(tensor.shape)}, but outputShape says ${formatShape([null, ...sides])}`,
        { op: this.name, shapes: [[null, ...sides], tensor.shape] },
      )
    return tensor
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      fn: this.#fn,
      ...(this.#outputShape !== undefined && { outputShape: this.#outputShape }),
    }
  }
}

export interface Lambda<N extends string, S extends Shape> {
  <X extends NumIn | readonly NumIn[]>(
    x: X,
    options?: CallOptions,
  ): IsSym<X> extends true ? SymbolicTensor<S, 'float32', N> : Tensor
}

/**
 * Makes a layer of a function. Its shape is found by running it on tensors that have no values; a function that reads
 * values needs `outputShape`.
 * @example lambda((x) => x.square().sum(-1, true))(x)
 */
export function lambda<const N extends string = string, const S extends Shape = Shape>(
  fn: (x: Tensor, context: CallContext) => Tensor,
  options?: LambdaOptions<N, S>,
): Lambda<N, S>
export function lambda<const N extends string = string, const S extends Shape = Shape>(
  fn: (xs: readonly Tensor[], context: CallContext) => Tensor,
  options?: LambdaOptions<N, S>,
): Lambda<N, S>
export function lambda<N extends string, S extends Shape>(
  fn: LambdaFunction,
  options: LambdaOptions<N, S> = {},
): Lambda<N, S> {
  return new Lambda<N, S>(positional<'fn', LambdaFunction, LambdaOptions<N, S>>('lambda', 'fn', fn, options))
}
