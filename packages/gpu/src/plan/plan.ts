import type { HostArray, Tensor } from '@adjoint/core'
import { type Later, type Program, type Replay, rootOf, sizeOf, type ValueId } from '@adjoint/core/extend'
import type { Device, Into, Storage } from '../device.js'
import { EXACT, isFar } from '../far.js'
import { inSteps, type Operand } from '../kernels/launch.js'
import { concat, copy } from '../kernels/movement.js'
import { isTiled } from '../kernels/matmul.js'
import { changedIn, type Layout, layoutOf, lengthIn } from './layout.js'
import { printed } from './print.js'
import { rewrite } from './rewrite.js'
import { type Run, runsOf } from './runs.js'
import { type Dispatch, type Schedule, schedule } from './schedule.js'
import { tellSmall } from './small.js'
import type { Placed, Tensors } from './tensors.js'
import { orderOf, SLOTS, spanOf, type Written } from './text.js'

interface Step extends Dispatch {
  /** None where a kernel is run as it is run op by op. */
  readonly runs: readonly Run[]
  readonly length: number
}

const NONE: ReadonlySet<string> = new Set()
const NO_HOSTS: ReadonlyMap<ValueId, HostArray | undefined> = new Map()

/** A program as a few dispatches: nothing goes up but its arguments, nothing comes down but what is asked for. */
export class GpuPlan implements Replay {
  readonly #device: Device
  readonly #tensors: Tensors
  readonly #program: Program
  readonly #planned: Schedule
  readonly #steps: readonly Step[]
  readonly #layout: Layout
  /** The last step that reads an array. */
  readonly #lastUse = new Map<string, number>()
  #fixed: Storage | undefined
  /** Those that are others in every run. */
  #numbers: ArrayLike<number> = []
  /** What this run has made, by array. */
  #arrays = new Map<string, Storage>()
  /** What the host has of the arguments. */
  #hosts = NO_HOSTS
  /** Those of them that somebody else gives back. */
  #kept: ReadonlySet<string> = NONE

