import { ERF_SMALL } from '../cpu/erf.js'
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

/** log(x) times a constant: logarithms to other bases. */
const logTo =
  (inverse: number): VectorFunction =>
  (c, x) => {
    log(c, x)
    c.f64x2(inverse).op('f64x2.mul')
  }
export const log2: VectorFunction = logTo(Math.LOG2E)
export const log10: VectorFunction = logTo(Math.LOG10E)

/** π/2: its first 33 bits, so that multiples up to 2^20 of them are exact, and the rest. */
const QUARTER_HIGH = 1.5707963267341256
const QUARTER_LOW = 6.077100506506192e-11
/** 2/π to 220 binary digits, 22 in each: their products with numbers of up to 31 digits are exact. */
const INVERSE_QUARTER = [
  2670176, 3597540, 1070247, 3942231, 3439949, 908301, 2984534, 1653827, 2363519, 2430522,
].map((digits, i) => digits * 2 ** (-22 * (i + 1)))

/** x = n π/2 + r with whole n and |r| <= π/4: r, and a vector whose lowest bits are those of n. */
function reduceQuarters(c: Code, x: Local): { r: Local; n: Local } {
  const n = keep(c, () =>
    c.get(x).f64x2(INVERSE_QUARTER_ROUNDED).op('f64x2.mul').f64x2(ROUNDER).op('f64x2.add'),
  )
  const r = keep(c, () => {
    const whole = keep(c, () => c.get(n).f64x2(ROUNDER).op('f64x2.sub'))
    c.get(x).get(whole).f64x2(QUARTER_HIGH).op('f64x2.mul', 'f64x2.sub')
    c.get(whole).f64x2(QUARTER_LOW).op('f64x2.mul', 'f64x2.sub')
  })
  const isLarge = keep(c, () => c.get(x).op('f64x2.abs').f64x2(1e6).op('f64x2.gt'))
  c.get(isLarge)
    .op('v128.any_true')
    .if(() => {
      // x · 2/π digit by digit: what is a multiple of 4 does not matter, and the rest is summed without its whole part.
      const [sum, count] = [c.local('v128'), c.local('v128')]
      c.f64x2(0).set(sum).f64x2(ROUNDER).set(count)
      for (const digits of INVERSE_QUARTER) {
        const term = keep(c, () => c.get(x).f64x2(digits).op('f64x2.mul'))
        const total = keep(c, () => {
          c.get(sum).get(term)
          c.get(term)
            .f64x2(0.25)
            .op('f64x2.mul', 'f64x2.floor')
            .f64x2(4)
            .op('f64x2.mul', 'f64x2.sub', 'f64x2.add')
        })
        const whole = keep(c, () => c.get(total).op('f64x2.nearest'))
        c.get(total).get(whole).op('f64x2.sub').set(sum)
        c.get(count).get(whole).op('f64x2.add').set(count)
      }
      c.get(sum)
        .f64x2(Math.PI / 2)
        .op('f64x2.mul')
        .get(r)
        .get(isLarge)
        .op('v128.bitselect')
        .set(r)
      c.get(count).get(n).get(isLarge).op('v128.bitselect').set(n)
    })
  return { r, n }
}
const INVERSE_QUARTER_ROUNDED = 2 / Math.PI

/** Of the Taylor series in r²: sin(r) / r and cos(r). */
const SIN = factorials(0, 15).flatMap((f, n) => (n % 2 === 1 ? [n % 4 === 1 ? f : -f] : []))
const COS = factorials(0, 16).flatMap((f, n) => (n % 2 === 0 ? [n % 4 === 0 ? f : -f] : []))

/** sin(x + quarters π/2) */
const wave =
  (quarters: 0 | 1): VectorFunction =>
  (c, x) => {
    const { r, n } = reduceQuarters(c, x)
    const square = squareOf(c, r)
    const k = quarters === 0 ? n : keep(c, () => c.get(n).i64x2(1n).op('i64x2.add'))
    horner(c, square, COS)
    horner(c, square, SIN)
    c.get(r).op('f64x2.mul')
    // Odd quarters take the cosine, and the upper two the sign.
    c.get(k).op(63, 'i64x2.shl').op(63, 'i64x2.shr_s').op('v128.bitselect')
    c.get(k).op(62, 'i64x2.shl').f64x2(-0).op('v128.and', 'v128.xor')
  }
export const sin: VectorFunction = wave(0)
export const cos: VectorFunction = wave(1)

const abs = (c: Code, x: Local): Local => keep(c, () => c.get(x).op('f64x2.abs'))

/** What is on the stack, which is not negative, with the sign of x. */
function withSignOf(c: Code, x: Local): void {
  c.get(x).f64x2(-0).op('v128.and', 'v128.or')
}

