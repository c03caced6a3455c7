import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundle } from '../support/bundle.js'

const MB = 1e6
/** What `npm run test:full` asks for; by default the longest loops are shorter. */
const isFull = process.env['MODE'] === 'full'
const source = join(import.meta.dirname, '../programs/longevity.ts')
const folder = mkdtempSync(join(tmpdir(), 'memory-'))
let program: string
beforeAll(async () => {
  program = (await bundle([source], folder))(source)
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

interface Held {
  readonly heap: number
  readonly buffers: number
}
interface Loop {
  readonly before: Held
  readonly after: Held
  readonly seconds: number
}

/** Runs a loop of test/programs/longevity.ts in a fresh process: what it reports, and the most memory it ever had. */
async function run<R>(name: string, count: number): Promise<R & { readonly peak: number }> {
  const args = ['--expose-gc', program, name, String(count)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as R & { readonly peak: number }
}

function print(what: string, { before, after, seconds, peak }: Loop & { readonly peak: number }): void {
  const grown = (after.heap - before.heap) / 1e3
  console.log(
    `${what}: ${seconds.toFixed(1)} s, peak resident ${(peak / MB).toFixed(0)} MB; left after gc: ` +
      `${after.buffers - before.buffers} bytes of buffers, ${grown.toFixed(0)} KB of heap`,
  )
}

/** Node itself takes about 100 MB with the TypeScript loader; all garbage of the loops beside it must fit in the rest. */
const MOST_RESIDENT = 400 * MB
/**
 * Optimized code and inline caches, which do not grow with the count: 0.2 to 0.4 MB were seen. One retained tensor or
 * tape entry of 100 bytes for each step or error would be 1 MB and more.
 */
const HEAP_MARGIN = 0.75 * MB

function expectNothingLeft({ before, after, peak }: Loop & { readonly peak: number }): void {
  expect(after.buffers).toBe(before.buffers)
  expect(after.heap - before.heap).toBeLessThan(HEAP_MARGIN)
  expect(peak).toBeLessThan(MOST_RESIDENT)
}

describe('a synchronous loop', () => {
  test('of 10,000 training steps stays under 400 MB and ends where it began', async () => {
    const got = await run<Loop & { first: number; last: number }>('train', 10_000)
    print('10,000 training steps', got)
    expect(got.last).toBeLessThan(got.first / 100)
    expectNothingLeft(got)
  })

  const steps = isFull ? 100_000 : 20_000
  test(`of ${steps.toLocaleString('en')} training steps by a plan allocates nothing that stays`, async () => {
    const got = await run<Loop & { first: number; last: number }>('plan', steps)
    print(`${steps.toLocaleString('en')} steps of a plan`, got)
    expect(got.last).toBeLessThan(got.first / 10)
    expectNothingLeft(got)
  })

  const adds = isFull ? 100_000 : 20_000
  test(
    `of ${adds.toLocaleString('en')} additions to [256, 256] does so too`,
    { timeout: 600_000 },
    async () => {
      const got = await run<Loop & { value: number }>('add', adds)
      print(`${adds.toLocaleString('en')} additions to [256, 256]`, got)
      expect(got.value).toBe(adds + 200)
      expectNothingLeft(got)
    },
  )

  test('of 10,000 thrown errors leaves no value, no scope and no tape behind', async () => {
    const got = await run<Loop & { thrown: number; isRight: boolean; position: number }>('errors', 10_000)
    print('10,000 thrown errors', got)
    expect(got.thrown).toBe(10_000)
    expect(got.isRight).toBe(true)
    expect(got.position).toBe(-1)
    expectNothingLeft(got)
  })
})

describe('checkpoint', () => {
  // 8 ops a block: 160 intermediate values without, with them the 20 ends of blocks and the inside of one.
  test('holds the ends of 20 blocks and the inside of one: a quarter of what the chain holds without', async () => {
    interface Peak {
      readonly peak: number
      readonly gradient: number
    }
    const got = await run<{ plain: Peak; checkpointed: Peak; one: number }>('checkpoint', 20)
    const values = (bytes: number): string =>
      `${(bytes / MB).toFixed(1)} MB (${(bytes / got.one).toFixed(0)} values)`
    console.log(
      `checkpoint, 20 blocks of 8 ops on [128, 128]: ${values(got.checkpointed.peak)} at most, ` +
        `${values(got.plain.peak)} without`,
    )
    expect(got.checkpointed.gradient).toBe(got.plain.gradient)
    expect(got.plain.peak).toBeGreaterThan(160 * got.one)
    expect(got.checkpointed.peak).toBeLessThan(got.plain.peak / 4)
  })
})
