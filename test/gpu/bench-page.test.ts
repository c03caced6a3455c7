import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'
import { describe, expect, test } from 'vitest'
import { hasBrowser, openAt } from '../support/browser.js'

const configFile = fileURLToPath(new URL('../../benchmarks/gpu/vite.config.ts', import.meta.url))

/** A minute of work on a software adapter, so only in full. */
describe.skipIf(process.env['MODE'] !== 'full' || !hasBrowser)('the benchmark page', () => {
  test(
    'measures the CPU and both modes, plans beside op by op, and says that the adapter is software',
    { timeout: 300_000 },
    async () => {
      const server = await createServer({
        configFile,
        logLevel: 'error',
        server: { host: '127.0.0.1', port: 0 },
      })
      await server.listen()
      const open = await openAt(`${server.resolvedUrls!.local[0]!}?quick&alone`)
      const text = async (selector: string): Promise<string> => (await open.page.textContent(selector)) ?? ''
      try {
        await open.page.waitForFunction('globalThis.benchmark !== undefined', undefined, { timeout: 240_000 })
        const { missing, report } = await open.page.evaluate<{ missing: string[]; report: string }>(
          'benchmark',
        )
        expect(missing).toEqual([])
        expect(report).toContain('gpu.js webgl2: ANGLE')
        expect(report).toContain('(**software adapter**)')
        const time = String.raw`(\| \**[0-9.e-]+\** )`
        for (const row of ['matmul 64', 'mul 10,000', 'softmax 16', 'read back 10,000'])
          expect(report).toMatch(new RegExp(String.raw`\| ${row} ${time}{3}\|`))
        // The CPU, and on both modes op by op and the plan.
        for (const row of ['b1 32', 'b2 32', 'b3 32', 'b4 32'])
          expect(report).toMatch(new RegExp(String.raw`\| ${row} ${time}{5}\|`))
        expect(report).not.toContain('failed')
        expect(report).toMatch(/- b4: .*overtake/)

        expect(await text('h1')).toContain('software adapter')
        expect(await text('#now')).toMatch(/^Done: \d+ cases/)
        const titles = await open.page.locator('h2').allTextContents()
        expect(titles).toEqual(
          expect.arrayContaining([expect.stringMatching(/softmax/i), expect.stringMatching(/B4/)]),
        )
        const matmul = open.page.locator('section').first()
        const lines = await matmul
          .locator('polyline')
          .evaluateAll((all) => all.map((line) => line.getAttribute('points')!.split(' ').length))
        expect(lines).toEqual([2, 2, 2])
        expect(await matmul.locator('tbody tr').count()).toBe(3)
        await open.page.setViewportSize({ width: 400, height: 900 })
        expect(await open.page.evaluate('document.documentElement.scrollWidth')).toBe(400)
      } finally {
        await open.close()
        await server.close()
      }
    },
  )
})
