import { add, matmul, type Shape, ShapeError, type Tensor, type Variable } from '@adjoint/core'
import { resolveActivation } from '../activations.js'
import { resolveInitializer } from '../initializers.js'
import { described, type SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type {
  ActivationLike,
  Initializer,
  InitializerLike,
  LayerOptions,
  NumIn,
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
}

/** activation(x · kernel + bias), on the last axis. kernel is [inputs, units], bias [units]. */
export class Dense<U extends number = number, N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'units',
    'activation',
    'useBias',
    'kernelInitializer',
    'biasInitializer',
  ]
  readonly units: U
  readonly #activation: { readonly name: string; readonly fn: (x: Tensor) => Tensor }
  readonly #options: DenseOptions<N>
  readonly #initializers: { readonly kernel: Initializer; readonly bias: Initializer }
  #kernel!: Variable
  #bias: Variable | undefined

  constructor(options: DenseOptions<N> & { readonly units: U }) {
    super(options)
    this.units = checkCount(this.label, 'units', options.units) as U
    this.#activation = resolveActivation(options.activation ?? 'linear')
    const { kernelInitializer = 'glorot_uniform', biasInitializer = 'zeros' } = options
    this.#initializers = {
      kernel: resolveInitializer(kernelInitializer),
      bias: resolveInitializer(biasInitializer),
    }
    this.#options = options
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const last = x!.shape.at(-1)
    if (x!.dtype === 'string' || x!.shape.length < 2 || last === null)
      throw new ShapeError(
        `${this.label}: expected numbers of shape [batch, …, inputs] with known inputs, got ${described(x!)} (${x!.dtype})`,
        { op: this.name, shapes: [x!.shape] },
      )
    if (this.built && last !== this.#kernel.shape[0])
      throw new ShapeError(
        `${this.label}: expected last axis ${this.#kernel.shape[0]} (from build), got ${described(x!)}`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  override build(inputShape: Shape): void {
    const { kernel, bias } = this.#initializers
    this.#kernel = this.addWeight('kernel', [inputShape.at(-1)!, this.units], { initializer: kernel })
    if (this.#options.useBias ?? true)
      this.#bias = this.addWeight('bias', [this.units], { initializer: bias })
  }

  override call(x: Tensor): Tensor {
    const product = matmul(x, this.#kernel)
    return this.#activation.fn(this.#bias === undefined ? product : add(product, this.#bias))
  }

  override getConfig(): Record<string, unknown> {
    const { activation: _, ...rest } = this.#options
    return { ...super.getConfig(), units: this.units, activation: this.#activation.name, ...rest }
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
