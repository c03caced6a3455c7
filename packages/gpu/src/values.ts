import { DisposedError, type HostArray } from '@adjoint/core'
import type { Handle, MemoryScope } from '@adjoint/core/extend'
import type { Device, Storage } from './device.js'
import { copy } from './kernels/movement.js'

/** V8 collects by the memory it knows of: each value on the device weighs on the host at least so much. */
const LEAST_WEIGHT = 2048
const MOST_WEIGHT = 2 ** 22

/** A storage in which plans keep several values. */
export interface Arena {
  readonly storage: Storage
  /** How many values are there. */
  users: number
}

/** So many numbers of an arena, from `at` on. */
export interface Part {
  readonly arena: Arena
  readonly at: number
  readonly length: number
}

/** What several handles may share: on the device, on the host, or both. */
interface Block {
  /** What was made of host data stays there too: it can be read at once, and indices can be checked. */
  host: HostArray | undefined
  /** What was read of it, where a variable holds it. */
  read?: HostArray | undefined
  /** Whether a variable holds it, or did so. */
  isKept?: boolean
  storage: Storage | undefined
  /** Where plans keep it: it gets a storage of its own when anything else reads it. */
  part?: Part | undefined
  /** As the CPU's kernels take it. */
  cpu: Handle | undefined
  /** How many values hold the storage. */
  users: number
}

/** The handle of a tensor. */
export class Value {
  readonly block: Block
  /** Whether it holds the block's storage. */
  holds = false
  /** Where it belongs: undefined for the garbage collector alone. */
  scope: Scope | undefined
  /** Whether it is to be left alone when a variable gets another value. */
  isPinned = false
  /** What the host last knew of those it stands in the place of. */
  copy: HostArray | undefined
  /** Never touched; memory of the host that stands for memory of the device, so that collections come in time. */
  weight: ArrayBuffer | undefined

  constructor(block: Block, scope: Scope | undefined) {
    this.block = block
    this.scope = scope
  }

  get host(): HostArray | undefined {
    return this.block.host
  }

  /** What the host knows of it as it is, and else as it was. */
  get last(): HostArray | undefined {
    return this.block.host ?? this.block.read ?? this.copy
  }
}

/** What scopes within a scope, or within none, have left. */
interface Around {
  /** Of the scope that was closed last: code of the user's may hold some of it, and use it right away. */
  leftovers: readonly Value[]
}

class Scope implements MemoryScope, Around {
  readonly made: Value[] = []
  leftovers: readonly Value[] = []
  isOpen = true

  readonly #values: Values
  readonly #parent: Scope | undefined

  constructor(values: Values, parent: Scope | undefined) {
    this.#values = values
    this.#parent = parent
  }

  /** The one around it, of those that are still open. */
  get parent(): Scope | undefined {
    const parent = this.#parent
    return parent?.isOpen === false ? parent.parent : parent
  }

  run<R>(work: () => R): R {
    return this.#values.within(this, work)
  }

  keep(handle: Handle): void {
    if (handle instanceof Value) this.#values.keepFrom(this, handle)
  }

  close(atOnce: boolean = false): void {
    this.#values.close(this, atOnce)
  }
}

/**
 * The values on one device, and when their memory comes back: when their scope is closed; where there is none, or where
 * they were kept, when the garbage collector finds that nobody has them.
 */
