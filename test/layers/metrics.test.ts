import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import { grad, ShapeError, slice, type Tensor, tensor, ValueError } from '@adjoint/core'
import {
  type Metric,
  metrics,
  resolveMetric,
  type StatefulMetric,
} from '../../packages/layers/src/metrics.js'
import { readOracle } from '../support/oracles.js'

type Nested = readonly number[] | readonly Nested[]

const of = (values: Nested, dtype: 'float32' | 'float64' | 'int32' = 'float32'): Tensor =>
  tensor(values as number[], { dtype })

function after(metric: Metric, yTrue: Nested, yPred: Nested, sampleWeight?: Nested): number {
  metric.reset()
  metric.update(of(yTrue), of(yPred), sampleWeight === undefined ? undefined : of(sampleWeight))
  return metric.result()
}

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: Readonly<Record<string, Nested | undefined>>
  readonly expected: number | number[]
  readonly tol: number
}
const facts = Object.values(readOracle<Record<string, Fact>>('facts.json')).filter(
  ({ area }) => area === 'metric',
)

const prediction: Metric = resolveMetric((_yTrue: Tensor, yPred: Tensor) => yPred)

describe('facts of Keras', () => {
  const makers: Readonly<Record<string, () => Metric>> = {
    'BinaryAccuracy sampleWeight': () => metrics.binaryAccuracy(),
    CategoricalAccuracy: () => metrics.categoricalAccuracy(),
    'CategoricalAccuracy sampleWeight': () => metrics.categoricalAccuracy(),
    Precision: () => metrics.precision(),
    'Precision sampleWeight': () => metrics.precision(),
    'PrecisionAtRecall(0.5)': () => metrics.precisionAtRecall(0.5),
    'MeanAbsolutePercentageError (zero target: |y| is clipped to 1e-7)': () => resolveMetric('mape'),
    RootMeanSquaredError: () => metrics.rootMeanSquaredError(),
    'RootMeanSquaredError sampleWeight': () => metrics.rootMeanSquaredError(),
    'CosineSimilarity axis=1': () => metrics.cosineSimilarity({ axis: 1 }),
    'CosineSimilarity sampleWeight': () => metrics.cosineSimilarity({ axis: 1 }),
    R2Score: () => metrics.r2Score(),
    'BinaryCrossentropy sampleWeight': () => resolveMetric('binary_crossentropy'),
    CategoricalCrossentropy: () => resolveMetric('categorical_crossentropy'),
    'CategoricalCrossentropy sampleWeight': () => resolveMetric('categorical_crossentropy'),
    'FBetaScore beta=2': () => metrics.fBetaScore({ beta: 2, threshold: 0.5, average: null }),
    'BinaryIoU threshold=.3': () => metrics.binaryIoU({ targetClassIds: [0, 1], threshold: 0.3 }),
    'Sum / Mean sampleWeight': () => prediction,
  }
  /** `PrecisionAtRecall(0.5)`, `BinaryIoU threshold=.3`: a class of Keras, its argument, options as the inputs have them. */
  function metricOf(name: string, input: Fact['input'], expected: Fact['expected']): Metric {
    const [, className, argument] = /^(\w+)(?:\(([\d.]+)\))?/.exec(name)!
    const { yTrue: _t, yPred: _p, values: _v, sampleWeight: _w, ...options } = input
    const key = ({ AUC: 'auc', KLDivergence: 'klDivergence' } as Record<string, string>)[className!]
    const make = (metrics as unknown as Record<string, (...args: unknown[]) => Metric>)[
      key ?? className![0]!.toLowerCase() + className!.slice(1)
    ]!
    const isByClass = Array.isArray(expected) && /^F\w+Score$/.test(className!)
    const all = { ...options, ...(isByClass && { average: null }) }
    return argument === undefined ? make(all) : make(Number(argument), all)
  }
  test('those at hand are understood by their names too', () => {
    expect(facts.length).toBeGreaterThan(0)
    for (const { name, input, expected } of facts)
      if (name !== 'Sum / Mean sampleWeight')
        expect(metricOf(name, input, expected).name, name).toBe(
          makers[name]!().name.replace(/^mape$/, 'mean_absolute_percentage_error'),
        )
  })
  test.each(facts.map((fact) => [fact.name, fact] as const))('%s', (name, { input, expected, tol }) => {
    const metric = (makers[name]?.() ?? metricOf(name, input, expected)) as StatefulMetric
    const { values, sampleWeight } = input
    metric.reset()
    metric.update(
      of((input['yTrue'] ?? values)!),
      of((input['yPred'] ?? values)!),
      sampleWeight && of(sampleWeight),
    )
    if (name === 'Sum / Mean sampleWeight') {
      expect([metric.state!['total']!.itemSync(), metric.result()]).toEqual(expected)
      return
    }
    const want = [expected].flat()
    metric
      .compute()
      .dataSync()
      .forEach((x, i) => expect(Math.abs(x - want[i]!)).toBeLessThanOrEqual(tol))
  })
})

