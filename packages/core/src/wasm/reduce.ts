import type { Code, Int, Local } from './code.js'
import { POWER_SCALE, powersUpTo } from './single-math.js'
import { exp, keep, log, log1p } from './vector-math.js'
import { halves, narrow, type Wide, widen } from './wide.js'

const OPS = ['sum', 'mean', 'max', 'min', 'norm', 'variance', 'logSumExp'] as const
/** Reductions of float32 numbers that have a kernel. */
export type VectorReduceOp = (typeof OPS)[number]

/** Whether a reduction of rows, or columns, goes over its numbers once and in order, so that they may be computed meanwhile. */
export function isOnePass(op: string, isRows: boolean): boolean {
  return op === 'sum' || op === 'mean' || (isRows && ['max', 'min', 'norm'].includes(op))
}

export function isVectorReduceOp(op: string): op is VectorReduceOp {
  return (OPS as readonly string[]).includes(op)
}

/** Computes the vector that would be `offset` bytes after `at` in memory, had it been stored. */
export type Load = (c: Code, at: Local, offset: number) => Local

const fromMemory: Load = (c, at, offset) => keep(c, () => c.get(at).memory('v128.load', offset))

export interface ReducePlaces {
  /** Where the numbers come from, if not from memory. */
  readonly load?: Load | undefined
  readonly x: Int
  readonly out: Int
  /** x is [outer, count, inner], reduced over the middle axis. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly inner: Int
  /** The inner side of the whole, where this is some of its columns. */
  readonly wholeInner: Int
  /** What a mean or variance is divided by. */
  readonly divisor: Int
}

/**
 * A pass over the numbers of a row, or of four columns: runs `body` on each vector of them. Up to `ways` vectors are
 * taken at a time, each of which is told its way: what they are added to need not wait for one another.
 */
type Pass = (filler: number, body: (x: Local, way: number) => void, ways?: number) => void

/** A pass over the places of a row's outputs, or of four columns', too: `put` stores a vector where the vector at hand goes. */
type Walk = (
  filler: number,
  body: (x: Local, way: number, put: (out: Local) => void) => void,
  ways?: number,
) => void

const WAYS = 4

/** Two locals that begin with the same number. */
function wide(c: Code, start: number): Wide {
  const [low, high] = [c.local('v128'), c.local('v128')]
  c.f64x2(start).set(low).f64x2(start).set(high)
  return { low, high }
}

function addTo(c: Code, sum: Wide, x: Wide): void {
  for (const half of ['low', 'high'] as const) c.get(sum[half]).get(x[half]).op('f64x2.add').set(sum[half])
}

/** Divided by a whole number. */
function over(c: Code, x: Wide, by: Int): Wide {
  const all = keep(c, () => c.op(by, 'f64.convert_i32_u', 'f64x2.splat'))
  return halves(x, (half) => keep(c, () => c.get(half).get(all).op('f64x2.div')))
}

/**
 * Four results of a reduction, one for each lane of what `pass` goes over. `across` makes of the four lanes of a total
 * the one that each of them needs: of columns they stay as they are, of a row they are taken together.
 * Sums are kept in float64, from -0 as the plain loops have it: a sum of -0 alone keeps its sign.
 */
