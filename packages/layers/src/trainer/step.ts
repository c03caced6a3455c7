import { NonFiniteError, type Variable } from '@adjoint/core'
import { inScope } from '@adjoint/core/extend'
import { structureVersion } from '../layer.js'
import type { Model } from '../model.js'
import type { Batch } from './batches.js'
import type { Bound } from './bound.js'
import type { Compiled } from './compile.js'
import { readLogs } from './logs.js'
import { badGradient, badLoss, badWeight, type Place, where } from './non-finite.js'
import { Objective, type Opened, structured } from './objective.js'
import { type Outcome, outcomeOf, scalarsOf } from './outcome.js'
import { plansOf } from './planned.js'
import { readMagnitudes, readScalars } from './read.js'
import { type Begun, Replayer } from './replay.js'
import { isRisky } from './risk.js'
import { type Kept, Undo } from './undo.js'

const steppers = new WeakMap<Compiled, Stepper>()

/**
 * Steps of one model: everything that does not change from batch to batch is looked up once. A step is a function of
 * the batch, the weights, the optimizer's state and the random state; it moves all of them or, when it fails, none.
 */
export class Stepper {
  readonly model: Model
  readonly compiled: Compiled
  readonly variables: readonly Variable[]
  /** Variables that layers change as they run, such as moving averages. */
  readonly statistics: readonly Variable[]
  readonly objective: Objective
  readonly #undo: Undo
  readonly #replay: Replayer | undefined
  #bound: Bound

  /** What it was made for: it is still right as long as these are the same. */
  readonly #structure: number
  readonly #isTrainable: readonly boolean[]

  /** A stepper for a single step: the one of the step before, unless something has changed. */
  static of(model: Model, compiled: Compiled, bound: Bound): Stepper {
    const known = steppers.get(compiled)
    if (known?.takesOver(bound) === true) return known
    const made = new Stepper(model, compiled, bound)
    steppers.set(compiled, made)
    return made
  }

