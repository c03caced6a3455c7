import { BackendError } from '@adjoint/core'
import { type ArgumentType, type GpuMode, MOST_PROGRAMS, type Program, type Source } from './device.js'
import { type DeviceFunction, functionsIn } from './functions.js'
import { type Gl, type GpuInstance, type KernelInstance, kernelOf } from './gpujs.js'
import { SETTINGS, textOf } from './text.js'
import { withFour, withShifts } from './webgl-text.js'

export interface Built extends Program {
  readonly key: string
  /** The arrays that it reads at the position of the value that it computes. */
  readonly here: readonly string[]
  /** Compiled when first run, for such arrays of the output's size or of others. */
  aligned?: Compiled | undefined
  other?: Compiled | undefined
  /** With the source's GLSL, or several outputs, if that is taken. */
  own?: Compiled | undefined
  isRefused?: boolean
}

/** A shader that is ready, and where its arguments go. */
export interface Compiled {
  readonly kernel: KernelInstance
  /** Whether positions are found by shifts. */
  readonly isShifted: boolean
  readonly program: object
  readonly uniforms: ReadonlyMap<string, object | null>
  readonly corner: number
  readonly coordinate: number
}

/** The programs of a context: gpu.js translates and compiles them, with texts of this package where a driver takes them. */
export class Programs {
  readonly #gpu: GpuInstance
  readonly #gl: Gl
  readonly #mode: GpuMode
  /** @throws BackendError where the context is lost. */
  readonly #checkThere: () => void
  readonly #programs = new Map<string, Built>()

  constructor(gpu: GpuInstance, gl: Gl, mode: GpuMode, checkThere: () => void) {
    this.#gpu = gpu
    this.#gl = gl
    this.#mode = mode
    this.#checkThere = checkThere
  }

  get(key: string, source: () => Source): Built {
    const made = (): Built => {
      const written = source()
      return { key, source: written, here: hereIn(written) }
    }
    const built = this.#programs.get(key) ?? made()
    this.mark(built)
    return built
  }

  /** Marks it as used just now. A plan may run one that was forgotten, and made anew since. */
  mark(built: Built): void {
    const { key } = built
    if ((this.#programs.get(key) ?? built) !== built) return
    if (!this.#programs.delete(key) && this.#programs.size >= MOST_PROGRAMS) this.#forgetOldest()
    this.#programs.set(key, built)
  }

  /** It is compiled again where it is run again. */
  #forgetOldest(): void {
    const [key, oldest] = this.#programs.entries().next().value!
    this.#programs.delete(key)
    // The programs alone: to destroy a kernel of gpu.js breaks others that share its buffer.
    for (const compiled of [oldest.aligned, oldest.other, oldest.own])
      if (compiled !== undefined) this.#gl.deleteProgram(compiled.program)
    oldest.aligned = oldest.other = oldest.own = undefined
  }

  /** @param isAligned whether all that it reads at its own position has the output's sides. */
  compiled(built: Built, isAligned: boolean): Compiled {
    const { source, here } = built
    return isAligned
      ? (built.aligned ??= this.#compile(source, here))
      : (built.other ??= this.#compile(source, []))
  }

  /** With the source's GLSL in place of its body, or with several outputs; undefined where that is not taken. */
  own(built: Built): Compiled | undefined {
    if (built.own === undefined && built.isRefused !== true) {
      built.own = this.#compileOwn(built.source)
      built.isRefused = built.own === undefined
    }
    return built.own
  }

  /** The kernel as gpu.js writes it, by shifts if that compiles. */
  #compile(source: Source, aligned: readonly string[]): Compiled {
    const functions = functionsIn(textOf(source))
    const shifted = this.#changed(source, functions, (text) => withShifts(text, functions, aligned))
    if (shifted !== undefined) return this.#ready(shifted.kernel, source, shifted.isChanged)
    const kernel = this.#kernel(source, functions)
    this.#make(kernel, source)
    return this.#ready(kernel, source, false)
  }

  #compileOwn(source: Source): Compiled | undefined {
    const functions = functionsIn(textOf(source))
    const own = this.#changed(source, functions, (text) =>
      source.glsl === undefined
        ? withShifts(text, functions, [], source.also)
        : withFour(text, functions, source.glsl),
    )
    return own?.isChanged === true ? this.#ready(own.kernel, source, true) : undefined
  }

  /** A kernel with another text than gpu.js writes, where there is one; undefined where that does not compile. */
  #changed(
    source: Source,
    functions: readonly DeviceFunction[],
    change: (text: string) => string | undefined,
  ): { readonly kernel: KernelInstance; readonly isChanged: boolean } | undefined {
    const kernel = this.#kernel(source, functions)
    const whole = kernel.getFragmentShader.bind(kernel)
    let isChanged = false
    kernel.getFragmentShader = (args) => {
      const text = whole(args)
      const changed = change(text)
      isChanged = changed !== undefined
      return changed ?? text
    }
    try {
      this.#make(kernel, source)
    } catch (error) {
      this.#checkThere()
      if (!isChanged) throw error
      return undefined
    }
    return { kernel, isChanged }
  }