function reduced(
  c: Code,
  op: VectorReduceOp,
  { count, divisor }: { readonly count: Int; readonly divisor: Int },
  pass: Pass,
  across: { best(op: 'max' | 'min', x: Local): Local; sum(x: Wide): Wide },
): Local {
  const best = (of: 'max' | 'min'): Local => {
    const start = of === 'max' ? -Infinity : Infinity
    return across.best(of, extreme(c, of, start, pass))
  }
  const sum = (start: number, filler: number, term: (x: Local) => Wide, ways = WAYS): Wide => {
    const totals = Array.from({ length: ways }, () => wide(c, start))
    pass(filler, (x, way) => addTo(c, totals[way]!, term(x)), ways)
    for (const other of totals.slice(1)) addTo(c, totals[0]!, other)
    return across.sum(totals[0]!)
  }
  switch (op) {
    case 'max':
    case 'min':
      return best(op)
    case 'sum':
      return narrow(
        c,
        sum(-0, -0, (x) => widen(c, x)),
      )
    case 'mean':
      return narrow(
        c,
        over(
          c,
          sum(-0, -0, (x) => widen(c, x)),
          divisor,
        ),
      )
    case 'norm': {
      const squares = sum(0, 0, (x) =>
        halves(widen(c, x), (half) => keep(c, () => c.get(half).get(half).op('f64x2.mul'))),
      )
      return narrow(
        c,
        halves(squares, (half) => keep(c, () => c.get(half).op('f64x2.sqrt'))),
      )
    }
    case 'variance': {
      const mean = over(
        c,
        sum(-0, -0, (x) => widen(c, x)),
        count,
      )
      // What lies beyond a row's end is NaN here, and counts as 0.
      const squares = sum(0, NaN, (x) => {
        const isPresent = keep(c, () => c.get(x).get(x).op('f32x4.eq'))
        const from = widen(c, x)
        const term = (half: 'low' | 'high'): Local => {
          const d = keep(c, () => c.get(from[half]).get(mean[half]).op('f64x2.sub'))
          return keep(c, () => c.get(d).get(d).op('f64x2.mul'))
        }
        return masked(c, { low: term('low'), high: term('high') }, isPresent)
      })
      const total = over(c, squares, divisor)
      // A mean that is NaN, or infinite, makes NaN of it all.
      const addNaN = (half: 'low' | 'high'): Local =>
        keep(c, () => {
          c.get(total[half]).get(mean[half]).get(mean[half]).op('f64x2.sub', 'f64x2.add')
        })
      return narrow(c, { low: addNaN('low'), high: addNaN('high') })
    }
    case 'logSumExp': {
      const max = best('max')
      const top = widen(c, max)
      const powers = sum(
        0,
        -Infinity,
        (x) => {
          const from = widen(c, x)
          const power = (half: 'low' | 'high'): Local => {
            const shifted = keep(c, () => c.get(from[half]).get(top[half]).op('f64x2.sub'))
            return keep(c, () => exp(c, shifted))
          }
          return { low: power('low'), high: power('high') }
        },
        1,
      )
      const result = (half: 'low' | 'high'): Local =>
        keep(c, () => {
          log(c, powers[half])
          c.get(top[half]).op('f64x2.add')
        })
      const sums = narrow(c, { low: result('low'), high: result('high') })
      // Where the largest is infinite or NaN, it is the result.
      return keep(c, () => {
        c.get(sums).get(max).get(max).op('f32x4.abs').f32x4(Infinity).op('f32x4.lt', 'v128.bitselect')
      })
    }
  }
}

/** The largest or smallest number of each lane. */
function extreme(c: Code, of: 'max' | 'min' | 'pmax', start: number, pass: Pass): Local {
  const results = Array.from({ length: WAYS }, () => c.local('v128'))
  for (const result of results) c.f32x4(start).set(result)
  const take = (x: Local, way: number): void => {
    c.get(results[way]!).get(x).op(`f32x4.${of}`).set(results[way]!)
  }
  pass(start, take, WAYS)
  for (const other of results.slice(1)) take(other, 0)
  return results[0]!
}

/** x where the mask of four float32 lanes is set, else 0. */
function masked(c: Code, { low, high }: Wide, mask: Local): Wide {
  const half = (x: Local, pair: number): Local =>
    keep(c, () => {
      const lane = (at: number): number[] => [at * 4, at * 4 + 1, at * 4 + 2, at * 4 + 3]
      const [a, b] = [lane(pair), lane(pair + 1)]
      c.get(x)
        .get(mask)
        .get(mask)
        .shuffle([...a, ...a, ...b, ...b])
        .op('v128.and')
    })
  return { low: half(low, 0), high: half(high, 2) }
}

