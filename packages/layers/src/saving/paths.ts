import type { Variable } from '@adjoint/core'
import { LayerBase } from '../layer.js'
import type { Model } from '../model.js'
import { Numbering, snakeCase } from '../naming.js'

/** How deep models may be nested in a file. */
export const MOST_MODELS_DEEP = 40

/** `encoder/dense_1`: names of layers from the outside in. A `/` within a name is escaped, and so is a first `@`. */
export function pathWith(path: string, name: string): string {
  const escaped = name.replace(/[%/]/g, (c) => (c === '/' ? '%2F' : '%25')).replace(/^@/, '%40')
  return path === '' ? escaped : `${path}/${escaped}`
}

export function isModel(layer: LayerBase): layer is Model {
  return 'graph' in layer && 'isWired' in layer
}

/** In front of the weights from which losses learn what they count: no layer's name begins like this. */
export const LOSS_WEIGHTS = '@loss/'

/** Where each layer and each weight of a model is: each once, at the first place. */
export interface Paths {
  readonly layers: ReadonlyMap<string, LayerBase>
  readonly weights: ReadonlyMap<string, Variable>
}

export function pathsOf(model: LayerBase): Paths {
  const layers = new Map<string, LayerBase>()
  const weights = new Map<string, Variable>()
  const seen = new Set<LayerBase>()
  const visit = (layer: LayerBase, path: string): void => {
    if (seen.has(layer)) return
    seen.add(layer)
    layers.set(path, layer)
    const children = childrenOf(layer)
    const names = new Numbering(new Set(children.map(([name]) => name)))
    for (const weight of layer.ownWeights) weights.set(pathWith(path, names.name(weight.name)), weight)
    for (const [name, child] of children) visit(child, pathWith(path, name))
  }
  visit(model, '')
  if (isModel(model))
    for (const weight of model.lossVariables) weights.set(LOSS_WEIGHTS + pathWith('', weight.name), weight)
  return { layers, weights }
}

/** The layers inside a layer, by names that differ. */
function childrenOf(layer: LayerBase): [string, LayerBase][] {
  if (isModel(layer)) return layer.layers.map((child) => [layer.nameOf(child), child])
  const { sublayers } = layer
  if (sublayers.length === 0) return []
  // In an order that does not depend on what was called first: fields, then what was only ever called.
  const held = Object.values(layer).flatMap(
    (value: unknown) => (Array.isArray(value) ? value : [value]) as unknown[],
  )
  const fields = held.filter((value): value is LayerBase => value instanceof LayerBase)
  const children = [...new Set([...fields, ...sublayers])]
  const names = new Numbering(new Set())
  return children.map((child) => [
    names.name(child.hasGivenName ? child.name : snakeCase(child.className)),
    child,
  ])
}
