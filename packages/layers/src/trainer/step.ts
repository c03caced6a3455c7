import {
  abs,
  BackendError,
  max,
  NonFiniteError,
  type Tensor,
  valueAndGrads,
  ValueError,
  type Variable,
} from '@adjoint/core'
import {
  formatShape,
  randomState,
  type RandomState,
  replaceLeaves,
  setRandomState,
  show,
  type StepFunctions,
  StepPlan,
} from '@adjoint/core/extend'
import type { OptimizerState } from '../optimizers.js'
import { reduced } from '../losses/reduction.js'
import { isSymbolic } from '../symbolic.js'
import { type LayerBase, structureVersion, withLosses } from '../layer.js'
import type { Model } from '../model.js'
import { regularizedOf, weightLoss, withAdded } from '../regularizers.js'
import type { Batch } from './batches.js'
import type { Bound } from './bound.js'
import type { Compiled, OutputPlan } from './compile.js'
import { maskOf } from '../masks.js'
import { lossWeights } from './masked.js'
import { allLayers, type PlanSet, plansOf, type Recording, tensorsOf, withTensors } from './planned.js'
import { isKnownNonFinite, readMagnitudes, readScalars } from './read.js'
import { readLogs } from './logs.js'

/** What one step found: the loss before its update, those of the outputs, and what metrics are told. */
export interface Outcome {
  readonly loss: number
  /** By output; undefined where there is no loss. */
  readonly losses: readonly (number | undefined)[]
  /** The loss over all outputs at once, if there is one. */
  readonly modelLoss?: number | undefined
  readonly predictions: readonly Tensor[]
  /** What each loss counted in the sum, where targets may be missing. */
  readonly lossWeights?: readonly number[]
  /** What a step of the user's own returned. */
  readonly logs?: Readonly<Record<string, number>>
}

/** Where in the training a step is, for messages. */
export interface Place {
  readonly op: string
  readonly epoch: number
  readonly step: number
}

interface Open extends Parts {
  readonly total: Tensor
  readonly predictions: readonly Tensor[]
  readonly grads: readonly Tensor[]
}
/** The losses that there are: by output, and over all. */
interface Parts {
  readonly losses: readonly (Tensor | undefined)[]
  readonly modelLoss: Tensor | undefined
}

/** Float32 reaches 3e38: steps that could come near it are looked at after they were made. */
const LARGE_RATE = 1e20
const LARGE_MOVE = 1e25

const steppers = new WeakMap<Compiled, Stepper>()

/**
 * Steps of one model: everything that does not change from batch to batch is looked up once. A step is a function of
 * the batch, the weights, the optimizer's state and the random state; it moves all of them or, when it fails, none.
 */
