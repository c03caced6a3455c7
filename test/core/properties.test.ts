import { fc, test } from '@fast-check/vitest'
import {
  broadcastTo,
  cast,
  concat,
  flip,
  reshape,
  slice,
  tensor,
  type Tensor,
  transpose,
  vjp,
  withBackend,
  zeros,
} from '@adjoint/core'
import { abstractBackend, type AnyRow, apply, isFloat, rows } from '@adjoint/core/extend'
import { checkGradients } from '@adjoint/core/testing'
import { describe, expect } from 'vitest'
import { type Nd, ndOf } from '../support/nd.js'
import { type Case, copyOf, sampleOf, surplus } from '../support/samples.js'

const EPS = Number.EPSILON
const EPS32 = 2 ** -23
/** `npm run test:full` draws three times as many. */
const TIMES = process.env['MODE'] === 'full' ? 3 : 1
const VALUES = { numRuns: 100 * TIMES }
const GRADIENTS = { numRuns: 40 * TIMES }
const LAYOUTS = { numRuns: 35 * TIMES }

test('every row has a sample, and every sample a row', () => {
  const missing = [...rows.values()].filter((row) => {
    try {
      return sampleOf(row) === undefined
    } catch {
      return true
    }
  })
  expect(missing.map((row) => row.name)).toEqual([])
  expect(surplus()).toEqual([])
})

test('no argument of a row is called like what its rules are given', () => {
  const reserved = ['g', 'out', 'attrs', 'inputs']
  for (const row of rows.values()) for (const arg of row.args) expect(reserved, row.name).not.toContain(arg)
})

const sampled = [...rows.values()].flatMap((row) => {
  try {
    return [{ name: row.name, row, sample: sampleOf(row) }]
  } catch {
    return []
  }
})

describe.each(sampled)('$name', ({ row, sample }) => {
  test.prop([sample.any], VALUES)('computes what the naive reference computes', ({ inputs, attrs }) => {
    const expected = sample.reference(inputs.map(ndOf), attrs as never)
    expectClose(ndOf(apply(row, inputs, attrs)), expected, inputs)
  })

  test.each(sample.large ?? [])('also of many elements', ({ inputs, attrs }) => {
    const expected = sample.reference(inputs.map(ndOf), attrs as never)
    expectClose(ndOf(apply(row, inputs, attrs)), expected, inputs)
  })

  if (sample.whole !== undefined)
    test.prop([sample.whole], LAYOUTS)('and of whole numbers and truth values', ({ inputs, attrs }) => {
      const out = apply(row, inputs, attrs)
      const expected = sample.reference(inputs.map(ndOf), attrs as never)
      // Whole results are whole; the others are rounded to float32, those beyond it to infinity.
      const rounded = isFloat(out.dtype) ? expected.data.map(Math.fround) : expected.data.map(Math.trunc)
      out.dataSync().forEach((value, i) => {
        const wanted = rounded[i]!
        if (!Number.isFinite(wanted) && !isFloat(out.dtype)) return
        const isRight = Number.isFinite(wanted)
          ? Math.abs(value - wanted) <= EPS32 * Math.abs(wanted)
          : Object.is(value, wanted)
        if (!isRight) expect.fail(`element ${i} is ${value}, the reference is ${wanted}`)
      })
    })

  if (sample.smooth !== undefined)
    test.prop([sample.smooth], LAYOUTS)(
      'in float32 it is the float64 result, rounded',
      ({ inputs, attrs }) => {
        const narrow = inputs.map((x) => (x.dtype === 'float64' ? cast(x, 'float32') : x))
        const wide = narrow.map((x) => (x.dtype === 'float32' ? cast(x, 'float64') : x))
        const [out, expected] = [apply(row, narrow, attrs), apply(row, wide, attrs)]
        expectClose(ndOf(out), ndOf(expected), inputs, EPS32)
      },
    )

  test.prop([sample.any], LAYOUTS)('infers the shape and dtype that it computes', ({ inputs, attrs }) => {
    const out = apply(row, inputs, attrs)
    const inferred = withBackend(abstractBackend, () => apply(row, inputs, attrs))
    expect([inferred.shape, inferred.dtype]).toEqual([out.shape, out.dtype])
    expect(out.size).toBe(out.dataSync().length)
  })

  test.prop([sample.any, fc.nat()], LAYOUTS)('does not depend on where its inputs come from', (a, choice) => {
    const inputs = a.inputs.map((x, i) => throughAnotherLayout(x, choice + i))
    expectSame(resultsOf(row, { ...a, inputs }), resultsOf(row, { ...a, inputs: inputs.map(copyOf) }))
  })

  test.prop([sample.any], LAYOUTS)('takes one tensor twice as it takes two alike', (a) => {
    const aliased = a.inputs.map((x) => a.inputs.find((y) => isLike(x, y))!)
    const inputs = aliased.map(copyOf)
    expectSame(resultsOf(row, { ...a, inputs: aliased }), resultsOf(row, { ...a, inputs }))
  })

  test.prop([sample.any], LAYOUTS)('leaves its inputs as they are', (a) => {
    const before = a.inputs.map((x) => x.dataSync())
    resultsOf(row, a)
    expect(a.inputs.map((x) => x.dataSync())).toEqual(before)
  })

  if (sample.smooth !== undefined)
    test.prop([sample.smooth], GRADIENTS)(
      'has the gradients that central differences find, and gradients of gradients',
      ({ inputs, attrs }) => {
        checkGradients((...xs: Tensor[]) => apply(row, xs, attrs), [...inputs], { order: 2 })
      },
    )

  const rules = Object.values(row.vjp ?? {})
  if (rules.every((rule) => rule === null))
    test.prop([sample.any], GRADIENTS)('has no gradient', (a) => {
      for (const g of gradientsOf(row, a)) expect(g.dataSync().every((value) => value === 0)).toBe(true)
    })
})

