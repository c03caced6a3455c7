import type { Gl, GpuInstance, GpuJs } from './gpujs.js'
import { optional } from './optional.js'

/** The package `gl`. */
interface Headless {
  (width: number, height: number): Gl1 | null
  readonly WebGLRenderingContext: { readonly prototype: object }
}

/** The parts of WebGL 1 that WebGL 2 says in other words. */
interface Gl1 extends Omit<Gl, 'RGBA32F' | 'texStorage2D' | 'drawBuffers'> {
  readonly RENDERER: number
  texImage2D(
    target: number,
    level: number,
    held: number,
    width: number,
    height: number,
    border: number,
    format: number,
    type: number,
    values: Float32Array | null,
  ): void
}

interface Opened {
  readonly gl: Gl
  readonly adapter: string
  /** gpu.js, to make kernels of the context. */
  readonly gpuOf: (js: GpuJs) => GpuInstance
}

/** A context of WebGL 1 without a window, in Node. @throws Error saying why there is none. */
export async function openHeadless(): Promise<Opened> {
  const { default: create } = await optional<{ default: Headless }>(
    'gl',
    'the package gl is not installed, or was not built (npm install gl)',
  )
  const context = create(1, 1)
  if (context === null)
    throw new Error('the package gl makes no context; where there is no screen, run node under xvfb-run -a')
  if (context.getExtension('OES_texture_float') === null) throw new Error('the adapter has no float textures')
  const gl = asWebGl2(context)
  const adapter = adapterOf(create, context)
  return { gl, adapter, gpuOf: (js) => kernelsOn(gl, js) }
}

/** The context itself names nobody; what it is made of does. */
function adapterOf({ WebGLRenderingContext }: Headless, gl: Gl1): string {
  const native = Object.getPrototypeOf(WebGLRenderingContext.prototype) as Pick<Gl1, 'getParameter'>
  const name: unknown = native.getParameter.call(gl, gl.RENDERER)
  return typeof name === 'string' && name !== '' ? name : 'an unnamed adapter'
}

/** gpu.js looks for the package `gl` as it is loaded, and finds none where it is part of a built file: it is given a context. */
function kernelsOn(context: Gl, js: GpuJs): GpuInstance {
  js.GPU.disableValidation()
  const gpu = new js.GPU({ mode: 'headlessgl' })
  js.GPU.enableValidation()
  const given = { context, canvas: {}, validate: false }
  return {
    kernels: gpu.kernels,
    createKernel: (source, settings) => gpu.createKernel(source, { ...given, ...settings }),
  }
}

/** WebGL 1 in the words of WebGL 2 that are used here. */
function asWebGl2(gl: Gl1): Gl {
  const words: Pick<Gl, 'RGBA32F' | 'texStorage2D' | 'drawBuffers'> = {
    RGBA32F: gl.RGBA,
    drawBuffers() {
      throw new Error('WebGL 1 writes to one texture at a time')
    },
    texStorage2D(target, _levels, format, width, height) {
      gl.texImage2D(target, 0, format, width, height, 0, gl.RGBA, gl.FLOAT, null)
    },
  }
  return Object.assign(gl, words)
}
