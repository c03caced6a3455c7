import {
  activation,
  add,
  average,
  batchNormalization,
  concatenate,
  dense,
  dropout,
  embedding,
  flatten,
  globalAveragePooling1D,
  globalMaxPooling1D,
  identity,
  input,
  lambda,
  Layer,
  type LayerBase,
  loadModel,
  masking,
  maximum,
  minimum,
  model,
  type Model,
  multiply,
  type OutputMasks,
  reshape,
  sequential,
  setFloatx,
  softmax,
  type Tensor,
  tensor,
  valueAndGrads,
  variable,
} from '@adjoint/layers'
import { grad } from '@adjoint/core'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(() => {
  setFloatx('float32')
})

/** Gives the mask that it was told of as its output: [batch, steps] of 0 and 1; -1 where there was none. */
class Spy extends Layer {
  override call(x: Tensor, { mask }: { readonly mask?: Tensor | null }): Tensor {
    return mask === undefined || mask === null ? x.sum(-1).mul(0).sub(1) : mask.cast('float32')
  }
}
const seen = (x: Tensor): unknown => (new Spy() as unknown as (x: Tensor) => Tensor)(x).arraySync()

const x = tensor([
  [[1, 2], [0, 0], [0, 3]],
  [[0, 0], [4, 0], [0, 0]],
]) // prettier-ignore
const MASK = [
  [1, 0, 1],
  [0, 1, 0],
]
const masked = (): Tensor => masking()(x)

describe('masks are made', () => {
  it('by masking, where all features are the value; these become 0', () => {
    expect(seen(masked())).toEqual(MASK)
    const odd = masking({ maskValue: 7 })(
      tensor([
        [
          [7, 7],
          [7, 1],
        ],
      ]),
    )
    expect(seen(odd)).toEqual([[0, 1]])
    expect(odd.arraySync()).toEqual([[[0, 0], [7, 1]]]) // prettier-ignore
    expect(() => masking()(tensor([[1, 2]]))).toThrow(
      /masking \(Masking\): expected \[batch, steps, …, features\], got \[1,2\]/,
    )
  })

  it('by an embedding whose id 0 means nothing', () => {
    const ids = tensor([[3, 0, 1]])
    expect(seen(embedding(4, 2, { maskZero: true })(ids))).toEqual([[1, 0, 1]])
    expect(seen(embedding(4, 2)(ids))).toEqual([[-1, -1, -1]])
  })
})

