import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import {
  add,
  concat,
  DisposedError,
  DTypeError,
  gradientTape,
  matmul,
  mean,
  meanAbsoluteError,
  meanSquaredError,
  relu,
  ShapeError,
  slice,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
  type Variable,
  variable,
} from '@adjoint/core'
import {
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  ftrl,
  lamb,
  lion,
  muon,
  nadam,
  type Optimizer,
  type OptimizerOptions,
  resolveOptimizer,
  rmsprop,
  scheduleFreeAdamw,
  sgd,
} from '../../packages/layers/src/optimizers.js'
import { readOracle } from '../support/oracles.js'

type Dtype = 'float32' | 'float64'

const f64 = (values: readonly number[]): Tensor => tensor([...values], { dtype: 'float64' })
const weight = (values: readonly number[], name = 'w'): Variable => variable(f64(values), { name })
const numbers = (x: Tensor): number[] => Array.from(x.dataSync())
/** -0 as 0. */
const noSign = (x: number): number => x + 0
const readJson = (path: string): unknown => readOracle(path)

function expectClose(got: readonly number[], want: readonly number[], tolerance: number): void {
  expect(got.length).toBe(want.length)
  got.forEach((value, i) => {
    expect(Math.abs(value - want[i]!), `${i}: ${value}, not ${want[i]}`).toBeLessThanOrEqual(tolerance)
  })
}

/** Every optimizer, with options under which everything it can remember is used. */
const all: readonly (readonly [name: string, make: (common?: OptimizerOptions) => Optimizer])[] = [
  ['sgd', (o) => sgd({ ...o })],
  ['sgd with momentum', (o) => sgd({ momentum: 0.9, ...o })],
  ['sgd after Nesterov', (o) => sgd({ momentum: 0.9, nesterov: true, ...o })],
  ['adam', (o) => adam({ ...o })],
  ['adam with amsgrad', (o) => adam({ amsgrad: true, ...o })],
  ['adamw', (o) => adamw({ ...o })],
  ['rmsprop', (o) => rmsprop({ ...o })],
  ['rmsprop, centered, with momentum', (o) => rmsprop({ centered: true, momentum: 0.5, ...o })],
  ['adagrad', (o) => adagrad({ ...o })],
  ['adadelta', (o) => adadelta({ ...o })],
  ['adamax', (o) => adamax({ ...o })],
  ['nadam', (o) => nadam({ ...o })],
  ['lion', (o) => lion({ ...o })],
  ['ftrl', (o) => ftrl({ ...o })],
  ['lamb', (o) => lamb({ ...o })],
  ['adafactor', (o) => adafactor({ ...o })],
  ['muon', (o) => muon({ ...o })],
  ['schedule-free adamw', (o) => scheduleFreeAdamw({ ...o })],
]

