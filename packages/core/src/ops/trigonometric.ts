import { type Binary, binary, type Unary, unary } from '../op.js'
import type { Tensor } from '../tensor.js'
import { add, div, hypot, mul, neg, rsqrt, square, sub } from './arithmetic.js'

export const sin: Unary = unary({
  name: 'sin',
  args: ['x'],
  expr: 'sin(x)',
  vjp: { x: ({ g, x }) => mul(g, cos(x)) },
})

export const cos: Unary = unary({
  name: 'cos',
  args: ['x'],
  expr: 'cos(x)',
  vjp: { x: ({ g, x }) => neg(mul(g, sin(x))) },
})

export const tan: Unary = unary({
  name: 'tan',
  args: ['x'],
  expr: 'tan(x)',
  domain: { x: [-1.2, 1.2] },
  vjp: { x: ({ g, x }) => div(g, square(cos(x))) },
})

export const asin: Unary = unary({
  name: 'asin',
  args: ['x'],
  expr: 'asin(x)',
  domain: { x: [-0.9, 0.9] },
  vjp: { x: ({ g, x }) => mul(g, inverseOfRoot(x)) },
})

export const acos: Unary = unary({
  name: 'acos',
  args: ['x'],
  expr: 'acos(x)',
  domain: { x: [-0.9, 0.9] },
  vjp: { x: ({ g, x }) => neg(mul(g, inverseOfRoot(x))) },
})

/** 1 / sqrt(1 - x²), as a product of factors that do not cancel near ±1. */
const inverseOfRoot = (x: Tensor): Tensor => rsqrt(mul(sub(1, x), add(1, x)))

export const atan: Unary = unary({
  name: 'atan',
  args: ['x'],
  expr: 'atan(x)',
  vjp: { x: ({ g, x }) => div(g, add(square(x), 1)) },
})

/** The angle of the point (y, x), in (-pi, pi]. */
export const atan2: Binary = binary({
  name: 'atan2',
  args: ['x', 'y'],
  expr: 'atan2(x, y)',
  domain: { x: [0.3, 2], y: [0.3, 2] },
  // The arguments are named in order: the first is the ordinate.
  vjp: {
    x: ({ g, x, y }) => mul(g, overSquare(y, hypot(x, y))),
    y: ({ g, x, y }) => neg(mul(g, overSquare(x, hypot(x, y)))),
  },
})

/** x / h², where h² may be more or less than any number. */
const overSquare = (x: Tensor, h: Tensor): Tensor => div(div(x, h), h)

export const sinh: Unary = unary({
  name: 'sinh',
  args: ['x'],
  expr: 'sinh(x)',
  vjp: { x: ({ g, x }) => mul(g, cosh(x)) },
})

export const cosh: Unary = unary({
  name: 'cosh',
  args: ['x'],
  expr: 'cosh(x)',
  vjp: { x: ({ g, x }) => mul(g, sinh(x)) },
})

export const tanh: Unary = unary({
  name: 'tanh',
  args: ['x'],
  expr: 'tanh(x)',
  ulps: 1,
  vjp: { x: ({ g, x }) => mul(g, tanhSlope(x)) },
})

/** 1 / cosh², where 1 - tanh² would cancel and cosh² overflow. */
const tanhSlope: Unary = unary({
  name: 'tanhSlope',
  args: ['x'],
  expr: '4 * exp(-2 * abs(x)) / ((1 + exp(-2 * abs(x))) * (1 + exp(-2 * abs(x))))',
  vjp: { x: ({ g, x }) => mul(g, mul(mul(tanh(x), tanhSlope(x)), -2)) },
})

export const asinh: Unary = unary({
  name: 'asinh',
  args: ['x'],
  expr: 'asinh(x)',
  vjp: { x: ({ g, x }) => div(g, hypot(x, 1)) },
})

export const acosh: Unary = unary({
  name: 'acosh',
  args: ['x'],
  expr: 'acosh(x)',
  domain: { x: [1.2, 4] },
  vjp: { x: ({ g, x }) => mul(g, mul(rsqrt(sub(x, 1)), rsqrt(add(x, 1)))) },
})

export const atanh: Unary = unary({
  name: 'atanh',
  args: ['x'],
  expr: 'atanh(x)',
  domain: { x: [-0.9, 0.9] },
  vjp: { x: ({ g, x }) => div(g, mul(sub(1, x), add(1, x))) },
})
