import { type Tensor, ValueError } from '@adjoint/core'
import { didYouMean, either, show } from '@adjoint/core/extend'
import { warn } from './host.js'
import type { LayerBase } from './layer.js'
import {
  checkChoice,
  checkKeys,
  checkNumber,
  FINITE,
  NOT_NEGATIVE,
  POSITIVE,
  type Range,
} from './option-checks.js'
import type { Callback, Logs } from './trainer/types.js'

/** Whether a metric is better when small or when large; 'auto' asks its name. */
export type MonitorMode = 'auto' | 'min' | 'max'

const MODES: readonly MonitorMode[] = ['auto', 'min', 'max']

const LARGE_IS_GOOD =
  /(^|_)(acc|accuracy|auc|precision|recall|f1_score|fbeta_score|r2_score|similarity|iou|at_\w+)(_\d+)?$/
const SMALL_IS_GOOD =
  /(^|_)(loss|error|mse|mae|mape|msle|rmse|crossentropy|divergence|poisson|hinge|huber|logcosh|log_cosh|false_positives|false_negatives|learning_rate)(_\d+)?$/

const WHOLE: Range = { holds: (x) => Number.isInteger(x) && x >= 0, words: 'a whole number >= 0' }

/** Compares one log over the epochs. */
class Monitor {
  #sign: 1 | -1 = 1

  constructor(
    readonly what: string,
    readonly name: string,
    readonly mode: MonitorMode,
    readonly minDelta: number,
  ) {}

  /** @throws ValueError for a log that this training will not have, or of which nobody knows what is better. */
  begin(logNames: readonly string[] | undefined): void {
    const { what, name, mode } = this
    if (logNames !== undefined && !logNames.includes(name)) {
      const hint = name.startsWith('val_') && logNames.includes(name.slice(4)) ? '; pass validation data' : ''
      throw new ValueError(
        `${what}: there will be no ${show(name)}; logs are ${either(logNames)}${hint}.${didYouMean(name, logNames)}`,
      )
    }
    if (mode !== 'auto') this.#sign = mode === 'max' ? -1 : 1
    else if (LARGE_IS_GOOD.test(name)) this.#sign = -1
    else if (SMALL_IS_GOOD.test(name)) this.#sign = 1
    else
      throw new ValueError(
        `${what}: is ${show(name)} better when small or large? Say so: { mode: 'min' } or 'max'`,
      )
  }

  value(logs: Logs): number | undefined {
    const value = logs[this.name]
    if (value === undefined)
      warn(`${this.what}: there is no ${show(this.name)} among the logs ${Object.keys(logs).join(', ')}`)
    return value
  }

  isBetter(value: number, than: number | undefined): boolean {
    return than === undefined || this.#sign * value + this.minDelta < this.#sign * than
  }
}

/** Options of {@link earlyStopping}. */
export interface EarlyStoppingOptions {
  /** The log to watch (default 'val_loss'). */
  readonly monitor?: string
  /** By how much it must be better to count (default 0). */
  readonly minDelta?: number
  /** After how many epochs without improvement to stop (default 0). */
  readonly patience?: number
  readonly mode?: MonitorMode
  /** What must be beaten for the waiting to start over. */
  readonly baseline?: number
  /** Whether the weights of the best epoch are put back when training ends, by whatever cause (default false). */
  readonly restoreBestWeights?: boolean
  /** Epochs before this one are not looked at (default 0). */
  readonly startFromEpoch?: number
}

/** The callback of {@link earlyStopping}. */
export interface EarlyStopping extends Callback {
  readonly stopTraining: boolean
  /** The epoch that it stopped after, counted from 0. */
  readonly stoppedEpoch: number | undefined
  /** The best value so far. */
  readonly best: number | undefined
  readonly bestEpoch: number | undefined
}

/**
 * Stops training when a log no longer gets better, as Keras 3 does: it may stop from the second epoch on.
 * @throws ValueError for unknown options and bad values; from `fit`, for a log that there will not be.
 * @example await m.fit(x, y, { callbacks: earlyStopping({ patience: 3, restoreBestWeights: true }), validationSplit: 0.2 })
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  const what = 'earlyStopping'
  const known = [
    'monitor',
    'minDelta',
    'patience',
    'mode',
    'baseline',
    'restoreBestWeights',
    'startFromEpoch',
  ]
  checkKeys(what, options, known)
  const { monitor = 'val_loss', minDelta = 0, patience = 0, mode = 'auto', baseline } = options
  const { restoreBestWeights = false, startFromEpoch = 0 } = options
  checkNumber(what, 'patience', patience, WHOLE)
  checkNumber(what, 'startFromEpoch', startFromEpoch, WHOLE)
  if (baseline !== undefined) checkNumber(what, 'baseline', baseline, FINITE)
  const watched = monitorOf(what, monitor, mode, minDelta)
  let model: LayerBase | undefined
  let wait = 0
  let best: number | undefined
  let bestEpoch: number | undefined
  let bestWeights: Tensor[] | undefined
  let stoppedEpoch: number | undefined
  return {
    name: what,
    setModel(of) {
      model = of
    },
    setParams: ({ logNames }) => watched.begin(logNames),
    onTrainBegin() {
      wait = 0
      best = bestEpoch = bestWeights = stoppedEpoch = undefined
    },
    onEpochEnd(epoch, logs) {
      const value = watched.value(logs)
      if (value === undefined || epoch < startFromEpoch) return
      if (restoreBestWeights && bestWeights === undefined) {
        bestWeights = model?.getWeights()
        bestEpoch = epoch
      }
      wait++
      if (watched.isBetter(value, best)) {
        best = value
        bestEpoch = epoch
        if (restoreBestWeights) bestWeights = model?.getWeights()
        if (baseline === undefined || watched.isBetter(value, baseline)) wait = 0
      } else if (wait >= patience && epoch > 0) stoppedEpoch = epoch
    },
    onTrainEnd() {
      if (bestWeights !== undefined) model?.setWeights(bestWeights)
      bestWeights = undefined
    },
    get stopTraining() {
      return stoppedEpoch !== undefined
    },
    get stoppedEpoch() {
      return stoppedEpoch
    },
    get best() {
      return best
    },
    get bestEpoch() {
      return bestEpoch
    },
  }
}

/** Options of {@link reduceLROnPlateau}. */
export interface ReduceLROnPlateauOptions {
  /** The log to watch (default 'val_loss'). */
  readonly monitor?: string
  /** What the learning rate is multiplied by (default 0.1). */
  readonly factor?: number
  /** After how many epochs without improvement (default 10). */
  readonly patience?: number
  readonly mode?: MonitorMode
  /** By how much the log must be better to count (default 1e-4). */
  readonly minDelta?: number
  /** How many epochs to leave alone after a reduction (default 0). */
  readonly cooldown?: number
  /** The learning rate does not go below this (default 0). */
  readonly minLR?: number
}

