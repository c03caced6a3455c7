import type { NumericData } from '../types.js'
import type { ArrayColumn } from './adapt-data.js'
import {
  Lookup,
  LOOKUP_OPTIONS,
  type LookupCall,
  type LookupOptions,
  type LookupOutputMode,
} from './lookup.js'
import { type VocabularyOptions, WHOLE_NUMBERS } from './vocabulary.js'

/** Options of {@link integerLookup}. */
export interface IntegerLookupOptions<
  N extends string = string,
  M extends LookupOutputMode = LookupOutputMode,
  I extends boolean = boolean,
>
  extends LookupOptions<N, M, I>, VocabularyOptions<number> {}

/** Ids for whole numbers: first the mask token's, then those of unknown numbers, then the vocabulary's. */
export class IntegerLookup<
  N extends string = string,
  out M extends LookupOutputMode = 'int',
  out I extends boolean = false,
> extends Lookup<number, N, M, I> {
  static override readonly optionNames: readonly string[] = LOOKUP_OPTIONS

  constructor(options: IntegerLookupOptions<N, M, I> = {}) {
    super(options, WHOLE_NUMBERS)
  }

  protected override token(what: string, value: unknown): number {
    return WHOLE_NUMBERS.check(what, value)
  }

  /**
   * Takes the numbers of `data` as vocabulary: the most frequent first, of equally frequent ones the largest. For
   * tf_idf each row is a document.
   */
  adapt(data: NumericData | ArrayColumn<number>): void {
    this.learn(data)
  }
}

export interface IntegerLookup<
  N extends string,
  M extends LookupOutputMode,
  I extends boolean,
> extends LookupCall<'int32', N, M, I> {}

/**
 * Turns whole numbers into ids, for an embedding, or into vectors (`outputMode`), or ids back into numbers (`invert`).
 * Unknown numbers get id 0 or, with `numOovIndices`, one of the first ids by their remainder.
 * @throws ValueError, when called on data, before it has a vocabulary.
 * @example integerLookup({ vocabulary: [12, 36] })(tensor([[36, 5]])) // [[2, 0]]
 */
export function integerLookup<
  const N extends string = string,
  const M extends LookupOutputMode = 'int',
  const I extends boolean = false,
>(options: IntegerLookupOptions<N, M, I> = {}): IntegerLookup<N, M, I> {
  return new IntegerLookup<N, M, I>(options)
}
