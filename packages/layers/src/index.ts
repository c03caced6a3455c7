// The public names, nothing else.
export {
  AdjointError,
  BackendError,
  DataError,
  type Dim,
  DisposedError,
  type DType,
  DTypeError,
  FormatError,
  floatx,
  gradientTape,
  GraphError,
  LimitError,
  type Nested,
  NonFiniteError,
  type NumericDType,
  random,
  scalar,
  setDeterminism,
  setFloatx,
  setSeed,
  setThreads,
  type Shape,
  ShapeError,
  type Sizes,
  TapeError,
  Tensor,
  tensor,
  type Tree,
  type TypedArray,
  valueAndGrad,
  valueAndGrads,
  ValueError,
  Variable,
  variable,
  WorkerError,
} from '@adjoint/core'
export { backupAndRestore, type BackupAndRestoreOptions } from './callbacks/backup-and-restore.js'
export { csvLogger, type CSVLoggerOptions } from './callbacks/csv-logger.js'
export { type EarlyStopping, earlyStopping, type EarlyStoppingOptions } from './callbacks/early-stopping.js'
export { lambdaCallback } from './callbacks/lambda-callback.js'
export { learningRateScheduler } from './callbacks/learning-rate-scheduler.js'
export {
  type ModelCheckpoint,
  modelCheckpoint,
  type ModelCheckpointOptions,
} from './callbacks/model-checkpoint.js'
export type { MonitorMode } from './callbacks/monitor.js'
export { reduceLROnPlateau, type ReduceLROnPlateauOptions } from './callbacks/reduce-lr-on-plateau.js'
export { tensorBoard, type TensorBoardOptions } from './callbacks/tensor-board.js'
export { terminateOnNaN } from './callbacks/terminate-on-nan.js'
export {
  type Constraint,
  constraints,
  type MaxNormOptions,
  type MinMaxNormOptions,
  type UnitNormOptions,
} from './constraints.js'
export { type BatchOf, Dataset, dataset } from './data/dataset.js'
export {
  type CategoricalColumn,
  type Category,
  type ColumnChoice,
  type ColumnKind,
  fromRows,
  type NumericColumn,
  type TextColumn,
} from './data/from-rows.js'
export { normalize, type NormalizeOptions } from './data/normalize.js'
export { padSequences, type PadSequencesOptions } from './data/pad-sequences.js'
export { toCategorical } from './data/to-categorical.js'
export {
  type SplitOf,
  type Splittable,
  trainTestSplit,
  type TrainTestSplitOptions,
} from './data/train-test-split.js'
export { initializers } from './initializers.js'
export { InputLayer, input, inputLayer, type InputOptions } from './input-layer.js'
export { type CallContext, type CallOptions, Layer, LayerBase, type OutputMasks } from './layer.js'
export {
  ActivityRegularization,
  activityRegularization,
  type ActivityRegularizationOptions,
} from './layers/activity-regularization.js'
export { Activation, activation, type ActivationOptions } from './layers/activation.js'
export {
  BatchNormalization,
  batchNormalization,
  type BatchNormalizationOptions,
} from './layers/batch-normalization.js'
export {
  CategoryEncoding,
  categoryEncoding,
  type CategoryEncodingOptions,
  type CategoryOutputMode,
} from './layers/category-encoding.js'
export { Concatenate, concatenate, type ConcatenateOptions } from './layers/concatenate.js'
export { Dense, dense, type DenseOptions } from './layers/dense.js'
export { Dot, dot, type DotOptions } from './layers/dot.js'
export { Dropout, dropout, type DropoutOptions } from './layers/dropout.js'
export { Embedding, embedding, type EmbeddingOptions } from './layers/embedding.js'
export {
  GlobalAveragePooling1D,
  globalAveragePooling1D,
  GlobalMaxPooling1D,
  globalMaxPooling1D,
  type GlobalPooling1DOptions,
} from './layers/global-pooling.js'
export { Masking, masking, type MaskingOptions } from './layers/masking.js'
export { Flatten, flatten } from './layers/flatten.js'
export {
  GroupNormalization,
  groupNormalization,
  type GroupNormalizationOptions,
} from './layers/group-normalization.js'
export { Hashing, hashing, type HashingOptions, type HashingOutputMode } from './layers/hashing.js'
export { Identity, identity } from './layers/identity.js'
export { AlphaDropout, alphaDropout } from './layers/alpha-dropout.js'
export { ELU, eLU, type ELUOptions } from './layers/elu.js'
export { GatedFusion, gatedFusion, type GatedFusionOptions } from './layers/gated-fusion.js'
export { GaussianDropout, gaussianDropout } from './layers/gaussian-dropout.js'
export { GaussianNoise, gaussianNoise } from './layers/gaussian-noise.js'
export { LeakyReLU, leakyReLU, type LeakyReLUOptions } from './layers/leaky-relu.js'
export { Permute, permute } from './layers/permute.js'
export { PReLU, pReLU, type PReLUOptions } from './layers/prelu.js'
export { ReLU, reLU, type ReLUOptions } from './layers/relu.js'
export { RepeatVector, repeatVector } from './layers/repeat-vector.js'
export { Softmax, softmax, type SoftmaxOptions } from './layers/softmax.js'
export {
  SpatialDropout1D,
  spatialDropout1D,
  SpatialDropout2D,
  spatialDropout2D,
  SpatialDropout3D,
  spatialDropout3D,
} from './layers/spatial-dropout.js'
export type { NoiseOptions } from './layers/noise-layer.js'
export { Discretization, discretization, type DiscretizationOptions } from './layers/discretization.js'
export { IntegerLookup, integerLookup, type IntegerLookupOptions } from './layers/integer-lookup.js'
export type { LookupOutputMode } from './layers/lookup.js'
export { Lambda, lambda, type LambdaFunction, type LambdaOptions } from './layers/lambda.js'
export {
  LayerNormalization,
  layerNormalization,
  type LayerNormalizationOptions,
} from './layers/layer-normalization.js'
export { Merge, type MergeFactory } from './layers/merge.js'
export {
  Add,
  add,
  Average,
  average,
  Maximum,
  maximum,
  Minimum,
  minimum,
  Multiply,
  multiply,
  Subtract,
  subtract,
} from './layers/merges.js'
export { Normalization, normalization, type NormalizationOptions } from './layers/normalization.js'
export { Rescaling, rescaling, type RescalingOptions } from './layers/rescaling.js'
export { Reshape, reshape, type ReshapeOptions } from './layers/reshape.js'
export {
  RMSNormalization,
  rmsNormalization,
  type RMSNormalizationOptions,
} from './layers/rms-normalization.js'
export { StringLookup, stringLookup, type StringLookupOptions } from './layers/string-lookup.js'
export {
  type TextOutputMode,
  type TextSplit,
  type TextStandardize,
  TextVectorization,
  textVectorization,
  type TextVectorizationOptions,
} from './layers/text-vectorization.js'
export {
  UnitNormalization,
  unitNormalization,
  type UnitNormalizationOptions,
} from './layers/unit-normalization.js'
export { WeightedAverage, weightedAverage, type WeightedAverageOptions } from './layers/weighted-average.js'
export type { ConfiguredLoss, LossFactory } from './losses/configured.js'
export type { Reduction } from './losses/reduction.js'
export { type LossFn, type LossLike, type LossName, losses } from './losses.js'
export { type Metric, type MetricLike, type MetricName, metrics } from './metrics.js'
export { cloneModel } from './clone-model.js'
export { Model, model } from './model.js'
export {
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  ftrl,
  lamb,
  lion,
  muon,
  nadam,
  Optimizer,
  type OptimizerName,
  type OptimizerOptions,
  rmsprop,
  scheduleFreeAdamw,
  sgd,
} from './optimizers.js'
export { lbfgs, type LbfgsOptions, type LbfgsProgress, type LbfgsResult } from './optimizers/lbfgs.js'
export { plotModel, type PlotFormat, type PlotOptions } from './plot/plot-model.js'
export { type ReportedHistory, trainingReport } from './plot/training-report.js'
export { type L1L2Options, type OrthogonalOptions, type Regularizer, regularizers } from './regularizers.js'
export type { ModelSource } from './saving/files.js'
export { loadModel, type LoadOptions } from './saving/load.js'
export { type LayerClass, registerFunction, registerLayer, type SavedFunction } from './saving/registry.js'
export type { SaveOptions } from './saving/save.js'
export {
  cosineDecay,
  type CosineDecayOptions,
  cosineDecayRestarts,
  type CosineDecayRestartsOptions,
  exponentialDecay,
  type ExponentialDecayOptions,
  inverseTimeDecay,
  type InverseTimeDecayOptions,
  piecewiseConstantDecay,
  type PiecewiseConstantDecayOptions,
  polynomialDecay,
  type PolynomialDecayOptions,
  type Schedule,
} from './schedules.js'
export { Sequential, sequential } from './sequential.js'
export type { SummaryOptions } from './summary.js'
export { SymbolicTensor } from './symbolic.js'
export type { LossWeight } from './trainer/loss-weights.js'
export type {
  Batches,
  BatchOptions,
  Callback,
  CallbackState,
  CompileOptions,
  CurvesOptions,
  DatasetBatch,
  DatasetOptions,
  EvaluateOptions,
  FitDatasetOptions,
  FitOptions,
  FitParams,
  History,
  InputBatch,
  LogKey,
  Logs,
  MissingTargets,
  PredictOptions,
  StepBatch,
} from './trainer/types.js'
export type {
  ActivationLike,
  ActivationName,
  CallArg,
  ColumnData,
  ConstraintLike,
  ConstraintName,
  DataTree,
  Feed,
  Initializer,
  InitializerLike,
  InitializerName,
  LayerOptions,
  NamedData,
  NumericData,
  OutKey,
  PerOutput,
  RegularizerLike,
  RegularizerName,
  ShapedData,
  StringData,
  Sym,
  SymTree,
  TargetData,
  Targets,
  TensorsOf,
} from './types.js'
// Puts ops and methods on symbolic tensors.
import './op-layer.js'
// Makes the layers known to what saves and loads them.
import './saving/builtin.js'
