import { Tensor, ValueError } from '@adjoint/core'
import { isRecord, isThenable, show, typeName } from '@adjoint/core/extend'
import { type Metric, StatefulMetric } from '../metrics.js'
import type { Batch } from './batches.js'
import type { Bound } from './bound.js'
import type { Compiled, MetricPlan } from './compile.js'
import { metricWeights } from './masked.js'
import { MODEL_LOSS } from './model-loss.js'
import type { MeterState } from './position.js'
import { readScalars } from './read.js'
import type { Outcome } from './outcome.js'
import type { Logs } from './types.js'

/** Sums up the losses and metrics of batches: means over rows, exact for a smaller last batch. */
export class Meter {
  readonly #compiled: Compiled
  readonly #bound: Bound
  /** By output. */
  readonly #metrics: readonly (readonly MetricPlan[])[]
  readonly hasMetrics: boolean
  #rows = 0
  #loss = 0
  #modelLoss = 0
  readonly #losses: number[]
  /** By output: rows whose targets are there, and what its loss adds to the sum of all. */
  readonly #present: number[]
  readonly #parts: number[]
  #own: Record<string, number> | undefined

  constructor(compiled: Compiled, bound: Bound) {
    this.#compiled = compiled
    this.#bound = bound
    this.#losses = compiled.outputs.map(() => 0)
    this.#present = compiled.outputs.map(() => 0)
    this.#parts = compiled.outputs.map(() => 0)
    this.#metrics = compiled.outputs.map(({ metrics }) =>
      metrics.map((plan) => ({ ...plan, metric: started(plan.metric) })),
    )
    this.hasMetrics = this.#metrics.some((list) => list.length > 0)
  }

  add(batch: Batch, outcome: Outcome): void {
    const { losses, modelLoss = 0, lossWeights, predictions, logs } = outcome
    const { size } = batch
    let loss = outcome.loss * size
    this.#rows += size
    this.#modelLoss += modelLoss * size
    for (let i = 0; i < losses.length; i++) {
      if (losses[i] === undefined) continue
      // A mean over targets that are there counts as many of them, and not as many rows as there are.
      const isSum = this.#compiled.outputs[i]!.loss?.reduction === 'sum'
      const present = isSum ? size : size * (batch.shares[i] ?? 1)
      this.#present[i]! += present
      this.#losses[i]! += losses[i]! * present
      if (lossWeights === undefined || !this.#compiled.outputs[i]!.masksMissing) continue
      const part = losses[i]! * lossWeights[i]!
      loss -= part * size
      this.#parts[i]! += part * present
    }
    this.#loss += loss
    if (logs !== undefined) {
      this.#own ??= {}
      for (const key of Object.keys(logs)) this.#own[key] = (this.#own[key] ?? 0) + logs[key]! * size
      return
    }
    if (this.hasMetrics)
      this.#bound.run(() => {
        this.#update(batch, predictions)
      })
  }

  #update(batch: Batch, predictions: readonly Tensor[]): void {
    for (let i = 0; i < this.#metrics.length; i++)
      for (const { metric, isWeighted } of this.#metrics[i]!) {
        const before = stateOf(metric)
        metric.update(
          batch.y[i]!,
          predictions[i]!,
          metricWeights(predictions[i]!, isWeighted ? batch.weights[i] : batch.masks[i]),
        )
        this.#bound.keep(stateOf(metric), before)
      }
  }

  /** @throws ValueError for a metric whose state cannot be told. */
  getState(): MeterState {
    const metrics = this.#metrics.map((plans) =>
      plans.map(({ metric }) => {
        if (metric instanceof StatefulMetric) return metric.state ?? null
        throw new ValueError(
          `backupAndRestore: the metric ${show(metric.name)} cannot tell what it has summed up; use saveFreq: 'epoch'`,
        )
      }),
    )
    return {
      rows: this.#rows,
      loss: this.#loss,
      modelLoss: this.#modelLoss,
      losses: [...this.#losses],
      present: [...this.#present],
      parts: [...this.#parts],
      own: this.#own,
      metrics,
    }
  }

  /** Goes on from what `getState` told. @throws ValueError where that is of other metrics. */
  setState({ rows, loss, modelLoss, losses, present, parts, own, metrics }: MeterState): void {
    if (
      JSON.stringify(metrics.map((list) => list.length)) !==
      JSON.stringify(this.#metrics.map((list) => list.length))
    )
      throw new ValueError('backupAndRestore: the backup is of a model with other metrics')
    this.#rows = rows
    this.#loss = loss
    this.#modelLoss = modelLoss
    for (let i = 0; i < this.#losses.length; i++) {
      this.#losses[i] = losses[i] ?? 0
      this.#present[i] = present?.[i] ?? rows
      this.#parts[i] = parts?.[i] ?? 0
    }
    this.#own = own && { ...own }
    this.#metrics.forEach((plans, output) =>
      plans.forEach(({ metric }, i) => {
        if (metric instanceof StatefulMetric) metric.state = metrics[output]![i] ?? undefined
      }),
    )
  }

  /** The means so far, the loss first. `prefix` is put before every name. At once where metrics can be read so. */
  logs(prefix: string = ''): Logs | Promise<Logs> {
    const { logs, onDevice } = this.#bound.run(() => this.#means(prefix))
    return filled(logs, onDevice, this.#bound) as Logs | Promise<Logs>
  }

  /** What is known, and what is still to be read. */
  #means(prefix: string): { logs: Record<string, number>; onDevice: { key: string; value: Tensor }[] } {
    const rows = this.#rows
    const logs: Record<string, number> = {}
    const onDevice: { key: string; value: Tensor }[] = []
    if (this.#own !== undefined) {
      for (const key of Object.keys(this.#own)) logs[prefix + key] = this.#own[key]! / rows
      return { logs, onDevice }
    }
    const parts = this.#parts.map((part, i) => (part === 0 ? 0 : part / this.#present[i]!))
    logs[`${prefix}loss`] = parts.reduce((total, part) => total + part, this.#loss / rows)
    if (this.#compiled.modelLoss?.isLogged === true) logs[prefix + MODEL_LOSS] = this.#modelLoss / rows
    for (const { index, lossName } of this.#compiled.outputs) {
      if (lossName !== undefined)
        logs[prefix + lossName] = this.#losses[index]! / (this.#present[index]! || 1)
      for (const { logName, metric } of this.#metrics[index]!) {
        const key = prefix + logName
        // Held in order: what is read later takes its place.
        logs[key] = metric instanceof StatefulMetric ? 0 : metric.result()
        if (metric instanceof StatefulMetric) onDevice.push({ key, value: metric.compute() })
      }
    }
    return { logs, onDevice }
  }
}

function stateOf(metric: Metric): readonly Tensor[] {
  return metric instanceof StatefulMetric ? Object.values(metric.state ?? {}) : []
}

/**
 * A metric for one pass over data. Those made of pure functions get a state of their own, so that passes may overlap;
 * others start over.
 */
function started(metric: Metric): Metric {
  if (metric instanceof StatefulMetric) return new StatefulMetric(metric.name, metric.definition)
  metric.reset()
  return metric
}

/**
 * What a step of the user's own returned, as numbers: at once where they can be read so.
 * @throws ValueError unless it is a record with a loss.
 */
export function readLogs(
  returned: unknown,
  bound: Bound,
): Record<string, number> | Promise<Record<string, number>> {
  if (isThenable(returned))
    throw new ValueError('trainStep: it returned a promise; a step must be synchronous')
  if (!isRecord(returned))
    throw new ValueError(`trainStep: expected a record such as { loss }, got ${typeName(returned)}`)
  if (!Object.hasOwn(returned, 'loss'))
    throw new ValueError(
      `trainStep: there is no "loss" among what it returned: ${Object.keys(returned).join(', ')}`,
    )
  const logs: Record<string, number> = {}
  const onDevice: { key: string; value: Tensor }[] = []
  for (const [key, value] of Object.entries(returned)) {
    if (value instanceof Tensor && value.size === 1) {
      // Held in order: what is read takes its place.
      logs[key] = NaN
      onDevice.push({ key, value: value as Tensor })
    } else if (typeof value === 'number') logs[key] = value
    else
      throw new ValueError(`trainStep: ${show(key)} must be a number or a scalar tensor, got ${show(value)}`)
  }
  return filled(logs, onDevice, bound)
}

/** `logs` with the numbers of tensors put in, at once where they can be read so. */
function filled(
  logs: Record<string, number>,
  onDevice: readonly { readonly key: string; readonly value: Tensor }[],
  bound: Bound,
): Record<string, number> | Promise<Record<string, number>> {
  const fill = (numbers: readonly number[]): Record<string, number> => {
    onDevice.forEach(({ key }, i) => {
      logs[key] = numbers[i]!
    })
    return logs
  }
  const read = readScalars(
    onDevice.map(({ value }) => value),
    bound,
  )
  return read instanceof Promise ? read.then(fill) : fill(read)
}
