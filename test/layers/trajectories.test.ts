import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFloatx, tensor, type Tensor, valueAndGrads, type Variable } from '@adjoint/core'
import {
  type Callback,
  type LayerBase,
  type Logs,
  type Model,
  model,
  input,
  type Optimizer,
  type Sym,
} from '@adjoint/layers'
import * as library from '@adjoint/layers'
import { afterEach, describe, expect, test } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Values {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}
type Named = Readonly<Record<string, Values>>
interface Weight extends Values {
  readonly layer: string
  readonly name: string
}
interface LayerSpec {
  readonly name: string
  readonly type: string
  readonly inputs: readonly string[]
  readonly [option: string]: unknown
}
interface Trajectory {
  readonly optimizer: { readonly name: string; readonly [option: string]: unknown }
  readonly epochs: number
  readonly batchSize: number
  readonly samples: number
  readonly lossWeights: Readonly<Record<string, number>>
  readonly architecture: {
    readonly inputs: Readonly<Record<string, readonly number[]>>
    readonly layers: readonly LayerSpec[]
    readonly outputs: readonly string[]
    readonly loss: Readonly<Record<string, string>>
    readonly metrics: Readonly<Record<string, readonly string[]>>
  }
  readonly inputs: Named
  readonly targets: Named
  readonly validation: { readonly inputs: Named; readonly targets: Named }
  readonly initialWeights: readonly Weight[]
  readonly initialEvaluate: Readonly<Record<string, number>>
  readonly initialPredictionsFirst8: Named
  readonly firstStepGradients: readonly Weight[]
  readonly perStep: readonly ({ readonly epoch: number; readonly size: number } & Readonly<
    Record<string, number>
  >)[]
  readonly perEpoch: readonly Readonly<Record<string, number>>[]
  readonly finalWeights: readonly Weight[]
  readonly finalEvaluate: Readonly<Record<string, number>>
  readonly finalPredictions: Named
}

const folder = process.env.ADJOINT_ORACLES ?? fileURLToPath(new URL('../oracles', import.meta.url))
const files = readdirSync(join(folder, 'models')).filter((file) => file.endsWith('.json'))

/** What an honest run may differ by, as the files' README says. */
const TOLERANCES = {
  float64: { log: 1e-10, weight: 1e-10, gradient: 1e-10 },
  float32: { log: 2e-6, weight: 5e-6, gradient: 5e-6 },
}

// The library's factories by the names that the files use: `Dense` is `dense`.
type Factory = (...args: unknown[]) => (x: unknown) => Sym.Any
const factories = library as unknown as Readonly<Record<string, Factory>>

function layerOf({ name, type, inputs: _inputs, ...options }: LayerSpec): (x: unknown) => Sym.Any {
  const factory = factories[type[0]!.toLowerCase() + type.slice(1)]!
  const { inputDim, outputDim, ...rest } = options
  return inputDim === undefined ? factory({ ...rest, name }) : factory(inputDim, outputDim, { ...rest, name })
}

function build({ architecture, optimizer, lossWeights }: Trajectory): Model {
  const nodes = new Map<string, Sym.Any>()
  for (const [name, shape] of Object.entries(architecture.inputs)) nodes.set(name, input({ shape, name }))
  for (const layer of architecture.layers) {
    const from = layer.inputs.map((name) => nodes.get(name)!)
    nodes.set(layer.name, layerOf(layer)(from.length === 1 ? from[0] : from))
  }
  const pick = (names: readonly string[]): Record<string, Sym.Any> =>
    Object.fromEntries(names.map((name) => [name, nodes.get(name)!]))
  const made: Model = model({
    inputs: pick(Object.keys(architecture.inputs)),
    outputs: pick(architecture.outputs),
  })
  const { name, ...options } = optimizer
  made.compile({
    optimizer: (factories[name] as unknown as (options: object) => Optimizer)(options),
    loss: architecture.loss as never,
    metrics: architecture.metrics as never,
    lossWeights,
  })
  return made
}

const feed = (named: Named): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(named).map(([name, { shape, data }]) => [name, tensor(data, { shape })]))

/** Rows `from` up to `to` of everything. */
function rows(named: Named, from: number, to: number): Named {
  return Object.fromEntries(
    Object.entries(named).map(([name, { shape, data }]) => {
      const width = shape.slice(1).reduce((n, side) => n * side, 1)
      return [name, { shape: [to - from, ...shape.slice(1)], data: data.slice(from * width, to * width) }]
    }),
  )
}

function variableOf(of: Model, { layer, name }: Weight): Variable {
  const owner: LayerBase = of.getLayer(layer)
  const found = owner.weights.find((w) => w.name === name || w.name.endsWith(`/${name}`))
  return found ?? owner.weights[name === 'kernel' || name === 'embeddings' ? 0 : 1]!
}

