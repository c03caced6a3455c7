import { stack, Tensor, ValueError } from '@adjoint/core'
import { isRecord, randomBits, randomState, setRandomState } from '@adjoint/core/extend'
import { checkFlag, checkKeys, checkNumber, COUNT, WHOLE } from '../option-checks.js'
import { Air } from '../trainer/air.js'
import { streamOf } from '../trainer/stream.js'
import type { Batches } from '../trainer/types.js'

/** Samples with their values in lists: `[x, y]` becomes `[xs, ys]`, a record becomes a record of lists. */
export type BatchOf<T> = T extends readonly [infer X, infer Y, infer W]
  ? [PartOf<X>, PartOf<Y>, PartOf<W>]
  : T extends readonly [infer X, infer Y]
    ? [PartOf<X>, PartOf<Y>]
    : PartOf<T>
type PartOf<X> = X extends Tensor
  ? Tensor
  : X extends ArrayBufferView | readonly unknown[] | string | number | boolean | null
    ? X[]
    : { [K in keyof X]: PartOf<X[K]> }

/**
 * Samples or batches on their way to a training: each step gives a new dataset. It can be passed through many times;
 * what is random in it depends on its seed and the epoch alone.
 */
export class Dataset<T> implements AsyncIterable<T> {
  readonly #pass: (epoch: number) => AsyncIterable<T>

  /** @internal Use {@link dataset}. */
  constructor(pass: (epoch: number) => AsyncIterable<T>) {
    this.#pass = pass
  }

  /** One pass, as it is in an epoch. */
  pass(epoch: number): AsyncIterable<T> {
    return this.#pass(epoch)
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.#pass(0)[Symbol.asyncIterator]()
  }

  #then<U>(step: (items: AsyncIterable<T>, epoch: number) => AsyncIterable<U>): Dataset<U> {
    return new Dataset((epoch) => step(this.#pass(epoch), epoch))
  }

  /** What `f` makes of each item; promises are waited for. */
  map<U>(f: (item: T) => U | Promise<U>): Dataset<U> {
    return this.#then(async function* (items) {
      for await (const item of items) yield await f(item)
    })
  }

  /** The items for which `f` is true. */
  filter(f: (item: T) => boolean): Dataset<T> {
    return this.#then(async function* (items) {
      for await (const item of items) if (f(item)) yield item
    })
  }

  /** The first `count` items. */
  take(count: number): Dataset<T> {
    checkNumber('dataset.take', 'count', count, WHOLE)
    return this.#then(async function* (items) {
      let left = count
      if (left > 0)
        for await (const item of items) {
          yield item
          if (--left === 0) return
        }
    })
  }

  /**
   * Another order in each epoch. Of a dataset that is larger than `bufferSize` (default: all of it), each next item is
   * one of so many. Without a `seed`, one is drawn now from the program's random numbers.
   */
  shuffle(options: { readonly seed?: number; readonly bufferSize?: number } = {}): Dataset<T> {
    const what = 'dataset.shuffle'
    checkKeys(what, options, ['seed', 'bufferSize'])
    const { seed = drawnSeed(), bufferSize = Infinity } = options
    checkNumber(what, 'seed', seed, WHOLE)
    if (bufferSize !== Infinity) checkNumber(what, 'bufferSize', bufferSize, COUNT)
    return this.#then((items, epoch) => shuffled(items, (seed + epoch) % 2 ** 53, bufferSize))
  }

  /** So many samples in one: what `fitDataset` takes. The last batch may be smaller. */
  batch(size: number, options: { readonly dropRemainder?: boolean } = {}): Dataset<BatchOf<T>> {
    const what = 'dataset.batch'
    checkNumber(what, 'size', size, COUNT)
    checkKeys(what, options, ['dropRemainder'])
    const drops = checkFlag(what, 'dropRemainder', options.dropRemainder ?? false)
    return this.#then(async function* (items) {
      let samples: T[] = []
      const air = new Air()
      for await (const item of items) {
        samples.push(item)
        if (samples.length === size) {
          yield joined(samples) as BatchOf<T>
          samples = []
        }
        if (air.isDue) await air.breathe()
      }
      if (samples.length > 0 && !drops) yield joined(samples) as BatchOf<T>
    })
  }

  /** Asks for `count` items before they are needed, so that what is slow to get comes while the model trains. */
  prefetch(count: number = 1): Dataset<T> {
    checkNumber('dataset.prefetch', 'count', count, COUNT)
    return this.#then((items) => ahead(items, count))
  }
}

