import { type Aval, avalOf } from '../aval.js'
import {
  type Backend,
  currentBackend,
  type Handle,
  type Kernel,
  type Stored,
  withBackend,
} from '../backend.js'
import type { HostArray } from '../dtype.js'
import { BackendError } from '../errors.js'
import { withoutRecording } from '../tape.js'
import { Tensor, type Variable } from '../tensor.js'
import { type Foreseen, marksFor, Placing } from './foreseen.js'
import { Capture, type Happening } from './capture.js'
import { exactJson } from './exact.js'
import { guarded } from './guard.js'
import { hasPlans, planOn } from './plan.js'
import type { Later, Program, Replay, ValueId } from './program.js'
import { difference } from './simplify.js'

/** What a step does: computes from the batch and the variables, and then changes variables by what it found. */
export interface StepFunctions {
  /** Returns what is read after every step, and what the change is made from. */
  compute(batch: readonly Tensor[]): {
    readonly read: readonly Tensor[]
    readonly grads: readonly Tensor[]
    /** Over 0 where variables may be changed by what was found. For steps that are {@link guard}ed. */
    readonly isSound?: Tensor
  }
  /**
   * Holds 1. Where `isSound` is not over 0 no other variable is changed, and this becomes one less; so steps need not be
   * looked at before they change.
   */
  readonly guard?: Variable | undefined
  /** The numbers of the change as it would be now, if they are known without running it. */
  readonly foreseen?: Foreseen | undefined
  /**
   * Assigns to variables; by other numbers than the foreseen ones, if some are given. Where none are foreseen it runs
   * in every step, on tensors without values, for the numbers that it uses.
   */
  change(grads: readonly Tensor[], numbers?: readonly number[]): void
}

/**
 * A training step as a plan: it computes first, and changes variables only when it is told to, so that a step whose
 * loss is no number leaves everything as it was. The change may use other numbers in every step (rates, corrections),
 * as long as it is made of the same ops.
 */
export class StepPlan {
  readonly #plan: Replay
  readonly #program: Program
  readonly #numbers: Numbers
  readonly #grads: readonly Tensor[]
  /** Where foreseen numbers go, and for steps of which kind. */
  readonly #placing: Placing | undefined
  readonly #kind: string | undefined
  readonly #isGuarded: boolean

  private constructor(
    { program, varying, variables, grads }: Recorded,
    { foreseen, guard }: StepFunctions,
    marked: Program,
  ) {
    this.#placing = foreseen && Placing.of(foreseen, program, marked)
    this.#kind = foreseen?.kind
    this.#isGuarded = guard !== undefined
    const backend = currentBackend()
    const plan = planOn(backend, program)
    if (plan === undefined) throw new BackendError(`the ${backend.name} backend runs this step op by op`)
    this.#program = program
    this.#plan = plan
    this.#numbers = new Numbers(varying, variables)
    this.#grads = grads.map(
      ({ shape, dtype, id }) => new Tensor(avalOf(shape, dtype), new Mark(id), this.#numbers),
    )
  }

  /** Whether steps on the current backend can be plans. */
  static get isPossible(): boolean {
    return hasPlans(currentBackend())
  }

  /**
   * Records a step. What `change` moves besides variables, such as counters, is for the caller to put back.
   * @throws BackendError where the step reads values, does not do the same twice, or is nothing for this backend.
   */
  static record(step: StepFunctions, batch: readonly Tensor[], putBack: () => void): StepPlan {
    const { foreseen } = step
    const first = record(step, batch, putBack)
    const second = record(step, batch, putBack, foreseen && marksFor(foreseen))
    const why = difference(first.program, second.program)
    if (why !== undefined) throw new BackendError(`the step is not the same every time: ${why}`)
    return new StepPlan(first, step, second.program)
  }

