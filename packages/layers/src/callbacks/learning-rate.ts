import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'

/** An optimizer whose learning rate can be set. */
export interface LearningRate {
  learningRate: number
}

/** @throws ValueError where a schedule gives it. */
export function learningRateOf(what: string, optimizer: { learningRate: unknown }): LearningRate {
  if (typeof optimizer.learningRate !== 'number')
    throw new ValueError(
      `${what}: the optimizer's learning rate is not a number but ${show(optimizer.learningRate)}`,
    )
  return optimizer as LearningRate
}
