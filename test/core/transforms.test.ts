import { Script } from 'node:vm'
import {
  checkpoint,
  customGradient,
  detectAnomalies,
  grad,
  gradientTape,
  hessian,
  hvp,
  jacobian,
  jvp,
  log,
  matmul,
  NonFiniteError,
  random,
  ShapeError,
  TapeError,
  type Tensor,
  tensor,
  valueAndGrads,
  variable,
  vjp,
} from '@adjoint/core'
import { elementwise, rows } from '@adjoint/core/extend'
import { describe, expect, test } from 'vitest'

const f64 = (values: number | number[] | number[][]): Tensor => tensor(values, { dtype: 'float64' })
const list = (x: Tensor): number[] => [...x.dataSync()]
const near = (got: Tensor, want: Tensor): void => {
  expect(got.shape).toEqual(want.shape)
  list(got).forEach((v, i) => expect(v).toBeCloseTo(list(want)[i]!, 10))
}

describe('jvp', () => {
  test('of a product follows the product rule', () => {
    const [value, tangent] = jvp(
      (x: Tensor, y: Tensor) => x.mul(y),
      [f64([2, 3]), f64([5, 7])],
      [f64([1, 0]), f64([0, 1])],
    )
    expect(list(value)).toEqual([10, 21])
    expect(list(tangent)).toEqual([5, 3])
  })

  test('keeps the structure of its value', () => {
    const [, tangent] = jvp((x: Tensor) => ({ s: x.sin(), two: [x.mul(2)] }), [f64([0, 1])], [f64([1, 1])])
    near(tangent.s, f64([1, Math.cos(1)]))
    near(tangent.two[0]!, f64([2, 2]))
  })

  test('is differentiable: the derivative of the derivative of x³ along 1 is 6x', () => {
    const second = grad((x: Tensor) => jvp((y: Tensor) => y.mul(y).mul(y), [x], [f64(1)])[1])
    near(second(f64(2)), f64(12))
  })
})

describe('what has the structure of something else', () => {
  interface Line {
    a: Tensor
    b: Tensor
  }
  const f = ({ a, b }: Line): Tensor => a.mul(a).mul(b).sum()
  const at: Line = { a: f64([1, 2]), b: f64([3, 4]) }

  test('is matched by its keys, in whatever order they are', () => {
    const along: Line = { b: f64([0, 0]), a: f64([1, 0]) }
    expect(list(jvp(f, [at], [along])[1])).toEqual([6])
    const [product] = hvp(f)([at], [along])
    expect([list(product.a), list(product.b)]).toEqual([[6, 0], [2, 0]]) // prettier-ignore
    const [, pullback] = vjp((x: Tensor) => ({ twice: x.mul(2), square: x.square() }), [f64([3])])
    expect(list(pullback({ square: f64([1]), twice: f64([0]) })[0])).toEqual([6])
  })

  test.each<[string, () => unknown, RegExp]>([
    [
      'another shape',
      () => hvp(f)([at], [{ a: f64(1), b: f64([1, 1]) }]),
      /^hvp: tangents\[0\]\.a must be \[2\] float64 like primals, got \[\] float64/,
    ],
    [
      'another dtype',
      () => jvp(f, [at], [{ a: f64([1, 1]), b: tensor([1, 1]) }]),
      /^jvp: tangents\[0\]\.b must be \[2\] float64 like primals, got \[2\] float32/,
    ],
    [
      'other keys',
      () => jvp(f, [at], [{ a: f64([1, 1]), c: f64([1, 1]) } as never]),
      /tangents\[0\] must be a record of a, b like primals, got a, c/,
    ],
    [
      'too few',
      () => jvp((x: Tensor, y: Tensor) => x.mul(y), [at.a, at.b], [at.a] as never),
      /tangents must be a list of 2 like primals, got \[Tensor\]/,
    ],
    [
      'no tensors',
      () => jvp((x: Tensor) => x.sum(), [at.a], [1] as never),
      /tangents\[0\] must be a tensor, got number/,
    ],
    [
      'another cotangent',
      () => vjp(f, [at])[1](f64([1])),
      /^vjp: the cotangent must be \[\] float64 like the value, got \[1\] float64/,
    ],
  ])('must not be %s', (_, call, message) => {
    expect(call).toThrow(message)
  })
})

