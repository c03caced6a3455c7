import { encodeUtf8 } from '../host.js'

// Hashes of text that are the same on every machine, in 64-bit arithmetic.

const MASK = (1n << 64n) - 1n
const wrap = (x: bigint): bigint => x & MASK
const rotr = (x: bigint, n: bigint): bigint => wrap((x >> n) | (x << (64n - n)))
const rotl = (x: bigint, n: bigint): bigint => rotr(x, 64n - n)
const mixed = (x: bigint): bigint => x ^ (x >> 47n)

// Primes between 2^63 and 2^64, as FarmHash has them.
const K0 = 0xc3a5c85c97cb3127n
const K1 = 0xb492b66fbe98f273n
const K2 = 0x9ae16a3b2f90404fn

/** The 8, or 4, bytes from `at` on, the first one lowest. */
const word = (view: DataView, at: number): bigint => view.getBigUint64(at, true)
const half = (view: DataView, at: number): bigint => BigInt(view.getUint32(at, true))

/** 128 bits as 64. */
function joined(u: bigint, v: bigint, mul: bigint): bigint {
  const a = mixed(wrap((u ^ v) * mul))
  return wrap(mixed(wrap((v ^ a) * mul)) * mul)
}

/**
 * FarmHash's Fingerprint64 of the UTF-8 bytes (farmhashna::Hash64 of Google's FarmHash), which TensorFlow and Keras use
 * for hashing.
 */
export function fingerprint64(text: string): bigint {
  const bytes = encodeUtf8(text)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const n = bytes.length
  if (n <= 16) return upTo16(view, n)
  const mul = K2 + BigInt(n * 2)
  if (n <= 32) {
    const a = wrap(word(view, 0) * K1)
    const b = word(view, 8)
    return joined(...ends(view, n, a, b, mul), mul)
  }
  return n <= 64 ? upTo64(view, n, mul) : longer(view, n)
}

function upTo16(view: DataView, n: number): bigint {
  const mul = K2 + BigInt(n * 2)
  if (n >= 8) {
    const a = wrap(word(view, 0) + K2)
    const b = word(view, n - 8)
    const c = wrap(rotr(b, 37n) * mul + a)
    return joined(c, wrap((rotr(a, 25n) + b) * mul), mul)
  }
  if (n >= 4) return joined(BigInt(n) + (half(view, 0) << 3n), half(view, n - 4), mul)
  if (n === 0) return K2
  const [a, b, c] = [view.getUint8(0), view.getUint8(n >> 1), view.getUint8(n - 1)]
  const y = BigInt(a + (b << 8))
  const z = BigInt(n + (c << 2))
  return wrap(mixed(wrap(y * K2) ^ wrap(z * K0)) * K2)
}

/** Two words of the first two, which are `a` and `b`, and the last two. */
function ends(view: DataView, n: number, a: bigint, b: bigint, mul: bigint): [bigint, bigint] {
  const c = wrap(word(view, n - 8) * mul)
  const d = wrap(word(view, n - 16) * K2)
  return [wrap(rotr(wrap(a + b), 43n) + rotr(c, 30n) + d), wrap(a + rotr(wrap(b + K2), 18n) + c)]
}

function upTo64(view: DataView, n: number, mul: bigint): bigint {
  const a = wrap(word(view, 0) * K2)
  const [y, last] = ends(view, n, a, word(view, 8), mul)
  const z = joined(y, last, mul)
  const e = wrap(word(view, 16) * mul)
  const f = word(view, 24)
  const g = wrap((y + word(view, n - 32)) * mul)
  const h = wrap((z + word(view, n - 24)) * mul)
  return joined(wrap(rotr(wrap(e + f), 43n) + rotr(g, 30n) + h), wrap(e + rotr(wrap(f + a), 18n) + g), mul)
}

type Pair = readonly [bigint, bigint]

/** 32 bytes from `at` on, and two seeds, as two words. */
function of32(view: DataView, at: number, first: bigint, second: bigint): Pair {
  const z = word(view, at + 24)
  const a = wrap(first + word(view, at))
  const sum = wrap(a + word(view, at + 8) + word(view, at + 16))
  const b = wrap(rotr(wrap(second + a + z), 21n) + rotr(sum, 44n))
  return [wrap(sum + z), wrap(b + a)]
}

function longer(view: DataView, n: number): bigint {
  const seed = 81n
  let x = wrap(seed * K2 + word(view, 0))
  let y = wrap(seed * K1 + 113n)
  let z = wrap(mixed(wrap(y * K2 + 113n)) * K2)
  let v: Pair = [0n, 0n]
  let w: Pair = [0n, 0n]
  /** 64 bytes from `at` on; the last ones, which may overlap, are weighed by `tail`. */
  const round = (at: number, mul: bigint, tail: bigint): void => {
    x = wrap(rotr(wrap(x + y + v[0] + word(view, at + 8)), 37n) * mul)
    y = wrap(rotr(wrap(y + v[1] + word(view, at + 48)), 42n) * mul)
    x ^= wrap(w[1] * tail)
    y = wrap(y + v[0] * tail + word(view, at + 40))
    z = wrap(rotr(wrap(z + w[0]), 33n) * mul)
    v = of32(view, at, wrap(v[1] * mul), wrap(x + w[0]))
    w = of32(view, at + 32, wrap(z + w[1]), wrap(y + word(view, at + 16)))
    ;[z, x] = [x, z]
  }
  const left = (n - 1) % 64
  for (let at = 0; at < n - 1 - left; at += 64) round(at, K1, 1n)
  const mul = K1 + ((z & 0xffn) << 1n)
  const w0 = wrap(w[0] + BigInt(left))
  v = [wrap(v[0] + w0), v[1]]
  w = [wrap(w0 + v[0]), w[1]]
  round(n - 64, mul, 9n)
  return joined(wrap(joined(v[0], w[0], mul) + mixed(y) * K0 + z), wrap(joined(v[1], w[1], mul) + x), mul)
}

/** SipHash-2-4 of the UTF-8 bytes by a key of two words (Aumasson & Bernstein 2012). */
export function sipHash64(text: string, key: Pair): bigint {
  const bytes = encodeUtf8(text)
  const n = bytes.length
  // Whole words; the last one ends with the length.
  const padded = new Uint8Array((Math.floor(n / 8) + 1) * 8)
  padded.set(bytes)
  padded[padded.length - 1] = n & 0xff
  const view = new DataView(padded.buffer)
  let v0 = key[0] ^ 0x736f6d6570736575n
  let v1 = key[1] ^ 0x646f72616e646f6dn
  let v2 = key[0] ^ 0x6c7967656e657261n
  let v3 = key[1] ^ 0x7465646279746573n
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = wrap(v0 + v1)
      v1 = rotl(v1, 13n) ^ v0
      v0 = rotl(v0, 32n)
      v2 = wrap(v2 + v3)
      v3 = rotl(v3, 16n) ^ v2
      v0 = wrap(v0 + v3)
      v3 = rotl(v3, 21n) ^ v0
      v2 = wrap(v2 + v1)
      v1 = rotl(v1, 17n) ^ v2
      v2 = rotl(v2, 32n)
    }
  }
  for (let at = 0; at < padded.length; at += 8) {
    const m = word(view, at)
    v3 ^= m
    rounds(2)
    v0 ^= m
  }
  v2 ^= 0xffn
  rounds(4)
  return v0 ^ v1 ^ v2 ^ v3
}
