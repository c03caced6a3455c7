// Two outputs of one model: both heads read the same features. On synthetic data.
import { dense, input, model, setSeed } from '@adjoint/layers'
import { synthetic } from './synthetic.js'

setSeed(5)
const inputDim = 20
const train = synthetic(400, inputDim)
const test = synthetic(100, inputDim)

const inputLayer = input({ shape: [inputDim] })
const shared1 = dense(64, { activation: 'relu' })(inputLayer)
const shared2 = dense(32, { activation: 'relu' })(shared1)

const outputA = dense(1)(shared2)
const outputB = dense(1, { activation: 'sigmoid' })(shared2)

const m = model({ inputs: inputLayer, outputs: [outputA, outputB] })
m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy'] })
await m.fit(train.X, [train.A, train.B], { epochs: 10, verbose: 2 })

// A typed pair: no cast needed.
const [predictionsA, predictionsB] = await m.predict(test.X)
console.log('first of A:', (await predictionsA.data())[0], 'first of B:', (await predictionsB.data())[0])
