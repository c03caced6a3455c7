import { fc, test } from '@fast-check/vitest'
import {
  argMax,
  BackendError,
  cast,
  compile,
  concat,
  customGradient,
  gather,
  grad,
  logSoftmax,
  logSumExp,
  matmul,
  norm,
  setBackend,
  setDeterminism,
  softmax,
  tensor,
  type Tensor,
  transpose,
  variance,
  withBackend,
} from '@adjoint/core'
import { type AnyRow, apply, call, elementwise, isFloat, plainBackend, rows } from '@adjoint/core/extend'
import { describe, expect } from 'vitest'
import { ulps32 } from '../support/oracles.js'
import { type Case, sampleOf } from '../support/samples.js'

// The kernels of WebAssembly against the plain loops, which the other tests hold to the definitions.

const toFloat32 = ({ inputs, attrs }: Case): Case => ({
  inputs: inputs.map((x) => (isFloat(x.dtype) ? cast(x, 'float32') : x)),
  attrs,
})

function onPlain(row: AnyRow, { inputs, attrs }: Case): Tensor {
  const copies = inputs.map((x) => ({ values: x.dataSync(), shape: x.shape, dtype: x.dtype }))
  return withBackend(plainBackend, () =>
    apply(
      row,
      copies.map(({ values, shape, dtype }) => tensor(values, { shape, dtype })),
      attrs,
    ),
  )
}

/** Products keep float32 sums of up to 256 terms where the loops keep float64. */
const SUMS = ['matmul']

describe.each([...rows.values()].map((row) => ({ name: row.name, row })))('$name', ({ name, row }) => {
  const { any, large = [] } = sampleOf(row)
  const agree = (sample: Case): void => {
    const single = toFloat32(sample)
    const got = apply(row, single.inputs, single.attrs)
    const expected = onPlain(row, single)
    expect([got.shape, got.dtype]).toEqual([expected.shape, expected.dtype])
    if (SUMS.includes(name)) expectNear(got, expected)
    else if (row.ulps !== undefined) expectWithin(row.ulps, got.dataSync(), expected.dataSync())
    else expectSame(got, expected)
  }

  test.prop([any], { numRuns: 40 })('is the same to the last bit, or within what it declares', agree)
  test.each(large)('also of many elements', agree)
})

/** To the last bit, but for that of NaN. Matchers take a second for an array that this takes a millisecond for. */
function expectSame(got: Tensor, expected: Tensor): void {
  const [a, b] = [got.dataSync(), expected.dataSync()]
  expect(a.length).toBe(b.length)
  for (let i = 0; i < a.length; i++)
    if (!Object.is(a[i], b[i])) expect.fail(`element ${i} is ${a[i]}, not ${b[i]}`)
}

function expectWithin(most: number, got: ArrayLike<number>, want: ArrayLike<number>): void {
  for (let i = 0; i < want.length; i++)
    if (!Object.is(got[i], want[i])) expect(ulps32(got[i]!, want[i]!)).toBeLessThanOrEqual(most)
}

/** Terms are at most 1 here: rounding a sum of k of them goes a way that grows with the root of k. */
function expectNear(got: Tensor, expected: Tensor, k = 64): void {
  const [a, b] = [got.dataSync(), expected.dataSync()]
  const most = 8 * 2 ** -23 * Math.sqrt(k)
  for (let i = 0; i < a.length; i++)
    if (!Object.is(a[i], b[i]))
      expect(Math.abs(a[i]! - b[i]!)).toBeLessThan(most * Math.max(1, Math.abs(b[i]!)))
}

const side = fc.integer({ min: 1, max: 40 })

function noise(shape: readonly number[], seed: number): Tensor {
  let state = seed
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state / 2 ** 31
  })
  return tensor(values, { shape })
}

