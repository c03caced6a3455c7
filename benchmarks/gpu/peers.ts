// tfjs and jax-js in a browser. Only the part of their types that is used is written down here, so that this file
// compiles without them being installed; the page's server finds them in benchmarks/peers.
import { COMPARED, type Contender, numbersFor, type Run, type StepName } from './contenders.js'

interface TfTensor {
  data(): Promise<Float32Array>
  dispose(): void
}
interface TfSymbol {
  readonly shape: readonly (number | null)[]
}
interface TfLayer {
  apply(inputs: TfSymbol | readonly TfSymbol[]): TfSymbol
}
interface TfModel {
  compile(options: { optimizer: string; loss: string | readonly string[] }): void
  trainOnBatch(
    x: TfTensor | readonly TfTensor[],
    y: TfTensor | readonly TfTensor[],
  ): Promise<number | readonly number[]>
}
interface Tf {
  input(options: { shape: readonly number[]; dtype?: string }): TfSymbol
  model(options: { inputs: TfSymbol | readonly TfSymbol[]; outputs: TfSymbol | readonly TfSymbol[] }): TfModel
  readonly layers: {
    dense(options: { units: number; activation?: string }): TfLayer
    embedding(options: { inputDim: number; outputDim: number }): TfLayer
    flatten(): TfLayer
    concatenate(): TfLayer
  }
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
    step(which, batch) {
      let task: TfTask | undefined
      return async (times) => {
        await tf.setBackend(backend)
        task ??= tfTask(tf, which, (shape, seed) =>
          seed === 'ids'
            ? tf.tensor(
                Float32Array.from(numbersFor(batch, 3), (x) => Math.floor(Math.abs(x) * 100)),
                [batch, ...shape],
              )
            : make([batch, ...shape], seed),
        )
        const { m, x, y } = task
        for (let i = 0; i < times; i++) await m.trainOnBatch(x, y)
        return []
      }
    },
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

interface TfTask {
  readonly m: TfModel
  readonly x: TfTensor | readonly TfTensor[]
  readonly y: TfTensor | readonly TfTensor[]
}

/** The models of contenders.ts. Targets are any numbers: they cost the same. */
function tfTask(
  tf: Tf,
  which: StepName,
  make: (shape: readonly number[], seed: number | 'ids') => TfTensor,
): TfTask {
  const { layers } = tf
  const dense = (units: number, activation?: string): TfLayer =>
    layers.dense({ units, ...(activation !== undefined && { activation }) })
  const built = (
    inputs: TfSymbol | readonly TfSymbol[],
    outputs: TfSymbol | readonly TfSymbol[],
    loss: string | readonly string[],
  ): TfModel => {
    const m = tf.model({ inputs, outputs })
    m.compile({ optimizer: 'adam', loss })
    return m
  }
  switch (which) {
    case 'B1': {
      const [a, b] = [tf.input({ shape: [10] }), tf.input({ shape: [5] })]
      const h = layers.concatenate().apply([dense(64, 'relu').apply(a), dense(32, 'relu').apply(b)])
      const m = built([a, b], dense(1).apply(h), 'meanSquaredError')
      return { m, x: [make([10], 1), make([5], 2)], y: make([1], 3) }
    }
    case 'B2': {
      const [a, id] = [tf.input({ shape: [10] }), tf.input({ shape: [1], dtype: 'int32' })]
      const ids = layers.flatten().apply(layers.embedding({ inputDim: 100, outputDim: 32 }).apply(id))
      const h = layers.concatenate().apply([dense(64, 'relu').apply(a), ids])
      const m = built([a, id], dense(1, 'sigmoid').apply(h), 'binaryCrossentropy')
      return { m, x: [make([10], 1), make([1], 'ids')], y: make([1], 3) }
    }
    case 'B3': {
      const x = tf.input({ shape: [20] })
      const h64 = dense(64, 'relu').apply(dense(128, 'relu').apply(x))
      const h32 = dense(32, 'relu').apply(h64)
      const c = dense(5, 'softmax').apply(layers.concatenate().apply([h64, h32]))
      const m = built(
        x,
        [dense(1).apply(h64), dense(1, 'sigmoid').apply(h32), c],
        ['meanSquaredError', 'binaryCrossentropy', 'categoricalCrossentropy'],
      )
      return { m, x: make([20], 1), y: [make([1], 2), make([1], 3), make([5], 4)] }
    }
    case 'B4': {
      const x = tf.input({ shape: [784] })
      const y = dense(10, 'softmax').apply(dense(128, 'relu').apply(dense(256, 'relu').apply(x)))
      return { m: built(x, y, 'categoricalCrossentropy'), x: make([784], 1), y: make([10], 2) }
    }
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
