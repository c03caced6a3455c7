// Two outputs by two models: nothing is shared. On synthetic data.
import { dense, sequential, setSeed } from '@adjoint/layers'
import { synthetic } from './synthetic.js'

setSeed(4)
const inputDim = 20
const train = synthetic(400, inputDim)
const test = synthetic(100, inputDim)

const modelA = sequential([
  dense(64, { activation: 'relu', inputShape: [inputDim] }),
  dense(32, { activation: 'relu' }),
  dense(1),
])
modelA.compile({ optimizer: 'adam', loss: 'mse' })
await modelA.fit(train.X, train.A, { epochs: 10, verbose: 2 })

const modelB = sequential([
  dense(128, { activation: 'relu', inputShape: [inputDim] }),
  dense(64, { activation: 'relu' }),
  dense(1, { activation: 'sigmoid' }),
])
modelB.compile({ optimizer: 'adam', loss: 'binary_crossentropy' })
await modelB.fit(train.X, train.B, { epochs: 10, verbose: 2 })

const a = await modelA.predict(test.X)
const b = await modelB.predict(test.X)
console.log('first of A:', (await a.data())[0], 'first of B:', (await b.data())[0])
