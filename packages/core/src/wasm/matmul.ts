import { isPortable } from '../determinism.js'
import type { Code, Int, Local } from './code.js'
import { relaxed } from './host.js'
import { writeTranspose } from './transpose.js'
import { keep } from './vector-math.js'

/** So many products are summed in float32 before they are added up in float64. */
const DEPTH = 256
/** Rows of a tile of one to four vectors: as many sums as leave registers for what is multiplied. */
const ROWS = [4, 4, 3, 2] as const
/** Rows of a tile of two vectors where multiplication and addition are one instruction, and the engine keeps more in registers. */
const MORE_ROWS = [6, 5, 4] as const
/** Steps of k in one turn of the innermost loop. */
const UNROLLED = 4
/** Columns of the widest tile. */
const WIDEST = 16
/** Bytes for the float64 sums of a tile. */
const SUMS = 512

/** What a product's code depends on; the sizes themselves may vary. */
export interface MatmulSource {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** Rows of a tile. */
  readonly rows: number
  /** Columns of a tile, four in each. */
  readonly vectors: number
  /** n where it is less than a tile is wide. */
  readonly narrow: number | undefined
  /** Whether b is copied, as many columns as a tile has at a time, to where it is read in order. */
  readonly packs: boolean
  /** Whether a, which is given transposed, is first turned. */
  readonly turns: boolean
  /** Whether a product and its sum are rounded once. */
  readonly fuses: boolean
  /** Whether k is above 256, so that sums are carried on in float64. */
  readonly isDeep: boolean
}

export interface MatmulPlaces {
  readonly a: Int
  readonly b: Int
  readonly out: Int
  /** Room for the float64 sums of a tile, the packed columns of b and a turned, see {@link matmulScratch}. */
  readonly scratch: Int
  readonly m: Int
  readonly n: Int
  readonly k: Int
  /**
   * m and n of the whole product, where this is some rows or columns of it: rows in memory are that long. Such a part has
   * no fewer than {@link WIDEST} of what is divided.
   */
  readonly wholeM: Int
  readonly wholeN: Int
}

/** Bytes of scratch that a product needs, with tiles of any kind. Columns of b are packed four rows of k at a time. */
export function matmulScratch({ packs, turns }: MatmulSource, m: number, k: number): number {
  return SUMS + (packs ? panelBytes(WIDEST / 4, k) : 0) + (turns ? m * k * 4 : 0)
}

const panelBytes = (vectors: number, k: number): number => vectors * 16 * (k + 3)

/** The code that multiplies [m, k] by [k, n] best. */
export function matmulSource(
  transposeA: boolean,
  transposeB: boolean,
  m: number,
  n: number,
  k: number,
): MatmulSource {
  const { rows, vectors, fuses } = tileFor(m, n, k)
  // With one column, or one row of k, b lies in memory as its transpose does.
  const isTransposedB = transposeB && n > 1 && k > 1
  const isTransposedA = transposeA && m > 1 && k > 1
  return {
    transposeA: isTransposedA,
    transposeB: isTransposedB,
    rows,
    vectors,
    narrow: n < WIDEST && n % 4 !== 0 ? n : undefined,
    packs: isTransposedB || (m > 32 && n > 64),
    // Far apart rows are slow to read a few columns at a time, once they do not all stay in the nearest cache.
    turns: isTransposedA && m >= 16 && k >= 16 && n >= 32 && m * k > 16_384,
    fuses,
    isDeep: k > DEPTH,
  }
}

type Tile = Pick<MatmulSource, 'rows' | 'vectors' | 'fuses'>

/**
 * The tile that multiplies [m, k] by [k, n] soonest. Which one it is changes no number: each is a sum in the order of k. Whether
 * products and sums are rounded once does, so it depends on nothing but the engine and {@link isPortable}.
 */
function tileFor(m: number, n: number, k: number): Tile {
  const { madd, keepsMore } = relaxed()
  const fuses = madd && !isPortable()
  const tile = (rows: number, vectors: number): Tile => ({ rows: Math.min(rows, m), vectors, fuses })
  if (n < WIDEST) return tile(ROWS[Math.ceil(n / 4) - 1]!, Math.ceil(n / 4))
  // The last tile overlaps the one before it: the fewer are computed twice the better. Wide and high ones are faster.
  if (fuses && keepsMore)
    return tile(
      leastBy(MORE_ROWS, (rows) => Math.ceil(m / rows) * (rows + 2)),
      2,
    )
  // As many columns as have room in the nearest cache.
  const widths = k > 1024 ? [2] : [4, 2]
  const vectors = leastBy(widths, (count) => Math.ceil(n / (4 * count)) * (4 * count + 0.5))
  return tile(ROWS[vectors - 1]!, vectors)
}

