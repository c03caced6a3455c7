import { BackendError } from '@adjoint/core'
import type { Device, GpuInfo, GpuMode } from './device.js'
import { type Gl, type GpuAdapter, type GpuInstance, type GpuJs, loadGpuJs, type WebGpu } from './gpujs.js'
import { openHeadless } from './headless.js'
import { optional } from './optional.js'
import { WebGlDevice } from './webgl-device.js'
import { checkTexts } from './webgl-trial.js'
import { WebGpuDevice } from './webgpu-device.js'

export interface DeviceOptions {
  readonly allowSoftware: boolean
  readonly mostBytes: number
}

/** Tries one mode. @throws Error saying why there is none. */
export const OPENERS: { readonly [M in GpuMode]: (options: DeviceOptions) => Promise<Device> } = {
  webgpu: openWebGpu,
  webgl2: openWebGl2,
  headlessgl: openHeadlessGl,
}

// What host environments may have. This package is written for all of them, so none of their types are used.
interface Host {
  readonly navigator?: { readonly gpu?: WebGpu }
  readonly document?: unknown
  readonly OffscreenCanvas?: unknown
  readonly process?: { readonly versions?: { readonly node?: string } }
}
const host = globalThis as unknown as Host

async function openWebGpu({ allowSoftware, mostBytes }: DeviceOptions): Promise<Device> {
  const webgpu = host.navigator?.gpu ?? (await provideWebGpu())
  const adapter = await webgpu.requestAdapter()
  if (adapter === null)
    throw new Error(
      'there is no adapter' +
        (host.process?.versions?.node === undefined
          ? ''
          : ' (on Linux, is libvulkan1 and a Vulkan driver installed?)'),
    )
  const info = infoOf(adapter)
  checkAdapter(info, allowSoftware)
  const js = await loadGpuJs()
  const gpu = new js.GPU({ mode: 'webgpu' })
  const context = await js.WebGPUContext.acquire()
  await checkMode(js, gpu, 'webgpu')
  return new WebGpuDevice(gpu, context, info, mostBytes)
}

/** WebGPU in Node: Dawn, by the package `webgpu`. */
async function provideWebGpu(): Promise<WebGpu> {
  if (host.process?.versions?.node === undefined) throw new Error('this browser has no navigator.gpu')
  const dawn = await optional<{ create(options: readonly string[]): WebGpu }>(
    'webgpu',
    'the package webgpu is not installed (npm install webgpu), and Node has no WebGPU of its own',
  )
  const webgpu = dawn.create([])
  // gpu.js looks there. Node 20 has no navigator; later ones have one without gpu.
  const navigator = host.navigator ?? {}
  Object.defineProperty(navigator, 'gpu', { value: webgpu, configurable: true })
  if (host.navigator === undefined)
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true })
  return webgpu
}

function infoOf(adapter: GpuAdapter): GpuInfo {
  const {
    vendor = '',
    architecture = '',
    device = '',
    description = '',
    isFallbackAdapter,
  } = adapter.info ?? {}
  const names = [vendor, architecture, device].filter((name) => name !== '').join(' ') || 'an unnamed adapter'
  return {
    mode: 'webgpu',
    adapter: names,
    driver: description,
    isSoftware: isFallbackAdapter ?? adapter.isFallbackAdapter ?? isSoftwareName(`${names} ${description}`),
  }
}

async function openWebGl2({ allowSoftware, mostBytes }: DeviceOptions): Promise<Device> {
  if (host.document === undefined && host.OffscreenCanvas === undefined)
    throw new Error('there is no canvas, which browsers have and Node has not')
  const js = await loadGpuJs()
  // Throws where there is no WebGL 2.
  const gpu = new js.GPU({ mode: 'webgl2' })
  const { kernel } = gpu.createKernel('function () { return 1; }', { output: [1], precision: 'single' })
  const gl = kernel.context as Gl
  const renderer = gl.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL
  const adapter = renderer === undefined ? 'an unnamed adapter' : String(gl.getParameter(renderer))
  const info = { mode: 'webgl2', adapter, driver: 'WebGL 2', isSoftware: isSoftwareName(adapter) } as const
  checkAdapter(info, allowSoftware)
  if (gl.getExtension('EXT_color_buffer_float') === null)
    throw new Error('the adapter writes no float textures')
  await checkMode(js, gpu, 'webgl2')
  const device = new WebGlDevice(gpu, gl, info, mostBytes)
  checkTexts(device)
  return device
}

async function openHeadlessGl({ allowSoftware, mostBytes }: DeviceOptions): Promise<Device> {
  if (host.process?.versions?.node === undefined) throw new Error('it is for Node')
  const { gpuOf, gl, adapter } = await openHeadless()
  const info = {
    mode: 'headlessgl',
    adapter,
    driver: 'WebGL 1, by the package gl',
    isSoftware: isSoftwareName(adapter),
  } as const
  checkAdapter(info, allowSoftware)
  const js = await loadGpuJs()
  const gpu = gpuOf(js)
  await checkMode(js, gpu, 'headlessgl')
  return new WebGlDevice(gpu, gl, info, mostBytes, adapter.includes('llvmpipe') ? MOST_TURNS : Infinity)
}

/** llvmpipe leaves all loops, without a word, after 65535 turns of up to eight groups of values together. */
const MOST_TURNS = 8191

/** @throws Error where the adapter computes on the CPU and may not. */
function checkAdapter({ adapter, isSoftware }: GpuInfo, allowSoftware: boolean): void {
  if (isSoftware && !allowSoftware)
    throw new Error(
      `the adapter (${adapter}) computes on the CPU; pass allowSoftware: true to use it all the same`,
    )
}

function isSoftwareName(name: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render/i.test(name)
}

/** @throws Error unless a kernel of this mode runs on this mode: gpu.js falls back to the CPU where it cannot. */
async function checkMode(js: GpuJs, gpu: GpuInstance, mode: GpuMode): Promise<void> {
  const kernel = gpu.createKernel('function (x) { return x * 2 + this.thread.x; }', {
    output: [2],
    argumentTypes: [mode === 'webgpu' ? 'Number' : 'Float'],
    precision: 'single',
    tactic: 'precision',
  })
  const [a, b] = (await kernel(20)) as ArrayLike<number> & Iterable<number>
  const Kernel = { webgpu: js.WebGPUKernel, webgl2: js.WebGL2Kernel, headlessgl: js.HeadlessGLKernel }[mode]
  if (!(kernel.kernel instanceof Kernel)) throw new BackendError('gpu.js ran it on the CPU instead')
  if (a !== 40 || b !== 41) throw new Error(`a trial gave ${a}, ${b} where 40, 41 is right`)
}
