import {
  activation,
  activityRegularization,
  add,
  alphaDropout,
  average,
  batchNormalization,
  categoryEncoding,
  concatenate,
  dense,
  discretization,
  dot,
  dropout,
  eLU,
  embedding,
  flatten,
  gatedFusion,
  gaussianDropout,
  gaussianNoise,
  globalAveragePooling1D,
  globalMaxPooling1D,
  groupNormalization,
  hashing,
  identity,
  integerLookup,
  lambda,
  type LayerBase,
  layerNormalization,
  leakyReLU,
  masking,
  maximum,
  minimum,
  multiply,
  normalization,
  permute,
  pReLU,
  registerFunction,
  regularizers,
  reLU,
  repeatVector,
  rescaling,
  reshape,
  rmsNormalization,
  softmax,
  spatialDropout1D,
  spatialDropout2D,
  spatialDropout3D,
  stringLookup,
  subtract,
  type Tensor,
  textVectorization,
  unitNormalization,
  weightedAverage,
} from '@adjoint/layers'
import { fc } from '@fast-check/vitest'

/** A layer, and what it can be called on. */
export interface LayerCase {
  readonly name: string
  readonly make: () => LayerBase
  /** The shapes of its inputs without the batch: one tensor, or a list for layers that merge. */
  readonly shapes: fc.Arbitrary<readonly (readonly number[])[]>
  readonly takesList?: boolean
  /** Inputs are ids below this; no gradient flows to them. */
  readonly ids?: number
  /** Inputs are strings of these, and no numbers. */
  readonly strings?: readonly string[]
  /** The dtype of its output, unless it is that of its weights. */
  readonly gives?: 'int32' | 'string'
  /** What training changes: nothing unless said, random numbers, or the statistics of the batch. */
  readonly inTraining?: 'random' | 'statistics'
  /** It takes any dtype: there is none to refuse. */
  readonly takesAll?: boolean
  /** No two values of the inputs alike: there the derivative is a convention. */
  readonly distinct?: boolean
  /** Values that the inputs stay away from, for the same reason. */
  readonly kinks?: readonly number[]
  /** The least value of the inputs: near 0 some derivatives are too steep for finite differences. */
  readonly min?: number
  /** Gradients are taken at inputs that vary: where variances are nearly 0 derivatives are nearly infinite. */
  readonly varied?: boolean
}

const side = fc.integer({ min: 1, max: 4 })
const sides = (minLength: number, maxLength: number): fc.Arbitrary<number[]> =>
  fc.array(side, { minLength, maxLength })
const one = (minRank: number, maxRank: number): fc.Arbitrary<readonly (readonly number[])[]> =>
  sides(minRank, maxRank).map((shape) => [shape])

/** Lists of two or three shapes that broadcast: sides of 1 here and there, leading sides left out. */
const broadcasting = (count: number): fc.Arbitrary<number[][]> =>
  sides(1, 3).chain((full) =>
    fc.tuple(
      ...Array.from({ length: count }, () =>
        fc
          .tuple(
            fc.nat({ max: full.length - 1 }),
            fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }),
          )
          .map(([cut, ones]) => full.map((n, i) => (ones[i] ? 1 : n)).slice(cut)),
      ),
    ),
  )
const elementwise = fc.oneof(broadcasting(2), broadcasting(3))

const joinable = fc
  .tuple(sides(0, 2), side, side, side)
  .map(([lead, ...last]) => last.map((n) => [...lead, n]))

const squareLast = (x: Tensor): Tensor => x.square().sum(-1, true)
registerFunction('squareLast of the cases', squareLast)

const words = ['a', 'b', 'c', 'é', '']
const texts = ['a b a', 'B, c!', '', 'ÉÉ é']

