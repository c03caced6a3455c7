/** Laws of the ops that are not elementwise: values against plain definitions, gradients to second order, accuracy. */
import { fc, test } from '@fast-check/vitest'
import * as core from '@adjoint/core'
import { grad, random, type Tensor, tensor, variable } from '@adjoint/core'
import { type AnyRow, APPLY, call, type Operand, type Staged, unflatten } from '@adjoint/core/extend'
import { checkGradients } from '@adjoint/core/testing'
import { describe, expect } from 'vitest'

const f64 = (values: number | number[] | number[][]): Tensor => tensor(values, { dtype: 'float64' })
/** Normally distributed, the same for the same shape and seed. */
const normal = (shape: number[], seed: number = 1): Tensor => random.normal(shape, { seed, dtype: 'float64' })
const list = (x: Tensor): number[] => [...x.dataSync()]

describe('gradients, and gradients of gradients, agree with central differences', () => {
  const x = normal([2, 3, 4])
  const square = normal([3, 3], 2)
  const indices = tensor([[2, 0, 1, 1]], { dtype: 'int32' })
  const cells = {
    x: normal([2, 3], 3),
    h: normal([2, 2], 4),
    c: normal([2, 2], 5),
  }
  const functions: { readonly [name: string]: readonly [(...xs: Tensor[]) => Tensor, ...Tensor[]] } = {
    prod: [(a) => a.prod([0, 2]), x],
    'prod with a zero': [(a) => a.prod(1), f64([[0, 2, 3]])],
    'prod with two zeros': [(a) => a.prod(), f64([0, 2, 0, 3])],
    logSumExp: [(a) => a.logSumExp([0, 2], true), x],
    variance: [(a) => a.variance({ axis: [0, 2], correction: 1 }), x],
    std: [(a) => a.std(1), x],
    norm: [(a) => a.norm({ axis: [0, 1] }), x],
    'norm 1': [(a) => a.norm({ ord: 1, axis: 2 }), x],
    'norm inf': [(a) => a.norm({ ord: 'inf', axis: 1 }), x],
    cumsum: [(a) => a.cumsum({ axis: 1, exclusive: true, reverse: true }).square(), x],
    cumprod: [(a) => a.cumprod({ axis: 1, reverse: true }), x],
    'cumprod with zeros': [(a) => a.cumprod({ exclusive: true }), f64([2, 0, 3, 0, 4])],
    stridedSlice: [
      (a) => a.stridedSlice({ begin: [null, -1], end: [null, 0], strides: [1, -2] }).square(),
      x,
    ],
    flip: [(a) => a.flip([0, 2]).square(), x],
    split: [(a) => core.split(a, [1, 3], -1)[1]!.square(), x],
    unstack: [(a) => core.unstack(a, 1)[2]!.square(), x],
    'pad reflect': [
      (a) =>
        a
          .pad({
            paddings: [
              [1, 1],
              [2, 0],
              [0, 3],
            ],
            mode: 'reflect',
          })
          .square(),
      x,
    ],
    'pad constant': [
      (a) =>
        a
          .pad({
            paddings: [
              [1, 1],
              [2, 0],
              [0, 3],
            ],
            value: 2,
          })
          .square(),
      x,
    ],
    tile: [(a) => a.tile([2, 1, 3]).square(), x],
    repeat: [(a) => a.repeat(2, 1).square(), x],
    roll: [(a) => a.roll([1, -1], [0, 2]).square(), x],
    tril: [(a) => a.tril(-1).square(), x],
    triu: [(a) => a.triu(1).square(), x],
    diagonal: [(a) => a.diagonal(1).square(), x],
    takeAlongAxis: [(a) => core.takeAlongAxis(a, indices.expandDims(0), 1).square(), x],
    gatherND: [
      (a) =>
        core
          .gatherND(a, [
            [1, 2],
            [0, 1],
            [1, 2],
          ])
          .square(),
      x,
    ],
    embedding: [
      (a) =>
        core
          .embedding(a, [
            [1, 2],
            [1, 1],
          ])
          .square(),
      square,
    ],
    dot: [(a, b) => core.dot(a, b), x, normal([4])],
    outer: [(a, b) => core.outer(a, b), normal([3]), normal([2, 2])],
    tensordot: [
      (a, b) =>
        core.tensordot(a, b, [
          [0, 2],
          [2, 0],
        ]),
      x,
      normal([4, 3, 2], 7),
    ],
    'einsum with a diagonal': [(a, b) => core.einsum('iij,jk->ik', a, b), normal([3, 3, 2]), normal([2, 2])],
    'einsum of three': [(a, b, c) => core.einsum('ab,bc,ca->', a, b, c), square, square, square],
    layerNorm: [(a, b, c) => core.layerNorm(a, b, c), x, normal([4], 8), normal([4], 9)],
    rmsNorm: [(a, b) => core.rmsNorm(a, b), x, normal([4], 8)],
    batchNormTrain: [(a, b, c) => core.batchNormTrain(a, b, c)[0], x, normal([4], 8), normal([4], 9)],
    groupNorm: [(a, b, c) => core.groupNorm(a, b, c, 2), x, normal([4], 8), normal([4], 9)],
    l2Normalize: [(a) => core.l2Normalize(a), x],
    attention: [
      (q, k, v) => core.scaledDotProductAttention(q, k, v, tensor([[true, true, false]])),
      normal([2, 3, 4], 1),
      normal([2, 3, 4], 2),
      normal([2, 3, 2], 3),
    ],
    lstmCell: [
      (a, b, c, k, r, bias) => core.concat([...core.lstmCell(a, b, c, k, r, bias)]),
      cells.x,
      cells.h,
      cells.c,
      normal([3, 8], 6),
      normal([2, 8], 7),
      normal([8], 8),
    ],
    gruCell: [
      (a, b, k, r, bias) => core.gruCell(a, b, k, r, bias),
      cells.x,
      cells.h,
      normal([3, 6], 6),
      normal([2, 6], 7),
      normal([2, 6], 8),
    ],
  }
  test.each(Object.entries(functions))('%s', (_, [f, ...inputs]) => {
    checkGradients(f, inputs, { order: 2 })
  })
})

