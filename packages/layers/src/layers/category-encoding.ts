import {
  cast,
  expandDims,
  max,
  mul,
  oneHot,
  reshape,
  ShapeError,
  sum,
  Tensor,
  ValueError,
} from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { type CallOptions, described, type SymbolicAval } from '../layer.js'
import { isLeaf } from '../leaves.js'
import type { Spelling } from '../names.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn } from '../types.js'
import { checkMode, encodedShape, type EncodedShape } from './encoding.js'
import { checkIds } from './ids.js'
import { checkCount } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** How ids become vectors, in Keras' spelling or in camel case. */
export type CategoryOutputMode = Spelling<CategoryMode>
type CategoryMode = (typeof MODES)[number]
const MODES = ['one_hot', 'multi_hot', 'count'] as const

/** Options of {@link categoryEncoding}. */
export interface CategoryEncodingOptions<
  K extends number = number,
  M extends CategoryOutputMode = CategoryOutputMode,
  N extends string = string,
> extends LayerOptions<N> {
  /** How many ids there are: 0..numTokens - 1. */
  readonly numTokens: K
  /** one_hot: a vector for each id; multi_hot (default), count: one for each row, of what occurs in it, or how often. */
  readonly outputMode?: M
}

/** Ids as vectors of zeros and ones, or of counts. */
export class CategoryEncoding<
  K extends number = number,
  out M extends CategoryOutputMode = CategoryOutputMode,
  N extends string = string,
> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['numTokens', 'outputMode']
  readonly numTokens: K
  readonly outputMode: CategoryMode
  declare readonly mode?: M

  constructor(options: CategoryEncodingOptions<K, M, N>) {
    super(options)
    this.numTokens = checkCount(this.label, 'numTokens', options.numTokens) as K
    this.outputMode = checkMode(this.label, options.outputMode ?? 'multi_hot', MODES)
  }

  protected override splitArgs(args: readonly unknown[]): {
    values: readonly unknown[]
    options: CallOptions
  } {
    const [ids, countWeights, ...rest] = args
    if (!isLeaf(countWeights)) return super.splitArgs(args)
    const { values, options } = super.splitArgs([ids, ...rest])
    return { values: [...values, countWeights], options }
  }

  override checkInputs([ids, countWeights]: readonly SymbolicAval[]): void {
    if (countWeights === undefined) return
    if (this.outputMode !== 'count')
      throw new ValueError(
        `${this.label}: weights are for outputMode "count", which is ${show(this.outputMode)}`,
      )
    const fits =
      ids!.shape.length === countWeights.shape.length &&
      ids!.shape.every((side, i) => {
        const other = countWeights.shape[i]
        return side === null || other === null || side === other
      })
    if (!fits)
      throw new ShapeError(
        `${this.label}: needs a weight for each id, got ids ${described(ids!)} and weights ${described(countWeights)}`,
        { op: this.name, shapes: [ids!.shape, countWeights.shape] },
      )
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: encodedShape(x!.shape, this.outputMode, this.numTokens), dtype: this.dtype }
  }

  override call(ids: Tensor, ...[countWeights]: readonly unknown[]): Tensor {
    checkIds(this.label, ids, this.numTokens)
    const whole = ids.dtype === 'int32' ? ids : cast(ids, 'int32')
    const places = oneHot(whole, this.numTokens, this.dtype)
    const hot =
      countWeights instanceof Tensor
        ? mul(places, expandDims(cast(countWeights as Tensor, this.dtype), -1))
        : places
    const shape = encodedShape(ids.shape, this.outputMode, this.numTokens) as readonly number[]
    if (this.outputMode === 'one_hot' || ids.rank === 1) return reshape(hot, shape)
    return this.outputMode === 'count' ? sum(hot, -2) : max(hot, -2)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), numTokens: this.numTokens, outputMode: this.outputMode }
  }
}

export interface CategoryEncoding<K extends number, M extends CategoryOutputMode, N extends string> {
  <X extends NumIn>(
    ids: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<EncodedShape<S, M, K>, 'float32', N> : Tensor
  /** @param countWeights what each id counts, in the shape of the ids. */
  <X extends NumIn>(
    ids: X,
    countWeights: [M] extends ['count'] ? NumIn : never,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<EncodedShape<S, M, K>, 'float32', N> : Tensor
}

/**
 * Turns ids 0..numTokens - 1 into vectors of `numTokens`. In count mode a second tensor may say what each id counts:
 * `encode(ids, weights)`.
 * @throws ValueError, when called, for an id out of range, with its row.
 * @example categoryEncoding({ numTokens: 4, outputMode: 'one_hot' })(ids) // [batch, 1] becomes [batch, 4]
 */
export function categoryEncoding<
  const K extends number,
  const M extends CategoryOutputMode = 'multi_hot',
  const N extends string = string,
>(options: CategoryEncodingOptions<K, M, N>): CategoryEncoding<K, M, N> {
  return new CategoryEncoding(options)
}
