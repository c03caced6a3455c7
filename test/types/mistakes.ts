// Mistakes that must not compile. Each has the number by which the list in docs and tests refers to it.
import {
  add,
  concatenate,
  dense,
  embedding,
  flatten,
  input,
  lambda,
  model,
  multiply,
  random,
  sequential,
  stringLookup,
  tensor,
} from '@adjoint/layers'

const price = input({ shape: [10], name: 'price' })
const sentiment = input({ shape: [5], name: 'sentiment' })
const city = input({ shape: [1], dtype: 'string', name: 'city' })
const p = dense(32)(price)
const s = dense(32)(sentiment)
const s64 = dense(64)(sentiment)
const x1 = random.uniform([100, 10])
const x2 = random.uniform([100, 5])
const y = random.uniform([100, 1])
const one = model({
  inputs: { price, sentiment },
  outputs: { direction: dense(1)(p), volume: dense(1)(s) },
})
const list = model({
  inputs: [price, sentiment],
  outputs: [dense(1, { name: 'direction' })(p), dense(1, { name: 'volume' })(s)],
})
const single = model({ inputs: price, outputs: dense(1, { name: 'direction' })(p) })
const ids = embedding(10, 4)(stringLookup()(city))
const withCity = model({
  inputs: { price, city },
  outputs: dense(1, { name: 'direction' })(concatenate([p, flatten()(ids)])),
})

// @ts-expect-error 1: a misspelt input
void one.fit({ price: x1, sentimant: x2 }, { direction: y, volume: y })
// @ts-expect-error 2: a missing input
void one.fit({ price: x1 }, { direction: y, volume: y })
// @ts-expect-error 3: a misspelt target
void one.fit({ price: x1, sentiment: x2 }, { directoin: y, volume: y })
// @ts-expect-error 4: a missing target
void one.fit({ price: x1, sentiment: x2 }, { direction: y })
// @ts-expect-error 5: one input of two
void list.fit([x1], [y, y])
// @ts-expect-error 6: three inputs of two
void list.fit([x1, x2, x2], [y, y])
// @ts-expect-error 7: one array for two inputs
void list.fit(x1, [y, y])
// @ts-expect-error 8: one target of two
void list.fit([x1, x2], [y])
// @ts-expect-error 9: numbers for strings
void withCity.fit({ price: x1, city: [1, 2, 3] }, y)
// @ts-expect-error 10: strings for numbers
void withCity.fit({ price: ['a', 'b'], city: ['paris', 'oslo'] }, y)
// @ts-expect-error 11: one loss for two outputs
list.compile({ loss: ['mse'] })
// @ts-expect-error 12: a loss for an input
one.compile({ loss: { direction: 'mse', price: 'mse' } })
// @ts-expect-error 13: a loss for no output of the list
list.compile({ loss: { direction: 'mse', out2: 'mse' } })
// @ts-expect-error 14: a misspelt loss
single.compile({ loss: 'binary_crosentropy' })
// @ts-expect-error 15: a misspelt optimizer
single.compile({ optimizer: 'adamm', loss: 'mse' })
// @ts-expect-error 16: a misspelt activation
dense(4, { activation: 'rleu' })
// @ts-expect-error 17: a misspelt metric
single.compile({ loss: 'mse', metrics: ['acuracy'] })
// @ts-expect-error 18: metrics of no output
one.compile({ loss: 'mse', metrics: { directon: ['mae'] } })
// @ts-expect-error 19: strings into a layer of numbers
dense(4)(city)
// @ts-expect-error 20: numbers into a lookup of strings
stringLookup()(price)
// @ts-expect-error 21: shapes that do not combine
multiply()([p, s64])
// @ts-expect-error 21b: the same, called at once
multiply([p, s64])
// @ts-expect-error 22: a merge of one tensor
multiply(p)
// @ts-expect-error 23: a tensor where a list is meant
concatenate()(p)
// @ts-expect-error 24: data as an input
model({ inputs: x1, outputs: p })
// @ts-expect-error 25: a layer as an output
model({ inputs: price, outputs: dense(1) })
// @ts-expect-error 26: three predictions of two
export const [a, b, c] = await list.predict([x1, x2])
// @ts-expect-error 27: a prediction of no output
export const unknown: unknown = (await one.predict({ price: x1, sentiment: x2 })).directon
// @ts-expect-error 28: a misspelt option
dense(4, { acitvation: 'relu' })
// @ts-expect-error 29: an option in Python's spelling
dense(4, { use_bias: false })
// @ts-expect-error 30: a weight of no output's loss
one.compile({ loss: 'mse', lossWeights: { dir: 1 } })
// @ts-expect-error 31: called on one tensor of two
list([tensor([1])])
// @ts-expect-error 32: a forgotten await
export const loss: number = single.evaluate(x1, y).loss
// @ts-expect-error 33: validation data that lacks an input
void list.fit([x1, x2], [y, y], { validationData: [[x1], [y, y]] })
// @ts-expect-error 34: a misspelt name of the only input
void single.fit({ prise: x1 }, y)
// @ts-expect-error 35: a vocabulary of numbers
stringLookup().adapt([1, 2])
// @ts-expect-error 36: a sequential model of a tensor
sequential([price])

// @ts-expect-error 37: a tensor as options; `flatten()(x)` is meant
flatten(price)
// @ts-expect-error 38: inputs that differ before the last axis
concatenate([input({ shape: [3, 4] }), input({ shape: [2, 4] })])
// @ts-expect-error 39: inputs of different rank
concatenate()([input({ shape: [3, 4] }), price])
// @ts-expect-error 40: sides that differ from the end on
multiply([input({ shape: [4, 3] }), input({ shape: [4] })])
// @ts-expect-error 41: a function that gives no tensor
lambda(() => 3)
// @ts-expect-error 42: a weight for an output that there is not
one.setLossWeights({ dir: 1 })
// @ts-expect-error 43: a loss over an output that there is not
one.compile({ modelLoss: (targets, outputs) => targets.direction.sub(outputs.directon) })
// @ts-expect-error 44: a sum of one input
add([price])
// @ts-expect-error 45: nothing to join
concatenate([])
