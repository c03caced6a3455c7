import { cast, gather, notEqual, type Shape, type Tensor, type Variable } from '@adjoint/core'
import { resolveConstraint } from '../constraints.js'
import { resolveInitializer } from '../initializers.js'
import { checkFlag } from '../option-checks.js'
import { resolveRegularizer } from '../regularizers.js'
import type { SymbolicTensor } from '../symbolic.js'
import type {
  ConstraintLike,
  Initializer,
  InitializerLike,
  LayerOptions,
  NumIn,
  RegularizerLike,
} from '../types.js'
import { checkIds } from './ids.js'
import { checkCount, optionsOf } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link embedding}. */
export interface EmbeddingOptions<N extends string = string> extends LayerOptions<N> {
  /** Default: uniform between -0.05 and 0.05. */
  readonly embeddingsInitializer?: InitializerLike
  readonly embeddingsRegularizer?: RegularizerLike
  readonly embeddingsConstraint?: ConstraintLike
  /** Whether id 0 means that there is nothing: then it is masked (default false). */
  readonly maskZero?: boolean
}

/** A table of vectors, one for each id: [inputDim, outputDim]. */
export class Embedding<E extends number = number, N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'inputDim',
    'outputDim',
    'embeddingsInitializer',
    'embeddingsRegularizer',
    'embeddingsConstraint',
    'maskZero',
  ]
  readonly inputDim: number
  readonly outputDim: E
  readonly maskZero: boolean
  readonly #options: EmbeddingOptions<N>
  readonly #initializer: Initializer
  readonly #regularizer: ((w: Tensor) => Tensor) | undefined
  readonly #constraint: ((w: Tensor) => Tensor) | undefined
  #embeddings!: Variable

  constructor(options: EmbeddingOptions<N> & { readonly inputDim: number; readonly outputDim: E }) {
    super(options)
    this.inputDim = checkCount(this.label, 'inputDim', options.inputDim)
    this.outputDim = checkCount(this.label, 'outputDim', options.outputDim) as E
    this.maskZero = checkFlag(this.label, 'maskZero', options.maskZero ?? false)
    this.#initializer = resolveInitializer(options.embeddingsInitializer ?? 'random_uniform')
    this.#regularizer = resolveRegularizer(options.embeddingsRegularizer)
    this.#constraint = resolveConstraint(options.embeddingsConstraint)
    this.#options = options
  }

  override build(): void {
    this.#embeddings = this.addWeight('embeddings', [this.inputDim, this.outputDim], {
      initializer: this.#initializer,
      regularizer: this.#regularizer,
      constraint: this.#constraint,
    })
  }

  override computeMask([ids]: readonly Tensor[]): Tensor | undefined {
    return this.maskZero ? notEqual(ids!, 0) : undefined
  }

  override call(ids: Tensor): Tensor {
    checkIds(this.label, ids, this.inputDim)
    return gather(this.#embeddings, ids.dtype === 'int32' ? ids : cast(ids, 'int32'))
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), inputDim: this.inputDim, outputDim: this.outputDim, ...this.#options }
  }
}

export interface Embedding<E extends number, N extends string> {
  <X extends NumIn>(
    ids: X,
  ): X extends SymbolicTensor<infer S extends Shape>
    ? SymbolicTensor<readonly [...S, E], 'float32', N>
    : Tensor
}

/**
 * A trained vector of `outputDim` numbers for each of the ids 0..inputDim - 1. Ids may be floats, as data often is,
 * but must be whole.
 * @throws ValueError, when called, for an id out of range, with its row.
 * @example embedding(100, 32)(ids) // [batch, 1] becomes [batch, 1, 32]
 */
export function embedding<const E extends number, const N extends string = string>(
  inputDim: number,
  outputDim: E,
  options?: EmbeddingOptions<N>,
): Embedding<E, N>
export function embedding<const E extends number, const N extends string = string>(
  options: EmbeddingOptions<N> & { readonly inputDim: number; readonly outputDim: E },
): Embedding<E, N>
export function embedding<E extends number, N extends string>(
  inputDim: number | (EmbeddingOptions<N> & { readonly inputDim: number; readonly outputDim: E }),
  outputDim?: E,
  options: EmbeddingOptions<N> = {},
): Embedding<E, N> {
  if (typeof inputDim === 'object' && inputDim !== null) return new Embedding(inputDim)
  return new Embedding({ ...optionsOf('embedding', options), inputDim, outputDim: outputDim! })
}
