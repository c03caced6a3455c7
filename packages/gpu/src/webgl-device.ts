import { LimitError } from '@adjoint/core'
import {
  type Device,
  type GpuInfo,
  type Into,
  lostDevice,
  type Parts,
  type Program,
  type Source,
  type Storage,
} from './device.js'
import type { Gl, GpuInstance } from './gpujs.js'
import { turnsOf } from './turns.js'
import { type Built, type Compiled, Programs } from './webgl-programs.js'
import { type Sides, type Texture, Textures } from './webgl-textures.js'

/** So many values, from one on. */
interface Span {
  readonly at: number
  readonly length: number
}

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
  readonly #gl: Gl
  readonly #programs: Programs
  readonly #textures: Textures
  /** By how many textures they write at once; null where the driver does not. */
  readonly #framebuffers = new Map<number, object | null>()
  /** How many turns the loops of one run may take. */
  readonly #mostTurns: number

  constructor(gpu: GpuInstance, gl: Gl, info: GpuInfo, mostBytes: number, mostTurns: number = Infinity) {
    const checkThere = (): void => {
      this.#checkThere()
    }
    this.#gl = gl
    this.info = info
    this.#programs = new Programs(gpu, gl, info.mode, checkThere)
    this.#textures = new Textures(gl, mostBytes, checkThere)
    this.#mostTurns = mostTurns
  }

  get isLost(): boolean {
    return this.#gl.isContextLost()
  }

  /** @throws BackendError where the context is lost. */
  #checkThere(): void {
    if (this.isLost) throw lostDevice(this.info.mode, '')
  }

  program(key: string, source: () => Source): Program {
    return this.#programs.get(key, source)
  }

  // ---- runs

  /** They are rectangles: several rows of texels, or within one. */
  partsOf(length: number): Parts {
    const { width } = this.#textures.sidesFor(length)
    const row = width * 4
    return {
      next: (at, size) => ((at % row) + size <= row ? at : Math.ceil(at / row) * row),
      allocate: (size) => this.#textures.allocate(size, [], width),
    }
  }

  run(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
    _threads?: number,
    into?: Into,
  ): Storage {
    const built = program as Built
    this.#checkTurns(built.source, args)
    this.#programs.mark(built)
    const textures = this.#used(into === undefined ? args : [...args, into.storage])
    // Before anything is made, which would be left over, or bound: gpu.js binds what it likes.
    const sides = into === undefined ? this.#textures.sidesFor(length) : undefined
    const compiled = this.#programs.compiled(built, sides !== undefined && isAligned(built, args, sides))
    const out = (into?.storage as Texture | undefined) ?? this.#textures.allocate(length, textures)
    this.#textures.attach(out)
    this.#draw(compiled, built.source, args, out, into && { at: into.at, length })
    return out
  }

  runFour(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
  ): readonly [Storage, Storage, Storage, Storage] | undefined {
    const built = program as Built
    if (!this.#canWrite(built, 4)) return undefined
    this.#checkTurns(built.source, args)
    const textures = this.#used(args)
    const outs: Texture[] = []
    for (let i = 0; i < 4; i++) outs.push(this.#textures.allocate(length, [...textures, ...outs]))
    if (this.#drawSeveral(built, args, outs)) return outs as [Texture, Texture, Texture, Texture]
    for (const out of outs) this.free(out)
    return undefined
  }

  runTogether(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
    into: readonly Into[],
  ): boolean {
    const built = program as Built
    if (!this.#canWrite(built, into.length)) return false
    this.#checkTurns(built.source, args)
    const outs = into.map(({ storage }) => storage as Texture)
    this.#used([...args, ...outs])
    return this.#drawSeveral(built, args, outs, { at: into[0]!.at, length })
  }

  /** Whether a program is taken for so many textures at once. */
  #canWrite(built: Built, count: number): boolean {
    // WebGL 1 writes one texture at a time.
    if (this.info.mode === 'headlessgl' || this.#framebuffers.get(count) === null) return false
    this.#programs.mark(built)
    return this.#programs.own(built) !== undefined
  }

  /** Draws to several textures of the same sides; false where the driver does not write so many at once. */
  #drawSeveral(
    built: Built,
    args: readonly (Storage | number)[],
    outs: readonly Texture[],
    part?: Span,
  ): boolean {
    const gl = this.#gl
    const known = this.#framebuffers.get(outs.length)
    const framebuffer = known ?? gl.createFramebuffer()
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer)
    const places = outs.map((_, i) => gl.COLOR_ATTACHMENT0 + i)
    outs.forEach(({ texture }, i) => {
      gl.framebufferTexture2D(gl.FRAMEBUFFER, places[i]!, gl.TEXTURE_2D, texture!, 0)
    })
    if (known === undefined) {
      gl.drawBuffers(places)
      const isWhole = gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE
      if (!isWhole) {
        this.#checkThere()
        gl.deleteFramebuffer(framebuffer)
      }
      this.#framebuffers.set(outs.length, isWhole ? framebuffer : null)
      if (!isWhole) return false
    }
    this.#draw(this.#programs.own(built)!, built.source, args, outs[0]!, part)
    return true
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

  /** The textures among arguments, each there and used just now. */
  #used(args: readonly (Storage | number)[]): Texture[] {
    const textures = args.filter((arg) => typeof arg !== 'number') as Texture[]
    for (const texture of textures) this.#textures.use(texture, textures)
    return textures
  }

  /** Draws to what is bound, of the sides of `out`: all of it, or a part. */
  #draw(
    { kernel, program, uniforms, isShifted, corner, coordinate }: Compiled,
    source: Source,
    args: readonly (Storage | number)[],
    out: Texture,
    part: Span = { at: 0, length: out.length },
  ): void {
    const gl = this.#gl
    const [first, texels] = [part.at / 4, Math.ceil(part.length / 4)]
    const width = Math.min(out.width, texels)
    const height = Math.ceil(texels / width)
    const place = [first % out.width, Math.floor(first / out.width), width, height] as const
    gl.useProgram(program)
    gl.viewport(...place)
    gl.scissor(...place)
    gl.uniform3iv(uniforms.get('uOutputDim')!, [part.length / (source.width ?? 1), 1, 1])
    gl.uniform2iv(uniforms.get('uTexSize')!, isShifted ? sidesOf(out, true) : [width, height])
    gl.uniform1i(uniforms.get('first') ?? null, first)
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

  // ---- memory

  upload(values: Float32Array): Storage {
    return this.#textures.upload(values)
  }

  async read(storage: Storage): Promise<Float32Array> {
    return this.readSync(storage)
  }

  readSync(storage: Storage): Float32Array {
    return this.#textures.read(storage as Texture)
  }

  free(storage: Storage): void {
    this.#textures.free(storage as Texture)
  }

  get held(): { buffers: number; bytes: number } {
    return this.#textures.held
  }

  get onShortage(): () => void {
    return this.#textures.onShortage
  }

  set onShortage(giveBack: () => void) {
    this.#textures.onShortage = giveBack
  }
}

/** Whether all that a program reads at its own position has the sides of what it writes. */
function isAligned({ source, here }: Built, args: readonly (Storage | number)[], out: Sides): boolean {
  return source.args.every(([name], i) => {
    if (!here.includes(name)) return true
    const { width, height } = args[i] as Texture
    return width === out.width && height === out.height
  })
}

/** A texture's sides, or what a position is masked with and shifted by. */
function sidesOf({ width, height }: Sides, isShifted: boolean): readonly [number, number] {
  return isShifted ? [width - 1, Math.log2(width)] : [width, height]
}
