import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** The page is built from the source. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  resolve: { conditions: ['@adjoint/source', 'module', 'browser', 'development|production'] },
  server: { fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] } },
  worker: { format: 'es' },
})
