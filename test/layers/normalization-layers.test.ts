import * as library from '@adjoint/layers'
import {
  batchNormalization,
  dense,
  groupNormalization,
  input,
  type LayerBase,
  layerNormalization,
  model,
  rmsNormalization,
  setFloatx,
  sgd,
  ShapeError,
  tensor,
  type Tensor,
  unitNormalization,
  valueAndGrads,
  ValueError,
} from '@adjoint/layers'
import { arbitraries } from '@adjoint/core/testing'
import { fc, test } from '@fast-check/vitest'
import { afterEach, describe, expect, it } from 'vitest'
import { readOracle } from '../support/oracles.js'

const arb = arbitraries(fc)
afterEach(() => {
  setFloatx('float32')
})

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: { readonly x: number[][]; readonly [option: string]: unknown }
  readonly expected: number[]
  readonly tol: number
}
/** `UnitNormalization: squared norm of each row` */
const form = /^(\w+Normalization): squared norm of each row$/
const facts = readOracle<Fact[]>('facts.json').filter(
  (fact) => fact.area === 'layer' && fact.name.includes('Normalization'),
)

describe('as Keras documents it', () => {
  it('has entries', () => {
    expect(facts.length).toBeGreaterThan(0)
  })

  it.each(facts.map((fact) => [fact.name, fact] as const))('%s', (name, { input: given, expected, tol }) => {
    const { x, ...options } = given
    const className = form.exec(name)![1]!
    const factories = library as unknown as Readonly<Record<string, (options: object) => LayerBase>>
    const layer = factories[className.replace(/^(RMS|.)/, (lead) => lead.toLowerCase())]!(options)
    const y = layer.invoke([tensor(x)]) as Tensor
    const norms = [...y.square().sum(-1).dataSync()]
    norms.forEach((norm, i) => {
      expect(Math.abs(norm - expected[i]!)).toBeLessThanOrEqual(tol)
    })
  })
})

interface Kind {
  readonly name: string
  readonly make: () => LayerBase
  /** By the definition, row by row: the positions that share statistics with each position of [n, h, c]. */
  readonly shares: (a: readonly number[], b: readonly number[]) => boolean
}
const same = (axes: readonly number[]) => (a: readonly number[], b: readonly number[]) =>
  axes.every((axis) => a[axis] === b[axis])
const SIDES = [3, 4] as const
const kinds: readonly Kind[] = [
  { name: 'layerNormalization', make: () => layerNormalization(), shares: same([0, 1]) },
  {
    name: 'layerNormalization of axes 1 and 2',
    make: () => layerNormalization({ axis: [1, 2] }),
    shares: same([0]),
  },
  { name: 'layerNormalization of axis 1', make: () => layerNormalization({ axis: 1 }), shares: same([0, 2]) },
  {
    name: 'groupNormalization',
    make: () => groupNormalization({ groups: 2 }),
    shares: (a, b) => a[0] === b[0] && a[2]! >> 1 === b[2]! >> 1,
  },
  {
    name: 'groupNormalization of axis 1',
    make: () => groupNormalization({ groups: 3, axis: 1 }),
    shares: same([0, 1]),
  },
  {
    name: 'groupNormalization of single channels',
    make: () => groupNormalization({ groups: -1 }),
    shares: same([0, 2]),
  },
]
const blocks = fc
  .integer({ min: 1, max: 3 })
  .chain((rows) => arb.tensors([[rows, ...SIDES]], { dtype: 'float64', distinct: true }))

/** Calls `f` with each position of a block and the value there. */
function each(x: Tensor, f: (at: number[], value: number) => void): void {
  const values = x.dataSync()
  for (let i = 0; i < values.length; i++) f([Math.floor(i / 12), Math.floor(i / 4) % 3, i % 4], values[i]!)
}

describe.each(kinds)('$name', ({ make, shares }) => {
  test.prop([blocks], { numRuns: 10 })('is what its definition says', ([x]) => {
    setFloatx('float64')
    const layer = make()
    layer.invoke([x!])
    layer.setWeights(
      layer.weights.map((w, k) => tensor(Array.from({ length: w.size }, (_, i) => i + k + 1), { shape: w.shape })), // prettier-ignore
    )
    const got = [...(layer.invoke([x!]) as Tensor).dataSync()]
    const [gamma, beta] = layer.weights
    const axes = layer.getConfig()['axis'] as number | number[]
    const listed = [axes].flat().map((axis) => (axis < 0 ? axis + 3 : axis))
    let i = 0
    each(x!, (at, value) => {
      let [count, sum, squares] = [0, 0, 0]
      const visit = (f: (v: number) => void): void => {
        each(x!, (other, v) => {
          if (shares(at, other)) f(v)
        })
      }
      visit((v) => {
        sum += v
        count++
      })
      const mean = sum / count
      visit((v) => (squares += (v - mean) ** 2))
      let place = 0
      for (const axis of listed) place = place * SIDES[axis - 1]! + at[axis]!
      const want =
        ((value - mean) / Math.sqrt(squares / count + 1e-3)) * gamma!.dataSync()[place]! +
        beta!.dataSync()[place]!
      expect(Math.abs(got[i++]! - want)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(want)))
    })
  })
})

