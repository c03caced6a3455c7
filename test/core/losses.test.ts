import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  categoricalHinge,
  cosineSimilarity,
  dice,
  DTypeError,
  grad,
  hinge,
  huber,
  klDivergence,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  oneHot,
  poisson,
  ShapeError,
  sparseCategoricalCrossentropy,
  squaredHinge,
  type Tensor,
  tensor,
  tversky,
  ValueError,
  vjp,
  withBackend,
  zeros,
} from '@adjoint/core'
import { abstractBackend } from '@adjoint/core/extend'
import { readOracle } from '../support/oracles.js'

type Loss = (yTrue: Tensor, yPred: Tensor, options?: object) => Tensor
type Precision = 'float32' | 'float64'

const losses: Readonly<Record<string, Loss>> = {
  meanSquaredError,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredLogarithmicError,
  huber,
  logCosh,
  binaryCrossentropy,
  categoricalCrossentropy,
  sparseCategoricalCrossentropy,
  klDivergence,
  poisson,
  cosineSimilarity,
  hinge,
  squaredHinge,
  categoricalHinge,
}

interface Values {
  readonly dtype: 'float' | 'int32'
  readonly shape: readonly number[]
  readonly data: readonly (number | string)[]
}
interface Case {
  readonly id: string
  readonly op: string
  readonly attrs: Readonly<Record<string, unknown>>
  readonly inputs: readonly [Values, Values]
  readonly outputs: readonly [Values]
  readonly cotangents: readonly [Values]
  readonly grads: readonly (Values | null)[]
  readonly hvp?: {
    readonly tangents: readonly (Values | null)[]
    readonly result: readonly (Values | null)[]
  }
  readonly checks: readonly string[]
  readonly tags?: readonly string[]
  readonly f32?: {
    readonly maxAbsErrOut: number
    readonly maxAbsErrGrad?: number
    readonly outputs: unknown[][]
  }
}

const { cases } = readOracle<{ cases: Case[] }>('vectors/loss.json')

const read = (v: Values, dtype: Precision): Tensor =>
  tensor(v.data.map(Number), { shape: v.shape, dtype: v.dtype === 'int32' ? 'int32' : dtype })

/** Absolute and relative tolerance of outputs, gradients and Hessian-vector products, as the vectors set them. */
const TOLERANCES = {
  float64: { output: [1e-12, 1e-11], grads: [1e-11, 1e-10], hvp: [1e-10, 1e-9] },
  float32: { output: [4e-6, 2e-5], grads: [1e-5, 1e-4], hvp: [1e-4, 1e-3] },
} as const

function expectClose(
  got: Tensor,
  want: Values,
  [atol, rtol]: readonly [number, number],
  slack: number,
): void {
  expect(got.shape).toEqual(want.shape)
  const expected = want.data.map(Number)
  const scale = Math.max(1, ...expected.map(Math.abs))
  got.dataSync().forEach((value, i) => {
    expect(Math.abs(value - expected[i]!), `element ${i}: ${value}, not ${expected[i]}`).toBeLessThanOrEqual(
      atol * scale + rtol * Math.abs(expected[i]!) + slack,
    )
  })
}

describe.each(['float64', 'float32'] as const)('%s', (precision) => {
  test.each(cases.map((c) => [c.id, c] as const))('%s agrees with the vector', (_, c) => {
    const loss = losses[c.op]!
    const yTrue = read(c.inputs[0], precision)
    const yPred = read(c.inputs[1], precision)
    const g = read(c.cotangents[0], precision)
    const times = c.tags?.includes('edge') && precision === 'float64' ? 100 : 1
    const at = (what: 'output' | 'grads' | 'hvp'): readonly [number, number] => {
      const [atol, rtol] = TOLERANCES[precision][what]
      return [atol * times, rtol * times]
    }
    const slack =
      precision === 'float32' ? 4 * Math.max(c.f32?.maxAbsErrOut ?? 0, c.f32?.maxAbsErrGrad ?? 0) : 0
    const f = (p: Tensor): Tensor => loss(yTrue, p, c.attrs)
    expectClose(f(yPred), c.outputs[0], at('output'), slack)
    if (!c.checks.includes('grads')) return
    const gradient = (p: Tensor): Tensor => vjp(f, [p])[1](g)[0]
    expectClose(gradient(yPred), c.grads[1]!, at('grads'), slack)
    if (!c.checks.includes('hvp')) return
    const tangent = read(c.hvp!.tangents[1]!, precision)
    const product = grad((p: Tensor) => gradient(p).mul(tangent).sum())(yPred)
    expectClose(product, c.hvp!.result[1]!, at('hvp'), 10 * slack)
  })
})

