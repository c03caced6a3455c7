import type { NumericArray } from '../dtype.js'
import type { Block, StandIn } from './segment.js'

/** So many times an array is read before it is held. */
const OFTEN = 3
/** Smaller ones are soon copied in. */
const LEAST_BYTES = 4096
/** One that was not read more often before it had to leave is not held again. */
const WORTH_IT = 8

interface Known {
  reads: number
  block: Block | undefined
}

/** A copy that has to leave is not needed: there still is the array. */
const FORGOTTEN: StandIn = { buffer: new ArrayBuffer(0), standsFor: () => true }

/** Arrays outside of the memory that kernels read again and again: copies of them stay in it while there is room. */
export class OftenRead {
  readonly #known = new WeakMap<NumericArray, Known>()
  #next: NumericArray | undefined
  readonly #mostBytes: number
  readonly #copy: (values: NumericArray) => Block

  /** @param copy makes a block of values, with a segment of its own. */
  constructor(mostBytes: number, copy: (values: NumericArray) => Block) {
    this.#mostBytes = mostBytes
    this.#copy = copy
  }

  /** Where the values of an array are in the memory, if they are. */
  addressOf(values: NumericArray): number | undefined {
    if (values.byteLength < LEAST_BYTES || values.byteLength > this.#mostBytes) return undefined
    let known = this.#known.get(values)
    if (known === undefined) this.#known.set(values, (known = { reads: 0, block: undefined }))
    known.reads++
    if (known.block?.segment.source !== undefined) {
      known.block = undefined
      known.reads = known.reads > WORTH_IT ? 1 : -Infinity
    }
    // Not at once: room for it would be made where another operand of the kernel is.
    if (known.reads >= OFTEN && known.block === undefined) this.#next = values
    return known.block && known.block.segment.base + known.block.offset
  }

  /** Copies what was read often enough, before a kernel takes any room. */
  bringIn(): void {
    const values = this.#next
    if (values === undefined) return
    this.#next = undefined
    const block = this.#copy(values)
    block.segment.standIn = FORGOTTEN
    this.#known.get(values)!.block = block
  }
}
