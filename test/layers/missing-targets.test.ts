import {
  DataError,
  dense,
  DTypeError,
  input,
  losses,
  type LossLike,
  metrics,
  model,
  type Model,
  NonFiniteError,
  setSeed,
  type Tensor,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'

// Targets that are missing are left out of their output's loss and metrics: what remains is as if only the others had
// been there.

const ROWS = 23
const X = Array.from({ length: ROWS }, (_, row) => [0, 1, 2].map((k) => Math.sin(row * 3 + k * k)))
const isThere = (row: number): boolean => row % 4 !== 1 && row > 6
const there = <T>(rows: readonly T[]): T[] => rows.filter((_, row) => isThere(row))
const number = X.map(([a, b]) => a! - 2 * b!)
const label = X.map((_, row) => row % 3)
const answer = X.map((_, row) => row % 2)
const distribution = label.map((k) => [0, 1, 2].map((i) => (i === k ? 1 : 0)))
const holed = <T>(values: readonly T[], hole: unknown): unknown[] =>
  values.map((value, row) => (isThere(row) ? value : hole))

function build(units: number, activation: 'linear' | 'sigmoid' | 'softmax', options: object): Model {
  setSeed(4)
  const x = input({ shape: [3], name: 'x' })
  const m: Model = model({ inputs: x, outputs: dense(units, { activation, name: 'y' })(x) })
  return m.compile({ optimizer: 'adam', missingTargets: 'mask', ...options })
}

type Case = readonly [
  loss: LossLike,
  units: number,
  activation: 'linear' | 'sigmoid' | 'softmax',
  y: readonly unknown[],
  holes: readonly unknown[],
  metrics: () => readonly unknown[],
]
const cases: readonly Case[] = [
  ['mse', 1, 'linear', number, [NaN, null], () => ['mae', metrics.r2Score(), metrics.rootMeanSquaredError()]],
  ['mae', 1, 'linear', number.map((v) => [v]), [null, [null], [NaN]], () => ['mse', 'cosine_similarity']],
  ['huber', 2, 'linear', X.map(([a, b]) => [a, b]), [[NaN, 1], null], () => ['mae']],
  [
    'binary_crossentropy',
    1,
    'sigmoid',
    answer,
    [-1, NaN, null],
    () => ['accuracy', metrics.auc(), metrics.precision(), metrics.recall(), metrics.f1Score()],
  ],
  ['sparse_categorical_crossentropy', 3, 'softmax', label, [-1, NaN, null], () => ['accuracy']],
  [
    'categorical_crossentropy',
    3,
    'softmax',
    distribution,
    [null, [NaN, 0, 1]],
    () => ['accuracy', metrics.f1Score()],
  ],
  ['kl_divergence', 3, 'softmax', distribution, [null], () => []],
  ['poisson', 1, 'sigmoid', answer, [null], () => []],
  ['hinge', 1, 'linear', answer.map((a) => 2 * a - 1), [NaN], () => ['hinge']],
  // A loss that would be NaN for anything but positive targets.
  [
    (y: Tensor, p: Tensor) => p.sub(y.log()).square().mean(-1),
    1,
    'linear',
    number.map(Math.exp),
    [null],
    () => ['mae'],
  ],
]

describe.each(cases)('%s', (loss, units, activation, y, holes, list) => {
  const options = (): object => ({ loss, metrics: list(), weightedMetrics: [] })
  test.each(holes)(
    'with %j for what is missing, evaluates as on the rest, whatever the batches',
    async (hole) => {
      const rest = await build(units, activation, options()).evaluate(there(X), there(y) as number[])
      for (const batchSize of [1, 5, 7, ROWS]) {
        const logs = await build(units, activation, options()).evaluate(X, holed(y, hole) as number[], {
          batchSize,
        })
        expect(Object.keys(logs)).toEqual(Object.keys(rest))
        for (const key of Object.keys(rest)) expect(logs[key], key).toBeCloseTo(rest[key]!, 5)
      }
    },
  )
  test('trains as on the rest', async () => {
    const [masked, plain] = [build(units, activation, options()), build(units, activation, options())]
    for (let step = 0; step < 3; step++) {
      const logs = await masked.trainOnBatch(X, holed(y, holes[0]) as number[])
      const rest = await plain.trainOnBatch(there(X), there(y) as number[])
      expect(logs.loss).toBeCloseTo(rest.loss, 5)
    }
    masked.weights.forEach((w, i) => {
      const other = plain.weights[i]!.dataSync()
      w.dataSync().forEach((v, k) => {
        expect(v).toBeCloseTo(other[k]!, 5)
      })
    })
  })
})

test('weights count among those that are there: the sum over their number, as with masks in Keras', async () => {
  const m = build(1, 'linear', { loss: 'mse', weightedMetrics: ['mae'] })
  const weights = X.map((_, row) => row % 5)
  const logs = await m.evaluate(X, holed(number, NaN) as number[], { sampleWeight: weights })
  const rest = await m.evaluate(there(X), there(number), { sampleWeight: there(weights) })
  expect(logs.loss).toBeCloseTo(rest.loss, 5)
  expect(logs['mae']).toBeCloseTo(rest['mae']!, 5)
})

test.each(['sum', 'mean_with_sample_weight'] as const)(
  'the reduction %s leaves them out too',
  async (reduction) => {
    const make = (): Model => build(1, 'linear', { loss: losses.meanSquaredError({ reduction }) })
    const sampleWeight = X.map((_, row) => row % 5)
    const logs = await make().trainOnBatch(X, holed(number, NaN) as number[], { sampleWeight })
    const rest = await make().trainOnBatch(there(X), there(number), { sampleWeight: there(sampleWeight) })
    expect(logs.loss).toBeCloseTo(rest.loss, 4)
  },
)

test('class weights need none for what is missing', async () => {
  const m = build(3, 'softmax', { loss: 'sparse_categorical_crossentropy' })
  const classWeight = { 0: 1, 1: 2, 2: 0.5 }
  const logs = await m.trainOnBatch(X, holed(label, -1) as number[], { classWeight })
  const again = build(3, 'softmax', { loss: 'sparse_categorical_crossentropy' })
  expect(logs.loss).toBeCloseTo((await again.trainOnBatch(there(X), there(label), { classWeight })).loss, 5)
})

test('each output has its own; the loss is the sum of what each has', async () => {
  const build2 = (): Model => {
    setSeed(4)
    const x = input({ shape: [3], name: 'x' })
    const outputs = { a: dense(1)(x), b: dense(3, { activation: 'softmax' })(x) }
    const m: Model = model({ inputs: x, outputs })
    return m.compile({
      loss: { a: 'mse', b: 'sparse_categorical_crossentropy' } as never,
      lossWeights: { a: 2, b: 3 },
      metrics: { a: ['mae'], b: ['accuracy'] } as never,
      missingTargets: { a: 'mask' } as never,
    })
  }
  const m = build2()
  const a = holed(number, null) as number[]
  for (const batchSize of [4, ROWS]) {
    const logs = await m.evaluate(X, { a, b: label }, { batchSize })
    const onlyThere = await m.evaluate(there(X), { a: there(number), b: there(label) })
    const all = await m.evaluate(X, { a: number, b: label })
    expect(logs['a_loss']).toBeCloseTo(onlyThere['a_loss']!, 5)
    expect(logs['a_mae']).toBeCloseTo(onlyThere['a_mae']!, 5)
    expect(logs['b_loss']).toBeCloseTo(all['b_loss']!, 5)
    expect(logs['b_accuracy']).toBeCloseTo(all['b_accuracy']!, 5)
    expect(logs.loss).toBeCloseTo(2 * logs['a_loss']! + 3 * logs['b_loss']!, 5)
  }
  await expect(m.evaluate(X, { a, b: holed(label, -1) as number[] })).rejects.toThrow(
    /target "b": label -1 at row 0/,
  )
})

test('time steps are missing one by one', async () => {
  const build3 = (): Model => {
    setSeed(4)
    const x = input({ shape: [2, 3], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(3, { activation: 'softmax', name: 'y' })(x) })
    return m.compile({
      loss: 'sparse_categorical_crossentropy',
      metrics: ['accuracy'] as never,
      missingTargets: 'mask',
    })
  }
  const x = X.slice(0, 4).map((row, i) => [row, X[i + 4]!])
  const y = [
    [0, null],
    [2, 1],
    [null, null],
    [null, 2],
  ] as never
  const logs = await build3().evaluate(x, y)
  // A row for each step that is there, beside a copy of itself that counts the same.
  const steps = [x[0]![0]!, x[1]![0]!, x[1]![1]!, x[3]![1]!].map((step) => [step, step])
  const rest = await build3().evaluate(
    steps,
    [0, 2, 1, 2].map((k) => [k, k]),
  )
  expect(logs.loss).toBeCloseTo(rest.loss, 6)
  expect(logs['accuracy']).toBeCloseTo(rest['accuracy']!, 6)
})

test('a batch in which all are missing changes no weight of plain gradient descent', async () => {
  const m = build(1, 'linear', { loss: 'mse', optimizer: 'sgd' })
  const before = m.weights.map((w) => [...w.dataSync()])
  const logs = await m.trainOnBatch(
    X,
    X.map(() => NaN),
  )
  expect(logs.loss).toBe(0)
  expect(m.weights.map((w) => [...w.dataSync()])).toEqual(before)
})

describe('refused are', () => {
  const mse = (options: object = {}): Model => build(1, 'linear', { loss: 'mse', ...options })
  test('what is missing where nothing was said of it', async () => {
    const m = mse({ missingTargets: 'error' })
    await expect(m.fit(X, holed(number, NaN) as number[])).rejects.toThrow(NonFiniteError)
    await expect(m.fit(X, holed(number, null) as number[])).rejects.toThrow(DTypeError)
  })
  test('undefined, infinities and bad labels all the same', async () => {
    await expect(mse().fit(X, holed(number, undefined) as number[])).rejects.toThrow(/undefined at row 0/)
    await expect(mse().fit(X, holed(number, Infinity) as number[])).rejects.toThrow(/Infinity at row 0/)
    const m = build(3, 'softmax', { loss: 'sparse_categorical_crossentropy' })
    await expect(m.fit(X, holed(label, 3) as number[])).rejects.toThrow(/label 3 at row 0/)
  })
  test('NaN in inputs', async () => {
    await expect(mse().fit(holed(X, [NaN, 1, 2]) as number[][], number)).rejects.toThrow(
      /input "x" holds NaN/,
    )
  })
  test('training on nothing', async () => {
    await expect(
      mse().fit(
        X,
        X.map(() => NaN),
      ),
    ).rejects.toThrow(DataError)
    await expect(mse().fit(X, X.map(() => null) as never)).rejects.toThrow(
      /target "y": all 23 rows are missing/,
    )
  })
  test('a loss that does not tell rows apart', async () => {
    const m = mse({ loss: (y: Tensor, p: Tensor) => p.sub(y).square().mean() })
    await expect(m.fit(X, holed(number, NaN) as number[], { verbose: 0 })).rejects.toThrow(
      /one value for the whole batch/,
    )
  })
  test('choices that are none', () => {
    expect(() => mse({ missingTargets: 'maks' })).toThrow(ValueError)
    expect(() => mse({ missingTargets: { z: 'mask' } })).toThrow(/no output "z"/)
  })
})
