import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  categoricalHinge,
  cosineSimilarity,
  dice,
  hinge,
  huber,
  klDivergence,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  poisson,
  type Shape,
  ShapeError,
  sparseCategoricalCrossentropy,
  squaredHinge,
  Tensor,
  tversky,
  ValueError,
} from '@adjoint/core'
import { formatShape, isThenable, typeName } from '@adjoint/core/extend'
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

/** Losses by name: in Keras' spelling, or in camel case. */
export type LossName = Spelling<KerasLossName>
/** A loss by name, or as a function. */
export type LossLike = LossName | LossFn

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
  /** For targets of the given shape and predictions of the other, both with the batch. */
  kind(targets: Shape, predictions: Shape): LossKind
}

/** All losses, as functions of targets, predictions and options. */
export const losses: {
  readonly meanSquaredError: typeof meanSquaredError
  readonly meanAbsoluteError: typeof meanAbsoluteError
  readonly meanAbsolutePercentageError: typeof meanAbsolutePercentageError
  readonly meanSquaredLogarithmicError: typeof meanSquaredLogarithmicError
  readonly huber: typeof huber
  readonly logCosh: typeof logCosh
  readonly binaryCrossentropy: typeof binaryCrossentropy
  readonly binaryFocalCrossentropy: typeof binaryFocalCrossentropy
  readonly categoricalCrossentropy: typeof categoricalCrossentropy
  readonly categoricalFocalCrossentropy: typeof categoricalFocalCrossentropy
  readonly sparseCategoricalCrossentropy: typeof sparseCategoricalCrossentropy
  readonly klDivergence: typeof klDivergence
  readonly poisson: typeof poisson
  readonly cosineSimilarity: typeof cosineSimilarity
  readonly hinge: typeof hinge
  readonly squaredHinge: typeof squaredHinge
  readonly categoricalHinge: typeof categoricalHinge
  readonly dice: typeof dice
  readonly tversky: typeof tversky
} = {
  meanSquaredError,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredLogarithmicError,
  huber,
  logCosh,
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  sparseCategoricalCrossentropy,
  klDivergence,
  poisson,
  cosineSimilarity,
  hinge,
  squaredHinge,
  categoricalHinge,
  dice,
  tversky,
}

/** What 'crossentropy' and 'accuracy' stand for, as Keras tells it from the shapes. */
export function classKind(targets: Shape, predictions: Shape): Exclude<LossKind, 'other'> {
  if (predictions.at(-1) === 1) return 'binary'
  return targets.length < predictions.length || targets.at(-1) === 1 ? 'sparse' : 'categorical'
}

const byKind: Readonly<Record<Exclude<LossKind, 'other'>, LossFn>> = {
  binary: binaryCrossentropy,
  categorical: categoricalCrossentropy,
  sparse: sparseCategoricalCrossentropy,
}

/** The cross-entropy that fits the shapes: see {@link classKind}. */
function crossentropy(yTrue: Tensor, yPred: Tensor): Tensor {
  return byKind[classKind(yTrue.shape, yPred.shape)](yTrue, yPred)
}

/** By Keras' names. @internal */
export const lossTable: Readonly<Record<string, LossFn>> = {
  mean_squared_error: meanSquaredError,
  mean_absolute_error: meanAbsoluteError,
  mean_absolute_percentage_error: meanAbsolutePercentageError,
  mean_squared_logarithmic_error: meanSquaredLogarithmicError,
  huber,
  log_cosh: logCosh,
  binary_crossentropy: binaryCrossentropy,
  binary_focal_crossentropy: binaryFocalCrossentropy,
  categorical_crossentropy: categoricalCrossentropy,
  categorical_focal_crossentropy: categoricalFocalCrossentropy,
  sparse_categorical_crossentropy: sparseCategoricalCrossentropy,
  crossentropy,
  kl_divergence: klDivergence,
  poisson,
  cosine_similarity: cosineSimilarity,
  hinge,
  squared_hinge: squaredHinge,
  categorical_hinge: categoricalHinge,
  dice,
  tversky,
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
  [binaryCrossentropy, 'binary'],
  [binaryFocalCrossentropy, 'binary'],
  [categoricalCrossentropy, 'categorical'],
  [categoricalFocalCrossentropy, 'categorical'],
  [sparseCategoricalCrossentropy, 'sparse'],
])

/** The name of one of the losses here, in Keras' spelling. @internal */
export function lossName(fn: unknown): string | undefined {
  return names.nameOf(fn as LossFn)
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
  const known = names.nameOf(spec as LossFn)
  // What a user's function returns is checked when it has.
  return known === undefined
    ? lossOf(spec.name || 'loss', checkedLoss(spec as LossFn))
    : lossOf(known, spec as LossFn)
}

function lossOf(name: string, fn: LossFn): Loss {
  const kind = kinds.get(fn) ?? 'other'
  return { name, fn, kind: fn === crossentropy ? classKind : () => kind }
}

/** A user's loss, its results checked. */
function checkedLoss(fn: LossFn): LossFn {
  const what = `loss ${fn.name || 'function'}`
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
