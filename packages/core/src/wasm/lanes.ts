import type { DType } from '../dtype.js'
import type { Expr, Function1, Function2 } from '../expr/tree.js'
import type { Code, Instruction, Local } from './code.js'
import * as short from './short-math.js'
import * as single from './single-math.js'
import {
  cos,
  cosh,
  erf,
  erfc,
  exp,
  expm1,
  gelu,
  geluSlope,
  geluTanh,
  geluTanhSlope,
  keep,
  log,
  log10,
  log1p,
  log2,
  pow,
  sin,
  sinh,
  tanh,
  type VectorFunction,
} from './vector-math.js'

// Formulas are computed for four elements at a time, in float64 (two vectors of two), and rounded once at the end, as the
// plain loops do. Where that gives the same number, float32 arithmetic is used instead (one vector of four): a sum,
// difference, product, quotient or root of float32 numbers is the same whether it is rounded to float32 at once or by way
// of float64, because float64 has more than twice as many digits (Figueroa 1995).

/** Four values of a formula. */
export type Lanes =
  | { readonly kind: 'constant'; readonly value: number }
  /** float32 numbers. */
  | { readonly kind: 'single'; readonly all: Local }
  /** float64 numbers, elements 0 and 1 in `low`. */
  | { readonly kind: 'double'; readonly low: Local; readonly high: Local }
  /** Truth values: all bits of a 32-bit lane, or none. */
  | { readonly kind: 'mask'; readonly all: Local }
  /** 32-bit whole numbers. */
  | { readonly kind: 'int'; readonly all: Local }

type Number_ = Exclude<Lanes, { kind: 'mask' | 'int' }>

const ARITHMETIC: Partial<Readonly<Record<Function2, 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max'>>> = {
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  div: 'div',
  min: 'min',
  max: 'max',
}
const COMPARISON: Partial<Readonly<Record<Function2, 'lt' | 'le' | 'eq' | 'ne'>>> = {
  less: 'lt',
  lessEqual: 'le',
  equal: 'eq',
  notEqual: 'ne',
}
/** Functions whose result on a float32 number is one, so that they can be computed in either precision. */
const EXACT: Partial<Readonly<Record<Function1, 'neg' | 'abs' | 'floor' | 'ceil' | 'trunc' | 'nearest'>>> = {
  neg: 'neg',
  abs: 'abs',
  floor: 'floor',
  ceil: 'ceil',
  trunc: 'trunc',
  round: 'nearest',
}
const SERIES: Partial<Readonly<Record<Function1, VectorFunction>>> = {
  exp,
  expm1,
  log,
  log1p,
  log2,
  log10,
  sin,
  cos,
  sinh,
  cosh,
  tanh,
  erf,
  erfc,
  gelu,
  geluSlope,
  geluTanh,
  geluTanhSlope,
}

/** Formulas that less than float64 is good enough for: their rows declare how good. */
const IN_SINGLE: ReadonlyMap<string, single.SingleFunction> = new Map([
  ['exp(x0)', single.exp],
  ['log(x0)', single.log],
  ['tanh(x0)', single.tanh],
  ['erf(x0)', single.erf],
  ['gelu(x0)', short.gelu],
  ['geluTanh(x0)', short.geluTanh],
  ['expm1(x0)', single.expm1],
  ['log1p(x0)', single.log1p],
  ['div(1,add(1,exp(neg(x0))))', single.sigmoid],
  ['div(x0,add(1,exp(neg(x0))))', single.silu],
  ['add(max(x0,0),log1p(exp(neg(abs(x0)))))', single.softplus],
  ['sub(min(x0,0),log1p(exp(neg(abs(x0)))))', single.logSigmoid],
])

/**
 * Whether a formula with results of this dtype is computed in lanes. Others are left to the plain loops: series are not
 * good to the last digits of float64.
 */
