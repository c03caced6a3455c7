import { type Aval, avalOf } from './aval.js'
import type { Backend, Handle, Kernel, Prepared, Stored } from './backend.js'
import { isPortable } from './determinism.js'
import { floatx, type NumericDType } from './dtype.js'
import { DTypeError } from './errors.js'
import type { AnyRow } from './op.js'
import { checkSize, isList } from './shape.js'
import type { Tensor } from './tensor.js'
import { isRecord } from './tree.js'

// What an op makes of operands, and how, follows from their shapes and dtypes and from its attributes. It is worked out,
// and checked, when they come together for the first time, and looked up from then on.

/** An op, given the shapes and dtypes of its operands and its attributes. */
export class Signature {
  /** What the op makes. */
  readonly out: Aval<NumericDType>
  readonly #row: AnyRow
  readonly #inputs: readonly Aval[]
  readonly #kernel: Kernel
  /** The names and values of the attributes, in order. */
  readonly #names: readonly string[]
  readonly #values: readonly unknown[]
  /** On it depends what is made of whole numbers. */
  readonly #floatx = floatx()
  /** And on it what products are. */
  readonly #isPortable = isPortable()
  /** What the backend that ran it last has prepared. */
  #prepared: Prepared | undefined
  #backend: Backend | undefined

  /** @throws what the row's `infer` does; LimitError where the output would be too large; DTypeError for strings. */
  constructor(row: AnyRow, inputs: readonly Aval[], attrs: unknown) {
    this.#row = row
    this.#inputs = inputs
    const { shape, dtype } = row.infer(inputs, attrs)
    // Strings are for layers alone.
    this.out = avalOf(shape, dtype as NumericDType)
    checkSize(row.name, shape, dtype)
    this.#kernel = row.kernel(attrs, inputs, this.out)
    if (dtype === 'string' && this.#kernel.kind !== 'view') throw stringsStay(row.name)
    this.#names = isRecord(attrs) ? Object.keys(attrs) : []
    this.#values = isRecord(attrs) ? Object.values(attrs) : []
  }

  /** Whether it is for these attributes. */
  fits(attrs: unknown): boolean {
    if (this.#floatx !== floatx() || this.#isPortable !== isPortable()) return false
    if (this.#row.isParametric === true) return true
    let count = 0
    for (const name in attrs as Readonly<Record<string, unknown>>) {
      if (name !== this.#names[count]) return false
      if (!isSame((attrs as Readonly<Record<string, unknown>>)[name], this.#values[count])) return false
      count++
    }
    return count === this.#names.length
  }

  /** Starts computing and returns where the output will be. */
  run(backend: Backend, inputs: readonly Stored[], attrs: unknown): Handle {
    const kernel = this.#row.isParametric === true ? this.#row.kernel(attrs, inputs, this.out) : this.#kernel
    if (backend.prepare === undefined) return backend.run(kernel, inputs, this.out)
    if (backend !== this.#backend) {
      this.#prepared = backend.prepare(kernel, this.#inputs, this.out)
      this.#backend = backend
    }
    return this.#prepared!(inputs, kernel)
  }
}

function stringsStay(op: string): DTypeError {
  return new DTypeError(
    `${op}: strings are data for layers, and no op moves them or computes with them; take what you want of arraySync() ` +
      "and make a tensor of it with { dtype: 'string' }",
    { op },
  )
}

/** What is known of an op whose operands begin with certain shapes and dtypes. */
class Known {
  /** By the next operand. */
  readonly longer = new Map<Aval, Known>()
  /** Where there is none: one for each set of attributes. */
  readonly signatures: Signature[] = []
}

/** What is remembered of an op: up to so much, then all of it is forgotten. */
class Memory {
  static readonly #most = 1000
  #count = Memory.#most
  #root!: Known

  /** What is known of operands of these shapes and dtypes. */
  at(inputs: readonly Tensor[]): Known {
    if (this.#count >= Memory.#most) {
      this.#count = 0
      this.#root = new Known()
    }
    let at = this.#root
    for (let i = 0; i < inputs.length; i++) {
      const { aval } = inputs[i]!
      let next = at.longer.get(aval)
      if (next === undefined) {
        at.longer.set(aval, (next = new Known()))
        this.#count++
      }
      at = next
    }
    return at
  }

  add(at: Known, signature: Signature): void {
    at.signatures.push(signature)
    this.#count++
  }
}

const memories = new WeakMap<AnyRow, Memory>()

/** @throws what the row's `infer` does; LimitError where the output would be too large; DTypeError for strings. */
export function signatureOf(row: AnyRow, inputs: readonly Tensor[], attrs: unknown): Signature {
  let memory = memories.get(row)
  if (memory === undefined) memories.set(row, (memory = new Memory()))
  const at = memory.at(inputs)
  const { signatures } = at
  for (let i = 0; i < signatures.length; i++) if (signatures[i]!.fits(attrs)) return signatures[i]!
  const avals = inputs.map(({ aval }) => aval)
  if (!isRecord(attrs) || !Object.values(attrs).every((value) => isPlain(value, 2)))
    return new Signature(row, avals, attrs)
  // The caller may change its lists afterwards.
  const own = Object.fromEntries(Object.entries(attrs).map(([name, value]) => [name, copyOf(value)]))
  const signature = new Signature(row, avals, own)
  memory.add(at, signature)
  return signature
}

/** Shapes, axes and paddings are no longer. */
const LONGEST = 64

/** Whether it is a number or the like, or a short list of such, or of such lists: what is equal now will be so later. */
function isPlain(x: unknown, depth: number): boolean {
  if (isList(x)) return depth > 0 && x.length <= LONGEST && x.every((part) => isPlain(part, depth - 1))
  return (typeof x !== 'object' || x === null) && typeof x !== 'function'
}

function copyOf(x: unknown): unknown {
  return isList(x) ? x.map(copyOf) : x
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (!isList(a) || !isList(b) || a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!isSame(a[i], b[i])) return false
  return true
}
