import { type Tensor, ValueError } from '@adjoint/core'
import { readNow, show } from '@adjoint/core/extend'

/**
 * Refuses ids that are no whole numbers from 0 to count - 1, before anything is computed from them. While only shapes
 * are known there is nothing to check.
 * @throws ValueError with the row, the id and the range.
 */
export function checkIds(what: string, ids: Tensor, count: number): void {
  const { backend, handle, shape, dtype, isDisposed } = ids.read()
  if (isDisposed) return
  const at = backend.firstOutside?.(handle, { shape, dtype }, count) ?? -1
  if (at < 0) return
  const rowSize = shape.slice(1).reduce((n, side) => n * side, 1)
  const value = (readNow(backend, handle, { shape, dtype }) as ArrayLike<number>)[at]!
  const place = rowSize > 1 ? `row ${Math.floor(at / rowSize)} (place ${at % rowSize} in it)` : `row ${at}`
  throw new ValueError(
    `${what}: id ${show(value)} in ${place} is out of range; ids are whole numbers in 0..${count - 1}`,
  )
}