describe('jacobian and hessian', () => {
  test('the Jacobian of a linear map is its matrix', () => {
    const a = f64([
      [1, 2, 3],
      [4, 5, 6],
    ])
    near(jacobian((x: Tensor) => matmul(a, x))(f64([1, 1, 1])), a)
  })

  test('the Hessian of a quadratic form is the sum of the matrix and its transpose', () => {
    const a = f64([
      [1, 2],
      [5, -3],
    ])
    near(hessian((x: Tensor) => x.mul(matmul(a, x)).sum())(f64([0.3, 0.7])), a.add(a.transpose()))
  })

  test('hvp is the Hessian times the vector', () => {
    const f = (x: Tensor): Tensor => x.sin().mul(x.exp()).sum().square()
    const x = f64([0.3, -0.7, 1.1])
    const v = f64([1, -2, 0.5])
    near(hvp(f)([x], [v])[0], matmul(hessian(f)(x), v))
  })
})

describe('customGradient', () => {
  test('takes the place of the gradient of what it computes', () => {
    const clipped = customGradient(
      (x: Tensor) => x.mul(3),
      ({ g }) => [g.clip(-1, 1)],
    )
    expect(list(grad((x: Tensor) => clipped(x).mul(5).sum())(f64([1, 2])))).toEqual([1, 1])
  })

  test('has derivatives of its own', () => {
    const cube = customGradient(
      (x: Tensor) => x.mul(x).mul(x),
      ({ g, inputs: [x] }) => [g.mul(x.mul(x).mul(3))],
    )
    near(grad(grad((x: Tensor) => cube(x)))(f64(2)), f64(12))
  })

  test('may differentiate inside', () => {
    const sine = customGradient(
      (x: Tensor) => x.sin(),
      ({ g, inputs: [x] }) => vjp((y: Tensor) => y.sin(), [x])[1](g),
    )
    near(grad((x: Tensor) => sine(x).sum())(f64([0.2, 0.4])), f64([Math.cos(0.2), Math.cos(0.4)]))
    near(grad(grad((x: Tensor) => sine(x)))(f64(0.2)), f64(-Math.sin(0.2)))
  })

  test('a cotangent of another shape is refused by name', () => {
    const wrong = customGradient(
      function half(x: Tensor) {
        return x.mul(0.5)
      },
      ({ g }) => [g.sum()],
    )
    expect(() => grad((x: Tensor) => wrong(x).sum())(f64([1, 2]))).toThrow(ShapeError)
    expect(() => grad((x: Tensor) => wrong(x).sum())(f64([1, 2]))).toThrow(
      /half: cotangent 0 is \[\], its input \[2\]/,
    )
  })
})

describe('checkpoint', () => {
  const w = variable(random.normal([4, 4], { seed: 1, dtype: 'float64' }), { name: 'w' })
  const block = (x: Tensor): Tensor => matmul(x, w).tanh()
  const x = random.normal([3, 4], { seed: 2, dtype: 'float64' })

  test('changes no gradient, by arguments, variables and tensors from outside', () => {
    const scale = f64(1.5)
    const run = (wrap: (f: (x: Tensor) => Tensor) => (x: Tensor) => Tensor): Tensor[] => {
      using tape = gradientTape()
      tape.watch([x, scale])
      const deep = wrap((y) => block(block(y)).mul(scale))
      return tape.gradient(deep(deep(x)).sum(), [x, w, scale])
    }
    const plain = run((f) => f)
    run(checkpoint).forEach((g, i) => near(g, plain[i]!))
  })

  test('nor the second', () => {
    const f =
      (wrap: typeof checkpoint) =>
      (x: Tensor): Tensor =>
        wrap((y: Tensor) => y.sin().mul(y))(x).sum()
    near(hessian(f(checkpoint))(f64([0.3, 0.9])), hessian(f((g) => g))(f64([0.3, 0.9])))
  })
})

