import {
  activation,
  dense,
  dropout,
  embedding,
  flatten,
  identity,
  input,
  lambda,
  LayerBase,
  LimitError,
  model,
  rescaling,
  reshape,
  sequential,
  setFloatx,
  setSeed,
  tensor,
  type Tensor,
  ValueError,
} from '@adjoint/layers'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(() => {
  setFloatx('float32')
})

describe('layers are objects that can be called', () => {
  const layer = dense(4, { name: 'head' })

  it('with a class, a name and private state', () => {
    expect(typeof layer).toBe('function')
    expect(layer).toBeInstanceOf(LayerBase)
    expect(layer.className).toBe('Dense')
    expect(layer.name).toBe('head')
    expect(layer.units).toBe(4)
  })

  it('make their weights at the first call', () => {
    const fresh = dense(4)
    expect(fresh.built).toBe(false)
    expect(fresh.weights).toEqual([])
    fresh(tensor([[1, 2, 3]]))
    expect(fresh.weights.map((w) => [w.name, w.shape])).toEqual([
      ['kernel', [3, 4]],
      ['bias', [4]],
    ])
    expect(fresh.countParams()).toBe(16)
  })

  it('take their main argument first or among the options', () => {
    expect(dense({ units: 4, name: 'head' }).getConfig()).toEqual(layer.getConfig())
    expect(embedding({ inputDim: 5, outputDim: 2 }).outputDim).toBe(2)
  })

  it('refuse unknown options with the nearest name', () => {
    expect(() => dense(3, { activaton: 'relu' } as object)).toThrow(/activaton.*Did you mean "activation"/)
    expect(() => dropout(0.5, { sede: 1 } as object)).toThrow(/sede.*Did you mean "seed"/)
  })

  it('refuse what is no tensor, and say what to do', () => {
    expect(() => layer([[1, 2]] as never)).toThrow(ValueError)
    expect(() => layer(null as never)).toThrow(/expected tensors, got null/)
    expect(() => layer([tensor([[1]]), tensor([[1]])] as never)).toThrow(
      /takes one tensor, got 2; merge them first/,
    )
    expect(() => layer(dense(3) as never)).toThrow(/called on the layer/)
    expect(() =>
      (layer as unknown as (x: Tensor, o: object) => void)(tensor([[1]]), { trainin: true }),
    ).toThrow(/trainin.*Did you mean "training"/)
  })
})

describe('precision', () => {
  it('is the default float unless the layer has a dtype of its own', () => {
    expect(dense(2)(input({ shape: [3] })).dtype).toBe('float32')
    const wide = dense(2, { dtype: 'float64' })
    expect(wide(input({ shape: [3] })).dtype).toBe('float64')
    expect(wide.weights.map((w) => w.dtype)).toEqual(['float64', 'float64'])
  })

  it('follows setFloatx at the time the layer is made', () => {
    setFloatx('float64')
    const layer = dense(2)
    setFloatx('float32')
    layer(tensor([[1, 2]]))
    expect(layer.weights[0]!.dtype).toBe('float64')
  })

  it('is a float dtype', () => {
    expect(() => dense(2, { dtype: 'int32' as never })).toThrow(
      /dtype must be "float32" or "float64", got "int32"/,
    )
  })
})

describe('embedding', () => {
  it('takes whole numbers of any dtype', () => {
    const layer = embedding(4, 2)
    const ids = [[0], [3]]
    const expected = layer(tensor(ids, { dtype: 'int32' })).arraySync()
    for (const dtype of ['float32', 'float64', 'uint8'] as const)
      expect(layer(tensor(ids, { dtype })).arraySync()).toEqual(expected)
  })

  it('starts uniform between -0.05 and 0.05, as in Keras', () => {
    const layer = embedding(1000, 8)
    layer(tensor([[0]]))
    const values = [...layer.getWeights()[0]!.dataSync()]
    expect(Math.max(...values)).toBeLessThanOrEqual(0.05)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-0.05)
    expect(Math.max(...values)).toBeGreaterThan(0.049)
  })

  it.each([
    [5, '5'],
    [-1, '-1'],
    [2.5, '2.5'],
    [NaN, 'NaN'],
    [1e12, '1000000000000'],
    [Infinity, 'Infinity'],
  ])('refuses the id %s with layer, row and range', (id, shown) => {
    const layer = embedding(5, 2, { name: 'table' })
    const call = (): unknown =>
      layer(
        tensor(
          [
            [0, 1],
            [2, 3],
            [4, id],
          ],
          { dtype: 'float64' },
        ),
      )
    expect(call).toThrow(ValueError)
    expect(call).toThrow(
      `table (Embedding): id ${shown} in row 2 (place 1 in it) is out of range; ids are whole numbers in 0..4`,
    )
  })
})

