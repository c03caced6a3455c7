import {
  dense,
  input,
  lambda,
  model,
  type Model,
  type NumericData,
  stringLookup,
  type Sym,
  type Tensor,
  tensor,
} from '@adjoint/layers'
import { expect, describe, test } from 'vitest'

// The ways in which data may be given: all that mean the same give the same.

const x = input({ shape: [1], name: 'x' })
const same: Model = model({ inputs: x, outputs: lambda((t) => t)(x) })

async function read(data: unknown, of: Model = same): Promise<unknown> {
  return ((await of.predict(data as NumericData)) as Tensor).arraySync()
}

describe('one number in each row may be given as', () => {
  test.each<[string, unknown]>([
    ['nested lists', [[1], [0], [3]]],
    ['a flat list', [1, 0, 3]],
    ['a record by name', { x: [1, 0, 3] }],
    ['a typed array', Float32Array.of(1, 0, 3)],
    ['a wider one', Float64Array.of(1, 0, 3)],
    ['whole numbers', Int32Array.of(1, 0, 3)],
    ['small whole numbers', Uint8Array.of(1, 0, 3)],
    ['rows as typed arrays', [Float32Array.of(1), Float32Array.of(0), Float32Array.of(3)]],
    ['a tensor', tensor([[1], [0], [3]])],
    ['a tensor of rank 1', tensor([1, 0, 3])],
    ['a tensor of whole numbers', tensor([1, 0, 3], { dtype: 'int32' })],
    ['a tensor of another float', tensor([1, 0, 3], { dtype: 'float64' })],
    ['a column of a table', { toArray: () => Float32Array.of(1, 0, 3) }],
    ['a column of numbers in a list', { toArray: () => [1, 0, 3] }],
    ['a record of a column by name', { x: { toArray: () => [1, 0, 3] } }],
    ['a column of rows that are columns', { toArray: () => [1, 0, 3].map((v) => ({ toArray: () => [v] })) }],
    ['a flat array that says its shape', { data: Float32Array.of(1, 0, 3), shape: [3, 1] }],
    ['a flat list that says its shape', { data: [1, 0, 3], shape: [3] }],
    [
      'an array of another library',
      { data: Float32Array.of(1, 0, 3), shape: [3, 1], stride: [1, 1], offset: 0 },
    ],
    ['part of a typed array', Float32Array.of(9, 1, 0, 3, 9).subarray(1, 4)],
  ])('%s', async (_what, data) => {
    expect(await read(data)).toEqual([[1], [0], [3]])
  })
  test('booleans', async () => {
    expect(await read([true, false])).toEqual([[1], [0]])
    expect(await read(tensor([true, false]))).toEqual([[1], [0]])
  })
})

test('an input without axes takes a number for each row', async () => {
  const scalar = input({ shape: [], name: 's' })
  const of: Model = model({ inputs: scalar, outputs: lambda((t) => t)(scalar) })
  expect(await read([1, 2], of)).toEqual([1, 2])
  expect(await read([[1], [2]], of)).toEqual([1, 2])
})

test('an input of unknown sides takes any, as long as all rows have the same', async () => {
  const wide = input({ shape: [null], name: 'wide' })
  const of: Model = model({ inputs: wide, outputs: lambda((t) => t.sum(1, true))(wide) })
  expect(await read([[1, 2, 3]], of)).toEqual([[6]])
  expect(await read([[1], [2]], of)).toEqual([[1], [2]])
  await expect(read([[1], [2, 3]], of)).rejects.toThrow(/row 1 has length 2, the first has 1/)
})

test('whole-number inputs hold whole numbers', async () => {
  const id = input({ shape: [1], name: 'id', dtype: 'int32' })
  const of: Model = model({ inputs: id, outputs: lambda((t) => t)(id) })
  expect(await read([1, 2], of)).toEqual([[1], [2]])
  await expect(read([1, 2.5], of)).rejects.toThrow(/"id": int32 cannot hold 2\.5 at row 1/)
  await expect(read(Float32Array.of(1, 2.5), of)).rejects.toThrow(/"id": int32 cannot hold 2\.5 at row 1/)
})

test('text inputs hold text', async () => {
  const word = input({ shape: [1], name: 'word', dtype: 'string' })
  const of: Model = model({ inputs: word, outputs: stringLookup({ vocabulary: ['a', 'b'] })(word) })
  expect(await read(['b', 'a'], of)).toEqual([[2], [1]])
  expect(await read([['b'], ['z']], of)).toEqual([[2], [0]])
  expect(await read(tensor(['b', 'a'], { dtype: 'string' }), of)).toEqual([[2], [1]])
  expect(((await of.predict(['a', 'b', 'a'], { batchSize: 2 })) as Tensor).arraySync()).toEqual([
    [1],
    [2],
    [1],
  ])
  await expect(read(['a', 1], of)).rejects.toThrow(/"word": expected a string, got number \(1\) at row 1/)
  await expect(read(Float32Array.of(1), of)).rejects.toThrow(/"word"/)
})

