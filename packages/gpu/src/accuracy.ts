/**
 * How near a row's results on a GPU come to the right ones, rounded to float32. The tests hold rows to it, and
 * docs/ops/on-a-gpu.md is written from it. All modes run the same formulas, so a row has one bound.
 */
export interface Accuracy {
  /** Units in the last place, at most. 0 is exact. */
  readonly ulps: number
  /** Whose last place: the result's, or that of the largest number among operands and results, where terms cancel. */
  readonly of: 'result' | 'largest'
  /** Where it is not rounding alone. */
  readonly why?: string
  /** Arguments for which there is less than that, and what may come out. */
  readonly beyond?: {
    readonly where: string
    readonly allows: (x: number, y: number, got: number) => boolean
  }
}

const exact: Accuracy = { ulps: 0, of: 'result' }
const ofResult = (ulps: number, why?: string): Accuracy => ({
  ulps,
  of: 'result',
  ...(why !== undefined && { why }),
})
const ofLargest = (ulps: number, why?: string): Accuracy => ({ ...ofResult(ulps, why), of: 'largest' })

const QUOTIENT = 'division on devices is good to 2.5 units'
const EXP = "a device's own exp loses digits as its argument grows"
const TAIL = 'far out the result is tiny, and all of its digits come from one exp'
const CANCELS = 'terms cancel'
const TERMS = 'in long rows each term may add a unit of the largest sum on the way'

const sines = ofResult(2)
const circular = (row: Accuracy, bound: number): Accuracy => ({
  ...row,
  beyond: {
    where: 'above 8192 digits are lost, above 2^23 all of them',
    allows: (x, _, got) => Number.isFinite(x) && Math.abs(x) > 8192 && Math.abs(got) <= bound,
  },
})
const remainder: Accuracy = {
  ...exact,
  beyond: {
    where: 'a quotient above 2^64 leaves no digit',
    allows: (x, y, got) =>
      Number.isFinite(x / y) && Math.abs(x / y) > 2 ** 64 && Math.abs(got) <= Math.abs(y),
  },
}

const power: Accuracy = {
  ...ofResult(8, 'large exponents take two products'),
  beyond: {
    where: 'up to e more near 2^e and 2^-e',
    allows: (x, y, got) => {
      const [exponent, right] = [Math.abs(y * Math.log2(Math.abs(x))), x ** y]
      return Math.abs(got - right) <= (8 + exponent) * 2 ** -23 * Math.abs(right)
    },
  },
}

/** Rows that are not exact. */
const ROUNDED: { readonly [row: string]: Accuracy } = {
  // ---- arithmetic
  div: ofResult(3, QUOTIENT),
  reciprocal: ofResult(3, QUOTIENT),
  floorDiv: { ...ofResult(0), why: 'where the quotient is near a whole number, it may round to it' },
  sqrt: ofResult(3, 'roots on devices are good to 2.5 units'),
  rsqrt: ofResult(3, QUOTIENT),
  squaredDifference: ofResult(2),
  pow: power,
  powScalar: { ...power, why: 'as pow' },
  mod: remainder,
  fmod: remainder,
  hypot: ofResult(4),
  xlogy: ofResult(4),
  logAddExp: ofLargest(4, CANCELS),
  // ---- exponentials and logarithms
  exp: ofResult(16, EXP),
  exp2: ofResult(4),
  expm1: ofResult(16, EXP),
  log: ofResult(4),
  log2: ofResult(4),
  log10: ofResult(4),
  log1p: ofResult(4),
  // ---- trigonometric and hyperbolic functions
  sin: circular(sines, 1),
  cos: circular(sines, 1),
  tan: circular(ofResult(4), Infinity),
  asin: ofResult(2),
  acos: ofResult(2),
  atan: ofResult(2),
  atan2: ofResult(4),
  sinh: ofResult(16, EXP),
  cosh: ofResult(16, EXP),
  tanh: ofResult(4),
  tanhSlope: ofResult(8, TAIL),
  asinh: ofResult(4),
  acosh: ofResult(4),
  atanh: ofResult(4),
  // ---- activations
  leakyRelu: ofResult(1),
  elu: ofResult(4),
  selu: ofResult(4),
  sigmoid: ofResult(16, EXP),
  logSigmoid: ofResult(16, EXP),
  softplus: ofResult(16, EXP),
  softsign: ofResult(2),
  silu: ofResult(24, TAIL),
  siluSlope: ofLargest(4, CANCELS),
  mish: ofResult(32, TAIL),
  mishSlope: ofLargest(4, CANCELS),
  gelu: ofResult(48, TAIL),
  geluSlope: ofLargest(4, CANCELS),
  geluTanh: ofResult(48, TAIL),
  geluTanhSlope: {
    ...ofLargest(4, CANCELS),
    beyond: { where: 'at -Infinity it is 0', allows: (x, _, got) => x === -Infinity && got === 0 },
  },
  normalDensity: ofResult(8, TAIL),
  hardSigmoid: ofLargest(2),
  hardSigmoid3: ofLargest(2),
  erf: ofResult(2),
  erfc: ofResult(64, TAIL),
  // ---- sums
  sum: ofLargest(4, TERMS),
  mean: ofLargest(4, TERMS),
  prod: ofLargest(4, 'in long rows each factor may add half a unit'),
  variance: ofLargest(4, TERMS),
  rootOfVariance: ofResult(3, 'as sqrt'),
  norm: ofLargest(4, TERMS),
  cumsum: ofLargest(4, TERMS),
  recurrence: ofLargest(4, TERMS),
  matmul: ofLargest(4, TERMS),
  scatterAdd: ofLargest(4, TERMS),
  logSumExp: ofLargest(4, TERMS),
  softmax: ofLargest(4, TERMS),
  logSoftmax: ofLargest(4, CANCELS),
  logCosh: ofLargest(4, CANCELS),
}

/** That of a row, whatever its mode. */
export function accuracyOf(row: string): Accuracy {
  return ROUNDED[row] ?? exact
}

/** The rows that have an entry: all others are exact. */
export const rounded: readonly string[] = Object.keys(ROUNDED)
