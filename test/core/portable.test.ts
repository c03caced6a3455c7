import { fc } from '@fast-check/vitest'
import { setDeterminism, ValueError } from '@adjoint/core'
import { rows } from '@adjoint/core/extend'
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as exact from '../../packages/core/src/math/exact.js'
import { readOracle } from '../support/oracles.js'
import { sampleOf } from '../support/samples.js'

const functions = { ...exact }
type Name = Exclude<keyof typeof exact, 'pow' | 'atan2'>
const tables = readOracle<{ functions: { op: string; x: number[]; y64: number[] }[] }>(
  'vectors/ulp-tables.json',
).functions

describe('functions by plain arithmetic', () => {
  test.each(tables.filter(({ op }) => op in exact))('$op gives the nearest number', ({ op, x, y64 }) => {
    expect(x.map((at) => functions[op as Name](at))).toEqual(y64)
  })

  const edges = [
    0,
    -0,
    1,
    -1,
    0.5,
    2,
    5e-324,
    2 ** -1022,
    Number.MAX_VALUE,
    709.78,
    710.4,
    745.2,
    Infinity,
    NaN,
  ]
  const all = [...edges, ...edges.map((x) => -x)]
  const unary = Object.keys(exact).filter((name): name is Name => name !== 'pow' && name !== 'atan2')
  // Those of V8 are within a unit in the last place, tanh within two.
  const isNear = (got: number, want: number): boolean =>
    Object.is(got, want) || Math.abs(got - want) <= 4e-16 * Math.abs(want) + 5e-324
  test.each(unary)('%s is what the engine has at edges', (name) => {
    for (const x of all) expect([x, isNear(functions[name](x), Math[name](x))]).toEqual([x, true])
  })
  test('pow and atan2 too', () => {
    for (const x of all)
      for (const y of [...all, 3, -3, 0.5, 1e10]) {
        expect([x, y, isNear(exact.pow(x, y), Math.pow(x, y))]).toEqual([x, y, true])
        expect([x, y, isNear(exact.atan2(x, y), Math.atan2(x, y))]).toEqual([x, y, true])
      }
  })

  test('powers are as exact as products, quotients and roots', () => {
    for (let i = 1; i < 200; i++) {
      const x = Math.sqrt(i) * 1.7 ** (i % 50)
      expect(exact.pow(x, 2)).toBe(x * x)
      expect(exact.pow(x, -1)).toBe(1 / x)
      expect(exact.pow(x, 0.5)).toBe(Math.sqrt(x))
      expect(exact.log2(2 ** (i - 100))).toBe(i - 100)
    }
  })

  // Known hard cases of the reduction of large arguments (Ng 1992; Muller 2016), their values by mpmath.
  test('sines of large numbers are right', () => {
    expect(exact.sin(1e22)).toBe(-0.8522008497671888)
    expect(exact.cos(6381956970095103 * 2 ** 797)).toBe(-4.687165924254628e-19)
    expect(exact.tan(-(2 ** 1000))).toBe(-exact.tan(2 ** 1000))
  })
})

const NAMES = Object.keys(exact) as (keyof typeof exact)[]

/** A library of its own in an engine whose functions are a little off, or as they are. */
async function numbersOf(
  mode: 'engine' | 'portable',
  isOff: boolean,
  isMeant: (name: string) => boolean = () => true,
): Promise<ReadonlyMap<string, string>> {
  vi.resetModules()
  for (const name of isOff ? NAMES : []) {
    const f: (...xs: number[]) => number = Math[name]
    vi.spyOn(Math, name).mockImplementation((...xs: number[]) => f(...xs) * (1 + 2 ** -20))
  }
  const core = await import('@adjoint/core')
  const { apply, plainBackend, rows: own } = await import('@adjoint/core/extend')
  const layers = await import('@adjoint/layers')
  core.setDeterminism(mode)
  const found = new Map<string, string>()
  const hash = (values: ArrayBufferView): string =>
    createHash('sha256')
      .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      .digest('hex')
  for (const { name, cases } of samples.filter((sample) => isMeant(sample.name))) {
    const numbers = cases.flatMap(({ inputs, attrs }) =>
      (['float32', 'float64'] as const).flatMap((dtype) => {
        const run = (): string => {
          const xs = inputs.map((x) => {
            const made = core.tensor(x.values, { shape: x.shape, dtype: x.dtype })
            return x.isFloat ? core.cast(made, dtype) : made
          })
          try {
            return hash(apply(own.get(name)!, xs, attrs).dataSync())
          } catch {
            return 'refused'
          }
        }
        return [run(), core.withBackend(plainBackend, run)]
      }),
    )
    found.set(name, numbers.join())
  }
  core.setSeed(3)
  const x = layers.input({ shape: [6], name: 'x' })
  const hidden = layers.dense(8, { activation: 'tanh' })(x)
  const m = layers.model({
    inputs: x,
    outputs: layers.dense(3, { activation: 'softmax' })(layers.dropout(0.2)(hidden)),
  })
  const rate = layers.cosineDecay({ initialLearningRate: 0.05, decaySteps: 30 })
  m.compile({ optimizer: layers.adam({ learningRate: rate }), loss: 'categorical_crossentropy' })
  const data = core.random.normal([24, 6], { seed: 1 })
  const targets = core.random.normal([24, 3], { seed: 2 }).softmax()
  const { history } = await m.fit(data, targets, { epochs: 8, batchSize: 8, verbose: 0 })
  found.set('training', JSON.stringify([history, m.getWeights().map((w) => hash(w.dataSync()))]))
  vi.restoreAllMocks()
  return found
}

const samples = [...rows.values()].map((row) => ({
  name: row.name,
  cases: fc
    .sample(sampleOf(row).any, { seed: 1, numRuns: process.env['MODE'] === 'full' ? 20 : 4 })
    .map(({ inputs, attrs }) => ({
      attrs,
      inputs: inputs.map((x) => ({
        shape: x.shape,
        dtype: x.dtype,
        isFloat: x.dtype.startsWith('float'),
        values: x.dataSync(),
      })),
    })),
}))

describe('setDeterminism', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    setDeterminism('engine')
  })

  test('makes all numbers independent of the functions of the engine', async () => {
    const own = await numbersOf('portable', false)
    const others = await numbersOf('portable', true)
    expect([...others].filter(([name, numbers]) => numbers !== own.get(name)).map(([name]) => name)).toEqual(
      [],
    )
    // Without it they do depend on them.
    const some = ['exp', 'sin', 'atan2', 'softmax', 'gelu']
    const isMeant = (name: string): boolean => some.includes(name)
    const [as, off] = [await numbersOf('engine', false, isMeant), await numbersOf('engine', true, isMeant)]
    const changed = [...off].filter(([name, numbers]) => numbers !== as.get(name)).map(([name]) => name)
    expect(changed).toEqual(expect.arrayContaining([...some, 'training']))
  })

  test('refuses other words', () => {
    expect(() => setDeterminism('fast' as 'engine')).toThrow(ValueError)
    expect(() => setDeterminism('fast' as 'engine')).toThrow(
      'setDeterminism: expected "engine" or "portable", got "fast"',
    )
  })
})
