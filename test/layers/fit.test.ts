import {
  adam,
  type Callback,
  type CallContext,
  dense,
  GraphError,
  input,
  lambda,
  Layer,
  type Logs,
  losses,
  model,
  type Model,
  NonFiniteError,
  random,
  setSeed,
  sgd,
  type Tensor,
  tensor,
  ValueError,
  valueAndGrads,
  type Variable,
} from '@adjoint/layers'
import { currentBackend, randomState } from '@adjoint/core/extend'
import { type Backend, setBackend } from '@adjoint/core'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { bundle } from '../support/bundle.js'
import { stateOf } from '../support/state.js'

/** x in R^3, y = its sum, and a class. */
const ROWS = 20
const X = Array.from({ length: ROWS }, (_, row) => [Math.sin(row), Math.cos(3 * row), Math.sin(5 * row + 1)])
const A = X.map((values) => values.reduce((sum, value) => sum + value, 0))
const B = A.map((value) => (value > 0 ? 1 : 0))
const Y = { a: A, b: B }

function build(options: object = {}): Model {
  const x = input({ shape: [3], name: 'x' })
  const h = dense(4, { activation: 'tanh', name: 'hidden' })(x)
  const m: Model = model({
    inputs: { x },
    outputs: { a: dense(1, { name: 'left' })(h), b: dense(1, { activation: 'sigmoid', name: 'right' })(h) },
  })
  return m.compile({
    optimizer: adam({ learningRate: 0.05 }),
    loss: { a: 'mse', b: 'binary_crossentropy' } as never,
    metrics: { b: ['accuracy'] } as never,
    ...options,
  })
}

const weightsOf = (m: Model): number[][] => m.weights.map((w) => [...w.dataSync()])
const quiet = { verbose: 0 } as const

beforeEach(() => {
  setSeed(11)
})
afterEach(() => {
  vi.restoreAllMocks()
})

describe('the loop', () => {
  test('learns', async () => {
    const m = build()
    const { history, epoch } = await m.fit({ x: X }, Y, { epochs: 200, batchSize: 10, ...quiet })
    expect(epoch).toEqual(Array.from({ length: 200 }, (_, i) => i))
    expect(history['b_accuracy']!.at(-1)).toBe(1)
    expect(history['a_loss']!.at(-1)).toBeLessThan(0.01)
  })

  test('history is the mean over rows, exact for a smaller last batch', async () => {
    const still = build({ optimizer: sgd({ learningRate: 0 }) })
    const { history } = await still.fit({ x: X }, Y, { batchSize: 7, ...quiet })
    const whole = await still.evaluate({ x: X }, Y, { batchSize: ROWS })
    for (const name of Object.keys(whole)) expect(history[name]![0]).toBeCloseTo(whole[name]!, 6)
  })

  test('epochs are counted on from initialEpoch, and none leaves everything as it is', async () => {
    const m = build()
    expect((await m.fit({ x: X }, Y, { epochs: 5, initialEpoch: 3, ...quiet })).epoch).toEqual([3, 4])
    const before = weightsOf(m)
    const { epoch, history } = await m.fit({ x: X }, Y, { epochs: 0, ...quiet })
    expect([epoch, history]).toEqual([[], {}])
    expect(weightsOf(m)).toEqual(before)
  })

  test('a batch size beyond the rows is one batch', async () => {
    const m = build()
    const { params } = await m.fit({ x: X }, Y, { batchSize: 1000, ...quiet })
    expect(params['steps']).toBe(1)
    expect(m.optimizer.iterations).toBe(1)
  })

  test('validationSplit keeps the last rows, as validationData does', async () => {
    const split = build()
    const one = await split.fit({ x: X }, Y, { epochs: 3, validationSplit: 0.25, shuffle: false, ...quiet })
    setSeed(11)
    const [first, last] = [X.slice(0, 15), X.slice(15)]
    const cut = (from: number, to: number): Record<'a' | 'b', number[]> => ({
      a: A.slice(from, to),
      b: B.slice(from, to),
    })
    const given = build()
    const two = await given.fit({ x: first }, cut(0, 15), {
      epochs: 3,
      shuffle: false,
      validationData: [{ x: last }, cut(15, 20)],
      ...quiet,
    })
    expect(two.history).toEqual(one.history)
    expect(Object.keys(one.history)).toEqual([
      'loss',
      'a_loss',
      'b_loss',
      'b_accuracy',
      'val_loss',
      'val_a_loss',
      'val_b_loss',
      'val_b_accuracy',
    ])
    expect(one.history['val_loss']!.at(-1)).toBeCloseTo(
      (await split.evaluate({ x: last }, cut(15, 20))).loss,
      6,
    )
  })
})

