import { type DType, DTypeError, type Shape, ShapeError, type Tensor, ValueError } from '@adjoint/core'
import { formatShape, fromHost, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { Spelling } from '../names.js'
import { checkChoice, checkNumber } from '../option-checks.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, StringData, Sym } from '../types.js'
import { type ArrayColumn, readData, rowsIn } from './adapt-data.js'
import { checkMode, encoded, type EncodedDType } from './encoding.js'
import { checkCount } from './options.js'
import { SingleInputLayer } from './single-input.js'
import { STRINGS } from './string-lookup.js'
import { checkString, Vocabulary, type VocabularyOptions } from './vocabulary.js'

const MODES = ['int', 'multi_hot', 'count', 'tf_idf'] as const
const STANDARDS = ['lower_and_strip_punctuation', 'lower', 'strip_punctuation'] as const
const SPLITS = ['whitespace', 'character'] as const

/** How text becomes numbers, in Keras' spelling or in camel case. */
export type TextOutputMode = Spelling<(typeof MODES)[number]>
export type TextStandardize = (typeof STANDARDS)[number] | ((text: string) => string) | null
export type TextSplit = (typeof SPLITS)[number] | ((text: string) => readonly string[]) | null

/** Options of {@link textVectorization}. */
export interface TextVectorizationOptions<
  N extends string = string,
  M extends TextOutputMode = TextOutputMode,
  L extends number = number,
>
  extends
    LayerOptions<N>,
    Pick<VocabularyOptions<string>, 'vocabulary' | 'idfWeights' | 'maxTokens' | 'padToMaxTokens'> {
  /** What is done to a text first (default 'lower_and_strip_punctuation'); null: nothing. */
  readonly standardize?: TextStandardize
  /** Where it is cut into tokens (default 'whitespace'; 'character' by code points); null: it is one already. */
  readonly split?: TextSplit
  /** Tokens joined by blanks, besides or instead of single ones: all up to n in a row, or these numbers in a row. */
  readonly ngrams?: number | readonly number[] | null
  /** int (default): the id of each token. Or one vector for each text: multi_hot, count or tf_idf. */
  readonly outputMode?: M
  /** For int: how many ids each text gives; longer ones are cut, shorter ones end in 0. */
  readonly outputSequenceLength?: L | null
}

/** The punctuation that is stripped: that of ASCII, as in Keras. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g

/** Texts as ids of their tokens, or as one vector for each text. Id 0 is for padding, 1 for unknown tokens. */
export class TextVectorization<
  N extends string = string,
  out M extends TextOutputMode = TextOutputMode,
  out L extends number = number,
> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = [
    'vocabulary',
    'idfWeights',
    'maxTokens',
    'padToMaxTokens',
    'standardize',
    'split',
    'ngrams',
    'outputMode',
    'outputSequenceLength',
  ]
  declare readonly text?: [M, L]
  readonly outputMode: (typeof MODES)[number]
  readonly outputSequenceLength: number | null
  readonly #standardize: TextStandardize
  readonly #split: TextSplit
  readonly #ngrams: number | readonly number[] | null
  readonly #widths: readonly number[]
  readonly #tokens: Vocabulary<string>

  constructor(options: TextVectorizationOptions<N, M, L> = {}) {
    super(options)
    const {
      standardize = STANDARDS[0],
      split = SPLITS[0],
      ngrams = null,
      outputSequenceLength = null,
    } = options
    const what = this.label
    this.outputMode = checkMode(what, options.outputMode ?? 'int', MODES)
    this.#standardize = isOwn(standardize)
      ? standardize
      : checkChoice(what, 'standardize', standardize, STANDARDS)
    this.#split = isOwn(split) ? split : checkChoice(what, 'split', split, SPLITS)
    this.#ngrams = ngrams
    this.#widths = widthsOf(what, ngrams)
    if (outputSequenceLength !== null && this.outputMode !== 'int')
      throw new ValueError(
        `${what}: outputSequenceLength is for outputMode "int", which is ${show(this.outputMode)}`,
      )
    this.outputSequenceLength =
      outputSequenceLength === null ? null : checkCount(what, 'outputSequenceLength', outputSequenceLength)
    const { vocabulary, idfWeights, maxTokens, padToMaxTokens } = options
    this.#tokens = new Vocabulary(what, STRINGS, this.outputMode, {
      vocabulary,
      idfWeights,
      maxTokens,
      padToMaxTokens,
      maskToken: '',
    })
  }

  /** The tokens by their ids: for int '' (padding) first; '[UNK]'; then the known ones. */
  getVocabulary(): string[] {
    return this.#tokens.all
  }

  /** How many ids there are: what an embedding of them needs. */
  vocabularySize(): number {
    return this.#tokens.size
  }

  /**
   * Takes the tokens of `data` as vocabulary: the most frequent first, of equally frequent ones the last in
   * alphabetical order first. Each text is a document.
   */
  adapt(data: StringData | ArrayColumn<string>): void {
    const what = `${this.label}: adapt`
    const { values, shape } = readData(what, data, 'strings')
    this.#checkShape(what, [...shape])
    this.#tokens.learn(this.#documents(values as readonly string[], shape))
  }

  /** The tokens of each text. */
  *#documents(values: readonly string[], shape: readonly number[]): Generator<readonly string[]> {
    const rows = this.#split === null ? rowsIn(values, shape) : values.map((text) => [text])
    for (const row of rows) yield this.#grouped(row.flatMap((text) => this.#parts(this.#standard(text))))
  }

  #standard(text: string): string {
    const how = this.#standardize
    if (typeof how === 'function') return checkString(`${this.label}: what standardize returned`, how(text))
    const lower = how === 'strip_punctuation' || how === null ? text : text.toLowerCase()
    return how === 'lower' || how === null ? lower : lower.replace(PUNCTUATION, '')
  }

  #parts(text: string): readonly string[] {
    const how = this.#split
    if (how === null) return [text]
    if (how === 'character') return Array.from(text)
    if (how === 'whitespace') return text.split(/\s+/u).filter((part) => part !== '')
    const parts: unknown = how(text)
    if (!Array.isArray(parts))
      throw new ValueError(`${this.label}: split must return a list of strings, got ${show(parts)}`)
    return parts.map((part) => checkString(`${this.label}: what split returned`, part))
  }

  #grouped(parts: readonly string[]): readonly string[] {
    if (this.#widths.length === 0) return parts
    return this.#widths.flatMap((n) =>
      Array.from({ length: Math.max(0, parts.length - n + 1) }, (_, i) => parts.slice(i, i + n).join(' ')),
    )
  }

  #checkShape(what: string, shape: Shape): void {
    const isFlat = shape.length === 1 || (shape.length === 2 && (this.#split === null || shape[1] === 1))
    if (!isFlat)
      throw new ShapeError(
        `${what}: expected one text for each row, [batch] or [batch, 1], got ${formatShape(shape)}`,
        { op: this.name, shapes: [shape] },
      )
  }

  override get takesStrings(): boolean {
    return true
  }

  override get inputDType(): DType {
    return 'string'
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (x!.dtype !== 'string')
      throw new DTypeError(
        `${this.label}: takes strings, got ${x!.dtype} of shape ${formatShape(x!.shape)}`,
        { op: this.name },
      )
    this.#checkShape(this.label, x!.shape)
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    const batch = x!.shape[0]!
    if (this.outputMode === 'int') return { shape: [batch, this.outputSequenceLength], dtype: 'int32' }
    return { shape: [batch, this.#tokens.width], dtype: this.dtype }
  }

  override call(x: Tensor<DType>): Tensor {
    this.#tokens.checkSet()
    const { outputMode } = this
    const rows = [...this.#documents(x.dataSync() as readonly string[], x.shape)].map((tokens, row) =>
      tokens.map((token) => this.#tokens.idOf(token, () => `row ${row}`)),
    )
    const width = this.outputSequenceLength ?? rows.reduce((most, ids) => Math.max(most, ids.length), 0)
    const ids = new Int32Array(rows.length * width).fill(outputMode === 'int' ? 0 : -1)
    rows.forEach((row, i) => {
      ids.set(row.slice(0, width), i * width)
    })
    const shape = [rows.length, width]
    return outputMode === 'int'
      ? fromHost(ids, shape, 'int32')
      : encoded(ids, shape, outputMode, this.#tokens.width!, this.dtype, this.#tokens.idf)
  }

  override getConfig(): Record<string, unknown> {
    const { numOovIndices: _, maskToken: _m, ...vocabulary } = this.#tokens.config
    return {
      ...super.getConfig(),
      standardize: this.#standardize,
      split: this.#split,
      ngrams: this.#ngrams,
      outputMode: this.outputMode,
      outputSequenceLength: this.outputSequenceLength,
      ...vocabulary,
    }
  }
}

const WIDTH = {
  holds: (n: number) => Number.isInteger(n) && n >= 1 && n <= 100,
  words: 'whole numbers from 1 to 100',
}

/** What is done by a function, or not at all. */
function isOwn<F>(option: F): option is Extract<F, null | ((...args: never[]) => unknown)> {
  return option === null || typeof option === 'function'
}

function widthsOf(what: string, ngrams: unknown): readonly number[] {
  if (ngrams === null) return []
  const check = (n: unknown): number => checkNumber(what, 'ngrams', n, WIDTH)
  if (Array.isArray(ngrams) && ngrams.length > 0) return ngrams.map(check)
  const most = check(ngrams)
  return Array.from({ length: most }, (_, i) => i + 1)
}

type TextShape<M extends string, L extends number> = [M] extends ['int'] ? readonly [L] : readonly [number]

export interface TextVectorization<N extends string, M extends TextOutputMode, L extends number> {
  <X extends Sym.Str | Tensor<'string'>>(
    x: X,
    options?: CallOptions,
  ): X extends Sym.Any ? SymbolicTensor<TextShape<M, L>, EncodedDType<M>, N> : Tensor<EncodedDType<M>>
}

/**
 * Turns texts, [batch] or [batch, 1], into ids, [batch, length], or into one vector for each text, [batch, ids]: text is
 * standardized, split into tokens, these are joined to n-grams, and each gets its id. Letters of all scripts become
 * lower-case, and white space is that of Unicode (in Keras both are ASCII's alone); punctuation is ASCII's, as in Keras.
 * @throws ValueError, when called on data, before it has a vocabulary.
 * @example
 * const text = textVectorization({ outputSequenceLength: 4 })
 * text.adapt(['foo bar', 'bar baz', 'baz bada boom'])
 * text(tensor([['foo qux bar']], { dtype: 'string' })) // [[4, 1, 3, 0]]
 */
export function textVectorization<
  const N extends string = string,
  const M extends TextOutputMode = 'int',
  const L extends number = number,
>(options: TextVectorizationOptions<N, M, L> = {}): TextVectorization<N, M, L> {
  return new TextVectorization<N, M, L>(options)
}
