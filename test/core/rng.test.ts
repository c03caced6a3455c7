import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { ValueError } from '../../packages/core/src/errors.js'
import {
  integersBelow,
  normalFloat32,
  normalFloat64,
  normalFrom,
  permutation,
  philox4x32,
  portableLog,
  randomBits,
  uniformFloat32,
  uniformFloat64,
} from '../../packages/core/src/rng.js'

const EPS = 2 ** -52

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const whole = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.maxSafeNat())
const count = fc.integer({ min: 0, max: 40 })

describe('philox4x32', () => {
  // kat_vectors of Random123, "philox4x32 10": counter, key, result.
  it.each([
    ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('has the published answer for counter %s and key %s', (counter, key, answer) => {
    expect(philox(words(counter), words(key))).toEqual(words(answer))
  })

  test.prop([fc.tuple(word, word, word, word), fc.tuple(word, word)])(
    'agrees with exact integers',
    (c, k) => {
      expect(philox(c, k)).toEqual(exactPhilox(c, k))
    },
  )
})

describe('randomBits', () => {
  it('stays as it is', () => {
    expect([...randomBits(2 ** 53 - 1, 2 ** 33 + 5, 6)]).toEqual([
      0x00e2dfd3, 0x62abe1f8, 0xe0f00f11, 0xd8b02c7a, 0x6d41675e, 0x5c27cc54,
    ])
  })

  test.prop([whole, whole, count])('is the blocks of the counters in order', (seed, stream, n) => {
    expect([...randomBits(seed, stream, n)]).toEqual(
      Array.from({ length: n }, (_, i) => exactWord(seed, stream, i, 0)),
    )
  })

  it('has about half of its bits set, each place as often as any other', () => {
    const bits = randomBits(1, 0, 100_000)
    for (let place = 0; place < 32; place++) {
      const ones = bits.reduce((sum, x) => sum + ((x >>> place) & 1), 0)
      expect(Math.abs(ones - 50_000)).toBeLessThan(4 * Math.sqrt(100_000 / 4))
    }
  })
})

describe('seeds, streams and counts', () => {
  it.each([-1, 0.5, NaN, Infinity, 2 ** 53])('%d is none', (bad) => {
    expect(() => randomBits(bad, 0, 1)).toThrow(ValueError)
    expect(() => randomBits(0, bad, 1)).toThrow(ValueError)
    expect(() => uniformFloat32(0, 0, bad)).toThrow(ValueError)
    expect(() => normalFloat64(0, 0, bad)).toThrow(ValueError)
    expect(() => permutation(0, 0, bad)).toThrow(ValueError)
  })

  it('the error says which and what is allowed', () => {
    expect(() => randomBits(-1, 0, 1)).toThrow('random: seed -1 is not a whole number in 0..2^53-1')
    expect(() => integersBelow(0, 0, 1, 0)).toThrow('random: bound 0 is not a whole number in 1..4294967296')
  })
})

const makers = {
  randomBits,
  uniformFloat32,
  uniformFloat64,
  normalFloat32,
  normalFloat64,
  integersBelow: (seed: number, stream: number, n: number) => integersBelow(seed, stream, n, 3 * 2 ** 30),
}

describe.each(Object.entries(makers))('%s', (_, make) => {
  test.prop([whole, whole, count, count])('fewer numbers are the beginning of more', (seed, stream, m, n) => {
    const [few, many] = [Math.min(m, n), Math.max(m, n)]
    expect(make(seed, stream, few)).toEqual(make(seed, stream, many).slice(0, few))
  })

  it('seeds and streams that differ in one bit or change places have nothing in common', () => {
    const n = 20_000
    const base = make(3, 5, n)
    for (const other of [
      make(2, 5, n),
      make(3, 4, n),
      make(5, 3, n),
      make(3 + 2 ** 40, 5, n),
      make(3, 5 + 2 ** 40, n),
    ])
      expect(Math.abs(correlation(base, other))).toBeLessThan(4 / Math.sqrt(n))
  })

  it('a number says nothing about the next ones', () => {
    const n = 20_000
    const base = make(7, 0, n)
    for (const lag of [1, 2, 3, 4, 5, 8])
      expect(Math.abs(correlation(base.subarray(0, n - lag), base.subarray(lag)))).toBeLessThan(
        4 / Math.sqrt(n),
      )
  })
})

describe.each([
  ['uniformFloat32', uniformFloat32, 24],
  ['uniformFloat64', uniformFloat64, 53],
] as const)('%s', (_, uniform, bits) => {
  test.prop([whole, whole, count])('is in [0, 1), in multiples of 2^-bits', (seed, stream, n) => {
    for (const u of uniform(seed, stream, n)) {
      expect(u).toBeGreaterThanOrEqual(0)
      expect(u).toBeLessThan(1)
      expect(Number.isInteger(u * 2 ** bits)).toBe(true)
    }
  })

  it.each([0, 1, 2 ** 40])('is uniform with seed %d', (seed) => {
    expect(kolmogorovDistance(uniform(seed, 0, 100_000), (u) => u)).toBeLessThan(
      KOLMOGOROV_0_1 / Math.sqrt(100_000),
    )
  })
})

it('uniforms stay as they are', () => {
  expect([...uniformFloat32(42, 0, 3)]).toEqual([0.6129598617553711, 0.4685865044593811, 0.07323169708251953])
  expect([...uniformFloat64(42, 0, 3)]).toEqual([0.6129598801477738, 0.07323173687503892, 0.9877186516453577])
})

describe('normalFrom', () => {
  // Wichura 1988.
  it.each([
    [0.25, -0.6744897501960817],
    [0.001, -3.090232306167814],
    [1e-20, -9.262340089798409],
  ])('has the published value at %d', (u, x) => {
    expect(Math.abs(normalFrom(u) - x)).toBeLessThanOrEqual(3 * EPS * Math.abs(x))
  })

  it('has the ends of the line at the ends of the interval, and nothing outside', () => {
    expect([0, 1, 0.5].map(normalFrom)).toEqual([-Infinity, Infinity, 0])
    expect([-1e-9, 1.1, NaN, Infinity].map(normalFrom)).toEqual([NaN, NaN, NaN, NaN])
  })

  const inner = fc.double({ min: 2 ** -1000, max: 1 - 2 ** -53, noNaN: true })

  test.prop([fc.double({ min: 1e-10, max: 1 - 1e-10, noNaN: true })])(
    'inverts the distribution function',
    (u) => {
      // A relative error of 4 EPS in x moves u by its density times that; the sum for u errs by its 30 or so terms.
      const x = normalFrom(u)
      const tolerance = 4 * EPS * Math.abs(x) * normalDensity(x) + 16 * EPS
      expect(Math.abs(normalBelow(x) - u)).toBeLessThanOrEqual(tolerance)
    },
  )

  test.prop([inner])('is odd about 1/2', (u) => {
    const v = 1 - u
    expect(normalFrom(v)).toBe(0 - normalFrom(1 - v))
  })

  test.prop([inner, inner])('never falls by more than its rounding', (u, v) => {
    const [low, high] = [normalFrom(Math.min(u, v)), normalFrom(Math.max(u, v))]
    expect(high - low).toBeGreaterThanOrEqual(-4 * EPS * Math.abs(low))
  })
})

describe.each([
  ['normalFloat32', normalFloat32],
  ['normalFloat64', normalFloat64],
] as const)('%s', (_, normal) => {
  const n = 100_000
  it.each([0, 1, 2 ** 40])('is normal with seed %d', (seed) => {
    const x = normal(seed, 0, n)
    expect(kolmogorovDistance(x, normalBelow)).toBeLessThan(KOLMOGOROV_0_1 / Math.sqrt(n))
    // Moments of the standard normal, and four standard deviations of their estimates.
    const moments = [1, 2, 3, 4].map((k) => Array.from(x).reduce((sum, v) => sum + v ** k, 0) / n)
    const expected = [0, 1, 0, 3]
    const variances = [1, 2, 15, 96]
    moments.forEach((m, i) =>
      expect(Math.abs(m - expected[i]!)).toBeLessThan(4 * Math.sqrt(variances[i]! / n)),
    )
  })

  test.prop([whole, whole, count])('is finite', (seed, stream, m) => {
    expect(normal(seed, stream, m).every(Number.isFinite)).toBe(true)
  })
})

it('normals stay as they are', () => {
  expect([...normalFloat32(42, 0, 4)]).toEqual([
    0.28704190254211426, -0.07882346957921982, -1.4521371126174927, -0.4101129472255707,
  ])
  expect([...normalFloat64(42, 0, 3)]).toEqual([0.2870419004300947, -1.4521371470450297, 2.2482116342226286])
  // All bits of many, tails included: the sum of their words, the position counted in.
  const bits = new Uint32Array(normalFloat64(1, 2, 100_000).buffer)
  expect(bits.reduce((sum, x, i) => (Math.imul(sum, 31) + x + i) >>> 0, 0)).toBe(664_567_263)
})

describe('portableLog', () => {
  test.prop([fc.double({ min: 0, noNaN: true, minExcluded: true, noDefaultInfinity: true })])(
    'is within 1 ulp of the logarithm, so within 2 of Math.log',
    (x) => {
      const log = Math.log(x)
      expect(Math.abs(portableLog(x) - log)).toBeLessThanOrEqual(2 * EPS * Math.abs(log))
    },
  )

  test.prop([fc.double({ min: 0.5, max: 2, noNaN: true })])('near 1 too', (x) => {
    const log = Math.log(x)
    expect(Math.abs(portableLog(x) - log)).toBeLessThanOrEqual(2 * EPS * Math.abs(log))
  })

  it('is exact where it can be', () => {
    expect([0, -0, 1, Infinity, -1, NaN].map(portableLog)).toEqual([
      -Infinity,
      -Infinity,
      0,
      Infinity,
      NaN,
      NaN,
    ])
  })
})

describe('integersBelow', () => {
  const bound = fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 2 ** 32 }),
    fc.constant(2 ** 32),
  )

  test.prop([whole, whole, count, bound])('agrees with exact integers', (seed, stream, n, most) => {
    expect([...integersBelow(seed, stream, n, most)]).toEqual(
      Array.from({ length: n }, (_, i) => exactBelow(seed, stream, i, most)),
    )
  })

  test.prop([whole, whole, count, bound])('is below its bound', (seed, stream, n, most) => {
    for (const x of integersBelow(seed, stream, n, most)) expect(x).toBeLessThan(most)
  })

  // Without drawing again, the first would have every third number twice as often as the others.
  it.each([3 * 2 ** 30, 7, 100, 2 ** 31 + 1])('every number is as likely as any other below %d', (most) => {
    const n = 120_000
    const sorts = Math.min(most, 6)
    const counts = new Array<number>(sorts).fill(0)
    for (const x of integersBelow(11, 0, n, most)) if (x < most - (most % sorts)) counts[x % sorts]!++
    expect(chiSquare(counts)).toBeLessThan(CHI_SQUARE_0_1[sorts - 1]!)
  })

  it('stays as it is', () => {
    expect([...integersBelow(42, 0, 10, 100)]).toEqual([61, 46, 7, 34, 98, 32, 51, 45, 82, 65])
  })
})