describe('steps are those of Keras', () => {
  // keras/src/optimizers/*_test.py, test_single_step
  test.each<[string, Optimizer, number[], number]>([
    ['SGD one step', sgd({ learningRate: 0.5 }), [0.5, -1, -0.5, 3], 1e-12],
    ['RMSprop one step (rho .9)', rmsprop({ learningRate: 0.5 }), [-0.5811, 0.4189, 1.4189, 2.4189], 1e-4],
    ['Adagrad one step', adagrad({ learningRate: 0.5 }), [0.5233, 1.5007, 2.5005, 3.5061], 1e-4],
    ['AdamW one step', adamw({ learningRate: 0.5 }), [0.498, 1.496, 2.494, 3.492], 1e-4],
    ['Adadelta one step', adadelta({ learningRate: 0.5 }), [0.9993, 1.9993, 2.9993, 3.9993], 1e-4],
    ['Adamax one step', adamax({ learningRate: 0.5 }), [0.5, 1.5, 2.5, 3.5], 1e-4],
    ['Nadam one step', nadam({ learningRate: 0.5 }), [0.4686, 1.4686, 2.4686, 3.4686], 1e-4],
    ['Lion one step', lion({ learningRate: 0.5 }), [0.5, 1.5, 2.5, 3.5], 1e-12],
    ['Ftrl one step', ftrl({ learningRate: 0.5 }), [0.2218, 1.3954, 2.3651, 2.8814], 1e-4],
    ['Lamb one step', lamb({ learningRate: 0.5 }), [-0.3693, 0.6306, 1.6306, 2.6306], 1e-4],
    ['Adafactor one step', adafactor({ learningRate: 0.5 }), [-0.3693, 0.6307, 1.6307, 2.6307], 1e-4],
    [
      'Muon one step of a vector',
      muon({ learningRate: 0.5, adamWeightDecay: 0 }),
      [0.5, 1.5, 2.5, 3.5],
      1e-4,
    ],
  ])('%s', (_, optimizer, want, tolerance) => {
    const w = weight([1, 2, 3, 4])
    optimizer.apply([f64([1, 6, 7, 2])], [w])
    expectClose(numbers(w), want, tolerance)
  })

  // keras/src/optimizers/*_test.py, test_correctness_with_golden: elements 0 and 9 after each of five steps
  test.each<[string, Optimizer, [number, number][]]>([
    [
      'Adam amsgrad',
      adam({ amsgrad: true }),
      [
        [0.999, 0.999],
        [0.9982, 0.9982],
        [0.9974, 0.9974],
        [0.9965, 0.9965],
        [0.9955, 0.9955],
      ],
    ],
    [
      'AdamW',
      adamw({ learningRate: 1, weightDecay: 0.5, epsilon: 2 }),
      [
        [0.4998, 0.4998],
        [0.2486, 0.2382],
        [0.1223, 0.1003],
        [0.0586, 0.0258],
        [0.0263, -0.0159],
      ],
    ],
    [
      'Adagrad',
      adagrad({ learningRate: 0.2, initialAccumulatorValue: 0.3, epsilon: 1e-6 }),
      [
        [0.9963, 0.9963],
        [0.9604, 0.8209],
        [0.9251, 0.6891],
        [0.8903, 0.579],
        [0.856, 0.4825],
      ],
    ],
    [
      'Adadelta',
      adadelta({ learningRate: 1, rho: 0.8, epsilon: 1e-6 }),
      [
        [0.9978, 0.9978],
        [0.9947, 0.9947],
        [0.9915, 0.9915],
        [0.9882, 0.9882],
        [0.9849, 0.9849],
      ],
    ],
    [
      'Adamax',
      adamax({ learningRate: 0.2, beta1: 0.85, beta2: 0.95, epsilon: 1e-6 }),
      [
        [0.8, 0.8],
        [0.6827, 0.691],
        [0.5333, 0.5466],
        [0.368, 0.3848],
        [0.1933, 0.2126],
      ],
    ],
    [
      'Nadam',
      nadam({ learningRate: 0.5, beta1: 0.5, beta2: 0.67, epsilon: 1e-5 }),
      [
        [0.4281, 0.4281],
        [-0.1738, -0.1717],
        [-0.7115, -0.7084],
        [-1.2335, -1.2299],
        [-1.7492, -1.7454],
      ],
    ],
    [
      'Lion',
      lion(),
      [
        [0.999, 0.999],
        [0.998, 0.998],
        [0.997, 0.997],
        [0.996, 0.996],
        [0.995, 0.995],
      ],
    ],
    [
      'Ftrl',
      ftrl({
        learningRate: 0.05,
        learningRatePower: -0.2,
        initialAccumulatorValue: 0.4,
        l1RegularizationStrength: 0.05,
        l2RegularizationStrength: 0.15,
        l2ShrinkageRegularizationStrength: 0.01,
        beta: 0.3,
      }),
      [
        [0, 0],
        [-0.0034, -0.0354],
        [-0.0078, -0.0685],
        [-0.0121, -0.0999],
        [-0.0164, -0.1299],
      ],
    ],
    [
      'RMSprop centered',
      rmsprop({ centered: true }),
      [
        [0.9967, 0.9967],
        [0.9933, 0.9933],
        [0.9908, 0.9908],
        [0.9885, 0.9885],
        [0.9864, 0.9864],
      ],
    ],
    [
      'SGD nesterov without momentum',
      sgd({ nesterov: true }),
      [
        [0.9999, 0.9999],
        [0.9989, 0.9899],
        [0.9979, 0.9799],
        [0.9969, 0.9699],
        [0.9959, 0.9599],
      ],
    ],
    [
      'Adafactor',
      adafactor({
        learningRate: 0.5,
        beta2Decay: -0.65,
        epsilon1: 1e-15,
        epsilon2: 1e-4,
        clipThreshold: 0.9,
      }),
      [
        [0.55, 0.55],
        [0.3031, 0.3024],
        [0.1671, 0.1663],
        [0.0923, 0.0914],
        [0.0554, 0.0545],
      ],
    ],
  ])('%s, five steps', (_, optimizer, golden) => {
    const w = weight(new Array<number>(10).fill(1))
    const later = f64(Array.from({ length: 10 }, (_unused, i) => 0.1 * (i + 1)))
    golden.forEach(([first, last], step) => {
      optimizer.apply([step === 0 ? f64(new Array<number>(10).fill(0.01)) : later], [w])
      const values = numbers(w)
      expectClose([values[0]!, values[9]!], [first, last], 5e-4)
    })
  })

  test.each<[string, Optimizer, number[]]>([
    ['Adafactor', adafactor({ learningRate: 0.5 }), [0.7007, -0.0081, 1.2492, 3.4407]],
    // 0.2 sqrt(2) of the orthogonal matrix next to the gradient, to the 30 % that five iterations leave.
    [
      'Muon (test_muon_single_step)',
      muon({ learningRate: 0.5, weightDecay: 0 }),
      [0.9888, 1.8871, 2.8734, 3.9704],
    ],
  ])('%s: one step of a matrix', (_, optimizer, want) => {
    const w = variable(f64([1, 2, 3, 4]).reshape([2, 2]))
    optimizer.apply([f64([1, 6, 7, 2]).reshape([2, 2])], [w])
    expectClose(numbers(w), want, 1e-4)
  })

  interface Values {
    readonly shape: number[]
    readonly data: number[]
  }
  interface Trajectory {
    readonly epochs: number
    readonly batchSize: number
    readonly inputs: { readonly a: Values; readonly b: Values }
    readonly targets: { readonly out: Values }
    readonly initialWeights: Values[]
    readonly finalWeights: Values[]
    readonly perStep: { readonly loss: number }[]
    readonly perEpoch: { readonly loss: number; readonly mae: number }[]
  }
  const read = ({ data, shape }: Values): Tensor => tensor(data, { shape, dtype: 'float64' })
  const rows = (x: Tensor, from: number, count: number): Tensor => slice(x, [from, 0], [count, -1])

  test.each<[string, Optimizer]>([
    ['M1-sgd', sgd({ momentum: 0.9 })],
    ['M1-nesterov', sgd({ momentum: 0.9, nesterov: true })],
    ['M1-rmsprop', rmsprop()],
    ['M1-adam', adam()],
  ])('training %s in float64 gives its losses and weights to 1e-10', (name, optimizer) => {
    const m = readJson(`models/${name}.json`) as Trajectory
    const weights = m.initialWeights.map((v) => variable(read(v)))
    const [ka, ba, kb, bb, ko, bo] = weights as [Variable, Variable, Variable, Variable, Variable, Variable]
    const [a, b, y] = [read(m.inputs.a), read(m.inputs.b), read(m.targets.out)]
    const predict = (xa: Tensor, xb: Tensor): Tensor =>
      add(matmul(concat([relu(add(matmul(xa, ka), ba)), relu(add(matmul(xb, kb), bb))], -1), ko), bo)
    let step = 0
    for (let epoch = 0; epoch < m.epochs; epoch++) {
      let [loss, mae] = [0, 0]
      for (let from = 0; from < 100; from += m.batchSize) {
        const count = Math.min(m.batchSize, 100 - from)
        const [xa, xb, t] = [rows(a, from, count), rows(b, from, count), rows(y, from, count)]
        const { value, grads } = valueAndGrads(() => mean(meanSquaredError(t, predict(xa, xb))), weights)
        expect(Math.abs(value.itemSync() - m.perStep[step++]!.loss)).toBeLessThan(1e-10)
        loss += value.itemSync() * (count / 100)
        mae += mean(meanAbsoluteError(t, predict(xa, xb))).itemSync() * (count / 100)
        optimizer.apply(grads, weights)
      }
      expectClose([loss, mae], [m.perEpoch[epoch]!.loss, m.perEpoch[epoch]!.mae], 1e-10)
    }
    weights.forEach((w, i) => expectClose(numbers(w), m.finalWeights[i]!.data, 1e-10))
  })

  interface Run {
    readonly history: { readonly loss: number[] }
    readonly predict_first2: number[][]
  }
  test.each<[string, Optimizer]>([
    ['optimizer_sgd_momentum_nesterov', sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true })],
    ['optimizer_adamw', adamw({ learningRate: 0.01, weightDecay: 0.05 })],
    ['optimizer_nadam', nadam({ learningRate: 0.01 })],
    ['optimizer_adam_global_clipnorm', adam({ learningRate: 0.01, globalClipNorm: 0.1 })],
    ['optimizer_adam_ema', adam({ learningRate: 0.01, useEma: true, emaMomentum: 0.9 })],
  ])('%s: fitting gives the history of Keras', (name, optimizer) => {
    const run = (readJson('keras-trainer.json') as Record<string, Run>)[name]!
    const x = drawn([100, 10], 1, 0, 1)
    const y = drawn([100, 1], 7, 0, 1)
    const weights = [
      variable(drawn([10, 16], 1000, -0.3, 0.3)),
      variable(tensor(new Float32Array(16))),
      variable(drawn([16, 1], 1002, -0.3, 0.3)),
      variable(tensor(new Float32Array(1))),
    ] as const
    const [k1, b1, k2, b2] = weights
    const predict = (xs: Tensor): Tensor => add(matmul(relu(add(matmul(xs, k1), b1)), k2), b2)
    for (const want of run.history.loss) {
      let loss = 0
      for (let from = 0; from < 100; from += 16) {
        const count = Math.min(16, 100 - from)
        const { value, grads } = valueAndGrads(
          () => mean(meanSquaredError(rows(y, from, count), predict(rows(x, from, count)))),
          weights,
        )
        loss += value.itemSync() * (count / 100)
        optimizer.apply(grads, weights)
      }
      expectClose([loss], [want], 2e-6)
    }
    optimizer.finalize(weights)
    expectClose(numbers(predict(rows(x, 0, 2))), run.predict_first2.flat(), 5e-6)
  })
})

