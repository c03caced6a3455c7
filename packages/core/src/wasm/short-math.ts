import type { Code, Local } from './code.js'
import type { SingleFunction } from './single-math.js'
import { keep } from './vector-math.js'
import { halves, narrow, widen } from './wide.js'

// Functions of four float32 lanes in float64 arithmetic, with polynomials that are as long as float32 results need: for what
// loses too many digits in float32. Fitted for this file by Remez' exchange in 40 digits; with each stands its largest error as
// a part of the function's value.

/** exp(r) for |r| <= ln(2) / 2, to 1.9e-9. */
const EXP = [
  1.0000000005546759, 1.0000000363432824, 0.499999920724213, 0.16666420076006844, 0.0416682268064794,
  0.008374823868707538, 0.0013836802857332888,
]
/** Phi(-a) exp(a² / 2) / t for t = 1 / (a + 3) and 0 <= a <= 15, to 9.4e-10. */
const TAIL = [
  0.39894677842969567, 1.1963917234206733, 3.2098460460396434, 6.739000900673493, 18.758935402991618,
  -62.2683519349898, 439.4408092255173, -2316.7959602173255, 5692.639090172162, -6814.749401963551,
  3294.7459779491587,
]
/** From here on x Phi(-x) is less than any float32 number. */
const TAIL_END = 15

/** ((c[n] x + c[n-1]) x + …) x + c[0], left on the stack. */
function horner(c: Code, x: Local, coefficients: readonly number[]): void {
  c.f64x2(coefficients.at(-1)!)
  for (let i = coefficients.length - 2; i >= 0; i--)
    c.get(x).op('f64x2.mul').f64x2(coefficients[i]!).op('f64x2.add')
}

/** Adding it rounds to a whole number, which then is in the sum's lowest bits, with that of 2^0 as a float64's exponent. */
const ROUNDER = 1.5 * 2 ** 52 + 1023

/** exp of numbers in [-708, 709]. */
function exp(c: Code, x: Local): void {
  const shifted = keep(c, () => c.get(x).f64x2(Math.LOG2E).op('f64x2.mul').f64x2(ROUNDER).op('f64x2.add'))
  const r = keep(c, () => {
    c.get(x).get(shifted).f64x2(ROUNDER).op('f64x2.sub').f64x2(Math.LN2).op('f64x2.mul', 'f64x2.sub')
  })
  horner(c, r, EXP)
  c.get(shifted).op(52, 'i64x2.shl', 'f64x2.mul')
}

/** NaN, where x is -Infinity, in place of what is on the stack: formulas make that of -Infinity times 0. */
function unlessMinusInfinity(c: Code, x: Local): void {
  c.get(x).f32x4(-Infinity).op('f32x4.eq', 'v128.or')
}

/** max(x, 0) - a Phi(-a) with a = |x|. */
export const gelu: SingleFunction = (c, x) => {
  const a = widen(
    c,
    keep(c, () => c.get(x).op('f32x4.abs').f32x4(TAIL_END).op('f32x4.pmin')),
  )
  const tails = halves(a, (half) => {
    const t = keep(c, () => c.f64x2(1).get(half).f64x2(3).op('f64x2.add', 'f64x2.div'))
    const power = keep(c, () => c.get(half).get(half).op('f64x2.mul').f64x2(-0.5).op('f64x2.mul'))
    return keep(c, () => {
      exp(c, power)
      horner(c, t, TAIL)
      c.op('f64x2.mul').get(t).op('f64x2.mul').get(half).op('f64x2.mul')
    })
  })
  const positive = widen(
    c,
    keep(c, () => c.get(x).f32x4(0).op('f32x4.pmax')),
  )
  const result = narrow(c, {
    low: keep(c, () => c.get(positive.low).get(tails.low).op('f64x2.sub')),
    high: keep(c, () => c.get(positive.high).get(tails.high).op('f64x2.sub')),
  })
  return keep(c, () => {
    c.get(result)
    unlessMinusInfinity(c, x)
  })
}

/** 2 √(2/π) */
const TWO_K = 1.5957691216057308

/** x / (1 + exp(-2u)) with u = √(2/π) (x + 0.044715 x³). Below -12 it is less than any float32 number. */
export const geluTanh: SingleFunction = (c, x) => {
  const inside = widen(
    c,
    keep(c, () => c.get(x).f32x4(-12).op('f32x4.pmax')),
  )
  const all = halves(inside, (half) => {
    const near = keep(c, () => c.get(half).f64x2(12).op('f64x2.pmin'))
    const power = keep(c, () => {
      c.get(near).get(near).op('f64x2.mul')
      c.f64x2(-0.044715 * TWO_K)
        .op('f64x2.mul')
        .f64x2(-TWO_K)
        .op('f64x2.add')
        .get(near)
        .op('f64x2.mul')
    })
    return keep(c, () => {
      c.get(half)
      exp(c, power)
      c.f64x2(1).op('f64x2.add', 'f64x2.div')
    })
  })
  const result = narrow(c, all)
  return keep(c, () => {
    c.get(result)
    unlessMinusInfinity(c, x)
  })
}
