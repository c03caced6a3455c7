import {
  floatx,
  type Nested,
  type NumericDType,
  Tensor,
  tensor,
  type TypedArray,
  ValueError,
} from '@adjoint/core'
import { fromHost, show } from '@adjoint/core/extend'
import { checkNumber, COUNT } from '../option-checks.js'

/**
 * Classes 0..numClasses - 1 as rows that are 1 at the class and 0 elsewhere, as Keras' `to_categorical` makes them:
 * [n] and [n, 1] become [n, numClasses]. Without `numClasses` it is the largest class plus 1.
 * @throws ValueError for a label that is no class, with its position.
 * @example toCategorical([0, 2, 1]) // [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
 */
export function toCategorical(
  labels: Tensor<NumericDType> | TypedArray | Nested<number>,
  numClasses?: number,
): Tensor {
  const op = 'toCategorical'
  if (numClasses !== undefined) checkNumber(op, 'numClasses', numClasses, COUNT)
  const given = labels instanceof Tensor ? labels : tensor(labels)
  const classes = given.dataSync()
  let last = -1
  for (const [i, label] of classes.entries()) {
    if (!Number.isInteger(label) || label < 0 || label >= (numClasses ?? Infinity)) {
      const range = numClasses === undefined ? 'a whole number >= 0' : `in 0..${numClasses - 1}`
      throw new ValueError(`${op}: a class must be ${range}, got ${show(label)} at position ${i}`)
    }
    last = Math.max(last, label)
  }
  if (numClasses === undefined && last < 0)
    throw new ValueError(`${op}: of no labels the number of classes is unknown; pass numClasses`)
  const width = numClasses ?? last + 1
  const { shape } = given
  const sides = shape.length > 1 && shape.at(-1) === 1 ? shape.slice(0, -1) : shape
  const hot =
    floatx() === 'float32'
      ? new Float32Array(classes.length * width)
      : new Float64Array(classes.length * width)
  for (const [i, label] of classes.entries()) hot[i * width + label] = 1
  return fromHost(hot, [...sides, width], floatx())
}
