import { setBackend, type Tensor, tensor } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'
import { readOracle, readVectors, ulps32, type VectorCase } from '../support/oracles.js'
import { failuresWhenRead, missingOps, opNamed } from '../support/vectors.js'

const { gpu } = await openGpu()

interface UlpTable {
  readonly op: string
  readonly attrs: object
  readonly x: readonly number[]
  readonly y32: readonly number[]
}

/**
 * How far a function may be from the correctly rounded float32, in units of its last place. A device's own exp is good
 * to a dozen where arguments are large, and its division to 2.5.
 */
const MOST_ULPS: { readonly [op: string]: number } = {
  exp: 16,
  exp2: 4,
  expm1: 16,
  log: 4,
  log2: 4,
  log10: 4,
  log1p: 4,
  tan: 4,
  sinh: 16,
  cosh: 16,
  tanh: 4,
  atanh: 4,
  acosh: 4,
  sigmoid: 16,
  logSigmoid: 16,
  softplus: 16,
  silu: 24,
  mish: 32,
  erfc: 64,
  gelu: 48,
  selu: 4,
  elu: 4,
}
const OTHERWISE = 2

/** The smallest normal float32: what is below, devices may take for 0. */
const SMALLEST = 2 ** -126

describe.skipIf(gpu === undefined)('on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  const cases = readVectors().filter((c) => missingOps(c).length === 0 && !c.tags?.includes('f64-only'))
  test.concurrent.each(cases)('$id agrees with its reference', async (c: VectorCase) => {
    expect(await failuresWhenRead(c, 'float32')).toEqual([])
  })

  const tables = readOracle<{ functions: UlpTable[] }>('vectors/ulp-tables.json').functions
  test.concurrent.each(tables)('$op $attrs is within its ulps', async ({ op, attrs, x, y32 }) => {
    const y = await (opNamed(op)(attrs, tensor([...x])) as Tensor).data()
    const most = MOST_ULPS[op] ?? OTHERWISE
    const wrong = x.flatMap((at, i) => {
      const want = y32[i]!
      const isTiny = Math.abs(want) < SMALLEST && Math.abs(y[i]!) < SMALLEST
      const distance = isTiny ? 0 : ulps32(y[i]!, want)
      return distance > most ? [`${distance} ulp at ${at}: ${y[i]}, want ${want}`] : []
    })
    expect(wrong).toEqual([])
  })
})
