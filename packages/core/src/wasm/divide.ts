import type { Aval } from '../aval.js'
import type { Kernel } from '../backend.js'
import { BYTES } from '../dtype.js'
import type { Expr } from '../expr/tree.js'
import { MOST_PARTS } from '../threads/control.js'
import type { Choice } from './choose.js'
import { isSeries } from './lanes.js'

// Which kernels several threads can share. Only outputs are divided, never a sum: so the numbers are the same however many
// parts there are.

/** How a kernel is divided into parts: units of its output in a row, each of which moves its operands on. */
export interface Division {
  readonly units: number
  /** In bytes, for each operand. */
  readonly steps: readonly number[]
  /** Which of the kernel's sizes tells how much a part has, and how much of it a unit is. The last part takes the rest. */
  readonly size: number
  readonly perUnit: number
  /** Whether parts write up to three elements beyond their end, to be written anew by what comes after them. */
  readonly reachesOver?: boolean
  /** About how many multiplications and additions as fast as those of a product all of it costs. */
  readonly work: number
}

/** What is worth to be divided. Tests make it less. */
export const grain = {
  /** Less work than this is done sooner than another thread has begun with it. */
  least: 60_000,
  /** A part has at least so much, as long as there are no more than {@link PARTS}. */
  ofPart: 30_000,
}
/** A few more than there are threads: whoever is sooner done takes more of them. */
const PARTS = 8
/** A part takes milliseconds at most: a thread that does not come back within much more than that is lost. */
const MOST_OF_PART = 250e6

/** Into how many parts it is worth to be divided; 1 for not at all. */
export function partsOf({ units, work }: Division, least = 1): number {
  if (work < grain.least || units < 2) return 1
  const many = Math.max(Math.ceil(work / MOST_OF_PART), least)
  const wanted = Math.max(Math.min(Math.floor(work / grain.ofPart), PARTS), many)
  return Math.min(units, wanted, MOST_PARTS)
}

/** Columns and rows that are not torn apart: a line of the cache, and no less than a tile of a product has. */
export const LINE = 16

export function divide(
  { kind, ...details }: Kernel,
  inputs: readonly Aval[],
  { sizes }: Choice,
): Division | undefined {
  switch (kind) {
    case 'matmul':
      return divideProduct(details as Product, sizes)
    case 'reduce':
      return divideReduction((details as { readonly op: string }).op, sizes)
    case 'softmax': {
      const [outer, count, inner] = sizes as [number, number, number]
      const bytes = count * inner * 4
      return {
        reachesOver: outer > 1 && inner === 1 && count % 4 !== 0,
        units: outer,
        steps: [bytes, bytes],
        size: 0,
        perUnit: 1,
        work: SERIES * outer * count * inner,
      }
    }
    case 'argReduce': {
      const [outer, count, inner] = sizes as [number, number, number]
      const steps = [count * inner * 4, inner * 4]
      return { units: outer, steps, size: 0, perUnit: 1, work: 4 * outer * count * inner }
    }
    case 'slice':
    case 'permute': {
      const loops = (sizes.length - 3) / 3
      if (loops === 0) return undefined
      const counts = sizes.slice(3, 3 + loops)
      const steps = [sizes[3 + loops]!, sizes[3 + 2 * loops]!]
      const copies = counts.reduce((a, b) => a * b, 1)
      return { units: counts[0]!, steps, size: 3, perUnit: 1, work: copies * (4 + sizes[2]! / 4) }
    }
    case 'concat': {
      const [rows, step, ...widths] = sizes as [number, number, ...number[]]
      const work = rows * (4 * widths.length + step / 4)
      return { units: rows, steps: [...widths, step], size: 0, perUnit: 1, work }
    }
    case 'gather': {
      const [outer, count, side, bytes] = sizes as [number, number, number, number]
      const work = outer * count * (4 + bytes / 4)
      return outer > 1
        ? { units: outer, steps: [side * bytes, 0, count * bytes], size: 0, perUnit: 1, work }
        : { units: count, steps: [0, BYTES[inputs[1]!.dtype], bytes], size: 1, perUnit: 1, work }
    }
    case 'scatterAdd': {
      const [outer, count, side, inner] = sizes as [number, number, number, number]
      const [rows, updates] = [side * inner * 4, count * inner * 4]
      const work = 4 * outer * (side + count) * inner
      return { units: outer, steps: [rows, 0, updates, rows], size: 0, perUnit: 1, work }
    }
    default:
      return undefined
  }
}

/** The work of a function like exp. */
const SERIES = 30

/** About the work of a formula for one element. */
export function workOf(e: Expr): number {
  switch (e.kind) {
    case 'call1':
      return workOf(e.x) + (isSeries(e.fn) ? SERIES : 1)
    case 'call2':
      return workOf(e.x) + workOf(e.y) + (e.fn === 'pow' ? 2 * SERIES : 1)
    case 'select':
      return workOf(e.test) + workOf(e.a) + workOf(e.b) + 1
    default:
      return 0
  }
}

type Product = Pick<Extract<Kernel, { kind: 'matmul' }>, 'transposeA' | 'transposeB'>

function divideProduct({ transposeA, transposeB }: Product, sizes: readonly number[]): Division | undefined {
  const [m, n, k, ...loops] = sizes as [number, number, number, ...number[]]
  const depth = loops.length / 3
  if (depth > 0) {
    const [units, ...others] = loops.slice(0, depth) as [number, ...number[]]
    const products = others.reduce((a, b) => a * b, 1)
    const steps = [loops[depth]!, loops[2 * depth]!, products * m * n * 4]
    return { units, steps, size: 3, perUnit: 1, work: units * products * m * n * k }
  }
  const work = m * n * k
  // By columns, so that each part of b is packed once, unless all of a were turned for each; by rows what has many more.
  const turnsLess = transposeA && m >= 2 * LINE && (transposeB ? m > 2 * n : m > n / 2)
  if (n >= 2 * LINE && m < 8 * n && !turnsLess) {
    const steps = [0, LINE * 4 * (transposeB ? k : 1), LINE * 4]
    return { units: Math.floor(n / LINE), steps, size: 1, perUnit: LINE, work }
  }
  const steps = [LINE * 4 * (transposeA ? 1 : k), 0, LINE * 4 * n]
  return { units: Math.floor(m / LINE), steps, size: 0, perUnit: LINE, work }
}

function divideReduction(op: string, sizes: readonly number[]): Division | undefined {
  const [outer, count, inner] = sizes as [number, number, number]
  const work = (op === 'logSumExp' ? SERIES : 3) * outer * count * inner
  if (inner === 1 || outer > 1) {
    // Four columns are stored at a time.
    if (inner > 1 && inner % 4 !== 0) return undefined
    const perUnit = inner === 1 && outer >= 4 * LINE ? LINE : 1
    const steps = [perUnit * count * inner * 4, perUnit * inner * 4]
    return { units: Math.floor(outer / perUnit), steps, size: 0, perUnit, work }
  }
  return { units: Math.floor(inner / LINE), steps: [LINE * 4, LINE * 4], size: 2, perUnit: LINE, work }
}
