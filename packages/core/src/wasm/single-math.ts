import type { Code, Local } from './code.js'
import { keep } from './vector-math.js'

// Functions of four float32 lanes at a time, in float32 arithmetic: several times as fast as in float64, and within 1 or 2
// ulp of the correctly rounded result, as the rows that they stand for declare. Polynomials were fitted for this file by
// Remez' exchange in 50 digits; with each stands its largest error as a part of the function's value.

/** A function of four float32 numbers. */
export type SingleFunction = (c: Code, x: Local) => Local

const LN2_HIGH = 0.693145751953125
const LN2_LOW = 1.428606765330187e-6
const SMALLEST_NORMAL = 2 ** -126

/** ((c[n] x + c[n-1]) x + …) x + c[0], left on the stack. */
function horner(c: Code, x: Local, coefficients: readonly number[]): void {
  c.f32x4(coefficients.at(-1)!)
  for (let i = coefficients.length - 2; i >= 0; i--)
    c.get(x).op('f32x4.mul').f32x4(coefficients[i]!).op('f32x4.add')
}

const abs = (c: Code, x: Local): Local => keep(c, () => c.get(x).op('f32x4.abs'))
const ints = (value: number): number[] => [value, value, value, value]
const squareOf = (c: Code, x: Local): Local => keep(c, () => c.get(x).get(x).op('f32x4.mul'))
/** NaN stays NaN. */
const atLeast = (c: Code, x: Local, low: number): Local => keep(c, () => c.get(x).f32x4(low).op('f32x4.pmax'))
const atMost = (c: Code, x: Local, high: number): Local =>
  keep(c, () => c.get(x).f32x4(high).op('f32x4.pmin'))

/** What is on the stack, with its sign bit set where that of x is. */
function withSignOf(c: Code, x: Local): void {
  c.get(x).f32x4(-0).op('v128.and', 'v128.or')
}

/** (exp(r) - 1 - r) / r² for |r| <= ln(2) / 2; exp to 3e-9. */
const EXP = [
  0.49999993426449174, 0.16666520306826155, 0.04166839177189378, 0.008368756213998263, 0.0013814520962166748,
]

/** Adding it rounds to a whole number, which then is in the sum's lowest bits. */
const ROUNDER = 1.5 * 2 ** 23

/** n = x / ln 2, rounded, and a vector whose lowest bits are those of n plus what the rounder has beside {@link ROUNDER}. */
function rounded(c: Code, x: Local, by: Local): { n: Local; shifted: Local } {
  const shifted = keep(c, () => c.get(x).f32x4(Math.LOG2E).op('f32x4.mul').get(by).op('f32x4.add'))
  return { shifted, n: keep(c, () => c.get(shifted).get(by).op('f32x4.sub')) }
}

/** x - n times the first part of ln 2, on the stack: for |n| < 512 that has no more digits than float32. */
function minusHigh(c: Code, x: Local, n: Local): void {
  c.get(x).get(n).f32x4(LN2_HIGH).op('f32x4.mul', 'f32x4.sub')
}

/** exp(r) - 1 for |r| <= ln(2) / 2. */
function expm1Inside(c: Code, r: Local): Local {
  return keep(c, () => {
    horner(c, r, EXP)
    c.get(r).get(r).op('f32x4.mul', 'f32x4.mul').get(r).op('f32x4.add')
  })
}

/** x = n ln 2 + r with whole n and |r| <= ln(2) / 2: exp(r) - 1, and a vector whose lowest bits are those of n + bias. */
function reduceExp(c: Code, x: Local, bias: number): { rest: Local; shifted: Local; n: Local } {
  const by = keep(c, () => c.f32x4(ROUNDER + bias))
  const { shifted, n } = rounded(c, x, by)
  const r = keep(c, () => {
    minusHigh(c, x, n)
    c.get(n).f32x4(LN2_LOW).op('f32x4.mul', 'f32x4.sub')
  })
  return { rest: expm1Inside(c, r), shifted, n }
}

