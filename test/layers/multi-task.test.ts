import {
  add,
  binaryCrossentropy,
  exp,
  matmul,
  mean,
  meanSquaredError,
  mul,
  neg,
  sigmoid,
  zeros,
} from '@adjoint/core'
import {
  adam,
  backupAndRestore,
  type Callback,
  type CallContext,
  dense,
  input,
  Layer,
  type LossWeight,
  loadModel,
  model,
  type Model,
  NonFiniteError,
  registerFunction,
  registerLayer,
  setSeed,
  type Tensor,
  tensor,
  valueAndGrads,
  ValueError,
  type Variable,
  variable,
} from '@adjoint/layers'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { stateOf } from '../support/state.js'

const ROWS = 12
const X = Array.from({ length: ROWS }, (_, row) => [Math.sin(row), Math.cos(3 * row), Math.sin(5 * row + 1)])
const A = X.map((values) => [values.reduce((sum, value) => sum + value, 0)])
const B = A.map(([value]) => [value! > 0 ? 1 : 0])
const Y = { a: A, b: B }
const f64 = (values: number[][]): Tensor => tensor(values, { dtype: 'float64' })

function build() {
  const x = input({ shape: [3], name: 'x', dtype: 'float64' })
  const h = dense(4, { activation: 'tanh', name: 'hidden', dtype: 'float64' })(x)
  return model({
    inputs: { x },
    outputs: {
      a: dense(1, { name: 'left', dtype: 'float64' })(h),
      b: dense(1, { activation: 'sigmoid', name: 'right', dtype: 'float64' })(h),
    },
  })
}

/** The same model by hand: copies of the weights, and what they predict. */
function byHand(m: { getWeights(): Tensor[] }) {
  const weights = m.getWeights().map((w) => variable(w))
  const [kh, bh, ka, ba, kb, bb] = weights as [Variable, Variable, Variable, Variable, Variable, Variable]
  const predict = (x: Tensor): { a: Tensor; b: Tensor } => {
    const h = add(matmul(x, kh), bh).tanh()
    return { a: add(matmul(h, ka), ba), b: sigmoid(add(matmul(h, kb), bb)) }
  }
  return { weights, predict }
}

/** Losses of both outputs for some rows. */
function partsOf(
  predict: (x: Tensor) => { a: Tensor; b: Tensor },
  from: number,
  to: number,
): [Tensor, Tensor] {
  const { a, b } = predict(f64(X.slice(from, to)))
  return [
    mean(meanSquaredError(f64(A.slice(from, to)), a)),
    mean(binaryCrossentropy(f64(B.slice(from, to)), b)),
  ]
}

const BATCH = 5
/** Trains by hand as `fit` does without shuffling; the mean loss of each epoch. */
function trainByHand(
  weights: readonly Variable[],
  lossOf: (from: number, to: number, epoch: number, step: number) => Tensor,
  epochs: number,
): number[] {
  const optimizer = adam({ learningRate: 0.05 })
  let step = 0
  return Array.from({ length: epochs }, (_, epoch) => {
    let loss = 0
    for (let from = 0; from < ROWS; from += BATCH) {
      const to = Math.min(from + BATCH, ROWS)
      const { value, grads } = valueAndGrads(() => lossOf(from, to, epoch, step++), weights)
      loss += (value.itemSync() * (to - from)) / ROWS
      optimizer.apply(grads, weights)
    }
    return loss
  })
}

const LOSSES = { a: 'mse', b: 'bce' } as const
const compiled = () => build().compile({ optimizer: adam({ learningRate: 0.05 }), loss: LOSSES })
const plain = { batchSize: BATCH, shuffle: false, verbose: 0, epochs: 4 } as const
const close = (got: readonly number[] | undefined, want: readonly number[]): void => {
  expect(got).toHaveLength(want.length)
  want.forEach((value, i) => expect(Math.abs(got![i]! - value)).toBeLessThan(1e-12))
}
const sameWeights = (m: { getWeights(): Tensor[] }, weights: readonly Variable[]): void =>
  m.getWeights().forEach((w, i) => close([...w.dataSync()], [...weights[i]!.dataSync()]))

beforeEach(() => {
  setSeed(5)
})