/** Rows that are one formula of numbers; parameters by all the names that they have. */
const formulas = [...rows.values()].filter(({ fn, name }) => fn !== undefined && name !== 'where')
const PARAMS = { alpha: 0.3, slope: 0.2, exponent: 2.5, min: -1, max: 1 }

describe.each(formulas.map((row) => ({ name: row.name, row })))('$name of any float32 numbers', ({ row }) => {
  // Every 100,003rd float32 number, and those that formulas are most likely to get wrong.
  const bits = Int32Array.from({ length: 42_949 }, (_, i) => i * 100_003)
  const special = [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    Infinity,
    -Infinity,
    NaN,
    88.7,
    -87.3,
    -103.9,
    40,
    -40,
    1e-45,
    // The float32 number next to a multiple of π/2, and large ones.
    16_367_173 * 2 ** 72,
    1e6,
    -1.5e6,
    3e38,
  ]
  const x = tensor(Float32Array.from([...special, ...new Float32Array(bits.buffer)]))
  const second = tensor(x.dataSync().toReversed() as Float32Array)
  test('is within 1 ulp of the plain loops, or what it declares', () => {
    const sample = { inputs: row.args.map((_, i) => (i === 0 ? x : second)), attrs: PARAMS }
    const got = apply(row, sample.inputs, sample.attrs).dataSync()
    expectWithin(row.ulps ?? 1, got, onPlain(row, sample).dataSync())
  })
})

test.prop([side, side, fc.oneof(side, fc.integer({ min: 250, max: 600 })), fc.boolean(), fc.boolean()], {
  numRuns: 150,
})('products of any size, either operand transposed', (m, n, k, transposeA, transposeB) => {
  const a = noise(transposeA ? [k, m] : [m, k], m)
  const b = noise(transposeB ? [n, k] : [k, n], n + 77)
  const got = matmul(a, b, transposeA, transposeB)
  const [exactA, exactB] = [cast(a, 'float64'), cast(b, 'float64')]
  expectNear(got, cast(matmul(exactA, exactB, transposeA, transposeB), 'float32'), k)
})

/** Sides [m, n, k] for which b is packed, a transposed is turned, or sums go on in float64; tiles that overlap. */
test.each([
  [70, 100, 300],
  [33, 67, 6],
  [41, 36, 512],
])('also large products: m = %d, n = %d, k = %d', (m, n, k) => {
  const [a, b] = [noise([m, k], m), noise([k, n], n + 77)]
  const expected = cast(matmul(cast(a, 'float64'), cast(b, 'float64')), 'float32')
  const same = matmul(a, b)
  expectNear(same, expected, k)
  // Whichever way its operands are stored, eagerly or in a plan, a product is the same to the last bit.
  for (const transposeA of [false, true])
    for (const transposeB of [false, true]) {
      const f = (x: Tensor, y: Tensor): Tensor => matmul(x, y, transposeA, transposeB)
      const operands = [transposeA ? transpose(a) : a, transposeB ? transpose(b) : b] as const
      expectSame(f(...operands), same)
      expectSame(compile(f)(...operands), same)
    }
})

test('where numbers have to be portable, products and sums are rounded one by one', () => {
  const [m, n, k] = [40, 33, 50] as const
  const [a, b] = [noise([m, k], 1), noise([k, n], 2)]
  const [x, y] = [a.dataSync() as Float32Array, b.dataSync() as Float32Array]
  const sums = Float32Array.from({ length: m * n }, (_, at) => {
    let sum = 0
    for (let p = 0; p < k; p++)
      sum = Math.fround(sum + Math.fround(x[Math.floor(at / n) * k + p]! * y[p * n + (at % n)]!))
    return sum
  })
  const planned = compile((p: Tensor, q: Tensor) => matmul(p, q))
  const before = [matmul(a, b), planned(a, b)]
  setDeterminism('portable')
  try {
    for (const product of [matmul(a, b), planned(a, b)]) expectSame(product, tensor(sums, { shape: [m, n] }))
  } finally {
    setDeterminism('engine')
  }
  // Elsewhere engines that have one instruction for both may use it, always or never.
  for (const product of [matmul(a, b), planned(a, b)]) for (const was of before) expectSame(product, was)
})