describe('values of Keras', () => {
  const yTrue = [0, 0, 1, 1]
  const yPred = [0, 0.5, 0.3, 0.9]
  const weights = [1, 2, 3, 4]
  // keras/src/metrics/confusion_metrics_test.py, AUCTest: the counts are worked out there by hand
  test.each<[Parameters<typeof metrics.auc>[0], Nested | undefined, number]>([
    [{}, undefined, 0.75],
    [{}, weights, 11 / 14],
    [{ summationMethod: 'majoring' }, weights, 1],
    [{ summationMethod: 'minoring' }, weights, 0.5714],
    [{ curve: 'PR', summationMethod: 'majoring' }, weights, 1],
    [{ curve: 'PR', summationMethod: 'minoring' }, weights, 0.7 * 0.4286],
    [{ curve: 'PR' }, weights, 2.4163 / 7 + 4 / 7],
    [{ numThresholds: 200 }, undefined, 0.75],
    [{ numThresholds: 200 }, [1, 0, 0, 1], 1],
  ])('auc with %o', (options, sampleWeight, want) => {
    const got = after(metrics.auc({ numThresholds: 3, ...options }), yTrue, yPred, sampleWeight)
    expect(Math.abs(got - want)).toBeLessThan(1e-4)
  })

  test('auc from logits, and of what is all right', () => {
    const logits = yPred.map((p) => -Math.log(1 / (p + 1e-12) - 1))
    expect(after(metrics.auc({ numThresholds: 3, fromLogits: true }), yTrue, logits)).toBeCloseTo(0.75, 3)
    expect(after(metrics.auc(), yTrue, yTrue)).toBe(1)
    expect(after(metrics.auc({ curve: 'PR' }), yTrue, yTrue)).toBe(1)
  })

  // Docstrings of keras/src/metrics/confusion_metrics.py
  const [t, p] = [
    [0, 0, 0, 1, 1],
    [0, 0.3, 0.8, 0.3, 0.8],
  ]
  test.each<[string, Metric, Nested, Nested, Nested | undefined, number]>([
    ['sensitivity at specificity', metrics.sensitivityAtSpecificity(0.5), t, p, undefined, 0.5],
    ['with weights', metrics.sensitivityAtSpecificity(0.5), t, p, [1, 1, 2, 2, 1], 1 / 3],
    ['specificity at sensitivity', metrics.specificityAtSensitivity(0.5), t, p, undefined, 2 / 3],
    ['with weights', metrics.specificityAtSensitivity(0.5), t, p, [1, 1, 2, 2, 2], 0.5],
    ['precision at recall', metrics.precisionAtRecall(0.5), t, p, [2, 2, 2, 1, 1], 1 / 3],
    ['recall at precision', metrics.recallAtPrecision(0.8), yTrue, yPred, undefined, 0.5],
    ['with weights', metrics.recallAtPrecision(0.8), yTrue, yPred, [1, 0, 0, 1], 1],
    ['recall', metrics.recall(), [0, 1, 1, 1], [1, 0, 1, 1], undefined, 2 / 3],
    ['with weights', metrics.recall(), [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 1, 0], 1],
    ['true positives', metrics.truePositives(), [0, 1, 1, 1], [1, 0, 1, 1], undefined, 2],
    ['false positives', metrics.falsePositives(), [0, 1, 0, 0], [0, 0, 1, 1], undefined, 2],
    ['false negatives', metrics.falseNegatives(), [0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 1, 0], 1],
    ['true negatives', metrics.trueNegatives(), [0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], 1],
    [
      'top 1',
      metrics.topKCategoricalAccuracy({ k: 1 }),
      [
        [0, 0, 1],
        [0, 1, 0],
      ],
      [
        [0.1, 0.9, 0.8],
        [0.05, 0.95, 0],
      ],
      undefined,
      0.5,
    ],
    [
      'top 1 with weights',
      metrics.topKCategoricalAccuracy({ k: 1 }),
      [
        [0, 0, 1],
        [0, 1, 0],
      ],
      [
        [0.1, 0.9, 0.8],
        [0.05, 0.95, 0],
      ],
      [0.7, 0.3],
      0.3,
    ],
    [
      'top 2',
      metrics.sparseTopKCategoricalAccuracy({ k: 2 }),
      [2, 1],
      [
        [0.1, 0.9, 0.8],
        [0.05, 0.95, 0],
      ],
      undefined,
      1,
    ],
    [
      'top 5 of 3',
      metrics.sparseTopKCategoricalAccuracy(),
      [[2], [1]],
      [
        [0.1, 0.9, -Infinity],
        [0.05, 0.95, 0],
      ],
      undefined,
      1,
    ],
  ])('%s', (_, metric, a, b, w, want) => {
    expect(after(metric, a, b, w)).toBeCloseTo(want, 6)
  })

  // keras/src/metrics/f_score_metrics_test.py
  const classes = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
    [1, 0, 0],
    [1, 0, 0],
    [0, 0, 1],
  ]
  const scores = [
    [0.9, 0.1, 0],
    [0.2, 0.6, 0.2],
    [0, 0, 1],
    [0.4, 0.3, 0.3],
    [0, 0.9, 0.1],
    [0, 0, 1],
  ]
  const half = [0.5, 1, 1, 1, 0.5, 1]
  test.each<['micro' | 'macro' | 'weighted', number, Nested | undefined, number]>([
    ['micro', 1, undefined, 0.833333],
    ['macro', 0.5, undefined, 0.821549],
    ['macro', 1, undefined, 0.822222],
    ['macro', 2, undefined, 0.849206],
    ['weighted', 1, undefined, 0.844444],
    ['micro', 2, half, 0.9],
    ['macro', 2, half, 0.899522],
    ['weighted', 2, half, 0.897608],
    ['macro', 1, [1, 0, 1, 1, 0, 1], 0.666667],
  ])('F score, %s, beta %d', (average, beta, w, want) => {
    expect(after(metrics.fBetaScore({ average, beta }), classes, scores, w)).toBeCloseTo(want, 5)
  })

  test('F score by class, and of one column', () => {
    const metric = metrics.f1Score({ average: null })
    metric.update(of(classes), of(scores))
    const values = [...metric.compute().dataSync()]
    ;[0.8, 0.666667, 1].forEach((want, i) => expect(values[i]).toBeCloseTo(want, 5))
    expect(() => metric.result()).toThrow(ShapeError)
    // The likeliest of one class would always be a yes: there the threshold is 0.5.
    expect(after(metrics.f1Score(), [[0], [0], [1], [1]], [[0.1], [0.6], [0.4], [0.9]])).toBeCloseTo(0.5, 6)
  })

  // keras/src/metrics/regression_metrics_test.py
  test('R2 score, by column, weighted, aggregated', () => {
    const target = [
      [0, 0, 1],
      [0, 1, 0],
      [1, 0, 0],
    ]
    const fair = [
      [0.4, 0.5, 0.6],
      [0.1, 0.2, 0.3],
      [0.5, 0.8, 0.2],
    ]
    const poor = [
      [0.4, 0.9, 1.6],
      [0.1, 1.2, 0.6],
      [1.5, 0.8, 0.6],
    ]
    const w = [0.8, 0.1, 0.4]
    const each = metrics.r2Score({ classAggregation: null })
    each.update(of(target), of(fair))
    const values = [...each.compute().dataSync()]
    ;[0.37, -1.295, 0.565].forEach((want, i) => expect(values[i]).toBeCloseTo(want, 5))
    expect(after(metrics.r2Score(), target, fair)).toBeCloseTo(-0.12, 6)
    expect(after(metrics.r2Score(), target, poor, w)).toBeCloseTo(-3.061537, 4)
    const byVariance = metrics.r2Score({ classAggregation: 'variance_weighted_average' })
    expect(after(byVariance, target, poor, w)).toBeCloseTo(-1.371022, 4)
    expect(after(metrics.r2Score(), [[2], [2]], [[2], [3]])).toBe(0)
  })
})

