import {
  batchNormalization,
  type Callback,
  constraints,
  dense,
  input,
  type LayerBase,
  type Model,
  type Optimizer,
  regularizers,
  sequential,
  type Tensor,
} from '@adjoint/layers'
import * as library from '@adjoint/layers'
import { expect, test } from 'vitest'
import { lcg, lcgMatrix, lcgWeights } from '../support/lcg.js'
import { readOracle } from '../support/oracles.js'

interface Described {
  readonly class_name: string
  readonly config?: Readonly<Record<string, unknown>>
}
/** Something by its name in Keras, or with options. */
type Named = string | Described

interface Recording {
  readonly spec: {
    readonly model: string
    readonly units?: number
    readonly activation?: string | null
    readonly x: string
    readonly y: string
    readonly optimizer: Described
    readonly loss: Named
    readonly metrics?: readonly Named[]
    readonly fit: {
      readonly epochs: number
      readonly batch_size: number
      readonly class_weight?: Readonly<Record<number, number>>
      /** `first 20 rows of X1, ya` */
      readonly validation_data?: string
      readonly sample_weight?: string
      readonly validation_split?: number
      readonly initial_epoch?: number
      readonly callbacks?: readonly Described[]
    }
  }
  readonly history: Readonly<Record<string, readonly number[]>>
  readonly predict_first2?: readonly (readonly number[])[]
}

const { _how: _, ...all } = readOracle<Record<string, Recording>>('keras-trainer.json')
const recordings = Object.entries(all)

const data: Readonly<Record<string, unknown>> = {
  X1: lcgMatrix(100, 10, 1),
  X2: lcgMatrix(100, 5, 2),
  ya: lcgMatrix(100, 1, 7),
  yb: lcg(5, 100).map((value) => [Math.floor(2 * value)]),
  ys: lcg(8, 100).map((value) => Math.floor(5 * value)),
  w1: lcg(9, 100).map((value) => 0.5 + 1.5 * value),
  w2: lcg(10, 100).map((value) => 0.5 + 1.5 * value),
}

/** Keras' options in this library's spelling. */
function camel(config: Readonly<Record<string, unknown>>): object {
  const special: Readonly<Record<string, string>> = {
    global_clipnorm: 'globalClipNorm',
    clipnorm: 'clipNorm',
    clipvalue: 'clipValue',
    min_lr: 'minLR',
  }
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      special[key] ?? key.replace(/_(\w)/g, (_match, letter: string) => letter.toUpperCase()),
      isDescribed(value) ? made(value) : value,
    ]),
  )
}

const isDescribed = (value: unknown): value is Described =>
  typeof value === 'object' && value !== null && 'class_name' in value

/** What makes things of Keras' classes: `reduceLROnPlateau` of ReduceLROnPlateau, `rmsprop` of RMSprop. */
function made({ class_name: name, config = {} }: Described, among: object = library): unknown {
  const spelled = [name[0]!.toLowerCase() + name.slice(1), name.toLowerCase()]
  const make = spelled.map((key) => (among as Record<string, unknown>)[key]).find((x) => x !== undefined)
  if (make === undefined) throw new Error(`nothing here is Keras' ${name}`)
  return (make as (options: object) => unknown)(camel(config))
}
const named = (spec: Named, among: object): unknown => (typeof spec === 'string' ? spec : made(spec, among))

const numbersIn = (text: string): number[] => text.split(',').map(Number)
/** What options of layers mean: `L1L2(.01,.02)`. */
const meanings: Readonly<Record<string, (numbers: readonly number[]) => unknown>> = {
  L1: ([l1]) => regularizers.l1(l1),
  L2: ([l2]) => regularizers.l2(l2),
  L1L2: ([l1, l2]) => regularizers.l1L2({ l1: l1!, l2: l2! }),
  MaxNorm: ([maxValue]) => constraints.maxNorm({ maxValue: maxValue! }),
}

