// What threads tell each other, as 32-bit numbers in the memory of plans.

/**
 * The work at hand: 12 bits that change with it, 10 with the number of its parts, 10 with the next part to be taken.
 * Who changes it from a ticket that has a part left to the one after it has taken that part.
 */
export const TICKET: number = 0
/** Whose function, by number. */
export const PLAN: number = 1
export const STAGE: number = 2
/** How many parts others than the main thread are done with, well or badly. */
export const DONE: number = 16
export const FAILED: number = 17
/** How many workers wait to be woken, and whether the main thread does. */
export const SLEEPING: number = 32
export const WAITING: number = 33
/** From here on one number for each part: whether it is done. */
export const FLAGS: number = 48
export const MOST_PARTS: number = 1000
/** From here on so many numbers for each worker. */
export const WORKERS: number = FLAGS + 1024
export const PER_WORKER: number = 16
/** Of a worker's numbers: how many messages it was sent. */
export const SENT: number = 0
/** Whether it has begun. */
export const IS_UP: number = 1
/** Where its scratch is, and where it copies what a part will change. */
export const SCRATCH: number = 2
export const ASIDE: number = 3
/** The ticket of the part that it copied aside last, or 0. */
export const KEPT: number = 4

export const MOST_WORKERS: number = 63
export const CONTROL_BYTES: number = 4 * (WORKERS + MOST_WORKERS * PER_WORKER)

/** Bits of a ticket. */
export const PART_BITS: number = 10
export const PART_MASK: number = 1023
