import {
  checkpoint,
  customGradient,
  grad,
  gradientTape,
  ShapeError,
  tensor,
  type Tensor,
  type TensorTree,
  valueAndGrad,
  ValueError,
  variable,
} from '@adjoint/core'
import { checkGradients } from '@adjoint/core/testing'
import { describe, expect, test } from 'vitest'

const f64 = (values: number | readonly number[]): Tensor => tensor(values as number[], { dtype: 'float64' })

interface Layer {
  readonly w: Tensor
  readonly b: readonly [Tensor, Tensor]
}
const layer: Layer = { w: f64([0.5, -1.5]), b: [f64(0.25), f64([2, 3])] }

/** Two results of several tensors each, none of which is a scalar alone. */
const twice = ({ w, b }: Layer, x: Tensor): { readonly y: Tensor; readonly rest: readonly Tensor[] } => ({
  y: w.mul(x).add(b[0]).sin(),
  rest: [b[1].mul(x).exp(), w.mul(b[1]).sum()],
})
const lossOf =
  (f: typeof twice) =>
  (p: Layer, x: Tensor): Tensor => {
    const { y, rest } = f(p, x)
    return y.square().sum().add(rest[0]!.mul(y).sum()).mul(rest[1]!.tanh())
  }

function expectNear(actual: unknown, expected: unknown): void {
  const flat = (x: unknown): number[] =>
    JSON.stringify(x)
      .match(/-?\d[\d.e+-]*/g)!
      .map(Number)
  const [a, b] = [flat(actual), flat(expected)]
  expect(a.length).toBe(b.length)
  a.forEach((value, i) => expect(value).toBeCloseTo(b[i]!, 12))
}

describe('checkpoint of structures', () => {
  test('changes no gradient', () => {
    const x = f64([0.3, 0.7])
    const by = { argnums: [0, 1] } as const
    expectNear(grad(lossOf(checkpoint(twice)), by)(layer, x), grad(lossOf(twice), by)(layer, x))
  })

  test('nor one of a gradient', () => {
    const first = (f: typeof twice) => (x: Tensor) => grad(lossOf(f))(layer, x).b[1].square().sum()
    expectNear(grad(first(checkpoint(twice)))(f64([0.3, 0.7])), grad(first(twice))(f64([0.3, 0.7])))
    checkGradients((x: Tensor) => lossOf(checkpoint(twice))(layer, x), [f64([0.3, 0.7])], { order: 2 })
  })

  test('keeps dtypes apart, and passes on what has no gradient', () => {
    const f = checkpoint((x: Tensor) => ({
      wide: x.square(),
      narrow: x.cast('float32').mul(3),
      first: x.argMax(),
    }))
    const [value, g] = valueAndGrad((x: Tensor) => {
      const { wide, narrow, first } = f(x)
      expect([wide.dtype, narrow.dtype, first.dtype]).toEqual(['float64', 'float32', 'int32'])
      return wide.sum().add(narrow.cast('float64').sum()).add(first.cast('float64'))
    })(f64([1, 5, 2]))
    expect(value.itemSync()).toBe(30 + 24 + 1)
    expect(g.arraySync()).toEqual([5, 13, 7])
  })

  test('reads variables', () => {
    const v = variable(f64([2, 3]), { name: 'v' })
    const f = checkpoint((x: Tensor) => [x.mul(v), v.square()])
    using tape = gradientTape()
    const [a, b] = f(f64([5, 7]))
    expect(tape.gradient(a!.mul(b!).sum(), v).arraySync()).toEqual([3 * 5 * 4, 3 * 7 * 9])
  })

  test('refuses what holds no tensors, saying where', () => {
    const f = checkpoint((p: { a: unknown[] }) => p.a[0] as Tensor)
    expect(() => f({ a: [f64(1), 2] })).toThrow(
      /^checkpoint: inputs\[0\]\.a\[1\] must be a tensor, got number/,
    )
    const g = checkpoint((t: Tensor) => [t, 2] as unknown as Tensor)
    expect(() => grad(g)(f64(1))).toThrow(/checkpoint: the function returned number, not a tensor/)
  })
})