/** exp of numbers in [-105, 90], rounded once where it is subnormal, Infinity where it is too large. */
function expInside(c: Code, x: Local): Local {
  // 2^n may be beyond what float32 holds, so half of n at a time; the bias makes exponent fields of both halves.
  const { rest, shifted } = reduceExp(c, x, 2 * 127)
  const half = keep(c, () => c.get(shifted).op(1, 'i32x4.shr_u'))
  return keep(c, () => {
    c.get(rest).f32x4(1).op('f32x4.add')
    c.get(half).op(23, 'i32x4.shl', 'f32x4.mul')
    c.get(shifted).get(half).op('i32x4.sub').op(23, 'i32x4.shl', 'f32x4.mul')
  })
}

/** exp(x) = 2^n exp(r). */
export const exp: SingleFunction = (c, x) => expInside(c, atMost(c, atLeast(c, x, -105), 90))

/** exp(-|x|) */
const expOfMinusAbs = (c: Code, x: Local): Local =>
  expInside(
    c,
    atLeast(
      c,
      keep(c, () => c.get(x).op('f32x4.abs', 'f32x4.neg')),
      -105,
    ),
  )

/** So far below the largest of a row its powers count as 0. */
const FAR = 110
/** From here on a number and another that is not {@link FAR} from it have an exact difference (Sterbenz). */
const LARGE = 2 * FAR

/** Powers are so many times as large, that those which matter beside the largest are normal numbers. */
export const POWER_SCALE: number = 2 ** 60

/**
 * exp(x - max) {@link POWER_SCALE} for x <= max. With max = c + N ln 2 + r0 and x = c + n ln 2 + r0 + r it is
 * 2^(60 + n - N) exp(r). c is 0, or max where that is large: so x - c is exact, as x - max would not be for small numbers.
 */
export function powersUpTo(c: Code, max: Local): SingleFunction {
  const center = keep(c, () => c.get(max).get(max).op('f32x4.abs').f32x4(LARGE).op('f32x4.gt', 'v128.and'))
  const top = keep(c, () => c.get(max).get(center).op('f32x4.sub'))
  const least = keep(c, () => c.get(top).f32x4(FAR).op('f32x4.sub'))
  const whole = keep(c, () => c.get(top).f32x4(Math.LOG2E).op('f32x4.mul', 'f32x4.nearest'))
  const rest0 = keep(c, () => minusHigh(c, top, whole))
  const bias = 127 + Math.log2(POWER_SCALE)
  const by = keep(c, () =>
    c
      .f32x4(ROUNDER + bias)
      .get(whole)
      .op('f32x4.sub'),
  )
  return (_, x) => {
    const inside = keep(c, () => c.get(x).get(center).op('f32x4.sub').get(least).op('f32x4.pmax'))
    const distance = keep(c, () => c.get(inside).get(rest0).op('f32x4.sub'))
    const { shifted, n } = rounded(c, distance, by)
    const r = keep(c, () => {
      minusHigh(c, inside, n)
      c.get(rest0).op('f32x4.sub')
      c.get(shifted)
        .f32x4(ROUNDER + bias)
        .op('f32x4.sub')
        .f32x4(LN2_LOW)
        .op('f32x4.mul', 'f32x4.sub')
    })
    const rest = expm1Inside(c, r)
    return keep(c, () => {
      c.get(rest).f32x4(1).op('f32x4.add').get(shifted).op(23, 'i32x4.shl', 'f32x4.mul')
    })
  }
}

/** exp(r) - 1 and 2^n, for numbers whose n is in [-126, 127]. */
function powerOf(c: Code, x: Local): { rest: Local; power: Local } {
  const { rest, shifted } = reduceExp(c, x, 127)
  return { rest, power: keep(c, () => c.get(shifted).op(23, 'i32x4.shl')) }
}

/** (tanh(√z) / √z - 1) / z for √z <= 0.6; tanh to 3e-9. */
const TANH = [
  -0.3333329927300873, 0.1333195826855106, -0.053786685611289464, 0.020805390657131245, -0.005905874483488875,
]

