import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const run = promisify(execFile)

/** Runs an example as its reader would, in a process of its own, and returns what it printed. */
async function printed(name: string): Promise<string> {
  const args = ['--conditions=@adjoint/source', '--import', 'tsx', `examples/${name}.ts`]
  const { stdout, stderr } = await run(process.execPath, args, { cwd: root, maxBuffer: 2 ** 24 })
  expect(stderr).toBe('')
  return stdout
}

/** The loss of each epoch in the lines of `fit`. */
function losses(output: string): number[] {
  return [...output.matchAll(/ - loss: ([\d.e+-]+)/g)].map((found) => Number(found[1]))
}

test.concurrent.each([
  { name: 'concat', params: '993', fits: 2 },
  { name: 'embedding', params: '4,001', fits: 1 },
  { name: 'multiply', params: '417', fits: 1 },
  { name: 'progressive-sharing', params: '13,607', fits: 1 },
])('$name trains a model of $params parameters', async ({ name, params, fits }) => {
  const output = await printed(name)
  expect(output).toContain(`Total params: ${params}`)
  const found = losses(output)
  expect(found).toHaveLength(10 * fits)
  expect(found.at(-1)).toBeLessThan(found[0]!)
})

test.concurrent.each(['separate-models', 'shared-features'])('%s learns both outputs', async (name) => {
  const output = await printed(name)
  const found = losses(output)
  expect(found.at(-1)).toBeLessThan(found.at(-10)!)
  expect(output).toMatch(/first of A: -?[\d.]+ first of B: 0?\.\d+/)
})

test.concurrent('weighted-average trains both outputs', async () => {
  const output = await printed('weighted-average')
  expect(output).toContain('weighted_average')
  expect(output).toMatch(/val_direction_loss/)
  expect(output).toMatch(/up\? [\d.]+ traded: -?[\d.]+/)
})

test('penguins: species and body mass of birds it has not seen, not worse than a linear baseline', async () => {
  const output = await printed('penguins')
  const accuracy = /species, accuracy\s+([\d.]+) %\s+([\d.]+) %/.exec(output)!
  const r2 = /body mass, R²\s+([\d.]+)\s+([\d.]+)/.exec(output)!
  expect(Number(accuracy[1]) / 100).toBeGreaterThanOrEqual(0.97)
  expect(Number(r2[1])).toBeGreaterThanOrEqual(0.78)
  expect(Number(accuracy[1]) / 100).toBeGreaterThanOrEqual(Number(accuracy[2]) / 100 - 0.01)
  expect(Number(r2[1])).toBeGreaterThanOrEqual(Number(r2[2]) - 0.01)
  expect(output).toContain('344 penguins: 2 without measurements left out, 9 of unknown sex kept as such.')
  expect(output).toMatch(/in truth (Adelie|Gentoo|Chinstrap), \d+ g/)
})
