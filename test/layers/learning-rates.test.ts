import {
  adam,
  cosineDecay,
  dense,
  input,
  loadModel,
  model,
  type Model,
  type Optimizer,
  sequential,
  sgd,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'

const X = [[1, 2]]
const Y = [[3]]

/** encoder (a model of two layers) → head */
function build(optimizer: Optimizer): Model {
  const encoder = sequential(
    [
      dense(2, { inputShape: [2], name: 'first', kernelInitializer: 'ones' }),
      dense(2, { name: 'second', kernelInitializer: 'ones' }),
    ],
    { name: 'encoder' },
  )
  const x = input({ shape: [2], name: 'x' })
  const m: Model = model({
    inputs: x,
    outputs: dense(1, { name: 'head', kernelInitializer: 'ones' })(encoder(x)),
  })
  return m.compile({ optimizer, loss: 'mse' })
}

/** By how much each weight moves in one step. */
async function moves(optimizer: Optimizer): Promise<Record<string, number>> {
  const m = build(optimizer)
  const before = m.weights.map((w) => w.dataSync()[0]!)
  await m.trainOnBatch(X, Y)
  const names = ['first/kernel', 'first/bias', 'second/kernel', 'second/bias', 'head/kernel', 'head/bias']
  return Object.fromEntries(m.weights.map((w, i) => [names[i]!, w.dataSync()[0]! - before[i]!]))
}

describe('learningRateMultipliers', () => {
  test('hold for models, layers and single weights; the longest name counts', async () => {
    const plain = await moves(sgd({ learningRate: 1e-3 }))
    const given = await moves(
      sgd({
        learningRate: 1e-3,
        learningRateMultipliers: { encoder: 0.1, 'encoder/second': 0, 'head/bias': 3 },
      }),
    )
    const factors = { first: 0.1, second: 0, 'head/kernel': 1, 'head/bias': 3 }
    for (const [name, move] of Object.entries(plain)) {
      const [, factor] = Object.entries(factors).find(([place]) => name.startsWith(place))!
      expect(move).not.toBe(0)
      expect(given[name], name).toBeCloseTo(move * factor, 6)
    }
  })

  test('multiply schedules and decay too, and are saved', async () => {
    const options = {
      learningRate: cosineDecay({ initialLearningRate: 0.1, decaySteps: 10 }),
      learningRateMultipliers: { encoder: 0, head: 0.5 },
      weightDecay: 0.1,
    }
    const m = build(adam(options))
    const frozen = m.weights.slice(0, 4).map((w) => [...w.dataSync()])
    await m.fit(X, Y, { epochs: 3, verbose: 0 })
    expect(m.weights.slice(0, 4).map((w) => [...w.dataSync()])).toEqual(frozen)
    const again = await loadModel(await m.toBytes())
    await again.fit(X, Y, { epochs: 5, initialEpoch: 3, verbose: 0 })
    await m.fit(X, Y, { epochs: 5, initialEpoch: 3, verbose: 0 })
    expect(again.weights.map((w) => [...w.dataSync()])).toEqual(m.weights.map((w) => [...w.dataSync()]))
  })

  test.each([
    [{ decoder: 1 }, /"decoder"; layers with weights are .*encoder\/first.*head/],
    [{ haed: 1 }, /Did you mean "head"/],
  ])('%o names no layer: nothing is compiled', (learningRateMultipliers, says) => {
    const m = build(sgd())
    const { optimizer } = m
    expect(() => m.compile({ optimizer: sgd({ learningRateMultipliers }), loss: 'mse' })).toThrow(ValueError)
    expect(() => m.compile({ optimizer: sgd({ learningRateMultipliers }), loss: 'mse' })).toThrow(says)
    expect(m.optimizer).toBe(optimizer)
  })
  test.each([[{ head: -1 }], [{ head: '1' }], [1]])('%o is refused', (given) => {
    expect(() => sgd({ learningRateMultipliers: given as Record<string, number> })).toThrow(
      /learningRateMultipliers/,
    )
  })
})

test('layers may be left out of weight decay', async () => {
  const decayed = async (excludeFromWeightDecay: string[]): Promise<boolean[]> => {
    const m = build(sgd({ learningRate: 1e-9, weightDecay: 1e6, excludeFromWeightDecay }))
    await m.trainOnBatch(X, Y)
    return m.weights.filter((w) => w.rank === 2).map((w) => w.dataSync()[0]! < 0.9995)
  }
  expect(await decayed([])).toEqual([true, true, true])
  expect(await decayed(['encoder/first', 'head'])).toEqual([false, true, false])
  expect(await decayed(['kern'])).toEqual([false, false, false])
})
