// What gpu.js, drivers and float32 are known to get wrong, and what the backend says where a GPU cannot.
import {
  add,
  BackendError,
  concat,
  DisposedError,
  exp,
  gather,
  LimitError,
  logSumExp,
  matmul,
  setBackend,
  slice,
  sum,
  tanh,
  tensor,
  type Tensor,
  ValueError,
  withBackend,
  zeros,
} from '@adjoint/core'
import * as core from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend } from '@adjoint/gpu'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()

const values = async (x: Tensor): Promise<number[]> => [...(await x.data())]
const int = (...numbers: number[]): Tensor => tensor(numbers, { dtype: 'int32' })

describe('createGpuBackend', () => {
  test('says for each mode why it cannot be used', async () => {
    const asked = createGpuBackend({ prefer: ['webgl2', 'headlessgl'] })
    await expect(asked).rejects.toThrow(BackendError)
    await expect(asked).rejects.toThrow(/no GPU can be used: webgl2: there is no canvas.*; headlessgl: /)
  })

  test.each([
    [{ prefer: ['webgpx'] }, /prefer: "webgpx" is no GPU mode; .*Did you mean "webgpu"\?/],
    [{ prefer: ['cpu'] }, /"cpu" is no GPU mode/],
    [{ prefer: [] }, /prefer must be a list of modes/],
    [{ allowSoftwares: true }, /unknown option "allowSoftwares".*Did you mean "allowSoftware"/],
    [{ allowSoftware: 1 }, /allowSoftware must be true or false/],
    [{ maxBytes: 0 }, /maxBytes must be a number above 0/],
    [null, /the options must be an object/],
  ])('refuses %j', async (options, message) => {
    const asked = createGpuBackend(options as never)
    await expect(asked).rejects.toThrow(ValueError)
    await expect(asked).rejects.toThrow(message)
  })

  test.skipIf(gpu?.info.isSoftware !== true)(
    'refuses an adapter that computes on the CPU unless asked',
    async () => {
      await expect(createGpuBackend({ prefer: ['webgpu'] })).rejects.toThrow(
        /computes on the CPU; pass allowSoftware/,
      )
      expect(core.tensor([1]).backend.name).toBe(cpuBackend.name)
    },
  )
})

