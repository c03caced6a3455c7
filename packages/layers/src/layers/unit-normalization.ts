import { maximum, mul, rsqrt, square, sum, type Tensor, ValueError } from '@adjoint/core'
import { checkAxis, formatShape } from '@adjoint/core/extend'
import type { SymbolicAval } from '../layer.js'
import type { LayerOptions } from '../types.js'
import { checkAxes } from './scaled.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link unitNormalization}. */
export interface UnitNormalizationOptions<N extends string = string> extends LayerOptions<N> {
  /** The axes whose values make a vector, the batch counted as 0 (default -1). */
  readonly axis?: number | readonly number[]
}

/** Vectors shorter than 1e-12 are divided by 1e-12: zeros stay zeros. */
const LEAST_SQUARE = 1e-24

/** x / max(|x|, 1e-12), with the norm over the axes of each row. */
export class UnitNormalization<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis']
  readonly #axes: readonly number[]

  constructor(options: UnitNormalizationOptions<N> = {}) {
    super(options)
    this.#axes = checkAxes(this.label, options.axis ?? -1)
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    for (const axis of this.#axes)
      if (checkAxis(this.label, axis, x!.shape.length) === 0)
        throw new ValueError(
          `${this.label}: axis 0 of ${formatShape(x!.shape)} is the batch; name another one`,
        )
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    const squares = sum(square(x), [...this.#axes], true)
    return mul(x, rsqrt(maximum(squares, LEAST_SQUARE)))
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), axis: this.#axes.length === 1 ? this.#axes[0] : this.#axes }
  }
}

export interface UnitNormalization<N extends string> extends SameShape<N> {}

/**
 * Divides the features of each row by their Euclidean norm.
 * @example unitNormalization()(x) // each row has length 1
 */
export function unitNormalization<const N extends string = string>(
  options: UnitNormalizationOptions<N> = {},
): UnitNormalization<N> {
  return new UnitNormalization(options)
}
