// Two outputs, a model for each.
import { sequential, dense, type TypedArray, type Nested } from '@adjoint/layers'

declare const inputDim: number
declare const XTrain: Nested<number>, XTest: Nested<number>, yTrainA: Float32Array, yTrainB: Float32Array

const modelA = sequential([
  dense(64, { activation: 'relu', inputShape: [inputDim] }),
  dense(32, { activation: 'relu' }),
  dense(1),
])
modelA.compile({ optimizer: 'adam', loss: 'mse' })
await modelA.fit(XTrain, yTrainA, { epochs: 10 })

const modelB = sequential([
  dense(128, { activation: 'relu', inputShape: [inputDim] }),
  dense(64, { activation: 'relu' }),
  dense(1),
])
modelB.compile({ optimizer: 'adam', loss: 'binary_crossentropy' })
await modelB.fit(XTrain, yTrainB, { epochs: 10 })

const a = await modelA.predict(XTest)
const b = await modelB.predict(XTest)
const flat: TypedArray = await a.data()
void [b, flat]
