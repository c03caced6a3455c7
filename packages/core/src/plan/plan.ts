import { type Aval, avalOf } from '../aval.js'
import type { Backend, Handle, Stored } from '../backend.js'
import { compute, firstOutside } from '../cpu/index.js'
import { isPortable } from '../determinism.js'
import { allocate, type HostArray, type NumericArray, type NumericDType } from '../dtype.js'
import { randomState, setRandomState } from '../random.js'
import { sizeOf } from '../shape.js'
import { Tensor, type Variable } from '../tensor.js'
import { wasmBackend } from '../wasm/backend.js'
import { type Elsewhere, type SharedCode, pool } from '../threads/pool.js'
import { buildModule, type Compiled, instantiate } from '../wasm/host.js'
import { ownArray, viewAt } from '../wasm/memory.js'
import { type CodeKind, emit, isInPlace, scratchOf } from './emit.js'
import { functionsOf } from './functions.js'
import { schedule, type Schedule } from './fuse.js'
import { isShared as isMemoryShared, Piece, planMemory } from './heap.js'
import { type Home, homeOf, valuesOf } from './home.js'
import { bytesOf, layOut, type Layout } from './layout.js'
import { formatValue, formatVariable, type Program, type Replay, type ValueId } from './program.js'
import { joinRows } from './rows.js'
import { simplify } from './simplify.js'
import { withWindows } from './windows.js'
import type { Operand } from './writing.js'

/**
 * How `backend` runs a program again and again; undefined where it runs op by op.
 * @param keepsArguments whether large arguments may be the same tensors from run to run.
 */
export function planOn(backend: Backend, program: Program, keepsArguments = false): Replay | undefined {
  return backend === wasmBackend ? new Plan(program, keepsArguments) : backend.plan?.(program)
}

/** Whether `backend` may have plans at all. */
export function hasPlans(backend: Backend): boolean {
  return backend === wasmBackend || backend.plan !== undefined
}

/** After so many runs a plan gets code of its own. Tests make it less. */
export const worth: { runs: number } = { runs: 4000 }

/** A program as WebAssembly. */
class Plan implements Replay {
  readonly #program: Program
  readonly #schedule: Schedule
  readonly #layout: Layout
  #arena: Arena
  readonly #homes = new Map<Variable, Home>()
  /** The same, and whether this changes what they hold. */
  readonly #held: readonly { readonly variable: Variable; readonly home: Home; readonly changes: boolean }[]
  #code: PlanCode
  #runs = 0
  readonly #drawn: readonly { readonly id: ValueId; readonly make: () => HostArray }[]
  /** By argument; undefined for one that is not used. */
  readonly #arguments: readonly (ValueId | undefined)[]
  /** Those that are in the plan's memory, of the arguments that stay there. */
  readonly #taken: (WeakRef<Handle> | undefined)[] = []
  /** Of the results. */
  readonly #avals: readonly Aval<NumericDType>[]
  /** Constants that are numbers given to every run. */
  readonly #slots: readonly { readonly id: ValueId; readonly slot: number }[]
  /** Views of values by number, of the memory as it was when they were made. */
  #views: (NumericArray | undefined)[] = []
  #numbers = new Float64Array()
  #buffer: ArrayBuffer | undefined
  #moves = 0

