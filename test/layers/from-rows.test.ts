import {
  concatenate,
  DataError,
  dataset,
  dense,
  DTypeError,
  embedding,
  flatten,
  fromRows,
  input,
  model,
  NonFiniteError,
  setSeed,
  stringLookup,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'

const rows = [
  { id: 1, w: 2, h: 3, city: 'Oslo', note: 'a b', ok: true, price: 5 as number | null },
  { id: 2, w: 4, h: 5, city: 'Rome', note: 'c', ok: false, price: null },
  { id: 3, w: 6, h: 7, city: 'Oslo', note: '', ok: true, price: 7 },
]

describe('fromRows makes', () => {
  test('numbers, also several to a row', () => {
    const { id, size, ok } = fromRows(rows, {
      id: 'numeric',
      size: { kind: 'numeric', from: ['w', 'h'] },
      ok: 'numeric',
    })
    expect([...(id.toArray() as Float64Array)]).toEqual([1, 2, 3])
    expect((size.toArray() as Float64Array[]).map((row) => [...row])).toEqual([
      [2, 3],
      [4, 5],
      [6, 7],
    ])
    expect([...(ok.toArray() as Float64Array)]).toEqual([1, 0, 1])
  })
  test('classes in order, the same for other rows', () => {
    const train = fromRows(rows, { city: 'categorical', ok: 'categorical' })
    expect([train.city.categories, [...(train.city.toArray() as Int32Array)]]).toEqual([
      ['Oslo', 'Rome'],
      [0, 1, 0],
    ])
    expect(train.ok.categories).toEqual([false, true])
    const other = fromRows([{ city: 'Rome', ok: true }], train)
    expect([...(other.city.toArray() as Int32Array)]).toEqual([1])
    expect(() => fromRows([{ city: 'Romee', ok: true }], train)).toThrow(
      /row 0, column "city": "Romee" is none of the categories .* Did you mean "Rome"/,
    )
  })
  test('a class for what is unknown', () => {
    const choice = { city: { kind: 'categorical', unknown: 'class' } } as const
    const train = fromRows(rows, choice)
    expect(train.city.categories).toEqual(['[UNK]', 'Oslo', 'Rome'])
    expect([
      ...(fromRows([{ city: 'Bonn' }, { city: null }, { city: 'Rome' }], train).city.toArray() as Int32Array),
    ]).toEqual([0, 0, 2])
    const given = fromRows(rows, { city: { kind: 'categorical', categories: ['Rome'], unknown: 'class' } })
    expect([...(given.city.toArray() as Int32Array)]).toEqual([0, 1, 0])
  })
  test('texts', () => {
    expect(fromRows(rows, { words: { kind: 'text', from: 'note' } }).words.toArray()).toEqual([
      'a b',
      'c',
      '',
    ])
  })
  test('something for what is missing, if told', () => {
    const kinds = {
      filled: { kind: 'numeric', from: 'price', missing: 0 },
      masked: { kind: 'numeric', from: 'price', missing: 'mask' },
    } as const
    const { filled, masked } = fromRows(rows, kinds)
    expect([...(filled.toArray() as Float64Array)]).toEqual([5, 0, 7])
    expect([...(masked.toArray() as Float64Array)]).toEqual([5, NaN, 7])
    const { c, t } = fromRows(
      [
        { c: null, t: undefined },
        { c: 'x', t: 'y' },
      ],
      { c: { kind: 'categorical', missing: 'mask' }, t: { kind: 'text', missing: '?' } },
    )
    expect([[...(c.toArray() as Int32Array)], t.toArray()]).toEqual([
      [-1, 0],
      ['?', 'y'],
    ])
  })
  test('columns of any iterable, and of tables', () => {
    expect([...(fromRows(new Set(rows), { id: 'numeric' }).id.toArray() as Float64Array)]).toEqual([1, 2, 3])
    expect([...(fromRows({ toArray: () => rows }, { id: 'numeric' }).id.toArray() as Float64Array)]).toEqual([
      1, 2, 3,
    ])
  })
})

test('its columns train a model', async () => {
  setSeed(1)
  const { size, city, note, price } = fromRows(rows, {
    size: { kind: 'numeric', from: ['w', 'h'] },
    city: 'categorical',
    note: 'text',
    price: { kind: 'numeric', missing: 'mask' },
  })
  const ends = {
    size: input({ shape: [2] }),
    city: input({ shape: [1], dtype: 'int32' }),
    note: input({ shape: [1], dtype: 'string' }),
  }
  const lookup = stringLookup({ vocabulary: ['a b', 'c'] })
  const parts = [
    flatten()(embedding(city.categories.length, 2)(ends.city)),
    flatten()(embedding(3, 2)(lookup(ends.note))),
  ]
  const m = model({ inputs: ends, outputs: { price: dense(1)(concatenate([ends.size, ...parts])) } })
  m.compile({ loss: 'mse', missingTargets: 'mask' })
  const { history } = await m.fit({ size, city, note }, { price }, { epochs: 2, verbose: 0 })
  expect(history.loss).toHaveLength(2)
})

test.each<[string, unknown, unknown, abstract new (...args: never[]) => Error, RegExp]>([
  [
    'a number that is missing',
    rows,
    { price: 'numeric' },
    DataError,
    /row 1, column "price": there is no number \(null\).*missing/,
  ],
  [
    'a text for a number',
    rows,
    { city: 'numeric' },
    DTypeError,
    /row 0, column "city": expected a number, got string \("Oslo"\); convert it/,
  ],
  ['an infinity', [{ a: 1 / 0 }], { a: 'numeric' }, NonFiniteError, /row 0, column "a": Infinity/],
  ['a number for a text', rows, { id: 'text' }, DTypeError, /row 0, column "id": expected a text/],
  ['an object for a class', [{ a: {} }], { a: 'categorical' }, DTypeError, /row 0, column "a"/],
  [
    'a class that is missing',
    [{ a: 'x' }, {}],
    { a: 'categorical' },
    DataError,
    /row 1, column "a": there is no class/,
  ],
  [
    'an unknown column',
    rows,
    { citty: 'text' },
    DataError,
    /no row has a column "citty".*Did you mean "city"/,
  ],
  ['an inherited column', rows, { toString: 'text' }, DataError, /no row has a column "toString"/],
  [
    'an unknown kind',
    rows,
    { city: 'categoric' },
    ValueError,
    /column "city": kind must be .*Did you mean "categorical"/,
  ],
  ['an unknown option', rows, { id: { kind: 'numeric', fill: 0 } }, ValueError, /"fill" is unknown/],
  [
    'a filling of another kind',
    rows,
    { id: { kind: 'numeric', missing: '0' } },
    ValueError,
    /missing cannot be "0"/,
  ],
  [
    'categories twice',
    rows,
    { city: { kind: 'categorical', categories: ['a', 'a'] } },
    ValueError,
    /different/,
  ],
  ['a row that is none', [1], { a: 'numeric' }, DataError, /row 0 must be an object, got number/],
  ['rows that are none', 3, { a: 'numeric' }, DataError, /rows must be a list/],
])('fromRows refuses %s', (_what, given, columns, error, says) => {
  const call = (): unknown => fromRows(given as never, columns as never)
  expect(call).toThrow(error)
  expect(call).toThrow(says)
})

describe('a dataset', () => {
  const samples = Array.from({ length: 10 }, (_, i) => [[i, -i], 2 * i] as const)
  const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
    const found: T[] = []
    for await (const item of items) found.push(item)
    return found
  }
  test('makes batches of samples', async () => {
    const batches = await all(dataset(samples).batch(4))
    expect(batches.map(([x]) => x.length)).toEqual([4, 4, 2])
    expect(batches[2]).toEqual([
      [
        [8, -8],
        [9, -9],
      ],
      [16, 18],
    ])
    expect(await all(dataset(samples).batch(4, { dropRemainder: true }))).toHaveLength(2)
    const records = dataset([
      { a: 1, b: [2] },
      { a: 3, b: [4] },
    ]).batch(2)
    expect(await all(records)).toEqual([{ a: [1, 3], b: [[2], [4]] }])
    await expect(
      all(
        dataset([
          [{ a: 1 }, 1],
          [{}, 2],
        ]).batch(2),
      ),
    ).rejects.toThrow(/part 0 of a sample lacks the key "a" in sample 1/)
  })
  test('shuffles by seed, each epoch in another order', async () => {
    const numbers = Array.from({ length: 50 }, (_, i) => i)
    for (const bufferSize of [7, 100]) {
      const make = (seed: number): Promise<number[]> => all(dataset(numbers).shuffle({ seed, bufferSize }))
      const order = await make(1)
      expect(order).not.toEqual(numbers)
      expect(order.toSorted((a, b) => a - b)).toEqual(numbers)
      expect(await make(1)).toEqual(order)
      expect(await make(2)).not.toEqual(order)
      expect(await all(dataset(numbers).shuffle({ seed: 1, bufferSize }).pass(1))).not.toEqual(order)
    }
    setSeed(3)
    const drawn = await all(dataset(numbers).shuffle())
    setSeed(3)
    expect(await all(dataset(numbers).shuffle())).toEqual(drawn)
  })
  test('maps, filters, takes and looks ahead', async () => {
    const even = dataset(() => [1, 2, 3, 4, 5, 6])
      .filter((n) => n % 2 === 0)
      .map(async (n) => n * 10)
    expect(await all(even.prefetch(2))).toEqual([20, 40, 60])
    expect(await all(even.take(2))).toEqual([20, 40])
    expect(await all(even.take(0))).toEqual([])
  })
  test('ends what it was made from', async () => {
    let ended = 0
    const source = function* (): Generator<number> {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        ended++
      }
    }
    expect(
      await all(
        dataset(source)
          .map((n) => n + 1)
          .prefetch(3)
          .take(2),
      ),
    ).toEqual([1, 2])
    expect(ended).toBe(1)
    await expect(
      all(
        dataset(function* (): Generator<number> {
          yield 1
          throw new Error('gone')
        }).prefetch(4),
      ),
    ).rejects.toThrow('gone')
  })
  test('trains a model, one seed giving one result', async () => {
    const train = async (): Promise<unknown> => {
      setSeed(2)
      const x = input({ shape: [2], name: 'x' })
      const m = model({ inputs: x, outputs: dense(1)(x) })
      m.compile({ loss: 'mse' })
      const data = dataset(samples).shuffle({ bufferSize: 5 }).batch(3).prefetch()
      return (await m.fitDataset(data, { epochs: 3, verbose: 0 })).history
    }
    expect(await train()).toEqual(await train())
  })
  test('lets the event loop run', async () => {
    let longest = 0
    let last = performance.now()
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last)
      last = performance.now()
    }, 1)
    const many = {
      *[Symbol.iterator]() {
        for (let i = 0; i < 300_000; i++) yield i
      },
    }
    await all(dataset(many).shuffle({ bufferSize: 1000 }).batch(1000).prefetch())
    clearInterval(timer)
    expect(longest).toBeGreaterThan(0)
    expect(longest).toBeLessThan(400) // 16 ms on a quiet machine
  })
  test('refuses a second pass through an iterator', async () => {
    const once = dataset([1, 2][Symbol.iterator]() as Iterable<number>)
    expect(await all(once)).toEqual([1, 2])
    await expect(all(once)).rejects.toThrow(/gives its items once/)
    expect(() => dataset(3 as never)).toThrow(/the source must be an iterable/)
    expect(() => dataset([1]).batch(0)).toThrow(/size must be/)
  })
})
