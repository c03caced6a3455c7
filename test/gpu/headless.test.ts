// WebGL 1 in Node, by the package gl: packages/gpu/README.md says how to get it. Where it is not there, this is skipped.
import type { Tensor } from '@adjoint/core'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'

const MODE = 'headlessgl'
const isFull = process.env['MODE'] === 'full'
const some = <T>(all: readonly T[], oneIn: number): T[] => all.filter((_, i) => isFull || i % oneIn === 0)

/** A backend and what tests do with it, imported where there is one: most runs have none. */
async function load() {
  try {
    createRequire(new URL('../../packages/gpu/package.json', import.meta.url)).resolve('gl')
  } catch {
    console.log('skipped: the package gl is not installed')
    return undefined
  }
  const { openGpu } = await import('../support/gpu.js')
  const { gpu } = await openGpu(MODE)
  if (gpu === undefined) return undefined
  const core = await import('@adjoint/core')
  const { cpuBackend, rows } = await import('@adjoint/core/extend')
  // Those of core: there are no samples of the layers' own.
  const names = [...rows.keys()]
  const { page } = await import('./page/main.js')
  const { readUlpTables, readVectors } = await import('../support/oracles.js')
  const { missingOps } = await import('../support/vectors.js')
  const cases = readVectors().filter((c) => missingOps(c).length === 0 && !c.tags?.includes('f64-only'))
  const { createGpuBackend } = await import('@adjoint/gpu')
  const tables = readUlpTables()
  return { ...core, gpu, cpuBackend, names, cases, tables, page, createGpuBackend }
}
const loaded = await load()

describe.skipIf(loaded === undefined)('on headlessgl', { timeout: 600_000 }, () => {
  if (loaded === undefined) {
    test('runs', () => undefined)
    return
  }
  const { gpu, page, names, cases, tables, cpuBackend, createGpuBackend, grad, setBackend, tensor } = loaded
  const { arange, ones } = loaded

  test('runs on this mode, and reads at once', async () => {
    expect(gpu.info).toMatchObject({ mode: MODE, driver: 'WebGL 1, by the package gl' })
    expect(gpu.info.adapter).not.toBe('ANGLE')
    setBackend(gpu)
    try {
      const slope = grad((x: Tensor) => x.mul(x).tanh().sum())(tensor([0.5, -1]))
      expect(slope.backend.name).toBe('gpu.js (headlessgl)')
      // 2 x (1 - tanh(x²)²)
      const want = [0.5, -1].map((x) => 2 * x * (1 - Math.tanh(x * x) ** 2))
      slope.dataSync().forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 5))
    } finally {
      setBackend(cpuBackend)
    }
  })

  test.skipIf(gpu.info.isSoftware !== true)('refuses an adapter that computes on the CPU', async () => {
    await expect(createGpuBackend({ prefer: [MODE] })).rejects.toThrow(/llvmpipe.* computes on the CPU/)
  })

  test('falls into no trap of gpu.js, but says where Mesa leaves loops', async () => {
    const fallen = await page.pitfalls(MODE, isFull)
    expect(fallen.filter((found) => !/llvmpipe.* runs loops of 8191 turns at most/.test(found))).toEqual([])
  })

  test.skipIf(!gpu.info.adapter.includes('llvmpipe'))('refuses loops that Mesa would leave', () => {
    setBackend(gpu)
    try {
      const x = ones([64, 1]).mul(arange(20_000))
      expect(() => x.argMax(1)).toThrow(/llvmpipe.* runs loops of 8191 turns at most/)
      expect([...ones([64, 20_000]).sum(1).dataSync()]).toEqual(Array.from({ length: 64 }, () => 20_000))
    } finally {
      setBackend(cpuBackend)
    }
  })

  test('multiplies larger matrices as the CPU does', async () => {
    expect(await page.matmuls(MODE)).toEqual([])
  })

  test('agrees with the references', async () => {
    expect(await page.vectors(MODE, some(cases, 24))).toEqual([])
  })

  test('is as accurate as it promises', async () => {
    expect(await page.ulps(MODE, some(tables, 8))).toEqual([])
  })

  test('computes each row as the CPU does', async () => {
    expect(await page.rows(MODE, some(names, 8))).toEqual([])
  })

  test('has the values of the CPU at the edges of formulas', async () => {
    expect(await page.edges(MODE, some(names, 8))).toEqual([])
  })

  test('runs random programs as the CPU does', async () => {
    expect(await page.programs(MODE, isFull ? 30 : 2)).toEqual([])
  })

  test('trains as the CPU does, and holds no more buffers after more steps', async () => {
    const { want, got, added } = await page.training(MODE)
    expect(got).toEqual((want as number[]).map((loss) => expect.closeTo(loss, 3) as number))
    expect(added).toBeLessThanOrEqual(0)
  })

  test('plans do what ops do, change all or nothing, tell errors and hold no memory', async () => {
    expect(await page.plans(MODE, isFull)).toEqual([])
  })

  test('moves values to the host when the budget is spent', async () => {
    expect(await page.spill(MODE)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
    expect(await page.loop(MODE)).toBeCloseTo(1, 2)
  })

  test('finds anomalies', async () => {
    expect(await page.anomaly(MODE)).toMatch(/: log: made NaN at position 0/)
  })
})
