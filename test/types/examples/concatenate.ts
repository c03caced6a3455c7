// Two numeric inputs, joined.
import { input, dense, concatenate, model, random } from '@adjoint/layers'

const input1 = input({ shape: [10], name: 'input_1' })
const input2 = input({ shape: [5], name: 'input_2' })

const dense1 = dense(64, { activation: 'relu' })(input1)
const dense2 = dense(32, { activation: 'relu' })(input2)

const merged = concatenate()([dense1, dense2])

const output = dense(1, { activation: 'linear' })(merged)

const m = model({ inputs: [input1, input2], outputs: output })
m.compile({ optimizer: 'adam', loss: 'mse' })
m.summary()

const X1 = random.uniform([100, 10])
const X2 = random.uniform([100, 5])
const y = random.uniform([100, 1])

await m.fit([X1, X2], y, { epochs: 10 })

await m.fit({ input_1: X1, input_2: X2 }, y, { epochs: 10 })
