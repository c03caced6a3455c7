import { fc, test } from '@fast-check/vitest'
import {
  argMax,
  cast,
  categoricalCrossentropy,
  compile,
  concat,
  embedding,
  gather,
  layerNorm,
  logSoftmax,
  logSumExp,
  matmul,
  max,
  random,
  relu,
  setSeed,
  setThreads,
  slice,
  softmax,
  squaredDifference,
  sum,
  tensor,
  type Tensor,
  transpose,
  ValueError,
  valueAndGrads,
  variable,
  type Variable,
  variance,
  vjp,
  zerosLike,
} from '@adjoint/core'
import { apply, isFloat, rows } from '@adjoint/core/extend'
import { arbitraries } from '@adjoint/core/testing'
import { execFileSync } from 'node:child_process'
import { setTimeout } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { planMemory, reserve } from '../../packages/core/src/plan/heap.js'
import { type SharedCode, pool } from '../../packages/core/src/threads/pool.js'
import { Code } from '../../packages/core/src/wasm/code.js'
import { grain } from '../../packages/core/src/wasm/divide.js'
import { buildModule, instantiate } from '../../packages/core/src/wasm/host.js'
import { type Case, sampleOf } from '../support/samples.js'

const arb = arbitraries(fc)
const usual = { ...grain }

function textOf(x: Tensor): string {
  return `${x.dtype} ${x.shape.join()} ${bitsOf(x)}`
}

