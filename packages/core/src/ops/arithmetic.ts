import {
  type Binary,
  binary,
  call,
  checkNumber,
  elementwise,
  type Like,
  type Operand,
  type Params,
  type Row,
  type Unary,
  unary,
} from '../op.js'
import type { Tensor } from '../tensor.js'
import { equal, isNaN, less, logicalAnd, logicalOr } from './comparison.js'
import { exp, log } from './exponential.js'
import { floor } from './rounding.js'
import { where } from './select.js'

/** Sum, element by element. */
export const add: Binary = binary({
  name: 'add',
  args: ['x', 'y'],
  expr: 'x + y',
  dtype: 'number',
  vjp: { x: ({ g }) => g, y: ({ g }) => g },
})

/** Difference, element by element. */
export const sub: Binary = binary({
  name: 'sub',
  args: ['x', 'y'],
  expr: 'x - y',
  dtype: 'number',
  vjp: { x: ({ g }) => g, y: ({ g }) => neg(g) },
})

/** Product, element by element. */
export const mul: Binary = binary({
  name: 'mul',
  args: ['x', 'y'],
  expr: 'x * y',
  dtype: 'number',
  vjp: { x: ({ g, y }) => mul(g, y), y: ({ g, x }) => mul(g, x) },
})

/** Quotient, element by element; of whole numbers too it is a float. */
export const div: Binary = binary({
  name: 'div',
  args: ['x', 'y'],
  expr: 'x / y',
  domain: { y: [0.3, 3] },
  vjp: { x: ({ g, y }) => div(g, y), y: ({ g, out, y }) => neg(div(mul(g, out), y)) },
})

/** -x */
export const neg: Unary = unary({
  name: 'neg',
  args: ['x'],
  expr: '-x',
  dtype: 'number',
  vjp: { x: ({ g }) => neg(g) },
})

/** |x|. The derivative at 0 is taken as 0. */
export const abs: Unary = unary({
  name: 'abs',
  args: ['x'],
  expr: 'abs(x)',
  dtype: 'number',
  kinks: [0],
  vjp: { x: ({ g, x }) => mul(g, sign(x)) },
})

/** -1, 0 or 1; 0 of NaN. Its derivative is 0 everywhere. */
export const sign: Unary = unary({
  name: 'sign',
  args: ['x'],
  expr: 'sign(x)',
  dtype: 'number',
  kinks: [0],
  vjp: { x: null },
})

/** x² */
export const square: Unary = unary({
  name: 'square',
  args: ['x'],
  expr: 'x * x',
  dtype: 'number',
  vjp: { x: ({ g, x }) => mul(g, mul(x, 2)) },
})

/** (x - y)², element by element. */
export const squaredDifference: Binary = binary({
  name: 'squaredDifference',
  args: ['x', 'y'],
  expr: '(x - y) * (x - y)',
  dtype: 'number',
  vjp: {
    x: ({ g, x, y }) => mul(g, mul(sub(x, y), 2)),
    y: ({ g, x, y }) => mul(g, mul(sub(y, x), 2)),
  },
})

/** 1 / x */
export const reciprocal: Unary = unary({
  name: 'reciprocal',
  args: ['x'],
  expr: '1 / x',
  domain: { x: [0.3, 3] },
  vjp: { x: ({ g, out }) => neg(mul(g, square(out))) },
})

/** Square root; NaN below 0. The derivative at 0 is Infinity. */
export const sqrt: Unary = unary({
  name: 'sqrt',
  args: ['x'],
  expr: 'sqrt(x)',
  domain: { x: [0.05, 4] },
  vjp: { x: ({ g, out }) => div(g, mul(out, 2)) },
})

/** 1 / sqrt(x) */
export const rsqrt: Unary = unary({
  name: 'rsqrt',
  args: ['x'],
  expr: '1 / sqrt(x)',
  domain: { x: [0.1, 4] },
  vjp: { x: ({ g, x, out }) => div(mul(g, mul(out, -0.5)), x) },
})

/**
 * x to the power y; of whole numbers too it is a float. As in IEEE 754, 1 to any power and anything to the power 0 is 1; a negative base with a
 * fractional power is NaN. The derivative by x at y = 0 is 0; the derivative by y at x = 0 is 0 for y >= 0.
 */
const powOp: Binary = binary({
  name: 'pow',
  args: ['x', 'y'],
  expr: 'pow(x, y)',
  domain: { x: [0.2, 3], y: [-2, 2] },
  vjp: {
    // Only where 0 * 0^-1 would be NaN is x replaced: beside it, the derivative of y x^(y - 1) by y is not 0 at y = 0.
    x: ({ g, x, y }) => mul(g, mul(y, powOp(where(isSingularPower(x, y), 1, x), sub(y, 1)))),
    y: ({ g, x, y, out }) => mul(g, where(equal(x, 0), where(less(y, 0), NaN, 0), mul(out, log(x)))),
  },
})
export { powOp as pow }

const isSingularPower = (x: Tensor, y: Tensor): Tensor =>
  logicalAnd(equal(y, 0), logicalOr(equal(x, 0), isNaN(x)))

