/** What runs in the browser: tests ask for it by `window.adjointPage`. */
import { matmul, ones, random, setBackend, withBackend } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend, type GpuMode } from '@adjoint/gpu'
import type { VectorCase } from '../../support/oracles.js'
import { failuresWhenRead } from '../../support/vectors.js'

/** Runs cases and says what is wrong, or why nothing could be run. */
async function vectors(mode: GpuMode, cases: readonly VectorCase[]): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  setBackend(gpu)
  const wrong: string[] = []
  try {
    for (const c of cases)
      try {
        const failures = await failuresWhenRead(c, 'float32')
        if (failures.length > 0) wrong.push(`${c.id}: ${failures[0]}`)
      } catch (error) {
        wrong.push(`${c.id}: ${String(error).slice(0, 1500)}`)
      }
  } finally {
    setBackend(cpuBackend)
  }
  return wrong
}

/** The adapter of a mode. */
async function info(mode: GpuMode): Promise<unknown> {
  return (await createGpuBackend({ prefer: [mode], allowSoftware: true })).info
}

/** How far products of larger matrices are from the CPU's, in all four transpositions and with batches. */
async function matmuls(mode: GpuMode): Promise<string[]> {
  const gpu = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const wrong: string[] = []
  for (const [m, k, n] of [
    [64, 64, 64],
    [33, 70, 29],
    [5, 1000, 7],
  ] as const)
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        for (const batch of [[], [3], [2, 2]])
          for (const isShared of [false, true]) {
            const shape = (rows: number, columns: number, isTransposed: boolean): number[] =>
              isTransposed ? [columns, rows] : [rows, columns]
            const a = random.uniform([...batch, ...shape(m, k, transposeA)], { seed: 1, min: -1 })
            const b = random.uniform([...(isShared ? [] : batch), ...shape(k, n, transposeB)], {
              seed: 2,
              min: -1,
            })
            const want = withBackend(cpuBackend, () => matmul(a, b, transposeA, transposeB)).dataSync()
            const got = await withBackend(gpu, () => matmul(a, b, transposeA, transposeB)).data()
            // Sums of k products of numbers below 1, in float32.
            const most = k * 2 ** -22
            const at = got.findIndex((value, i) => !(Math.abs(value - want[i]!) <= most))
            if (at >= 0)
              wrong.push(
                `[${batch.join()}] ${m} ${k} ${n} ${transposeA} ${transposeB}: [${at}] is ${got[at]}, want ${want[at]}`,
              )
          }
  return wrong
}

/** Over a budget of 1 MiB values move to the host and come back. */
async function spill(): Promise<number[]> {
  const gpu = await createGpuBackend({ prefer: ['webgl2'], allowSoftware: true, maxBytes: 2 ** 20 })
  const results = withBackend(gpu, () => {
    const kept = Array.from({ length: 12 }, (_, i) => ones([2 ** 16]).mul(i))
    return kept.map((x) => x.add(1).mean())
  })
  return results.map((x) => x.dataSync()[0]!)
}

export const page = { vectors, info, matmuls, spill }
Object.assign(globalThis, { adjointPage: page })