describe('accuracy tells its kind from the shapes', () => {
  test.each<[string, Nested, Nested, number]>([
    ['[n, 1] with [n, 1]: binary', [[1], [0], [1]], [[0.9], [0.5], [0.2]], 2 / 3],
    ['[n] with [n, 1]: binary', [1, 0, 1], [[0.9], [0.5], [0.2]], 2 / 3],
    [
      '[n, k] with [n, k]: categorical',
      [
        [1, 0],
        [0, 1],
      ],
      [
        [0.9, 0.1],
        [0.8, 0.2],
      ],
      1 / 2,
    ],
    [
      '[n] with [n, k]: sparse',
      [0, 1],
      [
        [0.9, 0.1],
        [0.8, 0.2],
      ],
      1 / 2,
    ],
    [
      '[n, 1] with [n, k]: sparse',
      [[0], [1]],
      [
        [0.9, 0.1],
        [0.8, 0.2],
      ],
      1 / 2,
    ],
    [
      '[n, t] with [n, t, k]: sparse',
      [[0, 1]],
      [
        [
          [0.9, 0.1],
          [0.8, 0.2],
        ],
      ],
      1 / 2,
    ],
  ])('%s', (_, yTrue, yPred, want) => {
    for (const name of ['accuracy', 'acc']) {
      const metric = resolveMetric(name)
      expect(metric.name).toBe(name)
      expect(after(metric, yTrue, yPred)).toBeCloseTo(want, 6)
    }
  })

  test('more than the threshold is a yes, the threshold is not', () => {
    expect(after(metrics.binaryAccuracy(), [[1]], [[0.5]])).toBe(0)
    expect(after(metrics.binaryAccuracy({ threshold: 0.4 }), [[1]], [[0.5]])).toBe(1)
  })

  test('whole-number targets of any dtype do', () => {
    const metric = resolveMetric('accuracy')
    metric.update(
      of([0, 1], 'int32'),
      of(
        [
          [0.9, 0.1],
          [0.8, 0.2],
        ],
        'float64',
      ),
    )
    metric.update(
      tensor([true, false]),
      of(
        [
          [0.1, 0.9],
          [0.2, 0.8],
        ],
        'float64',
      ),
    )
    expect(metric.result()).toBe(1 / 2)
  })
})

