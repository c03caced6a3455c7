import type { NonFiniteError, Tensor } from '@adjoint/core'
import type { LossLike } from '../losses.js'
import type { MetricLike } from '../metrics.js'
import type { Model } from '../model.js'
import type { Optimizer, OptimizerName } from '../optimizers.js'
import type { LossWeight } from './loss-weights.js'
import type { Feed, NumericData, OutKey, PerOutput, Sym, Targets, TensorsOf } from '../types.js'

/** Losses and metrics by Keras' names: `loss`, `direction_loss`, `val_direction_accuracy`. */
export interface Logs {
  loss: number
  [metric: string]: number
}

export type LogKey<O> = 'loss' | 'val_loss' | `${OutKey<O>}_loss` | `val_${OutKey<O>}_loss` | (string & {})

/** What `fit` returns: the logs of each epoch. */
// oxlint-disable-next-line typescript/no-explicit-any -- outputs that are not known have any keys
export interface History<O = any> {
  /** The epochs' numbers, from 0. */
  readonly epoch: number[]
  readonly history: { readonly [K in LogKey<O>]: number[] }
  readonly params: Readonly<Record<string, unknown>>
  /**
   * The curves as an SVG picture: a panel for each loss and metric, training and validation in it, the best epoch
   * of the validation ringed. With `toFile` it is written too, and promised instead of given.
   * @example await writeFile('curves.svg', history.toSVG())
   */
  toSVG(options: CurvesOptions & { readonly toFile: string }): Promise<string>
  toSVG(options?: CurvesOptions & { readonly toFile?: never }): string
}

/** Options of `history.toSVG`. */
export interface CurvesOptions {
  /** What stands above the curves (default 'Training'). */
  readonly title?: string
  /** A path to write it to. */
  readonly toFile?: string
}

/** One batch as a custom training step gets it. */
export interface StepBatch<I, O> {
  readonly x: TensorsOf<I>
  readonly y: TensorsOf<O>
  readonly sampleWeight?: TensorsOf<O>
}

/** What becomes of targets that are missing. */
export type MissingTargets = 'mask' | 'error'

/** Options of `compile`. */
// oxlint-disable-next-line typescript/no-explicit-any -- a model that is not known takes any
export interface CompileOptions<I = any, O = any> {
  /** A name, or an optimizer with options of its own (default 'rmsprop', as in Keras). */
  readonly optimizer?: OptimizerName | Optimizer
  /**
   * A loss for each output; one for all; an output without one has no loss. Targets of categorical cross-entropies
   * are weights of the classes, taken as they are: a row need not sum to 1.
   */
  readonly loss?: LossLike | PerOutput<O, LossLike>
  /**
   * A loss over all outputs at once, added to those of `loss`: a scalar, or a value for each sample. Sample weights
   * are its own to use.
   */
  readonly modelLoss?: (
    targets: TensorsOf<O>,
    outputs: TensorsOf<O>,
    sampleWeight: TensorsOf<O> | undefined,
  ) => Tensor
  /**
   * What each output's loss counts in the sum (default 1): a number, or a function of how many steps were taken
   * before; `model.setLossWeights` changes them later. With 'uncertainty' they are learned: the sum is over
   * exp(-s) loss + s, with a weight s for each output that starts at 0 (Kendall, Gal & Cipolla 2018).
   */
  readonly lossWeights?: PerOutput<O, LossWeight> | 'uncertainty'
  readonly metrics?:
    (O extends Sym.Any ? readonly MetricLike[] : never) | PerOutput<O, MetricLike | readonly MetricLike[]>
  readonly weightedMetrics?:
    (O extends Sym.Any ? readonly MetricLike[] : never) | PerOutput<O, MetricLike | readonly MetricLike[]>
  /**
   * What becomes of targets that are NaN or null (or -1, where they are class numbers or probabilities): 'error'
   * (default) refuses them, 'mask' leaves them out of that output's loss and metrics. One choice for all, or by output.
   */
  readonly missingTargets?: MissingTargets | PerOutput<O, MissingTargets>
  /**
   * Whether steps that are made often are recorded and replayed as one piece of code (default true). The numbers are
   * the same, to the last bit; say false for layers and losses whose code depends on what changes between steps.
   */
  readonly plan?: boolean
  /** One training step of your own; `fit` still runs the loop. */
  readonly trainStep?: (
    batch: StepBatch<I, O>,
    model: Model<I, O>,
  ) => Logs | { readonly loss: Tensor; readonly [key: string]: Tensor | number }
}

