// TensorFlow.js. Only the part of its types that is used is written down here and in ../peers, so that this file
// compiles without it being installed.
import { COLUMNS } from '../models.js'
import { lossOf, modelOf, type TfLayers } from '../peers/tfjs-models.js'
import { AWAITED, type Contender, type Device, type Library, opsOf, stepsOf } from './contender.js'

interface TfTensor {
  data(): Promise<Float32Array>
  dispose(): void
}
export interface Tf extends TfLayers {
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  tensor(values: Float32Array, shape: readonly number[]): TfTensor
  matMul(a: TfTensor, b: TfTensor): TfTensor
  mul(a: TfTensor, b: TfTensor): TfTensor
  add(a: TfTensor, b: TfTensor): TfTensor
  exp(x: TfTensor): TfTensor
  softmax(x: TfTensor): TfTensor
  reshape(x: TfTensor, shape: readonly number[]): TfTensor
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor
  tidy<R>(f: () => R): R
}

/**
 * Adam here adds epsilon to the root of the corrected average, the others to that of the average, as Keras does. With
 * an epsilon that is right for the first step (31.6 times) the second loss of B4 agrees to 2e-6.
 */
const TOLERANCE = 2e-2

/** @throws Error where the backend cannot be had. */
export async function tfjs(tf: Tf, backend: 'webgl' | 'webgpu', device: Device): Promise<Contender> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no ${backend} here`)
  await tf.ready()
  const library: Library<TfTensor> = {
    within: async (f) => {
      await tf.setBackend(backend)
      return f()
    },
    // A result is on the device; what is made of values goes there when it is first read.
    make: ({ values, shape }) =>
      tf.tidy(() => tf.mul(tf.tensor(values, shape), tf.tensor(Float32Array.of(1), []))),
    matmul: (a, b) => tf.matMul(a, b),
    mul: (a, b) => tf.mul(a, b),
    add: (a, b) => tf.add(a, b),
    exp: (x) => tf.exp(x),
    softmax: (x) => tf.softmax(x),
    async firstOf(x) {
      const first = tf.tidy(() => tf.slice(tf.reshape(x, [-1]), [0], [AWAITED]))
      const values = await first.data()
      first.dispose()
      return values
    },
    read: (x) => x.data(),
    drop: (x) => x.dispose(),
  }
  const steps = stepsOf(library, (which, inputs) => {
    const model = modelOf(tf, which, inputs)
    const column = (name: string): TfTensor => tf.tensor(inputs[name]!.values, inputs[name]!.shape)
    const [x, y] = [COLUMNS[which].x.map(column), COLUMNS[which].y.map(column)]
    return {
      step: async () => lossOf(await model.trainOnBatch(x, y)),
      dispose() {
        model.dispose()
        for (const part of [...x, ...y]) part.dispose()
      },
    }
  })
  return { name: device.name, device, tolerance: TOLERANCE, programs: { ...opsOf(library), ...steps } }
}
