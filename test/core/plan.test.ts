import { fc, test } from '@fast-check/vitest'
import {
  BackendError,
  cast,
  categoricalCrossentropy,
  compile,
  concat,
  DisposedError,
  embedding,
  full,
  grad,
  layerNorm,
  logSoftmax,
  matmul,
  mul,
  norm,
  pad,
  random,
  relu,
  setSeed,
  softmax,
  tensor,
  type Tensor,
  valueAndGrads,
  ValueError,
  variable,
  variance,
  vjp,
} from '@adjoint/core'
import { apply, isFloat, rows, StepPlan } from '@adjoint/core/extend'
import { arbitraries } from '@adjoint/core/testing'
import { afterEach, describe, expect, vi } from 'vitest'
import { worth } from '../../packages/core/src/plan/plan.js'
import { type Case, sampleOf } from '../support/samples.js'

const arb = arbitraries(fc)
const values = (xs: readonly Tensor[]): unknown => xs.map((x) => [x.dtype, x.shape, [...x.dataSync()]])

const toFloat32 = ({ inputs, attrs }: Case): Case => ({
  inputs: inputs.map((x) => (isFloat(x.dtype) ? cast(x, 'float32') : x)),
  attrs,
})

/** What `f` gives, or the message of its error. */
function outcome(f: () => Tensor[]): unknown {
  try {
    return values(f())
  } catch (error) {
    return String(error)
  }
}

/** Code that plans share, or code of their own from the start. */
const kinds = fc.constantFrom(worth.runs, 0)
const { runs: usual } = worth
afterEach(() => void Object.assign(worth, { runs: usual }))

describe.each([...rows.values()].map((row) => ({ name: row.name, row })))('a plan of $name', ({ row }) => {
  const { any } = sampleOf(row)
  const agree = (sample: Case): void => {
    const { inputs, attrs } = sample
    const eager = (...xs: Tensor[]): Tensor[] => [apply(row, xs, attrs)]
    const planned = compile(eager)
    expect(outcome(() => planned(...inputs))).toEqual(outcome(() => eager(...inputs)))
  }
  test.prop([any, kinds], { numRuns: 15 })('gives what the op gives, to the last bit', (sample, runs) => {
    worth.runs = runs
    agree(sample)
    agree(toFloat32(sample))
  })
})

describe('a plan of a random program', () => {
  test.prop([arb.program(), kinds], { numRuns: 300 })(
    'gives its values and its gradients',
    (program, runs) => {
      worth.runs = runs
      for (const dtype of ['float64', 'float32'] as const) {
        const xs = program.inputs.map((x) => cast(x, dtype))
        const f = (...at: Tensor[]): Tensor[] => {
          const [outs, pullback] = vjp(program.run, at)
          return [...outs, ...pullback(outs)]
        }
        expect(values(compile(f)(...xs))).toEqual(values(f(...xs)))
      }
    },
  )
})

const step = (): { w: ReturnType<typeof variable>; f: (x: Tensor, y: Tensor) => Tensor } => {
  const w = variable(
    [
      [1, 2],
      [3, 4],
    ],
    { name: 'w' },
  )
  const b = variable([0.5, -0.5])
  const f = (x: Tensor, y: Tensor): Tensor => {
    const { value, grads } = valueAndGrads(() => relu(matmul(x, w).add(b)).sub(y).square().mean(), [w, b])
    w.assign(w.sub(grads[0]!.mul(0.1)))
    b.assign(b.sub(grads[1]!.mul(0.1)))
    return value
  }
  return { w, f }
}
const x = tensor([
  [1, 2],
  [3, -4],
  [0.5, 0.25],
])
const y = tensor([
  [1, 0],
  [0, 1],
  [1, 1],
])

test('a training step goes the same way as without a plan, for batches of any size', () => {
  const [a, b] = [step(), step()]
  const planned = compile(b.f)
  for (let i = 0; i < 20; i++) {
    const rows_ = i % 3 === 2 ? 2 : 3
    const [px, py] = [x.slice([0, 0], [rows_, 2]), y.slice([0, 0], [rows_, 2])]
    expect(planned(px, py).itemSync()).toBe(a.f(px, py).itemSync())
    expect(b.w.dataSync()).toEqual(a.w.dataSync())
  }
})

test('code of its own, after many runs, goes on where that of all plans stopped', () => {
  worth.runs = 3
  const { w, f } = step()
  const { w: w2, f: f2 } = step()
  const planned = compile(f2)
  for (let i = 0; i < 6; i++) expect([...planned(x, y).dataSync()]).toEqual([...f(x, y).dataSync()])
  expect([...w2.dataSync()]).toEqual([...w.dataSync()])
})

