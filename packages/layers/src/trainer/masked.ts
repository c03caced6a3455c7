import { add, cast, div, mul, sum, type Tensor, ValueError } from '@adjoint/core'
import type { Loss } from '../losses.js'
import { combinedWeights, maskOf } from '../masks.js'

/** What is given for the samples of an output: what they count, and which targets are there if some are missing. */
interface Given {
  readonly weights: Tensor | undefined
  readonly there: Tensor | undefined
}

/**
 * What each value of a loss counts where its output has a mask or targets are missing: nothing there and 1 elsewhere;
 * for a mean total / (valid + 1e-7), so that the mean over all values is that over those that count, as in Keras.
 * @throws ValueError for a loss that cannot leave missing targets out.
 */
export function lossWeights(
  prediction: Tensor,
  values: Tensor,
  { weights, there }: Given,
  { name, reduction = 'mean' }: Pick<Loss, 'name' | 'reduction'>,
): Tensor | undefined {
  if (there !== undefined && values.rank === 0)
    throw new ValueError(
      `loss ${name}: targets are missing, and it gives one value for the whole batch; it must give one for each row`,
    )
  // A loss that is one number already has taken its own mean.
  if (values.rank === 0) return weights
  // A loss too may say which of its values count.
  const masks = [maskOf(prediction), maskOf(values)].filter((mask) => mask !== undefined)
  const all = [...masks.map((mask) => cast(mask, values.dtype)), ...(there === undefined ? [] : [there])]
  if (all.length === 0) return weights
  const counts = all.reduce((a, b) => combinedWeights(a, b))
  const isMean = reduction === 'mean' || reduction === 'sum_over_batch_size'
  const scale = isMean ? div(counts.size, add(sum(counts), 1e-7)) : 1
  return combinedWeights(mul(counts, scale), weights)
}

/** What each sample or time step counts for a metric: nothing where the output is masked. */
export function metricWeights(prediction: Tensor, weights: Tensor | undefined): Tensor | undefined {
  const mask = maskOf(prediction)
  return mask === undefined ? weights : combinedWeights(cast(mask, prediction.dtype), weights)
}
