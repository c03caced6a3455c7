import * as api from '@adjoint/layers'
import {
  activation,
  adam,
  add,
  categoryEncoding,
  concatenate,
  dense,
  dot,
  dropout,
  embedding,
  flatten,
  identity,
  input,
  inputLayer,
  initializers,
  Layer,
  type LayerBase,
  loadModel,
  model,
  type Model,
  normalization,
  random,
  registerFunction,
  registerLayer,
  rescaling,
  reshape,
  sequential,
  setSeed,
  stringLookup,
  subtract,
  type Tensor,
  tensor,
  ValueError,
  weightedAverage,
} from '@adjoint/layers'
import { randomState } from '@adjoint/core/extend'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'saving-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** The bits of tensors: -0 is not 0. */
function bits(xs: readonly Tensor[]): string[] {
  return xs.map((x) => {
    const values = x.dataSync()
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
    return `${x.dtype} ${JSON.stringify(x.shape)} ${bytes.toString('hex')}`
  })
}

const again = async (m: Model): Promise<Model> => loadModel(await m.toBytes())

const squareLast = (x: Tensor): Tensor => x.square().sum(-1, true)
registerFunction('squareLast', squareLast)

/** Two inputs, shared and nested layers, an op with a constant, several named outputs. */
function twoHeads(): Model {
  const price = input({ shape: [3], name: 'price' })
  const word = input({ shape: [1], name: 'word', dtype: 'string' })
  const lookup = stringLookup({ vocabulary: ['up', 'down', 'ünï', '__proto__'] })
  const shared = dense(4, { activation: 'relu', name: 'shared' })
  const encoder = sequential([dense(4, { inputShape: [4] }), dropout(0.5)], { name: 'encoder' })
  const ids = lookup(word)
  const text = flatten()(embedding(5, 4, { embeddingsInitializer: initializers.heNormal({ seed: 3 }) })(ids))
  const norm = normalization({ name: 'norm' })
  norm.adapt([
    [1, 2, 3],
    [2, 4, 9],
  ])
  const h = shared(norm(price))
  const both = encoder(add([h, encoder(text)]))
  const scaled = both.mul(2).add(tensor([1, -0, 3, 4]))
  return model({
    inputs: { price, word },
    outputs: { up: dense(1, { activation: 'sigmoid' })(scaled), rest: [h.named('h'), both.softmax()] },
    name: 'two_heads',
  }) as Model
}
const feed = {
  price: [
    [1, 2, 3],
    [4, 5, 6],
    [-1, 0, 2],
  ],
  word: [['up'], ['??'], ['__proto__']],
}
const leaves = (tree: { up: Tensor; rest: Tensor[] }): Tensor[] => [tree.up, ...tree.rest]

