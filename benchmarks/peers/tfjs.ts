// TensorFlow.js: `tfjs.ts cpu` or `tfjs.ts wasm`. Only the part of its types that is used is written down here,
// so that this file compiles without the peers being installed.
import { createRequire } from 'node:module'
import { type Input, type Inputs, type Prepared, type Program, serve } from '../protocol.js'
import { batchesOf, BETA1, BETA2, EPSILON, LEARNING_RATE, training } from '../competitors/training.js'

interface Tensor {
  dataSync(): Float32Array
  dispose(): void
}
interface Variable extends Tensor {
  readonly name: string
}
interface Tf {
  readonly version: { readonly tfjs: string }
  env(): { getAsync(flag: string): Promise<unknown> }
  setBackend(name: string): Promise<boolean>
  getBackend(): string
  tidy<R>(f: () => R): R
  tensor(values: Float32Array, shape: readonly number[]): Tensor
  variable(value: Tensor): Variable
  variableGrads(f: () => Tensor): { value: Tensor; grads: Record<string, Tensor> }
  matMul(a: Tensor, b: Tensor): Tensor
  add(a: Tensor, b: Tensor): Tensor
  mul(a: Tensor, b: Tensor): Tensor
  relu(x: Tensor): Tensor
  exp(x: Tensor): Tensor
  tanh(x: Tensor): Tensor
  softmax(x: Tensor): Tensor
  concat(xs: readonly Tensor[], axis: number): Tensor
  readonly losses: Record<
    'meanSquaredError' | 'sigmoidCrossEntropy' | 'softmaxCrossEntropy',
    (labels: Tensor, predictions: Tensor) => Tensor
  >
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
    programs: programs(tf),
  }
})

function programs(tf: Tf): Record<string, Program> {
  const make = ({ values, shape }: Input): Tensor => tf.tensor(values, shape)
  const batches = (input: Input): Tensor[] => batchesOf(input).map(make)

  interface Layer {
    readonly w: Variable
    readonly b: Variable
  }
  const layer = (inputs: Inputs, id: string): Layer => ({
    w: tf.variable(make(inputs[`w${id}`]!)),
    b: tf.variable(make(inputs[`b${id}`]!)),
  })
  const dense = (x: Tensor, { w, b }: Layer): Tensor => tf.add(tf.matMul(x, w), b)

  function stepper(batchCount: number, loss: (batch: number) => Tensor): Prepared {
    const optimizer = tf.train.adam(LEARNING_RATE, BETA1, BETA2, EPSILON)
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

  return {
    b1(inputs) {
      const [x1, x2, y] = [batches(inputs.x1!), batches(inputs.x2!), batches(inputs.y!)]
      const [first, second, last] = [layer(inputs, '1'), layer(inputs, '2'), layer(inputs, '3')]
      return stepper(y.length, (i) => {
        const h1 = tf.relu(dense(x1[i]!, first))
        const h2 = tf.relu(dense(x2[i]!, second))
        return tf.losses.meanSquaredError(y[i]!, dense(tf.concat([h1, h2], 1), last))
      })
    },
    b3(inputs) {
      const x = batches(inputs.x!)
      const [yA, yB, yC] = [batches(inputs.yA!), batches(inputs.yB!), batches(inputs.yC!)]
      const layers = ['1', '2', '3', 'A', 'B', 'C'].map((id) => layer(inputs, id))
      const [d1, d2, d3, a, b, c] = layers as [Layer, Layer, Layer, Layer, Layer, Layer]
      return stepper(x.length, (i) => {
        const h2 = tf.relu(dense(tf.relu(dense(x[i]!, d1)), d2))
        const h3 = tf.relu(dense(h2, d3))
        const lossA = tf.losses.meanSquaredError(yA[i]!, dense(h2, a))
        const lossB = tf.losses.sigmoidCrossEntropy(yB[i]!, dense(h3, b))
        const lossC = tf.losses.softmaxCrossEntropy(yC[i]!, dense(tf.concat([h2, h3], 1), c))
        return tf.add(tf.add(lossA, lossB), lossC)
      })
    },
    matmul(inputs) {
      const [a, b] = [make(inputs.a!), make(inputs.b!)]
      return repeated(() => tf.matMul(a, b))
    },
    mul(inputs) {
      const [x, y] = [make(inputs.x!), make(inputs.y!)]
      return repeated(() => tf.mul(x, y))
    },
    exp: unary((x) => tf.exp(x)),
    tanh: unary((x) => tf.tanh(x)),
    softmax: unary((x) => tf.softmax(x)),
  }
}
