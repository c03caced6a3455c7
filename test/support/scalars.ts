import type * as core from '@adjoint/core'

// What each elementwise row computes, written without looking at its formula. The arguments come first, then the
// row's parameters. Where Math has the function, the law is that the row computes that one.

export type Scalar = (...x: number[]) => number

type NamesWithRow<T> = { [K in keyof T]: T[K] extends { readonly row: unknown } ? K : never }[keyof T]
/** Exported ops that are made of one elementwise row of the same name. Leaving one out does not compile. */
type Exported = NamesWithRow<typeof core>

const truth =
  (f: (...x: number[]) => boolean): Scalar =>
  (...x) =>
    f(...x) ? 1 : 0

const exported: Readonly<Record<Exported, Scalar>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  neg: (x) => 0 - x,
  abs: (x) => (x < 0 ? -x : x),
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  square: (x) => x ** 2,
  squaredDifference: (x, y) => (x - y) ** 2,
  reciprocal: (x) => x ** -1,
  sqrt: (x) => Math.sqrt(x),
  rsqrt: (x) => 1 / Math.sqrt(x),
  pow: (x, y) => x ** y,
  maximum: (x, y) => (x > y ? x : y),
  minimum: (x, y) => (x < y ? x : y),
  mod: (x, y) => remainder(x, y, floorOfRatio),
  fmod: (x, y) => remainder(x, y, truncOfRatio),
  floorDiv: (x, y) => (y === 0 ? x / y : Number(floorOfRatio(x, y))),
  hypot: (x, y) => Math.sqrt(x * x + y * y),
  xlogy: (x, y) => (x === 0 ? 0 : x * Math.log(y)),
  logAddExp: (x, y) => Math.log(Math.exp(x) + Math.exp(y)),

  exp: (x) => Math.exp(x),
  exp2: (x) => 2 ** x,
  expm1: (x) => Math.expm1(x),
  log: (x) => Math.log(x),
  log2: (x) => Math.log2(x),
  log10: (x) => Math.log10(x),
  log1p: (x) => Math.log1p(x),

  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  tan: (x) => Math.tan(x),
  asin: (x) => Math.asin(x),
  acos: (x) => Math.acos(x),
  atan: (x) => Math.atan(x),
  atan2: (x, y) => Math.atan2(x, y),
  sinh: (x) => Math.sinh(x),
  cosh: (x) => Math.cosh(x),
  tanh: (x) => Math.tanh(x),
  asinh: (x) => Math.asinh(x),
  acosh: (x) => Math.acosh(x),
  atanh: (x) => Math.atanh(x),

  relu: (x) => (x > 0 ? x : 0),
  relu6: (x) => (x > 6 ? 6 : x > 0 ? x : 0),
  selu: (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Math.exp(x) - 1)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  logSigmoid: (x) => -Math.log(1 + Math.exp(-x)),
  softplus: (x) => Math.log(1 + Math.exp(x)),
  softsign: (x) => x / (1 + Math.abs(x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  mish: (x) => x * Math.tanh(Math.log(1 + Math.exp(x))),
  erf: (x) => erf(x),
  erfc: (x) => 1 - erf(x),

  floor: (x) => Math.floor(x),
  ceil: (x) => Math.ceil(x),
  round: (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)),
  trunc: (x) => Math.trunc(x),

  equal: truth((x, y) => x === y),
  notEqual: truth((x, y) => x !== y),
  less: truth((x, y) => x < y),
  lessEqual: truth((x, y) => x <= y),
  greater: truth((x, y) => x > y),
  greaterEqual: truth((x, y) => x >= y),
  logicalAnd: truth((x, y) => x !== 0 && y !== 0),
  logicalOr: truth((x, y) => x !== 0 || y !== 0),
  logicalXor: truth((x, y) => (x === 0) !== (y === 0)),
  logicalNot: truth((x) => x === 0),
  isNaN: truth((x) => Number.isNaN(x)),
  isFinite: truth((x) => Number.isFinite(x)),
  isInf: truth((x) => Math.abs(x) === Infinity),
}

/** Rows with parameters, and rows that only gradients use. */
const others: Readonly<Record<string, Scalar>> = {
  powScalar: (x, exponent) => x ** exponent,
  leakyRelu: (x, alpha) => (x > 0 ? x : x * alpha),
  elu: (x, alpha) => (x > 0 ? x : alpha * (Math.exp(x) - 1)),
  gelu: (x) => x * normalBelow(x),
  siluSlope: (x) => (1 + x / (1 + Math.exp(x))) / (1 + Math.exp(-x)),
  mishSlope: (x) => {
    const t = Math.tanh(Math.log1p(Math.exp(x)))
    return t + (x * (1 - t * t)) / (1 + Math.exp(-x))
  },
  tanhSlope: (x) => 1 / Math.cosh(x) ** 2,
  geluSlope: (x) => normalBelow(x) + x * density(x),
  geluTanh: (x) => 0.5 * x * (1 + tanhOfCubic(x)),
  geluTanhSlope: (x) => {
    const t = tanhOfCubic(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x)
  },
  normalDensity: (x) => density(x),
  hardSigmoid: (x, slope) => Math.min(1, Math.max(0, 0.5 + slope * x)),
  hardSigmoid3: (x) => Math.min(6, Math.max(0, x + 3)) / 6,
  onePlusAbs: (x) => Math.max(1 + x, 1 - x),
  rootOfVariance: (x) => Math.sqrt(x),
  logCosh: (x) => Math.log(Math.cosh(x)),
  gate: (y, x) => (x > 0 ? y : 0),
  gateWithin: (y, x, min, max) => (x < min || x > max ? 0 : y),
  share: (x, y) => (x < y ? 0 : x === y ? 0.5 : 1),
  clip: (x, min, max) => (x < min ? min : x > max ? max : x),
  where: (cond, x, y) => (cond !== 0 ? x : y),
}

/** By the row's name. */
export const scalars: ReadonlyMap<string, Scalar> = new Map([
  ...Object.entries(exported),
  ...Object.entries(others),
])

/** The integral of the normal density, by Kummer's series for erf, whose terms are all of one sign. */
function erf(x: number): number {
  let term = x
  let sum = 0
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-18; n += 2) {
    sum += term
    term *= (2 * x * x) / (n + 2)
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

const normalBelow = (x: number): number => 0.5 * (1 + erf(x / Math.SQRT2))
const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
const tanhOfCubic = (x: number): number => Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))

// Quotients of whole numbers and remainders of them, without rounding. 2^80 makes every double above 2^-27 whole.
const SCALE = 2 ** 80

function truncOfRatio(x: number, y: number): bigint {
  return BigInt(x * SCALE) / BigInt(y * SCALE)
}

function floorOfRatio(x: number, y: number): bigint {
  const quotient = truncOfRatio(x, y)
  const isExact = quotient * BigInt(y * SCALE) === BigInt(x * SCALE)
  return isExact || x < 0 === y < 0 ? quotient : quotient - 1n
}

function remainder(x: number, y: number, ratio: (x: number, y: number) => bigint): number {
  return y === 0 ? NaN : Number(BigInt(x * SCALE) - ratio(x, y) * BigInt(y * SCALE)) / SCALE
}
