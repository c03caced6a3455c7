import { fixed } from './fixed.js'
import { renderTable, type TableColumn } from './table.js'

export interface SummaryRow {
  readonly name: string
  readonly className: string
  /** From `shapesText`. */
  readonly outputShape: string
  /** From `countText`; `0 (unbuilt)` for a layer without its weights yet. */
  readonly params: string
  /** `dense[0][0], dense_1[0][0]`: layer, which of its calls, which of that call's outputs; `-` for none. */
  readonly connectedTo: string
  /** `-` for a layer without weights. */
  readonly trainable: 'Y' | 'N' | '-'
  /** 0 for the model's own layers, 1 for those of a model among them, and so on. */
  readonly nestedLevel: number
}

export interface WeightCount {
  readonly count: number
  readonly bytes: number
}

export interface SummarySpec {
  readonly name: string
  readonly rows: readonly SummaryRow[]
  /** A plain chain of layers, for which "Connected to" would say nothing. */
  readonly sequentialLike: boolean
  readonly showTrainable: boolean
  /** Width of the table. Default: 88 for a chain, 108 for a graph, 12 more with Trainable, if they fit. */
  readonly lineLength?: number
  /** Width of the terminal, of which the default leaves 4 free. Default: 80. */
  readonly terminalColumns?: number
  readonly counts: {
    readonly trainable: WeightCount
    readonly nonTrainable: WeightCount
    /** Those among the trainable ones from which losses learn what they count. */
    readonly lossWeights?: WeightCount
    /** Once the optimizer has its variables, that is after the first step. */
    readonly optimizer?: WeightCount
  }
}

/**
 * What Keras 3's `model.summary()` prints, without colours; every line ends in a line feed.
 *
 * @throws RangeError when the line is too short to give each column 4 cells.
 */
export function summaryText(spec: SummarySpec): string {
  const lineLength = spec.lineLength || defaultLineLength(spec)
  const columns = summaryColumns(spec, lineLength)
  const rows = spec.rows.map((row) => cellsOf(row, spec))
  return `Model: "${spec.name}"\n` + renderTable(columns, rows, lineLength) + countLines(spec.counts)
}

/** `1408` is `1,408`. */
export const countText = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',')

/** One shape as `(None, 64)`, several as `[(None, 64), (None, 32)]`, none (not known yet) as `?`. */
export function shapesText(shapes: readonly (readonly (number | null)[])[]): string {
  const [first, ...others] = shapes.map((shape) => `(${shape.map((n) => n ?? 'None').join(', ')})`)
  if (first === undefined) return '?'
  return others.length === 0 ? first : `[${[first, ...others].join(', ')}]`
}

/** `3972` is `3.88 KB`, with 1 KB = 1024 B. */
export function bytesText(bytes: number): string {
  let value = bytes
  for (const unit of ['B', 'KB', 'MB', 'GB', 'TB']) {
    if (value < 1024) return `${fixed(value, 2)} ${unit}`
    value /= 1024
  }
  return `${fixed(value, 2)} PB`
}

function defaultLineLength({ sequentialLike, showTrainable, terminalColumns = 80 }: SummarySpec): number {
  return Math.min((sequentialLike ? 88 : 108) + (showTrainable ? 12 : 0), terminalColumns - 4)
}

/** The right edges of Layer, Output Shape, Param # and Connected to, as parts of the line. */
const SEQUENTIAL_EDGES = [0.45, 0.8, 1]
const GRAPH_EDGES = [0.3, 0.56, 0.74, 1]

function summaryColumns({ sequentialLike, showTrainable }: SummarySpec, lineLength: number): TableColumn[] {
  const columns: Omit<TableColumn, 'width'>[] = [
    { header: 'Layer (type)', justify: 'left' },
    { header: 'Output Shape', justify: 'left' },
    { header: 'Param #', justify: 'right' },
  ]
  if (!sequentialLike) columns.push({ header: 'Connected to', justify: 'left' })
  if (showTrainable) columns.push({ header: 'Trainable', justify: 'center' })
  const edges = sequentialLike ? SEQUENTIAL_EDGES : GRAPH_EDGES
  const ends = showTrainable ? [...edges.map((edge) => edge * 0.9), 1] : edges
  let start = 0
  return columns.map((column, i) => {
    const width = Math.trunc((ends[i] ?? 1) * lineLength) - start
    if (width < 4) {
      throw new RangeError(
        `summary: a line of ${lineLength} leaves ${width} for column "${column.header}", which needs 4; ` +
          'use a wider terminal or a larger lineLength',
      )
    }
    start += width
    return { ...column, width }
  })
}

function cellsOf(row: SummaryRow, { sequentialLike, showTrainable }: SummarySpec): string[] {
  const prefix = row.nestedLevel > 0 ? '   '.repeat(row.nestedLevel) + '└ ' : ''
  return [
    `${prefix}${row.name} (${row.className})`,
    row.outputShape,
    row.params,
    ...(sequentialLike ? [] : [row.connectedTo]),
    ...(showTrainable ? [row.trainable] : []),
  ]
}

function countLines({ trainable, nonTrainable, lossWeights, optimizer }: SummarySpec['counts']): string {
  const all = [trainable, nonTrainable, ...(optimizer ? [optimizer] : [])]
  const total: WeightCount = {
    count: all.reduce((count, part) => count + part.count, 0),
    bytes: all.reduce((bytes, part) => bytes + part.bytes, 0),
  }
  const line = (what: string, { count, bytes }: WeightCount): string =>
    ` ${what} params: ${countText(count)} (${bytesText(bytes)})\n`
  return (
    line('Total', total) +
    line('Trainable', trainable) +
    (lossWeights ? line('Loss weight', lossWeights) : '') +
    line('Non-trainable', nonTrainable) +
    (optimizer ? line('Optimizer', optimizer) : '')
  )
}
