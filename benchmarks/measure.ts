import type { Case } from './cases.js'
import { Child } from './child.js'
import { type Competitor, OURS, REFERENCE } from './competitors.js'
import { load } from './machine.js'
import { type Answer, type Packed, type Spent, unpackResults } from './protocol.js'

export interface Pace {
  readonly rounds: number
  /** How long a competitor works in one round, in ms. */
  readonly slice: number
  /** How long it works before any round, in ms of processor time: past the interpreter, and past the baseline compilers of JavaScript and WebAssembly. */
  readonly warmUp: number
}

export type Row = {
  readonly competitor: string
  readonly label: string
} & (
  | {
      readonly status: 'timed'
      /** Largest |result - reference| as a fraction of the largest |reference|. */
      readonly error: number
      /** For each round what one run took, in ms. */
      readonly times: readonly Spent[]
      readonly median: number
      readonly best: number
      /** The median of the processors' time. */
      readonly cpu: number
      /** How many times as fast as it Adjoint is: median over the rounds, best against best, and median by the processors' time. */
      readonly ratio: number
      readonly bestRatio: number
      readonly cpuRatio: number
    }
  | { readonly status: 'missing' | 'differs' | 'failed' | 'no program'; readonly reason: string }
)

export interface Measured {
  readonly case: string
  readonly what: string
  readonly unit: Case['unit']
  readonly flops?: number
  readonly bytes?: number
  readonly asked?: Case['asked']
  readonly askedOfTwo?: Case['askedOfTwo']
  readonly family?: string
  readonly tolerance: number
  /** When it was measured, how, and how many processes ran on average over the minute before it and up to its end. */
  readonly date: string
  readonly pace: Pace
  readonly load: { readonly before: number; readonly after: number }
  readonly rows: readonly Row[]
}

/** A competitor in the middle of a case. */
interface Runner {
  readonly competitor: Competitor
  readonly child: Child
  readonly error: number
  readonly times: Spent[]
  /** Runs per round. */
  count: number
  failure?: string
}

/** Who could not take part, and why. */
class Absence extends Error {
  constructor(
    readonly status: 'missing' | 'differs' | 'failed',
    reason: string,
  ) {
    super(reason)
  }
}

/**
 * Measures one case: everybody in a process of its own, started for it; results compared first; then rounds in which each
 * works for one slice in turn, so that what else the machine does hits all alike.
 */
export async function measure(
  what: Case,
  competitors: readonly Competitor[],
  pace: Pace,
  versions: Map<string, string>,
): Promise<Measured> {
  const inputs = what.inputs()
  const before = load()
  const rows = new Map<Competitor, Row>()
  const runners: Runner[] = []
  const reference = await referenceFor(what, inputs)
  try {
    for (const competitor of competitors) {
      const { name, label, programs, mostFlops = Infinity } = competitor
      if (programs?.includes(what.program) === false || (what.flops ?? 0) > mostFlops) {
        rows.set(competitor, {
          competitor: name,
          label,
          status: 'no program',
          reason: 'it has no such thing',
        })
        continue
      }
      try {
        runners.push(await prepare(competitor, what, inputs, reference, versions))
      } catch (error) {
        if (!(error instanceof Absence)) throw error
        rows.set(competitor, { competitor: name, label, status: error.status, reason: error.message })
      }
    }
    const work = what.call === undefined ? await warmedUp(runners, pace) : inFreshProcesses(what, inputs)
    for (let round = 0; round < pace.rounds; round++)
      for (const runner of runners.filter((one) => round === 0 || workOf(one) < MOST_WORK))
        await attempt(runner, async () => {
          runner.times.push(await work(runner))
        })
  } finally {
    for (const { child } of runners) child.end()
  }
  const ours = runners.find((runner) => runner.competitor === OURS)
  for (const runner of runners) rows.set(runner.competitor, rowOf(runner, ours))
  return {
    case: what.name,
    what: what.what,
    unit: what.unit,
    ...(what.flops !== undefined && { flops: what.flops }),
    ...(what.bytes !== undefined && { bytes: what.bytes }),
    ...(what.asked !== undefined && { asked: what.asked }),
    ...(what.askedOfTwo !== undefined && { askedOfTwo: what.askedOfTwo }),
    ...(what.family !== undefined && { family: what.family }),
    tolerance: what.tolerance,
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    pace,
    load: { before, after: load() },
    rows: competitors.map((competitor) => rows.get(competitor)!),
  }
}

/** Who has worked so long, in ms, takes no part in further rounds: a product that takes 15 s is slow enough. */
const MOST_WORK = 20_000

function workOf({ times, count }: Runner): number {
  return times.reduce((sum, { wall }) => sum + wall * count, 0)
}

type PackedInputs = Readonly<Record<string, Packed>>

async function referenceFor(what: Case, inputs: PackedInputs): Promise<Float64Array> {
  const child = launch(REFERENCE)
  try {
    expect(await child.ready(), 'ready')
    const answer = await child.ask({ type: 'prepare', program: what.program, inputs, compare: true })
    return unpackResults(expect(answer, 'prepared').results)
  } catch (error) {
    throw new Error(`${what.name}: the float64 reference failed`, { cause: error })
  } finally {
    child.end()
  }
}

