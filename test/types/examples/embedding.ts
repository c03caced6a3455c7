// A numeric and a categorical input.
import { input, embedding, dense, concatenate, flatten, model, random } from '@adjoint/layers'

const vocabSize = 100

const numInput = input({ shape: [10], name: 'numerical_input' })
const catInput = input({ shape: [1], name: 'categorical_input' })

const numDense = dense(64, { activation: 'relu' })(numInput)

const embedded = embedding(vocabSize, 32)(catInput)
const flattened = flatten()(embedded)

const merged = concatenate()([numDense, flattened])
const output = dense(1, { activation: 'sigmoid' })(merged)

const m = model({ inputs: [numInput, catInput], outputs: output })
m.compile({ optimizer: 'adam', loss: 'binary_crossentropy', metrics: ['accuracy'] })
m.summary()

const X1 = random.uniform([100, 10])
const X2 = random.randint(0, vocabSize, [100, 1])
const y = random.randint(0, 2, [100, 1])

await m.fit([X1, X2], y, { epochs: 10 })
