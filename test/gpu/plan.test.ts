// Plans on a GPU: the same numbers as op by op, in a few dispatches.
import {
  compile,
  cumsum,
  gather,
  matmul,
  NonFiniteError,
  random,
  scatterAdd,
  setBackend,
  setSeed,
  tensor,
  type Tensor,
  valueAndGrads,
  variable,
  zeros,
} from '@adjoint/core'
import { cpuBackend, StepPlan } from '@adjoint/core/extend'
import { concatenate, dense, input, model } from '@adjoint/layers'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebGpuDevice } from '../../packages/gpu/src/webgpu-device.js'
import { openGpu } from '../support/gpu.js'
import { REFUSALS, withoutOwnWgsl } from '../support/gpu-seam.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

/** One, two or three inputs and outputs, of the sizes that the benchmark has. */
const models = {
  B1: () => {
    const [a, b] = [input({ shape: [10] }), input({ shape: [5] })]
    const h = concatenate([dense(64, { activation: 'relu' })(a), dense(32, { activation: 'relu' })(b)])
    const m = model({ inputs: [a, b], outputs: dense(1)(h) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    return { m, x: [uniform(32, 10), uniform(32, 5)], y: uniform(32, 1) }
  },
  B3: () => {
    const x = input({ shape: [20] })
    const h1 = dense(128, { activation: 'relu' })(x)
    const h2 = dense(64, { activation: 'relu' })(h1)
    const h3 = dense(32, { activation: 'relu' })(h2)
    const c = dense(5, { activation: 'softmax' })(concatenate([h2, h3]))
    const m = model({ inputs: x, outputs: [dense(1)(h2), dense(1, { activation: 'sigmoid' })(h3), c] })
    m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'] })
    return { m, x: uniform(32, 20), y: [uniform(32, 1), uniform(32, 1), uniform(32, 5)] }
  },
  B4: () => {
    const x = input({ shape: [784] })
    const h = dense(128, { activation: 'relu' })(dense(256, { activation: 'relu' })(x))
    const m = model({ inputs: x, outputs: dense(10, { activation: 'softmax' })(h) })
    m.compile({ optimizer: 'adam', loss: 'categorical_crossentropy' })
    return { m, x: uniform(128, 784), y: uniform(128, 10) }
  },
}

let seed = 0
const uniform = (...shape: readonly number[]): Tensor => random.uniform(shape, { seed: ++seed })

interface Trained {
  readonly losses: readonly number[]
  readonly weights: readonly ArrayLike<number>[]
  /** The plan as text, where there was one. */
  readonly plan: string
}

/** So many steps on one batch, the first op by op. */
async function trained(name: keyof typeof models, steps: number): Promise<Trained> {
  setSeed(1)
  seed = 0
  let plan = ''
  const record = StepPlan.record.bind(StepPlan)
  const spy = vi.spyOn(StepPlan, 'record').mockImplementation((...args) => {
    const made = record(...args)
    plan = String(made)
    return made
  })
  try {
    const { m, x, y } = models[name]()
    const losses: number[] = []
    for (let i = 0; i < steps; i++) losses.push((await m.trainOnBatch(x as never, y as never)).loss)
    return { losses, weights: await Promise.all(m.weights.map((v) => v.data())), plan }
  } finally {
    spy.mockRestore()
  }
}

/** Trains on both. */
async function expectSameTraining(name: keyof typeof models, steps: number): Promise<Trained> {
  setBackend(cpuBackend)
  const want = await trained(name, steps)
  setBackend(gpu!)
  const got = await trained(name, steps)
  got.losses.forEach((loss, i) => expect(loss).toBeCloseTo(want.losses[i]!, 4))
  got.weights.forEach((values, i) => {
    const other = want.weights[i]!
    for (let at = 0; at < values.length; at++) {
      const distance = Math.abs(values[at]! - other[at]!)
      // Adam's first steps are of the rate's size whatever the gradient's, so that a gradient near 0 counts in full.
      if (!(distance < 1e-4)) expect.fail(`weight ${i} [${at}] is ${values[at]}, on the CPU ${other[at]}`)
    }
  })
  return got
}

/** The shapes of what each dispatch stores. */
const outline = (plan: string): string =>
  plan
    .split(/^dispatch /m)
    .slice(1)
    .map((text) => {
      const shapes = [...text.matchAll(/^ {2}%\d+: float32 (\S+)/gm)].map(([, shape]) => shape)
      return `${/^(\d+)(, for the change)?/.exec(text)![0]}: ${shapes.join(' ')}`
    })
    .join('\n')

describe.skipIf(gpu === undefined)('a plan on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterEach(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  test('is few dispatches, and trains B4 as the CPU does', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const run = vi.spyOn(WebGpuDevice.prototype, 'run')
    const { plan } = await expectSameTraining('B4', 3)
    // A thread of the last dispatch moves four weights, and what Adam remembers of them.
    const weights = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 12
    expect(run.mock.calls.findLast(([, , , threads]) => threads !== undefined)![3]).toBe(
      Math.ceil(weights / 4 / 64) * 64 + 64,
    )
    run.mockRestore()
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
    expect(outline(plan)).toMatchInlineSnapshot(`
      "1: [128,256]
      2: [128,128]
      3: [128,10]
      4: [128] [128,10]
      5: [10] [128,10] [128,128]
      6: [128] [256,128] [128,256] [1,32,1]
      7: [256] [784,256] [1,128,1]
      8: [1,448,1]
      9: [] [] [] [] [] [] []
      10, for the change: []
      11, for the change: [784,256] [256] [256,128] [128] [128,10] [10] [784,256] [256] [256,128] [128] [128,10] [10] [784,256] [256] [256,128] [128] [128,10] [10] []"
    `)
  })

  test('takes many outputs and losses in few dispatches: B3', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { plan } = await expectSameTraining('B3', isFull ? 12 : 3)
    expect(warned.mock.calls.flat()).toEqual([
      expect.stringMatching(/step of this model is about .* operations, which the CPU makes sooner/),
    ])
    await trained('B1', 3)
    expect(warned).toHaveBeenCalledOnce()
    warned.mockRestore()
    expect(plan.match(/dispatch /g)!.length).toBeLessThanOrEqual(16)
  })

  test.runIf(isFull)('trains B1 as the CPU does', async () => {
    const { plan } = await expectSameTraining('B1', 12)
    expect(plan.match(/dispatch /g)!.length).toBeLessThanOrEqual(12)
  })

  test('has kernels of gpu.js alone where gpu.js or the driver takes no others', async () => {
    const { losses } = await trained('B1', 3)
    for (const refusal of REFUSALS) {
      const { result: other, texts } = await withoutOwnWgsl(refusal, (without) => {
        setBackend(without)
        return trained('B1', 3)
      })
      expect(texts).toBeGreaterThan(5)
      other.losses.forEach((loss, i) => expect(loss).toBeCloseTo(losses[i]!, 5))
    }
  })

  test('variables move, and what was read of them stays', async () => {
    const w = variable([1, 2], { name: 'w' })
    const step = compile((x: Tensor) => {
      const { value, grads } = valueAndGrads(() => w.mul(x).sum(), [w])
      w.assign(w.sub(grads[0]!))
      return value
    })
    const before = w.detach()
    const values = [step(tensor([1, 1])), step(tensor([1, 1])), step(tensor([0.5, 1]))]
    const kept = w.detach()
    step(tensor([9, 9]))
    expect(await Promise.all(values.map((v) => v.item()))).toEqual([3, 1, -0.5])
    expect([...(await before.data())]).toEqual([1, 2])
    expect([...(await kept.data())]).toEqual([-1.5, -1])
    expect([...(await w.data())]).toEqual([-10.5, -10])
    w.assign(tensor([0, 0]))
    expect(await step(tensor([1, 1])).item()).toBe(0)
    expect([...(await w.mul(2).data())]).toEqual([-2, -2])
  })

  test('what is both returned and assigned is there, as are the others', async () => {
    const [a, b] = [variable([1, 2, 3, 4]), variable([5, 6])]
    const f = compile((x: Tensor) => {
      const next = a.add(x)
      a.assign(next)
      b.assign(b.mul(2))
      return next
    })
    const { buffers } = (f(tensor(1)).dispose(), gpu!.memory())
    const got = f(tensor(1))
    expect([...(await got.data())]).toEqual([3, 4, 5, 6])
    expect([...(await a.data())]).toEqual([3, 4, 5, 6])
    expect([...(await b.data())]).toEqual([20, 24])
    got.dispose()
    for (let i = 0; i < 20; i++) f(tensor(1)).dispose()
    expect(gpu!.memory().buffers).toBe(buffers)
  })

  test('running sums are dispatches of their own', async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const sums = [1, 2, 4, 6, 9, 12]
    for (const [f, factor] of [
      [(v: Tensor) => cumsum(v, 0), 1],
      [(v: Tensor) => cumsum(v, 0).mul(2), 2],
      [(v: Tensor) => cumsum(v.mul(2), 0), 2],
      [(v: Tensor) => cumsum(cumsum(v, 0), 0).sub(cumsum(cumsum(v, 0).mul(0), 0)), undefined],
    ] as const) {
      const got = [...(await compile(f)(x).data())]
      expect(got).toEqual(factor === undefined ? [1, 2, 5, 8, 14, 20] : sums.map((sum) => sum * factor))
    }
  })

  test('what four neighbours make of a kernel that is run by itself is right up to the last of them', async () => {
    const n = 4097
    const at = tensor(Int32Array.from({ length: n }, (_, i) => i))
    const x = tensor(Float32Array.from({ length: n }, (_, i) => i))
    const f = compile((v: Tensor, to: Tensor) =>
      scatterAdd(zeros([n]), to, v)
        .mul(2)
        .add(1),
    )
    const got = await f(x, at).data()
    expect([...got]).toEqual(Array.from({ length: n }, (_, i) => 2 * i + 1))
  })

  test('a long chain of values that are used twice is planned at once', async () => {
    const f = compile((x: Tensor) => {
      let y = x
      for (let i = 0; i < 60; i++) y = y.mul(0.5).add(y.sub(y.mul(0.5)))
      return y
    })
    expect([...(await f(tensor([1, 2, -3, 0.25])).data())]).toEqual([1, 2, -3, 0.25])
  })

  test('a step whose loss is no number changes nothing', async () => {
    const x = input({ shape: [3] })
    const m = model({ inputs: x, outputs: dense(2, { activation: 'tanh' })(x) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    const batch = tensor([[1, 2, 3]])
    for (let i = 0; i < 10; i++) await m.trainOnBatch(batch, tensor([[1, 0]]))
    const values = (): Promise<number[][]> =>
      Promise.all([...m.weights, ...m.optimizer.variables].map(async (v) => [...(await v.data())]))
    const before = await values()
    const asked = m.trainOnBatch(batch, tensor([[Infinity, 0]]), { nonFinite: 'allow' })
    await expect(asked).rejects.toThrow(NonFiniteError)
    expect(await values()).toEqual(before)
    expect((await m.trainOnBatch(batch, tensor([[1, 0]]))).loss).toBeLessThan(10)
  })

  test('plans of the same ops for other shapes are others', async () => {
    const w = random.uniform([10, 16], { seed: 1 })
    const f = compile((x: Tensor) => x.matmul(w).tanh().mean(0))
    for (const rows of [16, 13, 3, 15, 16]) {
      const x = random.uniform([rows, 10], { seed: rows })
      const want = x.matmul(w).tanh().mean(0)
      const [got, right] = await Promise.all([f(x).data(), want.data()])
      got.forEach((value, i) => expect(value).toBeCloseTo(right[i]!, 6))
    }
  })

  test.each([true, false])(
    'products by tiles for adapters that are software or not (%s)',
    async (isSoftware) => {
      const described = Object.getOwnPropertyDescriptor(gpu!.info, 'isSoftware')!
      const run = vi.spyOn(WebGpuDevice.prototype, 'run')
      Object.defineProperty(gpu!.info, 'isSoftware', { value: isSoftware, configurable: true })
      try {
        for (const [m, k, n, threads, transposeA] of [
          [128, 256, 288, isSoftware ? 8 * 36 : 32 * 72, false],
          [128, 256, 288, isSoftware ? 8 * 36 : 32 * 72, true],
          [128, 260, 160, isSoftware ? 16 * 20 : 32 * 40, false],
          [42, 7, 31, 11 * 8, true],
        ] as const) {
          const [a, b, c] = [
            random.uniform(transposeA ? [k, m] : [m, k], { seed: 1 }),
            random.uniform([k, n], { seed: 2 }),
            tensor(0.5),
          ]
          const product = (x: Tensor, y: Tensor): Tensor => matmul(x, y, transposeA).sub(c).relu()
          const f = compile(product)
          const want = product(a, b)
          run.mockClear()
          const got = f(a, b)
          expect(run.mock.calls.map(([, , , count]) => count)).toContain(Math.ceil(threads / 64) * 64)
          const [all, right] = await Promise.all([got.data(), want.data()])
          all.forEach((value, i) => expect(Math.abs(value - right[i]!)).toBeLessThan(1e-5))
        }
      } finally {
        Object.defineProperty(gpu!.info, 'isSoftware', described)
        run.mockRestore()
      }
    },
  )

  test('bad indices are told before anything is changed', async () => {
    const count = variable(0)
    const f = compile((x: Tensor, at: Tensor) => {
      count.assign(count.add(1))
      return gather(x, at)
    })
    const x = tensor([10, 20, 30])
    const at = (...numbers: number[]): Tensor => tensor(numbers, { dtype: 'int32' })
    expect([...(await f(x, at(2, 0)).data())]).toEqual([30, 10])
    expect(() => f(x, at(0, 3))).toThrow(/index 3 at position \[1\] is out of range; valid are 0..2/)
    expect(await count.item()).toBe(1)
  })

  test('holds as many buffers after many runs as after one', async () => {
    const w = variable(Array.from({ length: 100 }, (_, i) => i))
    const f = compile((x: Tensor) => {
      w.assign(w.mul(0.5).add(x))
      return w.sum()
    })
    f(tensor(1)).dispose()
    const { buffers } = gpu!.memory()
    for (let i = 0; i < 200; i++) f(tensor(1)).dispose()
    expect(gpu!.memory().buffers).toBe(buffers)
    expect(await f(tensor(1)).item()).toBeCloseTo(200, 3)
  })
})
