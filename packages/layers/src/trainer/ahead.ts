import type { Batch } from './batches.js'
import type { Bound } from './bound.js'
import { Lead, LONG_MS, MOST_STEPS } from './lead.js'
import type { Meter } from './logs.js'
import type { Place } from './non-finite.js'
import type { Outcome } from './outcome.js'
import type { Begun } from './replay.js'
import type { Stepper } from './step.js'

/** A step of training: by what, where, and who is told of it. */
interface Task {
  readonly batch: Batch
  readonly place: Place
  readonly meter: Meter
}

interface Unseen extends Task {
  readonly step: Begun
}

/**
 * Steps that are made one after the other without waiting for what they found. Where one turns out to be unsound, nothing
 * was changed since; it is made again, and so are those after it, in the ordinary way.
 */
export class Ahead {
  readonly #stepper: Stepper
  readonly #bound: Bound
  #unseen: Unseen[] = []
  readonly #lead = new Lead()
  /** How many steps take about {@link LONG_MS}. */
  #most = 1

  constructor(stepper: Stepper, bound: Bound) {
    this.#stepper = stepper
    this.#bound = bound
  }

  /** Makes a step and tells its meter, later unless it `isAsked`. @throws NonFiniteError of this or an earlier step. */
  train(task: Task, isAsked: boolean): void | Promise<void> {
    const step = isAsked ? undefined : this.#begin(task.batch)
    if (step === undefined)
      return this.#unseen.length === 0 ? this.#look(task) : this.settle().then(() => this.#look(task))
    this.#unseen.push({ ...task, step })
    this.#lead.add(task.batch)
    return this.#lead.isLong(this.#most) ? this.settle() : undefined
  }

  /** Waits for all steps that were made, and tells their meters. @throws NonFiniteError of the first that was unsound. */
  async settle(): Promise<void> {
    const unseen = this.#unseen
    if (unseen.length === 0) return
    this.#unseen = []
    const found = await Promise.allSettled(unseen.map(({ step }) => step.found()))
    const took = this.#lead.ms
    this.#lead.end()
    if (took < LONG_MS / 2) this.#most = Math.min(2 * this.#most, MOST_STEPS)
    else if (took > 2 * LONG_MS) this.#most = Math.max(this.#most >> 1, 1)
    const made = await madeOf(unseen, found)
    this.#bound.begin()
    try {
      for (const [i, { batch, meter }] of unseen.slice(0, made).entries())
        meter.add(batch, valueOf(found[i]!))
    } finally {
      for (const { step } of unseen) for (const x of step.predictions) x.dispose()
      this.#bound.end()
      // Whatever failed: as long as the device holds a step to be unsound, none after it changes anything.
      unseen[made]?.step.undo()
    }
    for (const task of unseen.slice(made)) {
      const looked = this.#look(task)
      if (looked !== undefined) await looked
    }
  }

  #begin(batch: Batch): Begun | undefined {
    this.#bound.begin()
    try {
      const step = this.#stepper.trainUnseen(batch)
      if (step !== undefined) this.#bound.keep(step.predictions)
      return step
    } finally {
      this.#bound.end()
    }
  }

  /** A step that is looked at before it changes anything. */
  #look({ batch, place, meter }: Task): void | Promise<void> {
    this.#bound.begin()
    let found
    try {
      found = this.#stepper.train(batch, place)
      if (!(found instanceof Promise)) {
        meter.add(batch, found)
        return undefined
      }
    } finally {
      if (!(found instanceof Promise)) this.#bound.end()
    }
    return found
      .then((outcome) => {
        meter.add(batch, outcome)
      })
      .finally(() => {
        this.#bound.end()
      })
  }
}

type Found = PromiseSettledResult<Outcome | undefined>

/**
 * How many steps have changed what they should; those after them have changed nothing. Numbers that could not be read
 * tell nothing of their step: then the device is asked.
 */
async function madeOf(unseen: readonly Unseen[], found: readonly Found[]): Promise<number> {
  const first = found.findIndex((x) => x.status === 'rejected' || x.value === undefined)
  if (first < 0) return unseen.length
  const at = found[first]!
  if (at.status === 'fulfilled') return first
  const { step } = unseen[first]!
  try {
    return Math.max(unseen.length - (await step.unmade()), 0)
  } catch {
    step.undo()
    throw at.reason
  }
}

/** @throws what it was rejected with. */
function valueOf(found: Found): Outcome {
  if (found.status === 'rejected') throw found.reason
  return found.value!
}
