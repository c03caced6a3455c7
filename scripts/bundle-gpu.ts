// Puts gpu.js into packages/gpu/dist/vendor.js, with its license, after tsc has built the rest.
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../packages/gpu', import.meta.url))
const require = createRequire(join(folder, 'package.json'))
const vendored = dirname(require.resolve('gpu.js/package.json'))

await build({
  entryPoints: [join(folder, 'src/vendor.ts')],
  outfile: join(folder, 'dist/vendor.js'),
  allowOverwrite: true,
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  // Its "browser" file names itself on the page's global object.
  mainFields: ['main'],
  // Looked for and done without where it is not installed.
  external: ['gl', 'worker_threads', 'os'],
  banner: { js: `/*!\n${readFileSync(join(vendored, 'LICENSE'), 'utf8').replaceAll('*/', '* /')}*/` },
})
