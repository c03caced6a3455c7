import {
  div,
  equal,
  expandDims,
  type Nested,
  norm,
  type Tensor,
  tensor,
  type TypedArray,
  where,
} from '@adjoint/core'
import { isTensor } from '../leaves.js'
import { checkKeys } from '../option-checks.js'

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** What is of length 1 then (default the last axis). */
  readonly axis?: number
  /** Which norm is the length: the sum of absolute values, the root of squares (default), or the largest. */
  readonly order?: 1 | 2 | 'inf'
}

/**
 * `x` divided by its norm along an axis, as Keras' `normalize` does; what is all zeros stays.
 * @throws ValueError for an axis or order that there is not.
 * @example normalize([[3, 4], [0, 0]]) // [[0.6, 0.8], [0, 0]]
 */
export function normalize(x: Tensor | TypedArray | Nested<number>, options: NormalizeOptions = {}): Tensor {
  checkKeys('normalize', options, ['axis', 'order'])
  const { axis = -1, order = 2 } = options
  const values = isTensor(x) ? x : tensor(x)
  const length = expandDims(norm(values, { ord: order, axis }), axis)
  return div(values, where(equal(length, 0), 1, length))
}
