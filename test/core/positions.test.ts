import { fc, test } from '@fast-check/vitest'
import {
  argMax,
  argMin,
  diagonal,
  gather,
  oneHot,
  scatterAdd,
  sum,
  takeAlongAxis,
  tensor,
  type Tensor,
  transpose,
  tril,
  triu,
  ValueError,
  zeros,
} from '@adjoint/core'
import { arbitraries } from '@adjoint/core/testing'
import { describe, expect } from 'vitest'

const arb = arbitraries(fc)
const ints = (values: readonly number[]): Tensor => tensor(values, { dtype: 'int32' })

describe('argMax and argMin', () => {
  // Few different values: most lists have ties.
  const values = fc.array(fc.constantFrom(-1, 0, 1, NaN), { minLength: 1, maxLength: 8 })

  test.prop([values])('are the first NaN, or the first of the extreme values', (list) => {
    const firstNaN = list.findIndex(Number.isNaN)
    const first = (extreme: number): number => (firstNaN >= 0 ? firstNaN : list.indexOf(extreme))
    expect(argMax(tensor(list)).itemSync()).toBe(first(Math.max(...list)))
    expect(argMin(tensor(list)).itemSync()).toBe(first(Math.min(...list)))
  })
})

describe('the diagonal', () => {
  const matrix = fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
    .chain((shape) => arb.tensor([...shape]))

  test.prop([matrix, fc.integer({ min: -4, max: 4 })])('has the elements [i, i + offset]', (x, offset) => {
    const rows = x.arraySync() as number[][]
    const expected = rows.flatMap((row, i) => row.filter((_, j) => j === i + offset))
    expect([...diagonal(x, offset).dataSync()]).toEqual(expected)
  })

  test.prop([matrix, fc.integer({ min: -4, max: 4 })])('divides what tril and triu keep', (x, k) => {
    const rows = x.arraySync() as number[][]
    const keep = (isKept: (i: number, j: number) => boolean): number[][] =>
      rows.map((row, i) => row.map((value, j) => (isKept(i, j) ? value : 0)))
    expect(tril(x, k).arraySync()).toEqual(keep((i, j) => j - i <= k))
    expect(triu(x, k).arraySync()).toEqual(keep((i, j) => j - i >= k))
  })
})

describe('axes', () => {
  const x = zeros([2, 3, 4, 5])

  test.prop([fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), fc.array(fc.boolean(), { minLength: 4 })])(
    'of transpose count from either end',
    (perm, fromEnd) => {
      const mixed = perm.map((axis, i) => (fromEnd[i]! ? axis - 4 : axis))
      expect(transpose(x, mixed).shape).toEqual(perm.map((axis) => x.shape[axis]))
    },
  )

  test('given twice are refused, also where they are apart and counted from both ends', () => {
    expect(() => sum(x, [0, 1, -4])).toThrow('axis 0 is given twice in [0, 1, -4]')
    expect(() => sum(x, [3, 0, 1, -1])).toThrow('axis 3 is given twice')
  })
})

describe('an index out of range', () => {
  const lists = fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 5 }),
      fc.nat(),
      fc.constantFrom(-1, 4, 99),
    )
    .map(([list, at, bad]) => ({ list, at: at % list.length, bad }))

  test.prop([lists])('is refused wherever it stands, with its position', ({ list, at, bad }) => {
    const indices = ints(list.with(at, bad))
    const message = new RegExp(`index ${bad} at position \\[${at}\\] is out of range; valid are 0..3`)
    const x = zeros([4])
    for (const use of [
      () => gather(x, indices),
      () => scatterAdd(x, indices, zeros([list.length])),
      () => takeAlongAxis(x, indices),
      () => oneHot(indices, 4),
    ]) {
      expect(use).toThrow(ValueError)
      expect(use).toThrow(message)
    }
  })
})
