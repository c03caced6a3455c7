/** Functions of one scalar that every backend computes. */
export const FUNCTIONS_1 = [
  'neg',
  'not',
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'trunc',
  'sqrt',
  'exp',
  'expm1',
  'log',
  'log1p',
  'log2',
  'log10',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'erfc',
  'gelu',
  'geluSlope',
  'geluTanh',
  'geluTanhSlope',
  'isNaN',
  'isFinite',
] as const

/** Functions of two scalars: arithmetic, comparison (1 or 0), logic on truth values, and the rest. */
export const FUNCTIONS_2 = [
  'add',
  'sub',
  'mul',
  'div',
  'less',
  'lessEqual',
  'equal',
  'notEqual',
  'and',
  'or',
  'min',
  'max',
  'pow',
  'atan2',
  'fmod',
  'hypot',
] as const

export type Function1 = (typeof FUNCTIONS_1)[number]
export type Function2 = (typeof FUNCTIONS_2)[number]

/** A formula as a tree. A truth value is a number: 0 is false, everything else (NaN too) true. */
export type Expr =
  | { readonly kind: 'arg'; readonly index: number }
  | { readonly kind: 'param'; readonly index: number }
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'call1'; readonly fn: Function1; readonly x: Expr }
  | { readonly kind: 'call2'; readonly fn: Function2; readonly x: Expr; readonly y: Expr }
  /** `a` where `test` is true, else `b`. */
  | { readonly kind: 'select'; readonly test: Expr; readonly a: Expr; readonly b: Expr }
