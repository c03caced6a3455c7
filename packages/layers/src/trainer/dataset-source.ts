import { AdjointError, DataError } from '@adjoint/core'
import { isThenable, show } from '@adjoint/core/extend'
import type { Batch } from './batches.js'
import type { Pass, Source } from './source.js'
import { ABORTED, type AnyIterator, type Stream, streamOf, unlessAborted } from './stream.js'
import type { AbortSignal } from './types.js'

export interface DatasetUse {
  readonly op: string
  /** How messages call it: `the dataset`. */
  readonly what: string
  /** Batches of one pass, and the option that said so; without them, a pass goes to the end. */
  readonly steps: number | undefined
  readonly stepsOption: string
  /** How often it will be passed through. */
  readonly passes: number
  /** Whether a pass of so many steps begins where the last one stopped. */
  readonly goesOn: boolean
  readonly signal: AbortSignal | undefined
  /** Whether no batches at all will do (default: no). */
  readonly mayBeEmpty?: boolean
  /** How messages about one batch begin: `fitDataset: epoch 0, step 6 (batch 6)`. */
  readonly at: (epoch: number, step: number, batch: number) => string
  /** Checks an item and makes tensors of it. */
  readonly batchOf: (item: unknown, at: string) => Batch | Promise<Batch>
}

/** An iterator at work. */
interface Open {
  readonly iterator: AnyIterator
  /** The epoch in which it was opened. */
  readonly since: number
  /** Batches it has given. */
  count: number
}

/** Batches from an iterable, an async iterable, or a function that returns one. */
export class DatasetSource implements Source {
  readonly steps: number | undefined
  readonly #use: DatasetUse
  readonly #stream: Stream
  #open: Open | undefined
  /** The first batch, when it was asked for before its pass. */
  #primed: { readonly batch: Batch | undefined; readonly epoch: number } | undefined
  #hasFailed = false
  #isCutShort = false

  /** @throws DataError for what is no dataset, and for an iterator that would have to be passed through twice. */
  constructor(data: unknown, use: DatasetUse) {
    const { op, what, steps, stepsOption, passes } = use
    this.#use = use
    this.#stream = streamOf(op, data, what)
    this.steps = steps
    if (this.#stream.isOneShot && steps === undefined && passes > 1)
      throw new DataError(
        `${op}: ${what} is an iterator, which gives its batches once, and there are ${passes} epochs; give a function ` +
          `that returns a fresh one, such as () => batches(), or ${stepsOption} to share it out`,
      )
  }

  /** Whether it was the data that failed. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Gets and checks the first batch, which the first pass then begins with. */
  async prime(epoch: number): Promise<void> {
    await this.#ready(epoch)
    this.#primed = { batch: await this.#next(epoch, 0), epoch }
  }

  /** A training that goes on from the middle of an epoch has the steps before it passed over. */
  async begin(epoch: number, _seed: number, from: number): Promise<Pass> {
    const goesOn = from > 0 || (this.#primed !== undefined && this.#primed.epoch !== epoch)
    if (goesOn && !this.#stream.isOneShot) await this.close()
    if (this.#primed === undefined) await this.#ready(epoch)
    let step = 0
    for (; step < from && !this.#stream.isOneShot; step++) {
      const open = this.#open
      const item = open && (await this.#guarded(epoch, step, () => this.#pull(open)))
      if (item === undefined) throw this.#ended(epoch, step, step)
      open!.count++
    }
    step = from
    const next = async (): Promise<Batch | undefined> => {
      if (step === this.steps) return undefined
      const primed = this.#primed
      this.#primed = undefined
      const batch = primed === undefined ? await this.#next(epoch, step) : primed.batch
      step++
      return batch
    }
    const isCutShort = (): boolean => this.#isCutShort
    return {
      next,
      get isCutShort() {
        return isCutShort()
      },
    }
  }

  /** Opens an iterator, unless the last one goes on. */
  async #ready(epoch: number): Promise<void> {
    const { goesOn } = this.#use
    const { isOneShot, isFunction } = this.#stream
    const continues = this.steps !== undefined && (isOneShot || (goesOn && !isFunction))
    if (this.#open !== undefined && continues) return
    await this.close()
    await this.#reopen(epoch, 0)
  }

  async #reopen(epoch: number, step: number): Promise<void> {
    const iterator = await this.#guarded(epoch, step, (at) => this.#stream.open(epoch, at))
    this.#open = { iterator, since: epoch, count: 0 }
  }

  async #next(epoch: number, step: number): Promise<Batch | undefined> {
    const open = this.#open
    if (open === undefined) throw this.#ended(epoch, step, 0)
    const item = await this.#guarded(epoch, step, () => this.#pull(open))
    if (item === ABORTED) {
      this.#isCutShort = true
      return undefined
    }
    if (item !== undefined) {
      const batch = await this.#guarded(epoch, step, async (at) => this.#use.batchOf(item.value, at))
      open.count++
      return batch
    }
    this.#open = undefined
    if ((open.count > 0 || this.#use.mayBeEmpty === true) && this.steps === undefined) return undefined
    if (open.count === 0 || this.#stream.isOneShot || open.since === epoch)
      throw this.#ended(epoch, step, open.count)
    await this.#reopen(epoch, step)
    return this.#next(epoch, step)
  }

  async #pull({ iterator }: Open): Promise<{ readonly value: unknown } | typeof ABORTED | undefined> {
    const result: unknown = await unlessAborted(iterator.next(), this.#use.signal)
    if (result === ABORTED) {
      // It may never answer: nobody waits for its end either.
      this.#open = undefined
      void letGo(iterator)
      return ABORTED
    }
    if (typeof result !== 'object' || result === null)
      throw new TypeError(`next() returned ${show(result)}, not { done, value }`)
    const { done, value } = result as { readonly done?: unknown; readonly value?: unknown }
    if (done === true) return undefined
    return { value: isThenable(value) ? await value : value }
  }

  #ended(epoch: number, step: number, count: number): DataError {
    this.#hasFailed = true
    const { what, stepsOption, at } = this.#use
    return new DataError(
      `${at(epoch, step, count)}: ${what} ` +
        (count === 0 && step === 0
          ? 'gave no batches'
          : `ended after ${step} of ${this.steps} batches (${stepsOption})` +
            (count === step ? '' : `; it gave ${count} in all`)),
    )
  }

  /** What the data throws becomes a DataError that tells where. */
  async #guarded<R>(epoch: number, step: number, work: (at: string) => Promise<R>): Promise<R> {
    const { what, at } = this.#use
    const place = at(epoch, step, this.#open?.count ?? 0)
    try {
      return await work(place)
    } catch (error) {
      this.#hasFailed = true
      if (error instanceof AdjointError && error.message.startsWith(place))
        throw error instanceof DataError ? error : new DataError(error.message, { cause: error })
      const text = error instanceof Error ? `${error.name}: ${error.message}` : show(error)
      throw new DataError(`${place}: ${what} threw ${text}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    this.#primed = undefined
    if (open !== undefined) await letGo(open.iterator)
  }
}

/** Ends an iterator early, as `for … of` does. What it throws then is nobody's concern. */
async function letGo(iterator: AnyIterator): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // Its batches were all that was wanted.
  }
}
