import { fc, test } from '@fast-check/vitest'
import { afterEach, describe, expect } from 'vitest'
import {
  floatx,
  matmul,
  setFloatx,
  setSeed,
  ShapeError,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/core'
import { resolveActivation } from '../../packages/layers/src/activations.js'
import {
  computeFans,
  initializers,
  resolveInitializer,
  type WeightInitializer,
} from '../../packages/layers/src/initializers.js'
import { readOracle } from '../support/oracles.js'

const values = (x: Tensor): number[] => Array.from(x.dataSync())
const most = (x: Tensor): number => Math.max(...values(x).map(Math.abs))
function moments(x: Tensor): { mean: number; std: number } {
  const all = values(x)
  const mean = all.reduce((a, b) => a + b, 0) / all.length
  return { mean, std: Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length) }
}

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: Readonly<Record<string, number | number[] | boolean | undefined>>
  readonly expected: unknown
  readonly tol: number
}
const facts = (area: string): Fact[] =>
  Object.values(readOracle<Record<string, Fact>>('facts.json')).filter((fact) => fact.area === area)

afterEach(() => {
  setFloatx('float32')
})

describe('facts of Keras about initializers', () => {
  const checks: readonly ((shape: number[], fact: Fact) => void)[] = [
    (shape) => {
      const x = initializers.glorotUniform({ seed: 1 })(shape)
      expect(most(x)).toBeLessThanOrEqual(0.25)
      expect(most(x)).toBeGreaterThan(0.248)
    },
    (shape) => {
      const x = initializers.lecunUniform({ seed: 1 })(shape)
      expect(most(x)).toBeLessThanOrEqual(0.5)
      expect(most(x)).toBeGreaterThan(0.49)
    },
    (shape) => {
      const x = initializers.heNormal({ seed: 1 })(shape)
      expect(most(x)).toBeLessThanOrEqual(0.2273694468677113)
      // 80 000 samples: the standard error of the deviation is 0.1 / sqrt(160 000).
      expect(Math.abs(moments(x).std - 0.1)).toBeLessThan(5 * 0.00025)
    },
    (shape, { expected }) => expect(computeFans(shape)).toEqual(expected),
    (shape, { expected, tol }) => {
      const q = initializers.orthogonal({ seed: 1 })(shape)
      const product = values(matmul(q, q, true, false))
      ;(expected as number[][]).flat().forEach((x, i) => expect(Math.abs(product[i]! - x)).toBeLessThan(tol))
    },
    (shape, { expected, input }) =>
      expect(
        initializers
          .constant(input['value'] as number)(shape)
          .arraySync(),
      ).toEqual(expected),
    (shape, { expected, input }) =>
      expect(
        initializers
          .identity({ gain: input['gain'] as number })(shape)
          .arraySync(),
      ).toEqual(expected),
  ]
  test.each(facts('initializer').map((fact, i) => [fact.name, fact, i] as const))('%s', (_, fact, i) => {
    checks[i]!(fact.input['shape'] as number[], fact)
  })
})

/** Every initializer that draws, with the standard deviation it promises for [fanIn, fanOut] = [60, 140]. */
const drawing: readonly (readonly [string, (options: { seed?: number }) => WeightInitializer, number])[] = [
  ['random_uniform', (o) => initializers.randomUniform(o), 0.05 / Math.sqrt(3)],
  ['random_normal', (o) => initializers.randomNormal(o), 0.05],
  ['truncated_normal', (o) => initializers.truncatedNormal(o), 0.05 * 0.8796256610342398],
  ['glorot_uniform', (o) => initializers.glorotUniform(o), Math.sqrt(1 / 100)],
  ['glorot_normal', (o) => initializers.glorotNormal(o), Math.sqrt(1 / 100)],
  ['he_uniform', (o) => initializers.heUniform(o), Math.sqrt(2 / 60)],
  ['he_normal', (o) => initializers.heNormal(o), Math.sqrt(2 / 60)],
  ['lecun_uniform', (o) => initializers.lecunUniform(o), Math.sqrt(1 / 60)],
  ['lecun_normal', (o) => initializers.lecunNormal(o), Math.sqrt(1 / 60)],
  [
    'variance_scaling',
    (o) =>
      initializers.varianceScaling({ ...o, scale: 3, mode: 'fan_out', distribution: 'untruncated_normal' }),
    Math.sqrt(3 / 140),
  ],
  ['orthogonal', (o) => initializers.orthogonal(o), 1 / Math.sqrt(140)],
]

