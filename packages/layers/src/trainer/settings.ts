import { ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { checkChoice, checkFlag, checkKeys, checkNumber, COUNT, type Range, WHOLE } from '../option-checks.js'
import { type Verbosity, verbosityOf } from './report.js'
import type {
  AbortSignal,
  DatasetOptions,
  EvaluateOptions,
  FitDatasetOptions,
  FitOptions,
  PredictOptions,
} from './types.js'

const SPLIT: Range = { holds: (x) => x >= 0 && x < 1, words: 'in the range [0, 1)' }
const VERBOSE = [0, 1, 2, 'auto'] as const

/** Options of `fit` with defaults filled in. */
export interface FitSettings {
  readonly epochs: number
  readonly initialEpoch: number
  readonly batchSize: number
  readonly shuffle: boolean
  readonly verbosity: Verbosity
  readonly validationSplit: number
  readonly signal: AbortSignal | undefined
}

const BOTH = ['batchSize', 'verbose', 'nonFinite']
const FIT = [
  'epochs',
  'initialEpoch',
  ...BOTH,
  'shuffle',
  'validationSplit',
  'validationData',
  'callbacks',
  'sampleWeight',
  'classWeight',
  'signal',
]

export function fitSettings(options: FitOptions): FitSettings {
  checkKeys('fit', options, FIT)
  const { shuffle = true, validationSplit = 0, validationData } = options
  if (validationSplit !== 0 && validationData !== undefined)
    throw new ValueError('fit: give validationSplit or validationData, not both')
  return {
    ...loopSettings('fit', options),
    shuffle: checkFlag('fit', 'shuffle', shuffle),
    validationSplit: checkNumber('fit', 'validationSplit', validationSplit, SPLIT),
    ...common('fit', options, 'auto'),
  }
}

/** What all that train have in common. */
export type LoopSettings = Pick<FitSettings, 'epochs' | 'initialEpoch' | 'signal'>

function loopSettings(op: string, options: LoopOptions): LoopSettings {
  const { epochs = 1, initialEpoch = 0, signal } = options
  checkSignal(op, signal)
  return {
    epochs: checkNumber(op, 'epochs', epochs, WHOLE),
    initialEpoch: checkNumber(op, 'initialEpoch', initialEpoch, WHOLE),
    signal,
  }
}

type LoopOptions = Pick<FitOptions, 'epochs' | 'initialEpoch' | 'signal'>

function checkSignal(op: string, signal: unknown): void {
  if (signal === undefined) return
  if (typeof signal !== 'object' || signal === null || typeof (signal as AbortSignal).aborted !== 'boolean')
    throw new ValueError(`${op}: signal must be an AbortSignal, got ${show(signal)}`)
}

/** Options of `fitDataset` with defaults filled in. */
export interface FitDatasetSettings extends LoopSettings {
  readonly stepsPerEpoch: number | undefined
  readonly validationSteps: number | undefined
  readonly restores: boolean
  readonly verbosity: Verbosity
}

const FIT_DATASET = [
  'epochs',
  'initialEpoch',
  'stepsPerEpoch',
  'verbose',
  'validationData',
  'validationSteps',
  'callbacks',
  'classWeight',
  'signal',
  'nonFinite',
  'onDataError',
]

/** Options that batches bring along. */
const OF_BATCHES: Readonly<Record<string, string>> = {
  batchSize: 'the dataset makes the batches: dataset(samples).batch(32)',
  shuffle: 'the dataset makes the order: dataset(samples).shuffle({ seed }).batch(32)',
  validationSplit: 'give validationData',
  sampleWeight: 'give each batch its own: [x, y, sampleWeight]',
}

export function fitDatasetSettings(options: FitDatasetOptions): FitDatasetSettings {
  const op = 'fitDataset'
  refuseOfBatches(op, options)
  checkKeys(op, options, FIT_DATASET)
  const { stepsPerEpoch, validationData, validationSteps, onDataError = 'restore' } = options
  if (validationSteps !== undefined && (validationData === undefined || Array.isArray(validationData)))
    throw new ValueError(`${op}: validationSteps needs validationData that is a dataset of batches`)
  return {
    ...loopSettings(op, options),
    stepsPerEpoch: optionalCount(op, 'stepsPerEpoch', stepsPerEpoch),
    validationSteps: optionalCount(op, 'validationSteps', validationSteps),
    restores: checkChoice(op, 'onDataError', onDataError, ['restore', 'keep']) === 'restore',
    verbosity: common(op, options, 'auto').verbosity,
  }
}

/** Options of `evaluateDataset` and `predictDataset`. */
export function datasetSettings(
  op: string,
  options: DatasetOptions,
): { steps: number | undefined; verbosity: Verbosity } {
  refuseOfBatches(op, options)
  checkKeys(op, options, ['steps', 'verbose', 'nonFinite'])
  return {
    steps: optionalCount(op, 'steps', options.steps),
    verbosity: common(op, options, byDefault(op)).verbosity,
  }
}

function refuseOfBatches(op: string, options: object): void {
  for (const [key, way] of Object.entries(OF_BATCHES))
    if (isRecord(options) && options[key] !== undefined)
      throw new ValueError(`${op}: there is no option ${key}; ${way}`)
}

function optionalCount(op: string, name: string, value: unknown): number | undefined {
  return value === undefined ? undefined : checkNumber(op, name, value, COUNT)
}

/** Options of `evaluate` and `predict`. */
export function passSettings(
  op: string,
  options: EvaluateOptions | PredictOptions,
  others: readonly string[] = [],
): { batchSize: number; verbosity: Verbosity } {
  checkKeys(op, options, [...BOTH, ...others])
  return common(op, options, byDefault(op))
}

/** `predict` is called for its result, often for a few rows: it prints only when asked to. */
function byDefault(op: string): Verbosity | 'auto' {
  return op.startsWith('predict') ? 0 : 'auto'
}

function common(
  op: string,
  options: PredictOptions,
  verboseByDefault: Verbosity | 'auto',
): { batchSize: number; verbosity: Verbosity } {
  const { batchSize = 32, verbose = verboseByDefault, nonFinite = 'error' } = options
  checkChoice(op, 'nonFinite', nonFinite, ['error', 'allow'])
  if (!VERBOSE.includes(verbose))
    throw new ValueError(`${op}: verbose must be 0, 1, 2 or "auto", got ${show(verbose)}`)
  return { batchSize: checkNumber(op, 'batchSize', batchSize, COUNT), verbosity: verbosityOf(verbose) }
}
