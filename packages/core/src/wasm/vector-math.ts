import type { Code, Local } from './code.js'

// Functions of two float64 lanes at a time. Results are within about two units in the last place of float64, so that
// rounded to float32 they nearly always are the number nearest to the true one.

const LN2_HIGH = 6.9314718036912381649e-1
const LN2_LOW = 1.90821492927058770002e-10
/** Adding it rounds to a whole number, whose low bits then are the low bits of the sum. */
const ROUNDER = 2 ** 52 + 2 ** 51

/** A function of the vector in `x`, left on the stack. */
export type VectorFunction = (c: Code, x: Local) => void

/** A new local that holds what `write` leaves on the stack. */
export function keep(c: Code, write: () => void): Local {
  write()
  const local = c.local('v128')
  c.set(local)
  return local
}

/** ((c[n] x + c[n-1]) x + …) x + c[0], left on the stack. */
function horner(c: Code, x: Local, coefficients: readonly number[]): void {
  c.f64x2(coefficients.at(-1)!)
  for (let i = coefficients.length - 2; i >= 0; i--)
    c.get(x).op('f64x2.mul').f64x2(coefficients[i]!).op('f64x2.add')
}

function factorials(from: number, to: number): number[] {
  const inverse: number[] = []
  for (let n = 0, product = 1; n <= to; product *= ++n) if (n >= from) inverse.push(1 / product)
  return inverse
}

/** x = n ln 2 + r with whole n and |r| <= ln(2) / 2: r, and 2^n. Takes n in [-1022, 1023]. */
function reduceExp(c: Code, x: Local): { r: Local; power: Local; n: Local } {
  const shifted = keep(c, () => c.get(x).f64x2(Math.LOG2E).op('f64x2.mul').f64x2(ROUNDER).op('f64x2.add'))
  const n = keep(c, () => c.get(shifted).f64x2(ROUNDER).op('f64x2.sub'))
  const r = keep(c, () =>
    c
      .get(x)
      .get(n)
      .f64x2(LN2_HIGH)
      .op('f64x2.mul', 'f64x2.sub')
      .get(n)
      .f64x2(LN2_LOW)
      .op('f64x2.mul', 'f64x2.sub'),
  )
  const power = keep(c, () => c.get(shifted).i64x2(1023n).op('i64x2.add').op(52, 'i64x2.shl'))
  return { r, power, n }
}

/** `inside`, where x lies in (low, high); `below` and `above` elsewhere. NaN stays NaN. */
function outside(
  c: Code,
  x: Local,
  inside: Local,
  low: number,
  below: number,
  high: number,
  above: number,
): void {
  const some = keep(c, () => c.f64x2(below).get(inside).get(x).f64x2(low).op('f64x2.lt', 'v128.bitselect'))
  c.f64x2(above).get(some).get(x).f64x2(high).op('f64x2.gt', 'v128.bitselect')
}

/** exp, by its Taylor series around multiples of ln 2. Results below the smallest normal float64 are 0. */
export const exp: VectorFunction = (c, x) => {
  const { r, power } = reduceExp(
    c,
    keep(c, () => clamp(c, x, -708, 709)),
  )
  const result = keep(c, () => {
    horner(c, r, factorials(0, 12))
    c.get(power).op('f64x2.mul')
  })
  outside(c, x, result, -708, 0, 709, Infinity)
}

function clamp(c: Code, x: Local, low: number, high: number): void {
  c.get(x).f64x2(low).op('f64x2.max').f64x2(high).op('f64x2.min')
}

/** exp(x) - 1: near 0 by the series without its first term, so that nothing cancels. */
export const expm1: VectorFunction = (c, x) => {
  const { r, power, n } = reduceExp(
    c,
    keep(c, () => clamp(c, x, -708, 709)),
  )
  const tail = keep(c, () => {
    horner(c, r, factorials(1, 13))
    c.get(r).op('f64x2.mul')
  })
  const far = keep(c, () =>
    c.get(tail).f64x2(1).op('f64x2.add').get(power).op('f64x2.mul').f64x2(1).op('f64x2.sub'),
  )
  const result = keep(c, () => c.get(tail).get(far).get(n).f64x2(0).op('f64x2.eq', 'v128.bitselect'))
  outside(c, x, result, -708, -1, 709, Infinity)
}