export class Values {
  readonly #device: Device
  readonly #outside: Around = { leftovers: [] }
  #current: Scope | undefined
  readonly #unreachable = new FinalizationRegistry<Block>((block) => {
    this.#drop(block)
  })

  constructor(device: Device) {
    this.#device = device
    device.onShortage = () => {
      this.#giveBackAll(this.#outside.leftovers)
      for (let scope = this.#current; scope !== undefined; scope = scope.parent)
        this.#giveBackAll(scope.leftovers)
    }
  }

  // ---- making

  ofHost(host: HostArray): Value {
    return new Value({ host, storage: undefined, cpu: undefined, users: 0 }, this.#current)
  }

  onDevice(storage: Storage): Value {
    const value = new Value({ host: undefined, storage, cpu: undefined, users: 0 }, this.#current)
    this.#claim(value)
    return value
  }

  /** A value that plans keep, which is in no scope. */
  inArena(part: Part, host: HostArray | undefined): Value {
    part.arena.users++
    const value = new Value({ host, storage: undefined, part, cpu: undefined, users: 0 }, undefined)
    this.#claim(value)
    return value
  }

  /**
   * Has a value be what lies elsewhere, of the same values or of others; false, and nothing is done, where somebody else
   * has the value.
   */
  move(value: Value, part: Part, areSame: boolean): boolean {
    const { block } = value
    if (block.part === undefined || block.users > 1 || value.isPinned || !value.holds) return false
    this.#empty(block)
    part.arena.users++
    block.part = part
    if (!areSame) {
      value.copy = value.last
      block.host = undefined
      block.read = undefined
      block.cpu = undefined
    }
    return true
  }

  share({ block, host, holds }: Value): Value {
    const value = new Value(block, this.#current)
    if (holds) this.#claim(value)
    else if (host === undefined) throw gone('detach')
    return value
  }

  // ---- using

  upload(host: HostArray): Storage {
    return this.#device.upload(asFloats(host))
  }

  /** @throws DisposedError where its memory was given back. */
  storageOf(value: Value, op: string): Storage {
    const { block } = value
    if (!value.holds) {
      if (block.storage === undefined) {
        if (block.host === undefined) throw gone(op)
        block.storage = this.upload(block.host)
      }
      this.#claim(value)
    }
    if (block.storage === undefined) {
      const { arena, at, length } = block.part!
      block.storage = copy(this.#device, arena.storage, at, [1], [length])
    }
    return block.storage
  }

  /** A value that is used after its scope was closed is somebody's: it is not given back with the rest. */
  touch(value: Value): void {
    const { scope } = value
    if (scope === undefined || scope.isOpen || !value.holds) return
    if (scope.parent !== undefined && scope.parent === this.#current) this.#move(value, this.#current)
    else this.#move(value, undefined)
  }

  #claim(value: Value): void {
    value.holds = true
    value.block.users++
    const { scope } = value
    this.#move(value, scope === undefined || scope.isOpen ? scope : this.#current)
  }

  /** Makes it belong to `scope`. */
  #move(value: Value, scope: Scope | undefined): void {
    value.scope = scope
    if (scope !== undefined) {
      scope.made.push(value)
      return
    }
    const { length } = value.block.storage ?? value.block.part!
    value.weight = new ArrayBuffer(Math.min(Math.max(length * 4, LEAST_WEIGHT), MOST_WEIGHT))
    this.#unreachable.register(value, value.block, value)
  }

  // ---- giving back

  giveBack(value: Value): void {
    if (!value.holds) return
    value.holds = false
    value.weight = undefined
    if (value.scope === undefined) this.#unreachable.unregister(value)
    this.#drop(value.block)
  }

  #drop(block: Block): void {
    if (--block.users === 0) this.#empty(block)
  }

  #empty(block: Block): void {
    if (block.storage !== undefined) this.#device.free(block.storage)
    block.storage = undefined
    const { part } = block
    block.part = undefined
    if (part !== undefined && --part.arena.users === 0) this.#device.free(part.arena.storage)
  }

  // ---- scopes

  open(): Scope {
    return new Scope(this, this.#current)
  }

  within<R>(scope: Scope, work: () => R): R {
    const before = this.#current
    this.#current = scope
    try {
      return work()
    } finally {
      this.#current = before
    }
  }

  keepFrom(scope: Scope, value: Value): void {
    const owner = value.scope
    if (owner === undefined || (owner !== scope && owner.isOpen)) return
    if (value.holds) this.#move(value, scope.parent)
    else value.scope = scope.parent
  }

  keep(value: Value, before: Value | undefined): void {
    value.block.isKept = true
    if (before !== undefined) {
      value.copy = before.last
      this.#replaced(before)
    }
    if (value.scope === undefined) return
    if (value.holds) this.#move(value, undefined)
    else value.scope = undefined
  }

  /** The scope that is running gives back what a variable has held until now. */
  #replaced(value: Value): void {
    if (this.#current === undefined || value.scope !== undefined || value.isPinned || !value.holds) return
    this.#unreachable.unregister(value)
    value.weight = undefined
    this.#move(value, this.#current)
  }

  close(scope: Scope, atOnce: boolean): void {
    if (!scope.isOpen) return
    scope.isOpen = false
    const left = [...scope.leftovers, ...scope.made].filter((value) => isLeft(value))
    if (atOnce) {
      this.#giveBackAll(left)
      return
    }
    const around = scope.parent ?? this.#outside
    this.#giveBackAll(around.leftovers)
    around.leftovers = left
  }

  #giveBackAll(left: readonly Value[]): void {
    for (const value of left) if (isLeft(value)) this.giveBack(value)
  }
}

/** Whether its scope was closed and nobody has used it since. */
function isLeft({ holds, scope }: Value): boolean {
  return holds && scope?.isOpen === false
}

/** As devices hold numbers. */
function asFloats(values: HostArray): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>)
}

function gone(op: string): DisposedError {
  return new DisposedError(
    `${op}: the values were made in a gradient, a training step or scope, and their memory was given back when the ` +
      'next one ended; return them, assign them to a variable, or keep(x) them',
    { op },
  )
}
