import {
  add,
  divide,
  multiply,
  negate,
  type Pair,
  productOf,
  scale,
  squareRoot,
  subtract,
  sumOf,
} from './pairs.js'

// The functions that engines are free to round as they like, computed in twice float64's digits and rounded once. So the
// results are the numbers nearest to the true ones in all but one of some 2^40 cases, and the same everywhere.

const ONE: Pair = [1, 0]
const LN2: Pair = [Math.LN2, 2.3190468138462996e-17]
const LOG2E: Pair = divide(ONE, LN2)
const LN10: Pair = [Math.LN10, -2.1707562233822494e-16]
const HALF_PI: Pair = [Math.PI / 2, 6.123233995736766e-17]
const PI: Pair = scale(HALF_PI, 2)

const single = (x: number): Pair => [x, 0]
const rounded = ([high, low]: Pair): number => high + low
/** A function of |x|, with the sign of x. */
const odd = (x: number, f: (size: number) => number): number => (x < 0 || Object.is(x, -0) ? -f(-x) : f(x))

const bits = new DataView(new ArrayBuffer(8))

/** x = m 2^e with m in [1, 2); for x above 0. */
function parts(x: number): { m: number; e: number } {
  const isSmall = x < 2 ** -1022
  bits.setFloat64(0, isSmall ? x * 2 ** 54 : x)
  const high = bits.getUint32(0)
  bits.setUint32(0, (high & 0xfffff) | 0x3ff00000)
  return { m: bits.getFloat64(0), e: (high >>> 20) - 1023 - (isSmall ? 54 : 0) }
}

/** 2^n for whole n in [-1022, 1023]. */
function powerOfTwo(n: number): number {
  bits.setUint32(0, (n + 1023) << 20)
  bits.setUint32(4, 0)
  return bits.getFloat64(0)
}

/** x 2^n rounded once, for n in [-2100, 2100]. */
function timesPowerOfTwo(x: Pair, n: number): number {
  const half = Math.trunc(n / 2)
  const clamped = (k: number): number => powerOfTwo(Math.max(-1022, Math.min(1023, k)))
  return rounded(x) * clamped(half) * clamped(n - half)
}

// ---- exp and its like

/** 1, 1/2!, 1/3!, … from 1/`first`! on, every `step`th, to 1/`last`!. */
function inverseFactorials(first: number, step: number, last: number): readonly Pair[] {
  const found: Pair[] = []
  let inverse: Pair = ONE
  for (let n = 1; n <= last; n++) {
    inverse = divide(inverse, single(n))
    if (n >= first && (n - first) % step === 0) found.push(inverse)
  }
  return found
}

/** c[0] + c[1] x + c[2] x² + … */
function polynomial(c: readonly Pair[], x: Pair): Pair {
  let sum = c.at(-1)!
  for (let i = c.length - 2; i >= 0; i--) sum = add(multiply(sum, x), c[i]!)
  return sum
}

const EXP = inverseFactorials(1, 1, 10)

/** exp(r) - 1 for |r| <= 0.4: the Taylor series at r / 256, and that doubled eight times by (1 + e)² - 1 = 2e + e². */
function expm1Near(r: Pair): Pair {
  const small = scale(r, 2 ** -8)
  let sum = multiply(small, polynomial(EXP, small))
  for (let i = 0; i < 8; i++) sum = add(scale(sum, 2), multiply(sum, sum))
  return sum
}

/** x = n ln 2 + r: n, and exp(r) - 1. For |x| below 1100. */
function reduced(x: Pair): { n: number; tail: Pair } {
  const n = Math.round(x[0] / LN2[0])
  return { n, tail: expm1Near(subtract(x, multiply(LN2, single(n)))) }
}

function expOf(x: Pair): number {
  if (!(x[0] < 720)) return x[0] >= 720 ? Infinity : NaN
  if (x[0] < -760) return 0
  const { n, tail } = reduced(x)
  return timesPowerOfTwo(add(ONE, tail), n)
}

/** exp(x) - 1 as a pair, for |x| below 700. */
function expm1Of(x: Pair): Pair {
  const { n, tail } = reduced(x)
  if (n === 0) return tail
  return subtract(scale(add(ONE, tail), powerOfTwo(n)), ONE)
}

