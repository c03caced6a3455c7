import {
  abs,
  BackendError,
  isFinite,
  lessEqual,
  logicalAnd,
  max,
  tensor,
  type Tensor,
  type Variable,
  where,
} from '@adjoint/core'
import { randomState, setRandomState, type StepFunctions, StepPlan } from '@adjoint/core/extend'
import { maskOf } from '../masks.js'
import type { Model } from '../model.js'
import type { Batch } from './batches.js'
import type { Bound } from './bound.js'
import type { Compiled } from './compile.js'
import { badGradient, badLoss, type Place } from './non-finite.js'
import type { Objective } from './objective.js'
import { type Outcome, scalarsOf, weighted } from './outcome.js'
import { allLayers, type PlanSet, type Recording, tensorsOf, withTensors } from './planned.js'
import { isRisky } from './risk.js'
import type { Kept } from './undo.js'

/** What steps by plans are made of. */
interface Subject {
  readonly model: Model
  readonly compiled: Compiled
  readonly objective: Objective
  readonly variables: readonly Variable[]
  readonly statistics: readonly Variable[]
}

/** Steps of one model by plans, to the last bit what they are op by op. */
export class Replayer {
  readonly #subject: Subject
  readonly #plans: PlanSet
  readonly #hasMetrics: boolean
  /** Which layers are frozen: some do something else then. */
  readonly #frozen: string
  /** How many losses are read. */
  readonly #lossCount: number
  readonly #trainRecording: Recording
  readonly #testRecording: Recording

  constructor(subject: Subject, plans: PlanSet) {
    this.#subject = subject
    this.#plans = plans
    this.#hasMetrics = subject.compiled.outputs.some(({ metrics }) => metrics.length > 0)
    this.#frozen = allLayers(subject.model)
      .map((layer) => (layer.trainable ? '1' : '0'))
      .join('')
    const { compiled, objective } = subject
    this.#lossCount = 1 + objective.scored.length + (compiled.modelLoss === undefined ? 0 : 1)
    this.#trainRecording = this.#training()
    this.#testRecording = this.#testing()
  }

  /** Plans are looked at again before they are used, where code of the user's may have changed what it does. */
  doubt(): void {
    this.#plans.train.doubt()
    this.#plans.test.doubt()
  }

