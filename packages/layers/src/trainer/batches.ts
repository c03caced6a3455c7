import type { HostArray, NumericArray, Tensor } from '@adjoint/core'
import { DataError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { isColumnData, isShapedData } from './columns.js'
import type { Compiled, OutputPlan } from './compile.js'
import {
  asColumn,
  batchOf,
  type Captured,
  capture,
  checkFinite,
  checkIds,
  type Column,
  type ColumnSpec,
  rowsOf,
} from './data.js'
import { type Ends, spreadFeed, spreadOption } from './ends.js'
import { maskWeights, shareOf } from './missing.js'
import { asTargets, checkMetrics, targetSpec } from './targets.js'
import { asWeights, checkRows, type ClassWeight, isClassWeight, weighClasses, weightSpec } from './weights.js'

/** All data of one call, checked: columns in the order of the model's inputs and outputs. */
export interface Dataset {
  readonly rows: number
  readonly x: readonly Column[]
  /** Undefined for outputs without targets. */
  readonly y: readonly (Column | undefined)[]
  readonly weights: readonly (Column | undefined)[]
  /** Which targets are there, for outputs of which some are missing; their weights are 0 where they are. */
  readonly masks: readonly (Column | undefined)[]
}

/** Some rows of a dataset as tensors. */
export interface Batch {
  readonly size: number
  readonly x: readonly Tensor[]
  readonly y: readonly (Tensor | undefined)[]
  readonly weights: readonly (Tensor | undefined)[]
  readonly masks: readonly (Tensor | undefined)[]
  /** The part of the targets that is there, by output. */
  readonly shares: readonly number[]
}

export interface DataOptions {
  readonly sampleWeight?: unknown
  readonly classWeight?: unknown
  /** 'error' (default) refuses NaN and infinities in inputs. */
  readonly nonFinite?: 'error' | 'allow'
  /** Whether the data is used before this call returns, or anything is waited for. @internal */
  readonly lends?: boolean
}

/** Captured data and what it is to become. */
interface Pending {
  readonly captured: Captured
  finish(values: HostArray): Column
}

/** Values that have arrived, at once where all have. */
function settled(
  pending: readonly (Pending | undefined)[],
): (Column | undefined)[] | Promise<(Column | undefined)[]> {
  const finish = (values: readonly (HostArray | undefined)[]): (Column | undefined)[] =>
    pending.map((part, i) => part?.finish(values[i]!))
  const values = pending.map((part) => part?.captured.values)
  if (!values.some((v) => v instanceof Promise)) return finish(values as HostArray[])
  // What is lent is not good for so long.
  const kept = values.map((v, i) => (pending[i]?.captured.lent === undefined ? v : (v as HostArray).slice()))
  return Promise.all(kept.map((v) => Promise.resolve(v as HostArray | undefined))).then(finish)
}

/** The inputs alone, for `predict`. Their values are copied before this returns. */
export function captureInputs(
  op: string,
  inputs: Ends,
  feed: unknown,
  { nonFinite }: DataOptions,
): () => Promise<Dataset> | Dataset {
  const pending = pendingInputs(op, inputs, feed, nonFinite)
  return () => {
    const made = settled(pending)
    const asDataset = (x: readonly (Column | undefined)[]): Dataset => ({
      rows: checkRows(op, x as Column[]),
      x: x as Column[],
      y: [],
      weights: [],
      masks: [],
    })
    return made instanceof Promise ? made.then(asDataset) : asDataset(made)
  }
}

function pendingInputs(
  op: string,
  inputs: Ends,
  feed: unknown,
  nonFinite: 'error' | 'allow' = 'error',
  lends: boolean = false,
): Pending[] {
  return spreadFeed(op, inputs, feed).map((data, i) => {
    const { shown, tensor, ids } = inputs.list[i]!
    const spec: ColumnSpec = { op, name: `input ${shown}`, dtype: tensor.dtype, rowShape: tensor.shape }
    const captured = capture(spec, data, lends)
    return {
      captured,
      finish(values) {
        const column = asColumn(spec, captured, values)
        if (ids !== undefined) checkIds(op, column, ids.table, ids.count)
        if (nonFinite === 'error') checkFinite(op, column)
        return column
      },
    }
  })
}

/**
 * Inputs, targets and weights. Their values are copied when this is called; they are checked, all of them, when the
 * result is asked for.
 */
export function captureData(
  op: string,
  compiled: Compiled,
  x: unknown,
  y: unknown,
  options: DataOptions,
): () => Dataset | Promise<Dataset> {
  const { inputs, targets, outputs, modelLoss, trainStep } = compiled
  const isUnused = (i: number): boolean =>
    trainStep === undefined &&
    modelLoss === undefined &&
    outputs[i]!.loss === undefined &&
    outputs[i]!.metrics.length === 0
  const { nonFinite, lends } = options
  const ins = pendingInputs(op, inputs, x, nonFinite, lends)
  const outs = spreadFeed(op, targets, y, isUnused).map((data, i) =>
    pendingTarget(op, outputs[i]!, data, lends),
  )
  const weights = sampleWeightsOf(op, targets, options.sampleWeight).map((data, i) =>
    pendingWeight(op, outputs[i]!, data),
  )
  const classWeights = spreadOption<ClassWeight>(
    `${op}: classWeight`,
    targets,
    options.classWeight,
    isClassWeight,
  )
  const assemble = (columns: readonly (Column | undefined)[]): Dataset => {
    const xs = columns.slice(0, ins.length) as Column[]
    const ys = columns.slice(ins.length, ins.length + outs.length)
    const own = columns.slice(ins.length + outs.length)
    const rows = checkRows(
      op,
      columns.filter((column) => column !== undefined),
    )
    const weighed = own.map((column, i) => {
      const classWeight = classWeights[i]
      if (classWeight === undefined) return column
      if (ys[i] === undefined)
        throw new DataError(`${op}: classWeight of ${show(outputs[i]!.key)}: there are no targets`)
      return weighClasses(op, outputs[i]!, classWeight, ys[i], column)
    })
    outputs.forEach((output, i) => {
      checkMetrics(op, output, ys[i])
    })
    const masks = ys.map((column) => column?.mask)
    return {
      rows,
      x: xs,
      y: ys,
      weights: weighed.map((column, i) => (masks[i] === undefined ? column : maskWeights(column, masks[i]))),
      masks,
    }
  }
  return () => {
    const columns = settled([...ins, ...outs, ...weights])
    return columns instanceof Promise ? columns.then(assemble) : assemble(columns)
  }
}

function pendingTarget(
  op: string,
  output: OutputPlan,
  data: unknown,
  lends: boolean | undefined,
): Pending | undefined {
  if (data === undefined || data === null) return undefined
  const spec = targetSpec(op, output)
  const captured = capture(spec, data, lends)
  return { captured, finish: (values) => asTargets(spec, captured, values as NumericArray, output) }
}

function pendingWeight(op: string, output: OutputPlan, data: unknown): Pending | undefined {
  if (data === undefined) return undefined
  const spec = weightSpec(op, output)
  const captured = capture(spec, data)
  return { captured, finish: (values) => asWeights(spec, captured, values as NumericArray, output) }
}

/** Weights for each output: one array for all, or by output. */
function sampleWeightsOf(op: string, targets: Ends, option: unknown): unknown[] {
  const isNumbers = (value: unknown): value is unknown =>
    (!isRecord(value) || isColumnData(value) || isShapedData(value)) &&
    !(Array.isArray(value) && value.some((part) => typeof part === 'object'))
  const isData = (value: unknown): value is unknown =>
    isNumbers(value) || (value !== option && Array.isArray(value))
  const isOne = targets.list.length === 1 && Array.isArray(option)
  return isOne && !isListOfOne(option)
    ? [option]
    : spreadOption(`${op}: sampleWeight`, targets, option, isData)
}

/** `[weights]`, the weights of the only output of a list. */
function isListOfOne(option: readonly unknown[]): boolean {
  const [only] = option
  return (
    option.length === 1 &&
    typeof only === 'object' &&
    only !== null &&
    (ArrayBuffer.isView(only) || !Array.isArray(only) || only.length > 1)
  )
}

/** Rows `from` up to but without `to` of everything, without copying. */
export function partOf({ x, y, weights, masks }: Dataset, from: number, to: number): Dataset {
  const part = (column: Column | undefined): Column | undefined => column && rowsOf(column, from, to)
  return {
    rows: to - from,
    x: x.map((column) => rowsOf(column, from, to)),
    y: y.map(part),
    weights: weights.map(part),
    masks: masks.map(part),
  }
}

/** One batch: places `from` up to `to` of `order`, or the rows themselves where there is no order. */
export function takeBatch(
  { x, y, weights, masks }: Dataset,
  order: Int32Array | undefined,
  from: number,
  to: number,
): Batch {
  const take = (column: Column | undefined): Tensor | undefined =>
    column && (batchOf(column, order, from, to) as Tensor)
  return {
    size: to - from,
    x: x.map(take) as Tensor[],
    y: y.map(take),
    weights: weights.map(take),
    masks: masks.map(take),
    shares: masks.map((mask) => (mask === undefined ? 1 : shareOf(mask, order, from, to))),
  }
}
