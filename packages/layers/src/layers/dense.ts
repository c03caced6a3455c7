import { add, matmul, type Shape, ShapeError, type Tensor, type Variable } from '@adjoint/core'
import { activationConfig, resolveActivation } from '../activations.js'
import { resolveConstraint } from '../constraints.js'
import { resolveInitializer } from '../initializers.js'
import { described, type SymbolicAval } from '../layer.js'
import { resolveRegularizer } from '../regularizers.js'
import type { SymbolicTensor } from '../symbolic.js'
import type {
  ActivationLike,
  ConstraintLike,
  Initializer,
  InitializerLike,
  LayerOptions,
  NumIn,
  RegularizerLike,
  ReplaceLast,
} from '../types.js'
import { checkCount, positional } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link dense}. */
export interface DenseOptions<N extends string = string> extends LayerOptions<N> {
  readonly activation?: ActivationLike
  readonly useBias?: boolean
  readonly kernelInitializer?: InitializerLike
  readonly biasInitializer?: InitializerLike
  readonly kernelRegularizer?: RegularizerLike
  readonly biasRegularizer?: RegularizerLike
  readonly kernelConstraint?: ConstraintLike
  readonly biasConstraint?: ConstraintLike
}

interface WeightOptions {
  readonly initializer: Initializer
  readonly regularizer: ((w: Tensor) => Tensor) | undefined
  readonly constraint: ((w: Tensor) => Tensor) | undefined
}

/** activation(x · kernel + bias), on the last axis. kernel is [inputs, units], bias [units]. */
export class Dense<U extends number = number, N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'units',
    'activation',
    'useBias',
    'kernelInitializer',
    'biasInitializer',
    'kernelRegularizer',
    'biasRegularizer',
    'kernelConstraint',
    'biasConstraint',
  ]
  readonly units: U
  readonly #activation: { readonly name: string; readonly fn: (x: Tensor) => Tensor }
  readonly #options: DenseOptions<N>
  readonly #weights: { readonly kernel: WeightOptions; readonly bias: WeightOptions }
  #kernel!: Variable
  #bias: Variable | undefined

  constructor(options: DenseOptions<N> & { readonly units: U }) {
    super(options)
    this.units = checkCount(this.label, 'units', options.units) as U
    this.#activation = resolveActivation(options.activation ?? 'linear')
    const { kernelInitializer = 'glorot_uniform', biasInitializer = 'zeros' } = options
    this.#weights = {
      kernel: {
        initializer: resolveInitializer(kernelInitializer),
        regularizer: resolveRegularizer(options.kernelRegularizer),
        constraint: resolveConstraint(options.kernelConstraint),
      },
      bias: {
        initializer: resolveInitializer(biasInitializer),
        regularizer: resolveRegularizer(options.biasRegularizer),
        constraint: resolveConstraint(options.biasConstraint),
      },
    }
    this.#options = options
  }

  override get supportsMasking(): boolean {
    return true
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const last = x!.shape.at(-1)
    if (x!.shape.length < 2 || last === null)
      throw new ShapeError(
        `${this.label}: expected [batch, …, inputs] with known inputs, got ${described(x!)}`,
        { op: this.name, shapes: [x!.shape] },
      )
    if (this.built && last !== this.#kernel.shape[0])
      throw new ShapeError(
        `${this.label}: expected last axis ${this.#kernel.shape[0]} (from build), got ${described(x!)}`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  override build(inputShape: Shape): void {
    const { kernel, bias } = this.#weights
    this.#kernel = this.addWeight('kernel', [inputShape.at(-1)!, this.units], kernel)
    if (this.#options.useBias ?? true) this.#bias = this.addWeight('bias', [this.units], bias)
  }

  override call(x: Tensor): Tensor {
    const product = matmul(x, this.#kernel)
    return this.#activation.fn(this.#bias === undefined ? product : add(product, this.#bias))
  }

  override getConfig(): Record<string, unknown> {
    const { activation: _, ...rest } = this.#options
    return {
      ...super.getConfig(),
      units: this.units,
      activation: activationConfig(this.#activation),
      ...rest,
    }
  }
}

export interface Dense<U extends number, N extends string> {
  <X extends NumIn>(
    x: X,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<ReplaceLast<S, U>, 'float32', N> : Tensor
}

/**
 * A fully connected layer: activation(x · kernel + bias).
 * @example dense(64, { activation: 'relu' })(x)
 */
export function dense<const U extends number, const N extends string = string>(
  units: U,
  options?: DenseOptions<N>,
): Dense<U, N>
export function dense<const U extends number, const N extends string = string>(
  options: DenseOptions<N> & { readonly units: U },
): Dense<U, N>
export function dense<U extends number, N extends string>(
  units: U | (DenseOptions<N> & { readonly units: U }),
  options: DenseOptions<N> = {},
): Dense<U, N> {
  return new Dense<U, N>(positional<'units', U, DenseOptions<N>>('dense', 'units', units, options))
}
