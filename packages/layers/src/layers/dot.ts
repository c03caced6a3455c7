import {
  div,
  matmul,
  maximum,
  reshape,
  type Shape,
  ShapeError,
  sqrt,
  square,
  sum,
  type Tensor,
  transpose,
  ValueError,
} from '@adjoint/core'
import { formatShape, promote, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { IsSym, LayerOptions, NumIn } from '../types.js'
import { bothForms, ListLayer } from './merge.js'

/** Options of {@link dot}. */
export interface DotOptions<N extends string = string> extends LayerOptions<N> {
  /** The axis of each input to sum over, the batch counted as 0; one number for the same in both. */
  readonly axes: number | readonly [number, number]
  /** Whether both are first divided by their length along it, which gives their cosine. */
  readonly normalize?: boolean
}

/** The sum of products along one axis of each of two inputs, row by row. */
export class Dot<N extends string = string> extends ListLayer<N> {
  static override readonly optionNames: readonly string[] = ['axes', 'normalize']
  readonly #axes: readonly [number, number]
  readonly #normalize: boolean

  constructor(options: DotOptions<N>) {
    super(options)
    const axes: unknown = options.axes
    const pair: unknown[] = Array.isArray(axes) ? axes : [axes, axes]
    if (pair.length !== 2 || pair.some((a) => !Number.isInteger(a)))
      throw new ValueError(`${this.label}: axes must be a whole number or two of them, got ${show(axes)}`)
    if (pair.includes(0))
      throw new ValueError(`${this.label}: axes ${show(axes)} name the batch (0); it is not summed over`)
    this.#axes = pair as unknown as readonly [number, number]
    this.#normalize = options.normalize ?? false
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    if (inputs.length !== 2)
      throw new ShapeError(`${this.label}: takes exactly two tensors, got ${inputs.length}`, {
        op: this.name,
      })
    const [x, y] = inputs.map(({ shape }) => shape) as [Shape, Shape]
    const [a, b] = this.#axesOf(x, y)
    if (x[a] !== y[b] && x[a] !== null && y[b] !== null)
      throw new ShapeError(
        `${this.label}: axis ${a} of ${formatShape(x)} has ${x[a]} places, axis ${b} of ${formatShape(y)} has ${y[b]}`,
        { op: this.name, shapes: [x, y] },
      )
  }

  override inferOutput([x, y]: readonly SymbolicAval[]): SymbolicAval {
    const [a, b] = this.#axesOf(x!.shape, y!.shape)
    const rest = [...x!.shape.slice(1).toSpliced(a - 1, 1), ...y!.shape.slice(1).toSpliced(b - 1, 1)]
    return {
      shape: [null, ...(rest.length === 0 ? [1] : rest)],
      dtype: promote(this.label, x!.dtype, y!.dtype),
    }
  }

  #axesOf(x: Shape, y: Shape): [number, number] {
    const [a, b] = [x, y].map((shape, i) => {
      const axis = this.#axes[i as 0 | 1]
      const fromFront = axis < 0 ? axis + shape.length : axis
      if (fromFront < 1 || fromFront >= shape.length)
        throw new ValueError(
          `${this.label}: axis ${axis} is out of range for ${formatShape(shape)}; allowed are ${1 - shape.length}..${shape.length - 1} without 0`,
        )
      return fromFront
    })
    return [a!, b!]
  }

  override call(xs: readonly Tensor[]): Tensor {
    const [x, y] = xs as readonly [Tensor, Tensor]
    const [a, b] = this.#axesOf(x.shape, y.shape)
    const left = lastAxis(this.#normalize ? unit(x, a) : x, a)
    const right = lastAxis(this.#normalize ? unit(y, b) : y, b)
    const rest = [...left.shape.slice(1, -1), ...right.shape.slice(1, -1)]
    const product = matmul(rows(left), rows(right), false, true)
    return reshape(product, [x.shape[0]!, ...(rest.length === 0 ? [1] : rest)])
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), axes: this.#axes, normalize: this.#normalize }
  }
}

/** `x` with `axis` moved to the end. */
function lastAxis(x: Tensor, axis: number): Tensor {
  if (axis === x.rank - 1) return x
  const others = x.shape.map((_, i) => i).filter((i) => i !== axis)
  return transpose(x, [...others, axis])
}

/** [batch, …, k] as [batch, rows, k]. */
function rows(x: Tensor): Tensor {
  const [batch, ...sides] = x.shape
  const k = sides.pop()!
  return reshape(x, [batch!, sides.reduce((n, side) => n * side, 1), k])
}

/** `x` divided by its length along `axis`; a length under 1e-7 counts as that. */
function unit(x: Tensor, axis: number): Tensor {
  return div(x, sqrt(maximum(sum(square(x), axis, true), 1e-14)))
}

export interface Dot<N extends string> {
  <const T extends readonly [NumIn, NumIn] | readonly NumIn[]>(
    xs: T,
    options?: CallOptions,
  ): IsSym<T> extends true ? SymbolicTensor<Shape, T[0]['dtype'], N> : Tensor
}

/** Both forms of {@link Dot}. */
export interface DotFactory {
  <const N extends string = string>(options: DotOptions<N>): Dot<N>
  <const T extends readonly [NumIn, NumIn], const N extends string = string>(
    xs: T,
    options: DotOptions<N>,
  ): IsSym<T> extends true ? SymbolicTensor<Shape, T[0]['dtype'], N> : Tensor
}

/**
 * The dot product of two tensors along an axis of each, as a layer.
 * @example dot([a, b], { axes: 1, normalize: true }) // the cosine of each row's vectors, [batch, 1]
 */
export const dot: DotFactory = bothForms('dot', (o: DotOptions) => new Dot(o)) as DotFactory
