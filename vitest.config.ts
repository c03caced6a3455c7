import { defineConfig } from 'vitest/config'

/** Packages are tested from their source: nothing has to be built first. */
const conditions = ['@adjoint/source', 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    // Processes, not threads: a test may start workers of its own and fill memory.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
