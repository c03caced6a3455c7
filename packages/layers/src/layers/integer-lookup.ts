import { DTypeError, Tensor, tensor, ValueError } from '@adjoint/core'
import { fromHost, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumericData, NumIn } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link integerLookup}. */
export interface IntegerLookupOptions<N extends string = string> extends LayerOptions<N> {
  /** The known numbers, in the order of their ids; `adapt` finds them otherwise. */
  readonly vocabulary?: readonly number[]
  /** How many ids unknown numbers share, by their remainder (default 1); with 0 they are an error. */
  readonly numOovIndices?: number
  /** A number that gets id 0, in front of all others; none unless given. */
  readonly maskToken?: number | null
}

/** How `getVocabulary` writes the ids of unknown numbers, as Keras does. */
const UNKNOWN = -1

/** Ids for whole numbers: first the mask token's, then those of unknown numbers, then the vocabulary's. */
export class IntegerLookup<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['vocabulary', 'numOovIndices', 'maskToken']
  readonly #unknowns: number
  readonly #maskToken: number | null
  #ids: ReadonlyMap<number, number> | undefined

  constructor(options: IntegerLookupOptions<N> = {}) {
    super(options)
    const { vocabulary, numOovIndices = 1, maskToken = null } = options
    if (!Number.isInteger(numOovIndices) || numOovIndices < 0)
      throw new ValueError(
        `${this.label}: numOovIndices must be a whole number >= 0, got ${show(numOovIndices)}`,
      )
    if (maskToken !== null) checkWhole(`${this.label}: maskToken`, maskToken)
    this.#unknowns = numOovIndices
    this.#maskToken = maskToken
    if (vocabulary !== undefined) this.#setVocabulary(vocabulary)
  }

  get #special(): number[] {
    return [
      ...(this.#maskToken === null ? [] : [this.#maskToken]),
      ...new Array<number>(this.#unknowns).fill(UNKNOWN),
    ]
  }

  /** The numbers by their ids: the mask token, -1 for each id of unknown numbers, then the known ones. */
  getVocabulary(): number[] {
    return [...this.#special, ...(this.#ids?.keys() ?? [])]
  }

  /** How many ids there are: what an embedding of them needs. */
  vocabularySize(): number {
    return this.#special.length + (this.#ids?.size ?? 0)
  }

  /** Takes the numbers of `data` as vocabulary: the most frequent first, of equally frequent ones the largest. */
  adapt(data: NumericData): void {
    const read = data instanceof Tensor ? data : tensor(data as number[])
    const counts = new Map<number, number>()
    for (const value of read.dataSync()) {
      checkWhole(`${this.label}: adapt: the data`, value)
      if (value !== this.#maskToken) counts.set(value, (counts.get(value) ?? 0) + 1)
    }
    if (counts.size === 0) throw new ValueError(`${this.label}: adapt: there are no numbers to learn`)
    const found = [...counts].toSorted(([a, m], [b, n]) => n - m || b - a)
    this.#setVocabulary(found.map(([value]) => value))
  }

  #setVocabulary(vocabulary: unknown): void {
    if (!Array.isArray(vocabulary) || vocabulary.length === 0)
      throw new ValueError(
        `${this.label}: vocabulary must be a list of whole numbers, got ${show(vocabulary)}`,
      )
    const ids = new Map<number, number>()
    const first = this.#special.length
    for (const [i, value] of (vocabulary as unknown[]).entries()) {
      const whole = checkWhole(`${this.label}: vocabulary[${i}]`, value)
      if (ids.has(whole) || whole === this.#maskToken)
        throw new ValueError(
          `${this.label}: the vocabulary holds ${whole} twice, or it is the mask token (index ${i})`,
        )
      ids.set(whole, first + i)
    }
    this.#ids = ids
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.dtype === 'string')
      throw new DTypeError(`${this.label}: looks up numbers, got strings; use stringLookup`, {
        op: this.name,
      })
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: x!.shape, dtype: 'int32' }
  }

  override call(x: Tensor): Tensor {
    const known = this.#ids
    if (known === undefined)
      throw new ValueError(`${this.label}: it has no vocabulary yet; call adapt(data) first, or give it one`)
    const first = this.#maskToken === null ? 0 : 1
    const ids = Int32Array.from(x.dataSync(), (value) => {
      if (value === this.#maskToken) return 0
      const id = known.get(checkWhole(`${this.label}: the input`, value))
      if (id !== undefined) return id
      if (this.#unknowns === 0)
        throw new ValueError(`${this.label}: ${value} is not in the vocabulary, and numOovIndices is 0`)
      return first + (((value % this.#unknowns) + this.#unknowns) % this.#unknowns)
    })
    return fromHost(ids, x.shape, 'int32')
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      numOovIndices: this.#unknowns,
      maskToken: this.#maskToken,
      ...(this.#ids !== undefined && { vocabulary: [...this.#ids.keys()] }),
    }
  }
}

function checkWhole(what: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new ValueError(`${what} holds ${show(value)}, which is no whole number`)
  return value
}

export interface IntegerLookup<N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<S, 'int32', N> : Tensor<'int32'>
}

/**
 * Turns whole numbers into ids, for an embedding or a category encoding; unknown ones get id 0.
 * @throws ValueError, when called on data, before it has a vocabulary.
 * @example integerLookup({ vocabulary: [12, 36] })(tensor([[36, 5]])) // [[2, 0]]
 */
export function integerLookup<const N extends string = string>(
  options: IntegerLookupOptions<N> = {},
): IntegerLookup<N> {
  return new IntegerLookup(options)
}
