import { warn } from '../host.js'
import type { Callback } from '../trainer/types.js'

/**
 * Ends the training in peace where a step finds NaN or an infinity: `fit` resolves with the epochs that were completed,
 * and prints what it found. Without it `fit` rejects with that. In both cases the step is undone.
 */
export function terminateOnNaN(): Callback {
  const what = 'terminateOnNaN'
  let stopped = false
  return {
    name: what,
    onTrainBegin() {
      stopped = false
    },
    onNonFinite(error) {
      warn(`${what}: ${error.message}`)
      stopped = true
      return true
    },
    get stopTraining() {
      return stopped
    },
  }
}
