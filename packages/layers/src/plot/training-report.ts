import { ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { Model } from '../model.js'
import { checkKeys } from '../option-checks.js'
import { printSummary } from '../summary.js'
import type { CurvesOptions } from '../trainer/types.js'
import { bestOf, type Curves, drawCurves, pairsOf } from './curves.js'
import { deliver } from './deliver.js'
import { plotModel } from './plot-model.js'
import { numberText } from './scale.js'
import { escapeXml } from './text.js'

/** What a report is made of: what `fit` returned, or the same read back from JSON. */
export interface ReportedHistory extends Curves {
  readonly params?: Readonly<Record<string, unknown>>
}

/**
 * How a training went, as one HTML page without scripts and without anything from elsewhere: final figures, curves,
 * hyperparameters, the graph and the summary. With `toFile` it is written too, and promised instead of given.
 * @throws ValueError for what is no model or no history.
 * @example await trainingReport(m, await m.fit(x, y, { epochs: 20 }), { toFile: 'report.html' })
 */
export function trainingReport(
  model: Model,
  history: ReportedHistory,
  options: CurvesOptions & { readonly toFile: string },
): Promise<string>
export function trainingReport(
  model: Model,
  history: ReportedHistory,
  options?: CurvesOptions & { readonly toFile?: never },
): string
export function trainingReport(
  model: Model,
  history: ReportedHistory,
  options: CurvesOptions = {},
): string | Promise<string> {
  if (!(model instanceof Model)) throw new ValueError(`trainingReport: expected a model, got ${show(model)}`)
  if (!Array.isArray(history?.epoch) || !isRecord(history.history))
    throw new ValueError(`trainingReport: expected the history that fit returns, got ${show(history)}`)
  checkKeys('trainingReport', options, ['title', 'toFile'])
  const { title = `Training of ${model.name}`, toFile } = options
  if (typeof title !== 'string')
    throw new ValueError(`trainingReport: title must be a text, got ${show(title)}`)
  return deliver('trainingReport', page(title, sectionsOf(model, history)), toFile)
}

type Section = readonly [heading: string, content: string]

function sectionsOf(model: Model, history: ReportedHistory): Section[] {
  return [
    ['Final figures', finalFigures(history)],
    ['Curves', figure(drawCurves(history, 'Training and validation'))],
    ['Hyperparameters', hyperparameters(model, history)],
    ['Graph', figure(plotModel(model, { showTrainable: true }))],
    ['Summary', `<pre>${summaryOf(model).map(escapeXml).join('\n')}</pre>`],
  ]
}

function finalFigures(history: ReportedHistory): string {
  const number = (
    values: readonly number[] | undefined,
    at: number | undefined = values && values.length - 1,
  ) => {
    const value = at === undefined ? undefined : values?.[at]
    return value === undefined ? '–' : numberText(value)
  }
  const rows = pairsOf(history).map(({ name, training, validation }) => {
    const best = bestOf(name, validation)
    const epoch = best === undefined ? '–' : String((history.epoch[best] ?? best) + 1)
    return [name, number(training), number(validation), number(validation, best ?? -1), epoch]
  })
  return table(['', 'Training', 'Validation', 'Best validation', 'in epoch'], rows)
}

function hyperparameters(model: Model, { epoch, params = {} }: ReportedHistory): string {
  const rows: (readonly [string, unknown])[] = [
    ['epochs completed', epoch.length],
    ['epochs asked for', params['epochs']],
    ['batch size', params['batchSize']],
    ['steps per epoch', params['steps']],
  ]
  const { compiled } = model
  if (compiled !== undefined) {
    const { optimizer, outputs, lossWeights } = compiled
    for (const [key, value] of Object.entries(optimizer.config))
      rows.push([key === 'name' ? 'optimizer' : `optimizer: ${key}`, value])
    for (const { key, index, loss, metrics } of outputs) {
      if (loss !== undefined) {
        rows.push([`${key}: loss`, loss.name])
        if (outputs.length > 1)
          rows.push([`${key}: loss weight`, lossWeights.at(index, optimizer.iterations)])
      }
      if (metrics.length > 0) rows.push([`${key}: metrics`, metrics.map(({ metric }) => metric.name)])
    }
  }
  return table(
    ['', 'Value'],
    rows.flatMap(([name, value]) =>
      value === undefined || value === null ? [] : [[name, valueText(value)]],
    ),
  )
}

/** Options in words: functions by their names, schedules by their options. */
function valueText(value: unknown): string {
  if (typeof value === 'number') return numberText(value)
  if (Array.isArray(value)) return value.map(valueText).join(', ')
  const config = typeof value === 'function' ? (value as { config?: unknown }).config : value
  if (isRecord(config))
    return Object.entries(config)
      .flatMap(([key, x]) => (x === undefined || x === null ? [] : [`${key} ${valueText(x)}`]))
      .join(', ')
  if (typeof value === 'function') return value.name === '' ? 'a function' : value.name
  return typeof value === 'string' ? value : show(value)
}

function summaryOf(model: Model): string[] {
  const lines: string[] = []
  printSummary(model, {
    lineLength: 110,
    expandNested: true,
    showTrainable: true,
    printFn: (line) => lines.push(line),
  })
  return lines
}

function figure(svg: string): string {
  return `<figure>\n${svg}</figure>`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: 'td' | 'th'): string =>
    row
      .map((cell, i) =>
        i === 0 && tag === 'td'
          ? `<th scope="row">${escapeXml(cell)}</th>`
          : `<${tag}>${escapeXml(cell)}</${tag}>`,
      )
      .join('')
  return [
    '<table>',
    `<thead><tr>${cells(head, 'th')}</tr></thead>`,
    '<tbody>',
    ...rows.map((row) => `<tr>${cells(row, 'td')}</tr>`),
    '</tbody>',
    '</table>',
  ].join('\n')
}

const STYLE = [
  ':root{color-scheme:light dark}',
  'body{font:15px/1.5 Arial,Helvetica,"DejaVu Sans",sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1c2733;background:#fff}',
  'h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .6rem}',
  'table{border-collapse:collapse}th,td{padding:.25rem .9rem .25rem 0;border-bottom:1px solid #e3e7ec;text-align:right;font-variant-numeric:tabular-nums}',
  'th:first-child,td:first-child{text-align:left}th{font-weight:600}',
  'figure{margin:0;overflow-x:auto}svg{max-width:100%;height:auto}',
  'pre{overflow-x:auto;font:12px/1.25 "DejaVu Sans Mono",Menlo,Consolas,monospace}',
  '@media (prefers-color-scheme:dark){body{color:#e8edf3;background:#14181d}th,td{border-color:#2b333c}}',
].join('\n')

/** The policy forbids the page to run or to fetch anything, should text ever get out of its place. */
function page(title: string, sections: readonly Section[]): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8"/>',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>`,
    '<meta name="viewport" content="width=device-width"/>',
    `<title>${escapeXml(title)}</title>`,
    `<style>\n${STYLE}\n</style>`,
    '</head>',
    '<body>',
    `<h1>${escapeXml(title)}</h1>`,
    ...sections.map(([heading, content]) => `<section>\n<h2>${heading}</h2>\n${content}\n</section>`),
    '</body>',
    '</html>',
    '',
  ].join('\n')
}