describe('a model', () => {
  it('with several inputs, shared and nested layers, ops and constants comes back whole', async () => {
    const m = twoHeads()
    const copy = await again(m)
    expect(copy.toJSON()).toEqual(m.toJSON())
    expect(bits(copy.getWeights())).toEqual(bits(m.getWeights()))
    expect(bits(leaves(await copy.predict(feed)))).toEqual(bits(leaves(await m.predict(feed))))
    expect(copy.name).toBe('two_heads')
    const json = JSON.stringify(m)
    expect(JSON.parse(json)).toMatchObject({ class_name: 'Functional', version: '1', name: 'two_heads' })
  })

  it('is saved in a file, loaded by path and by URL; nothing else is left in the folder', async () => {
    const m = twoHeads()
    const path = join(folder, 'm.safetensors')
    await m.save(path)
    await m.save(path)
    for (const source of [path, pathToFileURL(path)]) {
      const copy = await loadModel(source)
      expect(bits(copy.getWeights())).toEqual(bits(m.getWeights()))
    }
    expect(readdirSync(folder)).toEqual(['m.safetensors'])
    expect(new Uint8Array(readFileSync(path))).toEqual(new Uint8Array(await m.toBytes()))
  })

  it('keeps -0, denormals and infinities of weights; finiteOnly refuses the last', async () => {
    const m = sequential([dense(2, { inputShape: [2], name: 'd' })])
    m.setWeights([
      [
        [-0, 1e-45],
        [Infinity, -1e-40],
      ],
      [NaN, 0],
    ])
    expect(bits((await again(m as never)).getWeights())).toEqual(bits(m.getWeights()))
    await expect(loadModel(await m.toBytes(), { finiteOnly: true })).rejects.toThrow(
      'weight "d/kernel": holds Infinity at index 2',
    )
  })

  it('has zero-size weights, names in any script, slashes in names', async () => {
    const x = input({ shape: [0], name: '入力' })
    const m = model({ inputs: x, outputs: dense(2, { name: 'a/b%@ß😀' })(x) }) as Model
    const copy = await again(m)
    expect(copy.layers.map((l) => l.name)).toEqual(['入力', 'a/b%@ß😀'])
    expect(bits(copy.getWeights())).toEqual(bits(m.getWeights()))
  })

  it('may start in the middle of a graph', async () => {
    const x = input({ shape: [3] })
    const h = dense(2, { name: 'first' })(x)
    const m = model({ inputs: h, outputs: dense(1)(h) }) as Model
    const copy = await again(m)
    const rows = tensor([[1, 2]])
    expect(bits([copy(rows) as Tensor])).toEqual(bits([m(rows) as Tensor]))
  })

  it('may be sequential and not yet built, and keeps names of its input', async () => {
    const m = sequential([dense(3, { kernelInitializer: 'ones' }), rescaling(-0)])
    const copy = await again(m as never)
    expect(bits([copy(tensor([[1, 2]])) as Tensor])).toEqual(bits([m(tensor([[1, 2]])) as unknown as Tensor]))
    const named = sequential([inputLayer({ shape: [2], name: 'left' }), dense(1)])
    expect((await again(named as never)).inputs.name).toBe('left')
  })

  it('keeps what is frozen, inside and out', async () => {
    const inner = sequential([dense(2, { inputShape: [2], name: 'a' }), dense(2, { name: 'b' })], {
      name: 'inner',
    })
    const x = input({ shape: [2] })
    const m = model({ inputs: x, outputs: dense(1, { name: 'c' })(inner(x)) }) as Model
    inner.trainable = false
    inner.getLayer('b').trainable = true
    const copy = await again(m)
    const flags = (n: Model): boolean[] => {
      const i = n.getLayer('inner') as Model
      return [i.trainable, ...i.layers.map((l) => l.trainable), n.getLayer('c').trainable]
    }
    expect(flags(copy)).toEqual(flags(m))
    expect(flags(copy)).toEqual([false, false, true, true])
  })

  it('keeps fixed weights of an average fixed and learned ones learned; an unadapted layer unadapted', async () => {
    const make = (options: object): Model => {
      const ends = [input({ shape: [2] }), input({ shape: [2] })]
      return model({ inputs: ends, outputs: weightedAverage(options)(ends) })
    }
    expect((await again(make({ weights: [0.7, 0.3] }))).weights.length).toBe(0)
    expect((await again(make({ weights: [1, 3], trainable: true }))).weights.length).toBe(1)
    const raw = sequential([normalization({ inputShape: [2] })])
    const copy = await again(raw as never)
    expect(() => copy(tensor([[1, 2]])) as unknown).toThrow('call adapt(data) first')
    const given = sequential([normalization({ inputShape: [2], mean: [0.1, -0], variance: [3, 0] })])
    expect(bits([(await again(given as never))(tensor([[1, 2]])) as Tensor])).toEqual(
      bits([given(tensor([[1, 2]])) as unknown as Tensor]),
    )
  })

  it('leaves the random numbers of the process alone when it is not trained', async () => {
    const bytes = await twoHeads().toBytes()
    setSeed(5)
    const before = randomState()
    await loadModel(bytes)
    expect(randomState()).toEqual(before)
  })

  it('adds merges, encodings and dots as they were configured', async () => {
    const [a, b] = [input({ shape: [2, 3], name: 'a' }), input({ shape: [2, 3], name: 'b' })]
    const ids = input({ shape: [2], name: 'ids' })
    const outputs = [
      concatenate([a, b], { axis: 1 }),
      subtract([a, b]),
      dot([a, b], { axes: 2, normalize: true }),
      categoryEncoding({ numTokens: 4, outputMode: 'count' })(ids),
      reshape([-1])(a),
      identity()(activation('tanh')(b)),
      a.sum(-1).exp(),
    ]
    const m = model({ inputs: [a, b, ids], outputs }) as Model
    const xs = [
      random.normal([2, 2, 3]),
      random.normal([2, 2, 3]),
      tensor([
        [0, 1],
        [3, 3],
      ]),
    ]
    expect(bits((await again(m))(xs) as Tensor[])).toEqual(bits(m(xs) as Tensor[]))
  })
})

