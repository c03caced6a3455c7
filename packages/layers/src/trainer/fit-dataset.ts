import { DataError } from '@adjoint/core'
import { randomState, setRandomState, show, typeName } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import { type Batch, captureData, type DataOptions, takeBatch } from './batches.js'
import { Bound } from './bound.js'
import { claim } from './busy.js'
import { CallbackRun } from './callback-run.js'
import { type Compiled, compiledOf } from './compile.js'
import { DatasetSource } from './dataset-source.js'
import { checkCanEvaluate } from './evaluate.js'
import { captureValidation, Training } from './fit.js'
import { type FitDatasetSettings, fitDatasetSettings } from './settings.js'
import { RowSource, type Source } from './source.js'
import type { FitDatasetOptions, History } from './types.js'

const OP = 'fitDataset'

/**
 * Trains on batches as they come. The first batch, and the first of validation, are checked before anything happens;
 * when a later one fails, the model is put back to where it was before the call, unless that is not wanted.
 */
export async function fitDataset(model: Model, data: unknown, options: FitDatasetOptions): Promise<History> {
  // A model without inputs is told so first.
  void model.inputs
  const compiled = compiledOf(model, OP)
  const settings = fitDatasetSettings(options)
  const callbacks = new CallbackRun(options.callbacks)
  const lease = claim(model, OP)
  const random = randomState()
  let sources: { readonly training: DatasetSource; readonly validation: Source | undefined } | undefined
  let goBack: (() => void) | undefined
  try {
    const bound = new Bound()
    sources = await sourcesOf(compiled, bound, data, settings, options)
    const training = new Training(OP, model, compiled, bound, settings, callbacks, sources)
    if (settings.restores) goBack = training.snapshot()
    return await training.run()
  } catch (error) {
    if (sources === undefined || hasFailed(sources.training) || hasFailed(sources.validation)) {
      goBack?.()
      if (settings.restores) setRandomState(random)
    }
    throw error
  } finally {
    await sources?.training.close()
    await sources?.validation?.close()
    lease.release()
  }
}

function hasFailed(source: Source | undefined): boolean {
  return source instanceof DatasetSource && source.hasFailed
}

/** The data, its first batches checked. */
async function sourcesOf(
  compiled: Compiled,
  bound: Bound,
  data: unknown,
  settings: FitDatasetSettings,
  { validationData, classWeight, nonFinite }: FitDatasetOptions,
): Promise<{ readonly training: DatasetSource; readonly validation: Source | undefined }> {
  const { epochs, initialEpoch, stepsPerEpoch, validationSteps, signal } = settings
  const checks: DataOptions = nonFinite === undefined ? {} : { nonFinite }
  const use = { op: OP, passes: epochs - initialEpoch, signal }
  const training = new DatasetSource(data, {
    ...use,
    what: 'the dataset',
    steps: stepsPerEpoch,
    stepsOption: 'stepsPerEpoch',
    goesOn: true,
    at: (epoch, step, batch) => `${OP}: epoch ${epoch}, step ${step} (batch ${batch})`,
    batchOf: batchMaker(compiled, bound, { ...checks, classWeight }),
  })
  const isDataset = validationData !== undefined && !Array.isArray(validationData)
  const validation = isDataset
    ? new DatasetSource(validationData, {
        ...use,
        what: 'validationData',
        steps: validationSteps,
        stepsOption: 'validationSteps',
        goesOn: false,
        at: (epoch, _step, batch) => `${OP}: epoch ${epoch}, validation batch ${batch}`,
        batchOf: batchMaker(compiled, bound, checks),
      })
    : await validationRows(compiled, bound, validationData, checks)
  if (validation !== undefined) checkCanEvaluate(OP, compiled)
  if (initialEpoch >= epochs) return { training, validation }
  try {
    await training.prime(initialEpoch)
    if (validation instanceof DatasetSource) await validation.prime(initialEpoch)
  } catch (error) {
    await training.close()
    await validation?.close()
    throw error
  }
  return { training, validation }
}

/** Validation data of arrays: batches of 32 rows, as `fit` makes them. */
async function validationRows(
  compiled: Compiled,
  bound: Bound,
  data: unknown,
  checks: DataOptions,
): Promise<Source | undefined> {
  if (data === undefined) return undefined
  const rows = await captureValidation(OP, compiled, data, checks)()
  if (rows.rows === 0) throw new DataError(`${OP}: validationData has no rows`)
  return new RowSource(rows, 32, bound)
}

/** What checks an item of a dataset and makes tensors of it. */
export function batchMaker(
  compiled: Compiled,
  bound: Bound,
  options: DataOptions,
): (item: unknown, at: string) => Promise<Batch> {
  return async (item, at) => {
    if (!Array.isArray(item) || item.length < 2 || item.length > 3)
      throw new DataError(
        `${at}: a batch is [x, y] or [x, y, sampleWeight], got ` +
          (Array.isArray(item) ? `a list of ${item.length}` : `${typeName(item)} (${show(item)})`),
      )
    const [x, y, sampleWeight] = item as unknown[]
    const rows = await captureData(at, compiled, x, y, { ...options, sampleWeight })()
    if (rows.rows === 0) throw new DataError(`${at}: the batch has no rows`)
    return bound.run(() => takeBatch(rows, undefined, 0, rows.rows))
  }
}
