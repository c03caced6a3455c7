import { type Backend, BackendError, type HostArray, Tensor, type Variable } from '@adjoint/core'
import { type Aval, avalOf, disposed, type Kernel, readNow } from '@adjoint/core/extend'
import type { Storage } from '../device.js'
import type { Operand } from '../kernels/launch.js'
import type { Arena, Part, Value, Values } from '../values.js'

/** A variable's place in an arena. */
export interface Placed {
  readonly variable: Variable
  readonly at: number
}

/** What plans ask of their backend about tensors. */
export class Tensors {
  readonly #values: Values
  readonly #backend: Backend
  /** Runs a kernel by itself. */
  readonly start: (kernel: Kernel, inputs: readonly Operand[], out: Aval) => Storage

  constructor(
    values: Values,
    backend: Backend,
    start: (kernel: Kernel, inputs: readonly Operand[], out: Aval) => Storage,
  ) {
    this.#values = values
    this.#backend = backend
    this.start = start
  }

  /** What the host knows of a tensor's values, not to be changed. */
  hostOf(x: Tensor): HostArray | undefined {
    if (x.isDisposed) throw disposed('compile', x)
    return x.backend === this.#backend ? (x.handle as Value).host : readNow(x.backend, x.handle, x)
  }

  /** Where a tensor's values are on the device: the tensor's own storage, or one of the caller's. */
  storageOf(x: Tensor): { readonly storage: Storage; readonly isOwn: boolean } {
    if (x.isDisposed) throw disposed('compile', x)
    if (x.backend === this.#backend) {
      const value = x.handle as Value
      this.#values.touch(value)
      return { storage: this.#values.storageOf(value, 'compile'), isOwn: false }
    }
    const host = readNow(x.backend, x.handle, x)
    if (host === undefined)
      throw new BackendError(
        `compile: a tensor on the ${x.backend.name} backend was used on ${this.#backend.name}; copy it with ` +
          'tensor(await x.data())',
        { op: 'compile' },
      )
    return { storage: this.#values.upload(host), isOwn: true }
  }

  /** A tensor of what the host has computed. */
  ofHost(host: HostArray, { shape, dtype }: Aval): Tensor {
    return new Tensor(avalOf(shape, dtype as 'float32'), this.#values.ofHost(host), this.#backend)
  }

  /** A tensor that takes a storage over. */
  own(storage: Storage, { shape, dtype }: Aval): Tensor {
    return new Tensor(avalOf(shape, dtype as 'float32'), this.#values.onDevice(storage), this.#backend)
  }

  /** Where a variable lies, if it lies in an arena. */
  partOf({ held }: Variable): Part | undefined {
    if (held.isDisposed) throw disposed('compile', held)
    return held.backend === this.#backend ? (held.handle as Value).block.part : undefined
  }

  /**
   * Lets variables lie in an arena, which is freed when the last has gone elsewhere.
   * @param areSame whether they have the same values there.
   */
  hold(arena: Arena, variables: readonly Placed[], areSame: boolean): void {
    for (const { variable, at } of variables) {
      const part: Part = { arena, at, length: variable.size }
      const { held } = variable
      const value = held.backend === this.#backend ? (held.handle as Value) : undefined
      if (!variable.isShared && value !== undefined && this.#values.move(value, part, areSame)) continue
      const made = this.#values.inArena(part, areSame ? this.hostOf(held) : undefined)
      this.#values.keep(made, value)
      if (areSame) made.block.read = value?.block.read
      variable.hold(new Tensor(variable.aval, made, this.#backend))
    }
  }

  /** Gives a variable values that the host has computed. */
  give(variable: Variable, host: HostArray): void {
    const { held } = variable
    const made = this.#values.ofHost(host)
    this.#values.keep(made, held.backend === this.#backend ? (held.handle as Value) : undefined)
    variable.hold(new Tensor(variable.aval, made, this.#backend))
  }
}
