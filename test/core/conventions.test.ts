import {
  abs,
  clip,
  elu,
  grad,
  hypot,
  logAddExp,
  logSumExp,
  max,
  maximum,
  minimum,
  norm,
  pow,
  powScalar,
  relu,
  tanh,
  relu6,
  selu,
  softsign,
  sqrt,
  std,
  tensor,
  type Tensor,
  vjp,
  where,
  xlogy,
} from '@adjoint/core'
import { describe, expect, test } from 'vitest'

// Where there is no derivative, or where its formula would be 0 times infinity, one is taken by convention. The
// docstrings say which; here they are held to it.

const f64 = (values: number | readonly number[]): Tensor => tensor(values, { dtype: 'float64' })

type Point = readonly (number | readonly number[])[]

/** The gradients of the sum of `f` by each argument, as lists; -0 counts as 0. */
function gradients(f: (...xs: Tensor[]) => Tensor, at: Point): number[][] {
  const [out, pullback] = vjp((...xs: Tensor[]) => f(...xs).sum(), at.map(f64))
  expect(out.rank).toBe(0)
  return pullback(f64(1)).map((g) => Array.from(g.dataSync(), (value) => value + 0))
}

const cases: Readonly<
  Record<string, readonly [f: (...xs: Tensor[]) => Tensor, at: Point, expected: number[][]]>
> = {
  'abs at 0 is 0': [(x) => abs(x), [0], [[0]]],
  'relu at 0 is 0': [(x) => relu(x), [0], [[0]]],
  'relu6 at both corners is 0': [(x) => relu6(x), [[0, 6]], [[0, 0]]],
  'clip on its bounds is 1': [(x) => clip(x, -1, 1), [[-2, -1, 0, 1, 2]], [[0, 1, 1, 1, 0]]],
  'elu at 0 is alpha': [(x) => elu(x, 0.5), [0], [[0.5]]],
  'elu far up is 1': [(x) => elu(x), [1000], [[1]]],
  'sqrt at 0 is Infinity': [(x) => sqrt(x), [0], [[Infinity]]],
  'maximum of equals is a half of each': [(x, y) => maximum(x, y), [1, 1], [[0.5], [0.5]]],
  'minimum of equals is a half of each': [(x, y) => minimum(x, y), [1, 1], [[0.5], [0.5]]],
  'max is shared by the largest': [(x) => max(x), [[3, 1, 3, 3]], [[1 / 3, 0, 1 / 3, 1 / 3]]],
  'hypot at the origin is 0': [(x, y) => hypot(x, y), [0, 0], [[0], [0]]],
  'norm at the origin is 0': [(x) => norm(x), [[0, 0]], [[0, 0]]],
  'std of equal values is 0': [(x) => std(x), [[2, 2, 2]], [[0, 0, 0]]],
  'x^0 is 0 by x, also at 0': [(x, y) => pow(x, y), [[0, 2], 0], [[0, 0], [Math.log(2)]]],
  'x^y at x = 0 is 0 by y, for y >= 0': [(x, y) => pow(x, y), [0, [1, 2]], [[1], [0, 0]]],
  'x to the fixed power 0 is 0, also at 0 and Infinity': [(x) => powScalar(x, 0), [[0, Infinity]], [[0, 0]]],
  'x to the fixed power 1 is 1, also at 0': [(x) => powScalar(x, 1), [0], [[1]]],
  'x log y at x = 0 is log y by x and 0 by y': [(x, y) => xlogy(x, y), [0, 2], [[Math.log(2)], [0]]],
  'x log y at x = y = 0 is 0 by y': [(y) => xlogy(f64(0), y), [0], [[0]]],
  'a sum of exponentials of -Infinity has no shares': [
    (x) => where(f64(0).greater(1), logSumExp(x), 0),
    [[-Infinity, -Infinity]],
    [[0, 0]],
  ],
  'logAddExp of equals is a half of each': [(x, y) => logAddExp(x, y), [2, 2], [[0.5], [0.5]]],
  'no NaN comes from the branch not taken': [(x) => where(x.greater(0), x.log(), 0), [[-1, 2]], [[0, 0.5]]],
}

describe('the derivative of', () => {
  test.each(Object.keys(cases))('%s', (name) => {
    const [f, at, expected] = cases[name]!
    const found = gradients(f, at)
    expect(found.map((list) => list.length)).toEqual(expected.map((list) => list.length))
    found.flat().forEach((value, i) => {
      const wanted = expected.flat()[i]!
      if (Number.isFinite(wanted)) expect(Math.abs(value - wanted)).toBeLessThanOrEqual(4 * Number.EPSILON)
      else expect(value).toBe(wanted)
    })
  })
})

describe('the second derivative of', () => {
  const second = (f: (x: Tensor) => Tensor, at: number): number => grad(grad(f))(f64(at)).itemSync() + 0
  const linear: Readonly<Record<string, readonly [(x: Tensor) => Tensor, number]>> = {
    'elu far up': [(x) => elu(x), 1000],
    'selu far up': [(x) => selu(x), 1000],
    'relu6 above its corner': [(x) => relu6(x), 7],
    'clip beyond a bound': [(x) => clip(x.square(), 0, 1), 2],
    'the softsign far up': [(x) => softsign(x), 1e200],
  }
  test.each(Object.keys(linear))('%s is 0', (name) => {
    const [f, at] = linear[name]!
    expect(second(f, at)).toBe(0)
  })
})

test('tanh has all its derivatives where cosh overflows', () => {
  const far = tensor([-800, -30, 0.5, 30, 800], { dtype: 'float64' })
  const first = grad((x: Tensor) => tanh(x).sum())
  const second = grad((x: Tensor) => first(x).sum())
  const third = grad((x: Tensor) => second(x).sum())
  expect([...first(far).dataSync()].map((v) => v > 0.78 || (v >= 0 && v < 1e-20))).toEqual(
    new Array(5).fill(true),
  )
  expect(second(far).dataSync()[2]).toBeCloseTo(-2 * Math.tanh(0.5) * (1 - Math.tanh(0.5) ** 2), 14)
  for (const derivative of [second, third])
    expect(derivative(far).dataSync().every(Number.isFinite)).toBe(true)
})
