import {
  compile,
  detectAnomalies,
  grad,
  hvp,
  isFinite,
  jvp,
  logicalNot,
  logSoftmax,
  logSumExp,
  onesLike,
  softmax,
  tensor,
  type Tensor,
  type FloatDType,
  transpose,
  where,
  xlogy,
} from '@adjoint/core'
import { type AnyRow, apply, rows } from '@adjoint/core/extend'
import { describe, expect, it, test } from 'vitest'
import { type Scalar, scalars } from '../support/scalars.js'

/** The last are the largest and the smallest, nearly. */
const SPECIAL: Readonly<Record<FloatDType, readonly number[]>> = {
  float64: [NaN, Infinity, -Infinity, 0, -0, 1.5, -1.5, 1e308, -1e308, 5e-324],
  float32: [NaN, Infinity, -Infinity, 0, -0, 1.5, -1.5, 3e38, -3e38, 2 ** -149].map(Math.fround),
}
const SMALLEST: Readonly<Record<FloatDType, number>> = { float64: 5e-324, float32: 2 ** -149 }
/** Of rounding, beside the last digit's. */
const DIGITS: Readonly<Record<FloatDType, number>> = { float64: 1e-14, float32: 2 ** -23 }
const of = (dtype: FloatDType, values: readonly number[]): Tensor => tensor(values as number[], { dtype })
const f64 = (values: readonly number[]): Tensor => of('float64', values)
const rounded = (dtype: FloatDType, x: number): number => (dtype === 'float32' ? Math.fround(x) : x)

