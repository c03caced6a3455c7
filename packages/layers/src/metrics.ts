import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { lossAliases, losses, type LossFn, type LossName, lossTable, resolveLoss } from './losses.js'
import type { LossFactory } from './losses/configured.js'
import {
  accuracy,
  type MetricOptions,
  binaryAccuracy,
  categoricalAccuracy,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
} from './metrics/accuracy.js'
import {
  auc,
  binaryIoU,
  f1Score,
  falseNegatives,
  falsePositives,
  fBetaScore,
  precision,
  precisionAtRecall,
  recall,
  recallAtPrecision,
  sensitivityAtSpecificity,
  specificityAtSensitivity,
  trueNegatives,
  truePositives,
} from './metrics/confusion.js'
import { type Metric, meanMetric, type StatefulMetric } from './metrics/metric.js'
import { iou, meanIoU, oneHotIoU, oneHotMeanIoU } from './metrics/iou.js'
import {
  concordanceCorrelation,
  cosineSimilarity,
  pearsonCorrelation,
  r2Score,
  rootMeanSquaredError,
} from './metrics/regression.js'
import { Names, type Spelling } from './names.js'

export { type Metric, StatefulMetric } from './metrics/metric.js'

type KerasMetricName =
  | 'accuracy'
  | 'acc'
  | 'binary_accuracy'
  | 'categorical_accuracy'
  | 'sparse_categorical_accuracy'
  | 'top_k_categorical_accuracy'
  | 'sparse_top_k_categorical_accuracy'
  | 'auc'
  | 'precision'
  | 'recall'
  | 'true_positives'
  | 'false_positives'
  | 'true_negatives'
  | 'false_negatives'
  | 'f1_score'
  | 'r2_score'
  | 'pearson_correlation'
  | 'concordance_correlation'
  | 'root_mean_squared_error'

/** Metrics by name, each with its default options: in Keras' spelling, or in camel case. Losses are metrics too. */
export type MetricName = Spelling<KerasMetricName> | LossName
/** A metric by name, as a function whose values are averaged, or as an object that keeps the count itself. */
export type MetricLike = MetricName | LossFn | Metric

const origins = new WeakMap<object, { readonly name: string; readonly args: readonly unknown[] }>()

/** The losses that are metrics too: their values are averaged over all samples. */
type LossMetric = Exclude<keyof typeof losses, 'cosineSimilarity'>
type LossMetricOptions<F> =
  F extends LossFactory<infer O> ? Omit<O, 'reduction'> & MetricOptions : MetricOptions

/** The mean of a loss with options, under Keras' name unless another is given. */
function ofLoss<K extends LossMetric>(
  key: K,
): (options?: LossMetricOptions<(typeof losses)[K]>) => StatefulMetric {
  return (options) => {
    const { name, ...rest }: MetricOptions = options ?? {}
    const loss = (losses[key] as (given: object) => LossFn)(rest)
    return meanMetric(name ?? resolveLoss(losses[key]).name, loss)
  }
}

const lossMetrics = Object.fromEntries(
  (Object.keys(losses) as LossMetric[])
    .filter((key) => (key as string) !== 'cosineSimilarity')
    .map((key) => [key, ofLoss(key)]),
) as { readonly [K in LossMetric]: ReturnType<typeof ofLoss<K>> }

/**
 * Metrics with options: `metrics.auc({ curve: 'PR' })`, `metrics.binaryCrossentropy({ fromLogits: true })`. Each call
 * makes a new one.
 */