describe('facts of Keras', () => {
  const facts = readFacts('loss')
  const find = (name: string): Fact => {
    const fact = facts.find((f) => f.name === name)
    if (fact === undefined) throw new Error(`there is no fact ${name}`)
    return fact
  }
  test.each<[string, Loss]>([
    ['MeanAbsolutePercentageError', meanAbsolutePercentageError],
    ['BinaryCrossentropy fromLogits', binaryCrossentropy],
    ['BinaryCrossentropy fromLogits 2-D', mean(binaryCrossentropy)],
    ['BinaryCrossentropy reduction none', binaryCrossentropy],
    ['BinaryFocalCrossentropy gamma=2', binaryFocalCrossentropy],
    ['BinaryFocalCrossentropy gamma=2 applyClassBalancing (alpha .25)', binaryFocalCrossentropy],
    ['BinaryFocalCrossentropy gamma=3', mean(binaryFocalCrossentropy)],
    ['BinaryFocalCrossentropy gamma=4 sum', binaryFocalCrossentropy],
    ['CategoricalCrossentropy', mean(categoricalCrossentropy)],
    ['CategoricalCrossentropy sampleWeight', weighted(categoricalCrossentropy)],
    ['CategoricalCrossentropy sum', categoricalCrossentropy],
    ['CategoricalFocalCrossentropy (alpha .25, gamma 2)', mean(categoricalFocalCrossentropy)],
    ['CategoricalFocalCrossentropy none', categoricalFocalCrossentropy],
    ['Dice', dice],
    ['huber delta=1 (mean)', mean(huber)],
    ['logCosh (mean)', mean(logCosh)],
    ['binaryFocalCrossentropy fn gamma=2', binaryFocalCrossentropy],
    ['ops.binaryCrossentropy elementwise', (t, p) => binaryCrossentropy(t.expandDims(-1), p.expandDims(-1))],
    ['ops.categoricalCrossentropy', categoricalCrossentropy],
    [
      'ops.categoricalCrossentropy of toCategorical (rows do not sum to 1: they are renormalised)',
      categoricalCrossentropy,
    ],
  ])('%s', (name, loss) => {
    const { input, expected, tol } = find(name)
    const { yTrue, yPred, target, output, ...options } = input
    const got = loss(tensor((yTrue ?? target)!), tensor((yPred ?? output)!), options)
    const want = [expected].flat()
    expect(got.size).toBe(want.length)
    got.dataSync().forEach((value, i) => expect(Math.abs(value - want[i]!)).toBeLessThanOrEqual(tol))
  })
})

const logit = fc.double({ min: -30, max: 30, noNaN: true })
const probability = fc.double({ min: 0.001, max: 0.999, noNaN: true })
const real = fc.double({ min: -5, max: 5, noNaN: true })
const table = (element: fc.Arbitrary<number>): fc.Arbitrary<number[][]> =>
  fc.array(fc.array(element, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 4 })
const classesOf = (rows: readonly number[][]): number[] =>
  rows.map((row) => Math.abs(Math.round(row[0]!)) % 3)
const f64 = (values: Nested): Tensor => tensor(values as number[], { dtype: 'float64' })
type Nested = readonly number[] | readonly Nested[]

function expectNear(got: Tensor, want: Tensor, tolerance: number): void {
  expect(got.shape).toEqual(want.shape)
  const expected = want.dataSync()
  got.dataSync().forEach((x, i) => {
    expect(Math.abs(x - expected[i]!)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected[i]!)))
  })
}

/** Every loss, with targets that suit it for predictions in (0, 1). */
const all: readonly { readonly name: string; readonly loss: Loss; readonly options?: object }[] = [
  { name: 'meanSquaredError', loss: meanSquaredError },
  { name: 'meanAbsoluteError', loss: meanAbsoluteError },
  { name: 'meanAbsolutePercentageError', loss: meanAbsolutePercentageError },
  { name: 'meanSquaredLogarithmicError', loss: meanSquaredLogarithmicError },
  { name: 'huber', loss: huber, options: { delta: 0.3 } },
  { name: 'logCosh', loss: logCosh },
  { name: 'binaryCrossentropy', loss: binaryCrossentropy, options: { labelSmoothing: 0.1 } },
  { name: 'categoricalCrossentropy', loss: categoricalCrossentropy, options: { labelSmoothing: 0.1 } },
  { name: 'klDivergence', loss: klDivergence },
  { name: 'poisson', loss: poisson },
  { name: 'cosineSimilarity', loss: cosineSimilarity },
  { name: 'hinge', loss: hinge },
  { name: 'squaredHinge', loss: squaredHinge },
  { name: 'categoricalHinge', loss: categoricalHinge },
  {
    name: 'binaryFocalCrossentropy',
    loss: binaryFocalCrossentropy,
    options: { gamma: 1.5, applyClassBalancing: true },
  },
  { name: 'categoricalFocalCrossentropy', loss: categoricalFocalCrossentropy },
]