describe.skipIf(gpu === undefined)('on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  test('results are read by await, and what the host made at once', async () => {
    const x = tensor([1, 2, 3])
    expect([...x.dataSync()]).toEqual([1, 2, 3])
    expect(String(x)).toContain('1')
    const y = x.add(1)
    expect(() => y.dataSync()).toThrow(
      /dataSync: the gpu.js \(webgpu\) backend reads asynchronously; use await data\(\)/,
    )
    expect(await values(y)).toEqual([2, 3, 4])
    expect(() => withBackend(cpuBackend, () => y.add(1))).toThrow(/copy it with tensor\(await x.data\(\)\)/)
    expect([...withBackend(cpuBackend, () => x.add(1)).dataSync()]).toEqual([2, 3, 4])
  })

  test('positions beyond 2^24 are exact', async () => {
    const size = 2 ** 24 + 1000
    const long = tensor(Float32Array.from({ length: size }, (_, i) => i % 1009))
    const at = size - 7
    expect(await values(slice(long, [at], [5]))).toEqual([0, 1, 2, 3, 4].map((i) => (at + i) % 1009))
    const rows = long.reshape([size / 8, 8])
    expect(await values(gather(rows, int(size / 8 - 1)))).toEqual(
      Array.from({ length: 8 }, (_, i) => (size - 8 + i) % 1009),
    )
    // A stride that is not the output's: each position is taken apart.
    expect(await values(slice(rows.transpose().reshape([size]), [size - 3], [3]))).toEqual(
      [3, 2, 1].map((i) => (8 * (size / 8 - i) + 7) % 1009),
    )
  })

  test('loops longer than gpu.js allows are whole', async () => {
    const n = 70_000
    const line = core.ones([1, n])
    expect(await values(matmul(line, core.ones([n, 1])))).toEqual([n])
    expect(await values(sum(line))).toEqual([n])
    expect(await values(core.argMax(core.arange(n)))).toEqual([n - 1])
    expect((await values(core.cumsum(core.ones([n])))).at(-1)).toBe(n)
  })

  test('more inputs than a kernel can read are joined', async () => {
    const parts = Array.from({ length: 20 }, (_, i) =>
      tensor([
        [i, i],
        [i, i],
      ]),
    )
    const joined = concat(parts, 1)
    expect(joined.shape).toEqual([2, 40])
    expect(await values(joined.add(0))).toEqual([0, 1].flatMap(() => parts.flatMap((_, i) => [i, i])))
  })

  test('tensors without elements need no kernel', async () => {
    const none = zeros([0, 3])
    expect(await values(none.add(1))).toEqual([])
    expect(await values(sum(none, 0))).toEqual([0, 0, 0])
    expect(await values(matmul(zeros([2, 0]), none))).toEqual([0, 0, 0, 0, 0, 0])
    expect(await values(concat([none, tensor([[1, 2, 3]])], 0).add(1))).toEqual([2, 3, 4])
  })

  test('infinities are infinite, and NaN is seen', async () => {
    expect(await values(tensor([1, -1, 0]).div(0))).toEqual([Infinity, -Infinity, NaN])
    expect(await values(core.maximum(tensor([NaN, 1]), tensor([1, NaN])))).toEqual([NaN, NaN])
    expect(await values(core.isNaN(tensor([NaN, Infinity, 1]).add(0)))).toEqual([1, 0, 0])
    expect(await values(logSumExp(tensor([-Infinity, -Infinity])))).toEqual([-Infinity])
    expect(await values(core.clip(tensor([-5, 5]), -Infinity, 1))).toEqual([-5, 1])
  })

  test('functions hold where the device has no digits', async () => {
    expect(await values(tanh(tensor([100, -100, 1e-6])))).toEqual([1, -1, Math.fround(1e-6)])
    const [e] = await values(core.expm1(tensor([1e-6])))
    expect(Math.abs(e! / 1.0000005e-6 - 1)).toBeLessThan(1e-6)
    const [l] = await values(core.log1p(tensor([1e-6])))
    expect(Math.abs(l! / 9.999995e-7 - 1)).toBeLessThan(1e-6)
    expect(await values(core.pow(tensor([-2, -2, 0]), tensor([3, 2, 0])))).toEqual([-8, 4, 1])
  })

  test('one kernel takes operands of any size and shape, one after the other', async () => {
    for (const n of [3, 300, 7, 5000, 1])
      expect(await values(sum(exp(zeros([n])).add(core.ones([n]))))).toEqual([2 * n])
  })

  test('whole numbers are exact, or refused', async () => {
    const big = int(2 ** 24 + 1, 7)
    expect(await values(add(big, 1))).toEqual([2 ** 24 + 2, 8])
    const counted = core.argMax(
      tensor([
        [1, 3],
        [4, 2],
      ]),
      1,
    )
    expect(await values(add(counted, 5))).toEqual([6, 5])
    expect(() => core.equal(big, counted)).toThrow(LimitError)
    expect(await values(core.mul(tensor([1.5]), int(3)))).toEqual([4.5])
  })

  test('indices that the host knows are checked, others kept in range', async () => {
    const x = tensor([10, 20, 30])
    expect(() => gather(x, int(0, 3))).toThrow(/index 3 at position \[1\] is out of range; valid are 0..2/)
    const far = core.cast(tensor([7]).add(0), 'int32')
    expect(await values(gather(x, far))).toEqual([30])
  })

  test('float64 is computed on the host, from what the host knows', async () => {
    const x = tensor([1 / 3], { dtype: 'float64' })
    expect(await values(x.mul(3).sub(1))).toEqual([(1 / 3) * 3 - 1])
    expect(() => core.cast(tensor([1]).add(1), 'float64')).toThrow(
      /is computed on the host.*use tensor\(await x.data/,
    )
  })

  test('a disposed tensor gives its buffer back once, and is not used again', async () => {
    const x = tensor([1, 2]).add(1)
    const y = x.mul(2)
    const { buffers } = gpu!.memory()
    x.dispose()
    x.dispose()
    expect(gpu!.memory().buffers).toBe(buffers - 1)
    expect(() => x.add(1)).toThrow(DisposedError)
    expect(await values(y)).toEqual([4, 6])
  })

  test('over the budget a LimitError says what to do', async () => {
    const small = await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true, maxBytes: 2 ** 20 })
    setBackend(small)
    try {
      const base = zeros([2 ** 16])
      const kept = [1, 2, 3].map((i) => base.add(i))
      expect(() => kept[0]!.add(3)).toThrow(LimitError)
      expect(() => kept[0]!.add(3)).toThrow(/over the GPU's budget of 1048576.*await now and then/)
      for (const x of kept) x.dispose()
      expect((await values(base.add(1)))[0]).toBe(1)
    } finally {
      setBackend(gpu!)
    }
  })
})
