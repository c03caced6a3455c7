import type { Machine } from './machine.js'
import { type Measured, medianOf, type Row } from './measure.js'

/** The latest measurement of each case on one machine. */
export interface Report {
  readonly machine: Machine
  readonly versions: readonly string[]
  readonly cases: readonly Measured[]
}

export type Timed = Extract<Row, { status: 'timed' }>

export function isTimed(row: Row): row is Timed {
  return row.status === 'timed'
}

/** The rows that Adjoint is compared with. */
export function peersOf({ rows }: Measured): readonly Row[] {
  return rows.filter((row) => !row.competitor.startsWith('adjoint'))
}

/** `milliseconds` of one run in the unit of the case. */
export function inUnit({ unit, flops, bytes }: Measured, milliseconds: number): string {
  switch (unit) {
    case 'steps/s':
      return `${significant(1000 / milliseconds)}/s`
    case 'GFLOP/s':
      return `${significant(flops! / milliseconds / 1e6)} GFLOP/s`
    case 'GB/s':
      return `${significant(bytes! / milliseconds / 1e6)} GB/s`
    case 'µs':
      return `${significant(milliseconds * 1000)} µs`
    case 'ms':
      return `${significant(milliseconds)} ms`
  }
}

/** Three digits that count, thousands set apart. */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 })
}

/** The report as Markdown. */
export function markdown(report: Report): string {
  const { cases } = report
  return [
    heading(report),
    '### What is asked, and what is reached',
    '`ok` where the ratio by processor time is reached. Of many cases, the one that comes out worst.',
    askedTable(cases),
    '### Two threads',
    'By the clock, plans: how many times as fast two threads are as one, and as others. Median and best of the rounds; with other programs on the machine the best says more.',
    twoThreadsTable(cases),
    '### All cases',
    'By processor time of one run (its median over the rounds; all threads of the process), in brackets how many times as fast Adjoint is.',
    summaryTable(cases),
    '### Where Adjoint loses',
    list(losses(cases), 'Nowhere in this run.'),
    '### Not timed',
    list(absences(cases), 'Nothing.'),
    '### In full',
    'Processor time is that of all threads of a process, compilers and garbage collectors too. Ratios are their time over ours, so above 1 Adjoint is faster; ' +
      'error is the largest difference from the float64 reference, load that before the case began.',
    detailTable(cases),
  ].join('\n\n')
}

/** When, where and how. */
function heading({ machine: m, versions, cases }: Report): string {
  const dates = cases.map(({ date }) => date).toSorted()
  const loads = cases.flatMap(({ load }) => [load.before, load.after])
  const busy = Math.max(...cases.map(({ load }) => Math.max(load.before, load.after - 1)))
  const paces = new Set(
    cases.map(({ pace }) => `${pace.rounds} rounds of ${pace.slice} ms after ${pace.warmUp} ms of warm-up`),
  )
  return [
    `${dates[0]} to ${dates.at(-1)} UTC: ${m.cpu}, ${m.cores} cores, memory ${m.memory}, ${m.system}, Node ${m.node};`,
    `load ${Math.min(...loads)} to ${Math.max(...loads)}. ${versions.join(', ')}.`,
    `${[...paces].join('; or ')}. ${cases.length} cases.`,
    ...(busy > m.cores / 2
      ? [
          '',
          '**Other programs were running.** Times by the clock are too long, differently so from round to round; those by processor time suffer least.',
        ]
      : []),
  ].join('\n')
}

interface Asked {
  readonly measured: Measured
  readonly row: Timed
  readonly asked: number
}

/** For each family of cases and each competitor the asked ratio, and the worst that was reached. */
function askedTable(cases: readonly Measured[]): string {
  const groups = new Map<string, Asked[]>()
  for (const measured of cases)
    for (const [name, asked] of Object.entries(measured.asked ?? {})) {
      const row = measured.rows.find(({ competitor }) => competitor === name)
      if (row === undefined || !isTimed(row) || !Number.isFinite(row.cpuRatio)) continue
      const key = `${measured.family ?? measured.case} ${name}`
      groups.set(key, [...(groups.get(key) ?? []), { measured, row, asked }])
    }
  return table(
    ['case', 'against', 'asked', 'reached', 'by the clock', 'ours', 'theirs', ''],
    [...groups.values()].map((group) => {
      const worst = group.reduce((a, b) => (b.row.cpuRatio < a.row.cpuRatio ? b : a))
      const { measured, row, asked } = worst
      const ok = group.filter((one) => one.row.cpuRatio >= one.asked).length
      return [
        group.length === 1 ? measured.case : `${measured.family}: worst of ${group.length}, ${measured.case}`,
        row.label,
        significant(asked),
        `**${significant(row.cpuRatio)}**`,
        significant(row.ratio),
        inUnit(measured, oursOf(measured)!.cpu),
        inUnit(measured, row.cpu),
        group.length === 1 ? (ok === 1 ? 'ok' : 'missed') : `${ok} of ${group.length} ok`,
      ]
    }),
  )
}

