import { fc, test } from '@fast-check/vitest'
import { grad, slice, tensor, type Tensor, withBackend, zeros } from '@adjoint/core'
import { abstractBackend } from '@adjoint/core/extend'
import { arbitraries, checkGradients } from '@adjoint/core/testing'
import { describe, expect, it } from 'vitest'
import { at, build, type Nd, ndOf } from '../support/nd.js'

const arb = arbitraries(fc)

/** A slice as text, and what it means: positions of an axis, one that drops it, or a new axis. */
interface Part {
  readonly text: string
  readonly positions: readonly number[]
  readonly drops: boolean
}
const WHOLE = (side: number): Part => ({
  text: '',
  positions: Array.from({ length: side }, (_, i) => i),
  drops: false,
})

/** Python's range: what `list(range(side))[begin:end:step]` holds, by trying every position in order. */
function positionsOf(
  side: number,
  begin: number | null,
  end: number | null,
  step: number | null,
): readonly number[] {
  const all = Array.from({ length: side }, (_, i) => i)
  const stride = step ?? 1
  const order = stride > 0 ? all : all.toReversed()
  const wrap = (bound: number): number => (bound < 0 ? bound + side : bound)
  const isPast = (i: number, bound: number): boolean => (stride > 0 ? i >= bound : i <= bound)
  const some = order.filter(
    (i) => (begin === null || isPast(i, wrap(begin))) && (end === null || !isPast(i, wrap(end))),
  )
  return some.filter((_, i) => i % Math.abs(stride) === 0)
}

const bound = fc.option(fc.integer({ min: -6, max: 6 }))
const blank = fc.constantFrom('', ' ')
const rangeOn = (side: number): fc.Arbitrary<Part> =>
  fc
    .tuple(bound, bound, fc.option(fc.constantFrom(1, 2, 3, -1, -2)), fc.boolean(), blank)
    .map(([begin, end, step, hasStep, space]) => ({
      text: `${begin ?? ''}${space}:${space}${end ?? ''}${hasStep ? `:${step ?? ''}` : ''}`,
      positions: positionsOf(side, begin, end, hasStep ? step : null),
      drops: false,
    }))
const positionOn = (side: number): fc.Arbitrary<Part> =>
  fc.integer({ min: -side, max: side - 1 }).map((i) => ({
    text: String(i),
    positions: [i < 0 ? i + side : i],
    drops: true,
  }))
const NEW: Part = { text: 'None', positions: [0], drops: false }

/** A text for a shape, and what it takes: null parts are new axes. */
const textFor = (shape: readonly number[]): fc.Arbitrary<{ text: string; parts: readonly (Part | null)[] }> =>
  fc
    .record({
      parts: fc.tuple(
        ...shape.map((side) => (side > 0 ? fc.oneof(rangeOn(side), positionOn(side)) : rangeOn(side))),
      ),
      // Axes from `from` up to `to` are left to the dots, or to the end of the text.
      from: fc.nat({ max: shape.length }),
      count: fc.nat({ max: shape.length }),
      news: fc.array(fc.nat({ max: 6 }), { maxLength: 2 }),
      comma: fc.constantFrom(', ', ','),
    })
    .map(({ parts, from, count, news, comma }) => {
      const to = Math.min(from + count, shape.length)
      const isOpen = to < shape.length || from === 0
      const front: (Part | null)[] = parts.slice(0, from)
      const back: (Part | null)[] = parts.slice(to)
      for (const n of news) {
        const list = n % 2 === 0 || !isOpen ? front : back
        list.splice(n % (list.length + 1), 0, null)
      }
      const textOf = (part: Part | null): string => part?.text ?? (comma === ',' ? 'newaxis' : 'None')
      const middle = shape.slice(from, to).map(WHOLE)
      const dots = isOpen ? ['...'] : []
      return {
        text: [...front.map(textOf), ...dots, ...back.map(textOf)].join(comma),
        parts: [...front, ...middle, ...back],
      }
    })

function taken(x: Nd, parts: readonly (Part | null)[]): Nd {
  const own = parts.filter((part) => part !== null)
  const shown = parts.map((part) => part ?? NEW).filter((part) => !part.drops)
  return build(
    shown.map((part) => part.positions.length),
    (index) => {
      const of = new Map(shown.map((part, i) => [part, index[i]!]))
      return at(
        x,
        own.map((part) => part.positions[part.drops ? 0 : of.get(part)!]!),
      )
    },
  )
}

const cases = arb
  .shape({ minSide: 0, maxRank: 4, maxSide: 4 })
  .chain((shape) => fc.tuple(arb.tensor([...shape]), textFor(shape)))

describe('a slice as text', () => {
  test.prop([cases], { numRuns: 500 })('takes what NumPy takes', ([x, { text, parts }]) => {
    const out = slice(x, text)
    const expected = taken(ndOf(x), parts)
    expect(out.shape).toEqual(expected.shape)
    expect([...out.dataSync()]).toEqual(expected.data)
    expect(x.slice(text).arraySync()).toEqual(out.arraySync())
    expect(withBackend(abstractBackend, () => slice(x, text)).shape).toEqual(out.shape)
  })

  test.prop([cases], { numRuns: 60 })(
    'has the gradients that differences find, to second order',
    ([x, { text }]) => {
      checkGradients((t: Tensor) => t.slice(text).square(), [x], { order: 2 })
    },
  )

  const x = tensor(
    Array.from({ length: 24 }, (_, i) => i),
    { shape: [2, 3, 4] },
  )
  // What NumPy gives for np.arange(24).reshape(2, 3, 4)[text]: run with 1.24.2 and 2.4.6.
  it.each([
    ['1:-1, ::2, ..., None', [0, 2, 4, 1], []],
    ['0, 1:-1, ::2', [1, 2], [4, 6]],
    ['..., -1', [2, 3], [3, 7, 11, 15, 19, 23]],
    ['1, None, ::-2, 3:0:-2', [1, 2, 2], [23, 21, 15, 13]],
    ['-1, -1, -1', [], [23]],
    [':, 5:', [2, 0, 4], []],
    ['0, -100:1, :100:3', [1, 2], [0, 3]],
    ['newaxis, 0, 0 , 0,', [1], [0]],
  ])('%s', (text, shape, values) => {
    const out = slice(x, text)
    expect(out.shape).toEqual(shape)
    expect([...out.dataSync()]).toEqual(values)
  })

  it('puts the gradient back where the values came from', () => {
    const g = grad((t: Tensor) => t.slice('1, ::2').sum())(zeros([2, 3]))
    expect(g.arraySync()).toEqual([
      [0, 0, 0],
      [1, 0, 1],
    ])
  })
})

describe('a slice by begin and size', () => {
  it('goes to the end without a size', () => {
    expect(
      tensor([
        [1, 2],
        [3, 4],
      ])
        .slice([1, 0])
        .arraySync(),
    ).toEqual([[3, 4]])
  })
})