export function isVectorized(body: Expr, dtype: DType): boolean {
  return dtype !== 'string' && hasLanes(body) && (dtype === 'float32' || !hasSeries(body))
}

/** Whether a formula has no series in float64, which take long. */
export function isQuick(body: Expr, dtype: DType): boolean {
  return !hasSeries(body) || (dtype === 'float32' && IN_SINGLE.has(keyOf(body)))
}

/** Functions that take numbers of up to 31 digits only: arguments as they are, and nothing computed from them. */
const OF_ARGUMENTS: readonly Function1[] = ['sin', 'cos']

/** Whether a function is computed by a series, which takes longer. */
export function isSeries(fn: Function1): boolean {
  return fn in SERIES
}

function hasLanes(e: Expr): boolean {
  switch (e.kind) {
    case 'arg':
    case 'param':
    case 'const':
      return true
    case 'call1':
      return (
        (e.fn in EXACT || e.fn in SERIES || ['sqrt', 'not', 'sign', 'isNaN', 'isFinite'].includes(e.fn)) &&
        (e.x.kind === 'arg' || !OF_ARGUMENTS.includes(e.fn)) &&
        hasLanes(e.x)
      )
    case 'call2':
      return (
        (e.fn in ARITHMETIC || e.fn in COMPARISON || ['and', 'or', 'pow'].includes(e.fn)) &&
        hasLanes(e.x) &&
        hasLanes(e.y)
      )
    case 'select':
      return hasLanes(e.test) && hasLanes(e.a) && hasLanes(e.b)
  }
}

/** Whether a formula has a function whose series is not good to the last digits of float64. */
function hasSeries(e: Expr): boolean {
  switch (e.kind) {
    case 'call1':
      return e.fn in SERIES || hasSeries(e.x)
    case 'call2':
      return e.fn === 'pow' || hasSeries(e.x) || hasSeries(e.y)
    case 'select':
      return hasSeries(e.test) || hasSeries(e.a) || hasSeries(e.b)
    default:
      return false
  }
}

/** Equal for formulas that compute the same. */
function keyOf(e: Expr): string {
  switch (e.kind) {
    case 'arg':
      return `x${e.index}`
    case 'param':
      return `p${e.index}`
    case 'const':
      return Object.is(e.value, -0) ? '-0' : String(e.value)
    case 'call1':
      return `${e.fn}(${keyOf(e.x)})`
    case 'call2':
      return `${e.fn}(${keyOf(e.x)},${keyOf(e.y)})`
    case 'select':
      return `?(${keyOf(e.test)},${keyOf(e.a)},${keyOf(e.b)})`
  }
}

/** Writes the code of formulas. Equal parts of formulas that are written one after another are computed once. */
export class LaneWriter {
  readonly #c: Code
  readonly #args: readonly Lanes[]
  readonly #params: readonly Lanes[]
  readonly #dtype: DType
  readonly #written = new Map<string, Lanes>()

  /** @param dtype what the results will be stored as. */
  constructor(c: Code, dtype: DType, args: readonly Lanes[], params: readonly Lanes[]) {
    this.#c = c
    this.#dtype = dtype
    this.#args = args
    this.#params = params
  }

