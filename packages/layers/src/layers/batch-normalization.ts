import {
  add,
  cast,
  div,
  mean,
  mul,
  reshape,
  rsqrt,
  type Shape,
  square,
  sub,
  sum,
  type Tensor,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { abstractBackend, currentBackend, show, withoutRecording } from '@adjoint/core/extend'
import { resolveInitializer } from '../initializers.js'
import type { CallContext } from '../layer.js'
import { maskWeights } from '../masks.js'
import { checkNumber, SHARE } from '../option-checks.js'
import type { InitializerLike } from '../types.js'
import { SCALED_OPTIONS, ScaledLayer, type ScaledOptions } from './scaled.js'
import type { SameShape } from './single-input.js'

/** Options of {@link batchNormalization}. */
export interface BatchNormalizationOptions<N extends string = string> extends ScaledOptions<N> {
  /** The axis of the features, the batch counted as 0 (default -1). */
  readonly axis?: number
  /** How much of the moving mean and variance a step of training keeps (default 0.99). */
  readonly momentum?: number
  readonly movingMeanInitializer?: InitializerLike
  readonly movingVarianceInitializer?: InitializerLike
}

/**
 * gamma · (x - mean) / sqrt(variance + epsilon) + beta for each feature: of the batch in training, which the moving
 * mean and variance follow; by these otherwise, and always while the layer is frozen.
 */
export class BatchNormalization<N extends string = string> extends ScaledLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'axis',
    'momentum',
    'movingMeanInitializer',
    'movingVarianceInitializer',
    ...SCALED_OPTIONS,
  ]
  readonly momentum: number
  readonly #initializers: { readonly mean: InitializerLike; readonly variance: InitializerLike }
  #mean!: Variable
  #variance!: Variable

  constructor(options: BatchNormalizationOptions<N> = {}) {
    const { axis = -1, momentum = 0.99 } = options
    super(options, axis)
    if (Array.isArray(axis))
      throw new ValueError(`${this.label}: axis must be a whole number, got ${show(axis)}`)
    this.momentum = checkNumber(this.label, 'momentum', momentum, SHARE)
    const { movingMeanInitializer = 'zeros', movingVarianceInitializer = 'ones' } = options
    resolveInitializer(movingMeanInitializer)
    resolveInitializer(movingVarianceInitializer)
    this.#initializers = { mean: movingMeanInitializer, variance: movingVarianceInitializer }
  }

  override build(inputShape: Shape): void {
    super.build(inputShape)
    const { mean: center, variance } = this.#initializers
    this.#mean = this.addWeight('moving_mean', this.sides, { initializer: center, trainable: false })
    this.#variance = this.addWeight('moving_variance', this.sides, {
      initializer: variance,
      trainable: false,
    })
  }

  override call(x: Tensor, { training, mask }: CallContext): Tensor {
    // Of no rows there is no mean.
    return this.scaled(
      training && this.trainable && x.size > 0 ? this.#byBatch(x, mask ?? undefined) : this.#byHistory(x),
    )
  }

  #byBatch(x: Tensor, mask: Tensor | undefined): Tensor {
    const kept = this.axesIn(x.shape)
    const axes = x.shape.flatMap((_, axis) => (kept.includes(axis) ? [] : [axis]))
    const weights = mask && maskWeights(mask, x)
    const meanOf = (values: Tensor): Tensor =>
      weights === undefined
        ? mean(values, axes, true)
        : div(sum(mul(values, weights), axes, true), add(sum(weights, axes, true), 1e-7))
    const center = meanOf(x)
    const deviation = sub(x, center)
    const variance = meanOf(square(deviation))
    withoutRecording(() => {
      this.#follow(this.#mean, center)
      this.#follow(this.#variance, variance)
    })
    return mul(deviation, rsqrt(add(variance, this.epsilon)))
  }

  #follow(average: Variable, value: Tensor): void {
    if (currentBackend() === abstractBackend) return
    const now = cast(reshape(value.detach(), average.shape), average.dtype)
    average.assign(add(mul(average, this.momentum), mul(now, 1 - this.momentum)))
  }

  #byHistory(x: Tensor): Tensor {
    const deviation = sub(x, this.aligned(this.#mean, x))
    return mul(deviation, this.aligned(rsqrt(add(this.#variance, this.epsilon)), x))
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), momentum: this.momentum }
  }
}

export interface BatchNormalization<N extends string> extends SameShape<N> {}

/**
 * Brings each feature to mean 0 and variance 1 over the batch, then scales and shifts it by learned numbers (Ioffe &
 * Szegedy 2015). A frozen layer uses and keeps its moving statistics, also in training.
 * @example batchNormalization()(x)
 */
export function batchNormalization<const N extends string = string>(
  options: BatchNormalizationOptions<N> = {},
): BatchNormalization<N> {
  return new BatchNormalization(options)
}
