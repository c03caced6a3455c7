import {
  abs,
  add,
  arange,
  cast,
  ceil,
  clip,
  div,
  expandDims,
  greater,
  greaterEqual,
  log,
  logicalAnd,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  notEqual,
  reshape,
  scatterAdd,
  sigmoid,
  slice,
  sub,
  sum,
  type Tensor,
  where,
  zeros,
} from '@adjoint/core'
import { checkAxis } from '@adjoint/core/extend'
import { checkChoice, checkFlag, checkKeys, checkNumber, POSITIVE, SHARE } from '../option-checks.js'
import type { MetricOptions, ThresholdOptions } from './accuracy.js'
import { divideOrZero, type MetricState, sameShapes, StatefulMetric, weightsFor } from './metric.js'
import { columns } from './regression.js'

// ---- counts of hits and misses

/** Options of metrics that count hits and misses. */
export interface CountOptions extends ThresholdOptions {
  /** Counts this class (column of the last axis) only. */
  readonly classId?: number
}

type Cell = 'truePositives' | 'falsePositives' | 'trueNegatives' | 'falseNegatives'

/** A metric of the numbers of hits and misses, weighted. */
function ofCounts<C extends Cell>(
  keras: string,
  cells: readonly C[],
  result: (counts: Readonly<Record<C, Tensor>>) => Tensor,
  options: CountOptions,
): StatefulMetric {
  const { name = keras, threshold = 0.5, classId } = options
  checkKeys(name, options, ['name', 'threshold', 'classId'])
  checkNumber(name, 'threshold', threshold, SHARE)
  return new StatefulMetric(name, {
    init: ({ dtype }) => Object.fromEntries(cells.map((cell) => [cell, zeros([], dtype)])),
    update(state, yTrue, yPred, weight) {
      let [t, p] = sameShapes(name, yTrue, yPred)
      if (classId !== undefined) [t, p] = [column(name, t, classId), column(name, p, classId)]
      const w = weightsFor(weight, p.shape, p.dtype)
      const isTrue = notEqual(t, 0)
      const saysYes = greater(p, threshold)
      return Object.fromEntries(
        cells.map((cell) => {
          const said = cell.endsWith('Positives') ? saysYes : saysYes.logicalNot()
          const was = cell === 'truePositives' || cell === 'falseNegatives' ? isTrue : isTrue.logicalNot()
          return [cell, add(state[cell]!, sum(where(logicalAnd(said, was), w, 0)))]
        }),
      )
    },
    result: (state) => result(state),
  })
}

function column(name: string, x: Tensor, id: number): Tensor {
  checkAxis(`metric ${name}`, id, x.shape.at(-1) ?? 0, 'classId')
  const last = x.rank - 1
  return slice(
    x,
    x.shape.map((_, axis) => (axis === last ? id : 0)),
    x.shape.map((side, axis) => (axis === last ? 1 : side)),
  )
}

/** Which share of those said to be a yes is one. */
export function precision(options: CountOptions = {}): StatefulMetric {
  return ofCounts(
    'precision',
    ['truePositives', 'falsePositives'],
    ({ truePositives, falsePositives }) => divideOrZero(truePositives, add(truePositives, falsePositives)),
    options,
  )
}

/** Which share of those that are a yes was said to be one. */
export function recall(options: CountOptions = {}): StatefulMetric {
  return ofCounts(
    'recall',
    ['truePositives', 'falseNegatives'],
    ({ truePositives, falseNegatives }) => divideOrZero(truePositives, add(truePositives, falseNegatives)),
    options,
  )
}

/** How many are a yes and said to be one. */
export function truePositives(options: CountOptions = {}): StatefulMetric {
  return ofCounts('true_positives', ['truePositives'], (counts) => counts.truePositives, options)
}

/** How many are a no and said to be a yes. */
export function falsePositives(options: CountOptions = {}): StatefulMetric {
  return ofCounts('false_positives', ['falsePositives'], (counts) => counts.falsePositives, options)
}

/** How many are a no and said to be one. */
export function trueNegatives(options: CountOptions = {}): StatefulMetric {
  return ofCounts('true_negatives', ['trueNegatives'], (counts) => counts.trueNegatives, options)
}

/** How many are a yes and said to be a no. */
export function falseNegatives(options: CountOptions = {}): StatefulMetric {
  return ofCounts('false_negatives', ['falseNegatives'], (counts) => counts.falseNegatives, options)
}

/** Options of {@link binaryIoU}. */
export interface BinaryIoUOptions extends ThresholdOptions {
  /** The classes to average over (default both, 0 and 1). */
  readonly targetClassIds?: readonly (0 | 1)[]
}

