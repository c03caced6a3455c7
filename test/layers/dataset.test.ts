import {
  backupAndRestore,
  concatenate,
  DataError,
  dense,
  GraphError,
  input,
  model,
  type Model,
  NonFiniteError,
  sequential,
  setSeed,
  ShapeError,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/layers'
import { beforeEach, describe, expect, test } from 'vitest'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateOf } from '../support/state.js'

// Training on batches as they come. What is given as batches gives what the same rows give as arrays.

const ROWS = 20
const X = Array.from({ length: ROWS }, (_, row) => [0, 1, 2].map((k) => Math.sin(row * 3 + k)))
const Y = X.map(([a, b, c]) => [a! - 2 * b! + c!])
type Item = readonly [x: number[][], y: number[][]]
const quiet = { verbose: 0 } as const

/** All rows in order, `size` at a time. */
function inBatches(size: number, rows: number = ROWS): Item[] {
  const items: Item[] = []
  for (let at = 0; at < rows; at += size) items.push([X.slice(at, at + size), Y.slice(at, at + size)])
  return items
}

/** A generator that tells whether it was ended. */
function watched(items: readonly unknown[] = inBatches(6)): {
  make: () => Generator<Item>
  ended: () => number
} {
  let ended = 0
  return {
    *make() {
      try {
        yield* items as Item[]
      } finally {
        ended++
      }
    },
    ended: () => ended,
  }
}

function build(): Model {
  const x = input({ shape: [3], name: 'x' })
  const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(dense(4, { activation: 'tanh' })(x)) })
  return m.compile({ optimizer: 'adam', loss: 'mse', metrics: ['mae'] as never })
}

let m: Model
beforeEach(() => {
  setSeed(3)
  m = build()
})

/** The call fails with these words, and everything is as it was before. */
async function refused(
  call: () => Promise<unknown>,
  error: abstract new (...args: never[]) => Error,
  says: RegExp,
): Promise<Error> {
  const before = stateOf(m)
  const failure: unknown = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(failure).toBeInstanceOf(error)
  expect((failure as Error).message).toMatch(says)
  expect(stateOf(m)).toEqual(before)
  return failure as Error
}

