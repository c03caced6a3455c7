import type { GpuMode } from '@adjoint/gpu'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, type OpenPage, openPage } from '../support/browser.js'
import { readVectors, type VectorCase } from '../support/oracles.js'
import { missingOps } from '../support/vectors.js'

if (!hasBrowser) console.log('skipped: there is no /usr/bin/chromium')

/** Cases that a mode does not get right, and why. */
const EXCEPT: { readonly [M in GpuMode]?: { readonly [id: string]: string } } = {
  webgl2: { 'atan2/zeros': 'whether a zero is negative is not seen through ANGLE' },
}

/** Of all cases one in so many, beginning with another one for each mode. */
const ONE_IN = process.env['MODE'] === 'full' ? 1 : 12

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

    test('multiplies larger matrices as the CPU does', { timeout: 300_000 }, async () => {
      expect(await inPage(`adjointPage.matmuls('${mode}')`)).toEqual([])
    })

    test('agrees with the references', { timeout: 600_000 }, async () => {
      const known = EXCEPT[mode] ?? {}
      const start = mode === 'webgl2' ? 0 : Math.floor(ONE_IN / 2)
      const some: VectorCase[] = cases.filter((c, i) => i % ONE_IN === start && !(c.id in known))
      expect(await inPage(`adjointPage.vectors('${mode}', ${JSON.stringify(some)})`)).toEqual([])
    })
  })

  test('WebGL moves values to the host when the budget is spent', async () => {
    expect(await inPage('adjointPage.spill()')).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
  })
})
