import {
  adam,
  backupAndRestore,
  batchNormalization,
  type Callback,
  cosineDecay,
  csvLogger,
  dense,
  dropout,
  earlyStopping,
  FormatError,
  type History,
  input,
  learningRateScheduler,
  loadModel,
  type Metric,
  metrics,
  model,
  type Model,
  modelCheckpoint,
  reduceLROnPlateau,
  setSeed,
  sgd,
  type Tensor,
  ValueError,
} from '@adjoint/layers'
import { randomState } from '@adjoint/core/extend'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { bundle } from '../support/bundle.js'
import { lcgMatrix } from '../support/lcg.js'

const folder = mkdtempSync(join(tmpdir(), 'resume-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})
let path: string
let runs = 0
beforeEach(() => {
  path = join(folder, `${runs++}`, 'training.backup')
})

const X = lcgMatrix(22, 3, 1)
const Y = lcgMatrix(22, 1, 2)
const EPOCHS = 4
const STEPS = 4

/** Everything with a memory: momenta, averages, accumulated gradients, moving statistics, dropout's keys. */
function build(seed = 7): Model {
  setSeed(seed)
  const x = input({ shape: [3], name: 'x' })
  let h = dense(5, { activation: 'tanh' })(x)
  h = dropout(0.3)(batchNormalization()(h))
  const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(h) })
  return m.compile({
    optimizer: adam({
      learningRate: 0.05,
      amsgrad: true,
      useEma: true,
      gradientAccumulationSteps: 3,
      weightDecay: 0.01,
    }),
    loss: 'mse',
    metrics: ['mae', metrics.r2Score()],
  })
}

interface End {
  readonly history: History['history']
  readonly epoch: readonly number[]
  readonly weights: readonly (readonly number[])[]
  readonly slots: readonly (readonly number[])[]
  readonly learningRate: number
  readonly random: unknown
}

async function end(m: Model, callbacks: readonly Callback[]): Promise<End> {
  const { history, epoch } = await m.fit(X, Y, {
    epochs: EPOCHS,
    batchSize: 6,
    validationSplit: 0.1,
    verbose: 0,
    callbacks,
  })
  return {
    history,
    epoch,
    weights: m.weights.map((w) => [...w.dataSync()]),
    slots: m.optimizer.variables.map((v) => [...v.dataSync()]),
    learningRate: m.optimizer.learningRate,
    random: randomState(),
  }
}

class Killed extends Error {}

/** Ends the process, as far as `fit` can tell, in an epoch before or behind a step, or behind the epoch. */
function killAt(epoch: number, step: number, when: 'begin' | 'end' | 'epoch'): Callback {
  let now = -1
  return {
    onEpochBegin: (at) => void (now = at),
    onBatchBegin(at) {
      if (now === epoch && at === step && when === 'begin') throw new Killed()
    },
    onBatchEnd(at) {
      if (now === epoch && at === step && when === 'end') throw new Killed()
    },
    onEpochEnd(at) {
      if (at === epoch && when === 'epoch') throw new Killed()
    },
  }
}
const nobody: Callback = { onBatchBegin: () => undefined }