/** Where the plain formulas of scalars.ts lose the meaning; here as IEEE 754 and Python have it. */
const AT_SPECIAL: Readonly<Record<string, Scalar>> = {
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  hypot: (x, y) => Math.hypot(x, y),
  xlogy: (x, y) => (x === 0 && !Number.isNaN(y) ? 0 : x * Math.log(y)),
  fmod: (x, y) => x % y,
  // The remainder has the sign of the divisor.
  mod: (x, y) => (x % y !== 0 && x % y < 0 !== y < 0 ? (x % y) + y : x % y),
  erf: (x) => (x === 0 || Math.abs(x) < 1e-30 ? x * 1.1283791670955126 : Math.sign(x) * limit(x)),
  erfc: (x) => (Math.abs(x) < 1e-30 ? 1 : 1 - Math.sign(x) * limit(x)),
  logAddExp: (x, y) => {
    const most = x !== x || y !== y ? NaN : Math.max(x, y)
    return Number.isFinite(most) ? most + Math.log1p(Math.exp(-Math.abs(x - y))) : most
  },
  logSigmoid: (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  logCosh: (x) => Math.abs(x) + Math.log1p(Math.exp(-2 * Math.abs(x))) - Math.LN2,
  // Its limit, where the plain formula is Infinity times 0.
  mishSlope: (x) => (x === Infinity ? 1 : scalars.get('mishSlope')!(x)),
  // -Infinity times 0, which PyTorch 1.13 gives too; so it does for silu and mish.
  gelu: (x) =>
    x === -Infinity ? NaN : Math.abs(x) < 1e-30 ? x / 2 : x > 2 ? x : x < -2 ? -0 : scalars.get('gelu')!(x),
}
/** erf of the size of what is far from 0, or 1.5. */
const limit = (x: number): number => (Number.isNaN(x) ? NaN : Math.abs(x) > 2 ? 1 : 0.9661051464753108)

/** Their plain references have no meaning beyond the finite, or say nothing of a NaN that chooses between two. */
const LEFT_OUT = ['share', 'floorDiv', 'geluSlope', 'geluTanhSlope']

const elementwise = [...rows.values()].filter(
  ({ fn, args, name }) =>
    fn !== undefined && fn.params.length === 0 && args.length <= 2 && !LEFT_OUT.includes(name),
)

const cases = (['float64', 'float32'] as const).flatMap((dtype) =>
  elementwise.map((row) => [row.name, dtype, row] as const),
)

describe.each(cases)('%s in %s', (name, dtype, row) => {
  const reference = AT_SPECIAL[name] ?? scalars.get(name)!
  const special = SPECIAL[dtype]
  const inputs: readonly (readonly number[])[] =
    row.args.length === 1 ? special.map((x) => [x]) : special.flatMap((x) => special.map((y) => [x, y]))

  test('at NaN, the infinities, both zeros, the largest and the smallest is what its reference is', () => {
    for (const xs of inputs) {
      const value = valueAt(row, dtype, xs)
      const wanted = rounded(dtype, reference(...xs))
      // Beside rounding, one step among the smallest numbers.
      const allowed = DIGITS[dtype] * Math.abs(wanted) + SMALLEST[dtype]
      const isNear = Number.isFinite(wanted) && Math.abs(value - wanted) <= allowed
      if (!Object.is(value, wanted) && value !== wanted && !isNear)
        expect.fail(`${name}(${xs.join(', ')}) is ${value}, the reference is ${wanted}`)
    }
  })

  test('is the same among others, in any layout', () => {
    const one = inputs.map((xs) => valueAt(row, dtype, xs))
    const columns = row.args.map((_, i) =>
      of(
        dtype,
        inputs.map((xs) => xs[i]!),
      ),
    )
    expect([...apply(row, columns, {}).dataSync()]).toEqual(one)
    const turned = columns.map((x) => transpose(x.reshape([special.length, -1])))
    expect([...transpose(apply(row, turned, {})).dataSync()]).toEqual(one)
    if (row.args.length === 2) {
      const [x, y] = [of(dtype, special).reshape([-1, 1]), of(dtype, special)]
      expect([...apply(row, [x, y], {}).dataSync()]).toEqual(one)
    }
  })
})

function valueAt(row: AnyRow, dtype: FloatDType, xs: readonly number[]): number {
  return apply(
    row,
    xs.map((x) => of(dtype, [x])),
    {},
  ).dataSync()[0]!
}

describe.each(['float64', 'float32'] as const)('reductions of special values in %s', (dtype) => {
  const special = SPECIAL[dtype]
  const lists = special.flatMap((x) => special.map((y) => [1, x, y, -2]))
  const whole = of(dtype, lists.flat()).reshape([-1, 4])
  const references: Readonly<Record<string, (list: readonly number[]) => number>> = {
    sum: (list) => list.reduce((a, b) => a + b),
    mean: (list) => list.reduce((a, b) => a + b) / 4,
    prod: (list) => list.reduce((a, b) => a * b),
    max: (list) => Math.max(...list),
    min: (list) => Math.min(...list),
    logSumExp: (list) => {
      const most = Math.max(...list)
      if (!Number.isFinite(most)) return most
      return most + Math.log(list.map((x) => Math.exp(x - most)).reduce((a, b) => a + b))
    },
    argMax: (list) => list.findIndex((x) => Object.is(x, Math.max(...list)) || x === Math.max(...list)),
    argMin: (list) => list.findIndex((x) => Object.is(x, Math.min(...list)) || x === Math.min(...list)),
  }
  test.each(Object.entries(references))(
    '%s is what a plain loop gives, along any axis',
    (name, reference) => {
      const reduce = (x: Tensor, axis: number): number[] => [
        ...(x as unknown as Record<string, (axis: number) => Tensor>)[name]!(axis).dataSync(),
      ]
      const wanted = lists.map((list) => rounded(dtype, reference(list)))
      for (const got of [reduce(whole, 1), reduce(transpose(whole), 0)])
        got.forEach((value, i) => {
          const largest = Math.max(...lists[i]!.map(Math.abs).filter(Number.isFinite))
          // Sums of float32 numbers are kept in float64, in an order of their own.
          const order = dtype === 'float32' ? 2 ** -52 * largest : 0
          const allowed = (DIGITS[dtype] / 8) * Math.abs(wanted[i]!) + order
          const isNear = Number.isFinite(wanted[i]) && Math.abs(value - wanted[i]!) <= allowed
          if (!Object.is(value, wanted[i]) && value !== wanted[i] && !isNear)
            expect.fail(`${name} of ${lists[i]!.join(', ')} is ${value}, a loop gives ${wanted[i]}`)
        })
    },
  )
})

describe('masks keep what they hide out of gradients', () => {
  const x = f64([-1, 0, NaN, Infinity, 2])
  const isGood = tensor([false, false, false, false, true])
  const functions: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    log: (t) => t.log(),
    sqrt: (t) => t.sqrt(),
    reciprocal: (t) => t.reciprocal(),
    'x / x': (t) => t.div(t.mul(0).add(t)),
    'x^x': (t) => t.pow(t),
    'log of log': (t) => t.add(1).log().log(),
    acosh: (t) => t.acosh(),
    'exp of exp': (t) => t.mul(1000).exp().exp(),
    xlogy: (t) => xlogy(t, t),
    'several of them': (t) => t.sqrt().add(t.log()).sigmoid().div(t),
  }
  const onInput = (f: (t: Tensor) => Tensor) => (t: Tensor) => where(isGood, f(where(isGood, t, 1.5)), 0)
  const masks: Readonly<Record<string, (f: (t: Tensor) => Tensor) => (t: Tensor) => Tensor>> = {
    'on the input': onInput,
    'on the output alone': (f) => (t) => where(isGood, f(t), 0),
    'the other way round': (f) => (t) => where(logicalNot(isGood), 0, f(t)),
    'in two parts': (f) => (t) => where(t.greater(0), where(isFinite(t), f(t), 0), 0),
    'of one column': (f) => (t) => where(isGood.reshape([5, 1]), f(t.reshape([5, 1])), 0),
  }

  describe.each(Object.entries(masks))('%s', (_, hide) => {
    test.each(Object.entries(functions))('%s', (__, f) => {
      const masked = (t: Tensor): Tensor => hide(f)(t).sum()
      const first = grad(masked)(x)
      const second = grad((t: Tensor) => grad(masked)(t).sum())
      for (const found of [first, compile(grad(masked))(x), second(x), hvp(masked)([x], [onesLike(x)])[0]])
        expect([...found.dataSync().subarray(0, 4)].map(Math.abs)).toEqual([0, 0, 0, 0])
      // Where the mask is open it changes nothing.
      const one = f64([2])
      const free = grad((t: Tensor) => f(t).sum())
      expect(first.dataSync()[4]).toBe(free(one).dataSync()[0])
      expect(second(x).dataSync()[4]).toBe(grad((t: Tensor) => free(t).sum())(one).dataSync()[0])
      const along = tensor([4, 5, 6, 7, 8], { dtype: 'float64' })
      expect(jvp(masked, [x], [along])[1].itemSync()).toBeCloseTo(8 * first.dataSync()[4]!, 10)
    })
  })

  it('is told apart from what makes NaN where it is not hidden', () => {
    const roots = tensor([0, 4])
    const shown = (t: Tensor): Tensor => where(t.greaterEqual(0), t.sqrt(), 0).sum()
    const hidden = (t: Tensor): Tensor => where(t.greater(0), t.sqrt(), 0).sum()
    expect([...detectAnomalies(() => grad(hidden)(roots)).dataSync()]).toEqual([0, 0.25])
    expect(() => detectAnomalies(() => grad(shown)(roots))).toThrow(/sqrt: made Infinity .* gradient of sqrt/)
  })

  it('keeps what a value gives elsewhere', () => {
    // x reaches the output under the mask, and beside it.
    const f = (t: Tensor): Tensor => where(t.greater(0), t.log(), 0).add(t.square()).sum()
    expect([...grad(f)(f64([-1, 0, 2])).dataSync()]).toEqual([-2, 0, 4.5])
    const both = (t: Tensor): Tensor => {
      const h = t.mul(2)
      return where(t.greater(0), h.log(), h.exp()).sum()
    }
    const g = grad(both)(f64([-1, 2])).dataSync()
    expect(g[0]).toBeCloseTo(2 * Math.exp(-2), 14)
    expect(g[1]).toBe(0.5)
  })

  it('hides scores that are -Infinity', () => {
    const masked = onInput((t) => softmax(where(isGood, t, -Infinity)))
    expect([...grad((t: Tensor) => masked(t).sum())(x).dataSync()].map(Math.abs)).toEqual([0, 0, 0, 0, 0])
  })

  it('and clip, relu, maximum and minimum hide what they replace', () => {
    const bad = f64([-Infinity, Infinity, -1, 2])
    expect([...grad((t: Tensor) => t.clip(0, 1).log1p().sum())(bad).dataSync()].map(Math.abs)).toEqual([
      0, 0, 0, 0,
    ])
    expect([...grad((t: Tensor) => t.relu().minimum(1).sum())(bad).dataSync()].map(Math.abs)).toEqual([
      0, 0, 0, 0,
    ])
    expect(
      [...grad((t: Tensor) => t.maximum(-3).minimum(3).square().sum())(bad).dataSync()].map((g) => g + 0),
    ).toEqual([0, 0, -2, 4])
    // Also where what comes back to it is infinite: the slope of log at 0, of sqrt at 0.
    const slopes = (f: (t: Tensor) => Tensor): number[] =>
      Array.from(grad((t: Tensor) => f(t).sum())(bad).dataSync(), Math.abs)
    expect(slopes((t) => t.maximum(0).log())).toEqual([0, 0, 0, 0.5])
    expect(slopes((t) => t.neg().minimum(0).neg().sqrt())).toEqual([0, 0, 0, 0.5 / Math.SQRT2])
  })

  it('scores of -Infinity have no share, and no gradient', () => {
    const scores = f64([1, -Infinity, 2])
    const share = Math.exp(1) / (Math.exp(1) + Math.exp(2))
    for (const f of [
      (t: Tensor) => logSumExp(t),
      (t: Tensor) => softmax(t).slice('0').log(),
      (t: Tensor) => logSoftmax(t).slice('2'),
    ]) {
      const g = [...grad(f)(scores).dataSync()]
      expect(g.every(Number.isFinite)).toBe(true)
      expect(Math.abs(g[1]!)).toBe(0)
    }
    expect(grad((t: Tensor) => logSumExp(t))(scores).dataSync()[0]).toBeCloseTo(share, 14)
  })
})

