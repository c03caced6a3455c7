import {
  DataError,
  type DType,
  DTypeError,
  type HostArray,
  NonFiniteError,
  type NumericArray,
  type Shape,
  ShapeError,
  Tensor,
  type TypedArray,
  ValueError,
} from '@adjoint/core'
import {
  allocate,
  formatShape,
  fromHost,
  isFloat,
  show,
  sizeOf,
  stridesOf,
  typeName,
  valuesOf as valuesAtHand,
  currentBackend,
} from '@adjoint/core/extend'
import { isSymbolic } from '../symbolic.js'
import { checkShaped, isColumnData, isShapedData, valuesOf } from './columns.js'

/**
 * All rows for one input or output: one flat array of our own, row after row. Batches are views of it, or rows
 * gathered by their index.
 */
export interface Column {
  /** How messages call it: `input "price"`. */
  readonly name: string
  readonly dtype: DType
  readonly rows: number
  /** The shape of one row. */
  readonly rowShape: readonly number[]
  readonly values: HostArray
  /** For targets of which some are missing: 1 where there is one, 0 where not. */
  readonly mask?: Column
  readonly lent?: Lent | undefined
}

/** A tensor whose values were not copied: where a column still has them, it is all of its rows. */
interface Lent {
  readonly tensor: Tensor<DType>
  /** Good until the next op runs. */
  readonly values: HostArray
}

/** Data as it was given, its values copied, or still to come from a device that reads asynchronously. */
export interface Captured {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly values: HostArray | Promise<HostArray>
  /** The tensor whose values these are, not copied: good until the next op runs. */
  readonly lent?: Tensor<DType>
}

/** What a column must hold. */
export interface ColumnSpec {
  readonly op: string
  readonly name: string
  readonly dtype: DType
  /** The shape of one row, null where any side will do; undefined where any shape will do. */
  readonly rowShape: Shape | undefined
  /** Where a flat list stands for values of another shape, for messages. */
  readonly shape?: readonly number[]
  /** Whether null may stand for what is missing; it becomes NaN. */
  readonly allowsNull?: boolean
}

/**
 * Copies data into one flat array, before any await, so that its owner may change it afterwards. Nested lists are
 * checked to be rectangular and to hold numbers (or strings, for a string input).
 * @param lends whether tensors are used before anything else runs, so that their values need not be copied.
 */
export function capture(spec: ColumnSpec, given: unknown, lends: boolean = false): Captured {
  const { op, name, dtype } = spec
  const what = `${op}: ${name}`
  if (isShapedData(given)) return captureShaped(spec, given.data, checkShaped(what, given))
  const data = listed(what, given)
  if (data instanceof Tensor) return captureTensor(spec, data as Tensor<DType>, lends)
  if (isSymbolic(data))
    throw new DataError(
      `${op}: ${name} is the symbolic tensor ${show(data.name)}; data must be arrays or tensors`,
    )
  if (!isList(data)) throw notNumbers(spec, data)
  if (dtype === 'string') return captureStrings(spec, data)
  if (ArrayBuffer.isView(data)) {
    const values = allocate(dtype, data.length)
    copyNumbers(spec, data as ArrayLike<number>, values, [data.length])
    return { name, shape: [data.length], dtype, values }
  }
  const shape = outerShape(data)
  const values = allocate(dtype, sizeOf(shape))
  // Whatever is not plain is told, or read in another way, by the longer one.
  if (!copyPlain(data, shape, 0, dtype, values, 0))
    flatten(spec, data, shape, (value, at) => {
      values[at] = asNumber(spec, value, at, shape)
    })
  return { name, shape, dtype, values }
}

/** Lists in the place of columns, also of columns that stand for rows. */
function listed(what: string, data: unknown): unknown {
  if (isColumnData(data)) return listed(what, valuesOf(what, data))
  if (!Array.isArray(data) || !isColumnData(data[0])) return data
  return data.map((row: unknown) => (isColumnData(row) ? listed(what, row) : row))
}

function captureShaped(spec: ColumnSpec, data: ArrayLike<unknown>, shape: readonly number[]): Captured {
  if (!isList(data)) throw notNumbers(spec, data)
  const { name } = spec
  // Its values are checked as a list's are, and told by their place in the shape.
  const flat = capture({ ...spec, shape }, data)
  return { ...flat, name, shape }
}

function isList(value: unknown): value is ArrayLike<unknown> & object {
  if (Array.isArray(value)) return true
  return ArrayBuffer.isView(value) && !NOT_NUMBERS.some((type) => value instanceof type)
}