/** Metrics with targets and predictions that suit them: rows, columns. */
const all: readonly {
  readonly name: string
  readonly make: () => StatefulMetric
  readonly columns: number
}[] = [
  { name: 'accuracy, binary', make: () => metrics.accuracy(), columns: 1 },
  { name: 'accuracy, categorical', make: () => metrics.accuracy(), columns: 3 },
  { name: 'binaryAccuracy', make: () => metrics.binaryAccuracy(), columns: 2 },
  { name: 'topKCategoricalAccuracy', make: () => metrics.topKCategoricalAccuracy({ k: 2 }), columns: 3 },
  { name: 'mse', make: () => resolveMetric('mse') as StatefulMetric, columns: 3 },
  { name: 'mae', make: () => resolveMetric('mae') as StatefulMetric, columns: 1 },
  { name: 'rootMeanSquaredError', make: () => metrics.rootMeanSquaredError(), columns: 2 },
  { name: 'cosineSimilarity', make: () => metrics.cosineSimilarity(), columns: 3 },
  { name: 'precision', make: () => metrics.precision(), columns: 2 },
  { name: 'recall of one class', make: () => metrics.recall({ classId: 1 }), columns: 2 },
  { name: 'auc', make: () => metrics.auc(), columns: 1 },
  { name: 'auc, PR', make: () => metrics.auc({ curve: 'PR' }), columns: 2 },
  { name: 'precisionAtRecall', make: () => metrics.precisionAtRecall(0.6, { classId: 0 }), columns: 2 },
  { name: 'f1Score', make: () => metrics.f1Score({ threshold: 0.4 }), columns: 3 },
  { name: 'binaryIoU', make: () => metrics.binaryIoU(), columns: 2 },
  { name: 'r2Score', make: () => metrics.r2Score(), columns: 2 },
]