/** sinh(x) = (e + e / (e + 1)) / 2 with e = exp(|x|) - 1, and x's sign. Above 700 that of 700. */
export const sinh: VectorFunction = (c, x) => {
  const a = keep(c, () => c.get(x).op('f64x2.abs').f64x2(700).op('f64x2.min'))
  const e = keep(c, () => expm1(c, a))
  c.get(e).get(e).get(e).f64x2(1).op('f64x2.add', 'f64x2.div', 'f64x2.add').f64x2(0.5).op('f64x2.mul')
  withSignOf(c, x)
}

export const cosh: VectorFunction = (c, x) => {
  const a = keep(c, () => c.get(x).op('f64x2.abs').f64x2(700).op('f64x2.min'))
  const e = keep(c, () => exp(c, a))
  c.get(e).f64x2(1).get(e).op('f64x2.div', 'f64x2.add').f64x2(0.5).op('f64x2.mul')
}

/**
 * log(erfc(a) / t) + a² with t = 2 / (2 + a), as a polynomial in (t - 0.58) / 0.42 for 0 <= a <= 10.5. Fitted for this
 * file by Chebyshev interpolation in 50 digits, to 2e-15.
 */
const ERFC = [
  -0.5631567855932651, 0.5746099743122377, 0.016716057606409727, -0.030147659804373984,
  -0.0012306784385568699, 0.0038771706039927144, -0.00026752998513111093, -0.0005870359861283831,
  0.00015468403325724902, 7.316793670084372e-5, -4.5731380494058895e-5, -2.273113801887835e-6,
  9.312680145760601e-6, -2.186352565265581e-6, -1.1382120816064138e-6, 7.538100568294212e-7,
  -9.835688201699667e-9, -1.3290839918448354e-7, 3.4610321107677565e-8, 1.1202921742688681e-8,
  -5.1805584293608975e-9,
]

/** erfc(a) for a >= 0, given a and a². Beyond 10.5 it is less than any float32 number. */
function erfcOf(c: Code, a: Local, square: Local): void {
  const near = keep(c, () => c.get(a).f64x2(10.5).op('f64x2.min'))
  const t = keep(c, () => c.f64x2(2).get(near).f64x2(2).op('f64x2.add', 'f64x2.div'))
  const u = keep(c, () => c.get(t).f64x2(0.58).op('f64x2.sub').f64x2(0.42).op('f64x2.div'))
  const power = keep(c, () => {
    horner(c, u, ERFC)
    c.get(square).op('f64x2.sub')
  })
  const e = keep(c, () => exp(c, power))
  c.get(t).get(e).op('f64x2.mul')
}

const squareOf = (c: Code, x: Local): Local => keep(c, () => c.get(x).get(x).op('f64x2.mul'))

/** erfc(-a) = 2 - erfc(a) */
export const erfc: VectorFunction = (c, x) => {
  const a = abs(c, x)
  const upper = keep(c, () => erfcOf(c, a, squareOf(c, x)))
  c.f64x2(2).get(upper).op('f64x2.sub').get(upper)
  c.get(x).f64x2(0).op('f64x2.lt', 'v128.bitselect')
}

/** 1 - erfc(|x|) with x's sign; near 0, where that cancels, x times a polynomial in x². */
export const erf: VectorFunction = (c, x) => {
  const a = abs(c, x)
  const square = squareOf(c, x)
  const small = keep(c, () => {
    horner(c, square, ERF)
    c.get(x).op('f64x2.mul').get(x).op('f64x2.add')
  })
  const far = keep(c, () => {
    c.f64x2(1)
    erfcOf(c, a, square)
    c.op('f64x2.sub')
    withSignOf(c, x)
  })
  c.get(small).get(far).get(a).f64x2(0.84).op('f64x2.lt', 'v128.bitselect')
}
/** The lowest power first. */
const ERF = ERF_SMALL.toReversed()

const DENSITY_AT_0 = 0.3989422804014327

/** Phi(-a) = erfc(a / √2) / 2 for a = |x|, in which a²/2 is exact enough. */
function lowerTail(c: Code, a: Local): Local {
  const half = keep(c, () => c.get(a).get(a).op('f64x2.mul').f64x2(0.5).op('f64x2.mul'))
  const scaled = keep(c, () => c.get(a).f64x2(Math.SQRT1_2).op('f64x2.mul'))
  return keep(c, () => {
    erfcOf(c, scaled, half)
    c.f64x2(0.5).op('f64x2.mul')
  })
}

/** `limit` of x where x > 40, else what is on the stack. */
function above(c: Code, x: Local, most: number, write: () => void): void {
  const rest = keep(c, () => undefined)
  write()
  c.get(rest).get(x).f64x2(most).op('f64x2.gt', 'v128.bitselect')
}

/** x Phi(x), which is x - x Phi(-x) for positive x. */
export const gelu: VectorFunction = (c, x) => {
  const part = keep(c, () =>
    c
      .get(x)
      .get(lowerTail(c, abs(c, x)))
      .op('f64x2.mul'),
  )
  c.get(x).get(part).op('f64x2.sub').get(part).get(x).f64x2(0).op('f64x2.gt', 'v128.bitselect')
  above(c, x, 40, () => c.get(x))
}

