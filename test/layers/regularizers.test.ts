import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  activityRegularization,
  batchNormalization,
  type CallContext,
  constraints,
  dense,
  embedding,
  input,
  Layer,
  loadModel,
  model,
  type Model,
  type Regularizer,
  type RegularizerLike,
  regularizers,
  sgd,
  type Shape,
  ShapeError,
  setFloatx,
  tensor,
  type Tensor,
  ValueError,
  type Variable,
} from '@adjoint/layers'
import { checkGradients } from '@adjoint/core/testing'
import { describe, expect, it, test } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: { readonly l1?: number; readonly l2?: number; readonly w: string }
  readonly expected: number
  readonly tol: number
}

const facts = readOracle<Fact[]>('facts.json').filter((fact) => fact.area === 'regularizer')

/** `ones(5,5)` */
function written(text: string): Tensor {
  const shape = /^ones\(([\d,]+)\)$/.exec(text)![1]!.split(',').map(Number)
  return tensor(new Float64Array(shape.reduce((n, side) => n * side, 1)).fill(1), { shape })
}

describe('as Keras documents it', () => {
  it('has entries', () => {
    expect(facts.length).toBeGreaterThan(0)
  })

  test.each(facts.map((fact) => [fact.name, fact] as const))(
    '%s',
    (_name, { input: given, expected, tol }) => {
      const { w, ...factors } = given
      const x = written(w)
      expect(Math.abs(regularizers.l1L2(factors)(x).itemSync() - expected)).toBeLessThanOrEqual(tol)
      if (factors.l1 === undefined && factors.l2 !== undefined)
        expect(regularizers.l2(factors.l2)(x).itemSync()).toBe(regularizers.l1L2(factors)(x).itemSync())
    },
  )
})

const rows = [
  [1, 2],
  [3, -4],
]
const w = tensor([[1], [-2]])
const zero = [[0], [0]]

/** A model of one dense layer, its kernel [1, -2]: its outputs are -3 and 11. */
function small(options: object): Model {
  const x = input({ shape: [2] })
  const m: Model = model({
    inputs: x,
    outputs: dense(1, { name: 'head', useBias: false, kernelInitializer: () => w, ...options })(x),
  })
  m.compile({ optimizer: sgd({ learningRate: 0 }), loss: 'mse' })
  return m
}
/** (9 + 121) / 2 */
const MSE = 65