/** What moves, reduces and multiplies tensors of any shape, eagerly and in a plan, against the plain loops. */
const small = fc.integer({ min: 1, max: 9 })
const sides = fc.array(small, { minLength: 2, maxLength: 4 })
const ids = (count: number, limit: number): Tensor =>
  tensor(
    Array.from({ length: count }, (_, i) => (i * 7 + 3) % limit),
    { dtype: 'int32' },
  )
const functions: Readonly<Record<string, (x: Tensor, pick: number) => Tensor>> = {
  permute: (x, pick) => transpose(x, rotated(x.shape.length, pick)),
  slice: (x, pick) =>
    x.slice(
      x.shape.map((side) => pick % side),
      x.shape.map((side) => side - (pick % side)),
    ),
  'the gradient of a slice': (x, pick) =>
    grad((y: Tensor) =>
      y
        .slice(
          y.shape.map((side) => pick % side),
          y.shape.map((side) => side - (pick % side)),
        )
        .mul(3)
        .sum(),
    )(x),
  'sum along an axis': (x, pick) => x.sum(pick % x.shape.length),
  'variance along an axis': (x, pick) => variance(x, pick % x.shape.length),
  'norm along an axis': (x, pick) => norm(x, { axis: pick % x.shape.length }),
  'logSumExp along an axis': (x, pick) => logSumExp(x, pick % x.shape.length),
  'largest along an axis': (x, pick) => x.max(pick % x.shape.length),
  'argMax along an axis': (x, pick) => argMax(x, pick % x.shape.length),
  'softmax along an axis': (x, pick) => x.softmax(pick % x.shape.length),
  'logSoftmax along an axis': (x, pick) => logSoftmax(x, pick % x.shape.length),
  gather: (x, pick) => gather(x, ids(pick + 1, x.shape[pick % x.shape.length]!), pick % x.shape.length),
  'the gradient of gather': (x, pick) =>
    grad((y: Tensor) =>
      gather(y, ids(pick + 1, y.shape[pick % y.shape.length]!), pick % y.shape.length)
        .mul(1.1)
        .sum(),
    )(x),
  concat: (x, pick) => concat([x, x.mul(2), x], pick % x.shape.length),
  'concat of bytes': (x, pick) => concat([x.greater(0), x.less(0)], pick % x.shape.length),
}

function rotated(rank: number, pick: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i + 1 + (pick % Math.max(1, rank - 1))) % rank)
}

/** Those whose rows declare how far they may be from the plain loops. */
const ULPS: Readonly<Record<string, number>> = {
  'softmax along an axis': rows.get('softmax')!.ulps!,
  'logSoftmax along an axis': rows.get('logSoftmax')!.ulps!,
}

describe.each(Object.entries(functions))('%s', (name, f) => {
  test.prop([sides, fc.nat({ max: 20 })], { numRuns: 60 })(
    'is the same to the last bit, or within what its row declares',
    (shape, pick) => {
      const x = noise(shape, 3 + pick)
      const expected = withBackend(plainBackend, () => f(tensor(x.dataSync(), { shape }), pick))
      const got = f(x, pick)
      expect([got.shape, got.dtype]).toEqual([expected.shape, expected.dtype])
      if (name in ULPS) expectWithin(ULPS[name]!, got.dataSync(), expected.dataSync())
      else expectSame(got, expected)
      expectSame(compile((y: Tensor) => f(y, pick))(x), got)
    },
  )
})