/** Intersection over union of what is said to be of a class and what is, averaged over classes. */
export function binaryIoU({ targetClassIds = [0, 1], ...options }: BinaryIoUOptions = {}): StatefulMetric {
  const { name = 'binary_iou', threshold = 0.5 } = options
  checkKeys(name, options, ['name', 'threshold'])
  checkNumber(name, 'threshold', threshold, SHARE)
  for (const id of targetClassIds) checkChoice(name, 'targetClassIds', String(id), ['0', '1'])
  return new StatefulMetric(name, {
    init: ({ dtype }) => ({ both: zeros([2], dtype), either: zeros([2], dtype) }),
    update({ both, either }, yTrue, yPred, weight) {
      const [t, p] = sameShapes(name, yTrue, yPred)
      const w = reshape(weightsFor(weight, p.shape, p.dtype), [1, p.size])
      const classes = expandDims(arange(0, 2, 1, p.dtype), -1)
      const was = classes.equal(reshape(t, [1, p.size]))
      const said = classes.equal(cast(greaterEqual(reshape(p, [1, p.size]), threshold), p.dtype))
      const count = (hit: Tensor): Tensor => sum(where(hit, w, 0), -1)
      return {
        both: add(both!, count(logicalAnd(was, said))),
        either: add(either!, count(was.logicalOr(said))),
      }
    },
    result({ both, either }) {
      const wanted = cast(
        reshape(
          targetClassIds.map((id) => arange(0, 2, 1, 'int32').equal(id)).reduce((a, b) => a.logicalOr(b)),
          [2],
        ),
        both!.dtype,
      )
      const seen = cast(notEqual(either!, 0), both!.dtype)
      return divideOrZero(sum(mul(wanted, divideOrZero(both!, either!))), sum(mul(wanted, seen)))
    },
  })
}

// ---- curves: the same counts at many thresholds

/**
 * Predictions in [0, 1] are sorted into buckets between evenly spaced thresholds; how many lie above each threshold is
 * the sum of the buckets above it.
 */
interface Curve {
  readonly truePositives: Tensor
  readonly falsePositives: Tensor
  readonly trueNegatives: Tensor
  readonly falseNegatives: Tensor
}

/**
 * @param includesZero whether a prediction of exactly 0 lies above the first threshold.
 */
function ofCurve(
  name: string,
  thresholds: number,
  includesZero: boolean,
  result: (curve: Curve) => Tensor,
  prepare: (yTrue: Tensor, yPred: Tensor) => readonly [t: Tensor, p: Tensor],
): StatefulMetric {
  checkNumber(name, 'numThresholds', thresholds, {
    holds: (x) => Number.isInteger(x) && x > 1 && x <= 1e5,
    words: 'a whole number from 2 to 100000',
  })
  // Bucket 0 holds what lies above no threshold; bucket i what lies above thresholds 0 to i - 1.
  const buckets = thresholds + 1
  return new StatefulMetric(name, {
    init: ({ dtype }) => ({ positives: zeros([buckets], dtype), negatives: zeros([buckets], dtype) }),
    update({ positives, negatives }, yTrue, yPred, weight) {
      const [t, p] = prepare(...sameShapes(name, yTrue, yPred))
      const w = reshape(weightsFor(weight, p.shape, p.dtype), [p.size])
      const isTrue = notEqual(reshape(t, [p.size]), 0)
      const above = ceil(mul(clip(reshape(p, [p.size]), 0, 1), thresholds - 1))
      const bucket = cast(includesZero ? clip(above, 1, null) : above, 'int32')
      return {
        positives: scatterAdd(positives!, bucket, where(isTrue, w, 0)),
        negatives: scatterAdd(negatives!, bucket, where(isTrue, 0, w)),
      }
    },
    result({ positives, negatives }) {
      const { dtype } = positives!
      const above = cast(
        greater(arange(0, buckets, 1, 'int32'), expandDims(arange(0, thresholds, 1, 'int32'), -1)),
        dtype,
      )
      const truePositives = matmul(above, positives!)
      const falsePositives = matmul(above, negatives!)
      return result({
        truePositives,
        falsePositives,
        falseNegatives: sub(sum(positives!), truePositives),
        trueNegatives: sub(sum(negatives!), falsePositives),
      })
    },
  })
}

/** Options of {@link auc}. */
export interface AucOptions extends MetricOptions {
  /** Default 200. */
  readonly numThresholds?: number
  /** Of recall over false positives, or of precision over recall (default 'ROC'). */
  readonly curve?: 'ROC' | 'PR'
  /** How the curve goes on between two points (default 'interpolation'). */
  readonly summationMethod?: 'interpolation' | 'minoring' | 'majoring'
  /** Whether predictions are logits; else they are probabilities (default). */
  readonly fromLogits?: boolean
}

