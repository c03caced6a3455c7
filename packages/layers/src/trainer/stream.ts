import { DataError } from '@adjoint/core'
import { isThenable, show, typeName } from '@adjoint/core/extend'
import type { Dataset } from '../data/dataset.js'
import type { AbortSignal } from './types.js'

/** A dataset of the user's own, of any kind: opened once for each pass. */
export interface Stream {
  /** Whether there is only one pass in it. */
  readonly isOneShot: boolean
  /** Whether a function makes every pass anew. */
  readonly isFunction: boolean
  /** @param at how messages begin. */
  open(epoch: number, at: string): Promise<AnyIterator>
}

export interface AnyIterator {
  next(): unknown
  return?(): unknown
}

/** @throws DataError for what is neither an iterable nor a function. */
export function streamOf(op: string, data: unknown, what: string): Stream {
  if (typeof data === 'function') return streamOfFunction(data as (epoch: number) => unknown, what)
  const iterator = iteratorOf(data)
  if (iterator === undefined) throw notADataset(op, data, what)
  if (hasPasses(data))
    return {
      isOneShot: false,
      isFunction: false,
      open: async (epoch) => data.pass(epoch)[Symbol.asyncIterator](),
    }
  return { isOneShot: isOwnIterator(data), isFunction: false, open: async () => iterator() }
}

function streamOfFunction(make: (epoch: number) => unknown, what: string): Stream {
  const seen = new WeakSet()
  return {
    isOneShot: false,
    isFunction: true,
    open: async (epoch, at) => {
      const made: unknown = await make(epoch)
      const iterator = iteratorOf(made)
      if (iterator === undefined) throw notADataset(at, made, `what the function for ${what} returned`)
      if (isOwnIterator(made)) {
        if (seen.has(made as object))
          throw new DataError(
            `${at}: the function for ${what} returned the same iterator as before; it must make a fresh one each time`,
          )
        seen.add(made as object)
      }
      return iterator()
    },
  }
}

/** A {@link Dataset}, whose passes depend on the epoch. */
function hasPasses(data: unknown): data is Pick<Dataset<unknown>, 'pass'> {
  return typeof (data as Partial<Dataset<unknown>>).pass === 'function'
}

/** An iterator's own `[Symbol.iterator]` gives itself: there is no second pass. */
function isOwnIterator(data: unknown): boolean {
  return typeof (data as Partial<AnyIterator>).next === 'function'
}

function iteratorOf(data: unknown): (() => AnyIterator) | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  const given = data as { [Symbol.asyncIterator]?: unknown; [Symbol.iterator]?: unknown; next?: unknown }
  const make = given[Symbol.asyncIterator] ?? given[Symbol.iterator]
  if (typeof make === 'function') return () => make.call(data) as AnyIterator
  return undefined
}

function notADataset(at: string, data: unknown, what: string): DataError {
  const hint = isThenable(data) ? '; await it first' : ''
  return new DataError(
    `${at}: ${what} must be an iterable or async iterable of batches, or a function that returns one, got ` +
      `${typeName(data)} (${show(data)})${hint}`,
  )
}

/** Stands for a batch that nobody waits for any more. */
export const ABORTED: unique symbol = Symbol('aborted')

/** Waits for a promise, but no longer than until the signal is aborted. */
export async function unlessAborted<T>(
  promise: PromiseLike<T> | T,
  signal: AbortSignal | undefined,
): Promise<T | typeof ABORTED> {
  if (signal?.addEventListener === undefined || !isThenable(promise)) return promise
  let stop: () => void = () => undefined
  const aborted = new Promise<typeof ABORTED>((resolve) => {
    stop = () => {
      resolve(ABORTED)
    }
    if (signal.aborted) stop()
    signal.addEventListener!('abort', stop)
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener?.('abort', stop)
  }
}
