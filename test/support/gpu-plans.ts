/**
 * What plans on a GPU have to do, whatever the mode: they give what ops give, change all or nothing, tell errors before,
 * and hold no memory. All of it runs in Node on webgpu (test/gpu/plan.test.ts), in Chromium on webgl2
 * (test/gpu/browser.test.ts) and, where the package gl is installed, on headlessgl (test/gpu/headless.test.ts).
 */
import {
  cast,
  compile,
  concat,
  cumsum,
  div,
  flip,
  gather,
  grad,
  LimitError,
  matmul,
  NonFiniteError,
  pad,
  pow,
  random,
  relu,
  roll,
  scatterAdd,
  setBackend,
  setSeed,
  stack,
  tensor,
  type Tensor,
  valueAndGrads,
  variable,
  zeros,
} from '@adjoint/core'
import { cpuBackend, StepPlan } from '@adjoint/core/extend'
import type { GpuBackend } from '@adjoint/gpu'
import { concatenate, dense, input, model } from '@adjoint/layers'

export interface PlanCase {
  readonly name: string
  /** What comes out, and what is right. The GPU is the backend. */
  readonly run: (gpu: GpuBackend) => Promise<readonly [got: unknown, want: unknown]>
}

const valuesOf = async (x: { data(): Promise<ArrayLike<number>> }): Promise<number[]> =>
  Array.from(await x.data())

/** What a function throws, or its promise. */
async function thrownBy(f: () => unknown): Promise<unknown> {
  try {
    await f()
    return undefined
  } catch (error) {
    return error
  }
}

