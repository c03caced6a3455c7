// Softmax and reductions of rows on WebGPU: one dispatch, by a thread or by a group of threads for each row.
import {
  all,
  any,
  compile,
  logSoftmax,
  logSumExp,
  max,
  mean,
  min,
  norm,
  prod,
  random,
  setBackend,
  softmax,
  sum,
  type DType,
  tensor,
  type Tensor,
  variance,
  withBackend,
} from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import type { GpuBackend } from '@adjoint/gpu'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebGpuDevice } from '../../packages/gpu/src/webgpu-device.js'
import { REFUSALS, withoutOwnWgsl } from '../support/gpu-seam.js'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()

const OPS: Readonly<Record<string, (x: Tensor) => Tensor<DType>>> = {
  softmax: (x) => softmax(x),
  logSoftmax: (x) => logSoftmax(x),
  sum: (x) => sum(x, -1),
  mean: (x) => mean(x, -1),
  max: (x) => max(x, -1),
  min: (x) => min(x, -1),
  prod: (x) => prod(x.mul(0.01).add(1), -1),
  any: (x) => any(x.greater(2.99), -1),
  all: (x) => all(x.greater(-2.99), -1),
  variance: (x) => variance(x, -1),
  'variance of one': (x) => variance(x.slice([0, 0], [-1, 1]), { axis: -1, correction: 1 }),
  norm: (x) => norm(x, { axis: -1 }),
  logSumExp: (x) => logSumExp(x, -1),
}

/** A side that is a multiple of four, and one that is not, of more rows than a group has threads. */
const SHAPES = [
  [17, 260],
  [70, 37],
] as const

const values = (shape: readonly number[]): Tensor =>
  withBackend(cpuBackend, () => random.uniform(shape, { seed: 1, min: -3, max: 3 }))

const made = async (
  backend: GpuBackend,
  name: string,
  shape: readonly number[],
): Promise<ArrayLike<unknown>> => withBackend(backend, () => OPS[name]!(values(shape).add(0))).data()

function expectSame(name: string, shape: readonly number[], got: ArrayLike<unknown>): void {
  const want = withBackend(cpuBackend, () => OPS[name]!(values(shape))).dataSync()
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [Number(got[i]), Number(want[i])]
    // A few units of float32; of sums one of what they would be of the largest terms, of products one a factor.
    const unit = { sum: 3 * shape[1]! * 2 ** -24, prod: shape[1]! * 2 ** -24 * b }[name]
    const tolerance = unit ?? 1e-6 * (1 + Math.abs(b))
    if (!Object.is(a, b) && !(Math.abs(a - b) <= tolerance))
      expect.fail(`${name} of [${shape.join()}] has ${a} at ${i}, on the CPU ${b}`)
  }
}

describe.skipIf(gpu === undefined)('rows on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterEach(() => vi.restoreAllMocks())
  afterAll(() => setBackend(cpuBackend))

  test.each([true, false])('are one dispatch, where the adapter is software: %s', async (isSoftware) => {
    const described = Object.getOwnPropertyDescriptor(gpu!.info, 'isSoftware')!
    Object.defineProperty(gpu!.info, 'isSoftware', { ...described, value: isSoftware })
    try {
      for (const shape of SHAPES)
        for (const name of Object.keys(OPS)) expectSame(name, shape, await made(gpu!, name, shape))
      const x = values([20, 300]).add(0)
      const run = vi.spyOn(WebGpuDevice.prototype, 'run')
      for (const name of ['softmax', 'logSoftmax', 'sum', 'variance', 'norm', 'logSumExp']) {
        run.mockClear()
        OPS[name]!(x)
        expect(run, name).toHaveBeenCalledOnce()
        expect(run.mock.lastCall![3], name).toBe(isSoftware ? 20 : 20 * 64)
      }
    } finally {
      Object.defineProperty(gpu!.info, 'isSoftware', described)
    }
  })

  test('are folded once in plans too, where softmax has many long ones', async () => {
    const f = compile((x: Tensor) => softmax(x.mul(2)).add(1))
    const x = values([20, 300])
    const want = withBackend(cpuBackend, () => softmax(x.mul(2)).add(1)).dataSync()
    const program = vi.spyOn(WebGpuDevice.prototype, 'program')
    await f(x).data()
    const got = await f(x).data()
    expect(program.mock.calls.some(([key]) => key.startsWith('rows softmax'))).toBe(true)
    for (let i = 0; i < want.length; i++) expect(got[i]).toBeCloseTo(want[i] as number, 5)
  })

  test('have NaN, infinities and the largest numbers as the CPU does', async () => {
    const rows = [
      [1, NaN, 2],
      [Infinity, 1, 2],
      [-Infinity, -Infinity, -Infinity],
      [3e38, 3e38, -3e38],
      [0, 0, 0],
    ].flatMap((row) => [...row, ...Array.from({ length: 61 }, () => row[1]!)])
    for (const name of ['max', 'min', 'norm', 'logSumExp', 'softmax']) {
      const of = (backend: GpuBackend | typeof cpuBackend): Promise<ArrayLike<unknown>> =>
        withBackend(backend, () => OPS[name]!(tensor(rows, { shape: [5, 64] }).add(0))).data()
      const [got, want] = [await of(gpu!), await of(cpuBackend)]
      for (let i = 0; i < want.length; i++) {
        const [a, b] = [Number(got[i]), Number(want[i])]
        expect(
          Object.is(a, b) || Math.abs(a - b) <= 1e-6 * Math.abs(b),
          `${name}: ${a} at ${i}, not ${b}`,
        ).toBe(true)
      }
    }
  })

  test('are those of gpu.js where gpu.js or the driver takes no others', async () => {
    for (const refusal of REFUSALS)
      await withoutOwnWgsl(refusal, async (without) => {
        const run = vi.spyOn(WebGpuDevice.prototype, 'run')
        // Before it is known that no WGSL is taken, and after that.
        for (const name of ['softmax', 'logSoftmax', 'variance', 'softmax'])
          for (const shape of [
            [3, 40],
            [70, 7],
          ])
            expectSame(name, shape, await made(without, name, shape))
        run.mockClear()
        await made(without, 'softmax', [3, 40])
        expect(run.mock.calls.length).toBeGreaterThan(2)
        run.mockRestore()
      })
  })
})