function notNumbers({ op, name }: ColumnSpec, data: unknown): DTypeError {
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array
  const hint = isBig ? '; give Float64Array.from(values, Number)' : ''
  return new DTypeError(
    `${op}: ${name} must be an array or a tensor, got ${typeName(data)} (${show(data)})${hint}`,
  )
}

const NOT_NUMBERS = [DataView, BigInt64Array, BigUint64Array]

function captureTensor(spec: ColumnSpec, data: Tensor<DType>, lends: boolean): Captured {
  const { op, name, dtype } = spec
  if ((data.dtype === 'string') !== (dtype === 'string'))
    throw new DTypeError(`${op}: ${name} expects ${dtype}, got a ${data.dtype} tensor`)
  if (data.rank === 0)
    throw new ShapeError(`${op}: ${name} needs rows, got a scalar tensor`, { shapes: [[]] })
  const { shape } = data
  const given = { name, shape, dtype }
  if (lends && dtype !== 'string' && data.dtype === dtype && isAtHand(data))
    return new CapturedTensor(name, data.detach())
  const convert = (values: HostArray): HostArray => {
    if (dtype === 'string' || data.dtype === dtype) return values
    const cast = allocate(dtype, values.length)
    copyNumbers(spec, values as NumericArray, cast, shape)
    return cast
  }
  // The door of reading refuses tensors that were disposed.
  if (data.backend.readSync !== undefined || data.isDisposed)
    return { ...given, values: convert(data.dataSync()) }
  return { ...given, values: data.data().then(convert) }
}

/** A tensor as it was given, its values not copied. */
class CapturedTensor implements Captured {
  readonly name: string
  readonly lent: Tensor<DType>

  constructor(name: string, lent: Tensor<DType>) {
    this.name = name
    this.lent = lent
  }

  get shape(): readonly number[] {
    return this.lent.shape
  }

  get dtype(): DType {
    return this.lent.dtype
  }

  get values(): HostArray {
    return valuesAtHand(this.lent as Tensor)
  }
}

/** Whether a tensor's values are where ops run, and stay as they are. */
function isAtHand(x: Tensor<DType>): boolean {
  return x.backend === currentBackend() && x.backend.readSync !== undefined && !x.isDisposed && !x.isVariable
}

function captureStrings(spec: ColumnSpec, data: ArrayLike<unknown>): Captured {
  const shape = outerShape(data)
  const values = new Array<string>(sizeOf(shape))
  flatten(spec, data, shape, (value, at) => {
    if (typeof value !== 'string') throw wrongType(spec, 'a string', value, at, shape)
    values[at] = value
  })
  return { name: spec.name, shape, dtype: 'string', values }
}

const MAX_RANK = 32

function outerShape(data: ArrayLike<unknown>): number[] {
  const shape: number[] = []
  for (let node: unknown = data; isList(node) && shape.length <= MAX_RANK; node = exampleOf(node)) {
    shape.push(node.length)
    if (node.length === 0) break
  }
  return shape
}

/** The first that is not null: what is missing tells no shape. */
function exampleOf(list: ArrayLike<unknown>): unknown {
  if (list[0] !== null || ArrayBuffer.isView(list)) return list[0]
  return (list as readonly unknown[]).find((value) => value !== null) ?? null
}

/** Copies nested lists of numbers that the dtype holds; false where there is anything else, or they are ragged. */
function copyPlain(
  list: ArrayLike<unknown>,
  shape: readonly number[],
  axis: number,
  dtype: DType,
  into: NumericArray,
  from: number,
): boolean {
  const length = shape[axis]!
  if (list.length !== length) return false
  if (axis < shape.length - 1) {
    const size = sizeOf(shape.slice(axis + 1))
    for (let i = 0; i < length; i++) {
      const row = list[i]
      if (!isList(row) || !copyPlain(row, shape, axis + 1, dtype, into, from + i * size)) return false
    }
    return true
  }
  const holdsAll = isFloat(dtype)
  for (let i = 0; i < length; i++) {
    const value = list[i]
    if (typeof value !== 'number' || !(holdsAll || holds(dtype, value))) return false
    into[from + i] = value
  }
  return true
}

