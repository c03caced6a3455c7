// A numeric and a categorical input; the category goes through an embedding: a binary classification.
// The data is random: nothing can be learnt from it but how the program looks.
import { concatenate, dense, embedding, flatten, input, model, random, setSeed } from '@adjoint/layers'

setSeed(2)
/** How many categories there are. */
const vocabSize = 100

const numInput = input({ shape: [10], name: 'numerical_input' })
const catInput = input({ shape: [1], name: 'categorical_input' })

const numDense = dense(64, { activation: 'relu' })(numInput)
// Each category gets 32 numbers of its own, which are learnt.
const flattened = flatten()(embedding(vocabSize, 32)(catInput))
const merged = concatenate()([numDense, flattened])
const output = dense(1, { activation: 'sigmoid' })(merged)

const m = model({ inputs: [numInput, catInput], outputs: output })
m.compile({ optimizer: 'adam', loss: 'binary_crossentropy', metrics: ['accuracy'] })
m.summary()

const X1 = random.uniform([100, 10])
const X2 = random.randint(0, vocabSize, [100, 1])
const y = random.randint(0, 2, [100, 1])

await m.fit([X1, X2], y, { epochs: 10, verbose: 2 })
