import {
  activation,
  add,
  batchNormalization,
  cloneModel,
  concatenate,
  dense,
  dropout,
  flatten,
  GraphError,
  identity,
  input,
  inputLayer,
  lambda,
  Layer,
  loadModel,
  model,
  type Model,
  multiply,
  setSeed,
  stringLookup,
  subtract,
  type Sym,
  SymbolicTensor,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
} from '@adjoint/layers'
import * as core from '@adjoint/core'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { siamese } from '../support/models.js'

const rows = tensor([
  [1, 2],
  [3, 4],
  [5, 6],
])

describe('the structure of a model', () => {
  const x = input({ shape: [2], name: 'x' })
  const y = input({ shape: [3], name: 'y' })
  const ys = tensor([[1, 1, 1]])
  const xs = tensor([[1, 2]])
  const a = dense(4)(x)
  const b = dense(5)(y)

  it('is one tensor', () => {
    const m = model({ inputs: x, outputs: a })
    expect(m(xs).shape).toEqual([1, 4])
    expect(m.inputs).toBe(x)
    expect(m.outputs).toBe(a)
  })

  it('is a list', () => {
    const [p, q] = model({ inputs: [x, y], outputs: [a, b] })([xs, ys])
    expect([p.shape, q.shape]).toEqual([
      [1, 4],
      [1, 5],
    ])
  })

  it('is a record, whose keys stay in their order', () => {
    const m = model({ inputs: { second: y, first: x }, outputs: { z: a, a: b } })
    expect(Object.keys(m({ first: xs, second: ys }))).toEqual(['z', 'a'])
    expect(m({ second: ys, first: xs }).z.shape).toEqual([1, 4])
  })

  it('is nested', () => {
    const m = model({ inputs: { user: x, items: [y] }, outputs: [{ deep: [a] }, b] })
    const [first, second] = m({ user: xs, items: [ys] })
    expect(first.deep[0].shape).toEqual([1, 4])
    expect(second.shape).toEqual([1, 5])
  })

  it('holds on keys that are special to JavaScript', () => {
    const m = model({
      inputs: x,
      outputs: { ['__proto__']: a, constructor: a },
    })
    const out = m(xs) as unknown as Record<string, Tensor>
    expect(Object.keys(out)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(out)).toBe(Object.prototype)
    expect((out['constructor'] as Tensor).shape).toEqual([1, 4])
  })

  it('may pass inputs through, leave one unused, and give one tensor twice', () => {
    const m = model({ inputs: [x, y], outputs: [x, a, a] })
    const [through, first, second] = m([xs, ys])
    expect(through.arraySync()).toEqual([[1, 2]])
    expect(second.arraySync()).toEqual(first.arraySync())
    expect(m.layers.map((layer) => m.nameOf(layer))).toContain('y')
  })

  it('is checked when the model is called', () => {
    const m = model({ inputs: { x, y }, outputs: a })
    const call = m as unknown as (value: unknown) => unknown
    expect(() => call({ x: xs })).toThrow(/expected a tensor for input "y", got undefined/)
    expect(() => call(xs)).toThrow(/expected a tensor for input "x", got undefined/)
    expect(() => call({ x: [[1, 2]], y: ys })).toThrow(/input "x", got Array; wrap data in tensor/)
    expect(() => call({ x: ys, y: ys })).toThrow(/input "x" expects \[null,2\], got \[1,3\]/)
    const list = model({ inputs: [x, y], outputs: a }) as unknown as (value: unknown) => unknown
    expect(() => list([xs, ys, ys])).toThrow(/expected a list of 2 tensors, got 3/)
    expect(() => list([xs])).toThrow(/expected a list of 2 tensors, got 1/)
  })

  it('takes other dtypes where nothing is lost', () => {
    const ids = input({ shape: [2], dtype: 'int32', name: 'ids' })
    const m = model({ inputs: ids, outputs: identity()(ids) })
    expect(m(tensor([[1, 2]], { dtype: 'uint8' })).dtype).toBe('int32')
    expect(() => m(tensor([[1.5, 2]]))).toThrow(/input "ids" expects int32, got float32/)
    expect(model({ inputs: x, outputs: identity()(x) })(tensor([[1, 2]], { dtype: 'int32' })).dtype).toBe(
      'float32',
    )
  })
})

