import { BYTES, type DType } from './dtype.js'
import { LimitError, ShapeError, show, ValueError } from './errors.js'

/** One side of a shape; null where only the data will tell (the batch). */
export type Dim = number | null
export type Shape = readonly Dim[]
/** A shape whose sides are all known. */
export type Sizes = readonly number[]

/** Most bytes one tensor may have: what 32 bits can address. */
const MOST_BYTES = 2 ** 32
export const MAX_RANK = 32

/** As Array.isArray, but what is known of the elements stays known. */
export function isList(x: unknown): x is readonly unknown[] {
  return Array.isArray(x)
}

/** Whether all of a list pass, holes too: `every` and `some` pass over holes, however many a list claims to have. */
export function holdsFor(list: readonly unknown[], test: (x: unknown) => boolean): boolean {
  return list.findIndex((x) => !test(x)) < 0
}

/** `[2,3]`, `[null,3]` */
export function formatShape(shape: Shape): string {
  return `[${shape.map(String).join(',')}]`
}

export function sizeOf(shape: Sizes): number {
  let size = 1
  for (let i = 0; i < shape.length; i++) size *= shape[i]!
  return size
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Sizes): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]!
  }
  return strides
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/**
 * A copy of `shape` after checking it.
 * @throws ShapeError for a side that is no whole number >= 0; LimitError for more bytes than one tensor may have.
 */
export function checkShape(op: string, shape: unknown, dtype: DType = 'float32'): number[] {
  if (!Array.isArray(shape))
    throw new ShapeError(`${op}: expected a shape such as [2, 3], got ${show(shape)}`, { op })
  if (shape.length > MAX_RANK)
    throw new ShapeError(`${op}: rank ${shape.length} is over the limit of ${MAX_RANK}`, { op })
  const sides: number[] = []
  for (let i = 0; i < shape.length; i++) {
    const side: unknown = shape[i]
    if (typeof side !== 'number' || !Number.isInteger(side) || side < 0)
      throw new ShapeError(`${op}: dimension ${i} is ${show(side)}; it must be a whole number >= 0`, { op })
    sides.push(side)
  }
  checkSize(op, sides, dtype)
  return sides
}

/** @throws LimitError where a tensor of this shape would be too large. */
export function checkSize(op: string, shape: Sizes, dtype: DType): void {
  const bytes = sizeOf(shape) * BYTES[dtype]
  if (bytes > MOST_BYTES)
    throw new LimitError(
      `${op}: ${formatShape(shape)} ${dtype} needs ${bytes} bytes, over the limit of ${MOST_BYTES} for one tensor`,
      { op, shapes: [shape] },
    )
}

/** The shape that both broadcast to by NumPy's rule. */
export function broadcastShapes(op: string, a: Sizes, b: Sizes): Sizes {
  if (sameShape(a, b)) return a
  const rank = Math.max(a.length, b.length)
  const out = new Array<number>(rank)
  for (let i = 1; i <= rank; i++) {
    const p = i <= a.length ? a[a.length - i]! : 1
    const q = i <= b.length ? b[b.length - i]! : 1
    if (p !== q && p !== 1 && q !== 1)
      throw new ShapeError(
        `${op}: cannot broadcast ${formatShape(a)} with ${formatShape(b)}: ${p} and ${q} differ on axis ${-i}` +
          (a.length === b.length ? ` (axis ${rank - i})` : ''),
        { op, shapes: [a, b] },
      )
    out[rank - i] = p === 1 ? q : p
  }
  return out
}

/** `axis` counted from the front. @throws ValueError unless -rank <= axis < rank. */
export function checkAxis(op: string, axis: unknown, rank: number, name = 'axis'): number {
  if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const range = rank === 0 ? 'a scalar has no axes' : `allowed are ${-rank}..${rank - 1} for rank ${rank}`
    throw new ValueError(`${op}: ${name} ${show(axis)} is out of range; ${range}`, { op })
  }
  return axis < 0 ? axis + rank : axis
}

/** Axes in increasing order without repetition; null and undefined mean all. */
export function checkAxes(
  op: string,
  axis: number | readonly number[] | null | undefined,
  rank: number,
): number[] {
  if (axis === null || axis === undefined) return Array.from({ length: rank }, (_, i) => i)
  const list: readonly unknown[] = isList(axis) ? axis : [axis]
  // Before it is looked through: a list may claim any length.
  if (list.length > Math.max(rank, 1))
    throw new ValueError(`${op}: ${list.length} axes, ${show(axis)}, are too many for rank ${rank}`, { op })
  const axes = list.map((a) => checkAxis(op, a, rank))
  const sorted = axes.toSorted((a, b) => a - b)
  for (let i = 1; i < sorted.length; i++)
    if (sorted[i] === sorted[i - 1])
      throw new ValueError(`${op}: axis ${sorted[i]} is given twice in ${show(axis)}`, { op })
  return sorted
}

/** The shape after reducing over `axes` (sorted, from the front). */
export function reducedShape(shape: Sizes, axes: readonly number[], keepDims: boolean): number[] {
  const out: number[] = []
  for (let i = 0; i < shape.length; i++) {
    if (!axes.includes(i)) out.push(shape[i]!)
    else if (keepDims) out.push(1)
  }
  return out
}
