import {
  cast,
  DisposedError,
  DTypeError,
  floatx,
  full,
  scalar,
  ShapeError,
  sqrt,
  square,
  sum,
  Tensor,
  ValueError,
  Variable,
  variable,
} from '@adjoint/core'
import {
  call,
  didYouMean,
  elementwise,
  type Foreseen,
  formatShape,
  inScope,
  isRecord,
  sameShape,
  show,
  typeName,
  withoutRecording,
} from '@adjoint/core/extend'
import { constrained, hasOwnConstraint } from '../constraints.js'
import { checkFlag, checkKeys, checkNumber, COUNT, NOT_NEGATIVE, POSITIVE, SHARE } from '../option-checks.js'
import type { Schedule } from '../schedules.js'

/** Options of all optimizers. */
export interface OptimizerOptions {
  /**
   * How far a step goes; or a schedule such as `cosineDecay(…)`: a function of how many steps were taken before. 0 is
   * allowed: nothing moves, but what the optimizer remembers of gradients.
   */
  readonly learningRate?: number | Schedule | ((step: number) => number)
  /**
   * What the learning rate is multiplied by, for layers, layers within models, and single weights of them:
   * `{ encoder: 0.1, 'head/bias': 2 }`. Of several that fit, the longest counts. Layers are those of the model that is
   * compiled with this optimizer.
   */
  readonly learningRateMultipliers?: Readonly<Record<string, number>>
  /** Gradients are scaled down, each by itself, to this norm at most. */
  readonly clipNorm?: number
  /** Gradients are scaled down, all by one factor, so that their common norm is this at most. */
  readonly globalClipNorm?: number
  /** The elements of gradients are limited to ±clipValue. */
  readonly clipValue?: number
  /** Before each step weights lose this share, times the learning rate, of themselves. */
  readonly weightDecay?: number
  /** Variables whose names contain one of these do not decay: `['bias']`; nor do those of layers so named. */
  readonly excludeFromWeightDecay?: readonly string[]
  /** Whether to keep a moving average of the weights, see {@link Optimizer.finalize} (default false). */
  readonly useEma?: boolean
  /** How much of the average is kept at each step (default 0.99). */
  readonly emaMomentum?: number
  /** After every so many steps weights become their averages; only in `finalize` unless given. */
  readonly emaOverwriteFrequency?: number
  /** Weights move only every so many steps, by the mean of the gradients in between. */
  readonly gradientAccumulationSteps?: number
}

const COMMON_OPTIONS: readonly string[] = [
  'learningRate',
  'learningRateMultipliers',
  'clipNorm',
  'globalClipNorm',
  'clipValue',
  'weightDecay',
  'excludeFromWeightDecay',
  'useEma',
  'emaMomentum',
  'emaOverwriteFrequency',
  'gradientAccumulationSteps',
]

/** What an optimizer remembers of one variable, by name: tensors of its dtype, and mostly of its shape. */
export type Slots = Readonly<Record<string, Tensor>>

/** What one step is told beside values and gradients. */
export interface Step {
  readonly learningRate: number
  /** How many updates of the variable this makes, itself included: 1, 2, … */
  readonly t: number
}

/** What every step of a variable may need, whatever the optimizer. */
interface CommonNumbers {
  /** Which share the variable loses before the step. */
  readonly decay: number
  /** How much of its average is kept. */
  readonly momentum: number
}

/** What one step makes of a variable. */
export interface Update {
  readonly value: Tensor
  readonly slots: Slots
}

/** Everything needed to go on as if nothing had happened. */
export interface OptimizerState {
  readonly iterations: number
  /** null where a schedule gives it. */
  readonly learningRate: number | null
  /** For each variable, in order, how often it was updated and what is remembered. */
  readonly variables: readonly { readonly updates: number; readonly slots: Slots }[]
}

interface Entry {
  updates: number
  readonly slots: Readonly<Record<string, Variable>>
}

const AVERAGE = 'average'
const ACCUMULATOR = 'gradient_accumulator'

