import type { Code, Int, Local } from './code.js'
import { keep } from './vector-math.js'

/** So many products are summed in float32 before they are added up in float64. */
const DEPTH = 256
/** Columns of a tile: two vectors. */
const WIDTH = 8

/** What a product's code depends on; the sizes themselves may vary. */
export interface MatmulSource {
  readonly transposeA: boolean
  readonly transposeB: boolean
  /** Rows of a tile: 4, or m where that is less. */
  readonly tileRows: number
  /** n where it is less than a tile is wide. */
  readonly narrow: number | undefined
  /** Whether b is copied, panel by panel, to where it is read in order. */
  readonly packs: boolean
  /** Whether k is above 256, so that sums are carried on in float64. */
  readonly isDeep: boolean
}

export interface MatmulPlaces {
  readonly a: Int
  readonly b: Int
  readonly out: Int
  /** Room for a panel of b (32 k bytes) and the float64 sums of a tile (256 bytes) before it. */
  readonly scratch: Int
  readonly m: Int
  readonly n: Int
  readonly k: Int
  /** m and n of the whole product, where this is some rows or columns of it: rows in memory are that long. */
  readonly wholeM: Int
  readonly wholeN: Int
}

/** Bytes of scratch that a product of this depth needs. */
export function matmulScratch(k: number): number {
  return 256 + k * WIDTH * 4
}

/** The code that multiplies [m, k] by [k, n] best. */
export function matmulSource(
  transposeA: boolean,
  transposeB: boolean,
  m: number,
  n: number,
  k: number,
): MatmulSource {
  const narrow = n < WIDTH ? n : undefined
  // With one column, or one row of k, b lies in memory as its transpose does.
  const isTransposedB = transposeB && n > 1 && k > 1
  const isTransposedA = transposeA && m > 1 && k > 1
  return {
    transposeA: isTransposedA,
    transposeB: isTransposedB,
    tileRows: Math.min(m, 4),
    narrow,
    packs: isTransposedB || narrow !== undefined || (m > 8 && n > 64),
    isDeep: k > DEPTH,
  }
}

/**
 * What is done to a tile's values before they are stored: given the vector of sums for the columns that begin `column`
 * and `offset` bytes into a row, to be stored `offset` bytes after `at`, returns the vector to be stored.
 */
export type Epilogue = (c: Code, sums: Local, column: Local, at: Local, offset: number) => Local

/** Tiles of rows and columns, sums in registers. Panels of columns at the right and rows at the bottom overlap the ones before them. */
export function writeMatmul(c: Code, source: MatmulSource, places: MatmulPlaces, finish?: Epilogue): void {
  const { tileRows, narrow, packs } = source
  const { m, n, k } = places
  const columnBytes = c.product(places.wholeN, 4)
  const panel = c.sum(places.scratch, 256)
  const kBytes = c.product(k, 4)
  const lastRow = typeof m === 'number' ? m - tileRows : diff(c, m, tileRows)
  /** Where the panel at hand begins, in columns. */
  const j = c.copyOf(0)
  const panels = (body: () => void): void => {
    if (narrow !== undefined) {
      body()
      return
    }
    const lastColumn = typeof n === 'number' ? n - WIDTH : diff(c, n, WIDTH)
    const next = c.copyOf(0)
    c.loop(next, n, WIDTH, () => {
      least(c, next, lastColumn, j)
      body()
    })
  }
  const bColumn = c.local('i32')
  const outColumn = c.local('i32')
  const columnAt = c.local('i32')
  panels(() => {
    c.get(j).op(4, 'i32.mul').set(columnAt)
    c.op(places.out, columnAt, 'i32.add').set(outColumn)
    if (source.transposeB) c.op(places.b, j, kBytes, 'i32.mul', 'i32.add').set(bColumn)
    else c.op(places.b, columnAt, 'i32.add').set(bColumn)
    if (packs) pack(c, source, bColumn, panel, columnBytes, kBytes, places)
    const b: Int = packs ? panel : bColumn
    const bStep: Int = packs ? WIDTH * 4 : columnBytes
    const i = c.local('i32')
    const tile = (): void =>
      writeTile(c, source, { ...places, i, b, bStep, outColumn, columnAt, columnBytes, kBytes }, finish)
    if (m === tileRows || tileRows < 4) {
      c.op(0).set(i)
      tile()
    } else {
      const next = c.copyOf(0)
      c.op(0).set(next)
      c.loop(next, m, tileRows, () => {
        least(c, next, lastRow, i)
        tile()
      })
    }
  })
}

function diff(c: Code, a: Local, b: number): Local {
  const result = c.local('i32')
  c.op(a, b, 'i32.sub').set(result)
  return result
}

function least(c: Code, a: Local, b: Int, to: Local): void {
  c.op(a, b, a, b, 'i32.lt_u', 'select').set(to)
}

