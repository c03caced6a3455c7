import {
  activation,
  add,
  alphaDropout,
  average,
  categoryEncoding,
  concatenate,
  dense,
  dot,
  dropout,
  embedding,
  flatten,
  gatedFusion,
  gaussianDropout,
  gaussianNoise,
  identity,
  lambda,
  type LayerBase,
  leakyReLU,
  maximum,
  minimum,
  multiply,
  normalization,
  permute,
  pReLU,
  reLU,
  rescaling,
  reshape,
  softmax,
  spatialDropout1D,
  subtract,
  type Tensor,
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
  /** No two values of the inputs alike: there the derivative is a convention. */
  readonly distinct?: boolean
  /** Values that the inputs stay away from, for the same reason. */
  readonly kinks?: readonly number[]
  /** The least value of the inputs: near 0 some derivatives are too steep for finite differences. */
  readonly min?: number
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

function adapted(): LayerBase {
  return normalization({ mean: 0.5, variance: 4 })
}

export const layerCases: readonly LayerCase[] = [
  { name: 'identity', make: () => identity(), shapes: one(0, 3) },
  { name: 'rescaling', make: () => rescaling(3, { offset: -1 }), shapes: one(0, 3) },
  { name: 'activation tanh', make: () => activation('tanh'), shapes: one(0, 3) },
  { name: 'activation softmax', make: () => activation('softmax'), shapes: one(1, 3) },
  { name: 'flatten', make: () => flatten(), shapes: one(0, 3) },
  { name: 'reshape', make: () => reshape([-1, 1]), shapes: one(0, 3) },
  { name: 'dropout', make: () => dropout(0.5, { seed: 3 }), shapes: one(0, 3) },
  { name: 'alphaDropout', make: () => alphaDropout(0.5, { seed: 3 }), shapes: one(0, 3) },
  { name: 'gaussianDropout', make: () => gaussianDropout(0.5, { seed: 3 }), shapes: one(0, 3) },
  { name: 'gaussianNoise', make: () => gaussianNoise(0.5, { seed: 3 }), shapes: one(0, 3) },
  { name: 'spatialDropout1D', make: () => spatialDropout1D(0.5, { seed: 3 }), shapes: one(2, 2) },
  { name: 'leakyReLU', make: () => leakyReLU(), shapes: one(0, 3), kinks: [0] },
  {
    name: 'reLU',
    make: () => reLU({ negativeSlope: 0.3, maxValue: 1.2345, threshold: 0.1234 }),
    shapes: one(0, 3),
    kinks: [0.1234, 1.2345],
  },
  { name: 'pReLU', make: () => pReLU({ alphaInitializer: 'ones' }), shapes: one(0, 3), kinks: [0] },
  { name: 'softmax', make: () => softmax(), shapes: one(1, 3) },
  { name: 'permute', make: () => permute([2, 1]), shapes: one(2, 2) },
  { name: 'lambda', make: () => lambda((x) => x.square().sum(-1, true)), shapes: one(1, 3) },
  { name: 'normalization', make: adapted, shapes: one(1, 3) },
  {
    name: 'normalization inverted',
    make: () => normalization({ mean: 2, variance: 9, invert: true }),
    shapes: one(1, 3),
  },
  { name: 'dense', make: () => dense(3, { activation: 'tanh' }), shapes: one(1, 3) },
  { name: 'dense without bias', make: () => dense(2, { useBias: false }), shapes: one(1, 2) },
  { name: 'embedding', make: () => embedding(5, 3), shapes: one(0, 2), ids: 5 },
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