/** The numbers of keras-trainer.json: a linear congruential generator, in float32. */
function drawn(shape: number[], seed: number, low: number, high: number): Tensor {
  let state = seed
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return low + (high - low) * (state / 2 ** 32)
  })
  return tensor(Float32Array.from(values), { shape })
}

const value = fc.double({ min: -3, max: 3, noNaN: true })
const vector = fc.array(value, { minLength: 3, maxLength: 3 })
const gradients = fc.array(vector, { minLength: 1, maxLength: 6 })

describe.each(all)('%s', (name, make) => {
  function descend(
    optimizer: Optimizer,
    w: Variable,
    steps: readonly (readonly number[])[],
    dtype?: Dtype,
  ): void {
    for (const g of steps) optimizer.apply([tensor([...g], { dtype: dtype ?? 'float64' })], [w])
  }

  test.prop([vector, gradients])('treats every element by itself', (start, steps) => {
    // Their steps are as long as the whole variable.
    if (name === 'lamb' || name === 'adafactor') return
    const whole = weight(start)
    descend(make(), whole, steps)
    const parts = start.map((x, i) => {
      const w = weight([x])
      descend(
        make(),
        w,
        steps.map((g) => [g[i]!]),
      )
      return w.itemSync()
    })
    expect(numbers(whole)).toEqual(parts)
  })

  test.prop([vector, gradients])('goes in float32 where it goes in float64, to rounding', (start, given) => {
    // Lamb makes a step of full length of a gradient that in float32 is 0.
    const isTiny = (x: number): boolean => name === 'lamb' && Math.abs(x) < 1e-6
    const steps = given.map((g) => g.map((x) => (isTiny(x) ? 0 : x)))
    const wide = weight(start)
    const narrow = variable(tensor([...start], { dtype: 'float32' }))
    descend(make(), wide, steps)
    descend(make(), narrow, steps, 'float32')
    expect(narrow.dtype).toBe('float32')
    // The roots of small squares and Lion's signs turn a rounding of the gradient into one of the step.
    expectClose(numbers(narrow), numbers(wide), 2e-2)
  })

  test.prop([vector, gradients, gradients])(
    'goes on from its state as if never stopped',
    (start, before, after) => {
      const [w, other] = [weight(start), weight(start)]
      const optimizer = make()
      descend(optimizer, w, before)
      const state = optimizer.getState([w])
      other.assign(w.detach())
      const resumed = make()
      resumed.setState(state, [other])
      expect(resumed.iterations).toBe(before.length)
      descend(optimizer, w, after)
      descend(resumed, other, after)
      expect(numbers(other)).toEqual(numbers(w))
    },
  )

  test.prop([vector, vector, gradients, gradients])(
    'serves two models as two optimizers would',
    (first, second, ofFirst, ofSecond) => {
      const [w1, w2, v1, v2] = [weight(first), weight(second), weight(first), weight(second)]
      const shared = make()
      descend(shared, w1, ofFirst)
      descend(shared, w2, ofSecond)
      descend(make(), v1, ofFirst)
      descend(make(), v2, ofSecond)
      expect(numbers(w1)).toEqual(numbers(v1))
      expect(numbers(w2)).toEqual(numbers(v2))
    },
  )

  test.prop([vector, gradients])('does not move at a learning rate of 0', (start, steps) => {
    const w = weight(start)
    descend(make({ learningRate: 0 }), w, steps)
    expect(numbers(w).map(noSign)).toEqual(start.map(noSign))
  })

  test.prop([vector, gradients])('a schedule of one rate is that rate', (start, steps) => {
    const [w, v] = [weight(start), weight(start)]
    descend(make({ learningRate: 0.05 }), w, steps)
    descend(make({ learningRate: () => 0.05 }), v, steps)
    expect(numbers(w)).toEqual(numbers(v))
  })

  test('lowers a quadratic', () => {
    const w = weight([2, -1, 0.5])
    const optimizer = make({ learningRate: 0.05 })
    const loss = (): Tensor => w.square().sum()
    const start = loss().itemSync()
    for (let i = 0; i < 50; i++) {
      const { grads } = valueAndGrads(loss, [w])
      optimizer.apply(grads, [w])
    }
    expect(loss().itemSync()).toBeLessThan(start)
  })

  test('moves nothing when an argument is bad, and goes on as before', () => {
    const [w, v] = [weight([1, 2], 'kernel'), weight([3], 'bias')]
    const optimizer = make()
    optimizer.apply([f64([1, 1]), f64([1])], [w, v])
    const state = JSON.stringify(optimizer.variables.map(numbers))
    const values = [numbers(w), numbers(v)]
    const gone = f64([1])
    gone.dispose()
    const bad: [unknown, unknown, new (m: string) => Error, RegExp][] = [
      [[f64([1, 1])], [w, v], ValueError, /apply: got 1 gradients for 2 variables/],
      [[f64([1, 1]), f64([1, 2])], [w, v], ShapeError, /the gradient of "bias" must be \[1\], got \[2\]/],
      [
        [f64([1, 1]), tensor([1], { dtype: 'float32' })],
        [w, v],
        DTypeError,
        /"bias" must be float64, got float32/,
      ],
      [[f64([1, 1]), 3], [w, v], ValueError, /the gradient of "bias" is number, not a tensor/],
      [[f64([1, 1]), undefined], [w, v], ValueError, /"bias" is undefined/],
      [[f64([1, 1]), f64([1, 1])], [w, w], ValueError, /"kernel" is given twice/],
      [[f64([1, 1]), f64([1])], [w, f64([1])], ValueError, /variable 1 is Tensor, not a variable/],
      [[f64([1, 1]), gone], [w, v], DisposedError, /"bias" was disposed/],
      [f64([1]), [w], ValueError, /gradients must be a list/],
      [[f64([1])], w, ValueError, /variables must be a list/],
    ]
    for (const [grads, variables, type, message] of bad) {
      const attempt = (): void => optimizer.apply(grads as Tensor[], variables as Variable[])
      expect(attempt).toThrow(type)
      expect(attempt).toThrow(message)
    }
    expect([numbers(w), numbers(v)]).toEqual(values)
    expect(JSON.stringify(optimizer.variables.map(numbers))).toBe(state)
  })

  test('is not recorded by a tape around it', () => {
    const w = weight([1, 2])
    const x = f64([3, 4])
    const tape = gradientTape({ persistent: true })
    tape.watch(x)
    const y = w.mul(x).sum()
    make().apply([f64([1, 1])], [w])
    expect(numbers(tape.gradient(y, x))).toEqual([1, 2])
    tape.close()
  })
})