/** The first of those that cost least. */
function leastBy(all: readonly number[], cost: (x: number) => number): number {
  return all.reduce((best, x) => (cost(x) < cost(best) ? x : best))
}

/** What is done to a tile's values before they are stored. */
export interface Epilogue {
  /** Bytes from row to row of where they are stored, unless rows follow one another. */
  readonly step?: number | undefined
  /** What else is gone along row by row, over as many columns: where it begins, and bytes from row to row. */
  readonly others: readonly { readonly start: Local; readonly step: number }[]
  /**
   * Given the vector of sums for the columns that begin `column` and `offset` bytes into a row, to be stored `offset`
   * bytes after `at`, and as many after each of `others` what lies there, returns the vector to be stored.
   */
  finish(sums: Local, column: Local, at: Local, offset: number, others: readonly Local[]): Local
}

/** Tiles of rows and columns, sums in registers. Panels of columns at the right and rows at the bottom overlap the ones before them. */
export function writeMatmul(c: Code, source: MatmulSource, places: MatmulPlaces, finish?: Epilogue): void {
  const { rows, vectors, packs, turns, transposeB } = source
  const { m, n, k, wholeM, wholeN, scratch } = places
  const width = vectors * 4
  const columnBytes = c.product(wholeN, 4)
  const kBytes = c.product(k, 4)
  const panel = c.sum(scratch, SUMS)
  if (turns) {
    const a = packs ? c.sum(c.product(k, width * 4), c.sum(panel, panelBytes(vectors, 0))) : panel
    const fromStep = c.product(wholeM, 4)
    c.each(k, 16, (p) => {
      const from = c.sum(c.product(p, fromStep), places.a)
      writeTranspose(c, {
        from,
        to: c.sum(c.product(p, 4), a),
        rows: 16,
        columns: m,
        fromStep,
        toStep: kBytes,
      })
    })
    writeMatmul(c, { ...source, transposeA: false, turns: false }, { ...places, a }, finish)
    return
  }
  const bColumn = c.local('i32')
  const outColumn = c.local('i32')
  const columnAt = c.local('i32')
  c.each(n, Math.min(width, source.narrow ?? width), (j) => {
    c.op(j, 4, 'i32.mul').set(columnAt)
    c.op(places.out, columnAt, 'i32.add').set(outColumn)
    if (transposeB) c.op(places.b, j, kBytes, 'i32.mul', 'i32.add').set(bColumn)
    else c.op(places.b, columnAt, 'i32.add').set(bColumn)
    if (packs) pack(c, source, bColumn, panel, columnBytes, kBytes, k)
    const b: Int = packs ? panel : bColumn
    const bStep: Int = packs ? width * 4 : columnBytes
    c.each(m, rows, (i) =>
      writeTile(c, source, { ...places, i, b, bStep, outColumn, columnAt, columnBytes, kBytes }, finish),
    )
  })
}

function least(c: Code, a: Local, b: Int, to: Local): void {
  c.op(a, b, a, b, 'i32.lt_u', 'select').set(to)
}

/** Copies the columns at hand of b to the panel: a row for each of k. */
function pack(
  c: Code,
  { transposeB, vectors, narrow }: MatmulSource,
  from: Local,
  to: Int,
  columnBytes: Int,
  kBytes: Int,
  k: Int,
): void {
  const rowBytes = vectors * 16
  if (transposeB) {
    writeTranspose(c, {
      from,
      to,
      fromStep: kBytes,
      toStep: rowBytes,
      rows: narrow ?? rowBytes / 4,
      columns: k,
    })
    return
  }
  const source = c.copyOf(from)
  const target = c.copyOf(to)
  const p = c.copyOf(0)
  c.loop(p, k, 1, () => {
    for (let at = 0; at < rowBytes; at += 16)
      c.get(target).get(source).memory('v128.load', at).memory('v128.store', at)
    c.advance(source, columnBytes).advance(target, rowBytes)
  })
}

interface TilePlaces extends MatmulPlaces {
  readonly i: Local
  readonly bStep: Int
  readonly outColumn: Local
  readonly columnAt: Local
  readonly columnBytes: Int
  readonly kBytes: Int
}