test.each([
  ['far from one another', [-100, 3, -86.9, -103.5, -1e30, 2.75, 0.3]],
  ['an infinite one', [1, Infinity, -Infinity, 0, 3]],
  ['minus infinite ones', [1, -Infinity, 2, -Infinity, -0]],
  ['nothing else', [-Infinity, -Infinity, -Infinity]],
  ['NaN', [0, 1, 2, 3, 4, NaN, 5]],
  ['the largest numbers', [3.4e38, -3.4e38, 3.3e38, 0, 3.4e38]],
  ['one far above the rest', [40, -3, 2, 1, -44.5, 1e-45]],
])('softmax and logSoftmax of %s, in rows and columns', (_, numbers) => {
  const values = [numbers, numbers.toReversed(), numbers.map((v) => v + 1)].flat()
  const of = (f: typeof softmax, axis: number): ArrayLike<number> => {
    const x = tensor(values, { shape: [3, numbers.length], dtype: 'float32' })
    return f(axis === 0 ? transpose(x) : x, axis).dataSync()
  }
  for (const [f, row] of [
    [softmax, 'softmax'],
    [logSoftmax, 'logSoftmax'],
  ] as const)
    for (const axis of [0, 1])
      expectWithin(
        rows.get(row)!.ulps!,
        of(f, axis),
        withBackend(plainBackend, () => of(f, axis)),
      )
})

test.prop([fc.array(small, { maxLength: 3 }), small, small, small, fc.nat(7), fc.boolean(), fc.boolean()], {
  numRuns: 150,
})(
  'products of batches, of which either operand may have fewer',
  (batch, m, n, k, less, transposeA, transposeB) => {
    const of = (sides_: readonly number[], bits: number): number[] =>
      sides_.map((side, i) => (((bits >> i) & 1) === 1 ? 1 : side))
    const a = noise([...of(batch, less), ...(transposeA ? [k, m] : [m, k])], m)
    const b = noise([...batch.slice(less % 2), ...(transposeB ? [n, k] : [k, n])], n + 77)
    const product = (x: Tensor, y: Tensor): Tensor => matmul(x, y, transposeA, transposeB)
    // What follows a product may become part of it in a plan.
    const f = (x: Tensor, y: Tensor): Tensor => product(x, y).mul(2).relu()
    const got = f(a, b)
    expectNear(got, cast(f(cast(a, 'float64'), cast(b, 'float64')), 'float32'))
    expectSame(compile(f)(a, b), got)
  },
)

test('tensors that are held keep their values while others come and go', () => {
  const held: { x: Tensor; value: number; size: number }[] = []
  for (let i = 0; i < 1000; i++) {
    // Tiny ones, those of both kinds of segment, and those too large for one.
    const size = [3, 100, 5_000, 60_000, 200_000][i % 5]!
    const x = tensor(new Float32Array(size), {}).add(i)
    if (i % 37 < 2) held.push({ x, value: i, size })
    if (i % 11 === 0 && held.length > 0) {
      const old = held[(i * 7) % held.length]!
      expect(old.x.mul(2).sum().itemSync()).toBe(old.value * 2 * old.size)
    }
  }
  for (const { x, value, size } of held) {
    const values = x.dataSync() as Float32Array
    expect(values.length).toBe(size)
    expect(values.every((v) => v === value)).toBe(true)
  }
})

