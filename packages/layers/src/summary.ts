import { type Tensor, ValueError, type Variable } from '@adjoint/core'
import { BYTES, didYouMean, show } from '@adjoint/core/extend'
import { InputLayer } from './input-layer.js'
import type { LayerBase } from './layer.js'
import { Model } from './model.js'
import { terminal, writeLine } from './host.js'
import { checkKeys } from './option-checks.js'
import { countText, shapesText, summaryText, type SummaryRow, type WeightCount } from './summaryText.js'
import type { Node } from './symbolic.js'

/** Options of `summary`. */
export interface SummaryOptions {
  /** The table's width; by default what Keras takes, as far as the terminal goes. */
  readonly lineLength?: number
  /** Called with each line instead of the console. */
  readonly printFn?: (line: string) => void
  /** Whether the layers of models inside are listed too. */
  readonly expandNested?: boolean
  /** Whether a column tells which layers are trained. */
  readonly showTrainable?: boolean
  /** The first and the last layer to list: each a name, or a pattern that it matches. The counts are of all. */
  readonly layerRange?: readonly [from: string | RegExp, to: string | RegExp]
}

/** Prints the table of a model's layers as Keras does. */
export function printSummary(model: Model, options: SummaryOptions): void {
  checkKeys('summary', options, ['lineLength', 'printFn', 'expandNested', 'showTrainable', 'layerRange'])
  const { lineLength, printFn = writeLine, expandNested = false, showTrainable = false, layerRange } = options
  const sequentialLike = isSequentialLike(model)
  const changing = new Set(model.trainableWeights)
  const text = summaryText({
    name: model.name,
    rows: layersIn(model, layerRange).flatMap((layer) => rowsOf(model, layer, 0, expandNested)),
    sequentialLike,
    showTrainable,
    ...(lineLength !== undefined && { lineLength }),
    terminalColumns: terminal().columns,
    counts: {
      trainable: countOf([...changing]),
      nonTrainable: countOf(model.weights.filter((w) => !changing.has(w))),
      ...(model.lossVariables.length > 0 && { lossWeights: countOf(model.lossVariables) }),
      ...optimizerCount(model),
    },
  })
  for (const line of text.replace(/\n$/, '').split('\n')) printFn(line)
}

/**
 * The layers from the first match of either end to the last match of the other, as Keras takes them.
 * @throws ValueError where there is no match, with the nearest name.
 */
function layersIn(model: Model, range: SummaryOptions['layerRange']): readonly LayerBase[] {
  if (range === undefined) return model.layers
  if (!Array.isArray(range) || range.length !== 2)
    throw new ValueError(`summary: layerRange must be [from, to], got ${show(range)}`)
  const names = model.layers.map((layer) => model.nameOf(layer))
  const [from, to] = range.map((end: unknown) => placesOf(end, names)) as [number[], number[]]
  const [first, last] = from[0]! <= to.at(-1)! ? [from[0]!, to.at(-1)!] : [to[0]!, from.at(-1)!]
  return model.layers.slice(first, last + 1)
}

function placesOf(end: unknown, names: readonly string[]): number[] {
  const places = names.flatMap((name, i) =>
    (end instanceof RegExp ? matches(end, name) : name === end) ? [i] : [],
  )
  if (places.length > 0) return places
  throw new ValueError(
    `summary: layerRange: no layer ${end instanceof RegExp ? `matches ${String(end)}` : show(end)}.${didYouMean(end, names)}`,
  )
}

/** A pattern with the flag g or y remembers where it was; from the start it is the same each time. */
function matches(pattern: RegExp, name: string): boolean {
  pattern.lastIndex = 0
  return pattern.test(name)
}

function optimizerCount(model: Model): { optimizer?: WeightCount } {
  const optimizer = model.compiled?.optimizer
  return optimizer?.built === true ? { optimizer: countOf(optimizer.variables) } : {}
}

function countOf(weights: readonly (Variable | Tensor)[]): WeightCount {
  return {
    count: weights.reduce((n, w) => n + w.size, 0),
    bytes: weights.reduce((n, w) => n + w.size * BYTES[w.dtype], 0),
  }
}

function rowsOf(model: Model, layer: LayerBase, nestedLevel: number, expandNested: boolean): SummaryRow[] {
  const row: SummaryRow = {
    name: model.nameOf(layer),
    className: layer.className,
    outputShape: shapesText((layer.nodes.at(-1)?.outputs ?? []).map((x) => [null, ...x.shape])),
    params: layer.built ? countText(layer.countParams()) : '0 (unbuilt)',
    connectedTo: nestedLevel > 0 ? '-' : connections(model, layer),
    trainable: layer.weights.length === 0 ? '-' : layer.trainable ? 'Y' : 'N',
    nestedLevel,
  }
  if (!expandNested || !(layer instanceof Model)) return [row]
  return [row, ...layer.layers.flatMap((inner) => rowsOf(layer, inner, nestedLevel + 1, true))]
}

/** `dense[0][0], dense_1[0][0]`: what the layer's calls in this model read. */
function connections(model: Model, layer: LayerBase): string {
  const reads = callsIn(model, layer).flatMap((node) => node.inputs)
  return (
    reads.map((x) => `${model.nameOf(x.node.layer)}[${x.node.index}][${x.outputIndex}]`).join(', ') || '-'
  )
}

function callsIn(model: Model, layer: LayerBase): Node[] {
  return layer.nodes.filter((node) => model.graph.allNodes.has(node))
}

/** A chain of layers, each called once on one tensor, is shown without its connections. */
function isSequentialLike(model: Model): boolean {
  return (
    model.graph.levels.every((level) => level.length === 1 && level[0]!.inputs.length <= 1) &&
    model.layers.every((layer) => callsIn(model, layer).length <= 1 || layer instanceof InputLayer)
  )
}
