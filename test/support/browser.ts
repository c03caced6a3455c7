/** A headless Chromium with a page that has the library, bundled and minified. */
import { build } from 'esbuild'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'
const pageFolder = fileURLToPath(new URL('../gpu/page/', import.meta.url))

/** WebGL and WebGPU on the CPU; nothing is fetched from anywhere. */
const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
  '--enable-unsafe-swiftshader',
]

export const hasBrowser: boolean = existsSync(CHROMIUM)

/** A page's script, as esbuild makes it for a release. */
export async function bundleForPage(path: string = join(pageFolder, 'main.ts')): Promise<string> {
  const stub = join(pageFolder, 'no-files.ts')
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['@adjoint/source'],
    alias: {
      'node:fs': stub,
      'node:path': stub,
      'node:url': stub,
      '@fast-check/vitest': join(pageFolder, 'fast-check.ts'),
    },
    define: { 'process.env.ADJOINT_ORACLES': '""' },
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0]!.text
}

export interface OpenPage {
  readonly page: Page
  close(): Promise<void>
}

/** What isolates a page from other origins. */
const ISOLATED = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
}

/** A page that runs a script, the one of the tests unless given. */
export async function openPage(given?: string, isIsolated = false): Promise<OpenPage> {
  const script = given ?? (await bundleForPage())
  const server = createServer((request, response) => {
    const isScript = request.url === '/main.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    for (const [name, value] of Object.entries(isIsolated ? ISOLATED : {})) response.setHeader(name, value)
    response.end(
      isScript ? script : '<!doctype html><title>test</title><script type="module" src="/main.js"></script>',
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const open = await openAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  await open.page.waitForFunction('globalThis.adjointPage !== undefined')
  return {
    page: open.page,
    async close() {
      await open.close()
      server.close()
    },
  }
}

/** A page of its own, in a browser that nothing else uses. */
export async function openAt(url: string): Promise<OpenPage> {
  const folder = mkdtempSync(join(tmpdir(), 'adjoint-chromium-'))
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    headless: true,
    args: FLAGS,
  })
  const page = await context.newPage()
  page.on('pageerror', (error) => {
    console.error(error)
  })
  await page.goto(url)
  return {
    page,
    async close() {
      await context.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
