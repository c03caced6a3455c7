import { show, ValueError } from './errors.js'

// Random numbers are a pure function of (seed, stream, index): no state, any part can be made anywhere. All of it
// is whole-number arithmetic and + - * / sqrt, which IEEE 754 fixes to the last bit, so every engine gets the same.

/** Constants of Philox4x32 (Salmon et al. 2011, table 2): two multipliers, and what the key grows by each round. */
const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9
const WEYL_1 = 0xbb67ae85
const ROUNDS = 10

// Powers of two are written out: ECMAScript lets engines round ** as they like.
const TWO_21 = 0x200000
const TWO_24 = 0x1000000
const TWO_26 = 0x4000000
const TWO_32 = 0x100000000
const TWO_53 = 0x20000000000000
const TWO_54 = 0x40000000000000
/** 2^-1022: what is smaller is subnormal. */
const LEAST_NORMAL = 2.2250738585072014e-308

/**
 * Philox4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): writes the
 * four words that counter (c0, c1, c2, c3) has under key (k0, k1) to `out` from index `at` on.
 */
export function philox4x32(
  out: Uint32Array,
  at: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(c0, MULTIPLIER_0)
    const high1 = mulHigh(c2, MULTIPLIER_1)
    const low0 = Math.imul(c0, MULTIPLIER_0)
    const low1 = Math.imul(c2, MULTIPLIER_1)
    c0 = high1 ^ c1 ^ k0
    c1 = low1
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + WEYL_0) | 0
    k1 = (k1 + WEYL_1) | 0
  }
  out[at] = c0
  out[at + 1] = c1
  out[at + 2] = c2
  out[at + 3] = c3
}

/** The high word of the 64-bit product of two words, as an int32; four products of halves, none over 32 bits. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0
  const carry = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (carry >>> 16)) | 0
}

/**
 * `count` random words. Word i is word i % 4 of the Philox4x32-10 block with key (seed low, seed high) and counter
 * (floor(i / 4), 0, stream low, stream high), so fewer words are the beginning of more.
 * @throws ValueError unless seed and stream are whole numbers in 0..2^53-1 and count is one >= 0.
 */
export function randomBits(seed: number, stream: number, count: number): Uint32Array {
  checkWhole('seed', seed)
  checkWhole('stream', stream)
  checkWhole('count', count, TWO_32)
  const bits = new Uint32Array(count)
  const whole = count - (count % 4)
  const [k0, k1, c2, c3] = [lowWord(seed), highWord(seed), lowWord(stream), highWord(stream)]
  for (let i = 0, block = 0; i < whole; i += 4, block++) philox4x32(bits, i, block, 0, c2, c3, k0, k1)
  if (whole < count) {
    const last = new Uint32Array(4)
    philox4x32(last, 0, whole / 4, 0, c2, c3, k0, k1)
    bits.set(last.subarray(0, count - whole), whole)
  }
  return bits
}

function lowWord(x: number): number {
  return x >>> 0
}

function highWord(x: number): number {
  return Math.floor(x / TWO_32)
}

function checkWhole(name: string, value: number, most: number = Number.MAX_SAFE_INTEGER, least = 0): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    const top = most === Number.MAX_SAFE_INTEGER ? '2^53-1' : most
    throw new ValueError(`random: ${name} ${show(value)} is not a whole number in ${least}..${top}`, {
      op: 'random',
    })
  }
}

/** Uniform in [0, 1): the multiples of 2^-24, one word each. */
export function uniformFloat32(seed: number, stream: number, count: number): Float32Array {
  const bits = randomBits(seed, stream, count)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) out[i] = (bits[i]! >>> 8) / TWO_24
  return out
}

/** Uniform in [0, 1): the multiples of 2^-53, two words each (27 bits of the first above 26 of the second). */
export function uniformFloat64(seed: number, stream: number, count: number): Float64Array {
  const bits = randomPairs(seed, stream, count)
  const out = new Float64Array(count)
  for (let i = 0; i < count; i++) out[i] = ((bits[2 * i]! >>> 5) * TWO_26 + (bits[2 * i + 1]! >>> 6)) / TWO_53
  return out
}