describe('dropout', () => {
  const x = tensor(new Float32Array(10_000).fill(1), { shape: [100, 100] })

  it('does nothing but in training', () => {
    const layer = dropout(0.5)
    expect(layer(x)).toBe(x)
    expect(layer(x, { training: false })).toBe(x)
    expect(dropout(0)(x, { training: true })).toBe(x)
  })

  it('drops the rate and scales up the rest', () => {
    setSeed(1)
    const y = [...dropout(0.25)(x, { training: true }).dataSync()]
    const dropped = y.filter((v) => v === 0).length
    // Four standard deviations of 10 000 draws.
    expect(Math.abs(dropped - 2500)).toBeLessThan(4 * Math.sqrt(10_000 * 0.25 * 0.75))
    expect(new Set(y)).toEqual(new Set([0, Math.fround(1 / 0.75)]))
  })

  it('draws once for each call from the seed of the library', () => {
    const layer = dropout(0.5)
    setSeed(4)
    const first = layer(x, { training: true }).arraySync()
    const second = layer(x, { training: true }).arraySync()
    expect(second).not.toEqual(first)
    setSeed(4)
    expect(layer(x, { training: true }).arraySync()).toEqual(first)
    expect(layer(x, { training: true }).arraySync()).toEqual(second)
  })

  it('draws from its own seed if it has one, another mask for each call', () => {
    const a = dropout(0.5, { seed: 1 })
    const b = dropout(0.5, { seed: 1 })
    const other = dropout(0.5, { seed: 2 })
    setSeed(1)
    const masks = [a, a, a].map((layer) => JSON.stringify(layer(x, { training: true }).arraySync()))
    setSeed(2)
    expect([b, b, b].map((layer) => JSON.stringify(layer(x, { training: true }).arraySync()))).toEqual(masks)
    expect(new Set(masks).size).toBe(3)
    expect(masks).not.toContain(JSON.stringify(other(x, { training: true }).arraySync()))
  })

  it('drops infinities and NaN too, and their gradients', () => {
    setSeed(1)
    const values = dropout(0.5)(tensor([new Array<number>(50).fill(NaN)]), { training: true }).dataSync()
    expect([...values].some((v) => v === 0)).toBe(true)
  })
})

describe('reshape and flatten', () => {
  it('leave the batch alone', () => {
    expect(reshape([3, -1])(tensor(new Float32Array(24), { shape: [2, 12] })).shape).toEqual([2, 3, 4])
    expect(flatten()(tensor(new Float32Array(24), { shape: [2, 3, 4] })).shape).toEqual([2, 12])
    expect(flatten()(tensor([1, 2])).shape).toEqual([2, 1])
  })

  it('take no rows', () => {
    expect(flatten()(tensor(new Float32Array(0), { shape: [0, 3, 4] })).shape).toEqual([0, 12])
    expect(reshape([-1, 6])(tensor(new Float32Array(0), { shape: [0, 12] })).shape).toEqual([0, 2, 6])
  })

  it('work out what unknown sides allow', () => {
    expect(reshape([-1, 3])(input({ shape: [null, 3] })).shape).toEqual([null, 3])
    expect(reshape([4, 3])(input({ shape: [null, 3] })).shape).toEqual([4, 3])
  })
})

