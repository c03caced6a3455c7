import { DTypeError, show, ValueError } from '../errors.js'
import { checkDType, type DType, floatx, type NumericDType, promote } from '../dtype.js'
import {
  call,
  checkNumeric,
  constant,
  defineOp,
  elementwise,
  type Like,
  type Operand,
  type Params,
  type Result,
  type Row,
} from '../op.js'
import { broadcastShapes } from '../shape.js'
import { ScalarFunction } from '../expr/scalar.js'
import { logicalNot } from './comparison.js'
import type { Tensor } from '../tensor.js'

const pick = new ScalarFunction('cond ? x : y', ['cond', 'x', 'y'], [])

const whereRow: Row<'cond' | 'x' | 'y', object> = defineOp({
  name: 'where',
  args: ['cond', 'x', 'y'],
  fn: pick,
  infer([cond, x, y]) {
    if (cond!.dtype !== 'bool')
      throw new DTypeError(
        `where: the condition must be bool, got ${cond!.dtype}; compare it with something`,
        {
          op: 'where',
        },
      )
    const shape = broadcastShapes('where', cond!.shape, broadcastShapes('where', x!.shape, y!.shape))
    return { shape, dtype: promote('where', x!.dtype, y!.dtype) }
  },
  kernel: () => ({ kind: 'map', fn: pick, params: [] }),
  // The mask is applied to g itself, so nothing of the branch not taken is multiplied into the gradient.
  vjp: { cond: null, x: ({ g, cond }) => where(cond, g, 0), y: ({ g, cond }) => where(cond, 0, g) },
  reach: (at, [cond]) => (at === 1 ? cond! : logicalNot(cond!)),
})

/**
 * x where `cond` is true, else y. No gradient, and no NaN, comes from the branch not taken: the elementwise ops that made
 * it pass nothing on there either, so `where(x.greater(0), x.log(), 0)` has a gradient at 0. `cond` must be bool; two
 * numbers make a tensor of the default float.
 */
export function where<X extends Operand, Y extends Operand, C extends Operand>(
  cond: C,
  x: X,
  y: Y,
): Result<X | Y | C> {
  // Beside a tensor of numbers a number takes its dtype; the condition is none.
  const values: Operand[] =
    typeof x === 'number' && typeof y === 'number' ? [constant(x, floatx()), constant(y, floatx())] : [x, y]
  return call(whereRow, [cond, ...values], {}) as Result<X | Y | C>
}

const clipRow: Row<'x', Params<'min' | 'max'>> = elementwise({
  name: 'clip',
  args: ['x'],
  params: ['min', 'max'],
  expr: 'min(max(x, min), max)',
  dtype: 'same',
  vjp: { x: ({ g, x, attrs }) => gateWithin(g, x, attrs) },
})

/** y where min <= x <= max, else 0. */
const gateWithinRow: Row<'y' | 'x', Params<'min' | 'max'>> = elementwise({
  name: 'gateWithin',
  args: ['y', 'x'],
  params: ['min', 'max'],
  expr: 'min <= x && x <= max ? y : 0',
  vjp: { y: ({ g, x, attrs }) => gateWithin(g, x, attrs), x: null },
})
function gateWithin(y: Tensor, x: Tensor, range: Params<'min' | 'max'>): Tensor {
  return call(gateWithinRow, [y, x], range)
}

/**
 * x limited to [min, max]; null leaves a side open. The derivative is 1 inside and on the bounds, 0 outside.
 * @throws ValueError when min > max or a bound is NaN.
 */
export function clip<X extends Operand>(x: X, min: number | null, max: number | null): Like<X> {
  const low = min ?? -Infinity
  const high = max ?? Infinity
  if (typeof low !== 'number' || typeof high !== 'number' || !(low <= high))
    throw new ValueError(`clip: min ${show(min)} and max ${show(max)} are no range`, { op: 'clip' })
  return call(clipRow, [x], { min: low, max: high }) as Like<X>
}

const identity = new ScalarFunction('x', ['x'], [])
const truth = new ScalarFunction('x != 0', ['x'], [])

const castRow: Row<'x', { readonly dtype: DType }> = defineOp({
  name: 'cast',
  args: ['x'],
  infer([x], { dtype }) {
    checkNumeric('cast', x!)
    return { shape: x!.shape, dtype }
  },
  kernel: ({ dtype }, [x]) =>
    x!.dtype === dtype
      ? { kind: 'view' }
      : { kind: 'map', fn: dtype === 'bool' ? truth : identity, params: [] },
  vjp: { x: ({ g }) => g },
})

/**
 * The values as another dtype. For whole numbers fractions are cut off, what is too large wraps around, and NaN is 0;
 * bool is true for all but 0.
 */
export function cast<X extends Operand>(x: X, dtype: NumericDType): Like<X> {
  if (checkDType('cast', dtype) === 'string')
    throw new DTypeError('cast: numbers do not become strings', { op: 'cast' })
  return call(castRow, [x], { dtype }) as Like<X>
}

const stopGradientRow: Row<'x', object> = defineOp({
  name: 'stopGradient',
  args: ['x'],
  infer: ([x]) => x!,
  kernel: () => ({ kind: 'view' }),
  vjp: null,
})

/** x as a constant: no gradient flows through it. */
export function stopGradient<X extends Operand>(x: X): Like<X> {
  return call(stopGradientRow, [x], {}) as Like<X>
}