describe('fitDataset trains as fit does on the same batches', () => {
  const { make } = watched()
  async function* slowly(): AsyncGenerator<Item> {
    for (const item of inBatches(6)) {
      await sleep(1)
      yield item
    }
  }
  test.each<[string, unknown]>([
    ['a list', inBatches(6)],
    ['an iterable', new Set(inBatches(6))],
    ['a function that returns a list', () => inBatches(6)],
    ['a generator function', make],
    ['an async generator function', slowly],
    ['a function that returns a promise', async () => slowly()],
    ['an async iterable', { [Symbol.asyncIterator]: slowly }],
    ['promises of batches', () => inBatches(6).map((item) => Promise.resolve(item))],
    ['tensors', inBatches(6).map(([x, y]): [Tensor, Tensor] => [tensor(x), tensor(y)])],
    ['inputs by name', inBatches(6).map(([x, y]) => [{ x }, { y }])],
  ])('%s', async (_what, data) => {
    const { history } = await m.fitDataset(data as Item[], { ...quiet, epochs: 3 })
    const state = stateOf(m)
    setSeed(3)
    m = build()
    const arrays = await m.fit(X, Y, { ...quiet, epochs: 3, batchSize: 6, shuffle: false })
    expect(history).toEqual(arrays.history)
    expect(state).toEqual(stateOf(m))
  })

  test('with sample weights, class weights and validation', async () => {
    const weights = X.map((_, row) => row % 3)
    const items = inBatches(6).map(([x, y], i) => [x, y, weights.slice(6 * i, 6 * i + 6)] as const)
    const validationData = inBatches(7, 14)
    const { history } = await m.fitDataset(items, {
      ...quiet,
      epochs: 2,
      validationData: () => validationData,
    })
    setSeed(3)
    m = build()
    const arrays = await m.fit(X, Y, {
      ...quiet,
      epochs: 2,
      batchSize: 6,
      shuffle: false,
      sampleWeight: weights,
      validationData: [X.slice(0, 14), Y.slice(0, 14)],
    })
    expect(history['loss']).toEqual(arrays.history['loss'])
    expect(history['val_loss']![1]).toBeCloseTo(arrays.history['val_loss']![1]!, 6)
    expect(history['val_mae']![1]).toBeCloseTo(arrays.history['val_mae']![1]!, 6)
  })

  test('validating on arrays', async () => {
    const { history } = await m.fitDataset(inBatches(6), { ...quiet, validationData: [X, Y] })
    expect(history['val_loss']).toEqual([(await m.evaluate(X, Y)).loss])
  })

  test('a function is told the epoch, and called once for each', async () => {
    const epochs: number[] = []
    await m.fitDataset(
      (epoch) => {
        epochs.push(epoch)
        return inBatches(6)
      },
      {
        ...quiet,
        epochs: 4,
        initialEpoch: 1,
      },
    )
    expect(epochs).toEqual([1, 2, 3])
  })

  test('callbacks hear of epochs and batches; how many there will be, once that is known', async () => {
    const heard: string[] = []
    let steps: unknown
    await m.fitDataset(inBatches(6), {
      ...quiet,
      epochs: 2,
      callbacks: {
        setParams: (params) => void (steps = params.steps),
        onEpochBegin: (epoch) => void heard.push(`epoch ${epoch}`),
        onBatchEnd: (batch) => void heard.push(`${batch}`),
      },
    })
    expect(steps).toBeUndefined()
    expect(heard.join(' ')).toBe('epoch 0 0 1 2 3 epoch 1 0 1 2 3')
  })

  test('epochs may be of different lengths', async () => {
    await m.fitDataset((epoch) => inBatches(5, 5 * (epoch + 1)), { ...quiet, epochs: 3 })
    expect(m.optimizer.iterations).toBe(1 + 2 + 3)
  })

  test('a training goes on from a backup in the middle of an epoch', async () => {
    const train = (stop: number): Promise<unknown> => {
      setSeed(3)
      m = build()
      let batches = 0
      const onBatchEnd = (): void => {
        if (++batches === stop) throw new Error('killed')
      }
      const backup = backupAndRestore(join(folder, 'backup'), { saveFreq: 1 })
      return m.fitDataset(() => inBatches(4), { ...quiet, epochs: 3, callbacks: [backup, { onBatchEnd }] })
    }
    const folder = mkdtempSync(join(tmpdir(), 'dataset-'))
    try {
      const { history } = (await train(Infinity)) as { history: unknown }
      const whole = stateOf(m)
      await expect(train(8)).rejects.toThrow(/killed/)
      expect(((await train(Infinity)) as { history: unknown }).history).toEqual(history)
      expect(stateOf(m)).toEqual(whole)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('no epochs: nothing is asked of the data', async () => {
    const { make: never, ended } = watched()
    const { epoch } = await m.fitDataset(never, { ...quiet, epochs: 0 })
    expect(epoch).toEqual([])
    expect(ended()).toBe(0)
  })
})

describe('stepsPerEpoch', () => {
  /** First values of the batches, in the order in which they were trained on. */
  async function trainedOn(data: unknown, options: object): Promise<number[]> {
    const order: number[] = []
    const seen = function* (items: Iterable<Item>): Generator<Item> {
      for (const item of items) {
        order.push(inBatches(5).findIndex(([x]) => x[0]![0] === item[0][0]![0]))
        yield item
      }
    }
    const of = (given: unknown): unknown =>
      typeof given === 'function'
        ? () => seen((given as () => Item[])())
        : { [Symbol.iterator]: () => seen(given as Item[]) }
    await m.fitDataset(of(data) as Item[], { ...quiet, ...options })
    return order
  }
  test('an iterable goes on where the last epoch stopped, and begins again between epochs', async () => {
    expect(await trainedOn(inBatches(5), { epochs: 3, stepsPerEpoch: 2 })).toEqual([0, 1, 2, 3, 0, 1])
    setSeed(3)
    m = build()
    expect(await trainedOn(inBatches(5), { epochs: 2, stepsPerEpoch: 3 })).toEqual([0, 1, 2, 3, 0, 1])
  })
  test('a function begins anew with each epoch', async () => {
    expect(await trainedOn(() => inBatches(5), { epochs: 2, stepsPerEpoch: 3 })).toEqual([0, 1, 2, 0, 1, 2])
  })
  test('an iterator is shared out', async () => {
    const { history } = await m.fitDataset(watched(inBatches(5)).make(), {
      ...quiet,
      epochs: 2,
      stepsPerEpoch: 2,
    })
    expect(history['loss']).toHaveLength(2)
  })
  test('one that never ends is ended, its clean-up run', async () => {
    let ended = 0
    const forever = function* (): Generator<Item> {
      try {
        for (;;) yield inBatches(5)[0]!
      } finally {
        ended++
      }
    }
    await m.fitDataset(forever, { ...quiet, epochs: 2, stepsPerEpoch: 3 })
    expect(ended).toBe(2)
    await m.evaluateDataset(forever, { steps: 2 })
    expect((await m.predictDataset(forever, { steps: 2 })) as Tensor).toMatchObject({ shape: [10, 1] })
    expect(ended).toBe(4)
  })
})

describe('D35: a dataset that fails changes nothing, and says where', () => {
  beforeEach(async () => {
    await m.fit(X, Y, { ...quiet, batchSize: 8 })
  })
  const after = (count: number, then: () => unknown) =>
    function* (): Generator<Item> {
      yield* inBatches(2).slice(0, count)
      yield then() as Item
    }
  const threw = (): never => {
    throw new TypeError('the disk is gone')
  }
  const odd: Item = [[[1, 2]], [[1]]]
  test('it throws', async () => {
    const data = after(7, threw)
    const error = await refused(
      () => m.fitDataset(data, quiet),
      DataError,
      /^fitDataset: epoch 0, step 7 \(batch 7\): the dataset threw TypeError: the disk is gone$/,
    )
    expect(error.cause).toBeInstanceOf(TypeError)
  })
  test('it throws at once, or cannot be opened', async () => {
    await refused(() => m.fitDataset(after(0, threw), quiet), DataError, /epoch 0, step 0 \(batch 0\).*disk/)
    await refused(() => m.fitDataset(threw, quiet), DataError, /step 0 .*disk/)
    await refused(() => m.fitDataset(async () => threw(), quiet), DataError, /step 0 .*disk/)
  })
  test('it throws in a later epoch', async () => {
    const data = (epoch: number): Iterable<Item> => (epoch < 2 ? inBatches(5) : after(3, threw)())
    await refused(() => m.fitDataset(data, { ...quiet, epochs: 3 }), DataError, /epoch 2, step 3 \(batch 3\)/)
  })
  test('a batch of another width, and the iterator is ended', async () => {
    const { make, ended } = watched([...inBatches(2).slice(0, 7), odd, ...inBatches(2)])
    const error = await refused(
      () => m.fitDataset(make, quiet),
      DataError,
      /step 7 \(batch 7\): input "x": expected \[null,3\], got \[1,2\]/,
    )
    expect(error.cause).toBeInstanceOf(ShapeError)
    expect(ended()).toBe(1)
  })
  test.each<[string, unknown, RegExp]>([
    ['NaN in it', [[[1, NaN, 2]], [[1]]], /input "x" holds NaN at row 0, column 1/],
    ['no targets', [[[1, 2, 3]]], /a batch is \[x, y\] or \[x, y, sampleWeight\], got a list of 1/],
    ['nothing', undefined, /a batch is \[x, y\] or .*, got undefined/],
    ['no rows', [[], []], /the batch has no rows/],
    ['unequal rows', [X, Y.slice(1)], /"x" has 20 rows and target "y" has 19/],
    ['a negative weight', [[[1, 2, 3]], [[1]], [-1]], /sampleWeight of "y" is -1 at row 0/],
  ])('a batch with %s', async (_what, item, says) => {
    const error = await refused(
      () =>
        m.fitDataset(
          after(4, () => item),
          quiet,
        ),
      DataError,
      says,
    )
    expect(error.message).toMatch(/^fitDataset: epoch 0, step 4 \(batch 4\)/)
  })
  test('fewer batches than declared', async () => {
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, stepsPerEpoch: 6 }),
      DataError,
      /epoch 0, step 4 \(batch 4\): the dataset ended after 4 of 6 batches \(stepsPerEpoch\)/,
    )
    await refused(
      () => m.fitDataset(watched(inBatches(5)).make(), { ...quiet, epochs: 3, stepsPerEpoch: 2 }),
      DataError,
      /epoch 2, step 0 .*ended after 0 of 2 batches \(stepsPerEpoch\); it gave 4 in all/,
    )
  })
  test('none at all', async () => {
    await refused(() => m.fitDataset([], quiet), DataError, /epoch 0, step 0 .*gave no batches/)
    await refused(
      () => m.fitDataset((epoch) => (epoch === 0 ? inBatches(5) : []), { ...quiet, epochs: 2 }),
      DataError,
      /epoch 1, step 0 .*gave no batches/,
    )
  })
  test('one iterator for two epochs is refused before the first step', async () => {
    const { make } = watched()
    await refused(
      () => m.fitDataset(make(), { ...quiet, epochs: 2 }),
      DataError,
      /gives its batches once.* 2 epochs; give a function/,
    )
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, epochs: 2, validationData: make() }),
      DataError,
      /validationData is an iterator/,
    )
    const same = make()
    await refused(
      () => m.fitDataset(() => same, { ...quiet, epochs: 2 }),
      DataError,
      /epoch 1.*returned the same iterator as before/,
    )
  })
  test('validation data that fails', async () => {
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, validationData: [X, Y.slice(1)] }),
      DataError,
      /fitDataset: validationData: /,
    )
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, validationData: () => [odd] }),
      DataError,
      /epoch 0, validation batch 0: input "x"/,
    )
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, epochs: 2, validationData: after(2, threw) }),
      DataError,
      /epoch 0, validation batch 2: validationData threw TypeError/,
    )
    await refused(
      () => m.fitDataset(inBatches(5), { ...quiet, validationData: () => inBatches(5), validationSteps: 9 }),
      DataError,
      /ended after 4 of 9 batches \(validationSteps\)/,
    )
  })
  test('what is no dataset', async () => {
    for (const data of [undefined, null, 3, 'rows', {}, Promise.resolve([])])
      await refused(
        () => m.fitDataset(data as never, quiet),
        DataError,
        /must be an iterable or async iterable of batches/,
      )
    await refused(() => m.fitDataset([X, Y] as never, quiet), DataError, /a batch is \[x, y\]/)
    await refused(() => m.fitDataset((() => 3) as never, quiet), DataError, /returned must be an iterable/)
  })
  test('options of fit that belong to batches', async () => {
    for (const [key, value, says] of [
      ['batchSize', 4, /there is no option batchSize; the dataset makes the batches/],
      ['shuffle', true, /shuffle/],
      ['sampleWeight', [1], /\[x, y, sampleWeight\]/],
      ['validationSplit', 0.5, /give validationData/],
      ['stepsPerepoch', 3, /Did you mean "stepsPerEpoch"/],
      ['stepsPerEpoch', 0, /stepsPerEpoch must be/],
      ['epochs', -1, /epochs must be/],
      ['validationSteps', 1, /validationSteps needs validationData/],
      ['onDataError', 'stop', /onDataError must be/],
    ] as const)
      await refused(() => m.fitDataset(inBatches(5), { ...quiet, [key]: value } as never), ValueError, says)
  })
  test('what follows is as if it had not been', async () => {
    const next = async (): Promise<unknown> => [(await m.fit(X, Y, quiet)).history, stateOf(m)]
    await refused(() => m.fitDataset(after(7, threw), quiet), DataError, /disk/)
    const got = await next()
    setSeed(3)
    m = build()
    await m.fit(X, Y, { ...quiet, batchSize: 8 })
    expect(got).toEqual(await next())
  })
  test('unless what was learned is to be kept', async () => {
    await expect(m.fitDataset(after(7, threw), { ...quiet, onDataError: 'keep' })).rejects.toThrow(/disk/)
    const state = stateOf(m)
    setSeed(3)
    m = build()
    await m.fit(X, Y, { ...quiet, batchSize: 8 })
    await m.fitDataset(inBatches(2).slice(0, 7), quiet)
    expect(state).toEqual(stateOf(m))
  })
})