describe('gradients far out, where squares overflow or vanish in float32', () => {
  const slopes = (f: (x: Tensor) => Tensor, ...xs: number[]): number[] => [
    ...grad((x: Tensor) => f(x).sum())(tensor(xs)).dataSync(),
  ]
  const near = (got: readonly number[], wanted: readonly number[]): void => {
    for (const [i, w] of wanted.entries()) expect(got[i]! / w).toBeCloseTo(1, 5)
  }

  it('asinh and acosh fall as 1 / |x|', () => {
    near(
      slopes((x) => x.asinh(), 1e30, -1e25, 3),
      [1e-30, 1e-25, 1 / Math.sqrt(10)],
    )
    near(
      slopes((x) => x.acosh(), 1e30, 1e25, 3),
      [1e-30, 1e-25, 1 / Math.sqrt(8)],
    )
  })

  it('acosh has none where it is no number', () => {
    expect(slopes((x) => x.acosh(), -2, 0.5)).toEqual([NaN, NaN])
  })

  it('atan2 turns by 1 / the distance', () => {
    for (const r of [1e30, 1e-30, 5]) {
      const [dy, dx] = grad((y: Tensor, x: Tensor) => y.atan2(x), { argnums: [0, 1] })(
        tensor(3 * r),
        tensor(4 * r),
      )
      near([dy.dataSync()[0]!, dx.dataSync()[0]!], [4 / 25 / r, -3 / 25 / r])
    }
  })
})
