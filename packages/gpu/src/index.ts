import { BackendError, type Backend } from '@adjoint/core'

/** A way to reach a GPU; `headlessgl` is WebGL 1 without a window, in Node. */
export type GpuMode = 'webgpu' | 'webgl2' | 'headlessgl'

export interface GpuBackendOptions {
  /** Modes to try, in this order. Default: all. */
  prefer?: readonly GpuMode[]
  /** Accept an adapter that computes on the CPU. Default: false. */
  allowSoftware?: boolean
}

/** Rejects with `BackendError`: this release has no GPU kernels. */
export async function createGpuBackend(options: GpuBackendOptions = {}): Promise<Backend> {
  const { prefer = ['webgpu', 'webgl2', 'headlessgl'] } = options
  throw new BackendError(
    `createGpuBackend: the GPU kernels are not part of this release, so ${prefer.join(', ')} was not tried; the CPU backend serves everything meanwhile`,
    { op: 'createGpuBackend' },
  )
}