test('a loss that becomes NaN keeps the steps before it, as in fit', async () => {
  const huge: Item = [[[1, 2, 3]], [[1e30]]]
  m.compile({ optimizer: 'sgd', loss: 'mse' })
  await expect(m.fitDataset([...inBatches(5), huge], quiet)).rejects.toThrow(NonFiniteError)
  expect(m.optimizer.iterations).toBe(4)
})

test('before compile, and before its inputs are known', async () => {
  const x = input({ shape: [3] })
  const bare: Model = model({ inputs: x, outputs: dense(1)(x) })
  await expect(bare.fitDataset(inBatches(5))).rejects.toThrow(/not compiled/)
  const open = sequential([dense(1)])
  open.compile({ loss: 'mse' })
  await expect(open.fitDataset(inBatches(5))).rejects.toThrow(GraphError)
})

test('an abort signal ends a training that waits for a batch', async () => {
  const controller = new AbortController()
  const stuck = async function* (): AsyncGenerator<Item> {
    yield* inBatches(5)
    controller.abort()
    await new Promise(() => {})
  }
  const { epoch } = await m.fitDataset(stuck, { ...quiet, signal: controller.signal })
  expect(epoch).toEqual([])
  expect(m.optimizer.iterations).toBe(4)
  await m.fit(X, Y, quiet)
})

