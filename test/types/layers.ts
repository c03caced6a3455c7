// What the types of layers say, checked by assigning to what they should be.
import {
  type History,
  plotModel,
  trainingReport,
  activation,
  add,
  average,
  categoryEncoding,
  concatenate,
  dense,
  dot,
  dropout,
  embedding,
  flatten,
  globalAveragePooling1D,
  globalMaxPooling1D,
  hashing,
  identity,
  input,
  integerLookup,
  lambda,
  type LayerBase,
  masking,
  maximum,
  type Model,
  model,
  multiply,
  normalization,
  reshape,
  rescaling,
  sequential,
  type Shape,
  stringLookup,
  type Sym,
  type SymbolicTensor,
  type Tensor,
  tensor,
  textVectorization,
  weightedAverage,
} from '@adjoint/layers'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <A, B>(_: Same<A, B>): void => undefined
type F32<S extends Shape, N extends string = string> = SymbolicTensor<S, 'float32', N>

const x = input({ shape: [4, 3], name: 'x' })
const v = input({ shape: [3] })
const one = input({ shape: [1] })
const free = input({ shape: [null, 3] })
const n = Number('7')
const dynamic = input({ shape: [n] })
is<typeof x, F32<readonly [4, 3], 'x'>>(true)

const d = dense(5, { name: 'd' })(x)
is<typeof d, F32<readonly [4, 5], 'd'>>(true)
const e = dense(2)(tensor([[1]]))
is<typeof e, Tensor>(true)
const ids = embedding(9, 2)(x)
is<typeof ids, F32<readonly [4, 3, 2]>>(true)
const flat = flatten()(input({ shape: [1, 7] }))
is<typeof flat, F32<readonly [7]>>(true)
const dropped = dropout(0.5)(activation('relu')(identity()(rescaling(2)(normalization()(x)))))
is<typeof dropped, F32<readonly [4, 3]>>(true)
const shaped = reshape([2, -1])(x)
is<typeof shaped, F32<readonly [2, number]>>(true)
const squared = lambda((t) => t.square(), { outputShape: [4, 3] })(x)
is<typeof squared, F32<readonly [4, 3]>>(true)
const merged = lambda((xs: readonly Tensor[]) => xs[0]!.add(xs[1]!))([x, x])
is<typeof merged, F32<Shape>>(true)

const pooled = globalAveragePooling1D()(masking({ maskValue: -1 })(x))
is<typeof pooled, F32<readonly [3]>>(true)
const largest = globalMaxPooling1D()(x)
is<typeof largest, F32<readonly [3]>>(true)
const kept = globalAveragePooling1D({ keepDims: true })(embedding(9, 2, { maskZero: true })(v))
is<typeof kept, F32<readonly [1, 2]>>(true)

// Merges broadcast from the last axis on.
const sum = add([v, x])
is<typeof sum, F32<readonly [4, 3]>>(true)
const grown = multiply()([one, v, dynamic])
is<typeof grown, F32<readonly [3]>>(true)
const unknown = maximum([free, x])
is<typeof unknown, F32<readonly [4, 3]>>(true)
const wide = average([v, input({ shape: [3], dtype: 'float64' })])
is<typeof wide, SymbolicTensor<readonly [3], 'float64'>>(true)
const eager = add()([tensor([1]), tensor([2])])
is<typeof eager, Tensor>(true)
const several = add()([v].map((t) => dense(8)(t)))
is<typeof several, F32<readonly [8]>>(true)
const branches = [4, 8].map((units) => dense(units)(v))
const side = concatenate(branches)
is<typeof side, F32<readonly [number]>>(true)
const summed = add([v].map((t) => dense(8)(t)))
is<typeof summed, F32<readonly [8]>>(true)
const weighted = weightedAverage([v, v])
is<typeof weighted, F32<readonly [3]>>(true)
declare const any: Sym.Num[]
const all = concatenate()(any)
is<(typeof all)['shape'], Shape>(true)

