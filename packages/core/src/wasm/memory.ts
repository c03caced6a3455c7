import { allocate, BYTES, type DType, type NumericArray } from '../dtype.js'
import { BackendError } from '../errors.js'
import { createMemory, grow, hasWebAssembly, type Memory, padded, unwritten } from './host.js'
import { OftenRead } from './often-read.js'
import { Block, Segment, type WasmHandle } from './segment.js'

// Where the values of eager ops live. Most of them are needed for microseconds and few for long, and nobody says which.
// So they are cut from a ring of segments in the memory of WebAssembly, the oldest of which makes room for the newest:
// what it holds is copied out once, to an array that the garbage collector looks after. Tensors that are still held then
// find their values there; the copy of a segment that nobody refers to any more is garbage at once. A large value that is
// soon computed again is not even copied: see recipe.ts.

const PAGE = 65_536

class Ring {
  readonly #queue: Segment[] = []
  #open: Segment | undefined
  #head: number

  constructor(
    readonly start: number,
    readonly bytes: number,
    readonly segmentBytes: number,
  ) {
    this.#head = start
  }

  /** A block of so many bytes, a multiple of 16. Blocks made before may move. */
  block(bytes: number): Block {
    let segment = this.holdsAlone(bytes) ? this.#next(bytes) : this.#open
    if (segment === undefined || segment.top + bytes > segment.end)
      segment = this.#open = this.#next(this.segmentBytes)
    const offset = segment.top - segment.base
    segment.top += bytes
    return new Block(segment, offset, bytes)
  }

  /** Whether a block has a segment of its own: each is kept as long as anything in it is, and larger ones would keep much. */
  holdsAlone(bytes: number): boolean {
    return bytes > this.segmentBytes / 8
  }

  #next(size: number): Segment {
    if (this.#head + size > this.start + this.bytes) {
      this.#moveOutUpTo(Infinity)
      this.#head = this.start
    }
    const end = this.#head + size
    this.#moveOutUpTo(end)
    const segment = new Segment(this.#head, size, true)
    this.#head = end
    this.#queue.push(segment)
    return segment
  }

  /** Makes room between the head and an address. */
  #moveOutUpTo(end: number): void {
    for (let oldest = this.#queue[0]; oldest !== undefined; oldest = this.#queue[0]) {
      if (oldest.base < this.#head || oldest.base >= end) return
      if (oldest === this.#open) this.#open = undefined
      moveOut(oldest)
      this.#queue.shift()
    }
  }
}

/** Blocks that are needed for no longer than one stretch of work: they are never moved out. */
class Pad {
  #segment: Segment | undefined

  constructor(
    readonly start: number,
    readonly bytes: number,
  ) {}

  /** A block of so many bytes, if one of these is to be had. */
  block(bytes: number): Block | undefined {
    const segment = this.#segment
    if (segment === undefined || segment.top + bytes > segment.end) return undefined
    const offset = segment.top - segment.base
    segment.top += bytes
    return new Block(segment, offset, bytes)
  }