describe('what an optimizer remembers', () => {
  // keras/src/utils/summary_utils_test.py: Dense(3) on (2,) has 9 weights, Adam 20 numbers.
  test('counts as in Keras: steps, learning rate, slots', () => {
    const count = (optimizer: Optimizer): number => optimizer.variables.reduce((n, v) => n + v.size, 0)
    const weights = [weight([1, 2, 3, 4, 5, 6]), weight([1, 2, 3])]
    for (const [make, want] of [
      [adam, 20],
      [sgd, 2],
      [nadam, 21],
      [lion, 11],
      [rmsprop, 11],
      [ftrl, 20],
    ] as const) {
      const optimizer = make()
      expect(count(optimizer)).toBe(2)
      expect(optimizer.built).toBe(false)
      optimizer.build(weights)
      expect(optimizer.built).toBe(true)
      expect(count(optimizer), optimizer.name).toBe(want)
    }
    const scheduled = adam({ learningRate: () => 0.1 })
    scheduled.build(weights)
    expect(count(scheduled)).toBe(19)
  })

  test('shrinks to 0 without gradients, by way of no subnormal number', () => {
    const w = variable(tensor([1]), { name: 'w' })
    const optimizer = adam()
    optimizer.apply([tensor([-0.003])], [w])
    const momentum = (): number => Math.abs(optimizer.variables[2]!.itemSync())
    for (let step = 0; step < 900; step++) {
      optimizer.apply([tensor([0])], [w])
      if (momentum() < 2 ** -126) expect(momentum()).toBe(0)
    }
    expect(momentum()).toBe(0)
  })

  test('comes in the order of Keras', () => {
    const [w, v] = [weight([1]), weight([2])]
    const optimizer = adam({ learningRate: 0.5, amsgrad: true })
    optimizer.apply([f64([1]), f64([2])], [w, v])
    const values = optimizer.variables.map((x) => x.itemSync())
    const expected = [1, 0.5, 0.1, 0.001, 0.2, 0.004, 0.001, 0.004]
    expectClose(values, expected, 1e-15)
  })

  test('is what it was after a rollback to before the first step', () => {
    const w = weight([1, 2])
    const optimizer = adam()
    const state = optimizer.getState()
    optimizer.apply([f64([1, 1])], [w])
    optimizer.setState(state)
    expect(optimizer.iterations).toBe(0)
    expect(optimizer.built).toBe(false)
  })

  test('is refused where it is of something else, and nothing is taken over', () => {
    const [w, v] = [weight([1, 2]), weight([1, 2, 3])]
    const optimizer = adam()
    optimizer.apply([f64([1, 1])], [w])
    const other = adam()
    expect(() => other.setState(optimizer.getState(), [v])).toThrow(ShapeError)
    expect(() => other.setState(optimizer.getState(), [w, v])).toThrow(/of 1 variables, not of 2/)
    expect(() => sgd({ momentum: 0.5 }).setState(rmsprop().getState(), [w])).toThrow(ValueError)
    const strange = { ...optimizer.getState(), iterations: -1 }
    expect(() => other.setState(strange, [w])).toThrow(/iterations must be a whole number >= 0, got -1/)
    const rms = rmsprop()
    rms.apply([f64([1, 1])], [w])
    expect(() => other.setState(rms.getState(), [w])).toThrow(/the state lacks "momentum" of "w"/)
    expect(other.iterations).toBe(0)
  })
})

