// Every entry of facts.json: run here from the entry itself, run by the test of its area, or named as waiting for
// what the packages do not have yet.
import * as core from '@adjoint/core'
import { cos, grad, hessian, jvp, sin, sum, customGradient, valueAndGrad } from '@adjoint/core'
import * as layers from '@adjoint/layers'
import {
  activation,
  type LayerBase,
  learningRateScheduler,
  type Optimizer,
  sequential,
  dense,
  sgd,
  tensor,
  type Tensor,
  variable,
} from '@adjoint/layers'
import { describe, expect, test } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: unknown
  readonly expected: unknown
  readonly tol?: number
}
type Options = Readonly<Record<string, unknown>>
type Run = (fact: Fact) => unknown

const exported = (name: string): unknown => (layers as Options)[name] ?? (core as Options)[name]
/** Keras' class name as the name of a factory here, which may differ in its capitals. */
const factory = (className: string): ((...args: unknown[]) => unknown) | undefined => {
  const name = Object.keys(layers).find(
    (key) => /^[a-z]/.test(key) && key.toLowerCase() === className.toLowerCase(),
  )
  return name === undefined ? undefined : ((layers as Options)[name] as (...args: unknown[]) => unknown)
}

/** Areas whose entries, all of them, are run by a test that reads them and knows each. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  loss: 'core/losses.test.ts',
  metric: 'layers/metrics.test.ts',
  preprocessing: 'layers/preprocessing.test.ts, integer-preprocessing.test.ts, text.test.ts',
  merge: 'layers/merge.test.ts',
  regularizer: 'layers/regularizers.test.ts',
  initializer: 'layers/initializers.test.ts',
  schedule: 'layers/schedules.test.ts',
}

/** What waits for a function or layer, by the beginning of its name; as soon as that is exported, it must be run. */
const LATER: Readonly<Record<string, string>> = {
  'LSTM ': 'lstm',
  'GRU ': 'gru',
  SimpleRNN: 'simpleRNN',
  'Attention ': 'attention',
  'ZeroPadding1D(': 'zeroPadding1D',
  'UpSampling1D(': 'upSampling1D',
  'Cropping1D(': 'cropping1D',
  'EinsumDense ': 'einsumDense',
  'MaxPooling1D ': 'maxPooling1D',
  'AveragePooling2D ': 'averagePooling2D',
  topK: 'topk',
  inTopK: 'inTopK',
  rot90: 'rot90',
  cdist: 'cdist',
  Upsample: 'resize',
}

const numbersIn = (text: string): number[] =>
  [...text.matchAll(/-?\d*\.?\d+(?:e-?\d+)?/g)].map(([n]) => Number(n))

function activated({ name, input }: Fact): unknown {
  const { x, ...options } = input as Options & { x: number[] }
  const [kind] = name.split(' ')
  const row = [x] as number[][]
  if (Object.keys(options).length > 0) return (factory(kind!)!(options) as LayerBase).invoke([tensor(row)])
  // `gelu approximate=false` is what the name alone means: the exact one.
  return activation(kind as 'relu').invoke([tensor(row)])
}

function ofLayer({ name, input }: Fact): unknown {
  const { x, inputShape, ...options } = input as Options & { x?: number[][]; inputShape?: number[] }
  if (name.startsWith('Reshape')) {
    const out = layers.reshape(options['targetShape'] as number[])(layers.input({ shape: inputShape! }))
    return { shape: [null, ...out.shape] }
  }
  if (name.startsWith('UnitNormalization')) return sum(layers.unitNormalization()(tensor(x!)).square(), -1)
  throw new Error(`${name}: no such form`)
}

