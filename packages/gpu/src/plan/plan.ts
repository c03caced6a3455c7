import type { Tensor } from '@adjoint/core'
import { type Later, type Program, type Replay, sizeOf, type ValueId } from '@adjoint/core/extend'
import type { Device, Into, Parts, Program as DeviceProgram, Storage } from '../device.js'
import { isFar } from '../far.js'
import { inSteps, type Operand } from '../kernels/launch.js'
import { concat, copy } from '../kernels/movement.js'
import { isTiled } from '../kernels/matmul.js'
import { printed } from './print.js'
import { rewrite } from './rewrite.js'
import { type Dispatch, kindOfArray, type Schedule, schedule } from './schedule.js'
import { tellSmall } from './small.js'
import { bundlesOf, shaderOf } from './wgsl.js'
import type { Placed, Tensors } from './tensors.js'
import { orderOf, type Place, SLOTS, spanOf, type Written, written, writtenApart } from './text.js'

interface Step extends Dispatch {
  /** None where a kernel is run as it is run op by op. */
  readonly runs: readonly Run[]
  readonly length: number
}

/** What is written by one program: all that a dispatch stores, or one of its values, or some that share much. */
interface Run {
  readonly text: Written
  readonly program: DeviceProgram
  readonly at: number
  readonly length: number
  /** Of its WGSL, if it has any. */
  readonly threads?: number
  /** Its values one by one, where they are several. */
  readonly alone?: readonly Run[]
}

const NONE: ReadonlySet<string> = new Set()

/** A program as a few dispatches: nothing goes up but its arguments, nothing comes down but what is asked for. */
export class GpuPlan implements Replay {
  readonly #device: Device
  readonly #tensors: Tensors
  readonly #program: Program
  readonly #planned: Schedule
  readonly #steps: readonly Step[]
  readonly #places = new Map<ValueId, Place>()
  readonly #stepOf = new Map<ValueId, number>()
  readonly #given: readonly { readonly id: ValueId; readonly index: number }[]
  readonly #held: readonly Placed[]
  /** By the storage in which they lie. */
  readonly #changed: readonly (readonly Placed[])[]
  /** The steps whose outputs, one behind the other, are the changed variables, where they begin, and what they take. */
  readonly #changing: readonly number[]
  readonly #begins: ReadonlyMap<number, number>
  readonly #changedLength: number
  /** How what is written into one storage lies there. */
  readonly #parts: Parts | undefined
  /** The last step that reads an array. */
  readonly #lastUse = new Map<string, number>()
  #fixed: Storage | undefined
  /** Those that are others in every run. */
  #numbers: ArrayLike<number> = []
  /** What this run has made, by array. */
  #arrays = new Map<string, Storage>()
  /** Those of them that somebody else gives back. */
  #kept: ReadonlySet<string> = NONE