describe('customGradient of structures', () => {
  // Cotangents of all results are limited together: asked for one at a time they would not be.
  const limited = customGradient(
    (p: Layer, x: Tensor) => ({ y: p.w.mul(x), z: [p.b[0].mul(2)] as const }),
    ({ g }) => {
      const norm = g.y.square().sum().add(g.z[0].square()).sqrt()
      return [{ w: g.y.div(norm), b: [g.z[0].div(norm), null] }, null]
    },
  )

  test('is given the cotangents of all results at once', () => {
    const [g, dx] = grad(
      (p: Layer, x: Tensor) => {
        const { y, z } = limited(p, x)
        return y
          .mul(f64([3, 0]))
          .sum()
          .add(z[0].mul(4))
      },
      { argnums: [0, 1] },
    )(layer, f64([1, 1]))
    expect(g.w.arraySync()).toEqual([3 / 5, 0])
    expect(g.b[0].itemSync()).toBe(4 / 5)
    expect([g.b[1].arraySync(), dx.arraySync()]).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  test('is asked once, with zeros for what nothing flows from', () => {
    let asked = 0
    const f = customGradient(
      ([x, y]: readonly [Tensor, Tensor]) => [x.mul(y), x.add(y)] as const,
      ({ g: [p, s], inputs: [[x, y]] }) => {
        asked++
        return [[p.mul(y).add(s), p.mul(x).add(s)]]
      },
    )
    expect(
      grad((xs: readonly [Tensor, Tensor]) => f(xs)[1])([f64(2), f64(3)]).map((t) => t.itemSync()),
    ).toEqual([1, 1])
    expect(asked).toBe(1)
    checkGradients((x: Tensor, y: Tensor) => f([x, y])[0].mul(f([x, y])[1]), [f64(2), f64(3)], { order: 2 })
  })

  test('null for a part of an input stands for all that is in it', () => {
    const f = customGradient(
      (p: Layer) => p.w.sum(),
      () => [null],
    )
    const g = grad((p: Layer) => f(p))(layer)
    expect(JSON.stringify(g)).toBe('{"w":[0,0],"b":[0,[0,0]]}')
  })

  const returning = (cotangents: unknown) => {
    const f = customGradient(
      function half(p: Layer): Tensor {
        return p.w.mul(0.5)
      },
      () => cotangents as never,
    )
    return () => grad((p: Layer) => f(p).sum())(layer)
  }
  test.each([
    [[], ShapeError, /half: its gradient must return a list of 1 cotangents, got 0/],
    [
      [{ w: null }],
      ValueError,
      /half: cotangent 0 must have the keys w, b like its input, or be null, got w/,
    ],
    [[{ w: null, b: null, c: null }], ValueError, /keys w, b .* got w, b, c/],
    [[{ w: null, b: [null] }], ValueError, /half: cotangent 0\.b must be a list of 2/],
    [[{ w: 3, b: null }], ValueError, /half: cotangent 0\.w must be a tensor or null, got number/],
    [[{ w: f64([1, 2, 3]), b: null }], ShapeError, /half: cotangent 0\.w is \[3\], its input \[2\]/],
    [[f64(1)], ValueError, /cotangent 0 must have the keys/],
    [[undefined], ValueError, /cotangent 0 must have the keys/],
  ])('a gradient that returns %j is refused', (cotangents, kind, message) => {
    expect(returning(cotangents)).toThrow(kind)
    expect(returning(cotangents)).toThrow(message)
  })
})

test('structures keep their types', () => {
  const f: (p: Layer, x: Tensor) => { readonly y: Tensor; readonly rest: readonly Tensor[] } =
    checkpoint(twice)
  const any: (x: TensorTree) => TensorTree = checkpoint((x: TensorTree) => x)
  const sum = (x: Tensor, y: Tensor): Tensor => x.add(y)
  // @ts-expect-error -- one cotangent is missing
  customGradient(sum, ({ g }) => [g])
  const first = (p: Layer): Tensor => p.w
  // @ts-expect-error -- b is missing
  customGradient(first, ({ g }) => [{ w: g }])
  expect([f, any].map((g) => typeof g)).toEqual(['function', 'function'])
})