/** `Adam amsgrad golden`, `AdamW lr 1 wd .5 eps 2 golden, elements 0 and 9`, `Adagrad one step (initial accumulator .1)` */
function optimized({ name, input }: Fact): unknown {
  const [className, ...words] = name.split(/[\s(),]+/)
  const named: Readonly<Record<string, string>> = {
    lr: 'learningRate',
    wd: 'weightDecay',
    eps: 'epsilon',
    acc: 'initialAccumulatorValue',
  }
  const options: Record<string, unknown> = {}
  words.forEach((word, i) => {
    if (word === 'amsgrad') options['amsgrad'] = true
    if (named[word] !== undefined) options[named[word]] = Number(words[i + 1])
  })
  const make = (given: object): Optimizer => factory(className!)!(given) as Optimizer
  if (typeof input === 'string') {
    const w = variable(tensor(new Array<number>(10).fill(1), { dtype: 'float64' }))
    const optimizer = make(options)
    const listed = /elements (\d+) and (\d+)/.exec(name)?.slice(1).map(Number)
    return Array.from({ length: 5 }, (_, step) => {
      const g = Array.from({ length: 10 }, (_unused, i) => (step === 0 ? 0.01 : 0.1 * (i + 1)))
      optimizer.apply([tensor(g, { dtype: 'float64' })], [w])
      const values = [...w.dataSync()]
      return listed === undefined ? values[0] : listed.map((i) => values[i])
    })
  }
  const { grads, vars, steps, ...rest } = input as Options & {
    grads: number[]
    vars: number[]
    steps: number
  }
  const w = variable(tensor(vars, { dtype: 'float64' }))
  const optimizer = make({ ...options, ...rest })
  for (let i = 0; i < steps; i++) optimizer.apply([tensor(grads, { dtype: 'float64' })], [w])
  return w
}

/** What is told in words alone, by the beginning of its name. */
const inWords: Readonly<Record<string, Run>> = {
  'fit end to end': async ({ name }) => {
    const decay = numbersIn(/ExponentialDecay\(([^)]*)\)/.exec(name)![1]!)
    const learningRate = layers.exponentialDecay({
      initialLearningRate: decay[0]!,
      decaySteps: decay[1]!,
      decayRate: decay[2]!,
    })
    const m = sequential([dense(2, { inputShape: [2], kernelInitializer: 'ones', biasInitializer: 'ones' })])
    m.compile({ optimizer: layers.adam({ learningRate }), loss: 'mse' })
    const x = Array.from({ length: 16 }, (_, i) => [2 * i, 2 * i + 1])
    const { history } = await m.fit(x, x, { batchSize: 4, epochs: 3, shuffle: false, verbose: 0 })
    return history.loss
  },
  'LearningRateScheduler: keep 10': async ({ input }) => {
    const m = sequential([dense(1, { inputShape: [1] })]).compile({ optimizer: sgd(), loss: 'mse' })
    const { epochs } = input as { epochs: number }
    const schedule = (epoch: number, rate: number): number => (epoch < 10 ? rate : rate * Math.exp(-0.1))
    await m.fit([[0]], [0], { epochs, verbose: 0, callbacks: learningRateScheduler(schedule) })
    return m.optimizer.learningRate
  },
  'Dense(3) on (2,) fitted with Adam': async () => {
    const m = sequential([dense(3, { inputShape: [2] })]).compile({ optimizer: 'adam', loss: 'mse' })
    await m.fit([[0, 0]], [[1, 1, 1]], { verbose: 0 })
    const lines: string[] = []
    m.summary({ printFn: (line) => lines.push(line) })
    return ['Total', 'Trainable', 'Optimizer'].map((what) => {
      const line = lines.find((text) => text.includes(` ${what} params: `))!
      return Number(/params: (\d+)/.exec(line)![1])
    })
  },
  'seed models: params of multi-input': () => {
    const of = (inputs: readonly layers.Sym.Any[], outputs: layers.Sym.Any): number =>
      layers.model<readonly layers.Sym.Any[], layers.Sym.Any>({ inputs, outputs }).countParams()
    const { input, embedding, flatten, concatenate, multiply } = layers
    const [a, b, id] = [input({ shape: [10] }), input({ shape: [5] }), input({ shape: [1] })]
    const relu = (units: number, x: layers.Sym.Num) => dense(units, { activation: 'relu' })(x as typeof a)
    const [p, q] = [input({ shape: [5] }), input({ shape: [5] })]
    return [
      of([a, b], dense(1)(concatenate([relu(64, a), relu(32, b)] as never) as never)),
      of([a, id], dense(1)(concatenate([relu(64, a), flatten()(embedding(100, 32)(id))] as never) as never)),
      of([p, q], dense(1)(multiply([relu(32, p), relu(32, q)] as never) as never)),
    ]
  },
  'jvp sin at': ({ input }) => {
    const { x, v } = input as { x: number; v: number }
    return jvp((t: Tensor) => sin(t), [tensor(x)], [tensor(v)])
  },
  'hessian of x0^3 - 2 x0 x1 - x1^6': ({ input }) => {
    const at = (x: Tensor, i: number): Tensor => core.slice(x, [i], [1]).reshape([])
    const f = (x: Tensor): Tensor =>
      at(x, 0)
        .pow(3)
        .sub(at(x, 0).mul(at(x, 1)).mul(2))
        .sub(at(x, 1).pow(6))
    return hessian(f)(tensor((input as { x: number[] }).x, { dtype: 'float64' }))
  },
  'valueAndGrad of a custom-gradient sin(x)*y': ({ input }) => {
    const { x, y } = input as { x: number; y: number }
    const f = customGradient(
      (a: Tensor, b: Tensor) => sin(a).mul(b),
      ({ g, inputs: [a, b] }) => [g.mul(cos(a)).mul(b), g.mul(sin(a))],
    )
    return valueAndGrad(f)(tensor(x), tensor(y))
  },
  'f = x1 x2 + sin(x1 x2)': ({ input }) => {
    const [x1, x2] = (input as { x: number[] }).x.map((value) => tensor(value, { dtype: 'float64' }))
    const f = (a: Tensor, b: Tensor): Tensor => a.mul(b).add(sin(a.mul(b)))
    const one = tensor(1, { dtype: 'float64' })
    const zero = tensor(0, { dtype: 'float64' })
    expect(grad(f)(x1!, x2!).itemSync()).toBeCloseTo(
      (jvp(f, [x1!, x2!], [one, zero]) as Tensor[])[1]!.itemSync(),
      12,
    )
    return jvp(f, [x1!, x2!], [one, zero])
  },
  logsumexp: ({ input }) => core.logSumExp(tensor((input as { x: number[] }).x)),
  oneHot: ({ input }) => {
    const { x, numClasses } = input as { x: number[]; numClasses: number }
    return core.oneHot(tensor(x, { dtype: 'int32' }), numClasses)
  },
}
const byArea: Readonly<Record<string, Run>> = { activation: activated, layer: ofLayer, optimizer: optimized }