describe('sharing', () => {
  it('one layer on several tensors has one set of weights, and the sum of their gradients', () => {
    const shared = dense(1, { useBias: false, kernelInitializer: 'ones' })
    const a = input({ shape: [2] })
    const b = input({ shape: [2] })
    const m = model({ inputs: [a, b], outputs: add([shared(a), shared(b)]) })
    expect(m.weights.length).toBe(1)
    expect(m.layers.filter((layer) => layer === shared).length).toBe(1)
    const { value, grads } = valueAndGrads(() => m([rows, rows.mul(10)]).sum(), m.trainableVariables)
    expect(value.itemSync()).toBe(231)
    expect(grads[0]!.arraySync()).toEqual([[99], [132]])
  })

  it('a model is a layer: siamese encoders', () => {
    const e = input({ shape: [2] })
    const encoder = model({ inputs: e, outputs: dense(4, { activation: 'tanh' })(e), name: 'encoder' })
    const a = input({ shape: [2], name: 'a' })
    const b = input({ shape: [2], name: 'b' })
    const m = model({ inputs: { a, b }, outputs: subtract([encoder(a), encoder(b)]) })
    expect(m.getLayer('encoder')).toBe(encoder)
    expect(m.weights).toEqual(encoder.weights)
    expect(m({ a: rows, b: rows }).arraySync()).toEqual([0, 1, 2].map(() => [0, 0, 0, 0]))
    expect(m({ a: rows, b: rows.mul(0) }).arraySync()).toEqual(
      encoder(rows)
        .sub(encoder(rows.mul(0)))
        .arraySync(),
    )
  })

  it('models nest with their structure', () => {
    const p = input({ shape: [2] })
    const inner = model({ inputs: { p }, outputs: { double: lambda((t) => t.mul(2))(p), same: p } })
    const x = input({ shape: [2] })
    const { double, same } = inner({ p: x })
    const outer = model({ inputs: x, outputs: [double, inner({ p: double }).double, same] })
    expect(outer(rows).map((t) => t.slice([0, 0], [1, 2]).arraySync())).toEqual([
      [[2, 4]],
      [[4, 8]],
      [[1, 2]],
    ])
  })

  it('one layer in two models is the same layer', () => {
    const x = input({ shape: [2] })
    const layer = dense(3)
    const first = model({ inputs: x, outputs: layer(x) })
    const z = input({ shape: [2] })
    const second = model({ inputs: z, outputs: layer(z) })
    second.setWeights(second.weights.map((w) => w.mul(3)))
    expect(first(rows).arraySync()).toEqual(second(rows).arraySync())
  })
})

describe('a call that says whether to train', () => {
  const graph = (training?: boolean): Model => {
    const x = input({ shape: [50], name: 'x' })
    const options = training === undefined ? {} : { training }
    const norm = batchNormalization({ momentum: 0, name: 'norm' })
    return model({ inputs: x, outputs: dropout(0.5)(norm(x, options), options) })
  }
  const ones = tensor(Array.from({ length: 40 }, () => new Array<number>(50).fill(1)))
  const zeros = (y: Tensor): number => y.dataSync().filter((value) => value === 0).length
  const moving = (m: Model): unknown => (m.getLayer('norm').getWeights()[2]!.arraySync() as number[])[0]

  it('is obeyed whatever the model does, by calls, fit and predict, and after loading', async () => {
    const [always, never, plain] = [graph(true), graph(false), graph()]
    for (const m of [always, await loadModel(await always.toBytes())]) {
      // All that batch normalization makes of ones is its shift: 1, so that zeros are what dropout dropped.
      const one = ones.slice([0, 0], [1, 50]).reshape([50])
      m.getLayer('norm').setWeights([one, one, ...m.getLayer('norm').getWeights().slice(2)])
      expect(zeros(m(ones) as Tensor)).toBeGreaterThan(500)
      const drawn = [await m.predict(ones), await m.predict(ones)] as Tensor[]
      for (const y of drawn) expect(zeros(y)).toBeGreaterThan(500)
      expect(drawn[0]!.arraySync()).not.toEqual(drawn[1]!.arraySync())
    }
    for (const m of [never, await loadModel(await never.toBytes())]) {
      expect(zeros(m(ones, { training: true }) as Tensor)).toBe(0)
      m.compile({ loss: 'mse', optimizer: 'sgd' })
      await m.fit(ones, ones, { epochs: 1, verbose: 0 })
      expect(moving(m)).toBe(0)
    }
    expect(zeros(plain(ones) as Tensor)).toBe(0)
    expect(zeros(plain(ones, { training: true }) as Tensor)).toBeGreaterThan(500)
    expect(moving(plain)).toBe(1)
  })

  it('may call a model, for all that is in it', () => {
    const inner = graph()
    const x = input({ shape: [50] })
    const frozen = model({ inputs: x, outputs: inner(x, { training: false }) })
    expect(zeros(frozen(ones, { training: true }) as Tensor)).toBe(0)
    expect(moving(inner)).toBe(0)
  })

  it('refuses what is no such option', () => {
    const x = input({ shape: [3] })
    expect(() => dropout(0.5)(x, { traning: true } as never)).toThrow(
      'unknown call option "traning". Did you mean "training"?',
    )
    expect(() => dropout(0.5)(x, { training: 1 as never })).toThrow('training must be true or false, got 1')
  })
})