/** The area under a curve of hits over misses, from the counts at evenly spaced thresholds. */
export function auc(options: AucOptions = {}): StatefulMetric {
  const { name = 'auc', numThresholds = 200, curve = 'ROC', fromLogits = false } = options
  const { summationMethod = 'interpolation' } = options
  checkKeys(name, options, ['name', 'numThresholds', 'curve', 'summationMethod', 'fromLogits'])
  checkChoice(name, 'curve', curve, ['ROC', 'PR'])
  checkChoice(name, 'summationMethod', summationMethod, ['interpolation', 'minoring', 'majoring'])
  checkFlag(name, 'fromLogits', fromLogits)
  return ofCurve(
    name,
    numThresholds,
    true,
    (counts) => {
      if (curve === 'PR' && summationMethod === 'interpolation') return areaUnderPrecision(counts)
      const recalls = recallsOf(counts)
      const [x, y] = curve === 'PR' ? [recalls, precisionsOf(counts)] : [missesOf(counts), recalls]
      const [left, right] = [head(y), tail(y)]
      const heights =
        summationMethod === 'interpolation'
          ? div(add(left, right), 2)
          : summationMethod === 'minoring'
            ? minimum(left, right)
            : maximum(left, right)
      return sum(mul(sub(head(x), tail(x)), heights))
    },
    (t, p) => [t, fromLogits ? sigmoid(p) : p],
  )
}

/** All but the last. */
function head(x: Tensor): Tensor {
  return slice(x, [0], [x.size - 1])
}

/** All but the first. */
function tail(x: Tensor): Tensor {
  return slice(x, [1], [x.size - 1])
}

function recallsOf({ truePositives, falseNegatives }: Curve): Tensor {
  return divideOrZero(truePositives, add(truePositives, falseNegatives))
}

function precisionsOf({ truePositives, falsePositives }: Curve): Tensor {
  return divideOrZero(truePositives, add(truePositives, falsePositives))
}

/** The share of what is a no that was said to be a yes. */
function missesOf({ falsePositives, trueNegatives }: Curve): Tensor {
  return divideOrZero(falsePositives, add(falsePositives, trueNegatives))
}

function specificitiesOf({ trueNegatives, falsePositives }: Curve): Tensor {
  return divideOrZero(trueNegatives, add(trueNegatives, falsePositives))
}

/** Between two thresholds true positives grow in proportion to all positives (Davis & Goadrich 2006). */
function areaUnderPrecision({ truePositives, falsePositives, falseNegatives }: Curve): Tensor {
  const all = add(truePositives, falsePositives)
  const gained = sub(head(truePositives), tail(truePositives))
  const slope = divideOrZero(gained, clip(sub(head(all), tail(all)), 0, null))
  const intercept = sub(tail(truePositives), mul(slope, tail(all)))
  const hasRatio = logicalAnd(greater(head(all), 0), greater(tail(all), 0))
  const ratio = where(hasRatio, divideOrZero(head(all), tail(all)), 1)
  const area = mul(slope, add(gained, mul(intercept, log(ratio))))
  return sum(divideOrZero(area, add(tail(truePositives), tail(falseNegatives))))
}

/** Options of metrics that look for the best threshold. */
export interface AtOptions extends MetricOptions {
  /** Default 200. */
  readonly numThresholds?: number
  /** Counts this class (column of the last axis) only. */
  readonly classId?: number
}

/** The largest of one rate among the thresholds where the other is at least `least`. */
function bestAt(
  keras: string,
  option: string,
  least: number,
  constrained: (curve: Curve) => Tensor,
  wanted: (curve: Curve) => Tensor,
  options: AtOptions,
): StatefulMetric {
  const { name = keras, numThresholds = 200, classId } = options
  checkKeys(name, options, ['name', 'numThresholds', 'classId'])
  checkNumber(name, option, least, SHARE)
  return ofCurve(
    name,
    numThresholds,
    false,
    (curve) => max(where(greaterEqual(constrained(curve), least), wanted(curve), 0)),
    (t, p) => (classId === undefined ? [t, p] : [column(name, t, classId), column(name, p, classId)]),
  )
}

/** The best precision with at least this recall. */
export function precisionAtRecall(atRecall: number, options: AtOptions = {}): StatefulMetric {
  return bestAt('precision_at_recall', 'recall', atRecall, recallsOf, precisionsOf, options)
}

