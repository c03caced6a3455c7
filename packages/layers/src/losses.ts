import * as core from '@adjoint/core'
import { type Shape, ShapeError, Tensor, ValueError } from '@adjoint/core'
import { formatShape, isThenable, typeName } from '@adjoint/core/extend'
import { circle, type CircleOptions } from './losses/circle.js'
import {
  type Configured,
  configuredOf,
  type ConfiguredLoss,
  type LossFactory,
  lossFactory,
  lossOfCore,
} from './losses/configured.js'
import { ctc } from './losses/ctc.js'
import type { OwnLossOptions } from './losses/own.js'
import type { Reduction } from './losses/reduction.js'
import { Names, type Spelling } from './names.js'

/**
 * Takes targets and predictions of one shape, [batch, …], to a value for each sample: predictions' shape without the
 * last axis. What is minimised is the mean of these values, weighted by the samples' weights.
 */
export type LossFn = (yTrue: Tensor, yPred: Tensor) => Tensor

/** Names of losses in Keras' spelling, with its short forms. */
type KerasLossName =
  | 'mse'
  | 'mean_squared_error'
  | 'mae'
  | 'mean_absolute_error'
  | 'mape'
  | 'mean_absolute_percentage_error'
  | 'msle'
  | 'mean_squared_logarithmic_error'
  | 'huber'
  | 'log_cosh'
  | 'bce'
  | 'binary_crossentropy'
  | 'binary_focal_crossentropy'
  | 'categorical_crossentropy'
  | 'categorical_focal_crossentropy'
  | 'sparse_categorical_crossentropy'
  | 'crossentropy'
  | 'kld'
  | 'kl_divergence'
  | 'poisson'
  | 'cosine_similarity'
  | 'hinge'
  | 'squared_hinge'
  | 'categorical_hinge'
  | 'dice'
  | 'tversky'
  | 'ctc'
  | 'circle'

/** Losses by name: in Keras' spelling, or in camel case. */
export type LossName = Spelling<KerasLossName>
/** A loss by name, with options, or as a function of the user's own. */
export type LossLike = LossName | LossFn | ConfiguredLoss

/**
 * What a loss expects of its targets: probabilities of yes or no, a distribution over classes, class numbers; or
 * nothing that is known here.
 */
export type LossKind = 'binary' | 'categorical' | 'sparse' | 'other'

/** A loss as training uses it. */
export interface Loss {
  /** In Keras' spelling; a function's own name. */
  readonly name: string
  readonly fn: LossFn
  /** How its values become one; Keras' default where undefined. */
  readonly reduction: Reduction | undefined
  /** Whether nothing is known here of the targets that it takes. */
  readonly isOwn: boolean
  /** For targets of the given shape and predictions of the other, both with the batch. */
  kind(targets: Shape, predictions: Shape): LossKind
}

/**
 * All losses, each in two forms: a function of targets, predictions and options, that gives a value for each sample; and,
 * of options alone, what `compile` takes.
 * @example m.compile({ loss: losses.binaryCrossentropy({ fromLogits: true, labelSmoothing: 0.1 }) })
 */