describe.each(drawing)('%s', (name, make, std) => {
  test('has mean 0 and the standard deviation it promises', () => {
    const x = make({ seed: 7 })([60, 140])
    const { mean, std: got } = moments(x)
    // 8400 samples; five standard errors.
    expect(Math.abs(mean)).toBeLessThan((5 * std) / Math.sqrt(8400))
    expect(Math.abs(got - std)).toBeLessThan((5 * std) / Math.sqrt(2 * 8400))
  })

  test('with a seed draws the same at each call, without one goes on', () => {
    const seeded = make({ seed: 3 })
    expect(values(seeded([3, 4]))).toEqual(values(seeded([3, 4])))
    expect(values(make({ seed: 4 })([3, 4]))).not.toEqual(values(seeded([3, 4])))
    const free = make({})
    setSeed(11)
    const [first, second] = [values(free([3, 4])), values(free([3, 4]))]
    expect(first).not.toEqual(second)
    setSeed(11)
    expect(values(free([3, 4]))).toEqual(first)
  })

  test('is of the default float, or of the one asked for', () => {
    const initialize = make({ seed: 3 })
    expect(initialize([2, 2]).dtype).toBe('float32')
    expect(initialize([2, 2], 'float64').dtype).toBe('float64')
    setFloatx('float64')
    expect(floatx()).toBe('float64')
    expect(initialize([2, 2]).dtype).toBe('float64')
  })

  test('is known by its name, and knows it', () => {
    expect(resolveInitializer(name)([3, 4]).shape).toEqual([3, 4])
    expect(make({ seed: 3 }).config).toMatchObject({ name, seed: 3 })
  })

  test('refuses a bad seed and an unknown option', () => {
    expect(() => make({ seed: -1 })).toThrow(/seed must be a whole number .* got -1/)
    expect(() => make({ seed: '1' } as never)).toThrow(ValueError)
    expect(() => make({ sed: 1 } as never)).toThrow(/option "sed" is unknown; .* Did you mean "seed"\?/)
  })
})

test.prop([fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 2, maxLength: 4 })])(
  'orthogonal: the shorter side is orthonormal',
  (shape) => {
    const q = initializers.orthogonal({ gain: 2, seed: 5 })(shape, 'float64')
    expect(q.shape).toEqual(shape)
    const columns = shape.at(-1)!
    const rows = q.size / columns
    const flat = q.reshape([rows, columns])
    const product = values(
      rows >= columns ? matmul(flat, flat, true, false) : matmul(flat, flat, false, true),
    )
    const side = Math.min(rows, columns)
    product.forEach((x, i) => expect(Math.abs(x - (i % (side + 1) === 0 ? 4 : 0))).toBeLessThan(1e-12))
  },
)

test('what does not draw', () => {
  expect(values(resolveInitializer('zeros')([2, 2]))).toEqual([0, 0, 0, 0])
  expect(values(resolveInitializer('ones')([2]))).toEqual([1, 1])
  expect(values(resolveInitializer('identity')([2, 3]))).toEqual([1, 0, 0, 0, 1, 0])
  const mine = (shape: readonly number[]): Tensor => tensor(new Float32Array(shape[0]!).fill(7))
  expect(resolveInitializer(mine)).toBe(mine)
})

test.each<[number[], number, number]>([
  [[], 1, 1],
  [[5], 5, 5],
  [[3, 4], 3, 4],
  [[3, 3, 16, 32], 144, 288],
  [[5, 2, 3], 10, 15],
])('fans of %o', (shape, fanIn, fanOut) => {
  expect(computeFans(shape)).toEqual({ fanIn, fanOut })
})