function writeTile(c: Code, source: MatmulSource, places: TilePlaces, finish: Epilogue | undefined): void {
  const { rows, vectors, isDeep } = source
  const { k, scratch } = places
  const sums = Array.from({ length: rows * vectors }, () => c.local('v128'))
  const clear = (): void => {
    for (const sum of sums) c.f32x4(0).set(sum)
  }
  clear()
  const add = products(c, source, places, sums)
  if (!isDeep) add(k)
  else {
    c.clear(scratch, sums.length * 32)
    const p = c.copyOf(0)
    const left = c.local('i32')
    c.loop(p, k, DEPTH, () => {
      clear()
      c.op(k, p, 'i32.sub').set(left)
      least(c, left, DEPTH, left)
      add(left)
      sums.forEach((sum, s) => addTo(c, scratch, s * 32, sum))
    })
    sums.forEach((sum, s) => {
      const half = (offset: number): Local =>
        keep(c, () =>
          c
            .op(scratch)
            .memory('v128.load', s * 32 + offset)
            .op('f32x4.demote_f64x2_zero'),
        )
      const [low, high] = [half(0), half(16)]
      c.get(low).get(high).shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]).set(sum)
    })
  }
  storeTile(c, source, places, sums, finish)
}

/**
 * The innermost loop: `add(count)` adds the products of the next `count` steps of k to the sums. What V8 makes of it decides how
 * fast products are: numbers to be splat are loaded at no offset where pointers can do without, and between steps the loop may end,
 * without which V8 would load the vectors of all steps first and have no registers left for them.
 */
function products(
  c: Code,
  { transposeA, rows, vectors, fuses }: MatmulSource,
  { a, b, i, wholeM, bStep, kBytes }: TilePlaces,
  sums: readonly Local[],
): (count: Int) => void {
  const bAt = c.copyOf(b)
  // For each row of the tile; or for each step, of which a row of a transposed holds all.
  const aStep: Int = transposeA ? c.product(wholeM, 4) : kBytes
  const first = keepInt(c, () => c.op(a, i, transposeA ? 4 : kBytes, 'i32.mul', 'i32.add'))
  const pointers = [first]
  while (pointers.length < (transposeA ? UNROLLED : rows))
    pointers.push(c.copyOf(c.sum(pointers.at(-1)!, aStep)))
  const turn: Int = transposeA ? c.product(aStep, UNROLLED) : 4 * UNROLLED
  // Where the step is known, so is how far the rows of one turn are away from its first.
  const isKnown = typeof bStep === 'number'
  const step = (u: number): void => {
    const columns = Array.from({ length: vectors }, (_, v) =>
      keep(c, () => c.get(bAt).memory('v128.load', (isKnown ? u * bStep : 0) + v * 16)),
    )
    for (let r = 0; r < rows; r++) {
      const x = keep(c, () =>
        c.get(pointers[transposeA ? u : r]!).memory('v128.load32_splat', (transposeA ? r : u) * 4),
      )
      for (let v = 0; v < vectors; v++) {
        const sum = sums[r * vectors + v]!
        if (fuses) c.get(x).get(columns[v]!).get(sum).op('f32x4.relaxed_madd').set(sum)
        else c.get(sum).get(x).get(columns[v]!).op('f32x4.mul', 'f32x4.add').set(sum)
      }
    }
    if (!isKnown) c.advance(bAt, bStep)
  }
  return (count) => {
    const left = c.copyOf(count)
    c.block(() =>
      c.repeat(() => {
        for (let u = 0; u < UNROLLED; u++) {
          step(u)
          if (u + 1 < UNROLLED) c.op(left, u + 1, 'i32.eq').leaveIf(1)
        }
        if (isKnown) c.advance(bAt, bStep * UNROLLED)
        for (const pointer of pointers) c.advance(pointer, turn)
        c.op(left, UNROLLED, 'i32.sub').tee(left)
      }),
    )
  }
}

/** Adds the lanes of a vector to four float64 sums in memory. */
function addTo(c: Code, at: Int, offset: number, x: Local): void {
  c.op(at, at).memory('v128.load', offset).get(x).op('f64x2.promote_low_f32x4', 'f64x2.add')
  c.memory('v128.store', offset)
  c.op(at, at).memory('v128.load', offset + 16)
  c.get(x).get(x).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])
  c.op('f64x2.promote_low_f32x4', 'f64x2.add').memory('v128.store', offset + 16)
}

