// What the backend says where a GPU cannot, and a test for each trap of gpu.js and of drivers.
//
// | trap                                                     | test                                                    |
// | -------------------------------------------------------- | ------------------------------------------------------- |
// | 1 destroying a kernel breaks others (GL)                 | traps: … the oldest are forgotten (full)                |
// | 2 a handle of another size (GL)                          | traps: one kernel takes operands of any size            |
// | 3 a kernel given 1-D, then 2-D handles (GL)              | traps: one kernel takes operands of any rank            |
// | 4 a kernel given an input, then a handle (webgl2)        | traps: … what was uploaded, then what was computed      |
// | 5 low precision of small outputs (GL)                    | traps: small outputs have all digits                    |
// | 6 loops end at loopMaxIterations                         | traps: loops longer than gpu.js allows                  |
// | 7 whole numbers as floats, above 2^24                    | traps: positions beyond 2^24                            |
// | 8 outputs longer than a texture's side (GL)              | traps: outputs longer than the side of a texture        |
// | 9 more than 7 arrays (webgpu)                            | traps: more inputs than a kernel can read               |
// | 10 tensors without elements                              | traps: tensors without elements                         |
// | 11 Infinity as a literal                                 | traps: infinities are infinite                          |
// | 12 results of four values as arguments (webgpu)          | traps: what a kernel returns four by four               |
// | 13 use after delete                                      | below: a disposed tensor …; scopes.test.ts              |
// | 14 the wrapper of integer division is slow (GL)          | below: kernels are made without it                      |
// | 15 minified kernels                                      | all of browser.test.ts and package.test.ts is minified  |
// | 16 new GPU() without a GPU computes on the CPU           | below: a canvas without WebGL is no GPU                 |
// | 17 tanh, log1p, expm1 near 0 and far out                 | traps: functions hold; the ulps of vectors.test.ts      |
// | 18 powers of negative numbers                            | traps: functions hold; vectors `pow/…`                  |
// | 19 sin and cos are 2e-4 off                              | traps: functions hold; the ulps of vectors.test.ts      |
// | 20 NaN tests folded away                                 | traps: infinities are infinite, and NaN is seen         |
import {
  add,
  BackendError,
  DisposedError,
  gather,
  LimitError,
  setBackend,
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
import { traps } from '../support/gpu-traps.js'
import { loop, SETTINGS } from '../../packages/gpu/src/text.js'
import { turnsOf } from '../../packages/gpu/src/turns.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

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

  test('a canvas without WebGL is no GPU: nothing is computed on the CPU instead', async () => {
    const host = globalThis as { OffscreenCanvas?: unknown }
    host.OffscreenCanvas = class {
      getContext(): null {
        return null
      }
    }
    try {
      await expect(createGpuBackend({ prefer: ['webgl2'], allowSoftware: true })).rejects.toThrow(
        /no GPU can be used: webgl2: /,
      )
    } finally {
      delete host.OffscreenCanvas
    }
  })

  test('kernels are made without the wrapper of integer division', () => {
    expect(SETTINGS).toMatchObject({ fixIntegerDivisionAccuracy: false, tactic: 'precision' })
  })

  test.each([
    ['for (let i = 0; i < 3; i++) { for (let j = 0; j < n; j++) { a += 1; } }', 3 + 30],
    ['for (let i = 0; i < 3; i++) { a += fnFmod(a, 2); }\nreturn fnFmod(a, b);', 3 + 3 * 260 + 260],
    // fnPow calls powOfWhole once.
    ['if (a > 0) { for (let i = 0; i < n; i++) { a += fnPow(a, 2); } }', 10 + 10 * 6],
    ['for (let i = 0; i < n; i++) { a += fnExp(a); }', 10],
    // 32768 in blocks of 4096.
    [loop('k', 'm', true, 'a += powOfWhole(x[k], 3);'), 8 + 8 * 4096 * (1 + 6)],
    [loop('k', 'unknown', true, 'a += fnExp(x[k]);'), Infinity],
  ])('counts the turns of loops, and of those in what they call: %s', (text, turns) => {
    const sizes = new Map([
      ['n', 10],
      ['m', 32_768],
    ])
    expect(turnsOf(text, sizes)).toBe(turns)
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

  test.each(traps.filter(({ isSlow }) => isFull || isSlow !== true))('$name', async ({ run }) => {
    const [got, want] = await run()
    expect(got).toEqual(want)
  })

  test('anomalies cannot be looked for where nothing is read at once, which is said', () => {
    expect(() => core.detectAnomalies(() => tensor([1]).add(1).log())).toThrow(
      /detectAnomalies: the gpu.js \(webgpu\) backend reads asynchronously.*on the CPU, or on WebGL/,
    )
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