/** The reduction of [outer, count, inner] over its middle axis: sums sixteen columns at a time, the rest four. */
export function writeReduceColumns(c: Code, op: VectorReduceOp, places: ReducePlaces): void {
  const { count, divisor, wholeInner, load = fromMemory } = places
  const rowBytes = c.product(wholeInner, 4)
  const eachRow = (from: Local, body: (at: Local) => void): void => {
    const at = c.copyOf(from)
    const i = c.copyOf(0)
    c.loop(i, count, 1, () => {
      body(at)
      c.advance(at, rowBytes)
    })
  }
  const sums = (from: Local, to: Local): void => {
    const totals = Array.from({ length: WAYS }, () => wide(c, -0))
    eachRow(from, (at) => totals.forEach((total, v) => addTo(c, total, widen(c, load(c, at, 16 * v)))))
    totals.forEach((total, v) => {
      const result = narrow(c, op === 'mean' ? over(c, total, divisor) : total)
      c.get(to)
        .get(result)
        .memory('v128.store', 16 * v)
    })
  }
  eachColumns(
    c,
    places,
    count,
    (from, to) => {
      const pass: Pass = (_, body) => eachRow(from, (at) => body(load(c, at, 0), 0))
      const result = reduced(c, op, places, pass, { best: (_, x) => x, sum: (x) => x })
      // What is written beyond the end of a row is written again as part of the next one.
      c.get(to).get(result).memory('v128.store')
    },
    1,
    op === 'sum' || op === 'mean' ? sums : undefined,
  )
}

/** Goes over [outer, count, inner] four columns at a time, sixteen as long as there are where these have code; `to` moves on along [outer, inner]. */
function eachColumns(
  c: Code,
  { x, out, outer, inner, wholeInner }: Pick<ReducePlaces, 'x' | 'out' | 'outer' | 'inner' | 'wholeInner'>,
  count: Int,
  body: (from: Local, to: Local, left: Local) => void,
  outRows: Int = 1,
  sixteen?: (from: Local, to: Local) => void,
): void {
  const rowBytes = c.product(wholeInner, 4)
  const blockBytes = c.product(rowBytes, count)
  const outBytes = c.product(rowBytes, outRows)
  const block = c.copyOf(x)
  const outBlock = c.copyOf(out)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const j = c.copyOf(0)
    const from = c.copyOf(block)
    const to = c.copyOf(outBlock)
    const left = c.copyOf(inner)
    const each = (columns: number, end: Int, write: () => void): void => {
      c.op(j, end, 'i32.lt_u').if(() =>
        c.loop(j, end, columns, () => {
          write()
          c.advance(from, 4 * columns)
            .advance(to, 4 * columns)
            .advance(left, -columns)
        }),
      )
    }
    if (sixteen !== undefined) {
      const whole = c.local('i32')
      c.op(inner, ~15, 'i32.and').set(whole)
      each(16, whole, () => sixteen(from, to))
    }
    each(4, inner, () => body(from, to, left))
    c.advance(block, blockBytes).advance(outBlock, outBytes)
  })
}

/** The reduction of [outer, count] over its rows, four elements at a time. */
export function writeReduceRows(c: Code, op: VectorReduceOp, places: ReducePlaces): void {
  const { outer, count, load } = places
  const row = c.copyOf(places.x)
  const out = c.copyOf(places.out)
  const rowBytes = c.product(count, 4)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const pass: Pass = (filler, body, ways) => eachFour(c, row, count, filler, body, ways, load)
    const result = reduced(c, op, places, pass, {
      best: (of, x) => bestOfLanes(c, of, x),
      sum: (x) => sumOfLanes(c, x),
    })
    c.get(out).get(result).lane('f32x4', 0).memory('f32.store')
    c.advance(out, 4).advance(row, rowBytes)
  })
}

function bestOfLanes(c: Code, of: 'max' | 'min', x: Local): Local {
  c.get(x).lane('f32x4', 0)
  for (const n of [1, 2, 3]) c.get(x).lane('f32x4', n).op(`f32.${of}`)
  return keep(c, () => c.op('f32x4.splat'))
}

function sumOfLanes(c: Code, { low, high }: Wide): Wide {
  const both = keep(c, () => c.get(low).get(high).op('f64x2.add'))
  const all = keep(c, () =>
    c.get(both).lane('f64x2', 0).get(both).lane('f64x2', 1).op('f64.add', 'f64x2.splat'),
  )
  return { low: all, high: all }
}

/**
 * Runs `body` on the vectors of a row, `ways` at a time as long as they are whole; elements beyond its end are `filler`. `put`
 * stores a vector in the same place of the row at `out`.
 */
