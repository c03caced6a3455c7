import {
  DTypeError,
  type NumericArray,
  type Shape,
  ShapeError,
  type Sizes,
  type Tensor,
  ValueError,
  withBackend,
} from '@adjoint/core'
import { abstractBackend, formatShape, fromHost, sameShape, show, sizeOf } from '@adjoint/core/extend'
import type { LossKind } from '../losses.js'
import { StatefulMetric } from '../metrics.js'
import type { Sym } from '../types.js'
import { asColumn, type Captured, checkFinite, type Column, type ColumnSpec, place } from './data.js'
import type { OutputPlan } from './compile.js'
import { findMissing } from './missing.js'

/** What the targets of an output must look like, before their shape has said which loss is meant. */
export function targetSpec(op: string, output: OutputPlan): ColumnSpec {
  // Class numbers are checked before they become whole numbers, so that a message can tell what was wrong.
  const { shown, tensor, masksMissing } = output
  return {
    op,
    name: `target ${shown}`,
    dtype: tensor.dtype,
    rowShape: undefined,
    allowsNull: masksMissing,
  }
}

/** Targets as their loss needs them, every value checked; and which of them are there, if some are missing. */
export function asTargets(
  spec: ColumnSpec,
  captured: Captured,
  values: NumericArray,
  output: OutputPlan,
): Column {
  const { tensor, loss, masksMissing } = output
  const predictions: Shape = [null, ...tensor.shape]
  const kind = loss?.kind(captured.shape, predictions) ?? 'other'
  const rowShape = expectedRow(kind, output, captured.shape)
  let column: Column
  try {
    column = asColumn({ ...spec, rowShape }, captured, values)
  } catch (error) {
    if (error instanceof ShapeError) error.message += hintFor(kind, tensor, captured.shape)
    throw error
  }
  const found = masksMissing ? findMissing(column, kind, output) : undefined
  const target = checked(spec.op, found?.target ?? column, kind, output)
  return found === undefined ? target : { ...target, mask: found.mask }
}

function checked(op: string, column: Column, kind: LossKind, output: OutputPlan): Column {
  if (kind === 'sparse') return asClasses(op, output, column)
  checkFinite(op, column)
  if (kind === 'binary') checkProbabilities(op, output, column)
  return column
}

/** The shape of one row of targets; undefined where a user's own loss decides. */
function expectedRow(
  kind: LossKind,
  { tensor, isFree }: OutputPlan,
  given: readonly number[],
): Shape | undefined {
  const { shape } = tensor
  if (kind === 'sparse') {
    const row = shape.slice(0, -1)
    return given.length === shape.length + 1 ? [...row, 1] : row
  }
  if (!isFree) return shape
  return given.length === 1 && shape.length === 1 && shape[0] === 1 ? shape : undefined
}

/** What the shapes suggest was meant. */
function hintFor(kind: LossKind, { shape }: Sym.Any, given: readonly number[]): string {
  const classes = shape.at(-1)
  const looksSparse =
    (kind === 'categorical' || kind === 'binary') &&
    classes !== 1 &&
    (given.length === shape.length || given.at(-1) === 1)
  if (looksSparse) return '; did you mean sparse_categorical_crossentropy?'
  return kind === 'sparse' && given.at(-1) === classes ? '; did you mean categorical_crossentropy?' : ''
}

/** @throws ValueError for a label that is not one of the output's classes. */
function asClasses(op: string, { key, tensor }: OutputPlan, column: Column): Column {
  const values = column.values as NumericArray
  const classes = tensor.shape.at(-1) ?? Infinity
  for (let i = 0; i < values.length; i++) {
    const label = values[i]!
    if (!(label >= 0 && label < classes && Number.isInteger(label)))
      throw new ValueError(
        `${op}: target ${show(key)}: label ${label} at ${place(i, [column.rows, ...column.rowShape])} is none of the ` +
          `classes 0..${classes === Infinity ? '' : classes - 1}`,
        { op },
      )
  }
  return { ...column, dtype: 'int32', values: Int32Array.from(values) }
}

