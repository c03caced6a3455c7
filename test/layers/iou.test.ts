import { type Metric, metrics, tensor, ValueError } from '@adjoint/layers'
import { describe, expect, test } from 'vitest'

type Rows = number[] | number[][]

function after(metric: Metric, yTrue: Rows, yPred: Rows, weights?: number[]): number {
  metric.reset()
  // In two batches, the first of one sample.
  for (const [from, to] of [
    [0, 1],
    [1, yTrue.length],
  ] as const)
    metric.update(
      tensor(yTrue.slice(from, to) as number[]),
      tensor(yPred.slice(from, to) as number[]),
      weights && tensor(weights.slice(from, to)),
    )
  return metric.result()
}

/** Of four samples and three classes. */
const CLASSES = [
  [0, 0, 1],
  [1, 0, 0],
  [0, 1, 0],
  [1, 0, 0],
]
const PROBABILITIES = [
  [0.2, 0.3, 0.5],
  [0.1, 0.2, 0.7],
  [0.5, 0.3, 0.1],
  [0.1, 0.4, 0.5],
]

// keras/src/metrics/iou_metrics.py: examples of the docstrings, worked out there
describe('values of Keras', () => {
  const weights = [0.3, 0.3, 0.3, 0.1]
  test.each<[string, Metric, Rows, Rows, number[] | undefined, number]>([
    [
      'IoU',
      metrics.iou({ numClasses: 2, targetClassIds: [0] }),
      [0, 0, 1, 1],
      [0, 1, 0, 1],
      undefined,
      1 / 3,
    ],
    [
      'IoU, weighted',
      metrics.iou({ numClasses: 2, targetClassIds: [0] }),
      [0, 0, 1, 1],
      [0, 1, 0, 1],
      weights,
      1 / 3,
    ],
    ['MeanIoU', metrics.meanIoU({ numClasses: 2 }), [0, 0, 1, 1], [0, 1, 0, 1], undefined, 1 / 3],
    [
      'MeanIoU, weighted',
      metrics.meanIoU({ numClasses: 2 }),
      [0, 0, 1, 1],
      [0, 1, 0, 1],
      weights,
      (1 / 3 + 1 / 7) / 2,
    ],
    [
      'OneHotIoU',
      metrics.oneHotIoU({ numClasses: 3, targetClassIds: [0, 2] }),
      CLASSES,
      PROBABILITIES,
      [0.1, 0.2, 0.3, 0.4],
      0.1 / 0.7 / 2,
    ],
    [
      'OneHotMeanIoU',
      metrics.oneHotMeanIoU({ numClasses: 3 }),
      CLASSES,
      PROBABILITIES,
      [0.1, 0.2, 0.3, 0.4],
      0.1 / 0.7 / 3,
    ],
    [
      'a class to ignore',
      metrics.meanIoU({ numClasses: 2, ignoreClass: -1 }),
      [0, -1, 1, 1],
      [0, 1, 0, 1],
      undefined,
      0.5,
    ],
  ])('%s', (_name, metric, t, p, w, want) => {
    expect(after(metric, t, p, w)).toBeCloseTo(want, 6)
  })
})

describe('correlations', () => {
  const t = [
    [0, 1, 0.5],
    [1, 1, 0.2],
  ]
  const p = [
    [0.1, 0.9, 0.5],
    [1, 0.9, 0.2],
  ]
  const moments = (a: number[], b: number[]) => {
    const mean = (x: number[]): number => x.reduce((s, v) => s + v) / x.length
    const [ma, mb] = [mean(a), mean(b)]
    const over = (f: (i: number) => number): number => mean(a.map((_, i) => f(i)))
    return {
      ma,
      mb,
      ab: over((i) => (a[i]! - ma) * (b[i]! - mb)),
      aa: over((i) => (a[i]! - ma) ** 2),
      bb: over((i) => (b[i]! - mb) ** 2),
    }
  }
  test('are those of the definitions, averaged over samples', () => {
    const all = t.map((row, i) => moments(row, p[i]!))
    const pearson = all.map(({ ab, aa, bb }) => ab / Math.sqrt(aa * bb))
    const concordance = all.map(({ ab, aa, bb, ma, mb }) => (2 * ab) / (aa + bb + (ma - mb) ** 2))
    expect(after(metrics.pearsonCorrelation(), t, p)).toBeCloseTo((pearson[0]! + pearson[1]!) / 2, 5)
    expect(after(metrics.concordanceCorrelation(), t, p)).toBeCloseTo(
      (concordance[0]! + concordance[1]!) / 2,
      5,
    )
  })
  test('stretching and moving matters to one of them only', () => {
    const moved = t.map((row) => row.map((x) => 2 * x + 1))
    expect(after(metrics.pearsonCorrelation(), t, moved)).toBeCloseTo(1, 5)
    expect(after(metrics.concordanceCorrelation(), t, moved)).toBeLessThan(0.5)
  })
})

test.each([
  [
    () => metrics.iou({ numClasses: 2, targetClassIds: [2] }),
    /targetClassIds must be a class in 0..1, got 2/,
  ],
  [() => metrics.iou({ numClasses: 2 } as never), /targetClassIds must be a list/],
  [() => metrics.meanIoU({ numClasses: 0 }), /numClasses/],
  [() => metrics.meanIoU({ numclasses: 3 } as never), /"numClasses"/],
])('%s is refused', (make, says) => {
  expect(make).toThrow(ValueError)
  expect(make).toThrow(says)
})
