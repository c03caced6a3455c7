// Two numeric inputs, each through a layer of its own, joined by concatenation: a regression.
// The data is random (there is nothing to learn in it); the point is the shape of the program.
import { concatenate, dense, input, model, random, setSeed } from '@adjoint/layers'

setSeed(1)
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

await m.fit([X1, X2], y, { epochs: 10, verbose: 2 })
// The same data by the names of the inputs.
await m.fit({ input_1: X1, input_2: X2 }, y, { epochs: 10, verbose: 2 })
