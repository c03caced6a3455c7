import { configDefaults, defineConfig } from 'vitest/config'

/** Packages are tested from their source: nothing has to be built first. */
const conditions = ['@adjoint/source', 'module', 'node', 'development|production']

/** What `npm run test:plain` leaves out: tests of WebAssembly itself, and those that start other programs or read texts. */
const NOT_PLAIN = [
  'test/core/{wasm,plan,threads,memory-info}.test.ts',
  'test/layers/{memory,planned}.test.ts',
  'test/gpu/**',
  'test/{docs,examples,looking,readme}.test.ts',
]

export default defineConfig(({ mode }) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(mode === 'plain' ? NOT_PLAIN : [])],
    setupFiles: mode === 'plain' ? ['test/support/plain.ts'] : [],
    // Processes, not threads: a test may start workers of its own and fill memory.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}))
