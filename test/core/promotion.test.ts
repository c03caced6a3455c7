import { fc, test } from '@fast-check/vitest'
import {
  add,
  compile,
  concat,
  DTypeError,
  type DType,
  equal,
  exp,
  matmul,
  mul,
  type NumericDType,
  setFloatx,
  tensor,
  type Tensor,
  where,
  withBackend,
} from '@adjoint/core'
import { abstractBackend, promote } from '@adjoint/core/extend'
import { describe, expect } from 'vitest'

const dtypes = ['bool', 'uint8', 'int32', 'float32', 'float64'] as const

// The whole table: the dtype of an op on a row's dtype and a column's. As in JAX and Keras a float with a whole number
// keeps its width, where NumPy would widen int32 with float32 to float64.
// prettier-ignore
const table: readonly (readonly NumericDType[])[] = [
  //         bool       uint8      int32      float32    float64
  /* bool */ ['bool',    'uint8',   'int32',   'float32', 'float64'],
  /* uint8 */['uint8',   'uint8',   'int32',   'float32', 'float64'],
  /* int32 */['int32',   'int32',   'int32',   'float32', 'float64'],
  /* f32 */  ['float32', 'float32', 'float32', 'float32', 'float64'],
  /* f64 */  ['float64', 'float64', 'float64', 'float64', 'float64'],
]

const pairs = dtypes.flatMap((a, i) => dtypes.map((b, j) => ({ a, b, both: table[i]![j]! })))
const of = (dtype: NumericDType): Tensor => tensor([0, 1], { dtype })

describe('the promotion table', () => {
  test.each(pairs)('$a with $b is $both', ({ a, b, both }) => {
    expect(promote('add', a, b)).toBe(both)
    // Sums and products of truth values are counts.
    const counted = both === 'bool' ? 'int32' : both
    expect(add(of(a), of(b)).dtype).toBe(counted)
    expect(mul(of(a), of(b)).dtype).toBe(counted)
    expect(concat([of(a), of(b)]).dtype).toBe(both)
    expect(where(tensor([true, false]), of(a), of(b)).dtype).toBe(both)
    expect(matmul(of(a), of(b)).dtype).toBe(both === 'uint8' ? 'int32' : counted)
    expect(equal(of(a), of(b)).dtype).toBe('bool')
  })

  const dtype = fc.constantFrom(...dtypes)
  const both = (a: DType, b: DType): NumericDType => promote('add', a, b)

  test.prop([dtype, dtype, dtype])('does not depend on order or grouping', (a, b, c) => {
    expect(both(a, b)).toBe(both(b, a))
    expect(both(both(a, b), c)).toBe(both(a, both(b, c)))
    expect(both(a, a)).toBe(a)
  })

  test('has no place for strings', () => {
    const words = tensor(['a', 'b'], { dtype: 'string' })
    for (const dtype of dtypes) expect(() => promote('add', 'string', dtype)).toThrow(DTypeError)
    // A mistake in TypeScript too, but data may arrive untyped.
    expect(() => add(words as unknown as Tensor, of('float32'))).toThrow(DTypeError)
  })

  test('says of strings that no op moves them', () => {
    const words = tensor([['a', 'b']], { dtype: 'string' })
    const table = words as unknown as Tensor
    for (const move of [
      () => table.slice('0'),
      () => table.transpose(),
      () => [...table],
      () => concat([table, table]),
      () => compile((x: Tensor) => x.slice('0'))(table),
      () => withBackend(abstractBackend, () => table.slice('0')),
    ]) {
      expect(move).toThrow(DTypeError)
      expect(move).toThrow(/^\w+: .*strings.* arraySync\(\) and make a tensor of it/)
    }
    expect(words.reshape([2, 1]).arraySync()).toEqual([['a'], ['b']])
  })
})

describe('a number beside a tensor', () => {
  test.each([
    ['float32', 2.5, 'float32'],
    ['float64', 2.5, 'float64'],
    ['float32', 2, 'float32'],
    ['int32', 2, 'int32'],
    ['uint8', 2, 'uint8'],
    ['bool', 2, 'int32'],
    // What the tensor's dtype cannot hold makes the result wider.
    ['uint8', -2, 'int32'],
    ['uint8', 256, 'int32'],
    ['int32', 2.5, 'float32'],
    ['bool', 0.5, 'float32'],
    ['int32', 2 ** 31, 'float32'],
  ] as const)('%s with %d is %s', (dtype, value, expected) => {
    expect(add(of(dtype), value).dtype).toBe(expected)
    expect(add(value, of(dtype)).dtype).toBe(expected)
  })
})

describe('functions with fractions for values', () => {
  test.each(dtypes)('of %s are floats', (dtype) => {
    expect(exp(of(dtype)).dtype).toBe(dtype === 'float64' ? 'float64' : 'float32')
  })

  test('of whole numbers have the default float', () => {
    setFloatx('float64')
    try {
      expect(exp(of('int32')).dtype).toBe('float64')
      expect(exp(of('float32')).dtype).toBe('float32')
      expect(tensor([1]).dtype).toBe('float64')
    } finally {
      setFloatx('float32')
    }
  })
})
