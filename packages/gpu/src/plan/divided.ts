import type { HostArray, Variable } from '@adjoint/core'
import {
  formatValue,
  formatVariable,
  inputsOf,
  type Program,
  type Replay,
  rootOf,
  simplify,
  type ValueId,
} from '@adjoint/core/extend'
import { checkExact, inexactIn } from '../far.js'
import { checkRange, computed, isForHost, Known, knownOf } from './known.js'

type Value = Program['values'][number]

/** Makes a plan of what is left for the device; undefined where that cannot be one. */
export type Plan = (rest: Program) => Replay | undefined

/** A program as what the host computes and a plan of the rest. */
export class Divided {
  /** What the host computes and the plan takes, behind the arguments. */
  readonly given: readonly ValueId[]
  /** Behind how many arguments that is: those that the program needs, which may be fewer than there are. */
  readonly first: number
  /** Variables that the host changes. */
  readonly assigned: Program['assigned']
  /** None where there is nothing left. */
  readonly rest: Replay | undefined

  readonly #program: Program
  /** 1 for what the host has or computes. */
  readonly #isKnown: Uint8Array
  /** What the device computes whole numbers from, by what. */
  readonly #exact: readonly { readonly id: ValueId; readonly op: string }[]

  private constructor(
    program: Program,
    isKnown: Uint8Array,
    rest: Replay | undefined,
    given: readonly ValueId[],
    first: number,
  ) {
    this.#program = program
    this.first = first
    this.#isKnown = isKnown
    this.rest = rest
    this.given = given
    this.assigned = program.assigned.filter((change) => isForHost(program, isKnown, change))
    const { values } = program
    this.#exact = values.flatMap(({ source, dtype }, out) => {
      if (source.kind !== 'kernel' || isKnown[out] === 1 || dtype === 'float32') return []
      const { kernel, inputs } = source
      return inputs.flatMap((id) => {
        const { dtype, source } = values[id]!
        if (dtype !== 'int32' || (isKnown[id] === 0 && source.kind !== 'variable')) return []
        if (source.kind !== 'constant') return [{ id, op: kernel.kind }]
        if (source.slot === undefined) checkExact(kernel.kind, source.values as ArrayLike<number>)
        return []
      })
    })
  }

  static of(program: Program, isSure: (id: ValueId) => boolean, plan: Plan): Divided | undefined {
    const isKnown = knownOf(program, isSure)
    const { results, assigned } = program
    const changed = new Set<Variable>()
    for (const change of assigned) if (isForHost(program, isKnown, change)) changed.add(change.variable)
    const first = program.values.reduce(
      (count, { source }) => (source.kind === 'argument' ? Math.max(count, source.index + 1) : count),
      0,
    )
    const given: ValueId[] = []
    const values = program.values.map((value, id): Value => {
      const { source } = value
      const isGiven =
        isKnown[id] === 1 &&
        (source.kind === 'kernel' ||
          source.kind === 'drawn' ||
          (source.kind === 'variable' && changed.has(source.variable)))
      if (!isGiven) return value
      return { ...value, source: { kind: 'argument', index: first + given.push(id) - 1 } }
    })
    const rest: Program = simplify({
      values,
      slotCount: program.slotCount,
      checks: [],
      results: results.filter((id) => isKnown[id] === 0),
      assigned: assigned.filter(({ variable }) => !changed.has(variable)),
    })
    const isNothing = rest.results.length + rest.assigned.length === 0
    // Those that are taken, behind the arguments without a gap.
    const taken = new Map<number, number>()
    for (const { source } of rest.values)
      if (source.kind === 'argument' && source.index >= first) taken.set(source.index, first + taken.size)
    const moved = rest.values.map((value): Value => {
      const { source } = value
      const index = source.kind === 'argument' ? taken.get(source.index) : undefined
      return index === undefined ? value : { ...value, source: { kind: 'argument', index } }
    })
    const made = isNothing ? undefined : plan({ ...rest, values: moved })
    if (made === undefined && !isNothing) return undefined
    return new Divided(
      program,
      isKnown,
      made,
      [...taken.keys()].map((index) => given[index - first]!),
      first,
    )
  }

  /** How many of the results before number `at` are the plan's. */
  resultAt(at: number): number {
    return this.#program.results.slice(0, at).filter((id) => this.#isKnown[id] === 0).length
  }

  /** Whether the device can hold the variables of whole numbers that it takes, as they are now. */
  isExact(hostOf: (id: ValueId) => HostArray | undefined): boolean {
    return this.#exact.every(({ id }) => {
      const host = this.#program.values[id]!.source.kind === 'variable' ? hostOf(id) : undefined
      return host === undefined || inexactIn(host as ArrayLike<number>) === undefined
    })
  }

  /** What the host has. @throws where an index is out of range, or a whole number too large for the device. */
  compute(hostOf: (id: ValueId) => HostArray | undefined): ReadonlyMap<ValueId, Known> {
    const known = new Map<ValueId, Known>()
    this.#program.values.forEach((value, id) => {
      const { source } = value
      if (this.#isKnown[id] === 0) return
      if (source.kind === 'drawn') known.set(id, new Known(value, source.make()))
      else if (source.kind === 'constant') known.set(id, new Known(value, source.values))
      else if (source.kind === 'kernel') known.set(id, computed(value, source.inputs, known, source))
      else known.set(id, new Known(value, hostOf(id)))
    })
    for (const check of this.#program.checks) {
      const root = rootOf(this.#program, check.value)
      const host =
        this.#program.values[root]!.source.kind === 'constant'
          ? undefined
          : (known.get(check.value)?.values ?? hostOf(root))
      if (host !== undefined) checkRange(host, check)
    }
    for (const { id, op } of this.#exact) {
      const host = known.get(id)?.values ?? hostOf(id)
      if (host !== undefined) checkExact(op, host as ArrayLike<number>)
    }
    return known
  }

  /** What the host computes, and the plan. */
  toString(): string {
    const program = this.#program
    const line = (id: ValueId): string => `  ${formatValue(program, id)}`
    const isShown = new Uint8Array(program.values.length)
    const ends = [...program.results, ...this.assigned.map(({ value }) => value), ...this.given]
    for (const id of ends) isShown[id] = this.#isKnown[id]!
    for (let id = isShown.length - 1; id >= 0; id--)
      if (isShown[id] === 1) for (const input of inputsOf(program.values[id]!.source)) isShown[input] = 1
    const own = [...isShown.keys()].filter((id) => isShown[id] === 1)
    if (own.length === 0) return String(this.rest)
    return [
      'on the host:',
      ...own.map(line),
      ...this.given.map((id, i) => `  %${id} is given as argument ${this.first + i}`),
      ...this.assigned.map(({ variable, value }) => `  ${formatVariable(variable)} becomes %${value}`),
      ...program.results.flatMap((id) => (this.#isKnown[id] === 1 ? [`  returns %${id}`] : [])),
      ...(this.rest === undefined ? [] : [String(this.rest)]),
    ].join('\n')
  }
}