  private constructor(device: Device, tensors: Tensors, program: Program, planned: Schedule) {
    this.#device = device
    this.#tensors = tensors
    this.#program = program
    const { values, assigned } = program
    const { dispatches, isLoaded } = planned
    const ordered = dispatches.map((dispatch) =>
      dispatch.isForeign ? dispatch : { ...dispatch, outs: orderOf(program, dispatch.outs, isLoaded) },
    )
    this.#planned = { dispatches: ordered, isLoaded }
    const place = (id: ValueId, array: string, at: number): number => {
      this.#places.set(id, { array, at })
      return at + spanOf(values[id]!.shape)
    }
    const isChanged = new Set(assigned.map(({ value }) => value))
    const spans = ordered.map(({ outs }) => outs.reduce((sum, id) => sum + spanOf(values[id]!.shape), 0))
    const changing = ordered.map(({ outs }) => outs.some((id) => isChanged.has(id)))
    const changed = spans.reduce((sum, span, i) => sum + (changing[i] ? span : 0), 0)
    this.#parts = device.partsOf?.(Math.max(changed, ...spans))
    // What an optimizer makes of a parameter is written at once, into a storage each, where nothing else reads it.
    const isTogether =
      device.runTogether !== undefined &&
      ordered.every(
        ({ outs, isFirst, isForeign }, i) =>
          changing[i] !== true ||
          (!isFirst && !isForeign && outs.every((id) => isChanged.has(id) && !isLoaded(id))),
      )
    const bundles = ordered.map(({ outs }, i) =>
      isTogether && changing[i] === true
        ? bundlesOf(program, outs, isLoaded).flatMap((ids) =>
            ids.length > 4 ? ids.map((id) => [id]) : [ids],
          )
        : outs.map((id) => [id]),
    )
    const laneOf = new Map<ValueId, number>()
    const lengths = bundles.map((all, i) =>
      all.reduce((end, ids) => {
        const length = spanOf(values[ids[0]!]!.shape)
        const at = device.packs ? this.#next(end, length) : end
        ids.forEach((id, lane) => {
          this.#stepOf.set(id, i)
          laneOf.set(id, lane)
          place(id, `out${i}`, at)
        })
        return at + length
      }, 0),
    )
    // Variables lie as the steps that change them leave them, and behind each other where they do not change.
    this.#changing = [...new Set(assigned.map(({ value }) => this.#stepOf.get(value)!))].sort((a, b) => a - b)
    const begins = new Map<number, number>()
    // They may be written there, where the device lets one begin.
    this.#changedLength = this.#changing.reduce((at, step) => {
      const begin = this.#next(at, lengths[step]!)
      begins.set(step, begin)
      return begin + lengths[step]!
    }, 0)
    this.#begins = begins
    const changedAt = new Map(
      assigned.map(({ variable, value }) => {
        const at = begins.get(this.#stepOf.get(value)!)! + this.#places.get(value)!.at
        return [variable, { variable, at, lane: laneOf.get(value)! }]
      }),
    )
    const lanes = Math.max(0, ...[...changedAt.values()].map(({ lane }) => lane + 1))
    this.#changed = Array.from({ length: lanes }, (_, lane) =>
      [...changedAt.values()].filter((placed) => placed.lane === lane),
    )
    const given: { id: ValueId; index: number }[] = []
    const held: Placed[] = []
    const ends = { given: 0, fixed: 0, held: 0 }
    values.forEach(({ source, shape }, id) => {
      if (source.kind === 'kernel') return
      const array = kindOfArray(program, id)
      if (array === 'changed' && source.kind === 'variable') {
        const { at, lane } = changedAt.get(source.variable)!
        place(id, changedIn(lane), at)
      } else if (array === 'held' && source.kind === 'variable') {
        const part = tensors.partOf(source.variable)
        held.push({ variable: source.variable, at: part?.at ?? ends.held })
        ends.held = place(id, array, ends.held)
      } else if (array === 'fixed') {
        if (sizeOf(shape) > 1) ends.fixed = place(id, array, ends.fixed)
      } else if (source.kind === 'argument') {
        given.push({ id, index: source.index })
        ends.given = place(id, array, ends.given)
      }
    })
    this.#given = given
    this.#held = layoutOf(held, tensors)
    for (const { variable, at } of this.#held)
      values.forEach(({ source }, id) => {
        if (source.kind === 'variable' && source.variable === variable) place(id, 'held', at)
      })
    this.#steps = ordered.map((dispatch, i): Step => {
      const length = lengths[i]!
      if (dispatch.isForeign) return { ...dispatch, runs: [], length }
      const placeOf = (id: ValueId): Place => this.#places.get(id)!
      // Without WGSL each value would find out by branches which one it is of: they are written one by one.
      if (device.packs) {
        const runOf = (ids: readonly ValueId[]): Run | undefined => {
          const text = writtenApart(program, ids, isLoaded, placeOf)
          if (text === undefined) return undefined
          const made = device.program(`plan|${text.also!.join()}|${text.body}`, () => text)
          return { text, program: made, at: placeOf(ids[0]!).at, length: spanOf(values[ids[0]!]!.shape) }
        }
        const runs = bundles[i]!.map((ids): Run => {
          const alone = ids.map((id) => runOf([id])!)
          return ids.length === 1 ? alone[0]! : { ...(runOf(ids) ?? alone[0]!), alone }
        })
        return { ...dispatch, runs, length }
      }
      const text = written(program, dispatch, isLoaded, placeOf)
      const { wgsl, readsVectors, threads } = shaderOf(
        program,
        dispatch.outs,
        isLoaded,
        placeOf,
        device.info.isSoftware,
      )
      // One body may do for several sizes, which are written into the WGSL.
      const sizes = [...text.arrays.map((array) => this.#lengthOf(array)), length]
      const made = device.program(`plan|${text.arrays.join()}|${sizes.join()}|${text.body}|${wgsl}`, () => ({
        ...text,
        wgsl,
        readsVectors,
        lengths: sizes,
      }))
      return { ...dispatch, runs: [{ text, program: made, at: 0, length, threads }], length }
    })
    this.#steps.forEach((step, i) => {
      for (const array of this.#readBy(step)) this.#lastUse.set(array, i)
    })
  }

  /** A plan for a program without random numbers; undefined where a device does not hold such values, or so many at once. */
  static of(device: Device, tensors: Tensors, simplified: Program): GpuPlan | undefined {
    const program = rewrite(simplified)
    const { values } = program
    const isFit = values.every(
      ({ dtype, shape, source }) =>
        dtype !== 'float64' &&
        dtype !== 'string' &&
        sizeOf(shape) > 0 &&
        !(source.kind === 'kernel' && isFar(source.kernel, values[source.inputs[0]!]?.shape)),
    )
    if (!isFit) return undefined
    const planned = schedule(
      program,
      device.mostArrays,
      // Tiles are not written into plans where there is no WGSL.
      (kernel, [a, b], out) => device.packs && kernel.kind === 'matmul' && isTiled(kernel, a!, b!, out),
      device.packs,
    )
    if (planned === undefined) return undefined
    tellSmall(program)
    return new GpuPlan(device, tensors, program, planned)
  }

  #next(at: number, length: number): number {
    return this.#parts?.next(at, length) ?? at
  }

  #readBy({ runs, outs, isForeign }: Step): readonly string[] {
    if (!isForeign) return [...new Set(runs.flatMap(({ text }) => text.arrays))]
    const { source } = this.#program.values[outs[0]!]!
    return source.kind === 'kernel' ? source.inputs.flatMap((id) => this.#places.get(id)?.array ?? []) : []
  }

  // ---- runs

  compute(args: readonly Tensor[]): void {
    this.#clear()
    this.#settle('held', this.#held)
    this.#changed.forEach((variables, lane) => {
      this.#settle(changedIn(lane), variables)
    })
    this.#give(args)
    this.#fixed ??= this.#upload((values) => {
      this.#program.values.forEach(({ source }, id) => {
        const place = this.#places.get(id)
        if (place?.array === 'fixed' && source.kind === 'constant')
          values.set(source.values as ArrayLike<number>, place.at)
      })
    }, this.#lengthOf('fixed'))
    if (this.#fixed !== undefined) this.#arrays.set('fixed', this.#fixed)
    this.#run(true)
  }

  commit(numbers: ArrayLike<number> = []): void {
    this.#numbers = numbers
    if (this.#lastUse.has(SLOTS)) this.#arrays.set(SLOTS, this.#device.upload(padded(numbers)))
    const arenas: Storage[] = []
    try {
      if (this.#isWrittenInPlace())
        for (const _ of this.#changed) arenas.push(this.#parts!.allocate(this.#changedLength))
      this.#run(false, arenas)
    } catch (error) {
      if (arenas.length > 0) for (const step of this.#changing) this.#arrays.delete(`out${step}`)
      for (const arena of arenas) this.#device.free(arena)
      throw error
    }
    if (this.#changing.length > 0) {
      const parts = this.#changing.map((step) => {
        const storage = this.#arrays.get(`out${step}`)!
        this.#arrays.delete(`out${step}`)
        return { storage, isOwn: true, at: this.#begins.get(step)! }
      })
      const joined = (): Storage =>
        parts.length === 1 ? parts[0]!.storage : this.#joined(parts, this.#changedLength)
      const storages = arenas.length > 0 ? arenas : [joined()]
      storages.forEach((storage, lane) => {
        this.#tensors.hold({ storage, users: 0 }, this.#changed[lane]!, false)
      })
    }
    this.#clear()
  }

  /** Whether the changing steps write side by side into the same storages: those that are still to run and nothing reads. */
  #isWrittenInPlace(): boolean {
    const isLast = (i: number): boolean => {
      const { isForeign, isFirst } = this.#steps[i]!
      return !isForeign && !isFirst && !this.#lastUse.has(`out${i}`)
    }
    const areSeveral = this.#changing.length > 1 || this.#changed.length > 1
    return this.#parts !== undefined && areSeveral && this.#changing.every(isLast)
  }

  /** @param arenas what the changing steps write into, if they do not make it. */
  #run(isFirst: boolean, arenas: readonly Storage[] = []): void {
    this.#steps.forEach((step, i) => {
      if (step.isFirst !== isFirst) return
      const at = this.#begins.get(i)
      const into = at === undefined ? [] : arenas.map((storage) => ({ storage, at }))
      this.#arrays.set(`out${i}`, this.#runStep(step, into))
      for (const array of this.#readBy(step))
        if (this.#lastUse.get(array) === i && this.#isOwn(array)) this.#drop(array)
    })
  }

  #runStep({ runs, length, outs, isForeign }: Step, into: readonly Into[]): Storage {
    if (!isForeign) {
      if (runs.length === 1 && into.length < 2) return this.#start(runs[0]!, into[0])
      return inSteps(this.#device, (keep) => {
        const all = into.length > 0 ? into : [{ storage: keep(this.#parts!.allocate(length)), at: 0 }]
        for (const run of runs)
          this.#startIn(
            run,
            all.map(({ storage, at }) => ({ storage, at: at + run.at })),
          )
        return all[0]!.storage
      })
    }
    const { source, shape, dtype } = this.#program.values[outs[0]!]!
    if (source.kind !== 'kernel') throw new Error('only kernels are run')
    const { kernel, inputs } = source
    return inSteps(this.#device, (keep) => {
      const operands = inputs.map((id): Operand => {
        const value = this.#program.values[id]!
        const place = this.#places.get(id)
        // Products are read where they lie.
        if (kernel.kind === 'matmul' && place !== undefined)
          return { ...value, storage: this.#arrays.get(place.array)!, at: place.at }
        return { shape: value.shape, dtype: value.dtype, storage: keep(this.#copyOf(id)) }
      })
      return this.#tensors.start(kernel, operands, { shape, dtype })
    })
  }

  /** Starts it into storages of which the first is for its only value. */
  #startIn(run: Run, into: readonly Into[]): void {
    const { text, program, length, alone } = run
    if (alone === undefined) {
      this.#start(run, into[0])
      return
    }
    const own = into.slice(0, alone.length)
    const isTaken =
      text.also?.length === alone.length - 1 &&
      this.#device.runTogether?.(program, this.#argsOf(text), length, own) === true
    if (!isTaken) alone.forEach((one, lane) => this.#start(one, own[lane]))
  }

  #start({ text, program, length, threads }: Run, into?: Into): Storage {
    return this.#device.run(program, this.#argsOf(text), length, threads, into)
  }

  #argsOf({ arrays, args, slots, places }: Written): (Storage | number)[] {
    const numbers = args.slice(arrays.length, args.length - slots.length - places.length)
    return [
      ...arrays.map((array) => this.#arrays.get(array)!),
      ...numbers.map(([name]) => (name === 'inf' ? Infinity : NaN)),
      ...slots.map((slot) => this.#numbers[slot]!),
      ...places,
    ]
  }

  /** A value by itself. */
  #copyOf(id: ValueId): Storage {
    const { source, shape } = this.#program.values[id]!
    if (source.kind === 'constant' && source.values.length === 1)
      return this.#device.upload(Float32Array.of(Number(source.values[0])))
    const { array, at } = this.#places.get(id)!
    return copy(this.#device, this.#arrays.get(array)!, at, [1], [sizeOf(shape)])
  }

  /** Whether an array is this run's alone, and no result. */
  #isOwn(array: string): boolean {
    return (
      (array === 'given' || array === SLOTS || array.startsWith('out')) &&
      !this.#program.results.some((id) => this.#places.get(id)?.array === array) &&
      !this.#changing.some((step) => array === `out${step}`)
    )
  }

  #drop(array: string): void {
    const storage = this.#arrays.get(array)
    if (storage === undefined) return
    if (!this.#kept.has(array)) this.#device.free(storage)
    this.#arrays.delete(array)
  }

  #clear(): void {
    for (const array of this.#arrays.keys())
      if (array === 'given' || array === SLOTS || array.startsWith('out')) this.#drop(array)
    this.#arrays.clear()
    this.#kept = NONE
  }

  // ---- what goes up

  #lengthOf(array: string): number {
    if (array === SLOTS) return spanOf([this.#program.slotCount])
    let length = 0
    for (const [id, place] of this.#places)
      if (place.array === array) length = Math.max(length, place.at + spanOf(this.#program.values[id]!.shape))
    return length
  }

  #upload(fill: (values: Float32Array) => void, length: number): Storage | undefined {
    if (length === 0) return undefined
    const values = new Float32Array(length)
    fill(values)
    return this.#device.upload(values)
  }

  /** The arguments, as one array. */
  #give(args: readonly Tensor[]): void {
    const given = this.#given.map(({ index }) => args[index]!.read())
    const hosts = given.map((x) => this.#tensors.hostOf(x))
    if (this.#given.length === 0) return
    if (hosts.every((host) => host !== undefined)) {
      const all = this.#upload((values) => {
        hosts.forEach((host, i) => {
          values.set(host as ArrayLike<number>, this.#places.get(this.#given[i]!.id)!.at)
        })
      }, this.#lengthOf('given'))
      this.#arrays.set('given', all!)
      return
    }
    const parts = given.map((x, i) => ({
      ...this.#tensors.storageOf(x),
      at: this.#places.get(this.#given[i]!.id)!.at,
    }))
    this.#arrays.set('given', this.#joined(parts, this.#lengthOf('given')))
  }

  /** Makes sure that variables lie where the steps read them. */
  #settle(array: string, variables: readonly Placed[]): void {
    const [first] = variables
    if (first === undefined) return
    const block = this.#tensors.partOf(first.variable)?.arena
    const isThere = variables.every(({ variable, at }) => {
      const part = this.#tensors.partOf(variable)
      return part?.arena === block && part?.at === at
    })
    if (block !== undefined && isThere) {
      this.#arrays.set(array, block.storage)
      return
    }
    const inOrder = [...variables].sort((a, b) => a.at - b.at)
    const parts = inOrder.map(({ variable, at }) => ({ ...this.#tensors.storageOf(variable.held), at }))
    const last = inOrder.at(-1)!
    const storage = this.#joined(parts, last.at + spanOf(last.variable.shape))
    this.#tensors.hold({ storage, users: 0 }, variables, true)
    this.#arrays.set(array, storage)
  }

  /** A new storage in which others lie from `at` on, in order; those that are nobody else's are given back. */
  #joined(
    parts: readonly { readonly storage: Storage; readonly isOwn: boolean; readonly at: number }[],
    length: number,
  ): Storage {
    const pieces: { readonly storage: Storage; readonly isOwn: boolean }[] = []
    let end = 0
    const fill = (until: number): void => {
      if (until > end)
        pieces.push({ storage: this.#device.upload(new Float32Array(until - end)), isOwn: true })
    }
    for (const part of parts) {
      fill(part.at)
      pieces.push(part)
      end = part.at + part.storage.length
    }
    fill(length)
    const operands = pieces.map(({ storage }): Operand => ({
      shape: [storage.length],
      dtype: 'float32',
      storage,
    }))
    const made = concat(this.#device, 0, operands, { shape: [length], dtype: 'float32' })
    for (const { storage, isOwn } of pieces) if (isOwn) this.#device.free(storage)
    return made
  }

  // ---- what comes down

  numbers(count: number): readonly number[] | Promise<readonly number[]> {
    const { arrays, pick } = this.#numbersOf(count)
    const storages = arrays.map((array) => this.#arrays.get(array)!)
    if (this.#device.readSync !== undefined)
      return pick(storages.map((storage) => this.#device.readSync!(storage)))
    return Promise.all(storages.map((storage) => this.#device.read(storage))).then(pick)
  }

  later(count: number): Later {
    const { arrays, pick } = this.#numbersOf(count)
    const storages = arrays.map((array) => this.#arrays.get(array)!)
    this.#kept = new Set(arrays)
    return {
      read: async () => {
        const all = Promise.all(storages.map((storage) => this.#device.read(storage)))
        for (const storage of storages) this.#device.free(storage)
        return pick(await all)
      },
    }
  }

  /** In which arrays the first results' only values are, and what picks them. */
  #numbersOf(count: number): {
    readonly arrays: readonly string[]
    readonly pick: (all: readonly Float32Array[]) => number[]
  } {
    const places = this.#program.results.slice(0, count).map((id) => this.#places.get(id)!)
    const arrays = [...new Set(places.map(({ array }) => array))]
    return { arrays, pick: (all) => places.map(({ array, at }) => all[arrays.indexOf(array)]![at]!) }
  }

  result(at: number): Tensor {
    const id = this.#program.results[at]!
    const { shape, dtype } = this.#program.values[id]!
    return this.#tensors.own(this.#copyOf(id), { shape, dtype })
  }

  toString(): string {
    return printed(this.#program, this.#planned)
  }
}

/** Where variables that do not change lie: as they do, where they lie in one block already. */
function layoutOf(held: readonly Placed[], tensors: Tensors): Placed[] {
  const blocks = new Set(held.map(({ variable }) => tensors.partOf(variable)?.arena))
  if (blocks.size === 1 && !blocks.has(undefined)) return [...held]
  let end = 0
  return held.map(({ variable }) => {
    const at = end
    end += spanOf(variable.shape)
    return { variable, at }
  })
}

/** The array of variables that change, which are several where values are written at once. */
function changedIn(lane: number): string {
  return lane === 0 ? 'changed' : `changed${lane}`
}

/** As the device takes them: by fours. */
function padded(values: ArrayLike<number>): Float32Array {
  const all = new Float32Array(spanOf([values.length]))
  all.set(values)
  return all
}
