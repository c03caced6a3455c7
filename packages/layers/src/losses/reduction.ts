import { div, equal, mean, mul, ones, reshape, ShapeError, sum, type Tensor, where } from '@adjoint/core'
import { formatShape } from '@adjoint/core/extend'
import { camelCase } from '../names.js'
import { checkChoice } from '../option-checks.js'

const REDUCTIONS = ['sum_over_batch_size', 'mean', 'sum', 'mean_with_sample_weight', 'none'] as const

/**
 * How the weighted values of all samples become one: divided by their number (Keras' default, 'sum_over_batch_size' or
 * 'mean'), added, or divided by the sum of the weights. 'none' leaves them, which cannot be trained on.
 */
export type Reduction = (typeof REDUCTIONS)[number] | 'sumOverBatchSize' | 'meanWithSampleWeight'

export function checkReduction(what: string, reduction: Reduction): (typeof REDUCTIONS)[number] {
  const known = REDUCTIONS.find((name) => camelCase(name) === reduction)
  return known ?? checkChoice(what, 'reduction', reduction, REDUCTIONS)
}

/**
 * One loss of the values of all samples.
 * @param weights what each sample counts, [batch] or with more of the values' axes.
 * @throws ShapeError for weights of more axes than there are values.
 */
export function reduced(
  values: Tensor,
  weights: Tensor | undefined,
  { name, reduction = 'mean' }: { readonly name: string; readonly reduction?: Reduction | undefined },
): Tensor {
  if (weights === undefined)
    return reduction === 'sum' ? sum(values) : values.rank === 0 ? values : mean(values)
  const w = alignedWeights(values, weights, name)
  const weighted = mul(values, w)
  if (reduction === 'sum') return sum(weighted)
  if (reduction !== 'mean_with_sample_weight') return mean(weighted)
  const total = sum(mul(ones(weighted.shape, weighted.dtype), w))
  return where(equal(total, 0), 0, div(sum(weighted), total))
}

/** One value for all samples counts as often as the samples do. */
function alignedWeights(values: Tensor, weights: Tensor, loss: string): Tensor {
  if (values.rank === 0) return weights
  if (weights.rank > values.rank)
    throw new ShapeError(
      `loss ${loss}: its values are ${formatShape(values.shape)} and the weights ${formatShape(weights.shape)}`,
      { shapes: [values.shape, weights.shape] },
    )
  const missing = values.rank - weights.rank
  return missing === 0 ? weights : reshape(weights, [...weights.shape, ...new Array<number>(missing).fill(1)])
}
