/// <reference lib="esnext.disposable" />
import { abstractBackend } from './abstract.js'
import { type Aval, avalOf } from './aval.js'
import { type Backend, baseBackend, currentBackend, type Handle, readNow } from './backend.js'
import {
  allocate,
  checkDType,
  type DType,
  dtypeOfArray,
  floatx,
  type HostArray,
  type NumericArray,
  type NumericDType,
  type TypedArray,
} from './dtype.js'
import { BackendError, DisposedError, DTypeError, ShapeError, show, typeName, ValueError } from './errors.js'
import type { TensorMethods } from './methods.js'
import { checkOptions } from './options.js'
import { formatTensor, inspectTensor } from './print.js'
import { checkShape, formatShape, MAX_RANK, sameShape, type Sizes, sizeOf } from './shape.js'
import type { SlicedSizes, SliceWhere } from './slice-text.js'
import { onAssign, onRead } from './tape.js'

/** Lists of lists of `T`, as deep as the rank. */
export type Nested<T> = readonly T[] | readonly Nested<T>[]

/** What an op takes where it takes a tensor: numbers stand for scalars of the other operand's dtype. */
export type TensorLike = Tensor | number

const DISPOSED: Handle = Object.freeze({})

/**
 * An immutable array of numbers (or strings, as data). `D` is its dtype, `S` its shape with the batch.
 * Memory is given back by itself; `dispose()` and `using` only do so early.
 */
export class Tensor<out D extends DType = NumericDType, out S extends Sizes = Sizes> {
  declare readonly kind: 'tensor'
  /** @internal */
  declare readonly aval: Aval<D, S>
  /** Where its values are. @internal */
  declare handle: Handle
  /** The backend that `handle` belongs to. @internal */
  declare backend: Backend
  /** Where it was made on the tape, see tape.ts; -1 for nowhere. @internal */
  declare position: number

  /** @internal Use {@link tensor}, {@link zeros} and their like. */
  constructor(aval: Aval<D, S>, handle: Handle, backend: Backend) {
    this.aval = aval
    this.handle = handle
    this.backend = backend
    this.position = -1
  }

  get shape(): S {
    return this.aval.shape
  }

  get dtype(): D {
    return this.aval.dtype
  }

  get rank(): number {
    return this.shape.length
  }

  /** How many elements it has. */
  get size(): number {
    return sizeOf(this.shape)
  }

  /** The tensor whose values an op reads: itself, or what a variable holds. @internal */
  read(): Tensor<D, S> {
    return this
  }

  /** Whether it is a {@link Variable}. @internal */
  get isVariable(): boolean {
    return false
  }

  /** Whether it was disposed. */
  get isDisposed(): boolean {
    return this.handle === DISPOSED
  }

  /** A copy of the values, flat and row-major. bool as 0 and 1. */
  data(): Promise<D extends 'string' ? string[] : NumericArray> {
    this.#checkReadable('data')
    return this.backend.read(this.handle, this) as Promise<D extends 'string' ? string[] : NumericArray>
  }

  /** The values as nested lists, as deep as the rank; a scalar gives a number. bool as true and false. */
  async array(): Promise<unknown> {
    return nest(await this.data(), this.shape, this.dtype)
  }

  /** The only value. @throws ShapeError when there is not exactly one. */
  async item(): Promise<D extends 'string' ? string : number> {
    this.#checkSingle('item')
    return (await this.data())[0] as D extends 'string' ? string : number
  }

  /** As {@link data}, at once. @throws BackendError where the device reads back asynchronously only. */
  dataSync(): D extends 'string' ? string[] : NumericArray {
    this.#checkReadable('dataSync')
    const values = readNow(this.backend, this.handle, this)
    if (values === undefined)
      throw new BackendError(
        `dataSync: the ${this.backend.name} backend reads asynchronously; use await data()`,
        { op: 'dataSync' },
      )
    return values as D extends 'string' ? string[] : NumericArray
  }