/** Visits the values of nested lists in order. @throws ShapeError for lists of different lengths. */
function flatten(
  spec: ColumnSpec,
  data: ArrayLike<unknown>,
  shape: readonly number[],
  visit: (value: unknown, at: number) => void,
): void {
  const { op, name } = spec
  if (shape.length > MAX_RANK)
    throw new ShapeError(`${op}: ${name} is nested deeper than the rank limit of ${MAX_RANK}`)
  let at = 0
  const walk = (list: ArrayLike<unknown>, axis: number, row: number): void => {
    const length = shape[axis]!
    if (list.length !== length)
      throw new ShapeError(
        `${op}: ${name} is ragged: row ${row} has ${axis === 1 ? '' : 'a list of '}length ${list.length}, the first has ${length}`,
      )
    const isLast = axis === shape.length - 1
    for (let i = 0; i < length; i++) {
      const value = list[i]
      const inRow = axis === 0 ? i : row
      if (value === null && !isLast && spec.allowsNull === true) {
        for (let count = sizeOf(shape.slice(axis + 1)); count > 0; count--) visit(null, at++)
        continue
      }
      if (isLast !== !isList(value))
        throw isLast
          ? new ShapeError(
              `${op}: ${name} is ragged: row ${inRow} holds a list of length ${(value as ArrayLike<unknown>).length} where the first holds a value`,
            )
          : value === undefined || value === null || typeof value === 'object'
            ? wrongType(spec, 'a list', value, at, shape)
            : new ShapeError(
                `${op}: ${name} is ragged: row ${inRow} holds ${show(value)} where the first holds a list of length ${shape[axis + 1]}`,
              )
      if (isLast) visit(value, at++)
      else walk(value as ArrayLike<unknown>, axis + 1, inRow)
    }
  }
  walk(data, 0, 0)
}

/** `row 3, column 1` of the element at flat position `at`. */
export function place(at: number, shape: readonly number[]): string {
  const index: number[] = []
  stridesOf(shape).forEach((stride, axis) => index.push(Math.floor(at / stride) % shape[axis]!))
  const [row, ...rest] = index
  if (rest.length === 0) return `row ${row}`
  return rest.length === 1 ? `row ${row}, column ${rest[0]}` : `row ${row}, column [${rest.join(', ')}]`
}

function wrongType(
  spec: ColumnSpec,
  expected: string,
  value: unknown,
  at: number,
  shape: readonly number[],
): DTypeError {
  const hint =
    typeof value === 'string' && spec.dtype !== 'string'
      ? '; strings need an input of dtype "string" and a lookup'
      : ''
  const kind = typeName(value)
  const got = kind === String(value) ? kind : `${kind} (${show(value)})`
  return new DTypeError(
    `${spec.op}: ${spec.name}: expected ${expected}, got ${got} at ${place(at, spec.shape ?? shape)}${hint}`,
  )
}

function asNumber(spec: ColumnSpec, value: unknown, at: number, shape: readonly number[]): number {
  if (value === null && spec.allowsNull === true) return NaN
  if (typeof value !== 'number' && typeof value !== 'boolean')
    throw wrongType(spec, 'a number', value, at, shape)
  const n = Number(value)
  if (!holds(spec.dtype, n)) throw cannotHold(spec, n, at, shape)
  return n
}

function copyNumbers(
  spec: ColumnSpec,
  from: ArrayLike<number>,
  to: NumericArray,
  shape: readonly number[],
): void {
  try {
    to.set(from)
  } catch (error) {
    throw new ValueError(`${spec.op}: ${spec.name} is detached: its buffer was transferred away`, {
      cause: error,
    })
  }
  if (!isFloat(spec.dtype))
    for (let i = 0; i < to.length; i++)
      if (to[i] !== from[i] || !holds(spec.dtype, from[i]!)) throw cannotHold(spec, from[i]!, i, shape)
}

function holds(dtype: DType, value: number): boolean {
  if (dtype === 'int32') return (value | 0) === value
  if (dtype === 'uint8') return (value & 255) === value
  if (dtype === 'bool') return value === 0 || value === 1
  return true
}

function cannotHold(spec: ColumnSpec, value: number, at: number, shape: readonly number[]): ValueError {
  return new ValueError(
    `${spec.op}: ${spec.name}: ${spec.dtype} cannot hold ${show(value)} at ${place(at, spec.shape ?? shape)}`,
  )
}

/** Data in the shape that is expected. Rows that are single numbers need no brackets. */
export function asColumn(spec: ColumnSpec, captured: Captured, values: HostArray): Column {
  const { name, shape, dtype, lent } = captured
  const rowShape = fitted(spec, shape)
  if (rowShape === undefined) throw wrongShape(spec, shape)
  const rows = shape[0]!
  if (lent === undefined) return { name, dtype, rows, rowShape, values }
  const isWhole = rowShape.length === shape.length - 1
  return isWhole
    ? { name, dtype, rows, rowShape, values, lent: { tensor: lent, values } }
    : { name, dtype, rows, rowShape, values: values.slice() }
}