export class Stepper {
  readonly #model: Model
  readonly #compiled: Compiled
  #bound: Bound
  readonly #variables: readonly Variable[]
  /** Variables that layers change as they run, such as moving averages. */
  readonly #statistics: readonly Variable[]
  readonly #scored: readonly OutputPlan[]
  /** Variables that add to the loss. */
  readonly #regularized: readonly Variable[]
  readonly #hasMetrics: boolean
  readonly #plans: PlanSet | undefined
  /** Which layers are frozen: some do something else then. */
  readonly #frozen: string = ''

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
      this.#variables.every((v, i) => v.trainable === this.#isTrainable[i]) &&
      this.#statistics.every((v, i) => v.trainable === this.#isTrainable[this.#variables.length + i])
    if (isSame) this.#bound = bound
    return isSame
  }

  constructor(model: Model, compiled: Compiled, bound: Bound) {
    this.#model = model
    this.#compiled = compiled
    this.#bound = bound
    this.#variables = model.trainableVariables
    this.#statistics = model.nonTrainableWeights
    this.#regularized = regularizedOf(this.#variables)
    this.#scored = compiled.outputs.filter((output) => output.loss !== undefined)
    this.#structure = structureVersion()
    this.#isTrainable = [...this.#variables, ...this.#statistics].map((v) => v.trainable)
    this.#hasMetrics = compiled.outputs.some(({ metrics }) => metrics.length > 0)
    this.#plans = bound.run(() => plansOf(model, compiled, this.#variables))
    if (this.#plans !== undefined)
      this.#frozen = allLayers(model)
        .map((layer) => (layer.trainable ? '1' : '0'))
        .join('')
  }

  get hasVariables(): boolean {
    return this.#variables.length > 0
  }

  // ---- training

  /** Forward, backward, update. @throws NonFiniteError, everything left as it was. */
  train(batch: Batch, place: Place): Outcome | Promise<Outcome> {
    if (this.#compiled.trainStep !== undefined) return this.#trainByHand(batch, place)
    const planned = this.#trainByPlan(batch, place)
    return planned ?? this.#trainByOps(batch, place)
  }

  #trainByOps(batch: Batch, place: Place): Outcome | Promise<Outcome> {
    const before = this.#keep()
    const open = this.#tried(before, () => this.#open(batch))
    const read = readScalars(scalarsOf(open.total, open))
    const sizes = readMagnitudes(open.grads)
    if (read instanceof Promise || sizes instanceof Promise)
      return Promise.all([read, sizes]).then(([numbers, magnitudes]) =>
        this.#tried(before, () => this.#commit(batch, open, numbers, magnitudes, before, place)),
      )
    return this.#tried(before, () => this.#commit(batch, open, read, sizes, before, place))
  }

  #open(batch: Batch): Open {
    const variables = this.#variables
    let parts: Parts | undefined
    let predictions: readonly Tensor[] = []
    const { value, grads } = valueAndGrads(() => {
      const made = this.#forward(batch.x, true)
      predictions = made.predictions
      parts = this.#parts(batch, predictions)
      const total = this.#total(parts, made.added)
      if (total === undefined)
        throw new ValueError(
          'there is nothing to minimise: no output has a loss, and no layer has added one; give compile a loss, or ' +
            'call addLoss in a layer',
        )
      return total
    }, variables)
    return { total: value, ...parts!, predictions, grads }
  }

  #forward(x: readonly Tensor[], training: boolean): Forward {
    const { result, losses } = withLosses(() => this.#model.compute(x, { training }) as Tensor[])
    return { predictions: result, added: losses }
  }

  #parts(batch: Batch, predictions: readonly Tensor[]): Parts {
    return { losses: this.#losses(batch, predictions), modelLoss: this.#modelLoss(batch, predictions) }
  }

  #modelLoss(batch: Batch, predictions: readonly Tensor[]): Tensor | undefined {
    const { modelLoss, targets } = this.#compiled
    if (modelLoss === undefined) return undefined
    const { y, sampleWeight } = this.#structured(batch)
    return modelLoss.fn(y, replaceLeaves(targets.tree as never, isSymbolic, predictions), sampleWeight)
  }

  /** The mean loss of each output. */
  #losses(batch: Batch, predictions: readonly Tensor[]): (Tensor | undefined)[] {
    const losses = new Array<Tensor | undefined>(predictions.length).fill(undefined)
    for (const { index, loss } of this.#scored) {
      const values = loss!.fn(batch.y[index]!, predictions[index]!)
      const given = { weights: batch.weights[index], there: batch.masks[index] }
      losses[index] = reduced(values, lossWeights(predictions[index]!, values, given, loss!), loss!)
    }
    return losses
  }

  /**
   * The weighted losses of the outputs, that over all, what layers have added, and what regularized weights add;
   * undefined where only the last could be.
   */
  #total({ losses, modelLoss }: Parts, added: readonly Tensor[]): Tensor | undefined {
    const { lossWeights, optimizer } = this.#compiled
    const weighted = lossWeights.sum(losses, optimizer.iterations)
    const [first, ...rest] = [weighted, modelLoss, ...added].filter((loss) => loss !== undefined)
    return first && withAdded(first, [...rest, ...this.#regularized.map(weightLoss)])
  }

  /** Checks what was found and, if it is sound, takes the step. */
  #commit(
    batch: Batch,
    open: Open,
    numbers: readonly number[],
    magnitudes: readonly number[],
    before: Kept,
    place: Place,
  ): Outcome {
    const found = this.#outcomeOf(open, numbers, open.predictions)
    for (let i = 0; i < numbers.length; i++)
      if (!Number.isFinite(numbers[i])) throw this.#badLoss(batch, found, before, place)
    let most = 0
    for (let i = 0; i < magnitudes.length; i++) {
      if (!Number.isFinite(magnitudes[i])) throw this.#badGradient(i, magnitudes[i]!, place)
      most = Math.max(most, magnitudes[i]!)
    }
    const { optimizer } = this.#compiled
    const rate = optimizer.largestRate
    const isRisky = rate > LARGE_RATE || rate * most > LARGE_MOVE
    const state = isRisky ? this.#keepAll() : undefined
    optimizer.apply(open.grads, this.#variables)
    if (state !== undefined) this.#checkWeights(state, place)
    return found
  }

  /** @throws NonFiniteError where the step made a weight overflow; then it has not been made. */
  #checkWeights(state: KeptAll, place: Place): void {
    const sizes = readMagnitudes(this.#variables)
    if (sizes instanceof Promise) return
    const at = sizes.findIndex((size) => !Number.isFinite(size))
    if (at < 0) return
    this.#restoreAll(state)
    throw new NonFiniteError(
      `${where(place)}: ${this.#labelOf(this.#variables[at]!)} would become ${sizes[at]}; is the learning rate ` +
        `${this.#compiled.optimizer.learningRate} too large? The weights before this step are kept`,
      { op: place.op },
    )
  }

  // ---- steps as plans

  /** Plans are looked at again before they are used, where code of the user's may have changed what it does. */
  doubt(): void {
    this.#plans?.train.doubt()
    this.#plans?.test.doubt()
  }

  /** The step by a plan, if there is one; undefined where nothing was done. */
  #trainByPlan(batch: Batch, place: Place): Outcome | Promise<Outcome> | undefined {
    const plans = this.#plans?.train
    // A single step cannot know what the user's code did before it.
    if (plans === undefined || (plans.hasOwnCode && place.op === 'trainOnBatch')) return undefined
    const plan = plans.for(batch, this.#training)
    if (plan === undefined) return undefined
    const before: Kept = { random: this.#bound.random, statistics: [] }
    const read = this.#drawing(before, () => {
      plan.compute(tensorsOf(batch))
      return plan.numbers(this.#lossCount + this.#variables.length)
    })
    const finish = (numbers: readonly number[]): Outcome | undefined =>
      this.#drawing(before, () => this.#replayed(plan, batch, numbers, before, place))
    if (!(read instanceof Promise)) return finish(read)
    return read.then(
      (numbers) => finish(numbers) ?? this.#trainByOps(batch, place),
      (error: unknown) => {
        this.#bound.random = before.random
        throw error
      },
    )
  }

  /** Runs a part of a planned step. Where it fails, or there is nothing done, no random numbers were used. */
  #drawing<R>({ random }: Kept, part: () => R): R {
    let result: R | undefined
    try {
      return (result = this.#bound.run(part))
    } finally {
      if (result === undefined) this.#bound.random = random
    }
  }

  /** How many losses are read. */
  get #lossCount(): number {
    return 1 + this.#scored.length + (this.#compiled.modelLoss === undefined ? 0 : 1)
  }

  /** What of the numbers is which loss. */
  #lossesOf(numbers: readonly number[]): Omit<Outcome, 'predictions'> {
    const losses = new Array<number | undefined>(this.#compiled.outputs.length).fill(undefined)
    this.#scored.forEach(({ index }, i) => {
      losses[index] = numbers[1 + i]!
    })
    const modelLoss = this.#compiled.modelLoss === undefined ? undefined : numbers[1 + this.#scored.length]!
    return { loss: numbers[0] ?? 0, losses, modelLoss }
  }

  /** The rest of a step whose losses and gradients' magnitudes are read: checks them, and takes the step. */
  #replayed(
    plan: StepPlan,
    batch: Batch,
    numbers: readonly number[],
    before: Kept,
    place: Place,
  ): Outcome | undefined {
    const { optimizer } = this.#compiled
    const found = this.#lossesOf(numbers)
    const at = this.#lossCount
    for (let i = 0; i < at; i++)
      if (!Number.isFinite(numbers[i]))
        throw this.#badLoss(batch, { ...found, predictions: [] }, before, place)
    let most = 0
    for (let i = 0; i < this.#variables.length; i++) {
      const size = numbers[at + i]!
      if (!Number.isFinite(size)) throw this.#badGradient(i, size, place)
      most = Math.max(most, size)
    }
    // Such a step has to be looked at after it was made, and maybe taken back.
    const rate = optimizer.largestRate
    if (rate > LARGE_RATE || rate * most > LARGE_MOVE) return undefined
    const readFrom = at + this.#variables.length
    const predictions = this.#hasMetrics ? found.losses.map((_, i) => plan.read(readFrom + i)) : []
    if (!this.#change(plan)) return undefined
    return this.#withLossWeights({ ...found, predictions })
  }

  /** Lets a plan move variables; false, and nothing has happened, where it cannot. */
  #change(plan: StepPlan): boolean {
    const { optimizer } = this.#compiled
    const foreseen = optimizer.foresee(this.#variables)
    if (foreseen !== undefined && plan.changeBy(foreseen)) {
      optimizer.advance(this.#variables)
      this.#plans!.train.report(plan, true)
      return true
    }
    const putBack = optimizer.mark()
    const isMade = plan.change((grads) => optimizer.apply(grads, this.#variables))
    this.#plans!.train.report(plan, isMade)
    if (!isMade) putBack()
    return isMade
  }

  get #training(): Recording {
    const { optimizer } = this.#compiled
    const functions = (batch: Batch): StepFunctions => ({
      compute: (tensors) => {
        const open = this.#open(withTensors(batch, tensors))
        const read = [...scalarsOf(open.total, open), ...open.grads.map((g) => max(abs(g)))]
        return { read: [...read, ...this.#toRead(open.predictions)], grads: open.grads }
      },
      foreseen: optimizer.foresee(this.#variables),
      change: (grads, numbers) =>
        numbers === undefined
          ? optimizer.apply(grads, this.#variables)
          : optimizer.applyBy(grads, this.#variables, numbers),
    })
    return this.#recordingOf(functions, () => optimizer.mark())
  }

  get #testing(): Recording {
    const functions = (batch: Batch): StepFunctions => ({
      compute: (tensors) => {
        const { predictions, parts, total } = this.#measure(withTensors(batch, tensors))
        if ((total !== undefined) !== this.#compiled.hasLoss)
          throw new BackendError('no layer has added the loss that one could have added')
        const losses = total === undefined ? [] : scalarsOf(total, parts)
        return { read: [...losses, ...this.#toRead(predictions)], grads: [] }
      },
      change: () => undefined,
    })
    return this.#recordingOf(functions, () => () => undefined)
  }

  #recordingOf(functions: (batch: Batch) => StepFunctions, mark: () => () => void): Recording {
    const { lossWeights: weights, optimizer } = this.#compiled
    const fixed =
      weights.variables.length > 0
        ? ''
        : this.#scored.map(({ index }) => weights.at(index, optimizer.iterations)).join()
    const marked = (): (() => void) => {
      const [putBack, random] = [mark(), randomState()]
      return () => {
        putBack()
        setRandomState(random)
      }
    }
    return {
      key: `${this.#frozen} ${fixed}`,
      record: (batch) => this.#bound.run(() => StepPlan.record(functions(batch), tensorsOf(batch), marked())),
      isStill: (plan, batch) =>
        this.#bound.run(() => plan.isStill(functions(batch), tensorsOf(batch), marked())),
    }
  }

  /** What metrics are told. */
  #toRead(predictions: readonly Tensor[]): readonly Tensor[] {
    if (!this.#hasMetrics) return []
    if (predictions.some((x) => maskOf(x) !== undefined))
      throw new BackendError('metrics need the masks of predictions, which a plan does not keep')
    return predictions
  }

  // ---- a step of the user's own

  #trainByHand(batch: Batch, place: Place): Outcome {
    const { trainStep, targets } = this.#compiled
    const before = this.#keep()
    const state = this.#keepAll()
    try {
      const { x, y, sampleWeight } = this.#structured(batch)
      const logs = this.#bound.run(() =>
        readLogs(trainStep!({ x, y, ...(sampleWeight !== undefined && { sampleWeight }) }, this.#model)),
      )
      const bad = Object.keys(logs).find((key) => !Number.isFinite(logs[key]))
      if (bad !== undefined)
        throw new NonFiniteError(
          `${where(place)}: trainStep returned ${bad} = ${logs[bad]}; the weights before this step are kept`,
          { op: place.op },
        )
      return { loss: logs['loss']!, losses: targets.list.map(() => undefined), predictions: [], logs }
    } catch (error) {
      this.#restoreAll(state)
      this.#restore(before)
      throw error
    }
  }

  #structured(batch: Batch): { x: unknown; y: unknown; sampleWeight: unknown } {
    const { inputs, targets } = this.#compiled
    const filled = (tree: unknown, leaves: readonly unknown[]): unknown =>
      replaceLeaves(tree as never, isSymbolic, leaves)
    const isWeighted = batch.weights.some((w) => w !== undefined)
    return {
      x: filled(inputs.tree, batch.x),
      y: filled(targets.tree, batch.y),
      sampleWeight: isWeighted ? filled(targets.tree, batch.weights) : undefined,
    }
  }

  // ---- testing and predicting

  test(batch: Batch): Outcome | Promise<Outcome> {
    const plan = this.#plans?.test.for(batch, this.#testing)
    if (plan !== undefined) return this.#bound.run(() => this.#testByPlan(plan, batch))
    const { predictions, parts, total } = this.#bound.run(() => this.#measure(batch))
    if (total === undefined) return { loss: 0, losses: predictions.map(() => undefined), predictions }
    const read = readScalars(scalarsOf(total, parts))
    return read instanceof Promise
      ? read.then((numbers) => this.#outcomeOf(parts, numbers, predictions))
      : this.#outcomeOf(parts, read, predictions)
  }

  #measure(batch: Batch): { predictions: readonly Tensor[]; parts: Parts; total: Tensor | undefined } {
    const { predictions, added } = this.#forward(batch.x, false)
    const parts = this.#parts(batch, predictions)
    return { predictions, parts, total: this.#total(parts, added) }
  }

  #testByPlan(plan: StepPlan, batch: Batch): Outcome | Promise<Outcome> {
    plan.compute(tensorsOf(batch))
    const count = this.#compiled.hasLoss ? this.#lossCount : 0
    const read = plan.numbers(count)
    const outputs = this.#compiled.outputs
    const predictions = this.#hasMetrics ? outputs.map((_, i) => plan.read(count + i)) : []
    const outcome = (numbers: readonly number[]): Outcome =>
      this.#withLossWeights({ ...this.#lossesOf(numbers), predictions })
    return read instanceof Promise ? read.then(outcome) : outcome(read)
  }

  #outcomeOf(parts: Parts, numbers: readonly number[], predictions: readonly Tensor[]): Outcome {
    return this.#withLossWeights(outcomeOf(parts, numbers, predictions))
  }

  #withLossWeights(outcome: Outcome): Outcome {
    const { outputs, lossWeights, optimizer } = this.#compiled
    // Learned weights change with every step: what they counted is not told apart.
    if (lossWeights.variables.length > 0 || outputs.every(({ masksMissing }) => !masksMissing)) return outcome
    return {
      ...outcome,
      lossWeights: outputs.map(({ index }) => lossWeights.at(index, optimizer.iterations)),
    }
  }

  // ---- all or nothing

  /** What steps change, as it is now; the result puts it back. */
  snapshot(): () => void {
    const state = this.#keepAll()
    const before = this.#keep()
    return () => {
      this.#restoreAll(state)
      this.#restore(before)
    }
  }

  #keep(): Kept {
    return { random: this.#bound.random, statistics: this.#statistics.map((v) => v.detach()) }
  }

  #restore({ random, statistics }: Kept): void {
    this.#bound.random = random
    this.#statistics.forEach((v, i) => v.assign(statistics[i]!))
  }

  #keepAll(): KeptAll {
    const { optimizer } = this.#compiled
    return { values: this.#variables.map((v) => v.detach()), optimizer: optimizer.getState() }
  }

  #restoreAll({ values, optimizer }: KeptAll): void {
    this.#variables.forEach((v, i) => v.assign(values[i]!))
    this.#compiled.optimizer.setState(optimizer)
  }

  /** Runs a part of a step under the bound backend; when it fails, nothing has happened. */
  #tried<R>(before: Kept, part: () => R): R {
    try {
      return this.#bound.run(part)
    } catch (error) {
      this.#restore(before)
      throw error
    }
  }

  // ---- what went wrong

  #badLoss(
    batch: Batch,
    { loss: total, losses, modelLoss }: Outcome,
    before: Kept,
    place: Place,
  ): NonFiniteError {
    const bad = this.#scored.find(({ index }) => !Number.isFinite(losses[index]))
    const what =
      bad !== undefined
        ? `the loss of output ${show(bad.key)} is ${losses[bad.index]}`
        : modelLoss !== undefined && !Number.isFinite(modelLoss)
          ? `the modelLoss is ${modelLoss}`
          : `the sum of the losses is ${total}`
    return new NonFiniteError(
      `${where(place)}: ${what}; ${this.#firstNonFinite(batch, before)}. The weights before this step are kept`,
      { op: place.op },
    )
  }

  /** Runs the model again, as before, to see where the first NaN or infinity comes up. */
  #firstNonFinite(batch: Batch, before: Kept): string {
    const now = randomState()
    const statistics = this.#statistics.map((v) => v.detach())
    setRandomState(before.random)
    try {
      let found: string | undefined
      const look = (label: string, x: Tensor): void => {
        if (found === undefined && isKnownNonFinite(x))
          found = `${label} (${formatShape(x.shape)}) is the first that is not finite`
      }
      this.#compiled.inputs.list.forEach(({ key }, i) => look(`input ${show(key)}`, batch.x[i]!))
      for (const v of [...this.#variables, ...this.#statistics]) look(`the weight ${this.#labelOf(v)}`, v)
      this.#model.compute(batch.x, { training: true }, (layer, outputs) => {
        for (const x of outputs)
          look(`the output of ${this.#model.nameOf(layer)} (${layer.className})`, x as Tensor)
      })
      return found ?? 'all layers gave finite numbers, so it is the loss itself'
    } finally {
      setRandomState(now)
      this.#statistics.forEach((v, i) => v.assign(statistics[i]!))
    }
  }

  #badGradient(at: number, size: number, place: Place): NonFiniteError {
    return new NonFiniteError(
      `${where(place)}: the gradient of ${this.#labelOf(this.#variables[at]!)} holds ${size}, though the loss is ` +
        'finite. The weights before this step are kept',
      { op: place.op },
    )
  }

  /** `dense_1/kernel`. */
  #labelOf(variable: Variable): string {
    if (this.#compiled.lossWeights.variables.includes(variable)) return `the loss weight ${variable.name}`
    const owner = ownerOf(this.#model.layers, variable)
    return owner === undefined ? show(variable.name) : `${this.#model.nameOf(owner)}/${variable.name}`
  }
}