describe.each(all)('$name', ({ loss, options }) => {
  const pairs = fc
    .tuple(table(probability), table(probability))
    .map(([t, p]) => [t.slice(0, p.length), p.slice(0, t.length)] as const)

  test.prop([pairs])('is the same in float32, to rounding, and of the dtype of the predictions', ([t, p]) => {
    const narrow = loss(tensor(t), tensor(p), options)
    expect(narrow.dtype).toBe('float32')
    expectNear(narrow, loss(f64(t), f64(p), options), 1e-4)
    expect(loss(f64(t), tensor(p), options).dtype).toBe('float32')
  })

  test.prop([pairs])('takes whole-number and bool targets as numbers', ([t, p]) => {
    const yes = t.map((row) => row.map((x) => Math.round(x)))
    const want = loss(f64(yes), f64(p), options)
    expectNear(loss(tensor(yes, { dtype: 'int32' }), f64(p), options), want, 0)
    expectNear(loss(tensor(yes, { dtype: 'bool' }), f64(p), options), want, 0)
  })

  test.prop([pairs])('reduces to the mean and the sum of its values', ([t, p]) => {
    const values = loss(f64(t), f64(p), options)
    expectNear(loss(f64(t), f64(p), { ...options, reduction: 'mean' }), values.mean(), 1e-14)
    expectNear(loss(f64(t), f64(p), { ...options, reduction: 'sum' }), values.sum(), 1e-14)
  })

  test.prop([pairs])('takes any axis for the last', ([t, p]) => {
    const [a, b] = [f64(t), f64(p)]
    expectNear(loss(a.transpose(), b.transpose(), { ...options, axis: 0 }), loss(a, b, options), 1e-14)
  })

  test.prop([pairs])('has the gradient of its differences', ([t, p]) => {
    // Away from the kinks of |t - p| and of the largest (1 - t) p.
    const wrong = t.map((row, i) => row.map((x, j) => (1 - x) * p[i]![j]!))
    fc.pre(t.every((row, i) => row.every((x, j) => Math.abs(x - p[i]![j]!) > 1e-4)))
    fc.pre(
      wrong.every(([x, y, z]) => Math.min(Math.abs(x! - y!), Math.abs(y! - z!), Math.abs(z! - x!)) > 1e-4),
    )
    const target = f64(t)
    const f = (x: Tensor): Tensor => loss(target, x, { ...options, reduction: 'sum' })
    const x = f64(p)
    const direction = f64(p.map((row) => row.map((v) => Math.sin(1e4 * v))))
    const step = 1e-6
    const difference = f(x.add(direction.mul(step)))
      .sub(f(x.sub(direction.mul(step))))
      .div(2 * step)
    const slope = grad(f)(x).mul(direction).sum()
    fc.pre(Math.abs(slope.itemSync()) < 1e6)
    expectNear(slope, difference, 1e-3)
  })

  test('has a shape before it has values', () => {
    withBackend(abstractBackend, () => {
      expect(loss(zeros([4, 3]), zeros([4, 3]), options).shape).toEqual([4])
      expect(loss(zeros([2, 5, 3]), zeros([2, 5, 3]), options).shape).toEqual([2, 5])
    })
  })

  test('adds a last side of 1, and broadcasts nothing', () => {
    const t = f64([0, 1, 1])
    const p = f64([[0.2], [0.5], [0.9]])
    expectNear(loss(t, p, options), loss(t.expandDims(-1), p, options), 0)
    expect(() => loss(f64([[0, 1, 1]]), p, options)).toThrow(ShapeError)
    expect(() => loss(f64([0, 1]), p, options)).toThrow(
      /targets \[2\] and predictions \[3,1\] differ in shape/,
    )
  })
})