describe('several inputs', () => {
  const a = input({ shape: [1], name: 'a' })
  const b = input({ shape: [1], name: 'b' })
  const sum: Sym.Any = lambda((t) => t)(a.mul(10).add(b))
  const [A, B] = [
    [1, 2],
    [3, 4],
  ]
  const wanted = [[13], [24]]
  test('in a list: by place or by name', async () => {
    const of: Model = model({ inputs: [a, b], outputs: sum })
    expect(await read([A, B], of)).toEqual(wanted)
    expect(await read({ b: B, a: A }, of)).toEqual(wanted)
    await expect(read([A], of)).rejects.toThrow(/a list of 2 \(a, b\), got a list of 1/)
    await expect(read([A, B, B], of)).rejects.toThrow(/got a list of 3/)
    await expect(read(tensor(A), of)).rejects.toThrow(/a list of 2 \(a, b\), got Tensor/)
  })
  test('in a record: by its keys, whatever the inputs are called', async () => {
    const of: Model = model({ inputs: { one: a, two: b }, outputs: sum })
    expect(await read({ two: B, one: A }, of)).toEqual(wanted)
    await expect(read({ a: A, b: B }, of)).rejects.toThrow(/no data for input "one"/)
  })
  test('nested', async () => {
    const of: Model = model({ inputs: { left: [a], right: { inner: b } }, outputs: sum })
    expect(await read({ left: [A], right: { inner: B } }, of)).toEqual(wanted)
    await expect(read({ left: [A], right: { iner: B } }, of)).rejects.toThrow(
      /input "inner" of "right".*Did you mean "inner"/,
    )
    await expect(read({ left: A, right: { inner: B } }, of)).rejects.toThrow(
      /"left": expected a list of 1, got a list of 2/,
    )
    await expect(read({ left: [A], right: { inner: [1] } }, of)).rejects.toThrow(
      /input "left\[0\]" has 2 rows and input "right\.inner" has 1/,
    )
  })
  test('in a nested list, also by the names of all', async () => {
    const of: Model = model({ inputs: [a, [b]], outputs: sum })
    expect(await read([A, [B]], of)).toEqual(wanted)
    expect(await read({ a: A, b: B }, of)).toEqual(wanted)
  })
})

describe('D10: targets are never broadcast', () => {
  const compiled = (outputs: Sym.Any): Model => {
    const m: Model = model({ inputs: x, outputs })
    return m.compile({ loss: 'mse', optimizer: 'sgd' })
  }
  const data = [1, 2, 3]
  test('[n] for an output [n, 1] is taken as [n, 1]', async () => {
    const m = compiled(lambda((t) => t)(x))
    expect((await m.evaluate(data, [3, 2, 1])).loss).toBeCloseTo(8 / 3, 6)
    expect((await m.evaluate(data, [[3], [2], [1]])).loss).toBeCloseTo(8 / 3, 6)
  })
  test('[n, 1] for an output [n] is taken as [n]', async () => {
    const m = compiled(lambda((t) => t.sum(1))(x))
    expect((await m.evaluate(data, [[3], [2], [1]])).loss).toBeCloseTo(8 / 3, 6)
  })
  test.each<[string, unknown]>([
    ['[1, 3]', [[1, 2, 3]]],
    [
      '[3, 3]',
      [
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3],
      ],
    ],
    ['[3, 1, 1]', [[[1]], [[2]], [[3]]]],
  ])('%s for an output [3, 1] is refused', async (_shape, y) => {
    await expect(compiled(dense(1)(x)).fit(data, y as number[], { verbose: 0 })).rejects.toThrow(
      /target ".*": expected \[null,1\], got/,
    )
  })
  test('[n, 1] for an output [n, 3] is refused', async () => {
    await expect(compiled(dense(3)(x)).fit(data, data, { verbose: 0 })).rejects.toThrow(
      /expected \[null,3\], got \[3\]/,
    )
  })
})

/** A vector as Arrow makes it: its array has anything where values are missing. */
class Vector {
  constructor(readonly values: readonly (number | null)[]) {}
  get nullCount(): number {
    return this.values.filter((v) => v === null).length
  }
  toArray(): Float64Array {
    return Float64Array.from(this.values, (v) => v ?? 0)
  }
  [Symbol.iterator](): Iterator<number | null> {
    return this.values[Symbol.iterator]()
  }
}

