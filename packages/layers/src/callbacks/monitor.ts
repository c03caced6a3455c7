import { ValueError } from '@adjoint/core'
import { didYouMean, either, show } from '@adjoint/core/extend'
import { warn } from '../host.js'
import { checkChoice, checkNumber, FINITE } from '../option-checks.js'
import type { Logs } from '../trainer/types.js'

/** Whether a metric is better when small or when large; 'auto' asks its name. */
export type MonitorMode = 'auto' | 'min' | 'max'

const MODES: readonly MonitorMode[] = ['auto', 'min', 'max']

const LARGE_IS_GOOD =
  /(^|_)(acc|accuracy|auc|precision|recall|f1_score|fbeta_score|r2_score|similarity|correlation|iou|at_\w+)(_\d+)?$/
const SMALL_IS_GOOD =
  /(^|_)(loss|error|mse|mae|mape|msle|rmse|crossentropy|divergence|poisson|hinge|huber|logcosh|log_cosh|false_positives|false_negatives|learning_rate)(_\d+)?$/

/** Whether a log is better when large or small, by its name; undefined where that does not tell. */
export function directionOf(name: string): 'max' | 'min' | undefined {
  if (LARGE_IS_GOOD.test(name)) return 'max'
  return SMALL_IS_GOOD.test(name) ? 'min' : undefined
}

/** Compares one log over the epochs. */
export class Monitor {
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
    const direction = mode === 'auto' ? directionOf(name) : mode
    if (direction === undefined)
      throw new ValueError(
        `${what}: is ${show(name)} better when small or large? Say so: { mode: 'min' } or 'max'`,
      )
    this.#sign = direction === 'max' ? -1 : 1
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

/** @throws ValueError for options that are none. */
export function monitorOf(what: string, monitor: unknown, mode: MonitorMode, minDelta: number): Monitor {
  if (typeof monitor !== 'string' || monitor === '')
    throw new ValueError(`${what}: monitor must be the name of a log, got ${show(monitor)}`)
  checkNumber(what, 'minDelta', minDelta, FINITE)
  return new Monitor(what, monitor, checkChoice(what, 'mode', mode, MODES), Math.abs(minDelta))
}