describe('Adafactor', () => {
  const shape = fc.constantFrom<number[]>([2, 3], [3, 1], [1, 2], [2, 2, 3])
  test.prop([shape, fc.array(value, { minLength: 24, maxLength: 24 })])(
    'keeps means of the rows and of the columns of the last two axes, and steps by their outer product',
    (sides, given) => {
      const size = sides.reduce((a, b) => a * b, 1)
      const w = variable(f64(given.slice(0, size)).reshape(sides))
      const first = numbers(w)
      const gs = given.slice(-size)
      const optimizer = adafactor({ learningRate: 0.1 })
      optimizer.apply([f64(gs).reshape(sides)], [w])
      const [m, n] = sides.slice(-2) as [number, number]
      const of = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length
      const squares = gs.map((g) => g * g + 1e-30)
      const size2 = squares.map((_, i) => {
        const matrix = squares.slice(i - (i % (m * n)), i - (i % (m * n)) + m * n)
        const row = Math.floor((i % (m * n)) / n)
        const rows = Array.from({ length: m }, (_unused, r) => of(matrix.slice(r * n, r * n + n)))
        return (rows[row]! / of(rows)) * of(matrix.filter((_unused, at) => at % n === i % n))
      })
      const rms = (list: readonly number[]): number => Math.sqrt(of(list.map((x) => x * x)))
      const u = gs.map((g, i) => g / Math.sqrt(size2[i]!))
      const length = Math.max(1e-3, rms(first)) * 0.1
      const want = first.map((x, i) => x - (length * u[i]!) / Math.max(1, rms(u)))
      expectClose(numbers(w), want, 1e-9)
      const { slots } = optimizer.getState([w]).variables[0]!
      expect(Object.keys(slots)).toEqual(['rows', 'columns'])
    },
  )

  test('its rate is at most 1 / sqrt(t)', () => {
    const w = weight([1, 1])
    const optimizer = adafactor({ learningRate: 10 })
    for (let t = 1; t <= 4; t++) {
      const before = w.detach()
      optimizer.apply([f64([1, 1])], [w])
      const size = Math.abs(before.dataSync()[0]!)
      expectClose(
        [Math.abs(numbers(w)[0]! - numbers(before)[0]!)],
        [Math.max(size, 1e-3) / Math.sqrt(t)],
        1e-12,
      )
    }
  })
})