/**
 * A dataset of samples or batches: an iterable, an async iterable, or a function that returns a fresh one for each
 * epoch.
 * @example await m.fitDataset(dataset(samples).shuffle({ seed: 1 }).batch(32), { epochs: 5 })
 */
export function dataset<T>(source: Batches<T>): Dataset<T> {
  const op = 'dataset'
  const stream = streamOf(op, source, 'the source')
  let isSpent = false
  return new Dataset(async function* (epoch): AsyncGenerator<T> {
    if (stream.isOneShot && isSpent)
      throw new ValueError(
        'dataset: its source is an iterator, which gives its items once; give a function that returns a fresh one',
      )
    isSpent = true
    const iterator = await stream.open(epoch, op)
    const air = new Air()
    const items = { [Symbol.asyncIterator]: () => asynchronous<T>(iterator) }
    for await (const item of items) {
      yield item
      if (air.isDue) await air.breathe()
    }
  })
}

/** Any iterator as an asynchronous one; items that are promises are waited for. */
function asynchronous<T>(iterator: { next(): unknown; return?(): unknown }): AsyncIterator<T> {
  return {
    async next() {
      const result = (await iterator.next()) as IteratorResult<T | Promise<T>, undefined>
      return result.done === true ? result : { done: false, value: await result.value }
    },
    async return() {
      await iterator.return?.()
      return { done: true, value: undefined }
    },
  }
}

async function* shuffled<T>(items: AsyncIterable<T>, seed: number, size: number): AsyncGenerator<T> {
  const buffer: T[] = []
  let draws = 0
  const taken = (): T => {
    const at = Math.floor((randomBits(seed, draws++, 1)[0]! / 2 ** 32) * buffer.length)
    const item = buffer[at]!
    buffer[at] = buffer.at(-1)!
    buffer.pop()
    return item
  }
  for await (const item of items) {
    buffer.push(item)
    if (buffer.length > size) yield taken()
  }
  while (buffer.length > 0) yield taken()
}

async function* ahead<T>(items: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  const waiting: Promise<IteratorResult<T>>[] = []
  const ask = (): void => {
    const next = iterator.next()
    // A failure is told when its turn comes.
    next.catch(() => undefined)
    waiting.push(next)
  }
  try {
    for (;;) {
      while (waiting.length <= count) ask()
      const result = await waiting.shift()!
      if (result.done === true) return
      yield result.value
    }
  } finally {
    await iterator.return?.()
  }
}

/** Samples as one batch: lists of `x`, of `y` and of weights, with records taken apart. */
function joined(samples: readonly unknown[]): unknown {
  const [first] = samples
  const isTuple =
    Array.isArray(first) &&
    (first.length === 2 || first.length === 3) &&
    first.some((part) => typeof part === 'object')
  if (!isTuple) return listed(samples, 'sample')
  return (first as unknown[]).map((_, part) =>
    listed(
      samples.map((sample) => (sample as readonly unknown[])[part]),
      `part ${part} of a sample`,
    ),
  )
}

function listed(values: readonly unknown[], what: string): unknown {
  const [first] = values
  if (first instanceof Tensor) return stack(values as Tensor[])
  if (!isRecord(first)) return values
  return Object.fromEntries(
    Object.keys(first).map((key) => [
      key,
      listed(
        values.map((value, i) => {
          if (isRecord(value) && Object.hasOwn(value, key)) return value[key]
          throw new ValueError(
            `dataset.batch: ${what} lacks the key ${JSON.stringify(key)} in sample ${i} of the batch`,
          )
        }),
        what,
      ),
    ]),
  )
}

function drawnSeed(): number {
  const { seed, draws } = randomState()
  setRandomState({ seed, draws: draws + 1 })
  return randomBits(seed, draws, 1)[0]!
}
