/** What runs in the browser: tests ask for it by `window.adjointPage`. */
import { setBackend } from '@adjoint/core'
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

export const page = { vectors, info }
Object.assign(globalThis, { adjointPage: page })