describe('permutation', () => {
  test.prop([whole, whole, count])('is one', (seed, stream, n) => {
    const sorted = permutation(seed, stream, n).toSorted()
    expect([...sorted]).toEqual(Array.from({ length: n }, (_, i) => i))
  })

  it('every order is as likely as any other', () => {
    const counts = new Map<string, number>()
    for (let stream = 0; stream < 24_000; stream++) {
      const order = permutation(5, stream, 4).join()
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(24)
    expect(chiSquare([...counts.values()])).toBeLessThan(CHI_SQUARE_0_1[23]!)
  })

  it('stays as it is', () => {
    expect([...permutation(42, 0, 10)]).toEqual([9, 2, 0, 5, 4, 1, 8, 3, 7, 6])
  })
})

/** Exceeded by sqrt(n) times the distance of n true samples once in a thousand. All seeds here are fixed. */
const KOLMOGOROV_0_1 = 1.95
/** By degrees of freedom, exceeded once in a thousand. */
const CHI_SQUARE_0_1: Readonly<Record<number, number>> = { 5: 20.52, 23: 49.73 }

/** The largest distance between the distribution of `samples` and the distribution function `below`. */
function kolmogorovDistance(samples: Float32Array | Float64Array, below: (x: number) => number): number {
  const n = samples.length
  return Array.from(samples)
    .sort((a, b) => a - b)
    .reduce((most, x, i) => Math.max(most, (i + 1) / n - below(x), below(x) - i / n), 0)
}

/** Pearson's statistic for counts that should be equal. */
function chiSquare(counts: readonly number[]): number {
  const mean = counts.reduce((a, b) => a + b, 0) / counts.length
  return counts.reduce((sum, observed) => sum + (observed - mean) ** 2 / mean, 0)
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [centred(a), centred(b)]
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}

function centred(a: ArrayLike<number>): number[] {
  const values = Array.from(a)
  const mean = values.reduce((p, q) => p + q, 0) / values.length
  return values.map((v) => v - mean)
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0)
}