/** What callbacks are told before training begins. */
export interface FitParams {
  readonly epochs: number
  /** Steps of one epoch; undefined where a dataset does not tell. */
  readonly steps: number | undefined
  /** Rows of a step; undefined where a dataset decides. */
  readonly batchSize: number | undefined
  readonly verbose: 0 | 1 | 2
  /** The logs there will be; undefined where a custom step decides. */
  readonly logNames: readonly string[] | undefined
}

/** What a callback remembers, by name: plain values, tensors, and lists of tensors. */
export type CallbackState = Readonly<
  Record<string, number | string | boolean | null | undefined | Tensor | readonly Tensor[]>
>

/** Called by `fit` as it goes. Any method may be asynchronous; `fit` waits for it. */
export interface Callback {
  /** How errors name it. */
  readonly name?: string
  // oxlint-disable-next-line typescript/no-explicit-any -- callbacks work for models of any structure
  setModel?(model: Model<any, any>): void
  /** Called before the first step, once all data is checked. */
  setParams?(params: FitParams): void
  onTrainBegin?(): void | Promise<void>
  onTrainEnd?(): void | Promise<void>
  onEpochBegin?(epoch: number): void | Promise<void>
  onEpochEnd?(epoch: number, logs: Logs): void | Promise<void>
  onBatchBegin?(batch: number): void | Promise<void>
  onBatchEnd?(batch: number, logs: Logs): void | Promise<void>
  /**
   * Called when a step found NaN or an infinity and was undone. true ends the training with the history so far;
   * without that `fit` rejects with the error.
   */
  onNonFinite?(error: NonFiniteError): boolean | void
  /** What it would need to go on after a restart, see `backupAndRestore`; without it, it starts over. */
  getState?(): CallbackState
  /** Takes over what `getState` told, after `onTrainBegin`. */
  setState?(state: CallbackState): void | Promise<void>
  /** Whether training should end after this epoch; read when it is over. */
  readonly stopTraining?: boolean
}

type ValidationData<I, O> =
  | readonly [x: Feed<I>, y: Targets<O>]
  | readonly [x: Feed<I>, y: Targets<O>, sampleWeight: PerOutput<O, NumericData>]

/** Options of `fit`. */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export interface FitOptions<I = any, O = any> {
  /** How often to go through the data (default 1); counted on from `initialEpoch` (default 0). */
  readonly epochs?: number
  readonly initialEpoch?: number
  /** Rows per step (default 32); the last batch may be smaller. */
  readonly batchSize?: number
  /** Whether each epoch takes the rows in another order (default true). */
  readonly shuffle?: boolean
  /** 0 silent, 1 a progress bar, 2 one line per epoch, 'auto' (default) 1 on a terminal, 0 in tests, 2 elsewhere. */
  readonly verbose?: 0 | 1 | 2 | 'auto'
  /** The part of the rows, at the end, that is kept for validation. */
  readonly validationSplit?: number
  readonly validationData?: ValidationData<I, O>
  readonly callbacks?: Callback | readonly Callback[]
  /** What each row counts in the losses. */
  readonly sampleWeight?: PerOutput<O, NumericData>
  /** What each class counts in the losses. */
  readonly classWeight?: Readonly<Record<number, number>> | PerOutput<O, Readonly<Record<number, number>>>
  /** Ends the training after the batch it is at; the history of the epochs that were completed is returned. */
  readonly signal?: AbortSignal
  /** Whether NaN and infinities in inputs are refused (default 'error'). */
  readonly nonFinite?: 'error' | 'allow'
}