describe('random numbers', () => {
  const run = async (options: object = {}): Promise<unknown> => {
    setSeed(7)
    const m = build()
    const { history } = await m.fit({ x: X }, Y, { epochs: 3, batchSize: 6, ...quiet, ...options })
    return [history, weightsOf(m), randomState()]
  }

  test('the same seed gives the same run, to the bit', async () => {
    expect(await run()).toEqual(await run())
  })

  test('whatever Math.random says, and whatever else draws numbers meanwhile', async () => {
    const plain = await run()
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    expect(await run()).toEqual(plain)
    const meddle: Callback = { onBatchEnd: () => setSeed(99) }
    const [history, weights] = (await run({ callbacks: meddle })) as unknown[]
    expect([history, weights]).toEqual((plain as unknown[]).slice(0, 2))
  })

  test("a run takes one draw of the program's, however long it is", async () => {
    const m = build()
    const before = randomState()
    await m.fit({ x: X }, Y, { epochs: 4, ...quiet })
    expect(randomState()).toEqual({ ...before, draws: before.draws + 1 })
    await m.predict({ x: X })
    await m.evaluate({ x: X }, Y)
    expect(randomState().draws).toBe(before.draws + 1)
  })

  test('each epoch takes the rows in another order, all of them once', async () => {
    const seen: number[][] = []
    class Watch extends Layer {
      override call(x: Tensor, { training }: CallContext): Tensor {
        if (training) seen.push([...x.dataSync()].filter((_, i) => i % 2 === 0))
        return x
      }
    }
    const x = input({ shape: [2], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(1)(new Watch()(x)) })
    m.compile({ loss: 'mse' })
    const rows = Array.from({ length: 8 }, (_, i) => [i, 0])
    await m.fit(
      rows,
      rows.map(() => 0),
      { epochs: 3, batchSize: 4, ...quiet },
    )
    const orders = [0, 1, 2].map((epoch) => seen.slice(2 * epoch, 2 * epoch + 2).flat())
    for (const order of orders) expect(order.toSorted((p, q) => p - q)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(new Set(orders.map(String)).size).toBe(3)
  })

  test('what layers draw in prediction differs from call to call, and comes again with the seed', async () => {
    const x = input({ shape: [2] })
    const noisy = model({ inputs: x, outputs: lambda((t) => t.add(random.normal([1, 2])))(x) })
    const twice = async (): Promise<number[][]> => {
      setSeed(3)
      return [
        [...(await noisy.predict([[0, 0]])).dataSync()],
        [...(await noisy.predict([[0, 0]])).dataSync()],
      ]
    }
    const [first, second] = await twice()
    expect(first).not.toEqual(second)
    expect(await twice()).toEqual([first, second])
  })
})

describe('data', () => {
  test('is copied when fit is called', async () => {
    const train = async (spoil: boolean): Promise<unknown> => {
      setSeed(2)
      const m = build()
      const x = X.map((row) => [...row])
      const a = Float32Array.from(A)
      const running = m.fit({ x }, { a, b: B }, { epochs: 2, batchSize: 4, ...quiet })
      if (spoil) {
        x[0]![0] = 1e9
        a.fill(1e9)
      }
      return (await running).history
    }
    expect(await train(true)).toEqual(await train(false))
  })

  test('the same object may be input and target', async () => {
    const x = input({ shape: [1], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(1)(x) })
    m.compile({ loss: 'mse', optimizer: sgd({ learningRate: 0.2 }) })
    const values = Float32Array.from([0, 1, 2, 1])
    const { history } = await m.fit(values, values, { epochs: 200, ...quiet })
    expect(history.loss.at(-1)).toBeLessThan(1e-3)
  })
})

describe('weights of rows and classes', () => {
  const data = { x: X }
  test('a weight of 2 counts like the row twice, against the number of rows', async () => {
    const m = build()
    const weight = A.map((_, row) => (row % 2 === 0 ? 2 : 0))
    const weighed = await m.evaluate(data, Y, { sampleWeight: { a: weight } })
    const even = A.map((_, row) => row).filter((row) => row % 2 === 0)
    const half = await m.evaluate(
      { x: even.map((row) => X[row]!) },
      { a: even.map((row) => A[row]!), b: even.map((row) => B[row]!) },
    )
    expect(weighed['a_loss']).toBeCloseTo(half['a_loss']!, 6)
  })

  test('class weights are sample weights by label, also beside sample weights and for several outputs', async () => {
    const classWeight = { 0: 0.5, 1: 3 }
    const sample = A.map((_, row) => 1 + (row % 3))
    const byClass = await build().fit(data, Y, {
      classWeight: { b: classWeight },
      sampleWeight: { a: sample, b: sample },
      epochs: 2,
      ...quiet,
    })
    setSeed(11)
    const byRow = await build().fit(data, Y, {
      sampleWeight: { a: sample, b: sample.map((w, row) => w * (B[row] === 1 ? 3 : 0.5)) },
      epochs: 2,
      ...quiet,
    })
    expect(byClass.history).toEqual(byRow.history)
  })

  test('one-hot rows have the class of their largest value', async () => {
    const x = input({ shape: [3], name: 'x' })
    const make = (loss: string): Model => {
      setSeed(5)
      const m: Model = model({ inputs: x, outputs: dense(2, { activation: 'softmax' })(x) })
      return m.compile({ loss: loss as never, optimizer: 'sgd' })
    }
    const classWeight = { 0: 2, 1: 0.25 }
    const labels = await make('sparse_categorical_crossentropy').fit(X, B, {
      classWeight,
      shuffle: false,
      ...quiet,
    })
    const oneHot = await make('categorical_crossentropy').fit(
      X,
      B.map((label) => [1 - label, label]),
      { classWeight, shuffle: false, ...quiet },
    )
    expect(oneHot.history.loss[0]).toBeCloseTo(labels.history.loss[0]!, 6)
  })

  test('count in weighted metrics only', async () => {
    const m = build({ metrics: { b: ['accuracy'] }, weightedMetrics: { b: ['accuracy'] } })
    const logs = await m.evaluate(data, Y, { sampleWeight: { b: B.map((label) => (label === 1 ? 1 : 0)) } })
    const predicted = (await m.predict(data)) as { b: Tensor }
    const right = [...predicted.b.dataSync()].map((p, row) => Number(p > 0.5) === B[row])
    const share = (rows: readonly boolean[]): number => rows.filter(Boolean).length / rows.length
    expect(logs['b_accuracy']).toBeCloseTo(share(right), 6)
    expect(logs['b_weighted_accuracy']).toBeCloseTo(share(right.filter((_, row) => B[row] === 1)), 6)
  })
})

describe('D29: numbers that are not finite', () => {
  test('a loss: the error tells epoch, step, output and layer; the step has not happened', async () => {
    const bad = vi.fn<() => boolean>().mockReturnValue(false)
    const x = input({ shape: [3], name: 'x' })
    const broken = lambda((t) => (bad() ? t.mul(NaN) : t), { name: 'broken' })
    const m: Model = model({
      inputs: x,
      outputs: { y: dense(1, { name: 'last' })(broken(dense(2, { name: 'first' })(x))) },
    })
    m.compile({ loss: { y: 'mse' } as never, optimizer: 'adam' })
    let before: unknown
    let batches = 0
    const callbacks: Callback = {
      onBatchEnd() {
        // In the second epoch, in its third step.
        if (++batches === 6) {
          before = weightsOf(m)
          bad.mockReturnValue(true)
        }
      },
    }
    const failure: unknown = await m
      .fit(X, { y: A }, { epochs: 3, batchSize: 5, callbacks, ...quiet })
      .catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(NonFiniteError)
    expect((failure as Error).message).toMatch(
      /fit: epoch 1, step 2: the loss of output "y" is NaN; the output of broken \(Lambda\) \(\[5,2\]\) is the first that is not finite/,
    )
    expect(weightsOf(m)).toEqual(before)
    expect(m.optimizer.iterations).toBe(6)
    bad.mockReturnValue(false)
    await m.fit(X, { y: A }, quiet)
  })

  test('a gradient of a finite loss: the error names the weight', async () => {
    const x = input({ shape: [3], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(1, { name: 'only', kernelInitializer: 'zeros' })(x) })
    // sqrt has an infinite slope at 0.
    m.compile({ loss: (t: Tensor, p: Tensor) => p.abs().sqrt().add(t.mul(0)), optimizer: 'sgd' })
    const before = stateOf(m)
    await expect(m.trainOnBatch(X, A)).rejects.toThrow(/the gradient of only\/\S+ holds (NaN|Infinity)/)
    expect(stateOf(m)).toEqual(before)
  })

  test('D30: a learning rate that makes a weight overflow', async () => {
    const m = build({ optimizer: sgd({ learningRate: 3e38 }) })
    const large = { x: X.map((row) => row.map((value) => value * 100)) }
    let before = weightsOf(m)
    const callbacks: Callback = { onBatchBegin: () => void (before = weightsOf(m)) }
    await expect(m.fit(large, Y, { epochs: 20, callbacks, ...quiet })).rejects.toBeInstanceOf(NonFiniteError)
    expect(weightsOf(m)).toEqual(before)
    expect(before.flat().every(Number.isFinite)).toBe(true)
  })

  test('statistics that layers keep go back too', async () => {
    class Count extends Layer {
      readonly #count: Variable = this.addWeight('count', [], { initializer: 'zeros', trainable: false })
      override call(x: Tensor, { training }: CallContext): Tensor {
        if (training) this.#count.assign(this.#count.add(1))
        return x
      }
    }
    const bad = vi.fn<() => boolean>().mockReturnValue(false)
    const x = input({ shape: [3], name: 'x' })
    const m: Model = model({
      inputs: x,
      outputs: dense(1)(lambda((t) => (bad() ? t.div(0) : t))(new Count()(x))),
    })
    m.compile({ loss: 'mse' })
    await m.trainOnBatch(X, A)
    const before = stateOf(m)
    bad.mockReturnValue(true)
    await expect(m.trainOnBatch(X, A)).rejects.toBeInstanceOf(NonFiniteError)
    expect(stateOf(m)).toEqual(before)
  })

  test('a policy lets NaN through the door, for models that know what to do with it', async () => {
    const x = input({ shape: [2], name: 'x' })
    const m = model({ inputs: x, outputs: lambda((t) => t.mul(2))(x) })
    const data = [[1, NaN]]
    await expect(m.predict(data)).rejects.toBeInstanceOf(NonFiniteError)
    expect((await m.predict(data, { nonFinite: 'allow' })).arraySync()).toEqual([[2, NaN]])
  })
})

describe('D33: one training at a time', () => {
  test('a second fit is refused while one runs; predict and evaluate are not', async () => {
    const m = build()
    const first = m.fit({ x: X }, Y, { epochs: 30, batchSize: 2, ...quiet })
    const busy = m.fit({ x: X }, Y, quiet)
    await expect(busy).rejects.toBeInstanceOf(GraphError)
    await expect(busy).rejects.toThrow(/busy/)
    await expect(m.trainOnBatch({ x: X }, Y)).rejects.toThrow(/busy/)
    expect(() => m.compile({ loss: 'mse' })).toThrow(/busy/)
    const [predicted, logs] = await Promise.all([m.predict({ x: X }), m.evaluate({ x: X }, Y)])
    expect((predicted as { a: Tensor }).a.shape).toEqual([ROWS, 1])
    expect(logs.loss).toBeGreaterThan(0)
    expect((await first).epoch).toHaveLength(30)
    expect((await m.fit({ x: X }, Y, quiet)).epoch).toEqual([0])
  })

  test('evaluating meanwhile does not change the history', async () => {
    const run = async (meddle: boolean): Promise<unknown> => {
      setSeed(6)
      const m = build()
      const onBatchEnd = async (): Promise<void> => {
        if (meddle) await m.evaluate({ x: X }, Y)
      }
      return (await m.fit({ x: X }, Y, { epochs: 2, batchSize: 5, callbacks: { onBatchEnd }, ...quiet }))
        .history
    }
    expect(await run(true)).toEqual(await run(false))
  })
})

describe('D34: an abort signal', () => {
  test('before: nothing happens', async () => {
    const m = build()
    const before = weightsOf(m)
    const { epoch } = await m.fit({ x: X }, Y, { epochs: 3, signal: AbortSignal.abort(), ...quiet })
    expect(epoch).toEqual([])
    expect(weightsOf(m)).toEqual(before)
  })
  test('in an epoch: it ends after the batch, with the epochs that were completed', async () => {
    const m = build()
    const controller = new AbortController()
    let batches = 0
    const callbacks: Callback = {
      onBatchEnd() {
        if (++batches === 6) controller.abort()
      },
    }
    const { epoch, history } = await m.fit({ x: X }, Y, {
      epochs: 9,
      batchSize: 5,
      signal: controller.signal,
      callbacks,
      ...quiet,
    })
    expect(epoch).toEqual([0])
    expect(history.loss).toHaveLength(1)
    expect(m.optimizer.iterations).toBe(6)
    expect((await m.fit({ x: X }, Y, { epochs: 2, initialEpoch: 1, ...quiet })).epoch).toEqual([1])
  })
  test('from a timer: the event loop has its turn', async () => {
    const m = build()
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 30)
    const { epoch } = await m.fit({ x: X }, Y, {
      epochs: 1e9,
      batchSize: 1,
      signal: controller.signal,
      ...quiet,
    })
    expect(epoch.length).toBeLessThan(1e9)
  })
})

