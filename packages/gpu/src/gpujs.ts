/** The parts of gpu.js 2.24.1 used here. Its own types do not cover WebGPU. */
export interface GpuJs {
  readonly GPU: {
    new (settings: { mode: string }): GpuInstance
    /** Modes are not tried from here on, and kernels not checked. */
    disableValidation(): void
    enableValidation(): void
  }
  readonly WebGPUKernel: new () => KernelInstance
  readonly WebGL2Kernel: new () => KernelInstance
  readonly HeadlessGLKernel: new () => KernelInstance
  readonly WebGPUContext: { acquire(): Promise<WebGpuContext> }
}

export interface GpuInstance {
  createKernel(source: string, settings: object): KernelShortcut
  /** All that it has made, for its `destroy()`. */
  readonly kernels: unknown[]
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
  /** A promise on WebGPU; done at once elsewhere. */
  build(...args: unknown[]): Promise<void> | undefined
  readonly context: unknown
  /** WebGPU: the whole text of the shader, and what was made of it. */
  assembleWGSL(): string
  readonly compiledSource: string | undefined
  /** WebGL: the whole text of the shader, the compiled shaders, and the buffer of the corners. */
  getFragmentShader(args: unknown): string
  readonly program: object | undefined
  readonly buffer: object
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
}

/** A new kernel, which is collected when nobody holds it: gpu.js would keep them all. */
export function kernelOf(gpu: GpuInstance, text: string, settings: object): KernelInstance {
  const { kernel } = gpu.createKernel(text, settings)
  gpu.kernels.length = 0
  return kernel
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
    readonly maxComputeWorkgroupsPerDimension: number
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

/** The parts of WebGL 2 used here. */
export interface Gl {
  readonly MAX_TEXTURE_SIZE: number
  readonly TEXTURE0: number
  readonly TEXTURE_2D: number
  readonly TEXTURE_WRAP_S: number
  readonly TEXTURE_WRAP_T: number
  readonly TEXTURE_MIN_FILTER: number
  readonly TEXTURE_MAG_FILTER: number
  readonly CLAMP_TO_EDGE: number
  readonly NEAREST: number
  readonly UNPACK_ALIGNMENT: number
  readonly RGBA: number
  readonly FLOAT: number
  readonly RGBA32F: number
  readonly FRAMEBUFFER: number
  readonly FRAMEBUFFER_COMPLETE: number
  readonly COLOR_ATTACHMENT0: number
  readonly LINK_STATUS: number
  readonly ARRAY_BUFFER: number
  readonly TRIANGLE_STRIP: number
  getParameter(name: number): unknown
  getExtension(name: string): { readonly UNMASKED_RENDERER_WEBGL: number } | null
  isContextLost(): boolean
  createFramebuffer(): object
  deleteFramebuffer(framebuffer: object): void
  bindFramebuffer(target: number, framebuffer: object): void
  checkFramebufferStatus(target: number): number
  framebufferTexture2D(target: number, attachment: number, kind: number, texture: object, level: number): void
  drawBuffers(places: readonly number[]): void
  createTexture(): object
  deleteTexture(texture: object): void
  activeTexture(unit: number): void
  bindTexture(target: number, texture: object): void
  texParameteri(target: number, name: number, value: number): void
  texStorage2D(target: number, levels: number, format: number, width: number, height: number): void
  pixelStorei(name: number, value: number): void
  texSubImage2D(
    target: number,
    level: number,
    x: number,
    y: number,
    width: number,
    height: number,
    format: number,
    type: number,
    values: Float32Array,
  ): void
  readPixels(
    x: number,
    y: number,
    width: number,
    height: number,
    format: number,
    type: number,
    into: Float32Array,
  ): void
  viewport(x: number, y: number, width: number, height: number): void
  scissor(x: number, y: number, width: number, height: number): void
  useProgram(program: object): void
  deleteProgram(program: object): void
  getProgramParameter(program: object, name: number): unknown
  getUniformLocation(program: object, name: string): object | null
  getAttribLocation(program: object, name: string): number
  uniform1i(location: object | null, value: number): void
  uniform1f(location: object | null, value: number): void
  uniform2f(location: object | null, x: number, y: number): void
  uniform2iv(location: object | null, values: readonly number[]): void
  uniform3iv(location: object | null, values: readonly number[]): void
  bindBuffer(target: number, buffer: object): void
  enableVertexAttribArray(index: number): void
  vertexAttribPointer(
    index: number,
    size: number,
    type: number,
    isNormal: boolean,
    step: number,
    at: number,
  ): void
  drawArrays(kind: number, first: number, count: number): void
}

/** gpu.js, loaded when a GPU is first asked for. */
export async function loadGpuJs(): Promise<GpuJs> {
  const { gpuJs } = await import('./vendor.js')
  return gpuJs as GpuJs
}
