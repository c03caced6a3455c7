import type { ReduceOp } from '@adjoint/core/extend'
import type { Language } from './language.js'

/** How terms are put together: the first number, and what becomes of it by the next term. */
interface Fold {
  readonly first: (language: Language) => string
  readonly next: (acc: string, v: string, language: Language) => string
}

/** Reductions that take one pass. */
export type FoldOp = Exclude<ReduceOp, 'mean' | 'variance' | 'norm' | 'logSumExp'>

export const FOLDS: { readonly [O in FoldOp]: Fold } = {
  sum: { first: (l) => l.literal(0), next: (acc, v) => `${acc} + ${v}` },
  prod: { first: (l) => l.literal(1), next: (acc, v) => `${acc} * ${v}` },
  max: { first: (l) => `(-${l.inf})`, next: (acc, v, l) => beyond(acc, v, '<=', l) },
  min: { first: (l) => l.inf, next: (acc, v, l) => beyond(acc, v, '>=', l) },
  any: { first: (l) => l.literal(0), next: (acc, v, l) => l.choose(`${v} ${l.equal} 0`, acc, l.literal(1)) },
  all: { first: (l) => l.literal(1), next: (acc, v, l) => l.choose(`${v} ${l.equal} 0`, l.literal(0), acc) },
}

/** The further of two numbers; NaN, once it is there, stays. */
function beyond(acc: string, v: string, within: string, { choose, equal, both }: Language): string {
  return choose(both(`${acc} ${equal} ${acc}`, `!(${v} ${within} ${acc})`), v, acc)
}
