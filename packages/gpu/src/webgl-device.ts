import { BackendError, LimitError } from '@adjoint/core'
import {
  type ArgumentType,
  type Device,
  type GpuInfo,
  lostDevice,
  type Program,
  type Source,
  type Storage,
} from './device.js'
import { type DeviceFunction, functionsIn } from './functions.js'
import type { Gl, GpuInstance, KernelInstance } from './gpujs.js'
import { SETTINGS, textOf } from './text.js'
import { turnsOf } from './turns.js'
import { withFour, withShifts } from './webgl-text.js'

interface Sides {
  readonly width: number
  readonly height: number
}

interface Texture extends Storage, Sides {
  /** Undefined while its values are on the host to make room. */
  texture: object | undefined
  spilled: Float32Array | undefined
}

interface Built extends Program {
  readonly key: string
  /** The arrays that it reads at the position of the value that it computes. */
  readonly here: readonly string[]
  /** Compiled when first run, for such arrays of the output's size or of others. */
  aligned?: Compiled | undefined
  other?: Compiled | undefined
  /** The source's GLSL, if it is taken. */
  own?: Compiled | undefined
  isRefused?: boolean
}

interface Compiled {
  readonly kernel: KernelInstance
  /** Whether positions are found by shifts. */
  readonly isShifted: boolean
  readonly program: object
  readonly uniforms: ReadonlyMap<string, object | null>
  readonly corner: number
  readonly coordinate: number
}

/** Programs kept at most: drivers slow down with thousands. The least recently used goes. */
const MOST_PROGRAMS = 1000

/**
 * WebGL 2 through gpu.js: a kernel is a fragment shader, its output a texture of four neighbouring values a texel.
 * gpu.js translates and compiles; textures, uniforms and the draw are set here, so that any kernel takes textures of any
 * size.
 */
export class WebGlDevice implements Device {
  readonly info: GpuInfo
  // Of 16 texture units.
  readonly mostArrays = 8
  readonly packs = true
  readonly #gpu: GpuInstance
  readonly #gl: Gl
  readonly #programs = new Map<string, Built>()
  /** What is on the device, least recently used first. */
  readonly #resident = new Set<Texture>()
  readonly #free = new Map<string, object[]>()
  readonly #framebuffer: object
  /** Null where the driver writes no four textures at once. */
  #framebufferOfFour: object | null | undefined
  readonly #mostSide: number
  readonly #mostBytes: number
  /** How many turns the loops of one run may take. */
  readonly #mostTurns: number
  #freeBytes = 0
  #bytes = 0
  #buffers = 0
  onShortage: () => void = () => undefined

  constructor(gpu: GpuInstance, gl: Gl, info: GpuInfo, mostBytes: number, mostTurns: number = Infinity) {
    this.#gpu = gpu
    this.#mostTurns = mostTurns
    this.#gl = gl
    this.info = info
    this.#mostBytes = mostBytes
    this.#framebuffer = gl.createFramebuffer()
    this.#mostSide = 2 ** Math.floor(Math.log2(gl.getParameter(gl.MAX_TEXTURE_SIZE) as number))
  }

  get isLost(): boolean {
    return this.#gl.isContextLost()
  }