describe('cloneModel', () => {
  it('makes the same layers anew, with weights of their own', async () => {
    setSeed(3)
    const [a, city] = [input({ shape: [2], name: 'a' }), input({ shape: [1], dtype: 'string', name: 'city' })]
    const lookup = stringLookup({ outputMode: 'one_hot' })
    lookup.adapt(['Oslo', 'Rome'])
    const joined = concatenate([a.mul(2), lookup(city)])
    const m = model({ inputs: { a, city }, outputs: { y: dense(3, { name: 'head' })(joined) } })
    const clone = cloneModel(m)
    const data = { a: rows, city: tensor([['Oslo'], ['Rome'], ['Bonn']], { dtype: 'string' }) }
    expect(clone.layers.map((layer) => layer.name)).toEqual(m.layers.map((layer) => layer.name))
    expect(clone(data).y.arraySync()).not.toEqual(m(data).y.arraySync())
    clone.setWeights(m.getWeights())
    expect(clone(data).y.arraySync()).toEqual(m(data).y.arraySync())
    const before = m.getWeights().map((w) => w.arraySync())
    clone.compile({ loss: 'mse' })
    await clone.fit(data, { y: tensor(new Float32Array(9), { shape: [3, 3] }) }, { verbose: 0 })
    expect(m.getWeights().map((w) => w.arraySync())).toEqual(before)
  })

  it('keeps what is shared shared, and frozen layers frozen', () => {
    const m = siamese()
    const clone = cloneModel(m)
    expect(clone.countParams()).toBe(m.countParams())
    expect(clone.trainableWeights.length).toBe(m.trainableWeights.length)
    expect(clone.weights.some((w) => m.weights.includes(w))).toBe(false)
    const copies = [clone, m].map((each) => JSON.stringify(each))
    expect(copies[0]).toBe(copies[1])
  })

  it('tells how to register a class of yours', () => {
    class Mine extends Layer {
      override call(x: Tensor): Tensor {
        return x
      }
    }
    const x = input({ shape: [2] })
    const m = model({ inputs: x, outputs: new Mine()(x) as Sym.Any })
    expect(() => cloneModel(m)).toThrow(/registerLayer\("Mine", Mine\)/)
  })
})