const starts = <V>(table: Readonly<Record<string, V>>, name: string): V | undefined =>
  Object.entries(table).find(([start]) => name.startsWith(start))?.[1]
const isLater = ({ name }: Fact): boolean => {
  const waitsFor = starts(LATER, name)
  return waitsFor !== undefined && exported(waitsFor) === undefined
}
const runOf = (fact: Fact): Run | undefined => starts(inWords, fact.name) ?? byArea[fact.area]

function plain(value: unknown): unknown {
  if (value instanceof core.Tensor) return (value as Tensor).arraySync()
  return Array.isArray(value) ? value.map(plain) : value
}

function expectNear(got: unknown, want: unknown, tol: number, isInBatch: boolean): void {
  if (typeof want === 'number') {
    expect(Math.abs((got as number) - want)).toBeLessThanOrEqual(tol)
    return
  }
  if (!Array.isArray(want)) {
    expect(got).toEqual(want)
    return
  }
  const values = (isInBatch ? (got as unknown[])[0] : got) as unknown[]
  expect(values).toHaveLength(want.length)
  want.forEach((value, i) => expectNear(values[i], value, tol, false))
}

const facts = Object.values(readOracle<Record<string, Fact>>('facts.json'))
const waiting = facts.filter(isLater)
const here = facts.filter((fact) => ELSEWHERE[fact.area] === undefined && !waiting.includes(fact))

describe('facts of Keras and others', () => {
  test('are all run, but for those whose layer or op is not there yet', () => {
    expect(here.filter((fact) => runOf(fact) === undefined).map(({ name }) => name)).toEqual([])
    expect(facts.length).toBeGreaterThan(100)
  })

  test.each(here.map((fact) => [fact.area, fact.name, fact] as const))('%s: %s', async (area, _, fact) => {
    const got = plain(await runOf(fact)!(fact))
    // An error of rounding of float32 on top of what the documentation has rounded.
    expectNear(got, fact.expected, (fact.tol ?? 0) + 1e-7, area === 'activation')
  })

  test.skip.each(waiting.map(({ area, name }) => [area, name]))('%s: %s', () => undefined)
})