export const planCases: readonly PlanCase[] = [
  {
    name: 'variables move, and what was read of them stays',
    async run() {
      const w = variable([1, 2], { name: 'w' })
      const step = compile((x: Tensor) => {
        const { value, grads } = valueAndGrads(() => w.mul(x).sum(), [w])
        w.assign(w.sub(grads[0]!))
        return value
      })
      const before = w.detach()
      const values = [step(tensor([1, 1])), step(tensor([1, 1])), step(tensor([0.5, 1]))]
      const kept = w.detach()
      step(tensor([9, 9]))
      const read = await Promise.all([...values, before, kept, w].map(valuesOf))
      w.assign(tensor([0, 0]))
      const rest = await Promise.all([step(tensor([1, 1])), w.mul(2)].map(valuesOf))
      return [
        [...read, ...rest],
        [[3], [1], [-0.5], [1, 2], [-1.5, -1], [-10.5, -10], [0], [-2, -2]],
      ]
    },
  },
  {
    name: 'what is both returned and assigned is there, as are the others',
    async run(gpu) {
      const [a, b] = [variable([1, 2, 3, 4]), variable([5, 6])]
      const f = compile((x: Tensor) => {
        const next = a.add(x)
        a.assign(next)
        b.assign(b.mul(2))
        return next
      })
      const { buffers } = (f(tensor(1)).dispose(), gpu.memory())
      const got = f(tensor(1))
      const read = await Promise.all([got, a, b].map(valuesOf))
      got.dispose()
      for (let i = 0; i < 20; i++) f(tensor(1)).dispose()
      return [
        [read, gpu.memory().buffers],
        [
          [
            [3, 4, 5, 6],
            [3, 4, 5, 6],
            [20, 24],
          ],
          buffers,
        ],
      ]
    },
  },
  {
    name: 'running sums are dispatches of their own',
    async run() {
      const x = tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ])
      const sums = [1, 2, 4, 6, 9, 12]
      const functions = [
        (v: Tensor) => cumsum(v, 0),
        (v: Tensor) => cumsum(v, 0).mul(2),
        (v: Tensor) => cumsum(v.mul(2), 0),
        (v: Tensor) => cumsum(cumsum(v, 0), 0).sub(cumsum(cumsum(v, 0).mul(0), 0)),
      ]
      const twice = sums.map((sum) => 2 * sum)
      return [
        await Promise.all(functions.map((f) => valuesOf(compile(f)(x)))),
        [sums, twice, twice, [1, 2, 5, 8, 14, 20]],
      ]
    },
  },
  {
    name: 'a product may end with a running sum that comes after it',
    async run() {
      const f = (x: Tensor): Tensor => matmul(x, x).add(cumsum(x, 1))
      const x = tensor([
        [1, 2],
        [3, 4],
      ])
      return [await valuesOf(compile(f)(x)), [8, 13, 18, 29]]
    },
  },
  {
    // Positions are numbers alone here, which gpu.js does not take for whole ones.
    name: 'the parts of what is put together are cut out again, to its gradient',
    async run() {
      const slope = grad((x: Tensor) =>
        stack([x, x.mul(2), flip(x, 1)], 0)
          .square()
          .sum(),
      )
      const x = [1, 2, 3, 4, 5, 6]
      return [await valuesOf(compile(slope)(tensor(x, { shape: [1, 6] }))), x.map((value) => 12 * value)]
    },
  },
  {
    name: '0 times what is no number is none, as is 0 / 0',
    async run() {
      const x = tensor([NaN, Infinity, 2])
      const functions = [
        () => x.mul(0),
        () => div(zeros([1]), 0).mul(x),
        () => div(0, x),
        () => matmul(x.reshape([3, 1]), tensor([[0]])),
      ]
      const got = await Promise.all(functions.map((f) => valuesOf(compile(f)())))
      const all = [NaN, NaN, 0]
      return [got, [all, [NaN, NaN, NaN], [NaN, 0, 0], all]]
    },
  },
  {
    name: 'what four neighbours make of a kernel that is run by itself is right up to the last of them',
    async run() {
      const n = 4097
      const at = tensor(Int32Array.from({ length: n }, (_, i) => i))
      const x = tensor(Float32Array.from({ length: n }, (_, i) => i))
      const f = compile((v: Tensor, to: Tensor) =>
        scatterAdd(zeros([n]), to, v)
          .mul(2)
          .add(1),
      )
      return [await valuesOf(f(x, at)), Array.from({ length: n }, (_, i) => 2 * i + 1)]
    },
  },
  {
    name: 'random numbers stand behind the arguments, also behind those that nobody needs',
    async run() {
      const f = (a: Tensor, _b: Tensor): Tensor => a.mul(random.uniform([2], { min: 1, max: 2 }))
      const drawn = async (g: typeof f): Promise<number[]> => {
        setSeed(1)
        return valuesOf(g(tensor([1, 1]), tensor([5, 6])))
      }
      return [await drawn(compile(f)), await drawn(f)]
    },
  },
  {
    name: 'random numbers are drawn in the order of the function, whoever needs them',
    async run() {
      const noise = variable([0, 0])
      const f = (): Tensor => {
        noise.assign(random.uniform([2]))
        return random.uniform([2])
      }
      const drawn = async (g: () => Tensor): Promise<number[]> => {
        setSeed(1)
        return [...(await valuesOf(g())), ...(await valuesOf(noise))]
      }
      return [await drawn(compile(f)), await drawn(f)]
    },
  },
  {
    name: 'a long chain of values that are used twice is planned at once',
    async run() {
      const f = compile((x: Tensor) => {
        let y = x
        for (let i = 0; i < 60; i++) y = y.mul(0.5).add(y.sub(y.mul(0.5)))
        return y
      })
      const values = [1, 2, -3, 0.25]
      return [await valuesOf(f(tensor(values))), values]
    },
  },
  {
    // Drivers took twice as long for each branch in a loop, and each copy of a branch had its own of those in it.
    name: 'code that many elements of a product or many branches would copy is compiled in time that grows with it',
    async run() {
      const [x, y] = [random.uniform([32, 7], { seed: 1 }), random.uniform([8, 32], { seed: 2 })]
      const functions = [
        () =>
          matmul(
            pad(x, {
              paddings: [
                [0, 0],
                [1, 0],
              ],
            }),
            concat([y, y], 1),
          ),
        () => matmul(pow(y, y.add(1)), x),
        () => Array.from({ length: 16 }).reduce<Tensor>((z, _, i) => roll(z, 1 + i, i % 2), x),
      ]
      const far = functions.map(async (f) => {
        const [got, right] = await Promise.all([compile(f)().data(), f().data()])
        return Math.max(...[...got].map((value, i) => Math.abs(value - right[i]!)))
      })
      return [(await Promise.all(far)).filter((d) => !(d < 5e-6)), []]
    },
  },
  {
    name: 'the gradient of a large table goes where each of many indices says',
    async run() {
      const table = variable(zeros([4096, 4]))
      const f = compile((ids: Tensor, by: Tensor) => {
        const { value, grads } = valueAndGrads(() => gather(table, ids).mul(by).sum(), [table])
        table.assign(table.add(grads[0]!))
        return value
      })
      const want = new Array<number>(4096 * 4).fill(0)
      for (let run = 0; run < 2; run++) {
        const ids = Array.from({ length: 600 }, (_, i) => (i * i + run) % 4096)
        const by = Array.from({ length: 600 }, (_, i) => 1 + (i % 5))
        f(tensor(ids, { dtype: 'int32' }), tensor(by).reshape([600, 1]))
        ids.forEach((id, i) => {
          for (let column = 0; column < 4; column++) want[4 * id + column]! += by[i]!
        })
      }
      return [await valuesOf(table), want]
    },
  },
  {
    name: 'variables of several sizes are changed side by side',
    async run() {
      const shapes = [[700], [1], [], [40, 30], [3], [64, 64]]
      const all = shapes.map((shape, i) => random.uniform(shape, { seed: i + 1 }))
      const [w, m] = [all.map((x) => variable(x)), all.map((x) => variable(x.mul(0)))]
      const step = compile((rate: Tensor) => {
        w.forEach((v, i) => {
          const next = m[i]!.mul(0.5).add(v)
          m[i]!.assign(next)
          v.assign(v.sub(next.mul(rate)))
        })
        return w[0]!.sum()
      })
      for (let i = 0; i < 3; i++) step(tensor(0.25)).dispose()
      // After one step, and with the momentum of the one before: all of these are exact multiples of what was there.
      let [value, momentum] = [1, 0]
      for (let i = 0; i < 3; i++) {
        momentum = momentum * 0.5 + value
        value -= momentum * 0.25
      }
      const apart = async (of: typeof w, by: number): Promise<number> => {
        const distances = of.map(async (v, i) => {
          const [got, first] = await Promise.all([v.data(), all[i]!.data()])
          return Math.max(...got.map((x, at) => Math.abs(x - by * first[at]!)))
        })
        return Math.max(...(await Promise.all(distances)))
      }
      const [far, off] = [await apart(w, value), await apart(m, momentum)]
      return [far < 1e-6 && off < 1e-6 ? 'there' : [far, off], 'there']
    },
  },
  {
    name: 'a step whose loss is no number changes nothing',
    async run() {
      const x = input({ shape: [3] })
      const m = model({ inputs: x, outputs: dense(2, { activation: 'tanh' })(x) })
      m.compile({ optimizer: 'adam', loss: 'mse' })
      const batch = tensor([[1, 2, 3]])
      for (let i = 0; i < 10; i++) await m.trainOnBatch(batch, tensor([[1, 0]]))
      const all = (): Promise<number[][]> =>
        Promise.all([...m.weights, ...m.optimizer.variables].map(valuesOf))
      const before = await all()
      const error = await thrownBy(() =>
        m.trainOnBatch(batch, tensor([[Infinity, 0]]), { nonFinite: 'allow' }),
      )
      const after = await all()
      const { loss } = await m.trainOnBatch(batch, tensor([[1, 0]]))
      return [
        [error instanceof NonFiniteError || String(error), after, loss < 10],
        [true, before, true],
      ]
    },
  },
  {
    name: 'plans of the same ops for other shapes are others',
    async run() {
      const w = random.uniform([10, 16], { seed: 1 })
      const f = compile((x: Tensor) => x.matmul(w).tanh().mean(0))
      const far: number[] = []
      for (const rows of [16, 13, 3, 15, 16]) {
        const x = random.uniform([rows, 10], { seed: rows })
        const [got, right] = await Promise.all([f(x).data(), x.matmul(w).tanh().mean(0).data()])
        far.push(...[...got].map((value, i) => Math.abs(value - right[i]!)).filter((d) => !(d < 5e-7)))
      }
      return [far, []]
    },
  },
  {
    name: 'bad indices are told before anything is changed',
    async run() {
      const count = variable(0)
      const f = compile((x: Tensor, at: Tensor) => {
        count.assign(count.add(1))
        return gather(x, at)
      })
      const x = tensor([10, 20, 30])
      const at = (...numbers: number[]): Tensor => tensor(numbers, { dtype: 'int32' })
      const got = await valuesOf(f(x, at(2, 0)))
      const error = String(await thrownBy(() => f(x, at(0, 3))))
      const isTold = /index 3 at position \[1\] is out of range; valid are 0..2/.test(error)
      return [
        [got, isTold || error, await count.item()],
        [[30, 10], true, 1],
      ]
    },
  },
  {
    // Written term by term in fours, this took SwiftShader minutes to compile.
    name: 'a product of joined parts is there soon',
    async run() {
      const at = (k: number): number => (k % 7) - 3
      const filled = (rows: number, columns: number): Tensor =>
        tensor(
          Array.from({ length: rows * columns }, (_, k) => at(k)),
          { shape: [rows, columns] },
        )
      const [m, k, n] = [256, 16, 5]
      const f = compile((a: Tensor, b: Tensor, w: Tensor) => matmul(concat([relu(a), relu(b)], 1), w))
      const side = (i: number, l: number): number => Math.max(at(i * k + (l % k)), 0)
      const want = Array.from({ length: m * n }, (_, e) => {
        let sum = 0
        for (let l = 0; l < 2 * k; l++) sum += side(Math.floor(e / n), l) * at(l * n + (e % n))
        return sum
      })
      return [await valuesOf(f(filled(m, k), filled(m, k), filled(2 * k, n))), want]
    },
  },
  {
    name: 'bad indices are told where they are constants, or computed from whole numbers that the host knows',
    async run() {
      const at = (...numbers: number[]): Tensor => tensor(numbers, { dtype: 'int32' })
      const x = tensor([10, 20, 30])
      const fixed = compile((v: Tensor) => gather(v, at(0, 5)))
      const moved = compile((v: Tensor, i: Tensor) => gather(v, i.add(1)))
      const made = moved(x, at(0, 1))
      const onDevice = moved(x, cast(tensor([1, 0]).mul(1), 'int32'))
      const errors = [await thrownBy(() => fixed(x)), await thrownBy(() => moved(x, at(0, 7)))]
      const told = errors.map((error) => /index \d at position \[1\] is out/.exec(String(error))?.[0])
      return [
        [told, await valuesOf(made), await valuesOf(onDevice), await valuesOf(moved(x, at(1, -1)))],
        [
          ['index 5 at position [1] is out', 'index 8 at position [1] is out'],
          [20, 30],
          [30, 20],
          [30, 10],
        ],
      ]
    },
  },
  {
    name: 'whole numbers that the host knows are computed exactly, and the random ones are those of op by op',
    async run() {
      const [count, table] = [2 ** 24, [20_000_001, 5]].map((values) => variable(values, { dtype: 'int32' }))
      const f = (x: Tensor, scale: Tensor): Tensor[] => {
        count!.assign(count!.add(1))
        const drawn = [random.randint(0, 2 ** 30, [2]), random.uniform([2]), random.uniform([2]).mul(scale)]
        return [x.mul(x), x.sum(), count!.mul(1), table!.add(1), cast(x, 'float32').mul(scale), ...drawn]
      }
      const args = [tensor([5001, 2 ** 24 - 1], { dtype: 'int32' }), tensor(0.5)] as const
      const run = async (g: typeof f): Promise<number[][]> => {
        count!.assign(tensor(2 ** 24, { dtype: 'int32' }))
        setSeed(1)
        const results = [...g(...args), ...g(...args), count!, table!]
        return Promise.all(results.map(valuesOf))
      }
      const exact = compile((x: Tensor) => cast(x, 'int32').add(tensor(2 ** 24 + 1, { dtype: 'int32' })))
      const error = await thrownBy(() => exact(tensor(1)))
      const want = await run(f)
      return [
        [await run(compile(f)), want.slice(0, 3), error instanceof LimitError || String(error)],
        [want, [[25_010_001, 1 - 2 ** 25], [2 ** 24 + 5000], [2 ** 24 + 1]], true],
      ]
    },
  },
  {
    name: 'tensors from outside whose values the device alone has are read where they lie',
    async run() {
      const outside = tensor([1, 2]).mul(2)
      const f = compile((x: Tensor) => x.mul(outside).add(outside.reshape([2, 1])))
      const got = await Promise.all([f(tensor([1, 1])), f(tensor([3, 4]))].map(valuesOf))
      outside.dispose()
      let other = tensor([1]).mul(2)
      const changing = compile((x: Tensor) => x.mul(other))
      changing(tensor([1]))
      other = tensor([1]).mul(3)
      return [
        [...got, await valuesOf(f(tensor([1, 1]))), await valuesOf(changing(tensor([1])))],
        [[4, 6, 6, 8], [8, 18, 10, 20], [4, 6, 6, 8], [2]],
      ]
    },
  },
  {
    name: 'holds as many buffers after many runs as after one',
    async run(gpu) {
      const w = variable(Array.from({ length: 100 }, (_, i) => i))
      const f = compile((x: Tensor) => {
        w.assign(w.mul(0.5).add(x))
        return w.sum()
      })
      f(tensor(1)).dispose()
      const { buffers } = gpu.memory()
      for (let i = 0; i < 200; i++) f(tensor(1)).dispose()
      const after = gpu.memory().buffers
      const sum = await f(tensor(1)).item()
      return [
        [after, Math.abs(sum - 200) < 1e-3 || sum],
        [buffers, true],
      ]
    },
  },
]