describe('a model of a part of a graph', () => {
  const x = input({ shape: [2], name: 'x' })
  const h = dense(4, { activation: 'tanh', name: 'hidden' })(x)
  const out = dense(1, { name: 'head' })(h)
  const whole = model({ inputs: x, outputs: out })

  it('ends at an intermediate tensor', () => {
    const features = model({ inputs: whole.inputs, outputs: whole.getLayer('hidden').output as typeof h })
    expect(features(rows).shape).toEqual([3, 4])
    expect(features.weights.length).toBe(2)
  })

  it('starts at one, without what makes it', () => {
    const head = model({ inputs: h, outputs: out })
    expect(head.layers.map((layer) => layer.name)).toEqual(['head'])
    expect(head.weights).toEqual(whole.getLayer('head').weights)
    const features = model({ inputs: x, outputs: h })
    expect(head(features(rows)).arraySync()).toEqual(whole(rows).arraySync())
    expect(model({ inputs: h, outputs: [h, out] })(features(rows))[0].shape).toEqual([3, 4])
  })

  it('starts at one of the outputs of a call that also gives another', () => {
    class Halves extends Layer {
      override call(t: Tensor): Tensor {
        return [t.mul(0.5), t.mul(-0.5)] as unknown as Tensor
      }
    }
    const [half, other] = new Halves()(x) as unknown as [typeof x, typeof x]
    const m = model({ inputs: [half, x], outputs: [half, other] })
    const [given, made] = m([tensor([[9, 9]]), tensor([[1, 2]])])
    expect([given.arraySync(), made.arraySync()]).toEqual([[[9, 9]], [[-0.5, -1]]])
  })

  it('has the input and output of a layer that was called once', () => {
    const layer = whole.getLayer('head')
    expect(layer.input).toBe(h)
    expect(layer.output).toBe(out)
    const twice = dense(2)
    expect(() => twice.output).toThrow(/called 0 times in graphs, so its output is not known/)
    twice(x)
    twice(x)
    expect(() => twice.input).toThrow(GraphError)
    expect(() => twice.input).toThrow(/called 2 times in graphs, so its input is ambiguous/)
  })
})

describe('layers of a model', () => {
  it('come as in Keras: from far from the outputs to near', () => {
    const a = input({ shape: [2], name: 'a' })
    const b = input({ shape: [2], name: 'b' })
    const long = dense(3, { name: 'long_2' })(dense(3, { name: 'long_1' })(a))
    const short = dense(3, { name: 'short' })(b)
    const m = model({ inputs: { b, a }, outputs: add({ name: 'sum' })([short, long]) })
    expect(m.layers.map((layer) => layer.name)).toEqual(['a', 'b', 'long_1', 'short', 'long_2', 'sum'])
  })

  it('are found by name and place, with the nearest name for a wrong one', () => {
    const x = input({ shape: [2], name: 'x' })
    const m = model({ inputs: x, outputs: dense(1, { name: 'direction' })(x) })
    expect(m.getLayer('direction')).toBe(m.layers[1])
    expect(m.getLayer(0)).toBe(m.layers[0])
    expect(() => m.getLayer('directon')).toThrow(
      /no layer "directon". Did you mean "direction"\? Layers are x, direction/,
    )
    for (const index of [2, -1, 0.5]) expect(() => m.getLayer(index)).toThrow(ValueError)
  })

  it('are numbered per model, in the order in which they were made', () => {
    const build = (): string[] => {
      const x = input({ shape: [2] })
      const late = dense(1)
      const early = dense(3)
      const m = model({ inputs: x, outputs: late(dropout(0.1)(early(x))) })
      return m.layers.map((layer) => m.nameOf(layer))
    }
    expect(build()).toEqual(['input_layer', 'dense_1', 'dropout', 'dense'])
    expect(build()).toEqual(build())
  })

  it('keep the name of their first model, where that is free', () => {
    const x = input({ shape: [2] })
    const [one, two] = [dense(2), dense(2)]
    model({ inputs: x, outputs: two(one(x)) })
    const z = input({ shape: [2] })
    const fresh = dense(2)
    const m = model({ inputs: z, outputs: two(fresh(z)) })
    expect([m.nameOf(fresh), m.nameOf(two)]).toEqual(['dense', 'dense_1'])
    const other = dense(2)
    const w = input({ shape: [2] })
    model({ inputs: w, outputs: other(w) })
    const both = model({ inputs: w, outputs: add([one(w), other(w)]) })
    expect([both.nameOf(one), both.nameOf(other)]).toEqual(['dense', 'dense_1'])
    expect(other.name).toBe('dense')
  })

  it('freeze, alone and inside', () => {
    const x = input({ shape: [2] })
    const base = model({ inputs: x, outputs: dense(3, { name: 'low' })(x) })
    const z = input({ shape: [2] })
    const m = model({ inputs: z, outputs: dense(1, { name: 'top' })(base(z)) })
    expect(m.trainableWeights.length).toBe(4)
    base.trainable = false
    expect(m.trainableWeights).toEqual(m.getLayer('top').weights)
    expect(m.nonTrainableWeights).toEqual(base.weights)
    base.getLayer('low').trainable = true
    expect(base.trainableWeights).toEqual([])
    base.trainable = true
    expect(m.trainableWeights.length).toBe(4)
    expect(() => {
      base.trainable = 'no' as never
    }).toThrow(ValueError)
  })

  it('of a frozen model stay frozen in others that are made of them', () => {
    const x = input({ shape: [2] })
    const base = model({ inputs: x, outputs: dense(3)(x) })
    base.trainable = false
    const m = model({ inputs: base.inputs, outputs: dense(1, { name: 'top' })(base.outputs) })
    expect(m.trainableWeights).toEqual(m.getLayer('top').weights)
  })
})

