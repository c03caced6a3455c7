import {
  adam,
  dense,
  input,
  metrics,
  model,
  type Model,
  GraphError,
  losses,
  ShapeError,
  setSeed,
  sgd,
  type Sym,
  type Tensor,
  tensor,
  ValueError,
  sequential,
} from '@adjoint/layers'
import { beforeEach, describe, expect, test } from 'vitest'
import { stateOf } from '../support/state.js'

// Section C of test/oracles/hostile.md, and what compile makes of its options.

type Options = Readonly<Record<string, unknown>>
type ErrorClass = abstract new (...args: never[]) => Error

/** Three outputs in a list, named A, B and C. */
function three(): Model {
  const x = input({ shape: [4], name: 'x' })
  return model({
    inputs: x,
    outputs: [
      dense(1, { name: 'A' })(x),
      dense(1, { name: 'B', activation: 'sigmoid' })(x),
      dense(5, { name: 'C', activation: 'softmax' })(x),
    ],
  })
}

const LOSSES = ['mse', 'binary_crossentropy', 'categorical_crossentropy']

interface Entry {
  readonly id: string
  readonly what: string
  readonly options: unknown
  readonly error: ErrorClass
  readonly says: RegExp
}
const entries: readonly Entry[] = [
  { id: 'C02', what: 'no loss', options: {}, error: ValueError, says: /no loss.*A, B, C/ },
  { id: 'C02', what: 'null for the loss', options: { loss: null }, error: ValueError, says: /no loss/ },
  {
    id: 'C02',
    what: 'null for each loss',
    options: { loss: [null, null, null] },
    error: ValueError,
    says: /no loss/,
  },
  { id: 'C02', what: 'no options', options: undefined, error: ValueError, says: /options must be an object/ },
  {
    id: 'C03',
    what: '2 losses for 3 outputs',
    options: { loss: ['mse', 'mse'] },
    error: ValueError,
    says: /loss: 2 given for 3 outputs \(A, B, C\)/,
  },
  {
    id: 'C04',
    what: 'a loss for an unknown output',
    options: { loss: { 'C ': 'mse' } },
    error: ValueError,
    says: /loss: there is no output "C "; outputs are A, B, C\. Did you mean "C"\?/,
  },
  {
    id: 'C04',
    what: 'an empty record of losses',
    options: { loss: {} },
    error: ValueError,
    says: /no loss.*A, B, C/,
  },
  {
    id: 'C04',
    what: 'a misspelt loss',
    options: { loss: { A: 'mes' } },
    error: ValueError,
    says: /output "A": loss "mes" is unknown/,
  },
  {
    id: 'C04',
    what: 'a number for a loss',
    options: { loss: [1, 'mse', 'mse'] },
    error: ValueError,
    says: /output "A".*got 1/,
  },
  ...['toString', 'constructor', '__proto__', 'hasOwnProperty'].map((name): Entry => ({
    id: 'B23',
    what: `the loss ${name}`,
    options: { loss: name },
    error: ValueError,
    says: /is unknown/,
  })),
  {
    id: 'B24',
    what: 'a loss of a million letters',
    options: { loss: 'x'.repeat(1e6) },
    error: ValueError,
    says: /^.{0,900}$/s,
  },
  {
    id: 'C05',
    what: '2 loss weights',
    options: { loss: LOSSES, lossWeights: [1, 2] },
    error: ValueError,
    says: /lossWeights: 2 given for 3 outputs/,
  },
  {
    id: 'C05',
    what: 'a loss weight for an unknown output',
    options: { loss: LOSSES, lossWeights: { a: 1 } },
    error: ValueError,
    says: /lossWeights.*"a".*Did you mean "A"/,
  },
  ...[NaN, -1, '1', Infinity].map((weight): Entry => ({
    id: 'C05',
    what: `the loss weight ${String(weight)}`,
    options: { loss: LOSSES, lossWeights: [1, weight, 1] },
    error: ValueError,
    says: /lossWeights: B must be a finite number of at least 0/,
  })),
  {
    id: 'C06',
    what: 'a metric of an unknown output',
    options: { loss: LOSSES, metrics: { D: ['mae'] } },
    error: ValueError,
    says: /metrics: there is no output "D"; outputs are A, B, C/,
  },
  {
    id: 'C06',
    what: '1 metric for 3 outputs',
    options: { loss: LOSSES, metrics: ['mae'] },
    error: ValueError,
    says: /metrics: 1 given for 3 outputs/,
  },
  {
    id: 'C06',
    what: 'a misspelt metric',
    options: { loss: LOSSES, metrics: { A: ['acuracy'] } },
    error: ValueError,
    says: /output "A": metric "acuracy".*Did you mean "accuracy"/,
  },
  {
    id: 'C06',
    what: 'a weighted metric of an unknown output',
    options: { loss: LOSSES, weightedMetrics: { D: ['mae'] } },
    error: ValueError,
    says: /weightedMetrics.*"D"/,
  },
  {
    id: 'B22',
    what: 'a misspelt optimizer',
    options: { loss: LOSSES, optimizer: 'adma' },
    error: ValueError,
    says: /"adma".*Did you mean "adam"/,
  },
  {
    id: 'B21',
    what: 'an unknown option',
    options: { loss: LOSSES, metric: ['mae'] },
    error: ValueError,
    says: /"metric".*Did you mean "metrics"/,
  },
  {
    id: 'C10',
    what: 'categorical cross-entropy on one unit',
    options: { loss: { A: 'categorical_crossentropy' } },
    error: ShapeError,
    says: /output "A" \[null,1\] has one unit.*binary_crossentropy/,
  },
  {
    id: 'C10',
    what: 'sparse cross-entropy on one unit',
    options: { loss: { A: 'sparse_categorical_crossentropy' } },
    error: ShapeError,
    says: /did you mean binary_crossentropy/,
  },
  {
    id: 'C11',
    what: 'a step that is no function',
    options: { trainStep: 1 },
    error: ValueError,
    says: /trainStep must be a function/,
  },
]

