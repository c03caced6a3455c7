import { cpus, freemem, loadavg, platform, release, totalmem } from 'node:os'
import type { Pace, Measured, Row } from './measure.js'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory: string
  readonly system: string
  readonly node: string
}

export interface Report {
  readonly date: string
  readonly machine: Machine
  /** Average number of running processes over the last minute, before and after: benchmarks add about one. */
  readonly load: { readonly before: number; readonly after: number }
  readonly versions: readonly string[]
  readonly pace: Pace
  readonly cases: readonly Measured[]
}

export function machine(): Machine {
  const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1)
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: `${gigabytes(totalmem())} GiB, ${gigabytes(freemem())} free`,
    system: `${platform()} ${release()}`,
    node: `${process.version} (V8 ${process.versions.v8})`,
  }
}

export function load(): number {
  return Math.round(loadavg()[0]! * 100) / 100
}

export type Timed = Extract<Row, { status: 'timed' }>

export function isTimed(row: Row): row is Timed {
  return row.status === 'timed'
}

/** The rows that Adjoint is compared with. */
export function peersOf({ rows }: Measured): readonly Row[] {
  return rows.filter((row) => row.competitor !== 'adjoint')
}

/** `milliseconds` of one run in the unit of the case. */
export function inUnit({ unit, flops }: Measured, milliseconds: number): string {
  switch (unit) {
    case 'steps/s':
      return `${significant(1000 / milliseconds)}/s`
    case 'GFLOP/s':
      return `${significant(flops! / milliseconds / 1e6)} GFLOP/s`
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
    summaryTable(cases),
    '**Where Adjoint loses** (median of the rounds)',
    list(cases.flatMap(losses), 'Nowhere in this run.'),
    '**Not timed**',
    list(absences(cases), 'Nothing.'),
    '**In full**: median and best time of one run; ratios are their time over ours, so above 1 Adjoint is faster (by CPU time: that of all threads of a process, compilers and garbage collectors too); error is the largest difference from the float64 reference.',
    detailTable(cases),
  ].join('\n\n')
}

function heading({ date, machine: m, load: { before, after }, versions, pace, cases }: Report): string {
  return [
    `${date}: ${m.cpu}, ${m.cores} cores, memory ${m.memory}, ${m.system}, Node ${m.node};`,
    `load ${before} before, ${after} after. ${versions.join(', ')}.`,
    `${pace.rounds} rounds of ${pace.slice} ms each in turn, after ${pace.warmUp} ms of warm-up, ${cases.length} cases.`,
    ...(Math.max(before, after - 1) > m.cores / 2
      ? [
          '',
          '**Other programs were running.** Times are too long, differently so from round to round; of the ratios, those by CPU time suffer least.',
        ]
      : []),
  ].join('\n')
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
  const value = inUnit(measured, row.median)
  if (row.competitor === 'adjoint') return value
  return Number.isNaN(row.ratio) ? value : `${value} (**${significant(row.ratio)}×**)`
}

function losses(measured: Measured): string[] {
  return peersOf(measured)
    .filter(isTimed)
    .filter((row) => row.ratio < 1)
    .map(
      (row) =>
        `${measured.case}: ${row.label} is ${significant(1 / row.ratio)} times as fast ` +
        `(${inUnit(measured, row.median)})`,
    )
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
    ['case', 'competitor', 'median', 'best', 'ratio, median', 'ratio, best', 'ratio, CPU time', 'error'],
    cases.flatMap((measured) =>
      measured.rows
        .filter(isTimed)
        .map((row) => [
          measured.case,
          row.label,
          inUnit(measured, row.median),
          inUnit(measured, row.best),
          ...[row.ratio, row.bestRatio, row.cpuRatio].map((ratio) =>
            row.competitor === 'adjoint' ? '' : significant(ratio),
          ),
          row.error.toExponential(1),
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