describe('names of tensors', () => {
  it('are those of their layers, or their own', () => {
    const x = input({ shape: [2] })
    const y = dense(1, { name: 'y' })(x)
    expect(y.name).toBe('y')
    const z = y.named('z')
    expect(z.name).toBe('z')
    expect(z.shape).toEqual([1])
    const m = model({ inputs: x, outputs: [y, z] })
    const [first, second] = m(rows)
    expect(first.arraySync()).toEqual(second.arraySync())
    for (const name of ['', 'a\nb', 'x'.repeat(201), 3 as never])
      expect(() => y.named(name)).toThrow(ValueError)
  })

  it('are shown', () => {
    expect(String(input({ shape: [null, 3], name: 'seq' }))).toBe('<symbolic seq: [null,null,3] float32>')
  })
})

describe('ops on symbolic tensors', () => {
  const a = tensor([
    [0.5, -1, 2],
    [3, 0.25, -2],
  ])
  const b = tensor([
    [1, 2, 3],
    [-1, -2, 0.5],
  ])
  type Op = (x: Sym.Num | Tensor, y: Sym.Num | Tensor) => unknown
  const method =
    (name: string, ...args: unknown[]): Op =>
    (x) =>
      (x as unknown as Record<string, (...rest: unknown[]) => unknown>)[name]!(...args)
  const { exp, matmul, sum, concat, stack, where, greater, maximum, softmax, gather, oneHot, argMax } = core
  const ops: [string, Op][] = [
    ['x.mul(y).add(1)', (x, y) => (x as Tensor).mul(y as Tensor).add(1)],
    ['1 - x, as rsub', (x) => core.sub(1, x as Tensor)],
    ['x.div(y)', (x, y) => (x as Tensor).div(y as Tensor)],
    ['x.relu()', method('relu')],
    ['x.softmax()', method('softmax')],
    ['x.sum(-1)', method('sum', -1)],
    ['x.sum(1, true)', method('sum', 1, true)],
    ['x.mean(1)', method('mean', 1)],
    ['x.max(-1)', method('max', -1)],
    ['x.reshape([-1, 3, 1])', method('reshape', [-1, 3, 1])],
    ['x.expandDims(1)', method('expandDims', 1)],
    ['x.clip(0, 1)', method('clip', 0, 1)],
    ['x.slice(...)', method('slice', [0, 1], [-1, 2])],
    ['x.slice(text)', method('slice', '..., None, 1:, None')],
    ['x.stridedSlice(…)', method('stridedSlice', { begin: [null, -1], strides: [1, -2] })],
    ['x.cast("int32")', method('cast', 'int32')],
    ['exp(x)', (x) => exp(x as Tensor)],
    ['softmax(x, 1)', (x) => softmax(x as Tensor, 1)],
    ['matmul(x, weights)', (x) => matmul(x as Tensor, tensor([[1], [2], [3]]))],
    ['maximum(x, y)', (x, y) => maximum(x as Tensor, y as Tensor)],
    ['where(x > y, x, y)', (x, y) => where(greater(x as Tensor, y as Tensor), x as Tensor, y as Tensor)],
    ['concat([x, y], 1)', (x, y) => concat([x as Tensor, y as Tensor], 1)],
    ['concat with a constant', (x) => sum(concat([x as Tensor, x as Tensor], -1), 1)],
    ['stack([x, y], 1)', (x, y) => stack([x as Tensor, y as Tensor], 1)],
    ['gather(x, [2, 0], 1)', (x) => gather(x as Tensor, [2, 0], 1)],
    ['oneHot(argMax(x))', (x) => oneHot(argMax(x as Tensor, 1), 3)],
    ['x with itself', (x) => (x as Tensor).mul(x as Tensor).sub(x as Tensor)],
  ]

  it.each(ops)('%s gives what it gives at once', (_, op) => {
    const x = input({ shape: [3] })
    const y = input({ shape: [3] })
    const out = op(x, y) as SymbolicTensor
    expect(out).toBeInstanceOf(SymbolicTensor)
    const m = model({ inputs: [x, y], outputs: out })
    const expected = op(a, b) as Tensor
    const got = m([a, b]) as Tensor
    expect(got.arraySync()).toEqual(expected.arraySync())
    expect(out.shape).toEqual(expected.shape.slice(1))
    expect(out.dtype).toBe(expected.dtype)
  })

  it('a slice of a side that only data will tell is as long as there is data', () => {
    const x = input({ shape: [null, 2] })
    const texts = [':, 1:', ':, 100', ':, :50, 0', '..., -1']
    const outputs = texts.map((text) => (x as core.Operand as Sym.Num).slice(text))
    expect(outputs.map((out) => out.shape)).toEqual([[null, 2], [2], [null], [null]])
    const m = model({ inputs: x, outputs: x.slice(':, :50') })
    expect(m(core.zeros([3, 7, 2])).shape).toEqual([3, 7, 2])
    expect(m(core.zeros([3, 70, 2])).shape).toEqual([3, 50, 2])
    const far = model({ inputs: x, outputs: x.slice(':, 100') })
    expect(far(core.zeros([3, 101, 2])).shape).toEqual([3, 2])
    expect(() => far(core.zeros([3, 100, 2]))).toThrow(
      '"100" in ":, 100", for axis 1 of [3,100,2], is out of range',
    )
  })

  const mixing: [string, (x: Sym.Num) => unknown][] = [
    ['sum()', (x) => x.sum()],
    ['sum(0)', (x) => x.sum(0)],
    ['sum(-2)', (x) => x.sum(-2)],
    ['mean([0, 1])', (x) => x.mean([0, 1])],
    ['max(0)', (x) => x.max(0)],
    ['argMax(0)', (x) => x.argMax(0)],
    ['softmax(0)', (x) => x.softmax(0)],
    ['softmax(-2)', (x) => x.softmax(-2)],
    ['reshape([2, -1])', (x) => x.reshape([2, -1])],
    ['reshape([-1])', (x) => x.reshape([-1])],
    ['reshape([-1, 1])', (x) => x.reshape([-1, 1])],
    ['transpose()', (x) => x.transpose()],
    ['transpose([1, 0])', (x) => x.transpose([1, 0])],
    ['expandDims(0)', (x) => x.expandDims(0)],
    ['slice of rows', (x) => x.slice([0, 0], [2, 3])],
    ['slice from row 1', (x) => x.slice([1, 0], [-1, 3])],
    ['stridedSlice from row 1', (x) => x.stridedSlice({ begin: [1] })],
    ['stridedSlice backwards', (x) => x.stridedSlice({ strides: [-1] })],
    ['slice of row 0 as text', (x) => x.slice('0')],
    ['slice from row 1 as text', (x) => x.slice('1:, 0')],
    ['slice of rows backwards as text', (x) => x.slice('::-1')],
    ['slice with a new axis in front', (x) => x.slice('None, ...')],
    ['concat on axis 0', (x) => core.concat([x, x], 0)],
    ['stack on axis 0', (x) => core.stack([x, x], 0)],
    ['gather of rows', (x) => core.gather(x, [0], 0)],
    ['matmul with itself transposed', (x) => core.matmul(x, x, true, false)],
    ['squeeze of the batch', (x) => x.squeeze(0)],
  ]
  it.each(mixing)('%s would mix the rows of the batch, and is refused', (_, op) => {
    const x = input({ shape: [3] })
    expect(() => op(x)).toThrow(GraphError)
    expect(() => op(x)).toThrow(/batch/)
  })

  it('are refused on strings and with what is no tensor', () => {
    expect(() => (input({ shape: [1], dtype: 'string' }) as unknown as Sym.Num).exp()).toThrow(/strings/)
    expect(() => input({ shape: [3] }).add([1, 2, 3] as never)).toThrow(/wrap it in tensor/)
    expect(() => core.add(input({ shape: [3] }), null as never)).toThrow(ValueError)
  })

  it('have no values, and say how to get them', () => {
    const x = dense(4, { name: 'last' })(input({ shape: [3] }))
    for (const method of ['data', 'dataSync', 'array', 'arraySync', 'item', 'itemSync']) {
      const read = (): unknown => (x as unknown as Record<string, () => unknown>)[method]!()
      expect(read).toThrow(GraphError)
      expect(read).toThrow(new RegExp(`^${method}: "last" is a node of a graph and has no values; .*predict`))
    }
    expect(JSON.stringify(x)).toBe('{"name":"last","shape":[null,4],"dtype":"float32"}')
  })

  it('are named as in Keras', () => {
    const x = input({ shape: [3], name: 'x' })
    const m = model({ inputs: x, outputs: x.sub(1).mul(2).div(3).exp() })
    expect(m.layers.map((layer) => layer.className)).toEqual([
      'InputLayer',
      'Subtract',
      'Multiply',
      'TrueDivide',
      'Exp',
    ])
    expect(m.layers.map((layer) => m.nameOf(layer))).toEqual([
      'x',
      'subtract',
      'multiply',
      'true_divide',
      'exp',
    ])
  })

  it('have gradients', () => {
    const x = input({ shape: [3] })
    const w = dense(1, { kernelInitializer: 'ones', useBias: false })
    const m = model({ inputs: x, outputs: w(x.mul(2)).square() })
    const { grads } = valueAndGrads(() => m(a).sum(), m.trainableVariables)
    const by = core.grad((kernel: Tensor) => a.mul(2).matmul(kernel).square().sum())(w.getWeights()[0]!)
    expect(grads[0]!.arraySync()).toEqual(by.arraySync())
  })
})

