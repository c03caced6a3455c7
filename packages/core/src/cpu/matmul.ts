import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'
import type { Numbers } from './functions.js'

/** Depth of one pass over k: so many products are summed one after another. */
const DEPTH = 256

const panel = new Float64Array(DEPTH * 4)

/**
 * Batched matrix product: out[…, m, n] = a[…, m, k] · b[…, k, n], a or b stored transposed where the flag says so.
 * Sums are kept in float64, those of several passes over k with what rounding took from them. Four columns of b at a
 * time are packed into a panel that stays in the first-level cache.
 */
export function matmul(
  flags: { readonly transposeA: boolean; readonly transposeB: boolean },
  a: NumericArray,
  aShape: Sizes,
  b: NumericArray,
  bShape: Sizes,
  out: NumericArray,
  outShape: Sizes,
): void {
  const rank = outShape.length
  const m = outShape[rank - 2]!
  const n = outShape[rank - 1]!
  const k = aShape[aShape.length - (flags.transposeA ? 2 : 1)]!
  const aStart = batchStarts(aShape, outShape)
  const bStart = batchStarts(bShape, outShape)
  const aStrides: readonly [number, number] = flags.transposeA ? [1, m] : [k, 1]
  const bStrides: readonly [number, number] = flags.transposeB ? [1, k] : [n, 1]
  const batches = sizeOf(outShape.slice(0, -2))
  const passes = k > DEPTH ? new Passes(m * n) : undefined
  for (let batch = 0; batch < batches; batch++) {
    const to = passes ?? out
    const base = passes === undefined ? batch * m * n : 0
    for (let k0 = 0; k0 < k; k0 += DEPTH)
      multiply(
        a,
        aStart[batch]! * m * k,
        aStrides,
        b,
        bStart[batch]! * k * n,
        bStrides,
        to,
        base,
        m,
        n,
        k0,
        Math.min(k, k0 + DEPTH),
      )
    passes?.finish(out, batch * m * n)
  }
}

/** For each batch of the output, which batch of the operand belongs to it. */
function batchStarts(shape: Sizes, outShape: Sizes): number[] {
  let starts = [0]
  const rank = outShape.length
  let stride = sizeOf(shape.slice(0, -2))
  for (let axis = 0; axis < rank - 2; axis++) {
    const own = axis - (rank - shape.length)
    const side = own < 0 ? 1 : shape[own]!
    stride /= side === 0 ? 1 : side
    const step = side === 1 ? 0 : stride
    starts = starts.flatMap((start) => Array.from({ length: outShape[axis]! }, (_, i) => start + i * step))
  }
  return starts
}

/** Sums of passes over k, which lose nothing to rounding until they are finished (Knuth's two-sum). */
class Passes {
  readonly #sums: Float64Array
  readonly #lost: Float64Array

  constructor(size: number) {
    this.#sums = new Float64Array(size)
    this.#lost = new Float64Array(size)
  }

  add(at: number, next: number, isFirst: boolean): void {
    if (isFirst) {
      this.#sums[at] = next
      this.#lost[at] = 0
      return
    }
    const before = this.#sums[at]!
    const sum = before + next
    const added = sum - before
    this.#sums[at] = sum
    this.#lost[at]! += before - (sum - added) + (next - added)
  }

  finish(out: NumericArray, base: number): void {
    // What an infinite sum lost is NaN.
    for (let i = 0; i < this.#sums.length; i++) {
      const sum = this.#sums[i]!
      out[base + i] = Number.isFinite(sum) ? sum + this.#lost[i]! : sum
    }
  }
}

/** Adds the product over k0 <= k < k1 to the sums of passes, or stores it where there is one pass. */
function multiply(
  a: NumericArray,
  aBase: number,
  [aRow, aCol]: readonly [number, number],
  b: NumericArray,
  bBase: number,
  [bRow, bCol]: readonly [number, number],
  out: NumericArray | Passes,
  base: number,
  m: number,
  n: number,
  k0: number,
  k1: number,
): void {
  const depth = k1 - k0
  if (n === 1) {
    // A matrix times a vector: one sum for each row, and nothing to pack.
    for (let i = 0; i < m; i++) {
      let sum = 0
      for (
        let k = 0, p = aBase + i * aRow + k0 * aCol, q = bBase + k0 * bRow;
        k < depth;
        k++, p += aCol, q += bRow
      )
        sum += a[p]! * b[q]!
      sums[0] = sum
      store(out, base + i, 0, 1, k0 === 0)
    }
    return
  }
  for (let j = 0; j < n; j += 4) {
    const width = Math.min(4, n - j)
    pack(b, bBase + k0 * bRow + j * bCol, bRow, bCol, depth, width)
    for (let i = 0; i < m; i += 2) {
      // The last row of an odd number is computed twice over; the second result is not stored.
      const hasTwo = i + 1 < m
      const at = aBase + i * aRow + k0 * aCol
      tile(a, at, hasTwo ? at + aRow : at, aCol, depth)
      store(out, base + i * n + j, 0, width, k0 === 0)
      if (hasTwo) store(out, base + (i + 1) * n + j, 4, width, k0 === 0)
    }
  }
}

/** What the last call of `tile` computed: two rows of four. */
const sums = new Float64Array(8)

/** The product of two rows of a with the panel: eight sums in registers for six loads. */
function tile(a: NumericArray, first: number, second: number, step: number, depth: number): void {
  let p0 = 0
  let p1 = 0
  let p2 = 0
  let p3 = 0
  let q0 = 0
  let q1 = 0
  let q2 = 0
  let q3 = 0
  for (let p = 0; p < depth * 4; p += 4, first += step, second += step) {
    const x = a[first]!
    const y = a[second]!
    const b0 = panel[p]!
    const b1 = panel[p + 1]!
    const b2 = panel[p + 2]!
    const b3 = panel[p + 3]!
    p0 += x * b0
    p1 += x * b1
    p2 += x * b2
    p3 += x * b3
    q0 += y * b0
    q1 += y * b1
    q2 += y * b2
    q3 += y * b3
  }
  sums[0] = p0
  sums[1] = p1
  sums[2] = p2
  sums[3] = p3
  sums[4] = q0
  sums[5] = q1
  sums[6] = q2
  sums[7] = q3
}

function store(out: Numbers | Passes, to: number, from: number, width: number, isFirst: boolean): void {
  if (out instanceof Passes) for (let j = 0; j < width; j++) out.add(to + j, sums[from + j]!, isFirst)
  else for (let j = 0; j < width; j++) out[to + j] = sums[from + j]!
}

/** Copies [depth, width] of b into the panel, row by row, four to a row. */
function pack(b: NumericArray, from: number, bRow: number, bCol: number, depth: number, width: number): void {
  for (let k = 0; k < depth; k++)
    for (let j = 0; j < 4; j++) panel[k * 4 + j] = j < width ? b[from + k * bRow + j * bCol]! : 0
}
