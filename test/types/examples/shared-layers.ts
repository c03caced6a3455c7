// Two outputs behind shared layers.
import { input, dense, model, type Nested, type Tensor } from '@adjoint/layers'

declare const inputDim: number
declare const XTrain: Nested<number>, XTest: Nested<number>, yTrainA: Float32Array, yTrainB: Float32Array

const inputLayer = input({ shape: [inputDim] })

const shared1 = dense(64, { activation: 'relu' })(inputLayer)
const shared2 = dense(32, { activation: 'relu' })(shared1)

const outputA = dense(1)(shared2)
const outputB = dense(1, { activation: 'sigmoid' })(shared2)

const m = model({ inputs: inputLayer, outputs: [outputA, outputB] })
m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy'] })
await m.fit(XTrain, [yTrainA, yTrainB], { epochs: 10 })

const [predictionsA, predictionsB] = await m.predict(XTest)
const pa: Tensor<'float32', readonly [number, 1]> = predictionsA
const pb: Tensor<'float32', readonly [number, 1]> = predictionsB
void [pa, pb]
