import { type HostArray, LimitError, type Tensor } from '@adjoint/core'
import {
  type Later,
  type Program,
  randomState,
  type Replay,
  rootOf,
  setRandomState,
  simplify,
  type ValueId,
} from '@adjoint/core/extend'
import { Divided, type Plan } from './divided.js'
import { checkRange, folded, isWhole, type Known, knownOf } from './known.js'
import type { Tensors } from './tensors.js'

/**
 * Plans a program: what the host computes op by op it computes here too, before every run. That is random numbers, and
 * all of int32, uint8 and bool that follows from whole numbers it has. Undefined where the rest cannot be planned, or
 * not with what variables hold.
 * @throws what is wrong with constants.
 */
export function planned(recorded: Program, tensors: Tensors, plan: Plan): Replay | undefined {
  const program = simplify(folded(simplify(recorded)))
  const { values, results, assigned, checks } = program
  const ends = [...results, ...assigned.map(({ value }) => value)]
  const isForDevice =
    checks.length === 0 &&
    ends.every((id) => !isWhole(values[id]!.dtype)) &&
    values.every(
      ({ source, dtype }) => source.kind !== 'drawn' && (source.kind === 'constant' || !isWhole(dtype)),
    )
  if (isForDevice) return plan(program)
  for (const check of checks) {
    const { source } = values[rootOf(program, check.value)]!
    if (source.kind === 'constant') checkRange(source.values, check)
  }
  const made = new PlanWithHost(program, tensors, plan)
  return made.isPossible ? made : undefined
}

/** A program's host part, and a plan of the rest for every way in which its whole numbers may be known. */
class PlanWithHost implements Replay {
  readonly #program: Program
  readonly #tensors: Tensors
  readonly #plan: Plan
  /** Arguments and variables of whole numbers, which the host may have or not. */
  readonly #unsure: readonly ValueId[]
  readonly #divided = new Map<string, Divided | undefined>()
  #current: Divided | undefined
  /** What the host has in this run. */
  #known: ReadonlyMap<ValueId, Known> = new Map()

  constructor(program: Program, tensors: Tensors, plan: Plan) {
    this.#program = program
    this.#tensors = tensors
    this.#plan = plan
    const { values } = program
    const isPossible = knownOf(program, () => true)
    this.#unsure = [...values.keys()].filter((id) => {
      const { kind } = values[id]!.source
      return (kind === 'argument' || kind === 'variable') && isPossible[id] === 1
    })
    this.#current = this.#dividedBy(
      (id) => values[id]!.source.kind === 'argument' || this.#heldBy(id) !== undefined,
    )
  }

  /** Whether there is a plan where the host has what is given. */
  get isPossible(): boolean {
    return this.#current?.isExact((id) => this.#heldBy(id)) === true
  }

  /** What the host knows of a variable. */
  #heldBy(id: ValueId): HostArray | undefined {
    const { source } = this.#program.values[id]!
    return source.kind === 'variable' ? this.#tensors.hostOf(source.variable.held) : undefined
  }

  compute(args: readonly Tensor[]): void {
    const hosts = new Map<ValueId, HostArray | undefined>()
    const hostOf = (id: ValueId): HostArray | undefined => {
      if (hosts.has(id)) return hosts.get(id)
      const { source } = this.#program.values[id]!
      const host =
        source.kind === 'argument' ? this.#tensors.hostOf(args[source.index]!.read()) : this.#heldBy(id)
      hosts.set(id, host)
      return host
    }
    const divided = this.#dividedBy((id) => hostOf(id) !== undefined)
    if (divided === undefined)
      throw new LimitError(
        'compile: whole numbers that only the device knows are too many for a plan; give tensor(await x.data(), { dtype })',
        { op: 'compile' },
      )
    const random = randomState()
    try {
      const known = divided.compute(hostOf)
      const given = divided.given.map((id) =>
        this.#tensors.ofHost(known.get(id)!.values, known.get(id)!.aval),
      )
      try {
        divided.rest?.compute([...args.slice(0, divided.first), ...given])
      } finally {
        for (const x of given) x.dispose()
      }
      this.#known = known
      this.#current = divided
    } catch (error) {
      setRandomState(random)
      throw error
    }
  }

  result(at: number): Tensor {
    const id = this.#program.results[at]!
    const known = this.#known.get(id)
    if (known !== undefined) return this.#tensors.ofHost(known.values, known.aval)
    return this.#current!.rest!.result(this.#current!.resultAt(at))
  }

  numbers(count: number): readonly number[] | Promise<readonly number[]> {
    const pick = this.#picked(count)
    const numbers = this.#current!.rest?.numbers(this.#current!.resultAt(count)) ?? []
    return numbers instanceof Promise ? numbers.then(pick) : pick(numbers)
  }

  later(count: number): Later {
    const pick = this.#picked(count)
    const later = this.#current!.rest?.later!(this.#current!.resultAt(count))
    return { read: async () => pick((await later?.read()) ?? []) }
  }

  /** Puts the host's numbers among the device's. */
  #picked(count: number): (numbers: readonly number[]) => readonly number[] {
    const own = this.#program.results.slice(0, count).map((id) => this.#known.get(id)?.values[0])
    return (numbers) => {
      let next = 0
      return own.map((value) => (value === undefined ? numbers[next++]! : Number(value)))
    }
  }

  commit(numbers: ArrayLike<number> = []): void {
    const { rest, assigned } = this.#current!
    rest?.commit(numbers)
    for (const { variable, value } of assigned) this.#tensors.give(variable, this.#known.get(value)!.values)
    this.#known = new Map()
  }

  #dividedBy(isKnown: (id: ValueId) => boolean): Divided | undefined {
    const key = this.#unsure.map((id) => (isKnown(id) ? '1' : '0')).join('')
    if (!this.#divided.has(key)) {
      const isSure = new Set(this.#unsure.filter((_, i) => key[i] === '1'))
      this.#divided.set(
        key,
        Divided.of(this.#program, (id) => isSure.has(id), this.#plan),
      )
    }
    return this.#divided.get(key)
  }

  toString(): string {
    return String(this.#current)
  }
}
