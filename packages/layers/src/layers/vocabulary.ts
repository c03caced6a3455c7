import { DTypeError, LimitError, ValueError } from '@adjoint/core'
import { scalarMath, show } from '@adjoint/core/extend'
import type { IdsOutputMode } from './encoding.js'

/** What strings and whole numbers differ in when they are looked up. */
export interface TokenKind<T> {
  readonly plural: string
  /** How a vocabulary writes the ids of unknown tokens, as Keras does. */
  readonly unknown: T
  /** @throws unless `value` is a token. */
  readonly check: (what: string, value: unknown) => T
  /** Which of `count` ids an unknown token gets. */
  readonly bucket: (token: T, count: number) => number
  /** Below 0 where `a` comes first. */
  readonly compare: (a: T, b: T) => number
}

/** Options of all layers that look tokens up. */
export interface VocabularyOptions<T> {
  /** The known tokens, in the order of their ids; `adapt` finds them otherwise. */
  readonly vocabulary?: readonly T[] | undefined
  /** For outputMode 'tf_idf': the inverse document frequency of each token of `vocabulary`. */
  readonly idfWeights?: readonly number[] | undefined
  /** How many ids unknown tokens share (default 1); with 0 they are an error. */
  readonly numOovIndices?: number | undefined
  /** A token that means nothing: id 0, or left out where ids become vectors; none unless given. */
  readonly maskToken?: T | null | undefined
  /** The most ids that `adapt` may make, those of the mask and of unknown tokens among them. */
  readonly maxTokens?: number | null | undefined
  /** Whether vectors have `maxTokens` places even if there are fewer tokens (default false). */
  readonly padToMaxTokens?: boolean | undefined
}

const MOST_UNKNOWNS = 2 ** 20
const MOST_TOKENS = 2 ** 31

/** Ids for tokens: first the mask token's, then those of unknown tokens, then the known ones'. */
export class Vocabulary<T extends string | number> {
  readonly #kind: TokenKind<T>
  readonly #what: string
  readonly #mode: IdsOutputMode
  readonly #unknowns: number
  readonly #maskToken: T | null
  readonly #maxTokens: number | null
  readonly #isPadded: boolean
  /** Where the first id of unknown tokens is. */
  readonly #first: 0 | 1
  #tokens: readonly T[] | undefined
  #ids: ReadonlyMap<T, number> = new Map()
  /** By id. */
  #idf: readonly number[] | undefined

  /** @param what names the layer in messages. */
  constructor(what: string, kind: TokenKind<T>, mode: IdsOutputMode, options: VocabularyOptions<T>) {
    const { numOovIndices = 1, maskToken = null, maxTokens = null, padToMaxTokens = false } = options
    const { vocabulary, idfWeights } = options
    if (!Number.isInteger(numOovIndices) || numOovIndices < 0)
      throw new ValueError(`${what}: numOovIndices must be a whole number >= 0, got ${show(numOovIndices)}`)
    if (numOovIndices > MOST_UNKNOWNS)
      throw new LimitError(`${what}: numOovIndices ${numOovIndices} is over the limit of ${MOST_UNKNOWNS}`)
    this.#what = what
    this.#kind = kind
    this.#mode = mode
    this.#unknowns = numOovIndices
    this.#maskToken = maskToken === null ? null : kind.check(`${what}: maskToken`, maskToken)
    this.#first = maskToken !== null && mode === 'int' ? 1 : 0
    const least = this.#special.length + 1
    if (
      maxTokens !== null &&
      !(Number.isInteger(maxTokens) && maxTokens >= least && maxTokens <= MOST_TOKENS)
    )
      throw new ValueError(
        `${what}: maxTokens must be a whole number from ${least} up (${least - 1} of them are not for tokens), got ${show(maxTokens)}`,
      )
    if (typeof padToMaxTokens !== 'boolean')
      throw new ValueError(`${what}: padToMaxTokens must be true or false, got ${show(padToMaxTokens)}`)
    if (padToMaxTokens && maxTokens === null) throw new ValueError(`${what}: padToMaxTokens needs maxTokens`)
    this.#maxTokens = maxTokens
    this.#isPadded = padToMaxTokens && mode !== 'int'
    if (vocabulary !== undefined) this.#set(vocabulary, idfWeights)
    else if (idfWeights !== undefined) throw new ValueError(`${what}: idfWeights need a vocabulary`)
  }

