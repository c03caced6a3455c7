import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { checkNumber, NOT_NEGATIVE } from '../option-checks.js'
import type { Callback } from '../trainer/types.js'
import { type LearningRate, learningRateOf } from './learning-rate.js'

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
      rate.learningRate = checkNumber(what, 'the rate', schedule(epoch, rate.learningRate), NOT_NEGATIVE)
    },
    onEpochEnd(_epoch, logs) {
      logs['learning_rate'] = rate.learningRate
    },
  }
}