/** 1 - 2 / (exp(2a) + 1) for a = |x|, with x's sign; near 0 x times a polynomial in x². From 10 on it is 1. */
export const tanh: SingleFunction = (c, x) => {
  const a = atMost(c, abs(c, x), 10)
  const near = keep(c, () => {
    const square = squareOf(c, a)
    horner(c, square, TANH)
    c.get(square).op('f32x4.mul').get(a).op('f32x4.mul').get(a).op('f32x4.add')
  })
  const twice = keep(c, () => c.get(a).get(a).op('f32x4.add'))
  const { rest, power } = powerOf(c, twice)
  return keep(c, () => {
    c.get(near)
    c.f32x4(1).f32x4(2)
    c.get(rest).f32x4(1).op('f32x4.add').get(power).op('f32x4.mul')
    c.f32x4(1).op('f32x4.add', 'f32x4.div', 'f32x4.sub')
    c.get(a).f32x4(0.6).op('f32x4.lt', 'v128.bitselect')
    withSignOf(c, x)
  })
}

/** 1 / (1 + exp(-x)), which is e / (1 + e) with e = exp(-|x|) for negative x: so exp never overflows. */
export const sigmoid: SingleFunction = (c, x) => {
  const e = expOfMinusAbs(c, x)
  return keep(c, () => {
    c.get(e).f32x4(1).get(x).f32x4(0).op('f32x4.lt', 'v128.bitselect')
    c.get(e).f32x4(1).op('f32x4.add', 'f32x4.div')
  })
}

/**
 * x / (1 + exp(-x)); below -60, where the power may be larger than float32 numbers are, with both sides of the quotient 2^64
 * times smaller. Below -115 it is 0.
 */
export const silu: SingleFunction = (c, x) => {
  const isFar = keep(c, () => c.get(x).f32x4(-60).op('f32x4.lt'))
  const fewer = keep(c, () => c.get(isFar).i32x4(ints(64)).op('v128.and'))
  const scale = keep(c, () => c.f32x4(1).get(fewer).op(23, 'i32x4.shl', 'i32x4.sub'))
  const most = atLeast(c, x, -115)
  const power = keep(c, () => c.get(atMost(c, most, 30)).op('f32x4.neg'))
  const { rest, shifted } = reduceExp(c, power, 127)
  return keep(c, () => {
    c.get(most).get(scale).op('f32x4.mul')
    c.get(rest)
      .f32x4(1)
      .op('f32x4.add')
      .get(shifted)
      .get(fewer)
      .op('i32x4.sub')
      .op(23, 'i32x4.shl', 'f32x4.mul')
    c.get(scale).op('f32x4.add', 'f32x4.div')
    // -Infinity / Infinity
    c.get(x).f32x4(-Infinity).op('f32x4.eq', 'v128.or')
  })
}

/** 2^n (exp(r) - 1 + 1 - 2^-n), with the sign of x, also of 0. From n = 30 on 1 - 2^-n is 1. */
export const expm1: SingleFunction = (c, x) => {
  const { rest, shifted, n } = reduceExp(c, atMost(c, atLeast(c, x, -18), 90), 2 * 127)
  const half = keep(c, () => c.get(shifted).op(1, 'i32x4.shr_u'))
  return keep(c, () => {
    c.f32x4(1)
    c.f32x4(ROUNDER + 127)
      .get(atMost(c, n, 30))
      .op('f32x4.sub')
      .op(23, 'i32x4.shl', 'f32x4.sub')
    c.get(rest).op('f32x4.add')
    c.get(half).op(23, 'i32x4.shl', 'f32x4.mul')
    c.get(shifted).get(half).op('i32x4.sub').op(23, 'i32x4.shl', 'f32x4.mul')
    withSignOf(c, x)
  })
}

/** (log(1 + f) - f + f² / 2) / f³ for 1 + f in [sqrt(1/2), sqrt(2)]; log to 6e-9. */
const LOG = [
  0.3333333173060903, -0.2500082094316557, 0.2000122497429388, -0.16623358727241322, 0.142017999226053,
  -0.13160214801072584, 0.12761313879770375, -0.07634087515816233,
]

