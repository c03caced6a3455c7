import type { Aval, ReduceOp } from '../backend.js'
import { type DType, toFloat } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { call, checkNumeric, defineOp, type Operand, type Result, type Row, type Rule } from '../op.js'
import { checkAxes, checkAxis, formatShape, reducedShape, sizeOf } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { div, mul } from './arithmetic.js'
import { equal } from './comparison.js'
import { broadcastTo, reshape } from './movement.js'
import { cast } from './select.js'

/** Axes to reduce over; null or left out means all. Negative axes count from the end. */
export type Axes = number | readonly number[] | null

interface ReduceAttrs {
  readonly axis: Axes
  readonly keepDims: boolean
}

type ReduceRow = Row<'x', ReduceAttrs>

function reduction(
  op: ReduceOp,
  dtype: (x: Aval) => DType,
  hasIdentity: boolean,
  rule: Rule<'x', ReduceAttrs>,
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
    vjp: { x: rule },
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

/** `y`, reduced from x, with its reduced axes back as sides of 1: broadcasts against x. */
function withDims(y: Tensor, x: Tensor, axis: Axes): Tensor {
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
  const isExtreme = cast(equal(x, withDims(out, x, attrs.axis)), 'float64')
  const shares = cast(div(isExtreme, sum(isExtreme, attrs.axis, true)), g.dtype)
  return mul(shares, withDims(g, x, attrs.axis))
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
