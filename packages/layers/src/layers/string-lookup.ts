import { type DType, DTypeError, LimitError, Tensor, tensor, ValueError } from '@adjoint/core'
import { formatShape, fromHost, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, StringData, Sym } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link stringLookup}. */
export interface StringLookupOptions<N extends string = string> extends LayerOptions<N> {
  /** The known strings, in the order of their ids; `adapt` finds them otherwise. */
  readonly vocabulary?: readonly string[]
  /** How many ids unknown strings share (default 1); with 0 they are an error. */
  readonly numOovIndices?: number
  /** A string that gets id 0, in front of all others; none unless given. */
  readonly maskToken?: string | null
}

const MOST_UNKNOWNS = 2 ** 20

/** How `getVocabulary` writes the ids of unknown strings, as Keras does. */
const UNKNOWN = '[UNK]'

/** Ids for strings: first the mask token's, then those of unknown strings, then the vocabulary's. */
export class StringLookup<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['vocabulary', 'numOovIndices', 'maskToken']
  readonly #unknowns: number
  readonly #maskToken: string | null
  #tokens: readonly string[] | undefined
  #ids: ReadonlyMap<string, number> = new Map()

  constructor(options: StringLookupOptions<N> = {}) {
    super(options)
    const { vocabulary, numOovIndices = 1, maskToken = null } = options
    if (!Number.isInteger(numOovIndices) || numOovIndices < 0)
      throw new ValueError(
        `${this.label}: numOovIndices must be a whole number >= 0, got ${show(numOovIndices)}`,
      )
    if (numOovIndices > MOST_UNKNOWNS)
      throw new LimitError(
        `${this.label}: numOovIndices ${numOovIndices} is over the limit of ${MOST_UNKNOWNS}`,
      )
    if (maskToken !== null && typeof maskToken !== 'string')
      throw new ValueError(`${this.label}: maskToken must be a string or null, got ${show(maskToken)}`)
    this.#unknowns = numOovIndices
    this.#maskToken = maskToken
    if (vocabulary !== undefined) this.#setVocabulary(vocabulary)
  }

  get #special(): string[] {
    return [
      ...(this.#maskToken === null ? [] : [this.#maskToken]),
      ...new Array<string>(this.#unknowns).fill(UNKNOWN),
    ]
  }

  /** The strings by their ids: the mask token, `[UNK]` for each id of unknown strings, then the known ones. */
  getVocabulary(): string[] {
    return [...this.#special, ...(this.#tokens ?? [])]
  }

  /** How many ids there are: what an embedding of them needs. */
  vocabularySize(): number {
    return this.#special.length + (this.#tokens?.length ?? 0)
  }

  /**
   * Takes the strings of `data` as vocabulary: the most frequent first, of equally frequent ones the last in
   * alphabetical order first, as Keras does.
   */
  adapt(data: StringData): void {
    const { values } = stringsOf(`${this.label}: adapt`, data)
    const special = new Set(this.#special)
    const counts = new Map<string, number>()
    for (const value of values) if (!special.has(value)) counts.set(value, (counts.get(value) ?? 0) + 1)
    if (counts.size === 0) throw new ValueError(`${this.label}: adapt: there are no strings to learn`)
    const found = [...counts].toSorted(([a, m], [b, n]) => n - m || -compareCodePoints(a, b))
    this.#setVocabulary(found.map(([token]) => token))
  }

  #setVocabulary(vocabulary: unknown): void {
    if (!Array.isArray(vocabulary))
      throw new ValueError(`${this.label}: vocabulary must be a list of strings, got ${show(vocabulary)}`)
    const special = this.#special
    // A list from getVocabulary may be given back as it is.
    const isWhole = special.length > 0 && special.every((token, i) => vocabulary[i] === token)
    const tokens = (isWhole ? vocabulary.slice(special.length) : vocabulary) as unknown[]
    if (tokens.length === 0) throw new ValueError(`${this.label}: the vocabulary is empty`)
    const ids = new Map<string, number>()
    if (this.#maskToken !== null) ids.set(this.#maskToken, 0)
    for (const [i, token] of tokens.entries()) {
      if (typeof token !== 'string')
        throw new DTypeError(
          `${this.label}: the vocabulary holds ${show(token)} at index ${i}, expected a string`,
        )
      if (ids.has(token) || special.includes(token))
        throw new ValueError(
          `${this.label}: the vocabulary holds ${show(token)} ${special.includes(token) ? 'out of its place' : 'twice'} (at index ${i})`,
        )
      ids.set(token, special.length + i)
    }
    this.#tokens = tokens as string[]
    this.#ids = ids
  }

  override get inputDType(): DType {
    return 'string'
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.dtype !== 'string')
      throw new DTypeError(
        `${this.label}: looks up strings, got ${x!.dtype} of shape ${formatShape(x!.shape)}`,
        {
          op: this.name,
        },
      )
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: x!.shape, dtype: 'int32' }
  }

  override call(x: Tensor<DType>): Tensor {
    if (this.#tokens === undefined)
      throw new ValueError(`${this.label}: it has no vocabulary yet; call adapt(data) first, or give it one`)
    const strings = x.dataSync() as readonly string[]
    const ids = new Int32Array(strings.length)
    const first = this.#maskToken === null ? 0 : 1
    for (let i = 0; i < strings.length; i++) {
      const text = strings[i]!
      const id = this.#ids.get(text)
      if (id !== undefined) ids[i] = id
      else if (this.#unknowns > 0) ids[i] = first + (this.#unknowns === 1 ? 0 : fnv1a(text) % this.#unknowns)
      else throw this.#unknown(text, i, x.shape)
    }
    return fromHost(ids, x.shape, 'int32')
  }

  #unknown(text: string, at: number, shape: readonly number[]): ValueError {
    const rowSize = shape.slice(1).reduce((n, side) => n * side, 1)
    return new ValueError(
      `${this.label}: ${show(text)} in row ${Math.floor(at / rowSize)} is not in the vocabulary, and numOovIndices is 0`,
    )
  }

  override getConfig(): Record<string, unknown> {
    const vocabulary = this.#tokens
    return {
      ...super.getConfig(),
      numOovIndices: this.#unknowns,
      maskToken: this.#maskToken,
      ...(vocabulary !== undefined && { vocabulary: [...vocabulary] }),
    }
  }
}

function stringsOf(what: string, data: unknown): { values: readonly string[] } {
  if (data instanceof Tensor) {
    const given = data as Tensor<DType>
    if (given.dtype !== 'string')
      throw new DTypeError(`${what}: expected strings, got a ${given.dtype} tensor`)
    return { values: given.dataSync() as string[] }
  }
  if (!Array.isArray(data)) throw new DTypeError(`${what}: expected strings, got ${show(data)}`)
  return { values: tensor(data as string[], { dtype: 'string' }).dataSync() }
}

/** By code point, as Python compares strings: JavaScript's order by UTF-16 units puts emoji before some letters. */
function compareCodePoints(a: string, b: string): number {
  const p = a[Symbol.iterator]()
  const q = b[Symbol.iterator]()
  for (;;) {
    const x = p.next()
    const y = q.next()
    if (x.done === true || y.done === true) return (x.done === true ? 0 : 1) - (y.done === true ? 0 : 1)
    if (x.value !== y.value) return x.value.codePointAt(0)! - y.value.codePointAt(0)!
  }
}

/** FNV-1a, 32 bits, of the UTF-8 bytes (Fowler, Noll & Vo): the same on every machine. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  const mix = (byte: number): void => {
    hash = Math.imul(hash ^ byte, 0x01000193)
  }
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (code < 0x80) mix(code)
    else {
      const extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3
      mix(((0xff << (7 - extra)) & 0xff) | (code >> (6 * extra)))
      for (let i = extra - 1; i >= 0; i--) mix(0x80 | ((code >> (6 * i)) & 0x3f))
    }
  }
  return hash >>> 0
}

export interface StringLookup<N extends string> {
  <X extends Sym.Str | Tensor<'string'>>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<S, 'int32', N> : Tensor<'int32'>
}

/**
 * Turns strings into ids, for an embedding or a category encoding. Unknown strings get id 0 (or, with `numOovIndices`,
 * one of the first ids by a hash that is the same everywhere).
 * @throws ValueError, when called on data, before it has a vocabulary.
 * @example const lookup = stringLookup(); lookup.adapt(['a', 'b', 'a']); lookup(tensor([['a']], { dtype: 'string' }))
 */
export function stringLookup<const N extends string = string>(
  options: StringLookupOptions<N> = {},
): StringLookup<N> {
  return new StringLookup(options)
}
