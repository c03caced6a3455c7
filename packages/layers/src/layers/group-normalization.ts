import { add, mean, mul, reshape, rsqrt, square, sub, type Tensor, ValueError } from '@adjoint/core'
import { formatShape, show } from '@adjoint/core/extend'
import type { SymbolicAval } from '../layer.js'
import { SCALED_OPTIONS, ScaledLayer, type ScaledOptions } from './scaled.js'
import type { SameShape } from './single-input.js'

/** Options of {@link groupNormalization}. */
export interface GroupNormalizationOptions<N extends string = string> extends ScaledOptions<N> {
  /** How many groups the channels make; -1 gives each channel its own (default 32). */
  readonly groups?: number
  /** The axis of the channels, the batch counted as 0 (default -1). */
  readonly axis?: number
}

/** gamma · (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance over a group of channels of each row. */
export class GroupNormalization<N extends string = string> extends ScaledLayer<N> {
  static override readonly optionNames: readonly string[] = ['groups', 'axis', ...SCALED_OPTIONS]
  readonly groups: number

  constructor(options: GroupNormalizationOptions<N> = {}) {
    const { groups = 32, axis = -1 } = options
    super(options, axis)
    if (Array.isArray(axis))
      throw new ValueError(`${this.label}: axis must be a whole number, got ${show(axis)}`)
    if (!Number.isInteger(groups) || (groups < 1 && groups !== -1))
      throw new ValueError(`${this.label}: groups must be a whole number >= 1, or -1, got ${show(groups)}`)
    this.groups = groups
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    const { shape } = inputs[0]!
    const channels = shape[this.axesIn(shape)[0]!]!
    if (this.groups !== -1 && channels % this.groups !== 0)
      throw new ValueError(
        `${this.label}: ${channels} channels (axis ${show(this.axes[0])} of ${formatShape(shape)}) cannot be split into ${this.groups} equal groups`,
      )
  }

  override call(x: Tensor): Tensor {
    const { shape } = x
    const axis = this.axesIn(shape)[0]!
    const channels = shape[axis]!
    const groups = this.groups === -1 ? channels : this.groups
    const grouped = reshape(x, [...shape.slice(0, axis), groups, channels / groups, ...shape.slice(axis + 1)])
    // Everything of a group in a row: all axes but the batch and the groups.
    const axes = grouped.shape.flatMap((_, i) => (i === 0 || i === axis ? [] : [i]))
    const deviation = sub(grouped, mean(grouped, axes, true))
    const variance = mean(square(deviation), axes, true)
    return this.scaled(reshape(mul(deviation, rsqrt(add(variance, this.epsilon))), shape))
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), groups: this.groups }
  }
}

export interface GroupNormalization<N extends string> extends SameShape<N> {}

/**
 * Brings each group of channels of each row to mean 0 and variance 1, then scales and shifts each channel by learned
 * numbers (Wu & He 2018).
 * @throws ValueError, when called, unless the channels make equal groups.
 * @example groupNormalization({ groups: 4 })(image)
 */
export function groupNormalization<const N extends string = string>(
  options: GroupNormalizationOptions<N> = {},
): GroupNormalization<N> {
  return new GroupNormalization(options)
}