export function exp(x: number): number {
  return expOf(single(x))
}

export function expm1(x: number): number {
  if (Math.abs(x) < 2 ** -60 || x !== x) return x
  if (x > 700) return exp(x)
  return x < -50 ? -1 : rounded(expm1Of(single(x)))
}

export function sinh(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30 || a !== a) return a
    if (a > 50) return a > 720 ? Infinity : expOf(subtract(single(a), LN2))
    const e = expm1Of(single(a))
    return rounded(scale(add(e, divide(e, add(e, ONE))), 0.5))
  })
}

export function cosh(x: number): number {
  const a = Math.abs(x)
  if (!(a <= 720)) return a > 720 ? Infinity : NaN
  if (a > 50) return expOf(subtract(single(a), LN2))
  const e = add(expm1Of(single(a)), ONE)
  return rounded(scale(add(e, divide(ONE, e)), 0.5))
}

export function tanh(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30 || a !== a) return a
    if (a > 25) return 1
    const e = expm1Of(single(2 * a))
    return rounded(divide(e, add(e, single(2))))
  })
}

// ---- logarithms

/** log(1 + x) for 1 + x in [0.7, 1.42]: an approximation y, and then y + log((1 + x) exp(-y)). */
function log1pNear(x: Pair): Pair {
  const s = x[0] / (2 + x[0])
  const square = s * s
  let series = 0
  for (let n = 21; n >= 3; n -= 2) series = (series + 1 / n) * square
  const y = 2 * s * (1 + series)
  const e = expm1Near(single(-y))
  const rest = add(add(x, e), multiply(x, e))
  const more = rest[0] * rest[0] * (rest[0] / 3 - 0.5)
  return add(add(single(y), rest), single(more))
}

/** The logarithm to the base 2 as a whole number and the natural logarithm of what remains; for x above 0. */
function logParts(x: Pair): { e: number; rest: Pair } {
  let { e } = parts(x[0])
  const half = Math.trunc(-e / 2)
  let m = scale(scale(x, powerOfTwo(half)), powerOfTwo(-e - half))
  if (m[0] > Math.SQRT2) {
    m = scale(m, 0.5)
    e++
  }
  return { e, rest: log1pNear(subtract(m, ONE)) }
}

function logOf(x: Pair): Pair {
  const { e, rest } = logParts(x)
  return e === 0 ? rest : add(multiply(LN2, single(e)), rest)
}

/** What logarithms are at 0, below it, at infinity and NaN; undefined elsewhere. */
function edgeOfLog(x: number): number | undefined {
  if (x === 0) return -Infinity
  return x > 0 && x < Infinity ? undefined : x === Infinity ? Infinity : NaN
}

export function log(x: number): number {
  return edgeOfLog(x) ?? rounded(logOf(single(x)))
}

export function log2(x: number): number {
  const edge = edgeOfLog(x)
  if (edge !== undefined) return edge
  const { e, rest } = logParts(single(x))
  return rounded(add(single(e), multiply(rest, LOG2E)))
}

export function log10(x: number): number {
  return edgeOfLog(x) ?? rounded(divide(logOf(single(x)), LN10))
}

/** log(1 + x) as a pair, for x above -1. */
function log1pOf(x: Pair): Pair {
  return x[0] > -0.29 && x[0] < 0.41 ? log1pNear(x) : logOf(add(x, ONE))
}

export function log1p(x: number): number {
  if (Math.abs(x) < 2 ** -60) return x
  return x > -1 && x < Infinity ? rounded(log1pOf(single(x))) : edgeOfLog(1 + x)!
}

/** Above it 1 makes no difference to a square. */
const HUGE = 2 ** 60

export function asinh(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30 || a === Infinity || a !== a) return a
    if (a > HUGE) return rounded(add(logOf(single(a)), LN2))
    const square = productOf(a, a)
    const root = squareRoot(add(square, ONE))
    return rounded(log1pOf(add(single(a), divide(square, add(root, ONE)))))
  })
}

export function acosh(x: number): number {
  if (!(x >= 1)) return NaN
  if (x > HUGE) return x === Infinity ? x : rounded(add(logOf(single(x)), LN2))
  const t = sumOf(x, -1)
  return rounded(log1pOf(add(t, squareRoot(add(scale(t, 2), multiply(t, t))))))
}

