import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** A library of benchmarks/peers, or a file that says that it is not installed. */
function peers(path: string): string {
  const file = fileURLToPath(new URL(`../peers/node_modules/${path}`, import.meta.url))
  return existsSync(file) ? file : fileURLToPath(new URL('./missing.ts', import.meta.url))
}

/** The page is built from the source; the other libraries, where they are installed, come from benchmarks/peers. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: {
    conditions: ['@adjoint/source', 'module', 'browser', 'development|production'],
    alias: {
      '@peers/tfjs-webgpu': peers('@tensorflow/tfjs-backend-webgpu/dist/index.js'),
      '@peers/tfjs': peers('@tensorflow/tfjs/dist/index.js'),
      '@peers/jax': peers('@jax-js/jax/dist/index.js'),
    },
  },
  server: {
    fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] },
    // A page of its own gets a finer clock: 5 µs for 100.
    headers: {
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    },
  },
})