describe('loss weights that change', () => {
  test('by a schedule, as in a loop written by hand', async () => {
    const fading: LossWeight = (step) => 1 / (1 + step)
    const m = build().compile({
      optimizer: adam({ learningRate: 0.05 }),
      loss: LOSSES,
      lossWeights: { a: 2, b: fading },
    })
    const { weights, predict } = byHand(m)
    const want = trainByHand(
      weights,
      (from, to, _, step) => {
        const [a, b] = partsOf(predict, from, to)
        return add(mul(a, 2), mul(b, 1 / (1 + step)))
      },
      4,
    )
    const { history } = await m.fit({ x: X }, Y, plain)
    close(history['loss'], want)
    sameWeights(m, weights)
    expect(m.lossWeights).toEqual({ a: 2, b: 1 / 13 })
  })

  test('by a callback, as in a loop written by hand', async () => {
    const m = compiled()
    expect(m.lossWeights).toEqual({ a: 1, b: 1 })
    const { weights, predict } = byHand(m)
    const weightOf = (epoch: number): number => (epoch < 2 ? 1 : 0.25)
    const want = trainByHand(
      weights,
      (from, to, epoch) => {
        const [a, b] = partsOf(predict, from, to)
        return add(a, mul(b, weightOf(epoch)))
      },
      4,
    )
    const callback: Callback = { onEpochBegin: (epoch) => m.setLossWeights({ b: weightOf(epoch) }) }
    const { history } = await m.fit({ x: X }, Y, { ...plain, callbacks: callback })
    close(history['loss'], want)
    sameWeights(m, weights)
    expect(m.lossWeights).toEqual({ a: 1, b: 0.25 })
    // The optimizer was not started over.
    expect(m.optimizer.iterations).toBe(12)
  })

  test('are saved as they are, and so is a schedule with a name', async () => {
    const halving = (step: number): number => 0.5 ** step
    const m = build().compile({ optimizer: 'adam', loss: LOSSES, lossWeights: { a: 1, b: halving } })
    m.setLossWeights({ a: 0.125 })
    await expect(m.toBytes()).rejects.toThrow(/registerFunction\("halving", halving\)/)
    registerFunction('halving', halving)
    await m.fit({ x: X }, Y, { ...plain, epochs: 1 })
    const again = await loadModel(await m.toBytes())
    expect(again.lossWeights).toEqual({ a: 0.125, b: 0.125 })
  })

  test.each<[string, unknown, RegExp]>([
    ['an unknown output', { B: 1 }, /no output "B".*Did you mean "b"/],
    ['a negative weight', { a: 2, b: -1 }, /setLossWeights: b must be a finite number of at least 0, got -1/],
    ['NaN', { a: NaN }, /a must be a finite number/],
    ['a text', { a: '1' }, /a must be a finite number/],
    ['one number for two outputs', 'x', /must be|expected/],
  ])('%s is refused; no weight has changed', (_, weights, message) => {
    const m = compiled()
    m.setLossWeights({ a: 3, b: 4 })
    const before = stateOf(m as Model)
    expect(() => m.setLossWeights(weights as never)).toThrow(message)
    expect(m.lossWeights).toEqual({ a: 3, b: 4 })
    expect(stateOf(m as Model)).toEqual(before)
  })

  test('a schedule that gives no weight stops the step with the output and step named; nothing has changed', async () => {
    const m = build().compile({ loss: LOSSES, lossWeights: { b: (step) => (step < 1 ? 1 : NaN) } })
    await m.trainOnBatch({ x: X }, Y)
    const before = stateOf(m as Model)
    await expect(m.trainOnBatch({ x: X }, Y)).rejects.toThrow(/schedule of "b".*step 1.*NaN/)
    expect(stateOf(m as Model)).toEqual(before)
  })

  test('before compile there are none', () => {
    expect(() => build().lossWeights).toThrow(/compile/)
    expect(() => build().setLossWeights({ a: 1 })).toThrow(/compile/)
  })
})

