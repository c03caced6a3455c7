import { mul, random, setSeed, squaredDifference, type Tensor, tensor } from '@adjoint/core'
import {
  adam,
  batchNormalization,
  concatenate,
  dense,
  dropout,
  type History,
  input,
  Layer,
  lambdaCallback,
  model,
  type Model,
  reduceLROnPlateau,
  regularizers,
  sgd,
} from '@adjoint/layers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Optimizer, optimizers } from '../../packages/layers/src/optimizers.js'
import { Plans } from '../../packages/layers/src/trainer/planned.js'

afterEach(() => vi.restoreAllMocks())

const ROWS = 50
const data = (): { a: Tensor; b: Tensor; y: Tensor; z: Tensor } => ({
  a: random.normal([ROWS, 4], { seed: 1 }),
  b: random.normal([ROWS, 3], { seed: 2 }),
  y: random.normal([ROWS, 1], { seed: 3 }),
  z: random.uniform([ROWS, 1], { seed: 4 }).greater(0.5).cast('float32'),
})

function build(): Model {
  setSeed(7)
  const a = input({ shape: [4], name: 'a' })
  const b = input({ shape: [3], name: 'b' })
  const left = batchNormalization()(
    dense(8, { activation: 'relu', kernelRegularizer: regularizers.l2(0.01) })(a),
  )
  const both = concatenate()([dropout(0.3)(left), dense(5, { activation: 'tanh' })(b)])
  return model({
    inputs: { a, b },
    outputs: { y: dense(1, { name: 'y' })(both), z: dense(1, { name: 'z', activation: 'sigmoid' })(both) },
  })
}

/** The states of everything after a training. */
function weightsOf(m: Model): number[][] {
  return m.weights.map((w) => [...w.dataSync()] as number[])
}

const untyped = (x: unknown): never => x as never

/** How often a step was given a plan. */
function spyOnPlans(): () => number {
  const spy = vi.spyOn(Plans.prototype, 'for')
  return () => spy.mock.results.filter(({ value }) => value !== undefined).length
}

