// Ours: the CPU, and gpu.js in its modes.
import { add, type Backend, exp, matmul, mul, setBackend, softmax, type Tensor, tensor } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend, type GpuMode } from '@adjoint/gpu'
import { columnOf, modelOf } from '../competitors/layer-models.js'
import { COLUMNS, type ModelName } from '../models.js'
import type { Inputs } from '../protocol.js'
import {
  AWAITED,
  type Contender,
  type Device,
  type Library,
  opsOf,
  stepsOf,
  type Trainer,
} from './contender.js'

function libraryOn(backend: Backend): Library<Tensor> {
  return {
    within: async (f) => {
      setBackend(backend)
      try {
        return await f()
      } finally {
        setBackend(cpuBackend)
      }
    },
    // A result is on the device alone.
    make: ({ values, shape }) => tensor(values, { shape }).add(0),
    matmul: (a, b) => matmul(a, b),
    mul,
    add,
    exp: (x) => exp(x),
    softmax: (x) => softmax(x),
    firstOf: (x) => x.reshape([-1]).slice([0], [AWAITED]).data(),
    read: (x) => x.data(),
    drop: (x) => x.dispose(),
  }
}

/** By `trainOnBatch`, which takes the batch from the host, step by step, and reads the loss. */
function trainer(which: ModelName, inputs: Inputs, plan: boolean): Trainer {
  const model = modelOf(which, inputs, plan)
  const column = (name: string): Tensor => columnOf(name, inputs[name]!)
  const [x, y] = [COLUMNS[which].x.map(column), COLUMNS[which].y.map(column)]
  return {
    step: async () => (await model.trainOnBatch(x, y)).loss,
    dispose() {
      for (const part of [...x, ...y]) part.dispose()
    },
  }
}

function contendersOn(
  device: Device,
  backend: Backend,
  ways: Readonly<Record<string, boolean>>,
): Contender[] {
  const library = libraryOn(backend)
  const { name } = device
  return [
    { name, device, programs: opsOf(library) },
    ...Object.entries(ways).map(([way, plan]) => ({
      name: `${name}, ${way}`,
      device,
      programs: stepsOf(library, (which, inputs) => trainer(which, inputs, plan)),
    })),
  ]
}

/** The CPU, which all are compared with. */
export const cpu: readonly Contender[] = contendersOn(
  { name: 'CPU', adapter: 'WebAssembly, one thread', isSoftware: false },
  cpuBackend,
  { plan: true },
)

/** Ours on a GPU. @throws BackendError where there is none. */
export async function onGpu(mode: GpuMode): Promise<Contender[]> {
  const backend = await createGpuBackend({ prefer: [mode], allowSoftware: true })
  const { adapter, isSoftware } = backend.info
  return contendersOn({ name: `gpu.js ${mode}`, adapter, isSoftware }, backend, {
    'op by op': false,
    plan: true,
  })
}
