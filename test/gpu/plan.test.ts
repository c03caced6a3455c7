// Plans on a GPU: the same numbers as op by op, in a few dispatches.
import { compile, matmul, random, setBackend, tensor, type Tensor } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { concatenate, dense, input, model } from '@adjoint/layers'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebGpuDevice } from '../../packages/gpu/src/webgpu-device.js'
import { openGpu } from '../support/gpu.js'
import { planCases, runPlanCase, type Trainable, trained, trainedApart } from '../support/gpu-plans.js'
import { randomPlanApart } from '../support/random-plans.js'
import { REFUSALS, withoutOwnWgsl } from '../support/gpu-seam.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

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

/** The plan of a training that is the CPU's too. */
async function sameTraining(name: Trainable, steps: number): Promise<{ readonly plan: string }> {
  const { wrong, plan } = await trainedApart(gpu!, name, steps)
  setBackend(gpu!)
  expect(wrong).toEqual([])
  return { plan }
}

describe.skipIf(gpu === undefined)('a plan on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterEach(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  test('is few dispatches, and trains B4 as the CPU does', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const run = vi.spyOn(WebGpuDevice.prototype, 'run')
    const { plan } = await sameTraining('B4', 3)
    // A thread of the last dispatch moves four weights, and what Adam remembers of them.
    const weights = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 12
    expect(run.mock.calls.findLast(([, , , threads]) => threads !== undefined)![3]).toBe(
      Math.ceil(weights / 4 / 64) * 64 + 64,
    )
    run.mockRestore()
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
    // What is done to every weight is told once.
    expect(plan.match(/ = as %\d+, of /g)).toHaveLength(19)
    expect(plan.match(/sqrt\(v\)/g)).toHaveLength(1)
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
    const { plan } = await sameTraining('B3', isFull ? 12 : 3)
    expect(warned.mock.calls.flat()).toEqual([
      expect.stringMatching(/step of this model is about [1-9][0,]* operations, which the CPU makes sooner/),
    ])
    await trained('B1', 3)
    expect(warned).toHaveBeenCalledOnce()
    warned.mockRestore()
    expect(plan.match(/dispatch /g)!.length).toBeLessThanOrEqual(16)
  })

  test.runIf(isFull)('trains B1 as the CPU does', async () => {
    const { plan } = await sameTraining('B1', 12)
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

  test('so has whatever is made at random of ops, and the numbers are right', async () => {
    const { result } = await withoutOwnWgsl(undefined, async (without) => {
      const wrong: string[] = []
      for (let i = 1; i <= (isFull ? 100 : 4); i++) wrong.push(...(await randomPlanApart(without, i, 6)))
      return wrong
    })
    expect(result).toEqual([])
  })

  test('shaders of a model of many branches stay short, and their loops have few conditions', async () => {
    const program = vi.spyOn(WebGpuDevice.prototype, 'program')
    const x = input({ shape: [6] })
    const joined = concatenate(Array.from({ length: 16 }, (_, i) => dense(1 + (i % 3))(x)))
    const m = model({ inputs: x, outputs: dense(3)(joined) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    const [data, target] = [random.uniform([48, 6]), random.uniform([48, 3])]
    for (let i = 0; i < 2; i++) await m.trainOnBatch(data, target)
    const wgsl = program.mock.calls.map(([, source]) => source().wgsl ?? '')
    program.mockRestore()
    expect(wgsl.length).toBeGreaterThan(5)
    for (const text of wgsl) {
      expect(text.length).toBeLessThan(2 ** 15)
      // Blocks begin and end with their lines.
      const open: string[] = []
      let conditions = 0
      for (const line of text.split('\n')) {
        if (line.endsWith('{')) open.push(line)
        if (line === '}') open.pop()
        if (!open.some((begin) => begin.startsWith('for '))) conditions = 0
        else if (line.startsWith('if ')) expect(++conditions).toBeLessThanOrEqual(8)
      }
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

  test.each(planCases.map((one) => [one.name, one] as const))('%s', async (_, one) => {
    const [got, want] = await runPlanCase(gpu!, one)
    expect(got).toEqual(want)
  })
})
