import { fc, test } from '@fast-check/vitest'
import * as core from '@adjoint/core'
import {
  customGradient,
  floatx,
  mul,
  random,
  setSeed,
  stopGradient,
  sum,
  tensor,
  type Tensor,
} from '@adjoint/core'
import { type AnyRow, apply, rows } from '@adjoint/core/extend'
import * as testing from '@adjoint/core/testing'
import { arbitraries, checkGradients, GradientError, type Program } from '@adjoint/core/testing'
import { runInThisContext } from 'node:vm'
import { describe, expect } from 'vitest'
import { sampleOf } from '../support/samples.js'

const arb = arbitraries(fc)
const f64 = (values: number | number[] | number[][]): Tensor => tensor(values, { dtype: 'float64' })

/** x², with a gradient that is wrong where x > 1. */
const wrongAbove1 = customGradient(
  (x: Tensor) => x.square(),
  ({ g, inputs: [x] }) => [g.mul(x.mul(2)).add(x.greater(1).cast('float64'))],
)

function failureOf(f: () => void): GradientError {
  try {
    f()
  } catch (error) {
    if (error instanceof GradientError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('checkGradients', () => {
  test('says which element of which input differs, and both numbers', () => {
    const error = failureOf(() => {
      checkGradients(
        (p: { a: Tensor; b: readonly Tensor[] }) => [sum(p.a), wrongAbove1(p.b[0]!)],
        [
          {
            a: f64([1, 2]),
            b: [
              f64([
                [0.5, 3],
                [-2, 1],
              ]),
            ],
          },
        ],
      )
    })
    expect(error.code).toBe('GRADIENT')
    expect(error).toBeInstanceOf(core.AdjointError)
    expect([error.input, error.index, error.order]).toEqual(['inputs[0].b[0]', [0, 1], 1])
    expect(Math.abs(error.analytic - error.numeric)).toBeGreaterThan(0.4)
    expect(error.message).toMatch(
      /^checkGradients: inputs\[0\]\.b\[0\]\[0, 1\]: the gradient is -?\d.*, central differences give -?\d.* \(allowed difference .*\)\n {2}reproduce: checkGradients\(/,
    )
  })

  test('its reproduction fails in the same way', () => {
    const error = failureOf(() => {
      checkGradients((x: Tensor) => x.exp().add(stopGradient(x)), [f64([[1, 2.5]])], {
        order: 2,
        seed: 3,
      })
    })
    const names = Object.keys({ ...core, ...testing }).join(', ')
    // What a bundler writes for imported names is no part of the promise.
    const line = error.reproduction.replaceAll(/\(0,__vite_ssr_import_\d+__\.(\w+)\)/g, '$1')
    const script = line.replaceAll(/__vite_ssr_import_\d+__\./g, '')
    const again = runInThisContext(`(modules) => { const { ${names} } = modules; ${script} }`) as (
      modules: object,
    ) => void
    const second = failureOf(() => {
      again({ ...core, ...testing })
    })
    expect([second.input, second.index, second.analytic, second.numeric]).toEqual([
      error.input,
      error.index,
      error.analytic,
      error.numeric,
    ])
  })

  test('in full mode it names the worst of all elements', () => {
    const error = failureOf(() => {
      checkGradients((x: Tensor) => wrongAbove1(x).mul(f64([1, 1, 50])), [f64([0, 2, 1.5])], { mode: 'full' })
    })
    expect(error.message).toContain('2 of 3 elements differ')
    expect(error.index.length).toBe(1)
    checkGradients(wrongAbove1, [f64([0, 0.5, -2])], { mode: 'full' })
  })

  test('of order 2 it finds a second derivative that is wrong where the first is right', () => {
    const f = customGradient(
      (x: Tensor) => x.exp(),
      ({ g, out }) => [g.mul(stopGradient(out))],
    )
    checkGradients(f, [f64([0, 1])])
    const error = failureOf(() => {
      checkGradients(f, [f64([0, 1])], { order: 2 })
    })
    expect([error.order, error.analytic]).toEqual([2, 0])
  })

  test('float32 inputs are checked in float64, and so is what is made inside', () => {
    checkGradients(
      (x: Tensor) => x.add(core.full([2], 0.1)).tanh(),
      [tensor([0.3, 0.7], { dtype: 'float32' })],
    )
    expect(floatx()).toBe('float32')
    expect(() => {
      checkGradients((x: Tensor) => x.cast('float32'), [f64(1)])
    }).toThrow(/f returned float32 for float64 inputs/)
    expect(floatx()).toBe('float32')
  })

  test('whole numbers stay as they are', () => {
    const pick = (x: Tensor, labels: Tensor): Tensor => core.gather(x, labels).square()
    checkGradients(pick, [f64([1, 2, 3]), tensor([2, 0], { dtype: 'int32' })], { order: 2 })
    expect(() => {
      checkGradients((x: Tensor) => x, [tensor([1], { dtype: 'int32' })])
    }).toThrow(/none of the inputs is a float/)
  })

  test('random numbers are the same at each call, and the generator is left as it was', () => {
    setSeed(5)
    const expected = random.uniform([3]).dataSync()
    setSeed(5)
    checkGradients((x: Tensor) => x.mul(random.uniform([3])).sin(), [f64([1, 2, 3])], { order: 2 })
    expect(random.uniform([3]).dataSync()).toEqual(expected)
  })

  test('a function that changes from call to call is refused', () => {
    let calls = 0
    expect(() => {
      checkGradients((x: Tensor) => x.mul(calls++), [f64(1)])
    }).toThrow(/f returned 0, then 1 for the same inputs/)
  })

  test('a function that is not finite there is refused', () => {
    expect(() => {
      checkGradients((x: Tensor) => x.log(), [f64(0)])
    }).toThrow(/f returned -Infinity; gradients are checked where f is finite/)
    const error = failureOf(() => {
      checkGradients((x: Tensor) => x.sqrt(), [f64(0)])
    })
    expect(error.message).toContain('not finite one step away')
  })

  test('at a kink it says that there is one', () => {
    const error = failureOf(() => {
      checkGradients((x: Tensor) => x.relu(), [f64([1, 0])])
    })
    expect(error.index).toEqual([1])
    expect(error.message).toMatch(/the slopes to its two sides are .*: a kink\? check beside it/)
  })

  test.each([
    [{ order: 3 }, /order must be 1 or 2, got 3/],
    [{ mode: 'all' }, /mode must be 'directions' or 'full', got "all"/],
    [{ step: 0 }, /step must be a number > 0, got 0/],
    [{ seed: -1 }, /seed must be a whole number >= 0, got -1/],
    [{ directions: 0 }, /directions must be a whole number >= 1, got 0/],
    [{ rtol: NaN }, /rtol must be a number >= 0, got NaN/],
  ])('refuses %o', (options, message) => {
    expect(() => {
      checkGradients((x: Tensor) => x, [f64(1)], options as never)
    }).toThrow(message)
  })

  test('what is no tensor is refused by its place', () => {
    expect(() => {
      checkGradients((p: { a: number }) => f64(p.a), [{ a: 1 }])
    }).toThrow(/inputs\[0\]\.a must be a tensor, got number/)
    expect(() => {
      checkGradients((x: Tensor) => [x, 1] as never, [f64(1)])
    }).toThrow(/f returned number where a tensor was expected/)
  })
})

describe('arbitraries', () => {
  const options = { minRank: 1, maxRank: 2, minSide: 0, maxSide: 3 }

  test.prop([arb.shape(options), arb.broadcastableShapes(3, options)])(
    'shapes keep to their bounds',
    (a, several) => {
      for (const shape of [a, ...several]) {
        expect(shape.length).toBeGreaterThanOrEqual(1)
        expect(shape.length).toBeLessThanOrEqual(2)
        for (const side of shape) expect(side >= 0 && side <= 3).toBe(true)
      }
      const [x, y, z] = several.map((shape) => core.zeros(shape))
      expect(core.add(core.add(x!, y!), z!).rank).toBe(Math.max(...several.map((shape) => shape.length)))
    },
  )

  test.prop([arb.tensor(arb.shape(), { min: 0.2, max: 3, kinks: [0.2, 1], distinct: true })])(
    'tensors keep to their range, away from kinks and without ties',
    (x) => {
      const values = [...x.dataSync()]
      for (const value of values) {
        expect(value >= 0.25 && value <= 3).toBe(true)
        expect(Math.abs(value - 1)).toBeGreaterThanOrEqual(0.05)
      }
      expect(new Set(values).size).toBe(values.length)
    },
  )

  test.prop([fc.constantFrom('int32', 'uint8', 'bool', 'float32')])('tensors have every dtype', (dtype) => {
    const [x] = fc.sample(arb.tensor([4], { dtype }), 1)
    expect([x!.dtype, x!.shape]).toEqual([dtype, [4]])
  })

  test('special values come where they are asked for', () => {
    const drawn = fc.sample(arb.tensor([8], { special: true }), { numRuns: 100, seed: 1 })
    const values = drawn.flatMap((x) => [...x.dataSync()])
    for (const value of [NaN, Infinity, -Infinity, -0])
      expect(values.some((v) => Object.is(v, value))).toBe(true)
  })

  test('a range without numbers is refused', () => {
    expect(() => arb.tensor([2], { min: 1, max: 0.5 })).toThrow(/nothing to choose between min 1 and max 0.5/)
    expect(() => arb.tensor([2], { min: 0, max: 0.04, kinks: [0] })).toThrow(/beside 0/)
  })

  const smallest = <T>(values: fc.Arbitrary<T>, isRight: (value: T) => boolean, seed: number): T => {
    const { counterexample } = fc.check(fc.property(values, isRight), { seed, numRuns: 1000 })
    return counterexample![0]
  }

  test.prop([fc.nat()], { numRuns: 30 })('a failure of one element shrinks to a scalar', (seed) => {
    const isSmall = (x: Tensor): boolean => x.dataSync().every((value) => value < 1.5)
    expect(smallest(arb.tensor(arb.shape()), isSmall, seed).toString()).toBe('1.5')
    const matrices = arb.tensor(arb.shape({ minRank: 2 }))
    expect(smallest(matrices, isSmall, seed).arraySync()).toEqual([[1.5]])
  })

  test.prop([fc.nat()], { numRuns: 30 })('a failure of two elements shrinks to both, among zeros', (seed) => {
    const isRight = (x: Tensor): boolean => x.dataSync().filter((value) => value < 0).length < 2
    const values = [...smallest(arb.tensor(arb.shape()), isRight, seed).dataSync()]
    expect(values.filter((value) => value !== 0)).toEqual([-0.01, -0.01])
    // Two on a diagonal cannot be cut out together.
    expect(values.length).toBeLessThanOrEqual(8)
  })

  test.prop([fc.nat()], { numRuns: 30 })('a failure of one step shrinks to that step', (seed) => {
    const isRight = ({ calls }: Program): boolean => !calls.some(({ op }) => op === 'tanh')
    const program = smallest(arb.program(), isRight, seed)
    expect(program.calls.map(({ op }) => op)).toEqual(['tanh'])
    expect(program.inputs.length).toBe(1)
  })

  test('a step of its own choice of ops is taken from them', () => {
    const drawn = fc.sample(arb.program({ ops: ['add', 'exp'], maxSteps: 5, maxInputs: 2 }), 100)
    for (const { calls, inputs } of drawn) {
      expect(calls.length).toBeLessThanOrEqual(5)
      expect(inputs.length).toBeLessThanOrEqual(2)
      for (const { op } of calls) expect(['add', 'exp']).toContain(op)
    }
    expect(drawn.some(({ inputs }) => inputs.length === 2 && inputs[0] === inputs[1])).toBe(true)
  })
})

describe('no rule can be wrong without a failing test', () => {
  const rules = [...rows.values()].flatMap((row) =>
    Object.entries(row.vjp ?? {}).flatMap(([arg, rule]) =>
      rule === null ? [] : [{ name: row.name, arg, row }],
    ),
  )

  test.each(rules)('by a thousandth, in the rule of $name by $arg', ({ row, arg }) => {
    const sample = sampleOf(row)
    const mutant = { ...row, vjp: { ...row.vjp, [arg]: scaledRule(row, arg, 1.001) } }
    const property = fc.property(sample.smooth!, ({ inputs, attrs }) => {
      checkGradients((...xs: Tensor[]) => apply(mutant, xs, attrs), [...inputs])
    })
    const { failed, errorInstance } = fc.check(property, { seed: 1, endOnFailure: true })
    expect(failed).toBe(true)
    expect(errorInstance).toBeInstanceOf(GradientError)
  })
})

function scaledRule(row: AnyRow, arg: string, by: number): NonNullable<NonNullable<AnyRow['vjp']>[string]> {
  const rule = row.vjp![arg]!
  return (context, at) => mul(rule(context, at), by)
}
