import { type Unary, unary } from '../op.js'
import { add, div, mul } from './arithmetic.js'

export const exp: Unary = unary({
  name: 'exp',
  args: ['x'],
  expr: 'exp(x)',
  ulps: 1,
  vjp: { x: ({ g, out }) => mul(g, out) },
})

/** 2 to the power x. */
export const exp2: Unary = unary({
  name: 'exp2',
  args: ['x'],
  expr: 'pow(2, x)',
  vjp: { x: ({ g, out }) => mul(g, mul(out, Math.LN2)) },
})

/** exp(x) - 1, exact near 0. */
export const expm1: Unary = unary({
  name: 'expm1',
  args: ['x'],
  expr: 'expm1(x)',
  ulps: 1,
  vjp: { x: ({ g, x }) => mul(g, exp(x)) },
})

/** Natural logarithm. */
export const log: Unary = unary({
  name: 'log',
  args: ['x'],
  expr: 'log(x)',
  ulps: 1,
  domain: { x: [0.2, 4] },
  vjp: { x: ({ g, x }) => div(g, x) },
})

export const log2: Unary = unary({
  name: 'log2',
  args: ['x'],
  expr: 'log2(x)',
  domain: { x: [0.2, 4] },
  vjp: { x: ({ g, x }) => div(g, mul(x, Math.LN2)) },
})

export const log10: Unary = unary({
  name: 'log10',
  args: ['x'],
  expr: 'log10(x)',
  domain: { x: [0.2, 4] },
  vjp: { x: ({ g, x }) => div(g, mul(x, Math.LN10)) },
})

/** log(1 + x), exact near 0. */
export const log1p: Unary = unary({
  name: 'log1p',
  args: ['x'],
  expr: 'log1p(x)',
  ulps: 1,
  domain: { x: [-0.7, 4] },
  vjp: { x: ({ g, x }) => div(g, add(x, 1)) },
})
