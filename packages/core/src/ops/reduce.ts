import type { Aval } from '../aval.js'
import type { ReduceOp } from '../backend.js'
import { type DType, toFloat } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { call, checkNumeric, defineOp, type Operand, type Result, type Row, type Rule } from '../op.js'
import { checkAxes, checkAxis, formatShape, reducedShape, sizeOf } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { div, mul, sub } from './arithmetic.js'
import { equal } from './comparison.js'
import { productBefore } from './cumulative.js'
import { exp } from './exponential.js'
import { broadcastTo, reshape, transpose } from './movement.js'
import { cast, where } from './select.js'

/** Axes to reduce over; null or left out means all. Negative axes count from the end. */
export type Axes = number | readonly number[] | null

export interface ReduceAttrs {
  readonly axis: Axes
  readonly keepDims: boolean
}

export type ReduceRow = Row<'x', ReduceAttrs>

/** @internal */
export function reduction(
  op: ReduceOp,
  dtype: (x: Aval) => DType,
  hasIdentity: boolean,
  rule: Rule<'x', ReduceAttrs> | null,
): ReduceRow {
  return defineOp({
    name: op,
    args: ['x'],
    infer([x], { axis, keepDims }) {
      checkNumeric(op, x!)
      const axes = checkAxes(op, axis, x!.shape.length)
      const shape = reducedShape(x!.shape, axes, keepDims)
      if (!hasIdentity && sizeOf(shape) > 0 && sizeOf(x!.shape) === 0) throw emptyAxis(op, x!)
      return { shape, dtype: dtype(x!) }
    },
    kernel: ({ axis }, [x]) => ({ kind: 'reduce', op, axes: checkAxes(op, axis, x!.shape.length) }),
    vjp: rule && { x: rule },
  })
}

function emptyAxis(op: string, x: Aval): ShapeError {
  return new ShapeError(
    `${op}: ${formatShape(x.shape)} is reduced over an empty axis, and ${op} of nothing is undefined`,
    {
      op,
      shapes: [x.shape],
    },
  )
}

/** `y`, reduced from x, with its reduced axes back as sides of 1: broadcasts against x. @internal */
export function withDims(y: Tensor, x: Tensor, axis: Axes): Tensor {
  return reshape(y, reducedShape(x.shape, checkAxes('reshape', axis, x.shape.length), true))
}

/** Whole numbers are summed as int32, also bool. */
const summed = (x: Aval): DType => (x.dtype === 'bool' || x.dtype === 'uint8' ? 'int32' : x.dtype)

const sumRow = reduction('sum', summed, true, ({ g, x, attrs }) =>
  broadcastTo(withDims(g, x, attrs.axis), x.shape),
)

const meanRow = reduction(
  'mean',
  (x) => toFloat('mean', x.dtype),
  true,
  ({ g, x, out, attrs }) => div(broadcastTo(withDims(g, x, attrs.axis), x.shape), x.size / out.size),
)

/** The gradient of max and min goes to the extreme values, in equal shares where several are. */
const toExtremes: Rule<'x', ReduceAttrs> = ({ g, x, out, attrs }) => {
  const isExtreme = cast(equal(x, withDims(out, x, attrs.axis)), g.dtype)
  return mul(div(isExtreme, sum(isExtreme, attrs.axis, true)), withDims(g, x, attrs.axis))
}
const maxRow = reduction('max', (x) => x.dtype, false, toExtremes)
const minRow = reduction('min', (x) => x.dtype, false, toExtremes)

/** Sum over `axis`. bool and uint8 are summed as int32. The sum of nothing is 0. */
export function sum<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(sumRow, [x], { axis, keepDims }) as Result<X>
}

/** Mean over `axis`. The mean of nothing is NaN. */
export function mean<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(meanRow, [x], { axis, keepDims }) as Result<X>
}

/** Largest value over `axis`; NaN where there is one. Ties share the gradient. */
export function max<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(maxRow, [x], { axis, keepDims }) as Result<X>
}

/** Smallest value over `axis`; NaN where there is one. Ties share the gradient. */
export function min<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(minRow, [x], { axis, keepDims }) as Result<X>
}

const float = (op: string) => (x: Aval) => toFloat(op, x.dtype)

const prodRow = reduction('prod', summed, true, ({ g, x, attrs }) =>
  mul(productOfOthers(x, checkAxes('prod', attrs.axis, x.rank)), withDims(g, x, attrs.axis)),
)

/** For each element the product of all others over `axes`: right with zeros, where dividing by the element is not. */
function productOfOthers(x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const perm = [...kept, ...axes]
  const moved = transpose(x, perm)
  const flat = reshape(moved, [...kept.map((axis) => x.shape[axis]!), sizeOf(axes.map((a) => x.shape[a]!))])
  const last = flat.rank - 1
  const others = mul(productBefore(flat, last, false), productBefore(flat, last, true))
  return transpose(
    reshape(others, moved.shape),
    x.shape.map((_, axis) => perm.indexOf(axis)),
  )
}

const logSumExpRow = reduction('logSumExp', float('logSumExp'), true, ({ g, x, out, attrs }) => {
  // Of a row of -Infinity every share is 0.
  const finite = where(equal(out, -Infinity), 0, out)
  return mul(withDims(g, x, attrs.axis), exp(sub(x, withDims(finite, x, attrs.axis))))
})

const toBool = (): DType => 'bool'
const anyRow = reduction('any', toBool, true, null)
const allRow = reduction('all', toBool, true, null)

/** Product over `axis`. bool and uint8 count as int32. The product of nothing is 1. */
export function prod<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(prodRow, [x], { axis, keepDims }) as Result<X>
}

/** log(sum(exp(x))) over `axis`, without overflow; -Infinity of nothing. The gradient is the softmax of x. */
export function logSumExp<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(logSumExpRow, [x], { axis, keepDims }) as Result<X>
}

/** Whether any value over `axis` is not 0. False of nothing. */
export function any<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(anyRow, [x], { axis, keepDims }) as Result<X>
}

/** Whether no value over `axis` is 0. True of nothing. */
export function all<X extends Operand>(x: X, axis: Axes = null, keepDims: boolean = false): Result<X> {
  return call(allRow, [x], { axis, keepDims }) as Result<X>
}

function argReduction(op: 'max' | 'min'): Row<'x', { readonly axis: number }> {
  const name = op === 'max' ? 'argMax' : 'argMin'
  return defineOp({
    name,
    args: ['x'],
    infer([x], { axis }) {
      checkNumeric(name, x!)
      const along = checkAxis(name, axis, x!.shape.length)
      if (x!.shape[along] === 0) throw emptyAxis(name, x!)
      return { shape: reducedShape(x!.shape, [along], false), dtype: 'int32' }
    },
    kernel: ({ axis }, [x]) => ({ kind: 'argReduce', op, axis: checkAxis(name, axis, x!.shape.length) }),
    vjp: null,
  })
}
const argMaxRow = argReduction('max')
const argMinRow = argReduction('min')

/** Position of the first largest value along `axis`, as int32; the first NaN counts as the largest. */
export function argMax<X extends Operand>(x: X, axis: number = -1): Result<X> {
  return call(argMaxRow, [x], { axis }) as Result<X>
}

/** Position of the first smallest value along `axis`, as int32; the first NaN counts as the smallest. */
export function argMin<X extends Operand>(x: X, axis: number = -1): Result<X> {
  return call(argMinRow, [x], { axis }) as Result<X>
}
