import {
  add,
  cast,
  div,
  equal,
  expandDims,
  eye,
  greater,
  logSumExp,
  logicalAnd,
  matmul,
  maximum,
  mul,
  relu,
  reshape,
  ShapeError,
  softplus,
  sub,
  sum,
  type Tensor,
  where,
} from '@adjoint/core'
import { formatShape } from '@adjoint/core/extend'
import { setMask } from '../masks.js'
import { checkFlag, checkKeys, checkNumber, FINITE, POSITIVE } from '../option-checks.js'
import { checkedPair, type OwnLossOptions, reducedBy } from './own.js'

/** Options of the circle loss. */
export interface CircleOptions extends OwnLossOptions {
  /** How sharply pairs are told apart (default 80). */
  readonly gamma?: number
  /** How far from 0 the distances of one class, and from 1 those of two, may be (default 0.4). */
  readonly margin?: number
  /** Whether a sample is no pair with itself (default true). */
  readonly removeDiagonal?: boolean
}

/** The logarithm of nothing at all: finite, so that no gradient of it is NaN. */
const NOTHING = -1e9

/**
 * softplus(log Σ exp(gamma (d + m)(d - m)) + log Σ exp(gamma (1 + m - d)(1 - m - d))) with d = max(1 - cos, 0), the
 * first sum over the others of the sample's class in the batch, the second over those of other classes (Sun et al.
 * 2020, as Keras computes it). A sample that lacks either has a loss of 0, and does not count in a mean.
 * @param yTrue [batch] or [batch, 1] class numbers.
 * @param yPred [batch, n] vectors of length 1: the output of `unitNormalization()`.
 * @throws ShapeError for other shapes.
 */
export function circle(yTrue: Tensor, yPred: Tensor, options: CircleOptions = {}): Tensor {
  checkKeys('circle', options, ['reduction', 'gamma', 'margin', 'removeDiagonal'])
  const { gamma = 80, margin = 0.4, removeDiagonal = true } = options
  checkNumber('circle', 'gamma', gamma, POSITIVE)
  checkNumber('circle', 'margin', margin, FINITE)
  checkFlag('circle', 'removeDiagonal', removeDiagonal)
  const [targets, vectors] = checkedPair('circle', yTrue, yPred)
  const rows = vectors.shape[0] ?? 0
  if (vectors.rank !== 2 || targets.size !== rows || targets.rank > 2 || targets.shape[0] !== rows)
    throw new ShapeError(
      `circle: expected class numbers [batch] and vectors [batch, n], got ${formatShape(targets.shape)} and ` +
        formatShape(vectors.shape),
      { op: 'circle', shapes: [targets.shape, vectors.shape] },
    )
  const classes = cast(reshape(targets, [rows]), 'int32')
  const isSame = equal(expandDims(classes, 1), expandDims(classes, 0))
  const isOther = isSame.logicalNot()
  const isPositive = removeDiagonal ? logicalAnd(isSame, eye(rows, rows, 'bool').logicalNot()) : isSame
  const distance = maximum(sub(1, matmul(vectors, vectors, false, true)), 0)
  const near = mul(mul(relu(add(distance, margin)), sub(distance, margin)), gamma)
  const far = mul(mul(relu(sub(1 + margin, distance)), sub(1 - margin, distance)), gamma)
  const total = (values: Tensor, counts: Tensor): Tensor => logSumExp(where(counts, values, NOTHING), 1)
  const values = softplus(add(total(near, isPositive), total(far, isOther)))
  // As in Keras a mean is that of the samples that have pairs.
  const counts = greater(values, 0)
  setMask(values, counts)
  return options.reduction === 'mean'
    ? div(sum(values), maximum(sum(cast(counts, values.dtype)), 1))
    : reducedBy('circle', values, options)
}