export const layerCases: readonly LayerCase[] = [
  { name: 'identity', make: () => identity(), shapes: one(0, 3), takesAll: true },
  { name: 'rescaling', make: () => rescaling(3, { offset: -1 }), shapes: one(0, 3) },
  { name: 'activation tanh', make: () => activation('tanh'), shapes: one(0, 3) },
  { name: 'activation softmax', make: () => activation('softmax'), shapes: one(1, 3) },
  { name: 'flatten', make: () => flatten(), shapes: one(0, 3), takesAll: true },
  { name: 'reshape', make: () => reshape([-1, 1]), shapes: one(0, 3), takesAll: true },
  { name: 'dropout', make: () => dropout(0.5, { seed: 3 }), shapes: one(0, 3), inTraining: 'random' },
  {
    name: 'alphaDropout',
    make: () => alphaDropout(0.5, { seed: 3 }),
    shapes: one(0, 3),
    inTraining: 'random',
  },
  {
    name: 'gaussianDropout',
    make: () => gaussianDropout(0.5, { seed: 3 }),
    shapes: one(0, 3),
    inTraining: 'random',
  },
  {
    name: 'gaussianNoise',
    make: () => gaussianNoise(0.5, { seed: 3 }),
    shapes: one(0, 3),
    inTraining: 'random',
  },
  {
    name: 'spatialDropout1D',
    make: () => spatialDropout1D(0.5, { seed: 3 }),
    shapes: one(2, 2),
    inTraining: 'random',
  },
  {
    name: 'spatialDropout2D',
    make: () => spatialDropout2D(0.5, { seed: 4 }),
    shapes: one(3, 3),
    inTraining: 'random',
  },
  {
    name: 'spatialDropout3D',
    make: () => spatialDropout3D(0.5, { seed: 4 }),
    shapes: one(4, 4),
    inTraining: 'random',
  },
  {
    name: 'activityRegularization',
    make: () => activityRegularization({ l1: 0.1, l2: 0.2 }),
    shapes: one(0, 3),
  },
  { name: 'eLU', make: () => eLU({ alpha: 0.7 }), shapes: one(0, 3), kinks: [0] },
  { name: 'leakyReLU', make: () => leakyReLU(), shapes: one(0, 3), kinks: [0] },
  {
    name: 'reLU',
    make: () => reLU({ negativeSlope: 0.3, maxValue: 1.2345, threshold: 0.1234 }),
    shapes: one(0, 3),
    kinks: [0.1234, 1.2345],
  },
  { name: 'pReLU', make: () => pReLU({ alphaInitializer: 'ones' }), shapes: one(0, 3), kinks: [0] },
  { name: 'softmax', make: () => softmax(), shapes: one(1, 3) },
  { name: 'repeatVector', make: () => repeatVector(3), shapes: one(1, 1) },
  { name: 'masking', make: () => masking({ maskValue: 9 }), shapes: one(2, 3) },
  { name: 'globalAveragePooling1D', make: () => globalAveragePooling1D(), shapes: one(2, 2) },
  {
    name: 'globalAveragePooling1D that keeps the axis',
    make: () => globalAveragePooling1D({ keepDims: true }),
    shapes: one(2, 2),
  },
  { name: 'globalMaxPooling1D', make: () => globalMaxPooling1D(), shapes: one(2, 2), distinct: true },
  { name: 'permute', make: () => permute([2, 1]), shapes: one(2, 2) },
  { name: 'lambda', make: () => lambda(squareLast), shapes: one(1, 3) },
  { name: 'normalization', make: () => normalization({ mean: 0.5, variance: 4 }), shapes: one(1, 3) },
  {
    name: 'normalization inverted',
    make: () => normalization({ mean: 2, variance: 9, invert: true }),
    shapes: one(1, 3),
  },
  { name: 'dense', make: () => dense(3, { activation: 'tanh' }), shapes: one(1, 3) },
  { name: 'dense without bias', make: () => dense(2, { useBias: false }), shapes: one(1, 2) },
  {
    name: 'dense with all options',
    make: () =>
      dense(2, {
        activation: 'sigmoid',
        kernelInitializer: 'he_normal',
        biasInitializer: 'ones',
        kernelRegularizer: regularizers.orthogonal({ factor: 0.5, mode: 'columns' }),
        biasRegularizer: 'l1',
        activityRegularizer: 'l2',
        kernelConstraint: 'max_norm',
        biasConstraint: 'non_neg',
      }),
    shapes: one(1, 2),
  },
  {
    name: 'batchNormalization',
    make: () => batchNormalization(),
    shapes: one(1, 3),
    inTraining: 'statistics',
    varied: true,
  },
  {
    name: 'batchNormalization of axis 1',
    make: () => batchNormalization({ axis: 1, momentum: 0.5, scale: false }),
    shapes: one(2, 3),
    inTraining: 'statistics',
    varied: true,
  },
  { name: 'layerNormalization', make: () => layerNormalization(), shapes: one(1, 3), varied: true },
  {
    name: 'layerNormalization of axes 1 and 2',
    make: () => layerNormalization({ axis: [1, 2], epsilon: 0.1 }),
    shapes: one(2, 3),
    varied: true,
  },
  {
    name: 'groupNormalization',
    make: () => groupNormalization({ groups: 2, betaInitializer: 'ones' }),
    shapes: sides(1, 2).map((lead) => [[...lead, 4]]),
    varied: true,
  },
  {
    name: 'groupNormalization of single channels',
    make: () => groupNormalization({ groups: -1, axis: 1 }),
    shapes: one(2, 3),
    varied: true,
  },
  { name: 'rmsNormalization', make: () => rmsNormalization(), shapes: one(1, 3), varied: true },
  {
    name: 'rmsNormalization of axis 1',
    make: () => rmsNormalization({ axis: 1 }),
    shapes: one(2, 3),
    varied: true,
  },
  { name: 'unitNormalization', make: () => unitNormalization(), shapes: one(1, 3), varied: true },
  {
    name: 'unitNormalization of axes 1 and 2',
    make: () => unitNormalization({ axis: [1, 2] }),
    shapes: one(2, 3),
    varied: true,
  },
  { name: 'embedding', make: () => embedding(5, 3), shapes: one(0, 2), ids: 5 },
  {
    name: 'embedding that masks 0',
    make: () => embedding(5, 3, { maskZero: true }),
    shapes: one(1, 2),
    ids: 5,
  },
  {
    name: 'integerLookup',
    make: () => integerLookup({ vocabulary: [3, 1], maskToken: 0, numOovIndices: 2 }),
    shapes: one(0, 2),
    ids: 5,
    gives: 'int32',
  },
  {
    name: 'integerLookup count',
    make: () =>
      integerLookup({ vocabulary: [3, 1], outputMode: 'count', maxTokens: 5, padToMaxTokens: true }),
    shapes: one(1, 2),
    ids: 5,
  },
  {
    name: 'stringLookup',
    make: () => stringLookup({ vocabulary: ['b', 'é'], maskToken: '', numOovIndices: 2 }),
    shapes: one(0, 2),
    strings: words,
    gives: 'int32',
  },
  {
    name: 'stringLookup one_hot',
    make: () => stringLookup({ vocabulary: ['b', 'é'], outputMode: 'one_hot' }),
    shapes: one(0, 2),
    strings: words,
  },
  {
    name: 'stringLookup multi_hot without the mask token',
    make: () => stringLookup({ vocabulary: ['b', 'é'], outputMode: 'multi_hot', maskToken: '' }),
    shapes: one(0, 2),
    strings: words,
  },
  {
    name: 'stringLookup tf_idf',
    make: () => stringLookup({ vocabulary: ['b', 'é'], outputMode: 'tf_idf', idfWeights: [0.5, 0.25] }),
    shapes: one(0, 2),
    strings: words,
  },
  {
    name: 'stringLookup inverted',
    make: () => stringLookup({ vocabulary: ['b', 'é', '?'], maskToken: '', invert: true }),
    shapes: one(0, 2),
    ids: 5,
    gives: 'string',
  },
  {
    name: 'hashing',
    make: () => hashing(7, { maskValue: '' }),
    shapes: one(0, 2),
    strings: words,
    gives: 'int32',
    takesAll: true,
  },
  {
    name: 'hashing numbers, with a salt, count',
    make: () => hashing(7, { salt: [1, 2], outputMode: 'count' }),
    shapes: one(0, 2),
    ids: 5,
    takesAll: true,
  },
  {
    name: 'textVectorization',
    make: () => textVectorization({ vocabulary: ['a', 'b', 'éé'], outputSequenceLength: 2, ngrams: 2 }),
    shapes: fc.constantFrom([[]], [[1]]),
    strings: texts,
    gives: 'int32',
  },
  {
    name: 'textVectorization tf_idf',
    make: () => textVectorization({ vocabulary: ['a', 'b'], idfWeights: [0.5, 2], outputMode: 'tf_idf' }),
    shapes: fc.constantFrom([[]], [[1]]),
    strings: texts,
  },
  {
    name: 'discretization',
    make: () => discretization({ binBoundaries: [-1, 0.5] }),
    shapes: one(0, 3),
    gives: 'int32',
  },
  {
    name: 'categoryEncoding one_hot',
    make: () => categoryEncoding({ numTokens: 4, outputMode: 'one_hot' }),
    shapes: one(0, 2),
    ids: 4,
  },
  {
    name: 'categoryEncoding count',
    make: () => categoryEncoding({ numTokens: 4, outputMode: 'count' }),
    shapes: one(0, 2),
    ids: 4,
  },
  { name: 'add', make: () => add(), shapes: elementwise, takesList: true },
  { name: 'subtract', make: () => subtract(), shapes: broadcasting(2), takesList: true },
  { name: 'multiply', make: () => multiply(), shapes: elementwise, takesList: true },
  { name: 'average', make: () => average(), shapes: elementwise, takesList: true },
  { name: 'maximum', make: () => maximum(), shapes: elementwise, takesList: true, distinct: true },
  { name: 'minimum', make: () => minimum(), shapes: elementwise, takesList: true, distinct: true },
  { name: 'weightedAverage', make: () => weightedAverage(), shapes: elementwise, takesList: true },
  {
    name: 'weightedAverage with fixed weights',
    make: () => weightedAverage({ weights: [0.7, 0.3] }),
    shapes: broadcasting(2),
    takesList: true,
  },
  {
    name: 'gatedFusion',
    make: () => gatedFusion(),
    shapes: sides(1, 3).map((shape) => [shape, shape]),
    takesList: true,
  },
  {
    name: 'gatedFusion of three, with units',
    make: () => gatedFusion({ units: 2 }),
    shapes: sides(1, 2).map((shape) => [shape, shape, shape]),
    takesList: true,
  },
  { name: 'concatenate', make: () => concatenate(), shapes: joinable, takesList: true },
  {
    name: 'concatenate on axis 1',
    make: () => concatenate({ axis: 1 }),
    shapes: fc.tuple(sides(0, 2), side, side).map(([rest, ...first]) => first.map((n) => [n, ...rest])),
    takesList: true,
  },
  {
    name: 'dot',
    make: () => dot({ axes: -1 }),
    shapes: fc.tuple(side, sides(0, 2), sides(0, 1)).map(([k, a, b]) => [
      [...a, k],
      [...b, k],
    ]),
    takesList: true,
  },
  {
    name: 'dot of axes 2 and 1, normalized',
    make: () => dot({ axes: [2, 1], normalize: true }),
    min: 0.5,
    shapes: fc.tuple(side, side, side).map(([k, a, b]) => [
      [a, k],
      [k, b],
    ]),
    takesList: true,
  },
]

/** Calls a layer on what its case says: one tensor, or the list of them. */
export function callLayer<X>(c: LayerCase, layer: LayerBase, xs: readonly X[], options?: object): unknown {
  return layer.invoke([c.takesList === true ? xs : xs[0], ...(options === undefined ? [] : [options])])
}

export const asTensor = (x: unknown): Tensor => x as Tensor
