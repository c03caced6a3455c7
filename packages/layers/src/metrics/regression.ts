import {
  add,
  any,
  cast,
  div,
  greater,
  isInf,
  mean,
  mul,
  neg,
  notEqual,
  ShapeError,
  square,
  squaredDifference,
  sqrt,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
  cosineSimilarity as cosineLoss,
} from '@adjoint/core'
import { formatShape } from '@adjoint/core/extend'
import { checkChoice, checkKeys, checkNumber, WHOLE } from '../option-checks.js'
import type { MetricOptions } from './accuracy.js'
import { meanMetric, sameShapes, StatefulMetric, weightsFor } from './metric.js'

/** The root of the mean of (t - p)². */
export function rootMeanSquaredError(options: MetricOptions = {}): StatefulMetric {
  const { name = 'root_mean_squared_error' } = options
  checkKeys(name, options, ['name'])
  return meanMetric(name, (yTrue, yPred) => squaredDifference(...sameShapes(name, yTrue, yPred)), sqrt)
}

/** Options of {@link cosineSimilarity}. */
export interface CosineOptions extends MetricOptions {
  /** The axis of the vectors (default: the last). */
  readonly axis?: number
}

/** The mean cosine of the angle between targets and predictions: 1 for the same direction. (The loss is -1 then.) */
export function cosineSimilarity(options: CosineOptions = {}): StatefulMetric {
  const { name = 'cosine_similarity', axis = -1 } = options
  checkKeys(name, options, ['name', 'axis'])
  return meanMetric(name, (yTrue, yPred) => neg(cosineLoss(yTrue, yPred, { axis })))
}

/**
 * The correlation of targets and predictions along an axis (default: the last), averaged over samples: 1 where one is
 * the other stretched and moved (Pearson 1895).
 */
export function pearsonCorrelation(options: CosineOptions = {}): StatefulMetric {
  const { name = 'pearson_correlation', axis = -1 } = options
  checkKeys(name, options, ['name', 'axis'])
  return meanMetric(name, (yTrue, yPred) => {
    const [t, p] = sameShapes(name, yTrue, yPred)
    const unit = (x: Tensor): Tensor => {
      const centred = sub(x, mean(x, axis, true))
      return div(centred, sqrt(mean(square(centred), axis, true)))
    }
    return mean(mul(unit(t), unit(p)), axis)
  })
}

/** As {@link pearsonCorrelation}, and less where predictions are stretched or moved: 1 only where they are equal (Lin 1989). */
export function concordanceCorrelation(options: CosineOptions = {}): StatefulMetric {
  const { name = 'concordance_correlation', axis = -1 } = options
  checkKeys(name, options, ['name', 'axis'])
  return meanMetric(name, (yTrue, yPred) => {
    const [t, p] = sameShapes(name, yTrue, yPred)
    const [tMean, pMean] = [mean(t, axis, true), mean(p, axis, true)]
    const [tOff, pOff] = [sub(t, tMean), sub(p, pMean)]
    const spread = add(mean(square(tOff), axis, true), mean(square(pOff), axis, true))
    const whole = add(add(spread, squaredDifference(tMean, pMean)), 1e-7)
    return mean(div(mul(mul(tOff, pOff), 2), whole), axis)
  })
}

/** Options of {@link r2Score}. */
export interface R2Options extends MetricOptions {
  /** How the scores of several columns become one; null leaves them (default 'uniform_average'). */
  readonly classAggregation?: 'uniform_average' | 'variance_weighted_average' | null
  /**
   * From how many columns the model predicts: then 1 - (1 - R²)(n - 1) / (n - numRegressors - 1) of n samples that
   * count, if these are enough (default 0: R² itself).
   */
  readonly numRegressors?: number
}

/** The share of the targets' variance that is explained: 1 - sum((t - p)²) / sum((t - mean(t))²), by column. */
export function r2Score(options: R2Options = {}): StatefulMetric {
  const { name = 'r2_score', classAggregation = 'uniform_average', numRegressors = 0 } = options
  checkKeys(name, options, ['name', 'classAggregation', 'numRegressors'])
  checkNumber(name, 'numRegressors', numRegressors, WHOLE)
  if (classAggregation !== null)
    checkChoice(name, 'classAggregation', classAggregation, ['uniform_average', 'variance_weighted_average'])
  return new StatefulMetric(name, {
    init({ shape, dtype }) {
      const start = zeros([shape.at(-1) ?? 1], dtype)
      return { sum: start, squares: start, residual: start, count: start, samples: zeros([], dtype) }
    },
    update(state, yTrue, yPred, weight) {
      const [t, p] = columns(name, yTrue, yPred)
      const w = weightsFor(weight, t.shape, t.dtype)
      const plus = (before: Tensor, values: Tensor): Tensor => add(before, sum(values, 0))
      return {
        sum: plus(state['sum']!, mul(t, w)),
        squares: plus(state['squares']!, mul(square(t), w)),
        residual: plus(state['residual']!, mul(squaredDifference(t, p), w)),
        count: plus(state['count']!, w),
        samples: add(state['samples']!, sum(cast(any(notEqual(w, 0), -1), w.dtype))),
      }
    },
    result(state) {
      const total = sub(state['squares']!, div(square(state['sum']!), state['count']!))
      const raw = sub(1, div(state['residual']!, total))
      const scores = where(isInf(raw), 0, raw)
      const score =
        classAggregation === null
          ? scores
          : classAggregation === 'uniform_average'
            ? mean(scores)
            : div(sum(mul(total, scores)), sum(total))
      return numRegressors === 0 ? score : adjusted(score, state['samples']!, numRegressors)
    },
  })
}

/** R² for as many samples and columns (Theil 1961); as it is where there are too few samples. */
function adjusted(score: Tensor, samples: Tensor, columnCount: number): Tensor {
  const free = sub(samples, columnCount + 1)
  const unexplained = div(mul(sub(1, score), sub(samples, 1)), where(greater(free, 0), free, 1))
  return where(greater(free, 0), sub(1, unexplained), score)
}

/** Targets and predictions as [samples, columns]. */
export function columns(name: string, yTrue: Tensor, yPred: Tensor): [t: Tensor, p: Tensor] {
  const [t, p] = sameShapes(name, yTrue, yPred)
  if (t.rank === 2) return [t, p]
  throw new ShapeError(
    `metric ${name}: expected [samples, columns], got targets ${formatShape(yTrue.shape)} and predictions ` +
      formatShape(yPred.shape),
    { shapes: [yTrue.shape, yPred.shape] },
  )
}
