import { type Dim, reshape as reshapeOp, type Shape, ShapeError, type Tensor } from '@adjoint/core'
import { formatShape, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn } from '../types.js'
import { positional } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link reshape}. */
export interface ReshapeOptions<
  T extends readonly number[],
  N extends string = string,
> extends LayerOptions<N> {
  /** Without the batch; one side may be -1. */
  readonly targetShape: T
}

/** The values of each row under another shape. */
export class Reshape<
  out T extends readonly number[] = readonly number[],
  N extends string = string,
> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['targetShape']
  readonly targetShape: T

  constructor(options: ReshapeOptions<T, N>) {
    super(options)
    this.targetShape = checkTarget(this.label, options.targetShape) as unknown as T
  }

  override get takesStrings(): boolean {
    return true
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    this.#target(x!.shape)
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: [null, ...this.#target(x!.shape)], dtype: x!.dtype }
  }

  /** The target with its -1 worked out, as far as the input's sides are known. */
  #target([, ...sides]: Shape): Dim[] {
    const target: readonly number[] = this.targetShape
    const known = target.reduce((n, side) => (side === -1 ? n : n * side), 1)
    if (sides.includes(null)) return target.map((side) => (side === -1 ? null : side))
    const size = (sides as number[]).reduce((n, side) => n * side, 1)
    const isFree = target.includes(-1)
    if (isFree ? known === 0 || size % known !== 0 : size !== known)
      throw new ShapeError(
        `${this.label}: [${sides.join(',')}] has ${size} values a row, which do not fit into ${formatShape(target)}`,
        { op: this.name, shapes: [sides, target] },
      )
    return target.map((side) => (side === -1 ? size / known : side))
  }

  override call(x: Tensor): Tensor {
    return reshapeOp(x, [x.shape[0]!, ...(this.#target(x.shape) as number[])])
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), targetShape: this.targetShape }
  }
}

function checkTarget(what: string, target: unknown): number[] {
  if (!Array.isArray(target))
    throw new ShapeError(`${what}: expected a target shape such as [3, -1], got ${show(target)}`)
  const sides = target as unknown[]
  sides.forEach((side, axis) => {
    if (typeof side !== 'number' || !Number.isInteger(side) || side < -1)
      throw new ShapeError(
        `${what}: side ${axis} of the target shape is ${show(side)}; it must be a whole number >= 0 or -1`,
      )
  })
  if (sides.indexOf(-1) !== sides.lastIndexOf(-1))
    throw new ShapeError(`${what}: only one side of the target shape ${show(target)} may be -1`)
  return [...(sides as number[])]
}

type Target<T extends readonly number[]> = {
  readonly [K in keyof T]: T[K] extends -1 ? number : T[K]
} extends infer R extends Shape
  ? R
  : Shape

export interface Reshape<T extends readonly number[], N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<Shape, infer D> ? SymbolicTensor<Target<T>, D, N> : Tensor
}

/**
 * Gives each row another shape (the batch is not counted); one side may be -1 and is worked out.
 * @throws ShapeError for a row that has another number of values.
 * @example reshape([4, -1])(x) // [batch, 12] becomes [batch, 4, 3]
 */
export function reshape<const T extends readonly number[], const N extends string = string>(
  targetShape: T | ReshapeOptions<T, N>,
  options: LayerOptions<N> = {},
): Reshape<T, N> {
  return new Reshape<T, N>(
    positional<'targetShape', T, LayerOptions<N>>('reshape', 'targetShape', targetShape, options),
  )
}