export const metrics: typeof lossMetrics & {
  readonly accuracy: typeof accuracy
  readonly binaryAccuracy: typeof binaryAccuracy
  readonly categoricalAccuracy: typeof categoricalAccuracy
  readonly sparseCategoricalAccuracy: typeof sparseCategoricalAccuracy
  readonly topKCategoricalAccuracy: typeof topKCategoricalAccuracy
  readonly sparseTopKCategoricalAccuracy: typeof sparseTopKCategoricalAccuracy
  readonly precision: typeof precision
  readonly recall: typeof recall
  readonly truePositives: typeof truePositives
  readonly falsePositives: typeof falsePositives
  readonly trueNegatives: typeof trueNegatives
  readonly falseNegatives: typeof falseNegatives
  readonly auc: typeof auc
  readonly precisionAtRecall: typeof precisionAtRecall
  readonly recallAtPrecision: typeof recallAtPrecision
  readonly sensitivityAtSpecificity: typeof sensitivityAtSpecificity
  readonly specificityAtSensitivity: typeof specificityAtSensitivity
  readonly f1Score: typeof f1Score
  readonly fBetaScore: typeof fBetaScore
  readonly binaryIoU: typeof binaryIoU
  readonly rootMeanSquaredError: typeof rootMeanSquaredError
  readonly cosineSimilarity: typeof cosineSimilarity
  readonly r2Score: typeof r2Score
  readonly iou: typeof iou
  readonly meanIoU: typeof meanIoU
  readonly oneHotIoU: typeof oneHotIoU
  readonly oneHotMeanIoU: typeof oneHotMeanIoU
  readonly pearsonCorrelation: typeof pearsonCorrelation
  readonly concordanceCorrelation: typeof concordanceCorrelation
} = remembered({
  ...lossMetrics,
  accuracy,
  binaryAccuracy,
  categoricalAccuracy,
  sparseCategoricalAccuracy,
  topKCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  precision,
  recall,
  truePositives,
  falsePositives,
  trueNegatives,
  falseNegatives,
  auc,
  precisionAtRecall,
  recallAtPrecision,
  sensitivityAtSpecificity,
  specificityAtSensitivity,
  f1Score,
  fBetaScore,
  binaryIoU,
  rootMeanSquaredError,
  cosineSimilarity,
  r2Score,
  iou,
  meanIoU,
  oneHotIoU,
  oneHotMeanIoU,
  pearsonCorrelation,
  concordanceCorrelation,
})

/** How the metrics that were made by {@link metrics} were made: under which name, with which arguments. */
function remembered<T extends object>(factories: T): T {
  const entries = Object.entries(factories) as [string, (...args: unknown[]) => Metric][]
  return Object.fromEntries(
    entries.map(([name, make]) => {
      const makeAndRemember = (...args: unknown[]): Metric => {
        const metric = make(...args)
        origins.set(metric, { name, args })
        return metric
      }
      return [name, Object.defineProperty(makeAndRemember, 'name', { value: name })]
    }),
  ) as T
}

/** @internal */
export function originOf(
  metric: object,
): { readonly name: string; readonly args: readonly unknown[] } | undefined {
  return origins.get(metric)
}

type Make = (options: { readonly name: string }) => Metric

const names = new Names<Make>(
  'metric',
  'a function or a metric object',
  {
    accuracy,
    acc: accuracy,
    binary_accuracy: binaryAccuracy,
    categorical_accuracy: categoricalAccuracy,
    sparse_categorical_accuracy: sparseCategoricalAccuracy,
    top_k_categorical_accuracy: topKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy: sparseTopKCategoricalAccuracy,
    auc,
    precision,
    recall,
    true_positives: truePositives,
    false_positives: falsePositives,
    true_negatives: trueNegatives,
    false_negatives: falseNegatives,
    f1_score: f1Score,
    r2_score: r2Score,
    pearson_correlation: pearsonCorrelation,
    concordance_correlation: concordanceCorrelation,
    root_mean_squared_error: rootMeanSquaredError,
    ...Object.fromEntries(
      Object.entries(lossTable).map(([key, fn]): [string, Make] => [key, ({ name }) => meanMetric(name, fn)]),
    ),
    // The metric's sign is not the loss's.
    cosine_similarity: cosineSimilarity,
  },
  lossAliases,
)

/**
 * The metric that an output was given: a new one for a name or a function, the same one for a metric object.
 * Its name is the one given, in Keras' spelling; a function's own name.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveMetric(spec: unknown): Metric {
  if (isMetric(spec)) return spec
  if (typeof spec === 'function') {
    if (Object.values(metrics).includes(spec as never))
      throw new ValueError(`metric: got the function ${spec.name}; call it: metrics.${spec.name}()`)
    const { name, fn } = resolveLoss(spec)
    return meanMetric(name === 'loss' ? 'metric' : name, fn)
  }
  const { name, value } = names.get(spec)
  return value({ name })
}

/** Whether it has what a {@link Metric} must have. */
function isMetric(x: unknown): x is Metric {
  if (typeof x !== 'object' || x === null) return false
  const { name, update, reset, result } = x as Partial<Metric>
  if (typeof update !== 'function' || typeof reset !== 'function' || typeof result !== 'function')
    return false
  if (typeof name === 'string' && name !== '') return true
  throw new ValueError(`metric: its name must be a text, got ${show(name)}`)
}
