// The results as Markdown, as benchmarks/README.md has them.
import { askedOf } from './asked.js'
import { isStep } from './cases.js'
import { type Compared, overtakingOf, timeOf } from './compare.js'
import type { Contender } from './contender.js'

/**
 * A table of ops and one of training steps, who is who, who is missing and why, where the CPU is overtaken, and on a
 * software adapter what is asked there.
 */
export function reportOf(
  where: string,
  contenders: readonly Contender[],
  missing: readonly string[],
  results: readonly Compared[],
  unit = 'ms',
): string {
  return [
    where,
    [...devicesOf(contenders), ...missing.map((who) => `- missing: ${who}`)].join('\n'),
    tableOf(
      `${unit}, best round`,
      results.filter(({ kind }) => !isStep(kind)),
    ),
    tableOf(
      `training step, ${unit}`,
      results.filter(({ kind }) => isStep(kind)),
    ),
    [...new Set(results.map(({ kind }) => kind))]
      .filter((kind) => kind !== 'read back')
      .map((kind) => `- ${kind}: ${overtakingsOf(results.filter((result) => result.kind === kind))}`)
      .join('\n'),
    markdown(
      ['on a software adapter', 'ours', 'against', 'asked', 'times as fast', ''],
      contenders.some(({ device }) => device.isSoftware) ? askedOf(results) : [],
    ),
    failuresOf(results)
      .map((line) => `- ${line}`)
      .join('\n'),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function devicesOf(contenders: readonly Contender[]): string[] {
  const devices = new Map(contenders.map(({ device }) => [device.name, device]))
  return [...devices.values()].map(
    ({ name, adapter, isSoftware }) => `- ${name}: ${adapter}${isSoftware ? ' (**software adapter**)' : ''}`,
  )
}

/** '' for no results. The best time of each row is bold. */
function tableOf(title: string, results: readonly Compared[]): string {
  const names = [...new Set(results.flatMap(({ timings }) => timings.map(({ contender }) => contender)))]
  return markdown(
    [title, ...names],
    results.map((result) => {
      const best = bestOf(result)
      const cells = names.map((name) => {
        const ms = timeOf(result, name)
        if (Number.isNaN(ms)) return result.timings.some((one) => one.contender === name) ? 'failed' : '–'
        return ms === best ? `**${inMs(ms)}**` : inMs(ms)
      })
      return [`${result.kind} ${shown(result.size)}`, ...cells]
    }),
  )
}

/** '' for no rows. */
function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

export function bestOf({ timings }: Compared): number {
  return Math.min(...timings.map(({ ms = Infinity }) => ms))
}

/** Who failed, where and why, each reason once. */
export function failuresOf(results: readonly Compared[]): string[] {
  const found = new Map<string, string[]>()
  for (const { kind, size, timings } of results)
    for (const { contender, reason } of timings)
      if (reason !== undefined) {
        const what = `${contender}: ${reason}`
        found.set(what, [...(found.get(what) ?? []), `${kind} ${shown(size)}`])
      }
  return [...found].map(([what, where]) => `${what} (${where.join(', ')})`)
}

/** Who overtakes the CPU, and where, among cases of one kind. */
export function overtakingsOf(results: readonly Compared[]): string {
  const names = new Set(results.flatMap(({ timings }) => timings.slice(1).map(({ contender }) => contender)))
  const ahead = [...names].flatMap((name) => {
    const from = overtakingOf(name, results)
    return from === undefined ? [] : [`${name} from ${shown(from)} on`]
  })
  return ahead.length === 0 ? 'Nobody overtakes the CPU.' : `The CPU is overtaken by ${ahead.join(', ')}.`
}

/** A size, or how many there are of it. */
export function shown(size: number): string {
  return size.toLocaleString('en')
}

/** Three digits. */
export function inMs(ms: number): string {
  return ms >= 100 ? String(Math.round(ms)) : String(Number(ms.toPrecision(3)))
}
