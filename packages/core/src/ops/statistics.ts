import { toFloat } from '../dtype.js'
import {
  call,
  checkNumber,
  checkNumeric,
  checkOption,
  defineOp,
  type Operand,
  type Result,
  type Row,
  type Unary,
  unary,
} from '../op.js'
import { checkOptions } from '../options.js'
import { checkAxes, reducedShape, sizeOf, type Sizes } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { isRecord } from '../tree.js'
import { abs, div, mul, sub } from './arithmetic.js'
import { equal } from './comparison.js'
import { type Axes, max, mean, type ReduceAttrs, reduction, sum, withDims } from './reduce.js'
import { where } from './select.js'

/** Options of {@link variance} and {@link std}. */
export interface MomentOptions {
  /** Axes to reduce over; all unless given. */
  readonly axis?: Axes
  readonly keepDims?: boolean
  /** The sum of squares is divided by n - correction: 0 (default) for a population, 1 for a sample of one. */
  readonly correction?: number
}

interface MomentAttrs extends ReduceAttrs {
  readonly correction: number
}

const varianceRow: Row<'x', MomentAttrs> = defineOp({
  name: 'variance',
  args: ['x'],
  infer([x], { axis, keepDims }) {
    checkNumeric('variance', x!)
    const axes = checkAxes('variance', axis, x!.shape.length)
    return { shape: reducedShape(x!.shape, axes, keepDims), dtype: toFloat('variance', x!.dtype) }
  },
  kernel: ({ axis, correction }, [x]) => ({
    kind: 'reduce',
    op: 'variance',
    axes: checkAxes('variance', axis, x!.shape.length),
    correction,
  }),
  vjp: {
    x({ g, x, attrs: { axis, correction } }) {
      const divisor = Math.max(countOver(x.shape, axis) - correction, 0)
      return mul(centered(x, axis), withDims(mul(g, 2 / divisor), x, axis))
    },
  },
})

function countOver(shape: Sizes, axis: Axes): number {
  return sizeOf(checkAxes('variance', axis, shape.length).map((a) => shape[a]!))
}

/** x less its mean. The mean of values far from 0 is rounded, so what is left over is taken off once more. */
function centered(x: Tensor, axis: Axes): Tensor {
  const near = sub(x, mean(x, axis, true))
  return sub(near, mean(near, axis, true))
}

/**
 * Mean squared deviation from the mean over `axis`, exact for values far from 0 too. Options may be the axes alone.
 * NaN where there are no more than `correction` values.
 * @example variance(x, { axis: 0, correction: 1 })
 */
export function variance<X extends Operand>(
  x: X,
  options: Axes | MomentOptions = null,
  keepDims: boolean = false,
): Result<X> {
  return call(varianceRow, [x], momentAttrs('variance', options, keepDims)) as Result<X>
}

/** Standard deviation over `axis`, the root of {@link variance}. The derivative of a deviation of 0 is taken as 0. */
export function std<X extends Operand>(
  x: X,
  options: Axes | MomentOptions = null,
  keepDims: boolean = false,
): Result<X> {
  return rootOfVariance(call(varianceRow, [x], momentAttrs('std', options, keepDims))) as Result<X>
}

function momentAttrs(op: string, options: Axes | MomentOptions, keepDims: boolean): MomentAttrs {
  // What is neither an object of options nor an axis is refused as an axis.
  if (!isRecord(options)) return { axis: options as Axes, keepDims, correction: 0 }
  const known = checkOptions<MomentOptions>(op, options, ['axis', 'keepDims', 'correction'])
  const { axis = null, keepDims: keep = keepDims, correction = 0 } = known
  return { axis, keepDims: keep, correction: checkNumber(op, 'correction', correction) }
}

const rootOfVariance: Unary = unary({
  name: 'rootOfVariance',
  args: ['x'],
  expr: 'sqrt(x)',
  domain: { x: [0.05, 4] },
  vjp: { x: ({ g, out }) => overOrZero(mul(g, 0.5), out) },
})

/** x / y, and 0 where y is 0. */
function overOrZero(x: Tensor, y: Tensor): Tensor {
  const isZero = equal(y, 0)
  return where(isZero, 0, div(x, where(isZero, 1, y)))
}

const lengthRow = reduction(
  'norm',
  (x) => toFloat('norm', x.dtype),
  true,
  ({ g, x, out, attrs: { axis } }) => mul(withDims(g, x, axis), overOrZero(x, withDims(out, x, axis))),
)

/** Options of {@link norm}. */
export interface NormOptions {
  /** 2 (default) for the root of the sum of squares, 1 for the sum of absolute values, 'inf' for the largest. */
  readonly ord?: 1 | 2 | 'inf'
  /** Axes to reduce over; all unless given. */
  readonly axis?: Axes
  readonly keepDims?: boolean
}

const NORMS = ['1', '2', 'inf'] as const

/**
 * Length of the vector of all values over `axis` (a vector norm also over several axes, where NumPy takes a matrix
 * norm), without overflow. Its derivative at the origin is taken as 0.
 */
export function norm<X extends Operand>(x: X, options: NormOptions = {}): Result<X> {
  const {
    ord = 2,
    axis = null,
    keepDims = false,
  } = checkOptions('norm', options, ['ord', 'axis', 'keepDims'])
  const named: unknown = ord === Infinity ? 'inf' : typeof ord === 'number' ? String(ord) : ord
  switch (checkOption('norm', 'ord', named, NORMS)) {
    case '1':
      return sum(abs(x) as Operand, axis, keepDims) as Result<X>
    case 'inf':
      return max(abs(x) as Operand, axis, keepDims) as Result<X>
    case '2':
      return call(lengthRow, [x], { axis, keepDims }) as Result<X>
  }
}