export function atanh(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30 || !(a < 1)) return a === 1 ? Infinity : a < 1 ? a : NaN
    return rounded(scale(log1pOf(divide(single(2 * a), sumOf(1, -a))), 0.5))
  })
}

/** As Math.pow has it: 1 to the power NaN is NaN. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1
  if (x !== x || y !== y) return NaN
  const size = Math.abs(x)
  if (Math.abs(y) === Infinity) return size === 1 ? NaN : size > 1 === y > 0 ? Infinity : 0
  const isOdd = Math.abs(y % 2) === 1
  const sign = isOdd && (x < 0 || Object.is(x, -0)) ? -1 : 1
  if (size === 0 || size === Infinity) return sign * (size > 0 === y > 0 ? Infinity : 0)
  if (x < 0 && y % 1 !== 0) return NaN
  if (size === 1) return sign
  const logarithm = logOf(single(size))
  const about = logarithm[0] * y
  if (Math.abs(about) > 760) return sign * (about > 0 ? Infinity : 0)
  // A tiny power leaves 1; a tiny logarithm comes with a large one, of which the product is a plain number.
  if (Math.abs(about) < 2 ** -60) return sign * (1 + about)
  const power = parts(Math.abs(y)).e
  const own = y * powerOfTwo(Math.max(-1022, Math.min(1022, -power)))
  const product = multiply(logarithm, single(own))
  return (
    sign *
    expOf(scale(scale(product, powerOfTwo(Math.trunc(power / 2))), powerOfTwo(power - Math.trunc(power / 2))))
  )
}

// ---- sines

/** π/2: two pieces of 32 bits, of which multiples below 2^21 are exact, and what remains as a pair. */
const PIECES = [
  1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21, 1.0085854035872483e-37,
] as const

/** x = k π/2 + r with |r| <= π/4: k modulo 4, and r. */
function quarterTurns(x: number): { k: number; r: Pair } {
  if (Math.abs(x) > 2 ** 20) return manyTurns(x)
  const k = Math.round(x / HALF_PI[0])
  let r = sumOf(x, -k * PIECES[0])
  r = add(r, single(-k * PIECES[1]))
  r = subtract(r, productOf(k, PIECES[2]))
  return { k: k & 3, r: subtract(r, productOf(k, PIECES[3])) }
}

/** Bits of 2/π after the point: as many as the largest exponent, and 200 more. */
const TURN_BITS = 1200n
let turns: bigint | undefined

/** The same for large x, by whole numbers of any length. */
function manyTurns(x: number): { k: number; r: Pair } {
  turns ??= (1n << (2n * TURN_BITS + 1n)) / piTimes(TURN_BITS)
  const { m, e } = parts(Math.abs(x))
  const product = BigInt(m * 2 ** 52) * turns
  const below = TURN_BITS + 52n - BigInt(e)
  const k = (product + (1n << (below - 1n))) >> below
  // 200 bits of what remains.
  const rest = (product - (k << below)) >> (below - 200n)
  const high = Number(rest)
  const r = multiply(scale([high, Number(rest - BigInt(high))], 2 ** -200), HALF_PI)
  return x < 0 ? { k: Number(-k & 3n), r: negate(r) } : { k: Number(k & 3n), r }
}

/** π 2^n, rounded down, by Machin's formula 16 atan(1/5) - 4 atan(1/239). */
function piTimes(n: bigint): bigint {
  const guard = 32n
  const inverse = (x: bigint): bigint => {
    let term = (1n << (n + guard)) / x
    let sum = term
    for (let k = 1n; term !== 0n; k += 2n) {
      term /= -x * x
      sum += term / (k + 2n)
    }
    return sum
  }
  return (16n * inverse(5n) - 4n * inverse(239n)) >> guard
}

const SIN = inverseFactorials(3, 2, 27)
const COS = inverseFactorials(2, 2, 28)

/** r - r³/3! + … for |r| <= π/4 */
function sinNear(r: Pair): Pair {
  const square = negate(multiply(r, r))
  return add(r, multiply(multiply(r, square), polynomial(SIN, square)))
}

/** 1 - r²/2! + … for |r| <= π/4 */
function cosNear(r: Pair): Pair {
  const square = negate(multiply(r, r))
  return add(ONE, multiply(square, polynomial(COS, square)))
}