const joined = concatenate([x, input({ shape: [4, 9] })])
is<typeof joined, F32<readonly [4, number]>>(true)
const stacked = concatenate({ axis: 1 })([x, input({ shape: [9, 3] })])
is<typeof stacked, F32<readonly [number, number]>>(true)
const cosine = dot([v, v], { axes: 1, normalize: true })
is<typeof cosine, F32<Shape>>(true)

const city = input({ shape: [1], dtype: 'string' })
const cityIds = stringLookup({ name: 'cities' })(city)
is<typeof cityIds, SymbolicTensor<readonly [1], 'int32', 'cities'>>(true)
const cityHot = stringLookup({ outputMode: 'one_hot' })(city)
is<typeof cityHot, F32<readonly [number]>>(true)
const cityCount = stringLookup({ outputMode: 'tfIdf', name: 'c' })(input({ shape: [4, 3], dtype: 'string' }))
is<typeof cityCount, F32<readonly [4, number], 'c'>>(true)
const cityNames = stringLookup({ invert: true })(cityIds)
is<typeof cityNames, SymbolicTensor<readonly [1], 'string'>>(true)
const numbers = integerLookup({ invert: true })(cityIds)
is<typeof numbers, SymbolicTensor<readonly [1], 'int32'>>(true)
const bins = hashing(7)(city)
is<typeof bins, SymbolicTensor<readonly [1], 'int32'>>(true)
const binCounts = hashing(7, { outputMode: 'count' })(x)
is<typeof binCounts, F32<readonly [4, 7]>>(true)
const text = textVectorization({ outputSequenceLength: 9 })(city)
is<typeof text, SymbolicTensor<readonly [9], 'int32'>>(true)
const texts = textVectorization({ outputMode: 'count' })(city)
is<typeof texts, F32<readonly [number]>>(true)
// @ts-expect-error numbers are no ids to look up
stringLookup({ invert: true })(city)
// @ts-expect-error texts are strings
textVectorization()(v)
// @ts-expect-error there is no such mode for texts
textVectorization({ outputMode: 'one_hot' })
const hot = categoryEncoding({ numTokens: 4, outputMode: 'one_hot' })(cityIds)
is<typeof hot, F32<readonly [4]>>(true)
const hots = categoryEncoding({ numTokens: 4, outputMode: 'one_hot' })(v)
is<typeof hots, F32<readonly [3, 4]>>(true)
const counts = categoryEncoding({ numTokens: 4, outputMode: 'count' })(v)
is<typeof counts, F32<readonly [4]>>(true)

// Models keep their structure, called on symbols and on values.
const m = model({ inputs: { a: v, b: [x, one] }, outputs: { s: sum, t: [grown, hot] as const } })
const symbolic = m({ a: v, b: [x, one] })
is<(typeof symbolic)['s'], F32<readonly [4, 3]>>(true)
const values = m({ a: tensor([1]), b: [tensor([1]), tensor([1])] })
is<(typeof values)['s'], Tensor<'float32', readonly [number, 4, 3]>>(true)
export const models: Model[] = [m, sequential([dense(1)])]
export const layers: LayerBase[] = [m, dense(1), add(), sequential([m, dense(1)])]
m.compile({
  lossWeights: 'uncertainty',
  modelLoss: (targets, outputs) => {
    is<(typeof targets)['s'], Tensor<'float32', readonly [number, 4, 3]>>(true)
    return targets.s.sub(outputs.s).square()
  },
})
m.setLossWeights({ s: (step) => 1 / (1 + step) })
is<(typeof m.lossWeights)['s'], number>(true)

// Pictures are text; a path makes them promises.
is<ReturnType<typeof plotModel>, string>(true)
const promised = plotModel(m, { toFile: 'm.svg', rankDir: 'LR' })
is<typeof promised, Promise<string>>(true)
const inDot = plotModel(m, { format: 'dot' })
is<typeof inDot, string>(true)
// @ts-expect-error no such format
plotModel(m, { format: 'png' })
// @ts-expect-error no such option
plotModel(m, { showShape: true })
// @ts-expect-error a layer is no model
plotModel(dense(1))
export const report = (history: History): [string, Promise<string>, string] => [
  history.toSVG(),
  history.toSVG({ toFile: 'curves.svg' }),
  trainingReport(m, history, { title: 'Training' }),
]
