import {
  alphaDropout,
  eLU,
  gatedFusion,
  gaussianDropout,
  gaussianNoise,
  input,
  type LayerBase,
  leakyReLU,
  permute,
  pReLU,
  reLU,
  repeatVector,
  setSeed,
  ShapeError,
  softmax,
  spatialDropout1D,
  tensor,
  type Tensor,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

const SIDE = 200
const ones = tensor(new Float32Array(SIDE * SIDE).fill(1), { shape: [SIDE, SIDE] })

function moments(x: Tensor): { mean: number; variance: number } {
  const values = [...x.dataSync()]
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length }
}
/** Four standard deviations of the mean of so many draws. */
const slack = (std: number): number => (4 * std) / SIDE

describe.each<[string, (options?: { seed: number }) => LayerBase]>([
  ['gaussianNoise', (options) => gaussianNoise(0.5, options)],
  ['gaussianDropout', (options) => gaussianDropout(0.25, options)],
  ['alphaDropout', (options) => alphaDropout(0.25, options)],
])('%s', (_name, make) => {
  it('does nothing but in training', () => {
    expect(make().invoke([ones])).toBe(ones)
    expect(make().invoke([ones, { training: false }])).toBe(ones)
  })

  it('draws once for each call: from the seed of the library, or from its own', () => {
    const draw = (layer: LayerBase): string =>
      JSON.stringify((layer.invoke([ones, { training: true }]) as Tensor).arraySync())
    setSeed(1)
    const first = draw(make())
    const second = draw(make())
    expect(second).not.toBe(first)
    setSeed(1)
    expect(draw(make())).toBe(first)
    setSeed(2)
    const own = make({ seed: 5 })
    const drawn = [draw(own), draw(own)]
    expect(drawn[0]).not.toBe(drawn[1])
    const again = make({ seed: 5 })
    expect([draw(again), draw(again)]).toEqual(drawn)
  })
})

describe('noise', () => {
  it('of gaussianNoise has mean 0 and its deviation', () => {
    setSeed(1)
    const { mean, variance } = moments(gaussianNoise(0.5)(ones, { training: true }))
    expect(Math.abs(mean - 1)).toBeLessThan(slack(0.5))
    expect(Math.abs(variance - 0.25)).toBeLessThan(slack(0.25 * Math.SQRT2))
  })

  it('of gaussianDropout has mean 1 and the variance of dropout', () => {
    setSeed(1)
    const { mean, variance } = moments(gaussianDropout(0.2)(ones, { training: true }))
    expect(Math.abs(mean - 1)).toBeLessThan(slack(0.5))
    expect(Math.abs(variance - 0.25)).toBeLessThan(slack(0.25 * Math.SQRT2))
  })

  it('of alphaDropout keeps mean 0 and variance 1', () => {
    setSeed(1)
    const x = gaussianNoise(1)(ones.mul(0), { training: true })
    const before = moments(x)
    const after = moments(alphaDropout(0.3)(x, { training: true }))
    expect(Math.abs(after.mean - before.mean)).toBeLessThan(2 * slack(1))
    expect(Math.abs(after.variance - before.variance)).toBeLessThan(4 * slack(Math.SQRT2))
  })

  it('of spatialDropout1D takes whole channels', () => {
    setSeed(1)
    const x = tensor(new Float32Array(4 * 5 * 50).fill(1), { shape: [4, 5, 50] })
    const y = spatialDropout1D(0.5)(x, { training: true }).arraySync() as number[][][]
    const seen = new Set<number>()
    for (const row of y)
      row[0]!.forEach((value, channel) => {
        seen.add(value)
        for (const step of row) expect(step[channel]).toBe(value)
      })
    expect(seen).toEqual(new Set([0, 2]))
    expect(() => spatialDropout1D(0.5)(input({ shape: [3] }))).toThrow(
      /expected \[batch, steps, channels\], got \[null,3\]/,
    )
  })

  it('has options that are checked', () => {
    expect(() => gaussianDropout(1)).toThrow(/rate must be in the range \[0, 1\), got 1/)
    expect(() => gaussianNoise(-1)).toThrow(ValueError)
    expect(() => alphaDropout(0.1, { seed: -1 })).toThrow(/seed must be a whole number/)
    expect(() => spatialDropout1D(0.1, { rete: 1 } as object)).toThrow(/Did you mean "rate"/)
  })
})

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: { readonly x: number[]; readonly [option: string]: unknown }
  readonly expected: number[]
  readonly tol: number
}
const makers: Readonly<Record<string, (options: object) => LayerBase>> = {
  relu: reLU,
  leakyRelu: leakyReLU,
  elu: eLU,
  softmax,
}
const facts = readOracle<Fact[]>('facts.json').filter(
  (fact) => fact.area === 'activation' && Object.hasOwn(makers, fact.name.split(' ')[0]!),
)

