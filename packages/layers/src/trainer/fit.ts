import { DataError, ValueError } from '@adjoint/core'
import { permutationOf, randomBits, randomState, setRandomState, show } from '@adjoint/core/extend'
import { warn } from '../host.js'
import type { Model } from '../model.js'
import { Air } from './air.js'
import { captureData, type Dataset, partOf, takeBatch } from './batches.js'
import { Bound } from './bound.js'
import { claim } from './busy.js'
import { CallbackRun } from './callback-run.js'
import { type Compiled, compiledOf, logNamesOf } from './compile.js'
import { checkCanEvaluate, evaluateOn } from './evaluate.js'
import { Meter } from './logs.js'
import { Report } from './report.js'
import { type FitSettings, fitSettings } from './settings.js'
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
    const data = await loaded(compiled, x, y, options, settings)
    return await new Training(model, compiled, bound, settings, callbacks, data).run()
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
    validationData === undefined ? undefined : captureValidation(compiled, validationData, checks)
  if (validationSplit > 0 || finishValidation !== undefined) checkCanEvaluate('fit', compiled)
  const all = await finish()
  if (all.rows === 0) throw new DataError('fit: the data has no rows')
  if (finishValidation !== undefined) {
    const validation = await finishValidation()
    if (validation.rows === 0) throw new DataError('fit: validationData has no rows')
    return { training: all, validation }
  }
  return validationSplit === 0 ? { training: all, validation: undefined } : split(all, validationSplit)
}

function captureValidation(
  compiled: Compiled,
  data: unknown,
  checks: object,
): () => Dataset | Promise<Dataset> {
  if (!Array.isArray(data) || data.length < 2 || data.length > 3)
    throw new DataError(
      `fit: validationData must be [x, y] or [x, y, sampleWeight], got ${Array.isArray(data) ? `a list of ${data.length}` : show(data)}`,
    )
  const [x, y, sampleWeight] = data as unknown[]
  return captureData('fit: validationData', compiled, x, y, { sampleWeight, ...checks })
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

class Training {
  readonly #compiled: Compiled
  readonly #model: Model
  readonly #bound: Bound
  readonly #settings: FitSettings
  readonly #callbacks: CallbackRun
  readonly #data: FitData
  readonly #stepper: Stepper
  readonly #steps: number
  readonly #air = new Air()
  readonly #seed: number

  constructor(
    model: Model,
    compiled: Compiled,
    bound: Bound,
    settings: FitSettings,
    callbacks: CallbackRun,
    data: FitData,
  ) {
    this.#model = model
    this.#compiled = compiled
    this.#bound = bound
    this.#settings = settings
    this.#callbacks = callbacks
    this.#data = data
    this.#stepper = new Stepper(model, compiled, bound)
    this.#steps = Math.ceil(data.training.rows / settings.batchSize)
    const params = this.#params()
    callbacks.begin(model, params)
    this.#seed = drawSeed()
    if (!this.#stepper.hasVariables && compiled.trainStep === undefined)
      warn('fit: the model has no trainable weights; nothing will change')
  }

  #params(): FitParams {
    const { epochs, batchSize, verbosity } = this.#settings
    const names = this.#compiled.trainStep === undefined ? logNamesOf(this.#compiled) : undefined
    const withValidation =
      this.#data.validation === undefined
        ? names
        : names?.concat(logNamesOf(this.#compiled).map((name) => `val_${name}`))
    return { epochs, batchSize, steps: this.#steps, verbose: verbosity, logNames: withValidation }
  }

  async run(): Promise<History> {
    const { initialEpoch, epochs, signal } = this.#settings
    const epochLogs: Record<string, number[]> = {}
    const history = {
      epoch: [] as number[],
      history: epochLogs as History['history'],
      params: { ...this.#params() },
    }
    await this.#callbacks.call('onTrainBegin')
    for (let epoch = initialEpoch; epoch < epochs && !isAborted(signal); epoch++) {
      const logs = await this.#epoch(epoch)
      if (logs === undefined) break
      history.epoch.push(epoch)
      for (const name of Object.keys(logs)) (epochLogs[name] ??= []).push(logs[name]!)
      if (this.#callbacks.stops) break
    }
    if (epochs > initialEpoch)
      this.#bound.run(() => this.#compiled.optimizer.finalize(this.#model.trainableVariables))
    await this.#callbacks.call('onTrainEnd')
    return history
  }

  /** One pass over the data and the validation after it; undefined when it was cut short. */
  async #epoch(epoch: number): Promise<Logs | undefined> {
    const { epochs, batchSize, shuffle, verbosity } = this.#settings
    const { training, validation } = this.#data
    // Each epoch has random numbers of its own, so that an epoch does not depend on how those before it went.
    const seed = (this.#seed + epoch) % 2 ** 53
    this.#bound.reseed(seed)
    const order = shuffle ? permutationOf(seed, SHUFFLE_STREAM, training.rows) : undefined
    await this.#callbacks.call('onEpochBegin', epoch)
    const report = new Report(verbosity, this.#steps, [epoch + 1, epochs])
    const meter = new Meter(this.#compiled, this.#bound)
    for (let step = 0; step < this.#steps; step++) {
      if (this.#callbacks.hearsBatchBegin) await this.#callbacks.call('onBatchBegin', step)
      const from = step * batchSize
      const to = Math.min(from + batchSize, training.rows)
      const batch = this.#bound.run(() => takeBatch(training, order, from, to))
      const trained = this.#stepper.train(batch, { op: 'fit', epoch, step })
      const outcome = trained instanceof Promise ? await trained : trained
      meter.add(batch, outcome)
      if (this.#callbacks.hearsBatchEnd) await this.#callbacks.call('onBatchEnd', step, meter.logs())
      if (report.isLive) report.step(step + 1, meter.logs())
      if (isAborted(this.#settings.signal)) return undefined
      if (this.#air.isDue) await this.#air.breathe()
    }
    const logs = meter.logs()
    if (validation !== undefined)
      Object.assign(
        logs,
        await evaluateOn(
          this.#compiled,
          this.#stepper,
          this.#bound,
          validation,
          batchSize,
          this.#air,
          'val_',
        ),
      )
    report.end(logs)
    await this.#callbacks.call('onEpochEnd', epoch, logs)
    return logs
  }
}

/** Away from the streams of what layers draw. */
const SHUFFLE_STREAM = 2 ** 40

function isAborted(signal: { readonly aborted: boolean } | undefined): boolean {
  return signal?.aborted === true
}

/** A seed from the program's random numbers: one draw, whatever the training will need. */
function drawSeed(): number {
  const { seed, draws } = randomState()
  const [high, low] = randomBits(seed, draws, 2)
  setRandomState({ seed, draws: draws + 1 })
  return high! * 2 ** 20 + (low! >>> 12)
}
