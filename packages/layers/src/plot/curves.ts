import { directionOf } from '../callbacks/monitor.js'
import {
  epochScale,
  isDrawable,
  linearScale,
  lineThrough,
  logScale,
  numberText,
  type Scale,
} from './scale.js'
import { escapeXml, px, shortened, textWidth } from './text.js'

/** What is drawn: the logs of each epoch. */
export interface Curves {
  /** The epochs' numbers, from 0. */
  readonly epoch: readonly number[]
  readonly history: Readonly<Record<string, readonly number[]>>
}

/** One log, and the same over the validation data. */
export interface Pair {
  readonly name: string
  readonly training: readonly number[] | undefined
  readonly validation: readonly number[] | undefined
}

/** The logs in order, each with its `val_`. */
export function pairsOf({ history }: Curves): Pair[] {
  const names = Object.keys(history)
  const own = (name: string): readonly number[] | undefined =>
    Object.hasOwn(history, name) ? history[name] : undefined
  return names
    .filter((name) => !(name.startsWith('val_') && Object.hasOwn(history, name.slice(4))))
    .map((name) => {
      const isAlone = name.startsWith('val_')
      return isAlone
        ? { name: name.slice(4), training: undefined, validation: own(name) }
        : { name, training: own(name), validation: own(`val_${name}`) }
    })
}

/** The place of the best value; undefined where nobody knows what is better, or there is none. */
export function bestOf(name: string, values: readonly number[] | undefined): number | undefined {
  const direction = directionOf(name)
  if (values === undefined || direction === undefined) return undefined
  let best: number | undefined
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return
    if (best === undefined || (direction === 'min' ? value < values[best]! : value > values[best]!)) best = i
  })
  return best
}

const PANEL = { width: 330, height: 214 }
const GAP = 18
const MARGIN = 16
/** The room around the lines of a panel: for its name and legend, and for the axes' labels. */
const AROUND = { left: 50, right: 12, top: 46, bottom: 24 }
const PLOT = {
  width: PANEL.width - AROUND.left - AROUND.right,
  height: PANEL.height - AROUND.top - AROUND.bottom,
}

const INK = '#1c2733'
const QUIET = '#55616f'
const GRID = '#e3e7ec'

/** Blue and vermillion of a palette for all kinds of colour vision (Okabe & Ito 2008); validation is dashed too. */
const SERIES = {
  training: { colour: '#0072b2', night: '#56b4e9', dash: '' },
  validation: { colour: '#d55e00', night: '#f0a04b', dash: ' stroke-dasharray="6 3"' },
} as const
type Which = keyof typeof SERIES

const DARK = `@media (prefers-color-scheme:dark){${[
  ['page', 'fill:#14181d'],
  ['ink', 'fill:#e8edf3'],
  ['quiet', 'fill:#aab6c3'],
  ['grid', 'stroke:#2b333c'],
  ['training', `stroke:${SERIES.training.night}`],
  ['validation', `stroke:${SERIES.validation.night}`],
  ['training.dot', `fill:${SERIES.training.night}`],
  ['validation.dot', `fill:${SERIES.validation.night}`],
  ['best', 'fill:#14181d'],
]
  .map(([name, style]) => `.adjoint-curves .${name}{${style}}`)
  .join('')}}`

/** A panel for each log: training and validation over the epochs. */
export function drawCurves(curves: Curves, title: string): string {
  const pairs = pairsOf(curves)
  const columns = pairs.length === 4 ? 2 : Math.max(1, Math.min(3, pairs.length))
  const rows = Math.max(1, Math.ceil(pairs.length / columns))
  const top = MARGIN + 26
  const width = 2 * MARGIN + columns * PANEL.width + (columns - 1) * GAP
  const height = top + rows * PANEL.height + (rows - 1) * GAP + MARGIN
  const panels = pairs.map((pair, i) =>
    panel(pair, curves.epoch, {
      x: MARGIN + (i % columns) * (PANEL.width + GAP),
      y: top + Math.floor(i / columns) * (PANEL.height + GAP),
    }),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="adjoint-curves" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="Arial, Helvetica, 'DejaVu Sans', sans-serif" font-size="11">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(describe(curves, pairs))}</desc>`,
    `<style>${DARK}</style>`,
    `<rect class="page" width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN, MARGIN + 12, shortened(title, width - 2 * MARGIN, 15, true), 'ink', 'start', 15),
    ...(pairs.length === 0 ? [text(MARGIN, top + 20, 'There are no epochs to show.', 'quiet')] : panels),
    '</svg>',
    '',
  ].join('\n')
}

/** The same in words. */
function describe({ epoch }: Curves, pairs: readonly Pair[]): string {
  const said = pairs.map(({ name, training, validation }) => {
    const parts = (['training', 'validation'] as const).flatMap((which) => {
      const values = which === 'training' ? training : validation
      if (values === undefined || values.length === 0) return []
      return [`${which} from ${numberText(values[0]!)} to ${numberText(values.at(-1)!)}`]
    })
    return `${name}: ${parts.join(', ')}`
  })
  return `${epoch.length} ${epoch.length === 1 ? 'epoch' : 'epochs'}. ${said.join('; ')}`
}

interface Place {
  readonly x: number
  readonly y: number
}