  /** Runs `f`, whose blocks are cut from here. Of these only what `f` returns stays: it moves to the rings. */
  during<R extends readonly ({ readonly handle: object } | undefined)[]>(f: () => R): R {
    if (this.#segment !== undefined) return f()
    const segment = (this.#segment = new Segment(this.start, this.bytes, false))
    try {
      const kept = f()
      this.#segment = undefined
      for (const x of kept)
        if (x?.handle instanceof Block && x.handle.segment === segment) moveToRing(x.handle)
      return kept
    } finally {
      this.#segment = undefined
      segment.source = GONE
    }
  }
}

const GONE = {
  get buffer(): ArrayBuffer {
    throw new BackendError(
      'a tensor that a gradient rule made was kept and used after the gradient was done; keep a copy, tensor(x.dataSync(), …)',
    )
  },
}

function moveToRing(block: Block): void {
  const { segment, offset, bytes } = block
  const copy = ringFor(bytes).block(bytes)
  heap.u8.copyWithin(copy.segment.base + copy.offset, segment.base + offset, segment.base + offset + bytes)
  block.segment = copy.segment
  block.offset = copy.offset
}

/** Single numbers that ops were given, each once while there is room; then they are moved out, and it begins anew. */
class Constants {
  readonly #known = new Map<DType, Map<number, Block>>()
  #segment: Segment | undefined

  constructor(
    readonly start: number,
    readonly bytes: number,
  ) {}

  of(value: number, dtype: DType): Block {
    let known = this.#known.get(dtype)
    if (known === undefined) this.#known.set(dtype, (known = new Map<number, Block>()))
    // To a map, -0 is 0.
    const isKept = !Object.is(value, -0)
    let block = isKept ? known.get(value) : undefined
    if (block === undefined) {
      block = this.#write(value, dtype)
      if (isKept) known.set(value, block)
    }
    return block
  }

  #write(value: number, dtype: DType): Block {
    let segment = this.#segment
    if (segment === undefined || segment.top + 16 > segment.end) {
      if (segment !== undefined) moveOut(segment)
      for (const known of this.#known.values()) known.clear()
      segment = this.#segment = new Segment(this.start, this.bytes, true)
    }
    const offset = segment.top - segment.base
    viewAt(memory.buffer, segment.top, dtype, 1)[0] = value
    segment.top += 16
    return new Block(segment, offset, 16)
  }
}

let hasMoved = false

function moveOut(segment: Segment): void {
  const { standIn } = segment
  if (standIn?.standsFor(segment.top - segment.base) === true) segment.source = standIn
  else {
    if (!hasMoved) raiseThreshold()
    hasMoved = true
    // A copy made of an array is not filled with zeros before, as one by slice is.
    segment.source = new Uint8Array(heap.u8.subarray(segment.base, segment.top))
  }
  segment.standIn = undefined
  segment.base = 0
}

/**
 * The allocator of Linux' C library asks the kernel for every large array, and gives it back at once, until an even larger
 * one has been given back: then it keeps a store of its own, which makes moving out three times as fast. These arrays are
 * never written to and so take no memory.
 */
function raiseThreshold(): void {
  const { process } = globalThis as { readonly process?: { readonly platform?: string } }
  if (process?.platform === 'linux') for (let i = 0; i < 6; i++) new ArrayBuffer(31 * 2 ** 20)
}

/** The first bytes are left alone, so that no block is at address 0. */
const RESERVED = 1024
/** Up to so many bytes V8 keeps an array's elements beside it, which costs least. */
const TINY = 64
/** Small blocks share small segments, so that holding one of them does not hold much else. */
const SMALL = padded(2048)
const SMALL_RING = 256 * 1024
const RING = 2 * 1024 * 1024
/** Larger values have arrays of their own and are copied in and out, or are in a ring of their own. */
export const LARGEST: number = RING / 4
/** No page of it is there before it is needed. */
const LARGE_RING = 24 * 1024 * 1024
const PAD = 4 * 1024 * 1024

const CONSTANTS = 16 * 1024

let end = RESERVED
/** Where so many bytes are that nothing else uses. */
function laidOut(bytes: number): number {
  end += bytes
  return end - bytes
}
const constants = new Constants(laidOut(CONSTANTS), CONSTANTS)
const smallRing = new Ring(laidOut(SMALL_RING), SMALL_RING, 16 * 1024)
const ring = new Ring(laidOut(RING), RING, 256 * 1024)
const pad = new Pad(laidOut(PAD), PAD)
const largeRing = new Ring(laidOut(LARGE_RING), LARGE_RING, 0)
const SCRATCH = end

/** Room for a value above {@link LARGEST}; undefined for one that is too large for any ring. */
export function largeBlock(size: number): Block | undefined {
  return size <= LARGE_RING / 3 ? largeRing.block(padded(size)) : undefined
}

function ringFor(bytes: number): Ring {
  return bytes <= SMALL ? smallRing : ring
}

/** One number. */
export const constant = (value: number, dtype: DType): WasmHandle => constants.of(value, dtype)

/** Runs `f`. Of the values that are made meanwhile only those that it returns are used afterwards. */
export const temporarily: Pad['during'] = (f) => pad.during(f)

export const memory: Memory = (hasWebAssembly() ? createMemory : noMemory)(
  Math.ceil((SCRATCH + 4 * 1024 * 1024) / PAGE),
)

/** Where WebAssembly is refused nothing of this is used. */
function noMemory(): Memory {
  return { buffer: new ArrayBuffer(0), grow: () => -1 }
}

let heap = views()
let scratchTop = SCRATCH

function views(): {
  readonly u8: Uint8Array
  readonly i32: Int32Array
  readonly f32: Float32Array
  readonly f64: Float64Array
} {
  const { buffer } = memory
  return {
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
  }
}

/** Before a kernel takes any room. */
export function begin(): void {
  resetScratch()
  arrays.bringIn()
}

const arrays = new OftenRead(LARGEST, (values) => {
  const block = largeRing.block(padded(values.byteLength))
  copyTo(block.segment.base, values)
  return block
})

/** Frees the scratch space of the kernel before; or what was taken after {@link usedScratch} was so much. */
export function resetScratch(used = 0): void {
  scratchTop = SCRATCH + used
}

export function usedScratch(): number {
  return scratchTop - SCRATCH
}

/** The address of so many bytes that are the kernel's own until the next one runs. */
export function scratch(size: number): number {
  const at = scratchTop
  scratchTop += padded(size)
  const missing = scratchTop + 64 - memory.buffer.byteLength
  if (missing > 0) {
    grow(memory, Math.ceil(missing / PAGE))
    heap = views()
  }
  return at
}

/** The address of values that a kernel reads: they are copied into the memory where they are outside of it. */
export function addressOf(handle: WasmHandle): number {
  if (!(handle instanceof Block)) return arrays.addressOf(handle) ?? copyIn(handle)
  const { segment, offset, bytes } = handle
  if (segment.source === undefined) return segment.base + offset
  const { buffer } = segment.source
  const from = segment.base + offset
  const at = scratch(bytes)
  heap.u8.set(new Uint8Array(buffer, from, Math.min(bytes, buffer.byteLength - from)), at)
  return at
}

/** The address of values that are in the memory now. */
export function addressNow(handle: WasmHandle): number | undefined {
  if (!(handle instanceof Block)) return arrays.addressOf(handle)
  if (handle.segment.source !== undefined) return undefined
  return handle.segment.base + handle.offset
}

/** The address of a copy of values, for the kernel at hand. */
function copyIn(values: NumericArray): number {
  const at = scratch(values.byteLength)
  copyTo(at, values)
  return at
}

/** Copies values to an address. */
export function copyTo(at: number, values: NumericArray): void {
  if (values instanceof Float32Array) {
    const { f32 } = heap
    if (values.length > 16) f32.set(values, at >> 2)
    else for (let i = 0; i < values.length; i++) f32[(at >> 2) + i] = values[i]!
  } else if (values instanceof Float64Array) heap.f64.set(values, at >> 3)
  else if (values instanceof Int32Array) heap.i32.set(values, at >> 2)
  else heap.u8.set(values, at)
}

/** Where the outputs of a kernel go. */
export class Place {
  readonly #dtype: DType
  readonly #size: number
  readonly #bytes: number
  readonly #ring: Ring | undefined

  constructor(dtype: DType, size: number) {
    const bytes = size * BYTES[dtype]
    this.#dtype = dtype
    this.#size = size
    this.#bytes = padded(bytes)
    this.#ring = bytes <= TINY || bytes > LARGEST ? undefined : ringFor(this.#bytes)
  }

  /** Room for an output. Made before the addresses of inputs are taken, because that may move them. */
  make(): WasmHandle {
    if (this.#ring === undefined) return ownArray(this.#dtype, this.#size)
    return pad.block(this.#bytes) ?? this.#ring.block(this.#bytes)
  }

  /** Whether outputs are blocks with segments of their own, unless they are made for a while only. */
  get isLarge(): boolean {
    return this.#ring?.holdsAlone(this.#bytes) === true
  }

  /** Where the kernel writes it. */
  addressOf(made: WasmHandle): number {
    return made instanceof Block ? made.segment.base + made.offset : scratch(this.#bytes)
  }

  /** The output, once the kernel has written it. */
  finish(made: WasmHandle, address: number): WasmHandle {
    if (!(made instanceof Block)) copyOut(address, made)
    return made
  }
}

/** An array of its own for an output. A kernel has yet to write its elements, all of them. */
export function ownArray(dtype: DType, size: number): NumericArray {
  const bytes = size * BYTES[dtype]
  return bytes > LARGEST ? viewAt(unwritten(bytes), 0, dtype, size) : allocate(dtype, size)
}

/** Fills an array with the numbers at an address. */
export function copyOut(at: number, to: NumericArray): void {
  if (to instanceof Float32Array) {
    const { f32 } = heap
    if (to.length > 16) to.set(f32.subarray(at >> 2, (at >> 2) + to.length))
    else for (let i = 0; i < to.length; i++) to[i] = f32[(at >> 2) + i]!
  } else to.set(viewAt(memory.buffer, at, dtypeOf(to), to.length))
}

function dtypeOf(array: NumericArray): DType {
  if (array instanceof Float64Array) return 'float64'
  return array instanceof Int32Array ? 'int32' : 'uint8'
}

/** Numbers at an address. */
export function viewAt(buffer: ArrayBuffer, at: number, dtype: DType, size: number): NumericArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, at, size)
    case 'float64':
      return new Float64Array(buffer, at, size)
    case 'int32':
      return new Int32Array(buffer, at, size)
    default:
      return new Uint8Array(buffer, at, size)
  }
}

/** The values of a handle as an array. It is good until the next kernel runs. */
export function viewOf(handle: WasmHandle, dtype: DType, size: number): NumericArray {
  if (!(handle instanceof Block)) return handle
  const { segment, offset } = handle
  return viewAt(segment.source?.buffer ?? memory.buffer, segment.base + offset, dtype, size)
}
