// What of sections C and D of test/oracles/hostile.md is not bad data: options of optimizers, and what is taken.
import {
  adam,
  adadelta,
  dense,
  input,
  losses,
  model,
  type Model,
  rmsprop,
  sequential,
  setSeed,
  sgd,
  tensor,
  type Tensor,
  ValueError,
} from '@adjoint/layers'
import { beforeEach, expect, test } from 'vitest'
import { stateOf } from '../support/state.js'

const X = [[1], [2], [3], [4]]
const quiet = { verbose: 0 } as const
const make = (): Model =>
  sequential([dense(1, { inputShape: [1] })]).compile({ optimizer: sgd(), loss: 'mse' })
const after = async (fit: (m: Model) => Promise<unknown>): Promise<unknown> => {
  setSeed(4)
  const m = make()
  await fit(m)
  return stateOf(m)
}

beforeEach(() => {
  setSeed(4)
})

test.each([NaN, Infinity, -Infinity, -0.1, '0.1', null, {}])(
  'C07: a learning rate of %s is refused',
  (rate) => {
    for (const optimizer of [sgd, adam, rmsprop])
      expect(() => optimizer({ learningRate: rate as number })).toThrow(ValueError)
    expect(() => sgd({ learningRate: rate as number })).toThrow(/learningRate/)
    const m = make()
    const before = stateOf(m)
    expect(() => {
      m.optimizer.learningRate = rate as number
    }).toThrow(ValueError)
    expect(stateOf(m)).toEqual(before)
  },
)

test('C07: a learning rate of 0 is taken: nothing moves', async () => {
  const m = make().compile({ optimizer: sgd({ learningRate: 0 }), loss: 'mse' })
  const before = m.getWeights().map((w) => w.arraySync())
  await m.fit(X, X, quiet)
  expect(m.getWeights().map((w) => w.arraySync())).toEqual(before)
})

test.each<[string, () => unknown]>([
  ['beta1', () => adam({ beta1: 1 })],
  ['beta1', () => adam({ beta1: -0.1 })],
  ['beta2', () => adam({ beta2: NaN })],
  ['epsilon', () => adam({ epsilon: -1 })],
  ['rho', () => rmsprop({ rho: 2 })],
  ['rho', () => adadelta({ rho: -1 })],
  ['momentum', () => sgd({ momentum: 1.5 })],
])('C08: %s out of its range is refused by name', (name, optimizer) => {
  expect(optimizer).toThrow(ValueError)
  expect(optimizer).toThrow(new RegExp(`${name} must be`))
})

test('D09: a column of numbers is taken for an input of one number', async () => {
  const wanted = await after((m) => m.fit(X, X, quiet))
  expect(await after((m) => m.fit([1, 2, 3, 4], [1, 2, 3, 4], quiet))).toEqual(wanted)
  expect(await after((m) => m.fit(Float32Array.of(1, 2, 3, 4), Float64Array.of(1, 2, 3, 4), quiet))).toEqual(
    wanted,
  )
})

test('D18: a batch larger than the data is one batch', async () => {
  const wanted = await after((m) => m.fit(X, X, { ...quiet, batchSize: 4, epochs: 2 }))
  expect(await after((m) => m.fit(X, X, { ...quiet, batchSize: 1e9, epochs: 2 }))).toEqual(wanted)
})

test('D24: rows of targets that do not sum to 1 are taken as they are, as weights of the classes', async () => {
  const x = input({ shape: [2] })
  const m = model({ inputs: x, outputs: dense(2, { activation: 'softmax' })(x) })
  m.compile({ loss: 'categorical_crossentropy' })
  const data = [[1, 2], [3, 4]] // prettier-ignore
  const targets = [[2, 1], [0.5, -0.25]] // prettier-ignore
  const predicted = await m.predict(data)
  const want = losses.categoricalCrossentropy(tensor(targets), predicted).mean().itemSync()
  expect((await m.evaluate(data, targets)).loss).toBeCloseTo(want, 6)
})

test('D38: data of another dtype is cast', async () => {
  const m = make()
  const want = ((await m.predict([[1], [0], [1]])) as Tensor).arraySync()
  const same = [Int32Array.of(1, 0, 1), Uint8Array.of(1, 0, 1), Float64Array.of(1, 0, 1), tensor([true, false, true]), tensor([[1], [0], [1]], { dtype: 'int32' })] // prettier-ignore
  for (const x of same) expect(((await m.predict(x as never)) as Tensor).arraySync()).toEqual(want)
})

test('D40: one object may be input and target', async () => {
  const wanted = await after((m) => m.fit(X, structuredClone(X), quiet))
  expect(await after((m) => m.fit(X, X, quiet))).toEqual(wanted)
  const both = tensor(X)
  expect(await after((m) => m.fit(both, both, quiet))).toEqual(wanted)
})
