import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { checkChoice, checkFlag, checkKeys, checkNumber, COUNT, type Range, WHOLE } from '../option-checks.js'
import { type Verbosity, verbosityOf } from './report.js'
import type { AbortSignal, EvaluateOptions, FitOptions, PredictOptions } from './types.js'

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
  const {
    epochs = 1,
    initialEpoch = 0,
    shuffle = true,
    validationSplit = 0,
    validationData,
    signal,
  } = options
  if (validationSplit !== 0 && validationData !== undefined)
    throw new ValueError('fit: give validationSplit or validationData, not both')
  if (
    signal !== undefined &&
    (typeof signal !== 'object' || signal === null || typeof signal.aborted !== 'boolean')
  )
    throw new ValueError(`fit: signal must be an AbortSignal, got ${show(signal)}`)
  return {
    epochs: checkNumber('fit', 'epochs', epochs, WHOLE),
    initialEpoch: checkNumber('fit', 'initialEpoch', initialEpoch, WHOLE),
    shuffle: checkFlag('fit', 'shuffle', shuffle),
    validationSplit: checkNumber('fit', 'validationSplit', validationSplit, SPLIT),
    signal,
    ...common('fit', options, 'auto'),
  }
}

/** Options of `evaluate` and `predict`, which print nothing unless asked to. */
export function passSettings(
  op: string,
  options: EvaluateOptions | PredictOptions,
  others: readonly string[] = [],
): { batchSize: number; verbosity: Verbosity } {
  checkKeys(op, options, [...BOTH, ...others])
  return common(op, options, 0)
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
