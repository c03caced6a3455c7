import {
  categoryEncoding,
  dense,
  DTypeError,
  embedding,
  flatten,
  fromRows,
  input,
  model,
  NonFiniteError,
  normalization,
  setFloatx,
  ShapeError,
  stringLookup,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
} from '@adjoint/layers'
import { fc, test } from '@fast-check/vitest'
import { afterEach, describe, expect, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

afterEach(() => {
  setFloatx('float32')
})

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
  readonly expected: unknown
}
const facts = readOracle<Fact[]>('facts.json').filter((fact) => fact.area === 'preprocessing')
const factsOf = (layer: string): Fact[] => facts.filter((fact) => fact.name.startsWith(`${layer} `))
const words = (values: unknown): Tensor<'string'> => tensor(values as string[][], { dtype: 'string' })

describe('normalization', () => {
  it.each(factsOf('Normalization'))(
    '$name, as in Keras',
    ({ input: { adapt, x, mean, variance, invert }, expected }) => {
      const layer = normalization({
        ...(mean !== undefined && { mean: mean as number, variance: variance as number }),
        ...(invert === true && { invert }),
      })
      if (adapt !== undefined) layer.adapt(adapt as number[][])
      const out = layer(tensor(x as number[][])).arraySync() as number[][]
      out.flat().forEach((value, i) => {
        expect(value).toBeCloseTo((expected as number[][]).flat()[i]!, 5)
      })
    },
  )

  it('has the weights that Keras counts: mean, variance and a count', () => {
    const layer = normalization()
    layer.adapt([
      [1, 10],
      [3, 30],
    ])
    expect(layer.weights.map((w) => [w.name, w.shape, w.dtype])).toEqual([
      ['mean', [2], 'float32'],
      ['variance', [2], 'float32'],
      ['count', [], 'int32'],
    ])
    expect(layer.countParams()).toBe(5)
    expect(layer.trainableWeights).toEqual([])
    expect(layer.mean.arraySync()).toEqual([2, 20])
    expect(layer.variance.arraySync()).toEqual([1, 100])
    expect(normalization({ mean: 1, variance: 2 }).weights).toEqual([])
  })

  it('reads what it was given', () => {
    const layer = normalization({ mean: [1, 2], variance: [3, 4] })
    expect(layer.mean.arraySync()).toEqual([1, 2])
    expect(layer.variance.arraySync()).toEqual([3, 4])
    expect(layer(tensor([[1, 4]])).arraySync()).toEqual([[0, 1]])
  })

  it('is built into graphs before it is adapted, and is an error on data', () => {
    const layer = normalization({ name: 'norm' })
    const x = input({ shape: [2] })
    const m = model({ inputs: x, outputs: layer(x) })
    for (const use of [() => m(tensor([[1, 2]])), () => layer.mean, () => layer.variance])
      expect(use).toThrow(
        /norm \(Normalization\): .* not known yet; call adapt\(data\) first, or give mean and variance/,
      )
    layer.adapt([
      [1, 2],
      [3, 4],
    ])
    expect((m(tensor([[1, 4]])) as Tensor).arraySync()).toEqual([[-1, 1]])
  })

  it('is adapted by weights that are set, as from a file', () => {
    const from = normalization()
    from.adapt([[1], [3]])
    const to = normalization()
    to(input({ shape: [1] }))
    to.setWeights(from.getWeights())
    expect(to(tensor([[3]])).arraySync()).toEqual([[1]])
  })

  it('is adapted again to other data of the same width', () => {
    const layer = normalization()
    layer.adapt([[1], [3]])
    layer.adapt([[10], [10]])
    expect(layer(tensor([[10]])).arraySync()).toEqual([[0]])
    expect(() => {
      layer.adapt([[1, 2]])
    }).toThrow(ShapeError)
    expect(layer.mean.arraySync()).toEqual([10])
  })

  it('takes a flat list as a column, typed arrays, tensors and booleans', () => {
    for (const data of [
      [1, 3],
      new Float32Array([1, 3]),
      tensor([1, 3]),
      tensor([[1], [3]], { dtype: 'int32' }),
    ]) {
      const layer = normalization()
      layer.adapt(data)
      expect(layer.mean.arraySync()).toEqual([2])
    }
    const flags = normalization()
    flags.adapt([[true], [false]])
    expect(flags.mean.arraySync()).toEqual([0.5])
  })

  it('keeps other axes, or none', () => {
    const data = [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
    ]
    const all = normalization({ axis: null })
    all.adapt(data)
    expect(all.mean.arraySync()).toBe(4.5)
    expect(all.variance.arraySync()).toBe(5.25)
    const rows = normalization({ axis: 1 })
    rows.adapt(data)
    expect(rows.mean.arraySync()).toEqual([3.5, 5.5])
    const cells = normalization({ axis: [1, 2] })
    cells.adapt(data)
    expect(cells.mean.arraySync()).toEqual([
      [3, 4],
      [5, 6],
    ])
    expect((cells(tensor(data)).arraySync() as number[][][])[0]).toEqual([
      [-1, -1],
      [-1, -1],
    ])
  })

  it('gives 0 for a constant feature', () => {
    const layer = normalization()
    layer.adapt([[7], [7]])
    expect(layer(tensor([[7]])).arraySync()).toEqual([[0]])
  })

  test.prop([
    fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 2, maxLength: 40 }),
    fc.integer({ min: 0, max: 12 }),
  ])('loses no precision to an offset', (values, digits) => {
    const offset = 10 ** digits
    const shifted = values.map((v) => v + offset)
    // The shifted values as they were rounded, less the offset: exact differences of doubles nearby.
    const exact = shifted.map((v) => v - offset)
    const mean = exact.reduce((s, v) => s + v, 0) / exact.length
    const variance = exact.reduce((s, v) => s + (v - mean) ** 2, 0) / exact.length
    const layer = normalization({ dtype: 'float64' })
    layer.adapt(shifted)
    const ulp = offset * 2 ** -52
    expect(Math.abs(layer.mean.dataSync()[0]! - offset - mean)).toBeLessThanOrEqual(2 * ulp + 1e-15)
    expect(Math.abs(layer.variance.dataSync()[0]! - variance)).toBeLessThanOrEqual(
      1e-12 * variance + ulp * ulp * 4 + 1e-30,
    )
  })

  it('refuses what it cannot learn from', () => {
    const layer = normalization()
    const bad: [unknown, new (...args: never[]) => Error, RegExp][] = [
      [[], ValueError, /no rows/],
      [[[1], [NaN]], NonFiniteError, /adapt: NaN in row 1/],
      [
        [
          [1, 2],
          [3, Infinity],
        ],
        NonFiniteError,
        /Infinity in row 1 \(place 1 in it\)/,
      ],
      [[['a']], DTypeError, /string/],
      [[[1], [1, 2]], ShapeError, /ragged/],
      ['abc', ValueError, /"abc"/],
      [5, ValueError, /5/],
      [tensor(3), ShapeError, /rows/],
    ]
    for (const [data, kind, message] of bad) {
      const adapt = (): void => {
        layer.adapt(data as number[])
      }
      expect(adapt).toThrow(kind)
      expect(adapt).toThrow(message)
      expect(layer.built).toBe(false)
    }
    expect(() => {
      normalization({ mean: 1, variance: 1 }).adapt([1])
    }).toThrow(/nothing to adapt/)
  })

  it.each([
    [
      'columns of rows',
      fromRows(
        [
          { a: 1, b: 5 },
          { a: 3, b: 9 },
        ],
        { x: { kind: 'numeric', from: ['a', 'b'] } },
      ).x,
    ],
    ['columns of typed rows', { toArray: () => [Float32Array.of(1, 5), Float32Array.of(3, 9)] }],
    ['an array and its shape', { data: [1, 5, 3, 9], shape: [2, 2] }],
  ])('learns from %s', (_, data) => {
    const layer = normalization()
    layer.adapt(data)
    expect([...layer.mean.dataSync()]).toEqual([2, 7])
    expect([...layer.variance.dataSync()]).toEqual([1, 4])
  })

  it('learns from one column, and from flat data of one side', () => {
    for (const data of [{ toArray: () => [1, 3] }, { data: Float32Array.of(1, 3), shape: [2] }]) {
      const layer = normalization()
      layer.adapt(data)
      expect([...layer.mean.dataSync(), ...layer.variance.dataSync()]).toEqual([2, 1])
    }
  })

  it('names what is wrong with a column', () => {
    const layer = normalization({ name: 'scale' })
    expect(() => {
      layer.adapt({ toArray: () => [1, Number.NaN] })
    }).toThrow(/scale .*NaN in row 1/)
    expect(() => {
      layer.adapt({ data: [1, 2, 3], shape: [2, 2] })
    }).toThrow(/scale .*3 values do not fill/)
    expect(layer.built).toBe(false)
  })

  it('checks its options', () => {
    expect(() => normalization({ mean: 1 })).toThrow(/variance is missing/)
    expect(() => normalization({ mean: 1, variance: -1 })).toThrow(
      /variance must be finite and at least 0, got -1/,
    )
    expect(() => normalization({ mean: [1, 2], variance: [1] })).toThrow(/as many/)
    expect(() => normalization({ axis: 0.5 })).toThrow(ValueError)
    expect(() => normalization({ axis: 0 })(tensor([[1]]))).toThrow(/is the batch/)
    expect(() => normalization({ axis: 3 })(tensor([[1]]))).toThrow(/axis 3 is out of range/)
    expect(() => normalization({ mean: [1, 2], variance: [1, 2] })(tensor([[1]]))).toThrow(ShapeError)
    expect(() => normalization()(input({ shape: [null] }))).toThrow(/axis 1 of \[null,null\] must be known/)
  })
})

