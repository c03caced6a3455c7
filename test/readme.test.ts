import { describe, expect, test } from 'vitest'
import { blocksOf, runBlock } from './support/docs.js'

describe.each(['README.md', 'packages/core/README.md', 'docs/training.md', 'docs/data.md', 'docs/plans.md'])(
  '%s',
  (file) => {
    // Blocks that import something are whole programs; the others show a part of one.
    const programs = blocksOf(file).filter(({ source }) => source.startsWith('import'))

    test('has programs to run', () => {
      expect(programs.length).toBeGreaterThan(0)
    })

    test.each(programs)('the program at line $line prints what it says', async (block) => {
      await runBlock(block)
    })
  },
)
