import {
  abs,
  add,
  arange,
  broadcastTo,
  cast,
  ceil,
  clip,
  div,
  equal,
  expandDims,
  greater,
  greaterEqual,
  less,
  log,
  logicalAnd,
  logicalOr,
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
  stack,
  sub,
  ShapeError,
  sum,
  tensor,
  type Tensor,
  ValueError,
  where,
  zeros,
} from '@adjoint/core'
import { checkAxis, formatShape, show } from '@adjoint/core/extend'
import {
  checkChoice,
  checkFlag,
  checkKeys,
  checkNumber,
  type Range,
  COUNT,
  NOT_NEGATIVE,
  POSITIVE,
  SHARE,
} from '../option-checks.js'
import type { MetricOptions, ThresholdOptions } from './accuracy.js'
import { divideOrZero, type MetricState, sameShapes, StatefulMetric, weightsFor } from './metric.js'
import { columns } from './regression.js'

// ---- counts of hits and misses

/** Options of metrics that count hits and misses. */
export interface CountOptions extends ThresholdOptions {
  /** As `threshold`; a list makes one value for each, which only `compute()` tells. */
  readonly thresholds?: number | readonly number[]
  /** Counts this class (column of the last axis) only. */
  readonly classId?: number
}

/** Options of {@link precision} and {@link recall}. */
export interface TopCountOptions extends CountOptions {
  /** A yes is only what is among the k largest of its row, whatever its value unless there is a threshold. */
  readonly topK?: number
}

type Cell = 'truePositives' | 'falsePositives' | 'trueNegatives' | 'falseNegatives'

/** A metric of the numbers of hits and misses, weighted. */
function ofCounts<C extends Cell>(
  keras: string,
  cells: readonly C[],
  result: (counts: Readonly<Record<C, Tensor>>) => Tensor,
  options: TopCountOptions,
  others: readonly 'topK'[] = [],
): StatefulMetric {
  const { name = keras, classId, topK } = options
  checkKeys(name, options, ['name', 'threshold', 'thresholds', 'classId', ...others])
  if (topK !== undefined) checkNumber(name, 'topK', topK, COUNT)
  const limits = limitsOf(name, options, topK === undefined ? 0.5 : -Infinity)
  return new StatefulMetric(name, {
    init({ dtype }) {
      const start = zeros(typeof limits === 'number' ? [] : [limits.length], dtype)
      return Object.fromEntries(cells.map((cell) => [cell, start]))
    },
    update(state, yTrue, yPred, weight) {
      let [t, p] = sameShapes(name, yTrue, yPred)
      if (topK !== undefined) p = where(isAmongLargest(p, topK), p, -Infinity)
      if (classId !== undefined) [t, p] = [column(name, t, classId), column(name, p, classId)]
      const w = weightsFor(weight, p.shape, p.dtype)
      const isTrue = notEqual(t, 0)
      const counted = (cell: C, limit: number): Tensor => {
        const saysYes = greater(p, limit)
        const said = cell.endsWith('Positives') ? saysYes : saysYes.logicalNot()
        const was = cell === 'truePositives' || cell === 'falseNegatives' ? isTrue : isTrue.logicalNot()
        return sum(where(logicalAnd(said, was), w, 0))
      }
      return Object.fromEntries(
        cells.map((cell) => {
          const found =
            typeof limits === 'number'
              ? counted(cell, limits)
              : stack(limits.map((limit) => counted(cell, limit)))
          return [cell, add(state[cell]!, found)]
        }),
      )
    },
    result: (state) => result(state),
  })
}

/** The threshold, or the list of them. */
function limitsOf(
  name: string,
  { threshold, thresholds }: CountOptions,
  otherwise: number,
): number | readonly number[] {
  if (threshold !== undefined && thresholds !== undefined)
    throw new ValueError(`${name}: threshold and thresholds exclude each other`)
  const limits: unknown = thresholds ?? threshold ?? otherwise
  if (limits === -Infinity) return -Infinity
  if (!Array.isArray(limits))
    return checkNumber(name, thresholds === undefined ? 'threshold' : 'thresholds', limits, SHARE)
  if (limits.length === 0) throw new ValueError(`${name}: thresholds must not be empty`)
  return limits.map((limit: unknown) => checkNumber(name, 'thresholds', limit, SHARE))
}