function eachFour(
  c: Code,
  row: Int,
  count: Int,
  filler: number,
  body: (x: Local, way: number, put: (value: Local) => void) => void,
  ways = 1,
  load: Load = fromMemory,
  out?: Int,
): void {
  const at = c.copyOf(row)
  const to = out === undefined ? undefined : c.copyOf(out)
  const i = c.copyOf(0)
  const x = c.local('v128')
  const run = (vector: Local, way: number): void =>
    // What is put beyond the end of a row is put again as part of the next one.
    body(vector, way, (value) =>
      c
        .get(to!)
        .get(value)
        .memory('v128.store', way * 16),
    )
  const move = (bytes: number): void => {
    c.advance(at, bytes)
    if (to !== undefined) c.advance(to, bytes)
  }
  if (ways > 1) {
    const width = 4 * ways
    const whole = c.local('i32')
    c.op(count, -width, 'i32.and').set(whole)
    if (typeof count !== 'number' || count >= width)
      c.op(whole).if(() =>
        c.loop(i, whole, width, () => {
          for (let way = 0; way < ways; way++) run(load(c, at, way * 16), way)
          move(width * 4)
        }),
      )
  }
  c.op(i, count, 'i32.lt_u').if(() =>
    c.loop(i, count, 4, () => {
      c.get(load(c, at, 0)).set(x)
      if (typeof count !== 'number' || count % 4 !== 0) {
        c.op(i, 4, 'i32.add', count, 'i32.gt_u')
        c.if(() => fillEnd(c, x, i, count, filler))
      }
      run(x, 0)
      move(16)
    }),
  )
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
  /** x and out are [outer, count, inner], along the middle axis. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly inner: Int
}

/**
 * exp(x - max) / sum(exp(x - max)), or its logarithm x - max - log(sum(exp(x - max))), along each row of [outer, count].
 * Powers are float32 numbers, their sum and the logarithm float64.
 */
export function writeSoftmaxRows(c: Code, isLog: boolean, { x, out, outer, count }: SoftmaxPlaces): void {
  const row = c.copyOf(x)
  const target = c.copyOf(out)
  const rowBytes = c.product(count, 4)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const along =
      (from: Local): Walk =>
      (filler, body, ways) =>
        eachFour(c, from, count, filler, body, ways, fromMemory, target)
    softmax(c, isLog, along(row), along(target), {
      best: (of, v) => bestOfLanes(c, of, v),
      sum: (v) => sumOfLanes(c, v),
    })
    c.advance(row, rowBytes).advance(target, rowBytes)
  })
}

/** The same along the columns of [outer, count, inner]. */
export function writeSoftmaxColumns(c: Code, isLog: boolean, places: SoftmaxPlaces): void {
  const { count, inner } = places
  const rowBytes = c.product(inner, 4)
  eachColumns(
    c,
    { ...places, wholeInner: inner },
    count,
    (x, out, left) => {
      const along =
        (from: Local): Walk =>
        (_, body) => {
          const [at, to] = [c.copyOf(from), c.copyOf(out)]
          const i = c.copyOf(0)
          c.loop(i, count, 1, () => {
            const vector = keep(c, () => c.get(at).memory('v128.load'))
            body(vector, 0, (value) => storeFirst(c, to, value, left))
            c.advance(at, rowBytes).advance(to, rowBytes)
          })
        }
      softmax(c, isLog, along(x), along(out), { best: (_, v) => v, sum: (v) => v })
    },
    count,
  )
}

/** Stores the first lanes of a vector: at most `left`. */
function storeFirst(c: Code, to: Local, x: Local, left: Local): void {
  c.op(left, 4, 'i32.ge_s').ifElse(
    () => c.get(to).get(x).memory('v128.store'),
    () => {
      c.get(to).get(x).storeLane(32, 0, 0)
      for (const lane of [1, 2])
        c.op(left, lane, 'i32.gt_s').if(() =>
          c
            .get(to)
            .get(x)
            .storeLane(32, lane * 4, lane),
        )
    },
  )
}

interface Across {
  best(op: 'max', x: Local): Local
  sum(x: Wide): Wide
}

