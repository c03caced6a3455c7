// Who is measured, and on what. Everything runs in one program, in a browser or in Node, so that rounds take turns.
import { type ModelName, MODELS, uniform } from '../models.js'
import type { Input, Inputs } from '../protocol.js'

/** What a library computes on. */
export interface Device {
  /** The library and the way it reaches the device: "gpu.js webgpu". */
  readonly name: string
  /** The device, as it calls itself. */
  readonly adapter: string
  readonly isSoftware: boolean
}

/** What is measured, at several sizes: see KINDS in cases.ts. */
export type Kind =
  'matmul' | 'mul' | 'mul by a row' | 'exp' | 'a chain of 200' | 'softmax' | 'read back' | ModelName

/** A column of the tables: a library on one device, in one way of working. */
export interface Contender {
  readonly name: string
  readonly device: Device
  /** How far its losses may be from the CPU's, as a fraction of what they move, where it trains by another formula. */
  readonly tolerance?: number
  /** What it has a program for. */
  readonly programs: { readonly [K in Kind]?: (size: number) => Promise<Prepared> }
}

/** A program made ready, its data on the device. */
export interface Prepared {
  /** The first run: what it took, and all it computes, for comparison. */
  first(): Promise<{ readonly ms: number; readonly values: ArrayLike<number> }>
  /** What it takes, in ms, to do it so many times, one after another, and to wait for the end. */
  run(times: number): Promise<number>
  /** Lets go of the data. */
  dispose(): void
}

/** What time is told by, in ms. Node puts that of its processors here where they do a GPU's work too. */
export const clock = { now: (): number => performance.now() }

/** A library's own words for what is measured. `T` are its arrays. */
export interface Library<T> {
  /** Runs what follows on its device. */
  readonly within: <R>(f: () => Promise<R>) => Promise<R>
  /** An array on the device. */
  readonly make: (input: Input) => T
  matmul(a: T, b: T): T
  mul(a: T, b: T): T
  add(a: T, b: T): T
  exp(x: T): T
  softmax(x: T): T
  /** Has it computed, where an op alone does not. */
  submit?(x: T): Promise<void>
  /** Its first few values, which are there when all before them is done. */
  firstOf(x: T): Promise<ArrayLike<number>>
  read(x: T): Promise<ArrayLike<number>>
  drop(x: T): void
}

/** A model in training. */
export interface Trainer {
  /** A training step on the batch; its loss, read. */
  step(): Promise<number>
  dispose(): void
}

/** How many values a slice of work ends with reading, which is how its end is waited for. */
export const AWAITED = 8

/**
 * How many steps are compared: the second loss has seen gradients, the third Adam's averages of them. Plans are made
 * in the second, so the third is the first that is like all others.
 */
const COMPARED_STEPS = 3

/** How long rows are. */
const ROW = 1000

/** The programs that are made of a single op, or of many. */
export function opsOf<T>(library: Library<T>): Contender['programs'] {
  const { make, within } = library
  const op = (inputs: readonly Input[], once: (xs: readonly T[]) => T): Promise<Prepared> =>
    within(async () => {
      const xs = inputs.map(make)
      return repeated(library, xs, () => once(xs))
    })
  return {
    matmul: (n) => op([uniform('a', [n, n]), uniform('b', [n, n])], ([a, b]) => library.matmul(a!, b!)),
    mul: (size) => op([uniform('x', [size]), uniform('y', [size])], ([x, y]) => library.mul(x!, y!)),
    'mul by a row': (size) =>
      op([uniform('x', [size / ROW, ROW]), uniform('row', [ROW])], ([x, row]) => library.mul(x!, row!)),
    exp: (size) => op([uniform('x', [size])], ([x]) => library.exp(x!)),
    'a chain of 200': (size) =>
      op([uniform('x', [size]), uniform('y', [size])], ([x, y]) => chainOf(library, x!, y!)),
    softmax: (rows) => op([uniform('softmax', [rows, ROW], 5)], ([x]) => library.softmax(x!)),
    'read back': (size) =>
      within(async () => reading(library, [make(uniform('x', [size])), make(uniform('y', [size]))])),
  }
}

/** 200 products and sums, one of the other. */
function chainOf<T>(library: Library<T>, x: T, y: T): T {
  let last = library.mul(x, y)
  for (let i = 1; i < 200; i++) {
    const next = i % 2 === 0 ? library.mul(last, y) : library.add(last, y)
    library.drop(last)
    last = next
  }
  return last
}

/** The training steps. */
export function stepsOf(
  { within }: Pick<Library<never>, 'within'>,
  train: (which: ModelName, inputs: Inputs) => Trainer,
): Contender['programs'] {
  const program = (which: ModelName) => (batch: number) =>
    within(async () => training(within, train(which, MODELS[which](batch))))
  return { b1: program('b1'), b2: program('b2'), b3: program('b3'), b4: program('b4') }
}

/** An op over and over; results are let go of, but for the last. */
function repeated<T>(library: Library<T>, inputs: readonly T[], once: () => T): Prepared {
  const work = async (times: number): Promise<{ readonly ms: number; readonly last: T }> => {
    const start = clock.now()
    for (let i = 1; i < times; i++) {
      const out = once()
      await library.submit?.(out)
      library.drop(out)
    }
    const last = once()
    await library.firstOf(last)
    return { ms: clock.now() - start, last }
  }
  return {
    first: () =>
      library.within(async () => {
        const { ms, last } = await work(1)
        const values = await library.read(last)
        library.drop(last)
        return { ms, values }
      }),
    run: (times) =>
      library.within(async () => {
        const { ms, last } = await work(times)
        library.drop(last)
        return ms
      }),
    dispose() {
      for (const x of inputs) library.drop(x)
    },
  }
}

/** Results read whole, each new and finished before its reading is timed. */
function reading<T>(library: Library<T>, [x, y]: readonly [T, T]): Prepared {
  const once = async (): Promise<{ readonly ms: number; readonly values: ArrayLike<number> }> => {
    const out = library.mul(x, y)
    await library.firstOf(out)
    const start = clock.now()
    const values = await library.read(out)
    const ms = clock.now() - start
    library.drop(out)
    return { ms, values }
  }
  return {
    first: () => library.within(once),
    run: (times) =>
      library.within(async () => {
        let all = 0
        for (let i = 0; i < times; i++) all += (await once()).ms
        return all
      }),
    dispose() {
      library.drop(x)
      library.drop(y)
    },
  }
}

function training(within: Library<never>['within'], trainer: Trainer): Prepared {
  const timed = async (): Promise<{ readonly ms: number; readonly loss: number }> => {
    const start = clock.now()
    const loss = await trainer.step()
    return { ms: clock.now() - start, loss }
  }
  return {
    first: () =>
      within(async () => {
        const steps: { readonly ms: number; readonly loss: number }[] = []
        while (steps.length < COMPARED_STEPS) steps.push(await timed())
        return { ms: steps.at(-1)!.ms, values: steps.map(({ loss }) => loss) }
      }),
    run: (times) =>
      within(async () => {
        const start = clock.now()
        let loss = 0
        for (let i = 0; i < times; i++) loss = await trainer.step()
        if (!Number.isFinite(loss)) throw new Error(`the loss became ${loss}`)
        return clock.now() - start
      }),
    dispose: () => trainer.dispose(),
  }
}