/** tanh(x) = e / (e + 2) with e = exp(2x) - 1. */
export const tanh: VectorFunction = (c, x) => {
  const twice = keep(c, () =>
    c
      .get(keep(c, () => clamp(c, x, -20, 20)))
      .f64x2(2)
      .op('f64x2.mul'),
  )
  const e = keep(c, () => expm1(c, twice))
  c.get(e).get(e).f64x2(2).op('f64x2.add', 'f64x2.div')
}

/** log(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)). Subnormal float64 numbers count as 0. */
export const log: VectorFunction = (c, x) => {
  // Taking off the bits of sqrt(1/2) first makes the exponent field that of x / sqrt(1/2), rounded down.
  const HALF_ROOT = 0x3fe6a09e667f3bcdn
  const moved = keep(c, () => c.get(x).i64x2(HALF_ROOT).op('i64x2.sub'))
  // The exponent as a float: its bits under those of 2^52 + 2^51, from which that is taken off again.
  const e = keep(c, () =>
    c
      .get(moved)
      .op(52, 'i64x2.shr_s')
      .i64x2(0x4338000000000000n)
      .op('i64x2.add')
      .f64x2(ROUNDER)
      .op('f64x2.sub'),
  )
  const m = keep(c, () =>
    c.get(moved).i64x2(0xfffffffffffffn).op('v128.and').i64x2(HALF_ROOT).op('i64x2.add'),
  )
  const s = keep(c, () => c.get(m).f64x2(1).op('f64x2.sub').get(m).f64x2(1).op('f64x2.add', 'f64x2.div'))
  const squared = keep(c, () => c.get(s).get(s).op('f64x2.mul'))
  const result = keep(c, () => {
    c.get(e).f64x2(LN2_HIGH).op('f64x2.mul')
    c.get(s).f64x2(2).op('f64x2.mul')
    c.get(s).get(squared).op('f64x2.mul')
    horner(
      c,
      squared,
      Array.from({ length: 10 }, (_, k) => 2 / (2 * k + 3)),
    )
    c.op('f64x2.mul')
    c.get(e).f64x2(LN2_LOW).op('f64x2.mul', 'f64x2.add', 'f64x2.add', 'f64x2.add')
  })
  // -Infinity at 0, NaN below it and for NaN; Infinity is its own logarithm.
  const positive = keep(c, () =>
    c.f64x2(Infinity).get(result).get(x).f64x2(Infinity).op('f64x2.eq', 'v128.bitselect'),
  )
  const orZero = keep(c, () =>
    c.f64x2(-Infinity).get(positive).get(x).f64x2(0).op('f64x2.eq', 'v128.bitselect'),
  )
  c.get(orZero).f64x2(NaN).get(x).f64x2(0).op('f64x2.ge', 'v128.bitselect')
}

/** log(1 + x) = log(u) x / (u - 1) with u = 1 + x rounded, x itself where u is 1 (Kahan). */
export const log1p: VectorFunction = (c, x) => {
  const u = keep(c, () => c.get(x).f64x2(1).op('f64x2.add'))
  const logU = keep(c, () => log(c, u))
  const scaled = keep(c, () => c.get(logU).get(x).get(u).f64x2(1).op('f64x2.sub', 'f64x2.div', 'f64x2.mul'))
  const finite = keep(c, () => c.get(x).get(scaled).get(u).f64x2(1).op('f64x2.eq', 'v128.bitselect'))
  c.get(x).get(finite).get(x).f64x2(Infinity).op('f64x2.eq', 'v128.bitselect')
}
