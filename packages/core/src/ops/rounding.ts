import { type Unary, unary } from '../op.js'

// Their derivatives are 0 wherever they exist, and taken as 0 at the steps.

/** The largest whole number not above x. */
export const floor: Unary = unary({
  name: 'floor',
  args: ['x'],
  expr: 'floor(x)',
  dtype: 'number',
  vjp: { x: null },
})

/** The smallest whole number not below x. */
export const ceil: Unary = unary({
  name: 'ceil',
  args: ['x'],
  expr: 'ceil(x)',
  dtype: 'number',
  vjp: { x: null },
})

/** The nearest whole number; halves go to the even one. */
export const round: Unary = unary({
  name: 'round',
  args: ['x'],
  expr: 'round(x)',
  dtype: 'number',
  vjp: { x: null },
})

/** x without its fraction. */
export const trunc: Unary = unary({
  name: 'trunc',
  args: ['x'],
  expr: 'trunc(x)',
  dtype: 'number',
  vjp: { x: null },
})