test('a second training is refused while one waits for its data', async () => {
  const first = m.fitDataset(async () => inBatches(5), quiet)
  await expect(m.fitDataset(inBatches(5), quiet)).rejects.toThrow(/busy/)
  await first
})

test('a batch may be changed by its owner once it was given', async () => {
  const buffer = X.slice(0, 5).map((row) => [...row])
  const reused = function* (): Generator<Item> {
    for (const [x, y] of inBatches(5)) {
      x.forEach((row, i) => row.forEach((v, k) => (buffer[i]![k] = v)))
      yield [buffer, y]
    }
  }
  const { history } = await m.fitDataset(reused, quiet)
  setSeed(3)
  m = build()
  expect(history).toEqual((await m.fit(X, Y, { ...quiet, batchSize: 5, shuffle: false })).history)
})

test('evaluateDataset gives what evaluate gives', async () => {
  const logs = await m.evaluateDataset(inBatches(6))
  const arrays = await m.evaluate(X, Y)
  expect(logs.loss).toBeCloseTo(arrays.loss, 6)
  expect(logs['mae']).toBeCloseTo(arrays['mae']!, 6)
  await expect(m.evaluateDataset([])).rejects.toThrow(/evaluateDataset: batch 0: the dataset gave no batches/)
  await expect(m.evaluateDataset(inBatches(6), { steps: 5 })).rejects.toThrow(
    /ended after 4 of 5 batches \(steps\)/,
  )
})