/** Given the passes over what goes in and over what has been put out. */
function softmax(c: Code, isLog: boolean, inputs: Walk, outputs: Walk, across: Across): void {
  // NaN is passed over here, and makes NaN of the sum.
  const max = across.best('max', extreme(c, 'pmax', -Infinity, inputs))
  if (isLog) {
    logSoftmax(c, max, inputs, across)
    return
  }
  const sums = wide(c, 0)
  const powerOf = powersUpTo(c, max)
  inputs(
    -Infinity,
    (x, _, put) => {
      const powers = powerOf(c, x)
      put(powers)
      addTo(c, sums, widen(c, powers))
    },
    2,
  )
  const total = across.sum(sums)
  const share = narrow(
    c,
    halves(total, (half) => keep(c, () => c.f64x2(1).get(half).op('f64x2.div'))),
  )
  outputs(0, (powers, _, put) => put(keep(c, () => c.get(powers).get(share).op('f32x4.mul'))), WAYS)
}

/** The largest are counted and the rest is summed apart, so that a sum of 1 and very little keeps the digits of that. */
function logSoftmax(c: Code, max: Local, pass: Walk, across: Across): void {
  const sums = wide(c, 0)
  const counts = c.local('v128')
  c.f32x4(0).set(counts)
  const powerOf = powersUpTo(c, max)
  pass(
    -Infinity,
    (x) => {
      const isLargest = keep(c, () => c.get(x).get(max).op('f32x4.eq'))
      const powers = powerOf(c, x)
      // All the same, or NaN of an infinite one.
      c.get(counts).get(powers).get(isLargest).op('v128.and', 'f32x4.add').set(counts)
      const others = keep(c, () => c.get(powers).get(isLargest).op('v128.andnot'))
      addTo(c, sums, widen(c, others))
    },
    2,
  )
  const rest = across.sum(sums)
  const count = across.sum(widen(c, counts))
  const logOf = (half: 'low' | 'high'): Local => {
    const share = keep(c, () => c.get(rest[half]).get(count[half]).op('f64x2.div'))
    return keep(c, () => {
      log(
        c,
        keep(c, () =>
          c
            .get(count[half])
            .f64x2(1 / POWER_SCALE)
            .op('f64x2.mul'),
        ),
      )
      log1p(c, share)
      c.op('f64x2.add')
    })
  }
  const low = logOf('low')
  const logs = { low, high: rest.low === rest.high ? low : logOf('high') }
  const top = widen(c, max)
  pass(0, (x, _, put) => {
    const from = widen(c, x)
    const half = (of: 'low' | 'high'): Local =>
      keep(c, () => c.get(from[of]).get(top[of]).op('f64x2.sub').get(logs[of]).op('f64x2.sub'))
    put(narrow(c, { low: half('low'), high: half('high') }))
  })
}

export interface ArgReducePlaces {
  readonly x: Int
  readonly out: Int
  /** x is [outer, count, inner], out [outer, inner] int32. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly inner: Int
}

/** The position of the first largest or smallest number along the middle axis; the first NaN wins. */
export function writeArgReduce(
  c: Code,
  op: 'max' | 'min',
  { x, out, outer, count, inner }: ArgReducePlaces,
): void {
  const rowBytes = c.product(inner, 4)
  const block = c.copyOf(x)
  const to = c.copyOf(out)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const j = c.copyOf(0)
    const column = c.copyOf(block)
    c.loop(j, inner, 1, () => {
      const at = c.copyOf(column)
      const i = c.copyOf(0)
      const best = c.copyOf(0)
      const extreme = c.local('f32')
      const value = c.local('f32')
      c.get(column).memory('f32.load').set(extreme)
      c.loop(i, count, 1, () => {
        c.get(at).memory('f32.load').set(value)
        // Better, or the first NaN.
        c.get(value)
          .get(extreme)
          .op(op === 'max' ? 'f32.gt' : 'f32.lt')
        c.get(value).get(value).op('f32.ne').get(extreme).get(extreme).op('f32.eq', 'i32.and', 'i32.or')
        c.if(() => {
          c.get(value).set(extreme)
          c.get(i).set(best)
        })
        c.advance(at, rowBytes)
      })
      c.get(to).get(best).memory('i32.store')
      c.advance(to, 4).advance(column, 4)
    })
    c.advance(block, c.product(rowBytes, count))
  })
}