function bitsOf(x: Tensor): string {
  const { buffer, byteOffset, byteLength } = x.dataSync()
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

/** Until as many workers have begun as there should be. */
async function allUp(): Promise<void> {
  for (let i = 0; i < 2000 && pool.up < pool.threads - 1; i++) await setTimeout(5)
  expect(pool.up).toBe(pool.threads - 1)
}

/** What takes longer is left to `npm run test:full`. */
const isFull = process.env['MODE'] === 'full'

// Plans on one thread give what ops give, to the last bit, which other tests see to.
describe('plans whose every stage is shared give what ops give, to the last bit:', () => {
  beforeAll(async () => {
    setThreads(3)
    await allUp()
  })
  beforeEach(() => void Object.assign(grain, { least: 0, ofPart: 1 }))
  afterEach(() => void Object.assign(grain, usual))
  afterAll(() => void setThreads(1))

  const expectSame = (f: (...xs: readonly Tensor[]) => readonly Tensor[], ...xs: readonly Tensor[]): void =>
    expect(compile(f)(...xs).map(textOf)).toEqual(f(...xs).map(textOf))

  describe.runIf(isFull).each([...rows.values()].map((row) => ({ name: row.name, row })))(
    '$name',
    ({ row }) => {
      const { any, large = [] } = sampleOf(row)
      const agree = ({ inputs, attrs }: Case): void => {
        const xs = inputs.map((x) => (isFloat(x.dtype) ? cast(x, 'float32') : x))
        let isDefined = true
        try {
          apply(row, xs, attrs)
        } catch {
          isDefined = false
        }
        if (isDefined) expectSame((...at) => [apply(row, at, attrs)], ...xs)
      }
      test.prop([any], { numRuns: 20 })('of small arrays', agree)
      if (large.length > 0) test('of larger ones', () => large.forEach(agree))
    },
  )

  test.prop([arb.program()], { numRuns: isFull ? 300 : 10 })(
    'random programs and their gradients',
    (program) => {
      const xs = program.inputs.map((x) => cast(x, 'float32'))
      const f = (...at: readonly Tensor[]): Tensor[] => {
        const [outs, pullback] = vjp(program.run, [...at])
        return [...outs, ...pullback(outs)]
      }
      expectSame(f, ...xs)
    },
  )

  const a = random.normal([67, 130], { seed: 1 })
  const b = random.normal([130, 83], { seed: 2 })
  const c = random.normal([5, 300], { seed: 3 })
  const kinds: Readonly<Record<string, () => Tensor>> = {
    'a product': () => matmul(a, b),
    'a product of a transposed matrix': () => matmul(transpose(a), a),
    'a product by a transposed matrix': () => matmul(a, a, false, true),
    'a product of two transposed ones': () => matmul(b, a, true, true),
    'a high, narrow product': () =>
      matmul(random.normal([600, 40], { seed: 5 }), c.slice([0, 0], [5, 40]), false, true),
    'a deep product': () => matmul(c, c, false, true),
    'a wide product': () => matmul(c, c, true),
    'a matrix times a vector': () => matmul(a, b.slice([0, 0], [130, 1])),
    'products of many matrices': () => matmul(a.reshape([67, 10, 13]), a.reshape([67, 13, 10])),
    'a product, a bias and relu': () => relu(matmul(a, b).add(b.slice([0, 0], [1, 83]).reshape([83]))),
    'a product and what is as large': () =>
      matmul(a, a, false, true)
        .mul(matmul(a, a, false, true))
        .tanh(),
    'a chain of elementwise ops': () => a.mul(2).sub(1).exp().mul(a).tanh(),
    'a row for all rows': () => c.slice([0, 0], [1, 130]).mul(a),
    'a row for all odd rows': () => b.slice([0, 0], [1, 83]).mul(b).sub(1),
    'a column for all columns': () => c.slice([0, 0], [5, 1]).mul(c),
    'sums of rows': () => sum(a, 1),
    'sums of columns': () => sum(a, 0),
    'sums of a middle axis': () => sum(a.reshape([67, 10, 13]), 1),
    'sums of a middle axis of rows of fours': () => sum(c.reshape([5, 3, 100]), 1),
    'the sum of all': () => sum(a),
    'largest numbers': () => max(a, 1),
    variances: () => variance(b, 0),
    'logarithms of sums of powers': () => logSumExp(a, 1),
    softmax: () => softmax(c, 1),
    'softmax of odd rows': () => softmax(b, 1),
    'softmax of columns': () => softmax(a, 0),
    'log softmax': () => logSoftmax(c, 1),
    'positions of the largest': () => argMax(a, 0),
    slices: () => slice(a, [3, 5], [60, 101]),
    transposed: () => transpose(a).mul(1),
    joined: () => concat([a, a.slice([0, 0], [67, 7])], 1),
    gathered: () => gather(b, tensor([3, 129, 0, 64, 5], { dtype: 'int32' })),
  }
  test.each(Object.keys(kinds))('%s', (name) => expectSame(() => [kinds[name]!()]))

  test('crossentropies of softmax and their gradients', () => {
    for (const [x, fromLogits] of [
      [b, true],
      [c, false],
    ] as const) {
      const y = softmax(x.mul(3), 1)
      const loss = (z: Tensor): Tensor =>
        categoricalCrossentropy(y, fromLogits ? z.mul(2) : softmax(z.mul(2), 1), { fromLogits })
      expectSame((z) => vjp(loss, [z])[1](loss(z)), x)
    }
  })

  test('concatenations and their gradients', () => {
    const joined = (x: Tensor, w: Tensor): Tensor =>
      concat([relu(matmul(x, w)), x.mul(2), matmul(x, w).add(1)], 1)
    for (const [m, k, n] of [
      [67, 12, 48],
      [300, 16, 20],
    ] as const) {
      const inputs = [random.normal([m, k], { seed: 1 }), random.normal([k, n], { seed: 2 })] as const
      expectSame((...at) => vjp(joined, [...at] as [Tensor, Tensor])[1](joined(at[0]!, at[1]!)), ...inputs)
    }
  })

  test('layer norms and their gradients', () => {
    for (const x of [a, b, random.normal([3, 30, 20], { seed: 4 })]) {
      const [gamma, beta] = [5, 6].map((seed) => random.normal([x.shape.at(-1)!], { seed }))
      const norm = (...at: Tensor[]): Tensor => layerNorm(at[0]!, at[1]!, at[2]!)
      expectSame((...at) => [norm(...at), ...vjp(norm, [...at])[1](x)], x, gamma!, beta!)
    }
  })

  test('a table that rows are added to', () => {
    const table = random.normal([50, 24], { seed: 7 })
    const ids = random.randint(0, 50, [200], { seed: 8 })
    const g = random.normal([200, 24], { seed: 9 })
    expectSame((t) => vjp((s: Tensor) => embedding(s, ids), [t])[1](g), table)
  })
})

/** A training step with Adam, of products large enough for several threads. */
function classifier(): { step: (rate: Tensor) => Tensor; variables: readonly Variable[] } {
  const sides = [200, 128, 64, 10]
  const weights = sides
    .slice(1)
    .flatMap((n, i) => [
      variable(random.normal([sides[i]!, n], { seed: i, std: 0.1 })),
      variable(random.normal([n], { seed: 100 + i, std: 0.1 })),
    ])
  const slots = weights.map((w) => [variable(zerosLike(w)), variable(zerosLike(w))] as const)
  const x = random.normal([96, 200], { seed: 20 })
  const y = softmax(random.normal([96, 10], { seed: 21, std: 5 }))
  const loss = (): Tensor => {
    const h1 = relu(matmul(x, weights[0]!).add(weights[1]!))
    const h2 = relu(matmul(h1, weights[2]!).add(weights[3]!))
    const logits = matmul(h2, weights[4]!).add(weights[5]!)
    const crossentropy = categoricalCrossentropy(y, logits, { fromLogits: true, reduction: 'mean' })
    return crossentropy.add(squaredDifference(h1, 0.5).mean())
  }
  return {
    variables: weights,
    step: compile((rate: Tensor) => {
      const { value, grads } = valueAndGrads(loss, weights)
      weights.forEach((w, i) => {
        const g = grads[i]!
        const [m, v] = slots[i]!
        m.assign(m.mul(0.9).add(g.mul(0.1)))
        v.assign(v.mul(0.999).add(g.mul(g).mul(0.001)))
        w.assign(w.sub(m.mul(rate).div(v.sqrt().add(1e-7))))
      })
      return value
    }),
  }
}

const rate = tensor(0.01)

function train(steps: number, before: (step: number) => void = () => undefined): string {
  setSeed(1)
  const { step, variables } = classifier()
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    before(i)
    losses.push(step(rate).itemSync())
  }
  return [losses.join(), ...variables.map(bitsOf)].join(';')
}