describe('masks', () => {
  it('pass through layers that treat each step by itself', () => {
    const layers = [identity(), dense(2), activation('relu'), dropout(0.5), batchNormalization(), softmax()]
    for (const layer of layers) expect(seen(layer(masked())), layer.className).toEqual(MASK)
  })

  it('stop at others, and at ops', () => {
    expect(seen(reshape([3, 2])(masked()))).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
    expect(seen(masked().mul(2))).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
    expect(seen(flatten()(masked()))).toEqual([-1, -1])
    expect(seen(lambda((t) => t.mul(1))(masked()))).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
  })

  it('stop at pooling, which is told of them', () => {
    expect(globalAveragePooling1D()(masked()).arraySync()).toEqual([[0.5, 2.5], [4, 0]]) // prettier-ignore
    expect([...globalAveragePooling1D()(x).dataSync()].slice(0, 2)).toEqual([1 / 3, 5 / 3].map(Math.fround))
    expect(globalAveragePooling1D({ keepDims: true })(masked()).shape).toEqual([2, 1, 2])
    const nothing = masking()(tensor([[[0], [0]]]))
    expect(globalAveragePooling1D()(nothing).arraySync()).toEqual([[0]])
    const below = tensor([[[-3, -2], [9, 9], [-1, -4]], [[9, 9], [9, 9], [9, 9]]]) // prettier-ignore
    const mask = tensor([[1, 0, 1], [0, 0, 0]], { dtype: 'bool' }) // prettier-ignore
    expect(globalMaxPooling1D()(below, { mask }).arraySync()).toEqual([[-1, -2], [0, 0]]) // prettier-ignore
    expect(globalMaxPooling1D()(below).arraySync()).toEqual([[9, 9], [9, 9]]) // prettier-ignore
    const slope = grad((t: Tensor) => globalMaxPooling1D({ keepDims: true })(t, { mask }).sum())(below)
    expect(slope.arraySync()).toEqual([[[0, 1], [0, 0], [1, 0]], [[0, 0], [0, 0], [0, 0]]]) // prettier-ignore
  })

  it('are given to a call, and belong to that call alone', () => {
    const mask = tensor(MASK, { dtype: 'bool' })
    expect(globalAveragePooling1D()(x, { mask }).arraySync()).toEqual([[0.5, 2.5], [4, 0]]) // prettier-ignore
    expect(seen(dropout(0.5)(x, { mask }))).toEqual(MASK)
    expect(seen(x)).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
    expect(seen(dropout(0.5)(x, { mask: null, training: true }))).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
    const inner = input({ shape: [3, 2] })
    const m = model({ inputs: inner, outputs: globalAveragePooling1D()(dropout(0.5)(inner)) })
    expect(m(x, { mask }).arraySync()).toEqual([[0.5, 2.5], [4, 0]]) // prettier-ignore
    const v = variable(x)
    const { grads } = valueAndGrads(() => globalAveragePooling1D()(v, { mask }).sum(), [v])
    expect(grads[0]!.arraySync()).toEqual(
      MASK.map((row, i) => row.map((m) => (i === 0 ? [m / 2, m / 2] : [m, m]))),
    )
  })

  it.each([
    [() => dropout(0.5)(x, { mask: x as never }), 'mask: expected a bool tensor, got float32'],
    [() => dropout(0.5)(x, { mask: [[1]] as never }), 'mask: expected a bool tensor, got'],
    [
      () => dropout(0.5)(x, { mask: tensor([[true]]).tile([2, 2]) as never }),
      'mask: the mask [2,2] does not fit [2,3,2]',
    ],
    [
      () => dropout(0.5)(input({ shape: [3, 2] }), { mask: tensor(MASK, { dtype: 'bool' }) }),
      'in a graph it comes from',
    ],
  ])('that do not fit are refused: %s', (call, message) => {
    expect(call).toThrow(message)
  })

  it('take the share of a softmax over steps', () => {
    const logits = dense(1, { kernelInitializer: 'zeros' })(masked())
    expect(softmax({ axis: 1 })(logits).arraySync()).toEqual([[[0.5], [0], [0.5]], [[0], [1], [0]]]) // prettier-ignore
  })

  it('leave steps out of the statistics of a batch', () => {
    setFloatx('float64')
    const layer = batchNormalization({ momentum: 0 })
    layer(masking()(x.cast('float64')), { training: true })
    // The steps that count are (1, 2), (0, 3) and (4, 0).
    const [mean, variance] = layer
      .getWeights()
      .slice(2)
      .map((w) => [...w.dataSync()])
    expect(mean![0]).toBeCloseTo(5 / 3, 6)
    expect(mean![1]).toBeCloseTo(5 / 3, 6)
    expect(variance![0]).toBeCloseTo((1 + 16) / 3 - (5 / 3) ** 2, 6)
    expect(variance![1]).toBeCloseTo((4 + 9) / 3 - (5 / 3) ** 2, 6)
  })

  it('are joined by merges: what counts in any input counts, and all does where one has no mask', () => {
    const a = masked()
    const b = masking()(tensor([[[1, 1], [1, 1], [0, 0]], [[0, 0], [0, 0], [0, 0]]])) // prettier-ignore
    const either = [[1, 1, 1], [0, 1, 0]] // prettier-ignore
    for (const merge of [add(), average(), multiply(), maximum(), minimum()] as ((
      xs: Tensor[],
    ) => Tensor)[]) {
      expect(seen(merge([a, b]))).toEqual(either)
      expect(seen(merge([a, x]))).toEqual([[-1, -1, -1], [-1, -1, -1]]) // prettier-ignore
    }
    expect(seen(concatenate([a, b]))).toEqual(either)
    expect(seen(concatenate([a, x]))).toEqual([[1, 1, 1], [1, 1, 1]]) // prettier-ignore
    expect(seen(concatenate([a, b], { axis: 1 }))).toEqual([[1, 0, 1, 1, 1, 0], [0, 1, 0, 0, 0, 0]]) // prettier-ignore
  })

  it('leave what is masked out of products and extremes', () => {
    const a = masking()(tensor([[[2], [0], [3]]]))
    const b = masking()(tensor([[[5], [7], [0]]]))
    expect(multiply([a, b]).arraySync()).toEqual([[[10], [7], [3]]])
    expect(minimum([a, b]).arraySync()).toEqual([[[2], [7], [3]]])
    expect(maximum([tensor([[[1], [-4], [-5]]]), b]).arraySync()).toEqual([[[5], [7], [-5]]])
    expect(maximum([b, tensor([[[1], [-4], [-5]]])]).arraySync()).toEqual([[[5], [7], [-5]]])
  })

  it('are made and used by layers of your own', () => {
    class First extends Layer {
      override computeMask([t]: readonly Tensor[]): OutputMasks {
        return t!.sum(-1).greater(2)
      }
      override call(t: Tensor): Tensor {
        return t.mul(1)
      }
    }
    class Plain extends Layer {
      override get supportsMasking(): boolean {
        return true
      }
      override call(t: Tensor): Tensor {
        return t.mul(3)
      }
    }
    const first = new First() as unknown as (x: Tensor) => Tensor
    const plain = new Plain() as unknown as (x: Tensor) => Tensor
    expect(seen(plain(first(x)))).toEqual([[1, 0, 1], [0, 1, 0]]) // prettier-ignore
    class Wrong extends First {
      override computeMask(): OutputMasks {
        return tensor([1, 2])
      }
    }
    expect(() => (new Wrong() as unknown as (x: Tensor) => Tensor)(x)).toThrow(
      /wrong \(Wrong\): computeMask: expected a bool tensor, got float32/,
    )
  })
})