/** What is read from the device after a step. */
function scalarsOf(total: Tensor, { losses, modelLoss }: Parts): Tensor[] {
  return [total, ...[...losses, modelLoss].filter((loss) => loss !== undefined)]
}

/** What was read, where it belongs. */
function outcomeOf(parts: Parts, numbers: readonly number[], predictions: readonly Tensor[]): Outcome {
  let next = 1
  const number = (loss: Tensor | undefined): number | undefined =>
    loss === undefined ? undefined : numbers[next++]!
  const losses = parts.losses.map(number)
  return { loss: numbers[0]!, losses, modelLoss: number(parts.modelLoss), predictions }
}

interface Forward {
  readonly predictions: readonly Tensor[]
  /** What layers add to the loss. */
  readonly added: readonly Tensor[]
}
interface Kept {
  readonly random: RandomState
  readonly statistics: readonly Tensor[]
}
interface KeptAll {
  readonly values: readonly Tensor[]
  readonly optimizer: OptimizerState
}

function ownerOf(layers: readonly LayerBase[], variable: Variable): LayerBase | undefined {
  for (const layer of layers) {
    if (layer.ownWeights.includes(variable)) return layer
    const inner = ownerOf(layer.sublayers, variable)
    if (inner !== undefined) return inner
  }
  return undefined
}

function where({ op, epoch, step }: Place): string {
  return op.startsWith('fit') ? `${op}: epoch ${epoch}, step ${step}` : op
}