/** At most this many roundings of the largest number for each term: naive sums are of one term after another. */
const ROUNDINGS = 8

function expectClose(actual: Nd, expected: Nd, inputs: readonly Tensor[], eps: number = EPS): void {
  expect(actual.shape).toEqual(expected.shape)
  const terms = Math.max(1, ...inputs.map((x) => x.size))
  // No term is above the product of two inputs, all of which are within ±3.
  const largest = 9
  actual.data.forEach((value, i) => {
    const wanted = expected.data[i]!
    const allowed = Number.isFinite(wanted)
      ? ROUNDINGS * eps * terms * Math.max(largest, Math.abs(wanted))
      : 0
    if (!Object.is(value, wanted) && !(Math.abs(value - wanted) <= allowed))
      expect.fail(`element ${i} is ${value}, the reference is ${wanted} (allowed difference ${allowed})`)
  })
}

/** Bit by bit, but for NaN, which has no sign: all results are the same. */
function expectSame(actual: readonly Tensor[], expected: readonly Tensor[]): void {
  expect(actual.map((x) => [x.shape, x.dtype])).toEqual(expected.map((x) => [x.shape, x.dtype]))
  actual.forEach((x, k) => {
    const [got, want] = [x.dataSync(), expected[k]!.dataSync()]
    for (let i = 0; i < want.length; i++)
      if (!Object.is(got[i], want[i])) expect.fail(`element ${i} of result ${k} is ${got[i]}, not ${want[i]}`)
  })
}

/** The value, and the gradients by all floats. */
function resultsOf(row: AnyRow, a: Case): Tensor[] {
  return [apply(row, a.inputs, a.attrs), ...gradientsOf(row, a)]
}

/** By the inputs that are floats, for a cotangent without symmetries. */
function gradientsOf(row: AnyRow, { inputs, attrs }: Case): Tensor[] {
  const floats = inputs.filter((x) => isFloat(x.dtype))
  const [out, pullback] = vjp((...xs: Tensor[]) => {
    let next = 0
    const given = inputs.map((x) => (isFloat(x.dtype) ? xs[next++]! : x))
    const result = apply(row, given, attrs)
    return isFloat(result.dtype) ? result : cast(result, 'float64')
  }, floats)
  const cotangent = Float64Array.from({ length: out.size }, (_, i) => Math.sin(i + 1))
  return pullback(tensor(cotangent, { shape: out.shape, dtype: out.dtype }))
}

function isLike(x: Tensor, y: Tensor): boolean {
  return x.dtype === y.dtype && String(x.shape) === String(y.shape)
}

/** The values as a view, turned and turned back, cut out of something larger, or repeated along an axis. */
function throughAnotherLayout(x: Tensor, choice: number): Tensor {
  switch (choice % 5) {
    case 4:
      return flip(flip(x))
    case 0:
      return reshape(reshape(x, [x.size, 1]), x.shape)
    case 1:
      return transpose(transpose(x))
    case 2: {
      const begin = x.shape.map((_, axis) => (axis + choice) % 3)
      return slice(withMargins(x, begin), begin, x.shape)
    }
    default: {
      const axis = x.rank === 0 ? 0 : choice % x.rank
      const first = x.shape.map((side, i) => (i === axis ? Math.min(side, 1) : side))
      return broadcastTo(
        slice(
          x,
          x.shape.map(() => 0),
          first,
        ),
        x.shape,
      )
    }
  }
}

/** Zeros around `x`, `begin` of them before it and one behind it along each axis. */
function withMargins(x: Tensor, begin: readonly number[]): Tensor {
  let padded = x
  begin.forEach((count, axis) => {
    const margin = (size: number): Tensor => zeros(padded.shape.with(axis, size), x.dtype)
    padded = concat([margin(count), padded, margin(1)], axis)
  })
  return padded
}