test('plans for other batches take the functions that are there', () => {
  const planned = compile((a: Tensor) => relu(matmul(a, x)).add(1).sum())
  const sizes = [5, 6].map((rows) => {
    const spy = vi.spyOn(WebAssembly, 'Module')
    planned(full([rows, 3], 2))
    const bytes = spy.mock.calls.map(([source]) => source.byteLength)
    spy.mockRestore()
    return bytes
  })
  expect(sizes[0]).toHaveLength(2)
  expect(sizes[1]).toHaveLength(1)
})

test('what was read of a variable before a step stays as it was', () => {
  const { w, f } = step()
  const planned = compile(f)
  planned(x, y)
  const held = w.detach()
  const product = w.mul(2)
  const before = w.dataSync()
  planned(x, y)
  expect(held.dataSync()).toEqual(before)
  expect(product.dataSync()).toEqual(before.map((v) => v * 2))
  expect(w.dataSync()).not.toEqual(before)
})

test('a variable that is assigned to between two steps goes on from there', () => {
  const [a, b] = [step(), step()]
  const planned = compile(b.f)
  for (let i = 0; i < 6; i++) {
    if (i % 2 === 1)
      for (const { w } of [a, b])
        w.assign(
          tensor([
            [1, 0],
            [0, 1],
          ]),
        )
    expect(planned(x, y).itemSync()).toBe(a.f(x, y).itemSync())
    expect(b.w.dataSync()).toEqual(a.w.dataSync())
  }
})

test('kernels that are told apart by numbers that JSON does not know are others', () => {
  const padded = (a: Tensor, value: number): Tensor => pad(a, { paddings: [[0, 1]], value })
  const numbers = [Infinity, -Infinity, 0, -0]
  const f = (a: Tensor): Tensor[] => numbers.map((value) => tensor(1).div(padded(a, value)))
  expect(values(compile(f)(tensor([1, 2])))).toEqual(values(f(tensor([1, 2]))))
  for (const [first, second] of [
    [Infinity, -Infinity],
    [0, -0],
  ] as const) {
    let calls = 0
    const other = compile((a: Tensor) => padded(a, calls++ === 0 ? first : second))
    expect(() => other(tensor([1]))).toThrow(/recorded twice/)
  }
})

test('variables may exchange their values', () => {
  const [a, b] = [variable([1, 2]), variable([3, 4])]
  const exchange = compile(() => {
    const before = a.mul(1)
    a.assign(b)
    b.assign(before)
    return a.add(b)
  })
  expect(exchange().dataSync()).toEqual(new Float32Array([4, 6]))
  expect([...a.dataSync(), ...b.dataSync()]).toEqual([3, 4, 1, 2])
  exchange()
  expect([...a.dataSync(), ...b.dataSync()]).toEqual([1, 2, 3, 4])
})

test('a tensor from outside is a constant, also when a variable held it', () => {
  const w = variable([1, 2])
  const first = w.detach()
  const f = compile((by: Tensor) => {
    w.assign(w.add(by))
    return w.sub(first)
  })
  expect([...f(tensor([1, 1])).dataSync()]).toEqual([1, 1])
  expect([...f(tensor([1, 1])).dataSync()]).toEqual([2, 2])
})

test('results are tensors of their own', () => {
  const f = compile((a: Tensor) => ({ twice: a.mul(2), same: a, one: tensor(1) }))
  const first = f(tensor([1, 2]))
  f(tensor([5, 6]))
  expect([...first.twice.dataSync(), ...first.same.dataSync(), first.one.itemSync()]).toEqual([2, 4, 1, 2, 1])
})

test('random numbers are drawn anew in every run, the same as without a plan', () => {
  const f = (a: Tensor): Tensor => a.add(random.uniform([3])).mul(random.normal([3]))
  const planned = compile(f)
  planned(tensor([1, 2, 3]))
  setSeed(5)
  const got = [planned(tensor([1, 2, 3])), planned(tensor([1, 2, 3]))]
  setSeed(5)
  expect(values(got)).toEqual(values([f(tensor([1, 2, 3])), f(tensor([1, 2, 3]))]))
})

test('numbers that nobody uses are drawn all the same', () => {
  const f = (a: Tensor): Tensor => {
    random.normal([4])
    return a.add(random.uniform([3]))
  }
  const planned = compile(f)
  planned(tensor([1, 2, 3]))
  setSeed(8)
  const got = [planned(tensor([1, 2, 3])), random.uniform([2])]
  setSeed(8)
  expect(values(got)).toEqual(values([f(tensor([1, 2, 3])), random.uniform([2])]))
})

test('an index is checked for each table that it is used with', () => {
  const [large, small] = [tensor([1, 2, 3]).reshape([3, 1]), tensor([4, 5]).reshape([2, 1])]
  for (const tables of [
    [large, small],
    [small, large],
  ]) {
    const f = compile((ids: Tensor) => tables.map((table) => embedding(table, ids)))
    expect(f(tensor([1, 0], { dtype: 'int32' })).length).toBe(2)
    expect(() => f(tensor([1, 2], { dtype: 'int32' }))).toThrow(/2 at position \[1\].*valid are 0\.\.1/)
  }
})