describe('laws', () => {
  const pairOf = (element: fc.Arbitrary<number>): fc.Arbitrary<readonly [number[][], number[][]]> =>
    fc
      .tuple(table(element), table(logit))
      .map(([t, p]) => [t.slice(0, p.length), p.slice(0, t.length)] as const)

  test.prop([pairOf(fc.constantFrom(0, 1))])(
    'binary cross-entropy from logits is that of their sigmoid, where that does not round to 0 or 1',
    ([t, x]) => {
      fc.pre(x.flat().every((v) => Math.abs(v) < 12))
      const [y, logits] = [f64(t), f64(x)]
      const want = binaryCrossentropy(y, logits.sigmoid())
      expectNear(binaryCrossentropy(y, logits, { fromLogits: true }), want, 1e-9)
    },
  )

  test.prop([pairOf(probability)])(
    'categorical cross-entropy from logits is that of their softmax',
    ([t, x]) => {
      fc.pre(x.every((row) => Math.max(...row) - Math.min(...row) < 12))
      const [y, logits] = [f64(t), f64(x)]
      const want = categoricalCrossentropy(y, logits.softmax())
      expectNear(categoricalCrossentropy(y, logits, { fromLogits: true }), want, 1e-9)
    },
  )

  test.prop([table(logit), fc.boolean()])(
    'sparse cross-entropy is the categorical one of one-hot rows',
    (x, fromLogits) => {
      const labels = classesOf(x)
      const p = fromLogits ? f64(x) : f64(x).softmax()
      const dense = categoricalCrossentropy(oneHot(tensor(labels, { dtype: 'int32' }), 3), p, {
        fromLogits,
      })
      const f = (y: Tensor): Tensor => sparseCategoricalCrossentropy(y, p, { fromLogits })
      expectNear(f(tensor(labels, { dtype: 'int32' })), dense, 1e-12)
      expectNear(f(tensor(labels)), dense, 1e-12)
      expectNear(f(tensor(labels).expandDims(-1)), dense, 1e-12)
      const sideways = sparseCategoricalCrossentropy(tensor(labels), p.transpose(), { fromLogits, axis: 0 })
      expectNear(sideways, dense, 1e-12)
    },
  )

  test.prop([real], { numRuns: 300 })('log cosh is exact from far below 1 to far above', (x) => {
    for (const scale of [1e-9, 1e-3, 1, 1e3]) {
      const got = logCosh(f64([0]), f64([x * scale])).itemSync()
      const size = Math.abs(x * scale)
      const want = size < 1e-4 ? size ** 2 / 2 : size + Math.log1p(Math.exp(-2 * size)) - Math.LN2
      // Above, the formula expected cancels down to the rounding of log(2).
      expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-8 * want + (size < 1e-4 ? 1e-300 : 4e-16))
    }
  })

  test('huge logits give exact losses and gradients, in both precisions', () => {
    for (const dtype of ['float32', 'float64'] as const) {
      const y = tensor([1, 0, 1, 0], { dtype }).expandDims(-1)
      const x = tensor([1000, -1000, -1000, 1000], { dtype }).expandDims(-1)
      const f = (p: Tensor): Tensor => binaryCrossentropy(y, p, { fromLogits: true })
      expect([...f(x).dataSync()]).toEqual([0, 0, 1000, 1000])
      const gradient = grad((p: Tensor) => f(p).sum())(x)
      expect([...gradient.dataSync()].map((g) => g + 0)).toEqual([0, 0, -1, 1])
    }
  })

  test('targets of 0 and 1 mean -1 and 1 to the hinges', () => {
    const p = f64([[0.3, -2, 1.5]])
    expectNear(hinge(f64([[1, 0, 1]]), p), hinge(f64([[1, -1, 1]]), p), 0)
    expectNear(hinge(f64([[1, 0, 1]]), p), f64([(0.7 + 0 + 0) / 3]), 1e-15)
    // 0.5 is neither: then all targets are what they are.
    expectNear(hinge(f64([[1, 0, 0.5]]), p), f64([(0.7 + 1 + 0.25) / 3]), 1e-15)
  })

  test('derivatives at kinks are 0', () => {
    const at = (loss: Loss, t: number, p: number): number =>
      grad((x: Tensor) => loss(f64([t]), x).sum())(f64([p])).itemSync()
    expect(at(meanAbsoluteError, 1, 1) + 0).toBe(0)
    expect(at(hinge, 1, 1) + 0).toBe(0)
  })

  test('cosine similarity to nothing is 0, and its gradient is finite', () => {
    const f = (x: Tensor): Tensor => cosineSimilarity(f64([3, 4]), x)
    // Minus a sum of 0, as the reference has it.
    expect(f(f64([0, 0])).itemSync()).toBe(-0)
    expectNear(grad(f)(f64([0, 0])), f64([-0.6e7, -0.8e7]), 1e-12)
  })

  test('overlap losses are of all there is unless axes are given', () => {
    const [t, p] = [
      f64([
        [1, 0],
        [1, 1],
      ]),
      f64([
        [0.5, 0.5],
        [1, 0],
      ]),
    ]
    expectNear(dice(t, p), f64([1 - 3 / (5 + 1e-7)]).squeeze(), 1e-12)
    expect(dice(t, p, { axis: -1 }).shape).toEqual([2])
    expectNear(tversky(t, p), dice(t, p), 1e-7)
    expect(tversky(t, p, { alpha: 0, axis: 1 }).shape).toEqual([2])
  })
})