describe('a training that was killed ends as one that was not', () => {
  const moments = Array.from({ length: EPOCHS }, (_, epoch) => [
    ...Array.from({ length: STEPS }, (_unused, step) => [epoch, step, 'begin'] as const),
    [epoch, 1, 'end'] as const,
    [epoch, 0, 'epoch'] as const,
  ]).flat()
  test.each([
    ['epoch', moments.filter((_, i) => i % 6 === 1)],
    [1, moments.filter((_, i) => i % 4 === 0)],
    [3, moments.filter((_, i) => i % 4 === 2)],
  ] as const)('saved every %s', async (saveFreq, kills) => {
    const callbacks = (): Callback[] => [
      reduceLROnPlateau({ monitor: 'loss', patience: 1, minDelta: 0.2, factor: 0.7 }),
      earlyStopping({ monitor: 'val_loss', patience: 2, restoreBestWeights: true }),
    ]
    const whole = await end(build(), [nobody, ...callbacks()])
    expect(whole.epoch.length).toBeGreaterThan(1)
    for (const [i, [epoch, step, when]] of kills.entries()) {
      const file = `${path}.${i}`
      const backup = (): Callback => backupAndRestore(file, { saveFreq })
      const killed = end(build(), [killAt(epoch, step, when), ...callbacks(), backup()])
      const reached = await killed.then(
        () => false,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Killed)
          return true
        },
      )
      // Another process may have other random numbers: those of the training come back.
      const resumed = reached
        ? await end(build(epoch === 0 ? 7 : 8), [nobody, ...callbacks(), backup()])
        : await killed
      expect(resumed, `killed in epoch ${epoch} at ${when} of step ${step}`).toEqual(whole)
      expect(existsSync(file)).toBe(false)
    }
  })

  test('with a schedule, a scheduler, checkpoints and a log', async () => {
    const run = (name: string, more: readonly Callback[], epochs = EPOCHS): Promise<unknown> => {
      setSeed(1)
      const x = input({ shape: [3], name: 'x' })
      const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(x), name: 'm' })
      m.compile({ optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }), loss: 'mse' })
      return m.fit(X, Y, {
        epochs,
        batchSize: 6,
        verbose: 0,
        callbacks: [
          ...more,
          learningRateScheduler((_epoch, rate) => rate / 2),
          csvLogger(join(folder, `${name}.csv`)),
          modelCheckpoint(join(folder, name, 'm-{epoch:02d}-{batch}.safetensors'), { saveFreq: 3 }),
          backupAndRestore(join(folder, name, 'b'), { saveFreq: 2 }),
        ],
      })
    }
    await run('whole', [nobody])
    for (const kill of [killAt(1, 3, 'begin'), killAt(2, 0, 'begin'), killAt(2, 0, 'epoch')])
      await expect(run('killed', [kill])).rejects.toThrow()
    await run('killed', [nobody])
    const text = (name: string): string => readFileSync(join(folder, `${name}.csv`), 'utf8')
    expect(text('killed')).toBe(text('whole'))
    expect(text('whole').split('\n')).toHaveLength(EPOCHS + 2)
    const last = `m-0${EPOCHS}-3.safetensors`
    const header = (name: string): string => readFileSync(join(folder, name, last)).toString('latin1')
    expect(header('killed')).toBe(header('whole'))
  })

  test('with loss weights that change or are learned, and a loss over all outputs', async () => {
    const run = async (
      name: string,
      lossWeights: 'uncertainty' | undefined,
      more: Callback,
    ): Promise<unknown> => {
      setSeed(1)
      const x = input({ shape: [3] })
      const h = dense(4)(x)
      const m: Model = model({ inputs: x, outputs: { a: dense(1)(h), b: dense(1)(h) } })
      m.compile({
        optimizer: sgd({ learningRate: 0.1 }),
        loss: 'mse',
        modelLoss: (_y, p) =>
          (p as { a: Tensor; b: Tensor }).a
            .mul((p as { b: Tensor }).b)
            .square()
            .mean(),
        ...(lossWeights !== undefined && { lossWeights }),
      })
      const weigh: Callback = {
        onBatchBegin(batch) {
          if (lossWeights === undefined && batch === 1) m.setLossWeights({ a: m.lossWeights['a']! / 2 })
        },
      }
      const { history } = await m.fit(
        X,
        { a: Y, b: Y },
        {
          epochs: 3,
          batchSize: 6,
          verbose: 0,
          callbacks: [weigh, more, backupAndRestore(join(folder, name), { saveFreq: 1 })],
        },
      )
      return [history, m.weights.map((w) => [...w.dataSync()]), m.lossWeights]
    }
    for (const lossWeights of ['uncertainty', undefined] as const) {
      const whole = await run('multi', lossWeights, nobody)
      await expect(run('multi', lossWeights, killAt(1, 3, 'begin'))).rejects.toThrow()
      expect(await run('multi', lossWeights, nobody)).toEqual(whole)
    }
  })

  test('of a dataset too, of which batches that were done are taken again and left out', async () => {
    const batches = (): [number[][], number[][]][] =>
      [0, 6, 12].map((from) => [X.slice(from, from + 6), Y.slice(from, from + 6)])
    const run = async (more: Callback): Promise<unknown> => {
      const m = build()
      const callbacks = [more, backupAndRestore(join(folder, 'dataset'), { saveFreq: 1 })]
      const { history } = await m.fitDataset(batches, { epochs: 3, verbose: 0, callbacks })
      return [history, m.weights.map((w) => [...w.dataSync()])]
    }
    const whole = await run(nobody)
    await expect(run(killAt(1, 2, 'begin'))).rejects.toThrow()
    expect(existsSync(join(folder, 'dataset'))).toBe(true)
    expect(await run(nobody)).toEqual(whole)
  })

  test('also where the process dies', async () => {
    const source = join(import.meta.dirname, '../programs/train-with-backup.ts')
    const program = (await bundle([source], join(folder, 'program')))(source)
    const outcome = async (file: string, killAfter: number): Promise<string> => {
      const child = spawn(process.execPath, [program, file], { stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString()
        if (text.length >= killAfter) child.kill('SIGKILL')
      })
      await once(child, 'close')
      return text
    }
    const whole = await outcome(join(folder, 'w'), Infinity)
    const first = await outcome(join(folder, 'k'), 25)
    expect(first).not.toContain('#')
    const second = await outcome(join(folder, 'k'), Infinity)
    expect(second.split('#')[1]).toBe(whole.split('#')[1])
    // It went on: the steps done before are not done again.
    expect(second.indexOf('#')).toBeLessThan(60 - 20)
  }, 60_000)
})

