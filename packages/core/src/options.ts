import { didYouMean, either, show, ValueError } from './errors.js'
import { isRecord } from './tree.js'

/** `options` if it is an object of known keys. @throws ValueError for anything else, with the nearest key. */
export function checkOptions<T extends object>(
  op: string,
  options: T,
  known: readonly (keyof T & string)[],
): T {
  if (!isRecord(options))
    throw new ValueError(`${op}: options must be an object of ${either(known)}, got ${show(options)}`, { op })
  for (const key of Object.keys(options))
    if (!(known as readonly string[]).includes(key))
      throw new ValueError(
        `${op}: unknown option ${show(key)}; known are ${known.join(', ')}.${didYouMean(key, known)}`,
        { op },
      )
  return options
}

export function checkFunction(op: string, f: unknown): void {
  if (typeof f !== 'function') throw new ValueError(`${op}: expected a function, got ${show(f)}`, { op })
}
