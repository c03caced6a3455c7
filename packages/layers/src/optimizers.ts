import { ValueError } from '@adjoint/core'
import { Names } from './names.js'
import { adam, adamax, adamw, lamb, nadam } from './optimizers/adam.js'
import { Optimizer, type OptimizerOptions } from './optimizers/optimizer.js'
import { ftrl, lion } from './optimizers/other.js'
import { adadelta, adagrad, rmsprop } from './optimizers/rmsprop.js'
import { sgd } from './optimizers/sgd.js'

export { adam, adamax, adamw, lamb, nadam } from './optimizers/adam.js'
export { Optimizer, type OptimizerOptions, type OptimizerState } from './optimizers/optimizer.js'
export { ftrl, lion } from './optimizers/other.js'
export { adadelta, adagrad, rmsprop } from './optimizers/rmsprop.js'
export { sgd } from './optimizers/sgd.js'

/** Optimizers by name, each with its default options. */
export type OptimizerName =
  | 'sgd'
  | 'adam'
  | 'adamw'
  | 'rmsprop'
  | 'adagrad'
  | 'adadelta'
  | 'adamax'
  | 'nadam'
  | 'lion'
  | 'ftrl'
  | 'lamb'

/** By name: each takes its options. @internal */
export const optimizers: Readonly<Record<OptimizerName, (options?: OptimizerOptions) => Optimizer>> = {
  sgd,
  adam,
  adamw,
  rmsprop,
  adagrad,
  adadelta,
  adamax,
  nadam,
  lion,
  ftrl,
  lamb,
}
const names = new Names<() => Optimizer>('optimizer', 'an optimizer such as adam()', optimizers)

/**
 * The optimizer that a model was given: a new one for a name, the same one for an optimizer.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveOptimizer(spec: unknown): Optimizer {
  if (spec instanceof Optimizer) return spec
  if (typeof spec === 'function' && Object.values(optimizers).includes(spec as () => Optimizer))
    throw new ValueError(`optimizer: got the function ${spec.name}; call it: ${spec.name}()`)
  return names.get(spec).value()
}