async function prepare(
  competitor: Competitor,
  what: Case,
  inputs: PackedInputs,
  reference: Float64Array,
  versions: Map<string, string>,
): Promise<Runner> {
  const child = launch(competitor)
  try {
    const ready = expect(await child.ready(), 'ready')
    for (const [name, version] of Object.entries(ready.versions)) versions.set(`${name} ${version}`, version)
    const answer = await child.ask({ type: 'prepare', program: what.program, inputs, compare: true })
    const { results } = expect(answer, 'prepared')
    const error = competitor.hasNoResults === true ? 0 : differenceOf(unpackResults(results), reference)
    if (!(error <= what.tolerance))
      throw new Absence(
        'differs',
        `its results differ from the float64 reference by ${error.toExponential(1)}, allowed are ${what.tolerance}`,
      )
    return { competitor, child, error, times: [], count: 1 }
  } catch (error) {
    child.end()
    throw error
  }
}

function launch(competitor: Competitor): Child {
  const command = competitor.start()
  if ('missing' in command) throw new Absence('missing', command.missing)
  return new Child(command)
}

function expect<T extends Answer['type']>(answer: Answer, type: T): Extract<Answer, { type: T }> {
  // The type that a caller asks for is the one compared.
  if (answer.type === type) return answer as Extract<Answer, { type: T }>
  if (answer.type === 'missing' || answer.type === 'failed') throw new Absence(answer.type, answer.reason)
  throw new Absence('failed', `it answered ${answer.type} instead of ${type}`)
}

/** Largest difference as a fraction of the largest value; Infinity for another length, or anything that is no number. */
function differenceOf(results: Float64Array, reference: Float64Array): number {
  if (results.length !== reference.length) return Infinity
  let largest = 0
  let difference = 0
  for (let i = 0; i < reference.length; i++) {
    const here = Math.abs(results[i]! - reference[i]!)
    if (!Number.isFinite(here)) return Infinity
    difference = Math.max(difference, here)
    largest = Math.max(largest, Math.abs(reference[i]!))
  }
  return difference === 0 ? 0 : difference / largest
}

/** One run, as the mean of as many as fill a slice. */
async function warmedUp(runners: readonly Runner[], pace: Pace): Promise<(runner: Runner) => Promise<Spent>> {
  for (const runner of runners) await attempt(runner, () => warmUp(runner, pace))
  return async ({ child, count }) => run(child, count)
}

/** The call that the case is about, in a process that has done nothing else. */
function inFreshProcesses(what: Case, inputs: PackedInputs): (runner: Runner) => Promise<Spent> {
  return async ({ competitor }) => {
    const child = launch(competitor)
    try {
      expect(await child.ready(), 'ready')
      const { program } = what
      expect(await child.ask({ type: 'prepare', program, inputs, compare: false }), 'prepared')
      for (let call = 1; call < what.call!; call++) await run(child, 1)
      return await run(child, 1)
    } finally {
      child.end()
    }
  }
}

/** Works for the warm-up's time and finds out how many runs fill a slice. */
async function warmUp(runner: Runner, { warmUp: time, slice }: Pace): Promise<void> {
  let spent = 0
  let count = 1
  for (;;) {
    const { wall, cpu } = await run(runner.child, count)
    spent += cpu * count
    const fitting = Math.max(1, Math.round(slice / Math.max(wall, 1e-5)))
    if (spent >= time) {
      runner.count = fitting
      return
    }
    // At first runs are slow, and then fast all at once.
    count = Math.min(fitting, count * 8)
  }
}

/** What one of `times` runs takes on average. */
async function run(child: Child, times: number): Promise<Spent> {
  const { wall, cpu } = expect(await child.ask({ type: 'run', times }), 'ran')
  return { wall: wall / times, cpu: cpu / times }
}

async function attempt(runner: Runner, work: () => Promise<void>): Promise<void> {
  if (runner.failure !== undefined) return
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Absence)) throw error
    runner.failure = error.message
  }
}

function rowOf(runner: Runner, ours: Runner | undefined): Row {
  const { competitor, times, error, failure } = runner
  const { name, label } = competitor
  if (failure !== undefined) return { competitor: name, label, status: 'failed', reason: failure }
  const isComparable = ours !== undefined && ours.failure === undefined
  const ratioBy = (kind: keyof Spent): number =>
    isComparable ? medianOf(times.map((time, round) => time[kind] / ours.times[round]![kind])) : NaN
  const walls = times.map(({ wall }) => wall)
  const best = Math.min(...walls)
  return {
    competitor: name,
    label,
    status: 'timed',
    error,
    times,
    median: medianOf(walls),
    best,
    cpu: medianOf(times.map(({ cpu }) => cpu)),
    ratio: ratioBy('wall'),
    bestRatio: isComparable ? best / Math.min(...ours.times.map(({ wall }) => wall)) : NaN,
    cpuRatio: ratioBy('cpu'),
  }
}

export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2
}
