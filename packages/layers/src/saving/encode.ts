import { LimitError, type Tensor, ValueError } from '@adjoint/core'
import { composites, isRecord, rows, show } from '@adjoint/core/extend'
import { keyOf } from '../graph.js'
import { InputLayer } from '../input-layer.js'
import type { LayerBase } from '../layer.js'
import { isTensor } from '../leaves.js'
import type { Model } from '../model.js'
import { firstFree } from '../naming.js'
import { OpLayer } from '../op-layer.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym } from '../types.js'
import type { Json, JsonRecord } from './json.js'
import { isModel, MOST_MODELS_DEEP, pathWith } from './paths.js'
import { classNameOf, modelKindOf } from './registry.js'
import { encodeValue, wellFormed } from './values.js'

/** A model's architecture, and the constant tensors in its graph. */
export interface Architecture {
  readonly json: JsonRecord
  readonly constants: readonly Tensor[]
}

/** @throws ValueError for what cannot be saved, naming the layer. */
export function architectureOf(what: string, model: Model): Architecture {
  const encoder = new Encoder(what)
  return { json: encoder.entry(model, model.name, '', 0), constants: encoder.constants }
}

class Encoder {
  readonly constants: Tensor[] = []
  /** Where each layer was first met: what several models share is written once. */
  readonly #paths = new Map<LayerBase, string>()

  constructor(readonly what: string) {}

  /** One layer, without the calls of it. */
  entry(layer: LayerBase, name: string, path: string, depth: number): JsonRecord {
    const what = `${this.what}: layer ${show(name)}`
    wellFormed(what, name)
    const known = this.#paths.get(layer)
    if (known !== undefined) return { class_name: 'Shared', name, config: { path: known } }
    const common = { name, named: layer.hasGivenName, trainable: layer.trainable }
    if (layer instanceof InputLayer) {
      const { shape, dtype } = layer.output
      return { class_name: 'InputLayer', ...common, config: { shape, dtype } }
    }
    if (layer instanceof OpLayer) return { class_name: 'Op', ...common, config: this.#op(what, layer) }
    this.#paths.set(layer, path)
    if (isModel(layer)) {
      if (depth >= MOST_MODELS_DEEP)
        throw new LimitError(`${what}: models are nested more than ${MOST_MODELS_DEEP} deep`)
      const kind = modelKindOf(layer)
      // A class of the user's own could hold anything besides its graph.
      if (kind === undefined)
        throw new ValueError(`${what}: models of classes of your own cannot be saved; save a plain model`)
      const config =
        kind === 'Sequential' ? this.#sequential(layer, path, depth) : this.#functional(layer, path, depth)
      return { class_name: kind, ...common, config }
    }
    const { name: _, ...config } = layer.getConfig()
    return {
      class_name: classNameOf(this.what, layer),
      ...common,
      config: encodeValue(what, {
        ...config,
        dtype: layer.dtype,
        ...(layer.inputShape !== undefined && { inputShape: layer.inputShape }),
      }),
    }
  }

  #op(what: string, { row, attrs }: OpLayer): Json {
    if ((rows.get(row.name) ?? composites.get(row.name)) !== row)
      throw new ValueError(`${what}: the op ${show(row.name)} is not in the table of ops and cannot be saved`)
    return { op: row.name, attrs: encodeValue(what, attrs ?? {}) }
  }

  #sequential(model: Model, path: string, depth: number): Json {
    const start = model.isWired ? model.inputList[0]! : undefined
    return {
      input:
        start === undefined
          ? null
          : {
              name: start.name,
              named: start.node.layer.hasGivenName,
              shape: start.shape,
              dtype: start.dtype,
            },
      layers: model.layers.map((layer) => {
        const name = model.nameOf(layer)
        return this.entry(layer, name, pathWith(path, name), depth + 1)
      }),
    }
  }

  #functional(model: Model, path: string, depth: number): Json {
    const refs = new Map<string, Json>()
    const taken = new Set(model.layers.map((layer) => model.nameOf(layer)))
    const starts: Json[] = []
    // A model may start in the middle of a graph: there an input stands for what came before.
    for (const x of model.inputList)
      if (x.node.layer instanceof InputLayer) refs.set(keyOf(x), [model.nameOf(x.node.layer), 0, 0])
      else {
        const name = firstFree(x.name, taken)
        taken.add(name)
        refs.set(keyOf(x), [name, 0, 0])
        const config = { shape: x.shape, dtype: x.dtype }
        starts.push({
          class_name: 'InputLayer',
          name,
          named: true,
          trainable: true,
          config,
          inbound_nodes: [],
        })
      }
    const calls = new Map<LayerBase, (typeof model.graph.nodes)[number][]>()
    for (const node of model.graph.nodes) {
      const list = calls.get(node.layer) ?? []
      list.push(node)
      calls.set(node.layer, list)
    }
    for (const [layer, list] of calls) {
      list.sort((a, b) => a.index - b.index)
      list.forEach((node, i) => {
        for (const out of node.outputs)
          if (!refs.has(keyOf(out))) refs.set(keyOf(out), [model.nameOf(layer), i, out.outputIndex])
      })
    }
    const layers = model.layers.map((layer) => {
      const name = model.nameOf(layer)
      return {
        ...this.entry(layer, name, pathWith(path, name), depth + 1),
        inbound_nodes: (calls.get(layer) ?? []).map(({ args, training }): Json => {
          const list = args.map((arg) => this.#tree(name, arg, refs, false))
          return training === undefined ? list : { args: list, training }
        }),
      }
    })
    return {
      layers: [...starts, ...layers],
      inputs: this.#tree(model.name, model.inputs, refs, true),
      outputs: this.#tree(model.name, model.outputs, refs, true),
    }
  }

  /** A structure of tensors; those at a model's ends with the names that `named` gave them. */
  #tree(name: string, tree: unknown, refs: ReadonlyMap<string, Json>, isEnd: boolean): Json {
    const what = `${this.what}: layer ${show(name)}`
    if (isSymbolic(tree)) {
      const x: Sym.Any = tree
      const ref = refs.get(keyOf(x))
      if (ref === undefined)
        throw new ValueError(`${what}: reads ${show(x.name)}, which the model does not hold`)
      return isEnd && x.ownName !== undefined
        ? { tensor: ref, name: wellFormed(what, x.ownName) }
        : { tensor: ref }
    }
    if (isTensor(tree)) {
      if (tree.dtype === 'string')
        throw new ValueError(`${what}: reads a string tensor, which cannot be saved`)
      return { constant: this.constants.push(tree as Tensor) - 1 }
    }
    if (Array.isArray(tree)) return { list: tree.map((x) => this.#tree(name, x, refs, isEnd)) }
    if (isRecord(tree))
      return {
        record: Object.entries(tree).map(([key, x]) => [
          wellFormed(what, key),
          this.#tree(name, x, refs, isEnd),
        ]),
      }
    return { value: encodeValue(what, tree ?? null) }
  }
}
