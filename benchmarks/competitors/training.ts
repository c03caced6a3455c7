import { ADAM_TILES, BATCH } from '../cases.js'
import type { Input, Prepared } from '../protocol.js'

/** How many losses are compared with the reference. */
const COMPARED = 10

/** An array [rows, ...] as batches of so many rows. */
export function batchesOf({ shape, values }: Input, batch: number = BATCH): Input[] {
  const size = values.length / (shape[0]! / batch)
  return Array.from({ length: shape[0]! / batch }, (_, i) => ({
    shape: [batch, ...shape.slice(1)],
    values: values.slice(i * size, (i + 1) * size),
  }))
}

/** A training step for each batch in turn; every step hands out its loss, or, by `read`, what it can be had from. */
export function training(batches: number, step: (batch: number) => number): Prepared
export function training<L>(batches: number, step: (batch: number) => L, read: (loss: L) => number): Prepared
export function training(
  batches: number,
  step: (batch: number) => unknown,
  read: (loss: unknown) => number = Number,
): Prepared {
  let next = 0
  let last: unknown
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) {
      last = step(next)
      next = (next + 1) % batches
    }
    checkLoss(read(last))
  }
  return {
    results: () =>
      Array.from({ length: COMPARED }, () => {
        run(1)
        return read(last)
      }),
    run,
  }
}

/** As {@link training}, for libraries whose results come later. */
export function trainingAsync(batches: number, step: (batch: number) => Promise<number>): Prepared {
  let next = 0
  let last = 0
  const run = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      last = await step(next)
      next = (next + 1) % batches
    }
    checkLoss(last)
  }
  return {
    results: async () => {
      const losses: number[] = []
      for (let i = 0; i < COMPARED; i++) {
        await run(1)
        losses.push(last)
      }
      return losses
    },
    run,
  }
}

function checkLoss(loss: number): void {
  if (!Number.isFinite(loss)) throw new Error(`the loss became ${loss}`)
}

/** Steps of Adam on weights and gradients of 1e5 numbers, repeated to 1e7. Compared are the first weights after some steps. */
export function updating(step: () => void, weights: () => Float32Array | Float64Array): Prepared {
  return {
    results() {
      for (let i = 0; i < COMPARED; i++) step()
      return weights().slice(0, weights().length / ADAM_TILES)
    },
    run(times) {
      for (let i = 0; i < times; i++) step()
    },
  }
}

/** An input of `adam`, repeated. */
export function tiled({ values }: Input): Input {
  const all = new Float32Array(values.length * ADAM_TILES)
  for (let i = 0; i < ADAM_TILES; i++) all.set(values, i * values.length)
  return { shape: [all.length], values: all }
}

/** Whole trainings of ten epochs, of which the losses are compared. Rows keep their order for that, and for that alone. */
export function fitting(fit: (shuffle: boolean) => Promise<readonly number[]>): Prepared {
  return {
    results: () => fit(false),
    async run(times) {
      for (let i = 0; i < times; i++) await fit(true)
    },
  }
}
