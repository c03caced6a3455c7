import {
  add,
  log,
  mul,
  reshape,
  ShapeError,
  slice,
  softmax,
  type Tensor,
  tensor,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import type { SymbolicAval } from '../layer.js'
import type { LayerOptions, NumIn } from '../types.js'
import { bothForms, Merge } from './merge.js'
import type { AtLeast, MergeCheck, Merged } from './merge-types.js'

/** Options of {@link weightedAverage}. */
export interface WeightedAverageOptions<N extends string = string> extends LayerOptions<N> {
  /** What each input counts, divided by their sum. Without them the weights are learned, from equal ones. */
  readonly weights?: readonly number[]
  /** True with `weights`: they are only where learning starts. */
  readonly trainable?: boolean
}

/** The mean of its inputs, each with a weight; learned weights are the softmax of one logit for each input. */
export class WeightedAverage<N extends string = string> extends Merge<'weightedAverage', N> {
  static override readonly optionNames: readonly string[] = ['weights']
  readonly #fixed: readonly number[] | undefined
  readonly #start: readonly number[] | undefined
  /** As they were given. */
  readonly #weights: readonly number[] | undefined
  #logits: Variable | undefined
  #count = 0

  constructor(options: WeightedAverageOptions<N> = {}) {
    super(options)
    const { weights, trainable } = options
    if (weights === undefined) return
    const shares = sharesOf(this.label, weights)
    this.#weights = [...weights]
    if (trainable === true) {
      if (shares.includes(0)) throw new ValueError(`${this.label}: a learned weight cannot start at 0`)
      this.#start = shares
    } else this.#fixed = shares
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    const count = (this.#fixed ?? this.#start)?.length ?? (this.built ? this.#count : inputs.length)
    if (inputs.length !== count)
      throw new ShapeError(`${this.label}: has ${count} weights, got ${inputs.length} tensors`, {
        op: this.name,
        shapes: inputs.map((x) => x.shape),
      })
  }

  override buildAll(inputs: readonly SymbolicAval[]): void {
    this.#count = inputs.length
    if (this.#fixed !== undefined) return
    const start = this.#start
    this.#logits = this.addWeight('logits', [inputs.length], {
      initializer: start === undefined ? 'zeros' : () => log(tensor([...start])),
    })
  }

  protected override combine(xs: readonly Tensor[]): Tensor {
    const fixed = this.#fixed
    // Shapes are inferred before there are weights to infer them from; they do not depend on these.
    const shares = this.#logits === undefined ? undefined : softmax(this.#logits)
    return xs
      .map((x, i) =>
        mul(x, shares === undefined ? (fixed?.[i] ?? 1 / xs.length) : reshape(slice(shares, [i], [1]), [])),
      )
      .reduce((a, b) => add(a, b))
  }

  override getConfig(): Record<string, unknown> {
    const { trainable, ...config } = super.getConfig()
    const weights = this.#weights
    if (weights === undefined) return { ...config, trainable }
    // With weights, `trainable` tells whether they are learned.
    return { ...config, weights, ...(this.#start !== undefined && { trainable: true }) }
  }
}

function sharesOf(what: string, weights: unknown): number[] {
  if (!Array.isArray(weights) || weights.length < 2)
    throw new ValueError(`${what}: weights must be a list of two numbers or more, got ${show(weights)}`)
  for (const [i, w] of (weights as unknown[]).entries())
    if (typeof w !== 'number' || !(w >= 0 && w < Infinity))
      throw new ValueError(`${what}: weight ${i} is ${show(w)}; it must be a finite number of at least 0`)
  const numbers = weights as number[]
  const sum = numbers.reduce((a, b) => a + b, 0)
  if (sum === 0) throw new ValueError(`${what}: the weights ${show(weights)} sum to 0`)
  return numbers.map((w) => w / sum)
}

/** Both forms of {@link WeightedAverage}. */
export interface WeightedAverageFactory {
  <const N extends string = string>(options?: WeightedAverageOptions<N>): Merge<'weightedAverage', N>
  <const T extends readonly NumIn[], const N extends string = string>(
    xs: T & MergeCheck<'weightedAverage', T> & AtLeast<[NumIn, NumIn], 'weightedAverage', T>,
    options?: WeightedAverageOptions<N>,
  ): Merged<T, N>
}

/**
 * A mean in which each input has its weight: fixed, or learned as the softmax of a logit for each.
 * @example weightedAverage({ weights: [0.7, 0.3] })([a, b])
 * @example weightedAverage([a, b, c]) // learned
 */
export const weightedAverage: WeightedAverageFactory = bothForms(
  'weightedAverage',
  (o: WeightedAverageOptions) => new WeightedAverage(o),
) as WeightedAverageFactory
