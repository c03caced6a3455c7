// Cases in turn, contenders in turn within each, best of the rounds.
import type { Contender, Run, StepName } from './contenders.js'

export interface GpuCase {
  readonly name: string
  /** Cases of one kind differ in size: one line of the chart. */
  readonly kind: string
  readonly size: number
  prepare(contender: Contender): Run | undefined
}

/** Time of one run in ms, or why there is none. */
export interface Timing {
  readonly contender: string
  readonly ms?: number
  readonly reason?: string
}
export interface Compared {
  readonly name: string
  readonly kind: string
  readonly size: number
  readonly timings: readonly Timing[]
}

export function casesOf(isQuick: boolean): GpuCase[] {
  const sizes = isQuick ? [64, 128] : [256, 512, 1024, 2048]
  const lengths = isQuick ? [1e4] : [1e4, 1e5, 1e6, 1e7]
  const rows = isQuick ? [16] : [16, 128, 1024]
  const batches = isQuick ? [32] : [32, 128, 512, 4096]
  const steps: StepName[] = isQuick ? ['B1'] : ['B1', 'B2', 'B3', 'B4']
  return [
    ...sizes.map((n) => caseOf('matmul', n, (c) => c.matmul(n))),
    ...lengths.map((size) => caseOf('mul', size, (c) => c.mul(size))),
    ...rows.map((count) => caseOf('softmax 1000 wide', count, (c) => c.softmax(count, 1000))),
    ...lengths.map((size) => caseOf('read back', size, (c) => c.readBack(size))),
    ...steps.flatMap((which) =>
      batches.flatMap((batch) => [
        caseOf(`step ${which}`, batch, (c) => c.step?.(which, batch)),
        caseOf(`step ${which} op by op`, batch, (c) => c.stepByOps?.(which, batch)),
      ]),
    ),
  ]
}

function caseOf(kind: string, size: number, prepare: GpuCase['prepare']): GpuCase {
  return { name: `${kind} ${size}`, kind, size, prepare }
}

interface Pace {
  readonly rounds: number
  /** How long a contender works in a round, in ms. */
  readonly slice: number
}

/** Float32 products of at most a few thousand terms. */
const TOLERANCE = 1e-3

/** Measures one case. The first contender's values are the reference: who differs is not timed. */
export async function compare(
  what: GpuCase,
  contenders: readonly Contender[],
  { rounds, slice }: Pace,
): Promise<Compared> {
  const active: { contender: string; run: Run; times: number; best: number }[] = []
  const timings: Timing[] = []
  let reference: readonly number[] | undefined
  for (const contender of contenders) {
    try {
      const run = what.prepare(contender)
      if (run === undefined) continue
      const values = await run(1)
      reference ??= values
      const apart = values.findIndex(
        (value, i) =>
          !(Math.abs(value - reference![i]!) <= TOLERANCE * Math.max(1, Math.abs(reference![i]!))),
      )
      if (apart >= 0) throw new Error(`value ${apart} is ${values[apart]}, ${reference[apart]} is right`)
      // How often fits into a slice; once more, because the first run compiles. A browser's clock may stand still.
      const start = performance.now()
      await run(1)
      const once = performance.now() - start
      active.push({
        contender: contender.name,
        run,
        times: Math.max(1, Math.floor(slice / Math.max(once, 0.05))),
        best: Infinity,
      })
    } catch (error) {
      timings.push({ contender: contender.name, reason: String(error).split('\n')[0]! })
    }
  }
  for (let round = 0; round < rounds; round++)
    for (const entry of active) {
      const start = performance.now()
      await entry.run(entry.times)
      entry.best = Math.min(entry.best, (performance.now() - start) / entry.times)
    }
  timings.push(...active.map(({ contender, best }) => ({ contender, ms: best })))
  return { name: what.name, kind: what.kind, size: what.size, timings }
}

/** The best times as a table in Markdown, and who overtakes the CPU where. */
export function tableOf(contenders: readonly Contender[], results: readonly Compared[]): string {
  const names = contenders.map(({ name }) => name)
  const lines = [
    ...contenders.map(
      ({ name, adapter, isSoftware }) => `- ${name}: ${adapter}${isSoftware ? ' (**software**)' : ''}`,
    ),
    '',
    `| ms, best round | ${names.join(' | ')} |`,
    `| --- | ${names.map(() => '---').join(' | ')} |`,
    ...results.map(({ name, timings }) => {
      const cells = names.map((contender) => {
        const timing = timings.find((one) => one.contender === contender)
        if (timing === undefined) return '–'
        return timing.ms === undefined ? timing.reason! : timing.ms.toPrecision(3)
      })
      return `| ${name} | ${cells.join(' | ')} |`
    }),
    '',
    ...overtakings(names.slice(1), results),
  ]
  return lines.join('\n')
}

/** The first size of a kind at which a contender is faster than the CPU; undefined where it is at none. */
export function overtakingOf(name: string, results: readonly Compared[]): Compared | undefined {
  return results.find((result) => timeOf(result, name) < timeOf(result, 'cpu'))
}

/** NaN where there is none, which is neither faster nor slower. */
function timeOf({ timings }: Compared, name: string): number {
  return timings.find(({ contender }) => contender === name)?.ms ?? NaN
}

function overtakings(names: readonly string[], results: readonly Compared[]): string[] {
  const kinds = [...new Set(results.map(({ kind }) => kind))].filter((kind) => kind !== 'read back')
  return kinds.flatMap((kind) => {
    const all = results.filter((result) => result.kind === kind && !Number.isNaN(timeOf(result, 'cpu')))
    return names
      .filter((name) => all.some((result) => !Number.isNaN(timeOf(result, name))))
      .map((name) => {
        const first = overtakingOf(name, all)
        const where = first === undefined ? 'does not overtake the CPU' : `overtakes the CPU at ${first.size}`
        return `- ${kind}: ${name} ${where}`
      })
  })
}
