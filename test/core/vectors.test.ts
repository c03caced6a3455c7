import { erf, type FloatDType, floatx, grad, mish, setFloatx, type Tensor, tensor } from '@adjoint/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  readOracle,
  readUlpTables,
  readVectors,
  type UlpTable,
  ulps32,
  ulps64,
  type VectorCase,
} from '../support/oracles.js'
import { failuresOf, missingOps, opNamed } from '../support/vectors.js'

/** Runs the tests in it with `dtype` as the default float. */
function describeIn(dtype: FloatDType, tests: () => void): void {
  describe(`in ${dtype}`, () => {
    const before = floatx()
    beforeAll(() => setFloatx(dtype))
    afterAll(() => setFloatx(before))
    tests()
  })
}

const cases = readVectors()
const inScope = cases.filter((c) => missingOps(c).length === 0)

afterAll(() => {
  const missing = [...new Set(cases.flatMap(missingOps))].toSorted()
  console.log(
    `vectors: ${inScope.length} of ${cases.length} cases run; without ${missing.join(', ') || 'none'}`,
  )
})

describeIn('float64', () => {
  test.each(inScope)('$id agrees with its reference', (c: VectorCase) => {
    expect(failuresOf(c, 'float64')).toEqual([])
  })
})

describeIn('float32', () => {
  test.each(inScope.filter((c) => !c.tags?.includes('f64-only')))(
    '$id agrees with its reference',
    (c: VectorCase) => {
      expect(failuresOf(c, 'float32')).toEqual([])
    },
  )
})

/** The expressions of higher-order.json. */
const expressions: { readonly [source: string]: (x: Tensor) => Tensor } = {
  'sin(x*x)': (x) => x.mul(x).sin(),
  'tanh(x)^3': (x) => x.tanh().powScalar(3),
  'exp(-x*x)': (x) => x.mul(x).neg().exp(),
  'log(1+exp(x))': (x) => x.exp().add(1).log(),
  'x/(1+x*x)': (x) => x.div(x.mul(x).add(1)),
  'sigmoid(3*x)*x': (x) => x.mul(3).sigmoid().mul(x),
  'sqrt(1+x*x)': (x) => x.mul(x).add(1).sqrt(),
  'atan(exp(x))': (x) => x.exp().atan(),
  '(x*x+1)^1.5': (x) => x.mul(x).add(1).powScalar(1.5),
  'cos(x)*exp(x)': (x) => x.cos().mul(x.exp()),
  'erf(x)*x': (x) => erf(x).mul(x),
  'x^5-3*x^2': (x) => x.powScalar(5).sub(x.square().mul(3)),
}

interface HigherOrderCase {
  readonly expr: string
  readonly x: number
  readonly derivatives: readonly number[]
}

describeIn('float64', () => {
  const { cases: scalars } = readOracle<{ cases: HigherOrderCase[] }>('vectors/higher-order.json')
  test.each(scalars)('derivatives of $expr at $x, each the gradient of the one before', (c) => {
    let f = expressions[c.expr]!
    c.derivatives.forEach((want) => {
      const got = f(tensor(c.x)).itemSync()
      // Rounding errors grow by about ten from order to order: far less than this.
      expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-11 * Math.max(1, Math.abs(want)))
      f = grad(f)
    })
  })
})

const tables = readUlpTables()
const LOOSE_DERIVATIVES = ['gelu', 'mish', 'silu']

/** The points where two lists are further apart than `most`. */
function apart(
  { x }: UlpTable,
  got: ArrayLike<number>,
  want: readonly number[],
  most: number,
  distance: (a: number, b: number) => number,
): string[] {
  return x.flatMap((at, i) =>
    distance(got[i]!, want[i]!) > most
      ? [`${distance(got[i]!, want[i]!)} ulp at ${at}: ${got[i]}, want ${want[i]}`]
      : [],
  )
}

describe('elementwise functions against correctly rounded values', () => {
  const f = (table: UlpTable, x: Tensor): Tensor => opNamed(table.op)(table.attrs, x) as Tensor

  test.each(tables)('$op $attrs is within 2 ulp in float64', (table) => {
    const y = f(table, tensor([...table.x], { dtype: 'float64' }))
    expect(apart(table, y.dataSync(), table.y64, 2, ulps64)).toEqual([])
  })

  // Where other ways to write it are 2.1 to 2.9 ulp off; the values by mpmath at 60 digits.
  test.each([
    [-24.716941361111534, -4.5557877719855013e-10],
    [-6.7661411950380685, -0.007790996645803872],
    [-3.2354608367517907, -0.1247876706196416],
    [-2.0530574541771776, -0.24670720842999058],
    [-0.5138893084252092, -0.22471063764301757],
    [-0.47964946660864005, -0.21473480342292597],
    [-0.204978978333968, -0.10948461897557464],
    [0.04950590935906213, 0.030485596044300255],
    [0.17014565821099975, 0.1112341384183173],
    [0.6088270781804438, 0.47436581973260267],
  ])('mish at %d is, too', (x, y) => {
    expect(ulps64(mish(tensor(x, { dtype: 'float64' })).itemSync(), y)).toBeLessThanOrEqual(2)
  })

  test.each(tables)('$op $attrs is within 1 ulp in float32', (table) => {
    const y = f(table, tensor([...table.x], { dtype: 'float32' }))
    expect(apart(table, y.dataSync(), table.y32, 1, ulps32)).toEqual([])
  })

  test.each(tables)('the derivative of $op $attrs is within 4 ulp (16 for gelu, mish, silu)', (table) => {
    const dy = grad((x: Tensor) => f(table, x).sum())(tensor([...table.x], { dtype: 'float64' }))
    const most = LOOSE_DERIVATIVES.includes(table.op) ? 16 : 4
    expect(apart(table, dy.dataSync(), table.d64, most, ulps64)).toEqual([])
  })
})
