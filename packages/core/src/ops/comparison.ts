import { type Binary, binary, type Unary, unary } from '../op.js'

// All give bool; none has a derivative. Comparisons with NaN are false, but for notEqual.

export const equal: Binary = binary({
  name: 'equal',
  args: ['x', 'y'],
  expr: 'x == y',
  dtype: 'bool',
  vjp: null,
})

export const notEqual: Binary = binary({
  name: 'notEqual',
  args: ['x', 'y'],
  expr: 'x != y',
  dtype: 'bool',
  vjp: null,
})

export const less: Binary = binary({
  name: 'less',
  args: ['x', 'y'],
  expr: 'x < y',
  dtype: 'bool',
  vjp: null,
})

export const lessEqual: Binary = binary({
  name: 'lessEqual',
  args: ['x', 'y'],
  expr: 'x <= y',
  dtype: 'bool',
  vjp: null,
})

export const greater: Binary = binary({
  name: 'greater',
  args: ['x', 'y'],
  expr: 'x > y',
  dtype: 'bool',
  vjp: null,
})

export const greaterEqual: Binary = binary({
  name: 'greaterEqual',
  args: ['x', 'y'],
  expr: 'x >= y',
  dtype: 'bool',
  vjp: null,
})

/** True where both are not 0. */
export const logicalAnd: Binary = binary({
  name: 'logicalAnd',
  args: ['x', 'y'],
  expr: 'x && y',
  dtype: 'bool',
  vjp: null,
})

/** True where either is not 0. */
export const logicalOr: Binary = binary({
  name: 'logicalOr',
  args: ['x', 'y'],
  expr: 'x || y',
  dtype: 'bool',
  vjp: null,
})

/** True where exactly one is not 0. */
export const logicalXor: Binary = binary({
  name: 'logicalXor',
  args: ['x', 'y'],
  expr: '(x != 0) != (y != 0)',
  dtype: 'bool',
  vjp: null,
})

/** True where x is 0. */
export const logicalNot: Unary = unary({
  name: 'logicalNot',
  args: ['x'],
  expr: '!x',
  dtype: 'bool',
  vjp: null,
})

export const isNaN: Unary = unary({ name: 'isNaN', args: ['x'], expr: 'isNaN(x)', dtype: 'bool', vjp: null })

export const isFinite: Unary = unary({
  name: 'isFinite',
  args: ['x'],
  expr: 'isFinite(x)',
  dtype: 'bool',
  vjp: null,
})

/** True for both infinities. */
export const isInf: Unary = unary({
  name: 'isInf',
  args: ['x'],
  expr: '!isFinite(x) && !isNaN(x)',
  dtype: 'bool',
  vjp: null,
})
