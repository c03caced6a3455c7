import { type DType, DTypeError, type HostArray, Tensor, tensor } from '@adjoint/core'
import { show } from '@adjoint/core/extend'

/** A column of a table, as data frames have them. */
export interface ArrayColumn<T> {
  toArray(): readonly T[] | ArrayLike<T>
}

/**
 * What a layer is to learn from, as one flat array and its shape.
 * @throws DTypeError for numbers where strings are expected, and the other way round.
 */
export function readData(
  what: string,
  data: unknown,
  wanted: 'strings' | 'numbers',
): { readonly values: HostArray; readonly shape: readonly number[] } {
  const given: unknown = isColumn(data) ? Array.from(data.toArray()) : data
  const isString = wanted === 'strings'
  if (given instanceof Tensor) {
    const { dtype, shape } = given as Tensor<DType>
    if ((dtype === 'string') !== isString)
      throw new DTypeError(`${what}: expected ${wanted}, got a ${dtype} tensor`)
    return { values: (given as Tensor<DType>).dataSync(), shape }
  }
  if (!Array.isArray(given) && !(ArrayBuffer.isView(given) && !isString))
    throw new DTypeError(`${what}: expected ${wanted}, got ${show(given)}`)
  const read = tensor(given as number[], { dtype: isString ? ('string' as 'float64') : 'float64' })
  return { values: read.dataSync(), shape: read.shape }
}

function isColumn(data: unknown): data is ArrayColumn<unknown> {
  return (
    typeof data === 'object' &&
    data !== null &&
    !(data instanceof Tensor) &&
    typeof (data as { toArray?: unknown }).toArray === 'function'
  )
}

/** The rows of flat values, each with all its values. */
export function* rowsIn<T>(values: ArrayLike<T>, shape: readonly number[]): Generator<T[]> {
  const rows = shape[0] ?? 1
  const width = rows === 0 ? 0 : values.length / rows
  for (let i = 0; i < rows; i++) yield Array.from({ length: width }, (_, k) => values[i * width + k]!)
}

/** `row 3` of the value at a flat position. */
export function rowAt(at: number, shape: readonly number[]): string {
  const width = shape.slice(1).reduce((n, side) => n * side, 1)
  return `row ${Math.floor(at / width)}`
}
