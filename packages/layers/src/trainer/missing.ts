import { DataError, type NumericArray, ValueError } from '@adjoint/core'
import { allocate, show, sizeOf } from '@adjoint/core/extend'
import type { LossKind } from '../losses.js'
import type { OutputPlan } from './compile.js'
import type { Column } from './data.js'
import { type Ends, spreadOption } from './ends.js'

/** Whether targets that are missing are left out, by output. @throws ValueError for what is no choice. */
export function missingTargetsOf(targets: Ends, option: unknown): boolean[] {
  const what = 'compile: missingTargets'
  const isChoice = (value: unknown): value is string => typeof value === 'string'
  return spreadOption(what, targets, option, isChoice).map((choice, i) => {
    if (choice === undefined || choice === 'mask' || choice === 'error') return choice === 'mask'
    throw new ValueError(
      `${what}: output ${show(targets.keys[i])}: must be "mask" or "error" (default), got ${show(choice)}`,
    )
  })
}

/** Targets of which some are missing. */
export interface Incomplete {
  /** Others stand where some are missing: they are multiplied by 0, but have to be valid. */
  readonly target: Column
  /** 1 where there is a target, 0 where it is missing: [rows], or with the leading axes of the rows. */
  readonly mask: Column
}

/**
 * Tells what is missing: NaN, for which null stands too, and -1 where targets are class numbers or probabilities. A
 * loss has one value for all of the last axis, so a target counts as missing when any of its values is. Undefined where
 * all are there.
 */
export function findMissing(
  column: Column,
  kind: LossKind,
  { tensor, isFree }: OutputPlan,
): Incomplete | undefined {
  const values = column.values as NumericArray
  const isMissing =
    kind === 'sparse' || kind === 'binary' ? (v: number) => v !== v || v === -1 : (v: number) => v !== v
  if (!values.some(isMissing)) return undefined
  const leading = isFree ? [] : tensor.shape.slice(0, -1)
  const rowShape = column.rowShape.slice(0, leading.length)
  const places = column.rows * sizeOf(rowShape)
  const width = sizeOf(column.rowShape.slice(rowShape.length))
  const mask = allocate(tensor.dtype, places)
  let example = -1
  for (let at = 0; at < places; at++) {
    const isThere = !values.subarray(at * width, (at + 1) * width).some(isMissing)
    mask[at] = isThere ? 1 : 0
    if (isThere && example < 0) example = at
  }
  const filled = values.slice()
  for (let at = 0; at < places; at++)
    if (mask[at] === 0)
      for (let k = 0; k < width; k++) filled[at * width + k] = example < 0 ? 0 : values[example * width + k]!
  const { dtype } = tensor
  return {
    target: { ...column, values: filled },
    mask: { name: `${column.name} (which are there)`, dtype, rows: column.rows, rowShape, values: mask },
  }
}

/** Weights of rows that are 0 where targets are missing. */
export function maskWeights(weights: Column | undefined, mask: Column): Column {
  if (weights === undefined) return mask
  const [a, b] = [weights.values as NumericArray, mask.values as NumericArray]
  const [wide, narrow] = a.length >= b.length ? [weights, mask] : [mask, weights]
  const ratio = Math.max(a.length, b.length) / Math.min(a.length, b.length)
  const [long, short] = [wide.values as NumericArray, narrow.values as NumericArray]
  return { ...wide, values: long.map((v, i) => v * short[Math.floor(i / ratio)]!) as NumericArray }
}

/** @throws ValueError where all targets of an output are missing, so that there is nothing to learn. */
export function checkSomeThere(
  op: string,
  outputs: readonly OutputPlan[],
  masks: readonly (Column | undefined)[],
): void {
  masks.forEach((mask, i) => {
    if (mask !== undefined && !(mask.values as NumericArray).includes(1))
      throw new DataError(`${op}: target ${show(outputs[i]!.key)}: all ${mask.rows} rows are missing`)
  })
}

/** The part of a batch's targets that is there; for the order, see {@link takeBatch}. */
export function shareOf(
  { values, rowShape }: Column,
  order: Int32Array | undefined,
  from: number,
  to: number,
): number {
  const width = sizeOf(rowShape)
  let there = 0
  for (let i = from; i < to; i++) {
    const start = (order === undefined ? i : order[i]!) * width
    for (let k = start; k < start + width; k++) there += (values as NumericArray)[k]!
  }
  return to === from ? 1 : there / ((to - from) * width)
}
