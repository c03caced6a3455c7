import { type DType, type HostArray, LimitError, type Tensor, type Variable } from '@adjoint/core'
import {
  type Aval,
  cpuBackend,
  formatValue,
  formatVariable,
  type Handle,
  inputsOf,
  type Later,
  type Program,
  randomState,
  type Replay,
  setRandomState,
  simplify,
  type Stored,
  type ValueId,
} from '@adjoint/core/extend'
import { checkExact } from '../far.js'
import type { Tensors } from './tensors.js'

type Value = Program['values'][number]

/** Makes a plan of what is left for the device; undefined where that cannot be one. */
type Plan = (rest: Program) => Replay | undefined

/**
 * Plans a program: what the host computes op by op it computes here too, before every run. That is random numbers, and
 * all of int32, uint8 and bool that follows from whole numbers it has. Undefined where the rest cannot be planned.
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

/** The same program, where whole numbers that follow from constants are constants. */
function folded(program: Program): Program {
  const values: Value[] = []
  const known = new Map<ValueId, Known>()
  for (const value of program.values) {
    const { source, dtype } = value
    const id = values.length
    const isKnown = source.kind === 'kernel' && source.slots === undefined && isWhole(dtype)
    if (source.kind === 'constant' && source.slot === undefined && isWhole(dtype))
      known.set(id, new Known(value, source.values))
    else if (isKnown && source.inputs.every((input) => known.has(input)))
      known.set(id, computed(value, source.inputs, known, source))
    const host = source.kind === 'kernel' ? known.get(id)?.values : undefined
    values.push(host === undefined ? value : { ...value, source: { kind: 'constant', values: host } })
  }
  return { ...program, values }
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
    const isKnown = (id: ValueId): boolean => {
      const { source } = values[id]!
      return source.kind !== 'variable' || tensors.hostOf(source.variable.held) !== undefined
    }
    this.#current = this.#dividedBy(isKnown)
  }

  /** Whether there is a plan where the host has what is given. */
  get isPossible(): boolean {
    return this.#current !== undefined
  }

  compute(args: readonly Tensor[]): void {
    const hosts = new Map<ValueId, HostArray | undefined>()
    const hostOf = (id: ValueId): HostArray | undefined => {
      if (hosts.has(id)) return hosts.get(id)
      const { source } = this.#program.values[id]!
      const x =
        source.kind === 'argument'
          ? args[source.index]!.read()
          : source.kind === 'variable'
            ? source.variable.held
            : undefined
      const host = x && this.#tensors.hostOf(x)
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
        divided.rest?.compute([...args, ...given])
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

/** A program as what the host computes and a plan of the rest. */
class Divided {
  /** What the host computes and the plan takes, behind the arguments. */
  readonly given: readonly ValueId[]
  /** Variables that the host changes. */
  readonly assigned: Program['assigned']
  /** None where there is nothing left. */
  readonly rest: Replay | undefined

  readonly #program: Program
  /** How many arguments the program has. */
  readonly #first: number
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
    this.#first = first
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
      ...this.given.map((id, i) => `  %${id} is given as argument ${this.#first + i}`),
      ...this.assigned.map(({ variable, value }) => `  ${formatVariable(variable)} becomes %${value}`),
      ...program.results.flatMap((id) => (this.#isKnown[id] === 1 ? [`  returns %${id}`] : [])),
      ...(this.rest === undefined ? [] : [String(this.rest)]),
    ].join('\n')
  }
}

/** A value as the host has it. */
class Known {
  readonly aval: Aval
  #values: HostArray | undefined
  readonly #handle: Handle | undefined

  constructor(aval: Aval, values: HostArray | undefined, handle?: Handle) {
    this.aval = aval
    this.#values = values
    this.#handle = handle
  }

  get values(): HostArray {
    return (this.#values ??= cpuBackend.readSync!(this.#handle!, this.aval))
  }

  /** As the CPU's kernels take it. */
  get stored(): Stored {
    const { shape, dtype } = this.aval
    return { shape, dtype, handle: this.#handle ?? cpuBackend.upload(this.values, this.aval) }
  }
}

type Kernels = Extract<Value['source'], { kind: 'kernel' }>

function computed(
  aval: Aval,
  inputs: readonly ValueId[],
  known: ReadonlyMap<ValueId, Known>,
  { kernel }: Kernels,
): Known {
  const stored = inputs.map((input) => known.get(input)!.stored)
  return new Known(aval, undefined, cpuBackend.run(kernel, stored, aval))
}

/** 1 for what the host has, and for what it computes of that. @param isSure of arguments and variables. */
function knownOf(program: Program, isSure: (id: ValueId) => boolean): Uint8Array {
  const { values, assigned } = program
  const left = new Set<Variable>()
  for (;;) {
    const known = new Uint8Array(values.length)
    values.forEach(({ source, dtype }, id) => {
      const isKnown =
        source.kind === 'drawn' ||
        (isWhole(dtype) &&
          (source.kind === 'constant'
            ? source.slot === undefined
            : source.kind === 'kernel'
              ? source.slots === undefined &&
                source.inputs.every((x) => known[x] && isWhole(values[x]!.dtype))
              : isSure(id) && !(source.kind === 'variable' && left.has(source.variable))))
      known[id] = isKnown ? 1 : 0
    })
    // A variable that the device changes is the device's from the start.
    const others = assigned.filter(
      (change) => !left.has(change.variable) && !isForHost(program, known, change),
    )
    if (others.length === 0) return known
    for (const { variable } of others) left.add(variable)
  }
}

/** Whether the host gives a variable its new value. */
function isForHost(
  { values }: Program,
  isKnown: Uint8Array,
  { value }: Program['assigned'][number],
): boolean {
  return isKnown[value] === 1 && isWhole(values[value]!.dtype)
}

function checkRange(host: HostArray, { limit, fail }: Program['checks'][number]): void {
  for (let i = 0; i < host.length; i++) {
    const index = host[i] as number
    if (!(index >= 0 && index < limit && Math.trunc(index) === index)) throw fail(index, i)
  }
}

function rootOf(program: Program, id: ValueId): ValueId {
  const { source } = program.values[id]!
  return source.kind === 'kernel' && source.kernel.kind === 'view' ? rootOf(program, source.inputs[0]!) : id
}

function isWhole(dtype: DType): boolean {
  return dtype === 'int32' || dtype === 'uint8' || dtype === 'bool'
}
