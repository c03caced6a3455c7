import { DataError, NonFiniteError, ValueError } from '@adjoint/core'
import { randomBits, randomState, type RandomState, setRandomState, show } from '@adjoint/core/extend'
import { BackupAndRestore } from '../callbacks/backup-and-restore.js'
import { now, warn } from '../host.js'
import type { Model } from '../model.js'
import { Ahead } from './ahead.js'
import { Air } from './air.js'
import { captureData, type Dataset, partOf } from './batches.js'
import { Bound } from './bound.js'
import { claim } from './busy.js'
import { CallbackRun } from './callback-run.js'
import { type Compiled, compiledOf, logNamesOf } from './compile.js'
import { checkCanEvaluate, evaluateOn } from './evaluate.js'
import { TrainingHistory } from './history.js'
import { HostCopy } from './host-copy.js'
import { Meter } from './logs.js'
import { checkSomeThere } from './missing.js'
import type { MeterState, TrainingShape, TrainingState } from './position.js'
import { Report, type Verbosity } from './report.js'
import { restore, stateOf } from './resume.js'
import { type FitSettings, fitSettings, type LoopSettings } from './settings.js'
import { type Pass, RowSource, type Source } from './source.js'
import { Stepper } from './step.js'
import type { FitOptions, FitParams, History, Logs } from './types.js'

/**
 * Trains a model. All options and data are checked, and copied, before anything happens; what fails later is undone to
 * the end of the step before.
 */
export async function fit(model: Model, x: unknown, y: unknown, options: FitOptions): Promise<History> {
  const compiled = compiledOf(model, 'fit')
  const settings = fitSettings(options)
  const callbacks = new CallbackRun(options.callbacks)
  const lease = claim(model, 'fit')
  try {
    const bound = new Bound()
    const { batchSize, shuffle } = settings
    const { training, validation } = await loaded(compiled, x, y, options, settings)
    const sources = {
      training: new RowSource(training, batchSize, bound, shuffle),
      validation: validation && new RowSource(validation, batchSize, bound),
    }
    const known = { ...settings, rows: training.rows }
    return await new Training('fit', model, compiled, bound, known, callbacks, sources).run()
  } finally {
    lease.release()
  }
}

interface FitData {
  readonly training: Dataset
  readonly validation: Dataset | undefined
}

/** Everything is copied before the first await, and checked before the first step. */
async function loaded(
  compiled: Compiled,
  x: unknown,
  y: unknown,
  options: FitOptions,
  { validationSplit }: FitSettings,
): Promise<FitData> {
  const { validationData, nonFinite } = options
  const checks = nonFinite === undefined ? {} : { nonFinite }
  const finish = captureData('fit', compiled, x, y, options)
  const finishValidation =
    validationData === undefined ? undefined : captureValidation('fit', compiled, validationData, checks)
  if (validationSplit > 0 || finishValidation !== undefined) checkCanEvaluate('fit', compiled)
  const all = await finish()
  if (all.rows === 0) throw new DataError('fit: the data has no rows')
  checkSomeThere('fit', compiled.outputs, all.masks)
  if (finishValidation !== undefined) {
    const validation = await finishValidation()
    if (validation.rows === 0) throw new DataError('fit: validationData has no rows')
    return { training: all, validation }
  }
  return validationSplit === 0 ? { training: all, validation: undefined } : split(all, validationSplit)
}

/** Arrays to validate on. */
export function captureValidation(
  op: string,
  compiled: Compiled,
  data: unknown,
  checks: object,
): () => Dataset | Promise<Dataset> {
  if (!Array.isArray(data) || data.length < 2 || data.length > 3)
    throw new DataError(
      `${op}: validationData must be [x, y] or [x, y, sampleWeight], got ${Array.isArray(data) ? `a list of ${data.length}` : show(data)}`,
    )
  const [x, y, sampleWeight] = data as unknown[]
  return captureData(`${op}: validationData`, compiled, x, y, { sampleWeight, ...checks })
}