/** Two words for each of `count` numbers. */
function randomPairs(seed: number, stream: number, count: number): Uint32Array {
  checkWhole('count', count, TWO_32 / 2)
  return randomBits(seed, stream, 2 * count)
}

/** Standard normal, one word each: `normalFrom` of the odd multiples of 2^-33, so within 6.34 of 0. */
export function normalFloat32(seed: number, stream: number, count: number): Float32Array {
  const bits = randomBits(seed, stream, count)
  const out = new Float32Array(count)
  for (let i = 0; i < count; i++) out[i] = normalFrom((bits[i]! + 0.5) / TWO_32)
  return out
}

/** Standard normal, two words each: `normalFrom` of the odd multiples of 2^-53, so within 8.21 of 0. */
export function normalFloat64(seed: number, stream: number, count: number): Float64Array {
  const bits = randomPairs(seed, stream, count)
  const out = new Float64Array(count)
  for (let i = 0; i < count; i++)
    out[i] = normalFrom((bits[2 * i]! * TWO_21 + 2 * (bits[2 * i + 1]! >>> 12) + 1) / TWO_53)
  return out
}

/**
 * The x that a standard normal variable stays below with probability `u`: the inverse of the normal distribution
 * function, within 1e-15 of its size (Wichura 1988, algorithm AS 241, PPND16). -Infinity at 0, Infinity at 1, NaN
 * outside of [0, 1].
 */
export function normalFrom(u: number): number {
  const q = u - 0.5
  if (Math.abs(q) <= 0.425) return q * ratio(MIDDLE, 0.180625 - q * q)
  const tail = q < 0 ? u : 1 - u
  if (!(tail > 0)) return tail === 0 ? Math.sign(q) * Infinity : NaN
  const r = Math.sqrt(-portableLog(tail))
  const x = r <= 5 ? ratio(TAIL, r - 1.6) : ratio(FAR, r - 5)
  return q < 0 ? -x : x
}

/** p(r) / q(r); the coefficients of p and q alternate, from the highest power down. */
function ratio(coefficients: readonly number[], r: number): number {
  let above = 0
  let below = 0
  for (let i = 0; i < 16; i += 2) {
    above = above * r + coefficients[i]!
    below = below * r + coefficients[i + 1]!
  }
  return above / below
}

// oxlint-disable no-loss-of-precision -- digits as published
/** AS 241's coefficients a and b, for |u - 1/2| <= 0.425. */
// prettier-ignore
const MIDDLE: readonly number[] = [
  2.5090809287301226727e3, 5.2264952788528545610e3,
  3.3430575583588128105e4, 2.8729085735721942674e4,
  6.7265770927008700853e4, 3.9307895800092710610e4,
  4.5921953931549871457e4, 2.1213794301586595867e4,
  1.3731693765509461125e4, 5.3941960214247511077e3,
  1.9715909503065514427e3, 6.8718700749205790830e2,
  1.3314166789178437745e2, 4.2313330701600911252e1,
  3.3871328727963666080e0, 1,
]

/** c and d, for tails down to exp(-25). */
// prettier-ignore
const TAIL: readonly number[] = [
  7.74545014278341407640e-4, 1.05075007164441684324e-9,
  2.27238449892691845833e-2, 5.47593808499534494600e-4,
  2.41780725177450611770e-1, 1.51986665636164571966e-2,
  1.27045825245236838258e0, 1.48103976427480074590e-1,
  3.64784832476320460504e0, 6.89767334985100004550e-1,
  5.76949722146069140550e0, 1.67638483018380384940e0,
  4.63033784615654529590e0, 2.05319162663775882187e0,
  1.42343711074968357734e0, 1,
]

/** e and f, for tails beyond. */
// prettier-ignore
const FAR: readonly number[] = [
  2.01033439929228813265e-7, 2.04426310338993978564e-15,
  2.71155556874348757815e-5, 1.42151175831644588870e-7,
  1.24266094738807843860e-3, 1.84631831751005468180e-5,
  2.65321895265761230930e-2, 7.86869131145613259100e-4,
  2.96560571828504891230e-1, 1.48753612908506148525e-2,
  1.78482653991729133580e0, 1.36929880922735805310e-1,
  5.46378491116411436990e0, 5.99832206555887937690e-1,
  6.65790464350110377720e0, 1,
]
// oxlint-enable no-loss-of-precision