/** What two threads gain. Their work is to take less time, not less of the processors' time. */
function twoThreadsTable(cases: readonly Measured[]): string {
  const rows = cases.flatMap((measured) => {
    const timed = measured.rows.filter(isTimed)
    const two = timed.find(({ competitor }) => competitor === 'adjoint-2')
    if (two === undefined) return []
    return Object.entries(measured.askedOfTwo ?? {}).flatMap(([name, asked]) => {
      const other = timed.find(({ competitor }) => competitor === name)
      if (other === undefined) return []
      const rounds = two.times.flatMap(({ wall }, i) => (other.times[i]?.wall ?? NaN) / wall)
      const ratio = medianOf(rounds.filter(Number.isFinite))
      const label = name === 'adjoint' || name === 'adjoint-plan' ? 'one thread' : other.label
      const ratios = [asked, ratio, other.best / two.best].map(significant)
      return [[measured.case, label, ...ratios, inUnit(measured, other.best), inUnit(measured, two.best)]]
    })
  })
  return table(['case', 'over', 'asked', 'median', 'best', 'best of it', 'best of two threads'], rows)
}

function oursOf({ rows }: Measured): Timed | undefined {
  return rows.filter(isTimed).find((row) => row.competitor === 'adjoint')
}

/** A row for each case, a column for each competitor: its median, and how many times as fast Adjoint is. */
function summaryTable(cases: readonly Measured[]): string {
  const labels = [...new Set(cases.flatMap(({ rows }) => rows.map((row) => row.label)))]
  return table(
    ['case', ...labels],
    cases.map((measured) => [
      measured.case,
      ...labels.map((label) =>
        cell(
          measured,
          measured.rows.find((row) => row.label === label),
        ),
      ),
    ]),
  )
}

function cell(measured: Measured, row: Row | undefined): string {
  if (row === undefined || row.status === 'no program') return ''
  if (!isTimed(row)) return row.status
  const value = inUnit(measured, row.cpu)
  if (row.competitor.startsWith('adjoint')) return value
  return Number.isNaN(row.cpuRatio) ? value : `${value} (**${significant(row.cpuRatio)}×**)`
}

/** Competitors that are faster, and where. */
function losses(cases: readonly Measured[]): string[] {
  const found = new Map<string, string[]>()
  for (const measured of cases)
    for (const row of peersOf(measured).filter(isTimed))
      if (row.cpuRatio < 1)
        found.set(row.label, [
          ...(found.get(row.label) ?? []),
          `${measured.case} (${significant(1 / row.cpuRatio)} times as fast)`,
        ])
  return [...found].map(([label, where]) => `${label}: ${where.join(', ')}`)
}

/** Once for everybody, where the reason is the same in all cases. */
function absences(cases: readonly Measured[]): string[] {
  const found = new Map<string, string[]>()
  for (const measured of cases)
    for (const row of measured.rows) {
      if (isTimed(row) || row.status === 'no program') continue
      const what = `${row.label}: ${row.status}: ${row.reason}`
      found.set(what, [...(found.get(what) ?? []), measured.case])
    }
  return [...found].map(
    ([what, names]) => `${what} (${names.length === cases.length ? 'all cases' : names.join(', ')})`,
  )
}

function detailTable(cases: readonly Measured[]): string {
  return table(
    [
      'case',
      'competitor',
      'processor time',
      'median',
      'best',
      'ratio, processor time',
      'ratio, median',
      'ratio, best',
      'error',
      'load',
    ],
    cases.flatMap((measured) =>
      measured.rows
        .filter(isTimed)
        .map((row) => [
          measured.case,
          row.label,
          ...[row.cpu, row.median, row.best].map((time) => inUnit(measured, time)),
          ...[row.cpuRatio, row.ratio, row.bestRatio].map((ratio) =>
            row.competitor === 'adjoint' ? '' : significant(ratio),
          ),
          row.error.toExponential(1),
          String(measured.load.before),
        ]),
    ),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

function list(items: readonly string[], none: string): string {
  return items.length === 0 ? none : items.map((item) => `- ${item}`).join('\n')
}
