import { BATCH } from '../cases.js'
import type { Input, Prepared } from '../protocol.js'

export const LEARNING_RATE = 0.001
export const BETA1 = 0.9
export const BETA2 = 0.999
export const EPSILON = 1e-7
/** How many losses are compared with the reference. */
const COMPARED = 10

/** An array [rows, ...] as batches of 32 rows. */
export function batchesOf({ shape, values }: Input): Input[] {
  const size = values.length / (shape[0]! / BATCH)
  return Array.from({ length: shape[0]! / BATCH }, (_, i) => ({
    shape: [BATCH, ...shape.slice(1)],
    values: values.slice(i * size, (i + 1) * size),
  }))
}

/** A training step for each batch in turn; every step hands out its loss, which somebody reads. */
export function training(batches: number, step: (batch: number) => number): Prepared {
  let next = 0
  let lastLoss = 0
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) {
      lastLoss = step(next)
      next = (next + 1) % batches
    }
    if (!Number.isFinite(lastLoss)) throw new Error(`the loss became ${lastLoss}`)
  }
  return {
    results: () =>
      Array.from({ length: COMPARED }, () => {
        run(1)
        return lastLoss
      }),
    run,
  }
}

/** As {@link training}, for libraries whose results come later. */
export function trainingAsync(batches: number, step: (batch: number) => Promise<number>): Prepared {
  let next = 0
  let lastLoss = 0
  const run = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      lastLoss = await step(next)
      next = (next + 1) % batches
    }
    if (!Number.isFinite(lastLoss)) throw new Error(`the loss became ${lastLoss}`)
  }
  return {
    results: async () => {
      const losses: number[] = []
      for (let i = 0; i < COMPARED; i++) {
        await run(1)
        losses.push(lastLoss)
      }
      return losses
    },
    run,
  }
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