describe('regularizers', () => {
  it('orthogonal is the mean of |cos| over pairs of rows, or of columns', () => {
    setFloatx('float64')
    try {
      const w = tensor([[1, 0, 0], [3, 4, 0], [0, 0, 2]], { dtype: 'float64' }) // prettier-ignore
      // Of the three pairs of rows one has the cosine 0.6; of columns the first two have 3 / sqrt(10).
      expect(regularizers.orthogonal({ factor: 1 })(w).itemSync()).toBeCloseTo(0.6 / 3, 12)
      const columns = regularizers.orthogonal({ factor: 2, mode: 'columns' })
      expect(columns(w).itemSync()).toBeCloseTo((2 * 3) / Math.sqrt(10) / 3, 12)
      checkGradients(
        (x: Tensor) => regularizers.orthogonal()(x),
        [w.add(tensor([[0.1, 0.2, 0.3]], { dtype: 'float64' }))],
      )
      expect(
        regularizers
          .orthogonal()(tensor([[5, 2]]))
          .itemSync(),
      ).toBe(0)
      expect(() => regularizers.orthogonal()(tensor([1, 2]))).toThrow(/orthogonal: needs a matrix, got \[2\]/)
      expect(() => regularizers.orthogonal({ mode: 'row' as 'rows' })).toThrow(/Did you mean "rows"/)
      const layer = dense(2, { kernelRegularizer: columns })
      expect((layer.getConfig()['kernelRegularizer'] as typeof columns).config).toEqual({
        name: 'orthogonal_regularizer',
        factor: 2,
        mode: 'columns',
      })
    } finally {
      setFloatx('float32')
    }
  })

  it.each<[RegularizerLike, number]>([
    ['l1', 0.03],
    ['l2', 0.05],
    ['l1_l2', 0.08],
    [regularizers.l1(0.5), 1.5],
    [regularizers.l2(0.5), 2.5],
    [regularizers.l1L2({ l1: 1, l2: 2 }), 13],
    [(kernel) => kernel.square().max(), 4],
  ])('%s of a kernel joins the loss, in fit, evaluate and on batches', async (kernelRegularizer, extra) => {
    const m = small({ kernelRegularizer })
    const loss = MSE + extra
    const { history } = await m.fit(rows, zero, { epochs: 1, verbose: 0, validationData: [rows, zero] })
    expect(history['loss'][0]).toBeCloseTo(loss, 4)
    expect(history['val_loss']![0]).toBeCloseTo(loss, 4)
    expect((await m.evaluate(rows, zero, { verbose: 0 }))['loss']).toBeCloseTo(loss, 4)
    expect((await m.trainOnBatch(rows, zero))['loss']).toBeCloseTo(loss, 4)
    expect(m.losses.map((part) => part.itemSync())[0]).toBeCloseTo(extra, 5)
  })

  it('move the weight: sgd takes the derivative of both', async () => {
    const m = small({ kernelRegularizer: regularizers.l2(0.5) })
    m.compile({ optimizer: sgd({ learningRate: 0.1 }), loss: () => tensor(0) })
    await m.fit(rows, zero, { epochs: 1, verbose: 0 })
    // w - 0.1 · 2 · 0.5 · w
    expect(m.getWeights()[0]!.arraySync()).toEqual([[Math.fround(0.9)], [Math.fround(-1.8)]])
  })

  it('of the output count for each row, whatever the size of the batch', async () => {
    const m = small({ activityRegularizer: regularizers.l1(2) })
    for (const batchSize of [1, 2]) {
      const logs = await m.evaluate(rows, zero, { batchSize, verbose: 0 })
      expect(logs['loss']).toBeCloseTo(MSE + (2 * (5 - 2 + 11)) / 2, 4)
    }
  })

  it('do not count for frozen weights', async () => {
    const m = small({ kernelRegularizer: 'l2' })
    m.getLayer('head').trainable = false
    expect((await m.evaluate(rows, zero, { verbose: 0 }))['loss']).toBe(MSE)
    expect(m.losses).toEqual([])
  })

  it('are there for biases and embeddings too', () => {
    const biased = dense(2, { biasRegularizer: 'l1', biasInitializer: 'ones' })
    biased(tensor([[1, 2]]))
    expect(biased.losses.map((loss) => loss.itemSync())).toEqual([Math.fround(0.02)])
    const table = embedding(3, 2, {
      embeddingsInitializer: 'ones',
      embeddingsRegularizer: regularizers.l2(1),
      activityRegularizer: regularizers.l1(1),
    })
    table(tensor([[0], [1]]))
    expect(table.losses.map((loss) => loss.itemSync())).toEqual([2, 6])
  })

  it('of a layer that is used twice count once for weights and twice for outputs', async () => {
    const a = input({ shape: [2], name: 'a' })
    const b = input({ shape: [2], name: 'b' })
    const shared = dense(1, {
      useBias: false,
      kernelInitializer: () => w,
      kernelRegularizer: regularizers.l2(1),
      activityRegularizer: (y) => y.sum(),
    })
    const m = model({ inputs: [a, b], outputs: [shared(a), shared(b)] })
    m.compile({ optimizer: 'sgd', loss: ['mse', 'mse'] })
    const { loss } = await m.evaluate([rows, rows], [zero, zero], { verbose: 0 })
    expect(loss).toBeCloseTo(2 * MSE + 5 + 2 * 4, 4)
  })

  it('refuse unknown names, factors and what is no scalar', async () => {
    expect(() => dense(1, { kernelRegularizer: 'l3' as 'l2' })).toThrow(
      /regularizer "l3" is unknown.*Did you/,
    )
    expect(() => dense(1, { kernelRegularizer: regularizers.l2 as never })).toThrow(/call it: l2\(/)
    expect(() => regularizers.l1(-1)).toThrow(ValueError)
    expect(() => regularizers.l1L2({ l3: 1 } as object)).toThrow(/"l3" is unknown/)
    const m = small({ kernelRegularizer: (kernel: Tensor) => kernel.square() })
    await expect(m.fit(rows, zero, { verbose: 0 })).rejects.toThrow(
      /the regularizer of "kernel": expected a scalar, got \[2,1\]; take its sum/,
    )
  })
})

class Reminding extends Layer {
  #k!: Variable
  override build(_: Shape): void {
    this.#k = this.addWeight('k', [], { initializer: 'ones', regularizer: (k) => k.mul(3) })
  }
  override call(x: Tensor, { training }: CallContext): Tensor {
    if (training) this.addLoss(x.mean().mul(this.#k))
    return x.mul(this.#k)
  }
}

class Careless extends Layer {
  constructor(readonly what: (x: Tensor) => Tensor) {
    super()
  }
  override call(x: Tensor): Tensor {
    this.addLoss(this.what(x))
    return x
  }
  outside(): void {
    this.addLoss(tensor(1))
  }
}

describe('saved models', () => {
  it('keep regularizers and constraints', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'regularizers-')), 'model')
    const x = input({ shape: [2] })
    const m = model({
      inputs: x,
      outputs: dense(1, {
        kernelRegularizer: regularizers.l1L2({ l1: 1, l2: 2 }),
        biasRegularizer: regularizers.l1(0.5),
        activityRegularizer: 'l2',
        kernelConstraint: constraints.minMaxNorm({ minValue: 1, maxValue: 2, axis: [0] }),
        biasConstraint: constraints.nonNeg(),
      })(batchNormalization({ gammaRegularizer: regularizers.l2(0.3), movingMeanInitializer: 'ones' })(x)),
    })
    await m.save(path)
    const again = await loadModel(path)
    expect(again.losses.map((loss) => loss.itemSync())).toEqual(m.losses.map((loss) => loss.itemSync()))
    const shown = (which: Model): string =>
      JSON.stringify(
        which.layers.map((layer) => ({ ...layer.getConfig(), dtype: layer.dtype })),
        (_key, value: unknown) =>
          typeof value === 'function' ? (value as Partial<Regularizer>).config : value,
      )
    expect(shown(again)).toBe(shown(m))
  })
})

