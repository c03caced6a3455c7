import { DataError, ValueError } from '@adjoint/core'
import type { Model } from '../model.js'
import { Air } from './air.js'
import { type Batch, captureData, takeBatch } from './batches.js'
import { Bound } from './bound.js'
import { claim } from './busy.js'
import { type Compiled, compiledOf } from './compile.js'
import { Lead } from './lead.js'
import { Meter } from './logs.js'
import { Report } from './report.js'
import { passSettings } from './settings.js'
import { type Pass, RowSource } from './source.js'
import type { Outcome } from './outcome.js'
import { Stepper } from './step.js'
import type { BatchOptions, EvaluateOptions, Logs } from './types.js'
import { checkKeys } from '../option-checks.js'

/** The losses and metrics on data. */
export async function evaluate(
  model: Model,
  x: unknown,
  y: unknown,
  options: EvaluateOptions,
): Promise<Logs> {
  const compiled = compiledOf(model, 'evaluate')
  const { batchSize, verbosity } = passSettings('evaluate', options, ['sampleWeight'])
  checkCanEvaluate('evaluate', compiled)
  const bound = new Bound()
  const data = await captureData('evaluate', compiled, x, y, options)()
  if (data.rows === 0) throw new DataError('evaluate: the data has no rows')
  const source = new RowSource(data, batchSize, bound)
  const report = new Report(verbosity, source.steps)
  const stepper = new Stepper(model, compiled, bound)
  const logs = await evaluateOn(
    { compiled, stepper, bound, air: new Air() },
    source.begin(0, 0, 0),
    '',
    report,
  )
  report.end(logs)
  bound.settle()
  return logs!
}

/** @throws ValueError when there is nothing to measure by. */
export function checkCanEvaluate(op: string, { hasLoss, outputs }: Compiled): void {
  if (!hasLoss && outputs.every(({ metrics }) => metrics.length === 0))
    throw new ValueError(
      `${op}: the model was compiled with neither a loss nor metrics, so there is nothing to evaluate`,
    )
}

/** What a pass without training is made with. */
export interface Evaluation {
  readonly compiled: Compiled
  readonly stepper: Stepper
  readonly bound: Bound
  readonly air: Air
}

/** The logs of one pass, without training; undefined where it was cut short. */
export async function evaluateOn(
  { compiled, stepper, bound, air }: Evaluation,
  pass: Pass,
  prefix: string,
  report?: Report,
): Promise<Logs | undefined> {
  const meter = new Meter(compiled, bound)
  const lead = new Lead()
  let unread: { readonly batch: Batch; readonly found: Promise<Outcome> }[] = []
  const read = async (): Promise<void> => {
    const all = unread
    unread = []
    lead.end()
    for (const { batch, found } of all) meter.add(batch, await found)
  }
  bound.begin()
  try {
    for (let step = 1; ; step++) {
      const next = pass.next()
      const batch = next instanceof Promise ? await next : next
      if (batch === undefined) break
      bound.begin()
      try {
        const found = stepper.test(batch)
        if (!(found instanceof Promise)) meter.add(batch, found)
        else {
          // To wait for a device's numbers takes longer than most steps: they are read together.
          unread.push({ batch, found })
          lead.add(batch)
          // Told when it is read.
          found.catch(() => undefined)
          if (meter.hasMetrics) await read()
        }
      } finally {
        bound.end()
      }
      const isShown = report?.isDue === true
      if (isShown || lead.isLong()) await read()
      if (isShown) report.step(step, await meter.logs())
      else report?.pass(step)
      if (air.isDue) await air.breathe()
    }
    await read()
    return pass.isCutShort ? undefined : await meter.logs(prefix)
  } finally {
    bound.end()
  }
}

/** One step on one batch. */
export async function trainOnBatch(
  model: Model,
  x: unknown,
  y: unknown,
  options: BatchOptions = {},
): Promise<Logs> {
  checkKeys('trainOnBatch', options, ['sampleWeight', 'classWeight', 'nonFinite'])
  const op = 'trainOnBatch'
  const lease = claim(model, op)
  try {
    return await onBatch(model, op, x, y, options, (stepper, batch) =>
      stepper.train(batch, { op, epoch: 0, step: 0 }),
    )
  } finally {
    lease.release()
  }
}

/** The losses and metrics on one batch. */
export async function testOnBatch(
  model: Model,
  x: unknown,
  y: unknown,
  options: BatchOptions = {},
): Promise<Logs> {
  checkKeys('testOnBatch', options, ['sampleWeight', 'nonFinite'])
  checkCanEvaluate('testOnBatch', compiledOf(model, 'testOnBatch'))
  return onBatch(model, 'testOnBatch', x, y, options, (stepper, batch) => stepper.test(batch))
}

async function onBatch(
  model: Model,
  op: string,
  x: unknown,
  y: unknown,
  options: BatchOptions,
  step: (stepper: Stepper, batch: Batch) => Outcome | Promise<Outcome>,
): Promise<Logs> {
  const compiled = compiledOf(model, op)
  const bound = new Bound()
  const { sampleWeight, classWeight, nonFinite } = options
  const captured = captureData(op, compiled, x, y, {
    sampleWeight,
    classWeight,
    ...(nonFinite && { nonFinite }),
    lends: true,
  })()
  // Where nothing has to be waited for, the step is made before the call returns.
  const data = captured instanceof Promise ? await captured : captured
  if (data.rows === 0) throw new DataError(`${op}: the data has no rows`)
  const batch = bound.run(() => takeBatch(data, undefined, 0, data.rows))
  const meter = new Meter(compiled, bound)
  bound.begin()
  try {
    const made = step(Stepper.of(model, compiled, bound), batch)
    meter.add(batch, made instanceof Promise ? await made : made)
    bound.settle()
    return await meter.logs()
  } finally {
    bound.end()
  }
}