  /** As {@link array}, at once. */
  arraySync(): unknown {
    return nest(this.dataSync(), this.shape, this.dtype)
  }

  /** As {@link item}, at once. */
  itemSync(): D extends 'string' ? string : number {
    this.#checkSingle('itemSync')
    return this.dataSync()[0] as D extends 'string' ? string : number
  }

  /** The same values, as a constant: no gradient flows through it. */
  detach(): Tensor<D, S> {
    const { aval, handle, backend } = this
    return new Tensor(aval, handle === DISPOSED ? handle : (backend.share?.(handle) ?? handle), backend)
  }

  /** As {@link detach}, for those who use it no longer than this. @internal */
  alias(): Tensor<D, S> {
    return new Tensor(this.aval, this.handle, this.backend)
  }

  /** Gives its memory back early. Its further use throws a DisposedError; disposing twice does nothing. */
  dispose(): void {
    if (this.handle === DISPOSED) return
    this.backend.release?.(this.handle)
    this.handle = DISPOSED
  }

  /** The values as NumPy prints them. */
  toString(): string {
    const values = this.#valuesToPrint()
    return values === undefined ? this.#outline() : formatTensor(values, this.shape, this.dtype)
  }

  /**
   * What `JSON.stringify` writes: the values as nested lists, which `tensor` reads again. JSON has neither NaN nor
   * Infinity and writes null for them. @throws BackendError where the device reads back asynchronously only.
   */
  toJSON(): unknown {
    return this.arraySync()
  }

  #valuesToPrint(): HostArray | undefined {
    const { handle, backend } = this
    if (handle === DISPOSED || backend === abstractBackend) return undefined
    return readNow(backend, handle, this)
  }

  #outline(): string {
    const why = this.isDisposed ? ', disposed' : `, values on ${this.backend.name}`
    return `tensor(shape ${formatShape(this.shape)}, ${this.dtype}${why})`
  }

  /** What the console shows. @internal */
  inspect(): string {
    const values = this.#valuesToPrint()
    return values === undefined ? this.#outline() : inspectTensor(values, this.shape, this.dtype)
  }

  #checkReadable(op: string): void {
    if (this.handle === DISPOSED) throw disposed(op, this)
  }

  #checkSingle(op: string): void {
    if (this.size !== 1)
      throw new ShapeError(`${op}: ${formatShape(this.shape)} holds ${this.size} values, not one`, { op })
  }
}

// On the prototype, so that making a tensor does not pay for it.
Object.defineProperty(Tensor.prototype, 'kind', { value: 'tensor' })
Object.defineProperty(Tensor.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: Tensor) {
    return this.inspect()
  },
})
if (typeof Symbol.dispose === 'symbol')
  Object.defineProperty(Tensor.prototype, Symbol.dispose, {
    value(this: Tensor) {
      this.dispose()
    },
  })

// The methods are put on the prototype by ops/index.ts.
export interface Tensor<out D extends DType, out S extends Sizes>
  extends Disposable, TensorMethods<Tensor, TensorLike> {
  /**
   * The slices along axis 0, one after another: `for (const row of x)`, `const [a, b] = x`. A scalar has none and is
   * not iterable.
   */
  [Symbol.iterator](): IterableIterator<Tensor>
  /** The part that NumPy's `x[text]` is, `x.slice('0, 1:-1, ::2, ..., None')`; or the block that begins at `where` and has `size`. */
  slice<const T extends string | readonly number[]>(
    where: SliceWhere<S, T>,
    size?: readonly number[],
  ): Tensor<D, SlicedSizes<S, T>>
}

export function disposed(op: string, tensor: Tensor<DType>): DisposedError {
  return new DisposedError(`${op}: the tensor ${formatShape(tensor.shape)} ${tensor.dtype} was disposed`, {
    op,
  })
}

/** @internal */
export function isDisposedHandle(handle: Handle): boolean {
  return handle === DISPOSED
}

