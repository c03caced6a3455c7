import type { Tensor } from '@adjoint/core'

/** Plain numbers in row-major order: what naive references compute with. */
export interface Nd {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

export function ndOf(x: Tensor): Nd {
  return { shape: x.shape, data: [...x.dataSync()] }
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, side) => size * side, 1)
}

/** Every index of `shape`, in row-major order. */
export function indicesOf(shape: readonly number[]): number[][] {
  const size = shape.reduce((a, b) => a * b, 1)
  const index = shape.map(() => 0)
  return Array.from({ length: size }, () => {
    const copy = index.slice()
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0
    return copy
  })
}

/** The array whose element at each index is `f(index)`. */
export function build(shape: readonly number[], f: (index: readonly number[]) => number): Nd {
  return { shape, data: indicesOf(shape).map(f) }
}

/** The element at `index`. Axes of side 1 are broadcast, and so are missing axes in front. */
export function at({ shape, data }: Nd, index: readonly number[]): number {
  const own = index.slice(index.length - shape.length)
  let flat = 0
  shape.forEach((side, axis) => (flat = flat * side + (side === 1 ? 0 : own[axis]!)))
  return data[flat]!
}

/** The shape that all broadcast to. */
export function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, axis) => {
    const sides = shapes.map((shape) => shape[axis - (rank - shape.length)] ?? 1)
    return sides.find((side) => side !== 1) ?? 1
  })
}

/** The elements of x at the indices that differ from `index` in `axes` only. */
export function along(x: Nd, axes: readonly number[], index: readonly number[]): number[] {
  const others = x.shape.map((side, axis) => (axes.includes(axis) ? side : 1))
  return indicesOf(others).map((offset) =>
    at(
      x,
      offset.map((o, axis) => (axes.includes(axis) ? o : index[axis]!)),
    ),
  )
}

/** Reduces x over `axes` with `f`. */
export function reduce(
  x: Nd,
  axis: number | readonly number[] | null,
  keepDims: boolean,
  f: (values: readonly number[]) => number,
): Nd {
  const axes = axesOf(axis, x.shape.length)
  const kept = x.shape.map((side, i) => (axes.includes(i) ? 1 : side))
  const { data } = build(kept, (index) => f(along(x, axes, index)))
  return { shape: keepDims ? kept : x.shape.filter((_, i) => !axes.includes(i)), data }
}

export function axesOf(axis: number | readonly number[] | null, rank: number): number[] {
  if (axis === null) return Array.from({ length: rank }, (_, i) => i)
  return [axis].flat().map((a) => (a < 0 ? a + rank : a))
}
