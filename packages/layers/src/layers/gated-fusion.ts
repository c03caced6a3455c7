import {
  add,
  concat,
  type Dim,
  matmul,
  mul,
  type NumericDType,
  ShapeError,
  sigmoid,
  split,
  tanh,
  type Tensor,
  type Variable,
} from '@adjoint/core'
import { promote } from '@adjoint/core/extend'
import { described, type SymbolicAval } from '../layer.js'
import type { LayerOptions, NumIn } from '../types.js'
import { bothForms, Merge } from './merge.js'
import type { AtLeast, MergeCheck, Merged } from './merge-types.js'
import { checkCount } from './options.js'

/** Options of {@link gatedFusion}. */
export interface GatedFusionOptions<N extends string = string> extends LayerOptions<N> {
  /** With it the gates are computed from so many tanh units, instead of from the inputs at once. */
  readonly units?: number
}

/**
 * Σ gᵢ · xᵢ, where all inputs x₁ … xₖ together decide how much of each feature of each input passes (after Arevalo et
 * al. 2017): [g₁ … gₖ] = sigmoid(h · kernel + bias), with h = [x₁ … xₖ] or, with `units`,
 * h = tanh([x₁ … xₖ] · hidden_kernel + hidden_bias).
 */
export class GatedFusion<N extends string = string> extends Merge<'gatedFusion', N> {
  static override readonly optionNames: readonly string[] = ['units']
  readonly units: number | undefined
  #hidden: { readonly kernel: Variable; readonly bias: Variable } | undefined
  #kernel!: Variable
  #bias!: Variable

  constructor(options: GatedFusionOptions<N> = {}) {
    super(options)
    this.units = options.units === undefined ? undefined : checkCount(this.label, 'units', options.units)
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    const [first] = inputs
    const shapes = inputs.map((x) => x.shape)
    for (const x of inputs) {
      const isSame =
        x.shape.length === first!.shape.length &&
        x.shape.every(
          (side, i) => i === 0 || side === null || first!.shape[i] === null || side === first!.shape[i],
        )
      if (!isSame)
        throw new ShapeError(
          `${this.label}: inputs must have one shape, got ${described(first!)} and ${described(x)}`,
          {
            op: this.name,
            shapes,
          },
        )
      if (x.shape.length < 2 || x.shape.at(-1) === null)
        throw new ShapeError(`${this.label}: needs a known last axis beside the batch, got ${described(x)}`, {
          op: this.name,
          shapes,
        })
    }
    const width = inputs.length * first!.shape.at(-1)!
    if (this.built && this.#bias.shape[0] !== width)
      throw new ShapeError(
        `${this.label}: has ${this.#bias.shape[0]} gates (from build), got ${inputs.length} tensors of ${described(first!)}`,
        { op: this.name, shapes },
      )
  }

  override buildAll(inputs: readonly SymbolicAval[]): void {
    const width = inputs.length * inputs[0]!.shape.at(-1)!
    if (this.units !== undefined)
      this.#hidden = {
        kernel: this.addWeight('hidden_kernel', [width, this.units]),
        bias: this.addWeight('hidden_bias', [this.units], { initializer: 'zeros' }),
      }
    this.#kernel = this.addWeight('kernel', [this.units ?? width, width])
    this.#bias = this.addWeight('bias', [width], { initializer: 'zeros' })
  }

  override inferOutput(inputs: readonly SymbolicAval[]): SymbolicAval {
    const shape = inputs[0]!.shape.map(
      (_, i): Dim => inputs.find((x) => x.shape[i] !== null)?.shape[i] ?? null,
    )
    const dtype = inputs.reduce<NumericDType>((a, x) => promote(this.label, a, x.dtype), this.dtype)
    return { shape: [null, ...shape.slice(1)], dtype }
  }

  protected override combine(xs: readonly Tensor[]): Tensor {
    const joined = concat(xs, -1)
    const hidden = this.#hidden
    const h = hidden === undefined ? joined : tanh(add(matmul(joined, hidden.kernel), hidden.bias))
    const gates = split(sigmoid(add(matmul(h, this.#kernel), this.#bias)), xs.length, -1)
    return xs.map((x, i) => mul(x, gates[i]!)).reduce((a, b) => add(a, b))
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), ...(this.units !== undefined && { units: this.units }) }
  }
}

/** Both forms of {@link GatedFusion}. */
export interface GatedFusionFactory {
  <const N extends string = string>(options?: GatedFusionOptions<N>): Merge<'gatedFusion', N>
  <const T extends readonly NumIn[], const N extends string = string>(
    xs: T & MergeCheck<'gatedFusion', T> & AtLeast<[NumIn, NumIn], 'gatedFusion', T>,
    options?: GatedFusionOptions<N>,
  ): Merged<T, N>
}

/**
 * A sum in which a learned sigmoid gate decides, by all inputs, how much of each feature of each passes.
 * @throws ShapeError unless the inputs have one shape.
 * @example gatedFusion()([price, sentiment])
 */
export const gatedFusion: GatedFusionFactory = bothForms(
  'gatedFusion',
  (o: GatedFusionOptions) => new GatedFusion(o),
) as GatedFusionFactory
