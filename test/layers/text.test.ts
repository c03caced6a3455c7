import {
  dense,
  DTypeError,
  embedding,
  hashing,
  input,
  integerLookup,
  loadModel,
  model,
  type Model,
  registerFunction,
  ShapeError,
  stringLookup,
  type Tensor,
  tensor,
  textVectorization,
  ValueError,
} from '@adjoint/layers'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly name: string
  readonly input: { readonly adapt: string[]; readonly x: string[][] }
  readonly expected: unknown
}
const facts = readOracle<Fact[]>('facts.json').filter((fact) => fact.name.startsWith('TextVectorization'))

const words = (x: unknown): Tensor<'string'> => tensor(x as string[], { dtype: 'string' })
const reloaded = async (m: Model): Promise<Model> => loadModel(await m.toBytes())

// The bits of published hashes are looked at in pieces of 20: no two 64-bit numbers are alike in all of these.
const PRIMES = [1_000_003, 999_983, 999_979, 999_961]
const remainders = (hash: bigint): number[] => PRIMES.map((p) => Number(hash % BigInt(p)))
const binsOf = (text: string, salt?: readonly [number, number]): number[] =>
  PRIMES.map(
    (p) => (hashing(p, salt === undefined ? {} : { salt })(words([text])).arraySync() as number[])[0]!,
  )

describe('hashing', () => {
  const letters = words([['A'], ['B'], ['C'], ['D'], ['E']])

  it('gives the bins that Keras documents', () => {
    expect(hashing(3)(letters).arraySync()).toEqual([[1], [0], [1], [1], [2]])
    const masked = words([['A'], ['B'], [''], ['C'], ['D']])
    expect(hashing(3, { maskValue: '' })(masked).arraySync()).toEqual([[1], [1], [0], [2], [2]])
    expect(hashing(3, { salt: [133, 137] })(letters).arraySync()).toEqual([[1], [2], [1], [0], [2]])
    expect(hashing(3, { salt: 133 })(letters).arraySync()).toEqual([[0], [0], [2], [1], [0]])
  })

  // Computed by farmhash-modern 1.1.0 (FarmHash compiled from Rust), one for each way through the function.
  it.each([
    [0, 0x9ae16a3b2f90404fn],
    [1, 0xb3454265b6df75e3n],
    [3, 0x24a5b3a074e7f369n],
    [4, 0x1a5502de4a1f8101n],
    [7, 0x3c40c92b1ccb7355n],
    [8, 0xfee9d22990c82909n],
    [16, 0x434b165a86bf0e2en],
    [17, 0xf1e317a6c7edf601n],
    [32, 0xb8d6b155b4ab7c73n],
    [33, 0xbc0972cb1a226b84n],
    [64, 0x709ee62e81877c19n],
    [65, 0xa7ca9a64cec63fb0n],
    [129, 0xf4e138a79971e50en],
    [200, 0x8cc69484a528a67fn],
  ])('is FarmHash for %s bytes', (n, hash) => {
    expect(binsOf('abcdefghij'.repeat(20).slice(0, n))).toEqual(remainders(hash))
  })

  it('is FarmHash of UTF-8', () => {
    expect(binsOf('日本😀')).toEqual(remainders(0x8e286d5bdd154ac0n))
  })

  it('is SipHash-2-4 with a salt', () => {
    // What is known for no bytes and the key 0; Keras' examples above have other keys.
    expect(binsOf('', [0, 0])).toEqual(remainders(0x1e924b9d737700d7n))
  })

  it('hashes whole numbers as their decimal digits', () => {
    const layer = hashing(1009)
    expect(layer(tensor([[12, -3]])).arraySync()).toEqual(layer(words([['12', '-3']])).arraySync())
    expect(() => layer(tensor([[0.5]]))).toThrow(
      /hashing \(Hashing\): the input holds 0.5, which is no whole number/,
    )
  })

  it('gives vectors', () => {
    const x = words([['A', 'B', 'A']])
    expect(hashing(3, { outputMode: 'count' })(x).arraySync()).toEqual([[1, 2, 0]])
    expect(hashing(3, { outputMode: 'multiHot' })(x).arraySync()).toEqual([[1, 1, 0]])
    expect(hashing(3, { outputMode: 'one_hot' })(letters).shape).toEqual([5, 3])
  })

  it('checks its options', () => {
    expect(() => hashing(0)).toThrow(/numBins must be a whole number >= 1, got 0/)
    expect(() => hashing(3, { salt: -1 })).toThrow(/salt must be/)
    expect(() => hashing(3, { maskValue: 0.5 })).toThrow(/maskValue must be/)
    expect(() => hashing(3, { outputMode: 'tf_idf' as never })).toThrow(ValueError)
  })
})

