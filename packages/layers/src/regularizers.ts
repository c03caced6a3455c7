import {
  abs,
  add,
  cast,
  div,
  eye,
  matmul,
  maximum,
  mul,
  ShapeError,
  sqrt,
  square,
  sum,
  Tensor,
  transpose,
  ValueError,
  type Variable,
  where,
} from '@adjoint/core'
import { formatShape, show, typeName } from '@adjoint/core/extend'
import { functionOf, Names } from './names.js'
import { checkChoice, checkKeys, checkNumber, NOT_NEGATIVE } from './option-checks.js'
import type { RegularizerName } from './types.js'

/** What a weight, or what a layer gives, adds to the loss: a scalar. */
export interface Regularizer {
  (w: Tensor): Tensor
  /** The name in Keras' spelling, and the options. */
  readonly config: Readonly<Record<string, string | number>>
}

/** Options of `regularizers.l1L2`. */
export interface L1L2Options {
  /** The factor of the sum of absolute values (default 0). */
  readonly l1?: number
  /** The factor of the sum of squares (default 0). */
  readonly l2?: number
}

function regularizer(
  config: Readonly<Record<string, string | number>>,
  make: (w: Tensor) => Tensor,
): Regularizer {
  return Object.assign((w: Tensor) => make(w), { config })
}

/** factor · Σ|w| */
function l1(factor: number = 0.01): Regularizer {
  checkNumber('l1', 'the factor', factor, NOT_NEGATIVE)
  return regularizer({ name: 'l1', l1: factor }, (w) => mul(sum(abs(w)), factor))
}

/** factor · Σw² */
function l2(factor: number = 0.01): Regularizer {
  checkNumber('l2', 'the factor', factor, NOT_NEGATIVE)
  return regularizer({ name: 'l2', l2: factor }, (w) => mul(sum(square(w)), factor))
}

/** l1 · Σ|w| + l2 · Σw² */
function l1L2(options: L1L2Options): Regularizer {
  checkKeys('l1L2', options, ['l1', 'l2'])
  const { l1: first = 0, l2: second = 0 } = options
  checkNumber('l1L2', 'l1', first, NOT_NEGATIVE)
  checkNumber('l1L2', 'l2', second, NOT_NEGATIVE)
  return regularizer({ name: 'l1_l2', l1: first, l2: second }, (w) =>
    add(mul(sum(abs(w)), first), mul(sum(square(w)), second)),
  )
}

/** Options of `regularizers.orthogonal`. */
export interface OrthogonalOptions {
  /** Default 0.01. */
  readonly factor?: number
  /** Whether rows (default) or columns shall be orthogonal. */
  readonly mode?: 'rows' | 'columns'
}

/**
 * factor · the mean of |cos| over all pairs of different rows (or columns) of a matrix: 0 where all are orthogonal.
 * A single row has no pairs and adds 0.
 */
function orthogonal(options: OrthogonalOptions = {}): Regularizer {
  checkKeys('orthogonal', options, ['factor', 'mode'])
  const { factor = 0.01, mode = 'rows' } = options
  checkNumber('orthogonal', 'factor', factor, NOT_NEGATIVE)
  checkChoice('orthogonal', 'mode', mode, ['rows', 'columns'])
  return regularizer({ name: 'orthogonal_regularizer', factor, mode }, (w) => {
    if (w.rank !== 2)
      throw new ShapeError(`orthogonal: needs a matrix, got ${formatShape(w.shape)}`, { shapes: [w.shape] })
    const rows = mode === 'rows' ? w : transpose(w)
    const count = rows.shape[0]!
    if (count < 2) return mul(sum(w), 0)
    const squares = sum(square(rows), 1, true)
    // Keras' l2_normalize: a length under 1e-6 counts as that.
    const unit = div(rows, sqrt(maximum(squares, 1e-12)))
    const cosines = abs(matmul(unit, unit, false, true))
    // Each pair occurs twice beside the diagonal.
    return mul(sum(where(eye(count, count, 'bool'), 0, cosines)), factor / (count * (count - 1)))
  })
}

/** Keras' regularizers, made with factors: `regularizers.l1L2({ l1: 0.01, l2: 0.02 })`. */
export const regularizers: {
  readonly l1: typeof l1
  readonly l2: typeof l2
  readonly l1L2: typeof l1L2
  readonly orthogonal: typeof orthogonal
} = { l1, l2, l1L2, orthogonal }

type Make = () => Regularizer
/** By name with factors of 0.01: a name that did nothing would only mislead. */
const table: Readonly<Record<RegularizerName, Make> & Record<string, Make>> = {
  l1,
  l2,
  l1_l2: () => l1L2({ l1: 0.01, l2: 0.01 }),
  orthogonal_regularizer: orthogonal,
}
const names = new Names<Make>('regularizer', 'a function', table)

/**
 * The regularizer that a layer was given: by Keras' name, also in camel case, or as a function.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveRegularizer(spec: unknown): ((w: Tensor) => Tensor) | undefined {
  return spec === undefined || spec === null ? undefined : functionOf(names, regularizers, spec)
}

const ofWeights = new WeakMap<Variable, (w: Tensor) => Tensor>()

/** Has a weight add to the loss. */
export function regularize(weight: Variable, by: (w: Tensor) => Tensor): void {
  ofWeights.set(weight, by)
}

/** Those of the weights that add to the loss. */
export function regularizedOf(weights: readonly Variable[]): Variable[] {
  return weights.filter((w) => ofWeights.has(w))
}

/** What a regularized weight adds. */
export function weightLoss(weight: Variable): Tensor {
  return checkScalar(`the regularizer of ${show(weight.name)}`, ofWeights.get(weight)!(weight))
}

/** What the output of a layer adds, for each of its rows: the size of the batch does not matter. */
export function activityLoss(by: (y: Tensor) => Tensor, y: Tensor): Tensor {
  const loss = checkScalar('activityRegularizer', by(y))
  return y.rank === 0 ? loss : div(loss, Math.max(1, y.shape[0]!))
}

/** @throws ShapeError for what is no scalar. */
export function checkScalar(what: string, loss: Tensor): Tensor {
  if (!((loss as unknown) instanceof Tensor))
    throw new ValueError(`${what}: expected a tensor, got ${typeName(loss)} (${show(loss)})`)
  if (loss.rank !== 0)
    throw new ShapeError(
      `${what}: expected a scalar, got ${formatShape(loss.shape)}; take its sum or its mean`,
      {
        op: what,
        shapes: [loss.shape],
      },
    )
  return loss
}

/** `total` and what layers and weights add to it. */
export function withAdded(total: Tensor, added: readonly Tensor[]): Tensor {
  return added.reduce((sum, loss) => sum.add(loss.dtype === sum.dtype ? loss : cast(loss, sum.dtype)), total)
}