  /** A step of training, if there is a plan that can make it; undefined where nothing was done. */
  train(batch: Batch, bound: Bound, place: Place): Outcome | Promise<Outcome | undefined> | undefined {
    const plans = this.#plans.train
    // A single step cannot know what the user's code did before it.
    if (plans.hasOwnCode && place.op === 'trainOnBatch') return undefined
    const before: Kept = { random: bound.random, statistics: [] }
    const begun = drawing(bound, before, () => this.#begin(batch, before, place))
    if (begun === undefined || !('read' in begun)) return begun
    const { plan, read } = begun
    return read.then(
      (numbers) => drawing(bound, before, () => this.#trainBy(plan, batch, numbers, before, place)),
      (error: unknown) => {
        bound.random = before.random
        throw error
      },
    )
  }

  /**
   * A step of training whose numbers are read later: it changes nothing where they are not sound, and nor do those
   * after it. Undefined where nothing was done: such a step has to be looked at before it changes anything.
   */
  trainUnseen(batch: Batch, bound: Bound): Begun | undefined {
    const { compiled, variables } = this.#subject
    const { optimizer } = compiled
    const guard = this.#plans.guard
    const foreseen = guard && optimizer.foresee(variables)
    if (foreseen === undefined || optimizer.largestRate > LARGEST_RATE) return undefined
    const { random } = bound
    return drawing(bound, { random, statistics: [] }, () => {
      const plan = this.#plans.train.ready(batch, this.#trainRecording)
      if (plan?.canChangeUnseen(foreseen) !== true) return undefined
      plan.compute(tensorsOf(batch))
      const count = this.#lossCount + variables.length
      const predictions = this.#predictions(plan, count)
      const later = plan.later(count)
      // Before the change, after which schedules are a step further.
      const outcome = weighted(compiled, { ...this.#lossesOf([]), predictions })
      const putBack = optimizer.mark()
      try {
        plan.changeBy(foreseen)
      } catch (error) {
        // To be read gives back what is kept.
        later.read().catch(() => undefined)
        throw error
      }
      optimizer.advance(variables)
      return {
        predictions,
        found: async () => {
          const numbers = await later.read()
          return numbers.every(isSound) ? { ...outcome, ...this.#lossesOf(numbers) } : undefined
        },
        unmade: async () => 1 - Number((await guard!.data())[0]),
        undo: () => {
          putBack()
          bound.run(() => {
            guard!.assign(tensor(1))
          })
          bound.random = random
        },
      }
    })
  }

  /** The whole step where numbers can be read at once. */
  #begin(batch: Batch, before: Kept, place: Place): Outcome | Waiting | undefined {
    const plan = this.#plans.train.for(batch, this.#trainRecording)
    if (plan === undefined) return undefined
    plan.compute(tensorsOf(batch))
    const read = plan.numbers(this.#lossCount + this.#subject.variables.length)
    return read instanceof Promise ? { plan, read } : this.#trainBy(plan, batch, read, before, place)
  }

  /** The rest of a step whose losses and gradients' magnitudes are read: checks them, and takes the step. */
  #trainBy(
    plan: StepPlan,
    batch: Batch,
    numbers: readonly number[],
    before: Kept,
    place: Place,
  ): Outcome | undefined {
    const { compiled, variables } = this.#subject
    const found = this.#lossesOf(numbers)
    const at = this.#lossCount
    for (let i = 0; i < at; i++)
      if (!Number.isFinite(numbers[i])) throw badLoss(this.#subject, batch, found, before, place)
    let most = 0
    for (let i = 0; i < variables.length; i++) {
      const size = numbers[at + i]!
      if (!Number.isFinite(size)) throw badGradient(this.#subject, i, size, place)
      most = Math.max(most, size)
    }
    // What a guarded plan would not change variables by.
    if (this.#plans.guard !== undefined && !numbers.every(isSound)) return undefined
    // Such a step has to be looked at after it was made, and maybe taken back.
    if (isRisky(compiled.optimizer, most)) return undefined
    // Before the change, after which schedules are a step further.
    const predictions = this.#predictions(plan, at + variables.length)
    const outcome = weighted(compiled, { ...found, predictions })
    return this.#change(plan) ? outcome : undefined
  }

  /** Lets a plan move variables; false, and nothing has happened, where it cannot. */
  #change(plan: StepPlan): boolean {
    const { variables } = this.#subject
    const { optimizer } = this.#subject.compiled
    const foreseen = optimizer.foresee(variables)
    if (foreseen !== undefined && plan.changeBy(foreseen)) {
      optimizer.advance(variables)
      this.#plans.train.report(plan, true)
      return true
    }
    const putBack = optimizer.mark()
    const isMade = plan.change((grads) => optimizer.apply(grads, variables))
    this.#plans.train.report(plan, isMade)
    if (!isMade) putBack()
    return isMade
  }

  /** A step of testing, if there is a plan. */
  test(batch: Batch, bound: Bound): Outcome | Promise<Outcome> | undefined {
    const { compiled } = this.#subject
    const count = compiled.hasLoss ? this.#lossCount : 0
    const begun = bound.run(() => {
      const plan = this.#plans.test.for(batch, this.#testRecording)
      if (plan === undefined) return undefined
      plan.compute(tensorsOf(batch))
      const asked = { read: plan.numbers(count), predictions: this.#predictions(plan, count) }
      plan.settle()
      return asked
    })
    if (begun === undefined) return undefined
    const { read, predictions } = begun
    const outcome = (numbers: readonly number[]): Outcome =>
      weighted(compiled, { ...this.#lossesOf(numbers), predictions })
    return read instanceof Promise ? read.then(outcome) : outcome(read)
  }

  /** What of the numbers is which loss. */
  #lossesOf(numbers: readonly number[]): Omit<Outcome, 'predictions'> {
    const { compiled, objective } = this.#subject
    const losses = new Array<number | undefined>(compiled.outputs.length).fill(undefined)
    objective.scored.forEach(({ index }, i) => {
      losses[index] = numbers[1 + i]!
    })
    const modelLoss = compiled.modelLoss === undefined ? undefined : numbers[1 + objective.scored.length]!
    return { loss: numbers[0] ?? 0, losses, modelLoss }
  }

  #predictions(plan: StepPlan, from: number): readonly Tensor[] {
    return this.#hasMetrics ? this.#subject.compiled.outputs.map((_, i) => plan.read(from + i)) : []
  }

  // ---- recording

  #training(): Recording {
    const { compiled, objective, variables } = this.#subject
    const { optimizer } = compiled
    const { guard } = this.#plans
    const functions = (batch: Batch): StepFunctions => ({
      compute: (tensors) => {
        const open = objective.open(withTensors(batch, tensors))
        const read = [...scalarsOf(open.total, open), ...open.grads.map((g) => max(abs(g)))]
        return {
          read: [...read, ...this.#toRead(open.predictions)],
          grads: open.grads,
          ...(guard !== undefined && { isSound: read.reduce<Tensor>(soundBeside, guard.read()) }),
        }
      },
      guard,
      foreseen: optimizer.foresee(variables),
      change: (grads, numbers) =>
        numbers === undefined
          ? optimizer.apply(grads, variables)
          : optimizer.applyBy(grads, variables, numbers),
    })
    return this.#recordingOf(functions, () => optimizer.mark())
  }

  #testing(): Recording {
    const { compiled, objective } = this.#subject
    const functions = (batch: Batch): StepFunctions => ({
      compute: (tensors) => {
        const found = objective.measure(withTensors(batch, tensors), false)
        const { total, predictions } = found
        if ((total !== undefined) !== compiled.hasLoss)
          throw new BackendError('no layer has added the loss that one could have added')
        const losses = total === undefined ? [] : scalarsOf(total, found)
        return { read: [...losses, ...this.#toRead(predictions)], grads: [] }
      },
      change: () => undefined,
    })
    return this.#recordingOf(functions, () => () => undefined)
  }

  #recordingOf(functions: (batch: Batch) => StepFunctions, mark: () => () => void): Recording {
    const marked = (): (() => void) => {
      const [putBack, random] = [mark(), randomState()]
      return () => {
        putBack()
        setRandomState(random)
      }
    }
    const key = (): string => this.#key
    return {
      get key() {
        return key()
      },
      record: (batch) => StepPlan.record(functions(batch), tensorsOf(batch), marked()),
      isStill: (plan, batch) => plan.isStill(functions(batch), tensorsOf(batch), marked()),
    }
  }

  /** What is the same for all steps of one plan: which layers are frozen, and what losses that learn no weights count. */
  get #key(): string {
    const { compiled, objective } = this.#subject
    const { lossWeights, optimizer } = compiled
    let key = this.#frozen
    if (lossWeights.variables.length === 0)
      for (const { index } of objective.scored) key += ` ${lossWeights.at(index, optimizer.iterations)}`
    return key
  }

  /** What metrics are told. */
  #toRead(predictions: readonly Tensor[]): readonly Tensor[] {
    if (!this.#hasMetrics) return []
    if (predictions.some((x) => maskOf(x) !== undefined))
      throw new BackendError('metrics need the masks of predictions, which a plan does not keep')
    return predictions
  }
}

/** A step that was made, and whose numbers nobody has asked for yet. */
export interface Begun {
  readonly predictions: readonly Tensor[]
  /** What it found; undefined where its numbers were not sound: then neither it nor a step after it has changed anything. */
  found(): Promise<Outcome | undefined>
  /** How many of the steps so far, this and later ones, have changed nothing, as the device knows it. */
  unmade(): Promise<number>
  /** Has the host forget the step, and those after it. */
  undo(): void
}

/** Steps with larger numbers are looked at before they change anything. They may be as they should. */
const LARGEST = 2 ** 50
const LARGEST_RATE = 2 ** 30

function isSound(x: number): boolean {
  return Math.abs(x) <= LARGEST
}

/** `sound` where `x` is too, else 0. */
function soundBeside(sound: Tensor, x: Tensor): Tensor {
  return where(logicalAnd(isFinite(x), lessEqual(abs(x), LARGEST)), sound, 0)
}

/** A step whose numbers a device gives later. */
interface Waiting {
  readonly plan: StepPlan
  readonly read: Promise<readonly number[]>
}

/** Runs a part of a planned step. Where it fails, or there is nothing done, no random numbers were used. */
function drawing<R>(bound: Bound, { random }: Kept, part: () => R): R {
  let result: R | undefined
  try {
    return (result = bound.run(part))
  } finally {
    if (result === undefined) bound.random = random
  }
}