describe('detectAnomalies', () => {
  test('names the op, its position and the line that made the first NaN', () => {
    expect(() => detectAnomalies(() => log(tensor([1, -1])).sum())).toThrow(NonFiniteError)
    expect(() => detectAnomalies(() => log(tensor([1, -1])).sum())).toThrow(
      /^log: made NaN at position 1 of \[2\].*transforms\.test\.ts/,
    )
  })

  test('names the op whose gradient made it, and where that was applied', () => {
    const f = (x: Tensor): Tensor => x.sqrt().sum()
    expect(() => detectAnomalies(() => grad(f)(tensor([0, 1])))).toThrow(
      /in the gradient of sqrt, applied at .*transforms\.test\.ts/,
    )
  })

  test('names the line of the user, wherever that is and however deep the call', () => {
    const deep = (x: Tensor, depth: number): Tensor =>
      depth === 0 ? log(x) : checkpoint((y: Tensor) => deep(y, depth - 1))(x)
    expect(() => detectAnomalies(() => grad((x: Tensor) => deep(x, 8).sum())(tensor([-1])))).toThrow(
      /transforms\.test\.ts/,
    )
    // As if it were called from a folder that is named like ours.
    const inside = new Script('(log, x) => log(x)', { filename: '/home/user/layers/src/loss.js' })
    const f = inside.runInThisContext() as (op: typeof log, x: Tensor) => Tensor
    expect(() => detectAnomalies(() => f(log, tensor([-1])))).toThrow(/home.user.layers.src.loss\.js:1/)
  })

  test('refuses an asynchronous function', () => {
    const f = (): Promise<Tensor> => Promise.resolve(tensor(1))
    expect(() => detectAnomalies(f)).toThrow(/^detectAnomalies: the function is asynchronous.*first await/)
    expect(() => tensor(-1).log()).not.toThrow()
  })

  test('leaves functions alone that make none', () => {
    expect(detectAnomalies(() => tensor([1, 2]).log().sum().itemSync())).toBeCloseTo(Math.log(2))
  })
})

describe('tapes', () => {
  test('a gradient inside a gradient is not mixed up with it', () => {
    expect(grad((x: Tensor) => x.mul(grad((y: Tensor) => x.add(y))(x)))(tensor(3)).itemSync()).toBe(1)
  })

  test('two closed-over uses of one variable are told apart by scope', () => {
    const v = variable(f64(3))
    const { grads } = valueAndGrads(() => {
      const inner = valueAndGrads(() => v.mul(v).mul(v), [v]).grads[0]!
      return inner.mul(v)
    }, [v])
    // d/dv (3v² · v) = 9v²
    near(grads[0]!, f64(81))
  })

  test('a value assigned under a tape is watched too', () => {
    const v = variable(f64(3))
    using tape = gradientTape()
    const before = v.mul(2)
    v.assign(f64(5))
    const g = tape.gradient(before.add(v.mul(v)), v)
    near(g, f64(2 + 10))
  })

  test('a used-up tape says so', () => {
    const v = variable(f64(3))
    using tape = gradientTape()
    const y = v.square()
    tape.gradient(y, v)
    expect(() => tape.gradient(y, v)).toThrow(TapeError)
  })

  test('a tape that crosses an await says so', async () => {
    const v = variable(f64(3))
    using tape = gradientTape()
    const y = v.square()
    await Promise.resolve()
    expect(() => tape.gradient(y, v)).toThrow(/crossed an await/)
  })

  test('100,000 chained ops differentiate, and a diamond of 30 levels takes linear time', () => {
    const chain = (x: Tensor): Tensor => {
      for (let i = 0; i < 100_000; i++) x = x.add(1e-5)
      return x
    }
    expect(grad(chain)(tensor(1)).itemSync()).toBe(1)
    const diamond = (x: Tensor): Tensor => {
      for (let i = 0; i < 30; i++) x = x.add(x)
      return x
    }
    expect(grad(diamond)(tensor(1)).itemSync()).toBe(2 ** 30)
  })

  test('a tape prints what it recorded', () => {
    const w = variable(f64([[1, 2]]), { name: 'w' })
    using tape = gradientTape()
    w.mul(2).sum(1).tanh()
    expect(String(tape)).toBe(
      [
        '%0 = watched              [1,2] float64',
        '%1 = mul(%0, [] float64)  [1,2] float64',
        '%2 = sum(%1, axis 1)      [1] float64',
        '%3 = tanh(%2)             [1] float64',
      ].join('\n'),
    )
  })
})

test('an argument may not have a name that gradient rules know as something else', () => {
  const spec = { name: 'shadows', args: ['g'], expr: 'g + 1', vjp: null } as const
  expect(() => elementwise(spec)).toThrow(/"shadows" has an argument "g".*g, out, attrs, inputs are taken/)
  expect(rows.has('shadows')).toBe(false)
})