export const losses: {
  readonly meanSquaredError: LossFactory<core.AxisLossOptions>
  readonly meanAbsoluteError: LossFactory<core.AxisLossOptions>
  readonly meanAbsolutePercentageError: LossFactory<core.EpsilonLossOptions>
  readonly meanSquaredLogarithmicError: LossFactory<core.EpsilonLossOptions>
  readonly huber: LossFactory<core.HuberOptions>
  readonly logCosh: LossFactory<core.AxisLossOptions>
  readonly binaryCrossentropy: LossFactory<core.SmoothedCrossentropyOptions>
  readonly binaryFocalCrossentropy: LossFactory<core.BinaryFocalOptions>
  readonly categoricalCrossentropy: LossFactory<core.SmoothedCrossentropyOptions>
  readonly categoricalFocalCrossentropy: LossFactory<core.FocalOptions>
  readonly sparseCategoricalCrossentropy: LossFactory<core.CrossentropyOptions>
  readonly klDivergence: LossFactory<core.EpsilonLossOptions>
  readonly poisson: LossFactory<core.EpsilonLossOptions>
  readonly cosineSimilarity: LossFactory<core.EpsilonLossOptions>
  readonly hinge: LossFactory<core.AxisLossOptions>
  readonly squaredHinge: LossFactory<core.AxisLossOptions>
  readonly categoricalHinge: LossFactory<core.AxisLossOptions>
  readonly dice: LossFactory<core.OverlapOptions>
  readonly tversky: LossFactory<core.TverskyOptions>
  readonly ctc: LossFactory<OwnLossOptions>
  readonly circle: LossFactory<CircleOptions>
} = {
  meanSquaredError: lossFactory('mean_squared_error', core.meanSquaredError),
  meanAbsoluteError: lossFactory('mean_absolute_error', core.meanAbsoluteError),
  meanAbsolutePercentageError: lossFactory(
    'mean_absolute_percentage_error',
    core.meanAbsolutePercentageError,
  ),
  meanSquaredLogarithmicError: lossFactory(
    'mean_squared_logarithmic_error',
    core.meanSquaredLogarithmicError,
  ),
  huber: lossFactory('huber', core.huber),
  logCosh: lossFactory('log_cosh', core.logCosh),
  binaryCrossentropy: lossFactory('binary_crossentropy', core.binaryCrossentropy),
  binaryFocalCrossentropy: lossFactory('binary_focal_crossentropy', core.binaryFocalCrossentropy),
  categoricalCrossentropy: lossFactory('categorical_crossentropy', core.categoricalCrossentropy),
  categoricalFocalCrossentropy: lossFactory(
    'categorical_focal_crossentropy',
    core.categoricalFocalCrossentropy,
  ),
  sparseCategoricalCrossentropy: lossFactory(
    'sparse_categorical_crossentropy',
    core.sparseCategoricalCrossentropy,
  ),
  klDivergence: lossFactory('kl_divergence', core.klDivergence),
  poisson: lossFactory('poisson', core.poisson),
  cosineSimilarity: lossFactory('cosine_similarity', core.cosineSimilarity),
  hinge: lossFactory('hinge', core.hinge),
  squaredHinge: lossFactory('squared_hinge', core.squaredHinge),
  categoricalHinge: lossFactory('categorical_hinge', core.categoricalHinge),
  dice: lossFactory('dice', core.dice),
  tversky: lossFactory('tversky', core.tversky),
  ctc: lossFactory('ctc', ctc, () => [core.zeros([1, 1]), core.zeros([1, 1, 1])]),
  circle: lossFactory('circle', circle, () => [core.zeros([1]), core.zeros([1, 1])]),
}

/** What 'crossentropy' and 'accuracy' stand for, as Keras tells it from the shapes. */
export function classKind(targets: Shape, predictions: Shape): Exclude<LossKind, 'other'> {
  if (predictions.at(-1) === 1) return 'binary'
  return targets.length < predictions.length || targets.at(-1) === 1 ? 'sparse' : 'categorical'
}

const byKind: Readonly<Record<Exclude<LossKind, 'other'>, LossFn>> = {
  binary: losses.binaryCrossentropy,
  categorical: losses.categoricalCrossentropy,
  sparse: losses.sparseCategoricalCrossentropy,
}

/** The cross-entropy that fits the shapes: see {@link classKind}. */
function crossentropy(yTrue: Tensor, yPred: Tensor): Tensor {
  return byKind[classKind(yTrue.shape, yPred.shape)](yTrue, yPred)
}

/** By Keras' names. @internal */
export const lossTable: Readonly<Record<string, LossFn>> = {
  mean_squared_error: losses.meanSquaredError,
  mean_absolute_error: losses.meanAbsoluteError,
  mean_absolute_percentage_error: losses.meanAbsolutePercentageError,
  mean_squared_logarithmic_error: losses.meanSquaredLogarithmicError,
  huber: losses.huber,
  log_cosh: losses.logCosh,
  binary_crossentropy: losses.binaryCrossentropy,
  binary_focal_crossentropy: losses.binaryFocalCrossentropy,
  categorical_crossentropy: losses.categoricalCrossentropy,
  categorical_focal_crossentropy: losses.categoricalFocalCrossentropy,
  sparse_categorical_crossentropy: losses.sparseCategoricalCrossentropy,
  crossentropy,
  kl_divergence: losses.klDivergence,
  poisson: losses.poisson,
  cosine_similarity: losses.cosineSimilarity,
  hinge: losses.hinge,
  squared_hinge: losses.squaredHinge,
  categorical_hinge: losses.categoricalHinge,
  dice: losses.dice,
  tversky: losses.tversky,
  ctc: losses.ctc,
  circle: losses.circle,
}

