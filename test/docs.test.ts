import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import * as core from '@adjoint/core'
import type { Tensor } from '@adjoint/core'
import { apply, type AnyRow, rows } from '@adjoint/core/extend'
import { checkGradients } from '@adjoint/core/testing'
import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { examples, families } from '../scripts/docs/examples.js'
import { factsOf } from '../scripts/docs/facts.js'
import { type Block, blocksOf, collapsed, runModule, textOf, withModules } from './support/docs.js'
import { type Nd, ndOf } from './support/nd.js'
import type { Sample } from './support/samples.js'

const root = resolve(import.meta.dirname, '..')

describe('the pages of ops', () => {
  const pages = readdirSync(resolve(root, 'docs/ops')).filter((file) => file !== 'README.md')

  test('tell of every op, once', () => {
    const told = pages.flatMap((page) =>
      [...textOf(`docs/ops/${page}`).matchAll(/^## (\w+)$/gm)].map(([, op]) => op!),
    )
    expect(told.toSorted()).toEqual(Object.keys(examples).toSorted())
  })

  test('have a title for every file of ops', () => {
    const files = readdirSync(resolve(root, 'packages/core/src/ops')).map((file) => file.replace('.ts', ''))
    expect(files.filter((file) => file !== 'index').toSorted()).toEqual(Object.keys(families).toSorted())
  })

  test.each(pages)('%s gives the results that it prints', async (page) => {
    const found = blocksOf(`docs/ops/${page}`).map(exampleIn)
    const names = Object.keys(core).filter((name) => found.some(({ code }) => code.includes(`${name}(`)))
    const source = [
      `import { ${names.join(', ')} } from '@adjoint/core'`,
      `export const calls = [${found.map(({ code }) => `() => ${code}`).join(',\n')}]`,
    ].join('\n')
    await withModules({ 'page.ts': source }, async (load) => {
      const { calls } = (await load('page.ts')) as { calls: (() => Tensor | Tensor[])[] }
      const printed = calls.map((call) =>
        [call()]
          .flat()
          .map((x) => collapsed(String(x)))
          .join(', '),
      )
      expect(printed).toEqual(found.map(({ result }) => result))
    })
  })
})

/** A call, and behind `//` what it gives. */
function exampleIn({ source }: Block): { code: string; result: string } {
  const at = source.lastIndexOf('//')
  return { code: source.slice(0, at).trim(), result: collapsed(source.slice(at + 2)) }
}

describe('the guide to adding an op', () => {
  const guide = 'docs/adding-an-op.md'
  /** The blocks by the file that their first line names. */
  const files: Record<string, string> = Object.fromEntries(
    blocksOf(guide).map(({ source }) => [/^\/\/ (\S+)$/m.exec(source)![1]!, source]),
  )
  const checks = Object.keys(files).filter((name) => name.endsWith('.check.ts'))

  test('shows checks of every op that it adds', () => {
    expect(checks.length).toBe(3)
  })

  test.each(checks)('%s runs, and prints what it says', async (name) => {
    const own = Object.fromEntries(Object.entries(files).filter(([, source]) => source.includes('import ')))
    const before = [...rows.keys()]
    try {
      await runModule(own, name)
    } finally {
      for (const added of rows.keys()) if (!before.includes(added)) rows.delete(added)
    }
  })

  test('a planted bug in its rule does not pass its check', async () => {
    const wrong = { ...files, 'gaussian.ts': files['gaussian.ts']!.replace('mul(x, -2)', 'mul(x, 2)') }
    expect(wrong['gaussian.ts']).not.toBe(files['gaussian.ts'])
    const modules = {
      'gaussian.ts': wrong['gaussian.ts'],
      'check.ts': withoutPrinting(files['gaussian.check.ts']!),
    }
    await expect(withModules(modules, (load) => load('check.ts'))).rejects.toThrow(core.AdjointError)
    rows.delete('gaussian')
  })

  test('its entry of scalars.ts computes what its row computes', async () => {
    const sources = {
      'gaussian.ts': files['gaussian.ts']!,
      'scalars.ts': `export const scalars: Record<string, (x: number) => number> = {\n${files['scalars.ts']!}\n}`,
    }
    const { gaussian, scalar } = await withModules(sources, async (load) => ({
      gaussian: (await load('gaussian.ts'))['gaussian'] as (x: Tensor) => Tensor,
      scalar: ((await load('scalars.ts'))['scalars'] as Record<string, (x: number) => number>)['gaussian']!,
    }))
    rows.delete('gaussian')
    for (const x of [-2, -0.5, 0, 1, 3]) {
      const value = gaussian(core.tensor(x, { dtype: 'float64' })).itemSync()
      expect(Math.abs(value - scalar(x))).toBeLessThanOrEqual(4 * Number.EPSILON)
    }
  })

  test('its derivative prints as the guide says', async () => {
    const { gaussian } = await withModules({ 'gaussian.ts': files['gaussian.ts']! }, (load) =>
      load('gaussian.ts'),
    )
    rows.delete('gaussian')
    const call = ({ x }: { x: Tensor }): Tensor => (gaussian as (x: Tensor) => Tensor)(x)
    const { derivatives } = factsOf('gaussian', { operands: { x: core.tensor([0, 1]) }, call })
    expect(derivatives).toHaveLength(1)
    expect(textOf(guide)).toContain(`\`${derivatives![0]!}\``)
  })

  test('its entry of samples.ts holds its row to its laws', async () => {
    const sources = { 'swap-axes.ts': files['swap-axes.ts']!, 'samples.ts': asModule(files['samples.ts']!) }
    const sample = await withModules(sources, async (load) => {
      await load('swap-axes.ts')
      return ((await load('samples.ts'))['samples'] as Record<string, Sample>)['swapAxes']!
    })
    const row: AnyRow = rows.get('swapAxes')!
    rows.delete('swapAxes')
    fc.assert(
      fc.property(sample.any, ({ inputs, attrs }) => {
        const expected: Nd = sample.reference(inputs.map(ndOf), attrs as never)
        expect(ndOf(apply(row, inputs, attrs))).toEqual(expected)
        checkGradients((...xs: Tensor[]) => apply(row, xs, attrs), [...inputs])
      }),
      { numRuns: 30 },
    )
  })

  test('links to files that are there, as the index and the READMEs do', () => {
    for (const file of [
      guide,
      'docs/looking.md',
      'docs/ops/README.md',
      'README.md',
      'packages/core/README.md',
    ])
      for (const [, link] of textOf(file).matchAll(/\]\(([^):#]+)[^):]*\)/g))
        expect(existsSync(resolve(root, file, '..', link!)), `${file}: ${link!}`).toBe(true)
  })
})

/** The lines of a check that check. */
function withoutPrinting(source: string): string {
  return source.replace(/^console\.log.*$/gm, '')
}

/** An entry of samples.ts among the helpers that it finds there. */
function asModule(entry: string): string {
  return `
    import { fc } from '@fast-check/vitest'
    import { arbitraries } from '@adjoint/core/testing'
    import { at, build } from '../support/nd.js'
    const arb = arbitraries(fc)
    const both = (sample) => ({ ...sample, smooth: sample.any })
    const ofOne = (minRank, attrs, { minSide = 1 } = {}) =>
      arb.shape({ minRank, minSide }).chain((shape) =>
        fc.record({ inputs: fc.tuple(arb.tensor(shape)), attrs: attrs(shape) }))
    export const samples = {\n${entry}\n}`
}
