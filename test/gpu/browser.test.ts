import { rows } from '@adjoint/core/extend'
import type { GpuMode } from '@adjoint/gpu'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, type OpenPage, openPage } from '../support/browser.js'
import { readUlpTables, readVectors } from '../support/oracles.js'
import { missingOps } from '../support/vectors.js'

if (!hasBrowser) console.log('skipped: there is no /usr/bin/chromium')

/** Of all cases one in so many, beginning with another one for each mode. */
const ONE_IN = process.env['MODE'] === 'full' ? 1 : 24
const startOf = (mode: GpuMode): number => (mode === 'webgl2' ? 0 : Math.floor(ONE_IN / 2))

/** As code: JSON has no -0. */
const written = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (Object.is(inner, -0) ? '-0' : inner)).replaceAll('"-0"', '-0')

const some = <T>(mode: GpuMode, all: Iterable<T>): T[] =>
  [...all].filter((_, i) => i % ONE_IN === startOf(mode))
const cases = readVectors().filter((c) => missingOps(c).length === 0 && !c.tags?.includes('f64-only'))

describe.skipIf(!hasBrowser)('in headless Chromium, minified', () => {
  let open: OpenPage
  beforeAll(async () => {
    open = await openPage()
  })
  afterAll(() => open.close())

  const inPage = async <R>(code: string): Promise<R> => (await open.page.evaluate(code)) as R

  describe.each(['webgl2', 'webgpu'] as const)('%s', (mode) => {
    test('runs on this mode', async () => {
      expect(await inPage(`adjointPage.info('${mode}')`)).toMatchObject({ mode, isSoftware: true })
    })

    test('falls into no trap of gpu.js', { timeout: 300_000 }, async () => {
      expect(await inPage(`adjointPage.pitfalls('${mode}', ${ONE_IN === 1})`)).toEqual([])
    })

    test('multiplies larger matrices as the CPU does', { timeout: 300_000 }, async () => {
      expect(await inPage(`adjointPage.matmuls('${mode}')`)).toEqual([])
    })

    test('agrees with the references', { timeout: 600_000 }, async () => {
      expect(await inPage(`adjointPage.vectors('${mode}', ${written(some(mode, cases))})`)).toEqual([])
    })

    test('is as accurate as it promises', { timeout: 600_000 }, async () => {
      const tables = some(mode, readUlpTables())
      expect(await inPage(`adjointPage.ulps('${mode}', ${JSON.stringify(tables)})`)).toEqual([])
    })
  })

  describe.each(['webgl2', 'webgpu'] as const)('%s', (mode) => {
    test('computes each row as the CPU does', { timeout: 600_000 }, async () => {
      expect(await inPage(`adjointPage.rows('${mode}', ${JSON.stringify(some(mode, rows.keys()))})`)).toEqual(
        [],
      )
    })

    test('has the values of the CPU at the edges of formulas', { timeout: 300_000 }, async () => {
      expect(
        await inPage(`adjointPage.edges('${mode}', ${JSON.stringify(some(mode, rows.keys()))})`),
      ).toEqual([])
    })

    test('runs random programs as the CPU does', { timeout: 600_000 }, async () => {
      expect(await inPage(`adjointPage.programs('${mode}', ${ONE_IN === 1 ? 30 : 2})`)).toEqual([])
    })

    test('trains as the CPU does, and holds no more buffers after more steps', async () => {
      const { want, got, added } = await inPage<{ want: number[]; got: number[]; added: number }>(
        `adjointPage.training('${mode}')`,
      )
      got.forEach((loss, i) => expect(loss).toBeCloseTo(want[i]!, 3))
      // Fewer, where a collection came in between.
      expect(added).toBeLessThanOrEqual(0)
    })

    test('stays within its budget in a long loop without an await', async () => {
      expect(await inPage(`adjointPage.loop('${mode}')`)).toBeCloseTo(1, 2)
    })
  })

  // On webgpu in Node: see plan.test.ts.
  test.each(ONE_IN === 1 ? (['webgl2', 'webgpu'] as const) : (['webgl2'] as const))(
    'plans on %s do what ops do, change all or nothing, tell errors and hold no memory',
    { timeout: 600_000 },
    async (mode) => {
      expect(await inPage(`adjointPage.plans('${mode}', ${ONE_IN === 1})`)).toEqual([])
    },
  )

  test('anomalies are found on WebGL, which reads at once', async () => {
    expect(await inPage('adjointPage.anomaly("webgl2")')).toMatch(/: log: made NaN at position 0/)
  })

  test('WebGL has kernels of gpu.js alone where gpu.js or the driver takes no others', async () => {
    const { apart, texts } = await inPage<{ apart: number[]; texts: number[] }>(
      'adjointPage.withoutOwnText()',
    )
    for (const most of apart) expect(most).toBeLessThan(1e-5)
    expect(texts).toHaveLength(3)
    for (const count of texts) expect(count).toBeGreaterThan(5)
  })

  test('WebGL compiles the texts of this package in place of those of gpu.js', async () => {
    const texts = await inPage<string[]>('adjointPage.ownTexts()')
    expect(texts.length).toBeGreaterThan(5)
    for (const text of texts) expect(text).toMatch(/texelFetch[^]*<< uTexSize\.y/)
    expect(texts.some((text) => text.includes('layout(location = 3)'))).toBe(true)
  })

  test('WebGL goes without several textures at once where the driver writes none', async () => {
    const { apart, asked } = await inPage<{ apart: number; asked: number }>('adjointPage.withoutFour()')
    expect(apart).toBeLessThan(1e-5)
    // For two, and for four.
    expect(asked).toBe(2)
  })

  test('WebGL compiles again what is run after a thousand others, unless it was run meanwhile', async () => {
    const { values, compiled } = await inPage<{ values: number[][]; compiled: number[] }>(
      'adjointPage.forgotten()',
    )
    const given = (times: number): number[][] =>
      [0, 0, 1, 2, 3].map((added) => [1, 2, 3, 4].map((x) => x * times + added))
    expect(values).toEqual([1, 2, 1, 1, 2].flatMap(given))
    // A map and four of each.
    expect(compiled).toEqual([4, 4, 4, 6])
  })

  test('WebGL holds nothing more after a kernel that does not compile', async () => {
    const { error, before, after } = await inPage<Record<string, unknown>>('adjointPage.failed()')
    expect(error).toMatch(/compiling/)
    expect(after).toEqual(before)
  })

  test('WebGL is refused where the driver computes those texts wrong', async () => {
    const errors = await inPage<string[]>('adjointPage.wrongTexts()')
    expect(errors).toHaveLength(2)
    for (const error of errors) expect(error).toMatch(/webgl2.*a trial gave \d+ at 0 where \d+ is right/)
  })

  test('a lost WebGL context is told, and weights are left as they were last read', async () => {
    const { errors, weights, now } = await inPage<{ errors: string[]; weights: number[]; now: number[] }>(
      'adjointPage.lose()',
    )
    const [known, ...told] = errors.toReversed()
    expect(told).toHaveLength(3)
    for (const error of told) expect(error).toMatch(/: the webgl2 device was lost: .*createGpuBackend/)
    expect([known, weights, now]).toEqual(['2,3', [2, 3], [4, 6]])
  })

  test('WebGL moves values to the host when the budget is spent', async () => {
    expect(await inPage('adjointPage.spill("webgl2")')).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
  })
})
