import type { Code, Int, Local } from './code.js'
import { exp, keep } from './vector-math.js'

/** Reductions that have a kernel. */
export type VectorReduceOp = 'sum' | 'mean' | 'max' | 'min'

export interface ReducePlaces {
  readonly x: Int
  readonly out: Int
  /** x is [outer, count, inner], reduced over the middle axis. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly inner: Int
}

const HIGH = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]

/** Sums are kept in float64, from -0 as the plain loops have it: a sum of -0 alone keeps its sign. */
export function writeReduceColumns(c: Code, op: VectorReduceOp, places: ReducePlaces): void {
  const { outer, count, inner } = places
  const rowBytes = c.product(inner, 4)
  const blockBytes = c.product(rowBytes, count)
  const x = c.copyOf(places.x)
  const out = c.copyOf(places.out)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const j = c.local('i32')
    const column = c.local('i32')
    const to = c.local('i32')
    c.op(0).set(j)
    c.get(x).set(column)
    c.get(out).set(to)
    c.loop(j, inner, 4, () => {
      const at = c.local('i32')
      const i = c.local('i32')
      c.get(column).set(at)
      c.op(0).set(i)
      const result = accumulate(c, op, count, i, at, rowBytes)
      c.get(to).get(result).memory('v128.store')
      c.advance(column, 16).advance(to, 16)
    })
    c.advance(x, blockBytes).advance(out, rowBytes)
  })
}

/** The vector of four columns, reduced. */
function accumulate(c: Code, op: VectorReduceOp, count: Int, i: Local, at: Local, step: Int): Local {
  if (op === 'max' || op === 'min') {
    const best = c.local('v128')
    c.f32x4(op === 'max' ? -Infinity : Infinity).set(best)
    c.loop(i, count, 1, () => {
      c.get(best).get(at).memory('v128.load').op(`f32x4.${op}`).set(best)
      c.advance(at, step)
    })
    return best
  }
  const low = c.local('v128')
  const high = c.local('v128')
  c.f64x2(-0).set(low)
  c.f64x2(-0).set(high)
  c.loop(i, count, 1, () => {
    const x = keep(c, () => c.get(at).memory('v128.load'))
    c.get(low).get(x).op('f64x2.promote_low_f32x4', 'f64x2.add').set(low)
    c.get(high).get(x).get(x).shuffle(HIGH).op('f64x2.promote_low_f32x4', 'f64x2.add').set(high)
    c.advance(at, step)
  })
  const half = (sum: Local): Local =>
    keep(c, () => {
      c.get(sum)
      if (op === 'mean') divideBy(c, count)
      c.op('f32x4.demote_f64x2_zero')
    })
  const [first, second] = [half(low), half(high)]
  return keep(c, () =>
    c.get(first).get(second).shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]),
  )
}

function divideBy(c: Code, count: Int): void {
  c.op(count, 'f64.convert_i32_u', 'f64x2.splat', 'f64x2.div')
}

/** The reduction of [outer, count] over its rows, four elements at a time. */
export function writeReduceRows(c: Code, op: VectorReduceOp, places: ReducePlaces): void {
  const { outer, count } = places
  const at = c.copyOf(places.x)
  const out = c.copyOf(places.out)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const isExtreme = op === 'max' || op === 'min'
    const start = op === 'max' ? -Infinity : op === 'min' ? Infinity : -0
    const total = c.local('f64')
    if (isExtreme) {
      const best = c.local('v128')
      c.f32x4(start).set(best)
      eachFour(c, at, count, start, (x) => c.get(best).get(x).op(`f32x4.${op}`).set(best))
      const lane = (n: number): Code => c.get(best).lane('f32x4', n)
      lane(0)
      for (const n of [1, 2, 3]) lane(n).op(`f32.${op}`)
      c.op('f64.promote_f32').set(total)
    } else {
      const low = c.local('v128')
      const high = c.local('v128')
      c.f64x2(-0).set(low)
      c.f64x2(-0).set(high)
      eachFour(c, at, count, start, (x) => {
        c.get(low).get(x).op('f64x2.promote_low_f32x4', 'f64x2.add').set(low)
        c.get(high).get(x).get(x).shuffle(HIGH).op('f64x2.promote_low_f32x4', 'f64x2.add').set(high)
      })
      const sum = keep(c, () => c.get(low).get(high).op('f64x2.add'))
      c.get(sum).lane('f64x2', 0).get(sum).lane('f64x2', 1).op('f64.add')
      if (op === 'mean') c.op(count, 'f64.convert_i32_u', 'f64.div')
      c.set(total)
    }
    c.get(out).get(total).op('f32.demote_f64').memory('f32.store')
    c.advance(out, 4)
  })
}