function panel({ name, training, validation }: Pair, epochs: readonly number[], at: Place): string {
  const values = [...(training ?? []), ...(validation ?? [])].filter(isDrawable)
  const plot = { x: at.x + AROUND.left, y: at.y + AROUND.top }
  const numbers = epochs.map((epoch) => epoch + 1)
  const xs = epochScale(numbers[0] ?? 1, numbers.at(-1) ?? 1, 5)
  const ys = values.length === 0 ? undefined : valueScale(name, values)
  const best = bestOf(name, validation)
  const place = (i: number, value: number): Place => ({
    x: plot.x + xs.at(numbers[i] ?? i + 1) * PLOT.width,
    y: plot.y + (1 - ys!.at(value)) * PLOT.height,
  })
  return [
    `<g class="panel"><title>${escapeXml(name)}</title>`,
    text(at.x, at.y + 14, shortened(name, PANEL.width - 70, 13, true), 'ink', 'start', 13),
    ...(ys?.isLog === true
      ? [text(at.x + PANEL.width - AROUND.right, at.y + 14, 'log scale', 'quiet', 'end')]
      : []),
    legend({ training, validation }, at),
    ...(ys?.ticks ?? []).map((tick) => {
      const y = plot.y + (1 - ys!.at(tick)) * PLOT.height
      return rule(plot.x, plot.x + PLOT.width, y) + text(plot.x - 6, y + 4, numberText(tick), 'quiet', 'end')
    }),
    text(plot.x - 8, plot.y + PLOT.height + 16, 'epoch', 'quiet', 'end'),
    ...xs.ticks.map((tick) =>
      text(plot.x + xs.at(tick) * PLOT.width, plot.y + PLOT.height + 16, String(tick), 'quiet', 'middle'),
    ),
    ...(ys === undefined
      ? [text(plot.x + PLOT.width / 2, plot.y + PLOT.height / 2, 'no finite values', 'quiet', 'middle')]
      : [series('training', training, place), series('validation', validation, place)]),
    ...(ys === undefined || best === undefined || numbers.length < 2
      ? []
      : [bestMark(place, best, validation![best]!)]),
    '</g>',
  ].join('')
}

/** Logarithmic for what falls over more than a factor of 30; shares and scores stay linear. */
function valueScale(name: string, values: readonly number[]): Scale {
  const least = values.reduce((a, b) => Math.min(a, b))
  const most = values.reduce((a, b) => Math.max(a, b))
  return least > 0 && most / least > 30 && directionOf(name) !== 'max'
    ? logScale(values)
    : linearScale(values, 6)
}

function series(
  which: Which,
  values: readonly number[] | undefined,
  place: (i: number, value: number) => Place,
): string {
  if (values === undefined) return ''
  const { colour, dash } = SERIES[which]
  const points = values.map((value, i) => (isDrawable(value) ? place(i, value) : undefined))
  const path = lineThrough(points)
  // What has no neighbour to draw a line to is a dot.
  const alone = points.filter((_, i) => points[i - 1] === undefined && points[i + 1] === undefined)
  const dots = alone.map((point) =>
    point === undefined
      ? ''
      : `<circle class="${which} dot" cx="${px(point.x)}" cy="${px(point.y)}" r="3" fill="${colour}"/>`,
  )
  const line =
    path === ''
      ? ''
      : `<path class="${which}" d="${path}" fill="none" stroke="${colour}" stroke-width="1.8" stroke-linejoin="round"${dash}/>`
  return line + dots.join('')
}

/** A ring around the best value over the validation data. */
function bestMark(place: (i: number, value: number) => Place, best: number, value: number): string {
  if (!isDrawable(value)) return ''
  const { x, y } = place(best, value)
  return `<circle class="best validation" cx="${px(x)}" cy="${px(y)}" r="3.5" fill="#ffffff" stroke="${SERIES.validation.colour}" stroke-width="1.8"><title>best: ${numberText(value)}</title></circle>`
}

/** A piece of each line, its name and its last value. */
function legend(values: Readonly<Record<Which, readonly number[] | undefined>>, at: Place): string {
  let x = at.x
  const parts: string[] = []
  for (const which of ['training', 'validation'] as const) {
    const last = values[which]?.at(-1)
    if (last === undefined) continue
    const { colour, dash } = SERIES[which]
    const label = `${which} ${numberText(last)}`
    parts.push(
      `<path class="${which}" d="M${px(x)} ${px(at.y + 28)}h20" stroke="${colour}" stroke-width="1.8"${dash}/>`,
      text(x + 26, at.y + 32, label, 'quiet'),
    )
    x += 26 + textWidth(label, 11) + 12
  }
  return parts.join('')
}

function rule(from: number, to: number, y: number): string {
  return `<path class="grid" d="M${px(from)} ${px(y)}H${px(to)}" stroke="${GRID}"/>`
}

function text(
  x: number,
  y: number,
  content: string,
  style: 'ink' | 'quiet',
  anchor: 'start' | 'middle' | 'end' = 'start',
  bold: number = 0,
): string {
  const weight = bold > 0 ? ` font-size="${bold}" font-weight="bold"` : ''
  return `<text class="${style}" x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" fill="${style === 'ink' ? INK : QUIET}"${weight}>${escapeXml(content)}</text>`
}