/** The last rows are for validation, as in Keras. */
function split(all: Dataset, validationSplit: number): FitData {
  const at = Math.floor(all.rows * (1 - validationSplit))
  if (at === 0 || at === all.rows)
    throw new ValueError(
      `fit: validationSplit ${validationSplit} of ${all.rows} rows leaves ${at} to train on and ${all.rows - at} to validate on`,
    )
  return { training: partOf(all, 0, at), validation: partOf(all, at, all.rows) }
}

/** What a training needs to know, whatever its data is. */
export interface TrainingSettings extends LoopSettings {
  readonly verbosity: Verbosity
  /** Undefined where a dataset makes the batches. */
  readonly batchSize?: number
  readonly shuffle?: boolean
  readonly rows?: number
}

export interface TrainingSources {
  readonly training: Source
  readonly validation: Source | undefined
}

/** At the end of the first epoch after so long the host is told what the device has. */
const COPY_EVERY_MS = 10_000

/** The loop over epochs and steps. */
export class Training {
  readonly #op: string
  readonly #compiled: Compiled
  readonly #model: Model
  readonly #bound: Bound
  readonly #settings: TrainingSettings
  readonly #callbacks: CallbackRun
  readonly #sources: TrainingSources
  readonly #stepper: Stepper
  readonly #ahead: Ahead
  /** Of one epoch, as far as that is known. */
  #steps: number | undefined
  readonly #air = new Air()
  /** When the host last knew all that was trained, and what that was. */
  #copied = now()
  #copy: HostCopy | undefined
  readonly #backup: BackupAndRestore | undefined
  readonly #history = { epoch: [] as number[], logs: {} as Record<string, number[]> }
  /** The draw of the program's random numbers that all of the training's come from. */
  #origin: RandomState