describe('loss weights that are learned', () => {
  const learned = () =>
    build().compile({ optimizer: adam({ learningRate: 0.05 }), loss: LOSSES, lossWeights: 'uncertainty' })

  test('sum up to exp(-s) loss + s, with s trained too, as in a loop written by hand', async () => {
    const m = learned()
    const { weights, predict } = byHand(m)
    expect(weights).toHaveLength(8)
    const [sa, sb] = weights.slice(6) as [Variable, Variable]
    const want = trainByHand(
      weights,
      (from, to) => {
        const [a, b] = partsOf(predict, from, to)
        return add(add(mul(exp(neg(sa)), a), sa), add(mul(exp(neg(sb)), b), sb))
      },
      4,
    )
    const { history } = await m.fit({ x: X }, Y, plain)
    close(history['loss'], want)
    sameWeights(m, weights)
    close(Object.values(m.lossWeights), [Math.exp(-sa.itemSync()), Math.exp(-sb.itemSync())])
    expect(sa.itemSync()).not.toBe(0)
  })

  test('weigh a task by how well it can be told: s becomes the logarithm of its loss', async () => {
    // With the rest frozen the minimum over s of exp(-s) L + s is at s = log L.
    const m = learned()
    for (const layer of m.layers) layer.trainable = false
    const { a_loss, b_loss } = await m.evaluate({ x: X }, Y)
    await m.fit({ x: X }, Y, { epochs: 400, batchSize: ROWS, verbose: 0 })
    const [sa, sb] = m.lossVariables as [Variable, Variable]
    expect(sa.itemSync()).toBeCloseTo(Math.log(a_loss!), 6)
    expect(sb.itemSync()).toBeCloseTo(Math.log(b_loss!), 6)
  })

  test('are among the weights, in the summary, and frozen with the model', () => {
    const m = learned()
    expect(m.weights.slice(-2).map((w) => w.name)).toEqual(['log_variance_a', 'log_variance_b'])
    expect(m.trainableWeights).toHaveLength(8)
    const lines: string[] = []
    m.summary({ printFn: (line) => lines.push(line) })
    expect(lines).toContain(' Total params: 28 (224.00 B)')
    expect(lines).toContain(' Loss weight params: 2 (16.00 B)')
    m.trainable = false
    expect(m.trainableWeights).toHaveLength(0)
    m.trainable = true
    m.compile({ loss: LOSSES })
    expect(m.weights).toHaveLength(6)
  })

  test('belong to the model that was compiled, not to one around it', () => {
    const inner = learned()
    const x = input({ shape: [3], dtype: 'float64' })
    const outer = model({ inputs: x, outputs: inner({ x }).a })
    expect(outer.weights).toHaveLength(6)
    expect(outer.trainableWeights).toHaveLength(6)
  })

  test('an output without a loss has none', () => {
    const m = build().compile({ loss: { b: 'bce' }, lossWeights: 'uncertainty' })
    expect(m.weights.at(-1)!.name).toBe('log_variance_b')
    expect(m.lossWeights).toEqual({ b: 1 })
  })

  test('are saved: training goes on as if it had never stopped', async () => {
    const m = learned()
    await m.fit({ x: X }, Y, plain)
    const bytes = await m.toBytes()
    const again = await loadModel(bytes)
    expect(stateOf(again)).toEqual(stateOf(m as Model))
    await m.fit({ x: X }, Y, plain)
    await again.fit({ x: X }, Y, plain)
    expect(again.getWeights().map((w) => w.arraySync())).toEqual(m.getWeights().map((w) => w.arraySync()))
    // Without training there is nothing to weigh, and weights alone may be taken from the same file.
    const bare = await loadModel(bytes, { compile: false })
    expect(bare.weights).toHaveLength(6)
    await build().loadWeights(bytes)
    await learned().loadWeights(bytes)
  })

  test('cannot be set besides', () => {
    const m = learned()
    expect(() => m.setLossWeights({ a: 1 })).toThrow(ValueError)
    expect(() => m.setLossWeights({ a: 1 })).toThrow(/learned/)
    expect(() => build().compile({ loss: LOSSES, lossWeights: 'uncertain' as never })).toThrow(ValueError)
  })
})

