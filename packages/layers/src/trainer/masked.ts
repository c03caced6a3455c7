import { add, cast, div, mul, sum, type Tensor } from '@adjoint/core'
import type { Reduction } from '../losses/reduction.js'
import { combinedWeights, maskOf } from '../masks.js'

/**
 * What each value of a loss counts where its output has a mask: nothing where it is masked and 1 elsewhere; for a mean
 * total / (valid + 1e-7), so that the mean over all values is that over those that count, as in Keras.
 */
export function lossWeights(
  prediction: Tensor,
  values: Tensor,
  weights: Tensor | undefined,
  reduction: Reduction = 'mean',
): Tensor | undefined {
  const mask = maskOf(prediction)
  // A loss that is one number already has taken its own mean.
  if (mask === undefined || values.rank === 0) return weights
  const counts = cast(mask, values.dtype)
  const isMean = reduction === 'mean' || reduction === 'sum_over_batch_size'
  const scale = isMean ? div(mask.size, add(sum(counts), 1e-7)) : 1
  return combinedWeights(mul(counts, scale), weights)
}

/** What each sample or time step counts for a metric: nothing where the output is masked. */
export function metricWeights(prediction: Tensor, weights: Tensor | undefined): Tensor | undefined {
  const mask = maskOf(prediction)
  return mask === undefined ? weights : combinedWeights(cast(mask, prediction.dtype), weights)
}