test('constants are there in every run', () => {
  const [table, bias] = [random.normal([64, 64], { seed: 1 }), random.normal([64], { seed: 2 })]
  const f = (a: Tensor): Tensor => {
    let out = matmul(a.add(bias), table)
    for (let i = 0; i < 6; i++) out = matmul(out.sin(), out.cos())
    return out
  }
  const planned = compile(f)
  for (const seed of [3, 4, 5]) {
    const a = random.normal([64, 64], { seed })
    expect(values([planned(a)])).toEqual(values([f(a)]))
  }
})

test('0 and -0 are numbers of their own', () => {
  const f = (a: Tensor): Tensor[] => [a.div(0), a.div(-0), a.mul(-0), a.mul(0)]
  expect(values(compile(f)(tensor([1, 2])))).toEqual(values(f(tensor([1, 2]))))
})

test('a variable may be assigned to more than once', () => {
  const [a, b] = [variable([1, 2]), variable([1, 2])]
  const twice = (w: typeof a) => (): Tensor => {
    w.assign(w.add(1))
    const between = w.mul(1)
    w.assign(w.mul(2))
    return between
  }
  const planned = compile(twice(b))
  for (let i = 0; i < 3; i++) {
    expect(values([planned()])).toEqual(values([twice(a)()]))
    expect(b.dataSync()).toEqual(a.dataSync())
  }
})

test('a variable that is read late, or returned, is not written over before', () => {
  const make = () => {
    const w = variable([1, 2, 3])
    const other = variable([0, 0, 0])
    return {
      w,
      other,
      f: (x: Tensor): Tensor[] => {
        const old = w.mul(1)
        w.assign(w.mul(2).add(x))
        other.assign(old.add(matmul(x.reshape([1, 3]), x.reshape([3, 1])).reshape([])))
        return [old.detach(), w.sub(x)]
      },
    }
  }
  const [eager, planned] = [make(), make()]
  const f = compile(planned.f)
  for (let i = 0; i < 3; i++) {
    const x = tensor([i, 1, -1])
    expect(values(f(x))).toEqual(values(eager.f(x)))
    expect(values([planned.w.detach(), planned.other.detach()])).toEqual(
      values([eager.w.detach(), eager.other.detach()]),
    )
  }
})

test('a bad index changes nothing and says what an op would say', () => {
  const table = variable([
    [1, 2],
    [3, 4],
  ])
  const f = compile((ids: Tensor) => {
    const { value, grads } = valueAndGrads(() => embedding(table, ids).sum(), [table])
    table.assign(table.sub(grads[0]!))
    return value
  })
  const good = tensor([0, 1, 1], { dtype: 'int32' })
  expect(f(good).itemSync()).toBe(17)
  const before = table.dataSync()
  expect(() => f(tensor([0, 2, 1], { dtype: 'int32' }))).toThrow(
    /2 at position \[1\] is out of range; valid are 0\.\.1/,
  )
  expect(table.dataSync()).toEqual(before)
})

test('a function that reads values, or does not do the same twice, is refused', () => {
  expect(() => compile((a: Tensor) => a.mul(a.itemSync()))(tensor(2))).toThrow(BackendError)
  expect(() => compile((a: Tensor) => a.mul(a.itemSync()))(tensor(2))).toThrow(
    /recorded, at .*plan\.test\.ts:\d+/,
  )
  let calls = 0
  const counting = compile((a: Tensor) => a.mul(++calls))
  expect(() => counting(tensor(2))).toThrow(/recorded twice.*was 1, then 2/s)
  const powers = compile((a: Tensor) => a.pow(++calls))
  expect(() => powers(tensor(2))).toThrow(/recorded twice/)
  expect(() => compile(async (a: Tensor) => a)(tensor(1))).toThrow(/asynchronous/)
})

test('variables are as before when recording fails', () => {
  const w = variable([1, 2])
  const f = compile((a: Tensor) => {
    w.assign(w.add(a))
    return tensor(w.dataSync())
  })
  expect(() => f(tensor([1, 1]))).toThrow(BackendError)
  expect([...w.dataSync()]).toEqual([1, 2])
})

test('descent changes weights where they lie', () => {
  const w = variable(random.normal([16, 20], { seed: 1 }), { name: 'w' })
  const descend = (x: Tensor): Tensor => {
    const { value, grads } = valueAndGrads(() => matmul(x, w).square().sum(), [w])
    w.assign(w.sub(grads[0]!.mul(0.01)))
    return value
  }
  const [planned, x, before] = [compile(descend), random.normal([8, 16], { seed: 2 }), w.detach()]
  expect(String(planned.plan(x))).toMatch(/variable w becomes %\d+, in place$/m)
  planned(x)
  const got = values([w.detach()])
  w.assign(before)
  descend(x)
  expect(got).toEqual(values([w.detach()]))
})

