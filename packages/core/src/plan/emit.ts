import { Code, type Local } from '../wasm/code.js'
import { partsOf } from '../wasm/divide.js'
import type { FunctionSource, ImportedFunction } from '../wasm/encoder.js'
import type { CommonFunction } from './functions.js'
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
  /** What is imported beside the functions of the host: other plans may use it too. */
  readonly common: readonly CommonFunction[]
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
 * What a plan is made of: functions that take sizes, which other plans use too and are soon there; functions for its own
 * sizes, which are some percent faster; or those, and functions for parts of stages, which threads share.
 */
export type CodeKind = 'common' | 'own' | 'shared'

/**
 * Writes the functions of a plan. "results" runs the stages that results and checks need, "changes" the others.
 * Where threads share work, "part3" does a part of stage 3 (given its number and scratch), "aside3" copies what that
 * will change, and "back3" puts it back.
 * @param after stages up to this one are left out.
 */
export function emit(program: Program, plan: Schedule, places: Places, kind: CodeKind, after = -1): Emitted {
  const writings = plan.stages.map((stage) =>
    isInPlace(stage, plan) ? undefined : stageWriting(program, stage, plan, places.isStored),
  )
  // What calls others is in one module with them.
  const isCommon = ({ callees }: Writing): boolean => kind === 'common' && callees === undefined
  const common = new Map<string, CommonFunction>()
  const imports = [...IMPORTS]
  const known = new Map<string, number>()
  for (const writing of writings) {
    if (writing === undefined || !isCommon(writing) || known.has(writing.key)) continue
    const { key } = writing
    const name = `f${common.size}`
    common.set(key, { key, name, source: () => commonSource(writing, name) })
    known.set(key, imports.push({ name, params: paramsOf(writing).map(() => 'i32'), results: [] }) - 1)
  }
  const functions: FunctionSource[] = []
  const parts = new Map<number, number>()
  let aside = 0
  const add = (f: FunctionSource): number => imports.length + functions.push(f) - 1
  /** The index of a function for these sizes, for all of them or for parts. */
  const ownFunction = (writing: Writing, isPart: boolean): number => {
    const { key, sizes, callees = [] } = writing
    const full = `${isPart ? 'part' : 'all'} ${sizes.join()} ${key}`
    let index = known.get(full)
    if (index === undefined) {
      const others = callees.map((callee) => ownFunction(callee, true))
      known.set(full, (index = add(ownSource(writing, isPart, others, `own${known.size}`))))
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
      whole: writing.sizes[division.size]!,
      addresses: operands.map(places.addressOf),
      inPlace: operands.flatMap((id, operand) =>
        typeof id === 'number' && places.isInPlace(id)
          ? [{ operand, bytes: division.steps[operand]! / division.perUnit }]
          : [],
      ),
    }
    parts.set(at, count)
    add(writePart(`part${at}`, split, ownFunction(writing, true), writing.scratch > 0))
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
      if (stage.isFirst !== isFirst || at <= after || isInPlace(stage, plan)) return
      const writing = writings[at]
      if (writing === undefined) c.op(at).call(HOST)
      else if (kind === 'shared' && share(at, sharedWriting(program, stage, plan, places.isStored)!))
        c.op(at).call(FORK)
      else {
        for (const operand of writing.operands) c.op(places.addressOf(operand))
        if (writing.scratch > 0) c.op(places.scratch)
        if (isCommon(writing)) c.op(...writing.sizes).call(known.get(writing.key)!)
        else c.call(ownFunction(writing, false))
      }
    })
    return c
  }
  const [results, changes] = [main(true), main(false)]
  functions.push(results.source('results'), changes.source('changes'))
  return { imports, common: [...common.values()], functions, parts, aside }
}

const ints = (f: Code, count: number): Local[] => Array.from({ length: count }, () => f.param('i32'))

/** What a function is given that takes sizes. */
function paramsOf({ operands, scratch, sizes }: Writing): readonly unknown[] {
  return [...operands, ...(scratch > 0 ? ['scratch'] : []), ...sizes]
}

/** f(…operands, scratch if it takes some, …sizes) */
function commonSource(writing: Writing, name: string): FunctionSource {
  const f = new Code()
  const params = ints(f, paramsOf(writing).length)
  const at = params.length - writing.sizes.length
  writing.write(f, params.slice(0, at), params.slice(at), params.slice(at), [])
  return f.source(name)
}

/** f(…operands, how much a part has if it does parts, scratch if it takes some) */
function ownSource(
  { operands, scratch, sizes, write, divide }: Writing,
  isPart: boolean,
  callees: readonly number[],
  name: string,
): FunctionSource {
  const f = new Code()
  const addresses = ints(f, operands.length)
  const [extent] = ints(f, isPart ? 1 : 0)
  // Of rows the first size is how many there are.
  const divided = extent === undefined ? -1 : (divide()?.size ?? 0)
  const own = sizes.map((size, i) => (i === divided ? extent! : size))
  write(f, [...addresses, ...ints(f, scratch > 0 ? 1 : 0)], own, sizes, callees)
  return f.source(name)
}

/** The most scratch that any stage of the schedule needs. */
export function scratchOf(program: Program, plan: Schedule, isStored: (id: ValueId) => boolean): number {
  const own = plan.stages.filter((stage) => !isInPlace(stage, plan))
  return Math.max(0, ...own.map((stage) => sharedWriting(program, stage, plan, isStored)?.scratch ?? 0))
}

function stageWriting(
  program: Program,
  { members, byRows }: Stage,
  plan: Schedule,
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  return byRows === undefined
    ? writingOf(program, members, isStored, plan.windows)
    : rowsWriting(program, byRows, plan, isStored)
}

/** The same, for parts that leave alone what follows them. */
function sharedWriting(
  program: Program,
  stage: Stage,
  plan: Schedule,
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  const writing = stageWriting(program, stage, plan, isStored)
  const division = writing?.divide()
  if (division?.reachesOver !== true) return writing
  return rowsWriting(program, { count: division.units, parts: [stage.members] }, plan, isStored)
}

/** Whether others do it all. */
export function isInPlace({ members }: Stage, { windows }: Schedule): boolean {
  return windows.from.has(members[0]!) || windows.joined.has(members[0]!)
}
