import type { MetricState } from '../metrics/metric.js'
import type { OptimizerState } from '../optimizers.js'
import type { Tensor } from '@adjoint/core'
import type { RandomState } from '@adjoint/core/extend'
import type { CallbackState } from './types.js'

/** What a {@link Meter} has summed up so far. */
export interface MeterState {
  readonly rows: number
  readonly loss: number
  readonly modelLoss: number
  /** By output. */
  readonly losses: readonly number[]
  /** By output: rows whose targets are there, and what its loss adds to the sum. */
  readonly present?: readonly number[]
  readonly parts?: readonly number[]
  /** Sums of what a step of the user's own returned. */
  readonly own: Readonly<Record<string, number>> | undefined
  /** By output and metric; null before the first batch. */
  readonly metrics: readonly (readonly (MetricState | null)[])[]
}

/** What must be the same for a training to go on. */
export interface TrainingShape {
  /** Undefined where a dataset makes the batches. */
  readonly rows: number | undefined
  readonly batchSize: number | undefined
  readonly shuffle: boolean | undefined
  readonly logNames: readonly string[] | undefined
  /** The optimizer's name, and what it remembers of a variable. */
  readonly optimizer: readonly string[]
  readonly callbacks: readonly string[]
}

/** Everything that a training is at one moment: from it, it goes on as if it had never stopped. */
export interface TrainingState {
  readonly shape: TrainingShape
  /** The epoch it is in, and how many of its steps are done. */
  readonly epoch: number
  readonly step: number
  /** The draw of the program's random numbers that all of the training's come from. */
  readonly origin: RandomState
  /** Where the epoch's own random numbers stand. */
  readonly random: RandomState
  readonly history: {
    readonly epoch: readonly number[]
    readonly logs: Readonly<Record<string, readonly number[]>>
  }
  /** By path. */
  readonly weights: Readonly<Record<string, Tensor>>
  /** Paths of the weights that the optimizer remembers something of, in the order of its state. */
  readonly trained: readonly string[]
  readonly optimizer: OptimizerState
  /** What losses count, by output: null where that is learned or follows a schedule. */
  readonly lossWeights: readonly (number | null)[]
  /** Undefined between two epochs. */
  readonly meter: MeterState | undefined
  /** null for those without a state. */
  readonly callbacks: readonly (CallbackState | null)[]
}