  /** The formula's values as they are once they have been stored and loaded again. */
  result(body: Expr): Lanes {
    const [x] = this.#args
    const isSingle = this.#dtype === 'float32' && (x?.kind === 'single' || x?.kind === 'constant')
    const fast = isSingle ? IN_SINGLE.get(keyOf(body)) : undefined
    if (fast !== undefined) return { kind: 'single', all: fast(this.#c, this.single(x!)) }
    return this.#rounded(this.#write(body, this.#dtype === 'float32'))
  }

  /** The formula's values. `rounds` tells that whoever asks will round them to float32. */
  #write(e: Expr, rounds: boolean): Lanes {
    if (e.kind === 'arg') return this.#args[e.index]!
    if (e.kind === 'param') return this.#params[e.index]!
    if (e.kind === 'const') return { kind: 'constant', value: e.value }
    const key = `${rounds} ${keyOf(e)}`
    let lanes = this.#written.get(key)
    if (lanes === undefined) this.#written.set(key, (lanes = this.#compute(e, rounds)))
    return lanes
  }

  #compute(e: Exclude<Expr, { kind: 'arg' | 'param' | 'const' }>, rounds: boolean): Lanes {
    switch (e.kind) {
      case 'call1':
        return this.#call1(e.fn, e.x, rounds)
      case 'call2':
        return this.#call2(e.fn, e.x, e.y, rounds)
      case 'select': {
        const mask = this.mask(this.#write(e.test, false))
        return this.#select(
          mask,
          this.#number(this.#write(e.a, rounds)),
          this.#number(this.#write(e.b, rounds)),
          rounds,
        )
      }
    }
  }

