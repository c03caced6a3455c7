import { exp, expm1 } from '../math/engine.js'

// Polynomials fitted for this file by Chebyshev interpolation in 60 digits; each is exact to better than 1e-17
// relative to the function it stands for. Coefficients from the highest power down.

/** erf(x) / x - 1 as a polynomial in x², for |x| < 0.84. */
export const ERF_SMALL: readonly number[] = [
  -8.847223918560384e-10, 1.41933794487106e-8, -1.6301115555811785e-7, 1.6457733512818286e-6,
  -1.4925453340176486e-5, 0.000120553270506432, -0.0008548326905656577, 0.005223977623956974,
  -0.026866170645020646, 0.112837916709547, -0.3761263890318375, 0.1283791670955126,
]

/** (erfc(1 + s) - erfc(1)) / s as a polynomial in s, for -0.16 <= s <= 0.25. */
const NEAR_1: readonly number[] = [
  -1.964603314598971e-5, -1.9033835652419528e-5, 0.00019976543250785087, -8.54762259483311e-5,
  -0.001226279899265822, 0.00188518667868335, 0.004777030633550733, -0.015154718133869205,
  -0.004612305526434743, 0.06918458290325459, -0.0691845829034333, -0.13836916580686445, 0.4151074974205947,
  -0.4151074974205947,
]
const ERFC_1 = 0.15729920705028513

/** x exp(x²) erfc(x) as a polynomial in (1 / x² - mid) / half, up to x = `below`. */
const TAILS: readonly {
  readonly below: number
  readonly mid: number
  readonly half: number
  readonly p: readonly number[]
}[] = [
  {
    below: 2,
    mid: 0.445,
    half: 0.195,
    p: [
      8.709993627387024e-13, -2.883567378213651e-12, 5.5178533774518085e-12, -1.903486176782194e-11,
      7.490493503439126e-11, -2.6444295416580965e-10, 9.41455047533286e-10, -3.456554194071988e-9,
      1.2994176925161563e-8, -5.0149224512656626e-8, 1.9972300984998184e-7, -8.25881073350735e-7,
      3.575786419479232e-6, -1.6405825163513964e-5, 8.122450307526094e-5, -0.00044711290423135044,
      0.002893228477687673, -0.025041955025171755, 0.4823067565861134,
    ],
  },
  {
    below: 4,
    mid: 0.15625,
    half: 0.09375,
    p: [
      -1.257946923773097e-12, 3.894490067965376e-12, -6.6309652608185075e-12, 2.2101429176868932e-11,
      -8.608716819194103e-11, 2.9765136858976594e-10, -1.050641459606696e-9, 3.886228556247409e-9,
      -1.496854003954507e-8, 6.037462451691084e-8, -2.573417771532043e-7, 1.1726815287300983e-6,
      -5.806473409376831e-6, 3.200095700266246e-5, -0.0002040128479825694, 0.0016122840171439864,
      -0.018393146163290356, 0.5277490693204527,
    ],
  },
  {
    below: 28,
    mid: 0.03188775510204082,
    half: 0.030612244897959183,
    p: [
      -1.7086340130163628e-13, 7.618741037186445e-13, -2.9851872285043597e-12, 1.5223194695005505e-11,
      -8.384348032461748e-11, 4.925740643079959e-10, -3.164250260345973e-9, 2.2597602220168166e-8,
      -1.8334471728620604e-7, 1.7438829908471999e-6, -2.0403647415633647e-5, 0.0003188399633594227,
      -0.007895722005494382, 0.555593535796611,
    ],
  },
]

/** The error function 2/√π ∫₀ˣ exp(-t²) dt. */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (a < 0.84) return x + x * polynomial(ERF_SMALL, x * x)
  return x > 0 ? 1 - upper(a) : upper(a) - 1
}

/** 1 - erf(x), without cancellation for large x. */
export function erfc(x: number): number {
  const a = Math.abs(x)
  if (a < 0.25) return 1 - (x + x * polynomial(ERF_SMALL, x * x))
  if (a < 0.84) return 0.5 - (x * polynomial(ERF_SMALL, x * x) + (x - 0.5))
  return x < 0 ? 2 - upper(a) : upper(a)
}

/** erfc(a) for a >= 0.84 (or NaN). */
function upper(a: number): number {
  if (a < 1.25) return ERFC_1 + (a - 1) * polynomial(NEAR_1, a - 1)
  if (a > 27.3) return 0
  for (const { below, mid, half, p } of TAILS)
    if (a < below) return timesExpOfMinusSquare(polynomial(p, (1 / (a * a) - mid) / half) / a, a)
  return NaN
}

/** y exp(-a²), with a² split into an exact square and a small rest: rounding a² would cost up to a² ulps. */
function timesExpOfMinusSquare(y: number, a: number): number {
  const high = Math.fround(a)
  const nearly = y * exp(-high * high)
  return nearly + nearly * expm1((high - a) * (high + a))
}

/** Its value at x by Horner's rule. */
export function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0
  for (let i = 0; i < coefficients.length; i++) sum = sum * x + coefficients[i]!
  return sum
}
