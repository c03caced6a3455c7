import { fc, test } from '@fast-check/vitest'
import {
  add,
  checkpoint,
  grad,
  gradientTape,
  hessian,
  hvp,
  jacobian,
  jvp,
  mul,
  pow,
  sum,
  tensor,
  type Tensor,
  valueAndGrad,
  valueAndGrads,
  variable,
  vjp,
  xlogy,
} from '@adjoint/core'
import { arbitraries, checkGradients, type Program } from '@adjoint/core/testing'
import { describe, expect } from 'vitest'
import { dot, randomLike } from '../support/programs.js'

const arb = arbitraries(fc)
const f64 = (values: number | number[]): Tensor => tensor(values, { dtype: 'float64' })
const RUNS = { numRuns: 100 }

/** The results of a program, summed against numbers without symmetries: a scalar. */
const loss =
  (program: Program) =>
  (...xs: Tensor[]): Tensor => {
    const outs = program.run(...xs)
    const c = randomLike(outs, 7)
    return outs.map((out, i) => sum(mul(out, c[i]!))).reduce(add)
  }

const values = (xs: readonly Tensor[]) => xs.map((x) => [x.shape, x.dtype, x.dataSync()])
/** All arguments of a program, for `argnums`. */
const all = (program: Program): number[] => [...program.inputs.keys()]
const gradients = (program: Program): Tensor[] =>
  grad(loss(program), { argnums: all(program) })(...program.inputs)

/**
 * Equal up to rounding: two ways to the same derivative add up the same terms in another order. Programs amplify
 * what they round, as in programs.test.ts.
 */
function expectNear(actual: readonly Tensor[], expected: readonly Tensor[]): void {
  const size = Math.sqrt(dot(expected, expected).value)
  expect(actual.map((x) => x.shape)).toEqual(expected.map((x) => x.shape))
  actual.forEach((x, i) => {
    const wanted = expected[i]!.dataSync()
    x.dataSync().forEach((value, at) =>
      expect(Math.abs(value - wanted[at]!)).toBeLessThanOrEqual(1e-9 * (1 + size)),
    )
  })
}

const scaled = (xs: readonly Tensor[], by: number): Tensor[] => xs.map((x) => mul(x, by))
const added = (xs: readonly Tensor[], ys: readonly Tensor[]): Tensor[] => xs.map((x, i) => add(x, ys[i]!))

describe('a pullback', () => {
  test.prop([arb.program(), fc.nat()], RUNS)('is linear', (program, seed) => {
    const [outs, pullback] = vjp(program.run, [...program.inputs])
    const [u, w] = [randomLike(outs, seed), randomLike(outs, seed + 100)]
    const together = pullback(added(scaled(u, 2), scaled(w, -3)))
    expectNear(together, added(scaled(pullback(u), 2), scaled(pullback(w), -3)))
  })

  test.prop([arb.program()], RUNS)(
    'of zeros is zeros, and gives the same whenever it is called',
    (program) => {
      const [outs, pullback] = vjp(program.run, [...program.inputs])
      for (const g of pullback(scaled(outs, 0))) expect(g.dataSync().every((value) => value === 0)).toBe(true)
      const u = randomLike(outs, 1)
      expect(values(pullback(u))).toEqual(values(pullback(u)))
    },
  )

  test.prop([arb.program()], RUNS)('comes with the value that the function has without it', (program) => {
    const [outs] = vjp(program.run, [...program.inputs])
    expect(values(outs)).toEqual(values(program.run(...program.inputs)))
  })
})

describe('every way to a gradient', () => {
  test.prop([arb.program()], RUNS)('valueAndGrad gives the value and what grad gives', (program) => {
    const [value, found] = valueAndGrad(loss(program), { argnums: all(program) })(...program.inputs)
    expect(values([value])).toEqual(values([loss(program)(...program.inputs)]))
    expect(values(found)).toEqual(values(gradients(program)))
  })

  test.prop([arb.program()], RUNS)('a tape that watches gives what grad gives', (program) => {
    // One name for each tensor: what is given twice has one gradient, the sum of both.
    const inputs = program.inputs.map((x) => mul(x, 1))
    using tape = gradientTape()
    tape.watch(inputs)
    const found = tape.gradient(loss(program)(...inputs), inputs)
    expect(values(found)).toEqual(values(gradients(program)))
  })

  test.prop([arb.program()], RUNS)('variables have the gradients that arguments have', (program) => {
    const variables = program.inputs.map((x) => variable(x))
    const { value, grads } = valueAndGrads(() => loss(program)(...variables), variables)
    expect(values([value])).toEqual(values([loss(program)(...program.inputs)]))
    expect(values(grads)).toEqual(values(gradients(program)))
  })

  test.prop([arb.program()], RUNS)('checkpoints change nothing', (program) => {
    const again = grad(checkpoint(loss(program)), { argnums: all(program) })(...program.inputs)
    expectNear(again, gradients(program))
  })

  test.prop([arb.program(), fc.nat()], RUNS)('jvp is the transpose of vjp', (program, seed) => {
    const xs = [...program.inputs]
    const v = randomLike(xs, seed)
    const [outs, tangents] = jvp(program.run, xs, v)
    const u = randomLike(outs, seed + 100)
    const [left, right] = [dot(u, tangents), dot(vjp(program.run, xs)[1](u), v)]
    expect(Math.abs(left.value - right.value)).toBeLessThanOrEqual(1e-9 * (1 + left.scale + right.scale))
  })

  test.prop([arb.program({ maxInputs: 1 }), fc.nat()], RUNS)(
    'the Jacobian times a vector is jvp, and the Hessian times a vector is hvp',
    (program, seed) => {
      const x = program.inputs[0]!
      const v = randomLike([x], seed)[0]!
      const f = (at: Tensor): Tensor => program.run(at)[0]!
      const times = (matrix: Tensor, rank: number): Tensor => {
        const axes = Array.from({ length: x.rank }, (_, i) => rank + i)
        return sum(mul(matrix, v), axes)
      }
      const out = f(x)
      expectNear([times(jacobian(f)(x), out.rank)], [jvp(f, [x], [v])[1]])
      const g = (at: Tensor): Tensor => loss(program)(at)
      expectNear([times(hessian(g)(x), x.rank)], hvp(g)([x], [v]))
    },
  )

  test.prop([arb.program({ maxInputs: 1 })], RUNS)('a Hessian is symmetric', (program) => {
    const x = program.inputs[0]!
    const matrix = hessian((at: Tensor) => loss(program)(at))(x).reshape([x.size, x.size])
    expectNear([matrix.transpose()], [matrix])
  })
})