/**
 * Moves variables along their gradients. Everything is remembered by variable, the number of updates too: an
 * optimizer that is given the variables of two models treats them as two optimizers would, but that `learningRate`
 * and `iterations` are common to both. `N` is what `update` is told of a step: numbers by name, see `numbers`.
 */
export abstract class Optimizer<N extends object = object> {
  /** In Keras' spelling. */
  readonly name: string
  readonly #options: OptimizerOptions
  readonly #entries = new Map<Variable, Entry>()
  /** Where in its model a variable is: `encoder/dense/kernel`. */
  readonly #paths = new WeakMap<Variable, string>()
  readonly #schedule: ((step: number) => number) | undefined
  #learningRate: number
  #iterations = 0
  /** Another one whenever slots may have become others. */
  #generation = 0

  /**
   * @param defaults the options' values where they are not given.
   * @param own names of the options beside the common ones.
   */
  constructor(
    name: string,
    options: OptimizerOptions,
    defaults: OptimizerOptions & { readonly learningRate: number },
    own: readonly string[] = [],
  ) {
    checkKeys(name, options, [...COMMON_OPTIONS, ...own])
    this.name = name
    this.#options = checkCommon(name, { ...defaults, ...defined(options) })
    const { learningRate: rate = defaults.learningRate } = options
    this.#schedule = typeof rate === 'function' ? rate : undefined
    this.#learningRate = typeof rate === 'function' ? NaN : checkRate(name, rate)
  }