test('a run keeps the backend that was current when it began', async () => {
  const before = currentBackend()
  const other: Backend = { ...before, name: 'other', run: () => expect.unreachable('on the other backend') }
  const m = build()
  const running = m.fit({ x: X }, Y, {
    epochs: 2,
    callbacks: { onEpochEnd: () => Promise.resolve() },
    ...quiet,
  })
  const predicting = m.predict({ x: X }, { batchSize: 3 })
  setBackend(other)
  try {
    expect((await running).epoch).toEqual([0, 1])
    await predicting
  } finally {
    setBackend(before)
  }
})

describe('predict', () => {
  test('gives the structure of the outputs, whatever the batch size', async () => {
    const m = build()
    const whole = (await m.predict({ x: X }, { batchSize: 100 })) as Record<string, Tensor>
    const parts = (await m.predict({ x: X }, { batchSize: 3 })) as Record<string, Tensor>
    expect(Object.keys(whole)).toEqual(['a', 'b'])
    for (const key of ['a', 'b']) expect(parts[key]!.arraySync()).toEqual(whole[key]!.arraySync())
    const direct = m({ x: tensor(X) }) as Record<string, Tensor>
    expect(direct['a']!.arraySync()).toEqual(whole['a']!.arraySync())
  })
  test('needs no compile', async () => {
    const x = input({ shape: [2] })
    const [double, half] = await model({ inputs: [x], outputs: [x.mul(2), x.div(2)] }).predict([[[1, 2]]])
    expect([double.arraySync(), half.arraySync()]).toEqual([[[2, 4]], [[0.5, 1]]])
  })
})

