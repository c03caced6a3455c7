// tfjs and jax-js in a browser. Only the part of their types that is used is written down here, so that this file
// compiles without them being installed; the page's server finds them in benchmarks/peers.
import { COMPARED, type Contender, numbersFor, type Run } from './contenders.js'

interface TfTensor {
  data(): Promise<Float32Array>
  dispose(): void
}
interface Tf {
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  tensor(values: Float32Array, shape: readonly number[]): TfTensor
  matMul(a: TfTensor, b: TfTensor): TfTensor
  mul(a: TfTensor, b: TfTensor): TfTensor
  softmax(x: TfTensor): TfTensor
  reshape(x: TfTensor, shape: readonly number[]): TfTensor
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor
  tidy<R>(f: () => R): R
}

/** TensorFlow.js on `webgl` or `webgpu`. */
export async function tfjs(
  tf: Tf,
  backend: 'webgl' | 'webgpu',
  adapter: string,
  isSoftware: boolean,
): Promise<Contender> {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no ${backend} here`)
  await tf.ready()
  const make = (shape: readonly number[], seed: number): TfTensor =>
    tf.tensor(
      numbersFor(
        shape.reduce((n, side) => n * side, 1),
        seed,
      ),
      shape,
    )
  const of = (prepare: () => () => TfTensor): Run => {
    let once: (() => TfTensor) | undefined
    return async (times) => {
      await tf.setBackend(backend)
      once ??= prepare()
      let out: TfTensor | undefined
      for (let i = 0; i < times; i++) {
        out?.dispose()
        out = once()
      }
      const first = tf.tidy(() => tf.slice(tf.reshape(out!, [-1]), [0], [COMPARED]))
      const values = Array.from(await first.data())
      first.dispose()
      out?.dispose()
      return values
    }
  }
  return {
    name: `tfjs ${backend}`,
    adapter,
    isSoftware,
    matmul: (n) =>
      of(() => {
        const [a, b] = [make([n, n], 1), make([n, n], 2)]
        return () => tf.matMul(a, b)
      }),
    mul: (size) =>
      of(() => {
        const [x, y] = [make([size], 1), make([size], 2)]
        return () => tf.mul(x, y)
      }),
    softmax: (rows, columns) =>
      of(() => {
        const x = make([rows, columns], 1)
        return () => tf.softmax(x)
      }),
    readBack(size) {
      return async (times) => {
        await tf.setBackend(backend)
        for (let i = 0; i < times; i++) {
          const x = tf.tidy(() => tf.mul(make([size], 1), make([1], 2)))
          await x.data()
          x.dispose()
        }
        return []
      }
    },
  }
}

interface JaxArray {
  readonly ref: JaxArray
  mul(other: JaxArray): JaxArray
  data(): Promise<Float32Array>
  blockUntilReady(): Promise<JaxArray>
  dispose(): void
}
interface Jax {
  readonly init: (device: string) => Promise<readonly string[]>
  readonly defaultDevice: (device?: string) => string
  readonly numpy: {
    array(values: Float32Array, options: { shape: readonly number[] }): JaxArray
    matmul(a: JaxArray, b: JaxArray): JaxArray
  }
  readonly nn: { softmax(x: JaxArray, axis?: number): JaxArray }
}

/** jax-js on WebGPU. */
export async function jax(
  { init, defaultDevice, numpy: np, nn }: Jax,
  adapter: string,
  isSoftware: boolean,
): Promise<Contender> {
  if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js has no webgpu here')
  defaultDevice('webgpu')
  const make = (shape: readonly number[], seed: number): JaxArray =>
    np.array(
      numbersFor(
        shape.reduce((n, side) => n * side, 1),
        seed,
      ),
      { shape },
    )
  const of =
    (once: () => JaxArray): Run =>
    async (times) => {
      let out: JaxArray | undefined
      for (let i = 0; i < times; i++) {
        out?.dispose()
        out = await once().blockUntilReady()
      }
      // Read outside of what is timed by the caller where that is long: see compare.ts.
      return Array.from((await out!.data()).subarray(0, COMPARED))
    }
  return {
    name: 'jax-js webgpu',
    adapter,
    isSoftware,
    matmul(n) {
      const [a, b] = [make([n, n], 1), make([n, n], 2)]
      return of(() => np.matmul(a.ref, b.ref))
    },
    mul(size) {
      const [x, y] = [make([size], 1), make([size], 2)]
      return of(() => x.ref.mul(y.ref))
    },
    softmax(rows, columns) {
      const x = make([rows, columns], 1)
      return of(() => nn.softmax(x.ref, -1))
    },
    readBack(size) {
      const x = make([size], 1)
      return async (times) => {
        for (let i = 0; i < times; i++) await x.ref.data()
        return []
      }
    },
  }
}
