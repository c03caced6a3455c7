import { isPortable } from '../determinism.js'
import type { Function1, Function2 } from '../expr/tree.js'
import * as exact from '../math/exact.js'
import { erf, erfc } from './erf.js'
import { gelu, geluSlope, geluTanh, geluTanhSlope } from './gelu.js'

/** A loop of one input: o[oo + i] = f(a[ao + i * as]) for i < n. Steps are 0 or any stride. */
export type Loop1 = (o: Numbers, oo: number, a: Numbers, ao: number, as: number, n: number) => void
/** The same of two inputs. */
export type Loop2 = (
  o: Numbers,
  oo: number,
  a: Numbers,
  ao: number,
  as: number,
  b: Numbers,
  bo: number,
  bs: number,
  n: number,
) => void
export interface Numbers {
  readonly length: number
  [index: number]: number
}

/** To the nearest whole number, halves to the even one. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x)
  const rest = x - down
  if (rest < 0.5) return down === 0 && Object.is(x, -0) ? -0 : down
  const up = down + 1
  const near = rest > 0.5 || down % 2 !== 0 ? up : down
  // -0.5 rounds to -0, as in IEEE 754.
  return near === 0 && x < 0 ? -0 : near
}

/** Loops whose function is called for each element; the functions themselves dominate. */
function each(f: (x: number) => number): Loop1 {
  return (o, oo, a, ao, as, n) => {
    for (let i = 0; i < n; i++, ao += as) o[oo + i] = f(a[ao]!)
  }
}

function each2(f: (x: number, y: number) => number): Loop2 {
  return (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = f(a[ao]!, b[bo]!)
  }
}

/** By the engine's own function, or by one that is the same on every engine. */
function either(engine: (x: number) => number, own: (x: number) => number): Loop1 {
  const [fast, portable] = [each(engine), each(own)]
  return (o, oo, a, ao, as, n) => (isPortable() ? portable : fast)(o, oo, a, ao, as, n)
}

type Function2_ = (x: number, y: number) => number

function either2(engine: Function2_, own: Function2_): Loop2 {
  const [fast, portable] = [each2(engine), each2(own)]
  return (o, oo, a, ao, as, b, bo, bs, n) => (isPortable() ? portable : fast)(o, oo, a, ao, as, b, bo, bs, n)
}

const powerBy =
  (pow: Function2_): Function2_ =>
  (x, y) =>
    x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : pow(x, y)

export const LOOPS_1: Readonly<Record<Function1, Loop1>> = {
  neg: (o, oo, a, ao, as, n) => {
    for (let i = 0; i < n; i++, ao += as) o[oo + i] = -a[ao]!
  },
  not: (o, oo, a, ao, as, n) => {
    for (let i = 0; i < n; i++, ao += as) o[oo + i] = a[ao] === 0 ? 1 : 0
  },
  abs: (o, oo, a, ao, as, n) => {
    for (let i = 0; i < n; i++, ao += as) o[oo + i] = Math.abs(a[ao]!)
  },
  sqrt: (o, oo, a, ao, as, n) => {
    for (let i = 0; i < n; i++, ao += as) o[oo + i] = Math.sqrt(a[ao]!)
  },
  // NaN has no sign: 0, as in PyTorch.
  sign: each((x) => (x !== x ? 0 : Math.sign(x))),
  floor: each(Math.floor),
  ceil: each(Math.ceil),
  round: each(roundHalfEven),
  trunc: each(Math.trunc),
  exp: either(Math.exp, exact.exp),
  expm1: either(Math.expm1, exact.expm1),
  log: either(Math.log, exact.log),
  log1p: either(Math.log1p, exact.log1p),
  log2: either(Math.log2, exact.log2),
  log10: either(Math.log10, exact.log10),
  sin: either(Math.sin, exact.sin),
  cos: either(Math.cos, exact.cos),
  tan: either(Math.tan, exact.tan),
  asin: either(Math.asin, exact.asin),
  acos: either(Math.acos, exact.acos),
  atan: either(Math.atan, exact.atan),
  sinh: either(Math.sinh, exact.sinh),
  cosh: either(Math.cosh, exact.cosh),
  tanh: either(Math.tanh, exact.tanh),
  asinh: either(Math.asinh, exact.asinh),
  acosh: either(Math.acosh, exact.acosh),
  atanh: either(Math.atanh, exact.atanh),
  erf: each(erf),
  erfc: each(erfc),
  gelu: each(gelu),
  geluSlope: each(geluSlope),
  geluTanh: each(geluTanh),
  geluTanhSlope: each(geluTanhSlope),
  isNaN: each((x) => (x !== x ? 1 : 0)),
  isFinite: each((x) => (x - x === 0 ? 1 : 0)),
}

export const LOOPS_2: Readonly<Record<Function2, Loop2>> = {
  add: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! + b[bo]!
  },
  sub: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! - b[bo]!
  },
  mul: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! * b[bo]!
  },
  div: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! / b[bo]!
  },
  less: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! < b[bo]! ? 1 : 0
  },
  lessEqual: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = a[ao]! <= b[bo]! ? 1 : 0
  },
  equal: each2((x, y) => (x === y ? 1 : 0)),
  notEqual: each2((x, y) => (x !== y ? 1 : 0)),
  and: each2((x, y) => (x !== 0 && y !== 0 ? 1 : 0)),
  or: each2((x, y) => (x !== 0 || y !== 0 ? 1 : 0)),
  // Math.max and Math.min propagate NaN and order -0 before 0.
  min: each2(Math.min),
  max: (o, oo, a, ao, as, b, bo, bs, n) => {
    for (let i = 0; i < n; i++, ao += as, bo += bs) o[oo + i] = Math.max(a[ao]!, b[bo]!)
  },
  // Unlike JavaScript, IEEE 754 and NumPy take 1 to any power, NaN too, as 1, and (-1) to ±Infinity as 1.
  pow: either2(powerBy(Math.pow), powerBy(exact.pow)),
  atan2: either2(Math.atan2, exact.atan2),
  fmod: each2((x, y) => x % y),
  hypot: each2(hypot),
}

/** The product of 32-bit integers, wrapped as NumPy wraps it. */
export const MUL_INT: Loop2 = each2(Math.imul)

/** sqrt(x² + y²) without overflow. */
function hypot(x: number, y: number): number {
  const a = Math.abs(x)
  const b = Math.abs(y)
  if (a === Infinity || b === Infinity) return Infinity
  const large = Math.max(a, b)
  if (large === 0 || large !== large) return large
  // A power of two as the scale keeps the squares exact where they need no scale.
  const scale = large > 1e150 ? 2 ** -600 : large < 1e-150 ? 2 ** 600 : 1
  const p = a * scale
  const q = b * scale
  return Math.sqrt(p * p + q * q) / scale
}
