import {
  adam,
  cosineDecay,
  cosineDecayRestarts,
  dense,
  exponentialDecay,
  inverseTimeDecay,
  loadModel,
  piecewiseConstantDecay,
  polynomialDecay,
  type Schedule,
  sequential,
  sgd,
  ValueError,
} from '@adjoint/layers'
import * as library from '@adjoint/layers'
import { describe, expect, test } from 'vitest'
import { readOracle } from '../support/oracles.js'

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: Readonly<Record<string, number | readonly number[]>>
  readonly expected: number | readonly number[]
  readonly tol: number
}

/** What Keras' arguments without names stand for, in order. */
const positions: Readonly<Record<string, readonly string[]>> = {
  ExponentialDecay: ['initialLearningRate', 'decaySteps', 'decayRate', 'staircase'],
  InverseTimeDecay: ['initialLearningRate', 'decaySteps', 'decayRate', 'staircase'],
  PolynomialDecay: ['initialLearningRate', 'decaySteps', 'endLearningRate', 'power', 'cycle'],
  PiecewiseConstantDecay: ['boundaries', 'values'],
  CosineDecay: ['initialLearningRate', 'decaySteps', 'alpha', 'warmupTarget', 'warmupSteps'],
  CosineDecayRestarts: ['initialLearningRate', 'firstDecaySteps', 'tMul', 'mMul', 'alpha'],
}

/** `PolynomialDecay(.05,10,.001,power .5) at 5`; a word alone is a flag. */
function scheduleOf(text: string): Schedule {
  const [, name, list] = /^(\w+)\((.*?)\)(?: at|$)/.exec(text)!
  const options: Record<string, unknown> = {}
  for (const [i, argument] of list!.match(/\[[^\]]*\]|[^,]+/g)!.entries()) {
    const [, word, value] = /^([a-z]\w*)?\s*(.*)$/i.exec(argument.trim())!
    const given =
      value === ''
        ? true
        : value!.startsWith('[')
          ? value!.slice(1, -1).split(',').map(Number)
          : Number(value)
    options[word ?? positions[name!]![i]!] = given
  }
  if (name === 'StepLR') {
    // PyTorch's name for jumps of an exponential decay.
    const { base, stepSize, gamma } = options as Record<string, number>
    return exponentialDecay({
      initialLearningRate: base!,
      decaySteps: stepSize!,
      decayRate: gamma!,
      staircase: true,
    })
  }
  const make = (library as unknown as Record<string, (options: object) => Schedule>)[
    name![0]!.toLowerCase() + name!.slice(1)
  ]!
  return make(options)
}

describe('facts of Keras', () => {
  const facts = readOracle<Fact[]>('facts.json').filter(({ area }) => area === 'schedule')

  test('there are some', () => {
    expect(facts.length).toBeGreaterThan(0)
  })
  test.each(facts)('$name', ({ name, input, expected, tol }) => {
    const schedule = scheduleOf(name)
    const steps = Object.values(input).flat()
    const want = [expected].flat()
    expect(want).toHaveLength(steps.length)
    steps.forEach((step, i) => expect(Math.abs(schedule(step) - want[i]!)).toBeLessThanOrEqual(tol))
  })
})

describe('formulas of Keras', () => {
  // keras/src/optimizers/schedules/learning_rate_schedule_test.py: the expected values are these formulas there too.
  const half = (x: number): number => 0.5 * (1 + Math.cos(Math.PI * x))
  const rows: readonly (readonly [string, Schedule, readonly (readonly [step: number, rate: number])[]])[] = [
    [
      'cosine',
      cosineDecay({ initialLearningRate: 1, decaySteps: 1000 }),
      [0, 250, 500, 1000, 1500].map((step) => [step, half(Math.min(step, 1000) / 1000)]),
    ],
    [
      'cosine down to alpha',
      cosineDecay({ initialLearningRate: 1, decaySteps: 1000, alpha: 0.1 }),
      [0, 250, 1000, 1500].map((step) => [step, 0.1 + 0.9 * half(Math.min(step, 1000) / 1000)]),
    ],
    [
      'cosine after a warm-up',
      cosineDecay({ initialLearningRate: 0, decaySteps: 10, warmupTarget: 10, warmupSteps: 5 }),
      [...[0, 1, 4].map((step): [number, number] => [step, 2 * step]), [5, 10], [10, 5], [15, 0], [20, 0]],
    ],
    [
      'cosine after a warm-up down to alpha',
      cosineDecay({ initialLearningRate: 2, decaySteps: 10, warmupTarget: 10, warmupSteps: 4, alpha: 0.2 }),
      [
        [0, 2],
        [1, 4],
        [4, 10],
        [9, 6],
        [14, 2],
        [99, 2],
      ],
    ],
    [
      'restarts of periods that double',
      cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 500 }),
      [
        [0, 1],
        [250, 0.5],
        [499, half(499 / 500)],
        [500, 1],
        [1000, 0.5],
        [1500, 1],
        [1501, half(1 / 2000)],
        [3500, 1],
        [7500, 1],
      ],
    ],
    [
      'restarts of equal periods',
      cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 500, tMul: 1 }),
      [
        [250, 0.5],
        [500, 1],
        [1500, 1],
        [1750, 0.5],
      ],
    ],
    [
      'restarts that begin lower',
      cosineDecayRestarts({ initialLearningRate: 2, firstDecaySteps: 500, mMul: 0.9, alpha: 0.5 }),
      [
        [0, 2],
        [500, 2 * (0.5 + 0.5 * 0.9)],
        [1500, 2 * (0.5 + 0.5 * 0.81)],
      ],
    ],
    [
      'periods that grow by a third',
      cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 9, tMul: 4 / 3 }),
      [
        [9, 1],
        [15, 0.5],
        [21, 1],
        [37, 1],
      ],
    ],
    [
      'a polynomial that goes on',
      polynomialDecay({ initialLearningRate: 0.05, decaySteps: 10, endLearningRate: 0.01, power: 0.5 }),
      [
        [0, 0.05],
        [5, 0.04 * Math.SQRT1_2 + 0.01],
        [10, 0.01],
        [99, 0.01],
      ],
    ],
    [
      'a polynomial in cycles',
      polynomialDecay({ initialLearningRate: 1, decaySteps: 10, endLearningRate: 0, cycle: true }),
      [
        [0, 1],
        [10, 0],
        [11, 0.45],
        [20, 0],
        [25, 1 / 6],
      ],
    ],
    [
      'inverse time in jumps',
      inverseTimeDecay({ initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.96, staircase: true }),
      [
        [9, 0.1],
        [11, 0.1 / 1.96],
      ],
    ],
  ]
  test.each(rows)('%s', (_name, schedule, values) => {
    for (const [step, rate] of values) expect(schedule(step), `step ${step}`).toBeCloseTo(rate, 12)
  })
})

