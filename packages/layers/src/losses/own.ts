import { cast, floatx, mean, sum, Tensor, ValueError } from '@adjoint/core'
import { isFloat, typeName } from '@adjoint/core/extend'
import { checkChoice } from '../option-checks.js'

/** Options of the losses that this package adds to those of the core. */
export interface OwnLossOptions {
  /** Default 'none': a value for each sample. */
  readonly reduction?: 'none' | 'mean' | 'sum'
}

/** Targets as they are, and predictions in a float dtype. */
export function checkedPair(
  op: string,
  yTrue: unknown,
  yPred: unknown,
): [targets: Tensor, predictions: Tensor] {
  for (const [name, y] of [
    ['yTrue', yTrue],
    ['yPred', yPred],
  ] as const)
    if (!(y instanceof Tensor))
      throw new ValueError(`${op}: ${name} must be a tensor, got ${typeName(y)}`, { op })
  const predictions = yPred as Tensor
  return [yTrue as Tensor, isFloat(predictions.dtype) ? predictions : cast(predictions, floatx())]
}

/** The values of all samples, their mean, or their sum. */
export function reducedBy(op: string, values: Tensor, { reduction = 'none' }: OwnLossOptions): Tensor {
  checkChoice(op, 'reduction', reduction, ['none', 'mean', 'sum'])
  if (reduction === 'none') return values
  return reduction === 'mean' ? mean(values) : sum(values)
}
