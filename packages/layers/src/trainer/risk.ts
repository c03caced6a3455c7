import type { Optimizer } from '../optimizers.js'

/** Float32 reaches 3e38: steps that could come near it are looked at after they were made. */
const LARGE_RATE = 1e20
const LARGE_MOVE = 1e25

/** Whether the next step, by gradients of this size, could overflow a weight. */
export function isRisky({ largestRate }: Optimizer, largestGradient: number): boolean {
  return largestRate > LARGE_RATE || largestRate * largestGradient > LARGE_MOVE
}
