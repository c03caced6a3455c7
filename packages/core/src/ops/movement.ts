import type { Aval } from '../aval.js'
import { ShapeError, show, ValueError } from '../errors.js'
import { ScalarFunction } from '../expr/scalar.js'
import { call, defineOp, type Operand, type Result, type Row } from '../op.js'
import {
  broadcastShapes,
  checkAxes,
  checkAxis,
  checkShape,
  formatShape,
  MAX_RANK,
  sameShape,
  type Sizes,
  sizeOf,
} from '../shape.js'

const reshapeRow: Row<'x', { readonly shape: Sizes }> = defineOp({
  name: 'reshape',
  args: ['x'],
  infer: ([x], { shape }) => ({ shape: completeShape('reshape', x!, shape), dtype: x!.dtype }),
  kernel: () => ({ kind: 'view' }),
  vjp: { x: ({ g, x }) => reshape(g, x.shape) },
})

/** `shape` with its -1 worked out. */
function completeShape(op: string, x: Aval, shape: Sizes): number[] {
  const free = shape.length > MAX_RANK ? -1 : shape.indexOf(-1)
  if (free < 0) {
    const sides = checkShape(op, shape, x.dtype)
    if (sizeOf(sides) !== sizeOf(x.shape))
      throw new ShapeError(
        `${op}: ${formatShape(x.shape)} has ${sizeOf(x.shape)} elements, ${formatShape(shape)} has ${sizeOf(sides)}`,
        { op, shapes: [x.shape, shape] },
      )
    return sides
  }
  const fail = (why: string): ShapeError =>
    new ShapeError(`${op}: ${formatShape(x.shape)} to ${formatShape(shape)}: ${why}`, {
      op,
      shapes: [x.shape, shape],
    })
  if (shape.includes(-1, free + 1)) throw fail('only one side may be -1')
  const others = checkShape(op, shape.toSpliced(free, 1), x.dtype)
  const known = sizeOf(others)
  if (known === 0) throw fail('-1 could be anything beside a side of 0')
  if (sizeOf(x.shape) % known !== 0) throw fail(`${sizeOf(x.shape)} elements cannot be divided by ${known}`)
  return others.toSpliced(free, 0, sizeOf(x.shape) / known)
}

/** The same values, row-major, under another shape; one side may be -1 and is worked out. */
export function reshape<X extends Operand>(x: X, shape: Sizes): Result<X> {
  if (!Array.isArray(shape))
    throw new ShapeError(`reshape: expected a shape such as [2, -1], got ${show(shape)}`)
  return call(reshapeRow, [x], { shape }) as Result<X>
}

const expandDimsRow: Row<'x', { readonly axis: number }> = defineOp({
  name: 'expandDims',
  args: ['x'],
  infer([x], { axis }) {
    return {
      shape: x!.shape.toSpliced(checkAxis('expandDims', axis, x!.shape.length + 1), 0, 1),
      dtype: x!.dtype,
    }
  },
  kernel: () => ({ kind: 'view' }),
  vjp: { x: ({ g, x }) => reshape(g, x.shape) },
})

/** A side of 1 put in at `axis` (of the result). */
export function expandDims<X extends Operand>(x: X, axis: number): Result<X> {
  return call(expandDimsRow, [x], { axis }) as Result<X>
}

const squeezeRow: Row<'x', { readonly axis: number | readonly number[] | null }> = defineOp({
  name: 'squeeze',
  args: ['x'],
  infer([x], { axis }) {
    const { shape, dtype } = x!
    if (axis === null) return { shape: shape.filter((side) => side !== 1), dtype }
    const axes = checkAxes('squeeze', axis, shape.length)
    for (const a of axes)
      if (shape[a] !== 1)
        throw new ShapeError(`squeeze: axis ${a} of ${formatShape(shape)} has size ${shape[a]}, not 1`, {
          op: 'squeeze',
          shapes: [shape],
        })
    return { shape: shape.filter((_, i) => !axes.includes(i)), dtype }
  },
  kernel: () => ({ kind: 'view' }),
  vjp: { x: ({ g, x }) => reshape(g, x.shape) },
})

/** Without the sides of 1 at `axis`; null or left out: without all of them. */
export function squeeze<X extends Operand>(x: X, axis: number | readonly number[] | null = null): Result<X> {
  return call(squeezeRow, [x], { axis }) as Result<X>
}

const transposeRow: Row<'x', { readonly perm: readonly number[] | null }> = defineOp({
  name: 'transpose',
  args: ['x'],
  infer([x], { perm }) {
    return { shape: permOf(x!.shape, perm).map((axis) => x!.shape[axis]!), dtype: x!.dtype }
  },
  kernel: ({ perm }, [x]) => ({ kind: 'permute', perm: permOf(x!.shape, perm) }),
  vjp: {
    x({ g, x, attrs }) {
      const perm = permOf(x.shape, attrs.perm)
      return transpose(
        g,
        perm.map((_, axis) => perm.indexOf(axis)),
      )
    },
  },
})

function permOf(shape: Sizes, perm: readonly number[] | null): number[] {
  const rank = shape.length
  if (perm === null) return shape.map((_, i) => rank - 1 - i)
  const fail = (): ValueError =>
    new ValueError(`transpose: perm ${show(perm)} is no permutation of 0..${rank - 1}`, { op: 'transpose' })
  if (!Array.isArray(perm) || perm.length !== rank) throw fail()
  const axes = perm.map((axis: unknown) => {
    if (typeof axis !== 'number' || !Number.isInteger(axis) || axis < -rank || axis >= rank) throw fail()
    return axis < 0 ? axis + rank : axis
  })
  if (new Set(axes).size !== rank) throw fail()
  return axes
}

/** Axes in another order: axis i of the result is axis perm[i] of x. Left out: reversed. */
export function transpose<X extends Operand>(x: X, perm: readonly number[] | null = null): Result<X> {
  return call(transposeRow, [x], { perm }) as Result<X>
}

const identity = new ScalarFunction('x', ['x'], [])

const broadcastToRow: Row<'x', { readonly shape: Sizes }> = defineOp({
  name: 'broadcastTo',
  args: ['x'],
  infer([x], { shape }) {
    const sides = checkShape('broadcastTo', shape, x!.dtype)
    const fits = x!.shape.length <= sides.length && sameShape(tryBroadcast(x!.shape, sides), sides)
    if (!fits)
      throw new ShapeError(
        `broadcastTo: ${formatShape(x!.shape)} does not broadcast to ${formatShape(sides)}`,
        {
          op: 'broadcastTo',
          shapes: [x!.shape, sides],
        },
      )
    return { shape: sides, dtype: x!.dtype }
  },
  kernel: (_, [x], out) =>
    sameShape(x!.shape, out.shape) ? { kind: 'view' } : { kind: 'map', fn: identity, params: [] },
  // Cotangents of another shape are summed back for every row, in backward.
  vjp: { x: ({ g }) => g },
})

function tryBroadcast(a: Sizes, b: Sizes): Sizes {
  try {
    return broadcastShapes('broadcastTo', a, b)
  } catch {
    return a
  }
}

/** x repeated along its sides of 1, and along new axes in front, until it has `shape`. */
export function broadcastTo<X extends Operand>(x: X, shape: Sizes): Result<X> {
  return call(broadcastToRow, [x], { shape }) as Result<X>
}
