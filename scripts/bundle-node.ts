// Puts core and the layers into a few files for Node, dist/node, after tsc has built the rest: to load hundreds of
// modules takes it several times as long as the first training step. Browsers' bundlers get the modules and leave out
// what is not used.
import { build } from 'esbuild'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ENTRIES = { core: ['index', 'extend', 'testing/index'], layers: ['index'] }

for (const [name, entries] of Object.entries(ENTRIES)) {
  const dist = fileURLToPath(new URL(`../packages/${name}/dist/`, import.meta.url))
  rmSync(join(dist, 'node'), { recursive: true, force: true })
  await build({
    entryPoints: entries.map((entry) => join(dist, `${entry}.js`)),
    outdir: join(dist, 'node'),
    outbase: dist,
    bundle: true,
    // What several entries share is there once.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    sourcemap: true,
    // Layers and errors are told by the names of their classes.
    keepNames: true,
  })
}
