// The numbers of Adam, the same for everybody.
export const LEARNING_RATE = 0.001
export const BETA1 = 0.9
export const BETA2 = 0.999
export const EPSILON = 1e-7

/** Adam's rate at a step, counted from 1, corrected for averages that began at zero (Kingma & Ba 2015). */
export function rateAt(step: number): number {
  return (LEARNING_RATE * Math.sqrt(1 - BETA2 ** step)) / (1 - BETA1 ** step)
}
