// Movies: from the budget and the year, and in words the genre, the rating, the kind of story and its source, what
// did a movie earn in cinemas, and what score did its audience give it? One model, six inputs (four of them strings), two
// outputs.
//
// Data: movies.json of the vega-datasets package (BSD-3-Clause; from the-numbers.com and IMDB up to 2010, known to
// hold errors).
import {
  adam,
  concatenate,
  cosineDecay,
  dense,
  dropout,
  fromRows,
  input,
  model,
  normalization,
  random,
  setSeed,
  stringLookup,
  type SymbolicTensor,
} from '@adjoint/layers'
import { readJson } from './data.js'
import { mean, rSquared, table } from './scores.js'

interface Row {
  readonly 'Production Budget': number | null
  readonly 'Worldwide Gross': number | null
  readonly 'Release Date': string
  readonly 'Major Genre': string | null
  readonly 'MPAA Rating': string | null
  readonly 'Creative Type': string | null
  readonly Source: string | null
  readonly 'IMDB Rating': number | null
}

/** Years were written with two digits: what would be after 2010 was a century before. */
function yearOf(date: string): number {
  const year = Number(date.slice(-4))
  return year > 2011 ? year - 100 : year
}

const rows = readJson<Row>('movies.json')
const movies = rows.flatMap((row) => {
  const { 'Production Budget': budget, 'Worldwide Gross': gross } = row
  if (budget === null) return []
  // Powers of ten of dollars; a gross of nothing is one that is not known.
  const logGross = gross ? Math.log10(gross) : null
  return [{ ...row, logBudget: Math.log10(budget), year: yearOf(row['Release Date']), logGross }]
})
type Movie = (typeof movies)[number]
const without = (what: 'logGross' | 'IMDB Rating') => movies.filter((movie) => movie[what] === null).length
console.log(
  `${movies.length} movies of ${rows.length}; of ${without('logGross')} the gross is not known, of ${without('IMDB Rating')} the score.`,
)

// ---- a fifth is held out
setSeed(1)
const shuffled = [...random.permutation(movies.length).dataSync()].map((i) => movies[i]!)
const heldOut = Math.round(movies.length / 5)
const test = shuffled.slice(0, heldOut)
const train = shuffled.slice(heldOut)

// ---- what is missing: a word that is not there is a word of its own; a movie without a gross or a score still
// teaches the other one.
const word = <K extends keyof Row>(from: K) => ({ kind: 'text', from, missing: 'unknown' }) as const
const feed = (part: readonly Movie[]) =>
  fromRows(part, {
    numbers: { kind: 'numeric', from: ['logBudget', 'year'] },
    genre: word('Major Genre'),
    rating: word('MPAA Rating'),
    story: word('Creative Type'),
    source: word('Source'),
  })
const targets = (part: readonly Movie[]) =>
  fromRows(part, {
    gross: { kind: 'numeric', from: 'logGross', missing: 'mask' },
    score: { kind: 'numeric', from: 'IMDB Rating', missing: 'mask' },
  })
const seen = feed(train)
/** The answers that are known. */
const known = (part: readonly Movie[], what: 'logGross' | 'IMDB Rating') =>
  part.map((movie) => movie[what]).filter((value) => value !== null)

// ---- the model: numbers on a common scale, each word as one of the words seen
const numbers = input({ shape: [2], name: 'numbers' })
const genre = input({ shape: [1], dtype: 'string', name: 'genre' })
const rating = input({ shape: [1], dtype: 'string', name: 'rating' })
const story = input({ shape: [1], dtype: 'string', name: 'story' })
const source = input({ shape: [1], dtype: 'string', name: 'source' })
const inputs = { numbers, genre, rating, story, source }

const scale = normalization({ name: 'scale' })
scale.adapt(seen.numbers)
const words = (['genre', 'rating', 'story', 'source'] as const).map((name) => {
  const lookup = stringLookup({ outputMode: 'one_hot', name: `${name}_words` })
  lookup.adapt(seen[name])
  return lookup(inputs[name])
})
const features = concatenate([scale(numbers), ...words])

const toUnits = (what: 'logGross' | 'IMDB Rating', name: string) => {
  const layer = normalization({ invert: true, name })
  layer.adapt(known(train, what).map((value) => [value]))
  return layer
}
const toGross = toUnits('logGross', 'to_gross')
const toScore = toUnits('IMDB Rating', 'to_score')
function heads(shared: SymbolicTensor<readonly number[], 'float32'>) {
  return { gross: toGross(dense(1)(shared)), score: toScore(dense(1)(shared)) }
}

const hidden = dropout(0.5)(dense(64, { activation: 'relu' })(features))
const movieModel = model({ inputs, outputs: heads(hidden), name: 'movies' })
// The baseline: each answer linear in the features.
const linear = model({ inputs, outputs: heads(features), name: 'linear' })

const epochs = 20
const batchSize = 32
for (const m of [movieModel, linear])
  m.compile({
    optimizer: adam({
      learningRate: cosineDecay({
        initialLearningRate: 0.005,
        decaySteps: epochs * Math.ceil(train.length / batchSize),
      }),
    }),
    loss: 'mse',
    metrics: { gross: ['mae'], score: ['mae'] },
    // A movie of which one answer is missing teaches the other.
    missingTargets: 'mask',
  })

movieModel.summary()
await movieModel.fit(seen, targets(train), { epochs, batchSize })
await linear.fit(seen, targets(train), { epochs, batchSize, verbose: 0 })

// ---- how good is it on movies that it has not seen?
/** R² over the movies whose answer is known. */
function score(what: 'logGross' | 'IMDB Rating', guess: ArrayLike<number>): string {
  const guesses = test.flatMap((movie, i) => (movie[what] === null ? [] : [guess[i]!]))
  return rSquared(known(test, what), guesses).toFixed(3)
}
async function scoresOf(m: typeof movieModel): Promise<string[]> {
  const { gross, score: liked } = await m.predict(feed(test))
  return [score('logGross', await gross.data()), score('IMDB Rating', await liked.data())]
}
const usual = (['logGross', 'IMDB Rating'] as const).map((what) =>
  score(what, new Array<number>(test.length).fill(mean(known(train, what)))),
)

console.log(`\n${test.length} movies that it has not seen:`)
console.log(
  table(
    ['', 'log gross, R²', 'score, R²'],
    ['this model', ...(await scoresOf(movieModel))],
    ['linear', ...(await scoresOf(linear))],
    ['always the mean', ...usual],
  ),
)
console.log('\nMoney can be foretold better than taste.')
