import {
  DataError,
  padSequences,
  scalar,
  ShapeError,
  tensor,
  normalize,
  toCategorical,
  trainTestSplit,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'

describe('normalize', () => {
  const rows = [[3, -4], [0, 0], [-2, 0]] // prettier-ignore
  test.each<[object, number[][]]>([
    [{}, [[0.6, -0.8], [0, 0], [-1, 0]]], // prettier-ignore
    [{ order: 1 }, [[3 / 7, -4 / 7], [0, 0], [-1, 0]]], // prettier-ignore
    [{ order: 'inf' }, [[0.75, -1], [0, 0], [-1, 0]]], // prettier-ignore
    [{ axis: 0 }, [[3 / Math.sqrt(13), -1], [0, 0], [-2 / Math.sqrt(13), 0]]], // prettier-ignore
  ])('with %o divides by the norm, and leaves zeros', (options, want) => {
    for (const x of [rows, tensor(rows, { dtype: 'float64' })])
      expect((normalize(x, options).arraySync() as number[][]).map((row) => row.map(Math.fround))).toEqual(
        want.map((row) => row.map(Math.fround)),
      )
  })
  test('takes whole numbers, and refuses axes and orders that there are not', () => {
    expect(normalize(tensor([3, 4], { dtype: 'int32' })).dtype).toBe('float32')
    expect(() => normalize(rows, { axis: 2 })).toThrow(/axis 2 is out of range/)
    expect(() => normalize(rows, { order: 3 as never })).toThrow(/ord "3" is unknown/)
    expect(() => normalize(rows, { ord: 2 } as never)).toThrow(/Did you mean "order"/)
  })
})

describe('toCategorical', () => {
  test('as in Keras', () => {
    const a = toCategorical([0, 2, 1, 0])
    expect(a.dtype).toBe('float32')
    expect(a.arraySync()).toEqual([
      [1, 0, 0],
      [0, 0, 1],
      [0, 1, 0],
      [1, 0, 0],
    ])
    expect(toCategorical([[1], [0]], 3).arraySync()).toEqual([
      [0, 1, 0],
      [1, 0, 0],
    ])
    expect(toCategorical(new Uint8Array([1]), 2).arraySync()).toEqual([[0, 1]])
    expect(toCategorical(tensor([[0, 1, 1]], { dtype: 'int32' })).shape).toEqual([1, 3, 2])
    expect(toCategorical([], 4).shape).toEqual([0, 4])
  })

  test.each([
    [() => toCategorical([0, 3], 3), /class must be in 0\.\.2, got 3 at position 1/],
    [() => toCategorical([0.5]), /whole number >= 0, got 0\.5 at position 0/],
    [() => toCategorical([-1]), /got -1 at position 0/],
    [() => toCategorical([]), /pass numClasses/],
    [() => toCategorical([0], 0), /numClasses must be a whole number >= 1/],
  ])('%s', (f, says) => {
    expect(f).toThrow(ValueError)
    expect(f).toThrow(says)
  })
})

describe('padSequences', () => {
  // The examples of Keras' documentation.
  const sequences = [[1], [2, 3], [4, 5, 6]]

  test('as in Keras', () => {
    const rows = (options?: object): unknown => padSequences(sequences, options).arraySync()
    expect(padSequences(sequences).dtype).toBe('int32')
    expect(rows()).toEqual([[0, 0, 1], [0, 2, 3], [4, 5, 6]]) // prettier-ignore
    expect(rows({ value: -1 })).toEqual([[-1, -1, 1], [-1, 2, 3], [4, 5, 6]]) // prettier-ignore
    expect(rows({ padding: 'post' })).toEqual([[1, 0, 0], [2, 3, 0], [4, 5, 6]]) // prettier-ignore
    expect(rows({ maxlen: 2 })).toEqual([[0, 1], [2, 3], [5, 6]]) // prettier-ignore
    expect(rows({ maxlen: 2, truncating: 'post' })).toEqual([[0, 1], [2, 3], [4, 5]]) // prettier-ignore
  })

  test('steps of several numbers, typed arrays, empty ones', () => {
    expect(padSequences([[[1, 2]], [], [[3, 4], [5, 6]]]).arraySync()).toEqual([
      [[0, 0], [1, 2]], [[0, 0], [0, 0]], [[3, 4], [5, 6]],
    ]) // prettier-ignore
    const half = padSequences([new Float32Array([0.5]), []], { dtype: 'float32', maxlen: 2 })
    expect(half.arraySync()).toEqual([[0, 0.5], [0, 0]]) // prettier-ignore
    expect(padSequences([]).shape).toEqual([0, 0])
  })

  test('errors name the sequence', () => {
    expect(() => padSequences([[1], [0.5]])).toThrow(
      /padSequences: sequence 1: int32 cannot hold 0\.5 at index \[0\]/,
    )
    expect(() => padSequences([[[1]], [[1, 2]]])).toThrow(ShapeError)
    expect(() => padSequences([[1], 2 as never])).toThrow(/sequence 1: expected a list, got 2/)
    expect(() => padSequences(7 as never)).toThrow(DataError)
    expect(() => padSequences([[1]], { maxLen: 3 } as never)).toThrow(/Did you mean "maxlen"/)
    expect(() => padSequences([[1]], { padding: 'left' as never })).toThrow(/padding must be "pre" or "post"/)
  })
})

describe('trainTestSplit', () => {
  const x = Array.from({ length: 10 }, (_, i) => [i, -i])
  const y = Float64Array.from({ length: 10 }, (_, i) => i)

  test('the same rows of all data, each once', () => {
    const [xTrain, xTest, yTrain, yTest] = trainTestSplit(x, y, { seed: 3 })
    expect([xTrain.length, xTest.length, yTrain.length, yTest.length]).toEqual([7, 3, 7, 3])
    expect(yTrain).toBeInstanceOf(Float64Array)
    expect(xTrain.map(([a]) => a)).toEqual([...yTrain])
    expect(xTest.map(([a]) => a)).toEqual([...yTest])
    expect([...yTrain, ...yTest].sort((a, b) => a - b)).toEqual([...y])
    expect(trainTestSplit(x, y, { seed: 3 })).toEqual([xTrain, xTest, yTrain, yTest])
    expect(trainTestSplit(x, y, { seed: 4 })).not.toEqual([xTrain, xTest, yTrain, yTest])
  })

  test('in order, by shares or counts, rounded as scikit-learn does', () => {
    const sizesOf = (options: object): number[] => trainTestSplit(x, options).map(({ length }) => length)
    expect(trainTestSplit(y, { shuffle: false, testSize: 2 }).map((part) => [...part])).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7],
      [8, 9],
    ])
    expect(sizesOf({ testSize: 0.21 })).toEqual([7, 3])
    expect(sizesOf({ trainSize: 0.39 })).toEqual([3, 7])
    expect(sizesOf({ trainSize: 0.5, testSize: 0.2 })).toEqual([5, 2])
    expect(sizesOf({})).toEqual([7, 3])
  })

  test('records and tensors', () => {
    const all = { price: tensor(x), city: x.map(([i]) => `c${i}`) }
    const [train, test, w] = trainTestSplit(all, { y }, { shuffle: false, testSize: 0.3 })
    expect(train.price.shape).toEqual([7, 2])
    expect(test.price.arraySync()).toEqual(x.slice(7).map((row) => row.map((v) => v + 0)))
    expect(test.city).toEqual(['c7', 'c8', 'c9'])
    expect(w.y.length).toBe(7)
  })

  test('stratified: each part has its share of each class', () => {
    const stratify = Array.from({ length: 20 }, (_, i) => (i < 15 ? 'a' : 'b'))
    for (const seed of [1, 2, 3]) {
      const [train, test] = trainTestSplit(stratify, { stratify, testSize: 8, seed })
      expect([train.length, test.length]).toEqual([12, 8])
      expect(test.filter((c) => c === 'b').length).toBe(2)
      expect(train.filter((c) => c === 'b').length).toBe(3)
    }
  })

  test.each([
    [() => trainTestSplit(x, [1]), DataError, /x has 10 rows, y has 1/],
    [() => trainTestSplit({ a: x, b: [1] }), DataError, /x\.a has 10 rows, x\.b has 1/],
    [() => trainTestSplit(x, { tesSize: 0.2 } as never), ValueError, /Did you mean "testSize"/],
    [() => trainTestSplit(x, { testSize: 10 }), ValueError, /of 10 rows there cannot be 0 to train/],
    [() => trainTestSplit(x, { testSize: 1.5 }), ValueError, /testSize must be a share in \(0, 1\) or/],
    [() => trainTestSplit(scalar(1)), DataError, /x must be a list/],
    [() => trainTestSplit(x, { stratify: y }), ValueError, /class \d has 1 row/],
    [() => trainTestSplit(x, { stratify: [1] }), DataError, /10 classes, one for each row, got 1/],
    [
      () => trainTestSplit(x, { stratify: y, shuffle: false }),
      ValueError,
      /stratify needs the rows shuffled/,
    ],
  ])('%s', (f, kind, says) => {
    expect(f).toThrow(kind)
    expect(f).toThrow(says)
  })
})