/** Copies the columns at hand of b to the panel: k rows of eight, missing columns as zeros. */
function pack(
  c: Code,
  { transposeB, narrow }: MatmulSource,
  from: Local,
  panel: Int,
  rowBytes: Int,
  kBytes: Int,
  { k }: MatmulPlaces,
): void {
  const at = c.copyOf(from)
  const to = c.copyOf(panel)
  const i = c.copyOf(0)
  const width = narrow ?? WIDTH
  if (transposeB) {
    // Column by column, each of which lies in a row of memory.
    const column = c.local('i32')
    c.op(0).set(i)
    c.op(from).set(at)
    c.op(panel).set(to)
    c.loop(i, k, 1, () => {
      c.op(at).set(column)
      for (let lane = 0; lane < WIDTH; lane++) {
        if (lane < width)
          c.get(to)
            .get(column)
            .memory('f32.load')
            .memory('f32.store', lane * 4)
        else
          c.get(to)
            .f32(0)
            .memory('f32.store', lane * 4)
        if (lane + 1 < width) c.advance(column, kBytes)
      }
      c.advance(at, 4).advance(to, WIDTH * 4)
    })
    return
  }
  c.op(0).set(i)
  c.op(from).set(at)
  c.op(panel).set(to)
  c.loop(i, k, 1, () => {
    if (width === WIDTH) {
      c.get(to).get(at).memory('v128.load').memory('v128.store')
      c.get(to).get(at).memory('v128.load', 16).memory('v128.store', 16)
    } else
      for (let lane = 0; lane < WIDTH; lane++)
        if (lane < width)
          c.get(to)
            .get(at)
            .memory('f32.load', lane * 4)
            .memory('f32.store', lane * 4)
        else
          c.get(to)
            .f32(0)
            .memory('f32.store', lane * 4)
    c.advance(at, rowBytes).advance(to, WIDTH * 4)
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
  const { transposeA, tileRows, narrow, isDeep } = source
  const { i, k, wholeM, kBytes, scratch } = places
  const vectors = narrow !== undefined && narrow <= 4 ? 1 : 2
  const sums = Array.from({ length: tileRows * vectors }, () => c.local('v128'))
  const clear = (): void => {
    for (const sum of sums) c.f32x4(0).set(sum)
  }
  clear()
  const b = c.copyOf(places.b)
  c.op(places.b).set(b)
  // A row's pointer each; a transposed tile's rows lie beside one another.
  const pointers = Array.from({ length: transposeA ? 1 : tileRows }, () => c.local('i32'))
  if (transposeA) c.op(places.a, i, 4, 'i32.mul', 'i32.add').set(pointers[0]!)
  else {
    c.op(places.a, i, kBytes, 'i32.mul', 'i32.add').set(pointers[0]!)
    for (let r = 1; r < tileRows; r++) c.op(pointers[r - 1]!, kBytes, 'i32.add').set(pointers[r]!)
  }
  const aStep: Int = transposeA ? c.product(wholeM, 4) : 4
  const step = (): void => {
    const columns = Array.from({ length: vectors }, (_, v) =>
      keep(c, () => c.get(b).memory('v128.load', v * 16)),
    )
    for (let r = 0; r < tileRows; r++) {
      const x = keep(c, () =>
        c.get(pointers[transposeA ? 0 : r]!).memory('v128.load32_splat', transposeA ? r * 4 : 0),
      )
      for (let v = 0; v < vectors; v++) {
        const sum = sums[r * vectors + v]!
        c.get(sum).get(x).get(columns[v]!).op('f32x4.mul', 'f32x4.add').set(sum)
      }
    }
    c.advance(b, places.bStep)
    for (const pointer of pointers) c.advance(pointer, aStep)
  }
  const p = c.copyOf(0)
  c.op(0).set(p)
  if (!isDeep) c.loop(p, k, 1, step)
  else {
    const wide = sums.length * 32
    c.clear(scratch, wide)
    const end = c.local('i32')
    c.op(0).set(end)
    c.loop(p, k, 0, () => {
      const until = c.local('i32')
      c.get(p).op(DEPTH, 'i32.add').set(until)
      least(c, until, k, end)
      clear()
      c.loop(p, end, 1, step)
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
  storeTile(c, source, places, sums, vectors, finish)
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
  { tileRows, narrow }: MatmulSource,
  { i, outColumn, columnAt, columnBytes }: TilePlaces,
  sums: readonly Local[],
  vectors: number,
  finish: Epilogue | undefined,
): void {
  const at = c.local('i32')
  c.op(outColumn, i, columnBytes, 'i32.mul', 'i32.add').set(at)
  for (let r = 0; r < tileRows; r++) {
    for (let v = 0; v < vectors; v++) {
      const sum = sums[r * vectors + v]!
      const value = finish === undefined ? sum : finish(c, sum, columnAt, at, v * 16)
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
    if (r + 1 < tileRows) c.advance(at, columnBytes)
  }
}

/** out[i] = a[i, …k] · b for m rows of a, up to four at a time. Sums are kept in float64, in which products are exact. */
export function writeMatVec(
  c: Code,
  { tileRows }: { readonly tileRows: number },
  places: MatmulPlaces,
): void {
  const { m, k } = places
  const kBytes = c.product(k, 4)
  const whole = typeof k === 'number' ? k & ~3 : keepInt(c, () => c.op(k, ~3, 'i32.and'))
  const rows = (i: Local): void => {
    const sums = Array.from({ length: tileRows * 2 }, () => c.local('v128'))
    for (const sum of sums) c.f64x2(0).set(sum)
    const pointers = Array.from({ length: tileRows }, () => c.local('i32'))
    c.op(places.a, i, kBytes, 'i32.mul', 'i32.add').set(pointers[0]!)
    for (let r = 1; r < tileRows; r++) c.op(pointers[r - 1]!, kBytes, 'i32.add').set(pointers[r]!)
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
  }
  const i = c.local('i32')
  if (m === tileRows || tileRows < 4) {
    c.op(0).set(i)
    rows(i)
    return
  }
  const lastRow = typeof m === 'number' ? m - tileRows : diff(c, m, tileRows)
  const next = c.local('i32')
  c.op(0).set(next)
  c.loop(next, m, tileRows, () => {
    least(c, next, lastRow, i)
    rows(i)
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