test('a variable is not written over while something still has to read it', () => {
  const [a, b] = [variable([1, 2]), variable([[0]])]
  const f = compile((by: Tensor) => {
    const next = a.add(by)
    const product = matmul(a.reshape([1, 2]), by.reshape([2, 1]))
    a.assign(next)
    b.assign(product)
    return by.sum()
  })
  f(tensor([10, 20]))
  expect([...a.dataSync(), ...b.dataSync()]).toEqual([11, 22, 50])
})

test('nor while another one takes over what it held', () => {
  const [a, b] = [variable([1, 2]), variable([0, 0])]
  const f = compile((by: Tensor) => {
    b.assign(a)
    a.assign(a.add(by))
    return by.sum()
  })
  f(tensor([10, 20]))
  expect([...a.dataSync(), ...b.dataSync()]).toEqual([11, 22, 1, 2])
})

test('nor row by row, where vectors reach into the next row', () => {
  const w = variable(
    tensor(
      Float32Array.from({ length: 15 }, (_, i) => i),
      { shape: [3, 5] },
    ),
  )
  const f = compile((row: Tensor) => {
    w.assign(w.mul(2).add(row))
    return row.sum()
  })
  f(tensor([0, 0, 0, 0, 100]))
  expect([...w.dataSync()]).toEqual([0, 2, 4, 6, 108, 10, 12, 14, 16, 118, 20, 22, 24, 26, 128])
})

test('a value may be used under two shapes at once', () => {
  const f = compile((a: Tensor) => {
    const twice = a.mul(2)
    return twice.add(twice.reshape([6]))
  })
  for (const by of [1, 10])
    expect([...f(tensor([[by, 2, 3, 4, 5, 6]])).dataSync()]).toEqual([4 * by, 8, 12, 16, 20, 24])
})

test('tensors from outside that are views of one another keep their shapes', () => {
  const c = tensor([1, 2, 3, 4, 5, 6])
  const [rows, columns] = [c.reshape([2, 3]), c.reshape([3, 2])]
  const f = (a: Tensor): Tensor[] => [c.mul(2).add(a), rows.sum(0), columns.sum(0), rows, c, columns.add(a)]
  const [got, want] = [compile(f)(tensor(1)), f(tensor(1))]
  expect(values(got)).toEqual(values(want))
  expect(got.map(({ shape }) => shape)).toEqual(want.map(({ shape }) => shape))
})

test('what a step reads of a variable is what it held before', () => {
  const w = variable([1, 2])
  const plan = StepPlan.record(
    {
      compute: ([x]) => ({ read: [w.reshape([2])], grads: [x!] }),
      change: ([g]) => w.assign(w.sub(g!)),
    },
    [tensor([1, 1])],
    () => undefined,
  )
  plan.compute([tensor([1, 1])])
  const read = plan.read(0)
  expect(plan.change(([g]) => w.assign(w.sub(g!)))).toBe(true)
  expect([...read.dataSync(), ...w.dataSync()]).toEqual([1, 2, 0, 1])
})

test('foreseen numbers go where the change takes them, in steps of the kind that was recorded', () => {
  const w = variable([1, 2])
  const planBy = (used: (rate: number) => number): StepPlan => {
    const plan = StepPlan.record(
      {
        compute: ([x]) => ({ read: [], grads: [x!] }),
        foreseen: { kind: 'moves', numbers: [0.5] },
        change: ([g], [rate] = [0.5]) => w.assign(w.sub(g!.mul(used(rate!)).mul(2))),
      },
      [tensor([1, 1])],
      () => undefined,
    )
    plan.compute([tensor([1, 1])])
    return plan
  }
  const plan = planBy((rate) => rate)
  expect(plan.changeBy({ kind: 'rests', numbers: [3] })).toBe(false)
  expect([...w.dataSync()]).toEqual([1, 2])
  expect(plan.changeBy({ kind: 'moves', numbers: [3] })).toBe(true)
  expect([...w.dataSync()]).toEqual([-5, -4])
  // Only the change itself knows what is computed from a number.
  expect(planBy((rate) => rate + 1).changeBy({ kind: 'moves', numbers: [3] })).toBe(false)
  expect([...w.dataSync()]).toEqual([-5, -4])
})

test('large arguments may be the same tensors again, others, or variables that change', () => {
  const of = (seed: number): Tensor => random.normal([40, 40], { seed })
  const [x, y, w, w0] = [of(1), of(2), variable(of(3)), of(4)]
  const f = (a: Tensor, b: Tensor): Tensor => matmul(matmul(matmul(a, b).add(a), w0), w0)
  const planned = compile(f)
  const change = compile(() => w.assign(w.mul(2)))
  const calls: readonly (readonly [Tensor, Tensor])[] = [
    [x, y],
    [x, y],
    [y, x],
    [y, y],
    [w, x],
    [w, x],
    [x, w],
  ]
  for (const [a, b] of calls) {
    expect(values([planned(a, b)])).toEqual(values([f(a, b)]))
    change()
    expect(values([planned(a, b)])).toEqual(values([f(a, b)]))
  }
})

