import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { Model } from '../model.js'
import { checkChoice, checkFlag, checkKeys } from '../option-checks.js'
import { deliver } from './deliver.js'
import { diagramOf } from './diagram.js'
import { drawDot } from './dot.js'
import { drawMermaid } from './mermaid.js'
import { drawSvg, type RankDir } from './draw.js'

export type PlotFormat = 'svg' | 'mermaid' | 'dot'

/** Options of {@link plotModel}: Keras' names. */
export interface PlotOptions {
  /** What to draw with (default: what `toFile` ends in, else 'svg'). */
  readonly format?: PlotFormat
  /** Whether to tell the shapes of outputs (default true). */
  readonly showShapes?: boolean
  /** Whether to tell their dtypes. */
  readonly showDtype?: boolean
  /** Whether to tell the layers' names besides their classes (default true). */
  readonly showLayerNames?: boolean
  /** Whether to tell activations (default true). */
  readonly showLayerActivations?: boolean
  /** Whether to tell which layers are trained and which are frozen. */
  readonly showTrainable?: boolean
  /** Whether to draw the layers of models inside; else such a model is one box with a double line. */
  readonly expandNested?: boolean
  /** From top to bottom (default), or from left to right. */
  readonly rankDir?: RankDir
  /** Where to write it: a path that ends in .svg, .mmd, .dot or .gv. */
  readonly toFile?: string
}

const FLAGS = {
  showShapes: true,
  showDtype: false,
  showLayerNames: true,
  showLayerActivations: true,
  showTrainable: false,
  expandNested: false,
} as const

const ENDINGS: Readonly<Record<string, PlotFormat>> = {
  svg: 'svg',
  mmd: 'mermaid',
  mermaid: 'mermaid',
  dot: 'dot',
  gv: 'dot',
}

/**
 * A picture of a model's graph: as SVG, as a Mermaid flowchart for Markdown, or in Graphviz' DOT. Each call of a layer
 * is a box; boxes of layers with weights are blue, those of frozen ones dashed. With `toFile` it is written too, and
 * promised instead of given.
 * @throws ValueError for unknown options, and for a model whose inputs are not known yet.
 * @example const svg = plotModel(m, { showDtype: true })
 */
export function plotModel(model: Model, options: PlotOptions & { readonly toFile: string }): Promise<string>
export function plotModel(model: Model, options?: PlotOptions & { readonly toFile?: never }): string
export function plotModel(model: Model, options: PlotOptions = {}): string | Promise<string> {
  if (!(model instanceof Model)) throw new ValueError(`plotModel: expected a model, got ${show(model)}`)
  checkKeys('plotModel', options, ['format', 'rankDir', 'toFile', ...Object.keys(FLAGS)])
  const flag = (name: keyof typeof FLAGS): boolean =>
    checkFlag('plotModel', name, options[name] === undefined ? FLAGS[name] : options[name])
  const { toFile, rankDir = 'TB', format = formatOf(toFile) } = options
  checkChoice('plotModel', 'format', format, ['svg', 'mermaid', 'dot'])
  checkChoice('plotModel', 'rankDir', rankDir, ['TB', 'LR'])
  const diagram = diagramOf(model, {
    shapes: flag('showShapes'),
    dtype: flag('showDtype'),
    layerNames: flag('showLayerNames'),
    activations: flag('showLayerActivations'),
    trainable: flag('showTrainable'),
    expandNested: flag('expandNested'),
  })
  const drawers: Readonly<Record<PlotFormat, () => string>> = {
    svg: () => drawSvg(diagram, model.name, rankDir),
    mermaid: () => drawMermaid(diagram, rankDir),
    dot: () => drawDot(diagram, model.name, rankDir),
  }
  return deliver('plotModel', drawers[format](), toFile)
}

/** By a path's ending. */
function formatOf(toFile: unknown): PlotFormat {
  if (toFile === undefined) return 'svg'
  const ending = typeof toFile === 'string' ? (/\.(\w+)$/.exec(toFile)?.[1]?.toLowerCase() ?? '') : ''
  if (Object.hasOwn(ENDINGS, ending)) return ENDINGS[ending]!
  throw new ValueError(
    `plotModel: toFile must end in .svg, .mmd, .dot or .gv, got ${show(toFile)}; for PNG or PDF convert the SVG`,
  )
}
