import type { StringData } from '../types.js'
import type { ArrayColumn } from './adapt-data.js'
import { fingerprint64 } from './hash.js'
import {
  Lookup,
  LOOKUP_OPTIONS,
  type LookupCall,
  type LookupOptions,
  type LookupOutputMode,
} from './lookup.js'
import { checkString, compareCodePoints, type TokenKind, type VocabularyOptions } from './vocabulary.js'

/** Options of {@link stringLookup}. */
export interface StringLookupOptions<
  N extends string = string,
  M extends LookupOutputMode = LookupOutputMode,
  I extends boolean = boolean,
>
  extends LookupOptions<N, M, I>, VocabularyOptions<string> {}

/** Strings, of which unknown ones are spread by the hash that Keras uses. */
export const STRINGS: TokenKind<string> = {
  plural: 'strings',
  unknown: '[UNK]',
  check: checkString,
  bucket: (text, count) => Number(fingerprint64(text) % BigInt(count)),
  compare: compareCodePoints,
}

/** Ids for strings: first the mask token's, then those of unknown strings, then the vocabulary's. */
export class StringLookup<
  N extends string = string,
  out M extends LookupOutputMode = 'int',
  out I extends boolean = false,
> extends Lookup<string, N, M, I> {
  static override readonly optionNames: readonly string[] = LOOKUP_OPTIONS

  constructor(options: StringLookupOptions<N, M, I> = {}) {
    super(options, STRINGS)
  }

  protected override get holdsStrings(): boolean {
    return true
  }

  protected override token(what: string, value: unknown): string {
    return checkString(what, value)
  }

  /**
   * Takes the strings of `data` as vocabulary: the most frequent first, of equally frequent ones the last in
   * alphabetical order first, as Keras does. For tf_idf each row is a document.
   */
  adapt(data: StringData | ArrayColumn<string>): void {
    this.learn(data)
  }
}

export interface StringLookup<
  N extends string,
  M extends LookupOutputMode,
  I extends boolean,
> extends LookupCall<'string', N, M, I> {}

/**
 * Turns strings into ids, for an embedding, or into vectors (`outputMode`), or ids back into strings (`invert`).
 * Unknown strings get id 0 or, with `numOovIndices`, one of the first ids by a hash that is the same everywhere and in
 * Keras (FarmHash's Fingerprint64).
 * @throws ValueError, when called on data, before it has a vocabulary.
 * @example const lookup = stringLookup(); lookup.adapt(['a', 'b', 'a']); lookup(tensor([['a']], { dtype: 'string' }))
 */
export function stringLookup<
  const N extends string = string,
  const M extends LookupOutputMode = 'int',
  const I extends boolean = false,
>(options: StringLookupOptions<N, M, I> = {}): StringLookup<N, M, I> {
  return new StringLookup<N, M, I>(options)
}