describe("a step of the user's own", () => {
  const step =
    vi.fn<
      (batch: { x: { x: Tensor }; y: { a: Tensor; b: Tensor } }, self: Model) => Record<string, unknown>
    >()
  const own = (): Model => build({ loss: undefined, metrics: undefined, trainStep: step })
  beforeEach(() => {
    step.mockImplementation(({ x, y }, self) => {
      const { value, grads } = valueAndGrads(() => {
        const predicted = self(x, { training: true }) as { a: Tensor; b: Tensor }
        return losses
          .meanSquaredError(y.a, predicted.a)
          .mean()
          .add(losses.binaryCrossentropy(y.b, predicted.b).mean())
      }, self.trainableVariables)
      self.optimizer.apply(grads, self.trainableVariables)
      return { loss: value, twice: value.itemSync() * 2 }
    })
  })

  test('does as the built-in one, and logs what it returns', async () => {
    setSeed(4)
    const mine = own()
    const one = await mine.fit({ x: X }, Y, { epochs: 3, batchSize: 6, ...quiet })
    setSeed(4)
    const plain = build({ metrics: undefined })
    const two = await plain.fit({ x: X }, Y, { epochs: 3, batchSize: 6, ...quiet })
    expect(Object.keys(one.history)).toEqual(['loss', 'twice'])
    one.history.loss.forEach((value, epoch) => expect(value).toBeCloseTo(two.history.loss[epoch]!, 6))
    expect(one.history['twice']![2]).toBeCloseTo(2 * one.history.loss[2]!, 5)
    expect(weightsOf(mine)).toEqual(weightsOf(plain))
  })

  test.each<[string, (...args: never[]) => unknown, RegExp]>([
    ['returns no loss', () => ({ los: 1 }), /no "loss" among .*los/],
    ['returns nothing', () => undefined, /expected a record/],
    ['returns words', () => ({ loss: '1' }), /"loss" must be a number/],
    ['returns a promise', () => Promise.resolve({ loss: 1 }), /promise/],
  ])('that %s is refused', async (_what, returns, says) => {
    step.mockImplementation(returns as never)
    await expect(own().fit({ x: X }, Y, quiet)).rejects.toThrow(says)
  })

  test('whose loss is not finite has not happened', async () => {
    const real = step.getMockImplementation()!
    step.mockImplementation((batch, self) => ({ ...real(batch, self), loss: NaN }))
    const m = own()
    const before = stateOf(m)
    await expect(m.trainOnBatch({ x: X }, Y)).rejects.toThrow(/trainStep returned loss = NaN/)
    const { optimizer: _one, ...now } = stateOf(m) as Record<string, unknown>
    const { optimizer: _two, ...then } = before as Record<string, unknown>
    expect(now).toEqual(then)
    expect(m.optimizer.iterations).toBe(0)
  })

  test('cannot be evaluated without losses or metrics', async () => {
    await expect(own().evaluate({ x: X }, Y)).rejects.toBeInstanceOf(ValueError)
    await expect(own().fit({ x: X }, Y, { validationSplit: 0.5, ...quiet })).rejects.toBeInstanceOf(
      ValueError,
    )
  })
})