describe.each(all)('$name', ({ make, columns }) => {
  const row = fc.record({
    // Not all 0 and 1 alike, so that no score is of nothing.
    t: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: columns, maxLength: columns }),
    p: fc.array(fc.double({ min: 0.01, max: 0.99, noNaN: true }), { minLength: columns, maxLength: columns }),
    w: fc.integer({ min: 0, max: 3 }),
  })
  const samples = fc
    .array(row, { minLength: 1, maxLength: 9 })
    .map((rows) => [
      ...rows,
      { t: new Array<number>(columns).fill(1), p: new Array<number>(columns).fill(0.7), w: 1 },
    ])
    .map((rows) => [
      ...rows,
      { t: new Array<number>(columns).fill(0), p: new Array<number>(columns).fill(0.2), w: 1 },
    ])

  test.prop([samples, fc.nat({ max: 9 }), fc.boolean()])(
    'is the same whether rows come at once or in batches of any size',
    (rows, at, weighted) => {
      const [t, p, w] = [
        of(
          rows.map((r) => r.t),
          'float64',
        ),
        of(
          rows.map((r) => r.p),
          'float64',
        ),
        of(
          rows.map((r) => r.w),
          'float64',
        ),
      ]
      const cut = Math.min(at, rows.length)
      const part = (x: Tensor, from: number, count: number): Tensor =>
        slice(
          x,
          x.shape.map((_, axis) => (axis === 0 ? from : 0)),
          x.shape.map((side, axis) => (axis === 0 ? count : side)),
        )
      const [whole, parts] = [make(), make()]
      whole.update(t, p, weighted ? w : undefined)
      for (const [from, count] of [
        [0, cut],
        [cut, rows.length - cut],
      ] as const)
        if (count > 0)
          parts.update(
            part(t, from, count),
            part(p, from, count),
            weighted ? part(w, from, count) : undefined,
          )
      expect(Math.abs(parts.result() - whole.result())).toBeLessThanOrEqual(1e-9)
    },
  )

  test.prop([samples])('a weight of n counts as n rows, of 1 as none given', (rows) => {
    const [weighted, repeated, plain, ones] = [make(), make(), make(), make()]
    const [t, p] = [
      of(
        rows.map((r) => r.t),
        'float64',
      ),
      of(
        rows.map((r) => r.p),
        'float64',
      ),
    ]
    weighted.update(
      t,
      p,
      of(
        rows.map((r) => r.w),
        'float64',
      ),
    )
    for (const r of rows)
      for (let i = 0; i < r.w; i++) repeated.update(of([r.t], 'float64'), of([r.p], 'float64'))
    expect(Math.abs(weighted.result() - repeated.result())).toBeLessThanOrEqual(1e-9)
    plain.update(t, p)
    ones.update(
      t,
      p,
      of(
        rows.map(() => [1]),
        'float64',
      ),
    )
    expect(Math.abs(plain.result() - ones.result())).toBeLessThanOrEqual(1e-12)
  })

  test.prop([samples])('forgets when reset, and goes on from a state', (rows) => {
    const [t, p] = [of(rows.map((r) => r.t)), of(rows.map((r) => r.p))]
    const [metric, other] = [make(), make()]
    metric.update(t, p)
    const { state } = metric
    const once = metric.result()
    metric.update(p.round(), t)
    const twice = metric.result()
    other.state = state
    expect(other.result()).toBe(once)
    other.update(p.round(), t)
    expect(other.result()).toBe(twice)
    metric.reset()
    metric.update(t, p)
    expect(metric.result()).toBe(once)
  })

  test('is a number before any batch', () => {
    expect(make().result()).toBe(0)
  })

  test('refuses what would have to be broadcast, and goes on', () => {
    const metric = make()
    const good = of(new Array<number[]>(3).fill(new Array<number>(columns).fill(1)))
    metric.update(good, good)
    const before = metric.result()
    const wide = of(new Array<number[]>(3).fill(new Array<number>(columns + 1).fill(1)))
    expect(() => metric.update(wide, good)).toThrow(ShapeError)
    expect(() => metric.update(good, good, of([1, 1]))).toThrow(/sample weights \[2(,1)?\] do not fit values/)
    expect(() => metric.update([1] as never, good)).toThrow(ValueError)
    expect(metric.result()).toBe(before)
  })
})

