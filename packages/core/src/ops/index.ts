import type { BinaryName, OtherMethods, UnaryName } from '../methods.js'
import { Tensor } from '../tensor.js'
import * as activation from './activation.js'
import * as arithmetic from './arithmetic.js'
import * as comparison from './comparison.js'
import * as exponential from './exponential.js'
import { matmul } from './linalg.js'
import { broadcastTo, expandDims, reshape, slice, squeeze, transpose } from './movement.js'
import { logSoftmax, softmax } from './nn.js'
import { argMax, argMin, max, mean, min, sum } from './reduce.js'
import * as rounding from './rounding.js'
import { cast, clip } from './select.js'
import * as trigonometric from './trigonometric.js'

export * from './activation.js'
export * from './arithmetic.js'
export * from './comparison.js'
export * from './exponential.js'
export * from './indexing.js'
export * from './linalg.js'
export * from './losses.js'
export * from './movement.js'
export * from './nn.js'
export * from './reduce.js'
export * from './rounding.js'
export * from './select.js'
export * from './trigonometric.js'

export type MethodName = UnaryName | BinaryName | keyof OtherMethods<never, never, never>

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
}

for (const [name, op] of Object.entries(methods) as unknown as [string, (...args: unknown[]) => unknown][])
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: unknown[]) {
      return op(this, ...rest)
    },
    configurable: true,
    writable: true,
  })
