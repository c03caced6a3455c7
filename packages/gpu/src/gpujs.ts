/** The parts of gpu.js 2.24.1 used here. Its own types do not cover WebGPU. */
export interface GpuJs {
  readonly GPU: new (settings: { mode: string; canvas?: unknown; context?: unknown }) => GpuInstance
  readonly WebGPUContext: { acquire(): Promise<WebGpuContext> }
  readonly WebGPUBufferResult: new (settings: {
    buffer: GpuBuffer
    output: number[]
    componentCount: number
    context: WebGpuContext
    kernel: KernelInstance
  }) => object
}

export interface GpuInstance {
  createKernel(source: string, settings: object): KernelShortcut
}

export interface KernelShortcut {
  (...args: unknown[]): unknown
  readonly kernel: KernelInstance
}

/** A kernel; what begins with an underscore is its own, and as the version is fixed, dependable. */
export interface KernelInstance {
  readonly constructor: { readonly mode?: string }
  readonly built: boolean
  readonly context: unknown
  output: readonly number[]
  outputBuffer: GpuBuffer | null
  bindGroupDirty: boolean
  build(...args: unknown[]): Promise<void>
  setOutput(output: number[]): void
  _snapshotArguments(args: readonly unknown[]): unknown
  _runInternal(snapshot: unknown): Promise<unknown>
  destroy(): void
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
    writeBuffer(buffer: GpuBuffer, offset: number, values: Float32Array): void
    submit(commands: readonly object[]): void
  }
  readonly limits: {
    readonly maxStorageBuffersPerShaderStage: number
    readonly maxStorageBufferBindingSize: number
  }
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>
  createBuffer(settings: { size: number; usage: number }): GpuBuffer
  createCommandEncoder(): {
    copyBufferToBuffer(
      from: GpuBuffer,
      fromOffset: number,
      to: GpuBuffer,
      toOffset: number,
      size: number,
    ): void
    finish(): object
  }
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