test.each(entries)('$id $what', ({ options, error, says }) => {
  const m = three()
  m.compile({ loss: LOSSES as never, optimizer: 'adam' })
  const before = [stateOf(m), m.compiled]
  let failure: unknown
  try {
    m.compile(options as never)
  } catch (reason) {
    failure = reason
  }
  expect(failure).toBeInstanceOf(error)
  expect((failure as Error).message).toMatch(says)
  expect([stateOf(m), m.compiled]).toEqual(before)
})

test.each(['fit', 'evaluate', 'trainOnBatch', 'testOnBatch'] as const)(
  'C01: %s before compile',
  async (method) => {
    const m = three()
    const failure = m[method]([[1, 2, 3, 4]] as never, [[1], [1], [1]] as never)
    await expect(failure).rejects.toBeInstanceOf(GraphError)
    await expect(failure).rejects.toThrow(/compile/)
  },
)

const X = [
  [1, 2, 3, 4],
  [2, 3, 4, 5],
]

describe('C10: losses and targets that do not fit', () => {
  const x = input({ shape: [4] })
  test('labels for a binary loss of five units', async () => {
    const m: Model = model({ inputs: x, outputs: dense(5, { activation: 'softmax' })(x) })
    m.compile({ loss: 'binary_crossentropy' })
    await expect(m.fit(X, [0, 1], { verbose: 0 })).rejects.toThrow(
      /did you mean sparse_categorical_crossentropy/,
    )
  })
  test('labels for a categorical loss', async () => {
    const m: Model = model({ inputs: x, outputs: dense(5, { activation: 'softmax' })(x) })
    m.compile({ loss: 'categorical_crossentropy' })
    await expect(m.fit(X, [[0], [1]], { verbose: 0 })).rejects.toThrow(
      /did you mean sparse_categorical_crossentropy/,
    )
  })
})