describe('a loss over all outputs', () => {
  test('alone, as in a loop written by hand; targets and outputs by their names', async () => {
    const m = build().compile({
      optimizer: adam({ learningRate: 0.05 }),
      modelLoss: (targets, outputs) =>
        add(targets.a.sub(outputs.a).square().mean(), mul(outputs.a, outputs.b).square().mean()),
    })
    const { weights, predict } = byHand(m)
    const lossOf = (from: number, to: number): Tensor => {
      const { a, b } = predict(f64(X.slice(from, to)))
      const d = f64(A.slice(from, to)).sub(a)
      return add(mean(mul(d, d)), mean(mul(a, b).square()))
    }
    const want = trainByHand(weights, lossOf, 4)
    const { history } = await m.fit({ x: X }, Y, { ...plain, validationData: [{ x: X }, Y] })
    expect(Object.keys(history)).toEqual(['loss', 'val_loss'])
    close(history['loss'], want)
    sameWeights(m, weights)
    expect(history['val_loss'].at(-1)).toBeCloseTo(lossOf(0, ROWS).itemSync(), 12)
  })

  test('beside the losses of outputs, with a log of its own', async () => {
    const m = build().compile({
      loss: LOSSES,
      lossWeights: { b: 0.5 },
      modelLoss: (_, { a, b }) => a.sub(b).square().mean(-1),
      metrics: { b: 'accuracy' },
    })
    const { predict } = byHand(m)
    const [la, lb] = partsOf(predict, 0, ROWS)
    const { a, b } = predict(f64(X))
    const both = mean(a.sub(b).square()).itemSync()
    const logs = await m.evaluate({ x: X }, Y, { batchSize: 5 })
    expect(Object.keys(logs)).toEqual(['loss', 'model_loss', 'a_loss', 'b_loss', 'b_accuracy'])
    close(Object.values(logs).slice(0, 4), [
      la.itemSync() + 0.5 * lb.itemSync() + both,
      both,
      la.itemSync(),
      lb.itemSync(),
    ])
    const { history } = await m.fit({ x: X }, Y, plain)
    expect(Object.keys(history)).toEqual(Object.keys(logs))
  })

  test('is given the sample weights', async () => {
    const seen: unknown[] = []
    const m = build().compile({
      modelLoss: (targets, outputs, sampleWeight) => {
        seen.push(sampleWeight?.a.arraySync(), sampleWeight?.b)
        return mean(
          targets.a
            .sub(outputs.a)
            .square()
            .reshape([-1])
            .mul(sampleWeight?.a ?? 1),
        )
      },
    })
    await m.evaluate(
      { x: X.slice(0, 2) },
      { a: A.slice(0, 2), b: B.slice(0, 2) },
      { sampleWeight: { a: [1, 2] } },
    )
    expect(seen).toEqual([[1, 2], undefined])
    await m.evaluate({ x: X.slice(0, 2) }, { a: A.slice(0, 2), b: B.slice(0, 2) })
    expect(seen).toEqual([[1, 2], undefined, undefined, undefined])
  })

  test.each<[string, unknown, RegExp]>([
    ['no function', 'mse', /compile: modelLoss must be a function/],
    ['a number', () => 1, /modelLoss: expected a scalar tensor, got number/],
    ['a promise', async () => zeros([]), /synchronous/],
    ['a matrix', (_: unknown, { a }: { a: Tensor }) => a, /modelLoss: expected a scalar.*\[12,1\]/],
  ])('%s is refused; nothing changes', async (_, modelLoss, message) => {
    const m = compiled()
    const before = stateOf(m as Model)
    const failing = async (): Promise<unknown> => {
      m.compile({ modelLoss: modelLoss as never })
      return m.trainOnBatch({ x: X }, Y)
    }
    const weights = m.getWeights().map((w) => w.arraySync())
    await expect(failing()).rejects.toThrow(message)
    expect(m.getWeights().map((w) => w.arraySync())).toEqual(weights)
    if (modelLoss === 'mse') expect(stateOf(m as Model)).toEqual(before)
  })

  test('that is not finite is named, and the weights are kept', async () => {
    const m = build().compile({ loss: LOSSES, modelLoss: (_, { a }) => mean(a).mul(NaN) })
    const before = stateOf(m as Model)
    const failing = m.fit({ x: X }, Y, { verbose: 0 })
    await expect(failing).rejects.toThrow(NonFiniteError)
    await expect(failing).rejects.toThrow(/epoch 0, step 0: the modelLoss is NaN/)
    expect((stateOf(m as Model) as { weights: unknown }).weights).toEqual(
      (before as { weights: unknown }).weights,
    )
  })
})

