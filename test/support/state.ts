import type { Model } from '@adjoint/layers'
import { randomState } from '@adjoint/core/extend'

/** Everything that a failed call must leave as it was: weights, optimizer, random numbers, names. */
export function stateOf(m: Model): unknown {
  const state = m.isCompiled ? m.optimizer.getState() : undefined
  return {
    weights: m.weights.map((w) => [w.name, w.shape, [...w.dataSync()]]),
    optimizer: state && {
      iterations: state.iterations,
      learningRate: state.learningRate,
      variables: state.variables.map(({ updates, slots }) => ({
        updates,
        slots: Object.entries(slots).map(([name, slot]) => [name, [...slot.dataSync()]]),
      })),
    },
    random: randomState(),
    layers: m.layers.map((layer) => m.nameOf(layer)),
    globals: [Object.keys(Object.prototype), Object.keys(Array.prototype)],
  }
}