describe('initialEpoch', () => {
  const train = (m: Model, initialEpoch: number, epochs: number): ReturnType<Model['fit']> =>
    m.fit(X, Y, { initialEpoch, epochs, batchSize: 6, verbose: 0 })
  // Averaged weights are given to the model at the end of every fit, so that there is an end in between.
  const make = (): Model => {
    const m = build()
    return m.compile({
      optimizer: adam({ learningRate: cosineDecay({ initialLearningRate: 0.1, decaySteps: 20 }) }),
      loss: 'mse',
      metrics: ['mae'],
    })
  }
  const state = (m: Model): unknown => [
    m.weights.map((w) => [...w.dataSync()]),
    m.optimizer.variables.map((v) => [...v.dataSync()]),
    randomState(),
  ]

  test('goes on as if there had been no end, here and after loading', async () => {
    const whole = make()
    const { history } = await train(whole, 0, 5)
    const want = state(whole)

    const parts = make()
    const first = await train(parts, 0, 2)
    const bytes = await parts.toBytes()
    const second = await train(parts, 2, 5)
    expect(state(parts)).toEqual(want)
    expect([...first.history.loss, ...second.history.loss]).toEqual(history.loss)

    setSeed(99)
    const loaded = await loadModel(bytes)
    await train(loaded, 2, 5)
    expect(state(loaded)).toEqual(want)
  })

  test('and from a checkpoint that fit has made', async () => {
    const file = join(folder, 'checkpoint.safetensors')
    const whole = make()
    const save: Callback = { onEpochEnd: async (epoch) => (epoch === 1 ? whole.save(file) : undefined) }
    await whole.fit(X, Y, { epochs: 5, batchSize: 6, verbose: 0, callbacks: save })
    const loaded = await loadModel(file)
    await train(loaded, 2, 5)
    expect(state(loaded)).toEqual(state(whole))
  })
})