/** A tensor that can be given another value of the same shape and dtype: a weight, an optimizer's slot, a counter. */
export class Variable<out D extends DType = NumericDType, out S extends Sizes = Sizes> extends Tensor<D, S> {
  #value: Tensor<D, S>
  /** Whether gradient tapes watch it and optimizers change it. */
  trainable: boolean
  readonly name: string
  /** Whether somebody may have kept the tensor that it holds. @internal */
  isShared = true

  /** @internal Use {@link variable}. */
  constructor(value: Tensor<D, S>, name: string, trainable: boolean) {
    super(value.aval, value.handle, value.backend)
    value.backend.keep?.(value.handle)
    this.#value = value
    this.name = name
    this.trainable = trainable
  }

  override read(): Tensor<D, S> {
    onRead(this, this.#value)
    const backend = currentBackend()
    // Where tensors are adopted, nobody keeps them.
    if (backend.adopt === undefined) this.isShared = true
    backend.onRead?.(this as unknown as Variable, this.#value as unknown as Tensor)
    return this.#value
  }

  override get isVariable(): boolean {
    return true
  }

  override detach(): Tensor<D, S> {
    this.isShared = true
    return super.detach()
  }

  /** What it holds, for those who do not keep it. @internal */
  get held(): Tensor<D, S> {
    return this.#value
  }

  /** Lets it hold the same values elsewhere. @internal */
  hold(value: Tensor<D, S>): void {
    this.#value = value
    this.handle = value.handle
    this.backend = value.backend
    this.isShared = false
  }

  override dispose(): void {
    this.#value.dispose()
    super.dispose()
  }

  /**
   * Gives it another value. What was computed from the old one, and gradients still to be taken of it, keep the old.
   * @throws ShapeError, DTypeError when the value has another shape or dtype.
   */
  assign(value: Tensor): void {
    const what = this.name === '' ? 'assign' : `assign to ${this.name}`
    if (!(value instanceof Tensor))
      throw new ValueError(`${what}: expected a tensor, got ${typeName(value)}`, { op: 'assign' })
    const next = value.read()
    if (!sameShape(next.shape, this.shape))
      throw new ShapeError(`${what}: expected ${formatShape(this.shape)}, got ${formatShape(next.shape)}`, {
        op: 'assign',
        shapes: [this.shape, next.shape],
      })
    if (next.dtype !== this.dtype)
      throw new DTypeError(`${what}: expected ${this.dtype}, got ${next.dtype}`, { op: 'assign' })
    if (next.isDisposed) throw disposed('assign', next)
    const held = this.#value as unknown as Tensor
    const kept = currentBackend().onAssign?.(this as unknown as Variable, held, next) ?? next
    if (kept === held) return
    this.#value = kept.detach() as Tensor<D, S>
    const { handle, backend } = this.#value
    backend.keep?.(handle, held.backend === backend ? held.handle : undefined)
    this.handle = handle
    this.backend = backend
    this.isShared = true
    onAssign(this, this.#value)
  }
}

/** Options of {@link tensor}. */
export interface TensorOptions<D extends DType = DType> {
  /** The shape of flat values; must hold as many. */
  readonly shape?: Sizes
  /** Default: the default float for lists, the array's own for typed arrays. */
  readonly dtype?: D
}

/**
 * A tensor of numbers: nested lists (their nesting is the shape), a typed array, or one number.
 * Booleans make a bool tensor; strings need `dtype: 'string'`. Values are copied.
 * @throws ShapeError for ragged lists; DTypeError for values that are no numbers; ValueError for numbers the dtype cannot hold.
 * @example tensor([[1, 2], [3, 4]]).shape // [2, 2]
 */
export function tensor<D extends DType = NumericDType>(
  values: number | boolean | TypedArray | Nested<number> | Nested<boolean> | Nested<string> | string,
  options: TensorOptions<D> = {},
): Tensor<D> {
  checkOptions<TensorOptions>('tensor', options, ['shape', 'dtype'])
  const dtype = options.dtype === undefined ? undefined : checkDType('tensor', options.dtype)
  const made = ArrayBuffer.isView(values) ? fromTypedArray(values, dtype) : fromNested(values, dtype)
  let shape: Sizes = made.shape
  if (options.shape !== undefined) {
    shape = checkShape('tensor', options.shape, made.dtype)
    if (sizeOf(shape) !== sizeOf(made.shape))
      throw new ShapeError(
        `tensor: ${sizeOf(made.shape)} values for shape ${formatShape(shape)}, which needs ${sizeOf(shape)}`,
        { op: 'tensor', shapes: [made.shape, shape] },
      )
  }
  return fromHost(made.values, shape, made.dtype) as Tensor<D>
}

/** Wraps host values that nobody else will change. */
export function fromHost(values: HostArray, shape: Sizes, dtype: DType): Tensor {
  const backend = dtype === 'string' ? baseBackend() : currentBackend()
  const aval = avalOf(shape, dtype as NumericDType)
  return new Tensor(aval, backend.upload(values, aval), backend)
}

/** Wraps host values that are made here, and again in every run of a plan that holds them. */
export function fromDraw(make: () => HostArray, shape: Sizes, dtype: DType): Tensor {
  const backend = currentBackend()
  if (backend.draw === undefined) return fromHost(make(), shape, dtype)
  const aval = avalOf(shape, dtype as NumericDType)
  return new Tensor(aval, backend.draw(make, aval), backend)
}

interface Made {
  readonly values: HostArray
  readonly shape: number[]
  readonly dtype: DType
}

function fromTypedArray(array: TypedArray, asked: DType | undefined): Made {
  const known = [
    Float32Array,
    Float64Array,
    Int32Array,
    Uint32Array,
    Int16Array,
    Uint16Array,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
  ]
  if (!known.some((type) => array instanceof type))
    throw new DTypeError(
      `tensor: cannot read ${typeName(array)}; use a typed array of at most 32-bit whole numbers or floats`,
    )
  const length = array.length
  // A detached buffer reads as length 0; where it was meant to be empty its buffer is not detached.
  if (length === 0 && isDetached(array.buffer)) throw new ValueError('tensor: the typed array is detached')
  const dtype = asked ?? dtypeOfArray(array)
  if (dtype === 'string') throw new DTypeError('tensor: a typed array holds no strings')
  const values = allocate(dtype, length)
  copyNumbers(array, values, dtype)
  return { values, shape: [length], dtype }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength > 0) return false
  try {
    return new Uint8Array(buffer).length < 0
  } catch {
    return true
  }
}

function copyNumbers(from: ArrayLike<number>, to: NumericArray, dtype: DType): void {
  for (let i = 0; i < to.length; i++) {
    const value = from[i]!
    to[i] = value
    if (!holds(dtype, value)) throw cannotHold(dtype, value, [i])
  }
}

function holds(dtype: DType, value: number): boolean {
  switch (dtype) {
    case 'int32':
      return (value | 0) === value
    case 'uint8':
      return (value & 255) === value
    case 'bool':
      return value === 0 || value === 1
    default:
      return true
  }
}

function cannotHold(dtype: DType, value: number, index: readonly number[]): ValueError {
  return new ValueError(`tensor: ${dtype} cannot hold ${show(value)} at index ${formatIndex(index)}`, {
    op: 'tensor',
  })
}

/** Reads nested lists iteratively enough for any depth: the rank limit stops before the stack does. */
function fromNested(values: unknown, asked: DType | undefined): Made {
  const shape = outerShape(values)
  checkShape('tensor', shape, asked ?? floatx())
  const expected = expectedType(firstOf(values), asked)
  const flat: unknown[] = []
  const index: number[] = []
  const copy = (node: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (Array.isArray(node))
        throw new ShapeError(`tensor: a list at index ${formatIndex(index)} where a value was expected`, {
          op: 'tensor',
        })
      // At once: a list may claim any length and hold nothing.
      if (typeof node !== expected) throw notExpected(node, expected, index)
      flat.push(node)
      return
    }
    if (!Array.isArray(node))
      throw new ShapeError(
        `tensor: ${show(node)} at index ${formatIndex(index)} where a list of ${shape[axis]} was expected`,
        { op: 'tensor' },
      )
    const length = node.length
    if (length !== shape[axis])
      throw new ShapeError(
        `tensor: ragged: the list at index ${formatIndex(index)} has length ${length}, others have ${shape[axis]}`,
        { op: 'tensor' },
      )
    for (let i = 0; i < length; i++) {
      index.push(i)
      copy(node[i], axis + 1)
      index.pop()
    }
  }
  copy(values, 0)
  return readValues(flat, shape, asked)
}

function firstOf(values: unknown): unknown {
  let node = values
  while (Array.isArray(node)) node = node[0] as unknown
  return node
}

/** What all values must be. */
function expectedType(first: unknown, asked: DType | undefined): 'string' | 'boolean' | 'number' {
  if (asked === 'string') return 'string'
  return typeof first === 'boolean' ? 'boolean' : 'number'
}

function notExpected(value: unknown, expected: string, index: readonly number[]): DTypeError {
  const hint = expected === 'boolean' ? ', as at the start' : ''
  const way = typeof value === 'string' ? "; for a tensor of strings pass { dtype: 'string' }" : ''
  const where = index.length > 0 ? ` at index ${formatIndex(index)}` : ''
  const isNothing = value === null || value === undefined
  const got = isNothing ? `${value}` : `${typeName(value)} (${show(value)})`
  return new DTypeError(`tensor: expected a ${expected}${hint}, got ${got}${where}${way}`, { op: 'tensor' })
}

function outerShape(values: unknown): number[] {
  const shape: number[] = []
  for (let node = values; Array.isArray(node); node = node[0] as unknown) {
    if (shape.length === MAX_RANK)
      throw new ShapeError(`tensor: lists are nested deeper than the rank limit of ${MAX_RANK}`, {
        op: 'tensor',
      })
    shape.push(node.length)
    if (node.length === 0) break
  }
  return shape
}

function readValues(flat: readonly unknown[], shape: readonly number[], asked: DType | undefined): Made {
  if (asked === 'string') return { values: flat as string[], shape: [...shape], dtype: 'string' }
  const dtype = asked ?? (typeof flat[0] === 'boolean' ? 'bool' : floatx())
  const values = allocate(dtype, flat.length)
  for (let i = 0; i < flat.length; i++) {
    const value = Number(flat[i])
    if (!holds(dtype, value)) throw cannotHold(dtype, value, unflatten(i, shape))
    values[i] = value
  }
  return { values, shape: [...shape], dtype }
}

/** The index along each axis of the element at flat position `at`. */
export function unflatten(at: number, shape: Sizes): number[] {
  const index = new Array<number>(shape.length)
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const side = shape[axis]!
    index[axis] = side === 0 ? 0 : at % side
    at = side === 0 ? 0 : Math.floor(at / side)
  }
  return index
}

