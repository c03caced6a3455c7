// The losses whose targets are class numbers in a shape of their own: CTC and circle.
import { checkGradients } from '@adjoint/core/testing'
import {
  dense,
  input,
  losses,
  model,
  random,
  sequential,
  setSeed,
  ShapeError,
  tensor,
  unitNormalization,
  ValueError,
} from '@adjoint/layers'
import type { Tensor } from '@adjoint/layers'
import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'

const f64 = (values: number[], shape: number[]): Tensor => tensor(values, { shape, dtype: 'float64' })
const numbers = (x: Tensor): number[] => [...x.dataSync()]

describe('CTC', () => {
  // keras/src/losses/losses_test.py, CTCTest.test_correctness
  test('is that of Keras', () => {
    const logits = f64(
      Array.from({ length: 24 }, (_, i) => (i - 12) / 100),
      [2, 4, 3],
    )
    const labels = tensor([
      [1, 2, 1, 0],
      [1, 2, 0, 2],
    ])
    expect(losses.ctc(labels, logits, { reduction: 'mean' }).itemSync()).toBeCloseTo(2.448645, 5)
  })

  /** Labels without repeats, then without blanks. */
  const collapsed = (path: readonly number[]): number[] =>
    path.filter((c, i) => c !== path[i - 1]).filter((c) => c !== 0)
  const classes = 3
  const paths = (steps: number): number[][] =>
    steps === 0 ? [[]] : paths(steps - 1).flatMap((p) => [0, 1, 2].map((c) => [...p, c]))

  test.prop([
    fc.integer({ min: 1, max: 4 }),
    fc.array(fc.integer({ min: 1, max: classes - 1 }), { maxLength: 3 }),
    fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 12, maxLength: 12 }),
  ])('is -log of the sum over all paths that collapse to the labels', (steps, labels, values) => {
    const logits = values.slice(0, steps * classes)
    const rows = Array.from({ length: steps }, (_, t) => {
      const exps = logits.slice(t * classes, (t + 1) * classes).map(Math.exp)
      return exps.map((e) => e / exps.reduce((a, b) => a + b, 0))
    })
    const total = paths(steps)
      .filter((path) => JSON.stringify(collapsed(path)) === JSON.stringify(labels))
      .reduce((sum, path) => sum + path.reduce((p, c, t) => p * rows[t]![c]!, 1), 0)
    const padded = [...labels, ...new Array<number>(3 - labels.length).fill(0)]
    const got = losses.ctc(tensor([padded]), f64(logits, [1, steps, classes])).itemSync()
    if (total === 0) expect(got).toBeGreaterThan(9e4)
    else expect(Math.abs(got + Math.log(total))).toBeLessThan(1e-9)
  })

  test('its gradients are those of finite differences', () => {
    const labels = tensor([
      [1, 1, 0],
      [2, 1, 2],
    ])
    const logits = random.normal([2, 5, 3], { seed: 3, dtype: 'float64' })
    checkGradients((x: Tensor) => losses.ctc(labels, x), [logits])
    checkGradients((x: Tensor) => losses.ctc(labels, x), [logits], { order: 2 })
  })

  test('what is no label, and other ranks, are refused', () => {
    const logits = f64(new Array<number>(12).fill(0), [1, 4, 3])
    expect(() => losses.ctc(tensor([[3]]), logits)).toThrow(ValueError)
    expect(() => losses.ctc(tensor([1]), logits)).toThrow(ShapeError)
    expect(() => losses.ctc(tensor([1]), logits)).toThrow(
      /ctc: expected targets \[batch, labels\] and logits \[batch, steps, classes\], got \[1\] and \[1,4,3\]/,
    )
    expect(() => losses.ctc(tensor([[1], [1]]), logits)).toThrow(ShapeError)
    expect(() => losses.ctc({ reducton: 'sum' } as never)).toThrow(/Did you mean "reduction"/)
  })

  test('a model learns to write labels in order', async () => {
    setSeed(1)
    const m = sequential([dense(4, { inputShape: [6, 5] })])
    m.compile({ optimizer: 'adam', loss: 'ctc' })
    m.optimizer.learningRate = 0.05
    const x = random.normal([8, 6, 5], { seed: 4 })
    const y = Array.from({ length: 8 }, (_, i) => [1 + (i % 3), 1 + ((i + 1) % 3), 0])
    const { history } = await m.fit(x, y, { epochs: 60, verbose: 0 })
    expect(history.loss.at(-1)!).toBeLessThan(history.loss[0]! / 2)
    expect(await m.evaluate(x, y, { verbose: 0 })).toMatchObject({ loss: expect.any(Number) as number })
  })
})

