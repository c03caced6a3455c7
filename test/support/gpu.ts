/** A GPU for the tests, be it one that computes on the CPU: the adapter of Debian's chromium serves Node too. */
import { createGpuBackend, type GpuBackend, type GpuMode } from '@adjoint/gpu'
import { existsSync } from 'node:fs'

const SOFTWARE_DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json'

type Opened = { gpu: GpuBackend } | { gpu: undefined; reason: string }

/** A backend in Node, or why there is none. Where ADJOINT_GPU is `required`, having no WebGPU is an error. */
export async function openGpu(mode: GpuMode = 'webgpu'): Promise<Opened> {
  if (process.env.VK_ICD_FILENAMES === undefined && existsSync(SOFTWARE_DRIVER))
    process.env.VK_ICD_FILENAMES = SOFTWARE_DRIVER
  try {
    return { gpu: await createGpuBackend({ prefer: [mode], allowSoftware: true }) }
  } catch (error) {
    if (mode === 'webgpu' && process.env.ADJOINT_GPU === 'required') throw error
    const reason = error instanceof Error ? error.message : String(error)
    console.log(`skipped: ${reason}`)
    return { gpu: undefined, reason }
  }
}
