import {
  arange,
  argMax,
  concat,
  cumprod,
  cumsum,
  einsum,
  flip,
  full,
  gather,
  grad,
  gradientTape,
  logSumExp,
  matmul,
  max,
  norm,
  ones,
  pad,
  prod,
  random,
  reshape,
  roll,
  scatterAdd,
  softmax,
  split,
  stack,
  sum,
  tensor,
  type Tensor,
  tile,
  transpose,
  valueAndGrads,
  ValueError,
  variable,
  variance,
  vjp,
  where,
  zeros,
} from '@adjoint/core'
import { checkGradients } from '@adjoint/core/testing'
import { describe, expect, test } from 'vitest'

describe('depth', () => {
  const chain =
    (length: number) =>
    (x: Tensor): Tensor => {
      for (let i = 0; i < length; i++) x = x.mul(1).add(0)
      return x
    }

  test('a chain of 100,000 ops has a gradient', () => {
    expect(grad(chain(50_000))(tensor(3)).itemSync()).toBe(1)
  })

  test('and one of 20,000 a gradient of its gradient', () => {
    const f = (x: Tensor): Tensor => chain(10_000)(x).square()
    expect(grad(grad(f))(tensor(3)).itemSync()).toBe(2)
  })

  test('a diamond of 2^30 paths is walked once', () => {
    const diamond = (x: Tensor): Tensor => {
      for (let i = 0; i < 30; i++) x = x.mul(0.5).add(x.mul(0.5))
      return x
    }
    expect(grad(diamond)(tensor(1)).itemSync()).toBe(1)
  })

  test('a value used 100,000 times gets all its gradients', () => {
    const sumOfMany = (x: Tensor): Tensor => {
      let total: Tensor = zeros([])
      for (let i = 0; i < 100_000; i++) total = total.add(x)
      return total
    }
    expect(grad(sumOfMany)(tensor(1)).itemSync()).toBe(100_000)
  })

  test('a function of 100,000 results has a pullback', () => {
    const [values, pullback] = vjp(
      (x: Tensor) => Array.from({ length: 100_000 }, () => x.mul(2)),
      [tensor(1)],
    )
    expect(pullback(values)[0].itemSync()).toBe(400_000)
  })

  test('a gradient by 50,000 variables is taken at once', () => {
    const variables = Array.from({ length: 50_000 }, (_, i) => variable(i))
    const { grads } = valueAndGrads(
      () => variables.reduce<Tensor>((total, v) => total.add(v.mul(2)), zeros([])),
      variables,
    )
    expect(grads.every((g) => g.itemSync() === 2)).toBe(true)
  })
})

describe('rank 8', () => {
  const shape = [2, 1, 2, 3, 1, 2, 1, 2]
  const x = random.uniform(shape, { seed: 1, dtype: 'float64', min: 0.5, max: 1.5 })
  const y = random.uniform([2, 1, 3, 2, 1, 2, 1], { seed: 2, dtype: 'float64', min: 0.5, max: 1.5 })
  const cases: Readonly<Record<string, (x: Tensor, y: Tensor) => Tensor>> = {
    broadcasts: (a, b) => a.mul(b),
    transposes: (a) => transpose(a, [3, -1, 0, 6, 5, 4, 2, 1]),
    reduces: (a) => sum(a, [0, -3, 3], true).add(max(a, [-1, 2, 1], true)),
    multiplies: (a, b) => matmul(reshape(a, [2, 1, 2, 1, 1, 1, 2, 6]), reshape(b, [1, 1, 2, 1, 2, 1, 6, 1])),
    joins: (a) => concat([a, flip(a, [0, 7])], 4),
    contracts: (a, b) =>
      einsum(
        'abcdefgh,bcdefgh->hdcg',
        a,
        b.reshape([1, 2, 3, 2, 1, 2, 1]).slice([0, 0, 0, 0, 0, 0, 0], [1, 2, 3, 1, 1, 1, 1]),
      ),
  }
  test.each(Object.keys(cases))('%s, with gradients', (name) => {
    checkGradients(cases[name]!, [x, y], { order: 2 })
  })
})

/**
 * Twice the work may take 3 times as long, measured over three doublings: what is kept until the end is moved by the
 * garbage collector, the more often the longer it takes. Quadratic work takes 64 times as long.
 */
const TIMES = 8
const MOST_GROWTH = 3 ** 3
/** Other processes and the garbage collector slow down some runs: the fastest of several counts, and one good try. */
const RUNS = 3
const TRIES = 8

/** Fails where `make(8 n)` takes more than MOST_GROWTH times as long as `make(n)`, every time it is tried. */
function expectLinear(n: number, make: (n: number) => () => unknown): void {
  const [one, many] = [make(n), make(TIMES * n)]
  const ratios: number[] = []
  for (let i = 0; i < TRIES; i++) {
    let [shorter, longer] = [Infinity, Infinity]
    for (let k = 0; k < RUNS; k++) {
      shorter = Math.min(shorter, secondsOf(one))
      longer = Math.min(longer, secondsOf(many))
    }
    ratios.push(longer / shorter)
    if (longer / shorter < MOST_GROWTH) return
  }
  const seen = ratios.map((ratio) => ratio.toFixed(1)).join(', ')
  expect.fail(`${TIMES} times the work took ${seen} times as long`)
}

function secondsOf(f: () => unknown): number {
  const start = performance.now()
  f()
  return (performance.now() - start) / 1000
}