describe('bad arguments', () => {
  const t = tensor([[0, 1]])
  const p = tensor([[0.2, 0.8]])
  test.each<[() => unknown, new (m: string) => Error, RegExp]>([
    [
      () => meanSquaredError([0, 1] as never, p),
      ValueError,
      /meanSquaredError: yTrue must be a tensor, got Array; wrap it in tensor/,
    ],
    [() => meanSquaredError(t, null as never), ValueError, /yPred must be a tensor, got null/],
    [() => meanSquaredError(t, p, { reduction: 'avg' as never }), ValueError, /reduction "avg" is unknown/],
    [() => meanSquaredError(t, p, { axis: 2 }), ValueError, /axis 2 is out of range/],
    [() => meanSquaredError(tensor(1), tensor(2)), ValueError, /a scalar has no axes/],
    [
      () => binaryCrossentropy(t, p, { fromLogit: true } as never),
      ValueError,
      /option "fromLogit" is unknown; .* Did you mean "fromLogits"\?/,
    ],
    [
      () => binaryCrossentropy(t, p, { fromLogits: 1 as never }),
      ValueError,
      /fromLogits must be true or false, got 1/,
    ],
    [
      () => binaryCrossentropy(t, p, { labelSmoothing: 1.5 }),
      ValueError,
      /labelSmoothing must be a number in \[0, 1\], got 1.5/,
    ],
    [
      () => binaryCrossentropy(t, p, { epsilon: 0 }),
      ValueError,
      /epsilon must be a number in \(0, 0.5\), got 0/,
    ],
    [() => huber(t, p, { delta: -1 }), ValueError, /huber: delta must be a number above 0, got -1/],
    [() => huber(t, p, 3 as never), ValueError, /options must be an object, got 3/],
    [() => meanSquaredError(tensor(['a'], { dtype: 'string' }) as never, tensor([1])), DTypeError, /strings/],
    [
      () => categoricalCrossentropy(tensor([1]), p),
      ShapeError,
      /did you mean sparseCategoricalCrossentropy\?/,
    ],
    [() => sparseCategoricalCrossentropy(t, p), ShapeError, /did you mean categoricalCrossentropy\?/],
    [
      () => sparseCategoricalCrossentropy(tensor([0, 1]), p),
      ShapeError,
      /class numbers of shape \[1\] for predictions \[1,2\], got \[2\]/,
    ],
    [
      () => sparseCategoricalCrossentropy(tensor([2]), p),
      ValueError,
      /class 2 at position \[0\] is out of range; valid are 0..1/,
    ],
    [() => sparseCategoricalCrossentropy(tensor([-1]), p), ValueError, /class -1 at position/],
    [() => sparseCategoricalCrossentropy(tensor([0.5]), p), ValueError, /class 0.5 at position/],
    [() => sparseCategoricalCrossentropy(tensor([NaN]), p), ValueError, /class NaN at position/],
  ])('%#', (f, type, message) => {
    expect(f).toThrow(type)
    expect(f).toThrow(message)
  })
})

interface Fact {
  readonly area: string
  readonly name: string
  readonly input: { readonly [name: string]: number[] | undefined }
  readonly expected: number | number[]
  readonly tol: number
}

function readFacts(area: string): Fact[] {
  return Object.values(readOracle<Record<string, Fact>>('facts.json')).filter((f) => f.area === area)
}

/** As training weights samples: the mean of weight times value. */
function weighted(loss: Loss): Loss {
  return (yTrue, yPred, options) => {
    const { sampleWeight } = options as { readonly sampleWeight: number[] }
    return loss(yTrue, yPred).mul(tensor(sampleWeight)).mean()
  }
}

function mean(loss: Loss): Loss {
  return (yTrue, yPred, options) => loss(yTrue, yPred, { ...options, reduction: 'mean' })
}