describe('stringLookup', () => {
  it.each(factsOf('StringLookup').filter((fact) => !/one_hot|multi_hot|count/.test(fact.name)))(
    '$name, as in Keras',
    ({ name, input: { vocabulary, adapt, x }, expected }) => {
      const layer = stringLookup(vocabulary === undefined ? {} : { vocabulary: vocabulary as string[] })
      if (adapt !== undefined) layer.adapt(adapt as string[][])
      if (name.includes('vocabulary order')) expect(layer.getVocabulary()).toEqual(expected)
      else expect(layer(words(x)).arraySync()).toEqual(expected)
    },
  )

  it.each(factsOf('StringLookup').filter((fact) => /one_hot|multi_hot|count/.test(fact.name)))(
    '$name, and so does a category encoding behind it',
    ({ input: { vocabulary, x, outputMode }, expected }) => {
      const mode = outputMode as 'one_hot' | 'multi_hot' | 'count'
      const direct = stringLookup({ vocabulary: vocabulary as string[], outputMode: mode })
      expect(direct(words(x)).arraySync()).toEqual(expected)
      const lookup = stringLookup({ vocabulary: vocabulary as string[] })
      const encode = categoryEncoding({
        numTokens: lookup.vocabularySize(),
        outputMode: outputMode as 'one_hot' | 'multi_hot' | 'count',
      })
      expect(encode(lookup(words(x))).arraySync()).toEqual(expected)
    },
  )

  it('gives int32 ids and no gradient', () => {
    const lookup = stringLookup({ vocabulary: ['a', 'b'] })
    const ids = lookup(words([['b'], ['?']]))
    expect(ids.dtype).toBe('int32')
    expect(ids.shape).toEqual([2, 1])
    expect(lookup.weights).toEqual([])
    const table = embedding(lookup.vocabularySize(), 2)
    table(ids)
    const { grads } = valueAndGrads(() => table(lookup(words([['b']]))).sum(), table.weights)
    expect(grads[0]!.arraySync()).toEqual([
      [0, 0],
      [0, 0],
      [1, 1],
    ])
  })

  it('works inside a graph', () => {
    const city = input({ shape: [1], dtype: 'string', name: 'city' })
    const lookup = stringLookup({ vocabulary: ['oslo', 'paris'] })
    const m = model({ inputs: city, outputs: dense(1)(flatten()(embedding(3, 2)(lookup(city)))) })
    const rome = m(words([['rome']])).arraySync()
    expect(m(words([['lima']])).arraySync()).toEqual(rome)
    expect(m(words([['oslo']])).arraySync()).not.toEqual(rome)
    expect(() => m(tensor([[1]]) as never)).toThrow(DTypeError)
    expect(() => m(tensor([[1]]) as never)).toThrow(/input "city" expects string, got float32/)
  })

  it('is built into graphs before it has a vocabulary, and is an error on data', () => {
    const lookup = stringLookup({ name: 'cities' })
    const city = input({ shape: [1], dtype: 'string' })
    const m = model({ inputs: city, outputs: lookup(city) })
    expect(lookup.vocabularySize()).toBe(1)
    expect(() => m(words([['a']]))).toThrow(/cities \(StringLookup\): it has no vocabulary yet; call adapt/)
    lookup.adapt(['a'])
    expect(m(words([['a']])).arraySync()).toEqual([[1]])
  })

  it('puts the mask token first and the ids of unknown strings behind it', () => {
    const lookup = stringLookup({ vocabulary: ['a'], maskToken: '', numOovIndices: 2 })
    expect(lookup.getVocabulary()).toEqual(['', '[UNK]', '[UNK]', 'a'])
    const ids = lookup(words([['', 'a', 'x']])).arraySync() as number[][]
    expect(ids[0]!.slice(0, 2)).toEqual([0, 3])
    expect([1, 2]).toContain(ids[0]![2])
  })

  it('spreads unknown strings evenly', () => {
    const lookup = stringLookup({ vocabulary: ['a'], numOovIndices: 4 })
    const many = lookup(words([Array.from({ length: 4000 }, (_, i) => `item ${i}`)])).dataSync()
    const counts = [0, 1, 2, 3].map((id) => many.filter((v) => v === id).length)
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(750))
  })

  it('without ids for unknown strings they are an error with their row', () => {
    const lookup = stringLookup({ vocabulary: ['a', 'b'], numOovIndices: 0 })
    expect(lookup.getVocabulary()).toEqual(['a', 'b'])
    expect(lookup(words([['b']])).arraySync()).toEqual([[1]])
    expect(() => lookup(words([['a'], ['c']]))).toThrow(/"c" in row 1 is not in the vocabulary/)
  })

  it('takes back its own vocabulary', () => {
    const first = stringLookup({ maskToken: '-' })
    first.adapt([['b', 'b', 'a', '-', '[UNK]']])
    expect(first.getVocabulary()).toEqual(['-', '[UNK]', 'b', 'a'])
    const second = stringLookup({ maskToken: '-', vocabulary: first.getVocabulary() })
    expect(second.getVocabulary()).toEqual(first.getVocabulary())
  })

  it('orders equally frequent strings by code point, backwards', () => {
    const lookup = stringLookup()
    lookup.adapt(['ﬀ', '😀', 'a', 'ab', ''])
    expect(lookup.getVocabulary()).toEqual(['[UNK]', '😀', 'ﬀ', 'ab', 'a', ''])
  })

  test.prop([fc.array(fc.string({ unit: 'binary' }), { minLength: 1 })])(
    'finds every string that it learned',
    (values) => {
      const lookup = stringLookup()
      const known = values.filter((v) => v !== '[UNK]')
      fc.pre(known.length > 0)
      lookup.adapt(values)
      const vocabulary = lookup.getVocabulary()
      const ids = [...lookup(words(known)).dataSync()]
      expect(ids.map((id) => vocabulary[id])).toEqual(known)
      expect(new Set(vocabulary).size).toBe(vocabulary.length)
    },
  )

  it('knows strings that are special to JavaScript', () => {
    const lookup = stringLookup({ vocabulary: ['__proto__', 'constructor'] })
    expect(lookup(words([['constructor', 'toString', '__proto__']])).arraySync()).toEqual([[2, 0, 1]])
  })

  it('checks its options and data', () => {
    expect(() => stringLookup({ vocabulary: [] })).toThrow(/empty/)
    expect(() => stringLookup({ vocabulary: ['a', 'a'] })).toThrow(/"a" twice \(at index 1\)/)
    expect(() => stringLookup({ vocabulary: ['a', '[UNK]'] })).toThrow(/"\[UNK\]" out of its place/)
    expect(() => stringLookup({ vocabulary: [1] as never })).toThrow(DTypeError)
    expect(() => stringLookup({ vocabulary: 'ab' as never })).toThrow(ValueError)
    expect(() => stringLookup({ numOovIndices: -1 })).toThrow(/numOovIndices/)
    expect(() => stringLookup({ maskToken: 0 as never })).toThrow(/maskToken/)
    expect(() => {
      stringLookup().adapt([1, 2] as never)
    }).toThrow(DTypeError)
    expect(() => {
      stringLookup().adapt([])
    }).toThrow(/no strings/)
    expect(() => stringLookup()(tensor([[1]]) as never)).toThrow(
      /looks up strings, got float32 of shape \[1,1\]/,
    )
    expect(() => stringLookup()(input({ shape: [1] }) as never)).toThrow(DTypeError)
    expect(() => dense(1)(words([['a']]) as never)).toThrow(/Dense/)
  })
})