describe('lookups', () => {
  it('spread unknown strings over their ids by FarmHash, as Keras does', () => {
    const count = 1_000_003
    const lookup = stringLookup({ vocabulary: ['known'], numOovIndices: count })
    const text = 'abcdefghij'.repeat(20).slice(0, 65)
    expect(lookup(words([[text]])).arraySync()).toEqual([[Number(0xa7ca9a64cec63fb0n % BigInt(count))]])
  })

  it('weigh by given frequencies; unknown strings weigh as much as the mean', () => {
    const layer = stringLookup({
      vocabulary: ['earth', 'wind', 'and', 'fire'],
      idfWeights: [0.4, 0.25, 0.75, 0.6],
      outputMode: 'tf_idf',
      dtype: 'float64',
    })
    const x = words([
      ['earth', 'wind', 'and', 'earth'],
      ['ohio', 'fire', 'earth', 'michigan'],
    ])
    expect(layer(x).arraySync()).toEqual([
      [0, 0.8, 0.25, 0.75, 0],
      [1, 0.4, 0, 0, 0.6],
    ])
    expect(stringLookup({ ...layer.getConfig(), dtype: 'float64' })(x).arraySync()).toEqual(
      layer(x).arraySync(),
    )
  })

  it('learn how rare tokens are: log(1 + rows / (1 + rows with it))', () => {
    const layer = stringLookup({ outputMode: 'tfIdf', dtype: 'float64' })
    layer.adapt([
      ['a', 'b', 'a'],
      ['a', 'c', 'c'],
    ])
    expect(layer.getVocabulary()).toEqual(['[UNK]', 'a', 'c', 'b'])
    const [a, c] = [Math.log(1 + 2 / 3), Math.log(1 + 2 / 2)]
    expect(layer(words([['a', 'c', 'c']])).arraySync()).toEqual([[0, a, 2 * c, 0]])
    expect(layer(words([['?']])).dataSync()[0]).toBeCloseTo((a + c + c) / 3, 15)
  })

  it('leave the mask token out of vectors, and have no id for it there', () => {
    const layer = stringLookup({ vocabulary: ['a'], maskToken: '', outputMode: 'count' })
    expect(layer.getVocabulary()).toEqual(['[UNK]', 'a'])
    expect(layer(words([['a', '', 'x', '']])).arraySync()).toEqual([[1, 1]])
  })

  it('turn ids back into tokens', () => {
    const options = { vocabulary: ['a', 'b'], maskToken: '' }
    const x = words([['b', '', '?', 'a']])
    const back = stringLookup({ ...options, invert: true })
    expect(back(stringLookup(options)(x)).arraySync()).toEqual([['b', '', '[UNK]', 'a']])
    expect(() => back(tensor([[4]]))).toThrow(
      /id 4 in row 0 is out of range; ids are whole numbers in 0\.\.3/,
    )
    expect(() => stringLookup({ invert: true, outputMode: 'count' })).toThrow(/no outputMode/)
    const numbers = integerLookup({ vocabulary: [7, 9], invert: true })
    expect(numbers(tensor([[2, 0]])).arraySync()).toEqual([[9, -1]])
  })

  it('learn no more than maxTokens, and make vectors of that length if told to', () => {
    const layer = stringLookup({ maxTokens: 3, outputMode: 'multi_hot' })
    layer.adapt(['a', 'b', 'b', 'c', 'c', 'c'])
    expect(layer.getVocabulary()).toEqual(['[UNK]', 'c', 'b'])
    const padded = integerLookup({ maxTokens: 5, outputMode: 'count', padToMaxTokens: true })
    expect(padded(input({ shape: [3] })).shape).toEqual([5])
    padded.adapt([4, 4, 2])
    expect(padded(tensor([[2, 4, 9]])).arraySync()).toEqual([[1, 1, 1, 0, 0]])
    expect(() => stringLookup({ maxTokens: 2, vocabulary: ['a', 'b'] })).toThrow(
      /makes 3 ids, and maxTokens is 2/,
    )
    expect(() => stringLookup({ maxTokens: 1 })).toThrow(/maxTokens must be a whole number from 2 up/)
    expect(() => stringLookup({ padToMaxTokens: true, outputMode: 'count' })).toThrow(/needs maxTokens/)
  })

  it('learn from arrays, typed arrays, tensors and columns alike', () => {
    const values = [3, 1, 3]
    const column = { toArray: () => values }
    for (const data of [values, Float64Array.from(values), tensor(values, { dtype: 'int32' }), column]) {
      const layer = integerLookup()
      layer.adapt(data)
      expect(layer.getVocabulary()).toEqual([-1, 3, 1])
    }
    const strings = stringLookup()
    strings.adapt({ toArray: () => ['x'] })
    expect(strings.getVocabulary()).toEqual(['[UNK]', 'x'])
    strings.adapt(words([['y'], ['x'], ['x']]))
    expect(strings.getVocabulary()).toEqual(['[UNK]', 'x', 'y'])
  })

  test.prop([
    fc.array(fc.array(fc.constantFrom('a', 'b', 'c', '?'), { minLength: 3, maxLength: 3 }), { minLength: 1 }),
  ])('count what occurs: one_hot summed over a row, and multi_hot where that is not 0', (rows) => {
    const vocabulary = ['a', 'b', 'c']
    const x = words(rows)
    const hot = stringLookup({ vocabulary, outputMode: 'one_hot' })(x)
    const count = stringLookup({ vocabulary, outputMode: 'count' })(x)
    expect(hot.sum(1).arraySync()).toEqual(count.arraySync())
    const multi = stringLookup({ vocabulary, outputMode: 'multi_hot' })(x)
    expect(multi.arraySync()).toEqual(
      (count.arraySync() as number[][]).map((r) => r.map((n) => Math.min(n, 1))),
    )
  })
})

