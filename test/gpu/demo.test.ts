import { fileURLToPath } from 'node:url'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, type OpenPage, openAt } from '../support/browser.js'

const configFile = fileURLToPath(new URL('../../examples/demo/vite.config.ts', import.meta.url))

/** What a side ends with. */
interface Side {
  readonly kind: string
  readonly steps: number
  readonly scores: { readonly species: number; readonly bodyMass: number }
}

/** A server and a browser of its own, so only in full. */
describe.skipIf(process.env['MODE'] !== 'full' || !hasBrowser)('the demonstration page', () => {
  let server: ViteDevServer
  let open: OpenPage
  beforeAll(async () => {
    server = await createServer({ configFile, logLevel: 'error', server: { host: '127.0.0.1', port: 0 } })
    await server.listen()
    open = await openAt(`${server.resolvedUrls!.local[0]!}?epochs=12`)
  }, 120_000)
  afterAll(async () => {
    await open.close()
    await server.close()
  })
  const text = async (selector: string): Promise<string> => (await open.page.textContent(selector)) ?? ''

  test('trains on both devices, to the same end', { timeout: 240_000 }, async () => {
    await open.page.waitForFunction('globalThis.demo !== undefined', undefined, { timeout: 200_000 })
    const { cpu, gpu } = await open.page.evaluate<{ cpu: Side; gpu: Side }>('demo')
    expect([cpu.kind, gpu.kind]).toEqual(['done', 'done'])
    expect(cpu.steps).toBe(12 * 7)
    expect(gpu.steps).toBe(cpu.steps)
    expect(cpu.scores.species).toBeGreaterThan(0.9)
    expect(cpu.scores.bodyMass).toBeGreaterThan(0.7)
    expect(Math.abs(gpu.scores.species - cpu.scores.species)).toBeLessThan(0.05)
    expect(Math.abs(gpu.scores.bodyMass - cpu.scores.bodyMass)).toBeLessThan(0.05)
    expect(await text('#cpu .backend')).toBe('WebAssembly')
    expect(await text('#gpu .backend')).toMatch(/^web(gpu|gl2), /)
    expect(await text('#gpu .warning')).toContain('computes on the CPU')
  })

  test("draws the model's graph, and a curve for each output's losses and metrics", async () => {
    expect(await open.page.locator('#graph svg').count()).toBe(1)
    for (const word of ['measurements', 'Concatenate', 'bodyMass'])
      expect(await text('#graph')).toContain(word)
    for (const device of ['cpu', 'gpu']) {
      const lines = await open.page
        .locator(`#${device} polyline`)
        .evaluateAll((all) => all.map((line) => line.getAttribute('points')!.split(' ').length))
      expect(lines).toEqual(new Array(8).fill(12))
    }
  })

  test('fits a window of 400 pixels', async () => {
    await open.page.setViewportSize({ width: 400, height: 900 })
    expect(await open.page.evaluate('document.documentElement.scrollWidth')).toBe(400)
  })

  test('stops when asked, with what was learnt so far', { timeout: 120_000 }, async () => {
    await open.page.fill('[name=epochs]', '1000')
    await open.page.evaluate('delete globalThis.demo')
    await open.page.click('#start')
    await open.page.waitForFunction("document.querySelector('#cpu progress').value > 1", undefined, {
      timeout: 60_000,
    })
    await open.page.click('#stop')
    await open.page.waitForFunction('globalThis.demo !== undefined', undefined, { timeout: 60_000 })
    const { cpu } = await open.page.evaluate<{ cpu: Side }>('demo')
    expect(cpu.kind).toBe('done')
    expect(cpu.steps).toBeGreaterThan(0)
    expect(cpu.steps).toBeLessThan(1000 * 7)
  })
})
