import { Code, type Local } from '../wasm/code.js'
import { partsOf } from '../wasm/divide.js'
import type { FunctionSource, ImportedFunction } from '../wasm/encoder.js'
import type { Schedule, Stage } from './fuse.js'
import type { Program, ValueId } from './program.js'
import { rowsWriting } from './rows.js'
import { bytesAside, type Split, writeCopyOfPart, writePart } from './split.js'
import { type Operand, type Writing, writingOf } from './writing.js'

/** Where the operands of a plan's code are. */
export interface Places {
  readonly isStored: (id: ValueId) => boolean
  /** Whether a value is written over what a variable held. */
  readonly isInPlace: (id: ValueId) => boolean
  readonly addressOf: (operand: Operand) => number
  readonly scratch: number
}

/** The code of a plan. */
export interface Emitted {
  readonly imports: readonly ImportedFunction[]
  readonly functions: readonly FunctionSource[]
  /** Of stages that threads share the number of parts; for each there are functions named after it. */
  readonly parts: ReadonlyMap<number, number>
  /** The bytes that the largest part copies aside before it changes them. */
  readonly aside: number
}

/** The imports of a plan's code, called with the number of a stage: to be done by the plain loops, or by all threads. */
const HOST = 0
const FORK = 1
const IMPORTS = ['host', 'fork'].map((name): ImportedFunction => ({ name, params: ['i32'], results: [] }))

/**
 * Writes the functions of a plan. "results" runs the stages that results and checks need, "changes" the others.
 * Where threads share work, "part3" does a part of stage 3 (given its number and scratch), "aside3" copies what that
 * will change, and "back3" puts it back.
 */
export function emit(program: Program, plan: Schedule, places: Places, isShared: boolean): Emitted {
  const functions: FunctionSource[] = []
  const known = new Map<string, number>()
  const parts = new Map<number, number>()
  let aside = 0
  const add = (f: FunctionSource): number => IMPORTS.length + functions.push(f) - 1
  /** The index of a stage's function, for all of it or for parts. */
  const functionOf = (
    { key, operands, scratch, write, callees = [] }: Writing,
    hasExtent: boolean,
  ): number => {
    const full = hasExtent ? `part ${key}` : key
    let index = known.get(full)
    if (index === undefined) {
      const others = callees.map((callee) => functionOf(callee, true))
      const f = new Code()
      const ints = (count: number): Local[] => Array.from({ length: count }, () => f.param('i32'))
      const addresses = ints(operands.length)
      const [extent] = ints(hasExtent ? 1 : 0)
      write(f, [...addresses, ...ints(scratch > 0 ? 1 : 0)], extent, others)
      known.set(full, (index = add(f.source(`f${known.size}`))))
    }
    return index
  }
  const share = (at: number, writing: Writing): boolean => {
    const division = writing.divide()
    const count = division === undefined ? 1 : partsOf(division, writing.leastParts)
    if (division === undefined || count === 1) return false
    const { operands } = writing
    const split: Split = {
      division,
      parts: count,
      whole: writing.whole(division.size),
      addresses: operands.map(places.addressOf),
      inPlace: operands.flatMap((id, operand) =>
        typeof id === 'number' && places.isInPlace(id)
          ? [{ operand, bytes: division.steps[operand]! / division.perUnit }]
          : [],
      ),
    }
    parts.set(at, count)
    add(writePart(`part${at}`, split, functionOf(writing, true), writing.scratch > 0))
    if (split.inPlace.length > 0) {
      aside = Math.max(aside, bytesAside(split))
      add(writeCopyOfPart(`aside${at}`, split, 'aside'))
      add(writeCopyOfPart(`back${at}`, split, 'back'))
    }
    return true
  }
  const main = (isFirst: boolean): Code => {
    const c = new Code()
    plan.stages.forEach((stage, at) => {
      if (stage.isFirst !== isFirst) return
      const writing = stageWriting(program, stage, plan.roots, places.isStored)
      if (writing === undefined) c.op(at).call(HOST)
      else if (isShared && share(at, sharedWriting(program, stage, plan.roots, places.isStored)!))
        c.op(at).call(FORK)
      else {
        for (const operand of writing.operands) c.op(places.addressOf(operand))
        if (writing.scratch > 0) c.op(places.scratch)
        c.call(functionOf(writing, false))
      }
    })
    return c
  }
  const [results, changes] = [main(true), main(false)]
  functions.push(results.source('results'), changes.source('changes'))
  return { imports: IMPORTS, functions, parts, aside }
}

/** The most scratch that any stage of the schedule needs. */
export function scratchOf(
  program: Program,
  { stages, roots }: Schedule,
  isStored: (id: ValueId) => boolean,
): number {
  return Math.max(0, ...stages.map((stage) => sharedWriting(program, stage, roots, isStored)?.scratch ?? 0))
}

function stageWriting(
  program: Program,
  { members, byRows }: Stage,
  roots: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  return byRows === undefined
    ? writingOf(program, members, isStored)
    : rowsWriting(program, byRows, roots, isStored)
}

/** The same, for parts that leave alone what follows them. */
function sharedWriting(
  program: Program,
  stage: Stage,
  roots: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  const writing = stageWriting(program, stage, roots, isStored)
  const division = writing?.divide()
  if (division?.reachesOver !== true) return writing
  return rowsWriting(program, { count: division.units, parts: [stage.members] }, roots, isStored)
}