const powScalarRow: Row<'x', Params<'exponent'>> = elementwise({
  name: 'powScalar',
  args: ['x'],
  params: ['exponent'],
  expr: 'pow(x, exponent)',
  domain: { x: [0.2, 3] },
  vjp: {
    x: ({ g, x, attrs: { exponent } }) =>
      exponent === 0 ? mul(g, 0) : mul(g, mul(powScalar(x, exponent - 1), exponent)),
  },
})

/** x to a fixed power. */
export function powScalar<X extends Operand>(x: X, exponent: number): Like<X> {
  return call(powScalarRow, [x], { exponent: checkNumber('powScalar', 'exponent', exponent) }) as Like<X>
}

/** The larger of both; NaN where either is. At ties each side gets half of the gradient. */
export const maximum: Binary = binary({
  name: 'maximum',
  args: ['x', 'y'],
  expr: 'max(x, y)',
  dtype: 'same',
  vjp: { x: ({ g, x, y }) => shareOf(g, x, y), y: ({ g, x, y }) => shareOf(g, y, x) },
})

/** The smaller of both; NaN where either is. At ties each side gets half of the gradient. */
export const minimum: Binary = binary({
  name: 'minimum',
  args: ['x', 'y'],
  expr: 'min(x, y)',
  dtype: 'same',
  vjp: { x: ({ g, x, y }) => shareOf(g, y, x), y: ({ g, x, y }) => shareOf(g, x, y) },
})

/** 1 where x > y, 1/2 where they are equal, else 0. @internal */
const share: Binary = binary({
  name: 'share',
  args: ['x', 'y'],
  expr: 'x > y ? 1 : (x == y ? 0.5 : 0)',
  vjp: { x: null, y: null },
})

/** What of g belongs to x, where the larger of x and y was taken; nothing of a g that is infinite or NaN elsewhere. */
function shareOf(g: Tensor, x: Tensor, y: Tensor): Tensor {
  return where(less(x, y), 0, mul(g, share(x, y)))
}

/** Floored remainder: has the sign of y, as in Python. */
export const mod: Binary = binary({
  name: 'mod',
  args: ['x', 'y'],
  expr: 'fmod(x, y) != 0 && (fmod(x, y) < 0) != (y < 0) ? fmod(x, y) + y : fmod(x, y)',
  dtype: 'number',
  domain: { x: [0.1, 0.9], y: [1, 3] },
  vjp: { x: ({ g }) => g, y: ({ g, x, y }) => mul(g, neg(floor(div(x, y)))) },
})

/** Truncated remainder: has the sign of x, as in C. */
export const fmod: Binary = binary({
  name: 'fmod',
  args: ['x', 'y'],
  expr: 'fmod(x, y)',
  dtype: 'number',
  domain: { x: [0.1, 0.9], y: [1, 3] },
  vjp: { x: ({ g }) => g, y: ({ g, x, y }) => mul(g, neg(div(sub(x, fmod(x, y)), y))) },
})

/** The quotient rounded down, consistent with {@link mod}: x = floorDiv(x, y) y + mod(x, y). Its derivative is 0. */
export const floorDiv: Binary = binary({
  name: 'floorDiv',
  args: ['x', 'y'],
  expr:
    'y == 0 || !isFinite(x) || !isFinite(y) ? floor(x / y) : ' +
    'round((x - fmod(x, y)) / y) - (fmod(x, y) != 0 && (fmod(x, y) < 0) != (y < 0) ? 1 : 0)',
  dtype: 'number',
  domain: { x: [0.1, 0.9], y: [1, 3] },
  vjp: { x: null, y: null },
})

/** sqrt(x² + y²) without overflow. The derivative at the origin is taken as 0. */
export const hypot: Binary = binary({
  name: 'hypot',
  args: ['x', 'y'],
  expr: 'hypot(x, y)',
  domain: { x: [0.2, 2], y: [0.2, 2] },
  vjp: {
    x: ({ g, x, out }) => mul(g, where(equal(out, 0), 0, div(x, out))),
    y: ({ g, y, out }) => mul(g, where(equal(out, 0), 0, div(y, out))),
  },
})

/** x log(y), and 0 where x is 0 (unless y is NaN). */
export const xlogy: Binary = binary({
  name: 'xlogy',
  args: ['x', 'y'],
  expr: 'x == 0 && !isNaN(y) ? 0 : x * log(y)',
  domain: { y: [0.2, 3] },
  vjp: {
    x: ({ g, y }) => mul(g, log(y)),
    // Only at 0 / 0 is y replaced: elsewhere the derivative of x / y by x is not 0 at x = 0.
    y: ({ g, x, y }) => mul(g, div(x, where(logicalAnd(equal(x, 0), equal(y, 0)), 1, y))),
  },
})

/** log(exp(x) + exp(y)) without overflow. */
export const logAddExp: Binary = binary({
  name: 'logAddExp',
  args: ['x', 'y'],
  expr: 'x == y ? x + 0.6931471805599453 : max(x, y) + log1p(exp(-abs(x - y)))',
  vjp: {
    x: ({ g, x, out }) => mul(g, expOfDifference(x, out)),
    y: ({ g, y, out }) => mul(g, expOfDifference(y, out)),
  },
})

/** exp(x - y), and 1 where both are the same infinity's. */
const expOfDifference = (x: Tensor, y: Tensor): Tensor => exp(where(equal(x, y), 0, sub(x, y)))