describe('training on several threads', () => {
  afterEach(() => void setThreads(1))

  test('is the same to the last bit', async () => {
    const one = train(8)
    for (const threads of [2, 4]) {
      setThreads(threads)
      await allUp()
      const before = pool.helped
      expect(train(8)).toBe(one)
      expect(pool.helped).toBeGreaterThan(before)
    }
  })

  test.runIf(isFull)('so is fit, with dropout and shuffled rows', async () => {
    // Not before: the layers add rows of their own to the table.
    const { dense, dropout, input, model } = await import('@adjoint/layers')
    const fitted = async (): Promise<string> => {
      setSeed(5)
      const x = input({ shape: [40] })
      const hidden = dropout(0.3)(dense(300, { activation: 'relu' })(x))
      const m = model({ inputs: x, outputs: dense(10, { activation: 'softmax' })(hidden) })
      m.compile({ optimizer: 'adam', loss: 'categorical_crossentropy' })
      const data = random.normal([640, 40], { seed: 1 })
      const targets = softmax(random.normal([640, 10], { seed: 2 }))
      const { history } = await m.fit(data, targets, { epochs: 10, batchSize: 64, verbose: 0 })
      return [JSON.stringify(history), ...m.getWeights().map(bitsOf)].join(';')
    }
    const one = await fitted()
    for (const threads of [2, 4, 1]) {
      setThreads(threads)
      await allUp()
      const before = pool.helped
      expect(await fitted()).toBe(one)
      if (threads > 1) expect(pool.helped).toBeGreaterThan(before)
    }
  })

  test('a plan made for one thread is shared by those that come later, and the other way round', async () => {
    const one = train(12)
    await allUp()
    expect(train(12, (i) => setThreads([1, 3, 2, 1][Math.floor(i / 3)]!))).toBe(one)
  })

  test('workers that are killed at any time change nothing', async () => {
    const one = train(16)
    setThreads(3)
    await allUp()
    expect(
      train(16, (i) => {
        if (i % 4 === 0) pool.links.at(i % 2)?.stop()
      }),
    ).toBe(one)
    // Others take their places.
    await allUp()
    expect(train(16)).toBe(one)
  })
})

