import type { Code, Local } from './code.js'
import { keep } from './vector-math.js'

// Four numbers in float64: two vectors of two.

/** Elements 2 and 3 in place of 0 and 1. */
const HIGH = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]
/** Elements 0 and 1 of two vectors. */
const JOINED = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]

/** Four float64 numbers. */
export interface Wide {
  readonly low: Local
  readonly high: Local
}

/** The four elements of a vector in float64. */
export function widen(c: Code, x: Local): Wide {
  const low = keep(c, () => c.get(x).op('f64x2.promote_low_f32x4'))
  return { low, high: keep(c, () => c.get(x).get(x).shuffle(HIGH).op('f64x2.promote_low_f32x4')) }
}

/** Four float64 numbers rounded to float32. */
export function narrow(c: Code, { low, high }: Wide): Local {
  return keep(c, () =>
    c.get(low).op('f32x4.demote_f64x2_zero').get(high).op('f32x4.demote_f64x2_zero').shuffle(JOINED),
  )
}

/** Each half by itself. */
export function halves(x: Wide, f: (half: Local) => Local): Wide {
  const low = f(x.low)
  return { low, high: x.low === x.high ? low : f(x.high) }
}