describe('circle', () => {
  // keras/src/losses/losses_test.py, CircleTest
  const labels = tensor([1, 1, 2, 2, 3])
  const vectors = f64(
    [
      0.70014004, -0.42008403, 0.14002801, 0.56011203, 0.17609018, 0.70436073, -0.52827054, 0.44022545,
      -0.34050261, 0.25537696, -0.68100522, 0.59587957, 0.32163376, -0.75047877, 0.53605627, -0.21442251,
      0.51261459, -0.34174306, 0.17087153, 0.76892189,
    ],
    [5, 4],
  )
  const others = f64(
    [
      0.40824829, -0.54433105, 0.27216553, 0.68041382, 0.76376261, 0.10910895, -0.54554473, 0.32732684,
      -0.74420841, 0.24806947, 0.49613894, -0.3721042, 0.52981294, -0.13245324, 0.79471941, -0.26490647,
      0.54554473, -0.32732684, 0.10910895, 0.76376261, -0.27216553, 0.68041382, 0.40824829, -0.54433105,
    ],
    [6, 4],
  )

  test('is that of Keras', () => {
    expect(losses.circle(labels, vectors, { reduction: 'mean' }).itemSync()).toBeCloseTo(188.3883, 3)
    const other = losses.circle(labels, vectors, { gamma: 256, margin: 0.25, reduction: 'mean' })
    expect(other.itemSync()).toBeCloseTo(652.7617, 3)
    const each = numbers(losses.circle(tensor([1, 1, 2, 2, 3, 4]), others))
    ;[82.9116, 36.7942, 92.459, 52.6798, 0, 0].forEach((want, i) => expect(each[i]).toBeCloseTo(want, 3))
  })

  test('its gradients are those of finite differences, also of samples without a pair', () => {
    const x = random.normal([4, 3], { seed: 5, dtype: 'float64' })
    for (const removeDiagonal of [true, false])
      checkGradients(
        (v: Tensor) =>
          losses.circle(tensor([1, 1, 2, 3]), v.div(v.square().sum(-1, true).sqrt()), {
            gamma: 2,
            removeDiagonal,
          }),
        [x],
      )
  })

  test('other shapes and options are refused', () => {
    expect(() => losses.circle(tensor([1, 2]), vectors)).toThrow(/circle: expected class numbers \[batch\]/)
    expect(() => losses.circle({ gamma: 0 })).toThrow(/circle: gamma must be a finite number above 0, got 0/)
  })

  test('a model learns to bring a class together', async () => {
    setSeed(2)
    const x = input({ shape: [4] })
    const m = model({ inputs: x, outputs: unitNormalization()(dense(3)(x)) })
    m.compile({ optimizer: 'adam', loss: losses.circle({ gamma: 4 }) })
    m.optimizer.learningRate = 0.03
    const data = random.normal([12, 4], { seed: 6 })
    const y = Array.from({ length: 12 }, (_, i) => i % 3)
    const { history } = await m.fit(data, y, { epochs: 40, verbose: 0 })
    expect(history.loss.at(-1)!).toBeLessThan(history.loss[0]! * 0.8)
    // The mean of those that have a pair, as in Keras.
    const alone = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    const of = losses.circle(tensor(alone), m(data), { gamma: 4, reduction: 'mean' })
    expect((await m.evaluate(data, alone, { verbose: 0 })).loss).toBeCloseTo(of.itemSync(), 5)
    const column = y.map((c) => [c])
    const { loss } = await m.evaluate(data, column, { verbose: 0 })
    expect(loss).toBeCloseTo((await m.evaluate(data, y, { verbose: 0 })).loss, 6)
  })
})
