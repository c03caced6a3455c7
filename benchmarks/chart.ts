import type { Measured } from './measure.js'
import { inUnit, isTimed, peersOf, type Report, significant, type Timed } from './report.js'

const WIDTH = 900
const LEFT = 150
const RIGHT = 190
const ROW = 18
const HEADING = 30
const TOP = 84
const BOTTOM = 46

const COLOURS = { slower: '#7b93b5', faster: '#c4572f', line: '#1c2733', grid: '#e3e7ec', quiet: '#66727f' }

interface Axis {
  readonly from: number
  readonly to: number
  x(speed: number): number
}

/**
 * Bars for the speed of each competitor as a fraction of Adjoint's, case by case, on a logarithmic axis: to the left of
 * the line Adjoint is faster, to the right the other.
 */
export function chart({ cases, machine }: Report): string {
  const groups = cases.filter((measured) => peersOf(measured).some(isComparable))
  const axis = axisOver(groups.flatMap((measured) => peersOf(measured).filter(isComparable)))
  const parts: string[] = []
  let y = TOP
  for (const measured of groups) {
    const rows = peersOf(measured).filter(isComparable)
    const ours = measured.rows.filter(isTimed).find((row) => row.competitor === 'adjoint')!
    parts.push(text(16, y + 19, `${measured.case}: Adjoint ${inUnit(measured, ours.cpu)}`, 'bold'))
    y += HEADING
    for (const row of rows) {
      parts.push(bar(measured, row, y, axis))
      y += ROW
    }
    y += 6
  }
  const height = y + BOTTOM
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`,
    `  font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text(16, 28, 'Speed as a multiple of Adjoint’s', 'title'),
    text(
      16,
      48,
      `${machine.cpu}, Node ${machine.node.split(' ')[0]}, ${dateOf(cases)}; processor time, median of the rounds`,
      'quiet',
    ),
    text(axis.x(1) - 8, TOP - 10, '← Adjoint is faster', 'quiet', 'end'),
    text(axis.x(1) + 8, TOP - 10, 'the other is faster →', 'quiet'),
    ...ticks(axis).map((at) => tick(axis.x(at), at, y)),
    ...parts,
    `<line x1="${axis.x(1)}" x2="${axis.x(1)}" y1="${TOP}" y2="${y}" stroke="${COLOURS.line}" stroke-width="1.5"/>`,
    '</svg>',
    '',
  ].join('\n')
}

function dateOf(cases: readonly Measured[]): string {
  return (
    cases
      .map(({ date }) => date)
      .toSorted()
      .at(-1) ?? ''
  ).slice(0, 10)
}

function isComparable(row: Measured['rows'][number]): row is Timed {
  return isTimed(row) && Number.isFinite(row.cpuRatio)
}

/** Whole powers of ten around all speeds and 1. */
function axisOver(rows: readonly Timed[]): Axis {
  const logs = [...rows.map((row) => Math.log10(1 / row.cpuRatio)), 0]
  const from = Math.floor(Math.min(...logs) - 0.02)
  const to = Math.max(from + 1, Math.ceil(Math.max(...logs) + 0.02))
  const scale = (WIDTH - LEFT - RIGHT) / (to - from)
  return { from, to, x: (speed) => round(LEFT + (Math.log10(speed) - from) * scale) }
}

function ticks({ from, to }: Axis): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
}

function tick(x: number, at: number, bottom: number): string {
  const label = at >= 1 ? `${at}×` : `1/${Math.round(1 / at).toLocaleString('en-US')}`
  return [
    `<line x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}" stroke="${COLOURS.grid}"/>`,
    text(x, bottom + 20, label, 'quiet', 'middle'),
  ].join('')
}

function bar(measured: Measured, row: Timed, y: number, axis: Axis): string {
  const speed = 1 / row.cpuRatio
  const [one, end] = [axis.x(1), axis.x(speed)]
  const colour = speed > 1 ? COLOURS.faster : COLOURS.slower
  const times = speed > 1 ? `${significant(speed)}×` : `1/${significant(row.cpuRatio)}`
  return [
    text(LEFT - 8, y + 13, row.label, 'plain', 'end'),
    `<rect x="${Math.min(one, end)}" y="${y + 3}" width="${round(Math.max(1, Math.abs(end - one)))}" height="${ROW - 5}" fill="${colour}"/>`,
    text(
      WIDTH - RIGHT + 12,
      y + 13,
      `${times}  (${inUnit(measured, row.cpu)})`,
      speed > 1 ? 'loss' : 'plain',
    ),
  ].join('')
}

type Style = 'plain' | 'bold' | 'title' | 'quiet' | 'loss'
const STYLES: Readonly<Record<Style, string>> = {
  plain: `fill="${COLOURS.line}"`,
  bold: `fill="${COLOURS.line}" font-weight="bold"`,
  title: `fill="${COLOURS.line}" font-weight="bold" font-size="17"`,
  quiet: `fill="${COLOURS.quiet}" font-size="11"`,
  loss: `fill="${COLOURS.faster}" font-weight="bold"`,
}

function text(
  x: number,
  y: number,
  content: string,
  style: Style,
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${round(x)}" y="${y}" text-anchor="${anchor}" ${STYLES[style]}>${escaped}</text>`
}

function round(x: number): number {
  return Math.round(x * 10) / 10
}