describe("C11: a loss of the user's own", () => {
  const compiled = (loss: unknown): Model => {
    const x = input({ shape: [4] })
    const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(x) })
    return m.compile({ loss: loss as never, optimizer: 'sgd' })
  }
  test.each<[string, (t: Tensor, p: Tensor) => unknown, RegExp]>([
    ['returns a promise', (t) => Promise.resolve(t), /loss returnsPromise|promise|Promise/i],
    ['returns a number', () => 1, /expected a tensor, got number/],
    ['returns another number of rows', () => tensor([1, 2, 3]), /expected a value for each of 2 samples/],
    ['returns NaN', (t, p) => p.sub(t).mul(NaN), /epoch 0, step 0: the loss of output "y" is NaN/],
    [
      'throws',
      () => {
        throw new ValueError('no luck')
      },
      /no luck/,
    ],
  ])('that %s', async (_what, loss, says) => {
    const m = compiled(loss)
    const before = stateOf(m)
    await expect(m.trainOnBatch(X, [1, 2])).rejects.toThrow(
      says.source.startsWith('epoch') ? /the loss of output "y" is NaN/ : says,
    )
    expect(stateOf(m)).toEqual(before)
    await expect(m.fit(X, [1, 2], { verbose: 0 })).rejects.toThrow(says)
  })
  test('may return a value for each row, for each element, or one for all', async () => {
    const values: number[] = []
    for (const loss of [
      losses.meanSquaredError,
      (t: Tensor, p: Tensor) => t.sub(p).square(),
      (t: Tensor, p: Tensor) => t.sub(p).square().mean(),
    ]) {
      setSeed(3)
      values.push((await compiled(loss).evaluate(X, [1, 2])).loss)
    }
    expect(values[1]).toBeCloseTo(values[0]!, 6)
    expect(values[2]).toBeCloseTo(values[0]!, 6)
  })
})

test('C12: compiling again starts with a fresh optimizer state, also for the same optimizer', async () => {
  const m = three()
  const optimizer = adam()
  const options = { loss: LOSSES, optimizer } as never
  m.compile(options)
  const targets = [
    [[1], [2]],
    [[0], [1]],
    [
      [1, 0, 0, 0, 0],
      [0, 1, 0, 0, 0],
    ],
  ]
  await m.fit(X, targets, { verbose: 0 })
  expect(optimizer.iterations).toBe(1)
  m.compile(options)
  expect(optimizer.built).toBe(false)
  expect(optimizer.iterations).toBe(0)
})

test('C09: one optimizer in two models keeps what it remembers of them apart', async () => {
  const train = async (shared: boolean): Promise<unknown> => {
    setSeed(4)
    const [a, b] = [three(), three()]
    const optimizer = adam()
    const options = (own: unknown): never => ({ loss: { A: 'mse' }, optimizer: own }) as never
    a.compile(options(optimizer))
    b.compile(options(shared ? optimizer : adam()))
    const y = { A: [1, 2], B: null, C: null } as never
    for (let i = 0; i < 3; i++) {
      await a.trainOnBatch(X, y)
      await b.trainOnBatch(X, y)
    }
    return [...a.weights, ...b.weights].map((w) => [...w.dataSync()])
  }
  expect(await train(true)).toEqual(await train(false))
})