describe('values agree with their definitions', () => {
  const letters = ['a', 'b', 'c', 'd']
  /** Up to three operands of up to three labels each, and an output made of some of them. */
  const equations = fc
    .array(fc.array(fc.constantFrom(...letters), { minLength: 0, maxLength: 3 }), {
      minLength: 1,
      maxLength: 3,
    })
    .chain((inputs) =>
      fc.record({
        inputs: fc.constant(inputs),
        output: fc.shuffledSubarray([...new Set(inputs.flat())]),
        sizes: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)),
      }),
    )
  test.prop([equations], { numRuns: 300 })(
    'einsum sums products over all labels',
    ({ inputs, output, sizes }) => {
      const sizeOf = (label: string): number => sizes[letters.indexOf(label)]!
      const xs = inputs.map((labels, i) => normal(labels.map(sizeOf), i + 1))
      const equation = `${inputs.map((labels) => labels.join('')).join(',')}->${output.join('')}`
      const got = core.einsum(equation, ...xs)
      const all = [...new Set(inputs.flat())]
      const shape = output.map(sizeOf)
      const want = new Float64Array(shape.reduce((n, side) => n * side, 1))
      const strideOf = (labels: readonly string[], index: readonly number[]): number =>
        labels.reduce((at, label) => at * sizeOf(label) + index[all.indexOf(label)]!, 0)
      const values = xs.map(list)
      const points = all.map(sizeOf).reduce((n, side) => n * side, 1)
      for (let p = 0; p < points; p++) {
        const index = unflatten(p, all.map(sizeOf))
        const product = inputs.reduce((y, labels, i) => y * values[i]![strideOf(labels, index)]!, 1)
        want[strideOf(output, index)]! += product
      }
      expect(got.shape).toEqual(shape)
      list(got).forEach((v, i) => expect(v).toBeCloseTo(want[i]!, 10))
    },
  )

  const bound = fc.option(fc.integer({ min: -9, max: 9 }))
  test.prop([fc.nat(7), bound, bound, fc.integer({ min: -4, max: 4 }).filter((n) => n !== 0)])(
    'stridedSlice walks as Python does',
    (size, begin, end, stride) => {
      const x = core.arange(size)
      const got = x.stridedSlice({ begin: [begin], end: [end], strides: [stride] })
      // The definition: positions from begin on, clamped, as long as they lie before the end.
      const at = (p: number | null, otherwise: number, low: number, high: number): number =>
        p === null ? otherwise : Math.min(Math.max(p < 0 ? p + size : p, low), high)
      const want: number[] = []
      if (stride > 0)
        for (let i = at(begin, 0, 0, size); i < at(end, size, 0, size); i += stride) want.push(i)
      else
        for (let i = at(begin, size - 1, -1, size - 1); i > at(end, -1, -1, size - 1); i += stride)
          want.push(i)
      expect(list(got)).toEqual(want)
    },
  )

  test('pad mirrors, repeats and fills', () => {
    const x = tensor([1, 2, 3])
    const padded = (mode: 'constant' | 'reflect' | 'symmetric' | 'edge'): number[] =>
      list(x.pad({ paddings: [[2, 2]], mode, value: 9 }))
    expect(padded('constant')).toEqual([9, 9, 1, 2, 3, 9, 9])
    expect(padded('reflect')).toEqual([3, 2, 1, 2, 3, 2, 1])
    expect(padded('symmetric')).toEqual([2, 1, 1, 2, 3, 3, 2])
    expect(padded('edge')).toEqual([1, 1, 1, 2, 3, 3, 3])
  })

  test('roll without an axis rolls flat, repeat without an axis flattens', () => {
    const x = tensor([
      [1, 2],
      [3, 4],
    ])
    expect(x.roll(1).arraySync()).toEqual([
      [4, 1],
      [2, 3],
    ])
    expect(list(x.repeat(2))).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
  })

  test('takeAlongAxis picks what argMax found, and broadcasts', () => {
    const x = normal([3, 4, 2])
    const at = x.argMax(1).expandDims(1)
    expect(core.takeAlongAxis(x, at, 1).arraySync()).toEqual(x.max(1, true).arraySync())
    expect(
      core.takeAlongAxis(tensor([[5, 6, 7]]), tensor([[2], [0]], { dtype: 'int32' })).arraySync(),
    ).toEqual([[7], [5]])
  })

  test('any and all take every number but 0 as true', () => {
    const x = tensor([
      [0, NaN],
      [0, 0],
    ])
    expect(x.any(1).arraySync()).toEqual([true, false])
    expect(x.all(0).arraySync()).toEqual([false, false])
    expect(x.any().dtype).toBe('bool')
  })

  test('whole numbers are multiplied and added up in 32 bits', () => {
    expect(tensor([65536, 65536, 3], { dtype: 'int32' }).prod().itemSync()).toBe(0)
    expect(tensor([46341, 46341], { dtype: 'int32' }).prod().itemSync()).toBe(-2147479015)
    expect(
      tensor([2 ** 31 - 1, 1], { dtype: 'int32' })
        .cumsum()
        .arraySync(),
    ).toEqual([2 ** 31 - 1, -(2 ** 31)])
  })
})