describe('batchNormalization', () => {
  const x = tensor([
    [1, 10],
    [3, 30],
  ])

  it('uses the batch in training, and its moving statistics follow', () => {
    const layer = batchNormalization({ momentum: 0.9, epsilon: 1e-9 })
    expect(layer(x, { training: true }).arraySync()).toEqual([
      [-1, -1],
      [1, 1],
    ])
    expect(layer.weights.map((w) => [w.name, w.trainable])).toEqual([
      ['gamma', true],
      ['beta', true],
      ['moving_mean', false],
      ['moving_variance', false],
    ])
    const [, , mean, variance] = layer.getWeights().map((w) => [...w.dataSync()])
    ;[0.2, 2].forEach((value, i) => {
      expect(mean![i]).toBeCloseTo(value, 5)
    })
    ;[0.9 + 0.1, 0.9 + 10].forEach((value, i) => {
      expect(variance![i]).toBeCloseTo(value, 5)
    })
  })

  it('uses its moving statistics otherwise, and they stay', () => {
    const layer = batchNormalization()
    layer(x)
    layer.setWeights([[2, 2], [1, 0], [1, 10], [3.999, 399.999]]) // prettier-ignore
    const y = layer(x).arraySync() as number[][]
    expect(y[0]).toEqual([1, 0])
    expect(y[1]![0]).toBeCloseTo(3, 5)
    expect(y[1]![1]).toBeCloseTo(2, 5)
    expect([...layer.getWeights()[2]!.dataSync()]).toEqual([1, 10])
  })

  it('in a frozen layer does the same in training', async () => {
    const inputs = input({ shape: [2] })
    const norm = batchNormalization()
    const m = model({ inputs, outputs: dense(1)(norm(inputs)) })
    norm.trainable = false
    m.compile({ optimizer: 'sgd', loss: 'mse' })
    const before = norm.getWeights().map((w) => w.arraySync())
    expect(norm(x, { training: true }).arraySync()).toEqual(norm(x).arraySync())
    await m.fit(x, [[1], [2]], { epochs: 2, verbose: 0 })
    expect(norm.getWeights().map((w) => w.arraySync())).toEqual(before)
  })

  it('keeps its statistics when a step fails', async () => {
    const inputs = input({ shape: [2] })
    const norm = batchNormalization()
    const m = model({ inputs, outputs: norm(inputs) })
    m.compile({ optimizer: sgd(), loss: (y, p) => p.sub(y).sum().mul(Infinity) })
    const before = m.getWeights().map((w) => w.arraySync())
    await expect(m.fit(x, x.add(1), { verbose: 0 })).rejects.toThrow(/fit/)
    expect(m.getWeights().map((w) => w.arraySync())).toEqual(before)
  })

  it('takes the gradient through the statistics of the batch, not through the moving ones', () => {
    const layer = batchNormalization()
    layer(x)
    const { grads } = valueAndGrads(() => layer(x, { training: true }).mul(x).sum(), layer.trainableWeights)
    expect(grads.map((g) => g.shape)).toEqual([[2], [2]])
  })

  it('leaves statistics alone for no rows', () => {
    const layer = batchNormalization()
    const none = tensor(new Float32Array(0), { shape: [0, 2] })
    expect(layer(none, { training: true }).shape).toEqual([0, 2])
    expect([...layer.getWeights()[2]!.dataSync()]).toEqual([0, 0])
  })
})

describe('options', () => {
  it('leave out weights', () => {
    const names = (layer: LayerBase): string[] => {
      layer.invoke([tensor([[1, 2]])])
      return layer.weights.map((w) => w.name)
    }
    expect(names(layerNormalization({ scale: false }))).toEqual(['beta'])
    expect(names(batchNormalization({ center: false, scale: false }))).toEqual([
      'moving_mean',
      'moving_variance',
    ])
    expect(names(rmsNormalization())).toEqual(['scale'])
    expect(names(unitNormalization())).toEqual([])
  })

  it('regularize and constrain', () => {
    const layer = layerNormalization({ gammaRegularizer: 'l2', betaConstraint: 'non_neg' })
    layer(tensor([[1, 2]]))
    expect(layer.losses.map((loss) => loss.itemSync())).toEqual([Math.fround(0.02)])
    const [gamma, beta] = layer.trainableWeights
    sgd({ learningRate: 1 }).apply([gamma!.mul(0), tensor([1, -1])], [gamma!, beta!])
    expect(beta!.arraySync()).toEqual([0, 1])
  })

  it('are checked', () => {
    expect(() => batchNormalization({ momentun: 1 } as object)).toThrow(/Did you mean "momentum"/)
    expect(() => batchNormalization({ momentum: 2 })).toThrow(ValueError)
    expect(() => batchNormalization({ axis: [1, 2] as never })).toThrow(/axis must be a whole number/)
    expect(() => layerNormalization({ epsilon: 0 })).toThrow(/epsilon must be a finite number above 0/)
    expect(() => layerNormalization({ gammaInitializer: 'onse' as 'ones' })).toThrow(/Did you mean "ones"/)
    expect(() => groupNormalization({ groups: 0 })).toThrow(/groups must be a whole number >= 1, or -1/)
    expect(() => groupNormalization({ groups: 2 })(input({ shape: [3] }))).toThrow(
      /3 channels .* cannot be split into 2 equal groups/,
    )
    expect(() => layerNormalization({ axis: 0 })(input({ shape: [3] }))).toThrow(/is the batch/)
    expect(() => unitNormalization({ axis: 0 })(input({ shape: [3] }))).toThrow(/is the batch/)
    expect(() => layerNormalization({ axis: [1, -1] })(input({ shape: [3] }))).toThrow(/twice/)
    expect(() => layerNormalization()(input({ shape: [null] }))).toThrow(/must be known/)
    const built = layerNormalization()
    built(input({ shape: [3] }))
    expect(() => built(input({ shape: [4] }))).toThrow(ShapeError)
    expect(() => built(input({ shape: [4] }))).toThrow(/expected \[3\] on axis \[-1\] \(from build\)/)
  })
})