test('tensors that were disposed are refused', () => {
  const f = compile((a: Tensor) => a.mul(2))
  const [gone, w] = [tensor([1, 2]), variable([1, 2])]
  const g = compile((a: Tensor) => a.mul(w))
  expect([...g(gone).dataSync()]).toEqual([1, 4])
  gone.dispose()
  expect(() => f(gone)).toThrow(DisposedError)
  const large = random.normal([40, 40], { seed: 1 })
  f(large)
  large.dispose()
  expect(() => f(large)).toThrow(DisposedError)
  w.dispose()
  expect(() => g(tensor([1, 2]))).toThrow(DisposedError)
})

test('gradients may be taken of compiled functions, and inside of them', () => {
  const cube = compile((a: Tensor) => a.mul(a).mul(a).sum())
  expect([...grad((a: Tensor) => cube(a))(tensor([1, 2])).dataSync()]).toEqual([3, 12])
  expect([...compile((a: Tensor) => grad(cube)(a))(tensor([1, 2])).dataSync()]).toEqual([3, 12])
  const second = compile(grad((a: Tensor) => grad(cube)(a).sum()))
  expect([...second(tensor([1, 2])).dataSync()]).toEqual([6, 12])
})

test('a plan shows what runs as one', () => {
  const f = compile((a: Tensor, w: Tensor, b: Tensor) => relu(matmul(a, w).add(b)).square().sum())
  const plan = f.plan(tensor([[1, 2]]), tensor([[1], [2]]), tensor([1]))
  expect(String(plan)).toMatchInlineSnapshot(`
    "%0: float32 [1,2] = argument 0
    %1: float32 [2,1] = argument 1
    %2: float32 [1] = argument 2
    %3: float32 [1,1] = matmul of %0, %1
    together:
      %4: float32 [1,1] = x + y of %3, %2
      %5: float32 [1,1] = max(x, 0) of %4
      %6: float32 [1,1] = x * x of %5
    %7: float32 [] = reduce(op "sum", axes [0,1]) of %6
    returns %7
    128 bytes"
  `)
})

const side = fc.integer({ min: 1, max: 30 })
const afterProduct: Readonly<Record<string, (xw: Tensor, b: Tensor, y: Tensor, one: Tensor) => Tensor[]>> = {
  'a bias and relu': (xw, b) => [relu(xw.add(b))],
  'a mask, a residual and a factor': (xw, _, y, one) => [xw.mul(y).add(y).mul(one).mul(1.1)],
  'results on the way': (xw, b, y) => {
    const sum = xw.add(b)
    return [sum, relu(sum), sum.mul(y), xw]
  },
  'the product taken elsewhere too': (xw, b) => [xw.add(b).mul(xw), xw.sum(0)],
  'the product under another shape': (xw, b) => [xw.add(b), xw.reshape([xw.size]).mul(2)],
  'another product': (xw, b, y) => [xw.add(b).sub(matmul(y, y, false, true).sum())],
}
describe.each(Object.entries(afterProduct))('a product of matrices with %s', (_, after) => {
  test.prop([side, side, fc.oneof(side, fc.constant(300)), fc.boolean(), fc.boolean()], { numRuns: 40 })(
    'gives what the ops give, to the last bit',
    (m, n, k, transposeA, transposeB) => {
      const of = (shape: readonly number[], seed: number): Tensor =>
        tensor(
          Float32Array.from({ length: shape.reduce((p, q) => p * q, 1) }, (__, i) =>
            Math.sin(i * 1.3 + seed),
          ),
          { shape },
        )
      const f = (a: Tensor, w: Tensor, b: Tensor, z: Tensor, one: Tensor): Tensor[] =>
        after(matmul(a, w, transposeA, transposeB), b, z, one)
      const inputs = [
        of(transposeA ? [k, m] : [m, k], 1),
        of(transposeB ? [n, k] : [k, n], 2),
        of([n], 3),
        of([m, n], 4),
        of([1], 5),
      ] as const
      expect(values(compile(f)(...inputs))).toEqual(values(f(...inputs)))
    },
  )
})