/** Runs a case. @throws Error where nothing was planned, or something that was asked for was not. */
export async function runPlanCase(gpu: GpuBackend, { run }: PlanCase): ReturnType<PlanCase['run']> {
  const plan = gpu.plan!.bind(gpu)
  const made: boolean[] = []
  gpu.plan = (program) => {
    const replay = plan(program)
    made.push(replay !== undefined)
    return replay
  }
  setBackend(gpu)
  try {
    const result = await run(gpu)
    if (made.length === 0 || made.includes(false)) throw new Error('something ran op by op')
    return result
  } finally {
    gpu.plan = plan
    setBackend(cpuBackend)
  }
}

// ---- training

/** One, two or three inputs and outputs, of the sizes that the benchmark has. */
const models = {
  B1: () => {
    const [a, b] = [input({ shape: [10] }), input({ shape: [5] })]
    const h = concatenate([dense(64, { activation: 'relu' })(a), dense(32, { activation: 'relu' })(b)])
    const m = model({ inputs: [a, b], outputs: dense(1)(h) })
    m.compile({ optimizer: 'adam', loss: 'mse' })
    return { m, x: [uniform(32, 10), uniform(32, 5)], y: uniform(32, 1) }
  },
  B3: () => {
    const x = input({ shape: [20] })
    const h1 = dense(128, { activation: 'relu' })(x)
    const h2 = dense(64, { activation: 'relu' })(h1)
    const h3 = dense(32, { activation: 'relu' })(h2)
    const c = dense(5, { activation: 'softmax' })(concatenate([h2, h3]))
    const m = model({ inputs: x, outputs: [dense(1)(h2), dense(1, { activation: 'sigmoid' })(h3), c] })
    m.compile({ optimizer: 'adam', loss: ['mse', 'binary_crossentropy', 'categorical_crossentropy'] })
    return { m, x: uniform(32, 20), y: [uniform(32, 1), uniform(32, 1), uniform(32, 5)] }
  },
  B4: () => {
    const x = input({ shape: [784] })
    const h = dense(128, { activation: 'relu' })(dense(256, { activation: 'relu' })(x))
    const m = model({ inputs: x, outputs: dense(10, { activation: 'softmax' })(h) })
    m.compile({ optimizer: 'adam', loss: 'categorical_crossentropy' })
    return { m, x: uniform(128, 784), y: uniform(128, 10) }
  },
}

