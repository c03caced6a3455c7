import { DataError, NonFiniteError, type NumericArray, ShapeError, ValueError } from '@adjoint/core'
import { allocate, formatShape, isRecord, show, sizeOf } from '@adjoint/core/extend'
import type { OutputPlan } from './compile.js'
import type { Captured, Column, ColumnSpec } from './data.js'
import { place } from './data.js'
import { classesOf } from './targets.js'

export type ClassWeight = Readonly<Record<string, number>>

/** `{ 0: 1, 1: 5 }` rather than a record by output. */
export function isClassWeight(value: unknown): value is ClassWeight {
  return isRecord(value) && Object.values(value).every((v) => typeof v !== 'object' || v === null)
}

export function weightSpec(op: string, output: OutputPlan): ColumnSpec {
  return { op, name: `sampleWeight of ${output.shown}`, dtype: output.tensor.dtype, rowShape: undefined }
}

/**
 * What each row counts: [rows], or with the leading axes of the output's rows for time steps.
 * @throws ShapeError, ValueError for a negative weight, NonFiniteError for one that is no number.
 */
export function asWeights(
  spec: ColumnSpec,
  { shape, dtype }: Captured,
  values: NumericArray,
  output: OutputPlan,
): Column {
  const row = shape.slice(1)
  const leading = output.tensor.shape.slice(0, -1)
  const isColumn = row.length === 1 && row[0] === 1
  const fits =
    isColumn ||
    (row.length <= leading.length && row.every((side, i) => side === leading[i] || leading[i] === null))
  if (!fits)
    throw new ShapeError(
      `${spec.op}: ${spec.name}: expected one weight for each row, [n], got ${formatShape(shape)}`,
      {
        shapes: [shape],
      },
    )
  for (let i = 0; i < values.length; i++) {
    const weight = values[i]!
    if (!Number.isFinite(weight))
      throw new NonFiniteError(`${spec.op}: ${spec.name} holds ${weight} at ${place(i, shape)}`)
    if (weight < 0)
      throw new ValueError(`${spec.op}: ${spec.name} is ${weight} at ${place(i, shape)}; weights are >= 0`)
  }
  return { name: spec.name, dtype, rows: shape[0]!, rowShape: isColumn ? [] : row, values }
}

/**
 * Multiplies the weight of each row by that of its class.
 * @throws ValueError for a class that the output does not have, and for a row whose class has no weight.
 */
export function weighClasses(
  op: string,
  output: OutputPlan,
  weightOf: ClassWeight,
  target: Column,
  sampleWeights: Column | undefined,
): Column {
  const what = `${op}: classWeight of ${show(output.key)}`
  const found = classesOf(target, output.tensor.shape.at(-1))
  if (found === undefined) throw notClasses(what, output, target)
  // 0 and 1 are classes to any loss; other numbers are so to a loss for classes.
  const isRegression =
    output.loss?.kind([null, ...target.rowShape], [null, ...output.tensor.shape]) === 'other'
  const hint = isRegression
    ? `; where the targets of ${output.loss.name} are no classes, use sampleWeight to weigh rows`
    : ''
  const weights = new Map<number, number>()
  for (const [name, weight] of Object.entries(weightOf)) {
    const label = /^\d{1,9}$/.test(name) ? Number(name) : NaN
    if (!(label < found.count))
      throw new ValueError(
        `${what}: there is no class ${show(name)}; classes are 0..${found.count - 1}${hint}`,
      )
    if (typeof weight !== 'number' || !(weight >= 0 && weight < Infinity))
      throw new ValueError(
        `${what}: the weight of class ${name} must be a finite number >= 0, got ${show(weight)}`,
      )
    weights.set(label, weight)
  }
  const values = allocate(output.tensor.dtype, target.rows)
  const there = target.mask?.values as NumericArray | undefined
  for (let i = 0; i < values.length; i++) {
    if (there?.[i] === 0) continue
    const label = found.classes[i]!
    const weight = weights.get(label)
    if (weight === undefined)
      throw new ValueError(
        `${what}: class ${label} (row ${i}) has no weight; given are ${[...weights.keys()].join(', ')}${hint}`,
      )
    values[i] = weight
  }
  if (sampleWeights === undefined)
    return { name: what, dtype: output.tensor.dtype, rows: target.rows, rowShape: [], values }
  const own = sampleWeights.values as NumericArray
  const width = sizeOf(sampleWeights.rowShape)
  return { ...sampleWeights, values: own.map((w, i) => w * values[Math.floor(i / width)]!) as NumericArray }
}

/** What the targets are instead of classes, and what weighs them. */
function notClasses(what: string, { loss }: OutputPlan, { values, rowShape }: Column): ValueError {
  const at = sizeOf(rowShape) === 1 ? (values as NumericArray).findIndex((v) => !Number.isInteger(v)) : -1
  const are =
    at < 0 ? `are rows of ${formatShape(rowShape)}` : `are numbers such as ${values[at]} (row ${at})`
  const of = loss === undefined ? '' : ` of ${loss.name}`
  return new ValueError(
    `${what}: the targets${of} ${are}, and no classes: whole numbers from 0, or rows with one value for each class; ` +
      'use sampleWeight to weigh rows',
  )
}

/** @throws DataError where the numbers of rows differ, naming two that do. */
export function checkRows(op: string, columns: readonly Column[]): number {
  const [first] = columns
  const other = columns.find((column) => column.rows !== first!.rows)
  if (other !== undefined)
    throw new DataError(
      `${op}: ${first!.name} has ${first!.rows} rows and ${other.name} has ${other.rows}; all must have the same number`,
    )
  return first!.rows
}
