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

// ---- what is missing: a word that is not there is a word of its own; a movie without a gross or a score still
// teaches the other one.
const rows = readJson<Row>('movies.json')
const movies = rows.flatMap((row) => {
  const budget = row['Production Budget']
  if (budget === null) return []
  return [
    {
      budget: Math.log10(budget),
      year: yearOf(row['Release Date']),
      genre: row['Major Genre'] ?? 'unknown',
      rating: row['MPAA Rating'] ?? 'unknown',
      story: row['Creative Type'] ?? 'unknown',
      source: row.Source ?? 'unknown',
      /** Powers of ten of dollars; none means that it is not known. */
      gross: row['Worldwide Gross'] ? Math.log10(row['Worldwide Gross']) : null,
      score: row['IMDB Rating'],
    },
  ]
})
type Movie = (typeof movies)[number]
const without = (what: 'gross' | 'score') => movies.filter((movie) => movie[what] === null).length
console.log(
  `${movies.length} movies of ${rows.length}; of ${without('gross')} the gross is not known, of ${without('score')} the score.`,
)

// ---- a fifth is held out
setSeed(1)
const shuffled = [...random.permutation(movies.length).dataSync()].map((i) => movies[i]!)
const heldOut = Math.round(movies.length / 5)
const test = shuffled.slice(0, heldOut)
const train = shuffled.slice(heldOut)

const WORDS = ['genre', 'rating', 'story', 'source'] as const
const column = (part: readonly Movie[], name: (typeof WORDS)[number]) => part.map((movie) => [movie[name]])
const feed = (part: readonly Movie[]) => ({
  numbers: part.map((movie) => [movie.budget, movie.year]),
  genre: column(part, 'genre'),
  rating: column(part, 'rating'),
  story: column(part, 'story'),
  source: column(part, 'source'),
})
const targets = (part: readonly Movie[]) => ({
  gross: part.map((movie) => movie.gross),
  score: part.map((movie) => movie.score),
})
const seen = feed(train)
const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null)

// ---- the model: numbers on a common scale, each word as one of the words seen
const numbers = input({ shape: [2], name: 'numbers' })
const genre = input({ shape: [1], dtype: 'string', name: 'genre' })
const rating = input({ shape: [1], dtype: 'string', name: 'rating' })
const story = input({ shape: [1], dtype: 'string', name: 'story' })
const source = input({ shape: [1], dtype: 'string', name: 'source' })
const inputs = { numbers, genre, rating, story, source }

const scale = normalization({ name: 'scale' })
scale.adapt(seen.numbers)
const words = WORDS.map((name) => {
  const lookup = stringLookup({ outputMode: 'one_hot', name: `${name}_words` })
  lookup.adapt(seen[name].flat())
  return lookup(inputs[name])
})
const features = concatenate([scale(numbers), ...words])

function toUnits(what: 'gross' | 'score') {
  const layer = normalization({ invert: true, name: `to_${what}` })
  layer.adapt(known(targets(train)[what]).map((value) => [value]))
  return layer
}
const toGross = toUnits('gross')
const toScore = toUnits('score')
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
const truth = targets(test)
function score(what: 'gross' | 'score', guess: readonly number[]): string {
  const there = truth[what].flatMap((value, i) => (value === null ? [] : [[value, guess[i]!] as const]))
  return rSquared(
    there.map(([y]) => y),
    there.map(([, y]) => y),
  ).toFixed(3)
}
async function scoresOf(m: typeof movieModel): Promise<string[]> {
  const guess = await m.predict(feed(test))
  return [score('gross', [...(await guess.gross.data())]), score('score', [...(await guess.score.data())])]
}
const usual = (['gross', 'score'] as const).map((what) =>
  score(
    what,
    test.map(() => mean(known(targets(train)[what]))),
  ),
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
