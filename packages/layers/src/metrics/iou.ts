import {
  add,
  argMax,
  cast,
  equal,
  mul,
  reshape,
  scatterAdd,
  sub,
  sum,
  type Tensor,
  tensor,
  transpose,
  ValueError,
  where,
  zeros,
} from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { checkFlag, checkKeys, checkNumber, COUNT } from '../option-checks.js'
import type { MetricOptions } from './accuracy.js'
import { divideOrZero, sameShapes, StatefulMetric, weightsFor } from './metric.js'

/** Options of {@link meanIoU}. */
export interface MeanIoUOptions extends MetricOptions {
  /** How many classes there are. */
  readonly numClasses: number
  /** A class of targets whose samples are left out. */
  readonly ignoreClass?: number
  /** Whether targets are class numbers (default), or a distribution over the last axis. */
  readonly sparseYTrue?: boolean
  /** Whether predictions are class numbers (default), or scores of classes on the last axis. */
  readonly sparseYPred?: boolean
}

/** Options of {@link iou}. */
export interface IoUOptions extends MeanIoUOptions {
  /** The classes to average over. */
  readonly targetClassIds: readonly number[]
}

/**
 * Intersection over union of a class: how many samples are of it and said to be, over how many are or are said to be;
 * averaged over the target classes that came up.
 */
export function iou(options: IoUOptions): StatefulMetric {
  const { name = 'iou', numClasses, ignoreClass, sparseYTrue = true, sparseYPred = true } = options
  checkKeys(name, options, [
    'name',
    'numClasses',
    'targetClassIds',
    'ignoreClass',
    'sparseYTrue',
    'sparseYPred',
  ])
  checkNumber(name, 'numClasses', numClasses, COUNT)
  checkFlag(name, 'sparseYTrue', sparseYTrue)
  checkFlag(name, 'sparseYPred', sparseYPred)
  const isClass = {
    holds: (x: number) => Number.isInteger(x) && x >= 0 && x < numClasses,
    words: `a class in 0..${numClasses - 1}`,
  }
  const { targetClassIds: ids } = options
  if (!Array.isArray(ids) || ids.length === 0)
    throw new ValueError(`${name}: targetClassIds must be a list of classes, got ${show(ids)}`)
  for (const id of ids) checkNumber(name, 'targetClassIds', id, isClass)
  if (ignoreClass !== undefined)
    checkNumber(name, 'ignoreClass', ignoreClass, { holds: Number.isInteger, words: 'a whole number' })
  return new StatefulMetric(name, {
    // [classes that are, classes said]
    init: ({ dtype }) => ({ confusion: zeros([numClasses * numClasses], dtype) }),
    update({ confusion }, yTrue, yPred, weight) {
      const classes = (x: Tensor, isSparse: boolean): Tensor =>
        isSparse ? x : cast(argMax(x, -1), yPred.dtype)
      const [t, p] = sameShapes(name, classes(yTrue, sparseYTrue), classes(yPred, sparseYPred))
      const given = weightsFor(weight, t.shape, confusion!.dtype)
      const isLeftOut = ignoreClass === undefined ? undefined : equal(t, ignoreClass)
      const w = isLeftOut === undefined ? given : where(isLeftOut, 0, given)
      const kept = isLeftOut === undefined ? t : where(isLeftOut, 0, t)
      const cell = cast(reshape(add(mul(kept, numClasses), p), [t.size]), 'int32')
      return { confusion: scatterAdd(confusion!, cell, reshape(w, [t.size])) }
    },
    result({ confusion }) {
      const table = reshape(confusion!, [numClasses, numClasses])
      const same = tensor(
        Array.from({ length: numClasses ** 2 }, (_, i) => Number(i % (numClasses + 1) === 0)),
        { shape: [numClasses, numClasses], dtype: table.dtype },
      )
      const hits = sum(mul(table, same), 1)
      const either = sub(add(sum(table, 1), sum(transpose(table), 1)), hits)
      const wanted = tensor(
        Array.from({ length: numClasses }, (_, c) => Number(ids.includes(c))),
        { dtype: table.dtype },
      )
      const seen = mul(wanted, cast(either.notEqual(0), table.dtype))
      return divideOrZero(sum(mul(seen, divideOrZero(hits, either))), sum(seen))
    },
  })
}

/** {@link iou} averaged over all classes. */
export function meanIoU({ name = 'mean_iou', ...options }: MeanIoUOptions): StatefulMetric {
  const { numClasses } = options
  checkKeys(name, options, ['numClasses', 'ignoreClass', 'sparseYTrue', 'sparseYPred'])
  checkNumber(name, 'numClasses', numClasses, COUNT)
  return iou({ ...options, name, targetClassIds: Array.from({ length: numClasses }, (_, c) => c) })
}

/** {@link iou} of one-hot targets and scores. */
export function oneHotIoU({ name = 'one_hot_iou', ...options }: IoUOptions): StatefulMetric {
  return iou({ sparseYTrue: false, sparseYPred: false, ...options, name })
}

/** {@link meanIoU} of one-hot targets and scores. */
export function oneHotMeanIoU({ name = 'one_hot_mean_iou', ...options }: MeanIoUOptions): StatefulMetric {
  return meanIoU({ sparseYTrue: false, sparseYPred: false, ...options, name })
}
