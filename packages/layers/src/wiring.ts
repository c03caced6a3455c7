import { GraphError, type Shape, Tensor, ValueError } from '@adjoint/core'
import { show, typeName } from '@adjoint/core/extend'
import { type Graph, keyOf, traceGraph } from './graph.js'
import { LayerBase } from './layer.js'
import { contentOf, mapLeaves } from './leaves.js'
import { Numbering, snakeCase } from './naming.js'
import { isSymbolic } from './symbolic.js'
import type { Sym } from './types.js'

/** One call on the way through a model: which slots of values it reads, and where its outputs go. */
export interface Step {
  readonly layer: LayerBase
  readonly args: readonly unknown[]
  /** Whether the layer trains, where the call says so itself. */
  readonly training: boolean | undefined
  readonly reads: readonly number[]
  readonly writes: readonly number[]
  /** Set where the call has exactly one tensor as its only argument: the common case needs no structure. */
  readonly isPlain: boolean
  /** The shapes that were inferred, batch in front, for layers whose code is the user's. */
  readonly promised: readonly Shape[] | undefined
}

/** All that follows from a model's inputs and outputs. */
export interface Wiring {
  /** The inputs, and the outputs, in order. */
  readonly inputs: readonly Sym.Any[]
  readonly outputs: readonly Sym.Any[]
  readonly graph: Graph
  readonly names: ReadonlyMap<LayerBase, string>
  readonly steps: readonly Step[]
  readonly slots: number
  readonly inputSlots: readonly number[]
  readonly outputSlots: readonly number[]
}

/**
 * @throws ValueError for no inputs or outputs; GraphError for what is no symbolic tensor, for a path to an input that
 * is not listed, and for names that are not unique.
 */
export function wiringOf(inputTree: unknown, outputTree: unknown): Wiring {
  const inputs = checkEnds('inputs', inputTree)
  const outputs = checkEnds('outputs', outputTree)
  const seen = new Set<string>()
  for (const x of inputs) {
    if (seen.has(keyOf(x))) throw new GraphError(`model: input ${show(x.name)} is listed twice`)
    seen.add(keyOf(x))
  }
  const graph = traceGraph(inputs, outputs)
  const names = namesOf(graph.layers)
  checkInputNames(inputs, names)
  for (const [layer, name] of names) layer.autoName(name)

  const slots = new Map<string, number>()
  const slotFor = (key: string): number => {
    const slot = slots.get(key) ?? slots.size
    slots.set(key, slot)
    return slot
  }
  const slotOf = (x: Sym.Any): number => slotFor(keyOf(x))
  const inputSlots = inputs.map(slotOf)
  const steps = graph.nodes.map((node): Step => {
    const promised = node.layer.runsUserCode ? node.outputs.map((x): Shape => [null, ...x.shape]) : undefined
    return {
      layer: node.layer,
      args: node.args,
      training: node.training,
      reads: node.inputs.map(slotOf),
      // A call that also makes a tensor which the model starts from does not overwrite what was given for it.
      writes: node.outputs.map((x) => (seen.has(keyOf(x)) ? slotFor('') : slotOf(x))),
      isPlain: node.args.length === 1 && isSymbolic(node.args[0]),
      promised,
    }
  })
  const outputSlots = outputs.map(slotOf)
  return { inputs, outputs, graph, names, steps, slots: slots.size, inputSlots, outputSlots }
}

/** The symbolic tensors of one end of a model, in order. */
function checkEnds(which: 'inputs' | 'outputs', tree: unknown): Sym.Any[] {
  const leaves = contentOf(tree)
  if (leaves.length === 0)
    throw new ValueError(`model: ${which} are empty; a model needs at least one of them`)
  for (const leaf of leaves) {
    if (isSymbolic(leaf)) continue
    const hint =
      leaf instanceof LayerBase
        ? `the layer ${leaf.label}; call it on a tensor first`
        : leaf instanceof Tensor
          ? 'a concrete tensor; start from input(…)'
          : `${typeName(leaf)} (${show(leaf)})`
    throw new GraphError(`model: ${which} must be symbolic tensors, got ${hint}`)
  }
  return leaves as Sym.Any[]
}

/** Names for all layers of a model: given ones as they are, the others numbered in the order of making. */
export function namesOf(layers: readonly LayerBase[]): Map<LayerBase, string> {
  const names = new Map<LayerBase, string>()
  const taken = new Map<string, LayerBase>()
  const give = (layer: LayerBase, name: string): void => {
    taken.set(name, layer)
    names.set(layer, name)
  }
  for (const layer of layers) {
    if (!layer.hasGivenName) continue
    const other = taken.get(layer.name)
    if (other !== undefined)
      throw new GraphError(
        `model: two layers are named ${show(layer.name)} (${other.className} and ${layer.className}); names must be unique`,
      )
    give(layer, layer.name)
  }
  const inOrder = layers.filter((layer) => !names.has(layer)).toSorted((a, b) => a.serial - b.serial)
  const numbering = new Numbering(taken)
  // Layers that another model named first keep that name where it is free.
  for (const layer of inOrder) if (layer.isNamed && !taken.has(layer.name)) give(layer, layer.name)
  for (const layer of inOrder) if (!names.has(layer)) give(layer, numbering.name(snakeCase(layer.className)))
  return names
}

function checkInputNames(inputs: readonly Sym.Any[], names: ReadonlyMap<LayerBase, string>): void {
  const seen = new Set<string>()
  for (const { ownName, node } of inputs) {
    const name = ownName ?? names.get(node.layer) ?? node.layer.name
    if (seen.has(name))
      throw new GraphError(`model: two inputs are named ${show(name)}; names must be unique`)
    seen.add(name)
  }
}

/** A call's arguments with values in the places of symbolic tensors. */
export function filled(
  args: readonly unknown[],
  reads: readonly number[],
  slots: readonly unknown[],
): readonly unknown[] {
  let next = 0
  return mapLeaves(args, (leaf) => (isSymbolic(leaf) ? slots[reads[next++]!] : leaf)) as readonly unknown[]
}
