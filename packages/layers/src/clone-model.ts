import { atomically } from './layer.js'
import type { Model } from './model.js'
import { architectureOf } from './saving/encode.js'
import { modelOf } from './saving/decode.js'

/**
 * A model of the same layers made anew, under the same names and not compiled. Its weights are new too, as the
 * initializers make them; `clone.setWeights(m.getWeights())` gives it those of the other.
 * @throws ValueError for layers and functions of your own that are not registered, with the line to add.
 * @example const ensemble = [m, cloneModel(m), cloneModel(m)]
 */
export function cloneModel<M extends Model>(model: M): M {
  const { json, constants } = architectureOf('cloneModel', model)
  return atomically(() => modelOf('cloneModel', json, constants)) as M
}