function setWeights(of: Model, weights: readonly Weight[]): void {
  for (const weight of weights)
    variableOf(of, weight).assign(tensor(weight.data as number[], { shape: weight.shape }))
}

function expectClose(
  got: ArrayLike<number>,
  wanted: readonly number[],
  tolerance: number,
  what: string,
): void {
  expect(got.length, what).toBe(wanted.length)
  let worst = 0
  for (let i = 0; i < wanted.length; i++) worst = Math.max(worst, Math.abs(got[i]! - wanted[i]!))
  expect(worst, what).toBeLessThanOrEqual(tolerance)
}

function expectLogs(
  got: Logs,
  wanted: Readonly<Record<string, number>>,
  tolerance: number,
  what: string,
): void {
  expect(Object.keys(got), what).toEqual(Object.keys(wanted))
  for (const name of Object.keys(wanted))
    expectClose([got[name]!], [wanted[name]!], tolerance, `${what} ${name}`)
}

afterEach(() => {
  setFloatx('float32')
})

describe.each(['float64', 'float32'] as const)('in %s', (float) => {
  const { log, weight, gradient } = TOLERANCES[float]
  describe.each(files)('%s', (file) => {
    const written = readOracle<Trajectory>(`models/${file}`)
    const start = (): Model => {
      setFloatx(float)
      const made = build(written)
      setWeights(made, written.initialWeights)
      return made
    }

    test('the untrained model measures and predicts the same', async () => {
      const m = start()
      expectLogs(
        await m.evaluate(feed(written.inputs), feed(written.targets)),
        written.initialEvaluate,
        log,
        'evaluate',
      )
      const predicted = (await m.predict(feed(rows(written.inputs, 0, 8)))) as Record<string, Tensor>
      for (const [name, { data, shape }] of Object.entries(written.initialPredictionsFirst8)) {
        expect(predicted[name]!.shape).toEqual(shape)
        expectClose(predicted[name]!.dataSync(), data, log, name)
      }
    })

    test('the gradients of the first step are the same', () => {
      const m = start()
      const x = feed(rows(written.inputs, 0, written.batchSize))
      const y = feed(rows(written.targets, 0, written.batchSize))
      const { losses } = library
      const { grads } = valueAndGrads(() => {
        const predicted = m(x, { training: true }) as Record<string, Tensor>
        return Object.entries(written.architecture.loss)
          .map(([name, loss]) =>
            (losses[loss as keyof typeof losses] as library.LossFn)(y[name]!, predicted[name]!)
              .mean()
              .mul(written.lossWeights[name]!),
          )
          .reduce((a, b) => a.add(b))
      }, m.trainableVariables)
      for (const wanted of written.firstStepGradients) {
        const at = m.trainableVariables.indexOf(variableOf(m, wanted))
        expectClose(grads[at]!.dataSync(), wanted.data, gradient, `${wanted.layer}/${wanted.name}`)
      }
    })

    test('batch by batch, every loss before its update is the same', async () => {
      const m = start()
      let from = 0
      for (const { epoch, size, ...wanted } of written.perStep) {
        const part = (all: Named): Record<string, Tensor> => feed(rows(all, from, from + size))
        const logs = await m.trainOnBatch(part(written.inputs), part(written.targets))
        for (const name of Object.keys(wanted))
          expectClose([logs[name]!], [wanted[name]!], log, `epoch ${epoch}, row ${from}: ${name}`)
        from = (from + size) % written.samples
      }
    })

    test('fit logs the same, and ends with the same weights and predictions', async () => {
      const m = start()
      const { epochs, batchSize, validation } = written
      const seen: Logs[] = []
      const watch: Callback = {
        onEpochEnd(_, logs) {
          seen.push({ ...logs })
        },
      }
      const { history } = await m.fit(feed(written.inputs), feed(written.targets), {
        epochs,
        batchSize,
        shuffle: false,
        verbose: 0,
        validationData: [feed(validation.inputs), feed(validation.targets)],
        callbacks: watch,
      })
      written.perEpoch.forEach((wanted, epoch) => {
        expectLogs(seen[epoch]!, wanted, log, `epoch ${epoch}`)
        for (const name of Object.keys(wanted)) expect(history[name]![epoch]).toBe(seen[epoch]![name])
      })
      for (const wanted of written.finalWeights)
        expectClose(variableOf(m, wanted).dataSync(), wanted.data, weight, `${wanted.layer}/${wanted.name}`)
      expectLogs(
        await m.evaluate(feed(written.inputs), feed(written.targets)),
        written.finalEvaluate,
        log,
        'evaluate',
      )
      const predicted = (await m.predict(feed(written.inputs))) as Record<string, Tensor>
      expect(Object.keys(predicted)).toEqual(written.architecture.outputs)
      for (const [name, { data }] of Object.entries(written.finalPredictions))
        expectClose(predicted[name]!.dataSync(), data, weight, name)
    })
  })
})
