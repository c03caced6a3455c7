import { setBackend } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'
import { inaccuracies } from '../support/gpu-rows.js'
import { readUlpTables, readVectors, type VectorCase } from '../support/oracles.js'
import { failuresWhenRead, missingOps } from '../support/vectors.js'

const { gpu } = await openGpu()

describe.skipIf(gpu === undefined)('on webgpu', () => {
  beforeAll(() => setBackend(gpu!))
  afterAll(() => setBackend(cpuBackend))

  const cases = readVectors().filter((c) => missingOps(c).length === 0 && !c.tags?.includes('f64-only'))
  test.concurrent.each(cases)('$id agrees with its reference', async (c: VectorCase) => {
    expect(await failuresWhenRead(c, 'float32')).toEqual([])
  })

  const tables = readUlpTables()
  test.concurrent.each(tables)('$op $attrs is as accurate as it promises', async (table) => {
    expect(await inaccuracies(table)).toEqual([])
  })
})
