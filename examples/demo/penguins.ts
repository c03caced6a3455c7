// Penguins again, as in ../penguins.ts: three measurements, the island and the sex in; the species and the body mass out.
// Data: penguins.json of the vega-datasets package (Gorman, Williams & Fraser 2014, CC0).
import {
  adam,
  categoryEncoding,
  concatenate,
  dense,
  fromRows,
  input,
  model,
  normalization,
  random,
  setSeed,
} from '@adjoint/layers'
import { accuracy, rSquared, variance } from '../scores.js'
import type { Scores } from './messages.js'

const file = new URL('../node_modules/vega-datasets/data/penguins.json', import.meta.url)

const MEASUREMENTS = ['Beak Length (mm)', 'Beak Depth (mm)', 'Flipper Length (mm)'] as const

interface Row {
  readonly Species: string
  readonly Island: string
  readonly 'Beak Length (mm)': number
  readonly 'Beak Depth (mm)': number
  readonly 'Flipper Length (mm)': number
  readonly 'Body Mass (g)': number
  readonly Sex: string | null
}

/** Columns for training, and others that are held out; birds that nobody measured are left out of both. */
async function readPenguins() {
  const rows = ((await (await fetch(file)).json()) as Row[]).filter((row) => row['Body Mass (g)'] !== null)
  const shuffled = [...random.permutation(rows.length).dataSync()].map((i) => rows[i]!)
  const heldOut = Math.round(rows.length / 5)
  const train = shuffled.slice(heldOut)
  const x = fromRows(train, {
    measurements: { kind: 'numeric', from: MEASUREMENTS },
    island: { kind: 'categorical', from: 'Island' },
    sex: { kind: 'categorical', from: 'Sex', categories: ['FEMALE', 'MALE'], unknown: 'class' },
  })
  const y = fromRows(train, {
    species: { kind: 'categorical', from: 'Species' },
    bodyMass: { kind: 'numeric', from: 'Body Mass (g)' },
  })
  const test = shuffled.slice(0, heldOut)
  return { x, y, test: { x: fromRows(test, x), y: fromRows(test, y) } }
}

/** A compiled model with its data. The same seed gives the same numbers on every device, but for rounding. */
export async function penguins(units: number) {
  setSeed(7)
  const { x, y, test } = await readPenguins()

  const scale = normalization({ name: 'scale' })
  scale.adapt(x.measurements)
  const grams = normalization({ invert: true, name: 'grams' })
  grams.adapt(y.bodyMass)

  const measurements = input({ shape: [3], name: 'measurements' })
  // Classes by their numbers: with strings among the inputs a step would not be a plan.
  const island = input({ shape: [1], dtype: 'int32', name: 'island' })
  const sex = input({ shape: [1], dtype: 'int32', name: 'sex' })

  const features = concatenate([
    scale(measurements),
    categoryEncoding({ numTokens: 3, outputMode: 'one_hot' })(island),
    categoryEncoding({ numTokens: 3, outputMode: 'one_hot' })(sex),
  ])
  const wide = dense(units, { activation: 'relu' })(features)
  const hidden = dense(units / 2, { activation: 'relu' })(wide)
  const penguinModel = model({
    inputs: { measurements, island, sex },
    outputs: {
      species: dense(3, { activation: 'softmax', name: 'species' })(hidden),
      bodyMass: grams(dense(1, { name: 'mass' })(hidden)),
    },
    name: 'penguins',
  })
  penguinModel.compile({
    optimizer: adam({ learningRate: 0.003 }),
    loss: { species: 'sparse_categorical_crossentropy', bodyMass: 'mse' },
    // In units of its variance, squared grams count as much as the species.
    lossWeights: { species: 1, bodyMass: 1 / variance(numbers(y.bodyMass)) },
    metrics: { species: ['accuracy'], bodyMass: ['mae'] },
  })

  async function score(): Promise<Scores> {
    const guess = await penguinModel.predict(test.x)
    const chances = (await guess.species.array()) as number[][]
    return {
      species: accuracy(numbers(test.y.species), chances.map(indexOfLargest)),
      bodyMass: rSquared(numbers(test.y.bodyMass), [...(await guess.bodyMass.data())]),
    }
  }
  return { model: penguinModel, x, y, score }
}

function numbers(column: { toArray(): ArrayLike<unknown> }): number[] {
  return Array.from(column.toArray(), Number)
}

function indexOfLargest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values))
}
