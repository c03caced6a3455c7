import { checkKeys } from '../option-checks.js'
import { CALLBACK_METHODS } from '../trainer/callback-run.js'
import type { Callback } from '../trainer/types.js'

/** A callback made of functions: `lambdaCallback({ onEpochEnd: (epoch, logs) => console.log(epoch, logs.loss) })`. */
export function lambdaCallback(functions: Callback): Callback {
  checkKeys('lambdaCallback', functions, ['name', 'stopTraining', ...CALLBACK_METHODS])
  return functions
}
