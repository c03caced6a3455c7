import {
  dense,
  input,
  loadModel,
  losses,
  type LossFn,
  type LossLike,
  metrics,
  model,
  type Model,
  sgd,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
  readonly expected: number | readonly number[]
  readonly tol: number
}

type Factory = (options?: object) => LossFn
const byName = losses as unknown as Readonly<Record<string, Factory>>
const flat = (x: Tensor): number[] => [...x.dataSync()]

/** One output that gives its input back: weights of 1, at a rate of 0. */
function through(loss: LossLike, width: number): Model {
  const x = input({ shape: [width], name: 'x' })
  const m: Model = model({
    inputs: x,
    outputs: dense(width, { kernelInitializer: 'identity', useBias: false })(x),
  })
  return m.compile({ optimizer: sgd({ learningRate: 0 }), loss })
}

describe('facts of Keras, by losses with options', () => {
  const facts = readOracle<Fact[]>('facts.json').filter(
    ({ area, input: given }) => area === 'loss' && 'yTrue' in given,
  )
  test('there are some', () => {
    expect(facts.length).toBeGreaterThan(0)
  })
  test.each(facts)('$name', async ({ name, input: given, expected, tol }) => {
    const key = name.split(' ')[0]!
    const { yTrue, yPred, sampleWeight, reduction, ...options } = given
    const make = byName[key === 'KLDivergence' ? 'klDivergence' : key[0]!.toLowerCase() + key.slice(1)]!
    const values = make(options)(tensor(yTrue as number[]), tensor(yPred as number[]))
    const want = [expected].flat()
    const close = (got: readonly number[]): void =>
      got.forEach((value, i) => expect(Math.abs(value - want[i]!)).toBeLessThanOrEqual(tol))
    if (want.length > 1) {
      close(flat(values))
      return
    }
    const rank = tensor(yPred as number[]).rank
    if (rank !== 2) {
      close(flat(reduction === 'sum' ? values.sum() : values.mean()))
      return
    }
    // As the loss of a training step.
    const m = through(
      make({ ...options, ...(reduction !== undefined && { reduction }) }),
      (yPred as number[][])[0]!.length,
    )
    const { loss } = await m.testOnBatch(yPred as number[][], yTrue as number[][], {
      ...(sampleWeight !== undefined && { sampleWeight: sampleWeight as number[] }),
    })
    close([loss])
  })
})

const X = [
  [0.1, 0.9, 0.3],
  [0.4, 0.2, 0.8],
]
const Y = [
  [0, 1, 0],
  [0, 0, 1],
]