test('a product and what follows it run as one', () => {
  const f = compile((a: Tensor, w: Tensor, b: Tensor) => relu(matmul(a, w).add(b)).sum())
  const ones = (shape: number[]): Tensor => tensor(new Float32Array(shape[0]! * (shape[1] ?? 1)), { shape })
  expect(String(f.plan(ones([4, 8]), ones([8, 16]), ones([16])))).toMatchInlineSnapshot(`
    "%0: float32 [4,8] = argument 0
    %1: float32 [8,16] = argument 1
    %2: float32 [16] = argument 2
    together:
      %3: float32 [4,16] = matmul of %0, %1
      %4: float32 [4,16] = x + y of %3, %2
      %5: float32 [4,16] = max(x, 0) of %4
    %6: float32 [] = reduce(op "sum", axes [0,1]) of %5
    returns %6
    1088 bytes"
  `)
})

const taken: Readonly<Record<string, (x: Tensor, y: Tensor, one: Tensor) => Tensor>> = {
  'a difference, squared': (x, y) => x.sub(y).square(),
  'masked numbers': (x, y) => x.greater(y).mul(x).abs(),
  'powers of a number': (x, _, one) => x.mul(one).exp().mul(0.5),
  'logarithms of their own': (x) => x.abs().add(1).log(),
  'numbers that others need too': (x, y) => {
    const product = x.mul(y)
    return product.add(product.sum())
  },
}
const reductions: Readonly<Record<string, (x: Tensor, axis: number | undefined) => Tensor>> = {
  sum: (x, axis) => x.sum(axis),
  mean: (x, axis) => x.mean(axis),
  max: (x, axis) => x.max(axis),
  min: (x, axis) => x.min(axis),
  norm: (x, axis) => (axis === undefined ? norm(x) : norm(x, { axis })),
  variance: (x, axis) => variance(x, axis),
}
describe.each(Object.entries(taken))('reductions of %s', (_, map) => {
  test.prop([fc.array(side, { minLength: 1, maxLength: 3 }), fc.nat(2)], { numRuns: 15 })(
    'give what the ops give, to the last bit',
    (shape, at) => {
      const of = (seed: number): Tensor =>
        tensor(
          Float32Array.from({ length: shape.reduce((p, q) => p * q, 1) }, (__, i) =>
            Math.sin(i * 1.7 + seed),
          ),
          { shape },
        )
      const axis = at < shape.length ? at : undefined
      for (const [name, reduce] of Object.entries(reductions)) {
        const f = (x: Tensor, y: Tensor, one: Tensor): Tensor => reduce(map(x, y, one), axis)
        const inputs = [of(1), of(2), tensor([0.7])] as const
        expect([...compile(f)(...inputs).dataSync()], name).toEqual([...f(...inputs).dataSync()])
      }
    },
  )
})

test('a sum takes numbers as they are computed', () => {
  const f = compile((a: Tensor, b: Tensor) => a.sub(b).square().mean(1))
  const x = tensor(new Float32Array(12), { shape: [3, 4] })
  expect(String(f.plan(x, x))).toMatchInlineSnapshot(`
    "%0: float32 [3,4] = argument 0
    %1: float32 [3,4] = argument 1
    together:
      %2: float32 [3,4] = x - y of %0, %1
      %3: float32 [3,4] = x * x of %2
      %4: float32 [3] = reduce(op "mean", axes [1]) of %3
    returns %4
    208 bytes"
  `)
})

test('softmax and its crossentropy are one stage, and so is their gradient', () => {
  const f = compile((x: Tensor, y: Tensor) =>
    grad((z: Tensor) => categoricalCrossentropy(y, z, { fromLogits: true }).sum())(x),
  )
  const x = random.normal([20, 7], { seed: 1 })
  expect(String(f.plan(x, x))).toMatchInlineSnapshot(`
    "%0: float32 [20,7] = argument 0
    %1: float32 [20,7] = argument 1
    %3: float32 [] = constant 1
    together, row by row:
      %2: float32 [20,7] = softmax(axis 1, log) of %0
      %5: float32 [20] = x of %4
      %6: float32 [20] = -x of %5
      %8: float32 [20,7] = x of %7
      %9: float32 [20,7] = x * y of %8, %1
      %11: float32 [20,1] = reduce(op "sum", axes [1]) of %9
      %10: float32 [20,7] = exp(x) of %2
      %12: float32 [20,7] = x * y of %10, %11
      %13: float32 [20,7] = x - y of %9, %12
    returns %13
    1808 bytes"
  `)
})

test('a layer norm is one stage', () => {
  const f = compile((x: Tensor, gamma: Tensor, beta: Tensor) => layerNorm(x, gamma, beta))
  const [x, row] = [random.normal([20, 7], { seed: 1 }), random.normal([7], { seed: 2 })]
  expect(String(f.plan(x, row, row))).toMatchInlineSnapshot(`
    "%0: float32 [20,7] = argument 0
    %1: float32 [7] = argument 1
    %2: float32 [7] = argument 2
    %7: float32 [] = constant 0.0010000000474974513
    together, row by row:
      %3: float32 [20,1] = reduce(op "mean", axes [1]) of %0
      %4: float32 [20,7] = x - y of %0, %3
      %5: float32 [20,7] = x * x of %4
      %6: float32 [20,1] = reduce(op "mean", axes [1]) of %5
      %8: float32 [20,1] = x + y of %6, %7
      %9: float32 [20,1] = 1 / sqrt(x) of %8
      %10: float32 [20,7] = x * y of %4, %9
      %11: float32 [20,7] = x * y of %10, %1
      %12: float32 [20,7] = x + y of %11, %2
    returns %12
    1344 bytes"
  `)
})

