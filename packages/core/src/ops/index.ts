import type { BinaryName, OtherMethods, UnaryName } from '../methods.js'
import { Tensor } from '../tensor.js'
import * as activation from './activation.js'
import * as arithmetic from './arithmetic.js'
import * as comparison from './comparison.js'
import * as exponential from './exponential.js'
import { cumprod, cumsum } from './cumulative.js'
import { diagonal, tril, triu } from './diagonal.js'
import { matmul } from './linalg.js'
import { pad, repeat, roll, tile } from './joining.js'
import { broadcastTo, expandDims, reshape, squeeze, transpose } from './movement.js'
import { logSoftmax, softmax } from './nn.js'
import { all, any, argMax, argMin, logSumExp, max, mean, min, prod, sum } from './reduce.js'
import * as rounding from './rounding.js'
import { cast, clip } from './select.js'
import { flip, part, slice, stridedSlice } from './slicing.js'
import { norm, std, variance } from './statistics.js'
import * as trigonometric from './trigonometric.js'

export * from './activation.js'
export * from './arithmetic.js'
export * from './attention.js'
export * from './comparison.js'
export { dot, outer, tensordot } from './contraction.js'
export { cumprod, cumsum, type CumulativeOptions } from './cumulative.js'
export { diagonal, tril, triu } from './diagonal.js'
export { einsum } from './einsum.js'
export * from './exponential.js'
export * from './indexing.js'
export * from './joining.js'
export * from './linalg.js'
export * from './losses.js'
export * from './movement.js'
export * from './nn.js'
export * from './normalization.js'
export * from './recurrent.js'
export { all, any, argMax, argMin, type Axes, logSumExp, max, mean, min, prod, sum } from './reduce.js'
export * from './rounding.js'
export * from './select.js'
export {
  flip,
  type Paddings,
  slice,
  split,
  stridedSlice,
  type StridedSliceOptions,
  unstack,
} from './slicing.js'
export * from './statistics.js'
export * from './trigonometric.js'

export type MethodName = UnaryName | BinaryName | keyof OtherMethods<never, never, never> | 'slice'

/** The ops that are methods too: the first argument is the tensor they are called on. */
export const methods: Readonly<Record<MethodName, (x: never, ...rest: never[]) => unknown>> = {
  ...activation,
  ...arithmetic,
  ...comparison,
  ...exponential,
  ...rounding,
  ...trigonometric,
  cast,
  clip,
  matmul,
  broadcastTo,
  expandDims,
  reshape,
  slice,
  squeeze,
  transpose,
  softmax,
  logSoftmax,
  sum,
  mean,
  max,
  min,
  argMax,
  argMin,
  prod,
  logSumExp,
  variance,
  std,
  norm,
  any,
  all,
  cumsum,
  cumprod,
  stridedSlice,
  flip,
  pad,
  tile,
  repeat,
  roll,
  tril,
  triu,
  diagonal,
}

function* slices(this: Tensor): Generator<Tensor> {
  for (let i = 0; i < this.shape[0]!; i++) yield squeeze(part(this, 0, i, 1), 0)
}
// A getter, since whoever asks whether a scalar is iterable must be told that it is not.
Object.defineProperty(Tensor.prototype, Symbol.iterator, {
  get(this: Tensor) {
    return this.rank === 0 ? undefined : slices
  },
})

for (const [name, op] of Object.entries(methods) as unknown as [string, (...args: unknown[]) => unknown][])
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      return op(this, ...rest)
    },
    configurable: true,
    writable: true,
  })
