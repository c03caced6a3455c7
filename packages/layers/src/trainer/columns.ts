import { DTypeError, ShapeError, Tensor } from '@adjoint/core'
import { formatShape, isThenable, show, sizeOf, stridesOf, typeName } from '@adjoint/core/extend'
import type { ColumnData, ShapedData } from '../types.js'

/** Whether data is a column of a table, such as one of Arrow's: anything that is no list and has `toArray()`. */
export function isColumnData(value: unknown): value is ColumnData<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !(value instanceof Tensor) &&
    typeof (value as { toArray?: unknown }).toArray === 'function'
  )
}

/** The values of a column. Where some are missing, they are null. */
export function valuesOf(what: string, column: ColumnData<unknown>): unknown {
  const { nullCount } = column as { readonly nullCount?: unknown }
  const iterable = column as unknown as Iterable<unknown>
  // Arrow's toArray() gives whatever is in memory where values are missing; its iterator gives null.
  if (typeof nullCount === 'number' && nullCount > 0 && typeof iterable[Symbol.iterator] === 'function')
    return [...iterable]
  const values: unknown = column.toArray()
  if (isThenable(values)) throw new DTypeError(`${what}: toArray() returned a promise; await it first`)
  if (!Array.isArray(values) && !ArrayBuffer.isView(values))
    throw new DTypeError(`${what}: toArray() returned ${typeName(values)} (${show(values)}), not an array`)
  return values
}

/** Whether data is one flat array that says its shape. */
export function isShapedData(value: unknown): value is ShapedData {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Tensor)
    return false
  const { data, shape } = value as { readonly data?: unknown; readonly shape?: unknown }
  return (Array.isArray(data) || ArrayBuffer.isView(data)) && Array.isArray(shape)
}

/** @throws ShapeError for a shape of another size, and for values that are not row after row. */
export function checkShaped(what: string, value: ShapedData): readonly number[] {
  const { data, shape } = value
  const isSide = (side: unknown): boolean => Number.isInteger(side) && (side as number) >= 0
  if (shape.length === 0 || !shape.every(isSide))
    throw new ShapeError(
      `${what}: the shape must be a list of whole numbers, the rows first, got ${show(shape)}`,
    )
  if (sizeOf(shape) !== data.length)
    throw new ShapeError(`${what}: ${data.length} values do not fill the shape ${formatShape(shape)}`)
  const {
    stride,
    strides = stride,
    offset = 0,
  } = value as {
    readonly stride?: unknown
    readonly strides?: unknown
    readonly offset?: unknown
  }
  const isInOrder = offset === 0 && (!Array.isArray(strides) || String(strides) === String(stridesOf(shape)))
  if (!isInOrder)
    throw new ShapeError(
      `${what}: it is a view with strides ${show(strides)} and offset ${show(offset)}; give a copy of it`,
    )
  return shape
}
