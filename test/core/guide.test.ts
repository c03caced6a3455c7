import { describe, expect, test } from 'vitest'
import { blocksOf, runBlock } from '../support/docs.js'

describe('docs/gradient-checks.md', () => {
  const programs = blocksOf('docs/gradient-checks.md')

  test('has programs to run', () => {
    expect(programs.length).toBeGreaterThan(0)
  })

  test.each(programs)('the program at line $line prints what it says', async (block) => {
    await runBlock(block)
  })
})
