import { discretization, integerLookup, tensor } from '@adjoint/layers'
import { describe, expect, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly name: string
  readonly input: {
    readonly vocabulary?: readonly number[]
    readonly adapt?: number[][]
    readonly x?: number[][]
  }
  readonly expected: unknown
}
const facts = readOracle<Fact[]>('facts.json').filter((fact) => fact.name.startsWith('IntegerLookup'))

describe('integerLookup', () => {
  it('has entries', () => {
    expect(facts.length).toBeGreaterThan(0)
  })

  it.each(facts.map((fact) => [fact.name, fact] as const))('as Keras documents it: %s', (_name, fact) => {
    const { vocabulary, adapt, x } = fact.input
    const layer = integerLookup(vocabulary === undefined ? {} : { vocabulary })
    if (adapt !== undefined) layer.adapt(adapt)
    const got = x === undefined ? layer.getVocabulary() : layer(tensor(x)).arraySync()
    expect(got).toEqual(fact.expected)
  })

  it('masks, shares ids of unknown numbers by remainder, or refuses them', () => {
    const layer = integerLookup({ vocabulary: [7], numOovIndices: 2, maskToken: 0 })
    expect(layer(tensor([[0, 7, 4, -1]])).arraySync()).toEqual([[0, 3, 1, 2]])
    expect(layer.vocabularySize()).toBe(4)
    const strict = integerLookup({ vocabulary: [7], numOovIndices: 0 })
    expect(() => strict(tensor([[8]]))).toThrow(/8 in row 0 is not in the vocabulary, and numOovIndices is 0/)
    expect(() => strict(tensor([[7.5]]))).toThrow(/7.5, which is no whole number/)
    expect(() => integerLookup()(tensor([[1]]))).toThrow(/no vocabulary yet/)
    expect(() => integerLookup({ vocabulary: [1, 1] })).toThrow(/twice/)
  })
})

describe('discretization', () => {
  it('finds the bins of numbers', () => {
    const x = tensor([[-1.5, 1, 3.4, 0.5], [0, 3, 1.3, 0]]) // prettier-ignore
    expect(discretization({ binBoundaries: [0, 1, 2] })(x).arraySync()).toEqual([[0, 2, 3, 1], [1, 3, 2, 1]]) // prettier-ignore
  })

  it('learns quantiles, which a saved config keeps', () => {
    const layer = discretization({ numBins: 4 })
    expect(() => layer(tensor([[1]]))).toThrow(/no boundaries yet/)
    layer.adapt([[0, 1, 2, 3, 4, 5, 6, 7, 8]])
    expect(layer.binBoundaries).toEqual([2, 4, 6])
    expect(discretization(layer.getConfig())(tensor([[5, 9]])).arraySync()).toEqual([[2, 3]])
    layer.adapt({ toArray: () => [0, 4, 8] })
    expect(layer.binBoundaries).toEqual([2, 4, 6])
  })

  it('checks its options and data', () => {
    expect(() => discretization({})).toThrow(/needs binBoundaries, or numBins/)
    expect(() => discretization({ binBoundaries: [1, 0] })).toThrow(/ascending/)
    expect(() => discretization({ binBoundaries: [0] })(tensor([[NaN]]))).toThrow(/NaN is in no bin/)
    expect(() => {
      discretization({ numBins: 2 }).adapt([[NaN]])
    }).toThrow(/needs finite numbers/)
  })
})