  private constructor(device: Device, tensors: Tensors, program: Program, planned: Schedule) {
    this.#device = device
    this.#tensors = tensors
    this.#program = program
    const { dispatches, isLoaded } = planned
    const ordered = dispatches.map((dispatch) =>
      dispatch.isForeign ? dispatch : { ...dispatch, outs: orderOf(program, dispatch.outs, isLoaded) },
    )
    this.#planned = { dispatches: ordered, isLoaded }
    this.#layout = layoutOf(device, tensors, program, this.#planned)
    this.#steps = ordered.map((dispatch, i): Step => ({
      ...dispatch,
      runs: dispatch.isForeign ? [] : runsOf(device, program, this.#layout, dispatch, i, isLoaded),
      length: this.#layout.lengths[i]!,
    }))
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

  #readBy({ runs, outs, isForeign }: Step): readonly string[] {
    if (!isForeign) return [...new Set(runs.flatMap(({ text }) => text.arrays))]
    const { source } = this.#program.values[outs[0]!]!
    return source.kind === 'kernel'
      ? source.inputs.flatMap((id) => this.#layout.places.get(id)?.array ?? [])
      : []
  }

  // ---- runs

  compute(args: readonly Tensor[]): void {
    this.#clear()
    this.#settle('held', this.#layout.held)
    this.#layout.changed.forEach((variables, lane) => {
      this.#settle(changedIn(lane), variables)
    })
    this.#give(args)
    this.#fixed ??= this.#upload(
      (values) => {
        this.#program.values.forEach(({ source }, id) => {
          const place = this.#layout.places.get(id)
          if (place?.array === 'fixed' && source.kind === 'constant')
            values.set(source.values as ArrayLike<number>, place.at)
        })
      },
      lengthIn(this.#layout, this.#program, 'fixed'),
    )
    if (this.#fixed !== undefined) this.#arrays.set('fixed', this.#fixed)
    this.#run(true)
  }

  commit(numbers: ArrayLike<number> = []): void {
    this.#numbers = numbers
    if (this.#lastUse.has(SLOTS)) this.#arrays.set(SLOTS, this.#device.upload(padded(numbers)))
    const arenas: Storage[] = []
    try {
      if (this.#isWrittenInPlace())
        for (const _ of this.#layout.changed)
          arenas.push(this.#layout.parts!.allocate(this.#layout.changedLength))
      this.#run(false, arenas)
    } catch (error) {
      if (arenas.length > 0) for (const step of this.#layout.changing) this.#arrays.delete(`out${step}`)
      for (const arena of arenas) this.#device.free(arena)
      throw error
    }
    if (this.#layout.changing.length > 0) {
      const parts = this.#layout.changing.map((step) => {
        const storage = this.#arrays.get(`out${step}`)!
        this.#arrays.delete(`out${step}`)
        return { storage, isOwn: true, at: this.#layout.begins.get(step)! }
      })
      const joined = (): Storage =>
        parts.length === 1 ? parts[0]!.storage : this.#joined(parts, this.#layout.changedLength)
      const storages = arenas.length > 0 ? arenas : [joined()]
      storages.forEach((storage, lane) => {
        this.#tensors.hold({ storage, users: 0 }, this.#layout.changed[lane]!, false)
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
    const areSeveral = this.#layout.changing.length > 1 || this.#layout.changed.length > 1
    return this.#layout.parts !== undefined && areSeveral && this.#layout.changing.every(isLast)
  }

  /** @param arenas what the changing steps write into, if they do not make it. */
  #run(isFirst: boolean, arenas: readonly Storage[] = []): void {
    this.#steps.forEach((step, i) => {
      if (step.isFirst !== isFirst) return
      const at = this.#layout.begins.get(i)
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
        const all = into.length > 0 ? into : [{ storage: keep(this.#layout.parts!.allocate(length)), at: 0 }]
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
      const operands = inputs.map((id, i): Operand => {
        const value = this.#program.values[id]!
        // Known indices are put in order on the host.
        const host = kernel.kind === 'scatterAdd' && i === 1 ? this.#hostOf(id) : undefined
        if (host !== undefined && host.length <= EXACT)
          return { shape: value.shape, dtype: value.dtype, storage: 0, host }
        const place = this.#layout.places.get(id)
        // Products are read where they lie.
        if (kernel.kind === 'matmul' && place !== undefined)
          return { ...value, storage: this.#arrays.get(place.array)!, at: place.at }
        return { shape: value.shape, dtype: value.dtype, storage: keep(this.#copyOf(id)) }
      })
      return this.#tensors.start(kernel, operands, { shape, dtype })
    })
  }

  #hostOf(id: ValueId): ArrayLike<number> | undefined {
    const root = rootOf(this.#program, id)
    const { source } = this.#program.values[root]!
    const host = source.kind === 'constant' ? source.values : this.#hosts.get(root)
    return host as ArrayLike<number> | undefined
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
    const { array, at } = this.#layout.places.get(id)!
    return copy(this.#device, this.#arrays.get(array)!, at, [1], [sizeOf(shape)])
  }

  /** Whether an array is this run's alone, and no result. */
  #isOwn(array: string): boolean {
    return (
      (array === 'given' || array === SLOTS || array.startsWith('out')) &&
      !this.#program.results.some((id) => this.#layout.places.get(id)?.array === array) &&
      !this.#layout.changing.some((step) => array === `out${step}`)
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
    this.#hosts = NO_HOSTS
  }

  // ---- what goes up

  #upload(fill: (values: Float32Array) => void, length: number): Storage | undefined {
    if (length === 0) return undefined
    const values = new Float32Array(length)
    fill(values)
    return this.#device.upload(values)
  }

  /** The arguments, as one array. */
  #give(args: readonly Tensor[]): void {
    const given = this.#layout.given.map(({ index }) => args[index]!.read())
    const hosts = given.map((x) => this.#tensors.hostOf(x))
    this.#hosts = new Map(hosts.map((host, i) => [this.#layout.given[i]!.id, host]))
    if (this.#layout.given.length === 0) return
    if (hosts.every((host) => host !== undefined)) {
      const all = this.#upload(
        (values) => {
          hosts.forEach((host, i) => {
            values.set(host as ArrayLike<number>, this.#layout.places.get(this.#layout.given[i]!.id)!.at)
          })
        },
        lengthIn(this.#layout, this.#program, 'given'),
      )
      this.#arrays.set('given', all!)
      return
    }
    const parts = given.map((x, i) => ({
      ...this.#tensors.storageOf(x),
      at: this.#layout.places.get(this.#layout.given[i]!.id)!.at,
    }))
    this.#arrays.set('given', this.#joined(parts, lengthIn(this.#layout, this.#program, 'given')))
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
    return inSteps(this.#device, (keep) => {
      for (const { storage, isOwn } of parts) if (isOwn) keep(storage)
      const pieces: Storage[] = []
      let end = 0
      const fill = (until: number): void => {
        if (until > end) pieces.push(keep(this.#device.upload(new Float32Array(until - end))))
      }
      for (const { storage, at } of parts) {
        fill(at)
        pieces.push(storage)
        end = at + storage.length
      }
      fill(length)
      const operands = pieces.map((storage): Operand => ({
        shape: [storage.length],
        dtype: 'float32',
        storage,
      }))
      return concat(this.#device, 0, operands, { shape: [length], dtype: 'float32' })
    })
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
    const places = this.#program.results.slice(0, count).map((id) => this.#layout.places.get(id)!)
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

/** As the device takes them: by fours. */
function padded(values: ArrayLike<number>): Float32Array {
  const all = new Float32Array(spanOf([values.length]))
  all.set(values)
  return all
}
