import { random, setBackend, setSeed, type Tensor } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { concatenate, dense, input, type Model, model } from '@adjoint/layers'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    collect()
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 10)
    })
  }
}

/** Two inputs, concatenated: 96 rows of random data. */
function task(): { m: Model; x: Tensor[]; y: Tensor } {
  setSeed(7)
  const a = input({ shape: [10] })
  const b = input({ shape: [5] })
  const h = concatenate([dense(16, { activation: 'relu' })(a), dense(8, { activation: 'tanh' })(b)])
  const m = model({ inputs: [a, b], outputs: dense(1, { activation: 'sigmoid' })(h) })
  const x = [random.uniform([96, 10], { seed: 1 }), random.uniform([96, 5], { seed: 2 })]
  const y = random.bernoulli(0.4, [96, 1], { seed: 3 })
  return { m, x, y }
}

async function fitted({ m, x, y }: ReturnType<typeof task>, epochs: number): Promise<number[]> {
  m.compile({ optimizer: 'adam', loss: 'binary_crossentropy', metrics: ['accuracy', 'mae'] })
  const { history } = await m.fit(x, y, { epochs, batchSize: 32, verbose: 0, validationSplit: 0.25 })
  const predictions = (await m.predict(x)) as Tensor
  const evaluated = await m.evaluate(x, y, { verbose: 0 })
  return [...Object.values(history).flat(), ...(await predictions.data()), ...Object.values(evaluated)]
}

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got.length).toBe(want.length)
  // Float32 on both sides; a few dozen steps of Adam amplify its rounding.
  got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 4))
}

describe.skipIf(gpu === undefined)('a model on webgpu', () => {
  afterEach(() => setBackend(cpuBackend))
  afterAll(() => setBackend(cpuBackend))

  test('is trained, evaluated and run as on the CPU, also when it was built there', async () => {
    const want = await fitted(task(), 4)
    setBackend(gpu!)
    expectClose(await fitted(task(), 4), want)
    setBackend(cpuBackend)
    const built = task()
    setBackend(gpu!)
    expectClose(await fitted(built, 4), want)
    setBackend(cpuBackend)
  })

  test('goes on on the GPU with weights that were trained on the CPU, by plans here and there', async () => {
    const [a, b] = [task(), task()]
    for (const { m } of [a, b]) m.compile({ optimizer: 'adam', loss: 'mse' })
    const on = async ({ m, x, y }: ReturnType<typeof task>, epochs: number): Promise<number[]> => {
      const { history } = await m.fit(x, y, { epochs, batchSize: 32, verbose: 0, shuffle: false })
      return [...history.loss, ...(await ((await m.predict(x)) as Tensor).data())]
    }
    const want = [await on(a, 5), await on(a, 2)].flat()
    const got = await on(b, 5)
    setBackend(gpu!)
    got.push(...(await on(b, 2)))
    expectClose(got, want)
  })

  test('is used on the CPU after fit, and else where the host was told of its weights', async () => {
    setBackend(gpu!)
    const x = input({ shape: [2] })
    const m = model({ inputs: x, outputs: dense(1)(x) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    const [rows, y] = [random.uniform([4, 2], { seed: 1 }), random.uniform([4, 1], { seed: 2 })]
    const trained = await m.fit(rows, y, { epochs: 3, verbose: 0 })
    setBackend(cpuBackend)
    const { loss } = await m.evaluate(rows, y, { verbose: 0 })
    expect(loss).toBeLessThan(trained.history.loss[2]!)
    const { history } = await m.fit(rows, y, { epochs: 2, verbose: 0 })
    expect(history.loss[0]).toBeCloseTo(loss, 5)
    expect(history.loss[1]).toBeLessThan(loss)
    setBackend(gpu!)
    for (let i = 0; i < 3; i++) await m.trainOnBatch(rows, y)
    const kernel = m.weights[0]!
    expect(() => kernel.dataSync()).toThrow(/reads asynchronously/)
    setBackend(cpuBackend)
    await expect(m.predict(rows)).rejects.toThrow(
      /variable on the gpu.* does not know its values as they are/,
    )
    const read = await Promise.all(m.weights.map((v) => v.data()))
    expect(kernel.dataSync()).toEqual(read[0])
    const known = await m.evaluate(rows, y, { verbose: 0 })
    expect(known.loss).toBeLessThan(history.loss[1]!)
    await expect(m.trainOnBatch(rows, y)).rejects.toThrow(/does not know its values as they are/)
    await Promise.all(m.optimizer.variables.map((v) => v.data()))
    expect((await m.trainOnBatch(rows, y)).loss).toBeCloseTo(known.loss, 5)
    const before = kernel.dataSync()
    setBackend(gpu!)
    await m.trainOnBatch(rows, y)
    expect(() => kernel.dataSync()).toThrow(/reads asynchronously/)
    expect(await kernel.data()).not.toEqual(before)
  })

  const steps = isFull ? 10_000 : 60
  test(`after ${steps} training steps holds as many buffers as before`, { timeout: 1_800_000 }, async () => {
    setBackend(gpu!)
    const { m, x, y } = task()
    m.compile({ optimizer: 'adam', loss: 'mse', metrics: ['mae'] })
    const passed = async (epochs: number): Promise<number> => {
      await m.fit(x, y, { epochs, batchSize: 32, verbose: 0, validationSplit: 1 / 3 })
      await settle()
      return gpu!.memory().buffers
    }
    const before = await passed(2)
    // By its scopes alone: where collections come is not foreseen.
    await m.fit(x, y, { epochs: Math.ceil(steps / 2), batchSize: 32, verbose: 0, validationSplit: 1 / 3 })
    expect(gpu!.memory().buffers).toBe(before)
  })

  test('what is in no scope comes back when it is collected', async () => {
    setBackend(gpu!)
    await settle()
    const before = gpu!.memory().buffers
    for (let i = 0; i < 50; i++) random.uniform([8]).add(i)
    expect(gpu!.memory().buffers).toBeGreaterThan(before + 49)
    await settle()
    expect(gpu!.memory().buffers).toBeLessThan(before + 5)
  })

  test.each(
    isFull ? ['concat', 'embedding', 'multiply', 'shared-features', 'weighted-average'] : ['embedding'],
  )('the example %s runs unchanged', { timeout: 300_000 }, async (name) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--conditions=@adjoint/source',
      '--import',
      'tsx',
      '--import',
      fileURLToPath(new URL('../support/on-gpu.ts', import.meta.url)),
      fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url)),
    ])
    // One of them stops early.
    expect(stdout).toMatch(/Epoch 5/)
  })
})