  /** Whether it knows any tokens yet. */
  get isSet(): boolean {
    return this.#tokens !== undefined
  }

  get #special(): T[] {
    return [
      ...(this.#first === 1 ? [this.#maskToken!] : []),
      ...new Array<T>(this.#unknowns).fill(this.#kind.unknown),
    ]
  }

  /** The tokens by their ids: the mask token, the unknown one for each of its ids, then the known ones. */
  get all(): T[] {
    return [...this.#special, ...(this.#tokens ?? [])]
  }

  /** How many ids there are. */
  get size(): number {
    return this.#first + this.#unknowns + (this.#tokens?.length ?? 0)
  }

  /** How long vectors are; null before that is known. */
  get width(): number | null {
    if (this.#isPadded) return this.#maxTokens
    return this.isSet ? this.size : null
  }

  /** The inverse document frequencies by id. */
  get idf(): readonly number[] | undefined {
    return this.#idf
  }

  /** What the layer's config tells of it. */
  get config(): Record<string, unknown> {
    return {
      numOovIndices: this.#unknowns,
      maskToken: this.#maskToken,
      ...(this.#maxTokens !== null && { maxTokens: this.#maxTokens }),
      ...(this.#isPadded && { padToMaxTokens: true }),
      ...(this.#tokens !== undefined && { vocabulary: [...this.#tokens] }),
      ...(this.#idf !== undefined && { idfWeights: this.#idf.slice(this.#unknowns, this.size) }),
    }
  }

  /**
   * Takes the tokens of documents: the most frequent first, of equally frequent ones the last in order first, as Keras
   * does. The inverse document frequency of a token is log(1 + documents / (1 + documents with it)).
   */
  learn(documents: Iterable<readonly T[]>): void {
    const special = new Set<unknown>([this.#maskToken, this.#kind.unknown])
    const counts = new Map<T, number>()
    const documentCounts = new Map<T, number>()
    const isWeighted = this.#mode === 'tf_idf'
    let size = 0
    for (const document of documents) {
      size++
      for (const token of document) if (!special.has(token)) counts.set(token, (counts.get(token) ?? 0) + 1)
      if (isWeighted)
        for (const token of new Set(document)) documentCounts.set(token, (documentCounts.get(token) ?? 0) + 1)
    }
    if (counts.size === 0)
      throw new ValueError(`${this.#what}: adapt: there are no ${this.#kind.plural} to learn`)
    const found = [...counts].toSorted(([a, m], [b, n]) => n - m || -this.#kind.compare(a, b))
    const most = this.#maxTokens === null ? found.length : this.#maxTokens - this.#special.length
    const tokens = found.slice(0, most).map(([token]) => token)
    const idf = isWeighted
      ? tokens.map((token) => scalarMath.log(1 + size / (1 + documentCounts.get(token)!)))
      : undefined
    this.#set(tokens, idf)
  }

  #set(vocabulary: unknown, idfWeights: unknown): void {
    const what = this.#what
    const { plural, check } = this.#kind
    if (!Array.isArray(vocabulary))
      throw new ValueError(`${what}: vocabulary must be a list of ${plural}, got ${show(vocabulary)}`)
    const special = this.#special
    // A list from getVocabulary may be given back as it is.
    const isWhole = special.length > 0 && special.every((token, i) => vocabulary[i] === token)
    const tokens = (isWhole ? vocabulary.slice(special.length) : vocabulary) as unknown[]
    if (tokens.length === 0) throw new ValueError(`${what}: the vocabulary is empty`)
    const reserved = new Set<unknown>([this.#maskToken, ...special])
    const ids = new Map<T, number>()
    for (const [i, value] of tokens.entries()) {
      const token = check(`${what}: vocabulary[${i}]`, value)
      if (ids.has(token) || reserved.has(token))
        throw new ValueError(
          `${what}: the vocabulary holds ${show(token)} ${reserved.has(token) ? 'out of its place' : 'twice'} (at index ${i})`,
        )
      ids.set(token, special.length + i)
    }
    const size = special.length + tokens.length
    if (this.#maxTokens !== null && size > this.#maxTokens)
      throw new ValueError(`${what}: the vocabulary makes ${size} ids, and maxTokens is ${this.#maxTokens}`)
    const idf = this.#idfOf(idfWeights, tokens.length)
    this.#tokens = tokens as T[]
    this.#ids = ids
    this.#idf = idf
  }

  /** Unknown tokens weigh as much as the known ones on average, as in Keras. */
  #idfOf(weights: unknown, count: number): readonly number[] | undefined {
    const what = this.#what
    if (this.#mode !== 'tf_idf') {
      if (weights !== undefined)
        throw new ValueError(`${what}: idfWeights are for outputMode "tf_idf", which is ${show(this.#mode)}`)
      return undefined
    }
    if (weights === undefined)
      throw new ValueError(
        `${what}: a vocabulary with outputMode "tf_idf" needs idfWeights, one for each token`,
      )
    if (!Array.isArray(weights) || weights.length !== count || weights.some((w) => !Number.isFinite(w)))
      throw new ValueError(
        `${what}: idfWeights must be ${count} finite numbers, one for each token, got ${show(weights)}`,
      )
    const known = weights as number[]
    const mean = known.reduce((a, b) => a + b, 0) / count
    return [...new Array<number>(this.#unknowns).fill(mean), ...known]
  }

  /** @throws ValueError before there are tokens. */
  checkSet(): void {
    if (!this.isSet)
      throw new ValueError(`${this.#what}: it has no vocabulary yet; call adapt(data) first, or give it one`)
  }

  /**
   * The id of a token; -1 where it is left out.
   * @param where tells where it is, for messages.
   */
  idOf(token: T, where: () => string): number {
    const id = this.#ids.get(token)
    if (id !== undefined) return id
    if (token === this.#maskToken) return this.#first - 1
    if (this.#unknowns === 0)
      throw new ValueError(
        `${this.#what}: ${show(token)} in ${where()} is not in the vocabulary, and numOovIndices is 0`,
      )
    return this.#first + (this.#unknowns === 1 ? 0 : this.#kind.bucket(token, this.#unknowns))
  }

  /** The token of an id. @throws ValueError for an id that there is not. */
  tokenOf(id: number, where: () => string): T {
    const token =
      id < this.#first + this.#unknowns ? this.#special[id] : this.#tokens![id - this.#first - this.#unknowns]
    if (token === undefined)
      throw new ValueError(
        `${this.#what}: id ${show(id)} in ${where()} is out of range; ids are whole numbers in 0..${this.size - 1}`,
      )
    return token
  }
}

/** Whole numbers, by size. */
export const WHOLE_NUMBERS: TokenKind<number> = {
  plural: 'whole numbers',
  unknown: -1,
  check: (what, value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      throw new ValueError(`${what} holds ${show(value)}, which is no whole number`)
    return value
  },
  bucket: (value, count) => ((value % count) + count) % count,
  compare: (a, b) => a - b,
}

export function checkString(what: string, value: unknown): string {
  if (typeof value !== 'string') throw new DTypeError(`${what} holds ${show(value)}, expected a string`)
  return value
}

/** By code point, as Python compares strings: JavaScript's order by UTF-16 units puts emoji before some letters. */
export function compareCodePoints(a: string, b: string): number {
  const p = a[Symbol.iterator]()
  const q = b[Symbol.iterator]()
  for (;;) {
    const x = p.next()
    const y = q.next()
    if (x.done === true || y.done === true) return (x.done === true ? 0 : 1) - (y.done === true ? 0 : 1)
    if (x.value !== y.value) return x.value.codePointAt(0)! - y.value.codePointAt(0)!
  }
}
