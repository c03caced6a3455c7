// TensorFlow.js: `tfjs.ts cpu` or `tfjs.ts wasm`. Only the part of its types that is used is written down here,
// so that this file compiles without the peers being installed.
import { createRequire } from 'node:module'
import { LARGE_BATCH } from '../cases.js'
import { firstStep } from '../competitors/first-step.js'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import {
  batchesOf,
  BETA1,
  BETA2,
  EPSILON,
  fitting,
  LEARNING_RATE,
  tiled,
  training,
  trainingAsync,
  updating,
} from '../competitors/training.js'

interface Tensor {
  readonly shape: readonly number[]
  dataSync(): Float32Array
  dispose(): void
}
interface Variable extends Tensor {
  readonly name: string
}
interface Layer {
  apply(x: unknown): Symbolic
}
interface Symbolic {
  readonly shape: readonly (number | null)[]
}
interface Model {
  readonly layers: readonly {
    getWeights(): readonly Tensor[]
    setWeights(weights: readonly Tensor[]): void
  }[]
  compile(options: { optimizer: unknown; loss: string | readonly string[] }): void
  trainOnBatch(x: unknown, y: unknown): Promise<number | number[]>
  fit(x: unknown, y: unknown, options: object): Promise<{ readonly history: { readonly loss: number[] } }>
}
interface Tf {
  readonly version: { readonly tfjs: string }
  env(): { getAsync(flag: string): Promise<unknown> }
  setBackend(name: string): Promise<boolean>
  getBackend(): string
  tidy<R>(f: () => R): R
  tensor(values: Float32Array | Int32Array, shape: readonly number[], dtype?: 'int32'): Tensor
  variable(value: Tensor): Variable
  variableGrads(f: () => Tensor): { value: Tensor; grads: Record<string, Tensor> }
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor
  gather(x: Tensor, indices: Tensor): Tensor
  add(a: Tensor, b: Tensor): Tensor
  mul(a: Tensor, b: Tensor): Tensor
  relu(x: Tensor): Tensor
  exp(x: Tensor): Tensor
  tanh(x: Tensor): Tensor
  sigmoid(x: Tensor): Tensor
  softmax(x: Tensor): Tensor
  concat(xs: readonly Tensor[], axis: number): Tensor
  readonly losses: Record<
    'meanSquaredError' | 'sigmoidCrossEntropy' | 'softmaxCrossEntropy',
    (labels: Tensor, predictions: Tensor) => Tensor
  >
  input(options: { shape: readonly number[] }): Symbolic
  model(ends: { inputs: unknown; outputs: unknown }): Model
  readonly layers: {
    dense(options: { units: number; activation?: string }): Layer
    embedding(options: { inputDim: number; outputDim: number }): Layer
    flatten(): Layer
    concatenate(): Layer
  }
  readonly train: {
    adam(
      learningRate: number,
      beta1: number,
      beta2: number,
      epsilon: number,
    ): { applyGradients(grads: Record<string, Tensor>): void }
  }
}

