import { dot, type FloatDType, matmul, mean, std, sum, tensor, variance } from '@adjoint/core'
import { describe, expect, test } from 'vitest'

/** The distance from 1 to the next number. */
const ULP: Readonly<Record<FloatDType, number>> = { float32: 2 ** -23, float64: 2 ** -52 }
const LONGEST = 10_000_000

type Values = Float32Array | Float64Array

/** A sum without rounding errors to speak of: as the sum of two numbers, good for about 100 bits (Knuth; Dekker 1971). */
class Exact {
  high = 0
  low = 0
  /** The sum of absolute values, which errors are measured by. */
  scale = 0

  add(x: number): void {
    const total = this.high + x
    const part = total - this.high
    this.low += this.high - (total - part) + (x - part)
    this.high = total
    this.scale += Math.abs(x)
  }

  /** Adds x y, whose rounding error is itself a float64: halves of 26 bits have exact products (Veltkamp 1968). */
  addProduct(x: number, y: number): void {
    const product = x * y
    const [xh, yh] = [upperHalf(x), upperHalf(y)]
    const [xl, yl] = [x - xh, y - yh]
    this.add(product)
    this.low += xl * yl - (product - xh * yh - xl * yh - xh * yl)
  }

  get value(): number {
    return this.high + this.low
  }
}

function upperHalf(x: number): number {
  const scaled = x * 134_217_729
  return scaled - (scaled - x)
}

function exactSum(values: Values): Exact {
  const exact = new Exact()
  for (let i = 0; i < values.length; i++) exact.add(values[i]!)
  return exact
}

function exactDot(x: Values, y: Values): Exact {
  const exact = new Exact()
  for (let i = 0; i < x.length; i++) exact.addProduct(x[i]!, y[i]!)
  return exact
}

/** Numbers in [-1, 1) that are the same in every run. */
function noise(count: number, seed: number): (i: number) => number {
  const random = new Float64Array(count)
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    random[i] = state / 2 ** 31
  }
  return (i) => random[i]!
}

const kinds: Readonly<Record<string, (count: number) => (i: number) => number>> = {
  // Each addition of the same number to a growing sum rounds the same way: nothing averages out.
  'the same number': () => () => 0.1,
  noise: (count) => noise(count, 1),
  'numbers that cancel': (count) => {
    const small = noise(count, 2)
    return (i) => (i % 2 === 0 ? 1e6 + small(i) : -1e6)
  },
  'numbers of all sizes': (count) => {
    const random = noise(count, 3)
    return (i) => random(i) * 10 ** ((i % 9) - 4)
  },
}

function make(dtype: FloatDType, count: number, at: (i: number) => number): Values {
  const values = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = at(i)
  return values
}

/** Within 8 ulp of the sum of absolute values for each doubling of n. */
function expectAccurate(what: string, got: number, exact: Exact, n: number, dtype: FloatDType): void {
  const allowed = 8 * ULP[dtype] * Math.log2(n) * exact.scale
  const error = Math.abs(got - exact.value)
  if (!(error <= allowed)) expect.fail(`${what} of ${n}: ${got} is ${error} off, allowed are ${allowed}`)
}

describe.each(['float32', 'float64'] as const)('in %s, of up to 10,000,000 elements,', (dtype) => {
  describe.each(Object.keys(kinds))('%s:', (kind) => {
    test.each([1000, 100_000, LONGEST])('%i are summed and averaged to 8 ulp log2(n) of their sizes', (n) => {
      const values = make(dtype, n, kinds[kind]!(n))
      const exact = exactSum(values)
      const x = tensor(values)
      expectAccurate('sum', sum(x).itemSync(), exact, n, dtype)
      expectAccurate('mean times n', mean(x).itemSync() * n, exact, n, dtype)
    })

    test.each([1000, LONGEST])('%i are multiplied and summed so', (n) => {
      const values = make(dtype, n, kinds[kind]!(n))
      const others = make(dtype, n, noise(n, 4))
      const exact = exactDot(values, others)
      const [x, y] = [tensor(values), tensor(others)]
      expectAccurate('dot', dot(x, y).itemSync(), exact, n, dtype)
      const product = matmul(x.reshape([1, n]), y.reshape([n, 1]))
      expectAccurate('matmul', product.itemSync(), exact, n, dtype)
    })
  })

  test('products with ones are sums', () => {
    const values = make(dtype, LONGEST, () => 0.1)
    const ones = make(dtype, LONGEST, () => 1)
    expectAccurate('dot', dot(tensor(values), tensor(ones)).itemSync(), exactSum(values), LONGEST, dtype)
  })

  test('sums along either axis of a matrix are as accurate, element by element', () => {
    const [rows, columns] = [20_000, 50]
    const values = make(dtype, rows * columns, kinds['numbers of all sizes']!(rows * columns))
    const x = tensor(values, { shape: [rows, columns] })
    const byColumn = sum(x, 0).dataSync()
    const byRow = sum(x, 1).dataSync()
    for (let j = 0; j < columns; j++) {
      const column = exactSum(values.filter((_, i) => i % columns === j))
      expectAccurate(`column ${j}`, byColumn[j]!, column, rows, dtype)
    }
    for (let i = 0; i < rows; i += 997) {
      const row = exactSum(values.subarray(i * columns, (i + 1) * columns))
      expectAccurate(`row ${i}`, byRow[i]!, row, columns, dtype)
    }
  })

  test('every element of a large product of matrices is so', () => {
    const [m, k, n] = [3, 100_000, 5]
    const a = make(dtype, m * k, noise(m * k, 5))
    const b = make(dtype, k * n, kinds['numbers of all sizes']!(k * n))
    const out = matmul(tensor(a, { shape: [m, k] }), tensor(b, { shape: [k, n] })).dataSync()
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        const exact = exactDot(
          a.subarray(i * k, (i + 1) * k),
          b.filter((_, at) => at % n === j),
        )
        expectAccurate(`element ${i}, ${j}`, out[i * n + j]!, exact, k, dtype)
      }
  })

  test.each([1000, 1_000_000])('the variance of %i values of 1e6 + noise is right to 1e-4', (n) => {
    const at = noise(n, 6)
    const values = make(dtype, n, (i) => 1e6 + at(i))
    const center = exactSum(values).value / n
    const squares = exactSum(Float64Array.from(values, (value) => (value - center) ** 2))
    const x = tensor(values)
    const wanted = squares.value / n
    expect(Math.abs(variance(x).itemSync() / wanted - 1)).toBeLessThan(1e-4)
    expect(Math.abs(std(x).itemSync() / Math.sqrt(wanted) - 1)).toBeLessThan(1e-4)
  })
})
