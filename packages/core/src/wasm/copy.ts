import type { Code, Int, Local } from './code.js'

/** Copies element by element, or where rows lie in one piece row by row. */
export interface CopyPlaces {
  readonly from: Int
  readonly to: Int
  /** How often each loop runs, from the outermost. None is 0. */
  readonly counts: readonly Int[]
  /** In bytes, for each loop. */
  readonly fromSteps: readonly Int[]
  readonly toSteps: readonly Int[]
  /** Bytes copied in the innermost loop. */
  readonly bytes: Int
  /** What bytes is a multiple of: 1, 4 or 8. */
  readonly unit: number
}

/** Copies pieces of memory, in loops around one another. */
export function writeCopy(c: Code, places: CopyPlaces): void {
  const { counts, fromSteps, toSteps, bytes, unit } = places
  const nest = (axis: number, from: Int, to: Int): void => {
    if (axis === counts.length) {
      copyPiece(c, to, from, bytes, unit)
      return
    }
    const source = c.copyOf(from)
    const target = c.copyOf(to)
    const i = c.copyOf(0)
    c.loop(i, counts[axis]!, 1, () => {
      nest(axis + 1, source, target)
      c.advance(source, fromSteps[axis]!).advance(target, toSteps[axis]!)
    })
  }
  nest(0, places.from, places.to)
}

/** Pieces above this many bytes are left to the engine. */
const LONG = 256

function copyPiece(c: Code, to: Int, from: Int, bytes: Int, unit: number): void {
  if (typeof bytes === 'number') {
    if (bytes > LONG) c.copy(to, from, bytes)
    else copyKnown(c, to, from, bytes)
    return
  }
  c.op(bytes, LONG, 'i32.gt_u').ifElse(
    () => c.copy(to, from, bytes),
    () => {
      const source = c.copyOf(from)
      const target = c.copyOf(to)
      const i = c.copyOf(0)
      const vectors = c.local('i32')
      c.op(bytes, ~15, 'i32.and').set(vectors)
      c.op(vectors).if(() =>
        c.loop(i, vectors, 16, () => {
          c.get(target).get(source).memory('v128.load').memory('v128.store')
          c.advance(source, 16).advance(target, 16)
        }),
      )
      c.op(i, bytes, 'i32.lt_u').if(() =>
        c.loop(i, bytes, unit, () => {
          copyKnown(c, target, source, unit)
          c.advance(source, unit).advance(target, unit)
        }),
      )
    },
  )
}

const MOVES = [
  [16, 'v128.load', 'v128.store'],
  [8, 'f64.load', 'f64.store'],
  [4, 'i32.load', 'i32.store'],
  [1, 'i32.load8_u', 'i32.store8'],
] as const

function copyKnown(c: Code, to: Int, from: Int, bytes: number): void {
  let at = 0
  for (const [size, load, store] of MOVES)
    for (; at + size <= bytes; at += size) c.op(to, from).memory(load, at).memory(store, at)
}

/** Writes a value to so many bytes: four bytes again and again, or where these are alike a byte. */
export function writeFill(c: Code, to: Int, bytes: Int, bits: Int, isWord: boolean): void {
  if (!isWord) {
    c.fill(to, bits, bytes)
    return
  }
  const at = c.copyOf(to)
  const i = c.copyOf(0)
  c.loop(i, bytes, 4, () => {
    c.op(at, bits).memory('i32.store')
    c.advance(at, 4)
  })
}

/** How indices are stored. */
export type IndexType = 'int32' | 'uint8'

/** The index at an address; one that is out of range counts as the last, so that no other memory is touched. */
function loadIndex(c: Code, at: Int, type: IndexType, side: Int): Local {
  const raw = c.local('i32')
  c.op(at)
    .memory(type === 'int32' ? 'i32.load' : 'i32.load8_u')
    .set(raw)
  const last = c.local('i32')
  c.op(side, 1, 'i32.sub').set(last)
  const index = c.local('i32')
  c.op(raw, last, raw, last, 'i32.lt_u', 'select').set(index)
  return index
}

const indexBytes = (type: IndexType): number => (type === 'int32' ? 4 : 1)

export interface GatherPlaces {
  readonly x: Int
  readonly indices: Int
  readonly out: Int
  /** x is [outer, side, inner], of which a row has so many bytes; out is [outer, count, inner]. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly side: Int
  readonly bytes: Int
  readonly unit: number
}

/** out[o, k] = x[o, indices[k]] */
export function writeGather(c: Code, type: IndexType, places: GatherPlaces): void {
  const { outer, count, side, bytes, unit } = places
  const from = c.copyOf(places.x)
  const to = c.copyOf(places.out)
  const width = c.product(side, bytes)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const at = c.copyOf(places.indices)
    const k = c.copyOf(0)
    c.loop(k, count, 1, () => {
      const row = c.local('i32')
      c.op(loadIndex(c, at, type, side), bytes, 'i32.mul', from, 'i32.add').set(row)
      copyPiece(c, to, row, bytes, unit)
      c.advance(to, bytes).advance(at, indexBytes(type))
    })
    c.advance(from, width)
  })
}