/** ln 2 in two parts (Cody & Waite 1980): the first has 21 zero bits at its end, so its whole multiples are exact. */
const LN2_HIGH = 6.9314718036912381649e-1
const LN2_LOW = 1.90821492927058770002e-10

const bytes = new DataView(new ArrayBuffer(8))

/**
 * Natural logarithm, within 1 unit in the last place, the same on every engine (`Math.log` need not be).
 * x = m * 2^e with m in [sqrt(1/2), sqrt(2)]; with f = m - 1 and s = f / (2 + f),
 * log(m) = 2 atanh(s) = f - s (f - r) where r = 2 (s^2 / 3 + s^4 / 5 + s^6 / 7 + …).
 */
export function portableLog(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN
  if (x === Infinity) return x
  const isSubnormal = x < LEAST_NORMAL
  bytes.setFloat64(0, isSubnormal ? x * TWO_54 : x)
  const high = bytes.getUint32(0)
  bytes.setUint32(0, (high & 0xfffff) | 0x3ff00000)
  const significand = bytes.getFloat64(0)
  const isUpper = significand > Math.SQRT2
  const e = (high >>> 20) - 1023 - (isSubnormal ? 54 : 0) + (isUpper ? 1 : 0)
  const f = (isUpper ? significand / 2 : significand) - 1
  const s = f / (2 + f)
  const z = s * s
  // s^2 < 0.03, so the first term left out is below 2^-56 of the sum.
  let r = 0
  for (let n = 21; n > 1; n -= 2) r = (r + 2 / n) * z
  return e * LN2_HIGH - (s * (f - r) - e * LN2_LOW - f)
}

/**
 * `count` whole numbers in 0..bound-1, each equally likely. Element i is the high word of (word i * bound); where
 * the low word shows that this would favour some numbers, word i is drawn again (Lemire 2019, "Fast random integer
 * generation in an interval"), with the number of the attempt in the second word of the counter. So element i
 * depends on (seed, stream, i, bound) only.
 * @throws ValueError unless bound is a whole number in 1..2^32.
 */
export function integersBelow(seed: number, stream: number, count: number, bound: number): Uint32Array {
  checkWhole('bound', bound, TWO_32, 1)
  const out = randomBits(seed, stream, count)
  if (bound === TWO_32) return out
  for (let i = 0; i < count; i++) out[i] = integerBelow(bound, out[i]!, seed, stream, i)
  return out
}

/** A whole number in 0..bound-1 from the `word` that was drawn at `index`. 1 <= bound < 2^32. */
function integerBelow(bound: number, word: number, seed: number, stream: number, index: number): number {
  // The remainder is dear, and needed only if the low word is below `bound`.
  if (Math.imul(word, bound) >>> 0 < bound) {
    const unfair = TWO_32 % bound
    for (let attempt = 1; Math.imul(word, bound) >>> 0 < unfair; attempt++)
      word = redrawn(seed, stream, index, attempt)
  }
  return mulHigh(word, bound) >>> 0
}

function redrawn(seed: number, stream: number, index: number, attempt: number): number {
  const block = new Uint32Array(4)
  philox4x32(
    block,
    0,
    Math.floor(index / 4),
    attempt,
    lowWord(stream),
    highWord(stream),
    lowWord(seed),
    highWord(seed),
  )
  return block[index % 4]!
}

/**
 * 0..n-1 in random order, every order equally likely as far as the seed reaches (Fisher & Yates; Knuth, TAOCP 3.4.2,
 * algorithm P). Place i, from the last down, takes one of 0..i by the rule of `integersBelow`.
 * @throws ValueError unless n is a whole number in 0..2^31-1.
 */
export function permutation(seed: number, stream: number, n: number): Int32Array {
  checkWhole('n', n, TWO_32 / 2 - 1)
  const bits = randomBits(seed, stream, n)
  const out = new Int32Array(n)
  for (let i = 0; i < n; i++) out[i] = i
  for (let i = n - 1; i > 0; i--) {
    const j = integerBelow(i + 1, bits[i]!, seed, stream, i)
    const moved = out[i]!
    out[i] = out[j]!
    out[j] = moved
  }
  return out
}
