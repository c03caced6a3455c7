// One case: everybody's results are compared, then rounds are taken in turn, and the best counts.
import { type GpuCase, isStep } from './cases.js'
import type { Contender, Prepared } from './contender.js'

/** What one run took in ms, in the best round, or why there is no such number. */
export interface Timing {
  readonly contender: string
  readonly ms?: number
  readonly reason?: string
}
export interface Compared extends GpuCase {
  /** In the order of the contenders; the first is the CPU. */
  readonly timings: readonly Timing[]
}

export interface Pace {
  readonly rounds: number
  /** How long a contender works in a round, in ms. */
  readonly slice: number
}

/** Told before each turn; what is returned is waited for, so that a page can be drawn. */
export type Tell = (what: string) => Promise<void>

/** Whose first run takes so long, in ms, is not run again: what compiling takes is little of that. */
const LONG = 4000
/** Who has worked so long in rounds, in ms, takes no part in further ones. */
const MOST_WORK = 1500

interface Runner {
  readonly contender: string
  readonly prepared: Prepared
  readonly times: number
  best: number
  worked: number
  failure?: string
}

/** The first contender's values are the reference: who differs is not timed. */
export async function compare(
  what: GpuCase,
  contenders: readonly Contender[],
  { rounds, slice }: Pace,
  tell: Tell,
): Promise<Compared> {
  const timings = new Map<string, Timing>()
  const runners: Runner[] = []
  const open: Prepared[] = []
  let reference: ArrayLike<number> | undefined
  try {
    for (const { name, programs, tolerance } of contenders) {
      const program = programs[what.kind]
      if (program === undefined) continue
      timings.set(name, { contender: name })
      await tell(name)
      try {
        const prepared = await program(what.size)
        open.push(prepared)
        const { ms, values } = await prepared.first()
        // The first is the CPU.
        if (timings.size === 1) reference = values
        if (reference === undefined) throw new Error('the CPU has no values to compare with')
        check(what, values, reference, tolerance)
        if (ms > LONG) timings.set(name, { contender: name, ms })
        else {
          const once = await prepared.run(1)
          // A browser's clock may stand still.
          const times = Math.max(1, Math.floor(slice / Math.max(once, 0.02)))
          runners.push({ contender: name, prepared, times, best: Infinity, worked: 0 })
        }
      } catch (error) {
        timings.set(name, { contender: name, reason: messageOf(error) })
      }
    }
    for (let round = 1; round <= rounds; round++)
      for (const runner of runners) {
        if (runner.failure !== undefined || runner.worked > MOST_WORK) continue
        await tell(`${runner.contender}, round ${round} of ${rounds}`)
        try {
          const ms = await runner.prepared.run(runner.times)
          runner.worked += ms
          runner.best = Math.min(runner.best, ms / runner.times)
        } catch (error) {
          runner.failure = messageOf(error)
        }
      }
    for (const { contender, best, failure } of runners)
      timings.set(contender, { contender, ...(failure === undefined ? { ms: best } : { reason: failure }) })
  } finally {
    for (const prepared of open) prepared.dispose()
  }
  return { ...what, timings: [...timings.values()] }
}

/** Sums of up to 2048 products in float32, in any order: of the largest value. */
const ROUNDED = 1e-5
/**
 * Of what losses move in two steps of Adam. A rate that is a tenth wrong shows as 0.06 to 0.1, an average of squares
 * that is a twentieth wrong as 0.02.
 */
const MOVED = 5e-3

/** @throws Error where values differ from the reference. */
function check(
  { kind }: GpuCase,
  values: ArrayLike<number>,
  reference: ArrayLike<number>,
  moved = MOVED,
): void {
  if (!isStep(kind)) {
    checkEqual('values', values, reference, ROUNDED)
    return
  }
  const movesOf = (losses: ArrayLike<number>): number[] => Array.from(losses, (loss) => loss - losses[0]!)
  checkEqual('the first loss', [values[0]!], reference, ROUNDED)
  checkEqual('what losses move', movesOf(values), movesOf(reference), moved)
}

function checkEqual(
  what: string,
  values: ArrayLike<number>,
  reference: ArrayLike<number>,
  tolerance: number,
): void {
  let largest = 0
  let difference = 0
  for (let i = 0; i < values.length; i++) {
    const apart = Math.abs(values[i]! - reference[i]!)
    // Anything that is no number is as far away as can be.
    difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart)
    largest = Math.max(largest, Math.abs(reference[i]!))
  }
  if (!(values.length > 0 && difference <= tolerance * largest))
    throw new Error(
      `${what}: ${(difference / largest).toExponential(1)} away from the CPU; ${tolerance} is allowed`,
    )
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!
}

/** What the CPU took; NaN where that failed, which is neither faster nor slower. */
export function cpuTimeOf({ timings }: Compared): number {
  return timings[0]?.ms ?? NaN
}

/** NaN where there is none. */
export function timeOf({ timings }: Compared, contender: string): number {
  return timings.find((timing) => timing.contender === contender)?.ms ?? NaN
}

/**
 * The size from which on a contender is faster than the CPU, among cases of one kind; undefined where it is not at
 * the largest.
 */
export function overtakingOf(contender: string, results: readonly Compared[]): number | undefined {
  const timed = results.filter((result) => Number.isFinite(timeOf(result, contender)))
  let from: number | undefined
  for (const result of timed.toReversed()) {
    if (!(timeOf(result, contender) < cpuTimeOf(result))) break
    from = result.size
  }
  return from
}
