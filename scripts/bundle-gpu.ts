// Puts gpu.js into packages/gpu/dist/vendor.js, with its license, after tsc has built the rest.
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../packages/gpu', import.meta.url))

const license = readFileSync(join(folder, 'node_modules/gpu.js/LICENSE'), 'utf8')

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
  banner: { js: `/*!\n${license.replaceAll('*/', '* /')}*/` },
})