describe('Muon', () => {
  const entries = fc.array(value, { minLength: 6, maxLength: 6 })
  // Jordan's coefficients bring every singular value from about 0.01 up into [0.68, 1.13].
  test.prop([entries, fc.constantFrom([2, 3], [3, 2])])(
    'moves a matrix by one whose singular values are near 1',
    (given, sides) => {
      const g = f64(given).reshape(sides)
      const [rows, columns] = sides as [number, number]
      const gram = rows < columns ? matmul(g, g, false, true) : matmul(g, g, true, false)
      const [a, b, , d] = numbers(gram) as [number, number, number, number]
      const [half, root] = [(a + d) / 2, Math.hypot((a - d) / 2, b)]
      fc.pre(half > 0.01 && half - root > 1e-3 * (half + root))
      const w = variable(f64(new Array<number>(6).fill(0)).reshape(sides))
      muon({ learningRate: 1, rmsRate: null, momentum: 0 }).apply([g], [w])
      const x = numbers(rows < columns ? matmul(w, w, false, true) : matmul(w, w, true, false))
      const [middle, spread] = [(x[0]! + x[3]!) / 2, Math.hypot((x[0]! - x[3]!) / 2, x[1]!)]
      for (const square of [middle - spread, middle + spread]) {
        expect(Math.sqrt(square)).toBeGreaterThan(0.65)
        expect(Math.sqrt(square)).toBeLessThan(1.25)
      }
    },
  )

  // keras/src/optimizers/muon_test.py, test_Newton_Schulz
  test('makes a matrix orthogonal as in Keras', () => {
    const w = variable(f64([0, 0, 0, 0]).reshape([2, 2]))
    const g = f64([0.2499, 0.9105, 0.2655, 0.8824]).reshape([2, 2])
    muon({ learningRate: 1, rmsRate: null, momentum: 0 }).apply([g], [w])
    expectClose(
      numbers(w).map((x) => -x),
      [-0.4422, 0.6457, 0.7285, 0.2968],
      1e-3,
    )
  })

  test('embeddings, and layers that are named, move and decay as with AdamW', () => {
    const matrix = (name: string): Variable => variable(f64([1, 2, 3, 4]).reshape([2, 2]), { name })
    const named = [matrix('embeddings'), matrix('head'), matrix('kernel')]
    const others = [matrix('a'), matrix('b')]
    const g = f64([1, -1, 0.5, 2]).reshape([2, 2])
    const optimizer = muon({
      learningRate: 0.1,
      excludeLayers: ['head'],
      adamWeightDecay: 0.5,
      weightDecay: 0,
    })
    const reference = adam({ learningRate: 0.1, weightDecay: 0.5 })
    for (let i = 0; i < 3; i++) {
      optimizer.apply([g, g, g], named)
      reference.apply([g, g], others)
    }
    expect(numbers(named[0]!)).toEqual(numbers(others[0]!))
    expect(numbers(named[1]!)).toEqual(numbers(others[0]!))
    expect(numbers(named[2]!)).not.toEqual(numbers(others[0]!))
    const slots = optimizer.getState(named).variables.map((v) => Object.keys(v.slots))
    expect(slots).toEqual([['momentum', 'velocity'], ['momentum', 'velocity'], ['momentum']])
  })
})

describe('schedule-free AdamW', () => {
  // Defazio et al. 2024, algorithm 1, with the weights 1 / t.
  test.prop([vector, gradients, fc.constantFrom(0, 3)])(
    'goes as in the paper',
    (start, steps, warmupSteps) => {
      const w = weight(start)
      const optimizer = scheduleFreeAdamw({ learningRate: 0.1, warmupSteps, beta1: 0.8, beta2: 0.9 })
      let [x, z, v] = [start, start, start.map(() => 0)]
      steps.forEach((g, i) => {
        const t = i + 1
        v = v.map((s, k) => 0.9 * s + 0.1 * g[k]! ** 2)
        const rate = 0.1 * (warmupSteps === 0 ? 1 : Math.min(1, t / warmupSteps))
        z = z.map((s, k) => s - (rate * g[k]!) / (Math.sqrt(v[k]! / (1 - 0.9 ** t)) + 1e-8))
        x = x.map((s, k) => (1 - 1 / t) * s + z[k]! / t)
        optimizer.apply([f64(g)], [w])
        expectClose(
          numbers(w),
          x.map((s, k) => 0.8 * s + (1 - 0.8) * z[k]!),
          1e-12,
        )
        expectClose(numbers(optimizer.averages([w])[0]!), x, 1e-12)
      })
    },
  )
})

