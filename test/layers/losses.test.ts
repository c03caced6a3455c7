import { describe, expect, test } from 'vitest'
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  meanSquaredError,
  ShapeError,
  sparseCategoricalCrossentropy,
  type Tensor,
  tensor,
  ValueError,
} from '@adjoint/core'
import { losses, type LossName, resolveLoss } from '../../packages/layers/src/losses.js'

describe('by name', () => {
  // Each name of the types, with the function it stands for; camel case where it differs.
  const names: readonly (readonly [LossName, keyof typeof losses])[] = [
    ['mse', 'meanSquaredError'],
    ['mean_squared_error', 'meanSquaredError'],
    ['meanSquaredError', 'meanSquaredError'],
    ['mae', 'meanAbsoluteError'],
    ['mean_absolute_error', 'meanAbsoluteError'],
    ['mape', 'meanAbsolutePercentageError'],
    ['mean_absolute_percentage_error', 'meanAbsolutePercentageError'],
    ['msle', 'meanSquaredLogarithmicError'],
    ['mean_squared_logarithmic_error', 'meanSquaredLogarithmicError'],
    ['huber', 'huber'],
    ['log_cosh', 'logCosh'],
    ['logCosh', 'logCosh'],
    ['bce', 'binaryCrossentropy'],
    ['binary_crossentropy', 'binaryCrossentropy'],
    ['binaryCrossentropy', 'binaryCrossentropy'],
    ['binary_focal_crossentropy', 'binaryFocalCrossentropy'],
    ['categorical_crossentropy', 'categoricalCrossentropy'],
    ['categorical_focal_crossentropy', 'categoricalFocalCrossentropy'],
    ['sparse_categorical_crossentropy', 'sparseCategoricalCrossentropy'],
    ['sparseCategoricalCrossentropy', 'sparseCategoricalCrossentropy'],
    ['kld', 'klDivergence'],
    ['kl_divergence', 'klDivergence'],
    ['poisson', 'poisson'],
    ['cosine_similarity', 'cosineSimilarity'],
    ['hinge', 'hinge'],
    ['squared_hinge', 'squaredHinge'],
    ['categorical_hinge', 'categoricalHinge'],
    ['dice', 'dice'],
    ['tversky', 'tversky'],
    ['ctc', 'ctc'],
    ['circle', 'circle'],
  ]
  test.each(names)('%s is %s', (name, key) => {
    expect(resolveLoss(name).fn).toBe(losses[key])
  })

  test('names are in the spelling of Keras', () => {
    expect(resolveLoss('mse').name).toBe('mse')
    expect(resolveLoss('meanSquaredError').name).toBe('mean_squared_error')
    expect(resolveLoss(losses.meanSquaredError).name).toBe('mean_squared_error')
    expect(
      resolveLoss(function distance(_t: Tensor, p: Tensor) {
        return p
      }).name,
    ).toBe('distance')
    expect(resolveLoss((_t: Tensor, p: Tensor) => p).name).toBe('loss')
  })

  test('each knows what targets it wants', () => {
    const kind = (spec: unknown, targets: number[], predictions: number[]): string =>
      resolveLoss(spec).kind(targets, predictions)
    expect(kind('bce', [8, 1], [8, 1])).toBe('binary')
    expect(kind(losses.categoricalCrossentropy, [8, 5], [8, 5])).toBe('categorical')
    expect(kind('sparse_categorical_crossentropy', [8], [8, 5])).toBe('sparse')
    expect(kind('mse', [8, 5], [8, 5])).toBe('other')
    expect(kind((t: Tensor) => t, [8, 5], [8, 5])).toBe('other')
    expect(kind('crossentropy', [8, 1], [8, 1])).toBe('binary')
    expect(kind('crossentropy', [8], [8, 5])).toBe('sparse')
    expect(kind('crossentropy', [8, 1], [8, 5])).toBe('sparse')
    expect(kind('crossentropy', [8, 5], [8, 5])).toBe('categorical')
  })

  test('"crossentropy" picks the one that fits the shapes', () => {
    const { fn } = resolveLoss('crossentropy')
    const p = tensor([[0.2, 0.8]])
    const value = (x: Tensor): number[] => [...x.dataSync()]
    expect(value(fn(tensor([[0, 1]]), p))).toEqual(value(categoricalCrossentropy(tensor([[0, 1]]), p)))
    expect(value(fn(tensor([1]), p))).toEqual(value(sparseCategoricalCrossentropy(tensor([1]), p)))
    const [t, yes] = [tensor([[1], [0]]), tensor([[0.7], [0.4]])]
    expect(value(fn(t, yes))).toEqual(value(binaryCrossentropy(t, yes)))
  })

  test.each<[unknown, RegExp]>([
    [
      'binary_crosentropy',
      /loss "binary_crosentropy" is unknown; known are .*\. Did you mean "binary_crossentropy"\?/,
    ],
    ['MSE ', /loss "MSE " is unknown/],
    ['', /loss "" is unknown/],
    ['toString', /loss "toString" is unknown/],
    ['constructor', /loss "constructor" is unknown/],
    ['hasOwnProperty', /loss "hasOwnProperty" is unknown/],
    ['valueOf', /loss "valueOf" is unknown/],
    ['__proto__', /loss "__proto__" is unknown/],
    [undefined, /loss: expected a name or a function, got undefined/],
    [null, /got null/],
    [{}, /got an object/],
    [['mse'], /got \["mse"\]/],
  ])('%o is refused', (spec, message) => {
    expect(() => resolveLoss(spec)).toThrow(ValueError)
    expect(() => resolveLoss(spec)).toThrow(message)
  })

  test('a name of a million characters is refused in no time, and cut in the message', () => {
    const start = performance.now()
    let message = ''
    try {
      resolveLoss('binary_crossentropy'.repeat(52632))
    } catch (error) {
      message = (error as Error).message
    }
    expect(performance.now() - start).toBeLessThan(50)
    expect(message.length).toBeLessThan(800)
    expect(message).toContain('…')
  })
})

describe("a user's loss", () => {
  const t = tensor([[1], [2], [3]])
  const lossOf =
    (fn: unknown): (() => Tensor) =>
    () =>
      resolveLoss(fn).fn(t, t)
  test('may return a value for each sample, for more than each, or one for all', () => {
    expect(lossOf((y: Tensor, p: Tensor) => meanSquaredError(y, p))().shape).toEqual([3])
    expect(lossOf((y: Tensor, p: Tensor) => y.sub(p))().shape).toEqual([3, 1])
    expect(lossOf((y: Tensor, p: Tensor) => y.sub(p).square().mean())().shape).toEqual([])
  })

  test.each<[string, unknown, new (m: string) => Error, RegExp]>([
    [
      'a number',
      function mine() {
        return 3
      },
      ValueError,
      /loss mine: expected a tensor, got number/,
    ],
    ['nothing', () => undefined, ValueError, /loss function: expected a tensor, got undefined/],
    ['a number, written in its place', { loss: () => 3 }.loss, ValueError, /^the loss function: expected/],
    ['a promise', async () => t, ValueError, /got Promise; a loss must be synchronous/],
    [
      'of another batch',
      () => tensor([1, 2]),
      ShapeError,
      /a value for each of 3 samples \(or one for all of them\), got \[2\]/,
    ],
  ])('must not return %s', (_, fn, type, message) => {
    expect(lossOf(fn)).toThrow(type)
    expect(lossOf(fn)).toThrow(message)
  })
})