describe('predictDataset gives what predict gives', () => {
  const rows = (tensors: unknown): unknown => (tensors as Tensor).arraySync()
  test('for inputs alone, and for [x, y]', async () => {
    const expected = rows(await m.predict(X, { batchSize: 6 }))
    expect(rows(await m.predictDataset(inBatches(6).map(([x]) => x)))).toEqual(expected)
    expect(rows(await m.predictDataset(inBatches(6)))).toEqual(expected)
    expect(
      rows(await m.predictDataset(inBatches(6).map(([x, y]): [Tensor, Tensor] => [tensor(x), tensor(y)]))),
    ).toEqual(expected)
    expect(rows(await m.predictDataset(inBatches(6).map(([x]) => ({ x }))))).toEqual(expected)
    expect(rows(await m.predictDataset(inBatches(6).map(([x, y]) => [{ x }, y])))).toEqual(expected)
  })
  test('for a list of inputs', async () => {
    const [a, b] = [input({ shape: [3], name: 'a' }), input({ shape: [1], name: 'b' })]
    const two: Model = model({ inputs: [a, b], outputs: dense(1)(concatenate([a, b])) })
    const expected = rows(await two.predict([X, Y], { batchSize: 6 }))
    const items = inBatches(6)
    expect(rows(await two.predictDataset(items))).toEqual(expected)
    expect(rows(await two.predictDataset(items.map((item) => [item, item[1]])))).toEqual(expected)
    expect(rows(await two.predictDataset(items.map(([x, y]) => ({ a: x, b: y.flat() }))))).toEqual(expected)
  })
  test('for no batches', async () => {
    expect(await m.predictDataset([])).toMatchObject({ shape: [0, 1] })
  })
  test('naming the batch that is wrong', async () => {
    await expect(m.predictDataset([X, [[1, 2]]])).rejects.toThrow(
      /predictDataset: batch 1: input "x": expected/,
    )
  })
})
