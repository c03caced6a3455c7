import type { NumericArray } from '../dtype.js'
import type { Recipe } from './recipe.js'

/** A stretch that blocks are cut from. */
export class Segment {
  /** What holds its bytes, unless they are in the memory of eager ops. */
  source: { readonly buffer: ArrayBuffer } | undefined = undefined
  /** How its bytes can be computed again, where they are one block. */
  recipe: Recipe | undefined = undefined
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