function checkProbabilities(op: string, { key, loss }: OutputPlan, column: Column): void {
  const values = column.values as NumericArray
  for (let i = 0; i < values.length; i++)
    if (!(values[i]! >= 0 && values[i]! <= 1))
      throw new ValueError(
        `${op}: target ${show(key)}: ${values[i]} at ${place(i, [column.rows, ...column.rowShape])} is outside of ` +
          `0..1, where ${loss!.name} is defined`,
        { op },
      )
}

/**
 * What the shape of an output alone tells is wrong with its loss.
 * @throws ShapeError naming both, with the loss that may have been meant.
 */
export function checkLossFits(output: OutputPlan): void {
  const { key, tensor, loss } = output
  const predictions: Shape = [null, ...tensor.shape]
  const kind = loss?.kind(predictions, predictions)
  const classes = tensor.shape.at(-1)
  if (classes === 1 && (kind === 'categorical' || kind === 'sparse'))
    throw new ShapeError(
      `compile: output ${show(key)} ${formatShape(predictions)} has one unit, and ${loss!.name} needs one for each ` +
        `class; did you mean binary_crossentropy?`,
      { shapes: [predictions] },
    )
}

/**
 * Tries an output's metrics on shapes alone, so that one that does not fit is known before anything is trained.
 * @throws ShapeError, DTypeError from the metric, with the output's name.
 */
export function checkMetrics(
  op: string,
  { key, tensor, metrics }: OutputPlan,
  target: Column | undefined,
): void {
  const { shape, dtype } = tensor
  if (target === undefined || shape.includes(null)) return
  for (const { metric } of metrics) {
    if (!(metric instanceof StatefulMetric)) continue
    const known = tried.get(metric)
    if (known !== undefined && known.dtype === target.dtype && sameShape(known.rowShape, target.rowShape))
      continue
    try {
      withBackend(abstractBackend, () => {
        const targets = fromHost([], [TRIAL_ROWS, ...target.rowShape], target.dtype)
        const predictions = fromHost([], [TRIAL_ROWS, ...(shape as Sizes)], dtype)
        const trial = new StatefulMetric(metric.name, metric.definition)
        trial.update(targets, predictions)
        checkIsOne(metric.name, trial.compute())
      })
      tried.set(metric, { dtype: target.dtype, rowShape: target.rowShape })
    } catch (error) {
      // What needs values cannot be tried; it is seen when there are some.
      if (!(error instanceof ShapeError || error instanceof DTypeError)) return
      error.message = `${op}: output ${show(key)}: ${error.message}`
      throw error
    }
  }
}
const TRIAL_ROWS = 7
/** For which targets metrics have passed last. */
const tried = new WeakMap<StatefulMetric, Pick<Column, 'dtype' | 'rowShape'>>()

/** @throws ShapeError for a metric of several values: a log holds one. */
function checkIsOne(name: string, { size, shape }: Tensor): void {
  if (size !== 1)
    throw new ShapeError(
      `metric ${name} gives ${size} values, and training reports one: let it average them, or compute it by hand`,
      { shapes: [shape] },
    )
}

/** The class of each row: its label, the position of its largest value, or 0 and 1 for a single probability. */
export function classesOf(
  column: Column,
  units: number | null | undefined,
): { classes: Int32Array; count: number } | undefined {
  const values = column.values as NumericArray
  const width = sizeOf(column.rowShape)
  const classes = new Int32Array(column.rows)
  if (width === 1) {
    for (let i = 0; i < classes.length; i++) {
      if (!Number.isInteger(values[i])) return undefined
      classes[i] = values[i]!
    }
    return { classes, count: units === undefined || units === null ? Infinity : Math.max(units, 2) }
  }
  if (width !== units || column.rowShape.length !== 1) return undefined
  for (let i = 0; i < classes.length; i++) {
    let best = 0
    for (let k = 1; k < width; k++) if (values[i * width + k]! > values[i * width + best]!) best = k
    classes[i] = best
  }
  return { classes, count: width }
}