describe('gradients of gradients', () => {
  test('grad(x => x grad(y => x + y)(x)) is 1: the inner gradient does not see the outer x', () => {
    expect(grad((x: Tensor) => x.mul(grad((y: Tensor) => x.add(y))(x)))(f64(3)).itemSync()).toBe(1)
  })

  test.prop([arb.program({ maxInputs: 1 })], RUNS)(
    'inner functions may close over outer arguments, three levels deep',
    (program) => {
      const f = loss(program)
      // Each level differentiates by a name of its own, and uses those of the levels around it.
      const nested = (x: Tensor): Tensor =>
        grad((y: Tensor) => sum(mul(mul(x, y), grad((z: Tensor) => add(f(z), sum(mul(mul(x, y), z))))(y))))(x)
      checkGradients(nested, [program.inputs[0]!])
    },
  )

  test.prop([arb.program({ maxInputs: 1 })], RUNS)(
    'variables that inner functions close over are seen by outer tapes',
    (program) => {
      const f = loss(program)
      const x = program.inputs[0]!
      const v = variable(x)
      const inner = (at: Tensor): Tensor =>
        sum(mul(grad((y: Tensor) => add(f(y), sum(mul(y, at))))(mul(at, 1)), at))
      const { grads } = valueAndGrads(() => inner(v), [v])
      expectNear(grads, [grad(inner)(x)])
    },
  )

  test('a function that throws leaves no tape open', () => {
    const fails = (x: Tensor): Tensor => {
      throw new Error(`on purpose: ${x.rank}`)
    }
    expect(() => grad((x: Tensor) => mul(x, grad(fails)(x)))(f64(1))).toThrow('on purpose')
    expect(grad((x: Tensor) => mul(x, x))(f64(3)).itemSync()).toBe(6)
    const { grads } = valueAndGrads(() => f64(1), [variable(f64(2))])
    expect(grads[0]!.itemSync()).toBe(0)
  })
})

describe('structures', () => {
  test('of arguments are the structures of their gradients', () => {
    const params = { w: f64([1, 2]), layers: [{ b: f64(3) }, { b: tensor([[4]], { dtype: 'float64' }) }] }
    const g = grad((p: typeof params) =>
      add(sum(mul(p.w, p.w)), add(mul(p.layers[0]!.b, 2), sum(mul(p.layers[1]!.b, 5)))),
    )(params)
    expect(Object.keys(g)).toEqual(['w', 'layers'])
    expect(values([g.w, g.layers[0]!.b, g.layers[1]!.b])).toEqual(
      values([f64([2, 4]), f64(2), tensor([[5]], { dtype: 'float64' })]),
    )
  })

  test.prop([arb.program(), arb.shape({ minSide: 0 }), fc.constantFrom('float32', 'float64')], RUNS)(
    'of what is not used are zeros, of its shape and dtype',
    (program, shape, dtype) => {
      const unused = tensor(new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(2), { shape, dtype })
      const f = (given: { unused: Tensor; xs: readonly Tensor[] }): Tensor => loss(program)(...given.xs)
      const g = grad(f)({ unused, xs: program.inputs })
      expect(values([g.unused])).toEqual(values([mul(unused, 0)]))
      expect(values(g.xs)).toEqual(values(gradients(program)))
    },
  )
})

describe('found bugs stay found', () => {
  test('the gradient of a gradient through relu, whose mask once took its cotangent for its argument', () => {
    const cube = (x: Tensor): Tensor => sum(mul(mul(x.relu(), x.relu()), x.relu()))
    expect(grad((x: Tensor) => grad(cube)(x))(f64(2)).itemSync()).toBe(12)
    expect(grad((x: Tensor) => grad((y: Tensor) => y.clip(-1, 3).square())(x))(f64(2)).itemSync()).toBe(2)
  })

  test('the derivative of x^y by x and y is 1 / x at y = 0', () => {
    const byX = (y: Tensor): Tensor => grad((x: Tensor) => pow(x, y))(f64(2))
    expect(grad(byX)(f64(0)).itemSync()).toBe(0.5)
    checkGradients((x: Tensor, y: Tensor) => pow(x, y), [f64(2), f64(0)], { order: 2 })
  })

  test('the derivative of x log y by x and y is 1 / y at x = 0', () => {
    checkGradients((x: Tensor, y: Tensor) => xlogy(x, y), [f64(0), f64(2)], { order: 2 })
  })

  test('the product of two vectors is a scalar', () => {
    expect(
      f64([1, 2, 3])
        .matmul(f64([4, 5, 6]))
        .itemSync(),
    ).toBe(32)
  })
})
