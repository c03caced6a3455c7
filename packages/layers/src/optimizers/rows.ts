import { elementwise, type Row } from '@adjoint/core/extend'

// Rows that several optimizers use. None is differentiated.

/**
 * An average as it is kept. One that nothing has added to for long would shrink to subnormal numbers, with which
 * processors calculate a hundred times as slowly: below 1e-37 it counts as 0.
 */
const kept = (average: string): string => `(abs(${average}) < 1e-37 ? 0 : ${average})`

/** An average that moves a share of the way. */
export const follow: Row<'average' | 'x', { readonly share: number }> = elementwise({
  name: 'follow',
  args: ['average', 'x'],
  params: ['share'],
  expr: `${kept('average')} + (x - ${kept('average')}) * share`,
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