export interface ScatterPlaces {
  readonly x: Int
  readonly indices: Int
  readonly updates: Int
  readonly out: Int
  /** x is [outer, side, inner] float32, updates are [outer, count, inner]. None is 0. */
  readonly outer: Int
  readonly count: Int
  readonly side: Int
  readonly inner: Int
  /** 4 (side + count) bytes, and 8 inner + 32 more. */
  readonly scratch: Int
}

/** The bytes of scratch that {@link writeScatterAdd} needs. */
export function scatterScratch(side: number, count: number, inner: number): number {
  return 4 * (side + count) + 8 * inner + 64
}

/**
 * out = x; out[o, indices[k]] += updates[o, k]. The updates of each row are first strung together, in order; then row by
 * row they are summed in float64 and rounded once.
 */
export function writeScatterAdd(c: Code, type: IndexType, places: ScatterPlaces): void {
  const { outer, count, side, inner } = places
  const rowBytes = c.product(inner, 4)
  /** For each row of x its first update and for each update the next one, counted from 1; 0 is none. */
  const firsts = places.scratch
  const sideBytes = c.product(side, 4)
  const nexts = c.sum(firsts, sideBytes)
  const sums = c.copyOf(c.sum(nexts, c.product(count, 4)))
  c.op(sums, 15, 'i32.add', ~15, 'i32.and').set(sums)
  c.clear(firsts, sideBytes)
  const k = c.copyOf(0)
  // From the last one, so that a row's updates end up in order.
  const at = c.local('i32')
  const next = c.local('i32')
  c.op(places.indices, c.product(c.sum(count, -1), indexBytes(type)), 'i32.add').set(at)
  c.op(nexts, c.product(c.sum(count, -1), 4), 'i32.add').set(next)
  c.loop(k, count, 1, () => {
    const first = c.local('i32')
    c.op(loadIndex(c, at, type, side), 2, 'i32.shl', firsts, 'i32.add').set(first)
    c.op(next, first).memory('i32.load').memory('i32.store')
    c.op(first, count, k, 'i32.sub').memory('i32.store')
    c.advance(at, -indexBytes(type)).advance(next, -4)
  })
  const from = c.copyOf(places.x)
  const to = c.copyOf(places.out)
  const updates = c.copyOf(places.updates)
  const o = c.copyOf(0)
  c.loop(o, outer, 1, () => {
    const row = c.copyOf(0)
    const link = c.copyOf(firsts)
    c.loop(row, side, 1, () => {
      const update = c.local('i32')
      c.op(link).memory('i32.load').set(update)
      c.op(update).ifElse(
        () => {
          const wide = c.local('i32')
          eachFour(c, inner, from, sums, (x, sum) => {
            c.get(sum).get(x).memory('v128.load64_zero').op('f64x2.promote_low_f32x4').memory('v128.store')
            c.get(sum).get(x).memory('v128.load64_zero', 8).op('f64x2.promote_low_f32x4')
            c.memory('v128.store', 16)
          })
          const term = c.local('i32')
          c.repeat(() => {
            c.op(update, 1, 'i32.sub', rowBytes, 'i32.mul', updates, 'i32.add').set(term)
            eachFour(c, inner, term, sums, (x, sum) => {
              for (const half of [0, 1]) {
                c.get(sum)
                  .get(sum)
                  .memory('v128.load', half * 16)
                c.get(x)
                  .memory('v128.load64_zero', half * 8)
                  .op('f64x2.promote_low_f32x4', 'f64x2.add')
                c.memory('v128.store', half * 16)
              }
            })
            c.op(nexts, update, 1, 'i32.sub', 2, 'i32.shl', 'i32.add').memory('i32.load').tee(update)
          })
          const i = c.copyOf(0)
          const target = c.copyOf(to)
          c.op(sums).set(wide)
          c.loop(i, inner, 1, () => {
            c.get(target).get(wide).memory('f64.load').op('f32.demote_f64').memory('f32.store')
            c.advance(target, 4).advance(wide, 8)
          })
        },
        () => copyPiece(c, to, from, rowBytes, 4),
      )
      c.advance(from, rowBytes).advance(to, rowBytes).advance(link, 4)
    })
    c.advance(updates, c.product(count, rowBytes))
  })
}

/** Goes along `inner` float32 numbers and as many float64 numbers, four at a time. */
function eachFour(c: Code, inner: Int, from: Int, sums: Int, body: (x: Local, sum: Local) => void): void {
  const x = c.copyOf(from)
  const sum = c.copyOf(sums)
  const i = c.copyOf(0)
  c.loop(i, inner, 4, () => {
    body(x, sum)
    c.advance(x, 16).advance(sum, 32)
  })
}
