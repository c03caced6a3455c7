// Normalized numbers and looked-up strings, in one graph.
import {
  input,
  normalization,
  stringLookup,
  embedding,
  flatten,
  dense,
  concatenate,
  categoryEncoding,
  model,
} from '@adjoint/layers'

declare const prices: number[][], indicators: number[][], headlines: string[], sectors: string[], up: number[]

const price = input({ shape: [10], name: 'price' })
const macro = input({ shape: [4], name: 'macro' })
const mood = input({ shape: [1], dtype: 'string', name: 'mood' })
const sector = input({ shape: [1], dtype: 'string', name: 'sector' })

const priceNorm = normalization()
priceNorm.adapt(prices)
const macroNorm = normalization()
macroNorm.adapt(indicators)
const moods = stringLookup({ vocabulary: ['negative', 'neutral', 'positive'] })
const lookup = stringLookup()
lookup.adapt(sectors)

const x = concatenate([
  dense(32, { activation: 'relu' })(priceNorm(price)),
  dense(16, { activation: 'relu' })(macroNorm(macro)),
  categoryEncoding({ numTokens: 4, outputMode: 'one_hot' })(moods(mood)),
  flatten()(embedding(lookup.vocabularySize(), 8)(lookup(sector))),
])
const direction = dense(1, { activation: 'sigmoid', name: 'direction' })(x)

const m = model({ inputs: [price, macro, mood, sector], outputs: direction })
m.compile({ optimizer: 'adam', loss: 'bce', metrics: ['accuracy'] })
await m.fit({ price: prices, macro: indicators, mood: headlines, sector: sectors }, up, {
  epochs: 5,
  validationSplit: 0.1,
})
const proba = await m.predict([prices, indicators, headlines, sectors])
console.log(await proba.array())
