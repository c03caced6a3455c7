// Makes this package's own layers known to what saves and loads models.
import { Activation } from '../layers/activation.js'
import { ActivityRegularization } from '../layers/activity-regularization.js'
import { BatchNormalization } from '../layers/batch-normalization.js'
import { CategoryEncoding } from '../layers/category-encoding.js'
import { Concatenate } from '../layers/concatenate.js'
import { Dense } from '../layers/dense.js'
import { Dot } from '../layers/dot.js'
import { Dropout } from '../layers/dropout.js'
import { Embedding } from '../layers/embedding.js'
import { Flatten } from '../layers/flatten.js'
import { GlobalAveragePooling1D, GlobalMaxPooling1D } from '../layers/global-pooling.js'
import { GroupNormalization } from '../layers/group-normalization.js'
import { Hashing } from '../layers/hashing.js'
import { Identity } from '../layers/identity.js'
import { AlphaDropout } from '../layers/alpha-dropout.js'
import { ELU } from '../layers/elu.js'
import { GatedFusion } from '../layers/gated-fusion.js'
import { GaussianDropout } from '../layers/gaussian-dropout.js'
import { GaussianNoise } from '../layers/gaussian-noise.js'
import { LeakyReLU } from '../layers/leaky-relu.js'
import { Permute } from '../layers/permute.js'
import { PReLU } from '../layers/prelu.js'
import { ReLU } from '../layers/relu.js'
import { RepeatVector } from '../layers/repeat-vector.js'
import { Softmax } from '../layers/softmax.js'
import { SpatialDropout1D, SpatialDropout2D, SpatialDropout3D } from '../layers/spatial-dropout.js'
import { Discretization } from '../layers/discretization.js'
import { IntegerLookup } from '../layers/integer-lookup.js'
import { Lambda } from '../layers/lambda.js'
import { LayerNormalization } from '../layers/layer-normalization.js'
import { Masking } from '../layers/masking.js'
import { Add, Average, Maximum, Minimum, Multiply, Subtract } from '../layers/merges.js'
import { Normalization } from '../layers/normalization.js'
import { Rescaling } from '../layers/rescaling.js'
import { Reshape } from '../layers/reshape.js'
import { RMSNormalization } from '../layers/rms-normalization.js'
import { StringLookup } from '../layers/string-lookup.js'
import { TextVectorization } from '../layers/text-vectorization.js'
import { UnitNormalization } from '../layers/unit-normalization.js'
import { WeightedAverage } from '../layers/weighted-average.js'
import { InputLayer } from '../input-layer.js'
import { Model } from '../model.js'
import { OpLayer } from '../op-layer.js'
import { Sequential } from '../sequential.js'
import { type LayerClass, markOwn, registerModel, registerOwn } from './registry.js'

/** By the names that files know them by; the names in the source may be shortened by bundlers. */
const builtin: Readonly<Record<string, LayerClass>> = {
  Activation,
  ActivityRegularization,
  Add,
  Average,
  BatchNormalization,
  CategoryEncoding,
  Concatenate,
  Dense,
  Dot,
  Dropout,
  Embedding,
  Flatten,
  GlobalAveragePooling1D,
  GlobalMaxPooling1D,
  GroupNormalization,
  Hashing,
  Identity,
  AlphaDropout,
  ELU,
  GatedFusion,
  GaussianDropout,
  GaussianNoise,
  LeakyReLU,
  Permute,
  PReLU,
  ReLU,
  RepeatVector,
  Softmax,
  SpatialDropout1D,
  SpatialDropout2D,
  SpatialDropout3D,
  Discretization,
  IntegerLookup,
  Lambda,
  LayerNormalization,
  Masking,
  Maximum,
  Minimum,
  Multiply,
  Normalization,
  RMSNormalization,
  Rescaling,
  Reshape,
  StringLookup,
  Subtract,
  TextVectorization,
  UnitNormalization,
  WeightedAverage,
}
for (const name of Object.keys(builtin)) registerOwn(name, builtin[name]!)
markOwn(InputLayer, OpLayer, Model, Sequential)
registerModel(Model, 'Functional')
registerModel(Sequential, 'Sequential')