/** 1 - f(-x) for positive x, f(x) for others, given f of -|x|. */
function mirrored(c: Code, x: Local, lower: Local, most: number): void {
  c.f64x2(1).get(lower).op('f64x2.sub').get(lower).get(x).f64x2(0).op('f64x2.gt', 'v128.bitselect')
  above(c, x, most, () => c.f64x2(1))
}

/** Phi(x) + x phi(x) */
export const geluSlope: VectorFunction = (c, x) => {
  const a = abs(c, x)
  const lower = keep(c, () => {
    const e = keep(c, () => {
      const half = keep(c, () => c.get(a).get(a).op('f64x2.mul').f64x2(-0.5).op('f64x2.mul'))
      exp(c, half)
    })
    c.get(a).get(e).f64x2(DENSITY_AT_0).op('f64x2.mul', 'f64x2.mul')
    c.get(lowerTail(c, a)).op('f64x2.sub', 'f64x2.neg')
  })
  mirrored(c, x, lower, 40)
}

const TWO_K = 1.5957691216057308
const CUBE = 0.044715

/** exp(-2u) with 2u = 2 √(2/π) (x + 0.044715 x³), and x². */
function expOfMinusTwoU(c: Code, x: Local): { e: Local; square: Local } {
  const square = squareOf(c, x)
  const power = keep(c, () => {
    c.get(square)
      .f64x2(-CUBE * TWO_K)
      .op('f64x2.mul')
      .f64x2(-TWO_K)
      .op('f64x2.add')
    c.get(x).op('f64x2.mul')
  })
  return { e: keep(c, () => exp(c, power)), square }
}

/** x / (1 + exp(-2u)) */
export const geluTanh: VectorFunction = (c, x) => {
  const { e } = expOfMinusTwoU(c, x)
  c.get(x).get(e).f64x2(1).op('f64x2.add', 'f64x2.div')
}

/** s (1 + x (1 - s) 2u') with s = 1 / (1 + exp(-2u)) */
export const geluTanhSlope: VectorFunction = (c, x) => {
  // Below -19 it is less than any float32 number, but NaN at -Infinity.
  const z = keep(c, () => c.get(abs(c, x)).op('f64x2.neg').f64x2(-19).op('f64x2.max'))
  const { e, square } = expOfMinusTwoU(c, z)
  const lower = keep(c, () => {
    const one = keep(c, () => c.get(e).f64x2(1).op('f64x2.add'))
    c.get(e).get(one).op('f64x2.div').get(z).op('f64x2.mul')
    c.get(square)
      .f64x2(3 * CUBE * TWO_K)
      .op('f64x2.mul')
      .f64x2(TWO_K)
      .op('f64x2.add', 'f64x2.mul')
    c.f64x2(1).op('f64x2.add').get(one).op('f64x2.div')
    c.get(x).f64x2(0).op('f64x2.mul', 'f64x2.add')
  })
  mirrored(c, x, lower, 22)
}

/** x to the power y: exp(y log|x|), with the sign and the special cases of IEEE 754. */
export function pow(c: Code, x: Local, y: Local): void {
  const a = abs(c, x)
  const logarithm = keep(c, () => log(c, a))
  const product = keep(c, () => c.get(y).get(logarithm).op('f64x2.mul'))
  const size = keep(c, () => exp(c, product))
  const isWhole = keep(c, () => c.get(y).get(y).op('f64x2.floor', 'f64x2.eq'))
  const half = keep(c, () => c.get(y).f64x2(0.5).op('f64x2.mul'))
  // The sign bit of x where y is odd.
  const sign = keep(c, () => {
    c.get(x).f64x2(-0).op('v128.and')
    c.get(half).get(half).op('f64x2.floor', 'f64x2.ne').get(isWhole).op('v128.and', 'v128.and')
  })
  const signed = keep(c, () => c.get(size).get(sign).op('v128.xor'))
  // Finite negative numbers have only whole powers.
  const isUndefined = keep(c, () => {
    c.get(x).f64x2(0).op('f64x2.lt').get(a).f64x2(Infinity).op('f64x2.lt', 'v128.and')
    c.get(isWhole).op('v128.andnot')
  })
  const some = keep(c, () => c.f64x2(NaN).get(signed).get(isUndefined).op('v128.bitselect'))
  c.f64x2(1).get(some)
  c.get(y).f64x2(0).op('f64x2.eq')
  c.get(x).f64x2(1).op('f64x2.eq', 'v128.or')
  c.get(x)
    .f64x2(-1)
    .op('f64x2.eq')
    .get(y)
    .op('f64x2.abs')
    .f64x2(Infinity)
    .op('f64x2.eq', 'v128.and', 'v128.or')
  c.op('v128.bitselect')
}