function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
}

/** The normal distribution function: 1/2 + density * (x + x^3/3 + x^5/15 + …) (Marsaglia 2004). */
function normalBelow(x: number): number {
  let term = x
  let sum = x
  for (let k = 3; Math.abs(term) > EPS * 1e-3 * Math.abs(sum); k += 2) {
    term *= (x * x) / k
    sum += term
  }
  return 0.5 + sum * normalDensity(x)
}

function words(hex: string): number[] {
  return hex.split(' ').map((text) => parseInt(text, 16))
}

function philox(counter: readonly number[], key: readonly number[]): number[] {
  const out = new Uint32Array(6).fill(99)
  const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = counter
  philox4x32(out, 1, c0, c1, c2, c3, key[0]!, key[1]!)
  expect([out[0], out[5]]).toEqual([99, 99])
  return [...out.subarray(1, 5)]
}

/** The same in whole numbers of any size. */
function exactPhilox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
  let [k0, k1] = key.map(BigInt) as [bigint, bigint]
  for (let round = 0; round < 10; round++) {
    const p = c0 * 0xd2511f53n
    const q = c2 * 0xcd9e8d57n
    ;[c0, c1, c2, c3] = [(q >> 32n) ^ c1 ^ k0, q % 2n ** 32n, (p >> 32n) ^ c3 ^ k1, p % 2n ** 32n]
    k0 = (k0 + 0x9e3779b9n) % 2n ** 32n
    k1 = (k1 + 0xbb67ae85n) % 2n ** 32n
  }
  return [c0, c1, c2, c3].map(Number)
}

function exactWord(seed: number, stream: number, index: number, attempt: number): number {
  const counter = [Math.floor(index / 4), attempt, stream % 2 ** 32, Math.floor(stream / 2 ** 32)]
  return exactPhilox(counter, [seed % 2 ** 32, Math.floor(seed / 2 ** 32)])[index % 4]!
}

function exactBelow(seed: number, stream: number, index: number, bound: number): number {
  for (let attempt = 0; ; attempt++) {
    const product = BigInt(exactWord(seed, stream, index, attempt)) * BigInt(bound)
    if (product % 2n ** 32n >= 2n ** 32n % BigInt(bound)) return Number(product >> 32n)
  }
}