describe.each<readonly [string, (x: Tensor, row: Tensor) => Tensor]>([
  ['softmax', (x, row) => softmax(x.add(row)).mul(x)],
  ['its logarithm, of rows of rows', (x, row) => logSoftmax(x.mul(row), -1).exp().sum(-1)],
  ['crossentropy', (x, row) => categoricalCrossentropy(softmax(x), softmax(x.mul(row)))],
  ['a layer norm', (x, row) => layerNorm(x, row, row.mul(2)).add(row)],
  ['sums that rows are taken by', (x, row) => x.div(x.abs().sum(-1, true)).add(x.max(-1, true)).mul(row)],
  ['sums as rows of their own', (x) => x.sum(-1).mul(x.mean(-1)).sub(x.min(-1))],
])('what goes row by row: %s', (_, op) => {
  const shapes = fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 40 }),
    fc.integer({ min: 1, max: 40 }),
  )
  test.prop([shapes], { numRuns: 6, examples: [[[1, 16, 16]], [[1, 5, 1200]], [[2, 8, 8]]] })(
    'gives what the ops give, and so do its gradients, to the last bit',
    ([n, m, k]) => {
      const x = random.normal([n, m, k], { seed: m })
      const row = random.normal([k], { seed: k })
      const f = (...at: Tensor[]): Tensor[] => {
        const [out, pullback] = vjp(op, at as [Tensor, Tensor])
        return [out, ...pullback(out)]
      }
      expect(values(compile(f)(x, row))).toEqual(values(f(x, row)))
    },
  )
})

test('sums of rows may be a row for all rows', () => {
  const op = (x: Tensor): Tensor =>
    x
      .mul(x.sum(1))
      .sub(x.sum(1, true))
      .mul(x.max(1).sub(x.mean(1)))
  const f = (x: Tensor): Tensor[] => {
    const [out, pullback] = vjp(op, [x])
    return [out, ...pullback(out)]
  }
  const x = random.normal([40, 40], { seed: 1 })
  expect(values(compile(f)(x))).toEqual(values(f(x)))
})

test('what is joined is computed where it belongs, and its gradient is read where it lies', () => {
  const f = compile((x: Tensor, w: Tensor) => {
    const joined = (y: Tensor): Tensor => concat([relu(matmul(y, w)), y.mul(2)], 1)
    return vjp(joined, [x])[1](joined(x))[0]
  })
  const x = random.normal([6, 8], { seed: 1 })
  expect(String(f.plan(x, random.normal([8, 16], { seed: 2 })))).toMatchInlineSnapshot(`
    "%0: float32 [6,8] = argument 0
    %1: float32 [8,16] = argument 1
    %4: float32 [] = constant 2
    %2: float32 [6,16] = matmul of %0, %1
    %3: float32 [6,16] = max(x, 0) of %2
    %5: float32 [6,8] = x * y of %0, %4
    %6: float32 [6,24] = concat(axis 1) of %3, %5, in place
    %7: float32 [6,16] = slice(begin [0,0], strides [1,1]) of %6, in place
    %8: float32 [6,8] = slice(begin [0,16], strides [1,1]) of %6, in place
    %10: float32 [6,16] = x > 0 ? y : 0 of %7, %2
    together:
      %11: float32 [6,8] = matmul(transposeB) of %10, %1
      %9: float32 [6,8] = x * y of %8, %4
      %12: float32 [6,8] = x + y of %9, %11
    returns %12
    2016 bytes"
  `)
})

