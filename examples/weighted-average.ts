// Two branches merged by a weighted average, fixed and learnt; inputs and outputs as records, whose keys are checked
// by the compiler. On synthetic data.
import { add, dense, earlyStopping, input, model, random, setSeed, weightedAverage } from '@adjoint/layers'

setSeed(8)
const price = input({ shape: [10], name: 'price' })
const sentiment = input({ shape: [5], name: 'sentiment' })

const p = dense(32, { activation: 'relu' })(price)
const s = dense(32, { activation: 'relu' })(sentiment)

const fixed = weightedAverage({ weights: [0.7, 0.3] })([p, s])
const learnt = weightedAverage({ trainable: true })([p, s])
// Ops on symbolic tensors do the same by hand.
const byHand = p.mul(0.7).add(s.mul(0.3))

const direction = dense(1, { activation: 'sigmoid' })(add([fixed, learnt]))
const volume = dense(1)(byHand)

const m = model({ inputs: { price, sentiment }, outputs: { direction, volume } })
m.compile({
  optimizer: 'adam',
  loss: { direction: 'binary_crossentropy', volume: 'mse' },
  lossWeights: { direction: 1, volume: 0.2 },
  metrics: { direction: ['accuracy'] },
})
m.summary()

const X1 = random.uniform([200, 10])
const X2 = random.uniform([200, 5])
// Up when the sentiment is good on average; traded more when prices differ much.
const up = X2.mean(1, true).greater(0.5)
const traded = X1.max(1, true).sub(X1.min(1, true))

await m.fit(
  { price: X1, sentiment: X2 },
  { direction: up, volume: traded },
  {
    epochs: 30,
    validationSplit: 0.2,
    verbose: 2,
    callbacks: earlyStopping({ monitor: 'val_direction_loss', patience: 3, restoreBestWeights: true }),
  },
)
const out = await m.predict({ price: X1, sentiment: X2 })
console.log('up?', (await out.direction.data())[0], 'traded:', (await out.volume.data())[0])