/** Runs `body` on the vectors of a row; elements beyond its end are `filler`. `at` ends at the row's end. */
function eachFour(c: Code, at: Local, count: Int, filler: number, body: (x: Local) => void): void {
  const i = c.local('i32')
  c.op(0).set(i)
  const x = c.local('v128')
  c.loop(i, count, 4, () => {
    c.get(at).memory('v128.load').set(x)
    c.op(i, 4, 'i32.add', count, 'i32.gt_u')
    c.if(() => fillEnd(c, x, i, count, filler))
    body(x)
    c.advance(at, 16)
  })
  // The last step may have gone too far.
  c.get(at).get(i).op(count, 'i32.sub', 2, 'i32.shl', 'i32.sub').set(at)
}

/** Replaces the lanes of x beyond `count`, where lane 0 is element i. */
function fillEnd(c: Code, x: Local, i: Local, count: Int, filler: number): void {
  c.get(x).f32x4(filler)
  c.i32x4([0, 1, 2, 3])
  c.op(count, i, 'i32.sub', 'i32x4.splat', 'i32x4.lt_s', 'v128.bitselect').set(x)
}

export interface SoftmaxPlaces {
  readonly x: Int
  readonly out: Int
  readonly rows: Int
  readonly count: Int
  /** Room for a row's powers in float64: 8 count bytes and 32 more. */
  readonly scratch: Int
}

/** exp(x - max) / sum(exp(x - max)) of each row of [rows, count]. Powers are kept in float64 until they are divided. */
export function writeSoftmax(c: Code, { x, out, rows, count, scratch }: SoftmaxPlaces): void {
  const from = c.copyOf(x)
  const to = c.copyOf(out)
  const row = c.copyOf(0)
  const rowBytes = c.product(count, 4)
  c.loop(row, rows, 1, () => {
    const best = c.local('v128')
    const at = c.local('i32')
    const power = c.local('i32')
    c.f32x4(-Infinity).set(best)
    c.get(from).set(at)
    eachFour(c, at, count, -Infinity, (v) => c.get(best).get(v).op('f32x4.max').set(best))
    c.get(best).lane('f32x4', 0)
    for (const n of [1, 2, 3]) c.get(best).lane('f32x4', n).op('f32.max')
    const max = keep(c, () => c.op('f64.promote_f32', 'f64x2.splat'))
    const sum = c.local('v128')
    c.f64x2(0).set(sum)
    c.get(from).set(at)
    c.op(scratch).set(power)
    eachFour(c, at, count, -Infinity, (v) => {
      const half = (isHigh: boolean): void => {
        const shifted = keep(c, () => {
          c.get(v)
          if (isHigh) c.get(v).shuffle(HIGH)
          c.op('f64x2.promote_low_f32x4').get(max).op('f64x2.sub')
        })
        const p = keep(c, () => exp(c, shifted))
        c.get(power)
          .get(p)
          .memory('v128.store', isHigh ? 16 : 0)
        c.get(sum).get(p).op('f64x2.add').set(sum)
      }
      half(false)
      half(true)
      c.advance(power, 32)
    })
    const total = keep(c, () =>
      c.get(sum).lane('f64x2', 0).get(sum).lane('f64x2', 1).op('f64.add', 'f64x2.splat'),
    )
    const i = c.local('i32')
    c.op(0).set(i)
    c.op(scratch).set(power)
    c.get(to).set(at)
    c.loop(i, count, 4, () => {
      const half = (offset: number): Local =>
        keep(c, () =>
          c.get(power).memory('v128.load', offset).get(total).op('f64x2.div', 'f32x4.demote_f64x2_zero'),
        )
      const [low, high] = [half(0), half(16)]
      c.get(at).get(low).get(high).shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23])
      c.memory('v128.store')
      c.advance(at, 16).advance(power, 32)
    })
    c.advance(from, rowBytes).advance(to, rowBytes)
  })
}

export interface CopyPlaces {
  readonly from: Int
  readonly to: Int
  readonly rows: Int
  /** Bytes copied of each row. */
  readonly bytes: Int
  /** From one row to the next, in bytes. */
  readonly fromStep: Int
  readonly toStep: Int
}

/** Copies rows of bytes. */
export function writeCopy(c: Code, { from, to, rows, bytes, fromStep, toStep }: CopyPlaces): void {
  const source = c.copyOf(from)
  const target = c.copyOf(to)
  const row = c.copyOf(0)
  c.loop(row, rows, 1, () => {
    c.copy(target, source, bytes)
    c.advance(source, fromStep).advance(target, toStep)
  })
}

/** out[n, m] = x[m, n] transposed, of elements of four bytes. */
export function writeTranspose(
  c: Code,
  { x, out, m, n }: { readonly x: Int; readonly out: Int; readonly m: Int; readonly n: Int },
): void {
  const to = c.copyOf(out)
  const column = c.copyOf(x)
  const rowBytes = c.product(n, 4)
  const j = c.copyOf(0)
  c.loop(j, n, 1, () => {
    const at = c.local('i32')
    const i = c.local('i32')
    c.get(column).set(at)
    c.op(0).set(i)
    c.loop(i, m, 1, () => {
      c.get(to).get(at).memory('i32.load').memory('i32.store')
      c.advance(to, 4).advance(at, rowBytes)
    })
    c.advance(column, 4)
  })
}
