import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type History, Model, setSeed } from '@adjoint/layers'
import { afterEach, expect, test, vi } from 'vitest'
import { lcg, lcgMatrix } from '../support/lcg.js'

const ROWS = 12
const rows = (columns: number, seed: number): number[][] => lcgMatrix(ROWS, columns, seed)
const column = (seed: number): Float32Array => Float32Array.from(lcg(seed, ROWS))
const labels = (seed: number): Float32Array => column(seed).map(Math.round)
const pick = (words: readonly string[]): string[] =>
  Array.from({ length: ROWS }, (_, i) => words[i % words.length]!)

const outputs = {
  inputDim: 20,
  XTrain: rows(20, 1),
  XTest: rows(20, 2),
  yTrainA: column(3),
  yTrainB: labels(4),
  yTrainC: Array.from({ length: ROWS }, (_, i) => [0, 1, 2, 3, 4].map((k) => Number(k === i % 5))),
}
const names = ['first', 'second', 'third']
/** What the programs declare and leave to their surroundings, by program. */
const given: Readonly<Record<string, object>> = {
  'concatenate.ts': {},
  'custom-step.ts': { X: rows(4, 1), A: rows(1, 2), B: rows(1, 3) },
  'dynamic.ts': {
    n: 3,
    names,
    X: Object.fromEntries(names.map((name, i) => [name, rows(3, i).slice(0, 4)])),
  },
  'embedding.ts': {},
  'erased.ts': {},
  'graph.ts': {},
  'multiply.ts': {},
  'preprocessing.ts': {
    prices: rows(10, 1),
    indicators: rows(4, 2),
    headlines: pick(['negative', 'positive', 'unheard of']),
    sectors: pick(['energy', 'retail', 'health', 'energy']),
    up: [...labels(5)],
  },
  'progressive.ts': outputs,
  'separate-models.ts': outputs,
  'shared-layers.ts': outputs,
  'weighted-average.ts': {},
}
/** What waits for layers that are yet to come: test/types/later.ts. */
const LATER = ['sequences.ts']

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

test('all examples of the API are here', () => {
  const files = readdirSync(new URL('../types/examples', import.meta.url))
  expect(files.toSorted()).toEqual([...Object.keys(given), ...LATER].toSorted())
})

test.each(Object.entries(given))('%s runs', async (name, globals) => {
  setSeed(1)
  for (const [key, value] of Object.entries(globals)) vi.stubGlobal(key, value)
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  vi.spyOn(console, 'log').mockReturnValue(undefined)
  const fit = vi.spyOn(Model.prototype, 'fit')
  const folder = mkdtempSync(join(tmpdir(), 'api-example-'))
  const here = process.cwd()
  try {
    process.chdir(folder)
    await import(`../types/examples/${name.replace('.ts', '')}.ts`)
  } finally {
    process.chdir(here)
    rmSync(folder, { recursive: true })
  }
  expect(fit).toHaveBeenCalled()
  for (const { value } of fit.mock.results) {
    const { history } = await (value as Promise<History>)
    expect(history.loss.length).toBeGreaterThan(0)
    for (const loss of history.loss) expect(loss).toBeGreaterThan(0)
  }
})