/**
 * Lowers the learning rate when a log no longer gets better. The rate of each epoch is logged as `learning_rate`.
 * @throws ValueError for unknown options and bad values; from `fit`, for a log that there will not be.
 */
export function reduceLROnPlateau(options: ReduceLROnPlateauOptions = {}): Callback {
  const what = 'reduceLROnPlateau'
  checkKeys(what, options, ['monitor', 'factor', 'patience', 'mode', 'minDelta', 'cooldown', 'minLR'])
  const { monitor = 'val_loss', factor = 0.1, patience = 10, mode = 'auto', minDelta = 1e-4 } = options
  const { cooldown = 0, minLR = 0 } = options
  checkNumber(what, 'factor', factor, { holds: (x) => x > 0 && x < 1, words: 'in the range (0, 1)' })
  checkNumber(what, 'patience', patience, WHOLE)
  checkNumber(what, 'cooldown', cooldown, WHOLE)
  checkNumber(what, 'minLR', minLR, NOT_NEGATIVE)
  const watched = monitorOf(what, monitor, mode, minDelta)
  let rate: LearningRate
  let best: number | undefined
  let wait = 0
  let resting = 0
  return {
    name: what,
    setModel(model) {
      rate = learningRateOf(what, model.optimizer)
    },
    setParams: ({ logNames }) => watched.begin(logNames),
    onTrainBegin() {
      best = undefined
      wait = resting = 0
    },
    onEpochEnd(_epoch, logs) {
      logs['learning_rate'] = rate.learningRate
      const value = watched.value(logs)
      if (value === undefined) return
      if (resting > 0) {
        resting--
        wait = 0
      }
      if (watched.isBetter(value, best)) {
        best = value
        wait = 0
      } else if (resting === 0 && ++wait >= patience && rate.learningRate > minLR) {
        rate.learningRate = Math.max(rate.learningRate * factor, minLR)
        resting = cooldown
        wait = 0
      }
    },
  }
}

/**
 * Sets the learning rate of each epoch: `schedule` is given the epoch, from 0, and the rate so far. The rate is
 * logged as `learning_rate`.
 */
export function learningRateScheduler(schedule: (epoch: number, learningRate: number) => number): Callback {
  const what = 'learningRateScheduler'
  if (typeof schedule !== 'function')
    throw new ValueError(`${what}: expected a function, got ${show(schedule)}`)
  let rate: LearningRate
  return {
    name: what,
    setModel(model) {
      rate = learningRateOf(what, model.optimizer)
    },
    onEpochBegin(epoch) {
      rate.learningRate = checkNumber(what, 'the rate', schedule(epoch, rate.learningRate), POSITIVE)
    },
    onEpochEnd(_epoch, logs) {
      logs['learning_rate'] = rate.learningRate
    },
  }
}

/** A callback made of functions: `lambdaCallback({ onEpochEnd: (epoch, logs) => console.log(epoch, logs.loss) })`. */
export function lambdaCallback(functions: Callback): Callback {
  const known = [
    'name',
    'setModel',
    'setParams',
    'onTrainBegin',
    'onTrainEnd',
    'onEpochBegin',
    'onEpochEnd',
    'onBatchBegin',
    'onBatchEnd',
    'stopTraining',
  ]
  checkKeys('lambdaCallback', functions, known)
  return functions
}

function monitorOf(what: string, monitor: unknown, mode: MonitorMode, minDelta: number): Monitor {
  if (typeof monitor !== 'string' || monitor === '')
    throw new ValueError(`${what}: monitor must be the name of a log, got ${show(monitor)}`)
  checkNumber(what, 'minDelta', minDelta, FINITE)
  return new Monitor(what, monitor, checkChoice(what, 'mode', mode, MODES), Math.abs(minDelta))
}

interface LearningRate {
  learningRate: number
}

function learningRateOf(what: string, optimizer: { learningRate: unknown }): LearningRate {
  if (typeof optimizer.learningRate !== 'number')
    throw new ValueError(
      `${what}: the optimizer's learning rate is not a number but ${show(optimizer.learningRate)}`,
    )
  return optimizer as LearningRate
}
