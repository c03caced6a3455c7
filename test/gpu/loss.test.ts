// What is left when a device is lost. In a file of its own: the device that is lost here is everybody's in a process.
import { BackendError, grad, matmul, setBackend, tensor, variable, withBackend } from '@adjoint/core'
import { cpuBackend } from '@adjoint/core/extend'
import { createGpuBackend, type GpuBackend } from '@adjoint/gpu'
import { dense, input, lambdaCallback, model } from '@adjoint/layers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpu } from '../support/gpu.js'

interface WebGpuDevice {
  destroy(): void
}
interface WebGpu {
  requestAdapter(): Promise<{ requestDevice(options: object): Promise<WebGpuDevice> }>
}

const { gpu: first } = await openGpu()

describe.skipIf(first === undefined)('when the device is lost', () => {
  let gpu: GpuBackend
  let device: WebGpuDevice
  beforeAll(async () => {
    // gpu.js asks for the device of everybody: the first one goes, and the next is seen here.
    const { gpu: api } = navigator as unknown as { gpu: WebGpu }
    const requestAdapter = api.requestAdapter.bind(api)
    api.requestAdapter = async () => {
      const adapter = await requestAdapter()
      const requestDevice = adapter.requestDevice.bind(adapter)
      adapter.requestDevice = async (options) => (device = await requestDevice(options))
      return adapter
    }
    expect(first!.info.mode).toBe('webgpu')
    const { gpuJs } = await import('../../packages/gpu/src/vendor.js')
    await (gpuJs as { WebGPUContext: { destroy(): Promise<void> } }).WebGPUContext.destroy()
    gpu = await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true })
    setBackend(gpu)
  })
  afterAll(() => setBackend(cpuBackend))

  test('errors say so, and weights and optimizers go on from their last host copy', async () => {
    const x0 = input({ shape: [3] })
    const m = model({ inputs: x0, outputs: dense(1)(x0) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    const x = [
      [1, 2, 3],
      [4, 5, 6],
    ]
    await m.fit(x, [[1], [2]], { epochs: 3, verbose: 0 })
    const trained = await m.weights[0]!.data()
    const alone = variable(tensor([1, 2]))
    alone.assign(alone.add(1))
    const made = tensor([1]).add(1)
    const waiting = made.add(1).data()

    device.destroy()
    await expect(waiting).rejects.toThrow(BackendError)
    await expect(made.data()).rejects.toThrow(
      /the webgpu device was lost.*make another backend with createGpuBackend/,
    )
    expect(() => made.add(1)).toThrow(
      /the webgpu device was lost.*Weights are there as the host last knew them/,
    )
    expect(() => grad((y: typeof made) => y.sum())(made.detach())).toThrow(BackendError)
    await expect(m.predict(x)).rejects.toThrow(/was lost/)

    // As they were after fit, as it was made of host data.
    expect(await m.weights[0]!.data()).toEqual(trained)
    expect(await alone.data()).toEqual(Float32Array.of(1, 2))
    const onCpu = withBackend(cpuBackend, () => matmul(tensor(x), m.weights[0]!).add(m.weights[1]!))
    setBackend(await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true }))
    const again = (await m.predict(x)) as typeof made
    const [a, b] = [await again.data(), await onCpu.data()]
    expect(a[0]).toBeCloseTo(b[0]!, 5)
    const { history } = await m.fit(x, [[1], [2]], { epochs: 2, verbose: 0 })
    expect(history.loss[1]).toBeLessThan(history.loss[0]!)
  })

  test('in fit, weights, what the optimizer remembers and how many steps it counts go back to one moment', async () => {
    const x0 = input({ shape: [3] })
    const m = model({ inputs: x0, outputs: dense(1)(x0) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    const x = [
      [1, 2, 3],
      [4, 5, 6],
    ]
    await m.fit(x, [[1], [2]], { epochs: 2, verbose: 0 })
    const all = (): Promise<ArrayLike<number>[]> =>
      Promise.all([...m.weights, ...m.optimizer.variables].map((v) => v.data()))
    const before = await all()
    const onEpochEnd = async (epoch: number): Promise<void> => {
      // What somebody reads on the way is of another moment.
      if (epoch === 2) await m.weights[0]!.data()
      if (epoch === 4) device.destroy()
    }
    const lost = m.fit(x, [[1], [2]], { epochs: 9, verbose: 0, callbacks: lambdaCallback({ onEpochEnd }) })
    await expect(lost).rejects.toThrow(/was lost/)
    expect(m.optimizer.iterations).toBe(2)
    setBackend(cpuBackend)
    expect(await all()).toEqual(before)
    const { history } = await m.fit(x, [[1], [2]], { epochs: 2, verbose: 0 })
    expect(history.loss[1]).toBeLessThan(history.loss[0]!)
  })
})
