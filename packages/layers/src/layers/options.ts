import { LimitError, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'

/** `f(main, options)` and `f({ main, … })` as one options object. The caller's signatures say which types go in. */
export function positional<T extends object>(
  what: string,
  key: keyof T & string,
  main: unknown,
  options: unknown,
): T {
  if (isRecord(main)) return main as T
  if (!isRecord(options)) throw new ValueError(`${what}: expected options after ${key}, got ${show(options)}`)
  return { ...options, [key]: main } as T
}

const MOST = 2 ** 31

/** `value` if it is a whole number from 1 up. */
export function checkCount(what: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new ValueError(`${what}: ${name} must be a whole number >= 1, got ${show(value)}`)
  if (value > MOST) throw new LimitError(`${what}: ${name} ${value} is over the limit of ${MOST}`)
  return value
}