  #ready(kernel: KernelInstance, source: Source, isShifted: boolean): Compiled {
    const gl = this.#gl
    const program = kernel.program!
    const names = ['uOutputDim', 'uTexSize', 'first', 'ratio', ...source.args.map(([name]) => `user_${name}`)]
    for (const [name] of source.args) names.push(`user_${name}Dim`, `user_${name}Size`)
    return {
      kernel,
      program,
      isShifted,
      uniforms: new Map(names.map((name) => [name, gl.getUniformLocation(program, name)])),
      corner: gl.getAttribLocation(program, 'aPos'),
      coordinate: gl.getAttribLocation(program, 'aTexCoord'),
    }
  }

  #kernel(source: Source, functions: readonly DeviceFunction[]): KernelInstance {
    return kernelOf(this.#gpu, textOf(source), {
      ...SETTINGS,
      functions,
      // gpu.js does not always put a function before those that call it, as GLSL asks.
      injectedNative: functions.map(declarationOf).join('\n'),
      argumentTypes: source.args.map(([, type]) => GL_TYPES[type]),
      // What returns one value is run for each of a texel's four.
      optimizeFloatMemory: (source.width ?? 1) === 1,
      dynamicOutput: true,
      output: [1],
    })
  }

  #make(kernel: KernelInstance, source: Source): void {
    // Stands for the textures of runs, of which only the type matters.
    const texture = { texture: null, size: [1, 1], dimensions: [1, 1, 1], context: this.#gl }
    void kernel.build(
      ...source.args.map(([, type]) => (isTexture(type) ? { ...texture, type: GL_TYPES[type] } : 0)),
    )
    // gpu.js asks whether shaders compile, not whether they link.
    if (
      kernel.program !== undefined &&
      this.#gl.getProgramParameter(kernel.program, this.#gl.LINK_STATUS) === true
    )
      return
    this.#checkThere()
    throw new BackendError(`gpu.js (${this.#mode}): a kernel could not be built:\n${textOf(source)}`)
  }
}

function declarationOf({ name, argumentTypes, returnType }: DeviceFunction): string {
  const args = argumentTypes.map((type, i) => `${GLSL_TYPES[type]} x${i}`)
  return `${GLSL_TYPES[returnType]} ${name}(${args.join(', ')});`
}

function hereIn({ args, body }: Source): string[] {
  return args
    .map(([name]) => name)
    .filter((name) => new RegExp(`\\b${name}\\[this\\.thread\\.x\\]`).test(body))
}

const GLSL_TYPES = { Number: 'float', Integer: 'int' } as const

const GL_TYPES = {
  array: 'MemoryOptimizedNumberTexture',
  vectors: 'ArrayTexture(4)',
  number: 'Float',
  integer: 'Integer',
} as const

function isTexture(type: ArgumentType): boolean {
  return type === 'array' || type === 'vectors'
}
