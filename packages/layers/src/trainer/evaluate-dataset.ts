import type { DType, Tensor } from '@adjoint/core'
import type { Model } from '../model.js'
import { Air } from './air.js'
import { captureInputs, takeBatch } from './batches.js'
import { Bound } from './bound.js'
import { compiledOf } from './compile.js'
import { DatasetSource } from './dataset-source.js'
import { endsOf } from './ends.js'
import { checkCanEvaluate, evaluateOn } from './evaluate.js'
import { batchMaker } from './fit-dataset.js'
import { inputsOfItem } from './item.js'
import { Inference } from './planned.js'
import { allJoined, outputsFor } from './predict.js'
import { Report } from './report.js'
import { datasetSettings } from './settings.js'
import { Stepper } from './step.js'
import type { DatasetOptions, Logs } from './types.js'

/** The losses and metrics on batches as they come. */
export async function evaluateDataset(model: Model, data: unknown, options: DatasetOptions): Promise<Logs> {
  const op = 'evaluateDataset'
  void model.inputs
  const compiled = compiledOf(model, op)
  const { steps, verbosity } = datasetSettings(op, options)
  checkCanEvaluate(op, compiled)
  const bound = new Bound()
  const source = onePass(op, data, steps, batchMaker(compiled, bound, checksOf(options)))
  try {
    const report = new Report(verbosity, steps)
    const evaluation = {
      compiled,
      stepper: new Stepper(model, compiled, bound),
      bound,
      air: new Air(),
    }
    const logs = await evaluateOn(evaluation, await source.begin(0, 0, 0), '', report)
    report.end(logs)
    bound.settle()
    return logs!
  } finally {
    await source.close()
  }
}

/** The outputs for batches as they come, joined, in the structure of the model's outputs. */
export async function predictDataset(model: Model, data: unknown, options: DatasetOptions): Promise<unknown> {
  const op = 'predictDataset'
  const inputs = endsOf(model, 'input')
  const { steps, verbosity } = datasetSettings(op, options)
  const bound = new Bound()
  const source = onePass(op, data, steps, async (item, at) => {
    const rows = await captureInputs(at, inputs, inputsOfItem(inputs, item), checksOf(options))()
    return bound.run(() => takeBatch(rows, undefined, 0, rows.rows))
  })
  const report = new Report(verbosity, steps)
  const air = new Air()
  const inference = bound.run(() => new Inference(model))
  const parts: (readonly Tensor<DType>[])[] = []
  bound.begin()
  try {
    const pass = await source.begin(0, 0, 0)
    for (let batch = await pass.next(); batch !== undefined; batch = await pass.next()) {
      const given = batch
      parts.push(bound.run(() => outputsFor(inference, given)))
      report.step(parts.length, undefined)
      if (air.isDue) await air.breathe()
    }
    report.end(undefined, parts.length)
    return allJoined(model, bound, parts)
  } finally {
    bound.end()
    await source.close()
  }
}

function checksOf({ nonFinite }: DatasetOptions): { nonFinite?: 'error' | 'allow' } {
  return nonFinite === undefined ? {} : { nonFinite }
}

function onePass(
  op: string,
  data: unknown,
  steps: number | undefined,
  batchOf: ConstructorParameters<typeof DatasetSource>[1]['batchOf'],
): DatasetSource {
  return new DatasetSource(data, {
    op,
    what: 'the dataset',
    steps,
    stepsOption: 'steps',
    passes: 1,
    goesOn: false,
    signal: undefined,
    mayBeEmpty: op === 'predictDataset',
    at: (_epoch, _step, batch) => `${op}: batch ${batch}`,
    batchOf,
  })
}
