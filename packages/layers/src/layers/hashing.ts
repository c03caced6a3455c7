import { type DType, type Shape, type Tensor, ValueError } from '@adjoint/core'
import { fromHost, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { Spelling } from '../names.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, Sym } from '../types.js'
import { checkMode, type EncodedDType, encoded, encodedShape, type EncodedShape } from './encoding.js'
import { fingerprint64, sipHash64 } from './hash.js'
import { checkCount, positional } from './options.js'
import { SingleInputLayer } from './single-input.js'
import { WHOLE_NUMBERS } from './vocabulary.js'

/** How hashing gives its bins, in Keras' spelling or in camel case. */
export type HashingOutputMode = Spelling<(typeof MODES)[number]>
const MODES = ['int', 'one_hot', 'multi_hot', 'count'] as const

/** Options of {@link hashing}. */
export interface HashingOptions<
  N extends string = string,
  M extends HashingOutputMode = HashingOutputMode,
> extends LayerOptions<N> {
  /** What means nothing: it gets bin 0 to itself; none unless given. */
  readonly maskValue?: string | number | null
  /** A key for SipHash instead of FarmHash: one whole number, or two. */
  readonly salt?: number | readonly [number, number] | null
  /** int (default): a bin for each value. As vectors: one_hot, multi_hot or count, as `stringLookup` has them. */
  readonly outputMode?: M
}

/** The hash of each string or whole number, modulo the number of bins. */
export class Hashing<
  K extends number = number,
  N extends string = string,
  out M extends HashingOutputMode = HashingOutputMode,
> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['numBins', 'maskValue', 'salt', 'outputMode']
  declare readonly mode?: M
  readonly numBins: K
  readonly outputMode: (typeof MODES)[number]
  readonly maskValue: string | number | null
  readonly #salt: readonly [number, number] | undefined

  constructor(options: HashingOptions<N, M> & { readonly numBins: K }) {
    super(options)
    const { maskValue = null, salt = null } = options
    this.numBins = checkCount(this.label, 'numBins', options.numBins) as K
    this.outputMode = checkMode(this.label, options.outputMode ?? 'int', MODES)
    if (maskValue !== null && typeof maskValue !== 'string' && !Number.isSafeInteger(maskValue))
      throw new ValueError(
        `${this.label}: maskValue must be a string, a whole number or null, got ${show(maskValue)}`,
      )
    this.maskValue = maskValue
    const pair: unknown[] = Array.isArray(salt) ? salt : [salt, salt]
    if (
      salt !== null &&
      (pair.length !== 2 || pair.some((n) => !Number.isSafeInteger(n) || (n as number) < 0))
    )
      throw new ValueError(
        `${this.label}: salt must be a whole number >= 0 or two of them, got ${show(salt)}`,
      )
    this.#salt = salt === null ? undefined : (pair as unknown as readonly [number, number])
  }

  override get takesStrings(): boolean {
    return true
  }

  override get inputDType(): DType {
    return 'string'
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    const { outputMode } = this
    return {
      shape: encodedShape(x!.shape, outputMode, this.numBins),
      dtype: outputMode === 'int' ? 'int32' : this.dtype,
    }
  }

  override call(x: Tensor<DType>): Tensor {
    const { maskValue, numBins } = this
    const isMasking = maskValue !== null && numBins > 1
    const first = isMasking ? 1 : 0
    const count = BigInt(numBins - first)
    const salt = this.#salt
    const key = salt === undefined ? undefined : ([BigInt(salt[0]), BigInt(salt[1])] as const)
    const what = `${this.label}: the input`
    const bins = Int32Array.from(x.dataSync() as ArrayLike<unknown> as number[], (value: unknown) => {
      if (isMasking && value === maskValue) return 0
      const text = typeof value === 'string' ? value : String(WHOLE_NUMBERS.check(what, value))
      const hash = key === undefined ? fingerprint64(text) : sipHash64(text, key)
      return first + Number(hash % count)
    })
    const { outputMode } = this
    return outputMode === 'int'
      ? fromHost(bins, x.shape, 'int32')
      : encoded(bins, x.shape, outputMode, numBins, this.dtype)
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      numBins: this.numBins,
      outputMode: this.outputMode,
      maskValue: this.maskValue,
      ...(this.#salt !== undefined && { salt: [...this.#salt] }),
    }
  }
}

export interface Hashing<K extends number, N extends string, M extends HashingOutputMode> {
  <X extends Sym.Any | Tensor<DType>>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S extends Shape>
    ? SymbolicTensor<EncodedShape<S, M, K>, EncodedDType<M>, N>
    : Tensor<EncodedDType<M>>
}

/**
 * Spreads strings or whole numbers over `numBins` bins by a hash, so that no vocabulary is needed: FarmHash's
 * Fingerprint64 or, with a `salt`, SipHash-2-4. Bins are those of Keras, on every machine. The shape stays, unless
 * `outputMode` makes vectors.
 * @throws ValueError, when called, for a number that is not whole.
 * @example hashing(3)(tensor([['A'], ['B']], { dtype: 'string' })) // [[1], [0]]
 */
export function hashing<
  const K extends number,
  const N extends string = string,
  const M extends HashingOutputMode = 'int',
>(
  numBins: K | (HashingOptions<N, M> & { readonly numBins: K }),
  options: HashingOptions<N, M> = {},
): Hashing<K, N, M> {
  return new Hashing<K, N, M>(
    positional<'numBins', K, HashingOptions<N, M>>('hashing', 'numBins', numBins, options),
  )
}
