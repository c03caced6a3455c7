import { rows } from '@adjoint/core/extend'
import { describe, expect, test } from 'vitest'
import { rounded } from '../../packages/gpu/src/accuracy.js'
import { openGpu } from '../support/gpu.js'
import { edgeDifferences, programDifferences, programs, rowDifferences } from '../support/gpu-rows.js'

const { gpu } = await openGpu()
const isFull = process.env['MODE'] === 'full'

test('every bound is of a row', () => {
  expect(rounded.filter((name) => !rows.has(name))).toEqual([])
})

describe.skipIf(gpu === undefined)('on webgpu', () => {
  const all = [...rows.values()].map((row) => ({ name: row.name, row }))
  test.each(all)('$name is as accurate as it promises', async ({ row }) => {
    expect(await rowDifferences(gpu!, row, isFull ? 50 : 5)).toEqual([])
  })

  test.each(all.filter((_, i) => isFull || i % 8 === 0))('$name is as a plan too', async ({ row }) => {
    expect(await rowDifferences(gpu!, row, isFull ? 4 : 1, true)).toEqual([])
  })

  test('formulas are at their edges what they are on the CPU', async () => {
    const wrong: string[] = []
    for (const row of rows.values()) wrong.push(...(await edgeDifferences(gpu!, row)))
    expect(wrong).toEqual([])
  })

  test.each(programs(isFull ? 300 : 30).map((program, i) => ({ i, program })))(
    'random program $i has the values and gradients it has on the CPU',
    async ({ program, i }) => {
      expect(await programDifferences(gpu!, program)).toEqual([])
      if (isFull || i < 6) expect(await programDifferences(gpu!, program, true)).toEqual([])
    },
  )
})
