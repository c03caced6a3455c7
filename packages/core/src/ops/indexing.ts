import type { Aval } from '../aval.js'
import { floatx, type NumericDType } from '../dtype.js'
import { ShapeError, show, ValueError } from '../errors.js'
import {
  call,
  checkNumeric,
  composite,
  defineOp,
  type Operand,
  type Result,
  type Row,
  sidesOf,
} from '../op.js'
import { broadcastShapes, checkAxis, formatShape, sameShape, type Sizes, sizeOf } from '../shape.js'
import { arange, type Tensor, tensor, zeros } from '../tensor.js'
import { add, mul } from './arithmetic.js'
import { equal } from './comparison.js'
import { broadcastTo, expandDims, reshape } from './movement.js'
import { cast } from './select.js'
import { part } from './slicing.js'

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
export function gather<X extends Operand, I extends Indices>(
  x: X,
  indices: I,
  axis: number = 0,
): Result<X | Extract<I, Operand>> {
  return call(gatherRow, [x, asIndices(indices)], { axis }) as Result<X | Extract<I, Operand>>
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
export function oneHot<X extends Indices>(
  indices: X,
  depth: number,
  dtype: NumericDType = floatx(),
): Result<Extract<X, Operand>> {
  if (!Number.isInteger(depth) || depth < 1)
    throw new ValueError(`oneHot: depth must be a whole number >= 1, got ${show(depth)}`, { op: 'oneHot' })
  const checked = call(oneHotIndicesRow, [asIndices(indices)], { limit: depth })
  return cast(equal(expandDims(checked, -1), arange(0, depth, 1, 'int32')), dtype) as Result<
    Extract<X, Operand>
  >
}

interface CheckedAttrs {
  readonly limit: number
}

/** The indices themselves, once they are known to be in range: for ops that compute with them. */
function checkedIndices(op: string): Row<'indices', CheckedAttrs> {
  return defineOp({
    name: op,
    args: ['indices'],
    bounds: { arg: 'indices', what: 'index', limit: (_, { limit }) => limit },
    infer([indices]) {
      checkWhole(op, indices!)
      return indices!
    },
    kernel: () => ({ kind: 'view' }),
    vjp: null,
  })
}

const oneHotIndicesRow = checkedIndices('oneHot')
const alongIndicesRow = checkedIndices('takeAlongAxis')
const ndIndicesRow = checkedIndices('gatherND')

const takeAlongAxisRow: Row<'x' | 'indices', AxisAttrs> = composite({
  name: 'takeAlongAxis',
  args: ['x', 'indices'],
  compose([x, indices], { axis }) {
    const along = checkAxis('takeAlongAxis', axis, x!.rank)
    if (x!.rank !== indices!.rank)
      throw new ShapeError(
        `takeAlongAxis: ${formatShape(x!.shape)} and indices ${formatShape(indices!.shape)} differ in rank`,
        { op: 'takeAlongAxis', shapes: [x!.shape, indices!.shape] },
      )
    const others = broadcastShapes('takeAlongAxis', x!.shape.with(along, 1), indices!.shape.with(along, 1))
    const side = x!.shape[along]!
    const out = others.with(along, indices!.shape[along]!)
    const outer = sizeOf(others.slice(0, along))
    const inner = sizeOf(others.slice(along + 1))
    const checked = call(alongIndicesRow, [indices!], { limit: side })
    // As positions in x, flattened: of [outer, side, inner] the one at [o, index, j].
    const index = reshape(broadcastTo(checked, out), [outer, out[along]!, inner])
    const rows = reshape(arange(0, outer, 1, 'int32'), [outer, 1, 1])
    const flat = add(mul(add(mul(rows, side), index), inner), arange(0, inner, 1, 'int32'))
    return reshape(
      gather(reshape(broadcastTo(x!, others.with(along, side)), [outer * side * inner]), flat),
      out,
    )
  },
})

/**
 * For each position of `indices` the element of x whose position along `axis` is the index, and which is at the same
 * place otherwise; other axes broadcast. Picks the values that argMax found.
 * @throws ValueError for an index outside 0..side-1.
 */
export function takeAlongAxis<X extends Operand, I extends Indices>(
  x: X,
  indices: I,
  axis: number = -1,
): Result<X | Extract<I, Operand>> {
  return call(takeAlongAxisRow, [x, asIndices(indices)], { axis }) as Result<X | Extract<I, Operand>>
}

const gatherNDRow: Row<'x' | 'indices', object> = composite({
  name: 'gatherND',
  args: ['x', 'indices'],
  compose([x, indices]) {
    const { shape } = x!
    const depth = indices!.shape[indices!.rank - 1]
    if (depth === undefined || depth > shape.length)
      throw new ShapeError(
        `gatherND: indices ${formatShape(indices!.shape)} need a last axis of at most ${shape.length}, ` +
          `one position for each axis of ${formatShape(shape)}`,
        { op: 'gatherND', shapes: [shape, indices!.shape] },
      )
    const batch = indices!.shape.slice(0, -1)
    const front = shape.slice(0, depth)
    const flat = reshape(x!, [sizeOf(front), ...shape.slice(depth)])
    let at: Tensor = zeros(batch, 'int32')
    front.forEach((side, axis) => {
      const index = call(ndIndicesRow, [reshape(part(indices!, -1, axis, 1), batch)], { limit: side })
      at = add(mul(at, side), index)
    })
    return gather(flat, at)
  },
})

/**
 * The elements or slices of x at the positions that the last axis of `indices` lists.
 * @throws ValueError for an index out of range.
 */
export function gatherND<X extends Operand, I extends Indices>(
  x: X,
  indices: I,
): Result<X | Extract<I, Operand>> {
  return call(gatherNDRow, [x, asIndices(indices)], {}) as Result<X | Extract<I, Operand>>
}

/** The rows of `table` at the indices: indices of any shape, with a last axis for the row. */
export function embedding<T extends Operand, X extends Indices>(
  table: T,
  indices: X,
): Result<T | Extract<X, Operand>> {
  const sides = sidesOf(table)
  if (sides.length !== 2)
    throw new ShapeError(`embedding: the table must be a matrix, got ${formatShape(sides)}`, {
      op: 'embedding',
      shapes: [sides],
    })
  return call(gatherRow, [table, asIndices(indices)], { axis: 0 }) as Result<T | Extract<X, Operand>>
}
