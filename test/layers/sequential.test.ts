import {
  add,
  dense,
  dropout,
  embedding,
  flatten,
  GraphError,
  input,
  inputLayer,
  Layer,
  type Model,
  model,
  Sequential,
  sequential,
  setSeed,
  ShapeError,
  stringLookup,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/layers'
import { describe, expect, it } from 'vitest'

const data = tensor([
  [1, 2, 3],
  [4, 5, 6],
])

function summaryOf(m: Model): string[] {
  const lines: string[] = []
  m.summary({ printFn: (line) => lines.push(line) })
  return lines
}

describe('with the shape of its input', () => {
  it('is a model at once', () => {
    const m = sequential([dense(4, { inputShape: [3], activation: 'relu' }), dense(1)])
    expect(m).toBeInstanceOf(Sequential)
    expect(m.built).toBe(true)
    expect(m.outputs.shape).toEqual([1])
    expect(m.weights.map((w) => w.shape)).toEqual([[3, 4], [4], [4, 1], [1]])
    expect(m(data).shape).toEqual([2, 1])
  })

  it('takes it from an input layer, or from a model that comes first', () => {
    expect(sequential([inputLayer({ shape: [3] }), dense(1)]).outputs.shape).toEqual([1])
    const x = input({ shape: [3] })
    const encoder = model({ inputs: x, outputs: dense(7)(x), name: 'encoder' })
    const m = sequential([encoder, dense(1)])
    expect(m.built).toBe(true)
    expect(m.weights.length).toBe(4)
    expect(m.layers[0]).toBe(encoder)
  })

  it('is what the same layers give one after another', () => {
    setSeed(3)
    const layers = [dense(4, { inputShape: [3], activation: 'tanh' }), dense(2)] as const
    const m = sequential(layers)
    expect(m(data).arraySync()).toEqual(layers[1](layers[0](data)).arraySync())
  })

  it('looks up strings', () => {
    const lookup = stringLookup({ vocabulary: ['a', 'b'], inputShape: [1] })
    const m = sequential([lookup, embedding(3, 2), flatten()])
    expect(m(tensor([['b']], { dtype: 'string' }) as unknown as Tensor).shape).toEqual([1, 2])
  })
})

describe('without', () => {
  it('is built by the first call', () => {
    const m = sequential([dense(4), dense(1)])
    expect(m.built).toBe(false)
    expect(() => m.inputs).toThrow(GraphError)
    expect(() => m.inputs).toThrow(
      /sequential \(Sequential\): its inputs are not known yet; give the first layer an inputShape/,
    )
    expect(m(data).shape).toEqual([2, 1])
    expect(m.built).toBe(true)
    expect(m.inputs.shape).toEqual([3])
    expect(() => m(tensor([[1, 2]]))).toThrow(/expects \[null,3\], got \[1,2\]/)
  })

  it('is built by the first symbolic call', () => {
    const m = sequential([dense(4), dense(1)])
    const x = input({ shape: [5] })
    const outer = model({ inputs: x, outputs: m(x) as typeof x })
    expect(m.inputs.shape).toEqual([5])
    expect(outer.weights).toEqual(m.weights)
  })

  it('is built by the data of fit, predict and evaluate', async () => {
    const make = (): Model => sequential([dense(4), dense(1)]).compile({ optimizer: 'sgd', loss: 'mse' })
    const fitted = make()
    expect(fitted.isCompiled).toBe(true)
    await fitted.fit(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [1, 2],
      { verbose: 0 },
    )
    expect(fitted.inputs.shape).toEqual([3])
    expect((await make().predict(data)).shape).toEqual([2, 1])
    expect(await make().evaluate(data, [1, 2], { verbose: 0 })).toHaveProperty('loss')
    const flat = make()
    await flat.fit(new Float32Array([1, 2, 3]), [1, 2, 3], { verbose: 0 })
    expect(flat.inputs.shape).toEqual([1])
  })

  it('says so when the data tells nothing', async () => {
    await expect(sequential([dense(1)]).predict(5 as never)).rejects.toThrow(
      /cannot tell the shape of its input from 5/,
    )
  })

  it('a bad first call leaves it as it was', () => {
    const m = sequential([dense(4), embedding(3, 2), dense(1)])
    setSeed(1)
    expect(() => m(tensor([[9, 9, 9]]))).toThrow(/embedding \(Embedding\): id/)
    expect(m.built).toBe(false)
    expect(m.layers.map((layer) => [layer.built, layer.nodes.length])).toEqual([
      [false, 0],
      [false, 0],
      [false, 0],
    ])
  })

  it('shows its layers before they are built', () => {
    const text = summaryOf(sequential([dense(4), dense(1)])).join('\n')
    expect(text).toMatch(/dense \(Dense\) +│ \? +│ +0 \(unbuilt\)/)
    expect(text).toMatch(/dense_1 \(Dense\)/)
    expect(text).toMatch(/Total params: 0/)
  })
})

describe('the parts', () => {
  it('nest, in both ways', () => {
    const inner = sequential([dense(4, { inputShape: [3] }), dropout(0.5)], { name: 'inner' })
    const outer = sequential([inner, sequential([dense(2)]), dense(1)])
    expect(outer(data).shape).toEqual([2, 1])
    expect(outer.weights.length).toBe(6)
    const x = input({ shape: [3] })
    expect(model({ inputs: x, outputs: add([outer(x), outer(x)]) }).weights).toEqual(outer.weights)
  })

  it('are told about training', () => {
    const m = sequential([dropout(0.5, { inputShape: [100] })])
    const ones = tensor([new Array<number>(100).fill(1)])
    expect([...m(ones).dataSync()]).toEqual(new Array(100).fill(1))
    expect([...m(ones, { training: true }).dataSync()]).toContain(0)
  })

  it('are found by name and by place, without the input layer', () => {
    const first = dense(4, { inputShape: [3] })
    const last = dense(1, { name: 'head' })
    const m = sequential([first, last])
    expect(m.layers).toEqual([first, last])
    expect(m.getLayer(0)).toBe(first)
    expect(m.getLayer('dense')).toBe(first)
    expect(m.getLayer('head')).toBe(last)
    expect(summaryOf(m).join('\n')).not.toMatch(/InputLayer|Connected/)
  })

  it('make an intermediate model', () => {
    const m = sequential([dense(4, { inputShape: [3] }), dense(1)])
    const hidden = m.layers[0]!.output as typeof m.outputs
    expect(model({ inputs: m.inputs, outputs: hidden })(data).shape).toEqual([2, 4])
  })

  it('may be the same twice', () => {
    const shared = dense(3)
    const m = sequential([shared, shared])
    m(data)
    expect(m.weights.length).toBe(2)
  })

  it('freeze with the model', () => {
    const m = sequential([dense(4, { inputShape: [3] }), dense(1)])
    m.trainable = false
    expect(m.trainableWeights).toEqual([])
    m.layers[1]!.trainable = true
    m.trainable = true
    expect(m.trainableWeights.length).toBe(4)
  })
})

describe('refuses', () => {
  const price = input({ shape: [3], name: 'price' })
  it.each<[unknown, RegExp]>([
    [[], /needs at least one layer/],
    [dense(1), /expected a list of layers/],
    [[price], /item 0 must be a layer, got the symbolic tensor "price"; start with inputLayer/],
    [[dense(1), 'relu'], /item 1 must be a layer, got "relu"/],
    [[inputLayer({ shape: [3] })], /needs a layer behind/],
    [[dense(1), inputLayer({ shape: [3] })], /must come first/],
  ])('%s', (layers, message) => {
    expect(() => sequential(layers as never)).toThrow(ValueError)
    expect(() => sequential(layers as never)).toThrow(message)
  })

  it('two layers of one name, at once', () => {
    expect(() => sequential([dense(1, { name: 'a' }), dense(2, { name: 'a' })])).toThrow(
      /two layers are named "a"/,
    )
  })

  it('layers that need several tensors, or give several', () => {
    expect(() => sequential([dense(1, { inputShape: [3] }), add()])).toThrow(ShapeError)
    class Both extends Layer {
      override call(x: Tensor): Tensor {
        return [x, x] as unknown as Tensor
      }
    }
    expect(() => sequential([dense(1, { inputShape: [3] }), new Both(), dense(1)])).toThrow(/several tensors/)
  })

  it('options that are unknown', () => {
    expect(() => sequential([dense(1)], { nmae: 'm' } as object)).toThrow(/Did you mean "name"/)
    expect(() => dense(1, { inputShape: [1.5] })).toThrow(/side 0 is 1.5/)
  })
})
