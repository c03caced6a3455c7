// TensorFlow.js: `tfjs.ts cpu` or `tfjs.ts wasm`. Only the part of its types that is used is written down here,
// so that this file compiles without the peers being installed.
import { createRequire } from 'node:module'
import { LARGE_BATCH } from '../cases.js'
import { firstStep } from '../competitors/first-step.js'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { batchesOf, fitting, tiled, training, trainingAsync, updating } from '../competitors/training.js'
import { COLUMNS, type ModelName } from '../models.js'
import { adamOf, lossOf, modelOf, type TfLayers } from './tfjs-models.js'

interface Tensor {
  readonly shape: readonly number[]
  dataSync(): Float32Array
  dispose(): void
}
interface Variable extends Tensor {
  readonly name: string
}
interface Tf extends TfLayers {
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

  function stepper(batchCount: number, loss: (batch: number) => Tensor): Prepared {
    const optimizer = adamOf(tf)
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

  /** Steps by trainOnBatch. */
  const train =
    (which: ModelName): Program =>
    (inputs) => {
      const model = modelOf(tf, which, inputs)
      const [x, y] = [COLUMNS[which].x, COLUMNS[which].y].map((names) =>
        names.map((name) => batches(inputs[name]!)),
      )
      return trainingAsync(y![0]!.length, async (i) =>
        lossOf(
          await model.trainOnBatch(
            x!.map((parts) => parts[i]!),
            y!.map((parts) => parts[i]!),
          ),
        ),
      )
    }

  return {
    'b1-train': train('b1'),
    'b2-train': train('b2'),
    'b3-train': train('b3'),
    'fit-seed1'(inputs) {
      const model = modelOf(tf, 'b1', inputs)
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
      const optimizer = adamOf(tf)
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