test.each<[() => unknown, new (m: string) => Error, RegExp]>([
  [
    () => resolveInitializer('golrot_uniform'),
    ValueError,
    /initializer "golrot_uniform" is unknown; .* Did you mean "glorot_uniform"\?/,
  ],
  [
    () => resolveInitializer(initializers.heNormal),
    ValueError,
    /initializer: got the function heNormal; call it: heNormal\(\)/,
  ],
  [() => resolveInitializer('constructor'), ValueError, /"constructor" is unknown/],
  [() => resolveInitializer(3), ValueError, /expected a name or a function, got 3/],
  [
    () => resolveInitializer('orthogonal')([3]),
    ShapeError,
    /orthogonal: the weight must have two axes or more, got \[3\]/,
  ],
  [
    () => resolveInitializer('identity')([3]),
    ShapeError,
    /identity: the weight must have two axes, got \[3\]/,
  ],
  [() => initializers.constant(NaN), ValueError, /constant: value must be a finite number, got NaN/],
  [() => initializers.randomUniform({ minval: 1, maxval: 0 }), ValueError, /minval 1 is above maxval 0/],
  [() => initializers.randomNormal({ stddev: -1 }), ValueError, /stddev/],
  [
    () => initializers.varianceScaling({ scale: 0 }),
    ValueError,
    /scale must be a finite number above 0, got 0/,
  ],
  [
    () => initializers.varianceScaling({ mode: 'fan_inn' as never }),
    ValueError,
    /mode must be "fan_in", .* Did you mean "fan_in"\?/,
  ],
  [() => initializers.varianceScaling({ distribution: 'normal' as never }), ValueError, /distribution/],
])('bad arguments: %#', (f, type, message) => {
  expect(f).toThrow(type)
  expect(f).toThrow(message)
})

describe('activations', () => {
  const known = (
    'linear relu relu6 leaky_relu elu celu selu gelu silu swish mish sigmoid ' +
    'log_sigmoid hard_sigmoid hard_silu hard_swish tanh hard_tanh tanh_shrink hard_shrink ' +
    'soft_shrink softmax log_softmax softplus softsign squareplus sparse_plus sparse_sigmoid exponential'
  ).split(' ')
  const at = (name: string, x: readonly number[]): number[] =>
    values(resolveActivation(name).fn(tensor([...x])))

  test.each(known)('%s is known in both spellings', (name) => {
    const camel = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
    expect(resolveActivation(name).name).toBe(name)
    expect(resolveActivation(camel).name).toBe(name)
    expect(resolveActivation(camel).fn).toBe(resolveActivation(name).fn)
  })

  const names: Readonly<Record<string, string>> = {
    sigmoid: 'sigmoid',
    softplus: 'softplus',
    softsign: 'softsign',
    silu: 'silu',
    logSigmoid: 'log_sigmoid',
    hardSilu: 'hard_silu',
    elu: 'elu',
    selu: 'selu',
    'gelu approximate=false': 'gelu',
    tanhShrink: 'tanh_shrink',
    softmax: 'softmax',
    celu: 'celu',
  }
  test.each(facts('activation').filter(({ name }) => name in names))('fact of Keras: $name', (fact) => {
    const got = at(names[fact.name]!, fact.input['x'] as number[])
    ;(fact.expected as number[]).forEach((x, i) =>
      expect(Math.abs(got[i]! - x)).toBeLessThanOrEqual(fact.tol),
    )
  })

  // By the definitions in keras/src/ops/nn.py
  test.each<[string, number[], number[]]>([
    ['leaky_relu', [-1, 2], [-0.2, 2]],
    ['hard_tanh', [-2, 0.5, 3], [-1, 0.5, 1]],
    ['hard_shrink', [-0.5, 0.4, 0.75], [0, 0, 0.75]],
    ['soft_shrink', [-1, 0.25, 2], [-0.5, 0, 1.5]],
    ['squareplus', [0, 3], [1, (3 + Math.sqrt(13)) / 2]],
    ['sparse_plus', [-2, 0, 1, 3], [0, 0.25, 1, 3]],
    ['sparse_sigmoid', [-2, 0, 3], [0, 0.5, 1]],
    ['exponential', [0, 1], [1, Math.E]],
    ['linear', [-3, 4], [-3, 4]],
  ])('%s', (name, x, want) => {
    at(name, x).forEach((y, i) => expect(Math.abs(y - want[i]!)).toBeLessThan(1e-6))
  })

  test('a function is taken as it is, under its own name', () => {
    function cube(x: Tensor): Tensor {
      return x.mul(x).mul(x)
    }
    expect(resolveActivation(cube)).toEqual({ name: 'cube', fn: cube })
  })

  test.each<[unknown, RegExp]>([
    ['rleu', /activation "rleu" is unknown; known are linear, relu, .* Did you mean "relu"\?/],
    ['ReLU', /"ReLU" is unknown; .* Did you mean "relu"\?/],
    ['toString', /"toString" is unknown/],
    ['__proto__', /"__proto__" is unknown/],
    [null, /expected a name or a function, got null/],
  ])('%o is refused', (spec, message) => {
    expect(() => resolveActivation(spec)).toThrow(ValueError)
    expect(() => resolveActivation(spec)).toThrow(message)
  })
})
