import type { NumericArray } from '../dtype.js'
import { Block, type StandIn, type WasmHandle } from './segment.js'

// A large value that has to leave the ring of eager memory is copied out only where it could not be computed again just as
// well. Mostly nobody asks for it any more; the copy would have taken as long as the kernel, and the garbage collector again as
// long.

/** So many kernels in a row are run again at most. */
const MOST_STEPS = 4
/** So many times the bytes of a value may be kept for it. */
const MOST_KEPT = 2

/** A value that is computed again when somebody asks for it. */
export class Recipe implements StandIn {
  #inputs: readonly WasmHandle[]
  readonly #compute: (inputs: readonly WasmHandle[]) => NumericArray
  #buffer: ArrayBuffer | undefined
  /** How many kernels run one after another. */
  #steps = 1
  /** The bytes of what it is computed from. */
  #kept = 0

  /** @param compute computes it, and gives back the scratch that it takes: another kernel may be about to run. */
  constructor(inputs: readonly WasmHandle[], compute: (inputs: readonly WasmHandle[]) => NumericArray) {
    this.#inputs = inputs
    this.#compute = compute
  }

  /** Whether it takes the place of so many bytes that leave the ring now. */
  standsFor(bytes: number): boolean {
    for (const x of this.#inputs) {
      const isBlock = x instanceof Block
      // What is still in a ring may leave that with a recipe of its own, and chains would have no end.
      if (isBlock && (!x.segment.isLasting || x.segment.standIn !== undefined)) return false
      const source = isBlock ? x.segment.source : undefined
      if (source instanceof Recipe && source.#buffer === undefined) {
        this.#steps = Math.max(this.#steps, source.#steps + 1)
        this.#kept += source.#kept
      } else this.#kept += source?.buffer.byteLength ?? (isBlock ? x.bytes : x.byteLength)
    }
    return this.#steps <= MOST_STEPS && this.#kept <= MOST_KEPT * bytes
  }

  get buffer(): ArrayBuffer {
    if (this.#buffer === undefined) {
      this.#buffer = this.#compute(this.#inputs).buffer as ArrayBuffer
      this.#inputs = []
    }
    return this.#buffer
  }
}
