import { Tensor } from '@adjoint/core'
import { isRecord } from '@adjoint/core/extend'
import { isColumnData, isShapedData } from './columns.js'
import type { Ends } from './ends.js'

/**
 * The inputs in an item of a dataset: the item itself, or the first of `[x, y]` and `[x, y, sampleWeight]`. Which of
 * them it is shows in what the first part is: `x` is as deep as the model's inputs, a part of `x` is not.
 */
export function inputsOfItem({ tree, list }: Ends, item: unknown): unknown {
  if (!Array.isArray(item) || item.length === 0 || item.length > 3) return item
  const [first] = item as unknown[]
  if (isRecord(tree) || (isRecord(first) && !isShapedData(first) && !isColumnData(first))) return first
  const depthOfPart = list[0]!.tensor.shape.length + nestingOf(tree)
  return depthOf(first) > depthOfPart ? first : item
}

/** How many lists are around the first tensor. */
function nestingOf(tree: unknown): number {
  return Array.isArray(tree) ? 1 + nestingOf(tree[0]) : 0
}

/** How many axes there are in data, or how many more in a list of it. */
function depthOf(value: unknown): number {
  if (value instanceof Tensor) return value.rank
  if (isShapedData(value)) return value.shape.length
  if (isColumnData(value)) return depthOf(value.toArray())
  if (ArrayBuffer.isView(value)) return 1
  if (!Array.isArray(value)) return 0
  return value.length === 0 ? 1 : 1 + depthOf(value[0])
}
