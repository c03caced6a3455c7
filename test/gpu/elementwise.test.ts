// Elementwise ops on WebGPU that are computed four neighbours at a time, by WGSL of this package.
import {
  cast,
  concat,
  random,
  setBackend,
  sum,
  type DType,
  type Tensor,
  where,
  withBackend,
} from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import type { GpuBackend } from '@adjoint/gpu'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebGpuDevice } from '../../packages/gpu/src/webgpu-device.js'
import { REFUSALS, withoutOwnWgsl } from '../support/gpu-seam.js'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

type Op = (x: Tensor, y: Tensor) => Tensor<DType>

const OPS: Readonly<Record<string, Op>> = {
  mul: (x, y) => x.mul(y),
  'sub the other way': (x, y) => y.sub(x),
  'add of a number': (x) => x.add(2),
  'mul by a sum': (x, y) => x.mul(sum(y)),
  clip: (x) => x.clip(-1, Infinity),
  log: (x) => x.log(),
  cast: (x) => cast(x, 'int32'),
  where: (x, y) => where(x.greater(y), x, 0),
}

/** Sides that are multiples of four and such that are not; sizes that end within a group of threads, and at its end. */
const SHAPES: readonly (readonly [op: string, x: readonly number[], y: readonly number[]])[] = [
  ...Object.keys(OPS).map((op) => [op, [4103], [4103]] as const),
  ['mul', [256], [256]],
  ['mul', [1000], [1000]],
  ['mul', [1024], [1024]],
  ['log', [1025], [1025]],
  ['mul', [100, 100], [100]],
  ['sub the other way', [100, 100], [100, 1]],
  ['mul', [41, 101], [101]],
  ['mul', [101, 41], [101, 1]],
  ['mul', [40, 1, 40], [40, 1]],
  ['mul', [7, 20, 40], [7, 1, 40]],
  ['mul', [7, 21, 41], [21, 1]],
  ['mul', [51, 1], [1, 61]],
  ['where', [50, 1], [1, 60]],
  ['mul', [3, 50, 1, 3], [3, 1, 8, 3]],
]

const values = (shape: readonly number[], seed: number): Tensor =>
  withBackend(cpuBackend, () => random.uniform(shape, { seed, min: -3, max: 3 }))

/** What a backend makes of a case, of values that are on the device. */
function made(backend: GpuBackend, [op, x, y]: (typeof SHAPES)[number]): Promise<ArrayLike<unknown>> {
  return withBackend(backend, () => OPS[op]!(values(x, 1).add(0), values(y, 2).add(0))).data()
}

function expectSame([op, x, y]: (typeof SHAPES)[number], got: ArrayLike<unknown>): void {
  const want = withBackend(cpuBackend, () => OPS[op]!(values(x, 1), values(y, 2))).dataSync()
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [Number(got[i]), Number(want[i])]
    // A few units of float32, of a sum of a hundred terms at most.
    if (
      !Object.is(a, b) &&
      !(Math.abs(a - b) <= 1e-6 * (1 + Math.abs(b)) * (op === 'mul by a sum' ? 100 : 1))
    )
      expect.fail(`${op} of [${x.join()}] and [${y.join()}] has ${a} at ${i}, on the CPU ${b}`)
  }
}

describe.skipIf(gpu === undefined)('elementwise ops on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterEach(() => vi.restoreAllMocks())
  afterAll(() => setBackend(cpuBackend))

  test('are right by fours, up to the last value, whatever is broadcast', async () => {
    const run = vi.spyOn(WebGpuDevice.prototype, 'run')
    for (const one of SHAPES) {
      const got = await made(gpu!, one)
      const [, , length, threads] = run.mock.lastCall!
      expect(threads! * 4, `${one[0]} of ${one[1].join()}`).toBeGreaterThanOrEqual(length / 4)
      expect(threads! % 64).toBe(0)
      expectSame(one, got)
    }
  })

  test('are those of gpu.js where gpu.js or the driver takes no others', async () => {
    for (const refusal of REFUSALS) {
      const { result, texts } = await withoutOwnWgsl(refusal, async (without) => {
        const results: ArrayLike<unknown>[] = []
        for (const one of SHAPES.slice(8)) results.push(await made(without, one))
        return results
      })
      expect(texts).toBeGreaterThan(5)
      SHAPES.slice(8).forEach((one, i) => {
        expectSame(one, result[i]!)
      })
    }
  })

  test('are right with more numbers than are kept, in one batch and after it', async () => {
    const ones = values([3], 1).mul(0).add(1)
    const sums = (from: number): Tensor[] => Array.from({ length: 1500 }, (_, i) => ones.add(from + i))
    const some = (all: readonly Tensor[]): Tensor => concat(all.filter((_, i) => i % 100 === 99))
    const [a, b] = [sums(0), sums(700)]
    const got = [...(await some(a).data()), ...(await some(b).data())]
    const again = await some(sums(0)).data()
    const want = (from: number): number[] =>
      Array.from({ length: 45 }, (_, i) => from + 100 * (1 + Math.floor(i / 3)))
    expect(got).toEqual([...want(0), ...want(700)])
    expect([...again]).toEqual(want(0))
  })

  test.runIf(isFull)('are right in more groups of threads than stand in a row', async () => {
    const size = 2 ** 24 + 1000
    const x = withBackend(cpuBackend, () => random.uniform([size], { seed: 1 }))
    const got = await x.add(0).log1p().data()
    const all = x.dataSync()
    for (let i = 0; i < size; i += 997) expect(got[i]).toBeCloseTo(Math.log1p(all[i]!), 5)
    expect(got[size - 1]).toBeCloseTo(Math.log1p(all[size - 1]!), 5)
  })
})
