import { readNow } from '../backend.js'
import { allocate, BYTES, type NumericArray } from '../dtype.js'
import { BackendError } from '../errors.js'
import { sizeOf } from '../shape.js'
import { disposed, Tensor, type Variable } from '../tensor.js'
import { wasmBackend } from '../wasm/backend.js'
import { viewAt, viewOf } from '../wasm/memory.js'
import { Block, Segment, type WasmHandle } from '../wasm/segment.js'
import { Piece, planMemory } from './heap.js'

// A variable that plans work on lives in their memory, at one address for all plans. What it holds there is an ordinary
// tensor; before a plan changes the bytes under a tensor that somebody may have kept, that tensor's are moved out.

/** The place of one variable in the memory of plans. */
export class Home {
  #piece: Piece
  /** The tensor that the variable holds when its values are here. */
  #tensor: Tensor | undefined
  #segment: Segment | undefined

  constructor(variable: Variable) {
    this.#piece = new Piece(Math.max(sizeOf(variable.shape) * BYTES[variable.dtype], 1))
  }

  get address(): number {
    return this.#piece.address
  }

  /** Moves to another address: code that has the old one is of no more use. @returns what was there. */
  move(): Piece {
    const before = this.#piece
    this.#piece = before.copy()
    if (this.#segment !== undefined) this.#segment.base = this.address
    return before
  }

  /** The memory that segments here belong to; they keep this home alive. */
  get buffer(): ArrayBuffer {
    return planMemory.buffer
  }

  /** Makes sure that the variable's values are here, and are nobody else's if they are about to change. */
  settle(variable: Variable, changes: boolean): void {
    const held = variable.held
    if (held.isDisposed) throw disposed('compile', held)
    if (held === this.#tensor && !(changes && variable.isShared)) return
    if (held === this.#tensor) this.#moveOut()
    else {
      const values = valuesOf(held)
      // A tensor that was here before is somebody else's now.
      if (this.#tensor !== undefined) this.#moveOut()
      viewAt(planMemory.buffer, this.address, held.dtype, sizeOf(held.shape)).set(values)
    }
    const { address, bytes } = this.#piece
    const segment = new Segment(address, bytes, false)
    segment.source = this
    this.#segment = segment
    this.#tensor = new Tensor(variable.aval, new Block(segment, 0, bytes), wasmBackend)
    variable.hold(this.#tensor)
  }

  #moveOut(): void {
    const { shape, dtype } = this.#tensor!
    const size = sizeOf(shape)
    const copy = allocate(dtype, size)
    copy.set(viewAt(planMemory.buffer, this.address, dtype, size))
    this.#segment!.source = { buffer: copy.buffer as ArrayBuffer }
    this.#segment!.base = 0
  }
}

/** The values of a tensor, not copied where they are at hand: good until the next kernel runs, and not to be changed. */
export function valuesOf(x: Tensor): NumericArray {
  const values = knownValuesOf(x)
  if (values === undefined)
    throw new BackendError(
      `compile: a tensor on the ${x.backend.name} backend was used on the CPU; copy it with tensor(await x.data()), or ` +
        'await v.data() of a variable',
      { op: 'compile' },
    )
  return values
}

/** The same, or undefined where a device alone has them. */
export function knownValuesOf(x: Tensor): NumericArray | undefined {
  const { backend, handle, shape, dtype } = x
  if (x.isDisposed) throw disposed('compile', x)
  if (backend === wasmBackend) return viewOf(handle as WasmHandle, dtype, sizeOf(shape))
  return readNow(backend, handle, { shape, dtype }) as NumericArray | undefined
}

const homes = new WeakMap<Variable, Home>()

export function homeOf(variable: Variable): Home {
  let home = homes.get(variable)
  if (home === undefined) homes.set(variable, (home = new Home(variable)))
  return home
}