describe('accuracy', () => {
  test('the variance of small noise far from 0 keeps its digits in float32', () => {
    const noise = random.normal([1000], { seed: 5 })
    const x = noise.add(1e6)
    const exact = x.cast('float64').variance().itemSync()
    expect(Math.abs(x.variance().itemSync() / exact - 1)).toBeLessThan(1e-6)
    // And its gradient, 2 (x - mean) / n.
    const got = list(grad((y: Tensor) => y.variance())(x))
    const want = list(grad((y: Tensor) => y.variance())(x.cast('float64')))
    got.forEach((g, i) => expect(Math.abs(g - want[i]!)).toBeLessThan(1e-6 * 2e-3))
  })

  test('sums of a million float32 numbers are right to the last digit', () => {
    const x = core.full([1e6], 0.1)
    const term = Math.fround(0.1)
    expect(x.sum().itemSync()).toBe(Math.fround(term * 1e6))
    expect(x.mean().itemSync()).toBe(term)
    expect(core.dot(x, core.ones([1e6])).itemSync()).toBe(Math.fround(term * 1e6))
    expect(list(x.cumsum()).at(-1)).toBe(Math.fround(term * 1e6))
  })

  test('lengths neither overflow nor underflow', () => {
    expect(f64([3e200, 4e200]).norm().itemSync() / 5e200).toBeCloseTo(1, 15)
    expect(f64([3e-200, 4e-200]).norm().itemSync() / 5e-200).toBeCloseTo(1, 15)
    expect(tensor([3e30, 4e30]).norm().itemSync()).toBe(Math.fround(5e30))
    expect(f64([Infinity, 1]).norm().itemSync()).toBe(Infinity)
    expect(f64([NaN, 1]).norm().itemSync()).toBeNaN()
  })
})