describe('losses, weights and metrics may be given', () => {
  const targets = {
    A: [1, 2],
    B: [0, 1],
    C: [
      [1, 0, 0, 0, 0],
      [0, 1, 0, 0, 0],
    ],
  } as never
  const list = [
    [1, 2],
    [0, 1],
    [
      [1, 0, 0, 0, 0],
      [0, 1, 0, 0, 0],
    ],
  ] as never
  const evaluated = async (options: Options, y: never = targets): Promise<Record<string, number>> => {
    setSeed(8)
    return three()
      .compile(options as never)
      .evaluate(X, y)
  }
  let wanted: Record<string, number>
  beforeEach(async () => {
    wanted = await evaluated({
      loss: LOSSES,
      metrics: [['mae'], ['accuracy'], ['accuracy', 'mse']],
      lossWeights: [1, 2, 0.5],
    })
  })

  test('in order or by name, with the same result', async () => {
    const [A, B, C] = LOSSES
    expect(
      await evaluated(
        {
          loss: { C, A, B },
          metrics: { C: ['accuracy', 'mse'], B: 'accuracy', A: ['mae'] },
          lossWeights: { A: 1, C: 0.5, B: 2 },
        },
        list,
      ),
    ).toEqual(wanted)
  })

  test("and are logged in the outputs' order: the loss, then for each its loss and its metrics", () => {
    expect(Object.keys(wanted)).toEqual([
      'loss',
      'A_loss',
      'A_mae',
      'B_loss',
      'B_accuracy',
      'C_loss',
      'C_accuracy',
      'C_mse',
    ])
    expect(wanted['loss']).toBeCloseTo(wanted['A_loss']! + 2 * wanted['B_loss']! + 0.5 * wanted['C_loss']!, 5)
  })

  test('one for all', async () => {
    const same = await evaluated({ loss: 'mse' })
    expect(same).toEqual(await evaluated({ loss: ['mse', 'mse', 'mse'] }))
  })

  test('for some outputs only; then nothing need be known of the others', async () => {
    const some = await evaluated({ loss: { B: 'bce' } }, { B: [0, 1] } as never)
    expect(Object.keys(some)).toEqual(['loss', 'B_loss'])
    expect(some['loss']).toBeCloseTo(wanted['B_loss']!, 6)
  })

  test('as functions and objects, under their own names', async () => {
    const closeness = (t: Tensor, p: Tensor): Tensor => t.sub(p).abs().mean(-1)
    const logs = await evaluated({
      loss: [losses.meanSquaredError, losses.binaryCrossentropy, losses.categoricalCrossentropy],
      metrics: { A: [closeness, 'mae'], B: [metrics.auc({ name: 'area' })] },
    })
    expect(Object.keys(logs)).toEqual([
      'loss',
      'A_loss',
      'A_closeness',
      'A_mae',
      'B_loss',
      'B_area',
      'C_loss',
    ])
    expect(logs['A_closeness']).toBeCloseTo(logs['A_mae']!, 6)
  })

  test('twice, each under a name of its own', async () => {
    const logs = await evaluated({
      loss: LOSSES,
      metrics: { A: ['mae', 'mae'] },
      weightedMetrics: { A: ['mae', 'mse'] },
    })
    expect(Object.keys(logs).slice(0, 6)).toEqual([
      'loss',
      'A_loss',
      'A_mae',
      'A_mae_1',
      'A_weighted_mae',
      'A_mse',
    ])
  })
})

test('a metric of several values is refused before anything moves: a log holds one', async () => {
  for (const metric of [metrics.f1Score({ average: null }), metrics.precision({ thresholds: [0.2, 0.7] })]) {
    const m = sequential([dense(3, { inputShape: [2], activation: 'sigmoid' })])
    m.compile({ loss: 'bce', metrics: [metric] as never })
    const before = m.getWeights().map((w) => w.arraySync())
    const fitting = m.fit([[1, 2]], [[0, 1, 1]], { verbose: 0 })
    await expect(fitting).rejects.toThrow(
      /metric (f1_score gives 3|precision gives 2) values, and training reports one/,
    )
    expect(m.getWeights().map((w) => w.arraySync())).toEqual(before)
  }
})

