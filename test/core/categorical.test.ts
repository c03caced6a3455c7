import {
  BackendError,
  compile,
  DTypeError,
  random,
  setSeed,
  ShapeError,
  tensor,
  type Tensor,
  ValueError,
  variable,
  withBackend,
  zeros,
} from '@adjoint/core'
import { abstractBackend, plainBackend, randomState } from '@adjoint/core/extend'
import { describe, expect, it, test } from 'vitest'

const seeded = { seed: 5 }
const f64 = (values: number[]): Tensor => tensor(values, { dtype: 'float64' })

/** Pearson's statistic for the counts of classes that should have these probabilities. */
function chiSquare(classes: ArrayLike<number>, probabilities: readonly number[]): number {
  const counts = new Array<number>(probabilities.length).fill(0)
  for (let i = 0; i < classes.length; i++) counts[classes[i]!]!++
  return probabilities.reduce(
    (sum, p, k) =>
      sum +
      (p === 0 ? counts[k]! * Infinity || 0 : (counts[k]! - p * classes.length) ** 2 / (p * classes.length)),
    0,
  )
}

describe('random.categorical', () => {
  // Exceeded once in a thousand, for 4 degrees of freedom.
  const MOST = 18.47

  it('draws classes with the probabilities of softmax', () => {
    const probabilities = [0.5, 0, 0.3, 0.15, 0.05]
    for (const shift of [0, 1000, -1000]) {
      const logits = f64(probabilities.map((p) => Math.log(p) + shift))
      expect(chiSquare(random.categorical(logits, 50_000, seeded).dataSync(), probabilities)).toBeLessThan(
        MOST,
      )
    }
    expect(
      chiSquare(random.categorical(zeros([5]), 50_000, seeded).dataSync(), [0.2, 0.2, 0.2, 0.2, 0.2]),
    ).toBeLessThan(MOST)
  })

  it('draws each row by itself, and each draw from its own number', () => {
    const rows = tensor([
      [0, -Infinity, 0],
      [-Infinity, 0, -Infinity],
      [0, 0, 0],
    ])
    const out = random.categorical(rows, 20_000, seeded)
    expect([out.shape, out.dtype]).toEqual([[3, 20_000], 'int32'])
    const [a, b, c] = out.arraySync() as number[][]
    expect(chiSquare(a!, [0.5, 0, 0.5])).toBeLessThan(MOST)
    expect(new Set(b)).toEqual(new Set([1]))
    expect(chiSquare(c!, [1 / 3, 1 / 3, 1 / 3])).toBeLessThan(MOST)
    // 0 or 2 of the first row beside each class of the last: all six as often as each other.
    const pairs = a!.map((k, i) => (k / 2) * 3 + c![i]!)
    expect(chiSquare(pairs, new Array<number>(6).fill(1 / 6))).toBeLessThan(20.52)
  })

  it('has one draw for each row unless a count is given', () => {
    expect(random.categorical(zeros([2, 3, 4])).shape).toEqual([2, 3])
    expect(random.categorical(zeros([4])).shape).toEqual([])
    expect(random.categorical(zeros([2, 4]), 0).shape).toEqual([2, 0])
    expect(random.categorical(zeros([0, 4]), 3).shape).toEqual([0, 3])
    expect(random.categorical(zeros([3, 1]), 2).arraySync()).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ])
    expect(random.categorical(tensor([1, 2], { dtype: 'int32' })).dtype).toBe('int32')
  })

  it('is the same for the same seed, and takes one stream of the global one', () => {
    const draw = () => random.categorical(zeros([2, 9]), 5, seeded).arraySync()
    expect(draw()).toEqual(draw())
    const after = (use: () => unknown) => {
      setSeed(3)
      use()
      return random.uniform([2]).arraySync()
    }
    expect(after(() => random.categorical(zeros([2, 9]), 5))).toEqual(after(() => random.normal([1])))
    expect(random.categorical(zeros([1, 100]), 6, { seed: 42 }).arraySync()).toMatchInlineSnapshot(`
      [
        [
          89,
          21,
          29,
          2,
          97,
          68,
        ],
      ]
    `)
  })

  it('draws nothing while shapes are inferred', () => {
    expect(withBackend(abstractBackend, () => random.categorical(zeros([2, 9]), 5)).shape).toEqual([2, 5])
  })

  test.each([
    [
      () =>
        random.categorical(
          tensor([
            [0, 1],
            [NaN, 0],
          ]),
        ),
      ValueError,
      /logit at \[1, 0\] is NaN/,
    ],
    [() => random.categorical(tensor([0, Infinity])), ValueError, /logit at \[1\] is Infinity/],
    [
      () =>
        random.categorical(
          tensor([
            [0, 1],
            [-Infinity, -Infinity],
          ]),
        ),
      ValueError,
      /all logits of row \[1\] are -Infinity/,
    ],
    [() => random.categorical(tensor(1)), ShapeError, /logits \[\] have no classes/],
    [() => random.categorical(zeros([3, 0])), ShapeError, /logits \[3,0\] have no classes/],
    [() => random.categorical([0.5, 0.5] as never), ValueError, /must be a tensor.*tensor\(…\)/],
    [() => random.categorical(tensor(['a'], { dtype: 'string' }) as never), DTypeError, /strings/],
    [() => random.categorical(zeros([3]), -1), ShapeError, /-1/],
    [() => random.categorical(zeros([3]), 1.5), ShapeError, /1\.5/],
    [() => random.categorical(zeros([3]), 1, { sed: 1 } as never), ValueError, /Did you mean "seed"/],
  ] as const)('%s is refused', (call, kind, message) => {
    const before = randomState()
    expect(call).toThrow(kind)
    expect(call).toThrow(message)
    expect(randomState()).toEqual(before)
  })

  it('says so where logits have no values', () => {
    const logits = withBackend(abstractBackend, () => zeros([3]))
    expect(() => random.categorical(logits)).toThrow(BackendError)
  })

  it('draws anew in every run of a plan, the same as without one', () => {
    const noise = random.normal([7, 23], { seed: 1, std: 3 })
    for (const [logits, count] of [
      [noise, 40],
      [noise.mul(0), undefined],
      [f64([0, -Infinity, 0]), 3],
      [tensor([3, 1], { dtype: 'int32' }), undefined],
      [zeros([2, 4]), 0],
    ] as const) {
      const f = (x: Tensor): Tensor => random.categorical(x.add(0), count)
      const planned = compile(f)
      planned(logits)
      setSeed(5)
      const got = [planned(logits), planned(logits)]
      setSeed(5)
      const wanted = [f(logits), f(logits)]
      expect(got.map((x) => [x.dtype, x.arraySync()])).toEqual(wanted.map((x) => [x.dtype, x.arraySync()]))
    }
  })

  it('sees in every run of a plan what a variable holds then', () => {
    const logits = variable([0, -Infinity, -Infinity])
    const planned = compile(() => random.categorical(logits, 5))
    expect([...planned().dataSync()]).toEqual([0, 0, 0, 0, 0])
    logits.assign(tensor([-Infinity, -Infinity, 0]))
    expect([...planned().dataSync()]).toEqual([2, 2, 2, 2, 2])
  })

  it('refuses the same logits in plans', () => {
    const planned = compile((x: Tensor) => random.categorical(x, 4))
    expect(planned(zeros([2, 2])).shape).toEqual([2, 4])
    const bad = (values: number[]) => () => planned(tensor(values, { shape: [2, 2] }))
    const before = randomState()
    expect(bad([0, 1, NaN, 0])).toThrow(/random.categorical: the logit at \[1, 0\] is NaN/)
    expect(bad([0, Infinity, 1, 0])).toThrow(/the logit at \[0, 1\] is Infinity/)
    expect(bad([0, 1, -Infinity, -Infinity])).toThrow(/all logits of row \[1\] are -Infinity/)
    expect(randomState()).toEqual(before)
  })

  it('draws on devices that read asynchronously too', async () => {
    const device = { ...plainBackend, name: 'device' }
    delete device.readSync
    const probabilities = [0.5, 0, 0.3, 0.15, 0.05]
    const out = withBackend(device, () =>
      random.categorical(tensor(probabilities.map((p) => Math.log(p))), 50_000, seeded),
    )
    expect(chiSquare(await out.data(), probabilities)).toBeLessThan(MOST)
  })
})