describe('in training', () => {
  const measured = async (loss: LossLike, sampleWeight?: number[]): Promise<number> =>
    (await through(loss, 3).testOnBatch(X, Y, sampleWeight && { sampleWeight })).loss
  const of = (loss: LossFn): number[] => flat(loss(tensor(Y), tensor(X)))
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length

  test.each<[LossLike, LossFn]>([
    [
      losses.binaryCrossentropy({ labelSmoothing: 0.2 }),
      (t, p) => losses.binaryCrossentropy(t, p, { labelSmoothing: 0.2 }),
    ],
    [
      losses.categoricalCrossentropy({ fromLogits: true }),
      (t, p) => losses.categoricalCrossentropy(t, p, { fromLogits: true }),
    ],
    [losses.huber({ delta: 0.1 }), (t, p) => losses.huber(t, p, { delta: 0.1 })],
    [losses.meanSquaredError(), losses.meanSquaredError],
    [losses.cosineSimilarity({ axis: -1 }), losses.cosineSimilarity],
    [
      losses.tversky({ alpha: 0.3, beta: 0.7, axis: [1] }),
      (t, p) => losses.tversky(t, p, { alpha: 0.3, beta: 0.7, axis: [1] }),
    ],
  ])('%o is the function with these options', async (loss, fn) => {
    expect(await measured(loss)).toBeCloseTo(mean(of(fn)), 6)
  })

  test('reductions: the mean, the sum, the mean by the sum of the weights', async () => {
    const [a, b] = of(losses.meanSquaredError) as [number, number]
    const { meanSquaredError: mse } = losses
    expect(await measured(mse({ reduction: 'sum' }))).toBeCloseTo(a + b, 6)
    expect(await measured(mse({ reduction: 'sum' }), [1, 3])).toBeCloseTo(a + 3 * b, 6)
    expect(await measured(mse({ reduction: 'sum_over_batch_size' }), [1, 3])).toBeCloseTo((a + 3 * b) / 2, 6)
    expect(await measured(mse({ reduction: 'meanWithSampleWeight' }), [1, 3])).toBeCloseTo((a + 3 * b) / 4, 6)
    expect(await measured(mse({ reduction: 'mean_with_sample_weight' }), [0, 0])).toBe(0)
    expect(await measured(mse({ reduction: 'mean_with_sample_weight' }))).toBeCloseTo((a + b) / 2, 6)
  })

  test('a sum has the gradient of a sum', async () => {
    const moved = async (loss: LossLike): Promise<number[]> => {
      const m = through(loss, 3)
      m.optimizer.learningRate = 0.25
      await m.trainOnBatch(X, Y)
      return flat(m.getWeights()[0]!).map((w, i) => w - (i % 4 === 0 ? 1 : 0))
    }
    const sum = await moved(losses.meanSquaredError({ reduction: 'sum' }))
    const means = await moved('mse')
    sum.forEach((value, i) => expect(value).toBeCloseTo(2 * means[i]!, 6))
  })

  test('targets are checked as for the loss by its name', async () => {
    await expect(measured(losses.binaryCrossentropy({ fromLogits: true }))).resolves.toBeGreaterThan(0)
    const m = through(losses.binaryCrossentropy({ fromLogits: true }), 3)
    await expect(
      m.testOnBatch(X, [
        [2, 0, 0],
        [0, 0, 0],
      ]),
    ).rejects.toThrow(/2 at .*outside of 0..1/)
    await expect(
      through(losses.categoricalCrossentropy({ labelSmoothing: 0.1 }), 3).testOnBatch(X, [0, 1]),
    ).rejects.toThrow(/did you mean sparse_categorical_crossentropy/)
  })

  test("history and metrics have Keras' names", async () => {
    const x = input({ shape: [3], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(3)(x) })
    m.compile({
      loss: losses.huber({ delta: 2 }),
      metrics: [
        losses.huber({ delta: 2 }),
        metrics.meanAbsoluteError(),
        metrics.huber({ delta: 2, name: 'h2' }),
        metrics.binaryCrossentropy({ fromLogits: true }),
      ],
    })
    const logs = await m.testOnBatch(X, Y)
    expect(Object.keys(logs)).toEqual(['loss', 'huber', 'mean_absolute_error', 'h2', 'binary_crossentropy'])
    expect(logs['huber']).toBeCloseTo(logs.loss, 6)
    expect(logs['h2']).toBeCloseTo(logs.loss, 6)
  })

  test('all is saved and loaded', async () => {
    const m = through(losses.binaryCrossentropy({ labelSmoothing: 0.2, reduction: 'sum' }), 3)
    m.compile({
      ...m.compileOptions,
      metrics: [metrics.categoricalCrossentropy({ labelSmoothing: 0.1, name: 'smooth' })],
    })
    const again = await loadModel(await m.toBytes())
    expect(await again.testOnBatch(X, Y)).toEqual(await m.testOnBatch(X, Y))
  })
})

test.each<[() => unknown, RegExp]>([
  [
    () => losses.binaryCrossentropy({ labelSmoothin: 0.1 } as object),
    /binaryCrossentropy: option "labelSmoothin".*"labelSmoothing"/,
  ],
  [
    () => losses.binaryCrossentropy({ labelSmoothing: 2 }),
    /labelSmoothing must be a number in \[0, 1\], got 2/,
  ],
  [() => losses.huber({ delta: 0 }), /huber: delta/],
  [() => losses.huber({ reduction: 'summ' as 'sum' }), /huber: reduction .*Did you mean "sum"/],
  [() => losses.huber(3 as never), /huber: expected targets and predictions as tensors, or options, got 3/],
  [() => losses.huber([[1]] as never, [[1]] as never), /yTrue must be a tensor/],
  [() => metrics.huber({ deltaa: 1 } as object), /"delta"/],
  [() => through(losses.huber({ reduction: 'none' }), 3), /output "dense": .*reduction "none"/],
])('%s is refused', (make, says) => {
  expect(make).toThrow(ValueError)
  expect(make).toThrow(says)
})