describe('a backup is refused, and nothing changes,', () => {
  const backedUp = async (): Promise<void> => {
    await expect(end(build(), [killAt(2, 0, 'begin'), backupAndRestore(path)])).rejects.toThrow(Killed)
  }
  const refused = async (
    m: Model,
    callbacks: readonly Callback[],
    says: RegExp,
    kind = ValueError as unknown,
  ) => {
    const before = m.weights.map((w) => [...w.dataSync()])
    const failure: unknown = await end(m, callbacks).catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(kind)
    expect((failure as Error).message).toMatch(says)
    expect(m.weights.map((w) => [...w.dataSync()])).toEqual(before)
    expect(m.optimizer.iterations).toBe(0)
  }

  test('of other data', async () => {
    await backedUp()
    const m = build()
    await expect(
      m.fit(X, Y, { batchSize: 2, verbose: 0, callbacks: backupAndRestore(path) }),
    ).rejects.toThrow(/another training: rows was 19 and is 22; delete the file/)
  })
  test('of another optimizer', async () => {
    await backedUp()
    const m = build()
    m.compile({ optimizer: 'sgd', loss: 'mse', metrics: ['mae', metrics.r2Score()] })
    await refused(m, [nobody, backupAndRestore(path)], /optimizer was/)
  })
  test('of another model', async () => {
    await backedUp()
    setSeed(1)
    const x = input({ shape: [3], name: 'x' })
    const m: Model = model({ inputs: x, outputs: dense(1, { name: 'y' })(x) })
    const { optimizer } = build()
    m.compile({ optimizer, loss: 'mse', metrics: ['mae', metrics.r2Score()] })
    await refused(m, [nobody, backupAndRestore(path)], /another model: there is no weight "dense\/kernel"/)
  })
  test('of other callbacks', async () => {
    await backedUp()
    await refused(build(), [backupAndRestore(path)], /another training: callbacks was/)
  })
  test('that is damaged', async () => {
    await backedUp()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.subarray(0, -3))
    await refused(build(), [nobody, backupAndRestore(path)], /cut off/, FormatError)
    const text = bytes.toString('latin1')
    writeFileSync(path, Buffer.from(text.replace('\\"epoch\\":2', '\\"epoch\\":{'), 'latin1'))
    await refused(build(), [nobody, backupAndRestore(path)], /JSON/, FormatError)
    writeFileSync(path, Buffer.from(text.replace('\\"step\\":0', '\\"steq\\":0'), 'latin1'))
    await refused(build(), [nobody, backupAndRestore(path)], /step of the state is damaged/, FormatError)
  })
  test('of metrics that cannot be told, before the first step', async () => {
    const own: Metric = { name: 'own', reset: () => undefined, update: () => undefined, result: () => 1 }
    const m = build()
    m.compile({ loss: 'mse', metrics: [own] })
    await refused(m, [backupAndRestore(path, { saveFreq: 1 })], /metric "own".*saveFreq: 'epoch'/)
    await m.fit(X, Y, { verbose: 0, callbacks: backupAndRestore(path) })
  })
  test('twice, and of bad options', async () => {
    await refused(build(), [backupAndRestore(path), backupAndRestore(path)], /more than one backupAndRestore/)
    expect(() => backupAndRestore('')).toThrow(ValueError)
    expect(() => backupAndRestore(path, { saveFreq: 0 })).toThrow(/saveFreq/)
    expect(() => backupAndRestore(path, { savefreq: 1 } as object)).toThrow(/"saveFreq"/)
  })
})

test('the file is kept when asked for, and says when there is nothing left to do', async () => {
  const keep = (): Callback => backupAndRestore(path, { deleteCheckpoint: false })
  const whole = await end(build(), [keep()])
  expect(existsSync(path)).toBe(true)
  const again = await end(build(), [keep()])
  expect(again.history).toEqual(whole.history)
  expect(again.weights).toEqual(whole.weights)
})
