import type { Code, Local } from './code.js'
import { keep } from './vector-math.js'

// Functions of four float32 lanes at a time, in float32 arithmetic: three times as fast as in float64, and within 1 ulp of
// the correctly rounded result (sigmoid: 2). They stand for formulas that are nothing but one of these functions.

/** A function of four float32 numbers. */
export type SingleFunction = (c: Code, x: Local) => Local

const LN2_HIGH = 0.693145751953125
const LN2_LOW = 1.428606765330187e-6

function horner(c: Code, x: Local, coefficients: readonly number[]): void {
  c.f32x4(coefficients.at(-1)!)
  for (let i = coefficients.length - 2; i >= 0; i--)
    c.get(x).op('f32x4.mul').f32x4(coefficients[i]!).op('f32x4.add')
}

/** (exp(r) - 1 - r) / r² for |r| <= ln(2) / 2, by Chebyshev interpolation, to 1.4e-9. */
const EXP = [
  0.500000001346581, 0.16666666681623232, 0.041666464925285904, 0.0083333109254809, 0.0013933649996309251,
  0.00019890990824673654,
]

/** exp(x) = 2^n exp(r) with x = n ln 2 + r. Exact at infinities, and rounded once where it is subnormal. */
export const exp: SingleFunction = (c, x) => {
  const inside = keep(c, () => c.get(x).f32x4(-105).op('f32x4.max').f32x4(90).op('f32x4.min'))
  const n = keep(c, () => c.get(inside).f32x4(Math.LOG2E).op('f32x4.mul', 'f32x4.nearest'))
  const r = keep(c, () => {
    c.get(inside).get(n).f32x4(LN2_HIGH).op('f32x4.mul', 'f32x4.sub')
    c.get(n).f32x4(LN2_LOW).op('f32x4.mul', 'f32x4.sub')
  })
  const value = keep(c, () => {
    horner(c, r, EXP)
    c.get(r).get(r).op('f32x4.mul', 'f32x4.mul').get(r).op('f32x4.add').f32x4(1).op('f32x4.add')
  })
  // Half of n at a time: 2^n alone may be beyond what float32 holds.
  const whole = keep(c, () => c.get(n).op('i32x4.trunc_sat_f32x4_s'))
  const half = keep(c, () => c.get(whole).op(1, 'i32x4.shr_s'))
  const ones = [127, 127, 127, 127]
  return keep(c, () => {
    c.get(value).get(half).i32x4(ones).op('i32x4.add').op(23, 'i32x4.shl', 'f32x4.mul')
    c.get(whole).get(half).op('i32x4.sub').i32x4(ones).op('i32x4.add').op(23, 'i32x4.shl', 'f32x4.mul')
  })
}

/** (tanh(√z) / √z - 1) / z for z <= 0.81, by Chebyshev interpolation, to 6e-9. */
const TANH = [
  -0.33333332744338573, 0.13333261839246113, -0.053953889303400816, 0.021759408879601004,
  -0.008450870677755327, 0.00275911744361287, -0.0005203520030049149,
]

/** 1 - 2 / (exp(2 |x|) + 1) with x's sign; near 0 x times a polynomial in x². */
export const tanh: SingleFunction = (c, x) => {
  const a = keep(c, () => c.get(x).op('f32x4.abs'))
  const square = keep(c, () => c.get(x).get(x).op('f32x4.mul'))
  const near = keep(c, () => {
    horner(c, square, TANH)
    c.get(square).op('f32x4.mul').get(a).op('f32x4.mul').get(a).op('f32x4.add')
  })
  const power = exp(
    c,
    keep(c, () => c.get(a).get(a).op('f32x4.add')),
  )
  const far = keep(c, () => c.f32x4(1).f32x4(2).get(power).f32x4(1).op('f32x4.add', 'f32x4.div', 'f32x4.sub'))
  return keep(c, () => {
    c.get(near).get(far).get(a).f32x4(0.9).op('f32x4.lt', 'v128.bitselect')
    c.get(x).f32x4(-0).op('v128.and', 'v128.or')
  })
}

/** 1 / (1 + exp(-x)), which is e / (1 + e) with e = exp(-|x|) for negative x: so exp never overflows. */
export const sigmoid: SingleFunction = (c, x) => {
  const e = exp(
    c,
    keep(c, () => c.get(x).op('f32x4.abs', 'f32x4.neg')),
  )
  return keep(c, () => {
    c.get(e).f32x4(1).get(x).f32x4(0).op('f32x4.lt', 'v128.bitselect')
    c.get(e).f32x4(1).op('f32x4.add', 'f32x4.div')
  })
}