  constructor(
    op: string,
    model: Model,
    compiled: Compiled,
    bound: Bound,
    settings: TrainingSettings,
    callbacks: CallbackRun,
    sources: TrainingSources,
  ) {
    this.#op = op
    this.#model = model
    this.#compiled = compiled
    this.#bound = bound
    this.#settings = settings
    this.#callbacks = callbacks
    this.#sources = sources
    this.#stepper = new Stepper(model, compiled, bound)
    this.#ahead = new Ahead(this.#stepper, bound)
    this.#steps = sources.training.steps
    const params = this.#params()
    callbacks.begin(model, params)
    this.#backup = backupIn(callbacks)
    // Metrics that cannot be saved in the middle of an epoch are known before it begins.
    if (this.#backup?.isMidway === true) new Meter(compiled, bound).getState()
    this.#origin = takeDraw(settings.initialEpoch > 0)
    if (this.#stepper.variables.length === 0 && compiled.trainStep === undefined)
      warn(`${op}: the model has no trainable weights; nothing will change`)
  }

  #params(): FitParams {
    const { epochs, batchSize, verbosity } = this.#settings
    const names = this.#compiled.trainStep === undefined ? logNamesOf(this.#compiled) : undefined
    const withValidation =
      this.#sources.validation === undefined
        ? names
        : names?.concat(logNamesOf(this.#compiled).map((name) => `val_${name}`))
    return { epochs, batchSize, steps: this.#steps, verbose: verbosity, logNames: withValidation }
  }

  async run(): Promise<History> {
    try {
      return await this.#run()
    } catch (error) {
      if (this.#bound.backend.isLost === true) this.#bound.run(() => this.#copy?.restore())
      throw error
    }
  }

  async #run(): Promise<History> {
    const { initialEpoch, epochs, signal } = this.#settings
    await this.#callbacks.call('onTrainBegin')
    const resumed = await this.#resumed()
    await this.#tellHost()
    let epoch = resumed?.epoch ?? initialEpoch
    let from = resumed?.meter && { step: resumed.step, random: resumed.random, meter: resumed.meter }
    let isDone = true
    let isOver = resumed !== undefined && this.#callbacks.stops
    for (; epoch < epochs && !isOver; epoch++) {
      const logs = isAborted(signal) ? undefined : await this.#epoch(epoch, from)
      isDone = logs !== undefined
      if (logs === undefined) break
      from = undefined
      this.#record(epoch, logs)
      if (now() - this.#copied > COPY_EVERY_MS) await this.#tellHost()
      await this.#backup?.save(this.#state(epoch + 1))
      isOver = this.#callbacks.stops
    }
    if (epochs > initialEpoch)
      this.#bound.run(() => this.#compiled.optimizer.finalize(this.#model.trainableVariables))
    try {
      await this.#callbacks.call('onTrainEnd')
    } finally {
      await this.#tellHost()
    }
    if (isDone) await this.#backup?.done()
    return new TrainingHistory(this.#history.epoch, this.#history.logs, this.#params())
  }

  /** Has the host know what was trained, where the device can be lost and all that is on it. */
  async #tellHost(): Promise<void> {
    if (this.#bound.backend.canBeLost !== true) return
    this.#copy = await HostCopy.of(this.#model, this.#compiled)
    this.#copied = now()
  }

  #record(epoch: number, logs: Logs): void {
    this.#history.epoch.push(epoch)
    for (const name of Object.keys(logs)) (this.#history.logs[name] ??= []).push(logs[name]!)
  }

  /** Where the model, the optimizer and the random numbers stand; the result puts them back there. */
  snapshot(): () => void {
    return this.#stepper.snapshot()
  }

  /** One pass over the data and the validation after it; undefined when it was cut short. */
  async #epoch(epoch: number, from: Midway | undefined): Promise<Logs | undefined> {
    this.#bound.begin()
    try {
      return await this.#pass(epoch, from)
    } finally {
      this.#bound.end()
    }
  }

  async #pass(epoch: number, from: Midway | undefined): Promise<Logs | undefined> {
    const { epochs, signal, verbosity } = this.#settings
    const { training, validation } = this.#sources
    const seed = this.#seedOf(epoch)
    this.#bound.reseed(seed)
    if (from === undefined) await this.#callbacks.call('onEpochBegin', epoch)
    this.#stepper.doubt()
    const report = new Report(verbosity, this.#steps, [epoch + 1, epochs])
    const meter = new Meter(this.#compiled, this.#bound)
    if (from !== undefined) {
      this.#bound.random = from.random
      meter.setState(from.meter)
    }
    const first = from?.step ?? 0
    const pass = await training.begin(epoch, seed, first)
    let step: number
    try {
      try {
        step = await this.#walk(epoch, first, pass, meter, report)
      } finally {
        // What an earlier step found comes first.
        await this.#ahead.settle()
      }
    } catch (error) {
      if (error instanceof NonFiniteError && this.#callbacks.accepts(error)) return undefined
      throw error
    }
    if (pass.isCutShort || isAborted(signal)) return undefined
    const isOver = this.#callbacks.hearsBatchEnd && this.#callbacks.stops
    if (!isOver) this.#steps ??= step
    const logs = await meter.logs()
    if (validation !== undefined) {
      const validated = await evaluateOn(
        { compiled: this.#compiled, stepper: this.#stepper, bound: this.#bound, air: this.#air },
        await validation.begin(epoch, seed, 0),
        'val_',
      )
      if (validated === undefined) return undefined
      Object.assign(logs, validated)
    }
    report.end(logs, step)
    await this.#callbacks.call('onEpochEnd', epoch, logs)
    return logs
  }

  /** Trains on the batches of a pass, and returns how many steps of the epoch are done. */
  async #walk(epoch: number, first: number, pass: Pass, meter: Meter, report: Report): Promise<number> {
    const { hearsBatchBegin, hearsBatchEnd } = this.#callbacks
    const isHeard = hearsBatchBegin || hearsBatchEnd
    let step = first
    while (step !== this.#sources.training.steps) {
      if (isHeard) this.#stepper.doubt()
      if (hearsBatchBegin) await this.#callbacks.call('onBatchBegin', step)
      const next = pass.next()
      const batch = next instanceof Promise ? await next : next
      if (batch === undefined) break
      const isSaved = this.#backup?.isDue(step + 1) === true
      const place = { op: this.#op, epoch, step }
      const trained = this.#ahead.train({ batch, place, meter }, isHeard || isSaved)
      if (trained instanceof Promise) await trained
      if (hearsBatchEnd) await this.#callbacks.call('onBatchEnd', step, await meter.logs())
      step++
      if (isSaved) await this.#backup.save(this.#state(epoch, step, meter))
      if (report.isDue) {
        await this.#ahead.settle()
        report.step(step, await meter.logs())
      } else report.pass(step)
      if (isAborted(this.#settings.signal) || (hearsBatchEnd && this.#callbacks.stops)) break
      if (this.#air.isDue) await this.#air.breathe()
    }
    return step
  }

  /** Each epoch has random numbers of its own, so that an epoch does not depend on how those before it went. */
  #seedOf(epoch: number): number {
    const [high, low] = randomBits(this.#origin.seed, this.#origin.draws, 2)
    return (high! * 2 ** 20 + (low! >>> 12) + epoch) % 2 ** 53
  }

  // ---- to go on after a restart

  get #shape(): TrainingShape {
    const { batchSize, shuffle, rows } = this.#settings
    const { name, slotNames } = this.#compiled.optimizer
    return {
      rows,
      batchSize,
      shuffle,
      logNames: this.#params().logNames,
      optimizer: [name, ...slotNames],
      callbacks: this.#callbacks.names,
    }
  }

  #state(epoch: number, step: number = 0, meter?: Meter): TrainingState {
    return {
      shape: this.#shape,
      epoch,
      step,
      origin: this.#origin,
      random: this.#bound.random,
      history: this.#history,
      meter: meter?.getState(),
      callbacks: this.#callbacks.getStates(),
      ...stateOf(this.#model, this.#compiled),
    }
  }

  /** Takes over what a backup holds, if there is one. */
  async #resumed(): Promise<TrainingState | undefined> {
    const state = await this.#backup?.load(this.#shape)
    if (state === undefined) return undefined
    restore(this.#model, this.#compiled, state)
    this.#origin = state.origin
    // The program's random numbers too are as they were.
    setRandomState({ ...state.origin, draws: state.origin.draws + 1 })
    this.#history.epoch.push(...state.history.epoch)
    for (const [name, values] of Object.entries(state.history.logs)) this.#history.logs[name] = [...values]
    await this.#callbacks.setStates(state.callbacks)
    return state
  }
}

/** Where in an epoch to go on. */
interface Midway {
  readonly step: number
  readonly random: RandomState
  readonly meter: MeterState
}

function backupIn(callbacks: CallbackRun): BackupAndRestore | undefined {
  const found = callbacks.list.filter((callback) => callback instanceof BackupAndRestore)
  if (found.length > 1)
    throw new ValueError('fit: there is more than one backupAndRestore among the callbacks')
  return found[0]
}

function isAborted(signal: { readonly aborted: boolean } | undefined): boolean {
  return signal?.aborted === true
}

/**
 * One draw of the program's random numbers, whatever the training will need. A training that goes on from another
 * epoch takes the one before, which was that of the training so far: then it is as if there had been no end.
 */
function takeDraw(goesOn: boolean): RandomState {
  const { seed, draws } = randomState()
  if (goesOn && draws > 0) return { seed, draws: draws - 1 }
  setRandomState({ seed, draws: draws + 1 })
  return { seed, draws }
}
