import { callSite } from '../anomaly.js'
import type { Aval } from '../aval.js'
import type { Backend, Handle, Kernel, Stored } from '../backend.js'
import type { HostArray } from '../dtype.js'
import { BackendError } from '../errors.js'
import { sameShape } from '../shape.js'
import { Tensor, Variable } from '../tensor.js'
import { knownValuesOf } from './home.js'
import type { Check, Program, Source, ValueId } from './program.js'

/** The handle of a value while a program is captured. */
class Captured {
  constructor(
    readonly id: ValueId,
    readonly capture: Capture,
  ) {}
}

/** What a change of variables does: runs a kernel, takes a number, or assigns. */
export type Happening =
  | {
      readonly kind: 'kernel'
      readonly kernel: Kernel
      readonly inputs: readonly ValueId[]
      readonly out: ValueId
    }
  | { readonly kind: 'number'; readonly out: ValueId }
  | { readonly kind: 'assign'; readonly variable: Variable; readonly value: ValueId }

/** The backend that computes nothing and writes down what would have been computed. */
export class Capture implements Backend {
  readonly name = 'plan'
  readonly #values: (Aval & { readonly source: Source })[] = []
  readonly #checks: Check[] = []
  /** What was used from outside: constants by their handles, variables by themselves. */
  readonly #adopted = new Map<Handle | Variable, Captured>()
  /** The variables that were read, by the very tensors they hold: another tensor of the same values is a constant. */
  readonly #variables = new Map<Tensor, Variable>()
  /** What variables held before they were assigned to. */
  readonly #before = new Map<Variable, Tensor>()
  readonly #scalars = new Map<string, Captured>()
  /** Which kernels ran, and which variables were assigned to, since {@link varies}. */
  readonly #varying: Happening[] = []
  #varies = false
  #slotCount = 0

  #add(aval: Aval, source: Source): Captured {
    const id = this.#values.push({ shape: aval.shape, dtype: aval.dtype, source }) - 1
    return new Captured(id, this)
  }

  /** From here on numbers are others in every run: they get slots, in the order in which they come. */
  varies(): void {
    this.#varies = true
  }

  /** The numbers of the variables that were read. */
  get variables(): ReadonlyMap<Variable, ValueId> {
    const ids = new Map<Variable, ValueId>()
    this.#values.forEach(({ source }, id) => {
      if (source.kind === 'variable') ids.set(source.variable, id)
    })
    return ids
  }

  /** What happened since: kernels that ran, and variables that were assigned to. */
  get varying(): readonly Happening[] {
    return this.#varying
  }

  run(kernel: Kernel, inputs: readonly Stored[], out: Aval): Handle {
    const ids = inputs.map((x) => this.idOf(x))
    if (!this.#varies) return this.#add(out, { kind: 'kernel', kernel, inputs: ids })
    const slots =
      kernel.kind === 'map' && kernel.params.length > 0
        ? { slots: kernel.params.map(() => this.#slotCount++) }
        : {}
    const made = this.#add(out, { kind: 'kernel', kernel, inputs: ids, ...slots })
    this.#varying.push({ kind: 'kernel', kernel, inputs: ids, out: made.id })
    return made
  }

  upload(values: HostArray, aval: Aval): Handle {
    if (this.#varies && values.length > 1)
      throw new BackendError('a change of variables is made from arrays, which could be others in every step')
    if (this.#varies && values.length === 1) {
      const made = this.#add(aval, { kind: 'constant', values, slot: this.#slotCount++ })
      this.#varying.push({ kind: 'number', out: made.id })
      return made
    }
    if (values.length !== 1) return this.#add(aval, { kind: 'constant', values })
    const key = `${aval.dtype} ${aval.shape.join()} ${Object.is(values[0], -0) ? '-0' : values[0]}`
    let known = this.#scalars.get(key)
    if (known === undefined) this.#scalars.set(key, (known = this.#add(aval, { kind: 'constant', values })))
    return known
  }

  /** The place of a tensor that was made outside: a variable's value, or a constant. */
  adopt(x: Tensor): Handle {
    const variable = this.#variables.get(x)
    const key = variable ?? x.handle
    let known = this.#adopted.get(key)
    if (known === undefined) {
      known = this.#add(x, variable === undefined ? outside(x) : { kind: 'variable', variable })
      this.#adopted.set(key, known)
    }
    // Views of one another share their handle.
    return sameShape(this.#values[known.id]!.shape, x.shape)
      ? known
      : this.#add(x, { kind: 'kernel', kernel: { kind: 'view' }, inputs: [known.id] })
  }

  /** Numbers that are made anew in every run. */
  draw(make: () => HostArray, aval: Aval): Handle {
    return this.#add(aval, { kind: 'drawn', make })
  }

  argument(index: number, aval: Aval): Handle {
    return this.#add(aval, { kind: 'argument', index })
  }

  onRead(variable: Variable, value: Tensor): void {
    if (value.backend !== this) this.#variables.set(value, variable)
  }

  onAssign(variable: Variable, before: Tensor, next: Tensor): Tensor {
    if (!this.#before.has(variable)) this.#before.set(variable, before)
    const kept = next.backend === this ? next : new Tensor(next.aval, this.adopt(next), this)
    if (this.#varies) this.#varying.push({ kind: 'assign', variable, value: this.idOf(kept) })
    return kept
  }

  check(x: Stored, limit: number, fail: (value: number, at: number) => Error): void {
    this.#checks.push({ value: this.idOf(x), limit, fail })
  }

  read(): Promise<HostArray> {
    return Promise.reject(noValues())
  }

  readSync(): HostArray {
    throw noValues()
  }

  /** The number of a value that was made here. */
  idOf(x: Stored): ValueId {
    const { handle } = x
    if (!(handle instanceof Captured) || handle.capture !== this)
      throw new BackendError(
        'a tensor that was made while another plan was recorded was kept and used afterwards',
      )
    return handle.id
  }

  /** The program so far, and variables as they were before. */
  finish(results: readonly Tensor[]): Program {
    const ids = results.map((x) => this.idOf({ shape: x.shape, dtype: x.dtype, handle: this.#handleOf(x) }))
    const assigned = [...this.#before.keys()].map((variable) => {
      const value = variable.read()
      return {
        variable,
        value: this.idOf({ shape: value.shape, dtype: value.dtype, handle: this.#handleOf(value) }),
      }
    })
    return { values: this.#values, checks: this.#checks, results: ids, assigned, slotCount: this.#slotCount }
  }

  #handleOf(x: Tensor): Handle {
    const value = x.read()
    return value.backend === this ? value.handle : this.adopt(value)
  }

  /** Gives variables back what they held before the capture. */
  restore(): void {
    for (const [variable, before] of this.#before) variable.assign(before)
  }
}

/** A tensor from outside: a constant, or, where a device alone has its values, a variable that nobody changes. */
function outside(x: Tensor): Source {
  const values = knownValuesOf(x)
  if (values !== undefined) return { kind: 'constant', values: values.slice() }
  let variable = onDevices.get(x.handle)
  if (variable === undefined) {
    variable = new Variable(x.detach(), '(a tensor from outside)', false)
    onDevices.set(x.handle, variable)
  }
  return { kind: 'variable', variable }
}
const onDevices = new WeakMap<Handle, Variable>()

function noValues(): BackendError {
  return new BackendError(
    `a value was read while a plan was being recorded, at ${callSite()}: there are no numbers yet, and what depends on them would be ` +
      'the same in every call; compute with tensors, or do without compile',
  )
}
