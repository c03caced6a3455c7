// jax-js on WebGPU: its types are in ../peers. Steps are compiled by its jit, written by hand as they are for the CPU.
import { rateAt } from '../competitors/adam.js'
import { COLUMNS } from '../models.js'
import { type Jax, type JaxArray, jaxSteps } from '../peers/jax-steps.js'
import { AWAITED, type Contender, type Device, type Library, opsOf, stepsOf } from './contender.js'

/** @throws Error where there is no WebGPU. */
export async function jax(module: Jax, device: Device): Promise<Contender> {
  const { init, defaultDevice, jit, numpy: np, nn, tree } = module
  if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js has no webgpu here')
  defaultDevice('webgpu')
  const library: Library<JaxArray> = {
    within: (f) => f(),
    make: ({ values, shape }) => np.array(values, { shape }),
    matmul: (a, b) => np.matmul(a.ref, b.ref),
    mul: (a, b) => a.ref.mul(b.ref),
    add: (a, b) => a.ref.add(b.ref),
    exp: (x) => np.exp(x.ref),
    softmax: (x) => nn.softmax(x.ref, -1),
    // It is lazy: this has it computed, without waiting for the end.
    async submit(x) {
      await x.ref.gpuBuffer()
    },
    firstOf: (x) => x.ref.reshape([-1]).slice([0, AWAITED]).data(),
    read: (x) => x.ref.data(),
    drop: (x) => x.dispose(),
  }
  const { begin, columnOf, losses, stepOf } = jaxSteps(module)
  const steps = stepsOf(library, (which, inputs) => {
    let state = begin(which, inputs)
    let count = 0
    const { x, y } = COLUMNS[which]
    const batch = [...x, ...y].map((name) => columnOf(name, inputs[name]!))
    const once = jit(stepOf(losses[which]))
    return {
      async step() {
        const rate = np.array(Float32Array.of(rateAt(++count)), { shape: [] })
        const [loss, next] = once(state, rate, ...batch.map((part) => part.ref))
        state = next
        // The weights are computed by what the loss is: all of a step is submitted together.
        return (await loss.data())[0]!
      },
      dispose() {
        tree.dispose(state)
        for (const part of batch) part.dispose()
      },
    }
  })
  return { name: device.name, device, programs: { ...opsOf(library), ...steps } }
}