describe('what a backward pass makes is forgotten with it', () => {
  const x = tensor([1, 2, 3])
  const many = noise([20], 1)
  const loss = (f: (x: Tensor) => Tensor) => grad((y: Tensor) => f(y.mul(2)).square().sum())

  test('but for the gradients', () => {
    const held = Array.from({ length: 50 }, (_, i) => grad((y: Tensor) => y.mul(i).square().sum())(many))
    held.forEach((g, i) => expectNear(g, many.mul(2 * i * i)))
    expectSame(loss((y) => y)(x), tensor([8, 16, 24]))
  })

  test('and for what functions of users are given', () => {
    const kept: Tensor[] = []
    const f = customGradient(
      (y: Tensor) => y.add(0),
      ({ g }) => {
        kept.push(g, g.mul(3))
        return [g]
      },
    )
    for (let i = 0; i < 50; i++) loss(f)(many)
    expectSame(kept[0]!, many.mul(4))
    expectSame(kept[1]!, many.mul(12))
  })

  test('a rule of a row that keeps something is told so', () => {
    let kept: Tensor | undefined
    const row = elementwise({
      name: 'keeper',
      args: ['x'],
      expr: 'x',
      vjp: { x: ({ g }) => (kept = g) },
    })
    loss((y) => call(row, [y], {}))(many)
    expect(() => kept!.add(1)).toThrow('a tensor that a gradient rule made was kept')
    expect(() => kept!.dataSync()).toThrow(BackendError)
  })
})

test('large arrays are computed in pieces', () => {
  const x = noise([300, 1001], 3)
  const on = (backend: typeof plainBackend): Tensor[] =>
    withBackend(backend, () => {
      const values = tensor(x.dataSync(), { shape: x.shape })
      return [values.mul(3), values.add(values.square()), values.greater(0), values.clip(-0.5, 0.25)]
    })
  const expected = on(plainBackend)
  on(x.backend).forEach((y, i) => {
    expectSame(y, expected[i]!)
  })
})

test('and so are rows of large arrays', () => {
  const x = noise([300, 1001], 4)
  const some = x.slice([123, 0], [7, 1001])
  for (const f of [
    (y: Tensor) => y.softmax(),
    (y: Tensor) => logSoftmax(y),
    (y: Tensor) => y.sum(1),
    (y: Tensor) => argMax(y, 1),
  ]) {
    const [all, part] = [f(x), f(some)]
    const width = part.shape[1] ?? 1
    expect(all.dataSync().slice(123 * width, 130 * width)).toEqual(part.dataSync())
  }
})

test.each([1, 3, 15, 16, 17, 31, 33, 64, 70])('sums and means of %i columns', (inner) => {
  const x = noise([2, 13, inner], inner)
  const of = (f: (y: Tensor) => Tensor): Tensor => f(tensor(x.dataSync(), { shape: x.shape }))
  for (const f of [(y: Tensor) => y.sum(1), (y: Tensor) => y.mean(1), (y: Tensor) => y.mul(y).sum(1)]) {
    const expected = withBackend(plainBackend, () => of(f))
    expectSame(of(f), expected)
    expectSame(compile(f)(x), expected)
  }
})

test('sines of large whole numbers', () => {
  const of = (): Tensor[] => {
    const x = tensor([2_147_483_647, -2_147_483_648, 1_000_003, -77, 355, 1_068_966_896], { dtype: 'int32' })
    return [x.sin(), x.cos()]
  }
  const expected = withBackend(plainBackend, of)
  of().forEach((y, i) => {
    expectSame(y, expected[i]!)
  })
})

test('a kernel writes nothing beyond its output', () => {
  const before = noise([1000], 5).add(0)
  const copy = before.dataSync()
  for (let rows_ = 1; rows_ < 40; rows_++)
    for (const inner of [1, 2, 3, 4, 5, 6, 7, 8, 11, 17, 31]) {
      const x = noise([rows_, inner], rows_).add(0)
      const y = noise([inner], inner).add(0)
      const after = noise([64], 9).add(0)
      const expected = after.dataSync()
      x.add(y)
      x.sum(0)
      x.softmax()
      x.max(1)
      expect(after.dataSync()).toEqual(expected)
    }
  expect(before.dataSync()).toEqual(copy)
})

test('plain loops are a backend of their own, for where WebAssembly is refused', () => {
  const backend = tensor([1]).backend
  setBackend(plainBackend)
  try {
    expect(tensor([1, 2]).exp().sum().itemSync()).toBeCloseTo(Math.E + Math.E ** 2, 5)
  } finally {
    setBackend(backend)
  }
})
