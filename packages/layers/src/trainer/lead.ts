import { now } from '../host.js'
import type { Batch } from './batches.js'

/** So long a device may be ahead of what is known of its steps, and how many steps and bytes of batches that may be. */
export const LONG_MS = 100
export const MOST_STEPS = 64
const MOST_BYTES = 2 ** 26

/** How far a device is ahead of what is known of its steps. */
export class Lead {
  #steps = 0
  #bytes = 0
  #since = 0

  /** One more step. */
  add({ x, y, weights, masks }: Batch): void {
    if (this.#steps++ === 0) this.#since = now()
    for (const list of [x, y, weights, masks]) for (const part of list) this.#bytes += 4 * (part?.size ?? 0)
  }

  /** Whether it is time to wait for the device. */
  isLong(most: number = MOST_STEPS): boolean {
    return this.#steps >= most || this.#bytes > MOST_BYTES || this.ms > LONG_MS
  }

  /** Since the first of the steps. */
  get ms(): number {
    return this.#steps === 0 ? 0 : now() - this.#since
  }

  /** All of them are known. */
  end(): void {
    this.#steps = 0
    this.#bytes = 0
  }
}