function storeTile(
  c: Code,
  { rows, vectors, narrow }: MatmulSource,
  { i, outColumn, columnAt, columnBytes }: TilePlaces,
  sums: readonly Local[],
  finish: Epilogue | undefined,
): void {
  const at = c.local('i32')
  const step = finish?.step ?? columnBytes
  c.op(outColumn, i, step, 'i32.mul', 'i32.add').set(at)
  const others = (finish?.others ?? []).map((other) => {
    const place = c.local('i32')
    c.op(other.start, columnAt, 'i32.add', i, other.step, 'i32.mul', 'i32.add').set(place)
    return place
  })
  for (let r = 0; r < rows; r++) {
    for (let v = 0; v < vectors; v++) {
      const sum = sums[r * vectors + v]!
      const value = finish === undefined ? sum : finish.finish(sum, columnAt, at, v * 16, others)
      const width = narrow === undefined ? 4 : Math.min(4, narrow - v * 4)
      if (width === 4)
        c.get(at)
          .get(value)
          .memory('v128.store', v * 16)
      else
        for (let lane = 0; lane < width; lane++)
          c.get(at)
            .get(value)
            .storeLane(32, v * 16 + lane * 4, lane)
    }
    if (r + 1 === rows) return
    c.advance(at, step)
    others.forEach((other, k) => c.advance(other, finish!.others[k]!.step))
  }
}

/** out[i] = a[i, …k] · b for m rows of a, up to four at a time. Sums are kept in float64, in which products are exact. */
export function writeMatVec(c: Code, { rows }: Pick<MatmulSource, 'rows'>, places: MatmulPlaces): void {
  const { m, k } = places
  const kBytes = c.product(k, 4)
  const whole = typeof k === 'number' ? k & ~3 : keepInt(c, () => c.op(k, ~3, 'i32.and'))
  c.each(m, rows, (i) => {
    const sums = Array.from({ length: rows * 2 }, () => c.local('v128'))
    for (const sum of sums) c.f64x2(0).set(sum)
    const pointers = Array.from({ length: rows }, () => c.local('i32'))
    c.op(places.a, i, kBytes, 'i32.mul', 'i32.add').set(pointers[0]!)
    for (let r = 1; r < rows; r++) c.op(pointers[r - 1]!, kBytes, 'i32.add').set(pointers[r]!)
    const b = c.local('i32')
    c.op(places.b).set(b)
    const p = c.local('i32')
    c.op(0).set(p)
    c.op(whole)
    c.if(() =>
      c.loop(p, whole, 4, () => {
        const y = halves(c, () => c.get(b).memory('v128.load'))
        pointers.forEach((pointer, r) => {
          const x = halves(c, () => c.get(pointer).memory('v128.load'))
          for (const half of [0, 1] as const) {
            const sum = sums[r * 2 + half]!
            c.get(sum).get(x[half]).get(y[half]).op('f64x2.mul', 'f64x2.add').set(sum)
          }
          c.advance(pointer, 16)
        })
        c.advance(b, 16)
      }),
    )
    const totals = pointers.map((_, r) => {
      const total = c.local('f64')
      const both = keep(c, () =>
        c
          .get(sums[r * 2]!)
          .get(sums[r * 2 + 1]!)
          .op('f64x2.add'),
      )
      c.get(both).lane('f64x2', 0).get(both).lane('f64x2', 1).op('f64.add').set(total)
      return total
    })
    // The last one to three, one by one.
    c.op(p, k, 'i32.lt_u')
    c.if(() =>
      c.loop(p, k, 1, () => {
        const y = c.local('f64')
        c.get(b).memory('f32.load').op('f64.promote_f32').set(y)
        pointers.forEach((pointer, r) => {
          const total = totals[r]!
          c.get(total).get(pointer).memory('f32.load').op('f64.promote_f32')
          c.get(y).op('f64.mul', 'f64.add').set(total)
          c.advance(pointer, 4)
        })
        c.advance(b, 4)
      }),
    )
    const at = c.local('i32')
    c.op(places.out, i, 4, 'i32.mul', 'i32.add').set(at)
    totals.forEach((total, r) =>
      c
        .get(at)
        .get(total)
        .op('f32.demote_f64')
        .memory('f32.store', r * 4),
    )
  })
}

/** Four float32 numbers as two vectors of float64. */
function halves(c: Code, write: () => void): readonly [Local, Local] {
  const all = keep(c, write)
  const low = keep(c, () => c.get(all).op('f64x2.promote_low_f32x4'))
  const high = keep(c, () =>
    c
      .get(all)
      .get(all)
      .shuffle([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])
      .op('f64x2.promote_low_f32x4'),
  )
  return [low, high]
}

function keepInt(c: Code, write: () => void): Local {
  write()
  const local = c.local('i32')
  c.set(local)
  return local
}
