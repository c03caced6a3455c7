import { createGpuBackend, type GpuBackend } from '@adjoint/gpu'
import { vi } from 'vitest'

/** What gpu.js takes of the WGSL that a device gives it: none of it, or a text that no driver compiles. */
export const REFUSALS = [undefined, (text: string): string => `${text}\nnonsense`] as const

/** Runs `work` on WebGPU where the WGSL of this package is refused; gives also how many texts were. */
export async function withoutOwnWgsl<R>(
  refusal: (typeof REFUSALS)[number],
  work: (gpu: GpuBackend) => Promise<R>,
): Promise<{ readonly result: R; readonly texts: number }> {
  const { gpuJs } = (await import('../../packages/gpu/src/vendor.js')) as unknown as {
    gpuJs: { WebGPUKernel: { prototype: { assembleWGSL: () => string } } }
  }
  const { prototype } = gpuJs.WebGPUKernel
  const assemble = Object.getOwnPropertyDescriptor(prototype, 'assembleWGSL')!
  const assembled = prototype.assembleWGSL
  // gpu.js tells what a driver does not take.
  const told = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  let texts = 0
  try {
    Object.defineProperty(prototype, 'assembleWGSL', {
      configurable: true,
      get(): unknown {
        return assembled
      },
      // What a device would have a kernel be compiled from.
      set(this: object, value: () => string) {
        texts++
        if (refusal !== undefined)
          Object.defineProperty(this, 'assembleWGSL', { value: () => refusal(value()) })
      },
    })
    const result = await work(await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true }))
    return { result, texts }
  } finally {
    told.mockRestore()
    Object.defineProperty(prototype, 'assembleWGSL', assemble)
  }
}
