import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { bundleForPage, hasBrowser, openPage } from '../support/browser.js'

interface Outcome {
  readonly threads: number
  readonly isSame: boolean
  readonly helped: number
}

async function inPage(isIsolated: boolean): Promise<{ outcome: Outcome; warnings: string[] }> {
  const path = fileURLToPath(new URL('../programs/threads-in-a-page.ts', import.meta.url))
  const open = await openPage(await bundleForPage(path), isIsolated)
  const warnings: string[] = []
  open.page.on('console', (message) => warnings.push(message.text()))
  try {
    return { outcome: await open.page.evaluate<Outcome>('adjointPage.run(3)'), warnings }
  } finally {
    await open.close()
  }
}

describe.skipIf(!hasBrowser || process.env['MODE'] !== 'full')('in headless Chromium, minified', () => {
  test('an isolated page has threads, and they do their part', async () => {
    const { outcome, warnings } = await inPage(true)
    expect(outcome).toMatchObject({ threads: 3, isSame: true })
    expect(outcome.helped).toBeGreaterThan(0)
    expect(warnings).toEqual([])
  })

  test('another page has one, and a warning', async () => {
    const { outcome, warnings } = await inPage(false)
    expect(outcome).toEqual({ threads: 1, isSame: true, helped: 0 })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('setThreads: threads need WebAssembly and memory that they can share')
  })
})
