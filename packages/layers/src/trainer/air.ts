import { giveAir, now } from '../host.js'

/** A frame at 60 Hz: longer, and whatever else runs on the event loop would be seen to stall. */
const LONGEST_MS = 16

/** Lets the event loop have its turn by time, however long steps take. */
export class Air {
  #last = now()

  get isDue(): boolean {
    return now() - this.#last > LONGEST_MS
  }

  async breathe(): Promise<void> {
    await giveAir()
    this.#last = now()
  }
}
