import { GraphError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { InputLayer } from './input-layer.js'
import type { LayerBase } from './layer.js'
import { Numbering, snakeCase } from './naming.js'
import type { Node } from './symbolic.js'
import type { Sym } from './types.js'

/** What lies between a model's inputs and outputs. */
export interface Graph {
  /** Calls in an order in which each comes after what it needs; calls that make the inputs are left out. */
  readonly nodes: readonly Node[]
  /** All calls of the graph, those that make the inputs too. */
  readonly allNodes: ReadonlySet<Node>
  /** Layers as Keras orders them: from far from the outputs to near, then as found from the outputs. */
  readonly layers: readonly LayerBase[]
  /** Calls at the same distance from the outputs, the farthest first. */
  readonly levels: readonly (readonly Node[])[]
}

/**
 * Follows the graph from the outputs back to the inputs.
 * @throws GraphError when a path ends at an input that is not listed, naming the path.
 */
export function traceGraph(inputs: readonly Sym.Any[], outputs: readonly Sym.Any[]): Graph {
  const { finished, found } = visit(inputs, outputs)
  const depths = depthsOf(inputs, finished, found)
  const layersByDepth = [...depths.layers].toSorted(([a, depthA], [b, depthB]) =>
    depthA === depthB ? found.get(a)! - found.get(b)! : depthB - depthA,
  )
  const deepest = [...depths.nodes.values()].reduce((a, b) => Math.max(a, b), 0)
  const levels: Node[][] = Array.from({ length: deepest + 1 }, () => [])
  for (const [node, depth] of depths.nodes) levels[deepest - depth]!.push(node)
  return {
    nodes: finished.filter((node) => !(node.layer instanceof InputLayer)),
    allNodes: new Set(depths.nodes.keys()),
    layers: layersByDepth.map(([layer]) => layer),
    levels: levels.filter((level) => level.length > 0),
  }
}

/** One output of one call, as a key: tensors renamed by `named` have the same. */
export function keyOf(tensor: Sym.Any): string {
  return `${tensor.node.layer.serial}:${tensor.node.index}:${tensor.outputIndex}`
}

/** Depth first from the outputs, without recursion: calls as they are finished, layers by when they were first met. */
function visit(
  inputs: readonly Sym.Any[],
  outputs: readonly Sym.Any[],
): { finished: Node[]; found: Map<LayerBase, number> } {
  const given = new Set(inputs.map(keyOf))
  const finished: Node[] = []
  const done = new Set<Node>()
  const found = new Map<LayerBase, number>()
  for (const output of outputs) {
    const path: { tensor: Sym.Any; next: number }[] = []
    const enter = (tensor: Sym.Any): void => {
      const { node } = tensor
      if (done.has(node)) return
      const isInput = node.layer instanceof InputLayer
      if (given.has(keyOf(tensor))) {
        // What makes a tensor that the model starts from is no part of the model, unless it is an input layer.
        if (!isInput) return
      } else if (isInput) throw disconnected(inputs, [...path.map((step) => step.tensor), tensor])
      if (!found.has(node.layer)) found.set(node.layer, found.size)
      path.push({ tensor, next: 0 })
    }
    enter(output)
    while (path.length > 0) {
      const step = path[path.length - 1]!
      const { node } = step.tensor
      if (step.next < node.inputs.length) {
        enter(node.inputs[step.next++]!)
        continue
      }
      path.pop()
      if (done.has(node)) continue
      done.add(node)
      finished.push(node)
    }
  }
  return { finished, found }
}

function disconnected(inputs: readonly Sym.Any[], path: readonly Sym.Any[]): GraphError {
  const names = provisionalNames([...inputs, ...path])
  const shown = names.slice(inputs.length)
  const missing = shown.at(-1)!
  if (shown.length > 12) shown.splice(6, shown.length - 11, '…')
  return new GraphError(
    `model: ${shown.join(' <- ')} reaches input ${show(missing)}, which is not among the model's inputs ` +
      `(${names
        .slice(0, inputs.length)
        .map((name) => show(name))
        .join(', ')}); add it, or the graph is disconnected`,
  )
}

/** Names as a model would give them, to tell one unnamed layer from another in a message. */
function provisionalNames(tensors: readonly Sym.Any[]): string[] {
  const names = new Map<LayerBase, string>()
  const taken = new Set<string>()
  const layers = [...new Set(tensors.map((x) => x.node.layer))].toSorted((a, b) => a.serial - b.serial)
  for (const layer of layers) if (layer.isNamed) taken.add(layer.name)
  const numbering = new Numbering(taken)
  for (const layer of layers)
    names.set(layer, layer.isNamed ? layer.name : numbering.name(snakeCase(layer.className)))
  return tensors.map((x) => x.ownName ?? names.get(x.node.layer)!)
}

/** The longest way from each call, and from each layer, to an output. */
function depthsOf(
  inputs: readonly Sym.Any[],
  finished: readonly Node[],
  found: Map<LayerBase, number>,
): { nodes: Map<Node, number>; layers: Map<LayerBase, number> } {
  const nodes = new Map<Node, number>()
  const layers = new Map<LayerBase, number>()
  const isInside = new Set(finished)
  for (const node of finished.toReversed()) {
    const depth = Math.max(nodes.get(node) ?? 0, layers.get(node.layer) ?? 0)
    nodes.set(node, depth)
    layers.set(node.layer, depth)
    for (const { node: parent } of node.inputs)
      if (isInside.has(parent)) nodes.set(parent, Math.max(nodes.get(parent) ?? 0, depth + 1))
  }
  // Inputs that no output needs come first among what is nearest to the outputs.
  for (const { node } of inputs)
    if (!nodes.has(node) && node.layer instanceof InputLayer) {
      nodes.set(node, 0)
      layers.set(node.layer, 0)
      found.set(node.layer, -1)
    }
  return { nodes, layers }
}