describe('weights alone', () => {
  it('are saved and set, all or none', async () => {
    const make = (units: number): Model => sequential([dense(units, { inputShape: [2], name: 'd' })]) as never
    const [m, other, wrong] = [make(3), make(3), make(4)]
    const path = join(folder, 'w.safetensors')
    await m.saveWeights(path)
    await other.loadWeights(path)
    expect(bits(other.getWeights())).toEqual(bits(m.getWeights()))
    const before = bits(wrong.getWeights())
    await expect(wrong.loadWeights(path)).rejects.toThrow(
      'loadWeights: weight "d/kernel": the file has float32 of [2,3], the model float32 of [2,4]',
    )
    expect(bits(wrong.getWeights())).toEqual(before)
    await other.loadWeights(await m.toBytes())
    rmSync(path)
  })
})

class Scale extends Layer {
  readonly factor: number
  readonly inner: LayerBase
  constructor({ factor, ...options }: { factor: number; name?: string }) {
    super(options)
    this.factor = factor
    this.inner = dense(2)
  }
  call(x: Tensor): Tensor {
    return (this.inner as unknown as (x: Tensor) => Tensor)(x).mul(this.factor)
  }
  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), factor: this.factor }
  }
}

describe('code of your own', () => {
  const withScale = (): Model => {
    const x = input({ shape: [3] })
    return model({ inputs: x, outputs: new Scale({ factor: 3, name: 'mine' })(x) }) as Model
  }
  it('is saved once its class is registered; the error has the line to add', async () => {
    await expect(withScale().toBytes()).rejects.toThrow('add registerLayer("Scale", Scale)')
    registerLayer('Scale', Scale)
    registerLayer('Scale', Scale)
    const m = withScale()
    const copy = await again(m)
    const x = random.normal([2, 3])
    expect(bits([copy(x) as Tensor])).toEqual(bits([m(x) as Tensor]))
    expect(() => {
      registerLayer('Scale', class extends Scale {})
    }).toThrow(ValueError)
    expect(() => {
      registerLayer('Functional', class extends Scale {})
    }).toThrow(ValueError)
  })

  it('is told of by name where a function is; one without a name is refused, naming the layer', async () => {
    const cube = (x: Tensor): Tensor => x.mul(x).mul(x)
    const m = sequential([dense(2, { activation: cube, inputShape: [2], name: 'cubed' })])
    await expect(m.toBytes()).rejects.toThrow(/layer "cubed".*registerFunction\("cube", cube\)/)
    registerFunction('cube', cube)
    const x = random.normal([2, 2])
    expect(bits([(await again(m as never))(x) as Tensor])).toEqual(bits([m(x) as unknown as Tensor]))
    // A function of one's own that has a name of Keras' is still one's own.
    const relu = (y: Tensor): Tensor => y.neg()
    await expect(sequential([activation(relu)]).toBytes()).rejects.toThrow('registerFunction("relu", relu)')
  })
})

