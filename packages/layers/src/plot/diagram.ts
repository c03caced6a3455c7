import type { Shape } from '@adjoint/core'
import type { LayerBase } from '../layer.js'
import { contentOf } from '../leaves.js'
import { keyOf } from '../graph.js'
import { Model } from '../model.js'
import { shapesText } from '../summaryText.js'
import { isSymbolic, type Node } from '../symbolic.js'
import { endsOf } from '../trainer/ends.js'
import type { Sym } from '../types.js'

/** What to tell of each layer. */
export interface Shown {
  readonly shapes: boolean
  readonly dtype: boolean
  readonly layerNames: boolean
  readonly activations: boolean
  readonly trainable: boolean
  readonly expandNested: boolean
}

/** An input, an output, or one call of a layer. */
export interface Box {
  /** `n0`, `n1` and so on, over all of the picture. */
  readonly id: string
  readonly kind: 'input' | 'layer' | 'model' | 'output'
  /** Whether it holds weights, and whether training changes any of them. */
  readonly weights: 'none' | 'trained' | 'frozen'
  /** What it is: the layer's class, or the name of an input or output. */
  readonly title: string
  /** Behind the title: the activation. */
  readonly aside: string
  readonly name: string
  /** Its name, if that is told, and what it gives. */
  readonly details: readonly string[]
  /** Whether it is trained, and which of the layer's calls this is. */
  readonly marks: readonly string[]
  /** The layers of a model, where they are shown. */
  readonly inside?: Diagram
}

export interface Arrow {
  readonly from: Box
  readonly output: number
  readonly to: Box
  readonly input: number
}

/** A model as boxes and arrows, whatever draws them. Boxes come after those they have arrows from. */
export interface Diagram {
  readonly boxes: readonly Box[]
  readonly arrows: readonly Arrow[]
  /** The boxes of the model's inputs, and what gives its outputs, in order. */
  readonly inputs: readonly Box[]
  readonly outputs: readonly Source[]
}

/** One output of what a box stands for. */
export interface Source {
  readonly box: Box
  readonly output: number
}

/** The text under a box's title. */
export function linesOf({ details, marks }: Box): string[] {
  return marks.length === 0 ? [...details] : [...details, marks.join(', ')]
}

export function diagramOf(model: Model, shown: Shown): Diagram {
  let count = 0
  return drawn(model, shown, () => `n${count++}`, true)
}

function drawn(model: Model, shown: Shown, nextId: () => string, isOutermost: boolean): Diagram {
  const boxes: Box[] = []
  const arrows: Arrow[] = []
  const sources = new Map<string, Source>()
  const inputKeys = endsOf(model, 'input').keys
  const inputs = model.inputList.map((x, i) => {
    const box = inputBox(nextId(), isOutermost ? inputKeys[i]! : nameIn(model, x), x, shown)
    sources.set(keyOf(x), { box, output: 0 })
    boxes.push(box)
    return box
  })
  const calls = callsOf(model)
  for (const node of model.graph.nodes) {
    const box = callBox(nextId, model, node, calls, shown)
    boxes.push(box)
    contentOf(node.args).forEach((leaf, input) => {
      const source = isSymbolic(leaf) ? sources.get(keyOf(leaf)) : undefined
      if (source !== undefined) arrows.push({ from: source.box, output: source.output, to: box, input })
    })
    node.outputs.forEach((x, output) => {
      // What the model starts from is given, also where a call would make it too.
      if (!sources.has(keyOf(x))) sources.set(keyOf(x), { box, output })
    })
  }
  const outputs = model.outputList.map((x) => sources.get(keyOf(x))!)
  if (isOutermost && (namesOutputs(model) || outputs[0]!.box.inside !== undefined))
    endsOf(model, 'output').list.forEach(({ key }, i) => {
      const box = outputBox(nextId(), key)
      boxes.push(box)
      arrows.push({ from: outputs[i]!.box, output: outputs[i]!.output, to: box, input: 0 })
    })
  return { boxes, arrows, inputs, outputs }
}

