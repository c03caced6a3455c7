import { dot, type FloatDType, matmul, mean, std, sum, tensor, variance } from '@adjoint/core'
import { describe, expect, test } from 'vitest'

/** The distance from 1 to the next number. */
const ULP: Readonly<Record<FloatDType, number>> = { float32: 2 ** -23, float64: 2 ** -52 }
const LONGEST = 10_000_000

type Values = Float32Array | Float64Array

/** A sum without rounding errors to speak of, and the sum of absolute values, which errors are measured by. */
interface Exact {
  readonly value: number
  readonly scale: number
}

/** As the sum of two numbers, good for about 100 bits (Knuth; Dekker 1971). */
function exactSum(values: Values): Exact {
  let [high, low, scale] = [0, 0, 0]
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!
    const total = high + x
    const part = total - high
    low += high - (total - part) + (x - part)
    high = total
    scale += Math.abs(x)
  }
  return { value: high + low, scale }
}

/** The rounding error of a product is itself a float64: halves of 26 bits have exact products (Veltkamp 1968). */
function exactDot(xs: Values, ys: Values): Exact {
  let [high, low, scale] = [0, 0, 0]
  for (let i = 0; i < xs.length; i++) {
    const [x, y] = [xs[i]!, ys[i]!]
    const product = x * y
    const [xh, yh] = [upperHalf(x), upperHalf(y)]
    const [xl, yl] = [x - xh, y - yh]
    const total = high + product
    const part = total - high
    low += high - (total - part) + (product - part)
    low += xl * yl - (product - xh * yh - xl * yh - xh * yl)
    high = total
    scale += Math.abs(product)
  }
  return { value: high + low, scale }
}

function upperHalf(x: number): number {
  const scaled = x * 134_217_729
  return scaled - (scaled - x)
}

/** Numbers in [-1, 1), one after another, that are the same in every run. */
function noise(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state / 2 ** 31
  }
}

const SIZES = Float64Array.from({ length: 9 }, (_, i) => 10 ** (i - 4))
const kinds: Readonly<Record<string, () => (i: number) => number>> = {
  // Each addition of the same number to a growing sum rounds the same way: nothing averages out.
  'the same number': () => () => 0.1,
  noise: () => noise(1),
  'numbers that cancel': () => {
    const small = noise(2)
    return (i) => (i % 2 === 0 ? 1e6 + small() : -1e6)
  },
  'numbers of all sizes': () => {
    const random = noise(3)
    return (i) => random() * SIZES[i % 9]!
  },
}

function make(dtype: FloatDType, count: number, at: (i: number) => number): Values {
  const values = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = at(i)
  return values
}

/** Column `j` of a matrix of `columns` columns. */
function columnOf(values: Values, columns: number, j: number): Float64Array {
  return Float64Array.from({ length: values.length / columns }, (_, i) => values[i * columns + j]!)
}

/** Within 8 ulp of the sum of absolute values for each doubling of n. */
function expectAccurate(what: string, got: number, exact: Exact, n: number, dtype: FloatDType): void {
  const allowed = 8 * ULP[dtype] * Math.log2(n) * exact.scale
  const error = Math.abs(got - exact.value)
  if (!(error <= allowed)) expect.fail(`${what} of ${n}: ${got} is ${error} off, allowed are ${allowed}`)
}

describe.each(['float32', 'float64'] as const)('in %s, of up to 10,000,000 elements,', (dtype) => {
  describe.each(Object.keys(kinds))('%s:', (kind) => {
    test.each([1000, 100_000, LONGEST])('%i are summed, averaged and multiplied to 8 ulp log2(n)', (n) => {
      const [values, others] = [make(dtype, n, kinds[kind]!()), make(dtype, n, noise(4))]
      const [x, y] = [tensor(values), tensor(others)]
      const total = exactSum(values)
      expectAccurate('sum', sum(x).itemSync(), total, n, dtype)
      expectAccurate('mean times n', mean(x).itemSync() * n, total, n, dtype)
      const product = exactDot(values, others)
      expectAccurate('dot', dot(x, y).itemSync(), product, n, dtype)
      const matrix = matmul(x.reshape([1, n]), y.reshape([n, 1]))
      expectAccurate('matmul', matrix.itemSync(), product, n, dtype)
    })
  })

  test('products with ones are sums', () => {
    const values = make(dtype, LONGEST, () => 0.1)
    const ones = make(dtype, LONGEST, () => 1)
    expectAccurate('dot', dot(tensor(values), tensor(ones)).itemSync(), exactSum(values), LONGEST, dtype)
  })

  test('sums along either axis of a matrix are as accurate, element by element', () => {
    const [rows, columns] = [20_000, 50]
    const values = make(dtype, rows * columns, kinds['numbers of all sizes']!())
    const x = tensor(values, { shape: [rows, columns] })
    const byColumn = sum(x, 0).dataSync()
    const byRow = sum(x, 1).dataSync()
    for (let j = 0; j < columns; j++) {
      const column = exactSum(columnOf(values, columns, j))
      expectAccurate(`column ${j}`, byColumn[j]!, column, rows, dtype)
    }
    for (let i = 0; i < rows; i += 997) {
      const row = exactSum(values.subarray(i * columns, (i + 1) * columns))
      expectAccurate(`row ${i}`, byRow[i]!, row, columns, dtype)
    }
  })

  test('every element of a large product of matrices is so', () => {
    const [m, k, n] = [3, 100_000, 5]
    const a = make(dtype, m * k, noise(5))
    const b = make(dtype, k * n, kinds['numbers of all sizes']!())
    const out = matmul(tensor(a, { shape: [m, k] }), tensor(b, { shape: [k, n] })).dataSync()
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        const exact = exactDot(a.subarray(i * k, (i + 1) * k), columnOf(b, n, j))
        expectAccurate(`element ${i}, ${j}`, out[i * n + j]!, exact, k, dtype)
      }
  })

  test.each([1000, 1_000_000])('the variance of %i values of 1e6 + noise is right to 1e-4', (n) => {
    const at = noise(6)
    const values = make(dtype, n, () => 1e6 + at())
    const center = exactSum(values).value / n
    const squares = exactSum(Float64Array.from(values, (value) => (value - center) ** 2))
    const x = tensor(values)
    const wanted = squares.value / n
    expect(Math.abs(variance(x).itemSync() / wanted - 1)).toBeLessThan(1e-4)
    expect(Math.abs(std(x).itemSync() / Math.sqrt(wanted) - 1)).toBeLessThan(1e-4)
  })
})