describe('what any optimizer can do', () => {
  const clip = (options: OptimizerOptions, gs: readonly (readonly number[])[]): number[][] => {
    const weights = gs.map((g) => weight(g.map(() => 0)))
    sgd({ learningRate: 1, ...options }).apply(gs.map(f64), weights)
    return weights.map((w) => numbers(w).map((x) => -x))
  }

  test('clips gradients by norm, by their common norm, by value', () => {
    const half = Math.SQRT1_2
    expectClose(clip({ clipNorm: 1 }, [[100, 100]])[0]!, [half, half], 1e-15)
    expect(clip({ clipNorm: 10 }, [[3, 4]])).toEqual([[3, 4]])
    expect(
      clip({ clipNorm: 10 }, [[0, 0]])
        .flat()
        .map(noSign),
    ).toEqual([0, 0])
    expectClose(clip({ globalClipNorm: 1 }, [[3], [4]]).flat(), [0.6, 0.8], 1e-15)
    expectClose(clip({ globalClipNorm: 10 }, [[3], [4]]).flat(), [3, 4], 1e-15)
    expect(
      clip({ globalClipNorm: 10 }, [[0], [0]])
        .flat()
        .map(Math.abs),
    ).toEqual([0, 0])
    expect(clip({ clipValue: 1 }, [[100, -100, 0.5]])).toEqual([[1, -1, 0.5]])
  })

  test('variables of both float dtypes are clipped together', () => {
    const [w, v] = [weight([0]), variable(tensor([0], { dtype: 'float32' }))]
    sgd({ learningRate: 1, globalClipNorm: 1 }).apply([f64([3]), tensor([4], { dtype: 'float32' })], [w, v])
    expectClose([w.itemSync(), v.itemSync()], [-0.6, -0.8], 1e-7)
  })

  test('decays weights before the step, but those excluded', () => {
    const [w, b] = [weight([1, 2], 'kernel'), weight([1, 2], 'bias')]
    const optimizer = sgd({ learningRate: 0.5, weightDecay: 0.1, excludeFromWeightDecay: ['bias'] })
    optimizer.apply([f64([0, 0]), f64([0, 0])], [w, b])
    expectClose(numbers(w), [0.95, 1.9], 1e-15)
    expect(numbers(b)).toEqual([1, 2])
  })

  // keras/src/optimizers/optimizer_test.py, test_ema
  test('keeps a moving average of the weights and gives it to them', () => {
    const w = weight([3, 4])
    const g = f64([1, 1])
    const optimizer = sgd({ learningRate: 1, useEma: true, emaMomentum: 0.9, emaOverwriteFrequency: 3 })
    const average = (): number[] => numbers(optimizer.variables[2]!)
    optimizer.apply([g], [w])
    expectClose([...numbers(w), ...average()], [2, 3, 2, 3], 1e-14)
    optimizer.apply([g], [w])
    expectClose([...numbers(w), ...average()], [1, 2, 1.9, 2.9], 1e-14)
    optimizer.apply([g], [w])
    expectClose([...numbers(w), ...average()], [1.71, 2.71, 1.71, 2.71], 1e-14)
    optimizer.apply([g], [w])
    optimizer.finalize([w])
    expectClose(numbers(w), average(), 0)
  })

  test.prop([vector, fc.integer({ min: 2, max: 4 }), gradients])(
    'collects gradients and moves by their mean',
    (start, count, given) => {
      const [w, v] = [weight(start), weight(start)]
      const slow = adam({ gradientAccumulationSteps: count })
      const fast = adam()
      for (const g of given) {
        for (let i = 0; i < count; i++) {
          const before = numbers(w)
          slow.apply([f64(g.map((x) => x * (i + 1)))], [w])
          if (i < count - 1) expect(numbers(w)).toEqual(before)
        }
        fast.apply([f64(g.map((x) => (x * (count + 1)) / 2))], [v])
      }
      expect(slow.iterations).toBe(count * given.length)
      expectClose(numbers(w), numbers(v), 1e-12)
    },
  )

  test('follows a schedule, which is told how many steps were taken', () => {
    const seen: number[] = []
    const w = weight([0])
    const optimizer = sgd({
      learningRate: (step) => {
        seen.push(step)
        return 1 / (step + 1)
      },
    })
    for (let i = 0; i < 3; i++) optimizer.apply([f64([1])], [w])
    expect(seen).toEqual([0, 1, 2])
    expectClose(numbers(w), [-(1 + 1 / 2 + 1 / 3)], 1e-15)
    expect(optimizer.learningRate).toBe(1 / 4)
    expect(() => (optimizer.learningRate = 0.5)).toThrow(/given by a schedule/)
    const broken = sgd({ learningRate: (step) => (step === 1 ? NaN : 1) })
    broken.apply([f64([1])], [w])
    const before = numbers(w)
    expect(() => broken.apply([f64([1])], [w])).toThrow(/schedule at step 1: learningRate must be .* got NaN/)
    expect(numbers(w)).toEqual(before)
  })

  test('has a learning rate that can be set', () => {
    const optimizer = sgd({ learningRate: 1 })
    const w = weight([0])
    optimizer.learningRate = 0.25
    optimizer.apply([f64([1])], [w])
    expect(numbers(w)).toEqual([-0.25])
    expect(() => (optimizer.learningRate = -1)).toThrow(ValueError)
    expect(optimizer.learningRate).toBe(0.25)
  })

  test('nothing to move is no step', () => {
    const optimizer = adam()
    optimizer.apply([], [])
    expect(optimizer.iterations).toBe(0)
  })
})