export function formatIndex(index: readonly number[]): string {
  return `[${index.join(', ')}]`
}

function nest(data: ArrayLike<number> | readonly string[], shape: Sizes, dtype: DType): unknown {
  let at = 0
  const build = (axis: number): unknown => {
    if (axis === shape.length) {
      const value = data[at++]!
      return dtype === 'bool' ? value === 1 : value
    }
    return Array.from({ length: shape[axis]! }, () => build(axis + 1))
  }
  return build(0)
}

/** A tensor of rank 0. */
export function scalar(value: number, dtype?: NumericDType): Tensor {
  return tensor(value, dtype === undefined ? {} : { dtype })
}

/** All elements `value`. */
export function full(shape: Sizes, value: number, dtype: NumericDType = floatx()): Tensor {
  return filled('full', shape, value, dtype)
}

export function zeros(shape: Sizes, dtype: NumericDType = floatx()): Tensor {
  return filled('zeros', shape, 0, dtype)
}

export function ones(shape: Sizes, dtype: NumericDType = floatx()): Tensor {
  return filled('ones', shape, 1, dtype)
}

export function zerosLike(x: Tensor): Tensor {
  return filled('zerosLike', shapeOf('zerosLike', x), 0, x.dtype)
}

export function onesLike(x: Tensor): Tensor {
  return filled('onesLike', shapeOf('onesLike', x), 1, x.dtype)
}

