import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { bundle } from '../support/bundle.js'

interface Held {
  readonly heap: number
  readonly buffers: number
  readonly plans: number
}
interface Report {
  readonly none: number
  readonly withModels: number
  readonly released: number
  readonly before: Held
  readonly after: Held
  readonly first: number
  readonly last: number
  readonly seconds: number
}

/** What `npm run test:full` asks for; by default the loop is shorter. */
const steps = process.env['MODE'] === 'full' ? 100_000 : 8_000
/** Optimized code and inline caches, which do not grow with the count; 100 bytes for each step would be 1 MB and more. */
const HEAP_MARGIN = 0.75e6

test(`${steps.toLocaleString('en')} steps by trainOnBatch leave nothing behind, and models take their plans along`, async () => {
  const source = join(import.meta.dirname, '../programs/train-for-long.ts')
  const folder = mkdtempSync(join(tmpdir(), 'memory-'))
  const program = (await bundle([source], folder))(source)
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, String(steps)])
  rmSync(folder, { recursive: true })
  const got = JSON.parse(stdout) as Report
  const { before, after, seconds } = got
  console.log(
    `${steps.toLocaleString('en')} steps by trainOnBatch: ${seconds.toFixed(1)} s; left after gc: ` +
      `${after.buffers - before.buffers} bytes of buffers, ${after.plans - before.plans} of plans, ` +
      `${((after.heap - before.heap) / 1e3).toFixed(0)} KB of heap`,
  )
  expect(got.last).toBeLessThan(got.first / 10)
  expect(after.buffers).toBe(before.buffers)
  expect(after.plans).toBe(before.plans)
  expect(after.heap - before.heap).toBeLessThan(HEAP_MARGIN)

  // Weights, what Adam remembers of them, and each plan's own memory.
  expect(got.withModels - got.none).toBeGreaterThan(5 * 3 * 4 * 993)
  expect(got.released).toBe(got.none)
})