const shout = (text: string): string => text.toUpperCase()
const commas = (text: string): string[] => text.split(',')
registerFunction('test-shout', shout)
registerFunction('test-commas', commas)

describe('textVectorization', () => {
  it.each(facts)('as Keras documents it: $name', ({ input: { adapt, x }, expected }) => {
    const layer = textVectorization({ outputSequenceLength: 4 })
    layer.adapt(adapt)
    expect(layer(words(x)).arraySync()).toEqual(expected)
  })

  it('has a vocabulary with padding and unknown tokens in front', () => {
    const layer = textVectorization({ vocabulary: ['earth', 'wind', 'and', 'fire'] })
    expect(layer.getVocabulary()).toEqual(['', '[UNK]', 'earth', 'wind', 'and', 'fire'])
    expect(layer.vocabularySize()).toBe(6)
  })

  it.each([
    ['lower_and_strip_punctuation', ['hello', 'its', 'über', 'ас', '“x”']],
    ['lower', ['hello,', "it's", 'über', 'ас', '“x”']],
    ['strip_punctuation', ['Hello', 'Its', 'ÜBER', 'АС', '“X”']],
    [null, ['Hello,', "It's", 'ÜBER', 'АС', '“X”']],
  ] as const)('standardizes by %s', (standardize, tokens) => {
    const layer = textVectorization({ standardize, outputMode: 'count' })
    layer.adapt(["Hello, It's\tÜBER\n АС\u3000“X”"])
    expect(new Set(layer.getVocabulary().slice(1))).toEqual(new Set(tokens))
  })

  it('strips all punctuation of ASCII and nothing else', () => {
    const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')
    const layer = textVectorization({ standardize: 'strip_punctuation', split: 'character' })
    layer.adapt([ascii])
    expect(layer.getVocabulary().slice(2).toSorted().join('')).toBe(ascii.replace(/[^ 0-9A-Za-z]/g, ''))
  })

  it('splits characters by code points', () => {
    const layer = textVectorization({ split: 'character', standardize: null })
    layer.adapt(['a😀'])
    expect(layer(words(['😀a'])).shape).toEqual([1, 2])
  })

  it('joins tokens: up to n in a row, or so many', () => {
    const layer = textVectorization({ ngrams: 2, outputMode: 'multi_hot' })
    layer.adapt(['a b c'])
    expect(new Set(layer.getVocabulary())).toEqual(new Set(['[UNK]', 'a', 'b', 'c', 'a b', 'b c']))
    const pairs = textVectorization({ ngrams: [2], vocabulary: ['a b', 'b c'] })
    expect(pairs(words(['a b c', 'a'])).arraySync()).toEqual([
      [2, 3],
      [0, 0],
    ])
    // Shorter ones come first, as in TensorFlow.
    const ordered = textVectorization({ ngrams: [1, 2], vocabulary: ['a', 'b', 'a b'] })
    expect(ordered(words(['a b'])).arraySync()).toEqual([[2, 3, 4]])
  })

  it('pads to the longest text, or cuts and pads to a length', () => {
    const options = { vocabulary: ['a', 'b'] }
    const x = words([['a b a'], ['b'], ['']])
    expect(textVectorization(options)(x).arraySync()).toEqual([[2, 3, 2], [3, 0, 0], [0, 0, 0]]) // prettier-ignore
    expect(textVectorization({ ...options, outputSequenceLength: 2 })(x).arraySync()).toEqual([[2, 3], [3, 0], [0, 0]]) // prettier-ignore
  })

  it('makes one vector of each text', () => {
    const options = { vocabulary: ['a', 'b'] }
    const x = words(['a b a', 'z'])
    expect(textVectorization({ ...options, outputMode: 'multi_hot' })(x).arraySync()).toEqual([[0, 1, 1], [1, 0, 0]]) // prettier-ignore
    expect(textVectorization({ ...options, outputMode: 'count' })(x).arraySync()).toEqual([[0, 2, 1], [1, 0, 0]]) // prettier-ignore
    const weighted = textVectorization({ ...options, outputMode: 'tf_idf', idfWeights: [0.5, 0.25] })
    expect(weighted(x).arraySync()).toEqual([[0, 1, 0.25], [0.375, 0, 0]]) // prettier-ignore
  })

  it('takes tokens that are split already', () => {
    const layer = textVectorization({ split: null, vocabulary: ['new york', 'rome'] })
    expect(layer(words([['Rome', 'New York', 'x']])).arraySync()).toEqual([[3, 2, 1]])
  })

  it('works inside a model, which keeps it when saved, with functions by name', async () => {
    const text = input({ shape: [1], dtype: 'string', name: 'text' })
    const layer = textVectorization({
      standardize: shout,
      split: commas,
      outputSequenceLength: 3,
      maxTokens: 5,
    })
    layer.adapt(['a,b', 'b,ç'])
    const vectors = textVectorization({ vocabulary: ['a'], outputMode: 'count' })
    const m = model({
      inputs: text,
      outputs: [embedding(layer.vocabularySize(), 2)(layer(text)), dense(1)(vectors(text))],
    })
    const copy = await reloaded(m)
    const x = words([['b,ç,?,a'], ['']])
    const [ids, dots] = copy(x) as Tensor[]
    expect(ids!.arraySync()).toEqual(m(x)[0].arraySync())
    expect(dots!.arraySync()).toEqual(m(x)[1].arraySync())
  })

  it('checks its options and data', () => {
    expect(() => textVectorization({ standardize: 'uper' as never })).toThrow(/standardize must be/)
    expect(() => textVectorization({ split: 'words' as never })).toThrow(/split must be/)
    expect(() => textVectorization({ ngrams: 0 })).toThrow(
      /ngrams must be whole numbers from 1 to 100, got 0/,
    )
    expect(() => textVectorization({ outputMode: 'count', outputSequenceLength: 3 })).toThrow(
      /outputMode "int"/,
    )
    expect(() => textVectorization({ outputMode: 'one_hot' as never })).toThrow(ValueError)
    expect(() => textVectorization({ vocabulary: ['a', ''] })).toThrow(/"" out of its place/)
    expect(() => textVectorization()(words(['a']))).toThrow(/no vocabulary yet/)
    expect(() => textVectorization()(tensor([[1]]) as never)).toThrow(DTypeError)
    expect(() => textVectorization({ vocabulary: ['a'] })(words([['a', 'b']]))).toThrow(ShapeError)
    expect(() => {
      textVectorization().adapt(['', ' '])
    }).toThrow(/no strings to learn/)
    expect(() => {
      textVectorization({ split: (() => 'ab') as never }).adapt(['x'])
    }).toThrow(/split must return a list of strings/)
  })
})