describe('addLoss', () => {
  it('joins the loss of the step that runs the layer, inside other models too', async () => {
    const inner = input({ shape: [1] })
    const block = model({ inputs: inner, outputs: new Reminding()(inner) })
    const x = input({ shape: [1] })
    const m = model({ inputs: x, outputs: block(x) })
    m.compile({ optimizer: sgd({ learningRate: 0.1 }), loss: () => tensor(10) })
    const data = [[2], [4]]
    expect((await m.evaluate(data, data, { verbose: 0 }))['loss']).toBe(13)
    expect((await m.trainOnBatch(data, data))['loss']).toBe(16)
    // The derivative by k is 3 + 3.
    expect(m.getWeights()[0]!.itemSync()).toBeCloseTo(0.4, 6)
  })

  it('is told by `losses` after a call', () => {
    const layer = new Reminding()
    layer(tensor([[2]]), { training: true })
    expect(layer.losses.map((loss) => loss.itemSync())).toEqual([2, 3])
    layer(tensor([[2]]))
    expect(layer.losses.map((loss) => loss.itemSync())).toEqual([3])
  })

  it('takes scalars, within a call', () => {
    expect(() => new Careless((x) => x)(tensor([[1]]))).toThrow(ShapeError)
    expect(() => new Careless(() => 3 as never)(tensor([[1]]))).toThrow(/expected a tensor, got number/)
    expect(() => {
      new Careless((x) => x).outside()
    }).toThrow(/adds to the loss only while it is called/)
  })

  it('names itself when the sum is not finite, and keeps the weights', async () => {
    const x = input({ shape: [1] })
    const m = model({ inputs: x, outputs: new Careless((y) => y.sum().mul(Infinity))(dense(1)(x)) })
    m.compile({ optimizer: 'sgd', loss: 'mse' })
    const before = m.getWeights().map((v) => v.arraySync())
    await expect(m.fit([[1]], [[1]], { verbose: 0 })).rejects.toThrow(/the sum of the losses is/)
    expect(m.getWeights().map((v) => v.arraySync())).toEqual(before)
  })
})

test('ActivityRegularization is refused another regularizer, and a model trains on what it adds', async () => {
  expect(() => activityRegularization({ activityRegularizer: 'l1' } as never)).toThrow(/takes l1 and l2/)
  expect(() => activityRegularization({ l1: -1 })).toThrow(ValueError)
  const x = input({ shape: [2] })
  const y = activityRegularization({ l1: 0.5 })(dense(1, { kernelInitializer: 'ones', useBias: false })(x))
  const m = model({ inputs: x, outputs: y }).compile({ optimizer: sgd({ learningRate: 0 }), loss: 'mse' })
  // The mean of (3 - 3)² and (7 - 7)², and 0.5 (3 + 7) / 2.
  const { loss } = await m.evaluate(
    [
      [1, 2],
      [3, 4],
    ],
    [3, 7],
    { verbose: 0 },
  )
  expect(loss).toBeCloseTo(2.5, 6)
})