describe('columns of tables', () => {
  test('are inputs, targets and weights', async () => {
    const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y', kernelInitializer: 'ones' })(x) })
    m.compile({ loss: 'mse' })
    const [a, y, w] = [new Vector([1, 2, 3]), new Vector([3, 2, 1]), new Vector([1, 0, 2])]
    const lists = await m.evaluate([1, 2, 3], [3, 2, 1], { sampleWeight: [1, 0, 2] })
    expect(await m.evaluate(a, y, { sampleWeight: w })).toEqual(lists)
    expect(await m.evaluate({ x: a }, { y }, { sampleWeight: { y: w } })).toEqual(lists)
    const toArray = (): number[] => [1, 0, 2]
    expect(await m.evaluate(a, y, { sampleWeight: { toArray } })).toEqual(lists)
  })
  test('with values missing are refused, not read as zeros', async () => {
    await expect(read(new Vector([1, null, 3]))).rejects.toThrow(
      /input "x": expected a number, got null at row 1/,
    )
  })
  test('of text', async () => {
    const word = input({ shape: [1], name: 'word', dtype: 'string' })
    const of: Model = model({ inputs: word, outputs: stringLookup({ vocabulary: ['a', 'b'] })(word) })
    expect(await read({ toArray: () => ['b', 'a'] }, of)).toEqual([[2], [1]])
  })
  test('whose toArray() gives no array are refused', async () => {
    await expect(read({ toArray: () => 3 })).rejects.toThrow(
      /input "x": toArray\(\) returned number \(3\), not an array/,
    )
    await expect(read({ toArray: async () => [1] })).rejects.toThrow(/returned a promise; await it first/)
    await expect(read({ toArray: () => new BigInt64Array(3) })).rejects.toThrow(
      /BigInt64Array.*Float64Array\.from/,
    )
  })
})

describe('flat arrays that say their shape', () => {
  const pairs = input({ shape: [2], name: 'pairs' })
  const of: Model = model({ inputs: pairs, outputs: lambda((t) => t)(pairs) })
  test('are rows', async () => {
    expect(await read({ data: [1, 2, 3, 4], shape: [2, 2] }, of)).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(await read({ pairs: { data: Int8Array.of(1, 2), shape: [1, 2] } }, of)).toEqual([[1, 2]])
  })
  test.each<[unknown, RegExp]>([
    [{ data: [1, 2, 3], shape: [2, 2] }, /input "pairs": 3 values do not fill the shape \[2,2\]/],
    [{ data: [1, 2], shape: [] }, /the rows first, got \[\]/],
    [{ data: [1, 2], shape: [-1, 2] }, /whole numbers/],
    [{ data: [1, 2], shape: [2, 1] }, /expected \[null,2\], got \[2,1\]/],
    [{ data: [1, 2, 3, 'four'], shape: [2, 2] }, /got string \("four"\) at row 1, column 1/],
    [{ data: [1, 2, 3, 4], shape: [2, 2], strides: [1, 2] }, /a view with strides/],
    [{ data: [1, 2, 3, 4], shape: [2, 2], offset: 1 }, /offset 1; give a copy/],
  ])('%j is refused', async (data, says) => {
    await expect(read(data, of)).rejects.toThrow(says)
  })
  test('of big integers are refused', async () => {
    await expect(read({ data: new BigInt64Array(2), shape: [1, 2] }, of)).rejects.toThrow(/BigInt64Array/)
  })
  test('do not get in the way of inputs that are called so', async () => {
    const [a, b] = [input({ shape: [1], name: 'data' }), input({ shape: [1], name: 'shape' })]
    const two: Model = model({ inputs: [a, b], outputs: lambda((t) => t)(a.sub(b)) })
    expect(await read({ data: [5, 6], shape: [1, 2] }, two)).toEqual([[4], [4]])
  })
})

describe('class weights of numbers', () => {
  const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(x) })
  test.each<[readonly number[], Record<number, number>, RegExp]>([
    [
      [0.5, 2],
      { 0: 1 },
      /classWeight of "y": the targets of mse are numbers such as 0\.5 \(row 0\), and no classes.*use sampleWeight/,
    ],
    [
      [0, 7],
      { 0: 1, 1: 2 },
      /class 7 \(row 1\) has no weight.*where the targets of mse are no classes, use sampleWeight/,
    ],
    [
      [0, 7],
      { 0: 1, 7: 2 },
      /there is no class "7"; classes are 0\.\.1; where the targets .* use sampleWeight/,
    ],
  ])('%j with %j', async (y, classWeight, says) => {
    m.compile({ loss: 'mse' })
    await expect(m.fit([1, 2], y, { classWeight, verbose: 0 })).rejects.toThrow(says)
  })
})