/** sin(x) and cos(x) as pairs, for finite x. */
function sines(x: number): { sin: Pair; cos: Pair } {
  const { k, r } = quarterTurns(x)
  const [sin, cos] = [sinNear(r), cosNear(r)]
  if (k === 0) return { sin, cos }
  if (k === 1) return { sin: cos, cos: negate(sin) }
  return k === 2 ? { sin: negate(sin), cos: negate(cos) } : { sin: negate(cos), cos: sin }
}

export function sin(x: number): number {
  if (Math.abs(x) < 2 ** -30) return x
  return Math.abs(x) < Infinity ? rounded(sines(x).sin) : NaN
}

export function cos(x: number): number {
  return Math.abs(x) < Infinity ? rounded(sines(x).cos) : NaN
}

export function tan(x: number): number {
  if (Math.abs(x) < 2 ** -30) return x
  if (!(Math.abs(x) < Infinity)) return NaN
  const { sin: s, cos: c } = sines(x)
  return rounded(divide(s, c))
}

// ---- arcs

const ATAN = Array.from({ length: 13 }, (_, i) => divide(ONE, single(2 * i + 3)))

/** u - u³/3 + u⁵/5 - … for |u| <= 1/16. */
function atanNear(u: Pair): Pair {
  const square = negate(multiply(u, u))
  return add(u, multiply(multiply(u, square), polynomial(ATAN, square)))
}

let arcs: readonly Pair[] | undefined

/** atan(i / 16) for i up to 16, each from the one before: atan(a) - atan(b) = atan((a - b) / (1 + a b)). */
function arcsOf16ths(): readonly Pair[] {
  const found: Pair[] = [[0, 0]]
  for (let i = 1; i <= 16; i++) {
    const step = divide(single(1 / 16), single(1 + (i * (i - 1)) / 256))
    found.push(add(found[i - 1]!, atanNear(step)))
  }
  return found
}

/** atan(y / x) for x and y that are not negative, and not both 0. */
function atanOf(y: Pair, x: Pair): Pair {
  if (y[0] > x[0]) return subtract(HALF_PI, atanOf(x, y))
  arcs ??= arcsOf16ths()
  const t = divide(y, x)
  const i = Math.round(16 * t[0])
  const c = single(i / 16)
  return add(arcs[i]!, atanNear(divide(subtract(t, c), add(ONE, multiply(t, c)))))
}

export function atan(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30 || a !== a) return a
    return a > 2 ** 60 ? HALF_PI[0] : rounded(atanOf(single(a), ONE))
  })
}

export function asin(x: number): number {
  return odd(x, (a) => {
    if (a < 2 ** -30) return a
    return a <= 1 ? rounded(atanOf(single(a), legOf(a))) : NaN
  })
}

export function acos(x: number): number {
  const a = Math.abs(x)
  if (!(a <= 1)) return NaN
  const arc = atanOf(legOf(a), single(a))
  return rounded(x < 0 ? subtract(PI, arc) : arc)
}

/** sqrt(1 - a²) */
function legOf(a: number): Pair {
  return squareRoot(multiply(sumOf(1, -a), sumOf(1, a)))
}

export function atan2(y: number, x: number): number {
  if (x !== x || y !== y) return NaN
  const isLeft = x < 0 || Object.is(x, -0)
  return odd(y, (b) => {
    const a = Math.abs(x)
    if (b === 0) return isLeft ? PI[0] : b
    let arc: Pair
    if (b === Infinity) arc = a === Infinity ? scale(HALF_PI, 0.5) : HALF_PI
    else if (a === Infinity) arc = [0, 0]
    else {
      // Of one size, so that nothing overflows; what is less than the 2^200th part of the other counts as it is.
      const e = parts(Math.max(a, b)).e
      const half = Math.trunc(-e / 2)
      const [p, q] = [powerOfTwo(half), powerOfTwo(-e - half)]
      const [u, v] = [b * p * q, a * p * q]
      if (u < 2 ** -200 && !isLeft) return b / a
      arc = u < 2 ** -200 ? [0, 0] : v < 2 ** -200 ? HALF_PI : atanOf(single(u), single(v))
    }
    return rounded(isLeft ? subtract(PI, arc) : arc)
  })
}
