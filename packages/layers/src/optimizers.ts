import { ValueError } from '@adjoint/core'
import { Names, type Spelling } from './names.js'
import { adafactor } from './optimizers/adafactor.js'
import { adam, adamax, adamw, lamb, nadam } from './optimizers/adam.js'
import { muon } from './optimizers/muon.js'
import { Optimizer, type OptimizerOptions } from './optimizers/optimizer.js'
import { ftrl, lion } from './optimizers/other.js'
import { adadelta, adagrad, rmsprop } from './optimizers/rmsprop.js'
import { scheduleFreeAdamw } from './optimizers/schedule-free.js'
import { sgd } from './optimizers/sgd.js'

export { adafactor } from './optimizers/adafactor.js'
export { adam, adamax, adamw, lamb, nadam } from './optimizers/adam.js'
export { muon } from './optimizers/muon.js'
export { Optimizer, type OptimizerOptions, type OptimizerState } from './optimizers/optimizer.js'
export { ftrl, lion } from './optimizers/other.js'
export { adadelta, adagrad, rmsprop } from './optimizers/rmsprop.js'
export { scheduleFreeAdamw } from './optimizers/schedule-free.js'
export { sgd } from './optimizers/sgd.js'

type KerasOptimizerName =
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
  | 'adafactor'
  | 'muon'
  | 'schedule_free_adamw'

/** Optimizers by name, each with its default options: in Keras' spelling, or in camel case. */
export type OptimizerName = Spelling<KerasOptimizerName>

/** By name: each takes its options. @internal */
export const optimizers: Readonly<Record<KerasOptimizerName, (options?: OptimizerOptions) => Optimizer>> = {
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
  adafactor,
  muon,
  schedule_free_adamw: scheduleFreeAdamw,
}
const names = new Names<() => Optimizer>('optimizer', 'an optimizer such as adam()', optimizers)

/**
 * The optimizer that a model was given: a new one for a name, the same one for an optimizer.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveOptimizer(spec: unknown): Optimizer {
  if (isOptimizer(spec)) return spec
  if (typeof spec === 'function' && Object.values(optimizers).includes(spec as () => Optimizer))
    throw new ValueError(`optimizer: got the function ${spec.name}; call it: ${spec.name}()`)
  return names.get(spec).value()
}

/** As `instanceof`, which would make `any` of what it does not know. */
function isOptimizer(spec: unknown): spec is Optimizer {
  return spec instanceof Optimizer
}
