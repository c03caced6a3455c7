// What the page shows of one kind of case: time over size, and a table that is the chart's legend too.
import { KINDS } from './cases.js'
import { type Compared, cpuTimeOf, overtakingOf, timeOf } from './compare.js'
import type { Contender, Kind } from './contender.js'
import { bestOf, failuresOf, inMs, overtakingsOf, shown } from './report.js'

const WIDTH = 440
const HEIGHT = 250
const EDGE = { left: 58, right: 16, top: 12, bottom: 40 }

/** A chart and a table of cases of one kind, as HTML. */
export function sectionOf(
  kind: Kind,
  contenders: readonly Contender[],
  results: readonly Compared[],
): string {
  const shownHere = contenders.filter(({ name }) =>
    results.some(({ timings }) => timings.some(({ contender }) => contender === name)),
  )
  const notes = failuresOf(results).map((line) => `<li>${escaped(line)}</li>`)
  return (
    `<section><h2>${KINDS[kind].title}</h2>${chartOf(kind, shownHere, results)}` +
    `<p class="said">${kind === 'read back' ? 'On the CPU this is a copy.' : overtakingsOf(results)}</p>` +
    `${tableOf(kind, shownHere, results)}${notes.length === 0 ? '' : `<ul class="notes">${notes.join('')}</ul>`}</section>`
  )
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

/** Colours tell devices, dashes the way of working. */
function styleOf({ name, device }: Contender): string {
  const colour = `var(--${device.name.toLowerCase().replace('.', '').replaceAll(' ', '-')})`
  return `style="stroke:${colour}"${name.endsWith('op by op') ? ' stroke-dasharray="5 3"' : ''}`
}

function chartOf(kind: Kind, contenders: readonly Contender[], results: readonly Compared[]): string {
  const times = results.flatMap(({ timings }) => timings.flatMap(({ ms = 0 }) => (ms > 0 ? [ms] : [])))
  if (times.length === 0) return ''
  const sizes = results.map(({ size }) => Math.log10(size))
  const [bottom, top] = [HEIGHT - EDGE.bottom, EDGE.top]
  const x = scale(Math.min(...sizes), Math.max(...sizes), EDGE.left + 20, WIDTH - EDGE.right - 20)
  const low = Math.floor(Math.log10(Math.min(...times)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...times))))
  const y = scale(low, high, bottom, top)

  const every = high - low > 6 ? 2 : 1
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i)
    .filter((power) => (power - low) % every === 0)
    .map(
      (power) =>
        `<path class="grid" d="M${EDGE.left} ${y(power)}H${WIDTH - EDGE.right}"/>` +
        `<text x="${EDGE.left - 6}" y="${y(power) + 4}" text-anchor="end">${tickOf(power)}</text>`,
    )
  const labels = results.map(
    ({ size }) =>
      `<text x="${x(Math.log10(size))}" y="${bottom + 16}" text-anchor="middle">${compact(size)}</text>`,
  )
  const unit = `<text x="${(EDGE.left + WIDTH - EDGE.right) / 2}" y="${HEIGHT - 6}" text-anchor="middle">${KINDS[kind].unit}</text>`
  const lines = contenders.map((contender, i) => {
    const points = results.flatMap((result) => {
      const ms = timeOf(result, contender.name)
      return ms > 0
        ? [{ size: result.size, at: [x(Math.log10(result.size)), y(Math.log10(ms))] as const }]
        : []
    })
    const from = i === 0 || kind === 'read back' ? undefined : overtakingOf(contender.name, results)
    const style = styleOf(contender)
    const dots = points.map(
      ({ size, at: [px, py] }) =>
        `<circle cx="${px}" cy="${py}" r="2" fill="none" ${style}/>` +
        (size === from ? `<circle cx="${px}" cy="${py}" r="7" class="line" ${style}/>` : ''),
    )
    return `<polyline class="line" ${style} points="${points.map(({ at }) => at.join()).join(' ')}"/>${dots.join('')}`
  })
  return `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${KINDS[kind].title}, time over ${KINDS[kind].unit}">${[...ticks, ...labels, unit, ...lines].join('')}</svg>`
}

/** Numbers between `low` and `high` to places between `from` and `to`; one number alone to their middle. */
function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => {
    const share = high === low ? 0.5 : (value - low) / (high - low)
    return Math.round(10 * (from + share * (to - from))) / 10
  }
}

function tickOf(power: number): string {
  const [unit, from] = power < -3 ? ['ns', -6] : power < 0 ? ['µs', -3] : power < 3 ? ['ms', 0] : ['s', 3]
  return `${10 ** (power - from)} ${unit}`
}

/** 1e6 as 1M. */
function compact(size: number): string {
  return size < 1e4 ? shown(size) : size.toLocaleString('en', { notation: 'compact' })
}

function tableOf(kind: Kind, contenders: readonly Contender[], results: readonly Compared[]): string {
  const rows = contenders.map((contender) => {
    const swatch = `<svg class="swatch" width="22" height="8"><path class="line" d="M0 4H22" ${styleOf(contender)}/></svg>`
    const cells = results.map((result) => {
      const ms = timeOf(result, contender.name)
      if (Number.isNaN(ms)) return '<td>–</td>'
      const names = [
        ...(ms === bestOf(result) ? ['best'] : []),
        ...(kind !== 'read back' && ms < cpuTimeOf(result) ? ['faster'] : []),
      ]
      return `<td class="${names.join(' ')}">${inMs(ms)}</td>`
    })
    return `<tr><th>${swatch}${escaped(contender.name)}</th>${cells.join('')}</tr>`
  })
  const head = results.map(({ size }) => `<th>${compact(size)}</th>`).join('')
  return `<div class="scroll"><table><thead><tr><th>ms, by ${KINDS[kind].unit}</th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}