test('weights of time steps count for their step', () => {
  const metric = resolveMetric('mae')
  const t = of([
    [[0], [0]],
    [[0], [0]],
  ])
  const p = of([
    [[1], [2]],
    [[3], [4]],
  ])
  metric.update(
    t,
    p,
    of([
      [1, 0],
      [0, 1],
    ]),
  )
  // As in Keras: the mean over steps first, of values and of weights.
  expect(metric.result()).toBe((0.5 + 2) / (0.5 + 0.5))
})

test('metrics are not recorded by a gradient around them', () => {
  const metric = resolveMetric('mse')
  const t = of([[1, 2]])
  const g = grad((x: Tensor) => {
    metric.update(t, x)
    return x.square().sum()
  })(of([[3, 4]]))
  expect([...g.dataSync()]).toEqual([6, 8])
  expect(metric.result()).toBe(4)
})

describe('by name', () => {
  test.each<[unknown, string]>([
    ['accuracy', 'accuracy'],
    ['mse', 'mse'],
    ['MSE', 'MSE'],
    ['mean_squared_error', 'mean_squared_error'],
    ['meanSquaredError', 'mean_squared_error'],
    ['binaryAccuracy', 'binary_accuracy'],
    ['auc', 'auc'],
    ['f1Score', 'f1_score'],
    ['crossentropy', 'crossentropy'],
    [
      function distance(t: Tensor, p: Tensor) {
        return t.sub(p).abs()
      },
      'distance',
    ],
    [metrics.auc({ name: 'pr', curve: 'PR' }), 'pr'],
  ])('%o is called %s', (spec, name) => {
    expect(resolveMetric(spec).name).toBe(name)
  })

  test('names make new metrics, objects stay', () => {
    expect(resolveMetric('mse')).not.toBe(resolveMetric('mse'))
    const mine: Metric = { name: 'mine', reset() {}, update() {}, result: () => 7 }
    expect(resolveMetric(mine)).toBe(mine)
  })

  test('the cosine of equal directions is 1, though the loss is -1', () => {
    expect(after(resolveMetric('cosine_similarity'), [[1, 0]], [[2, 0]])).toBe(1)
  })

  test.each<[unknown, RegExp]>([
    ['acuracy', /metric "acuracy" is unknown; known are accuracy, .* Did you mean "accuracy"\?/],
    ['MSE ', /metric "MSE " is unknown/],
    ['toString', /"toString" is unknown/],
    ['hasOwnProperty', /"hasOwnProperty" is unknown/],
    ['__proto__', /"__proto__" is unknown/],
    [undefined, /expected a name or a function or a metric object, got undefined/],
    [3, /got 3/],
    [{ reset() {}, update() {}, result: () => 1 }, /its name must be a text, got undefined/],
    [metrics.auc, /got the function auc; call it: metrics.auc\(\)/],
  ])('%o is refused', (spec, message) => {
    expect(() => resolveMetric(spec)).toThrow(ValueError)
    expect(() => resolveMetric(spec)).toThrow(message)
  })

  test.each<[() => unknown, RegExp]>([
    [() => metrics.auc({ curve: 'RCO' as never }), /curve must be "ROC" or "PR", got "RCO"/],
    [() => metrics.auc({ numThresholds: 1 }), /numThresholds must be a whole number from 2/],
    [() => metrics.auc({ treshold: 1 } as never), /option "treshold" is unknown/],
    [() => metrics.precision({ threshold: 2 }), /threshold must be in the range \[0, 1\], got 2/],
    [() => metrics.precisionAtRecall(2), /recall must be in the range/],
    [() => metrics.topKCategoricalAccuracy({ k: 0 }), /k must be a whole number >= 1, got 0/],
    [() => metrics.fBetaScore({ beta: 0 }), /beta/],
    [() => metrics.f1Score({ average: 'mean' as never }), /average must be/],
    [() => metrics.f1Score({ beta: 2 } as never), /"beta" is unknown/],
    [() => metrics.r2Score({ classAggregation: 'sum' as never }), /classAggregation/],
  ])('bad options: %#', (make, message) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(message)
  })

  test('what a function of the user returns is checked', () => {
    const metric = resolveMetric(() => 3)
    expect(() => metric.update(of([1]), of([1]))).toThrow(/expected a tensor, got number/)
    const promised = resolveMetric(async () => of([1]))
    expect(() => promised.update(of([1]), of([1]))).toThrow(/got Promise; a loss must be synchronous/)
  })
})

