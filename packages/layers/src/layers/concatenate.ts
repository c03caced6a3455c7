import {
  any,
  broadcastTo,
  concat,
  type Dim,
  ones,
  type Shape,
  ShapeError,
  type Tensor,
  ValueError,
} from '@adjoint/core'
import { formatShape, promote, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import { alignedMask } from '../masks.js'
import type { LayerOptions, NumIn } from '../types.js'
import type { AtLeast, ConcatCheck, Concatenated } from './merge-types.js'
import { bothForms, ListLayer } from './merge.js'

/** Options of {@link concatenate}. */
export interface ConcatenateOptions<
  N extends string = string,
  A extends number = number,
> extends LayerOptions<N> {
  /** Along which axis, the batch counted as 0; the last (-1) unless given. */
  readonly axis?: A
}

/** Tensors one after another along an axis. */
export class Concatenate<N extends string = string, out A extends number = number> extends ListLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis']
  readonly axis: A

  constructor(options: ConcatenateOptions<N, A> = {}) {
    super(options)
    const axis: unknown = options.axis === undefined ? -1 : options.axis
    if (typeof axis !== 'number' || !Number.isInteger(axis))
      throw new ValueError(`${this.label}: axis must be a whole number, got ${show(axis)}`)
    if (axis === 0) throw this.#mixesRows(axis)
    this.axis = axis as A
  }

  #mixesRows(axis: number): ValueError {
    return new ValueError(
      `${this.label}: axis ${axis} is the batch; rows cannot be put one after another in a model`,
    )
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    this.#joined(inputs)
  }

  override inferOutput(inputs: readonly SymbolicAval[]): SymbolicAval {
    const dtype = inputs.map((x) => x.dtype).reduce((a, b) => promote(this.label, a, b))
    return { shape: this.#joined(inputs), dtype }
  }

  /** The shape of the result; sides that one input does not know are taken from another. */
  #joined(inputs: readonly SymbolicAval[]): Shape {
    const [first, ...rest] = inputs.map((x) => x.shape)
    const rank = first!.length
    if (this.axis < -rank || this.axis >= rank)
      throw new ValueError(
        `${this.label}: axis ${this.axis} is out of range for ${formatShape(first!)}; allowed are ${1 - rank}..${rank - 1} without 0`,
      )
    const along = this.axis < 0 ? this.axis + rank : this.axis
    if (along === 0) throw this.#mixesRows(this.axis)
    const out: Dim[] = [...first!]
    for (const shape of rest) {
      const differs =
        shape.length === rank
          ? shape.findIndex((side, i) => i !== along && side !== null && out[i] !== null && side !== out[i])
          : -1
      if (shape.length !== rank || differs >= 0)
        throw new ShapeError(
          `${this.label}: cannot put ${formatShape(shape)} behind ${formatShape(first!)}: ` +
            (differs < 0
              ? 'their ranks differ'
              : `they differ on axis ${differs}, and only axis ${along} may differ`),
          { op: this.name, shapes: [first!, shape] },
        )
      shape.forEach((side, i) => {
        if (i === along) out[i] = out[i] === null || side === null ? null : out[i]! + side
        else if (i > 0) out[i] ??= side
      })
    }
    return out
  }

  /** The masks one after another, or where any input counts along the last axis; an input without one counts whole. */
  override computeMask(xs: readonly Tensor[], masks: readonly (Tensor | undefined)[]): Tensor | undefined {
    if (masks.every((mask) => mask === undefined)) return undefined
    const whole = xs.map((x, i) => {
      const mask = masks[i]
      return mask === undefined ? ones(x.shape, 'bool') : broadcastTo(alignedMask(mask, x.rank), x.shape)
    })
    return any(concat(whole, this.axis), -1)
  }

  override call(xs: readonly Tensor[]): Tensor {
    return concat(xs, this.axis)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), axis: this.axis }
  }
}

export interface Concatenate<N extends string, A extends number> {
  <const T extends readonly NumIn[]>(xs: T & ConcatCheck<T, A>, options?: CallOptions): Concatenated<T, A, N>
}

/** Both forms of {@link Concatenate}. */
export interface ConcatenateFactory {
  <const N extends string = string, const A extends number = -1>(
    options?: ConcatenateOptions<N, A>,
  ): Concatenate<N, A>
  <const T extends readonly NumIn[], const N extends string = string, const A extends number = -1>(
    xs: T & ConcatCheck<T, A> & AtLeast<[NumIn], 'concatenate', T>,
    options?: ConcatenateOptions<N, A>,
  ): Concatenated<T, A, N>
}

/**
 * Tensors one after another along the last axis, or another one, as a layer.
 * @throws ValueError for axis 0, the batch; ShapeError for inputs that differ on another axis.
 * @example concatenate()([a, b]); concatenate([a, b], { axis: 1 })
 */
export const concatenate: ConcatenateFactory = bothForms(
  'concatenate',
  (o: ConcatenateOptions) => new Concatenate(o),
) as ConcatenateFactory