  /** The learning rate of the next step. With a schedule it cannot be set. */
  get learningRate(): number {
    const schedule = this.#schedule
    return schedule === undefined
      ? this.#learningRate
      : checkRate(`${this.name}: the schedule at step ${this.#iterations}`, schedule(this.#iterations))
  }

  set learningRate(value: number) {
    if (this.#schedule !== undefined)
      throw new ValueError(`${this.name}: learningRate is given by a schedule and cannot be set`)
    this.#learningRate = checkRate(this.name, value)
  }

  /** The largest rate that any variable may have in the next step. @internal */
  get largestRate(): number {
    return this.learningRate * Math.max(1, ...Object.values(this.#options.learningRateMultipliers ?? {}))
  }

  /**
   * Tells where in a model its variables are, so that options can name layers.
   * @throws ValueError for a layer that is named in `learningRateMultipliers` and is not there.
   * @internal
   */
  place(paths: ReadonlyMap<string, Variable>): void {
    const known = [...paths.keys()]
    for (const place of Object.keys(this.#options.learningRateMultipliers ?? {}))
      if (!known.some((path) => isWithin(path, place))) {
        const layers = [...new Set(known.map((path) => path.replace(/\/[^/]*$/, '')))]
        throw new ValueError(
          `${this.name}: learningRateMultipliers names ${show(place)}; layers with weights are ${layers.join(', ')}.` +
            didYouMean(place, [...layers, ...known]),
        )
      }
    for (const [path, v] of paths) this.#paths.set(v, path)
    this.#generation++
  }

  /** What multiplies a variable's rate. */
  #multiplierOf(v: Variable): number {
    const { learningRateMultipliers: multipliers } = this.#options
    if (multipliers === undefined) return 1
    const path = this.#paths.get(v) ?? v.name
    const fitting = Object.keys(multipliers).filter((place) => isWithin(path, place))
    const longest = fitting.toSorted((a, b) => b.length - a.length)[0]
    return longest === undefined ? 1 : multipliers[longest]!
  }

  /** How many steps were taken. */
  get iterations(): number {
    return this.#iterations
  }

  /** Whether it remembers something of any variable. */
  get built(): boolean {
    return this.#entries.size > 0
  }

  /** What it remembers of each variable, by name. @internal */
  get slotNames(): readonly string[] {
    return this.#groups().flat()
  }

  /** Everything it remembers. @internal */
  get slots(): readonly Variable[] {
    return [...this.#entries.values()].flatMap(({ slots }) => Object.values(slots))
  }

  /** Whether it remembers something of this variable. @internal */
  knows(v: Variable): boolean {
    return this.#entries.has(v)
  }

  /** The options, as they were given or by default. */
  get config(): Readonly<Record<string, unknown>> {
    const { learningRate: _, ...rest } = this.#options
    return { name: this.name, learningRate: this.#schedule ?? this.#learningRate, ...rest }
  }

  /**
   * Copies of all it remembers, in Keras' order: steps taken, the learning rate (unless scheduled), then the slots
   * kind by kind.
   */
  get variables(): readonly Tensor[] {
    const entries = [...this.#entries.values()]
    return [
      scalar(this.#iterations, 'int32'),
      ...(this.#schedule === undefined ? [scalar(this.#learningRate, floatx())] : []),
      ...this.#groups().flatMap((group) =>
        entries.flatMap(({ slots }) =>
          group.filter((slot) => slots[slot] !== undefined).map((slot) => slots[slot]!.detach()),
        ),
      ),
    ]
  }

  // ---- what the kinds of optimizers say

  /** Names of the slots; those of one group lie together, variable by variable. */
  protected abstract slotGroups(): readonly (readonly string[])[]

  /** The first value of a slot: a number for all elements, or a tensor; undefined where this variable has none. */
  protected initialSlot(_slot: string, _of: Variable): number | Tensor | undefined {
    return 0
  }

  /** Which share of itself, times the learning rate, a variable loses before each step. */
  protected weightDecayOf(_of: Variable): number {
    return this.#options.weightDecay ?? 0
  }

  /** Whether a variable, or the layer that it is in, is named by one of these. */
  protected isNamedBy(v: Variable, names: readonly string[]): boolean {
    const path = this.#paths.get(v) ?? v.name
    return names.some((part) => v.name.includes(part) || isWithin(path, part))
  }

  /**
   * The numbers that one step of a variable is made with. With them, plans compute these alone in every step: `update`
   * has to run the same ops whatever they are, and to give them to ops as they are. Without them `update` is told the
   * {@link Step} itself, and runs in every step.
   */
  protected numbers?(step: Step, of: Variable): N

  /** Whether the numbers follow from the step alone: then they are the same for all variables in the same one. */
  protected get numbersFollowStep(): boolean {
    return false
  }

  /** One step of one variable. Pure: what changes from step to step comes in as an argument. */
  protected abstract update(value: Tensor, gradient: Tensor, slots: Slots, numbers: N): Update

  #groups(): readonly (readonly string[])[] {
    const { useEma = false, gradientAccumulationSteps } = this.#options
    return [
      ...(useEma ? [[AVERAGE]] : []),
      ...(gradientAccumulationSteps === undefined ? [] : [[ACCUMULATOR]]),
      ...this.slotGroups(),
    ]
  }

  // ---- steps

  /** Makes the slots of variables it does not know yet; `apply` does so by itself. */
  build(variables: readonly Variable[]): void {
    checkVariables(`${this.name}.build`, variables)
    for (const v of variables) this.#entryOf(v)
  }

  #entryOf(v: Variable): Entry {
    const known = this.#entries.get(v)
    if (known !== undefined) return known
    const slots: Record<string, Variable> = {}
    for (const [slot, first] of Object.entries(this.#firstSlots(v)))
      slots[slot] = variable(first, { name: `${v.name}_${slot}`, trainable: false })
    const entry = { updates: 0, slots }
    this.#entries.set(v, entry)
    this.#generation++
    return entry
  }

  #firstSlots(v: Variable): Record<string, Tensor> {
    const slots: Record<string, Tensor> = {}
    for (const slot of this.#groups().flat()) {
      const first = slot === AVERAGE || slot === ACCUMULATOR ? 0 : this.initialSlot(slot, v)
      if (first !== undefined) slots[slot] = typeof first === 'number' ? full(v.shape, first, v.dtype) : first
    }
    return slots
  }

  /**
   * Takes one step. Either all variables move or, when anything is wrong with an argument, none.
   * @param gradients one for each variable, of its shape and dtype.
   * @throws ValueError, ShapeError, DTypeError for lists that do not match; ValueError for a bad value of a schedule.
   */
  apply(gradients: readonly Tensor[], variables: readonly Variable[]): void {
    checkGradients(`${this.name}.apply`, gradients, variables)
    this.#apply(gradients, variables, (numbers) => numbers)
  }

  /** Takes one step by these numbers, in the order of {@link foresee}. @internal */
  applyBy(gradients: readonly Tensor[], variables: readonly Variable[], numbers: readonly number[]): void {
    let next = 0
    const filled = <R extends object>(record: R): R =>
      Object.fromEntries(Object.keys(record).map((name) => [name, numbers[next++]])) as R
    this.#apply(gradients, variables, filled)
  }

  /** @param by what is to stand in the place of the numbers of this step. */
  #apply(
    gradients: readonly Tensor[],
    variables: readonly Variable[],
    by: <R extends object>(numbers: R) => R,
  ): void {
    if (variables.length === 0) return
    const { learningRate } = this
    const step = (): void => {
      const entries = variables.map((v) => this.#entryOf(v))
      const collected = this.#collected(gradients, entries)
      const updates: readonly { readonly value?: Tensor; readonly slots: Slots }[] = this.#isDue
        ? this.#updates(collected, variables, entries, learningRate, by)
        : collected.map((sum) => ({ slots: { [ACCUMULATOR]: sum } }))
      // Everything is computed: from here on nothing can fail.
      updates.forEach(({ value, slots }, i) => {
        const entry = entries[i]!
        for (const slot of Object.keys(slots)) entry.slots[slot]!.assign(slots[slot]!)
        if (value === undefined) return
        entry.updates++
        variables[i]!.assign(value)
      })
      this.#iterations++
    }
    inScope(
      () => withoutRecording(step),
      () => [],
      { atOnce: true },
    )
  }

  /** The numbers of the next step, where they are known without taking it. @internal */
  foresee(variables: readonly Variable[]): Foreseen | undefined {
    // Functions of the user's may do something else in every step.
    if (this.numbers === undefined || variables.some(hasOwnConstraint)) return undefined
    const numbers: number[] = []
    if (!this.#isDue) return { kind: `${this.#generation}, collected`, numbers }
    const { emaOverwriteFrequency } = this.#options
    const { learningRate } = this
    let kind = String(this.#generation)
    let step: Step | undefined
    let own: Readonly<Record<string, number>> = {}
    for (const v of variables) {
      const t = (this.#entries.get(v)?.updates ?? 0) + 1
      const rate = learningRate * this.#multiplierOf(v)
      const { decay, momentum } = this.#commonNumbers(v, rate, t)
      numbers.push(decay, momentum)
      if (!this.numbersFollowStep || step?.t !== t || step.learningRate !== rate) {
        step = { learningRate: rate, t }
        own = this.numbers(step, v) as Readonly<Record<string, number>>
      }
      for (const name in own) numbers.push(own[name]!)
      if (emaOverwriteFrequency !== undefined) kind += this.#isOverwritten(t) ? ' 1' : ' 0'
    }
    return { kind, numbers }
  }

  /** Counts a step that was taken by foreseen numbers. @internal */
  advance(variables: readonly Variable[]): void {
    if (this.#isDue) for (const v of variables) this.#entries.get(v)!.updates++
    this.#iterations++
  }

  /** Notes how many steps were taken; what it returns puts that back. Slots are left as they are. @internal */
  mark(): () => void {
    const iterations = this.#iterations
    const known = new Set(this.#entries.keys())
    const updates = [...this.#entries.values()].map((entry) => [entry, entry.updates] as const)
    return () => {
      this.#iterations = iterations
      this.#forget([...this.#entries.keys()].filter((v) => !known.has(v)))
      for (const [entry, count] of updates) entry.updates = count
    }
  }

  /** Whether variables move in this step, or gradients are only collected. */
  get #isDue(): boolean {
    return (this.#iterations + 1) % (this.#options.gradientAccumulationSteps ?? 1) === 0
  }

  /** With those collected before: their mean when it is due, their sum until then. */
  #collected(gradients: readonly Tensor[], entries: readonly Entry[]): readonly Tensor[] {
    const count = this.#options.gradientAccumulationSteps
    if (count === undefined) return gradients
    const sums = gradients.map((g, i) => g.add(entries[i]!.slots[ACCUMULATOR]!))
    return this.#isDue ? sums.map((sum) => sum.div(count)) : sums
  }

  #updates(
    gradients: readonly Tensor[],
    variables: readonly Variable[],
    entries: readonly Entry[],
    commonRate: number,
    by: <R extends object>(numbers: R) => R,
  ): Update[] {
    const { useEma, gradientAccumulationSteps } = this.#options
    return clipped(gradients, this.#options).map((gradient, i) => {
      const v = variables[i]!
      const { slots, updates } = entries[i]!
      const step = { learningRate: commonRate * this.#multiplierOf(v), t: updates + 1 }
      const { decay: share, momentum } = by(this.#commonNumbers(v, step.learningRate, step.t))
      const decayed = this.#decayOf(v) === 0 ? v : call(decay, [v], { share })
      // Without numbers, N is Step.
      const next = this.update(
        decayed,
        gradient,
        slots,
        by(this.numbers?.(step, v) ?? (step as unknown as N)),
      )
      const reset =
        gradientAccumulationSteps === undefined
          ? {}
          : { [ACCUMULATOR]: full(gradient.shape, 0, gradient.dtype) }
      const done = { value: next.value, slots: { ...next.slots, ...reset } }
      const { value, slots: kept } = useEma ? this.#averaged(done, slots, momentum, step.t) : done
      // As in Keras the average is that of values before their constraint.
      return { value: constrained(v, value), slots: kept }
    })
  }

  #commonNumbers(v: Variable, learningRate: number, t: number): CommonNumbers {
    const { emaMomentum = 0.99 } = this.#options
    // The first average is the value itself.
    return { decay: this.#decayOf(v) * learningRate, momentum: t === 1 ? 0 : emaMomentum }
  }

  /** Which share of itself, times the learning rate, a variable loses; 0 where it is excluded. */
  #decayOf(v: Variable): number {
    const weightDecay = this.weightDecayOf(v)
    const { excludeFromWeightDecay = [] } = this.#options
    return weightDecay === 0 || this.isNamedBy(v, excludeFromWeightDecay) ? 0 : weightDecay
  }

  #averaged({ value, slots }: Update, before: Slots, momentum: number, t: number): Update {
    const average = call(movingAverage, [before[AVERAGE]!, value], { momentum })
    return { value: this.#isOverwritten(t) ? average : value, slots: { ...slots, [AVERAGE]: average } }
  }

  /** Whether a variable becomes its average with its update number t. */
  #isOverwritten(t: number): boolean {
    const { emaOverwriteFrequency } = this.#options
    return emaOverwriteFrequency !== undefined && t % emaOverwriteFrequency === 0
  }

  /** With `useEma`, gives variables their averages: `fit` does so at its end. */
  finalize(variables: readonly Variable[]): void {
    if (!this.#options.useEma) return
    for (const v of variables) {
      const entry = this.#entries.get(v)
      if (entry !== undefined && entry.updates > 0) v.assign(entry.slots[AVERAGE]!.detach())
    }
  }

  // ---- state

  /** Forgets these variables; all of them, and the number of steps, unless some are given. */
  reset(variables?: readonly Variable[]): void {
    this.#forget(variables ?? [...this.#entries.keys()])
    if (variables === undefined) this.#iterations = 0
  }

  #forget(variables: readonly Variable[]): void {
    for (const v of variables) if (this.#entries.delete(v)) this.#generation++
  }

  /** All it remembers of these variables (default: of all it knows, in the order in which they came). */
  getState(variables: readonly Variable[] = [...this.#entries.keys()]): OptimizerState {
    checkVariables(`${this.name}.getState`, variables)
    return {
      iterations: this.#iterations,
      learningRate: this.#schedule === undefined ? this.#learningRate : null,
      variables: variables.map((v) => {
        const { updates, slots } = this.#entryOf(v)
        return {
          updates,
          slots: Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, slot.detach()])),
        }
      }),
    }
  }

  /**
   * Makes it remember of these variables what `getState` told, of them or of others of the same shapes. Without
   * variables: of those it knows, in the order in which they came; it forgets those that came after the state was
   * taken. Either everything is taken over or nothing.
   * @throws ValueError, ShapeError, DTypeError where the state is not one of these variables.
   */
  setState(state: OptimizerState, variables?: readonly Variable[]): void {
    const what = `${this.name}.setState`
    const known = [...this.#entries.keys()]
    const chosen = variables ?? known.slice(0, state.variables.length)
    checkVariables(what, chosen)
    this.#checkState(what, state, chosen)
    if (variables === undefined) this.reset(known.slice(chosen.length))
    chosen.forEach((v, i) => {
      const entry = this.#entryOf(v)
      const given = state.variables[i]!
      for (const name of Object.keys(entry.slots)) entry.slots[name]!.assign(given.slots[name]!)
      entry.updates = given.updates
    })
    this.#iterations = state.iterations
    if (state.learningRate !== null && this.#schedule === undefined) this.#learningRate = state.learningRate
  }

  #checkState(what: string, state: OptimizerState, variables: readonly Variable[]): void {
    checkNumber(what, 'iterations', state.iterations, STEPS)
    if (state.learningRate !== null) checkRate(what, state.learningRate)
    if (state.variables.length !== variables.length)
      throw new ValueError(
        `${what}: the state is of ${state.variables.length} variables, not of ${variables.length}`,
      )
    variables.forEach((v, i) => {
      const { updates, slots } = state.variables[i]!
      checkNumber(what, 'updates', updates, STEPS)
      for (const [name, slot] of Object.entries(this.#entries.get(v)?.slots ?? this.#firstSlots(v))) {
        const label = (): string => `${show(name)} of ${labelOf(v, i)}`
        if (!Object.hasOwn(slots, name)) throw new ValueError(`${what}: the state lacks ${label()}`)
        checkLike(what, label, slots[name]!, slot)
      }
    })
  }
}

// ---- checks

const STEPS = { holds: (x: number) => Number.isSafeInteger(x) && x >= 0, words: 'a whole number >= 0' }

function checkRate(what: string, value: unknown): number {
  return checkNumber(what, 'learningRate', value, NOT_NEGATIVE)
}

/** Whether a variable's path is that of `place`, or begins with it. */
function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`)
}

/** Options without those that are undefined. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

function checkCommon(name: string, options: OptimizerOptions): OptimizerOptions {
  const clips = (['clipNorm', 'globalClipNorm', 'clipValue'] as const).filter((o) => options[o] !== undefined)
  for (const clip of clips) checkNumber(name, clip, options[clip], POSITIVE)
  if (clips.length > 1) throw new ValueError(`${name}: ${clips.join(' and ')} exclude each other`)
  const { weightDecay, excludeFromWeightDecay, useEma, emaMomentum, emaOverwriteFrequency } = options
  if (weightDecay !== undefined) checkNumber(name, 'weightDecay', weightDecay, NOT_NEGATIVE)
  if (excludeFromWeightDecay !== undefined && !Array.isArray(excludeFromWeightDecay))
    throw new ValueError(
      `${name}: excludeFromWeightDecay must be a list of names, got ${show(excludeFromWeightDecay)}`,
    )
  const { learningRateMultipliers: multipliers } = options
  if (multipliers !== undefined) {
    if (!isRecord(multipliers))
      throw new ValueError(
        `${name}: learningRateMultipliers must be a record such as { encoder: 0.1 }, got ${show(multipliers)}`,
      )
    for (const [place, factor] of Object.entries(multipliers))
      checkNumber(name, `learningRateMultipliers: ${show(place)}`, factor, NOT_NEGATIVE)
  }
  if (useEma !== undefined) checkFlag(name, 'useEma', useEma)
  if (emaMomentum !== undefined) checkNumber(name, 'emaMomentum', emaMomentum, SHARE)
  if (emaOverwriteFrequency !== undefined)
    checkNumber(name, 'emaOverwriteFrequency', emaOverwriteFrequency, COUNT)
  if (options.gradientAccumulationSteps !== undefined)
    checkNumber(name, 'gradientAccumulationSteps', options.gradientAccumulationSteps, {
      holds: (x) => Number.isInteger(x) && x >= 2,
      words: 'a whole number >= 2',
    })
  return options
}

/** `dense_1/kernel`, or `variable 3` where it has no name. */
function labelOf(v: Variable, at: number): string {
  return v.name === '' ? `variable ${at}` : show(v.name)
}

function isList(x: unknown): boolean {
  return Array.isArray(x)
}

function checkVariables(what: string, variables: readonly Variable[]): void {
  if (!isList(variables)) throw new ValueError(`${what}: variables must be a list, got ${show(variables)}`)
  const seen = new Set<Variable>()
  variables.forEach((v, i) => {
    if (!((v as unknown) instanceof Variable))
      throw new ValueError(`${what}: variable ${i} is ${typeName(v)}, not a variable`)
    if (seen.has(v)) throw new ValueError(`${what}: ${labelOf(v, i)} is given twice`)
    seen.add(v)
  })
}

function checkGradients(what: string, gradients: readonly Tensor[], variables: readonly Variable[]): void {
  checkVariables(what, variables)
  if (!isList(gradients)) throw new ValueError(`${what}: gradients must be a list, got ${show(gradients)}`)
  if (gradients.length !== variables.length)
    throw new ValueError(`${what}: got ${gradients.length} gradients for ${variables.length} variables`)
  gradients.forEach((g, i) => {
    checkLike(what, () => `the gradient of ${labelOf(variables[i]!, i)}`, g, variables[i]!)
  })
}

function checkLike(what: string, name: () => string, x: Tensor, like: Tensor): void {
  if (!((x as unknown) instanceof Tensor))
    throw new ValueError(`${what}: ${name()} is ${typeName(x)}, not a tensor`)
  if (!sameShape(x.shape, like.shape))
    throw new ShapeError(
      `${what}: ${name()} must be ${formatShape(like.shape)}, got ${formatShape(x.shape)}`,
      {
        op: what,
        shapes: [like.shape, x.shape],
      },
    )
  if (x.dtype !== like.dtype)
    throw new DTypeError(`${what}: ${name()} must be ${like.dtype}, got ${x.dtype}`, { op: what })
  if (x.isDisposed) throw new DisposedError(`${what}: ${name()} was disposed`, { op: what })
}

// ---- what all optimizers may do to gradients and values

const decay = elementwise({
  name: 'decay',
  args: ['w'],
  params: ['share'],
  expr: 'w - w * share',
  vjp: null,
})

const movingAverage = elementwise({
  name: 'movingAverage',
  args: ['average', 'w'],
  params: ['momentum'],
  expr: 'momentum * average + (1 - momentum) * w',
  vjp: null,
})

const clipByNorm = elementwise({
  name: 'clipByNorm',
  args: ['gradient', 'norm'],
  params: ['limit'],
  expr: 'gradient * limit / max(norm, limit)',
  vjp: null,
})

/** An infinite norm makes NaN, so that the step is seen to be broken. */
const clipByGlobalNorm = elementwise({
  name: 'clipByGlobalNorm',
  args: ['gradient', 'norm'],
  params: ['limit'],
  expr: 'gradient * (limit * min(1 / norm, 1 / limit) + (norm - norm))',
  vjp: null,
})

function clipped(gradients: readonly Tensor[], options: OptimizerOptions): readonly Tensor[] {
  const { clipNorm, globalClipNorm, clipValue } = options
  if (clipNorm !== undefined)
    return gradients.map((g) => call(clipByNorm, [g, sqrt(sum(square(g)))], { limit: clipNorm }))
  if (globalClipNorm !== undefined) {
    const norm = sqrt(gradients.map((g) => sum(square(g))).reduce((a, b) => a.add(b)))
    return gradients.map((g) =>
      call(clipByGlobalNorm, [g, norm.dtype === g.dtype ? norm : cast(norm, g.dtype)], {
        limit: globalClipNorm,
      }),
    )
  }
  return clipValue === undefined ? gradients : gradients.map((g) => g.clip(-clipValue, clipValue))
}