  /** Whether the step would be recorded as the same plan now. */
  isStill(step: StepFunctions, batch: readonly Tensor[], putBack: () => void): boolean {
    try {
      return difference(this.#program, record(step, batch, putBack).program) === undefined
    } catch {
      return false
    }
  }

  /** Computes; nothing outside of the plan has changed afterwards. */
  compute(batch: readonly Tensor[]): void {
    this.#plan.compute(batch)
  }

  /** The only values of so many of what is read, from the first on: at once where the device can. Before the change. */
  numbers(count: number): readonly number[] | Promise<readonly number[]> {
    return this.#plan.numbers(count)
  }

  /** Whether {@link changeBy} may follow without a look at the numbers, which are then read {@link later}. */
  canChangeUnseen(foreseen: Foreseen): boolean {
    return this.#isGuarded && this.#plan.later !== undefined && this.#isFor(foreseen)
  }

  /** As {@link numbers}, to be read when somebody asks. */
  later(count: number): Later {
    return this.#plan.later!(count)
  }

  /** What is read first, second, … as a tensor of its own. Before the change. */
  read(at: number): Tensor {
    return this.#plan.result(at)
  }

  /** Changes the variables; false, and nothing is changed, where that is not done by the same ops to the same variables. */
  change(change: (grads: readonly Tensor[]) => void): boolean {
    const numbers = this.#numbers.of(() => change(this.#grads))
    if (numbers === undefined) return false
    this.#plan.commit(numbers)
    return true
  }

  /** As {@link change}, by foreseen numbers; false, and nothing is changed, where steps of that kind are others. */
  changeBy(foreseen: Foreseen): boolean {
    if (!this.#isFor(foreseen)) return false
    this.#plan.commit(this.#placing!.slotsFor(foreseen.numbers))
    return true
  }

  #isFor({ kind }: Foreseen): boolean {
    return this.#placing !== undefined && kind === this.#kind
  }

  /** Gives variables what the computation itself assigned to them, for steps whose change is nothing. After all is asked for. */
  settle(): void {
    if (this.#program.assigned.length > 0) this.#plan.commit()
  }

  toString(): string {
    return String(this.#plan)
  }
}

interface Recorded {
  readonly program: Program
  readonly varying: readonly Happening[]
  readonly variables: ReadonlyMap<Variable, ValueId>
  readonly grads: readonly (Pick<Tensor, 'shape' | 'dtype'> & { readonly id: ValueId })[]
}

function record(
  step: StepFunctions,
  batch: readonly Tensor[],
  putBack: () => void,
  numbers?: readonly number[],
): Recorded {
  const capture = new Capture()
  try {
    return withBackend(capture, () => {
      const staged = batch.map((x, i) => new Tensor(x.aval, capture.argument(i, x.aval), capture))
      const { read, grads, isSound } = step.compute(staged)
      capture.varies()
      step.change(grads, numbers)
      const program = capture.finish(read)
      const { varying, variables } = capture
      return {
        program:
          step.guard === undefined || isSound === undefined
            ? program
            : guarded(program, capture.idOf(isSound), step.guard),
        varying,
        variables,
        grads: grads.map((g) => ({ shape: g.shape, dtype: g.dtype, id: capture.idOf(g) })),
      }
    })
  } finally {
    capture.restore()
    putBack()
  }
}

/** The handle of a value that has no value: which one of the recorded ones it stands for. */
class Mark {
  constructor(readonly id: ValueId | undefined) {}
}

const UNKNOWN = new Mark(undefined)

/** The backend that only listens to the numbers that ops are given, and to whether they are the ops that were recorded. */
class Numbers implements Backend {
  readonly name = 'plan'
  readonly #expected: readonly Happening[]
  readonly #marks: ReadonlyMap<Variable, Mark>
  readonly #read = new Map<Tensor, Variable>()
  #numbers: number[] = []
  #next = 0
  #isSame = true

  constructor(expected: readonly Happening[], variables: ReadonlyMap<Variable, ValueId>) {
    this.#expected = expected
    this.#marks = new Map([...variables].map(([variable, id]) => [variable, new Mark(id)]))
  }

  /** The numbers that the ops of `f` use; undefined where they are not the expected ops on the expected values. */
  of(f: () => void): readonly number[] | undefined {
    this.#numbers = []
    this.#next = 0
    this.#isSame = true
    this.#read.clear()
    withBackend(this, () => withoutRecording(f))
    return this.#isSame && this.#next === this.#expected.length ? this.#numbers : undefined
  }

  run(kernel: Kernel, inputs: readonly Stored[]): Handle {
    const expected = this.#expected[this.#next++]
    if (expected?.kind !== 'kernel' || !isSameKernel(kernel, expected.kernel)) return this.#differs()
    for (let i = 0; i < inputs.length; i++)
      if ((inputs[i]!.handle as Mark).id !== expected.inputs[i]) return this.#differs()
    if (kernel.kind === 'map') for (const param of kernel.params) this.#numbers.push(param)
    return new Mark(expected.out)
  }

  #differs(): Mark {
    this.#isSame = false
    return UNKNOWN
  }

  upload(values: HostArray, _aval: Aval): Handle {
    const expected = this.#expected[this.#next++]
    if (expected?.kind !== 'number' || values.length !== 1) return this.#differs()
    this.#numbers.push(values[0] as number)
    return new Mark(expected.out)
  }

  onRead(variable: Variable, value: Tensor): void {
    this.#read.set(value, variable)
  }

  adopt(x: Tensor): Handle {
    const variable = this.#read.get(x)
    return (variable && this.#marks.get(variable)) ?? this.#differs()
  }

  onAssign(variable: Variable, before: Tensor, next: Tensor): Tensor {
    const expected = this.#expected[this.#next++]
    const mark = (next.backend === this ? next.handle : this.adopt(next)) as Mark
    if (expected?.kind !== 'assign' || expected.variable !== variable || expected.value !== mark.id)
      this.#isSame = false
    return before
  }

  check(_x: Stored): void {
    this.#isSame = false
  }

  read(): Promise<HostArray> {
    return Promise.reject(new BackendError('values were read while a step changes variables'))
  }

  readSync(): HostArray {
    throw new BackendError('values were read while a step changes variables')
  }
}

function isSameKernel(a: Kernel, b: Kernel): boolean {
  if (a === b) return true
  return a.kind === 'map' ? b.kind === 'map' && a.fn === b.fn : exactJson(a) === exactJson(b)
}
