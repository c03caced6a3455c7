// Inputs and outputs as records, merged by weights: every key is checked when this is compiled.
import {
  input,
  dense,
  weightedAverage,
  gatedFusion,
  model,
  random,
  earlyStopping,
  type Tensor,
} from '@adjoint/layers'

const price = input({ shape: [10], name: 'price' })
const sentiment = input({ shape: [5], name: 'sentiment' })

const p = dense(32, { activation: 'relu' })(price)
const s = dense(32, { activation: 'relu' })(sentiment)

const fixed = weightedAverage({ weights: [0.7, 0.3] })([p, s])
const learned = weightedAverage({ trainable: true })([p, s])
const byHand = p.mul(0.7).add(s.mul(0.3))
const gated = gatedFusion()([fixed, learned])

const direction = dense(1, { activation: 'sigmoid' })(gated)
const volume = dense(1)(byHand)

const m = model({ inputs: { price, sentiment }, outputs: { direction, volume } })
m.compile({
  optimizer: 'adam',
  loss: { direction: 'binary_crossentropy', volume: 'mse' },
  lossWeights: { direction: 1, volume: 0.2 },
  metrics: { direction: ['accuracy', 'auc'] },
})
const X1 = random.uniform([100, 10]),
  X2 = random.uniform([100, 5])
const history = await m.fit(
  { price: X1, sentiment: X2 },
  { direction: random.randint(0, 2, [100, 1]), volume: random.uniform([100, 1]) },
  {
    epochs: 10,
    validationSplit: 0.2,
    sampleWeight: { direction: new Float32Array(100).fill(1) },
    callbacks: [earlyStopping({ monitor: 'val_direction_loss', patience: 3, restoreBestWeights: true })],
  },
)
const curve: number[] = history.history.direction_loss
const out = await m.predict({ price: X1, sentiment: X2 })
const d: Tensor = out.direction,
  v: Tensor = out.volume
void [curve, d, v]