/** One batch of a dataset: inputs and targets as `fit` takes them, and what each row counts. */
export type DatasetBatch<I, O> =
  | readonly [x: Feed<I>, y: Targets<O>]
  | readonly [x: Feed<I>, y: Targets<O>, sampleWeight: PerOutput<O, NumericData>]

type AnyIterable<T> = Iterable<T> | AsyncIterable<T>

/** One batch to predict for: the inputs as `predict` takes them, or what `fitDataset` takes, of which the rest is ignored. */
export type InputBatch<I> = Feed<I> | readonly [x: Feed<I>, y?: unknown, sampleWeight?: unknown]

/** Batches: an iterable, an async iterable, or a function that returns a fresh one for each epoch. */
export type Batches<T> = AnyIterable<T> | ((epoch: number) => AnyIterable<T> | Promise<AnyIterable<T>>)

/** Options of `fitDataset`: those of `fit` that do not belong to the batches. */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export interface FitDatasetOptions<I = any, O = any> extends Pick<
  FitOptions<I, O>,
  'epochs' | 'initialEpoch' | 'verbose' | 'callbacks' | 'classWeight' | 'signal' | 'nonFinite'
> {
  /**
   * Batches of one epoch. An iterable goes on with the next epoch where the last one stopped, and begins again when it
   * ends between two; a function is called for each epoch. Default: epochs end with the dataset.
   */
  readonly stepsPerEpoch?: number
  /** Arrays, or a dataset of batches (an iterable that is no array, or a function). */
  readonly validationData?: ValidationData<I, O> | Batches<DatasetBatch<I, O>>
  /** Batches of one validation; needs a dataset. */
  readonly validationSteps?: number
  /**
   * What becomes of the training when the dataset throws or gives a bad batch: 'restore' (default) puts the model back
   * to where it was before the call, 'keep' leaves it after the last whole step.
   */
  readonly onDataError?: 'restore' | 'keep'
}

/** Options of `evaluateDataset` and `predictDataset`. */
export interface DatasetOptions {
  /** The number of batches to take; all without it. */
  readonly steps?: number
  readonly verbose?: 0 | 1 | 2 | 'auto'
  readonly nonFinite?: 'error' | 'allow'
}

/** The part of the web platform's AbortSignal that is needed. */
export interface AbortSignal {
  readonly aborted: boolean
  addEventListener?(type: 'abort', listener: () => void): void
  removeEventListener?(type: 'abort', listener: () => void): void
}

// oxlint-disable-next-line typescript/no-explicit-any -- as above
export interface EvaluateOptions<O = any> {
  readonly batchSize?: number
  readonly verbose?: 0 | 1 | 2 | 'auto'
  readonly sampleWeight?: PerOutput<O, NumericData>
  /** Whether NaN and infinities in inputs are refused (default 'error'). */
  readonly nonFinite?: 'error' | 'allow'
}

export interface PredictOptions {
  readonly batchSize?: number
  /** As in `fit`, but silent by default. */
  readonly verbose?: 0 | 1 | 2 | 'auto'
  readonly nonFinite?: 'error' | 'allow'
}

/** Options of `trainOnBatch` and `testOnBatch`. */
// oxlint-disable-next-line typescript/no-explicit-any -- as above
export interface BatchOptions<O = any> {
  readonly sampleWeight?: PerOutput<O, NumericData>
  /** Only for `trainOnBatch`. */
  readonly classWeight?: Readonly<Record<number, number>> | PerOutput<O, Readonly<Record<number, number>>>
  readonly nonFinite?: 'error' | 'allow'
}
