import { GraphError } from '@adjoint/core'
import type { Model } from '../model.js'

const busy = new WeakSet<Model>()

/** @throws GraphError while the model is being trained. */
export function checkFree(model: Model, op: string): void {
  if (busy.has(model))
    throw new GraphError(
      `${op}: the model ${JSON.stringify(model.name)} is busy: fit is running; await it first`,
    )
}

/** Marks the model as being trained until `release`. */
export function claim(model: Model, op: string): { release(): void } {
  checkFree(model, op)
  busy.add(model)
  return { release: () => void busy.delete(model) }
}