/** A single output without a name of its own is plain to see. */
function namesOutputs(model: Model): boolean {
  const outputs: unknown = model.outputs
  return model.outputList.length > 1 || !isSymbolic(outputs) || outputs.ownName !== undefined
}

function nameIn(model: Model, x: Sym.Any): string {
  return x.ownName ?? model.nameOf(x.node.layer)
}

function callsOf(model: Model): Map<LayerBase, Node[]> {
  const calls = new Map<LayerBase, Node[]>()
  for (const node of model.graph.nodes) calls.set(node.layer, [...(calls.get(node.layer) ?? []), node])
  return calls
}

const NOTHING = { weights: 'none', aside: '', details: [], marks: [] } as const

function inputBox(id: string, name: string, x: Sym.Any, shown: Shown): Box {
  return { ...NOTHING, id, kind: 'input', title: name, name, details: typeLine([x], shown) }
}

function outputBox(id: string, name: string): Box {
  return { ...NOTHING, id, kind: 'output', title: name, name }
}

function callBox(
  nextId: () => string,
  model: Model,
  node: Node,
  calls: ReadonlyMap<LayerBase, readonly Node[]>,
  shown: Shown,
): Box {
  const { layer } = node
  const name = model.nameOf(layer)
  const own = calls.get(layer)!
  const marks: string[] = []
  if (shown.trainable && layer.weights.length > 0) marks.push(layer.trainable ? 'trainable' : 'frozen')
  if (own.length > 1) marks.push(`call ${own.indexOf(node) + 1} of ${own.length}`)
  const isExpanded = shown.expandNested && layer instanceof Model
  return {
    id: nextId(),
    kind: layer instanceof Model ? 'model' : 'layer',
    weights: layer.weights.length === 0 ? 'none' : layer.trainableWeights.length > 0 ? 'trained' : 'frozen',
    title: layer.className,
    aside: shown.activations ? activationOf(layer) : '',
    name,
    details: [...(shown.layerNames ? [name] : []), ...(isExpanded ? [] : typeLine(node.outputs, shown))],
    marks,
    ...(isExpanded && { inside: drawn(layer, shown, nextId, false) }),
  }
}

/** Shapes and dtypes of tensors, as `summary` writes shapes. */
function typeLine(tensors: readonly Sym.Any[], { shapes, dtype }: Shown): string[] {
  const shape = shapes ? shapesText(tensors.map((x): Shape => [null, ...x.shape])) : ''
  const dtypes = dtype ? [...new Set(tensors.map((x) => x.dtype))].join(', ') : ''
  const line = [shape, dtypes].filter((part) => part !== '').join(' ')
  return line === '' ? [] : [line]
}

/** The name of a layer's activation; nothing for layers without, and for the linear one. */
function activationOf(layer: LayerBase): string {
  const { activation } = layer.getConfig()
  const name = typeof activation === 'function' ? activation.name : activation
  return typeof name === 'string' && name !== 'linear' ? name : ''
}

/** All arrows between boxes that are drawn: those to and from a model whose inside is shown go to its layers. */
export function flatArrows(diagram: Diagram): { readonly from: Box; readonly to: Box }[] {
  const arrows = diagram.arrows.map(({ from, output, to, input }) => ({
    from: sourceIn(from, output),
    to: targetIn(to, input),
  }))
  return [
    ...diagram.boxes.flatMap(({ inside }) => (inside === undefined ? [] : flatArrows(inside))),
    ...arrows,
  ]
}

function sourceIn(box: Box, output: number): Box {
  const source = box.inside?.outputs[output]
  return source === undefined ? box : sourceIn(source.box, source.output)
}

function targetIn(box: Box, input: number): Box {
  const target = box.inside?.inputs[input]
  return target === undefined ? box : targetIn(target, 0)
}
