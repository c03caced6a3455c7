import { type Tensor, ValueError } from '@adjoint/core'
import { type L1L2Options, regularizers } from '../regularizers.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link activityRegularization}. */
export interface ActivityRegularizationOptions<N extends string = string>
  extends Omit<LayerOptions<N>, 'activityRegularizer'>, L1L2Options {}

/** Gives what it takes; it adds l1 · Σ|x| + l2 · Σx², for each row, to the loss. */
export class ActivityRegularization<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['l1', 'l2']
  readonly l1: number
  readonly l2: number

  constructor({ l1 = 0, l2 = 0, ...options }: ActivityRegularizationOptions<N> = {}) {
    if ((options as LayerOptions).activityRegularizer !== undefined)
      throw new ValueError(
        'activityRegularization: takes l1 and l2; another regularizer is an option of any layer',
      )
    super({ ...options, activityRegularizer: regularizers.l1L2({ l1, l2 }) })
    this.l1 = l1
    this.l2 = l2
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return x
  }

  override getConfig(): Record<string, unknown> {
    const { activityRegularizer: _, ...config } = super.getConfig()
    return { ...config, l1: this.l1, l2: this.l2 }
  }
}

export interface ActivityRegularization<N extends string> extends SameShape<N> {}

/**
 * Adds to the loss what is large in between.
 * @example activityRegularization({ l1: 0.01 })(hidden)
 */
export function activityRegularization<const N extends string = string>(
  options: ActivityRegularizationOptions<N> = {},
): ActivityRegularization<N> {
  return new ActivityRegularization(options)
}
