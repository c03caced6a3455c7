import {
  greater,
  mul,
  type Shape,
  ShapeError,
  type Tensor,
  ValueError,
  type Variable,
  where,
} from '@adjoint/core'
import { formatShape, show } from '@adjoint/core/extend'
import { resolveConstraint } from '../constraints.js'
import { resolveInitializer } from '../initializers.js'
import { resolveRegularizer } from '../regularizers.js'
import type { ConstraintLike, InitializerLike, LayerOptions, RegularizerLike } from '../types.js'
import { SingleInputLayer, type SameShape } from './single-input.js'

/** Options of {@link pReLU}. */
export interface PReLUOptions<N extends string = string> extends LayerOptions<N> {
  /** Default 'zeros'. */
  readonly alphaInitializer?: InitializerLike
  readonly alphaRegularizer?: RegularizerLike
  readonly alphaConstraint?: ConstraintLike
  /** Axes, the batch counted as 0, along which one slope is shared. */
  readonly sharedAxes?: readonly number[]
}

/** x above 0, alpha · x below, with a learned alpha for each place (He et al. 2015). */
export class PReLU<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'alphaInitializer',
    'alphaRegularizer',
    'alphaConstraint',
    'sharedAxes',
  ]
  readonly #options: PReLUOptions<N>
  readonly #shared: readonly number[]
  #alpha!: Variable

  constructor(options: PReLUOptions<N> = {}) {
    super(options)
    const sharedAxes: readonly number[] = options.sharedAxes ?? []
    if (
      !Array.isArray(sharedAxes) ||
      sharedAxes.some((a: unknown) => !Number.isInteger(a) || (a as number) < 1)
    )
      throw new ValueError(
        `${this.label}: sharedAxes must be a list of whole numbers >= 1, got ${show(sharedAxes)}`,
      )
    this.#shared = [...(sharedAxes as readonly number[])]
    this.#options = options
    if (options.alphaInitializer !== undefined) resolveInitializer(options.alphaInitializer)
    resolveRegularizer(options.alphaRegularizer)
    resolveConstraint(options.alphaConstraint)
  }

  override build(inputShape: Shape): void {
    const sides = inputShape.slice(1).map((side, i) => {
      if (this.#shared.includes(i + 1)) return 1
      if (side === null)
        throw new ShapeError(
          `${this.label}: axis ${i + 1} of ${formatShape(inputShape)} must be known, or among sharedAxes`,
          { op: this.name, shapes: [inputShape] },
        )
      return side
    })
    const { alphaInitializer = 'zeros', alphaRegularizer, alphaConstraint } = this.#options
    this.#alpha = this.addWeight('alpha', sides, {
      initializer: alphaInitializer,
      regularizer: alphaRegularizer,
      constraint: alphaConstraint,
    })
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return where(greater(x, 0), x, mul(x, this.#alpha))
  }

  override getConfig(): Record<string, unknown> {
    const { alphaInitializer, alphaRegularizer, alphaConstraint, sharedAxes } = this.#options
    return { ...super.getConfig(), alphaInitializer, alphaRegularizer, alphaConstraint, sharedAxes }
  }
}

export interface PReLU<N extends string> extends SameShape<N> {}

/**
 * Leaves what is above 0 and multiplies the rest by learned slopes.
 * @example pReLU({ sharedAxes: [1, 2] })(image)
 */
export function pReLU<const N extends string = string>(options: PReLUOptions<N> = {}): PReLU<N> {
  return new PReLU(options)
}