/** Adds how far its input is from 1, on average. */
class NearOne extends Layer {
  override call(x: Tensor, _context: CallContext): Tensor {
    this.addLoss(mean(x.sub(1).square()))
    return x
  }
}
registerLayer('NearOne', NearOne)

describe('training by addLoss alone', () => {
  const make = () => {
    const x = input({ shape: [3], name: 'x', dtype: 'float64' })
    const y = dense(1, { name: 'y', dtype: 'float64' })(x)
    return model({ inputs: x, outputs: new NearOne({ dtype: 'float64' })(y) })
  }

  test('needs no loss and no targets; as in a loop written by hand', async () => {
    const m = make().compile({ optimizer: adam({ learningRate: 0.05 }) })
    const weights = m.getWeights().map((w) => variable(w))
    const [k, b] = weights as [Variable, Variable]
    const lossOf = (from: number, to: number): Tensor =>
      mean(
        add(matmul(f64(X.slice(from, to)), k), b)
          .sub(1)
          .square(),
      )
    const want = trainByHand(weights, lossOf, 4)
    const { history } = await m.fit(X, null, plain)
    expect(Object.keys(history)).toEqual(['loss'])
    close(history['loss'], want)
    sameWeights(m, weights)
    close([(await m.evaluate(X, null)).loss], [lossOf(0, ROWS).itemSync()])
    const again = await loadModel(await m.toBytes())
    close([(await again.evaluate(X, null)).loss], [lossOf(0, ROWS).itemSync()])
  })

  test('where nothing is added, the first step says so and nothing changes', async () => {
    class Silent extends Layer {
      override call(x: Tensor): Tensor {
        return x
      }
    }
    const x = input({ shape: [3], name: 'x' })
    const m = model({ inputs: x, outputs: new Silent()(dense(1, { kernelRegularizer: 'l2' })(x)) }).compile(
      {},
    )
    const before = stateOf(m as Model)
    await expect(m.trainOnBatch(X, null)).rejects.toThrow(ValueError)
    await expect(m.trainOnBatch(X, null)).rejects.toThrow(/nothing to minimise.*addLoss/)
    expect(stateOf(m as Model)).toEqual(before)
    expect(() => compiled().compile({ optimizer: 'sgd' })).toThrow(/no loss to minimise.*modelLoss.*addLoss/)
  })

  test('targets are still missed where a loss needs them', async () => {
    await expect(compiled().fit({ x: X }, null, plain)).rejects.toThrow(/target|keys a, b/)
  })
})

test.each([{ lossWeights: { a: 2, b: 1 } }, { lossWeights: 'uncertainty' }] as const)(
  'a training with $lossWeights that was killed ends as one that was not',
  async ({ lossWeights }) => {
    const folder = mkdtempSync(join(tmpdir(), 'multi-task-'))
    const run = async (killedAt: number | undefined, backup: string | undefined): Promise<unknown> => {
      setSeed(5)
      const m = build().compile({
        loss: LOSSES,
        lossWeights,
        modelLoss: (_, { a, b }) => a.sub(b).square().mean(),
      })
      let step = 0
      const once: Callback = {
        onEpochBegin: (epoch) => {
          if (epoch === 1 && typeof lossWeights === 'object') m.setLossWeights({ b: 0.25 })
        },
        onBatchEnd: () => {
          if (step++ === killedAt) throw new Error('killed')
        },
      }
      const callbacks = [...(backup === undefined ? [] : [backupAndRestore(backup, { saveFreq: 1 })]), once]
      const { history } = await m.fit({ x: X }, Y, { ...plain, callbacks })
      return [history, m.getWeights().map((w) => w.arraySync()), m.lossWeights]
    }
    try {
      const whole = await run(undefined, undefined)
      for (const killedAt of [1, 4, 7]) {
        const path = join(folder, `${killedAt}`)
        await expect(run(killedAt, path)).rejects.toThrow('killed')
        expect(await run(undefined, path)).toEqual(whole)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
)