describe('in a model', () => {
  const pooled = (): { m: Model; layer: LayerBase } => {
    const ids = input({ shape: [null], name: 'ids' })
    const layer = embedding(5, 2, { maskZero: true })
    const inner = sequential([
      dense(2, { activation: 'tanh', inputShape: [null, 2] }),
      dropout(0.1, { seed: 1 }),
    ])
    const m: Model = model({ inputs: ids, outputs: globalAveragePooling1D()(inner(layer(ids))) })
    return { m, layer }
  }

  it('what is behind the padding does not change the output, also through a nested model and a file', async () => {
    const { m } = pooled()
    const short = (m(tensor([[3, 1]])) as Tensor).arraySync()
    const copy = await loadModel(await m.toBytes())
    for (const each of [m, copy]) {
      const long = (each(tensor([[3, 1, 0, 0]])) as Tensor).arraySync() as number[][]
      long[0]!.forEach((v, i) => {
        expect(v).toBeCloseTo((short as number[][])[0]![i]!, 6)
      })
    }
  })

  it('the embedding of padding gets no gradient', async () => {
    const { m, layer } = pooled()
    m.compile({ optimizer: 'sgd', loss: 'mse' })
    const before = layer.getWeights()[0]!.arraySync() as number[][]
    const x: Tensor = tensor([[3, 0], [1, 2]]) // prettier-ignore
    await m.fit(x, [[1, 1], [0, 0]], { verbose: 0 }) // prettier-ignore
    const after = layer.getWeights()[0]!.arraySync() as number[][]
    expect(after[0]).toEqual(before[0])
    expect(after[3]).not.toEqual(before[3])
  })

  /** Predicts what it is given, by a weight of 1. */
  const echo = (): Model => {
    const steps = input({ shape: [null, 1] })
    return model({
      inputs: steps,
      outputs: dense(1, { kernelInitializer: 'ones', name: 'out' })(masking()(steps)),
    }) as Model
  }
  const inputs: Tensor = tensor([[[1], [0], [3]], [[2], [0], [0]]]) // prettier-ignore
  const targets: Tensor = tensor([[[0], [9], [1]], [[5], [9], [9]]]) // prettier-ignore
  // The squared errors that count are 1, 4 and 9.

  it('losses and metrics are means over the steps that count', async () => {
    const m = echo()
    m.compile({ loss: 'mse', metrics: ['mae'], optimizer: 'sgd' })
    const { loss, mae } = (await m.evaluate(inputs, targets, { verbose: 0 })) as Record<string, number>
    expect(loss).toBeCloseTo((1 + 4 + 9) / 3, 5)
    expect(mae).toBeCloseTo((1 + 2 + 3) / 3, 5)
  })

  it('sample weights multiply what the steps count', async () => {
    const m = echo()
    m.compile({ loss: 'mse', weightedMetrics: ['mae'], optimizer: 'sgd' })
    const sampleWeight = [2, 0.5]
    const { loss, mae } = (await m.evaluate(inputs, targets, { verbose: 0, sampleWeight })) as Record<
      string,
      number
    >
    // As in Keras: weighted values over how many steps count; metrics over the sum of the weights.
    expect(loss).toBeCloseTo((2 * (1 + 4) + 0.5 * 9) / 3, 5)
    expect(mae).toBeCloseTo((2 * (1 + 2) + 0.5 * 3) / (2 + 2 + 0.5), 5)
  })

  it('targets of masked steps change nothing in training', async () => {
    const trained = async (hidden: number): Promise<unknown> => {
      const m = echo()
      m.compile({ loss: 'mse', optimizer: 'sgd' })
      const y: Tensor = tensor([[[0], [hidden], [1]], [[5], [hidden], [hidden]]]) // prettier-ignore
      await m.fit(inputs, y, { epochs: 3, verbose: 0 })
      return m.getWeights().map((w) => w.arraySync())
    }
    expect(await trained(1e6)).toEqual(await trained(-3))
  })
})