describe('a worker that does not come back with its part', () => {
  afterEach(() => void setThreads(1))

  /** Adds 1 to a number for each part. On workers it does that and then never ends. */
  function counting(parts: number, at: number): { module: object; code: SharedCode } {
    const place = (c: Code): { part: ReturnType<Code['param']>; other: ReturnType<Code['param']> } => {
      const [part, other] = [c.param('i32'), c.param('i32')]
      return { part, other }
    }
    const address = (c: Code, part: ReturnType<Code['param']>): Code =>
      c.op(part, 4, 'i32.mul', at, 'i32.add')
    const part = new Code()
    const p = place(part)
    address(part, p.part)
    address(part, p.part).memory('i32.load').op(1, 'i32.add').memory('i32.store')
    // The main thread has scratch 0.
    part.op(p.other).if(() => part.repeat(() => part.op(1)))
    const copy = (isBack: boolean): Code => {
      const c = new Code()
      const q = place(c)
      const own = c.local('i32')
      address(c, q.part).set(own)
      return isBack ? c.copy(own, q.other, 4) : c.copy(q.other, own, 4)
    }
    const module = buildModule({
      imports: [],
      functions: [part.source('part0'), copy(false).source('aside0'), copy(true).source('back0')],
      sharedMemory: true,
    })
    const exports = instantiate(module, planMemory)
    const code: SharedCode = {
      part(_, at_) {
        // Slow enough for workers to have their turn.
        for (const until = performance.now() + 10; performance.now() < until;);
        exports['part0']!(at_, 0)
      },
      back: (_, at_, from) => exports['back0']!(at_, from),
      elsewhere: () => ({ code, left: undefined, goOn: () => undefined }),
    }
    return { module, code }
  }

  test('is stopped within a second, its part put back and done by the main thread, and replaced', async () => {
    const one = train(5)
    setThreads(3)
    await allUp()
    const parts = 6
    const at = reserve(4 * parts)
    const numbers = (): number[] => [...new Int32Array(planMemory.buffer, at, parts)]
    new Int32Array(planMemory.buffer, at, parts).fill(7)
    const { module, code } = counting(parts, at)
    const plan = pool.add(module, 64, 64)
    const before = pool.links
    const begun = performance.now()
    pool.run(plan, 0, parts, code)
    expect(numbers()).toEqual(numbers().map(() => 8))
    // Half a second of patience, and what a busy machine adds.
    expect(performance.now() - begun).toBeLessThan(5000)
    pool.remove(plan)
    // Both had a part in hand.
    expect(pool.links.some((link) => before.includes(link))).toBe(false)
    await allUp()
    expect(train(5)).toBe(one)
  })
})

describe('a stage whose workers are lost', () => {
  afterEach(() => {
    delete (pool as Partial<typeof pool>).run
    setThreads(1)
  })

  test('goes on in other memory: what they may still write is read by nobody', async () => {
    const one = train(10)
    setThreads(2)
    await allUp()
    const run = pool.run.bind(pool)
    let calls = 0
    pool.run = (plan, stage, parts, code) => {
      if (++calls % 13 !== 0) return run(plan, stage, parts, code)
      code.part(stage, 0)
      const { code: other, left, goOn } = code.elsewhere(stage)
      for (const { address, bytes } of left as { address: number; bytes: number }[])
        new Uint8Array(planMemory.buffer, address, bytes).fill(0x7f)
      for (let part = 1; part < parts; part++) other.part(stage, part)
      goOn()
    }
    expect(train(10)).toBe(one)
    expect(calls).toBeGreaterThan(26)
  })
})

describe('setThreads', () => {
  afterEach(() => void setThreads(1))

  test('takes a whole number from 1 on, and returns how many threads there are', () => {
    expect(setThreads(2)).toBe(2)
    expect(setThreads(1)).toBe(1)
    for (const count of [0, -1, 1.5, NaN, Infinity, '2', undefined, null])
      expect(() => setThreads(count as number)).toThrow(ValueError)
    expect(() => setThreads(0)).toThrow('setThreads: expected a whole number of threads, 1 or more, got 0')
  })

  test('lets a program end by itself', () => {
    const program = `
      import { compile, matmul, ones, setThreads } from '@adjoint/core'
      setThreads(3)
      const f = compile((x) => matmul(x, x))
      const x = ones([128, 128])
      for (let i = 0; i < 50; i++) f(x)
      await new Promise((go) => setTimeout(go, 300))
      for (let i = 0; i < 50; i++) f(x)
      console.log(f(x).dataSync()[0])`
    const args = ['--conditions=@adjoint/source', '--import', 'tsx', '--input-type=module', '-e', program]
    expect(execFileSync(process.execPath, args, { cwd: 'test', encoding: 'utf8', timeout: 60_000 })).toBe(
      '128\n',
    )
  })
})