  #call1(fn: Function1, e: Expr, rounds: boolean): Lanes {
    if (fn === 'not') return this.#not(this.#write(e, false))
    // Rounding to float32 keeps signs and order: these may be applied to the rounded number.
    const passesOn = fn === 'neg' || fn === 'abs'
    const x = this.#number(this.#write(e, passesOn && rounds))
    const exact = EXACT[fn]
    if (exact !== undefined) return this.#each1(exact, x)
    if (fn === 'sqrt')
      return rounds && this.#isSingle(x)
        ? this.#single1('f32x4.sqrt', x)
        : this.#double1('f64x2.sqrt', this.double(x))
    if (fn === 'isNaN') return this.#compare('ne', x, x)
    if (fn === 'isFinite')
      return this.#compare('lt', this.#each1('abs', x), { kind: 'constant', value: Infinity })
    if (fn === 'sign') return this.#sign(x, rounds)
    const series = SERIES[fn]!
    const { low, high } = this.double(x)
    const first = keep(this.#c, () => series(this.#c, low))
    return {
      kind: 'double',
      low: first,
      high: low === high ? first : keep(this.#c, () => series(this.#c, high)),
    }
  }

  #call2(fn: Function2, ex: Expr, ey: Expr, rounds: boolean): Lanes {
    if (fn === 'and' || fn === 'or') {
      const x = this.mask(this.#write(ex, false))
      const y = this.mask(this.#write(ey, false))
      return { kind: 'mask', all: keep(this.#c, () => this.#c.get(x).get(y).op(`v128.${fn}`)) }
    }
    const passesOn = fn === 'min' || fn === 'max'
    const x = this.#number(this.#write(ex, passesOn && rounds))
    const y = this.#number(this.#write(ey, passesOn && rounds))
    const comparison = COMPARISON[fn]
    if (comparison !== undefined) return this.#compare(comparison, x, y)
    if (fn === 'pow') return this.#pow(x, y)
    if (fn === 'mul' && this.#dtype === 'int32') {
      const [a, b] = [this.#int(x), this.#int(y)]
      return { kind: 'int', all: keep(this.#c, () => this.#c.get(a).get(b).op('i32x4.mul')) }
    }
    const op = ARITHMETIC[fn]!
    const inSingle = (rounds || passesOn) && this.#isSingle(x) && this.#isSingle(y)
    return this.#both(`f32x4.${op}`, `f64x2.${op}`, x, y, inSingle)
  }

  #pow(x: Number_, y: Number_): Number_ {
    const c = this.#c
    const [a, b] = [this.double(x), this.double(y)]
    const low = keep(c, () => pow(c, a.low, b.low))
    const isSame = a.low === a.high && b.low === b.high
    return { kind: 'double', low, high: isSame ? low : keep(c, () => pow(c, a.high, b.high)) }
  }

  #both(single: Instruction, double: Instruction, x: Number_, y: Number_, inSingle: boolean): Number_ {
    const c = this.#c
    if (inSingle) {
      const [a, b] = [this.single(x), this.single(y)]
      return { kind: 'single', all: keep(c, () => c.get(a).get(b).op(single)) }
    }
    const [a, b] = [this.double(x), this.double(y)]
    const low = keep(c, () => c.get(a.low).get(b.low).op(double))
    const isSame = a.low === a.high && b.low === b.high
    return { kind: 'double', low, high: isSame ? low : keep(c, () => c.get(a.high).get(b.high).op(double)) }
  }

  #each1(op: 'neg' | 'abs' | 'floor' | 'ceil' | 'trunc' | 'nearest', x: Number_): Number_ {
    return this.#isSingle(x) ? this.#single1(`f32x4.${op}`, x) : this.#double1(`f64x2.${op}`, this.double(x))
  }

  #single1(op: Instruction, x: Number_): Number_ {
    const value = this.single(x)
    return { kind: 'single', all: keep(this.#c, () => this.#c.get(value).op(op)) }
  }

  #double1(op: Instruction, { low, high }: { readonly low: Local; readonly high: Local }): Number_ {
    const first = keep(this.#c, () => this.#c.get(low).op(op))
    return {
      kind: 'double',
      low: first,
      high: low === high ? first : keep(this.#c, () => this.#c.get(high).op(op)),
    }
  }

  /** x where it is 0, else 1 or -1; 0 for NaN. */
  #sign(x: Number_, rounds: boolean): Lanes {
    const zero: Number_ = { kind: 'constant', value: 0 }
    const sign = (value: number, of: 'lt' | 'gt', otherwise: Number_): Number_ =>
      this.#select(
        this.mask(of === 'lt' ? this.#compare('lt', x, zero) : this.#compare('lt', zero, x)),
        { kind: 'constant', value },
        otherwise,
        rounds,
      )
    const atZero = this.#select(this.mask(this.#compare('eq', x, zero)), x, zero, rounds)
    return sign(1, 'gt', sign(-1, 'lt', atZero))
  }

  #compare(op: 'lt' | 'le' | 'eq' | 'ne', x: Number_, y: Number_): Lanes {
    const c = this.#c
    if (this.#isSingle(x) && this.#isSingle(y)) {
      const [a, b] = [this.single(x), this.single(y)]
      return { kind: 'mask', all: keep(c, () => c.get(a).get(b).op(`f32x4.${op}`)) }
    }
    const [a, b] = [this.double(x), this.double(y)]
    const all = keep(c, () => {
      c.get(a.low).get(b.low).op(`f64x2.${op}`)
      c.get(a.high).get(b.high).op(`f64x2.${op}`)
      c.shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27])
    })
    return { kind: 'mask', all }
  }

  #select(mask: Local, a: Number_, b: Number_, rounds: boolean): Number_ {
    const c = this.#c
    const isSingle = (x: Number_): boolean => this.#isSingle(x) || (rounds && x.kind === 'constant')
    if (isSingle(a) && isSingle(b)) {
      const [x, y] = [this.single(a), this.single(b)]
      return { kind: 'single', all: keep(c, () => c.get(x).get(y).get(mask).op('v128.bitselect')) }
    }
    const [x, y] = [this.double(a), this.double(b)]
    const half = (lane: 'low' | 'high'): Local =>
      keep(c, () => {
        c.get(x[lane]).get(y[lane])
        const [i, j] = lane === 'low' ? [0, 4] : [8, 12]
        const pair = [i, i + 1, i + 2, i + 3]
        const next = [j, j + 1, j + 2, j + 3]
        c.get(mask)
          .get(mask)
          .shuffle([...pair, ...pair, ...next, ...next])
          .op('v128.bitselect')
      })
    return { kind: 'double', low: half('low'), high: half('high') }
  }

  #not(x: Lanes): Lanes {
    if (x.kind === 'mask')
      return { kind: 'mask', all: keep(this.#c, () => this.#c.get(x.all).op('v128.not')) }
    return this.#compare('eq', this.#number(x), { kind: 'constant', value: 0 })
  }

  /** As truth values: everything but 0, NaN too, is true. */
  mask(x: Lanes): Local {
    if (x.kind === 'mask') return x.all
    const mask = this.#compare('ne', this.#number(x), { kind: 'constant', value: 0 })
    return (mask as { all: Local }).all
  }

  /** As numbers: truth values are 1 and 0. */
  #number(x: Lanes): Number_ {
    const c = this.#c
    if (x.kind === 'int') {
      const low = keep(c, () => c.get(x.all).op('f64x2.convert_low_i32x4_s'))
      const high = keep(c, () => {
        c.get(x.all).get(x.all).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])
        c.op('f64x2.convert_low_i32x4_s')
      })
      return { kind: 'double', low, high }
    }
    if (x.kind !== 'mask') return x
    return { kind: 'single', all: keep(this.#c, () => this.#c.get(x.all).f32x4(1).op('v128.and')) }
  }

  #isSingle(x: Number_): boolean {
    return x.kind === 'single' || (x.kind === 'constant' && Object.is(Math.fround(x.value), x.value))
  }