describe('lambda', () => {
  it('infers its shape by running on tensors without values', () => {
    const x = input({ shape: [4, 3] })
    expect(lambda((t) => t.sum(1))(x).shape).toEqual([3])
    expect(lambda((t: readonly Tensor[]) => t[0]!.add(t[1]!))([x, x]).shape).toEqual([4, 3])
  })

  it('may read values if it says its shape', () => {
    const read = lambda((t) => tensor([...t.dataSync()].map(Math.sign), { shape: t.shape }), {
      outputShape: [2],
    })
    const x = input({ shape: [2] })
    const m = model({ inputs: x, outputs: read(x) })
    expect(m(tensor([[3, -4]])).arraySync()).toEqual([[1, -1]])
    expect(() => lambda((t) => tensor(t.dataSync()))(x)).toThrow(
      /lambda \(Lambda\).*value was read while only shapes/,
    )
  })

  it('is told whether the model is in training', () => {
    const layer = lambda((t, { training }) => (training ? t.mul(2) : t))
    expect(layer(tensor([[1]])).arraySync()).toEqual([[1]])
    expect(layer(tensor([[1]]), { training: true }).arraySync()).toEqual([[2]])
  })

  it('has the weights of the layers that it calls', () => {
    const inner = dense(2)
    const outer = lambda((t) => inner(t))
    outer(tensor([[1, 2]]))
    expect(outer.weights).toEqual(inner.weights)
  })

  it('must give a tensor', () => {
    expect(() => lambda((() => 3) as never)(tensor([[1]]))).toThrow(/must return a tensor, got number/)
    expect(() => lambda((async (t: Tensor) => t) as never)(tensor([[1]]))).toThrow(
      /must return a tensor, got Promise/,
    )
    expect(() => lambda('relu' as never)).toThrow(/expected a function/)
  })
})

describe('small layers', () => {
  it('give what their names say', () => {
    const x = tensor([[-1, 2]])
    expect(activation('relu')(x).arraySync()).toEqual([[0, 2]])
    expect(activation((t) => t.mul(3))(x).arraySync()).toEqual([[-3, 6]])
    expect(rescaling(2, { offset: 1 })(x).arraySync()).toEqual([[-1, 5]])
    expect(identity()(x)).toBe(x)
  })

  it('check their numbers', () => {
    expect(() => rescaling(NaN)).toThrow(ValueError)
    expect(() => dense(2 ** 40)).toThrow(LimitError)
    expect(() => activation('rleu' as never)).toThrow(/rleu.*Did you mean "relu"/)
    expect(() => dense(1, { kernelInitializer: 'glorot' as never })).toThrow(ValueError)
  })
})

describe('weights', () => {
  const layer = dense(2)
  layer(tensor([[1, 2, 3]]))

  it('are set all or not at all', () => {
    const before = layer.getWeights().map((w) => w.arraySync())
    const bad: [unknown, RegExp][] = [
      [[tensor([[1]])], /has 2 weights, got 1/],
      [
        [tensor(new Float32Array(6), { shape: [3, 2] }), tensor([1, 2, 3])],
        /weight "bias": expected \[2\], got \[3\]/,
      ],
      [[new Float32Array(6), [1, 'x']], /weight "bias"/],
      [[new Float32Array(5), [1, 2]], /weight "kernel"/],
      ['no list', /got "no list"/],
    ]
    for (const [values, message] of bad) {
      expect(() => {
        layer.setWeights(values as Tensor[])
      }).toThrow(message)
      expect(layer.getWeights().map((w) => w.arraySync())).toEqual(before)
    }
    const disposed = tensor([1, 2])
    disposed.dispose()
    expect(() => {
      layer.setWeights([tensor(new Float32Array(6), { shape: [3, 2] }), disposed])
    }).toThrow(/disposed/)
    expect(layer.getWeights().map((w) => w.arraySync())).toEqual(before)
  })

  it('may hold NaN: a file may too', () => {
    const before = layer.getWeights()
    layer.setWeights([before[0]!, [NaN, Infinity]])
    expect([...layer.getWeights()[1]!.dataSync()]).toEqual([NaN, Infinity])
    layer.setWeights(before)
  })

  it('are copies when read', () => {
    const [kernel] = layer.getWeights()
    const values = kernel!.arraySync()
    layer.setWeights(layer.getWeights().map((w) => w.mul(2)))
    expect(kernel!.arraySync()).toEqual(values)
  })

  it('may be those of each other', () => {
    const m = sequential([
      dense(1, { inputShape: [1], useBias: false, kernelInitializer: 'ones' }),
      dense(1, { useBias: false, kernelInitializer: 'zeros' }),
    ])
    m.setWeights([m.weights[1]!, m.weights[0]!])
    expect(m.getWeights().map((w) => w.itemSync())).toEqual([0, 1])
  })
})