function shapeOf(op: string, x: unknown): Sizes {
  if (x instanceof Tensor) return x.shape as Sizes
  throw new ValueError(`${op}: expected a tensor, got ${show(x)}`, { op })
}

function filled(op: string, shape: unknown, value: number, dtype: DType): Tensor {
  checkDType(op, dtype)
  const sides = checkShape(op, shape, dtype)
  if (typeof value !== 'number')
    throw new DTypeError(`${op}: expected a number, got ${typeName(value)}`, { op })
  if (!holds(dtype, value)) throw new ValueError(`${op}: ${dtype} cannot hold ${show(value)}`, { op })
  const values = allocate(dtype, sizeOf(sides))
  return fromHost(value === 0 ? values : values.fill(value), sides, dtype)
}

/** The [n, m] matrix with ones on its diagonal (m = n unless given). */
export function eye(n: number, m: number = n, dtype: NumericDType = floatx()): Tensor {
  const shape = checkShape('eye', [n, m], checkDType('eye', dtype))
  const values = allocate(dtype, n * m)
  for (let i = 0; i < Math.min(n, m); i++) values[i * m + i] = 1
  return fromHost(values, shape, dtype)
}

/** start, start + step, … up to but without stop. With one argument: 0, 1, … stop - 1. */
export function arange(
  start: number,
  stop?: number,
  step: number = 1,
  dtype: NumericDType = floatx(),
): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  if (!Number.isFinite(from) || !Number.isFinite(to) || !Number.isFinite(step) || step === 0)
    throw new ValueError(`arange: from ${show(from)} to ${show(to)} by ${show(step)} is no finite range`, {
      op: 'arange',
    })
  const shape = checkShape(
    'arange',
    [Math.max(0, Math.ceil((to - from) / step))],
    checkDType('arange', dtype),
  )
  const values = allocate(dtype, shape[0]!)
  for (let i = 0; i < values.length; i++) {
    values[i] = from + i * step
    if (!holds(dtype, from + i * step)) throw cannotHold(dtype, from + i * step, [i])
  }
  return fromHost(values, shape, dtype)
}

/** `count` numbers from start to stop, both included, evenly spaced. */
export function linspace(
  start: number,
  stop: number,
  count: number = 50,
  dtype: NumericDType = floatx(),
): Tensor {
  if (!Number.isFinite(start) || !Number.isFinite(stop))
    throw new ValueError(`linspace: from ${show(start)} to ${show(stop)} is no finite range`, {
      op: 'linspace',
    })
  const shape = checkShape('linspace', [count], checkDType('linspace', dtype))
  const values = allocate(dtype, count)
  for (let i = 0; i < count; i++)
    values[i] = i === count - 1 && i > 0 ? stop : start + (i * (stop - start)) / (count - 1 || 1)
  return fromHost(values, shape, dtype)
}

/** A variable that starts as `init`. */
export function variable(
  init: Tensor | Nested<number> | number,
  options: { readonly name?: string; readonly trainable?: boolean; readonly dtype?: NumericDType } = {},
): Variable {
  checkOptions('variable', options, ['name', 'trainable', 'dtype'])
  const value =
    init instanceof Tensor
      ? init.detach()
      : tensor(init, options.dtype === undefined ? {} : { dtype: options.dtype })
  return new Variable(value, options.name ?? '', options.trainable ?? true)
}