  /** Goes on for another call, if it can. */
  takesOver(bound: Bound): boolean {
    // Where values are read asynchronously several calls may be under way at once.
    if (bound.backend !== this.#bound.backend || bound.backend.readSync === undefined) return false
    const isSame =
      this.#structure === structureVersion() &&
      this.variables.every((v, i) => v.trainable === this.#isTrainable[i]) &&
      this.statistics.every((v, i) => v.trainable === this.#isTrainable[this.variables.length + i])
    if (isSame) this.#bound = bound
    return isSame
  }

  constructor(model: Model, compiled: Compiled, bound: Bound) {
    this.model = model
    this.compiled = compiled
    this.#bound = bound
    this.variables = model.trainableVariables
    this.statistics = model.nonTrainableWeights
    this.objective = new Objective(model, compiled, this.variables)
    this.#undo = new Undo(compiled.optimizer, this.variables, this.statistics)
    this.#structure = structureVersion()
    this.#isTrainable = [...this.variables, ...this.statistics].map((v) => v.trainable)
    const plans = bound.run(() => plansOf(model, compiled, this.variables))
    this.#replay = plans && new Replayer(this, plans)
  }

  /** Forward, backward, update. @throws NonFiniteError, everything left as it was. */
  train(batch: Batch, place: Place): Outcome | Promise<Outcome> {
    if (this.compiled.trainStep !== undefined) return this.#trainByHand(batch, place)
    const replayed = this.#replay?.train(batch, this.#bound, place)
    if (replayed instanceof Promise)
      return replayed.then((outcome) => outcome ?? this.#trainByOps(batch, place))
    return replayed ?? this.#trainByOps(batch, place)
  }

  /** The same, to be asked later what it found; undefined, and nothing is done, where it must be looked at. */
  trainUnseen(batch: Batch): Begun | undefined {
    return this.#replay?.trainUnseen(batch, this.#bound)
  }

  #trainByOps(batch: Batch, place: Place): Outcome | Promise<Outcome> {
    const before = this.#undo.keep(this.#bound)
    const tried = <R>(part: () => R): R => this.#undo.tried(this.#bound, before, part)
    const open = tried(() =>
      inScope(
        () => this.objective.open(batch),
        (made) => [...scalarsOf(made.total, made), ...made.predictions, ...made.grads],
      ),
    )
    const read = readScalars(scalarsOf(open.total, open), this.#bound)
    const sizes = readMagnitudes(open.grads, this.#bound)
    const commit = (numbers: readonly number[], magnitudes: readonly number[]): Outcome =>
      tried(() => this.#commit(batch, open, numbers, magnitudes, before, place))
    if (read instanceof Promise || sizes instanceof Promise)
      return Promise.all([read, sizes]).then(([numbers, magnitudes]) => commit(numbers, magnitudes))
    return commit(read, sizes)
  }

  /** Checks what was found and, if it is sound, takes the step. */
  #commit(
    batch: Batch,
    open: Opened,
    numbers: readonly number[],
    magnitudes: readonly number[],
    before: Kept,
    place: Place,
  ): Outcome {
    const { optimizer } = this.compiled
    const found = outcomeOf(this.compiled, open, numbers)
    for (let i = 0; i < numbers.length; i++)
      if (!Number.isFinite(numbers[i])) throw badLoss(this, batch, found, before, place)
    let most = 0
    for (let i = 0; i < magnitudes.length; i++) {
      if (!Number.isFinite(magnitudes[i])) throw badGradient(this, i, magnitudes[i]!, place)
      most = Math.max(most, magnitudes[i]!)
    }
    const moved = isRisky(optimizer, most) ? this.#undo.keepMoved() : undefined
    optimizer.apply(open.grads, this.variables)
    if (moved === undefined) return found
    const sizes = readMagnitudes(this.variables, this.#bound)
    if (sizes instanceof Promise) return found
    const at = sizes.findIndex((size) => !Number.isFinite(size))
    if (at < 0) return found
    this.#undo.restoreMoved(moved)
    throw badWeight(this, at, sizes[at]!, place)
  }

  /** A step of the user's own. */
  #trainByHand(batch: Batch, place: Place): Outcome | Promise<Outcome> {
    const { trainStep } = this.compiled
    const putBack = this.#undo.snapshot(this.#bound)
    const undone = (error: unknown): never => {
      putBack()
      throw error
    }
    try {
      const { x, y, sampleWeight } = structured(this.compiled, batch)
      const { returned } = this.#bound.run(() => ({
        returned: trainStep!({ x, y, ...(sampleWeight !== undefined && { sampleWeight }) }, this.model),
      }))
      const logs = readLogs(returned, this.#bound)
      return logs instanceof Promise
        ? logs.then((read) => this.#outcomeByHand(read, place)).catch(undone)
        : this.#outcomeByHand(logs, place)
    } catch (error) {
      return undone(error)
    }
  }

  /** @throws NonFiniteError where a number is none. */
  #outcomeByHand(logs: Record<string, number>, place: Place): Outcome {
    const bad = Object.keys(logs).find((key) => !Number.isFinite(logs[key]))
    if (bad !== undefined)
      throw new NonFiniteError(
        `${where(place)}: trainStep returned ${bad} = ${logs[bad]}; the weights before this step are kept`,
        { op: place.op },
      )
    const losses = this.compiled.targets.list.map(() => undefined)
    return { loss: logs['loss']!, losses, predictions: [], logs }
  }

  /** Losses and predictions, without training. */
  test(batch: Batch): Outcome | Promise<Outcome> {
    const replayed = this.#replay?.test(batch, this.#bound)
    if (replayed !== undefined) return replayed
    const found = this.#bound.run(() => this.objective.measure(batch, false))
    const { total, predictions } = found
    if (total === undefined) return { loss: 0, losses: predictions.map(() => undefined), predictions }
    const read = readScalars(scalarsOf(total, found), this.#bound)
    return read instanceof Promise
      ? read.then((numbers) => outcomeOf(this.compiled, found, numbers))
      : outcomeOf(this.compiled, found, read)
  }

  /** Plans are looked at again before they are used, where code of the user's may have changed what it does. */
  doubt(): void {
    this.#replay?.doubt()
  }

  /** What steps change, as it is now; the result puts it back. */
  snapshot(): () => void {
    return this.#undo.snapshot(this.#bound)
  }
}