describe('training by plans', () => {
  async function train(plan: boolean): Promise<{ history: History; weights: number[][]; tested: unknown }> {
    const m = build()
    m.compile(
      untyped({
        optimizer: adam({ learningRate: 0.01, weightDecay: 0.001 }),
        loss: { y: 'mse', z: 'binaryCrossentropy' },
        lossWeights: { y: 0.5, z: 2 },
        metrics: { z: ['accuracy'] },
        plan,
      }),
    )
    const { a, b, y, z } = data()
    const history = await m.fit(untyped({ a, b }), untyped({ y, z }), {
      epochs: 12,
      batchSize: 16,
      verbose: 0,
      validationSplit: 0.2,
      callbacks: [reduceLROnPlateau({ monitor: 'loss', patience: 1, factor: 0.5 })],
    })
    const tested = await m.evaluate(untyped({ a, b }), untyped({ y, z }), { batchSize: 4, verbose: 0 })
    return { history, weights: weightsOf(m), tested }
  }

  test('gives what training op by op gives, to the last bit', async () => {
    const planned = spyOnPlans()
    const byPlan = await train(true)
    // Three kinds of batches, of which each is made op by op eight times; 8 epochs of 3 steps are left of 12 and more.
    expect(planned()).toBeGreaterThan(20)
    vi.restoreAllMocks()
    const byOps = await train(false)
    expect(byPlan.history.history).toEqual(byOps.history.history)
    expect(byPlan.weights).toEqual(byOps.weights)
    expect(byPlan.tested).toEqual(byOps.tested)
  })

  test('trainOnBatch too, with a learning rate that is set on the way', async () => {
    const { a, b, y, z } = data()
    const run = async (plan: boolean): Promise<unknown[]> => {
      const m = build()
      const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 })
      m.compile(untyped({ optimizer, loss: 'mse', plan }))
      const logs: unknown[] = []
      for (let i = 0; i < 30; i++) {
        if (i === 20) optimizer.learningRate = 0.01
        if (i === 25) m.layers.find((layer) => layer.className === 'BatchNormalization')!.trainable = false
        logs.push(await m.trainOnBatch(untyped({ a, b }), untyped({ y, z })))
      }
      return [...logs, ...weightsOf(m)]
    }
    const planned = spyOnPlans()
    const byPlan = await run(true)
    expect(planned()).toBeGreaterThan(10)
    expect(byPlan).toEqual(await run(false))
  })

  test.each([
    ['an optimizer that starts over', true, {}],
    ['gradients that are collected', false, { gradientAccumulationSteps: 3 }],
    ['averages that replace weights', false, { useEma: true, emaOverwriteFrequency: 5 }],
  ])('is the same with %s', async (_, reset, options) => {
    const { a, b, y, z } = data()
    const run = async (plan: boolean): Promise<unknown[]> => {
      const m = build()
      const optimizer = adam({ learningRate: 0.01, ...options })
      m.compile(untyped({ optimizer, loss: 'mse', plan }))
      const logs: unknown[] = []
      for (let i = 0; i < 40; i++) {
        if (reset && i === 20) optimizer.reset()
        logs.push(await m.trainOnBatch(untyped({ a, b }), untyped({ y, z })))
      }
      return [...logs, ...weightsOf(m)]
    }
    expect(await run(true)).toEqual(await run(false))
  })

  test.each(Object.keys(optimizers) as (keyof typeof optimizers)[])(
    'is the same with %s, and done by plans',
    async (optimizer) => {
      const { a, b, y, z } = data()
      const run = async (plan: boolean): Promise<unknown[]> => {
        const m = build()
        m.compile(untyped({ optimizer, loss: 'mse', plan }))
        const logs: unknown[] = []
        for (let i = 0; i < 16; i++) logs.push(await m.trainOnBatch(untyped({ a, b }), untyped({ y, z })))
        return [...logs, ...weightsOf(m)]
      }
      const changed = vi.spyOn(Plans.prototype, 'report')
      const applied = vi.spyOn(Optimizer.prototype, 'apply')
      const byPlan = await run(true)
      expect(changed.mock.calls.map(([, isMade]) => isMade)).toEqual(new Array(8).fill(true))
      // Eight steps op by op and a recording; then the numbers are known without its ops, but those of ftrl.
      expect(applied).toHaveBeenCalledTimes(optimizer === 'ftrl' ? 18 : 9)
      expect(byPlan).toEqual(await run(false))
    },
  )

  // `update` is to hand its numbers on as they are. One that computes with them is run in every step, and is right.
  class Doubled extends Optimizer<{ readonly rate: number }> {
    constructor() {
      super('doubled', { learningRate: (step) => 0.01 / (step + 1) }, { learningRate: 0.01 })
    }
    protected override slotGroups(): readonly (readonly string[])[] {
      return []
    }
    protected override numbers({ learningRate: rate }: { readonly learningRate: number }): { rate: number } {
      return { rate }
    }
    protected override update(w: Tensor, g: Tensor, _: object, { rate }: { readonly rate: number }) {
      return { value: w.sub(mul(g, 2 * rate)), slots: {} }
    }
  }

  test("an optimizer of one's own that computes with its numbers is the same too", async () => {
    const { a, b, y, z } = data()
    const run = async (plan: boolean): Promise<unknown[]> => {
      const m = build()
      m.compile(untyped({ optimizer: new Doubled(), loss: 'mse', plan }))
      const logs: unknown[] = []
      for (let i = 0; i < 16; i++) logs.push(await m.trainOnBatch(untyped({ a, b }), untyped({ y, z })))
      return [...logs, ...weightsOf(m)]
    }
    const changed = vi.spyOn(Plans.prototype, 'report')
    const byPlan = await run(true)
    expect(changed.mock.calls.map(([, isMade]) => isMade)).toEqual(new Array(8).fill(true))
    expect(byPlan).toEqual(await run(false))
  })

  test.each(['predict', 'evaluate'] as const)(
    '%s moves the statistics of a layer that always trains',
    async (by) => {
      const X = Array.from({ length: 64 }, (_, i) => [i, 1])
      const moved = async (plan: boolean): Promise<number[][]> => {
        const x = input({ shape: [2] })
        const m: Model = model({
          inputs: x,
          outputs: batchNormalization({ momentum: 0.5 })(x, { training: true }),
        })
        m.compile({ loss: 'mse', plan })
        await (by === 'predict'
          ? m.predict(X, { batchSize: 4 })
          : m.evaluate(X, X, { batchSize: 4, verbose: 0 }))
        return weightsOf(m)
      }
      const given = spyOnPlans()
      const [byPlan, byOps] = [await moved(true), await moved(false)]
      expect(given()).toBeGreaterThan(5)
      expect(byPlan).toEqual(byOps)
    },
  )

  test('predictions are the same with and without', async () => {
    const { a, b } = data()
    const m = build()
    const predict = async (batchSize: number): Promise<unknown> => {
      const out = (await m.predict(untyped({ a, b }), { batchSize })) as { y: Tensor; z: Tensor }
      return [[...out.y.dataSync()], [...out.z.dataSync()]]
    }
    const planned = spyOnPlans()
    const many = await predict(3)
    expect(planned()).toBeGreaterThan(5)
    m.compile(untyped({ optimizer: 'sgd', loss: 'mse', plan: false }))
    const before = planned()
    expect(await predict(3)).toEqual(many)
    expect(planned()).toBe(before)
  })

  test('weights that were read stay as they were', async () => {
    const { a, b, y, z } = data()
    const m = build()
    m.compile(untyped({ optimizer: 'adam', loss: 'mse' }))
    let kept: Tensor | undefined
    let values: unknown
    for (let i = 0; i < 20; i++) {
      await m.trainOnBatch(untyped({ a, b }), untyped({ y, z }))
      if (kept !== undefined) expect(kept.dataSync()).toEqual(values)
      kept = m.weights[0]!.detach()
      values = kept.dataSync()
    }
  })

  test('a step whose loss is no number changes nothing and names the output', async () => {
    const { a, b, y, z } = data()
    const m = build()
    m.compile(untyped({ optimizer: 'adam', loss: 'mse' }))
    const step = (x: Tensor): Promise<unknown> =>
      m.trainOnBatch(untyped({ a: x, b }), untyped({ y, z }), { nonFinite: 'allow' })
    for (let i = 0; i < 15; i++) await step(a)
    const before = weightsOf(m)
    await expect(step(mul(a, Infinity))).rejects.toThrow(
      /loss of output "y" is NaN.*weights before this step are kept/s,
    )
    expect(weightsOf(m)).toEqual(before)
    const good = await step(a)
    expect(Number.isFinite((good as { loss: number }).loss)).toBe(true)
  })
})

