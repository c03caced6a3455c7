/** The parts of gpu.js 2.24.1 used here. Its own types do not cover WebGPU. */
export interface GpuJs {
  readonly GPU: new (settings: { mode: string; canvas?: unknown; context?: unknown }) => GpuInstance
  readonly WebGPUContext: { acquire(): Promise<WebGpuContext> }
}

export interface GpuInstance {
  createKernel(source: string, settings: object): KernelShortcut
}

export interface KernelShortcut {
  (...args: unknown[]): unknown
  readonly kernel: KernelInstance
}

/**
 * A kernel. Only what gpu.js says of its calls is documented; this is what such a call works with. The version is fixed
 * and comes with this package, so it does not change.
 */
export interface KernelInstance {
  readonly constructor: { readonly mode?: string }
  build(...args: unknown[]): Promise<void>
  destroy(): void
  output: readonly number[]
  readonly computePipeline: object
  readonly bindGroupLayout: object
  /** Where a run's scalars stand, in bytes: sides of the output, then four for each array, then numbers. */
  readonly paramsLayout: {
    readonly byteLength: number
    readonly arrayArgs: readonly { readonly index: number; readonly dimsOffset: number }[]
    readonly scalarArgs: readonly { readonly index: number; readonly offset: number; readonly type: string }[]
  }
  _computeDispatch(threads: readonly number[]): {
    readonly groups: readonly number[]
    readonly dispatchWidth: number
  }
}

export interface WebGpuContext {
  readonly adapter: GpuAdapter
  readonly device: GpuDevice
  readonly isLost: boolean
}

/** The parts of WebGPU used here. */
export interface WebGpu {
  requestAdapter(): Promise<GpuAdapter | null>
}

export interface GpuAdapter {
  readonly info?: {
    readonly vendor?: string
    readonly architecture?: string
    readonly device?: string
    readonly description?: string
    readonly isFallbackAdapter?: boolean
  }
  readonly isFallbackAdapter?: boolean
}

export interface GpuDevice {
  readonly queue: {
    writeBuffer(
      buffer: GpuBuffer,
      offset: number,
      values: Float32Array | Uint32Array,
      from?: number,
      count?: number,
    ): void
    submit(commands: readonly object[]): void
  }
  readonly limits: {
    readonly maxStorageBuffersPerShaderStage: number
    readonly maxStorageBufferBindingSize: number
  }
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>
  createBuffer(settings: { size: number; usage: number }): GpuBuffer
  createBindGroup(settings: object): object
  createCommandEncoder(): GpuEncoder
}

export interface GpuEncoder {
  beginComputePass(): GpuPass
  copyBufferToBuffer(from: GpuBuffer, fromOffset: number, to: GpuBuffer, toOffset: number, size: number): void
  finish(): object
}

export interface GpuPass {
  setPipeline(pipeline: object): void
  setBindGroup(index: number, group: object): void
  dispatchWorkgroups(x: number, y: number, z: number): void
  end(): void
}

export interface GpuBuffer {
  readonly size: number
  mapAsync(mode: number): Promise<void>
  getMappedRange(offset: number, size: number): ArrayBuffer
  destroy(): void
}

/** gpu.js, loaded when a GPU is first asked for. */
export async function loadGpuJs(): Promise<GpuJs> {
  const loaded = (await import('gpu.js')) as unknown as GpuJs & { readonly default?: GpuJs }
  return loaded.default?.GPU === undefined ? loaded : loaded.default
}
