// Three outputs that leave the trunk at different depths; the third reads two of them. On synthetic data.
import { concatenate, dense, input, model, setSeed } from '@adjoint/layers'
import { synthetic } from './synthetic.js'

setSeed(6)
const inputDim = 20
const train = synthetic(400, inputDim)
const test = synthetic(100, inputDim)

const inputLayer = input({ shape: [inputDim] })
const dense1 = dense(128, { activation: 'relu' })(inputLayer)
const dense2 = dense(64, { activation: 'relu' })(dense1)
const dense3 = dense(32, { activation: 'relu' })(dense2)

const outputA = dense(1)(dense2)
const outputB = dense(1, { activation: 'sigmoid' })(dense3)
const outputC = dense(5, { activation: 'softmax' })(concatenate([dense2, dense3]))

const m = model({ inputs: inputLayer, outputs: [outputA, outputB, outputC] })
m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'] })
m.summary()
await m.fit(train.X, [train.A, train.B, train.C], { epochs: 10, verbose: 2 })

const [a, b, c] = await m.predict(test.X)
console.log('shapes of the predictions:', a.shape, b.shape, c.shape)