describe('time is linear in', () => {
  const at = tensor(1)
  const ops: Readonly<Record<string, (n: number) => () => unknown>> = {
    'the length of a chain, backwards': (n) => () =>
      grad((x: Tensor) => {
        for (let i = 0; i < n; i++) x = x.add(1)
        return x
      })(at),
    'the times a value is used': (n) => () =>
      grad((x: Tensor) => {
        let total = x
        for (let i = 0; i < n; i++) total = total.mul(x)
        return total
      })(at),
    'the gradients taken under a gradient': (n) => () =>
      grad((x: Tensor) => {
        let y = x
        for (let i = 0; i < n; i += 10) y = y.add(grad((z: Tensor) => z.mul(x))(y))
        return y
      })(at),
    'the tapes of a loop': (n) => () => {
      const v = variable(1)
      for (let i = 0; i < n; i += 10) {
        using tape = gradientTape()
        tape.gradient(v.mul(2), v)
      }
    },
    'the parts that are joined': (n) => {
      const parts = Array.from({ length: n }, (_, i) => full([1], i))
      return () => vjp((...xs: Tensor[]) => concat(xs), parts)[1](ones([n]))
    },
    'the tensors that are stacked': (n) => {
      const parts = Array.from({ length: n / 4 }, (_, i) => full([2], i))
      return () => stack(parts, 1)
    },
  }
  test.each(Object.keys(ops))('%s', (name) => {
    expectLinear(3000, ops[name]!)
  })
})

describe('time is linear in the elements, with the gradient, of', () => {
  const kinds: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    'a sum': (x) => sum(x),
    'a sum along an axis': (x) => sum(reshape(x, [-1, 64]), 0),
    'a variance': (x) => variance(x),
    'a norm': (x) => norm(x),
    'a product of few': (x) => prod(reshape(x, [-1, 16]), 1),
    'a maximum': (x) => max(x),
    'a logarithm of a sum': (x) => logSumExp(x),
    'a softmax': (x) => softmax(x),
    'a running sum': (x) => cumsum(x),
    'a running product': (x) => cumprod(x),
    'a broadcast product': (x) => reshape(x, [-1, 1, 8]).mul(ones([4, 1])),
    'a transposition': (x) => transpose(reshape(x, [64, -1])),
    'a reversal': (x) => flip(x),
    'a rotation': (x) => roll(x, 3),
    'a border': (x) => pad(x, { paddings: [[2, 3]], mode: 'reflect' }),
    'a repetition': (x) => tile(x, [2]),
    'a choice': (x) => where(x.greater(0.5), x, 0),
    'a selection': (x) => gather(x, arange(0, x.size, 2, 'int32')),
    'an addition of rows': (x) => scatterAdd(zeros([8]), arange(0, x.size, 1, 'int32').mod(8), x),
    'a concatenation': (x) => concat([x, x, x]),
    'a split': (x) => concat(split(x, 4).toReversed()),
    'a product of matrices': (x) => matmul(reshape(x, [-1, 8]), ones([8, 8])),
    'an Einstein sum': (x) => einsum('ij,kj->ik', reshape(x, [-1, 8]), ones([4, 8])),
  }
  test.each(Object.keys(kinds))('%s', (name) => {
    expectLinear(1 << 13, (n) => {
      const x = random.uniform([n], { seed: 1, min: 0.9, max: 1.1 })
      return () => {
        const [out, pullback] = vjp(kinds[name]!, [x])
        return pullback(out)
      }
    })
  })

  test('the position of a maximum', () => {
    expectLinear(1 << 15, (n) => {
      const x = random.uniform([n], { seed: 1 })
      return () => argMax(x)
    })
  })

  test('nested lists that become a tensor, and back', () => {
    expectLinear(1 << 13, (n) => {
      const rows = Array.from({ length: n / 8 }, () => Array.from({ length: 8 }, (_, i) => i))
      return () => tensor(rows).arraySync()
    })
  })
})

describe('time is linear in the length of', () => {
  const x = ones([2, 2])

  test('an equation for einsum', () => {
    expectLinear(100_000, (n) => () => einsum(`i${' '.repeat(n)}j , jk -> ${' '.repeat(n)}ik`, x, x))
  })

  const equations: Readonly<Record<string, (n: number) => string>> = {
    labels: (n) => 'i'.repeat(n),
    commas: (n) => ','.repeat(n),
    dots: (n) => '.'.repeat(n),
    arrows: (n) => '->'.repeat(n),
    operands: (n) => `${'ij,'.repeat(n)}ij->ij`,
    'letters of other scripts': (n) => 'я'.repeat(n),
  }
  test.each(Object.keys(equations))('an equation of nothing but %s, until it is refused', (name) => {
    expectLinear(100_000, (n) => () => {
      const equation = equations[name]!(n)
      for (let i = 0; i < 10; i++) expect(() => einsum(equation, x, x)).toThrow(ValueError)
    })
  })

  test('a name that is none: a million letters are refused in a moment', () => {
    const refuse = (n: number) => () => {
      const name = 'float'.repeat(n / 5)
      for (let i = 0; i < 20; i++) {
        expect(() => tensor([1], { dtype: name as 'float32' })).toThrow(ValueError)
        expect(() => pad(x, { paddings: [[1, 1]], mode: name as 'edge' })).toThrow(ValueError)
      }
    }
    expectLinear(125_000, refuse)
    // 40 refusals of 50 ms each, times 10: nothing a slow machine reaches.
    expect(secondsOf(refuse(1_000_000))).toBeLessThan(20)
  })
})
