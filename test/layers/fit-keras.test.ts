import {
  dense,
  input,
  model,
  type Model,
  type Optimizer,
  reduceLROnPlateau,
  type Tensor,
} from '@adjoint/layers'
import * as library from '@adjoint/layers'
import { expect, test } from 'vitest'
import { lcg, lcgMatrix, lcgWeights } from '../support/lcg.js'
import { readOracle } from '../support/oracles.js'

interface Recording {
  readonly spec: {
    readonly model: string
    readonly units: number
    readonly activation: string | null
    readonly x: string
    readonly y: string
    readonly optimizer: { readonly class_name: string; readonly config: Readonly<Record<string, unknown>> }
    readonly loss: string
    readonly metrics?: readonly string[]
    readonly fit: {
      readonly epochs: number
      readonly batch_size: number
      readonly class_weight?: Readonly<Record<number, number>>
      readonly callbacks?: readonly { readonly config: Readonly<Record<string, unknown>> }[]
    }
  }
  readonly history: Readonly<Record<string, readonly number[]>>
  readonly predict_first2?: readonly (readonly number[])[]
}

const { _how: _, ...all } = readOracle<Record<string, Recording>>('keras-trainer.json')
// Those whose model is the plain one; others need layers of their own.
const recordings = Object.entries(all).filter(([, { spec }]) => spec.model === 'one')

const data: Readonly<Record<string, unknown>> = {
  X1: lcgMatrix(100, 10, 1),
  ya: lcgMatrix(100, 1, 7),
  ys: lcg(8, 100).map((value) => Math.floor(5 * value)),
}

/** Keras' options in this library's spelling. */
function camel(config: Readonly<Record<string, unknown>>): object {
  const special: Readonly<Record<string, string>> = {
    global_clipnorm: 'globalClipNorm',
    clipnorm: 'clipNorm',
  }
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      special[key] ?? key.replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()),
      value,
    ]),
  )
}

function build({ units, activation, optimizer, loss, metrics }: Recording['spec']): Model {
  const x = input({ shape: [10] })
  const hidden = dense(16, { activation: 'relu' })(x)
  const m: Model = model({
    inputs: x,
    outputs: dense(units, { activation: (activation ?? 'linear') as 'linear' })(hidden),
  })
  const factories = library as unknown as Readonly<Record<string, (options: object) => Optimizer>>
  m.compile({
    optimizer: factories[optimizer.class_name.toLowerCase()]!(camel(optimizer.config)),
    loss: loss as 'mse',
    ...(metrics !== undefined && { metrics: metrics as ['accuracy'] }),
  })
  m.setWeights(lcgWeights(m.weights.map((w) => w.shape)))
  return m
}

test.each(recordings)('fit does as Keras did: %s', async (_name, { spec, history, predict_first2 = [] }) => {
  const m = build(spec)
  const { epochs, batch_size: batchSize, class_weight: classWeight, callbacks = [] } = spec.fit
  const trained = await m.fit(data[spec.x] as number[][], data[spec.y] as number[], {
    epochs,
    batchSize,
    shuffle: false,
    verbose: 0,
    callbacks: callbacks.map(({ config }) => reduceLROnPlateau(camel(config))),
    ...(classWeight !== undefined && { classWeight }),
  })
  expect(new Set(Object.keys(trained.history))).toEqual(new Set(Object.keys(history)))
  for (const [log, values] of Object.entries(history))
    values.forEach((value, epoch) => {
      expect(Math.abs(trained.history[log]![epoch]! - value), `${log}, epoch ${epoch}`).toBeLessThanOrEqual(
        1e-5,
      )
    })
  const predicted = ((await m.predict(data[spec.x] as number[][])) as Tensor).arraySync() as number[][]
  predict_first2.flat().forEach((value, i) => {
    expect(Math.abs(predicted.flat()[i]! - value), `prediction ${i}`).toBeLessThanOrEqual(1e-5)
  })
})
