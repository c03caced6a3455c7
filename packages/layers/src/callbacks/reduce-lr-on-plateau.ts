import { checkKeys, checkNumber, NOT_NEGATIVE, WHOLE } from '../option-checks.js'
import type { Callback } from '../trainer/types.js'
import { type LearningRate, learningRateOf } from './learning-rate.js'
import { type MonitorMode, monitorOf } from './monitor.js'

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
    getState: () => ({ best, wait, resting }),
    setState(state) {
      best = state['best'] as number | undefined
      wait = state['wait'] as number
      resting = state['resting'] as number
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