describe('bad options', () => {
  const make = (f: (options: never) => Optimizer, options: unknown) => () => f(options as never)
  test.each<[(options: never) => Optimizer, object, RegExp]>([
    [adam, { learningRate: NaN }, /adam: learningRate must be a finite number of at least 0, got NaN/],
    [adam, { learningRate: Infinity }, /got Infinity/],
    [adam, { learningRate: '0.1' }, /got "0.1"/],
    [sgd, { learningRate: -0.1 }, /sgd: learningRate .* got -0.1/],
    [adam, { learningRate: null }, /learningRate .* got null/],
    [adam, { beta1: 1 }, /beta1 must be in the range \[0, 1\), got 1/],
    [adam, { beta1: -0.1 }, /beta1 .* got -0.1/],
    [adam, { beta2: 1 }, /beta2 .* got 1/],
    [rmsprop, { rho: 2 }, /rmsprop: rho must be in the range \[0, 1\), got 2/],
    [adam, { epsilon: -1 }, /epsilon must be a finite number of at least 0, got -1/],
    [sgd, { momentum: 2 }, /momentum must be in the range \[0, 1\], got 2/],
    [sgd, { nesterov: 1 }, /nesterov must be true or false, got 1/],
    [adam, { clipNorm: 1, clipValue: 1 }, /clipNorm and clipValue exclude each other/],
    [adam, { globalClipNorm: 0 }, /globalClipNorm must be a finite number above 0, got 0/],
    [adam, { weightDecay: -1 }, /weightDecay/],
    [adam, { gradientAccumulationSteps: 1 }, /gradientAccumulationSteps must be a whole number >= 2, got 1/],
    [adam, { useEma: true, emaMomentum: 1.5 }, /emaMomentum/],
    [adam, { lerningRate: 1 }, /option "lerningRate" is unknown; .* Did you mean "learningRate"\?/],
    [ftrl, { learningRatePower: 0.1 }, /learningRatePower/],
    [adafactor, { clipThreshold: 0 }, /adafactor: clipThreshold must be a finite number above 0, got 0/],
    [adafactor, { relativeStep: false }, /option "relativeStep" is unknown/],
    [muon, { nsSteps: 0 }, /muon: nsSteps must be a whole number >= 1, got 0/],
    [muon, { excludeLayers: 'head' }, /muon: excludeLayers must be a list of names, got "head"/],
    [scheduleFreeAdamw, { beta1: 0 }, /schedule_free_adamw: beta1 must be in the range \(0, 1\), got 0/],
    [lion, { beta1: 0 }, /beta1 must be in the range \(0, 1\], got 0/],
    [adam, 3 as never, /options must be an object, got 3/],
  ])('%o with %o', (f, options, message) => {
    expect(make(f, options)).toThrow(ValueError)
    expect(make(f, options)).toThrow(message)
  })
})

describe('by name', () => {
  test('each name makes a new optimizer with its defaults', () => {
    const names = [
      'sgd',
      'adam',
      'adamw',
      'rmsprop',
      'adagrad',
      'adadelta',
      'adamax',
      'nadam',
      'lion',
      'ftrl',
      'lamb',
      'adafactor',
      'muon',
    ]
    expect(resolveOptimizer('scheduleFreeAdamw').name).toBe('schedule_free_adamw')
    expect(resolveOptimizer('schedule_free_adamw').learningRate).toBe(0.0025)
    for (const name of names) {
      const optimizer = resolveOptimizer(name)
      expect(optimizer.name).toBe(name)
      expect(resolveOptimizer(name)).not.toBe(optimizer)
      expect(optimizer.learningRate).toBe(name === 'sgd' ? 0.01 : 0.001)
    }
    const mine = adam()
    expect(resolveOptimizer(mine)).toBe(mine)
  })

  test.each<[unknown, RegExp]>([
    ['adma', /optimizer "adma" is unknown; known are sgd, adam, .*\. Did you mean "adam"\?/],
    ['toString', /optimizer "toString" is unknown/],
    ['__proto__', /"__proto__" is unknown/],
    ['constructor', /"constructor" is unknown/],
    [undefined, /expected a name or an optimizer such as adam\(\), got undefined/],
    [{}, /got an object/],
    [adam, /got the function adam; call it: adam\(\)/],
  ])('%o is refused', (spec, message) => {
    expect(() => resolveOptimizer(spec)).toThrow(ValueError)
    expect(() => resolveOptimizer(spec)).toThrow(message)
  })

  test('a name of a million characters is refused in no time', () => {
    const start = performance.now()
    expect(() => resolveOptimizer('a'.repeat(1e6))).toThrow(ValueError)
    expect(performance.now() - start).toBeLessThan(50)
  })
})