/** The shape of the data's rows, or undefined where they do not fit. */
function fitted({ rowShape }: ColumnSpec, shape: readonly number[]): readonly number[] | undefined {
  const got = shape.slice(1)
  if (rowShape === undefined || areSides(got, rowShape)) return got
  // A list of nothing does not tell how wide its rows would have been.
  if (shape[0] === 0 && shape.length === 1) return rowShape.map((side) => side ?? 0)
  const isSingle = (sides: Shape): boolean =>
    sides.length <= 1 && sides.every((side) => side === 1 || side === null)
  if (got.length === 0 && isSingle(rowShape)) return rowShape.map(() => 1)
  return rowShape.length === 0 && isSingle(got) ? [] : undefined
}

function areSides(got: readonly number[], expected: Shape): boolean {
  if (got.length !== expected.length) return false
  for (let i = 0; i < got.length; i++) if (expected[i] !== null && expected[i] !== got[i]) return false
  return true
}

function wrongShape({ op, name, rowShape }: ColumnSpec, shape: readonly number[]): ShapeError {
  const expected = [null, ...rowShape!]
  const hint =
    shape.length === 1 && expected.length > 1 ? '; give it rows, or use tensor(values, { shape })' : ''
  return new ShapeError(
    `${op}: ${name}: expected ${formatShape(expected)}, got ${formatShape(shape)}${hint}`,
    {
      op,
      shapes: [expected, shape],
    },
  )
}

/** @throws NonFiniteError for a NaN or an Infinity, with its row and column. */
export function checkFinite(op: string, { name, values, dtype, rows, rowShape }: Column): void {
  if (!isFloat(dtype)) return
  const numbers = values as NumericArray
  for (let i = 0; i < numbers.length; i++)
    if (!Number.isFinite(numbers[i]))
      throw new NonFiniteError(`${op}: ${name} holds ${numbers[i]} at ${place(i, [rows, ...rowShape])}`, {
        op,
      })
}

/** @throws ValueError for what is no id of an embedding, before anything is trained. */
export function checkIds(
  op: string,
  { name, values, rows, rowShape }: Column,
  table: string,
  count: number,
): void {
  const ids = values as NumericArray
  for (let i = 0; i < ids.length; i++)
    if (!(ids[i]! >= 0 && ids[i]! < count && Number.isInteger(ids[i])))
      throw new ValueError(
        `${op}: ${name}: id ${ids[i]} at ${place(i, [rows, ...rowShape])} is not in ${table}; ids are whole numbers in ` +
          `0..${count - 1}`,
        { op },
      )
}

/** Rows `from` up to but without `to`, without copying. */
export function rowsOf(column: Column, from: number, to: number): Column {
  const width = sizeOf(column.rowShape)
  const { values } = column
  const part = ArrayBuffer.isView(values)
    ? values.subarray(from * width, to * width)
    : values.slice(from * width, to * width)
  return { ...column, rows: to - from, values: part }
}

/** A batch as a tensor: places `from` up to `to` of `order`, or the rows themselves where there is no order. */
export function batchOf(
  column: Column,
  order: Int32Array | undefined,
  from: number,
  to: number,
): Tensor<DType> {
  const { values, rowShape, dtype, lent } = column
  // A column with other values than the tensor's was made from them.
  if (lent?.values === values) return lent.tensor
  const shape = [to - from, ...rowShape]
  if (order === undefined) return fromHost(rowsOf(column, from, to).values, shape, dtype)
  const width = sizeOf(rowShape)
  if (!ArrayBuffer.isView(values)) {
    const picked: string[] = []
    for (let i = from; i < to; i++)
      for (let k = 0; k < width; k++) picked.push(values[order[i]! * width + k]!)
    return fromHost(picked, shape, dtype)
  }
  const picked = allocate(dtype, (to - from) * width)
  pickRows(values, order, from, to, width, picked)
  return fromHost(picked, shape, dtype)
}

/** Rows at places `from` up to `to` of `order`. A function of its own, which is compiled sooner than one that does more. */
function pickRows(
  source: TypedArray,
  order: Int32Array,
  from: number,
  to: number,
  width: number,
  picked: NumericArray,
): void {
  for (let i = from, at = 0; i < to; i++) {
    let k = order[i]! * width
    for (const end = k + width; k < end;) picked[at++] = source[k++]!
  }
}