/** Which values are among the k largest of the last axis; of equal ones the first are larger. */
function isAmongLargest(p: Tensor, k: number): Tensor {
  const count = p.shape.at(-1) ?? 1
  const [mine, other] = [expandDims(p, -1), expandDims(p, -2)]
  const at = arange(0, count, 1, 'int32')
  const isEarlier = less(expandDims(at, 0), expandDims(at, -1))
  const isLarger = logicalOr(greater(other, mine), logicalAnd(equal(other, mine), isEarlier))
  return less(sum(cast(isLarger, 'int32'), -1), k)
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
export function precision(options: TopCountOptions = {}): StatefulMetric {
  return ofCounts(
    'precision',
    ['truePositives', 'falsePositives'],
    ({ truePositives, falsePositives }) => divideOrZero(truePositives, add(truePositives, falsePositives)),
    options,
    ['topK'],
  )
}

/** Which share of those that are a yes was said to be one. */
export function recall(options: TopCountOptions = {}): StatefulMetric {
  return ofCounts(
    'recall',
    ['truePositives', 'falseNegatives'],
    ({ truePositives, falseNegatives }) => divideOrZero(truePositives, add(truePositives, falseNegatives)),
    options,
    ['topK'],
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

interface CurveOptions {
  /** How many there are from 0 to 1; or those in between, sorted. */
  readonly thresholds: number | readonly number[]
  /** Whether a prediction of exactly 0 lies above the first threshold. */
  readonly includesZero: boolean
  /** Whether each column has a curve of its own: then all counts are [thresholds, columns]. */
  readonly byColumn?: boolean
}

function ofCurve(
  name: string,
  { thresholds: given, includesZero, byColumn = false }: CurveOptions,
  result: (curve: Curve) => Tensor,
  prepare: (yTrue: Tensor, yPred: Tensor) => readonly [t: Tensor, p: Tensor],
): StatefulMetric {
  const thresholds =
    typeof given === 'number' ? checkNumber(name, 'numThresholds', given, THRESHOLDS) : given.length + 2
  // Bucket 0 holds what lies above no threshold; bucket i what lies above thresholds 0 to i - 1.
  const buckets = thresholds + 1
  return new StatefulMetric(name, {
    init({ shape, dtype }) {
      const start = zeros(byColumn ? [buckets, shape.at(-1) ?? 1] : [buckets], dtype)
      return { positives: start, negatives: start }
    },
    update({ positives, negatives }, yTrue, yPred, weight) {
      const [t, p] = prepare(...(byColumn ? columns(name, yTrue, yPred) : sameShapes(name, yTrue, yPred)))
      const w = reshape(weightsFor(weight, p.shape, p.dtype), [p.size])
      const isTrue = notEqual(reshape(t, [p.size]), 0)
      const values = clip(reshape(p, [p.size]), 0, 1)
      const above =
        typeof given === 'number' ? ceil(mul(values, thresholds - 1)) : add(countAbove(values, given), 1)
      const bucket = cast(includesZero ? clip(above, 1, null) : above, 'int32')
      const cell = byColumn ? add(mul(bucket, p.shape[1]!), columnNumbers(p)) : bucket
      const plus = (before: Tensor, counts: Tensor): Tensor =>
        reshape(scatterAdd(reshape(before, [before.size]), cell, counts), before.shape)
      return {
        positives: plus(positives!, where(isTrue, w, 0)),
        negatives: plus(negatives!, where(isTrue, 0, w)),
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
        falseNegatives: sub(sum(positives!, 0), truePositives),
        trueNegatives: sub(sum(negatives!, 0), falsePositives),
      })
    },
  })
}

const THRESHOLDS = {
  holds: (x: number) => Number.isInteger(x) && x > 1 && x <= 1e5,
  words: 'a whole number from 2 to 100000',
}

/** How many of these numbers lie below each value. */
function countAbove(values: Tensor, limits: readonly number[]): Tensor {
  const isAbove = greater(expandDims(values, -1), tensor([...limits], { dtype: values.dtype as 'float32' }))
  return sum(cast(isAbove, values.dtype), -1)
}

/** The column of each element of a matrix, row by row. */
function columnNumbers(x: Tensor): Tensor {
  return reshape(broadcastTo(arange(0, x.shape[1], 1, 'int32'), x.shape), [x.size])
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
  /** The thresholds between 0 and 1, instead of `numThresholds` evenly spaced ones. */
  readonly thresholds?: readonly number[]
  /** Whether each column has an area of its own, of which this is the mean (default false: all count together). */
  readonly multiLabel?: boolean
  /** What each column's area counts in that mean; without `multiLabel`, what its elements count. */
  readonly labelWeights?: readonly number[]
}

/** The area under a curve of hits over misses, from the counts at evenly spaced thresholds. */
export function auc(options: AucOptions = {}): StatefulMetric {
  const { name = 'auc', numThresholds = 200, curve = 'ROC', fromLogits = false } = options
  const { summationMethod = 'interpolation', multiLabel = false, labelWeights, thresholds } = options
  checkKeys(name, options, AUC_OPTIONS)
  checkFlag(name, 'multiLabel', multiLabel)
  if (thresholds !== undefined && options.numThresholds !== undefined)
    throw new ValueError(`${name}: numThresholds and thresholds exclude each other`)
  const limits = thresholds && numbersOf(name, 'thresholds', thresholds, SHARE).toSorted((a, b) => a - b)
  const weights = labelWeights && numbersOf(name, 'labelWeights', labelWeights, NOT_NEGATIVE)
  checkChoice(name, 'curve', curve, ['ROC', 'PR'])
  checkChoice(name, 'summationMethod', summationMethod, ['interpolation', 'minoring', 'majoring'])
  checkFlag(name, 'fromLogits', fromLogits)
  const area = (counts: Curve): Tensor => {
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
    return sum(mul(sub(head(x), tail(x)), heights), 0)
  }
  const metric = ofCurve(
    name,
    { thresholds: limits ?? numThresholds, includesZero: true, byColumn: multiLabel },
    (counts) => {
      const areas = area(counts)
      if (!multiLabel) return areas
      if (weights === undefined) return mean(areas)
      const w = tensor(weights, { dtype: areas.dtype as 'float32' })
      return divideOrZero(sum(mul(areas, w)), sum(w))
    },
    (t, p) => [t, fromLogits ? sigmoid(p) : p],
  )
  return weights === undefined ? metric : withLabelWeights(metric, weights, multiLabel)
}

const AUC_OPTIONS = [
  'name',
  'numThresholds',
  'curve',
  'summationMethod',
  'fromLogits',
  'thresholds',
  'multiLabel',
  'labelWeights',
]

function numbersOf(name: string, option: string, list: readonly number[], range: Range): number[] {
  if (!Array.isArray(list) || list.length === 0)
    throw new ValueError(`${name}: ${option} must be a list of numbers, got ${show(list)}`)
  return list.map((x: unknown) => checkNumber(name, option, x, range))
}

/** Checks that there is a weight for each column; where all columns share a curve, weights what they count there. */
function withLabelWeights(
  metric: StatefulMetric,
  weights: readonly number[],
  isChecked: boolean,
): StatefulMetric {
  const { name, definition } = metric
  return new StatefulMetric(name, {
    ...definition,
    update(state, yTrue, yPred, weight) {
      const [t, p] = columns(name, yTrue, yPred)
      if (p.shape[1] !== weights.length)
        throw new ShapeError(
          `metric ${name}: ${weights.length} labelWeights for predictions ${formatShape(p.shape)}`,
          { shapes: [p.shape] },
        )
      if (isChecked) return definition.update(state, t, p, weight)
      const byLabel = tensor([...weights], { dtype: p.dtype as 'float32' })
      return definition.update(state, t, p, mul(weightsFor(weight, p.shape, p.dtype), byLabel))
    },
  })
}

/** All but the last. */
function head(x: Tensor): Tensor {
  return slice(
    x,
    x.shape.map(() => 0),
    [x.shape[0]! - 1, ...x.shape.slice(1)],
  )
}

/** All but the first. */
function tail(x: Tensor): Tensor {
  return slice(
    x,
    x.shape.map((_, axis) => (axis === 0 ? 1 : 0)),
    [x.shape[0]! - 1, ...x.shape.slice(1)],
  )
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
  return sum(divideOrZero(area, add(tail(truePositives), tail(falseNegatives))), 0)
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
    { thresholds: numThresholds, includesZero: false },
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