test('a schedule gives each step its rate', async () => {
  // keras/src/optimizers/schedules/learning_rate_schedule_test.py, test_fit_lr_correctness
  const fact = readOracle<Fact[]>('facts.json').find(({ name }) => name.startsWith('fit end to end'))!
  const m = sequential([dense(2, { inputShape: [2], kernelInitializer: 'ones', biasInitializer: 'ones' })])
  const learningRate = exponentialDecay({ initialLearningRate: 0.05, decaySteps: 1, decayRate: 0.9 })
  m.compile({ optimizer: adam({ learningRate }), loss: 'mse' })
  const x = Array.from({ length: 16 }, (_, i) => [2 * i, 2 * i + 1])
  const { history } = await m.fit(x, x, { batchSize: 4, epochs: 3, shuffle: false, verbose: 0 })
  const want = fact.expected as readonly number[]
  history.loss.forEach((loss, epoch) => expect(Math.abs(loss - want[epoch]!)).toBeLessThanOrEqual(fact.tol))
})

test.each([
  exponentialDecay({ initialLearningRate: 0.1, decaySteps: 2, decayRate: 0.5, staircase: true }),
  inverseTimeDecay({ initialLearningRate: 0.1, decaySteps: 2, decayRate: 0.5 }),
  piecewiseConstantDecay({ boundaries: [1, 2], values: [0.1, 0.2, 0.3] }),
  polynomialDecay({ initialLearningRate: 0.1, decaySteps: 4, cycle: true }),
  cosineDecay({ initialLearningRate: 0, decaySteps: 4, warmupTarget: 0.1, warmupSteps: 2 }),
  cosineDecay({ initialLearningRate: 0.1, decaySteps: 4 }),
  cosineDecayRestarts({ initialLearningRate: 0.1, firstDecaySteps: 2, mMul: 0.5 }),
])('is saved and loaded with the optimizer: $config.name', async (schedule) => {
  const m = sequential([dense(1, { inputShape: [1] })])
  m.compile({ optimizer: sgd({ learningRate: schedule }), loss: 'mse' })
  await m.fit([[1], [2]], [1, 2], { batchSize: 1, epochs: 2, verbose: 0 })
  const again = await loadModel(await m.toBytes())
  for (let step = 4; step < 8; step++) {
    expect(again.optimizer.learningRate).toBe(schedule(step))
    await again.trainOnBatch([[1]], [1])
  }
})

test.each([
  [() => exponentialDecay({ initialLearningRate: 1, decaySteps: 0, decayRate: 1 }), /decaySteps .* got 0/],
  [() => exponentialDecay({ initialLearningRate: -1, decaySteps: 1, decayRate: 1 }), /initialLearningRate/],
  [() => exponentialDecay({ decaySteps: 1 } as never), /initialLearningRate .* got undefined/],
  [
    () => inverseTimeDecay({ decay_steps: 1 } as never),
    /inverseTimeDecay: option "decay_steps".*"decaySteps"/,
  ],
  [() => piecewiseConstantDecay({ boundaries: [1], values: [1] }), /1 values and 1 boundaries/],
  [() => piecewiseConstantDecay({ boundaries: [2, 1], values: [1, 1, 1] }), /must ascend, got 2 before 1/],
  [() => piecewiseConstantDecay({ boundaries: 1, values: [] } as never), /boundaries must be a list/],
  [() => polynomialDecay({ initialLearningRate: 1, decaySteps: 1, power: -1 }), /power/],
  [() => cosineDecay({ initialLearningRate: 1, decaySteps: 1, alpha: 2 }), /alpha/],
  [() => cosineDecay({ initialLearningRate: 1, decaySteps: 1, warmupSteps: 2 }), /without a warmupTarget/],
  [() => cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 1, tMul: 0.5 }), /tMul/],
])('%s is refused', (make, says) => {
  expect(make).toThrow(ValueError)
  expect(make).toThrow(says)
})
