import { elementwise, type Row } from '@adjoint/core/extend'

// Rows that several optimizers use. None is differentiated.

/** An average that moves a share of the way. */
export const follow: Row<'average' | 'x', { readonly share: number }> = elementwise({
  name: 'follow',
  args: ['average', 'x'],
  params: ['share'],
  expr: 'average + (x - average) * share',
  vjp: null,
})

/** An average of squares that moves a share of the way. */
export const followSquare: Row<'average' | 'x', { readonly share: number }> = elementwise({
  name: 'followSquare',
  args: ['average', 'x'],
  params: ['share'],
  expr: 'average + (x * x - average) * share',
  vjp: null,
})

/** A sum of squares. */
export const addSquare: Row<'sum' | 'x', object> = elementwise({
  name: 'addSquare',
  args: ['sum', 'x'],
  expr: 'sum + x * x',
  vjp: null,
})

/** One step down the gradient. */
export const descend: Row<'w' | 'dw', { readonly rate: number }> = elementwise({
  name: 'descend',
  args: ['w', 'dw'],
  params: ['rate'],
  expr: 'w - dw * rate',
  vjp: null,
})
