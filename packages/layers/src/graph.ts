import { GraphError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { InputLayer } from './input-layer.js'
import type { LayerBase } from './layer.js'
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
  const layersByDepth = [...depths.layers].sort(([a, depthA], [b, depthB]) =>
    depthA === depthB ? found.get(a)! - found.get(b)! : depthB - depthA,
  )
  const deepest = [...depths.nodes.values()].reduce((a, b) => Math.max(a, b), 0)
  const levels: Node[][] = Array.from({ length: deepest + 1 }, () => [])
  for (const [node, depth] of depths.nodes) levels[deepest - depth]!.push(node)
  const made = new Set(inputs.map(keyOf))
  return {
    nodes: finished.filter((node) => !node.outputs.every((_, i) => made.has(keyAt(node, i)))),
    allNodes: new Set(depths.nodes.keys()),
    layers: layersByDepth.map(([layer]) => layer),
    levels: levels.filter((level) => level.length > 0),
  }
}

/** One output of one call, as a key: tensors renamed by `named` have the same. */
export function keyOf(tensor: Sym.Any): string {
  return keyAt(tensor.node, tensor.outputIndex)
}
function keyAt(node: Node, output: number): string {
  return `${node.layer.serial}:${node.index}:${output}`
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
    const path: { tensor: Sym.Any; next: number; stops: boolean }[] = []
    const enter = (tensor: Sym.Any): void => {
      const { node } = tensor
      if (done.has(node)) return
      if (!found.has(node.layer)) found.set(node.layer, found.size)
      const stops = given.has(keyOf(tensor))
      if (!stops && node.layer instanceof InputLayer)
        throw disconnected(inputs, [...path.map((step) => step.tensor), tensor])
      path.push({ tensor, next: 0, stops })
    }
    enter(output)
    while (path.length > 0) {
      const step = path[path.length - 1]!
      const { node } = step.tensor
      if (!step.stops && step.next < node.inputs.length) {
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
  const names = path.map((tensor) => tensor.name)
  const shown = names.length > 12 ? [...names.slice(0, 6), '…', ...names.slice(-5)] : names
  const missing = names.at(-1)!
  return new GraphError(
    `model: ${shown.join(' <- ')} reaches input ${show(missing)}, which is not among the model's inputs ` +
      `(${inputs.map((x) => show(x.name)).join(', ')}); add it, or the graph is disconnected`,
  )
}

/** The longest way from each call, and from each layer, to an output. */
function depthsOf(
  inputs: readonly Sym.Any[],
  finished: readonly Node[],
  found: Map<LayerBase, number>,
): { nodes: Map<Node, number>; layers: Map<LayerBase, number> } {
  const nodes = new Map<Node, number>()
  const layers = new Map<LayerBase, number>()
  const given = new Set(inputs.map(keyOf))
  for (const node of finished.toReversed()) {
    const depth = Math.max(nodes.get(node) ?? 0, layers.get(node.layer) ?? 0)
    nodes.set(node, depth)
    layers.set(node.layer, depth)
    if (node.outputs.some((_, i) => given.has(keyAt(node, i)))) continue
    for (const { node: parent } of node.inputs) nodes.set(parent, Math.max(nodes.get(parent) ?? 0, depth + 1))
  }
  // Inputs that no output needs come first among what is nearest to the outputs.
  for (const { node } of inputs)
    if (!nodes.has(node)) {
      nodes.set(node, 0)
      if (!layers.has(node.layer)) {
        layers.set(node.layer, 0)
        found.set(node.layer, -1)
      }
    }
  return { nodes, layers }
}
