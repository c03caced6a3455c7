import { LimitError, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'

/** `f(main, options)` and `f({ main, … })` as one options object. */
export function positional<K extends string, V, O extends object>(
  what: string,
  key: K,
  main: V | (O & Readonly<Record<K, V>>),
  options: O,
): O & Readonly<Record<K, V>> {
  if (isRecord(main)) return main
  return { ...optionsOf(what, options), [key]: main } as O & Readonly<Record<K, V>>
}

/** @throws ValueError for options that are no object: what stands in their place is a mistake. */
export function optionsOf<O extends object>(what: string, options: O): O {
  if (!isRecord(options))
    throw new ValueError(`${what}: expected options such as { name: '…' }, got ${show(options)}`)
  return options
}

const MOST = 2 ** 31

/** `value` if it is a whole number from 1 up. */
export function checkCount(what: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new ValueError(`${what}: ${name} must be a whole number >= 1, got ${show(value)}`)
  if (value > MOST) throw new LimitError(`${what}: ${name} ${value} is over the limit of ${MOST}`)
  return value
}
