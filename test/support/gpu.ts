/** A GPU for the tests, be it one that computes on the CPU: the adapter of Debian's chromium serves Node too. */
import { createGpuBackend, type GpuBackend } from '@adjoint/gpu'
import { existsSync } from 'node:fs'

const SOFTWARE_DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** A backend on WebGPU, or why there is none. Where ADJOINT_GPU is `required`, having none is an error. */
export async function openGpu(): Promise<{ gpu: GpuBackend } | { gpu: undefined; reason: string }> {
  if (process.env.VK_ICD_FILENAMES === undefined && existsSync(SOFTWARE_DRIVER))
    process.env.VK_ICD_FILENAMES = SOFTWARE_DRIVER
  try {
    return { gpu: await createGpuBackend({ prefer: ['webgpu'], allowSoftware: true }) }
  } catch (error) {
    if (process.env.ADJOINT_GPU === 'required') throw error
    const reason = error instanceof Error ? error.message : String(error)
    console.log(`skipped: ${reason}`)
    return { gpu: undefined, reason }
  }
}