/** Keras' short forms. @internal */
export const lossAliases: Readonly<Record<string, string>> = {
  mse: 'mean_squared_error',
  MSE: 'mean_squared_error',
  mae: 'mean_absolute_error',
  MAE: 'mean_absolute_error',
  mape: 'mean_absolute_percentage_error',
  MAPE: 'mean_absolute_percentage_error',
  msle: 'mean_squared_logarithmic_error',
  MSLE: 'mean_squared_logarithmic_error',
  bce: 'binary_crossentropy',
  BCE: 'binary_crossentropy',
  kld: 'kl_divergence',
  KLD: 'kl_divergence',
  logcosh: 'log_cosh',
}

const names = new Names<LossFn>('loss', 'a function', lossTable, lossAliases)

const kinds = new Map<unknown, LossKind>([
  [losses.binaryCrossentropy, 'binary'],
  [losses.binaryFocalCrossentropy, 'binary'],
  [losses.categoricalCrossentropy, 'categorical'],
  [losses.categoricalFocalCrossentropy, 'categorical'],
  [losses.sparseCategoricalCrossentropy, 'sparse'],
])

/** Losses whose targets are class numbers in a shape of their own, of which the predictions' tells nothing. */
const ofOwnShape = new Set<unknown>([losses.ctc, losses.circle])

/** The name of one of the losses here, in Keras' spelling. @internal */
export function lossName(fn: unknown): string | undefined {
  return names.nameOf((lossOfCore(fn as object) ?? fn) as LossFn)
}

/**
 * The loss that an output was given.
 * @throws ValueError for an unknown name, with the nearest one, or for something that is neither name nor function.
 */
export function resolveLoss(spec: unknown): Loss {
  if (typeof spec !== 'function') {
    const { name, value } = names.get(spec)
    return lossOf(name, value)
  }
  const options = configuredOf(spec)
  if (options !== undefined) {
    const base = options.base as LossFn
    return { ...lossOf(names.nameOf(base)!, base), ...optioned(spec as ConfiguredLoss, options) }
  }
  const fn = (lossOfCore(spec) ?? spec) as LossFn
  const known = names.nameOf(fn)
  // What a user's function returns is checked when it has.
  return known === undefined
    ? { ...lossOf(spec.name || 'loss', checkedLoss(spec as LossFn)), isOwn: true }
    : lossOf(known, fn)
}

function optioned(fn: LossFn, { reduction, isAlongLast }: Configured): Partial<Loss> {
  // Along another axis targets have a shape that training knows nothing of.
  return isAlongLast ? { fn, reduction } : { fn, reduction, kind: () => 'other', isOwn: true }
}

function lossOf(name: string, fn: LossFn): Loss {
  const kind = kinds.get(fn) ?? 'other'
  return {
    name,
    fn,
    reduction: undefined,
    isOwn: ofOwnShape.has(fn),
    kind: fn === crossentropy ? classKind : () => kind,
  }
}

/** A user's loss, its results checked. */
function checkedLoss(fn: LossFn): LossFn {
  // A function written in its place is called as its key is.
  const what = fn.name === '' || fn.name === 'loss' ? 'the loss function' : `loss ${fn.name}`
  return (yTrue, yPred) => {
    const values = fn(yTrue, yPred)
    if (!((values as unknown) instanceof Tensor))
      throw new ValueError(
        `${what}: expected a tensor, got ${typeName(values)}` +
          (isThenable(values) ? '; a loss must be synchronous' : ''),
      )
    if (values.rank > 0 && values.shape[0] !== yPred.shape[0])
      throw new ShapeError(
        `${what}: expected a value for each of ${yPred.shape[0]} samples (or one for all of them), got ` +
          formatShape(values.shape),
        { shapes: [yTrue.shape, yPred.shape, values.shape] },
      )
    return values
  }
}