describe('training', () => {
  const optimizers = Object.entries({
    sgd: () => api.sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }),
    adam: () => adam({ amsgrad: true, clipNorm: 1 }),
    adamw: () => api.adamw({ excludeFromWeightDecay: ['bias'] }),
    rmsprop: () => api.rmsprop({ centered: true, momentum: 0.5 }),
    adagrad: () => api.adagrad(),
    adadelta: () => api.adadelta({ useEma: true }),
    adamax: () => api.adamax(),
    nadam: () => api.nadam({ gradientAccumulationSteps: 2 }),
    lion: () => api.lion(),
    ftrl: () => api.ftrl(),
    adafactor: () => api.adafactor(),
    muon: () => api.muon({ excludeLayers: ['dense_1'] }),
    'schedule-free': () => api.scheduleFreeAdamw({ warmupSteps: 4 }),
  })
  test.each(optimizers)('goes on after loading as if it had not stopped: %s', async (_, optimizer) => {
    const make = (): Model => {
      setSeed(11)
      const m = sequential([
        dense(5, { inputShape: [3], activation: 'tanh' }),
        dropout(0.3),
        dropout(0.2, { seed: 4 }),
        dense(1),
      ])
      m.compile({ optimizer: optimizer(), loss: 'mse', metrics: ['mae', api.metrics.r2Score()] as never })
      return m as never
    }
    const x = random.normal([8, 3], { seed: 1 })
    const y = random.normal([8, 1], { seed: 2 })
    const straight = make()
    for (let i = 0; i < 7; i++) await straight.trainOnBatch(x, y)
    let m = make()
    for (let i = 0; i < 3; i++) await m.trainOnBatch(x, y)
    const bytes = await m.toBytes()
    setSeed(99)
    m = await loadModel(bytes)
    expect(m.optimizer.iterations).toBe(3)
    for (let i = 3; i < 7; i++) await m.trainOnBatch(x, y)
    expect(bits(m.getWeights())).toEqual(bits(straight.getWeights()))
    expect(bits(m.optimizer.variables)).toEqual(bits(straight.optimizer.variables))
    expect((await loadModel(bytes, { compile: false })).isCompiled).toBe(false)
  })

  it('may be left out; what cannot be saved of it is told before anything is written', async () => {
    const m = sequential([dense(1, { inputShape: [2] })])
    m.compile({ optimizer: adam({ learningRate: () => 0.1 }), loss: 'mse' })
    await expect(m.toBytes()).rejects.toThrow(/registerFunction.*includeOptimizer: false/)
    expect((await loadModel(await m.toBytes({ includeOptimizer: false }))).isCompiled).toBe(false)
  })

  it('may go on while a model is saved: the file is of one step', async () => {
    const m = sequential([dense(1, { inputShape: [2] })]) as unknown as Model
    m.compile({ optimizer: 'sgd', loss: 'mse' })
    const before = bits(m.getWeights())
    const saved = m.toBytes()
    await m.trainOnBatch([[1, 2]], [[3]])
    expect(bits((await loadModel(await saved)).getWeights())).toEqual(before)
  })
})

describe('files', () => {
  it('that cannot be written leave nothing behind', async () => {
    const m = sequential([dense(1, { inputShape: [2] })])
    const before = readdirSync(folder)
    await expect(m.save(join(folder, 'none', 'm.safetensors'))).rejects.toThrow('none/m.safetensors')
    await expect(m.save(folder)).rejects.toThrow('save: cannot write')
    await expect(m.save('')).rejects.toThrow(ValueError)
    expect(readdirSync(folder)).toEqual(before)
    expect(
      readdirSync(join(folder, '..')).filter((name) => name.startsWith(`${folder.split('/').at(-1)}.`)),
    ).toEqual([])
  })

  it('that are none cannot be loaded', async () => {
    for (const path of [folder, '/dev/zero', join(folder, 'none')])
      await expect(loadModel(path), path).rejects.toThrow(api.FormatError)
    await expect(loadModel(7 as never)).rejects.toThrow(ValueError)
  })

  it('written at once by several savers are one of theirs, whole', async () => {
    const models = Array.from({ length: 5 }, () => sequential([dense(3, { inputShape: [2], name: 'd' })]))
    const path = join(folder, 'race.safetensors')
    await Promise.all(models.map((m) => m.save(path)))
    const got = bits((await loadModel(path)).getWeights())
    expect(models.some((m) => JSON.stringify(bits(m.getWeights())) === JSON.stringify(got))).toBe(true)
  })
})