test('a metric that does not fit its targets is known before anything moves', async () => {
  const m = three().compile({ loss: LOSSES as never, metrics: { C: ['sparse_categorical_accuracy'] } })
  const before = stateOf(m)
  const y = {
    A: [1, 2],
    B: [0, 1],
    C: [
      [1, 0, 0, 0, 0],
      [0, 1, 0, 0, 0],
    ],
  } as never
  await expect(m.fit(X, y, { verbose: 0 })).rejects.toThrow(/fit: output "C": .*sparse_categorical_accuracy/)
  expect(stateOf(m)).toEqual(before)
})

describe('the keys of outputs', () => {
  const x = input({ shape: [2], name: 'x' })
  const keys = async (outputs: unknown, y: unknown, loss: unknown = 'mse'): Promise<string[]> => {
    const m: Model = model({ inputs: x, outputs: outputs as Sym.Any })
    m.compile({ loss: loss as never })
    return Object.keys(await m.evaluate([[1, 2]], y as never))
  }
  const y = (): Sym.Any => dense(1)(x)

  test('a single output has no prefix, whatever its structure', async () => {
    expect(await keys(y(), [1])).toEqual(['loss'])
    expect(await keys([y()], [[1]])).toEqual(['loss'])
    expect(await keys({ a: y() }, { a: [1] })).toEqual(['loss'])
  })
  test('in a record they are its keys', async () => {
    expect(await keys({ b: y(), a: y() }, { a: [1], b: [1] })).toEqual(['loss', 'b_loss', 'a_loss'])
  })
  test('in a list they are the names of tensors or layers', async () => {
    const shared = dense(1, { name: 'head' })
    const [one, two] = [shared(x), shared(x)]
    expect(await keys([one.named('first'), two, y()], [[1], [1], [1]])).toEqual([
      'loss',
      'first_loss',
      'head_loss',
      'dense_loss',
    ])
    expect(await keys([one, one], [[1], [1]])).toEqual(['loss', 'head_loss', 'head_1_loss'])
  })
  test('in nested records they are paths, and options may be given for a whole branch', async () => {
    const outputs = { user: { age: y(), sex: y() }, items: [y(), y()] }
    const targets = { user: { age: [1], sex: [1] }, items: [[1], [1]] }
    expect(await keys(outputs, targets, { user: 'mse', items: ['mae', null] })).toEqual([
      'loss',
      'user.age_loss',
      'user.sex_loss',
      'items[0]_loss',
    ])
  })
})

test('accuracy is that of the targets: binary, categorical or sparse', async () => {
  const x = input({ shape: [3], name: 'x' })
  const data = [
    [9, 1, 1],
    [1, 9, 1],
    [1, 1, 9],
  ]
  const m: Model = model({
    inputs: x,
    outputs: { one: x.softmax(), two: x.softmax(), three: x.sum(-1, true).sub(11).sigmoid() },
  })
  m.compile({
    loss: { one: 'sparse_categorical_crossentropy', two: 'categorical_crossentropy', three: 'bce' } as never,
    metrics: { one: 'accuracy', two: 'acc', three: 'accuracy' } as never,
  })
  const logs = await m.evaluate(data, {
    one: [0, 1, 0],
    two: [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    three: [0, 0, 1],
  })
  expect(logs['one_accuracy']).toBeCloseTo(2 / 3, 6)
  expect(logs['two_acc']).toBe(1)
  expect(logs['three_accuracy']).toBeCloseTo(2 / 3, 6)
})

test('the default optimizer is rmsprop', () => {
  const x = input({ shape: [4] })
  const m = model({ inputs: x, outputs: dense(1)(x) })
  expect(() => m.optimizer).toThrow(GraphError)
  expect(m.isCompiled).toBe(false)
  m.compile({ loss: 'mse' })
  expect(m.isCompiled).toBe(true)
  expect(m.optimizer.name).toBe('rmsprop')
  m.compile({ loss: 'mse', optimizer: sgd({ learningRate: 0.5 }) })
  expect(m.optimizer.learningRate).toBe(0.5)
})