  /** Rounded to float32. */
  single(x: Lanes): Local {
    const c = this.#c
    const number = this.#number(x)
    if (number.kind === 'single') return number.all
    if (number.kind === 'constant') return keep(c, () => c.f32x4(number.value))
    return keep(c, () => {
      c.get(number.low).op('f32x4.demote_f64x2_zero')
      c.get(number.high).op('f32x4.demote_f64x2_zero')
      c.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23])
    })
  }

  double(x: Lanes): { readonly low: Local; readonly high: Local } {
    const c = this.#c
    const number = this.#number(x)
    if (number.kind === 'double') return number
    if (number.kind === 'constant') {
      const all = keep(c, () => c.f64x2(number.value))
      return { low: all, high: all }
    }
    const low = keep(c, () => c.get(number.all).op('f64x2.promote_low_f32x4'))
    const high = keep(c, () => {
      c.get(number.all).get(number.all).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])
      c.op('f64x2.promote_low_f32x4')
    })
    return { low, high }
  }

  #rounded(x: Lanes): Lanes {
    switch (this.#dtype) {
      case 'float32':
        return { kind: 'single', all: this.single(x) }
      case 'float64':
        return { kind: 'double', ...this.double(x) }
      case 'int32':
        return { kind: 'int', all: this.#int(x) }
      default: {
        if (x.kind === 'mask') return x
        const all = this.#int(x)
        return {
          kind: 'int',
          all: keep(this.#c, () => this.#c.get(all).i32x4([255, 255, 255, 255]).op('v128.and')),
        }
      }
    }
  }

  /** As JavaScript converts to 32-bit whole numbers: towards 0, then modulo 2^32; 0 where not finite. */
  #int(x: Lanes): Local {
    const c = this.#c
    if (x.kind === 'int') return x.all
    const { low, high } = this.double(x)
    const half = (value: Local): Local => {
      const whole = keep(c, () => c.get(value).op('f64x2.trunc'))
      const rest = keep(c, () => {
        c.get(whole)
          .get(whole)
          .f64x2(2 ** -32)
          .op('f64x2.mul', 'f64x2.floor')
        c.f64x2(2 ** 32).op('f64x2.mul', 'f64x2.sub')
      })
      // Added to 2^52 it is the low half of the sum's bits.
      return keep(c, () => {
        c.get(rest)
          .f64x2(2 ** 52)
          .op('f64x2.add')
        c.get(rest).get(rest).op('f64x2.eq', 'v128.and')
      })
    }
    const first = half(low)
    const second = low === high ? first : half(high)
    return keep(c, () =>
      c.get(first).get(second).shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]),
    )
  }
}
