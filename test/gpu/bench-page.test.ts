import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'
import { describe, expect, test } from 'vitest'
import { hasBrowser, openAt } from '../support/browser.js'

const configFile = fileURLToPath(new URL('../../benchmarks/gpu/vite.config.ts', import.meta.url))

/** A minute of work on a software adapter, so only in full. */
describe.skipIf(process.env['MODE'] !== 'full' || !hasBrowser)('the benchmark page', () => {
  test(
    'measures the CPU and both modes, and says that the adapter is software',
    { timeout: 300_000 },
    async () => {
      const server = await createServer({
        configFile,
        logLevel: 'error',
        server: { host: '127.0.0.1', port: 0 },
      })
      await server.listen()
      const open = await openAt(`${server.resolvedUrls!.local[0]!}?quick&alone`)
      try {
        await open.page.waitForFunction('globalThis.benchmark !== undefined', undefined, { timeout: 240_000 })
        const table = await open.page.evaluate<string>('benchmark.table')
        expect(table).toContain('gpu.js webgl2: ANGLE')
        expect(table).toMatch(/\(\*\*software\*\*\)/)
        for (const row of ['matmul 64', 'mul 10000', 'softmax 1000 wide 16', 'step B1 32'])
          expect(table).toMatch(new RegExp(`\\| ${row} (\\| [0-9.e+-]+ ){3}\\|`))
        const charts = await open.page.locator('#charts').textContent()
        expect(charts).toContain('gpu.js webgpu (software)')
        expect(await open.page.locator('#now').textContent()).toMatch(/This adapter computes on the CPU/)
      } finally {
        await open.close()
        await server.close()
      }
    },
  )
})