/** e ln 2 + log(1 + f) for whole e. */
function logOf(c: Code, e: Local, f: Local): Local {
  const square = squareOf(c, f)
  return keep(c, () => {
    c.get(e).f32x4(LN2_HIGH).op('f32x4.mul').get(f)
    c.get(square).f32x4(0.5).op('f32x4.mul')
    horner(c, f, LOG)
    c.get(square).op('f32x4.mul').get(f).op('f32x4.mul')
    c.get(e).f32x4(LN2_LOW).op('f32x4.mul', 'f32x4.add', 'f32x4.sub', 'f32x4.sub', 'f32x4.add')
  })
}

/** The bits of sqrt(1/2): taken off, they make the exponent field that of x / sqrt(1/2), rounded down. */
const HALF_ROOT = 0x3f3504f3

/** x = 2^e (1 + f) for positive, normal and finite x. */
function splitLog(c: Code, x: Local): { e: Local; f: Local } {
  const moved = keep(c, () => c.get(x).i32x4(ints(HALF_ROOT)).op('i32x4.sub'))
  const e = keep(c, () => c.get(moved).op(23, 'i32x4.shr_s', 'f32x4.convert_i32x4_s'))
  const f = keep(c, () => {
    c.get(moved).i32x4(ints(0x7fffff)).op('v128.and').i32x4(ints(HALF_ROOT)).op('i32x4.add')
    c.f32x4(1).op('f32x4.sub')
  })
  return { e, f }
}

/** log of numbers that are positive, normal and finite: x = 2^e (1 + f), times 2^shift less. */
function logInside(c: Code, x: Local, shift?: Local): Local {
  const { e, f } = splitLog(c, x)
  return logOf(c, shift === undefined ? e : keep(c, () => c.get(e).get(shift).op('f32x4.sub')), f)
}

/** log of any numbers: -Infinity at 0, NaN below it. */
function logAnywhere(c: Code, x: Local): Local {
  const isSubnormal = keep(c, () => c.get(x).f32x4(SMALLEST_NORMAL).op('f32x4.lt'))
  const normal = keep(c, () =>
    c
      .get(x)
      .f32x4(2 ** 25)
      .op('f32x4.mul')
      .get(x)
      .get(isSubnormal)
      .op('v128.bitselect'),
  )
  const shift = keep(c, () => c.get(isSubnormal).f32x4(25).op('v128.and'))
  const finite = logInside(c, normal, shift)
  return keep(c, () => {
    c.get(x)
    c.f32x4(-Infinity).get(finite).get(x).f32x4(0).op('f32x4.eq', 'v128.bitselect')
    c.get(x).f32x4(Infinity).op('f32x4.lt', 'v128.not', 'v128.bitselect')
    // All bits of a lane make NaN.
    c.get(x).f32x4(0).op('f32x4.lt', 'v128.or')
  })
}

/** `result`, which is `otherwise` for all four lanes where the mask that `isUsual` leaves is not set for all of them. */
function unless(c: Code, result: Local, isUsual: () => void, otherwise: () => Local): Local {
  isUsual()
  c.op('v128.not', 'v128.any_true').if(() => c.get(otherwise()).set(result))
  return result
}

/** log(2^e (1 + f)) = e ln 2 + log(1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). */
export const log: SingleFunction = (c, x) =>
  unless(
    c,
    logInside(c, x),
    () => {
      c.get(x).f32x4(SMALLEST_NORMAL).op('f32x4.ge')
      c.get(x).f32x4(Infinity).op('f32x4.lt', 'v128.and')
    },
    () => logAnywhere(c, x),
  )

