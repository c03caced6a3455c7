import { LimitError } from '@adjoint/core'
import type { Storage } from './device.js'
import type { Gl } from './gpujs.js'

/** In texels. */
export interface Sides {
  readonly width: number
  readonly height: number
}

/** Numbers by fours, row by row. */
export interface Texture extends Storage, Sides {
  /** Undefined while its values are on the host to make room. */
  texture: object | undefined
  spilled: Float32Array | undefined
}

/**
 * The textures of a context, within a budget of bytes: over it, what was used longest ago moves to the host until it is
 * used again.
 */
export class Textures {
  readonly #gl: Gl
  /** @throws BackendError where the context is lost. */
  readonly #checkThere: () => void
  /** What is on the device, least recently used first. */
  readonly #resident = new Set<Texture>()
  readonly #free = new Map<string, object[]>()
  readonly #framebuffer: object
  /** What is in it: to say it again would have a driver begin anew. */
  #attached: object | undefined
  readonly #mostSide: number
  readonly #mostBytes: number
  #freeBytes = 0
  #bytes = 0
  #buffers = 0
  onShortage: () => void = () => undefined

  constructor(gl: Gl, mostBytes: number, checkThere: () => void) {
    this.#gl = gl
    this.#mostBytes = mostBytes
    this.#checkThere = checkThere
    this.#framebuffer = gl.createFramebuffer()
    this.#mostSide = 2 ** Math.floor(Math.log2(gl.getParameter(gl.MAX_TEXTURE_SIZE) as number))
  }

  get held(): { buffers: number; bytes: number } {
    return { buffers: this.#buffers, bytes: this.#bytes }
  }

  // ---- values

  upload(values: Float32Array): Texture {
    const made = this.allocate(values.length, [])
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

  /** Has what is read or drawn next be in it. */
  attach({ texture }: Texture): void {
    const gl = this.#gl
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer)
    if (texture === this.#attached) return
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture!, 0)
    this.#attached = texture
  }

  read(storage: Texture): Float32Array {
    const { spilled, width, height, length } = storage
    if (spilled !== undefined) return spilled.slice()
    const gl = this.#gl
    this.#checkThere()
    this.attach(storage)
    // The one format that every driver reads floats in.
    const texels = new Float32Array(width * height * 4)
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, texels)
    return texels.subarray(0, length)
  }

  // ---- memory

  /** A texture for so many values. @param inUse what stays on the device. */
  allocate(length: number, inUse: readonly Texture[], width?: number): Texture {
    this.#checkThere()
    const made: Texture = { length, ...this.sidesFor(length, width), texture: undefined, spilled: undefined }
    this.#place(made, inUse)
    this.#buffers++
    return made
  }

  /**
   * @param width a power of two, so that positions are found by shifts: that of the nearest square, unless given.
   * @throws LimitError where no texture is that large.
   */
  sidesFor(length: number, width: number = this.#widthFor(length)): Sides {
    const texels = Math.ceil(length / 4)
    const height = Math.ceil(texels / width)
    if (height > this.#mostSide)
      throw new LimitError(
        `${length} values need a texture of ${width} x ${height}; this GPU allows ${this.#mostSide} a side`,
      )
    return { width, height }
  }

  /** Few of them, so that textures are used again. */
  #widthFor(length: number): number {
    return Math.min(this.#mostSide, 2 ** Math.ceil(Math.log2(Math.ceil(length / 4)) / 2))
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
  use(texture: Texture, inUse: readonly Texture[]): void {
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
      oldest.spilled = this.read(oldest).slice()
      this.#gl.deleteTexture(oldest.texture!)
      oldest.texture = undefined
      this.#resident.delete(oldest)
      this.#bytes -= bytesOf(oldest)
    }
  }

  /** Keeps the texture for the next of its sides. */
  free(storage: Texture): void {
    const { texture } = storage
    this.#buffers--
    storage.spilled = undefined
    if (texture === undefined) return
    const bytes = bytesOf(storage)
    const key = keyOf(storage)
    const list = this.#free.get(key)
    if (list === undefined) this.#free.set(key, [texture])
    else list.push(texture)
    this.#resident.delete(storage)
    this.#bytes -= bytes
    this.#freeBytes += bytes
  }
}

/** Out of the way of the units that runs use. */
const SPARE_UNIT = 15

function bytesOf({ width, height }: Sides): number {
  return width * height * 16
}

function keyOf({ width, height }: Sides): string {
  return `${width} ${height}`
}
