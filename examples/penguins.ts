// Penguins of the Palmer archipelago: from three measurements, the island and the sex, which species is it and how
// heavy? One model, three inputs (two of them strings), two outputs.
//
// Data: penguins.json of the vega-datasets package (Gorman, Williams & Fraser 2014, CC0).
import {
  adam,
  categoryEncoding,
  concatenate,
  dense,
  earlyStopping,
  embedding,
  flatten,
  input,
  model,
  normalization,
  random,
  setSeed,
  stringLookup,
  type SymbolicTensor,
} from '@adjoint/layers'
import { readJson } from './data.js'
import { accuracy, percent, rSquared, table, variance } from './scores.js'

interface Row {
  readonly Species: string
  readonly Island: string
  readonly 'Beak Length (mm)': number | null
  readonly 'Beak Depth (mm)': number | null
  readonly 'Flipper Length (mm)': number | null
  readonly 'Body Mass (g)': number | null
  readonly Sex: string | null
}

interface Penguin {
  readonly measurements: readonly [beakLength: number, beakDepth: number, flipperLength: number]
  readonly island: string
  readonly sex: string
  readonly species: string
  readonly bodyMass: number
}

const rows = readJson<Row>('penguins.json')

// ---- what is missing: two birds were never measured and teach nothing; the sex of some is not known, which is
// an answer of its own ('.' in one row says the same).
const penguins: Penguin[] = rows.flatMap((row) => {
  const measurements = [row['Beak Length (mm)'], row['Beak Depth (mm)'], row['Flipper Length (mm)']] as const
  const [beakLength, beakDepth, flipperLength] = measurements
  const bodyMass = row['Body Mass (g)']
  if (beakLength === null || beakDepth === null || flipperLength === null || bodyMass === null) return []
  const sex = row.Sex === 'MALE' || row.Sex === 'FEMALE' ? row.Sex.toLowerCase() : 'unknown'
  return [
    {
      measurements: [beakLength, beakDepth, flipperLength],
      island: row.Island,
      sex,
      species: row.Species,
      bodyMass,
    },
  ]
})
const ofUnknownSex = penguins.filter((p) => p.sex === 'unknown').length
console.log(
  `${rows.length} penguins: ${rows.length - penguins.length} without measurements left out, ` +
    `${ofUnknownSex} of unknown sex kept as such.`,
)

// ---- a fifth is held out
setSeed(7)
const order = [...random.permutation(penguins.length).dataSync()]
const shuffled = order.map((i) => penguins[i]!)
const heldOut = Math.round(penguins.length / 5)
const test = shuffled.slice(0, heldOut)
const train = shuffled.slice(heldOut)

const species = [...new Set(penguins.map((p) => p.species))].sort()
const feed = (part: readonly Penguin[]) => ({
  measurements: part.map((p) => p.measurements),
  island: part.map((p) => [p.island]),
  sex: part.map((p) => [p.sex]),
})
const targets = (part: readonly Penguin[]) => ({
  species: part.map((p) => species.indexOf(p.species)),
  bodyMass: part.map((p) => [p.bodyMass]),
})

// ---- what both models start from: numbers on a common scale, strings as numbers
const scale = normalization({ name: 'scale' })
scale.adapt(train.map((p) => p.measurements))
const islands = stringLookup({ name: 'islands' })
islands.adapt(train.map((p) => p.island))
const sexes = stringLookup({ vocabulary: ['female', 'male'], name: 'sexes' })
// Turns standard units back into grams.
const grams = normalization({ invert: true, name: 'grams' })
grams.adapt(train.map((p) => [p.bodyMass]))

const measurements = input({ shape: [3], name: 'measurements' })
const island = input({ shape: [1], dtype: 'string', name: 'island' })
const sex = input({ shape: [1], dtype: 'string', name: 'sex' })

/** Both heads on some features: a class for the species, grams for the body mass. */
function heads(features: SymbolicTensor<readonly number[], 'float32'>) {
  return {
    species: dense(species.length, { activation: 'softmax' })(features),
    bodyMass: grams(dense(1)(features)),
  }
}

const sexFeatures = categoryEncoding({ numTokens: 3, outputMode: 'one_hot' })(sexes(sex))
const islandFeatures = flatten()(embedding(islands.vocabularySize(), 4)(islands(island)))
const features = concatenate([scale(measurements), islandFeatures, sexFeatures])
const wide = dense(32, { activation: 'relu' })(features)
const hidden = dense(16, { activation: 'relu' })(wide)

const penguinModel = model({
  inputs: { measurements, island, sex },
  outputs: heads(hidden),
  name: 'penguins',
})

// The baseline: the same inputs straight into the heads, which makes each answer a linear function of them.
const oneHotIsland = categoryEncoding({ numTokens: 4, outputMode: 'one_hot' })(islands(island))
const baseline = model({
  inputs: { measurements, island, sex },
  outputs: heads(concatenate([scale(measurements), oneHotIsland, sexFeatures])),
  name: 'linear',
})

const massVariance = variance(train.map((p) => p.bodyMass))
for (const m of [penguinModel, baseline])
  m.compile({
    optimizer: adam({ learningRate: 0.005 }),
    loss: { species: 'sparse_categorical_crossentropy', bodyMass: 'mse' },
    // Squared grams are large numbers: counted in units of their variance, both losses weigh about the same.
    lossWeights: { species: 1, bodyMass: 1 / massVariance },
    metrics: { species: ['accuracy'], bodyMass: ['mae'] },
  })

penguinModel.summary()

const history = await penguinModel.fit(feed(train), targets(train), {
  epochs: 60,
  batchSize: 16,
  validationSplit: 0.15,
  callbacks: earlyStopping({ monitor: 'val_loss', patience: 15, restoreBestWeights: true }),
})
await baseline.fit(feed(train), targets(train), { epochs: 200, batchSize: 16, verbose: 0 })

// ---- how good is it on birds it has not seen?
const predicted = await penguinModel.predict(feed(test))
const probabilities = (await predicted.species.array()) as number[][]
const masses = (await predicted.bodyMass.array()) as number[][]
const linear = await baseline.predict(feed(test))
const linearMasses = (await linear.bodyMass.array()) as number[][]

const guesses = probabilities.map(indexOfLargest)
const linearGuesses = ((await linear.species.array()) as number[][]).map(indexOfLargest)
const truth = targets(test)
const trueMasses = test.map((p) => p.bodyMass)

console.log(`\nAfter ${history.epoch.length} epochs, on ${test.length} penguins it has not seen:`)
console.log(
  table(
    ['', 'this model', 'linear baseline'],
    [
      'species, accuracy',
      percent(accuracy(truth.species, guesses)),
      percent(accuracy(truth.species, linearGuesses)),
    ],
    [
      'body mass, R²',
      rSquared(trueMasses, masses.flat()).toFixed(3),
      rSquared(trueMasses, linearMasses.flat()).toFixed(3),
    ],
  ),
)

console.log('\nSome of them:')
for (let i = 0; i < 5; i++) {
  const bird = test[i]!
  const guess = guesses[i]!
  const sure = percent(probabilities[i]![guess]!)
  console.log(
    `  a ${bird.sex === 'unknown' ? 'bird of unknown sex' : bird.sex} from ${bird.island}: ` +
      `${species[guess]} (${sure}), ${Math.round(masses[i]![0]!)} g; in truth ${bird.species}, ${bird.bodyMass} g`,
  )
}

function indexOfLargest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values))
}