describe('categoryEncoding', () => {
  it.each(factsOf('CategoryEncoding'))(
    '$name, as in Keras',
    ({ input: { x, numTokens, outputMode, countWeights }, expected }) => {
      const layer = categoryEncoding({ numTokens: numTokens as number, outputMode: outputMode as 'count' })
      const ids = tensor(x as number[][])
      if (countWeights === undefined) expect(layer(ids).arraySync()).toEqual(expected)
      else {
        const weights = tensor(countWeights as number[][])
        const flat = (expected as number[][]).flat().map(Math.fround)
        expect([...layer(ids, weights).dataSync()]).toEqual(flat)
        const [i, w] = [input({ shape: [2] }), input({ shape: [2] })]
        const m = model({ inputs: [i, w], outputs: layer(i, w) })
        expect([...m([ids, weights]).dataSync()]).toEqual(flat)
        expect(() => layer(ids, tensor([[1]]))).toThrow(/needs a weight for each id/)
        const hot = categoryEncoding({ numTokens: 4 })
        // @ts-expect-error only counts are weighted
        expect(() => hot(ids, weights)).toThrow(/weights are for outputMode "count"/)
      }
    },
  )

  it('takes batches of single ids with and without an axis for them', () => {
    for (const ids of [tensor([0, 2]), tensor([[0], [2]])])
      for (const outputMode of ['one_hot', 'multi_hot', 'count'] as const)
        expect(categoryEncoding({ numTokens: 3, outputMode })(ids).arraySync()).toEqual([
          [1, 0, 0],
          [0, 0, 1],
        ])
  })

  it('keeps the axes of several ids in one_hot, and counts them otherwise', () => {
    const ids = tensor([[0, 1, 1]], { dtype: 'int32' })
    const encoded = (outputMode: 'one_hot' | 'multi_hot' | 'count'): unknown =>
      categoryEncoding({ numTokens: 2, outputMode })(ids).arraySync()
    expect(encoded('one_hot')).toEqual([
      [
        [1, 0],
        [0, 1],
        [0, 1],
      ],
    ])
    expect(encoded('multi_hot')).toEqual([[1, 1]])
    expect(encoded('count')).toEqual([[1, 2]])
  })

  it('is multi_hot unless told otherwise, as in Keras', () => {
    expect(categoryEncoding({ numTokens: 2 }).outputMode).toBe('multi_hot')
  })

  it('refuses ids out of range with their row', () => {
    const layer = categoryEncoding({ numTokens: 3, name: 'mood' })
    for (const id of [3, -1, 0.5, NaN])
      expect(() =>
        layer(
          tensor([
            [0, 1],
            [2, id],
          ]),
        ),
      ).toThrow(/mood \(CategoryEncoding\): id .* in row 1 .*0\.\.2/)
  })

  it('checks its options', () => {
    expect(() => categoryEncoding({ numTokens: 0 })).toThrow(/numTokens must be a whole number >= 1, got 0/)
    expect(() => categoryEncoding({ numTokens: 2, outputMode: 'onehot' as never })).toThrow(
      /Did you mean "one_hot"/,
    )
    expect(() => categoryEncoding({ numTokens: 2, sparse: true } as never)).toThrow(/unknown option "sparse"/)
  })
})
