// Weather in Seattle and New York: from the last three days, the city and the season, how warm will tomorrow be, and
// will it rain? One model: four inputs (two of them strings), two outputs.
//
// Data: weather.csv of the vega-datasets package (NOAA, a work of the US government: public domain), each day from
// 2012 to 2015. The word for a day's weather was made up from other columns by the package's authors.
import {
  adam,
  concatenate,
  cosineDecay,
  dense,
  dropout,
  input,
  model,
  normalization,
  setSeed,
  stringLookup,
  type SymbolicTensor,
} from '@adjoint/layers'
import { readCsv } from './data.js'
import { accuracy, mean, percent, rSquared, table, variance } from './scores.js'

const days = readCsv<'location' | 'date' | 'precipitation' | 'temp_max' | 'temp_min' | 'wind' | 'weather'>(
  'weather.csv',
).map((row) => ({
  city: row.location,
  date: row.date,
  rain: Number(row.precipitation),
  max: Number(row.temp_max),
  min: Number(row.temp_min),
  wind: Number(row.wind),
  weather: row.weather,
}))

// ---- one row per day and city: what is known that evening, and what tomorrow brings

/** A date as a point on the circle of the year. */
function seasonOf(date: string): [number, number] {
  const dayOfYear = (Date.parse(date) - Date.parse(`${date.slice(0, 4)}-01-01`)) / 86_400_000
  const angle = (2 * Math.PI * dayOfYear) / 365.25
  return [Math.sin(angle), Math.cos(angle)]
}

const rows = ['Seattle', 'New York'].flatMap((city) => {
  const here = days.filter((day) => day.city === city)
  return here.slice(2, -1).map((today, i) => {
    const tomorrow = here[i + 3]!
    return {
      today,
      tomorrow,
      recent: here.slice(i, i + 3).flatMap((day) => [day.max, day.min, day.wind, Math.log1p(day.rain)]),
      season: seasonOf(tomorrow.date),
    }
  })
})
type Row = (typeof rows)[number]

// ---- the last year is held out
const train = rows.filter(({ tomorrow }) => tomorrow.date < '2015')
const test = rows.filter(({ tomorrow }) => tomorrow.date >= '2015')
const feed = (part: readonly Row[]) => ({
  recent: part.map((row) => row.recent),
  season: part.map((row) => row.season),
  weather: part.map((row) => [row.today.weather]),
  city: part.map((row) => [row.today.city]),
})
const targets = (part: readonly Row[]) => ({
  max: part.map((row) => row.tomorrow.max),
  rain: part.map((row) => row.tomorrow.rain > 0),
})

// ---- the model
setSeed(2)
const recent = input({ shape: [12], name: 'recent' })
const season = input({ shape: [2], name: 'season' })
const weather = input({ shape: [1], dtype: 'string', name: 'weather' })
const city = input({ shape: [1], dtype: 'string', name: 'city' })

const seen = feed(train)
const scale = normalization({ name: 'scale' })
scale.adapt(seen.recent)
const weathers = stringLookup({ outputMode: 'one_hot', name: 'weathers' })
weathers.adapt(seen.weather.flat())
const cities = stringLookup({ vocabulary: ['Seattle', 'New York'], outputMode: 'one_hot', name: 'cities' })
const toDegrees = normalization({ invert: true, name: 'to_degrees' })
toDegrees.adapt(train.map((row) => [row.tomorrow.max]))

const features = concatenate([scale(recent), season, weathers(weather), cities(city)])

function heads(shared: SymbolicTensor<readonly number[], 'float32'>) {
  return {
    max: toDegrees(dense(1)(shared)),
    rain: dense(1, { activation: 'sigmoid' })(shared),
  }
}

const inputs = { recent, season, weather, city }
const hidden = dropout(0.5)(dense(32, { activation: 'relu' })(features))
const forecast = model({ inputs, outputs: heads(concatenate([hidden, features])), name: 'forecast' })
// The baseline: each answer linear in the features.
const linear = model({ inputs, outputs: heads(features), name: 'linear' })

const epochs = 20
const batchSize = 32
for (const m of [forecast, linear])
  m.compile({
    optimizer: adam({
      learningRate: cosineDecay({
        initialLearningRate: 0.005,
        decaySteps: epochs * Math.ceil(train.length / batchSize),
      }),
    }),
    loss: { max: 'mse', rain: 'binary_crossentropy' },
    // Squared degrees in units of their variance.
    lossWeights: { max: 1 / variance(train.map((row) => row.tomorrow.max)), rain: 1 },
    metrics: { max: ['mae'], rain: ['accuracy'] },
  })

forecast.summary()
await forecast.fit(seen, targets(train), { epochs, batchSize })
await linear.fit(seen, targets(train), { epochs, batchSize, verbose: 0 })

// ---- how good is it in a year that it has not seen?
const truth = targets(test)
function scores(guess: typeof truth): string[] {
  return [rSquared(truth.max, guess.max).toFixed(3), percent(accuracy(truth.rain, guess.rain))]
}
async function scoresOf(m: typeof forecast): Promise<string[]> {
  const guess = await m.predict(feed(test))
  return scores({
    max: [...(await guess.max.data())],
    rain: [...(await guess.rain.data())].map((p) => p > 0.5),
  })
}
const asToday = scores({
  max: test.map((row) => row.today.max),
  rain: test.map((row) => row.today.rain > 0),
})
const usual = scores({
  max: test.map(() => mean(train.map((row) => row.tomorrow.max))),
  rain: test.map(() => false),
})

console.log(`\n${test.length} days of 2015, of which it has seen none:`)
console.log(
  table(
    ['', 'maximum, R²', 'rain?, accuracy'],
    ['this model', ...(await scoresOf(forecast))],
    ['linear', ...(await scoresOf(linear))],
    ['as today', ...asToday],
    ['always the same', ...usual],
  ),
)
console.log(
  '\nThe warmth of a day is mostly that of the day before and of the season. Rain is harder to foretell\n' +
    'from one place alone, and a hidden layer does not help.',
)
