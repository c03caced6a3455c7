import { ValueError } from '@adjoint/core'
import { didYouMean, either, isRecord, show } from '@adjoint/core/extend'

/** The numbers an option may be. */
export interface Range {
  readonly holds: (value: number) => boolean
  readonly words: string
}

export const FINITE: Range = { holds: (x) => Number.isFinite(x), words: 'a finite number' }
export const POSITIVE: Range = { holds: (x) => x > 0 && x < Infinity, words: 'a finite number above 0' }
export const NOT_NEGATIVE: Range = {
  holds: (x) => x >= 0 && x < Infinity,
  words: 'a finite number of at least 0',
}
/** Decay rates: at 1 nothing would ever be forgotten or learned. */
export const RATE: Range = { holds: (x) => x >= 0 && x < 1, words: 'in the range [0, 1)' }
export const SHARE: Range = { holds: (x) => x >= 0 && x <= 1, words: 'in the range [0, 1]' }
export const WHOLE: Range = { holds: (x) => Number.isInteger(x) && x >= 0, words: 'a whole number >= 0' }
export const COUNT: Range = { holds: (x) => Number.isInteger(x) && x >= 1, words: 'a whole number >= 1' }

/** An option or its default; null is no number and stays. */
export function given<T>(value: T | undefined, otherwise: T): T {
  return value === undefined ? otherwise : value
}

/** @throws ValueError unless `value` is a number in the range. */
export function checkNumber(what: string, name: string, value: unknown, range: Range): number {
  if (typeof value === 'number' && range.holds(value)) return value
  throw new ValueError(`${what}: ${name} must be ${range.words}, got ${show(value)}`)
}

export function checkFlag(what: string, name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new ValueError(`${what}: ${name} must be true or false, got ${show(value)}`)
}

export function checkChoice<T extends string>(
  what: string,
  name: string,
  value: unknown,
  choices: readonly T[],
): T {
  if ((choices as readonly unknown[]).includes(value)) return value as T
  throw new ValueError(
    `${what}: ${name} must be ${either(choices.map(show))}, got ${show(value)}.${didYouMean(value, choices)}`,
  )
}

/** @throws ValueError for options that are none, or one that is not among `known`. */
export function checkKeys(what: string, options: unknown, known: readonly string[]): void {
  if (!isRecord(options)) throw new ValueError(`${what}: options must be an object, got ${show(options)}`)
  for (const key of Object.keys(options))
    if (!known.includes(key))
      throw new ValueError(
        `${what}: option ${show(key)} is unknown; known are ${known.join(', ')}.${didYouMean(key, known)}`,
      )
}
