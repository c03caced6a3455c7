// Who is measured. Everything runs in one program, in a browser or in Node, so that rounds take turns.
import {
  type Backend,
  matmul,
  mul,
  random,
  setBackend,
  setSeed,
  softmax,
  type Tensor,
  withBackend,
} from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend, type GpuMode } from '@adjoint/gpu'
import { concatenate, dense, embedding, flatten, input, type Model, model } from '@adjoint/layers'

/** Work made ready, its data on the device: done `times` times, then waited for. Gives the first values of the last result. */
export type Run = (times: number) => Promise<readonly number[]>

export type StepName = 'B1' | 'B2' | 'B3' | 'B4'

/** A library on one device. What it has no program for is left out. */
export interface Contender {
  readonly name: string
  /** The device, as it calls itself. */
  readonly adapter: string
  readonly isSoftware: boolean
  matmul(n: number): Run
  mul(size: number): Run
  softmax(rows: number, columns: number): Run
  step?(which: StepName, batch: number): Run
  /** The same op by op, where {@link step} is a plan. */
  stepByOps?(which: StepName, batch: number): Run
  /** Reads a result of so many values back. */
  readBack(size: number): Run
}

/** How many values are compared. */
export const COMPARED = 8

/** The same numbers for everybody. */
export function numbersFor(size: number, seed: number): Float32Array {
  return random.uniform([size], { seed, min: -1 }).dataSync() as Float32Array
}

function adjoint(name: string, backend: Backend, adapter: string, isSoftware: boolean): Contender {
  const make = (shape: readonly number[], seed: number): Tensor =>
    withBackend(cpuBackend, () => random.uniform(shape, { seed, min: -1 }))
  const resident = (x: Tensor): Tensor => withBackend(backend, () => x.add(0))
  const of =
    (once: () => Tensor): Run =>
    async (times) => {
      let out: Tensor | undefined
      for (let i = 0; i < times; i++) {
        out?.dispose()
        out = withBackend(backend, once)
      }
      const first = withBackend(backend, () => out!.reshape([-1]).slice([0], [COMPARED]))
      const values = Array.from(await first.data())
      out?.dispose()
      return values
    }
  const training = (which: StepName, batch: number, plan: boolean): Run => {
    setBackend(backend)
    // The same weights for everybody of ours.
    setSeed(7)
    const { m, x, y } = MODELS[which](batch, plan)
    setBackend(cpuBackend)
    return async (times) => {
      setBackend(backend)
      try {
        let loss = 0
        for (let i = 0; i < times; i++) loss = (await m.trainOnBatch(x, y)).loss!
        if (!Number.isFinite(loss)) throw new Error(`the loss became ${loss}`)
        return [loss]
      } finally {
        setBackend(cpuBackend)
      }
    }
  }
  return {
    name,
    adapter,
    isSoftware,
    matmul(n) {
      const [a, b] = [resident(make([n, n], 1)), resident(make([n, n], 2))]
      return of(() => matmul(a, b))
    },
    mul(size) {
      const [x, y] = [resident(make([size], 1)), resident(make([size], 2))]
      return of(() => mul(x, y))
    },
    softmax(rows, columns) {
      const x = resident(make([rows, columns], 1))
      return of(() => softmax(x))
    },
    step: (which, batch) => training(which, batch, true),
    // On the CPU op by op is measured by npm run bench.
    ...(backend !== cpuBackend && {
      stepByOps: (which: StepName, batch: number) => training(which, batch, false),
    }),
    readBack(size) {
      const x = resident(make([size], 1))
      return async (times) => {
        for (let i = 0; i < times; i++) await x.data()
        return []
      }
    },
  }
}

interface Task {
  readonly m: Model
  readonly x: Tensor | Tensor[]
  readonly y: Tensor | Tensor[]
}

/** The models of ARCHITECTURE: what they are is said in the README. */
const MODELS: { readonly [N in StepName]: (batch: number, plan: boolean) => Task } = {
  B1(batch, plan) {
    const [a, b] = [input({ shape: [10] }), input({ shape: [5] })]
    const h = concatenate([dense(64, { activation: 'relu' })(a), dense(32, { activation: 'relu' })(b)])
    const m = model({ inputs: [a, b], outputs: dense(1)(h) }).compile({
      optimizer: 'adam',
      loss: 'mse',
      plan,
    })
    return { m, x: [uniform([batch, 10]), uniform([batch, 5])], y: uniform([batch, 1]) }
  },
  B2(batch, plan) {
    const [a, id] = [input({ shape: [10] }), input({ shape: [1], dtype: 'int32' })]
    const h = concatenate([dense(64, { activation: 'relu' })(a), flatten()(embedding(100, 32)(id))])
    const m = model({ inputs: [a, id], outputs: dense(1, { activation: 'sigmoid' })(h) })
    m.compile({ optimizer: 'adam', loss: 'binary_crossentropy', plan })
    const ids = random.randint(0, 100, [batch, 1], { seed: 3 })
    return { m, x: [uniform([batch, 10]), ids], y: random.bernoulli(0.5, [batch, 1], { seed: 4 }) }
  },
  B3(batch, plan) {
    const x = input({ shape: [20] })
    const h64 = dense(64, { activation: 'relu' })(dense(128, { activation: 'relu' })(x))
    const h32 = dense(32, { activation: 'relu' })(h64)
    const outputs = [
      dense(1)(h64),
      dense(1, { activation: 'sigmoid' })(h32),
      dense(5, { activation: 'softmax' })(concatenate([h64, h32])),
    ]
    const m = model({ inputs: x, outputs }).compile({
      optimizer: 'adam',
      loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'],
      plan,
    })
    const y = [
      uniform([batch, 1]),
      random.bernoulli(0.5, [batch, 1], { seed: 4 }),
      softmax(uniform([batch, 5])),
    ]
    return { m, x: uniform([batch, 20]), y }
  },
  B4(batch, plan) {
    const x = input({ shape: [784] })
    const h = dense(128, { activation: 'relu' })(dense(256, { activation: 'relu' })(x))
    const m = model({ inputs: x, outputs: dense(10, { activation: 'softmax' })(h) })
    m.compile({ optimizer: 'adam', loss: 'categorical_crossentropy', plan })
    return { m, x: uniform([batch, 784]), y: softmax(uniform([batch, 10])) }
  },
}

function uniform(shape: readonly number[]): Tensor {
  return random.uniform(shape, { seed: 5 })
}

export const cpu: Contender = adjoint('cpu', cpuBackend, 'WebAssembly or plain loops', false)

/** Ours on a GPU. @throws BackendError where there is none. */
export async function onGpu(mode: GpuMode): Promise<Contender> {
  const backend = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  return adjoint(`gpu.js ${mode}`, backend, backend.info.adapter, backend.info.isSoftware)
}
