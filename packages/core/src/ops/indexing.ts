import type { Aval } from '../backend.js'
import { floatx, type NumericDType } from '../dtype.js'
import { ShapeError, show, ValueError } from '../errors.js'
import { call, checkNumeric, defineOp, type Operand, type Result, type Row } from '../op.js'
import { checkAxis, formatShape, sameShape, type Sizes } from '../shape.js'
import { arange, tensor, zeros } from '../tensor.js'
import { equal } from './comparison.js'
import { expandDims } from './movement.js'
import { cast } from './select.js'

interface AxisAttrs {
  readonly axis: number
}

/** Positions as a whole-number tensor, or as (nested) numbers. */
export type Indices = Operand | readonly number[] | readonly (readonly number[])[]

const gatherRow: Row<'x' | 'indices', AxisAttrs> = defineOp({
  name: 'gather',
  args: ['x', 'indices'],
  bounds: {
    arg: 'indices',
    what: 'index',
    limit: ([x], { axis }) => x!.shape[checkAxis('gather', axis, x!.shape.length)]!,
  },
  infer([x, indices], { axis }) {
    const along = checkAxis('gather', axis, x!.shape.length)
    checkWhole('gather', indices!)
    return { shape: gathered(x!.shape, along, indices!.shape), dtype: x!.dtype }
  },
  kernel: ({ axis }, [x]) => ({ kind: 'gather', axis: checkAxis('gather', axis, x!.shape.length) }),
  vjp: {
    x: ({ g, x, indices, attrs: { axis } }) => scatterAdd(zeros(x.shape, g.dtype), indices, g, axis),
    indices: null,
  },
})

/** x's shape with `axis` replaced by the axes of the indices. */
function gathered(shape: Sizes, axis: number, indices: Sizes): number[] {
  return shape.toSpliced(axis, 1, ...indices)
}

function checkWhole(op: string, indices: Aval): void {
  checkNumeric(op, indices)
  if (indices.dtype !== 'int32' && indices.dtype !== 'uint8')
    throw new ValueError(
      `${op}: indices must be whole numbers (int32), got ${indices.dtype}; cast(x, 'int32') first`,
      {
        op,
      },
    )
}

/**
 * Slices of x along `axis` in the order of `indices` (NumPy's take): x's shape with `axis` replaced by theirs.
 * Repeated indices add up in the gradient.
 * @throws ValueError for an index outside 0..side-1 or of a float dtype.
 */
export function gather<X extends Operand>(x: X, indices: Indices, axis: number = 0): Result<X> {
  return call(gatherRow, [x, asIndices(indices)], { axis }) as Result<X>
}

function asIndices(indices: Indices): Operand {
  if (typeof indices !== 'number' && !Array.isArray(indices)) return indices as Operand
  return tensor(indices as number | number[], { dtype: 'int32' })
}

const scatterAddRow: Row<'x' | 'indices' | 'updates', AxisAttrs> = defineOp({
  name: 'scatterAdd',
  args: ['x', 'indices', 'updates'],
  bounds: {
    arg: 'indices',
    what: 'index',
    limit: ([x], { axis }) => x!.shape[checkAxis('scatterAdd', axis, x!.shape.length)]!,
  },
  infer([x, indices, updates], { axis }) {
    const along = checkAxis('scatterAdd', axis, x!.shape.length)
    checkWhole('scatterAdd', indices!)
    checkNumeric('scatterAdd', updates!)
    const expected = gathered(x!.shape, along, indices!.shape)
    if (!sameShape(updates!.shape, expected))
      throw new ShapeError(
        `scatterAdd: updates must be ${formatShape(expected)} for ${formatShape(x!.shape)} and indices ` +
          `${formatShape(indices!.shape)} on axis ${along}, got ${formatShape(updates!.shape)}`,
        { op: 'scatterAdd', shapes: [x!.shape, indices!.shape, updates!.shape] },
      )
    return x!
  },
  kernel: ({ axis }, [x]) => ({ kind: 'scatterAdd', axis: checkAxis('scatterAdd', axis, x!.shape.length) }),
  vjp: {
    x: ({ g }) => g,
    indices: null,
    updates: ({ g, indices, attrs: { axis } }) => gather(g, indices, axis),
  },
})

/**
 * x with updates[k] added at indices[k] along `axis`; where an index repeats, all of its updates are added.
 * @throws ValueError for an index out of range; ShapeError unless updates have the shape of gather(x, indices, axis).
 */
export function scatterAdd<X extends Operand, U extends Operand>(
  x: X,
  indices: Indices,
  updates: U,
  axis: number = 0,
): Result<X | U> {
  return call(scatterAddRow, [x, asIndices(indices), updates], { axis }) as Result<X | U>
}

/**
 * A new last axis of `depth` with 1 at the index and 0 elsewhere.
 * @throws ValueError for an index outside 0..depth-1.
 */
export function oneHot<X extends Operand>(
  indices: X | readonly number[],
  depth: number,
  dtype: NumericDType = floatx(),
): Result<X> {
  if (!Number.isInteger(depth) || depth < 1)
    throw new ValueError(`oneHot: depth must be a whole number >= 1, got ${show(depth)}`, { op: 'oneHot' })
  const checked = call(classesRow, [asIndices(indices as Indices)], { depth })
  return cast(equal(expandDims(checked, -1), arange(0, depth, 1, 'int32')), dtype) as Result<X>
}

/** The indices themselves, once they are known to be in range. */
const classesRow: Row<'indices', { readonly depth: number }> = defineOp({
  name: 'oneHot',
  args: ['indices'],
  bounds: { arg: 'indices', what: 'index', limit: (_, { depth }) => depth },
  infer([indices]) {
    checkWhole('oneHot', indices!)
    return indices!
  },
  kernel: () => ({ kind: 'view' }),
  vjp: null,
})