await serve(async () => {
  const backend = process.argv[2] === 'wasm' ? 'wasm' : 'cpu'
  const require = createRequire(import.meta.url)
  // createRequire gives untyped modules.
  const tf = require('@tensorflow/tfjs') as Tf
  if (backend === 'wasm') require('@tensorflow/tfjs-backend-wasm')
  if (!(await tf.setBackend(backend)) || tf.getBackend() !== backend)
    throw new Error(`tfjs did not take the ${backend} backend`)
  const simd = backend === 'wasm' && (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true
  return {
    versions: { '@tensorflow/tfjs': `${tf.version.tfjs} (${backend}${simd ? ', SIMD' : ''})` },
    programs: {
      ...programs(tf),
      ...(backend === 'wasm' && { import: (inputs) => firstStep('tfjs-wasm', inputs) }),
    },
  }
})

function programs(tf: Tf): Record<string, Program> {
  const make = ({ values, shape }: Input): Tensor => tf.tensor(values, shape)
  const batches = (input: Input, batch?: number): Tensor[] => batchesOf(input, batch).map(make)
  const ids = (input: Input): Tensor[] =>
    batchesOf(input).map(({ values }) => tf.tensor(Int32Array.from(values), [values.length], 'int32'))

  interface Weights {
    readonly w: Variable
    readonly b: Variable
  }
  const layer = (inputs: Inputs, id: string): Weights => ({
    w: tf.variable(make(inputs[`w${id}`]!)),
    b: tf.variable(make(inputs[`b${id}`]!)),
  })
  const dense = (x: Tensor, { w, b }: Weights): Tensor => tf.add(tf.matMul(x, w), b)

  const adam = (): ReturnType<Tf['train']['adam']> => tf.train.adam(LEARNING_RATE, BETA1, BETA2, EPSILON)

  function stepper(batchCount: number, loss: (batch: number) => Tensor): Prepared {
    const optimizer = adam()
    return training(batchCount, (batch) => {
      const value = tf.tidy(() => {
        const found = tf.variableGrads(() => loss(batch))
        optimizer.applyGradients(found.grads)
        return found.value
      })
      const number = value.dataSync()[0]!
      value.dispose()
      return number
    })
  }

  const b1: Program = (inputs) => {
    const [x1, x2, y] = [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)]
    const [first, second, last] = [layer(inputs, '1'), layer(inputs, '2'), layer(inputs, '3')]
    return stepper(y.length, (i) => {
      const h1 = tf.relu(dense(x1[i]!, first))
      const h2 = tf.relu(dense(x2[i]!, second))
      return tf.losses.meanSquaredError(y[i]!, dense(tf.concat([h1, h2], 1), last))
    })
  }

  const b2: Program = (inputs) => {
    const [x, id, y] = [batches(inputs.x!), ids(inputs.id!), batches(inputs.y!)]
    const [first, last] = [layer(inputs, '1'), layer(inputs, '2')]
    const table = tf.variable(make(inputs.table!))
    return stepper(y.length, (i) => {
      const h = tf.concat([tf.relu(dense(x[i]!, first)), tf.gather(table, id[i]!)], 1)
      return tf.losses.sigmoidCrossEntropy(y[i]!, dense(h, last))
    })
  }

  const b3: Program = (inputs) => {
    const x = batches(inputs.x!)
    const [yA, yB, yC] = [batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)]
    const layers = ['1', '2', '3', 'A', 'B', 'C'].map((id) => layer(inputs, id))
    const [d1, d2, d3, a, b, c] = layers as [Weights, Weights, Weights, Weights, Weights, Weights]
    return stepper(x.length, (i) => {
      const h2 = tf.relu(dense(tf.relu(dense(x[i]!, d1)), d2))
      const h3 = tf.relu(dense(h2, d3))
      const lossA = tf.losses.meanSquaredError(yA[i]!, dense(h2, a))
      const lossB = tf.losses.sigmoidCrossEntropy(yB[i]!, dense(h3, b))
      const lossC = tf.losses.softmaxCrossEntropy(yC[i]!, dense(tf.concat([h2, h3], 1), c))
      return tf.add(tf.add(lossA, lossB), lossC)
    })
  }

  const b4: Program = (inputs) => {
    const [x, y] = [batches(inputs.x!, LARGE_BATCH), batches(inputs.y!, LARGE_BATCH)]
    const [d1, d2, d3] = ['1', '2', '3'].map((id) => layer(inputs, id)) as [Weights, Weights, Weights]
    return stepper(x.length, (i) =>
      tf.losses.softmaxCrossEntropy(y[i]!, dense(tf.relu(dense(tf.relu(dense(x[i]!, d1)), d2)), d3)),
    )
  }

  /** An op on its own, its output disposed of as tfjs asks. */
  function repeated(op: () => Tensor): Prepared {
    return {
      results: () => op().dataSync(),
      run(times) {
        for (let i = 0; i < times; i++) op().dispose()
      },
    }
  }
  const unary =
    (op: (x: Tensor) => Tensor): Program =>
    (inputs) => {
      const x = make(inputs.x!)
      return repeated(() => op(x))
    }

  const product =
    (transposeA: boolean, transposeB: boolean): Program =>
    (inputs) => {
      const [a, b] = [make(inputs.a!), make(inputs.b!)]
      return repeated(() => tf.matMul(a, b, transposeA, transposeB))
    }

  const units = (count: number, activation?: string): Layer =>
    tf.layers.dense({ units: count, ...(activation !== undefined && { activation }) })

  /** Weights are given to layers in the order in which they were made. */
  function setWeights(model: Model, inputs: Inputs, ids: readonly string[]): void {
    model.layers
      .filter((made) => made.getWeights().length > 0)
      .forEach((made, i) => made.setWeights([make(inputs[`w${ids[i]}`]!), make(inputs[`b${ids[i]}`]!)]))
  }

  function buildB1(inputs: Inputs): Model {
    const [x1, x2] = [tf.input({ shape: [10] }), tf.input({ shape: [5] })]
    const h = [units(64, 'relu').apply(x1), units(32, 'relu').apply(x2)]
    const model = tf.model({ inputs: [x1, x2], outputs: units(1).apply(tf.layers.concatenate().apply(h)) })
    model.compile({ optimizer: adam(), loss: 'meanSquaredError' })
    setWeights(model, inputs, ['1', '2', '3'])
    return model
  }

  /** The loss of all outputs comes first where there are several. */
  const lossOf = (logs: number | number[]): number => (typeof logs === 'number' ? logs : logs[0]!)

  return {
    'b1-train'(inputs) {
      const model = buildB1(inputs)
      const [x1, x2, y] = [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)]
      return trainingAsync(y.length, async (i) => lossOf(await model.trainOnBatch([x1[i], x2[i]], y[i])))
    },
    'b2-train'(inputs) {
      const [x, id] = [tf.input({ shape: [10] }), tf.input({ shape: [1] })]
      const table = tf.layers.flatten().apply(tf.layers.embedding({ inputDim: 100, outputDim: 32 }).apply(id))
      const h = tf.layers.concatenate().apply([units(64, 'relu').apply(x), table])
      const model = tf.model({ inputs: [x, id], outputs: units(1, 'sigmoid').apply(h) })
      model.compile({ optimizer: adam(), loss: 'binaryCrossentropy' })
      const given: Record<string, readonly Tensor[]> = {
        '10,64': [make(inputs.w1!), make(inputs.b1!)],
        '100,32': [make(inputs.table!)],
        '96,1': [make(inputs.w2!), make(inputs.b2!)],
      }
      for (const made of model.layers) {
        const [kernel] = made.getWeights()
        if (kernel !== undefined) made.setWeights(given[kernel.shape.join()]!)
      }
      const [xs, y] = [batches(inputs.x!), batches(inputs.y!)]
      const rows = batches(inputs.id!)
      return trainingAsync(y.length, async (i) => lossOf(await model.trainOnBatch([xs[i], rows[i]], y[i])))
    },
    'b3-train'(inputs) {
      const x = tf.input({ shape: [20] })
      const h2 = units(64, 'relu').apply(units(128, 'relu').apply(x))
      const h3 = units(32, 'relu').apply(h2)
      const a = units(1).apply(h2)
      const b = units(1, 'sigmoid').apply(h3)
      const c = units(5, 'softmax').apply(tf.layers.concatenate().apply([h2, h3]))
      const model = tf.model({ inputs: x, outputs: [a, b, c] })
      const loss = ['meanSquaredError', 'binaryCrossentropy', 'categoricalCrossentropy']
      model.compile({ optimizer: adam(), loss })
      setWeights(model, inputs, ['1', '2', '3', 'A', 'B', 'C'])
      const xs = batches(inputs.x!)
      const [yA, yB, yC] = [batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)]
      return trainingAsync(xs.length, async (i) =>
        lossOf(await model.trainOnBatch(xs[i], [yA[i], yB[i], yC[i]])),
      )
    },
    'fit-seed1'(inputs) {
      const model = buildB1(inputs)
      const [x1, x2, y] = [make(inputs.x1!), make(inputs.x2!), make(inputs.y!)]
      return fitting(async (shuffle) => {
        const { history } = await model.fit([x1, x2], y, { epochs: 10, shuffle, verbose: 0 })
        return history.loss
      })
    },
    'b1-eager': b1,
    'b1-plan': b1,
    'b2-plan': b2,
    'b3-eager': b3,
    'b3-plan': b3,
    'b4-plan': b4,
    matmul: product(false, false),
    'matmul-tn': product(true, false),
    'matmul-nt': product(false, true),
    'matmul-tt': product(true, true),
    adam(inputs) {
      const w = tf.variable(make(tiled(inputs.w!)))
      const grads = { [w.name]: make(tiled(inputs.g!)) }
      const optimizer = adam()
      return updating(
        () => optimizer.applyGradients(grads),
        () => w.dataSync(),
      )
    },
    mul(inputs) {
      const [x, y] = [make(inputs.x!), make(inputs.y!)]
      return repeated(() => tf.mul(x, y))
    },
    exp: unary((x) => tf.exp(x)),
    tanh: unary((x) => tf.tanh(x)),
    sigmoid: unary((x) => tf.sigmoid(x)),
    softmax: unary((x) => tf.softmax(x)),
  }
}
