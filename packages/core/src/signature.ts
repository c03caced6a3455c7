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
  readonly #attrs: unknown
  /** The names of the attributes, and their values, in order; once they are asked for. */
  #names: readonly string[] | undefined
  #values: readonly unknown[] = []
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
    this.#attrs = attrs
  }

  /** Whether it is for these attributes. */
  fits(attrs: unknown): boolean {
    if (this.#floatx !== floatx() || this.#isPortable !== isPortable()) return false
    if (this.#row.isParametric === true) return true
    if (this.#names === undefined) {
      this.#names = Object.keys(this.#attrs as object)
      this.#values = Object.values(this.#attrs as object)
    }
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

/** So many sets of attributes are remembered with operands; the oldest makes room for the next. */
const MOST_ATTRIBUTES = 4
/** After so many that were new, nothing more is expected of them: they may count something. */
const MOST_MISSES = 32

/** What is known of an op whose operands begin with certain shapes and dtypes. */
class Known {
  /** By the next operand. */
  longer: Map<Aval, Known> | undefined
  /** Where there is none: one for each of the latest sets of attributes. */
  readonly #signatures: Signature[] = []
  #misses = 0

  find(attrs: unknown): Signature | undefined {
    for (let i = 0; i < this.#signatures.length; i++) {
      const signature = this.#signatures[i]!
      if (!signature.fits(attrs)) continue
      this.#misses = 0
      return signature
    }
    return undefined
  }

  /** Whether a signature is worth being remembered here. */
  get isSteady(): boolean {
    return this.#misses < MOST_MISSES
  }

  add(signature: Signature): void {
    this.#signatures[this.#misses++ % MOST_ATTRIBUTES] = signature
  }
}

/** What is remembered of an op: up to so much, then all of it is forgotten. */
class Memory {
  static readonly #most = 4000
  #count = 0
  #root = new Known()

  /** What is known of operands of these shapes and dtypes. */
  at(inputs: readonly Tensor[]): Known {
    if (this.#count >= Memory.#most) {
      this.#count = 0
      this.#root = new Known()
    }
    let at = this.#root
    for (let i = 0; i < inputs.length; i++) {
      const { aval } = inputs[i]!
      at.longer ??= new Map()
      let next = at.longer.get(aval)
      if (next === undefined) {
        at.longer.set(aval, (next = new Known()))
        this.#count++
      }
      at = next
    }
    return at
  }
}

/** Ops on more operands are worked out every time. */
const MOST_OPERANDS = 16
const memories = new WeakMap<AnyRow, Memory>()

/** @throws what the row's `infer` does; LimitError where the output would be too large; DTypeError for strings. */
export function signatureOf(row: AnyRow, inputs: readonly Tensor[], attrs: unknown): Signature {
  if (inputs.length > MOST_OPERANDS) return new Signature(row, avalsOf(inputs), attrs)
  let memory = memories.get(row)
  if (memory === undefined) memories.set(row, (memory = new Memory()))
  const known = memory.at(inputs)
  if (!known.isSteady) return new Signature(row, avalsOf(inputs), attrs)
  const found = known.find(attrs)
  if (found !== undefined) return found
  const own = copyOfPlain(attrs)
  const signature = new Signature(row, avalsOf(inputs), own ?? attrs)
  if (own !== undefined) known.add(signature)
  return signature
}

function avalsOf(inputs: readonly Tensor[]): Aval[] {
  const avals: Aval[] = []
  for (let i = 0; i < inputs.length; i++) avals.push(inputs[i]!.aval)
  return avals
}

/** Attributes of which those that are equal now will be so later; undefined where that cannot be told. The caller may change its lists. */
function copyOfPlain(attrs: unknown): Record<string, unknown> | undefined {
  if (!isRecord(attrs)) return undefined
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(attrs)) {
    if (!isPlain(attrs[name], 2)) return undefined
    copy[name] = copyOf(attrs[name])
  }
  return copy
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
