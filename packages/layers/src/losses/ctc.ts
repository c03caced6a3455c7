import {
  add,
  cast,
  concat,
  equal,
  full,
  logAddExp,
  logSoftmax,
  matmul,
  mul,
  neg,
  notEqual,
  oneHot,
  reshape,
  ShapeError,
  slice,
  sum,
  type Tensor,
  transpose,
  zeros,
} from '@adjoint/core'
import { formatShape } from '@adjoint/core/extend'
import { checkKeys } from '../option-checks.js'
import { checkedPair, type OwnLossOptions, reducedBy } from './own.js'

/** The logarithm of what cannot be, as in Keras: its exponential is 0, and so are its gradients. */
const NEVER = -1e5

/**
 * -log of the probability of the labels: the sum over all ways to spread them, in order, over the time steps, with
 * blanks before, after and between them; between two equal ones there must be one (Graves et al. 2006). Labels that do
 * not fit into the steps lose about 1e5.
 * @param yTrue [batch, labels] classes from 1 up, filled with 0 at the end.
 * @param yPred [batch, steps, classes] logits; class 0 is the blank.
 * @throws ShapeError for other ranks; ValueError for a label that is no class.
 */
export function ctc(yTrue: Tensor, yPred: Tensor, options: OwnLossOptions = {}): Tensor {
  checkKeys('ctc', options, ['reduction'])
  const [targets, logits] = checkedPair('ctc', yTrue, yPred)
  if (targets.rank !== 2 || logits.rank !== 3 || targets.shape[0] !== logits.shape[0])
    throw new ShapeError(
      `ctc: expected targets [batch, labels] and logits [batch, steps, classes], got ` +
        `${formatShape(targets.shape)} and ${formatShape(logits.shape)}`,
      { op: 'ctc', shapes: [targets.shape, logits.shape] },
    )
  const [rows, count] = targets.shape as [number, number]
  const [, steps, classes] = logits.shape as [number, number, number]
  const { dtype } = logits
  const labels = cast(targets, 'int32')
  const logs = logSoftmax(logits, -1)
  /** [rows, steps, labels] */
  const logLabels = matmul(logs, transpose(oneHot(labels, classes, dtype), [0, 2, 1]))
  const isSame = equal(columns(labels, 1, count), columns(labels, 0, count - 1))
  const blocked = mul(cast(isSame, dtype), NEVER)
  const never = full([rows, 1], NEVER, dtype)
  // Of having written n labels so far: with a blank last, [rows, labels + 1], and with the label last, [rows, labels].
  let blank = concat([zeros([rows, 1], dtype), full([rows, count], NEVER, dtype)], -1)
  let label = full([rows, count], NEVER, dtype)
  for (let t = 0; t < steps; t++) {
    const whatever = written(blank, label)
    const last = concat([never, add(columns(label, 0, count - 1), blocked)], -1)
    const ready = logAddExp(columns(blank, 0, count), last)
    label = add(at(logLabels, t), logAddExp(ready, label))
    blank = add(columns(at(logs, t), 0, 1), whatever)
  }
  const lengths = sum(cast(notEqual(labels, 0), 'int32'), -1)
  const wanted = oneHot(lengths, count + 1, dtype)
  return reducedBy('ctc', neg(sum(mul(wanted, written(blank, label)), -1)), options)
}

/** Of having written n labels, whatever is last. */
function written(blank: Tensor, label: Tensor): Tensor {
  const count = label.shape[1]!
  return concat([columns(blank, 0, 1), logAddExp(columns(blank, 1, count + 1), label)], -1)
}

/** Columns from one up to another of a matrix. */
function columns(x: Tensor, from: number, to: number): Tensor {
  return slice(x, [0, from], [x.shape[0]!, Math.max(0, to - from)])
}

/** Time step t of [rows, steps, n]. */
function at(x: Tensor, t: number): Tensor {
  const [rows, , n] = x.shape as [number, number, number]
  return reshape(slice(x, [0, t, 0], [rows, 1, n]), [rows, n])
}