describe('conventions where a derivative does not exist', () => {
  test('the length of 0 and the deviation of equal values have derivative 0', () => {
    expect(list(grad((x: Tensor) => x.norm())(f64([0, 0])))).toEqual([0, 0])
    expect(list(grad((x: Tensor) => x.std())(f64([2, 2, 2])))).toEqual([0, 0, 0])
  })

  test('logSumExp of -Infinity is -Infinity, and nothing flows to it', () => {
    expect(f64([-Infinity, -Infinity]).logSumExp().itemSync()).toBe(-Infinity)
    expect(list(grad((x: Tensor) => x.logSumExp())(f64([-Infinity, -Infinity])))).toEqual([0, 0])
    expect(list(grad((x: Tensor) => x.logSumExp())(f64([-Infinity, 3])))).toEqual([0, 1])
  })

  test('a query that may see no key sees all alike', () => {
    const none = tensor([[false, false]])
    const y = core.scaledDotProductAttention(f64([[1]]), f64([[2], [3]]), f64([[1], [2]]), none)
    expect(y.arraySync()).toEqual([[1.5]])
  })
})

describe('an op made of others', () => {
  test('is one node of a graph, which has its shape and runs it later', () => {
    const applied: { row: AnyRow; operands: readonly Operand[]; attrs: unknown }[] = []
    const staged: Staged = {
      kind: 'symbolic',
      shape: [3],
      [APPLY](row, operands, attrs) {
        applied.push({ row, operands, attrs })
        return staged
      },
    }
    core.tile(staged, [1, 2])
    core.einsum('bi,i->b', staged, tensor([1, 2, 3]))
    core.pad(staged, {
      paddings: [
        [0, 0],
        [1, 1],
      ],
      mode: 'edge',
    })
    expect(applied.map(({ row }) => row.name)).toEqual(['tile', 'einsum', 'pad'])
    const x = core.ones([2, 3])
    for (const { row, operands, attrs } of applied) {
      const inputs = operands.map((operand) => (operand === staged ? x : operand)) as Tensor[]
      const out = call(row, inputs, attrs)
      const { shape, dtype } = row.infer(inputs, attrs)
      expect({ shape, dtype }).toEqual({ shape: out.shape, dtype: out.dtype })
    }
  })

  test('reads variables as other ops do', () => {
    const v = variable(f64([[1, 2]]))
    const { grads } = core.valueAndGrads(() => core.tile(v, [2, 1]).square().sum(), [v])
    expect(grads[0]!.arraySync()).toEqual([[4, 8]])
  })
})
