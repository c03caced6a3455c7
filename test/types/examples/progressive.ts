// Three outputs that leave a chain of layers at different depths.
import { input, dense, concatenate, model, type Nested } from '@adjoint/layers'

declare const inputDim: number
declare const XTrain: Nested<number>,
  XTest: Nested<number>,
  yTrainA: Float32Array,
  yTrainB: Float32Array,
  yTrainC: Nested<number>

const inputLayer = input({ shape: [inputDim] })
const dense1 = dense(128, { activation: 'relu' })(inputLayer)
const dense2 = dense(64, { activation: 'relu' })(dense1)
const dense3 = dense(32, { activation: 'relu' })(dense2)

const outputA = dense(1)(dense2)
const outputB = dense(1, { activation: 'sigmoid' })(dense3)
const outputC = dense(5, { activation: 'softmax' })(concatenate([dense2, dense3]))

const m = model({ inputs: inputLayer, outputs: [outputA, outputB, outputC] })
m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'] })
await m.fit(XTrain, [yTrainA, yTrainB, yTrainC], { epochs: 10 })
const [a, b, c] = await m.predict(XTest)
const five: 5 = c.shape[1]
void [a, b, five]
