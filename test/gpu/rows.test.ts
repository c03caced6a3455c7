import { fc } from '@fast-check/vitest'
import { cast, compile, setBackend, type Tensor, tensor, vjp } from '@adjoint/core'
import { apply, cpuBackend, isFloat, rows } from '@adjoint/core/extend'
import { arbitraries } from '@adjoint/core/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'
import { sampleOf } from '../support/samples.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

/** The same values in float32 on the backend of now; what is whole stays whole. */
function here(x: Tensor): Tensor {
  const dtype = isFloat(x.dtype) ? 'float32' : x.dtype
  return tensor(x.dataSync(), { shape: x.shape, dtype })
}

/**
 * Both are float32 results of the same numbers, so they differ by rounding: of sums, whose terms may be larger than
 * the result (hence the part of the largest value), and of functions, see MOST_ULPS in vectors.test.ts.
 */
async function expectSame(got: Tensor, want: Tensor, inputs: readonly Tensor[]): Promise<void> {
  expect(got.shape).toEqual(want.shape)
  expect(got.dtype).toBe(want.dtype)
  const [a, b] = [await got.data(), await want.data()]
  const finite = [b, ...inputs.map((x) => x.dataSync())].flatMap((xs) =>
    Array.from(xs).filter(Number.isFinite),
  )
  const scale = finite.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  for (let i = 0; i < b.length; i++) {
    const isSame = Object.is(a[i], b[i]) || a[i] === b[i]
    if (!isSame && !(Math.abs(a[i]! - b[i]!) <= 1e-5 * scale + 1e-4 * Math.abs(b[i]!)))
      expect.fail(`[${i}] is ${a[i]}, on the CPU ${b[i]}`)
  }
}

describe.skipIf(gpu === undefined)('on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  const onCpu = <R>(f: () => R): R => {
    setBackend(cpuBackend)
    try {
      return f()
    } finally {
      setBackend(gpu!)
    }
  }

  test.each([...rows.values()].map((row) => ({ name: row.name, row })))(
    '$name computes what the CPU does',
    async ({ row }) => {
      const sample = sampleOf(row)
      const cases = onCpu(() => fc.sample(sample.smooth ?? sample.any, { numRuns: isFull ? 50 : 5, seed: 1 }))
      for (const { inputs, attrs } of cases) {
        const want = onCpu(() => apply(row, inputs.map(here), attrs as never))
        await expectSame(apply(row, inputs.map(here), attrs as never), want, inputs)
      }
    },
  )

  test.each(
    [...rows.values()].filter((_, i) => isFull || i % 8 === 0).map((row) => ({ name: row.name, row })),
  )('$name computes it as a plan too', async ({ row }) => {
    const sample = sampleOf(row)
    const cases = onCpu(() => fc.sample(sample.smooth ?? sample.any, { numRuns: isFull ? 4 : 1, seed: 2 }))
    for (const { inputs, attrs } of cases) {
      const f = compile((...xs: Tensor[]) => apply(row, xs, attrs as never))
      const want = onCpu(() => apply(row, inputs.map(here), attrs as never))
      await expectSame(f(...inputs.map(here)), want, inputs)
    }
  })

  const programs = fc.sample(arbitraries(fc).program(), { numRuns: isFull ? 300 : 30, seed: 1 })
  test.each(programs.map((program, i) => ({ i, program })))(
    'random program $i has the values and gradients it has on the CPU',
    async ({ program, i }) => {
      const run = (): { outs: Tensor[]; grads: Tensor[] } => {
        const [outs, pullback] = vjp(program.run, program.inputs.map(here))
        return { outs, grads: pullback(outs.map((out) => cast(out, out.dtype))) }
      }
      const want = onCpu(run)
      const planned = compile(run)
      for (const got of isFull || i < 6 ? [run(), planned()] : [run()]) {
        for (const [at, out] of got.outs.entries()) await expectSame(out, want.outs[at]!, program.inputs)
        for (const [at, g] of got.grads.entries())
          await expectSame(g, want.grads[at]!, [...want.outs, ...program.inputs])
      }
    },
  )
})
