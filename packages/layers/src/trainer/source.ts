import { permutationOf } from '@adjoint/core/extend'
import { type Batch, type Dataset, takeBatch } from './batches.js'
import type { Bound } from './bound.js'

/** Where batches come from: the rows of arrays, or a dataset of the user's own. */
export interface Source {
  /** How many batches a pass has, where that is known beforehand. */
  readonly steps: number | undefined
  /** Begins the pass of one epoch at one of its steps; rows that are shuffled get their order from `seed`. */
  begin(epoch: number, seed: number, step: number): Pass | Promise<Pass>
  /** Lets go of what is still open. */
  close(): Promise<void>
}

/** One way through the batches. */
export interface Pass {
  /** The next batch; undefined behind the last one. At once where nothing has to be waited for. */
  next(): Batch | undefined | Promise<Batch | undefined>
  /** Whether it ended because nobody waits for more. */
  readonly isCutShort: boolean
}

/** Away from the streams of what layers draw. */
const SHUFFLE_STREAM = 2 ** 40

/** Batches of rows that are all there, in order or in another one for each epoch. */
export class RowSource implements Source {
  readonly steps: number
  readonly #rows: Dataset
  readonly #batchSize: number
  readonly #bound: Bound
  readonly #shuffle: boolean

  constructor(rows: Dataset, batchSize: number, bound: Bound, shuffle: boolean = false) {
    this.steps = Math.ceil(rows.rows / batchSize)
    this.#rows = rows
    this.#batchSize = batchSize
    this.#bound = bound
    this.#shuffle = shuffle
  }

  begin(_epoch: number, seed: number, step: number): Pass {
    const { rows } = this.#rows
    const order = this.#shuffle ? permutationOf(seed, SHUFFLE_STREAM, rows) : undefined
    let from = step * this.#batchSize
    return {
      isCutShort: false,
      next: () => {
        if (from >= rows) return undefined
        const to = Math.min(from + this.#batchSize, rows)
        const batch = this.#bound.run(() => takeBatch(this.#rows, order, from, to))
        from = to
        return batch
      },
    }
  }

  async close(): Promise<void> {}
}
