import type { NumericArray } from '../dtype.js'
import { sizeOf, type Sizes } from '../shape.js'

/** Depth of one pass over k. Partial sums of passes are added up, which also bounds the rounding error. */
const DEPTH = 256

const panel = new Float64Array(DEPTH * 4)

/**
 * Batched matrix product: out[…, m, n] = a[…, m, k] · b[…, k, n], a or b stored transposed where the flag says so.
 * Sums are kept in float64. Four columns of b at a time are packed into a panel that stays in the first-level cache.
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
  const sums = k > DEPTH && !(out instanceof Float64Array) ? new Float64Array(m * n) : undefined
  for (let batch = 0; batch < batches; batch++) {
    const to = sums ?? out
    const base = sums === undefined ? batch * m * n : 0
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
    if (sums !== undefined) for (let i = 0; i < sums.length; i++) out[batch * m * n + i] = sums[i]!
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

/** Adds the product over k0 <= k < k1 to out (or stores it, for the first pass). */
function multiply(
  a: NumericArray,
  aBase: number,
  [aRow, aCol]: readonly [number, number],
  b: NumericArray,
  bBase: number,
  [bRow, bCol]: readonly [number, number],
  out: NumericArray,
  base: number,
  m: number,
  n: number,
  k0: number,
  k1: number,
): void {
  const depth = k1 - k0
  for (let j = 0; j < n; j += 4) {
    const width = Math.min(4, n - j)
    pack(b, bBase + k0 * bRow + j * bCol, bRow, bCol, depth, width)
    for (let i = 0; i < m; i++) {
      let c0 = 0
      let c1 = 0
      let c2 = 0
      let c3 = 0
      for (let p = 0, at = aBase + i * aRow + k0 * aCol; p < depth * 4; p += 4, at += aCol) {
        const x = a[at]!
        c0 += x * panel[p]!
        c1 += x * panel[p + 1]!
        c2 += x * panel[p + 2]!
        c3 += x * panel[p + 3]!
      }
      const to = base + i * n + j
      if (k0 > 0) {
        c0 += out[to]!
        if (width > 1) c1 += out[to + 1]!
        if (width > 2) c2 += out[to + 2]!
        if (width > 3) c3 += out[to + 3]!
      }
      out[to] = c0
      if (width > 1) out[to + 1] = c1
      if (width > 2) out[to + 2] = c2
      if (width > 3) out[to + 3] = c3
    }
  }
}

/** Copies [depth, width] of b into the panel, row by row, four to a row. */
function pack(b: NumericArray, from: number, bRow: number, bCol: number, depth: number, width: number): void {
  for (let k = 0; k < depth; k++)
    for (let j = 0; j < 4; j++) panel[k * 4 + j] = j < width ? b[from + k * bRow + j * bCol]! : 0
}