  constructor(captured: Program, keepsArguments: boolean) {
    const program = (this.#program = simplify(captured))
    this.#schedule = joinRows(program, withWindows(program, schedule(program)))
    this.#layout = layOut(program, this.#schedule, keepsArguments)
    const changed = new Set(program.assigned.map(({ variable }) => variable))
    const scratch = scratchOf(program, this.#schedule, (id) => this.#layout.places.has(id))
    this.#arena = new Arena(this.#layout.bytes, scratch, program.slotCount)
    for (const { source } of program.values)
      if (source.kind === 'variable') this.#homes.set(source.variable, homeOf(source.variable))
    for (const variable of changed) this.#homes.set(variable, homeOf(variable))
    this.#held = Array.from(this.#homes, ([variable, home]) => ({
      variable,
      home,
      changes: changed.has(variable),
    }))
    this.#code = this.#compile(this.#kind)
    this.#drawn = program.values.flatMap(({ source }, id) =>
      source.kind === 'drawn' ? [{ id, make: source.make }] : [],
    )
    const places: (ValueId | undefined)[] = []
    program.values.forEach(({ source }, id) => {
      if (source.kind === 'argument') places[source.index] = id
      if (source.kind === 'constant' && this.#layout.places.has(id))
        this.#view(id).set(source.values as NumericArray)
    })
    this.#arguments = places
    this.#avals = program.results.map((id) => {
      const { shape, dtype } = program.values[id]!
      return avalOf(shape, dtype as NumericDType)
    })
    this.#slots = program.values.flatMap(({ source }, id) =>
      source.kind === 'constant' && source.slot !== undefined && this.#layout.places.has(id)
        ? [{ id, slot: source.slot }]
        : [],
    )
  }

  /** What its code should be of now. */
  get #kind(): CodeKind {
    return pool.threads > 1 ? 'shared' : this.#runs < worth.runs ? 'common' : 'own'
  }

  /** @param after the stage that is done already, where only the rest is to be done. */
  #compile(kind: CodeKind, after?: number): PlanCode {
    const { places } = this.#layout
    const { functions, imports, common, parts, aside } = emit(
      this.#program,
      this.#schedule,
      {
        isStored: (id) => places.has(id),
        isInPlace: (id) => places.get(this.#schedule.roots[id]!)?.kind === 'variable',
        addressOf: (operand) => this.#addressOf(operand),
        scratch: this.#arena.scratch,
      },
      kind,
      after,
    )
    const module = buildModule({ imports, functions, sharedMemory: isMemoryShared })
    const plan = parts.size > 0 ? pool.add(module, this.#arena.scratchBytes, aside) : 0
    const borrowed = functionsOf(common)
    const exports = instantiate(module, planMemory, {
      ...borrowed,
      host: (at) => this.#compute(at),
      fork: (at) => pool.run(plan, at, parts.get(at)!, shared),
    })
    const [doPart, putBack] = ['part', 'back'].map((name) =>
      this.#schedule.stages.map((_, at) => exports[name + at]),
    )
    const shared: SharedCode = {
      part: (stage, part) => doPart![stage]!(part, this.#arena.scratch),
      back: (stage, part, from) => putBack![stage]!(part, from),
      elsewhere: (stage) => this.#moveFrom(stage),
    }
    if (plan > 0) shares.register(shared, plan)
    const { results, changes } = exports as Record<'results' | 'changes', Compiled>
    return { kind, isPortable: isPortable(), moves, borrowed, shared, results, changes }
  }

  /** Leaves all that a stage writes to a thread that may still do so, and goes on with copies of it. */
  #moveFrom(stage: number): Elsewhere {
    const left: object[] = [this.#arena]
    this.#arena = this.#arena.copy()
    for (const id of this.#schedule.stages[stage]!.members) {
      const place = this.#layout.places.get(id)
      if (place?.kind === 'variable') left.push(this.#homes.get(place.variable)!.move())
    }
    moves++
    this.#code = this.#compile('shared')
    const goOn = (): never => {
      throw new Moved(stage)
    }
    return { code: this.#code.shared, left, goOn }
  }

  #run(which: 'results' | 'changes'): void {
    if (this.#code.moves !== moves) this.#code = this.#compile(this.#kind)
    try {
      this.#code[which]()
    } catch (error) {
      if (!(error instanceof Moved)) throw error
      this.#compile('common', error.stage)[which]()
    }
  }

  #addressOf(operand: Operand): number {
    if (typeof operand === 'object')
      return 'slot' in operand
        ? this.#arena.slots + 8 * operand.slot
        : this.#addressOf(operand.of) + operand.offset
    const place = this.#layout.places.get(this.#schedule.roots[operand]!)!
    return place.kind === 'arena'
      ? this.#arena.address + place.offset
      : this.#homes.get(place.variable)!.address
  }

  /** Makes views anew where the memory has grown, or values have moved. */
  #renew(): void {
    if (this.#buffer === planMemory.buffer && this.#moves === moves) return
    this.#buffer = planMemory.buffer
    this.#moves = moves
    this.#views = []
    this.#numbers = new Float64Array(planMemory.buffer, this.#arena.slots, this.#program.slotCount)
  }

  /** The values in the plan's memory, as an array. */
  #view(id: ValueId): NumericArray {
    this.#renew()
    const { dtype, shape } = this.#program.values[id]!
    return (this.#views[id] ??= viewAt(planMemory.buffer, this.#addressOf(id), dtype, sizeOf(shape)))
  }

  /** Copies an argument in, unless it is there from the run before: what a tensor holds never changes. */
  #take(index: number, x: Tensor): void {
    const id = this.#arguments[index]
    if (id === undefined) return
    const isKept = this.#layout.kept.has(id) && x.backend === wasmBackend && !x.isVariable
    if (isKept && x.handle === this.#taken[index]?.deref()) return
    this.#taken[index] = undefined
    this.#view(id).set(valuesOf(x.read()))
    if (isKept) this.#taken[index] = new WeakRef(x.handle)
  }

  /** Runs what results need. Nothing has changed afterwards but the plan's own memory. */
  compute(args: readonly Tensor[]): void {
    if (this.#runs < worth.runs) this.#runs++
    if (this.#code.kind !== this.#kind || this.#code.isPortable !== isPortable())
      this.#code = this.#compile(this.#kind)
    for (const { variable, home, changes } of this.#held) home.settle(variable, changes)
    for (let i = 0; i < args.length; i++) this.#take(i, args[i]!)
    const random = randomState()
    for (const { id, make } of this.#drawn) {
      const values = make() as NumericArray
      if (this.#layout.places.has(id)) this.#view(id).set(values)
    }
    this.#run('results')
    for (const { value, limit, fail } of this.#program.checks) {
      const values = this.#view(value)
      const at = firstOutside(values, limit)
      if (at < 0) continue
      setRandomState(random)
      throw fail(values[at]!, at)
    }
  }

  /**
   * Gives variables their new values. After {@link compute}, whose results are then gone.
   * @param numbers those that are others in every run.
   */
  commit(numbers: ArrayLike<number> = []): void {
    if (numbers.length > 0) {
      this.#renew()
      this.#numbers.set(numbers)
      for (const { id, slot } of this.#slots) this.#view(id)[0] = numbers[slot]!
    }
    this.#run('changes')
    if (this.#layout.copies.length === 0) return
    const copies = this.#layout.copies.map(({ variable, value }) => ({
      to: this.#homes.get(variable)!.address,
      from: this.#addressOf(value),
      bytes: bytesOf(this.#program, value),
    }))
    // A variable's old value may be another's new one: all are read before any is written.
    const heap = new Uint8Array(planMemory.buffer)
    const values = copies.map(({ from, bytes }) => heap.slice(from, from + bytes))
    copies.forEach(({ to }, i) => heap.set(values[i]!, to))
  }

  result(at: number): Tensor {
    const id = this.#program.results[at]!
    const aval = this.#avals[at]!
    const values = ownArray(aval.dtype, sizeOf(aval.shape))
    values.set(this.#view(id))
    return new Tensor(aval, values, wasmBackend)
  }

  numbers(count: number): readonly number[] {
    return this.#program.results.slice(0, count).map((id) => this.#view(id)[0]!)
  }

  /** A stage that has no code of its own, by the plain loops. */
  #compute(at: number): void {
    for (const id of this.#schedule.stages[at]!.members) {
      const { source, shape, dtype } = this.#program.values[id]!
      if (source.kind !== 'kernel' || source.kernel.kind === 'view') continue
      const inputs = source.inputs.map((input): Stored => {
        const value = this.#program.values[input]!
        return { shape: value.shape, dtype: value.dtype, handle: this.#view(input) }
      })
      const size = sizeOf(shape)
      if (size === 0) continue
      const result = allocate(dtype, size)
      compute(source.kernel, inputs, { shape, dtype }, result)
      this.#view(id).set(result)
    }
  }

  /** The program as it runs: what is given, then what runs, indented where it runs as one. */
  toString(): string {
    const program = this.#program
    const line = (id: ValueId): string => formatValue(program, id)
    const given = program.values.flatMap(({ source }, id) => (source.kind === 'kernel' ? [] : [line(id)]))
    const stages = this.#schedule.stages.flatMap((stage) => {
      const { members, byRows } = stage
      if (members.length === 1)
        return members.map((id) => line(id) + (isInPlace(stage, this.#schedule) ? ', in place' : ''))
      const how = byRows === undefined ? 'together:' : 'together, row by row:'
      return [how, ...members.map((id) => `  ${line(id)}`)]
    })
    const assigned = program.assigned.map(
      ({ variable, value }) =>
        `${formatVariable(variable)} becomes %${value}` +
        (this.#layout.copies.some((copy) => copy.variable === variable) ? ', copied' : ', in place'),
    )
    const results = `returns ${program.results.map((id) => `%${id}`).join(', ')}`
    return [...given, ...stages, ...assigned, results, `${this.#layout.bytes} bytes`].join('\n')
  }
}

/** How often plans moved on to other memory: code that was made before has addresses of what was left. */
let moves = 0

/** Ends a plan's code at a stage that was done in other memory. */
class Moved extends Error {
  constructor(readonly stage: number) {
    super()
  }
}

/** A plan's functions. */
interface PlanCode {
  readonly kind: CodeKind
  readonly isPortable: boolean
  /** How often memory had been moved when it was made. */
  readonly moves: number
  readonly shared: SharedCode
  /** Held, so that other plans find them. */
  readonly borrowed: Readonly<Record<string, Compiled>>
  readonly results: Compiled
  readonly changes: Compiled
}

/** Workers forget plans that are gone. */
const shares = new FinalizationRegistry<number>((plan) => pool.remove(plan))

/** A plan's own bytes; they go away with it. */
class Arena {
  readonly #piece: Piece
  readonly address: number
  readonly scratch: number
  /** The numbers that are given to every run, in float64. */
  readonly slots: number

  constructor(
    readonly bytes: number,
    readonly scratchBytes: number,
    readonly slotCount: number,
    piece: Piece = new Piece(bytes + 8 * slotCount + scratchBytes + 80),
  ) {
    this.#piece = piece
    this.address = piece.address
    this.slots = (this.address + bytes + 31) & ~15
    this.scratch = (this.slots + 8 * slotCount + 31) & ~15
  }

  copy(): Arena {
    return new Arena(this.bytes, this.scratchBytes, this.slotCount, this.#piece.copy())
  }
}
