import { createMemory, createSharedMemory, grow, hasWebAssembly, type Memory, padded } from '../wasm/host.js'

// The memory of plans: their constants and buffers, and the variables they work on, each at an address that stays.

const PAGE = 65_536

const shared = hasWebAssembly() ? createSharedMemory(16) : undefined

/** Whether other threads can work on the memory of plans. */
export const isShared: boolean = shared !== undefined

/**
 * The memory that plans' code runs over. Its buffer is another one after it has grown. Where it is shared between
 * threads, arrays over it are never handed out: users get copies.
 */
export const planMemory: Memory =
  shared ?? (hasWebAssembly() ? createMemory(16) : { buffer: new ArrayBuffer(0), grow: () => -1 })

interface Hole {
  start: number
  end: number
}

/** No address is 0. */
const FIRST = 1024
/** Free stretches, in order. */
const holes: Hole[] = [{ start: FIRST, end: planMemory.buffer.byteLength }]

/** The address of so many bytes, kept until they are freed. */
export function reserve(bytes: number): number {
  const size = padded(bytes)
  let hole = holes.find(({ start, end }) => end - start >= size)
  if (hole === undefined) {
    const last = holes.at(-1)
    const end = planMemory.buffer.byteLength
    const isAtEnd = last !== undefined && last.end === end
    const missing = size - (isAtEnd ? end - last.start : 0)
    const pages = Math.max(Math.ceil(missing / PAGE), 16)
    grow(planMemory, pages)
    if (isAtEnd) {
      last.end += pages * PAGE
      hole = last
    } else holes.push((hole = { start: end, end: end + pages * PAGE }))
  }
  const address = hole.start
  hole.start += size
  if (hole.start === hole.end) holes.splice(holes.indexOf(hole), 1)
  return address
}

/** Gives back what {@link reserve} gave. */
export function free(address: number, bytes: number): void {
  const end = address + padded(bytes)
  let at = holes.findIndex(({ start }) => start >= end)
  if (at < 0) at = holes.length
  const before = holes[at - 1]
  const after = holes[at]
  if (before?.end === address) {
    before.end = end
    if (after?.start === end) {
      before.end = after.end
      holes.splice(at, 1)
    }
  } else if (after?.start === end) after.start = address
  else holes.splice(at, 0, { start: address, end })
}

/** Bytes of somebody's own: free when this is gone. */
export class Piece {
  readonly address: number

  constructor(readonly bytes: number) {
    this.address = reserve(bytes)
    pieces.register(this, { address: this.address, bytes })
  }

  /** As many others, that hold the same. */
  copy(): Piece {
    const other = new Piece(this.bytes)
    new Uint8Array(planMemory.buffer).copyWithin(other.address, this.address, this.address + this.bytes)
    return other
  }
}

const pieces = new FinalizationRegistry<{ readonly address: number; readonly bytes: number }>(
  ({ address, bytes }) => free(address, bytes),
)

/** The bytes that are reserved now. */
export function reservedBytes(): number {
  return holes.reduce((bytes, { start, end }) => bytes - (end - start), planMemory.buffer.byteLength - FIRST)
}
