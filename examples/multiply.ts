// Two inputs of the same width, multiplied element by element: a binary classification, on random data.
import { dense, input, model, multiply, random, setSeed } from '@adjoint/layers'

setSeed(3)
const inputShape = [5] as const
const input1 = input({ shape: inputShape, name: 'input_1' })
const input2 = input({ shape: inputShape, name: 'input_2' })

const dense1 = dense(32, { activation: 'relu' })(input1)
const dense2 = dense(32, { activation: 'relu' })(input2)
const merged = multiply()([dense1, dense2])
const output = dense(1, { activation: 'sigmoid' })(merged)

const m = model({ inputs: [input1, input2], outputs: output })
m.compile({ optimizer: 'adam', loss: 'binary_crossentropy', metrics: ['accuracy'] })
m.summary()

const X1 = random.uniform([100, 5])
const X2 = random.uniform([100, 5])
const y = random.randint(0, 2, [100, 1])

await m.fit([X1, X2], y, { epochs: 10, verbose: 2 })
