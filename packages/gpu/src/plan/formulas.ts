import type { Expr } from '@adjoint/core/extend'
import { sourceOf } from '../formula.js'
import type { Language } from './language.js'
import type { Statements } from './statements.js'

/** A formula of these arguments and parameters, which are names or numbers. */
export function formulaOf(
  body: Expr,
  args: readonly string[],
  params: readonly string[],
  write: Statements,
): string {
  const formula = sourceOf(body, write.language)
  const factors = new Set(
    [/\b([ap]\d+)(?= [*/])/g, /[*/] ([ap]\d+)\b/g].flatMap((beside) =>
      [...formula.matchAll(beside)].map(([, name]) => name!),
    ),
  )
  // What is made of numbers alone is computed as it is compiled, where not being a number is an error.
  const isFixed = [...args, ...params].every((text) => !/\b[a-z]+\d+\b/.test(text))
  return formula.replace(/\b([ap])(\d+)\b/g, (name, of: string, i: string) => {
    const text = (of === 'a' ? args : params)[Number(i)]!
    const own = factors.has(name) ? factorOf(text, write.language) : text
    return isFixed ? write.number(own) : own
  })
}

/** What stands beside `*`: a 0 as one that drivers do not know, which make 0 of all that they see multiplied with it. */
export const factorOf = (text: string, { literal, zero }: Language): string =>
  text === literal(0) ? zero : text