/** log(u) of the sum u = 1 + x, and what rounding took off it (Knuth's two-sum). */
export const log1p: SingleFunction = (c, x) => {
  const u = keep(c, () => c.get(x).f32x4(1).op('f32x4.add'))
  const added = keep(c, () => c.get(u).get(x).op('f32x4.sub'))
  const low = keep(c, () => {
    c.get(x).get(u).get(added).op('f32x4.sub', 'f32x4.sub')
    c.f32x4(1).get(added).op('f32x4.sub', 'f32x4.add')
  })
  const { e, f } = splitLog(c, u)
  // low / 2^e belongs to f, and is nothing beside it when e is large.
  const near = keep(c, () => {
    c.get(f)
    c.get(low)
      .f32x4(ROUNDER + 127)
      .get(atMost(c, e, 64))
      .op('f32x4.sub')
      .op(23, 'i32x4.shl', 'f32x4.mul', 'f32x4.add')
  })
  const inside = logOf(c, e, near)
  return keep(c, () => {
    c.get(x)
    c.f32x4(-Infinity).get(inside).get(x).f32x4(-1).op('f32x4.eq', 'v128.bitselect')
    c.get(x).f32x4(Infinity).op('f32x4.lt', 'v128.not', 'v128.bitselect')
    withSignOf(c, x)
    // All bits of a lane make NaN.
    c.get(x).f32x4(-1).op('f32x4.lt', 'v128.or')
  })
}

/** log(1 + x) for x in [0, 1]: above sqrt(2) - 1 it is ln 2 + log(1 + (x - 1) / 2). */
function log1pOfShare(c: Code, x: Local): Local {
  const isAbove = keep(c, () =>
    c
      .get(x)
      .f32x4(Math.SQRT2 - 1)
      .op('f32x4.gt'),
  )
  const e = keep(c, () => c.get(isAbove).f32x4(1).op('v128.and'))
  const f = keep(c, () => {
    c.get(x).f32x4(0.5).op('f32x4.mul').f32x4(0.5).op('f32x4.sub')
    c.get(x).get(isAbove).op('v128.bitselect')
  })
  return logOf(c, e, f)
}

/** max(x, 0) + log1p(exp(-|x|)) */
export const softplus: SingleFunction = (c, x) => {
  const tail = log1pOfShare(c, expOfMinusAbs(c, x))
  const positive = atLeast(c, x, 0)
  return keep(c, () => c.get(positive).get(tail).op('f32x4.add'))
}

/** min(x, 0) - log1p(exp(-|x|)) */
export const logSigmoid: SingleFunction = (c, x) => {
  const tail = log1pOfShare(c, expOfMinusAbs(c, x))
  const negative = atMost(c, x, 0)
  return keep(c, () => c.get(negative).get(tail).op('f32x4.sub'))
}

/** (erf(x) / x - 1) as a polynomial in x² for |x| <= 0.84, to 5e-9. */
const ERF_NEAR = [
  0.12837916172012453, -0.3761258323861596, 0.11282856488467174, -0.0268084564890999, 0.005061289407122398,
  -0.0006376406483976929,
]
/** log(1 - erf(a)) for 0.84 <= a <= 4; erf to 2e-9. */
const ERF_FAR = [
  -9.290958884839946e-5, -1.1281115706292089, -0.6364294869202357, -0.10460814425010727, 0.02256042728317507,
  -0.0031286558108761958, 0.00020481928050636007,
]

/** Near 0 x times a polynomial in x², elsewhere 1 - exp(a polynomial in |x|) with x's sign. */
export const erf: SingleFunction = (c, x) => {
  const a = atMost(c, abs(c, x), 4)
  const near = keep(c, () => {
    horner(c, squareOf(c, x), ERF_NEAR)
    c.get(x).op('f32x4.mul').get(x).op('f32x4.add')
  })
  const { rest, power } = powerOf(
    c,
    keep(c, () => horner(c, a, ERF_FAR)),
  )
  return keep(c, () => {
    c.get(near)
    c.f32x4(1).get(rest).f32x4(1).op('f32x4.add').get(power).op('f32x4.mul', 'f32x4.sub')
    withSignOf(c, x)
    c.get(a).f32x4(0.84).op('f32x4.lt', 'v128.bitselect')
  })
}