describe('what it prints', () => {
  const printed = async (run: (m: Model) => Promise<unknown>): Promise<string> => {
    let text = ''
    vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
      text += String(part)
      return true
    })
    await run(build())
    vi.restoreAllMocks()
    return text
  }
  test('one line for each epoch where there is no terminal', async () => {
    const text = await printed((m) => m.fit({ x: X }, Y, { epochs: 2, batchSize: 5, verbose: 2 }))
    expect(text).toMatch(
      /^Epoch 1\/2\n4\/4 - 0s - \S+\/step - loss: [\d.]+ - a_loss: [\d.]+ - b_loss: [\d.]+ - b_accuracy: [\d.]+\nEpoch 2\/2\n.*\n$/,
    )
  })
  test('a bar on a terminal', async () => {
    const text = await printed((m) => m.fit({ x: X }, Y, { batchSize: 5, verbose: 1 }))
    expect(text).toMatch(/^Epoch 1\/1\n\r/)
    expect(text).toMatch(/4\/4 .*━.* - loss: [\d.]+ - a_loss: .*\n$/)
  })
  test('nothing where that is asked for, by predict unless it is, nor by itself in tests', async () => {
    const text = await printed(async (m) => {
      await m.fit({ x: X }, Y, quiet)
      await m.fit({ x: X }, Y)
      await m.evaluate({ x: X }, Y)
      await m.predict({ x: X })
    })
    expect(text).toBe('')
    expect(await printed((m) => m.evaluate({ x: X }, Y, { verbose: 2 }))).toMatch(
      /^1\/1 - 0s - \S+ - loss: [^\n]+\n$/,
    )
  })
  test('lines in a pipe, by fit and evaluate, from a program that a test starts', async () => {
    const source = join(import.meta.dirname, '../programs/fit-in-a-pipe.ts')
    const folder = mkdtempSync(join(tmpdir(), 'fit-'))
    const program = (await bundle([source], folder))(source)
    const text = execFileSync(process.execPath, [program], { encoding: 'utf8' })
    rmSync(folder, { recursive: true })
    expect(text).toMatch(/^Epoch 1\/1\n1\/1 - 0s - \S+ - loss: [\d.]+\n1\/1 - 0s - \S+ - loss: [\d.]+\n$/)
  })
  test('a bar that never keeps the event loop from its turn for long', async () => {
    // By the processor's time: on a busy machine turns are late without anybody's doing.
    const cost = (): number => process.cpuUsage().user / 1000
    const turns: number[] = []
    let isOver = false
    let last = cost()
    const turn = (): void => {
      turns.push(cost() - last)
      last = cost()
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    await printed((m) => m.fit({ x: X }, Y, { batchSize: 1, epochs: 60, verbose: 1 }))
    isOver = true
    turns.sort((a, b) => b - a)
    expect(turns.length).toBeGreaterThan(5)
    expect(turns[Math.floor(turns.length / 10)]).toBeLessThan(50)
  })
})

test('trainOnBatch gives the loss before the update, testOnBatch the same without one', async () => {
  const m = build()
  const before = await m.testOnBatch({ x: X }, Y)
  const logs: Logs = await m.trainOnBatch({ x: X }, Y)
  expect(logs).toEqual(before)
  expect((await m.testOnBatch({ x: X }, Y)).loss).toBeLessThan(logs.loss)
})

test('D39: many rows of one number', async () => {
  const x = input({ shape: [1], name: 'x' })
  const m: Model = model({ inputs: x, outputs: dense(1)(x) })
  m.compile({ loss: 'mse', optimizer: 'sgd' })
  const values = new Float32Array(2e6)
  const { history } = await m.fit(values, values, { batchSize: 1e5, ...quiet })
  expect(history.loss).toEqual([0])
})