class Scaled extends Layer {
  factor = 1
  call(x: Tensor): Tensor {
    return mul(x, this.factor)
  }
}

describe("code of the user's own", () => {
  const single = (layer: Scaled | ReturnType<typeof dense>): Model => {
    setSeed(3)
    const x = input({ shape: [2] })
    return model({ inputs: x, outputs: dense(1)((layer as Scaled)(x) as typeof x) })
  }
  const [x, y] = [
    tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]),
    tensor([[1], [2], [3]]),
  ]

  test.each(['onEpochBegin', 'onBatchBegin'] as const)(
    'a layer may be changed by callbacks (%s): what it does then is what is trained',
    async (hook) => {
      const run = async (plan: boolean): Promise<unknown> => {
        const layer = new Scaled()
        const m = single(layer)
        m.compile(untyped({ optimizer: 'sgd', loss: 'mse', plan }))
        const change = lambdaCallback({ [hook]: () => void (layer.factor *= 0.9) })
        const history = await m.fit(untyped(x), untyped(y), {
          epochs: 30,
          batchSize: 2,
          verbose: 0,
          callbacks: [change],
        })
        return [history.history, weightsOf(m)]
      }
      expect(await run(true)).toEqual(await run(false))
    },
  )

  // Without a look at the options the plan went on with the factor of the second epoch.
  test.each(['kernelRegularizer', 'activityRegularizer', 'activation'] as const)(
    'a function among the options of a layer (%s) may change: what it does then is what is trained',
    async (option) => {
      const run = async (plan: boolean): Promise<unknown> => {
        let factor = 1
        const own = (t: Tensor): Tensor =>
          option === 'activation' ? mul(t, factor) : mul(t.square().sum(), factor)
        const m = single(dense(1, { kernelInitializer: 'ones', [option]: own }))
        m.compile(untyped({ optimizer: sgd({ learningRate: 0.001 }), loss: 'mse', plan }))
        const change = lambdaCallback({ onEpochEnd: () => void (factor *= 0.9) })
        const options = { epochs: 12, batchSize: 3, verbose: 0 as const, callbacks: [change] }
        const history = await m.fit(untyped(x), untyped(y), options)
        return [history.history, weightsOf(m)]
      }
      expect(await run(true)).toEqual(await run(false))
    },
  )

  test('a loss that reads values is run op by op, with one warning', async () => {
    const warning = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const m = single(new Scaled())
    const loss = (target: Tensor, prediction: Tensor): Tensor =>
      mul(squaredDifference(target, prediction), prediction.dataSync()[0]! > 0 ? 1 : 2)
    m.compile(untyped({ optimizer: 'sgd', loss }))
    await m.fit(untyped(x), untyped(y), { epochs: 20, batchSize: 3, verbose: 0 })
    expect(warning.mock.calls).toHaveLength(1)
    expect(String(warning.mock.calls[0])).toMatch(/op by op.*value was read.*plan: false/s)
  })
})
