import type { Tensor } from '@adjoint/core'
import type { LayerBase } from '../layer.js'
import { checkKeys, checkNumber, FINITE, WHOLE } from '../option-checks.js'
import type { Callback } from '../trainer/types.js'
import { type MonitorMode, monitorOf } from './monitor.js'

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
    getState: () => ({ wait, best, bestEpoch, stoppedEpoch, bestWeights }),
    setState(state) {
      wait = state['wait'] as number
      best = state['best'] as number | undefined
      bestEpoch = state['bestEpoch'] as number | undefined
      stoppedEpoch = state['stoppedEpoch'] as number | undefined
      bestWeights = state['bestWeights'] as Tensor[] | undefined
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
