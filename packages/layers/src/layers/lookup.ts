import { type DType, DTypeError, type Shape, type Tensor, ValueError } from '@adjoint/core'
import { formatShape, fromHost, isFloat } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { Spelling } from '../names.js'
import { checkFlag } from '../option-checks.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumIn, Sym } from '../types.js'
import { readData, rowAt, rowsIn } from './adapt-data.js'
import {
  checkMode,
  type EncodedDType,
  encoded,
  encodedShape,
  type EncodedShape,
  type IdsOutputMode,
} from './encoding.js'
import { SingleInputLayer } from './single-input.js'
import { type TokenKind, Vocabulary, type VocabularyOptions } from './vocabulary.js'

/** How a lookup gives its ids, in Keras' spelling or in camel case. */
export type LookupOutputMode = Spelling<IdsOutputMode>

/** Options that lookups have beside their tokens. */
export interface LookupOptions<
  N extends string = string,
  M extends LookupOutputMode = LookupOutputMode,
  I extends boolean = boolean,
> extends LayerOptions<N> {
  /**
   * int (default): an id for each token. As vectors with a place for each id: one_hot, one for each token; for the
   * tokens of a row together multi_hot (which occur), count (how often) or tf_idf (how often, times how rare).
   */
  readonly outputMode?: M
  /** Whether to turn ids into tokens instead (default false). */
  readonly invert?: I
}

export const LOOKUP_OPTIONS: readonly string[] = [
  'vocabulary',
  'idfWeights',
  'numOovIndices',
  'maskToken',
  'maxTokens',
  'padToMaxTokens',
  'outputMode',
  'invert',
]
const MODES = ['int', 'one_hot', 'multi_hot', 'count', 'tf_idf'] as const

/** Ids for tokens, or tokens for ids. */
export abstract class Lookup<
  T extends string | number,
  N extends string = string,
  out M extends LookupOutputMode = 'int',
  out I extends boolean = false,
> extends SingleInputLayer<N> {
  declare readonly lookup?: [M, I]
  readonly outputMode: IdsOutputMode
  readonly invert: boolean
  readonly #tokens: Vocabulary<T>

  constructor(options: VocabularyOptions<T> & LookupOptions<N, M, I>, kind: TokenKind<T>) {
    super(options)
    this.outputMode = checkMode(this.label, options.outputMode ?? 'int', MODES)
    this.invert = checkFlag(this.label, 'invert', options.invert ?? false)
    if (this.invert && this.outputMode !== 'int')
      throw new ValueError(`${this.label}: what gives tokens has no outputMode; leave it out, or invert`)
    this.#tokens = new Vocabulary(this.label, kind, this.outputMode, options)
  }

  /** The tokens by their ids: the mask token, the unknown one for each id of unknown tokens, then the known ones. */
  getVocabulary(): T[] {
    return this.#tokens.all
  }

  /** How many ids there are: what an embedding of them needs. */
  vocabularySize(): number {
    return this.#tokens.size
  }

  protected get holdsStrings(): boolean {
    return false
  }

  /** Takes in what `adapt` is given. */
  protected learn(data: unknown): void {
    const { values, shape } = readData(
      `${this.label}: adapt`,
      data,
      this.holdsStrings ? 'strings' : 'numbers',
    )
    const what = `${this.label}: adapt: the data`
    const tokens = Array.from(values as ArrayLike<unknown>, (value) => this.token(what, value))
    this.#tokens.learn(rowsIn(tokens, shape))
  }

  /** @throws unless `value` is a token. */
  protected abstract token(what: string, value: unknown): T

  override get takesStrings(): boolean {
    return true
  }

  override get inputDType(): DType {
    return this.holdsStrings && !this.invert ? 'string' : this.invert ? 'int32' : this.dtype
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const wanted = this.holdsStrings && !this.invert ? 'strings' : 'numbers'
    if ((x!.dtype === 'string') === (wanted === 'strings')) return
    throw new DTypeError(
      `${this.label}: looks up ${this.invert ? 'ids' : wanted}, got ${x!.dtype} of shape ${formatShape(x!.shape)}` +
        (wanted === 'numbers' && !this.invert ? '; use stringLookup' : ''),
      { op: this.name },
    )
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    if (this.invert) return { shape: x!.shape, dtype: this.holdsStrings ? 'string' : 'int32' }
    return {
      shape: encodedShape(x!.shape, this.outputMode, this.#tokens.width),
      dtype: this.outputMode === 'int' ? 'int32' : this.dtype,
    }
  }

  override call(x: Tensor<DType>): Tensor {
    const tokens = this.#tokens
    tokens.checkSet()
    const given = x.dataSync() as ArrayLike<unknown>
    const { shape } = x
    if (this.invert) {
      const found = Array.from(given, (id, i) => tokens.tokenOf(id as number, () => rowAt(i, shape)))
      return this.holdsStrings
        ? fromHost(found as string[], shape, 'string')
        : fromHost(Int32Array.from(found as number[]), shape, 'int32')
    }
    const ids = new Int32Array(given.length)
    const checks = isFloat(x.dtype)
    const what = `${this.label}: the input`
    for (let i = 0; i < ids.length; i++) {
      const token = checks ? this.token(what, given[i]) : (given[i] as T)
      ids[i] = tokens.idOf(token, () => rowAt(i, shape))
    }
    const { outputMode } = this
    return outputMode === 'int'
      ? fromHost(ids, shape, 'int32')
      : encoded(ids, shape, outputMode, tokens.width!, this.dtype, tokens.idf)
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      ...this.#tokens.config,
      ...(this.outputMode !== 'int' && { outputMode: this.outputMode }),
      ...(this.invert && { invert: true }),
    }
  }
}

/** What a lookup of strings (`D` is 'string') or of numbers takes and gives. */
export interface LookupCall<
  D extends 'string' | 'int32',
  N extends string,
  M extends LookupOutputMode,
  I extends boolean,
> {
  <X extends ([I, D] extends [false, 'string'] ? Sym.Str | Tensor<'string'> : NumIn)>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S extends Shape>
    ? [I] extends [true]
      ? SymbolicTensor<S, D, N>
      : SymbolicTensor<EncodedShape<S, M, number>, EncodedDType<M>, N>
    : Tensor<[I] extends [true] ? D : EncodedDType<M>>
}
