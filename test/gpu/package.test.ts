import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, openPage } from '../support/browser.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where the package gl was installed for the tests: see headless.test.ts. */
const gl = folderOf('gl')

function folderOf(name: string): string | undefined {
  try {
    return dirname(createRequire(join(root, 'packages/gpu/package.json')).resolve(`${name}/package.json`))
  } catch {
    console.log(`skipped: the package ${name} is not installed`)
    return undefined
  }
}

/** What users get: built, packed, and installed into an empty folder. Takes a minute, so only in full. */
describe.skipIf(process.env['MODE'] !== 'full')('the packed package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'adjoint-packed-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  beforeAll(async () => {
    await run('npm', ['run', '--silent', 'build'], { cwd: root })
    const tarballs: string[] = []
    for (const name of ['core', 'gpu']) {
      const { stdout } = await run(
        'npx',
        ['-y', 'pnpm@10.34.8', 'pack', '--json', '--pack-destination', folder],
        { cwd: join(root, 'packages', name) },
      )
      tarballs.push((JSON.parse(stdout) as { filename: string }).filename)
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }')
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...tarballs], { cwd: folder })
  }, 300_000)

  test('brings nothing but itself and core', () => {
    expect(readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      '@adjoint',
    ])
    expect(readdirSync(join(folder, 'node_modules/@adjoint')).toSorted()).toEqual(['core', 'gpu'])
    const vendored = readFileSync(join(folder, 'node_modules/@adjoint/gpu/dist/vendor.js'), 'utf8')
    expect(vendored).toContain('The MIT License')
  })

  test('says in Node what is missing', async () => {
    const code = `
      import { createGpuBackend } from '@adjoint/gpu'
      await createGpuBackend().catch((error) => console.log(String(error)))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { cwd: folder })
    expect(stdout).toMatch(/webgpu: the package webgpu is not installed \(npm install webgpu\)/)
  })

  test.skipIf(gl === undefined)('takes the package gl where it is installed', async () => {
    symlinkSync(gl!, join(folder, 'node_modules/gl'))
    const code = `
      import { grad, setBackend, tensor } from '@adjoint/core'
      import { createGpuBackend } from '@adjoint/gpu'
      const gpu = await createGpuBackend({ prefer: ['headlessgl'], allowSoftware: true })
      setBackend(gpu)
      console.log(gpu.info.mode, grad((x) => x.mul(x).sum())(tensor([3, -1])).dataSync().join())`
    const command = [process.execPath, '--input-type=module', '-e', code]
    const { stdout } = await run('xvfb-run', ['-a', ...command], { cwd: folder })
    expect(stdout).toBe('headlessgl 6,-2\n')
    rmSync(join(folder, 'node_modules/gl'))
  })

  test.skipIf(!hasBrowser)('runs in a page that vite has built', { timeout: 300_000 }, async () => {
    writeFileSync(
      join(folder, 'main.js'),
      `import { grad, setBackend, tensor } from '@adjoint/core'
       import { createGpuBackend } from '@adjoint/gpu'
       globalThis.adjointPage = {
         async slope(mode) {
           setBackend(await createGpuBackend({ prefer: [mode], allowSoftware: true }))
           return [...(await grad((x) => x.mul(x).tanh().sum())(tensor([0.5, -1])).data())]
         },
       }`,
    )
    await build({
      root: folder,
      logLevel: 'error',
      build: {
        rolldownOptions: {
          input: join(folder, 'main.js'),
          output: { entryFileNames: 'main.js', codeSplitting: false },
        },
      },
    })
    const open = await openPage(readFileSync(join(folder, 'dist/main.js'), 'utf8'))
    try {
      // 2 x (1 - tanh(x²)²)
      const want = [0.5, -1].map((x) => 2 * x * (1 - Math.tanh(x * x) ** 2))
      for (const mode of ['webgl2', 'webgpu']) {
        const got = await open.page.evaluate<number[]>(`adjointPage.slope('${mode}')`)
        got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 5))
      }
    } finally {
      await open.close()
    }
  })
})
