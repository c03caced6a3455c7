import type { Expr, Function1, Function2 } from '@adjoint/core/extend'

/** What languages say differently. */
export interface Words {
  /** A number; what float32 cannot write as a literal comes in as an argument, `inf` or `nan`. */
  readonly literal: (value: number) => string
  readonly choose: (test: string, a: string, b: string) => string
  readonly equal: string
  /** Whether two tests hold, or one of them. */
  readonly both: (a: string, b: string) => string
  readonly either: (a: string, b: string) => string
  /** Whether a value is NaN, or finite, where that is better told by its bits. */
  readonly isNaN?: (x: string) => string
  readonly isFinite?: (x: string) => string
}

/** What gpu.js reads. */
export const SCRIPT: Words = {
  literal(value) {
    if (Number.isNaN(value)) return 'nan'
    if (!Number.isFinite(Math.fround(value))) return value > 0 ? 'inf' : '(-inf)'
    return value < 0 ? `(${value})` : String(value)
  },
  choose: (test, a, b) => `(${test} ? ${a} : ${b})`,
  equal: '===',
  both: (a, b) => `(${a} && ${b})`,
  either: (a, b) => `(${a} || ${b})`,
}

/** Names of a formula's values in a source: arguments a0, a1, …, parameters p0, p1, …; `inf` and `nan` where it uses them. */
export function sourceOf(e: Expr, words: Words = SCRIPT): string {
  switch (e.kind) {
    case 'arg':
      return `a${e.index}`
    case 'param':
      return `p${e.index}`
    case 'const':
      return words.literal(e.value)
    case 'call1':
      return OF_ONE[e.fn](e.x, words)
    case 'call2':
      return OF_TWO[e.fn](e.x, e.y, words)
    case 'select':
      return words.choose(truthOf(e.test, words), sourceOf(e.a, words), sourceOf(e.b, words))
  }
}

/** The formula as a condition: everything but 0 is true. */
function truthOf(e: Expr, words: Words): string {
  const of = (part: Expr): string => sourceOf(part, words)
  if (e.kind === 'call2') {
    const comparison = e.fn === 'equal' ? words.equal : COMPARISONS[e.fn]
    // Drivers take x != y for "x and y are ordered and differ", which is false of NaN.
    if (e.fn === 'notEqual') return `(!(${of(e.x)} ${words.equal} ${of(e.y)}))`
    if (comparison !== undefined) return `(${of(e.x)} ${comparison} ${of(e.y)})`
    if (e.fn === 'and') return words.both(truthOf(e.x, words), truthOf(e.y, words))
    if (e.fn === 'or') return words.either(truthOf(e.x, words), truthOf(e.y, words))
  }
  if (e.kind === 'call1') {
    if (e.fn === 'not') return `(!${truthOf(e.x, words)})`
    if (e.fn === 'isNaN' && words.isNaN) return words.isNaN(of(e.x))
    if (e.fn === 'isFinite' && words.isFinite) return words.isFinite(of(e.x))
    if (e.fn === 'isNaN') return `(!(${of(e.x)} ${words.equal} ${of(e.x)}))`
    if (e.fn === 'isFinite') return `(fnReal(${of(e.x)}) > 0)`
  }
  return `(!(${of(e)} ${words.equal} 0))`
}

const COMPARISONS: { readonly [F in Function2]?: string } = {
  less: '<',
  lessEqual: '<=',
}

const named =
  (name: string) =>
  (x: Expr, words: Words): string =>
    `${name}(${sourceOf(x, words)})`

const truthOf1 =
  (fn: Function1) =>
  (x: Expr, words: Words): string =>
    words.choose(truthOf({ kind: 'call1', fn, x }, words), words.literal(1), words.literal(0))

const OF_ONE: { readonly [F in Function1]: (x: Expr, words: Words) => string } = {
  neg: (x, words) => `(-${sourceOf(x, words)})`,
  not: truthOf1('not'),
  isNaN: truthOf1('isNaN'),
  isFinite: truthOf1('isFinite'),
  abs: named('fnAbs'),
  sign: named('fnSign'),
  floor: named('fnFloor'),
  ceil: named('fnCeil'),
  round: named('fnRound'),
  trunc: named('fnTrunc'),
  sqrt: named('fnSqrt'),
  exp: named('fnExp'),
  expm1: named('fnExpm1'),
  log: named('fnLog'),
  log1p: named('fnLog1p'),
  log2: named('fnLog2'),
  log10: named('fnLog10'),
  sin: named('fnSin'),
  cos: named('fnCos'),
  tan: named('fnTan'),
  asin: named('fnAsin'),
  acos: named('fnAcos'),
  atan: named('fnAtan'),
  sinh: named('fnSinh'),
  cosh: named('fnCosh'),
  tanh: named('fnTanh'),
  asinh: named('fnAsinh'),
  acosh: named('fnAcosh'),
  atanh: named('fnAtanh'),
  erf: named('fnErf'),
  erfc: named('fnErfc'),
  gelu: named('fnGelu'),
  geluSlope: named('fnGeluSlope'),
  geluTanh: named('fnGeluTanh'),
  geluTanhSlope: named('fnGeluTanhSlope'),
}

const between =
  (operator: string) =>
  (x: Expr, y: Expr, words: Words): string =>
    `(${sourceOf(x, words)} ${operator} ${sourceOf(y, words)})`

const call =
  (name: string) =>
  (x: Expr, y: Expr, words: Words): string =>
    `${name}(${sourceOf(x, words)}, ${sourceOf(y, words)})`

/** The smaller or larger; of a value and a number, a comparison and a look for NaN, which drivers lose without it. */
const bounded =
  (name: string, within: string) =>
  (x: Expr, y: Expr, words: Words): string => {
    const [a, b] = [sourceOf(x, words), sourceOf(y, words)]
    const isBound = y.kind === 'const' && Number.isFinite(y.value) && x.kind === 'arg'
    return isBound
      ? words.choose(words.either(`${a} ${within} ${b}`, `!(${a} ${words.equal} ${a})`), a, b)
      : `${name}(${a}, ${b})`
  }

const truthOf2 =
  (fn: Function2) =>
  (x: Expr, y: Expr, words: Words): string =>
    words.choose(truthOf({ kind: 'call2', fn, x, y }, words), words.literal(1), words.literal(0))

const OF_TWO: { readonly [F in Function2]: (x: Expr, y: Expr, words: Words) => string } = {
  add: between('+'),
  sub: between('-'),
  mul: between('*'),
  div: between('/'),
  less: truthOf2('less'),
  lessEqual: truthOf2('lessEqual'),
  equal: truthOf2('equal'),
  notEqual: truthOf2('notEqual'),
  and: truthOf2('and'),
  or: truthOf2('or'),
  min: bounded('fnMin', '<='),
  max: bounded('fnMax', '>='),
  pow: call('fnPow'),
  atan2: call('fnAtan2'),
  fmod: call('fnFmod'),
  hypot: call('fnHypot'),
}

/** What a formula gives, as an array of a dtype stores it. */
export function storedAs(formula: string, dtype: string): string {
  return dtype === 'int32' ? `toInt32(${formula})` : dtype === 'uint8' ? `toUint8(${formula})` : formula
}