  /** @throws BackendError where the context is lost. */
  #checkThere(): void {
    if (this.isLost) throw lostDevice(this.info.mode, '')
  }

  get held(): { buffers: number; bytes: number } {
    return { buffers: this.#buffers, bytes: this.#bytes }
  }

  // ---- programs

  program(key: string, source: () => Source): Program {
    const made = (): Built => {
      const written = source()
      return { key, source: written, here: hereIn(written) }
    }
    const built = this.#programs.get(key) ?? made()
    this.#mark(built)
    return built
  }

  /** Marks it as used just now. A plan may run one that was forgotten, and made anew since. */
  #mark(built: Built): void {
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

  #compiled(built: Built, args: readonly (Storage | number)[], out: Sides): Compiled {
    const { source, here } = built
    const isAligned = source.args.every(([name], i) => {
      if (!here.includes(name)) return true
      const { width, height } = args[i] as Texture
      return width === out.width && height === out.height
    })
    return isAligned
      ? (built.aligned ??= this.#compile(source, here))
      : (built.other ??= this.#compile(source, []))
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
    const own = this.#changed(source, functions, (text) => withFour(text, functions, source.glsl!))
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
    const names = ['uOutputDim', 'uTexSize', 'ratio', ...source.args.map(([name]) => `user_${name}`)]
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
    return this.#gpu.createKernel(textOf(source), {
      ...SETTINGS,
      functions,
      // gpu.js does not always put a function before those that call it, as GLSL asks.
      injectedNative: functions.map(declarationOf).join('\n'),
      argumentTypes: source.args.map(([, type]) => GL_TYPES[type]),
      // What returns one value is run for each of a texel's four.
      optimizeFloatMemory: (source.width ?? 1) === 1,
      dynamicOutput: true,
      output: [1],
    }).kernel
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
    throw new BackendError(`gpu.js (${this.info.mode}): a kernel could not be built:\n${textOf(source)}`)
  }

  // ---- values

  upload(values: Float32Array): Storage {
    const made = this.#allocate(values.length, [])
    this.#fill(made, values)
    return made
  }

  #fill({ texture, width, height }: Texture, values: Float32Array): void {
    const gl = this.#gl
    gl.activeTexture(gl.TEXTURE0 + SPARE_UNIT)
    gl.bindTexture(gl.TEXTURE_2D, texture!)
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4)
    const fill = (from: number, rows: number, texels: Float32Array): void => {
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, from, width, rows, gl.RGBA, gl.FLOAT, texels)
    }
    const row = width * 4
    const whole = Math.floor(values.length / row)
    if (whole > 0) fill(0, whole, values.subarray(0, whole * row))
    if (whole === height) return
    const last = new Float32Array(row)
    last.set(values.subarray(whole * row))
    fill(whole, 1, last)
  }

  /** @throws LimitError where the driver would leave a loop early. */
  #checkTurns(source: Source, args: readonly (Storage | number)[]): void {
    if (this.#mostTurns === Infinity) return
    const numbers = source.args.flatMap(([name], i) => {
      const arg = args[i]!
      return typeof arg === 'number' ? [[name, arg] as const] : []
    })
    if (turnsOf(source.body, new Map(numbers)) > this.#mostTurns)
      throw new LimitError(
        `${this.info.adapter} runs loops of ${this.#mostTurns} turns at most; use the CPU for it`,
      )
  }

  run(program: Program, args: readonly (Storage | number)[], length: number): Storage {
    const built = program as Built
    this.#checkTurns(built.source, args)
    this.#mark(built)
    const textures = this.#used(args)
    // Before anything is made, which would be left over, or bound: gpu.js binds what it likes.
    const compiled = this.#compiled(built, args, this.#sidesFor(length))
    const out = this.#allocate(length, textures)
    const gl = this.#gl
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer)
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, out.texture!, 0)
    this.#draw(compiled, built.source, args, out)
    return out
  }

  runFour(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
  ): readonly [Storage, Storage, Storage, Storage] | undefined {
    if (this.#framebufferOfFour === null) return undefined
    const built = program as Built
    this.#mark(built)
    if (built.own === undefined && built.isRefused !== true) {
      built.own = this.#compileOwn(built.source)
      built.isRefused = built.own === undefined
    }
    if (built.own === undefined) return undefined
    this.#checkTurns(built.source, args)
    const textures = this.#used(args)
    const gl = this.#gl
    const outs: Texture[] = []
    for (let i = 0; i < 4; i++) outs.push(this.#allocate(length, [...textures, ...outs]))
    const isFirst = this.#framebufferOfFour === undefined
    this.#framebufferOfFour ??= gl.createFramebuffer()
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebufferOfFour)
    const places = outs.map((_, i) => gl.COLOR_ATTACHMENT0 + i)
    outs.forEach(({ texture }, i) => {
      gl.framebufferTexture2D(gl.FRAMEBUFFER, places[i]!, gl.TEXTURE_2D, texture!, 0)
    })
    if (isFirst) {
      gl.drawBuffers(places)
      if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) {
        this.#checkThere()
        gl.deleteFramebuffer(this.#framebufferOfFour)
        this.#framebufferOfFour = null
        for (const out of outs) this.free(out)
        return undefined
      }
    }
    this.#draw(built.own, built.source, args, outs[0]!)
    return outs as [Texture, Texture, Texture, Texture]
  }

  /** The textures among arguments, each there and used just now. */
  #used(args: readonly (Storage | number)[]): Texture[] {
    const textures = args.filter((arg) => typeof arg !== 'number') as Texture[]
    for (const texture of textures) this.#use(texture, textures)
    return textures
  }

  /** Draws to what is bound, of the sides of `out`. */
  #draw(
    { kernel, program, uniforms, isShifted, corner, coordinate }: Compiled,
    source: Source,
    args: readonly (Storage | number)[],
    out: Texture,
  ): void {
    const gl = this.#gl
    gl.useProgram(program)
    gl.viewport(0, 0, out.width, out.height)
    gl.scissor(0, 0, out.width, out.height)
    gl.uniform3iv(uniforms.get('uOutputDim')!, [out.length / (source.width ?? 1), 1, 1])
    gl.uniform2iv(uniforms.get('uTexSize')!, sidesOf(out, isShifted))
    gl.uniform2f(uniforms.get('ratio')!, 1, 1)
    let unit = 0
    for (const [i, [name, type]] of source.args.entries()) {
      const location = uniforms.get(`user_${name}`) ?? null
      const arg = args[i]!
      if (typeof arg === 'number') {
        if (type === 'integer') gl.uniform1i(location, arg)
        else gl.uniform1f(location, arg)
        continue
      }
      const given = arg as Texture
      gl.activeTexture(gl.TEXTURE0 + unit)
      gl.bindTexture(gl.TEXTURE_2D, given.texture!)
      gl.uniform1i(location, unit)
      gl.uniform3iv(uniforms.get(`user_${name}Dim`) ?? null, [given.length, 1, 1])
      gl.uniform2iv(uniforms.get(`user_${name}Size`) ?? null, sidesOf(given, isShifted))
      unit++
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, kernel.buffer)
    if (corner >= 0) {
      gl.enableVertexAttribArray(corner)
      gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0)
    }
    if (coordinate >= 0) {
      gl.enableVertexAttribArray(coordinate)
      // After four corners of two floats.
      gl.vertexAttribPointer(coordinate, 2, gl.FLOAT, false, 0, 32)
    }
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4)
  }

  async read(storage: Storage): Promise<Float32Array> {
    return this.readSync(storage)
  }

  readSync(storage: Storage): Float32Array {
    const { texture, spilled, width, height, length } = storage as Texture
    if (spilled !== undefined) return spilled.slice()
    const gl = this.#gl
    this.#checkThere()
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer)
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture!, 0)
    // The one format that every driver reads floats in.
    const texels = new Float32Array(width * height * 4)
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, texels)
    return texels.subarray(0, length)
  }

  // ---- memory

  #allocate(length: number, inUse: readonly Texture[]): Texture {
    this.#checkThere()
    const made: Texture = { length, ...this.#sidesFor(length), texture: undefined, spilled: undefined }
    this.#place(made, inUse)
    this.#buffers++
    return made
  }

  /** @throws LimitError where no texture is that large. */
  #sidesFor(length: number): Sides {
    const texels = Math.ceil(length / 4)
    // The nearest square whose side is a power of two: few sizes, so that textures are used again, and positions by shifts.
    const width = Math.min(this.#mostSide, 2 ** Math.ceil(Math.log2(texels) / 2))
    const height = Math.ceil(texels / width)
    if (height > this.#mostSide)
      throw new LimitError(
        `${length} values need a texture of ${width} x ${height}; this GPU allows ${this.#mostSide} a side`,
      )
    return { width, height }
  }

  /** Gives it a texture, of those that were given back or a new one. */
  #place(made: Texture, inUse: readonly Texture[]): void {
    const { width, height } = made
    const gl = this.#gl
    const bytes = bytesOf(made)
    const kept = this.#free.get(keyOf(made))?.pop()
    if (kept !== undefined) this.#freeBytes -= bytes
    else this.#makeRoom(bytes, inUse)
    let texture = kept
    if (texture === undefined) {
      texture = gl.createTexture()
      gl.activeTexture(gl.TEXTURE0 + SPARE_UNIT)
      gl.bindTexture(gl.TEXTURE_2D, texture)
      for (const [parameter, value] of [
        [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
        [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
        [gl.TEXTURE_MIN_FILTER, gl.NEAREST],
        [gl.TEXTURE_MAG_FILTER, gl.NEAREST],
      ] as const)
        gl.texParameteri(gl.TEXTURE_2D, parameter, value)
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, width, height)
    }
    made.texture = texture
    this.#bytes += bytes
    this.#resident.add(made)
  }

  /** Marks it as used just now, and brings its values back where they were moved to the host. */
  #use(texture: Texture, inUse: readonly Texture[]): void {
    if (texture.spilled !== undefined) {
      const { spilled } = texture
      texture.spilled = undefined
      this.#place(texture, inUse)
      this.#fill(texture, spilled)
      return
    }
    this.#resident.delete(texture)
    this.#resident.add(texture)
  }

  /** Over the budget, what was given back goes first, then the values that were not used for longest go to the host. */
  #makeRoom(bytes: number, inUse: readonly Texture[]): void {
    if (this.#bytes + this.#freeBytes + bytes <= this.#mostBytes) return
    if (this.#bytes + bytes > this.#mostBytes) this.onShortage()
    for (const textures of this.#free.values())
      for (const texture of textures) this.#gl.deleteTexture(texture)
    this.#free.clear()
    this.#freeBytes = 0
    for (const oldest of this.#resident) {
      if (this.#bytes + bytes <= this.#mostBytes) return
      if (inUse.includes(oldest)) continue
      oldest.spilled = this.readSync(oldest).slice()
      this.#gl.deleteTexture(oldest.texture!)
      oldest.texture = undefined
      this.#resident.delete(oldest)
      this.#bytes -= bytesOf(oldest)
    }
  }

  free(storage: Storage): void {
    const { texture } = storage as Texture
    this.#buffers--
    ;(storage as Texture).spilled = undefined
    if (texture === undefined) return
    const bytes = bytesOf(storage as Texture)
    const key = keyOf(storage as Texture)
    const list = this.#free.get(key)
    if (list === undefined) this.#free.set(key, [texture])
    else list.push(texture)
    this.#resident.delete(storage as Texture)
    this.#bytes -= bytes
    this.#freeBytes += bytes
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

/** Out of the way of the units that runs use. */
const SPARE_UNIT = 15

const GL_TYPES = {
  array: 'MemoryOptimizedNumberTexture',
  vectors: 'ArrayTexture(4)',
  number: 'Float',
  integer: 'Integer',
} as const

function isTexture(type: ArgumentType): boolean {
  return type === 'array' || type === 'vectors'
}

/** A texture's sides, or what a position is masked with and shifted by. */
function sidesOf({ width, height }: Sides, isShifted: boolean): readonly [number, number] {
  return isShifted ? [width - 1, Math.log2(width)] : [width, height]
}

function bytesOf({ width, height }: Sides): number {
  return width * height * 16
}

function keyOf({ width, height }: Sides): string {
  return `${width} ${height}`
}
