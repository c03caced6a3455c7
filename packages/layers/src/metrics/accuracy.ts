import {
  arange,
  argMax,
  cast,
  equal,
  expandDims,
  greater,
  lessEqual,
  reshape,
  ShapeError,
  sum,
  type Tensor,
  where,
} from '@adjoint/core'
import { formatShape, sameShape } from '@adjoint/core/extend'
import { classKind } from '../losses.js'
import { checkKeys, checkNumber, COUNT, FINITE } from '../option-checks.js'
import { meanMetric, sameShapes, type StatefulMetric, type ValuesFn } from './metric.js'

/** Options of all metrics. */
export interface MetricOptions {
  /** The key in logs and history (default: Keras' name). */
  readonly name?: string
}
/** Options of metrics that tell yes from no. */
export interface ThresholdOptions extends MetricOptions {
  /** What lies above it is a yes (default 0.5). */
  readonly threshold?: number
}
/** Options of metrics of the k best classes. */
export interface TopKOptions extends MetricOptions {
  /** Default 5. */
  readonly k?: number
}

/** How often targets and predictions are on the same side: predictions of more than the threshold are a yes. */
export function binaryAccuracy(options: ThresholdOptions = {}): StatefulMetric {
  const { name = 'binary_accuracy', threshold = 0.5 } = options
  checkKeys(name, options, ['name', 'threshold'])
  checkNumber(name, 'threshold', threshold, FINITE)
  return meanMetric(name, binaryMatches(name, threshold))
}

function binaryMatches(name: string, threshold: number): ValuesFn {
  return (yTrue, yPred) => {
    const [t, p] = sameShapes(name, yTrue, yPred)
    return cast(equal(t, cast(greater(p, threshold), p.dtype)), p.dtype)
  }
}

/** How often the likeliest class is that of the target, targets being one-hot or probabilities. */
export function categoricalAccuracy(options: MetricOptions = {}): StatefulMetric {
  const { name = 'categorical_accuracy' } = options
  checkKeys(name, options, ['name'])
  return meanMetric(name, categoricalMatches(name))
}

function categoricalMatches(name: string): ValuesFn {
  return (yTrue, yPred) => {
    const [t, p] = sameShapes(name, yTrue, yPred)
    return cast(equal(argMax(t, -1), argMax(p, -1)), p.dtype)
  }
}

/** How often the likeliest class is that of the target, targets being class numbers. */
export function sparseCategoricalAccuracy(options: MetricOptions = {}): StatefulMetric {
  const { name = 'sparse_categorical_accuracy' } = options
  checkKeys(name, options, ['name'])
  return meanMetric(name, sparseMatches(name))
}

function sparseMatches(name: string): ValuesFn {
  return (yTrue, yPred) => cast(equal(classNumbers(name, yTrue, yPred), argMax(yPred, -1)), yPred.dtype)
}

/** Class numbers in the shape of predictions without their last axis. */
function classNumbers(name: string, yTrue: Tensor, yPred: Tensor): Tensor {
  const rows = yPred.shape.slice(0, -1)
  if (sameShape(yTrue.shape, rows)) return yTrue
  if (sameShape(yTrue.shape, [...rows, 1])) return reshape(yTrue, rows)
  throw new ShapeError(
    `metric ${name}: targets must be class numbers of shape ${formatShape(rows)} for predictions ` +
      `${formatShape(yPred.shape)}, got ${formatShape(yTrue.shape)}`,
    { shapes: [yTrue.shape, yPred.shape] },
  )
}

/** Binary, categorical or sparse categorical accuracy, whichever fits the shapes. */
export function accuracy(options: MetricOptions = {}): StatefulMetric {
  const { name = 'accuracy' } = options
  checkKeys(name, options, ['name'])
  const kinds = {
    binary: binaryMatches(name, 0.5),
    categorical: categoricalMatches(name),
    sparse: sparseMatches(name),
  }
  return meanMetric(name, (yTrue, yPred) => kinds[classKind(yTrue.shape, yPred.shape)](yTrue, yPred))
}

/** How often the target's class is among the k likeliest, targets being one-hot or probabilities. */
export function topKCategoricalAccuracy(options: TopKOptions = {}): StatefulMetric {
  const { name = 'top_k_categorical_accuracy', k = 5 } = options
  checkKeys(name, options, ['name', 'k'])
  checkNumber(name, 'k', k, COUNT)
  return meanMetric(name, (yTrue, yPred) => {
    const [t, p] = sameShapes(name, yTrue, yPred)
    return amongBest(argMax(t, -1), p, k)
  })
}

/** How often the target's class is among the k likeliest, targets being class numbers. */
export function sparseTopKCategoricalAccuracy(options: TopKOptions = {}): StatefulMetric {
  const { name = 'sparse_top_k_categorical_accuracy', k = 5 } = options
  checkKeys(name, options, ['name', 'k'])
  checkNumber(name, 'k', k, COUNT)
  return meanMetric(name, (yTrue, yPred) => amongBest(classNumbers(name, yTrue, yPred), yPred, k))
}

/** 1 where fewer than k classes are likelier than the given one; ties count for it. */
function amongBest(classes: Tensor, p: Tensor, k: number): Tensor {
  const isIt = equal(expandDims(classes, -1), arange(0, p.shape.at(-1), 1, 'int32'))
  const own = sum(where(isIt, p, 0), -1, true)
  return cast(lessEqual(sum(cast(greater(p, own), 'int32'), -1), k - 1), p.dtype)
}