/** `Dense 16 relu, kernel_regularizer L1L2(.01,.02)` */
function layerOf(text: string): LayerBase {
  const [head, ...rest] = text.split(/, (?=\w+ \w+\()/)
  const [kind, units, activation] = head!.split(' ')
  const options = rest.map((option) => {
    const [, name, meaning, numbers] = /^(\w+) (\w+)\((.*)\)$/.exec(option)!
    return [name!, meanings[meaning!]!(numbersIn(numbers!))] as const
  })
  if (kind === 'BatchNormalization') return batchNormalization(camel(Object.fromEntries(options)))
  if (kind !== 'Dense') throw new Error(`there is no layer ${String(kind)}`)
  const named = { ...Object.fromEntries(options), ...(activation !== undefined && { activation }) }
  return dense(Number(units), camel(named))
}

/** `Input 10 -> Dense 16 relu -> Dense 1`, which is also what `one` stands for, with the units and activation named. */
function modelOf({ model, units, activation }: Recording['spec']): Model {
  const text =
    model === 'one' ? `Input 10 -> Dense 16 relu -> Dense ${units} ${activation ?? 'linear'}` : model
  const [first, ...layers] = text.split(' -> ')
  const x = input({ shape: numbersIn(first!.replace('Input ', '')) })
  return sequential([x.node.layer, ...layers.map(layerOf)])
}

function build(spec: Recording['spec']): Model {
  const { optimizer, loss, metrics } = spec
  const m = modelOf(spec)
  m.compile({
    optimizer: made(optimizer) as Optimizer,
    loss: named(loss, library.losses) as 'mse',
    ...(metrics !== undefined && {
      metrics: metrics.map((metric) => named(metric, library.metrics)) as ['accuracy'],
    }),
  })
  const recorded = lcgWeights(m.weights.map((w) => w.shape))
  // Vectors keep what Keras starts them from.
  m.setWeights(m.weights.map((w, i) => (w.rank === 1 ? w.detach() : recorded[i]!)))
  return m
}

function rowsOf(text: string): [unknown, unknown] {
  const [, count, x, y] = /^first (\d+) rows of (\w+), (\w+)$/.exec(text)!
  const first = (name: string): unknown[] => (data[name] as unknown[]).slice(0, Number(count))
  return [first(x!), first(y!)]
}

test.each(recordings)('fit does as Keras did: %s', async (_name, { spec, history, predict_first2 = [] }) => {
  const m = build(spec)
  const {
    epochs,
    batch_size: batchSize,
    class_weight: classWeight,
    callbacks = [],
    validation_data,
    sample_weight,
    validation_split,
    initial_epoch,
    ...others
  } = spec.fit
  expect(Object.keys(others), 'options of fit that are not known here').toEqual([])
  const trained = await m.fit(data[spec.x] as number[][], data[spec.y] as number[], {
    epochs,
    batchSize,
    shuffle: false,
    verbose: 0,
    callbacks: callbacks.map((callback) => made(callback) as Callback),
    ...(sample_weight !== undefined && { sampleWeight: data[sample_weight] as number[] }),
    ...(validation_split !== undefined && { validationSplit: validation_split }),
    ...(initial_epoch !== undefined && { initialEpoch: initial_epoch }),
    ...(classWeight !== undefined && { classWeight }),
    ...(validation_data !== undefined && {
      validationData: rowsOf(validation_data) as [number[][], number[][]],
    }),
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

test('entries of the form that are not among these would be understood', async () => {
  const spec: Recording['spec'] = {
    model: 'one',
    units: 1,
    activation: 'sigmoid',
    x: 'X1',
    y: 'yb',
    optimizer: {
      class_name: 'RMSprop',
      config: {
        learning_rate: {
          class_name: 'ExponentialDecay',
          config: { initial_learning_rate: 0.01, decay_steps: 10, decay_rate: 0.5 },
        },
      },
    },
    loss: { class_name: 'BinaryCrossentropy', config: { label_smoothing: 0.1 } },
    metrics: ['mae', { class_name: 'AUC', config: { num_thresholds: 50 } }],
    fit: { epochs: 1, batch_size: 16 },
  }
  const m = build(spec)
  expect(m.optimizer.learningRate).toBe(0.01)
  const logs = await m.testOnBatch(data['X1'] as number[][], data['yb'] as number[][], {
    sampleWeight: data['w1'] as number[],
  })
  expect(Object.keys(logs)).toEqual(['loss', 'mae', 'auc'])
  const stop = { class_name: 'EarlyStopping', config: { monitor: 'loss', restore_best_weights: true } }
  expect((made(stop) as Callback).name).toBe('earlyStopping')
})