/** The best recall with at least this precision. */
export function recallAtPrecision(atPrecision: number, options: AtOptions = {}): StatefulMetric {
  return bestAt('recall_at_precision', 'precision', atPrecision, precisionsOf, recallsOf, options)
}

/** The best sensitivity (recall) with at least this specificity. */
export function sensitivityAtSpecificity(specificity: number, options: AtOptions = {}): StatefulMetric {
  return bestAt('sensitivity_at_specificity', 'specificity', specificity, specificitiesOf, recallsOf, options)
}

/** The best specificity with at least this sensitivity (recall). */
export function specificityAtSensitivity(sensitivity: number, options: AtOptions = {}): StatefulMetric {
  return bestAt('specificity_at_sensitivity', 'sensitivity', sensitivity, recallsOf, specificitiesOf, options)
}

// ---- F scores

/** Options of {@link f1Score}. */
export interface F1Options extends MetricOptions {
  /**
   * How the scores of classes become one: their mean (default), from common counts, or weighted by how many there are
   * of a class. null leaves a value for each class.
   */
  readonly average?: 'macro' | 'micro' | 'weighted' | null
  /**
   * In (0, 1]: what lies above it is a yes. null: the likeliest class is a yes (default with several columns; with one
   * it is 0.5).
   */
  readonly threshold?: number | null
}
/** Options of {@link fBetaScore}. */
export interface FBetaOptions extends F1Options {
  /** How many times more recall counts than precision (default 1). */
  readonly beta?: number
}

const EPSILON = 1e-7

/** (1 + beta²) precision recall / (beta² precision + recall), by class. */
export function fBetaScore(options: FBetaOptions = {}): StatefulMetric {
  const { name = 'fbeta_score', average = 'macro', beta = 1, threshold } = options
  checkKeys(name, options, ['name', 'average', 'beta', 'threshold'])
  checkNumber(name, 'beta', beta, POSITIVE)
  if (average !== null) checkChoice(name, 'average', average, ['macro', 'micro', 'weighted'])
  if (threshold !== undefined && threshold !== null)
    checkNumber(name, 'threshold', threshold, { holds: (x) => x > 0 && x <= 1, words: 'in the range (0, 1]' })
  const total = (x: Tensor): Tensor => (average === 'micro' ? sum(x) : sum(x, 0))
  return new StatefulMetric(name, {
    init({ shape, dtype }) {
      const start = zeros(average === 'micro' ? [] : [shape.at(-1) ?? 1], dtype)
      return { truePositives: start, falsePositives: start, falseNegatives: start, weights: start }
    },
    update(state, yTrue, yPred, weight) {
      const [t, p] = columns(name, yTrue, yPred)
      const w = weightsFor(weight, p.shape, p.dtype)
      const yes = mul(cast(saysYes(p, threshold), p.dtype), w)
      const truePositives = mul(yes, t)
      return {
        truePositives: add(state['truePositives']!, total(truePositives)),
        falsePositives: add(state['falsePositives']!, total(sub(yes, truePositives))),
        falseNegatives: add(state['falseNegatives']!, total(sub(mul(t, w), truePositives))),
        weights: add(state['weights']!, total(mul(t, w))),
      }
    },
    result: (state) => averageOf(fScores(state, beta ** 2), average, state['weights']!),
  })
}

function saysYes(p: Tensor, threshold: number | null | undefined): Tensor {
  const limit = threshold === undefined && p.shape[1] === 1 ? 0.5 : threshold
  if (typeof limit === 'number') return greater(p, limit)
  return logicalAnd(greaterEqual(p, max(p, -1, true)), greater(abs(p), 1e-9))
}

function fScores({ truePositives, falsePositives, falseNegatives }: MetricState, beta2: number): Tensor {
  const share = (misses: Tensor): Tensor => div(truePositives!, add(add(truePositives!, misses), EPSILON))
  const precisions = share(falsePositives!)
  const recalls = share(falseNegatives!)
  const both = div(mul(precisions, recalls), add(add(mul(precisions, beta2), recalls), EPSILON))
  return mul(both, 1 + beta2)
}

function averageOf(scores: Tensor, average: F1Options['average'], weights: Tensor): Tensor {
  if (average === null) return scores
  return average === 'weighted' ? sum(mul(scores, div(weights, add(sum(weights), EPSILON)))) : mean(scores)
}

/** The harmonic mean of precision and recall, by class. */
export function f1Score({ name = 'f1_score', ...options }: F1Options = {}): StatefulMetric {
  checkKeys(name, options, ['average', 'threshold'])
  return fBetaScore({ ...options, name })
}
