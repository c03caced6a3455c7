import type { NumericArray } from '../dtype.js'

/** A stretch that blocks are cut from. */
export class Segment {
  /** What holds its bytes, unless they are in the memory of eager ops. */
  source: { readonly buffer: ArrayBuffer } | undefined = undefined
  /** Where its bytes may come from once they have left the memory, instead of a copy. */
  standIn: StandIn | undefined = undefined
  /** Where it begins in the memory, or in its source's buffer. */
  base: number
  readonly end: number
  /** Where the next block begins. */
  top: number

  constructor(
    base: number,
    bytes: number,
    /** Whether what is in it stays as it is for as long as somebody has it. */
    readonly isLasting: boolean,
  ) {
    this.base = this.top = base
    this.end = base + bytes
  }
}

export interface StandIn {
  readonly buffer: ArrayBuffer
  /** Whether it takes the place of so many bytes that leave the memory now. */
  standsFor(bytes: number): boolean
}

/** The place of a tensor's values in a segment. */
export class Block {
  declare segment: Segment
  /** In bytes from the segment's beginning. */
  declare offset: number
  declare readonly bytes: number

  constructor(segment: Segment, offset: number, bytes: number) {
    this.segment = segment
    this.offset = offset
    this.bytes = bytes
  }
}

/** Values are in a block, or in an array of their own: those from outside, those of few elements, and those too large for the ring. */
export type WasmHandle = Block | NumericArray