describe('thresholds, the k largest, and columns apart', () => {
  const values = (metric: StatefulMetric): number[] => [...metric.compute().dataSync()]
  const updated = (metric: StatefulMetric, t: Nested, p: Nested, w?: Nested): StatefulMetric => {
    metric.update(of(t), of(p), w === undefined ? undefined : of(w))
    return metric
  }
  const counts = [
    'precision',
    'recall',
    'truePositives',
    'falsePositives',
    'trueNegatives',
    'falseNegatives',
  ] as const

  test.each(counts)('%s at several thresholds is that at each', (name) => {
    const [t, p, w] = [
      [0, 1, 1, 0, 1],
      [0.1, 0.4, 0.7, 0.6, 0.9],
      [1, 2, 0.5, 1, 3],
    ]
    const thresholds = [0, 0.5, 0.65, 1]
    const together = values(updated(metrics[name]({ thresholds }), t, p, w))
    expect(together).toEqual(
      thresholds.map((threshold) => values(updated(metrics[name]({ threshold }), t, p, w))[0]),
    )
    expect(values(updated(metrics[name]({ thresholds: 0.65 }), t, p, w))).toEqual([together[2]])
  })

  // keras/src/metrics/confusion_metrics.py (docstrings) and confusion_metrics_test.py
  test('of the k largest in a row, as in Keras', () => {
    const one = (metric: StatefulMetric): number => metric.result()
    expect(one(updated(metrics.precision({ topK: 2 }), [[0, 0, 1, 1]], [[1, 1, 1, 1]]))).toBe(0)
    expect(one(updated(metrics.precision({ topK: 4 }), [[0, 0, 1, 1]], [[1, 1, 1, 1]]))).toBe(0.5)
    const [t, p] = [[[0, 1, 1, 0, 0]], [[0.2, 0.1, 0.5, 0, 0.2]]]
    expect(one(updated(metrics.precision({ topK: 3 }), t, p))).toBeCloseTo(1 / 3, 7)
    expect(one(updated(metrics.recall({ topK: 3 }), t, p))).toBe(0.5)
    // A threshold counts as well.
    expect(one(updated(metrics.precision({ topK: 3, thresholds: 0.3 }), t, p))).toBe(1)
    // Of class 2 alone: it is among the two largest of the first row only.
    const rows = [
      [0.2, 0.1, 0.6, 0, 0.2],
      [0.7, 0.1, 0.2, 0.3, 0],
    ]
    const both = updated(
      metrics.recall({ topK: 2, classId: 2 }),
      [
        [0, 1, 1, 0, 0],
        [0, 0, 1, 0, 0],
      ],
      rows,
    )
    expect(one(both)).toBe(0.5)
  })

  const columnsOf = (rows: readonly number[][]): number[][] =>
    rows[0]!.map((_, i) => rows.map((row) => row[i]!))
  test.prop(
    [
      fc.array(
        fc.tuple(
          fc.array(fc.constantFrom(0, 1), { minLength: 3, maxLength: 3 }),
          fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
        ),
        { minLength: 2, maxLength: 8 },
      ),
      fc.constantFrom(
        {},
        { curve: 'PR' as const },
        { curve: 'PR' as const, summationMethod: 'minoring' as const },
      ),
    ],
    { numRuns: 15 },
  )('a multi-label AUC is the mean of those of the columns', (rows, options) => {
    const [t, p] = [rows.map((row) => row[0]), rows.map((row) => row[1])]
    const weights = [1, 2, 0.5]
    const half = Math.ceil(rows.length / 2)
    const whole = (more: object): number => {
      const metric = metrics.auc({ ...options, multiLabel: true, ...more })
      updated(metric, t.slice(0, half), p.slice(0, half))
      if (half < rows.length) updated(metric, t.slice(half), p.slice(half))
      return metric.result()
    }
    const each = columnsOf(p).map((column, i) =>
      updated(metrics.auc(options), columnsOf(t)[i]!, column).result(),
    )
    const mean = each.reduce((a, b) => a + b, 0) / 3
    expect(whole({})).toBeCloseTo(mean, 5)
    const weighted = each.reduce((a, b, i) => a + b * weights[i]!, 0) / 3.5
    expect(whole({ labelWeights: weights })).toBeCloseTo(weighted, 5)
    // Without columns apart they weight the elements.
    const flat = updated(metrics.auc({ ...options, labelWeights: weights }), t, p)
    const same = updated(
      metrics.auc(options),
      t,
      p,
      t.map(() => weights),
    )
    expect(flat.result()).toBeCloseTo(same.result(), 6)
  })

  test('an AUC at thresholds of its own', () => {
    const [t, p] = [
      [0, 0, 1, 1],
      [0, 0.5, 0.3, 0.9],
    ]
    // keras/src/metrics/confusion_metrics_test.py, AUCTest.test_manual_thresholds
    expect(updated(metrics.auc({ thresholds: [0.5] }), t, p).result()).toBeCloseTo(0.75, 6)
    const even = updated(metrics.auc({ numThresholds: 5 }), t, p).result()
    expect(updated(metrics.auc({ thresholds: [0.75, 0.25, 0.5] }), t, p).result()).toBe(even)
  })

  test('bad options are refused', () => {
    expect(() => metrics.precision({ thresholds: [0.5, 2] })).toThrow(
      /precision: thresholds must be in the range/,
    )
    expect(() => metrics.precision({ thresholds: [] })).toThrow(/thresholds must not be empty/)
    expect(() => metrics.precision({ threshold: 0.5, thresholds: [0.5] })).toThrow(/exclude each other/)
    expect(() => metrics.precision({ topK: 0 })).toThrow(/topK must be a whole number >= 1/)
    expect(() => metrics.truePositives({ topK: 1 } as never)).toThrow(/option "topK" is unknown/)
    expect(() => metrics.auc({ thresholds: [0.5], numThresholds: 3 })).toThrow(/exclude each other/)
    expect(() => metrics.auc({ labelWeights: [-1] })).toThrow(
      /auc: labelWeights must be a finite number of at least 0/,
    )
    const metric = metrics.auc({ multiLabel: true, labelWeights: [1, 1] })
    expect(() => updated(metric, [[0, 1, 1]], [[0, 1, 1]])).toThrow(/2 labelWeights for predictions \[1,3\]/)
    expect(() => updated(metrics.auc({ multiLabel: true }), [0, 1], [0, 1])).toThrow(
      /expected \[samples, columns\]/,
    )
  })

  test('R² for as many regressors', () => {
    const [t, p] = [
      [[1], [4], [3], [9]],
      [[2], [4], [4], [9]],
    ]
    const r2 = updated(metrics.r2Score(), t, p).result()
    // The row that counts nothing is no sample.
    const weights = [1, 1, 1, 0]
    const r2Of3 = updated(metrics.r2Score(), t, p, weights).result()
    expect(updated(metrics.r2Score({ numRegressors: 2 }), t, p).result()).toBeCloseTo(1 - (1 - r2) * 3, 6)
    expect(updated(metrics.r2Score({ numRegressors: 1 }), t, p, weights).result()).toBeCloseTo(
      1 - (1 - r2Of3) * 2,
      5,
    )
    // Too few samples: as it is, as in Keras.
    expect(updated(metrics.r2Score({ numRegressors: 3 }), t, p).result()).toBe(r2)
  })
})