export type Trainable = keyof typeof models

let seed = 0
const uniform = (...shape: readonly number[]): Tensor => random.uniform(shape, { seed: ++seed })

interface Trained {
  readonly losses: readonly number[]
  readonly weights: readonly ArrayLike<number>[]
  /** The plan as text, where there was one. */
  readonly plan: string
}

/** So many steps on one batch, the first op by op. */
export async function trained(name: Trainable, steps: number): Promise<Trained> {
  setSeed(1)
  seed = 0
  let plan = ''
  const record = StepPlan.record.bind(StepPlan)
  StepPlan.record = (...args) => {
    const made = record(...args)
    plan = String(made)
    return made
  }
  try {
    const { m, x, y } = models[name]()
    const losses: number[] = []
    for (let i = 0; i < steps; i++) losses.push((await m.trainOnBatch(x as never, y as never)).loss)
    return { losses, weights: await Promise.all(m.weights.map((v) => v.data())), plan }
  } finally {
    StepPlan.record = record
  }
}

/** Where training on a GPU differs from training on the CPU, and its plan as text. */
export async function trainedApart(
  gpu: GpuBackend,
  name: Trainable,
  steps: number,
): Promise<{ readonly wrong: readonly string[]; readonly plan: string }> {
  setBackend(cpuBackend)
  const want = await trained(name, steps)
  setBackend(gpu)
  try {
    const got = await trained(name, steps)
    const wrong = got.losses.flatMap((loss, i) =>
      Math.abs(loss - want.losses[i]!) < 5e-5 ? [] : [`loss ${i} is ${loss}, on the CPU ${want.losses[i]}`],
    )
    got.weights.forEach((values, i) => {
      const other = want.weights[i]!
      for (let at = 0; at < values.length; at++)
        // Adam's first steps are of the rate's size whatever the gradient's, so that a gradient near 0 counts in full.
        if (!(Math.abs(values[at]! - other[at]!) < 1e-4)) {
          wrong.push(`weight ${i} [${at}] is ${values[at]}, on the CPU ${other[at]}`)
          break
        }
    })
    if (!got.plan.includes('dispatch 1:')) wrong.push('there was no plan on the GPU')
    return { wrong, plan: got.plan }
  } finally {
    setBackend(cpuBackend)
  }
}
