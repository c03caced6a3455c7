import { BackendError, type Backend } from '@adjoint/core'

export interface GpuBackendOptions {
  /** Modes to try, in this order. */
  prefer?: readonly ('webgpu' | 'webgl2' | 'headlessgl')[]
  /** Accept an adapter that computes on the CPU. */
  allowSoftware?: boolean
}

/** Rejects with `BackendError`: this release has no GPU kernels yet. */
export async function createGpuBackend(_options: GpuBackendOptions = {}): Promise<Backend> {
  throw new BackendError(
    'createGpuBackend: the GPU kernels are not part of this release; the CPU backend, which is the default, serves every op meanwhile',
    { op: 'createGpuBackend' },
  )
}