describe('a random graph', () => {
  // Each node takes one or two of the nodes before it.
  const step = fc.tuple(
    fc.constantFrom('dense', 'add', 'multiply', 'tanh', 'concatenate'),
    fc.nat(),
    fc.nat(),
  )
  test.prop([fc.array(step, { minLength: 1, maxLength: 12 }), fc.nat()])(
    'computes what the same calls compute one after another',
    (steps, seed) => {
      setSeed(seed)
      const x = input({ shape: [2] })
      const calls = steps.map(([kind, i, j]) => ({
        i,
        j,
        layer:
          kind === 'dense'
            ? dense(2, { activation: 'tanh' })
            : kind === 'add'
              ? add()
              : kind === 'multiply'
                ? multiply()
                : kind === 'tanh'
                  ? activation('tanh')
                  : concatenate(),
        takesList: !['dense', 'tanh'].includes(kind),
        isWide: kind === 'concatenate',
      }))
      const narrow = dense(2)
      const follow = <T>(start: T): T[] => {
        const made = [start]
        for (const { layer, i, j, takesList, isWide } of calls) {
          const p = made[i % made.length]!
          const out = layer.invoke([takesList ? [p, made[j % made.length]!] : p])
          made.push((isWide ? narrow.invoke([out]) : out) as T)
        }
        return made
      }
      const symbols = follow<Sym.Num>(x)
      const m = model({ inputs: x, outputs: symbols })
      const values = follow<Tensor>(rows)
      expect((m(rows) as Tensor[]).map((t) => [...t.dataSync()])).toEqual(
        values.map((t) => [...t.dataSync()]),
      )
      expect(flatten()(m(rows)[0] as Tensor).shape).toEqual([3, 2])
    },
  )
})

describe('what is no tensor', () => {
  it('is refused by a layer, with the way out', () => {
    expect(() => dense(1)([[1, 2]] as never)).toThrow(
      /expected tensors, got number \(1\); wrap data in tensor\(…\)/,
    )
  })

  it('is refused by an input under its own name', () => {
    expect(() => input({ shap: [3] } as never)).toThrow(/^input: unknown option "shap".*shape/)
    expect(() => input({ shape: 3, name: 'x' } as never)).toThrow(/^input "x": expected a shape/)
    expect(() => inputLayer({ shap: [3] } as never)).toThrow(/^inputLayer: unknown option/)
  })
})
