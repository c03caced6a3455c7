import { cast, max, oneHot, reshape, sum, type Tensor } from '@adjoint/core'
import type { CallOptions, SymbolicAval } from '../layer.js'
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

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: encodedShape(x!.shape, this.outputMode, this.numTokens), dtype: this.dtype }
  }

  override call(ids: Tensor): Tensor {
    checkIds(this.label, ids, this.numTokens)
    const whole = ids.dtype === 'int32' ? ids : cast(ids, 'int32')
    const hot = oneHot(whole, this.numTokens, this.dtype)
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
}

/**
 * Turns ids 0..numTokens - 1 into vectors of `numTokens`.
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
