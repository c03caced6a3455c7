import type { Expr, Function1, Function2 } from '@adjoint/core/extend'

/** Names of a formula's values in a source: arguments a0, a1, …, parameters p0, p1, …; `inf` and `nan` where it uses them. */
export function sourceOf(e: Expr): string {
  switch (e.kind) {
    case 'arg':
      return `a${e.index}`
    case 'param':
      return `p${e.index}`
    case 'const':
      return literal(e.value)
    case 'call1':
      return OF_ONE[e.fn](e.x)
    case 'call2':
      return OF_TWO[e.fn](e.x, e.y)
    case 'select':
      return `(${truthOf(e.test)} ? ${sourceOf(e.a)} : ${sourceOf(e.b)})`
  }
}

/** The formula as a condition: everything but 0 is true. */
function truthOf(e: Expr): string {
  if (e.kind === 'call2') {
    const comparison = COMPARISONS[e.fn]
    // Drivers take x != y for "x and y are ordered and differ", which is false of NaN.
    if (e.fn === 'notEqual') return `(!(${sourceOf(e.x)} === ${sourceOf(e.y)}))`
    if (comparison !== undefined) return `(${sourceOf(e.x)} ${comparison} ${sourceOf(e.y)})`
    if (e.fn === 'and') return `(${truthOf(e.x)} && ${truthOf(e.y)})`
    if (e.fn === 'or') return `(${truthOf(e.x)} || ${truthOf(e.y)})`
  }
  if (e.kind === 'call1') {
    if (e.fn === 'not') return `(!${truthOf(e.x)})`
    if (e.fn === 'isNaN') return `(!(${sourceOf(e.x)} === ${sourceOf(e.x)}))`
    if (e.fn === 'isFinite') return `(${sourceOf(e.x)} - ${sourceOf(e.x)} === 0)`
  }
  return `(!(${sourceOf(e)} === 0))`
}

const COMPARISONS: { readonly [F in Function2]?: string } = {
  less: '<',
  lessEqual: '<=',
  equal: '===',
}

/** A number as text; what float32 cannot write as a literal comes in as an argument. */
function literal(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(Math.fround(value))) return value > 0 ? 'inf' : '(-inf)'
  return value < 0 ? `(${value})` : String(value)
}

const named =
  (name: string) =>
  (x: Expr): string =>
    `${name}(${sourceOf(x)})`

const truthOf1 =
  (fn: Function1) =>
  (x: Expr): string =>
    `(${truthOf({ kind: 'call1', fn, x })} ? 1 : 0)`

const OF_ONE: { readonly [F in Function1]: (x: Expr) => string } = {
  neg: (x) => `(-${sourceOf(x)})`,
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
  (x: Expr, y: Expr): string =>
    `(${sourceOf(x)} ${operator} ${sourceOf(y)})`

const call =
  (name: string) =>
  (x: Expr, y: Expr): string =>
    `${name}(${sourceOf(x)}, ${sourceOf(y)})`

const truthOf2 =
  (fn: Function2) =>
  (x: Expr, y: Expr): string =>
    `(${truthOf({ kind: 'call2', fn, x, y })} ? 1 : 0)`

const OF_TWO: { readonly [F in Function2]: (x: Expr, y: Expr) => string } = {
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
  min: call('fnMin'),
  max: call('fnMax'),
  pow: call('fnPow'),
  atan2: call('fnAtan2'),
  fmod: call('fnFmod'),
  hypot: call('fnHypot'),
}
