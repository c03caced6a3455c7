// Adjoint's public layers and trainer. Apart from adjoint.ts, so that ops on their own do not load it.
import { floatx, type Tensor, tensor } from '@adjoint/core'
import { adam, concatenate, dense, embedding, flatten, input, model } from '@adjoint/layers'
import type { Input, Inputs, Prepared } from '../protocol.js'
import { batchesOf, BETA1, BETA2, EPSILON, fitting, LEARNING_RATE, trainingAsync } from './training.js'

function make({ values, shape }: Input): Tensor {
  return tensor(values, { shape, dtype: floatx() })
}

function weights(inputs: Inputs, ids: readonly string[]): Tensor[] {
  return ids.flatMap((id) => [make(inputs[`w${id}`]!), make(inputs[`b${id}`]!)])
}

function optimizer(): ReturnType<typeof adam> {
  return adam({ learningRate: LEARNING_RATE, beta1: BETA1, beta2: BETA2, epsilon: EPSILON })
}

function buildB1() {
  const x1 = input({ shape: [10], name: 'x1' })
  const x2 = input({ shape: [5], name: 'x2' })
  const h1 = dense(64, { activation: 'relu' })(x1)
  const h2 = dense(32, { activation: 'relu' })(x2)
  const outputs = dense(1)(concatenate([h1, h2]))
  return model({ inputs: [x1, x2], outputs }).compile({ optimizer: optimizer(), loss: 'mse' })
}

/** B1 by trainOnBatch. */
export function b1Train(inputs: Inputs): Prepared {
  const b1 = buildB1()
  b1.setWeights(weights(inputs, ['1', '2', '3']))
  const [x1, x2, y] = [inputs.x1!, inputs.x2!, inputs.y!].map((all) => batchesOf(all).map(make))
  return trainingAsync(y!.length, async (i) => (await b1.trainOnBatch([x1![i]!, x2![i]!], y![i]!)).loss)
}

/** B2 by trainOnBatch. */
export function b2Train(inputs: Inputs): Prepared {
  const x = input({ shape: [10], name: 'x' })
  const id = input({ shape: [1], name: 'id', dtype: 'int32' })
  const table = embedding(100, 32)
  const h = concatenate([dense(64, { activation: 'relu' })(x), flatten()(table(id))])
  const outputs = dense(1, { activation: 'sigmoid' })(h)
  const b2 = model({ inputs: [x, id], outputs }).compile({
    optimizer: optimizer(),
    loss: 'binary_crossentropy',
  })
  const [w1, b1, w2, bias2] = weights(inputs, ['1', '2'])
  const [first, last] = b2.layers.filter((layer) => layer.className === 'Dense')
  first!.setWeights([w1!, b1!])
  table.setWeights([make(inputs.table!)])
  last!.setWeights([w2!, bias2!])
  const [xs, y] = [inputs.x!, inputs.y!].map((all) => batchesOf(all).map(make))
  const ids = batchesOf(inputs.id!).map(({ values, shape }) => tensor(values, { shape, dtype: 'int32' }))
  return trainingAsync(xs!.length, async (i) => (await b2.trainOnBatch([xs![i]!, ids[i]!], y![i]!)).loss)
}

/** B3 by trainOnBatch. */
export function b3Train(inputs: Inputs): Prepared {
  const x = input({ shape: [20], name: 'x' })
  const h2 = dense(64, { activation: 'relu' })(dense(128, { activation: 'relu' })(x))
  const h3 = dense(32, { activation: 'relu' })(h2)
  const heads = {
    a: dense(1, { name: 'a' })(h2),
    b: dense(1, { activation: 'sigmoid', name: 'b' })(h3),
    c: dense(5, { activation: 'softmax', name: 'c' })(concatenate([h2, h3])),
  }
  const b3 = model({ inputs: x, outputs: heads }).compile({
    optimizer: optimizer(),
    loss: { a: 'mse', b: 'binary_crossentropy', c: 'categorical_crossentropy' },
  })
  b3.layers
    .filter((layer) => layer.weights.length > 0)
    .forEach((layer, i) => layer.setWeights(weights(inputs, [['1', '2', '3', 'A', 'B', 'C'][i]!])))
  const [xs, yA, yB, yC] = [inputs.x!, inputs.yA!, inputs.yB!, inputs.yC!].map((all) =>
    batchesOf(all).map(make),
  )
  return trainingAsync(
    xs!.length,
    async (i) => (await b3.trainOnBatch(xs![i]!, { a: yA![i]!, b: yB![i]!, c: yC![i]! })).loss,
  )
}

/** fit of B1's model, which is the first seed program's, on 100 rows. */
export function fitSeed1(inputs: Inputs): Prepared {
  const b1 = buildB1()
  b1.setWeights(weights(inputs, ['1', '2', '3']))
  const [x1, x2, y] = [make(inputs.x1!), make(inputs.x2!), make(inputs.y!)]
  return fitting(async (shuffle) => {
    const { history } = await b1.fit([x1, x2], y, { epochs: 10, shuffle, verbose: 0 })
    return history.loss
  })
}

/** The loss of B1's first step, which `import` is compared with. */
export function firstStep(inputs: Inputs): Prepared {
  const b1 = buildB1()
  b1.setWeights(weights(inputs, ['1', '2', '3']))
  const [x1, x2, y] = [make(inputs.x1!), make(inputs.x2!), make(inputs.y!)]
  return {
    results: async () => [(await b1.trainOnBatch([x1, x2], y)).loss],
    run() {
      throw new Error('only its result is of use')
    },
  }
}