const joins: Readonly<Record<string, (a: Tensor, b: Tensor, w: Tensor) => Tensor>> = {
  'products and what follows them': (a, b, w) => concat([relu(matmul(a, w)), b, matmul(b, w).sub(1)], -1),
  'elementwise ops': (a, b) => concat([a.mul(b), a.exp(), b.sub(a).abs()], -1).mul(3),
  'one thing twice': (a, _, w) => {
    const h = relu(matmul(a, w))
    return concat([h, h, h.mul(2)], -1)
  },
  'joined things': (a, b, w) => concat([a.sub(b), concat([relu(matmul(a, w)), b.mul(2)], -1).tanh()], -1),
  'what others need too': (a, b, w) => {
    const h = relu(matmul(a, w))
    return concat([h, a.add(b)], -1)
      .mul(h.sum())
      .add(h.slice([0, 0], [1, 1]))
  },
  'rows of rows': (a, b) => concat([a.mul(2).reshape([1, ...a.shape]), b.neg().reshape([1, ...b.shape])], 1),
  'parts of parts': (a, b, w) => {
    const both = concat([a.mul(b), relu(matmul(a, w))], -1)
    const half = both.slice([0, 0], [a.shape[0]!, a.shape[1]!])
    return concat([half.mul(2), half.slice([0, 0], [a.shape[0]!, 4]).relu()], -1)
  },
}
describe.each(Object.entries(joins))('concatenations of %s', (_, op) => {
  const sides = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.constantFrom(4, 6, 8, 16, 20))
  test.prop([sides, fc.constantFrom(4, 7, 16, 24)], { numRuns: 8 })(
    'give what the ops give, and so do their gradients, to the last bit',
    ([m, k], n) => {
      const inputs = [
        random.normal([m, k], { seed: 1 }),
        random.normal([m, k], { seed: 2 }),
        random.normal([k, n], { seed: 3 }),
      ] as const
      const f = (...at: Tensor[]): Tensor[] => {
        const [out, pullback] = vjp(op, at as [Tensor, Tensor, Tensor])
        return [out, ...pullback(out.square())]
      }
      expect(values(compile(f)(...inputs))).toEqual(values(f(...inputs)))
    },
  )
})

// Halves of the features of [batch, time, features] and what else is joined along time: rows of two lengths meet.
const acrossAxes: Readonly<Record<string, (x: Tensor, wide: Tensor, long: Tensor) => Tensor[]>> = {
  'halves of features joined in time': (x, wide) => {
    const [, time, side] = x.shape as [number, number, number]
    const halves = [0, side].map((from) => wide.slice([0, 0, from], [2, time, side]))
    return [concat([x.mul(1), halves[0]!.mul(2).sub(halves[1]!)], 1)]
  },
  'what is joined along two axes': (x) => {
    const product = x.mul(x.sub(1))
    const sum = product.add(x)
    return [concat([product, x.mul(3)], 1), concat([sum, x.neg()], 2)]
  },
  'parts along two axes': (x, wide, long) => {
    const [, time, side] = x.shape as [number, number, number]
    return [wide.slice([0, 0, side], [2, time, side]).mul(long.slice([0, time, 0], [2, time, side]))]
  },
}
describe.each(Object.entries(acrossAxes))('programs of %s', (_, f) => {
  test.prop([fc.integer({ min: 1, max: 5 }), fc.constantFrom(4, 6, 8)], { numRuns: 6 })(
    'give what the ops give, and so do their gradients',
    (time, side) => {
      const inputs = [
        random.normal([2, time, side], { seed: 1 }),
        random.normal([2, time, 2 * side], { seed: 2 }),
        random.normal([2, 2 * time, side], { seed: 3 }),
      ] as const
      const both = (...at: Tensor[]): Tensor[] => {
        const [outs, pullback] = vjp((...xs: Tensor[]) => f(xs[0]!, xs[1]!, xs[2]!), at)
        return [...outs, ...pullback(outs.map((out) => out.square()))]
      }
      expect(values(compile(both)(...inputs))).toEqual(values(both(...inputs)))
    },
  )
})

test('numbers and lists among the arguments are fixed parts of a plan', () => {
  const f = compile((a: Tensor, by: { times: number }, list: readonly Tensor[]) =>
    mul(a, by.times).add(list[0]!),
  )
  expect(f(tensor(2), { times: 3 }, [tensor(1)]).itemSync()).toBe(7)
  expect(f(tensor(2), { times: 4 }, [tensor(1)]).itemSync()).toBe(9)
  expect(() => compile(1 as never)).toThrow(ValueError)
})

test('arguments that a function can tell apart get plans of their own', () => {
  const f = compile((a: Tensor, by: unknown) => {
    const part = by instanceof Float32Array ? by[0]! : (by ?? (by === null ? 5 : 7))
    return a.div(Number(part))
  })
  const arrays = [4, 9, 0, -0].map((value) => Float32Array.of(value))
  const others = [null, undefined, 0, -0, NaN, 'NaN', '2', 3n, true, ...arrays]
  const wanted = [
    1 / 5,
    1 / 7,
    Infinity,
    -Infinity,
    NaN,
    NaN,
    1 / 2,
    1 / 3,
    1,
    1 / 4,
    1 / 9,
    Infinity,
    -Infinity,
  ]
  others.forEach((by, i) => expect(f(tensor(1), by).itemSync()).toBe(Math.fround(wanted[i]!)))
  class Settings {
    constructor(readonly by: number) {}
  }
  for (const bad of [new Map([['by', 2]]), new Settings(2), () => 2])
    expect(() => f(tensor(1), bad)).toThrow(/compile: got a.* as an argument/)
})