describe('activation layers', () => {
  it('have entries', () => {
    expect(facts.length).toBeGreaterThan(0)
  })

  it.each(facts.map((fact) => [fact.name, fact] as const))('as Keras documents it: %s', (name, fact) => {
    const { x, ...options } = fact.input
    const layer = makers[name.split(' ')[0]!]!(options)
    const y = (layer.invoke([tensor([x])]) as Tensor).dataSync()
    fact.expected.forEach((want, i) => {
      expect(Math.abs(y[i]! - want)).toBeLessThanOrEqual(fact.tol)
    })
  })

  it('learn slopes, one for each place or shared', () => {
    const layer = pReLU({ sharedAxes: [1], alphaInitializer: () => tensor([[0.5, 2]]) })
    expect(
      layer(
        tensor([
          [
            [-1, -1],
            [3, -2],
          ],
        ]),
      ).arraySync(),
    ).toEqual([
      [
        [-0.5, -2],
        [3, -4],
      ],
    ])
    expect(() => pReLU()(input({ shape: [null] }))).toThrow(/axis 1 of \[null,null\] must be known/)
    expect(() => pReLU({ sharedAxes: [0] })).toThrow(/sharedAxes must be a list of whole numbers >= 1/)
  })

  it('check their options', () => {
    expect(() => reLU({ threshold: -1 })).toThrow(ValueError)
    expect(() => reLU({ maxVale: 1 } as object)).toThrow(/Did you mean "maxValue"/)
    expect(() => softmax({ axis: 0.5 })).toThrow(/axis must be a whole number/)
    expect(() => softmax({ axis: 0 })(input({ shape: [2] }))).toThrow(/is the batch/)
  })

  it('are named as in Keras', () => {
    expect([reLU(), leakyReLU(), pReLU(), eLU(), softmax()].map((layer) => layer.className)).toEqual([
      'ReLU',
      'LeakyReLU',
      'PReLU',
      'ELU',
      'Softmax',
    ])
  })
})

describe('permute and repeatVector', () => {
  it('know their shapes', () => {
    const x = input({ shape: [2, 3, 4] })
    const y = permute([3, 1, 2])(x)
    expectTypeOf(y.shape).toEqualTypeOf<readonly [4, 2, 3]>()
    expect(y.shape).toEqual([4, 2, 3])
    const v = repeatVector(5)(input({ shape: [3] }))
    expectTypeOf(v.shape).toEqualTypeOf<readonly [5, 3]>()
    expect(v.shape).toEqual([5, 3])
    expect(permute([2, 1])(input({ shape: [null, 3] })).shape).toEqual([3, null])
  })

  it('move and repeat values', () => {
    expect(permute([2, 1])(tensor([[[1, 2, 3], [4, 5, 6]]])).arraySync()).toEqual([[[1, 4], [2, 5], [3, 6]]]) // prettier-ignore
    expect(repeatVector(2)(tensor([[1, 2]])).arraySync()).toEqual([[[1, 2], [1, 2]]]) // prettier-ignore
  })

  it('refuse other shapes and options', () => {
    expect(() => permute([1, 1])).toThrow(/dims must hold each of the axes/)
    expect(() => permute([0, 1])).toThrow(ValueError)
    expect(() => permute([2, 1])(input({ shape: [3] }))).toThrow(ShapeError)
    expect(() => repeatVector(0)).toThrow(/n must be a whole number >= 1/)
    expect(() => repeatVector(2)(input({ shape: [3, 2] }))).toThrow(/expected \[batch, features\]/)
  })
})

describe('gatedFusion', () => {
  it('is the sum of its inputs, each times its gates', () => {
    const layer = gatedFusion()
    const [a, b] = [tensor([[1, 2]]), tensor([[3, -1]])]
    layer([a, b])
    expect(layer.weights.map((w) => [w.name, w.shape])).toEqual([
      ['kernel', [4, 4]],
      ['bias', [4]],
    ])
    const kernel = Array.from({ length: 16 }, (_, i) => Math.sin(i))
    const bias = [0.1, 0.2, 0.3, 0.4]
    layer.setWeights([new Float32Array(kernel), bias])
    const all = [1, 2, 3, -1]
    const gates = bias.map(
      (c, j) => 1 / (1 + Math.exp(-all.reduce((s, x, i) => s + x * kernel[4 * i + j]!, c))),
    )
    const y = layer([a, b]).dataSync()
    for (const j of [0, 1]) expect(y[j]).toBeCloseTo(gates[j]! * all[j]! + gates[j + 2]! * all[j + 2]!, 5)
  })

  it('takes inputs of one shape, as many as it was built for', () => {
    const x = input({ shape: [2] })
    const layer = gatedFusion({ units: 3 })
    layer([x, x])
    expect(layer.weights.map((w) => w.name)).toEqual(['hidden_kernel', 'hidden_bias', 'kernel', 'bias'])
    expect(() => layer([x, x, x])).toThrow(/has 4 gates \(from build\), got 3 tensors/)
    expect(() => gatedFusion()([x, input({ shape: [1] })])).toThrow(/inputs must have one shape/)
    expect(() => gatedFusion({ unit: 3 } as object)).toThrow(/Did you mean "units"/)
    expect(gatedFusion([x, x]).shape).toEqual([2])
  })
})
