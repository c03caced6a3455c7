import {
  type Callback,
  csvLogger,
  dense,
  earlyStopping,
  GraphError,
  input,
  lambdaCallback,
  learningRateScheduler,
  loadModel,
  type Logs,
  model,
  type Model,
  modelCheckpoint,
  NonFiniteError,
  reduceLROnPlateau,
  setSeed,
  sgd,
  terminateOnNaN,
  ValueError,
} from '@adjoint/layers'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { readOracle } from '../support/oracles.js'

const X = [[1], [2], [3], [4]]
const Y = [2, 4, 6, 8]

function build(learningRate = 0.01): Model {
  const x = input({ shape: [1], name: 'x' })
  const m: Model = model({ inputs: x, outputs: dense(1)(x) })
  return m.compile({ loss: 'mse', metrics: ['mae'], optimizer: sgd({ learningRate }) })
}

const fit = (m: Model, callbacks: unknown, epochs = 10): ReturnType<Model['fit']> =>
  m.fit(X, Y, { epochs, verbose: 0, shuffle: false, callbacks: callbacks as Callback })

/** Plays made-up logs to a callback; the epochs after which it is asked to stop. */
function play(callback: Callback, name: string, values: readonly number[]): number {
  callback.setParams?.({
    epochs: values.length,
    steps: 1,
    batchSize: 1,
    verbose: 0,
    logNames: ['loss', name],
  })
  void callback.onTrainBegin?.()
  for (const [epoch, value] of values.entries()) {
    void callback.onEpochEnd?.(epoch, { loss: 0, [name]: value })
    if (callback.stopTraining === true) return epoch
  }
  return values.length
}

beforeEach(() => {
  setSeed(1)
})

test('methods are called in order, with numbers that count from 0, and logs that grow', async () => {
  const calls: string[] = []
  const note =
    (what: string) =>
    (at?: number, logs?: Logs): void => {
      calls.push(
        [what, at, logs && Object.keys(logs).join(',')].filter((part) => part !== undefined).join(' '),
      )
    }
  const callback: Callback = {
    setModel: (m) => note(`setModel ${String(m.isCompiled)}`)(),
    setParams: ({ steps, logNames }) => note(`setParams ${steps} ${logNames?.join(',')}`)(),
    onTrainBegin: note('onTrainBegin'),
    onTrainEnd: note('onTrainEnd'),
    onEpochBegin: note('onEpochBegin'),
    onEpochEnd: note('onEpochEnd'),
    onBatchBegin: note('onBatchBegin'),
    onBatchEnd: note('onBatchEnd'),
  }
  await build().fit(X, Y, { batchSize: 2, validationSplit: 0.25, verbose: 0, callbacks: [callback] })
  expect(calls).toEqual([
    'setModel true',
    'setParams 2 loss,mae,val_loss,val_mae',
    'onTrainBegin',
    'onEpochBegin 0',
    'onBatchBegin 0',
    'onBatchEnd 0 loss,mae',
    'onBatchBegin 1',
    'onBatchEnd 1 loss,mae',
    'onEpochEnd 0 loss,mae,val_loss,val_mae',
    'onTrainEnd',
  ])
})

test('what a callback adds to the logs is history', async () => {
  const { history } = await fit(
    build(),
    { onEpochEnd: (epoch: number, logs: Logs) => void (logs['twice'] = 2 * epoch) },
    3,
  )
  expect(history['twice']).toEqual([0, 2, 4])
})

test('fit waits for asynchronous ones', async () => {
  const done: number[] = []
  await fit(
    build(),
    {
      onEpochEnd: async (epoch: number) => {
        await new Promise((resolve) => {
          setTimeout(resolve, 2)
        })
        done.push(epoch)
      },
    },
    3,
  )
  expect(done).toEqual([0, 1, 2])
})

describe('D31: a callback that throws', () => {
  class Careless {
    onEpochEnd(epoch: number): void {
      if (epoch === 1) throw new RangeError('oops')
    }
  }
  test.each([
    ['at once', new Careless(), /callback Careless\.onEpochEnd: oops/],
    [
      'later',
      {
        name: 'later',
        onEpochEnd: (epoch: number) => (epoch === 1 ? Promise.reject(new RangeError('oops')) : undefined),
      },
      /callback later\.onEpochEnd: oops/,
    ],
    [
      'without a name',
      {
        onBatchBegin: () => {
          throw new RangeError('oops')
        },
      },
      /callback 0\.onBatchBegin: oops/,
    ],
  ])('%s rejects fit with its error, and its name', async (_when, callback, says) => {
    const m = build()
    const failure: unknown = await fit(m, callback).catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(RangeError)
    expect((failure as Error).message).toMatch(says)
    const steps = m.optimizer.iterations
    const weights = m.weights.map((w) => [...w.dataSync()])
    // As far as it came, it is the training without it.
    setSeed(1)
    const same = build()
    await fit(same, [], steps)
    expect(weights).toEqual(same.weights.map((w) => [...w.dataSync()]))
    expect((await fit(m, [])).epoch).toHaveLength(10)
  })
  test('something that is no error is thrown on as it is', async () => {
    await expect(
      fit(build(), {
        onTrainEnd: () => {
          // oxlint-disable-next-line typescript/only-throw-error -- that is the point
          throw 'oops'
        },
      }),
    ).rejects.toBe('oops')
  })
})

test('D32: a callback may not train the model it is called from, but may set its weights', async () => {
  const m = build()
  const failure: unknown = await fit(m, { onEpochEnd: () => fit(m, []) }).catch((reason: unknown) => reason)
  expect(failure).toBeInstanceOf(GraphError)
  expect((failure as Error).message).toMatch(/callback 0\.onEpochEnd: .*busy/)
  await fit(m, { onEpochEnd: () => m.setWeights([[[7]], [7]]) }, 1)
  expect(m.weights.map((w) => w.dataSync()[0])).toEqual([7, 7])
})

describe('earlyStopping', () => {
  const falling = [5, 4, 3, 3, 3, 2, 1]
  test.each([
    ['waits for `patience` epochs without improvement', { patience: 2 }, falling, 4],
    ['does not wait without patience', {}, falling, 3],
    ['waits longer', { patience: 3 }, falling, 7],
    ['asks for minDelta', { patience: 2, minDelta: 1.5 }, [5, 4, 3, 2, 1], 5],
    ['asks for more than minDelta', { patience: 2, minDelta: 1 }, [5, 4, 4, 4], 2],
    ['takes minDelta without its sign', { patience: 2, minDelta: -1 }, [5, 4, 4, 4], 2],
    ['does not look before startFromEpoch', { startFromEpoch: 3 }, [1, 2, 3, 4, 5], 4],
    ['waits on where the baseline is not beaten', { patience: 3, baseline: 3 }, [5, 4, 3.5, 3.6, 3.5], 3],
    ['starts over where it is', { patience: 3, baseline: 3 }, [5, 4, 2, 3, 3], 5],
    ['looks for large values where told to', { mode: 'max', patience: 1 }, [1, 2, 3, 2, 3], 3],
    ['may stop from the second epoch on', {}, [1, 1], 1],
    ['is never pleased by NaN', { patience: 1 }, [3, NaN, 2, NaN], 1],
  ] as const)('%s', (_what, options, values, epoch) => {
    expect(play(earlyStopping(options), 'val_loss', values)).toBe(epoch)
  })

  test.each([
    ['val_accuracy', [0.1, 0.2, 0.3, 0.3], 3],
    ['direction_auc', [0.1, 0.2, 0.1], 2],
    ['val_direction_loss', [3, 2, 2], 2],
    ['val_mae', [3, 2, 2], 2],
    ['b_weighted_accuracy', [0.1, 0.2, 0.2], 2],
  ])('knows what is better: %s', (monitor, values, epoch) => {
    expect(play(earlyStopping({ monitor }), monitor, values)).toBe(epoch)
  })

  test('asks where it does not know', () => {
    expect(() => play(earlyStopping({ monitor: 'mood' }), 'mood', [1])).toThrow(
      /"mood" better when small or large\?.*mode/,
    )
    expect(play(earlyStopping({ monitor: 'mood', mode: 'max' }), 'mood', [1, 2, 2])).toBe(2)
  })

  test('ends fit, and tells when', async () => {
    const stopping = earlyStopping({ monitor: 'loss', patience: 1, mode: 'max' })
    const { epoch } = await fit(build(), stopping)
    expect(epoch).toEqual([0, 1])
    expect(stopping.stoppedEpoch).toBe(1)
    expect(stopping.bestEpoch).toBe(0)
  })

  test('may be used again', async () => {
    const stopping = earlyStopping({ monitor: 'loss', patience: 1, mode: 'max' })
    const m = build()
    await fit(m, stopping)
    expect((await fit(m, stopping)).epoch).toEqual([0, 1])
  })

  test.each([2, 30])(
    'puts the best weights back at the end, also when it did not stop: patience %d',
    async (patience) => {
      // At this rate the loss grows from epoch to epoch, so the first is the best.
      const m = build(0.2)
      let first: unknown
      const watch: Callback = {
        onEpochEnd: (epoch) => void (epoch === 0 && (first = m.weights.map((w) => [...w.dataSync()]))),
      }
      const { epoch } = await fit(
        m,
        [watch, earlyStopping({ monitor: 'loss', patience, restoreBestWeights: true })],
        6,
      )
      expect(epoch).toHaveLength(patience === 2 ? 3 : 6)
      expect(m.weights.map((w) => [...w.dataSync()])).toEqual(first)
    },
  )

  test.each([
    ['a log there will not be', { monitor: 'vall_loss' }, /earlyStopping.*no "vall_loss".*loss or mae/],
    ['validation without data', {}, /no "val_loss".*pass validation data/],
  ])('refuses %s before the first step', async (_what, options, says) => {
    const m = build()
    await expect(fit(m, earlyStopping(options))).rejects.toThrow(says)
    expect(m.optimizer.iterations).toBe(0)
  })

  test.each([
    [{ patince: 1 }, /"patince".*Did you mean "patience"/],
    [{ patience: -1 }, /patience/],
    [{ patience: 1.5 }, /patience/],
    [{ minDelta: NaN }, /minDelta/],
    [{ mode: 'mx' }, /mode.*"max"/],
    [{ monitor: 1 }, /monitor/],
    [{ baseline: '1' }, /baseline/],
  ])('refuses %o', (options, says) => {
    expect(() => earlyStopping(options as object)).toThrow(ValueError)
    expect(() => earlyStopping(options as object)).toThrow(says)
  })
})

describe('learning rates', () => {
  test('learningRateScheduler ends where the example of Keras ends', async () => {
    const fact = readOracle<{ name: string; input: { epochs: number }; expected: number; tol: number }[]>(
      'facts.json',
    ).find(({ name }) => name.startsWith('LearningRateScheduler'))!
    const m = build(0.01)
    const scheduler = learningRateScheduler((epoch, rate) => (epoch < 10 ? rate : rate * Math.exp(-0.1)))
    await fit(m, scheduler, fact.input.epochs)
    expect(Math.abs(m.optimizer.learningRate - fact.expected)).toBeLessThanOrEqual(fact.tol)
  })

  test('learningRateScheduler sets and logs them', async () => {
    const m = build(1e-3)
    const { history } = await fit(
      m,
      learningRateScheduler((epoch, rate) => (epoch === 0 ? rate : rate / 2)),
      3,
    )
    expect(history['learning_rate']).toEqual([1e-3, 5e-4, 2.5e-4])
    await expect(
      fit(
        m,
        learningRateScheduler(() => NaN),
      ),
    ).rejects.toThrow(/learningRateScheduler.*NaN/)
    expect(() => learningRateScheduler(1 as never)).toThrow(ValueError)
  })

  test('reduceLROnPlateau lowers them, rests, and stops at minLR', async () => {
    const m = build(1e-9)
    const { history } = await fit(
      m,
      reduceLROnPlateau({ monitor: 'loss', patience: 1, factor: 0.5, cooldown: 2, minLR: 3e-10 }),
      8,
    )
    expect(history['learning_rate']).toEqual([1e-9, 1e-9, 5e-10, 5e-10, 3e-10, 3e-10, 3e-10, 3e-10])
    expect(() => reduceLROnPlateau({ factor: 1 })).toThrow(/factor/)
  })

  test('neither takes an optimizer with a schedule of its own', async () => {
    const m = build()
    m.compile({ loss: 'mse', optimizer: sgd({ learningRate: (step) => 0.01 / (1 + step) }) })
    await expect(
      fit(
        m,
        learningRateScheduler(() => 0.1),
      ),
    ).rejects.toThrow(/schedule/)
  })
})

test('lambdaCallback refuses what it does not know', () => {
  expect(() => lambdaCallback({ onEpochEnds: () => undefined } as never)).toThrow(/Did you mean "onEpochEnd"/)
})

describe('a method that would never be called is refused', () => {
  class OnTrain {
    onTrainBatchEnd(): void {}
  }
  test.each([
    [{ onEpochEnds: () => undefined }, /"onEpochEnds" would never be called.*Did you mean "onEpochEnd"\?/],
    [{ on_epoch_end: () => undefined }, /Did you mean "onEpochEnd"/],
    [{ onTrainBatchEnd: () => undefined }, /Did you mean "onBatchEnd"/],
    [{ onepochend: () => undefined }, /Did you mean "onEpochEnd"/],
    [{ setmodel: () => undefined }, /Did you mean "setModel"/],
    [{ onTestBegin: () => undefined }, /"onTestBegin" would never be called; fit calls .*onEpochEnd/],
    [new OnTrain(), /callback OnTrain: "onTrainBatchEnd".*"onBatchEnd"/],
    [Object.assign(earlyStopping(), { onEpochFinish: () => undefined }), /earlyStopping: "onEpochFinish"/],
  ])('%o', async (callback, says) => {
    const m = build()
    await expect(fit(m, callback)).rejects.toThrow(ValueError)
    await expect(fit(m, [lambdaCallback({}), callback])).rejects.toThrow(says)
    expect(m.optimizer.iterations).toBe(0)
  })

  test('an error names its callback once', async () => {
    await expect(fit(build(), earlyStopping())).rejects.toThrow(
      /^callback earlyStopping\.setParams: there will be no "val_loss"/,
    )
  })

  test('but methods of its own are', async () => {
    class Mine {
      seen = 0
      onEpochEnd(): void {
        this.#note()
        this.noteEpochs()
      }
      noteEpochs(): void {
        this.seen++
      }
      #note(): void {
        this.seen++
      }
    }
    const mine = new Mine()
    await fit(build(), mine, 2)
    expect(mine.seen).toBe(4)
  })
})

describe('terminateOnNaN', () => {
  // A target of which the error overflows float32 in the third batch.
  const large = [2, 4, 3e38, 8]
  const train = (m: Model, callbacks: readonly Callback[]): ReturnType<Model['fit']> =>
    m.fit(X, large, { batchSize: 1, epochs: 3, shuffle: false, verbose: 0, callbacks })

  test('ends the training in peace, with the weights before the step', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const calls: string[] = []
    const watch: Callback = {
      onBatchEnd: (batch) => void calls.push(`batch ${batch}`),
      onEpochEnd: () => void calls.push('epoch'),
      onTrainEnd: () => void calls.push('end'),
    }
    const m = build()
    const { epoch } = await train(m, [watch, terminateOnNaN()])
    expect(epoch).toEqual([])
    expect(calls).toEqual(['batch 0', 'batch 1', 'end'])
    expect(m.optimizer.iterations).toBe(2)
    expect(m.weights.every((w) => Number.isFinite(w.dataSync()[0]))).toBe(true)
    expect(warned.mock.calls.flat().join('\n')).toMatch(/terminateOnNaN: fit: epoch 0, step 2: the loss/)
    warned.mockRestore()
    await fit(m, [terminateOnNaN()], 2)
  })

  test('without it fit rejects, and tells step, output and layer, also with callbacks and accumulation', async () => {
    const told: string[] = []
    const m = build()
    m.compile({
      loss: 'mse',
      optimizer: sgd({ learningRate: 0.01, gradientAccumulationSteps: 2, momentum: 0.5 }),
    })
    const before = (): unknown => [
      m.weights.map((w) => [...w.dataSync()]),
      m.optimizer.variables.map((v) => [...v.dataSync()]),
    ]
    let kept: unknown
    const failure: unknown = await train(m, [
      { onBatchEnd: () => void (kept = before()), onNonFinite: (error) => void told.push(error.message) },
    ]).catch((reason: unknown) => reason)
    expect(failure).toBeInstanceOf(NonFiniteError)
    expect(told).toEqual([(failure as Error).message])
    expect(told[0]).toMatch(/^fit: epoch 0, step 2: the loss of output "dense" is Infinity; all layers gave/)
    expect(before()).toEqual(kept)
    expect(m.optimizer.iterations).toBe(2)
  })
})

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'callbacks-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const text = (name: string): string => readFileSync(join(folder, name), 'utf8')

  test('csvLogger writes a line for each epoch', async () => {
    const path = join(folder, 'new', 'log.csv')
    const { history } = await fit(build(), csvLogger(path), 3)
    expect(text('new/log.csv')).toBe(
      `epoch,loss,mae\n${[0, 1, 2].map((i) => `${i},${history['loss'][i]},${history['mae']![i]}\n`).join('')}`,
    )
    await fit(build(), csvLogger(path), 1)
    expect(text('new/log.csv').split('\n')).toHaveLength(3)
    await fit(build(), csvLogger(path, { append: true }), 2)
    expect(text('new/log.csv').split('\n')).toHaveLength(5)
    await expect(fit(build(), csvLogger(path, { append: true, separator: ';' }), 1)).rejects.toThrow(
      /has the columns "epoch,loss,mae", this training "epoch;loss;mae"/,
    )
  })

  test('csvLogger quotes, and says what is missing', async () => {
    const path = join(folder, 'odd.csv')
    const own: Callback = {
      onEpochEnd: (epoch, logs) => void (epoch === 0 && (logs['a,"b"'] = 1)),
    }
    await fit(build(), [own, csvLogger(path)], 2)
    expect(text('odd.csv').split('\n')[0]).toBe('epoch,loss,mae,"a,""b"""')
    expect(text('odd.csv').split('\n')[2]).toMatch(/^1,.*,NA$/)
    expect(() => csvLogger(path, { separator: '"' })).toThrow(/separator/)
    await expect(fit(build(), csvLogger(folder), 1)).rejects.toThrow(/csvLogger\.onEpochEnd: .*cannot write/)
  })

  test('modelCheckpoint saves after each epoch, under names of epoch and logs', async () => {
    const m = build()
    const checkpoint = modelCheckpoint(join(folder, 'c', '{epoch:02d}-{loss:.2f}.safetensors'))
    const { history } = await fit(m, checkpoint, 3)
    expect(readdirSync(join(folder, 'c'))).toEqual(
      history.loss.map((loss, i) => `0${i + 1}-${loss.toFixed(2)}.safetensors`),
    )
    const last = await loadModel(checkpoint.lastPath!)
    expect(last.getWeights().map((w) => w.arraySync())).toEqual(m.getWeights().map((w) => w.arraySync()))
    expect(last.optimizer.iterations).toBe(3)
  })

  test('modelCheckpoint keeps the best', async () => {
    // At this rate the loss grows, and the first epoch is the best.
    const m = build(0.2)
    const path = join(folder, 'best.safetensors')
    let first: unknown
    const watch: Callback = {
      onEpochEnd: (epoch) => void (epoch === 0 && (first = m.getWeights().map((w) => w.arraySync()))),
    }
    const checkpoint = modelCheckpoint(path, { monitor: 'loss', saveBestOnly: true, saveWeightsOnly: true })
    const { history } = await fit(m, [watch, checkpoint], 3)
    expect(checkpoint.best).toBe(Math.min(...history.loss))
    await m.loadWeights(path)
    expect(m.getWeights().map((w) => w.arraySync())).toEqual(first)
    const never = modelCheckpoint(join(folder, 'never'), {
      monitor: 'loss',
      saveBestOnly: true,
      initialValueThreshold: 0,
    })
    await fit(m, never, 1)
    expect(never.lastPath).toBeUndefined()
    expect(existsSync(join(folder, 'never'))).toBe(false)
  })

  test('modelCheckpoint saves every few steps', async () => {
    const path = join(folder, 's', '{epoch}-{batch}')
    const callbacks = modelCheckpoint(path, { saveFreq: 3, saveWeightsOnly: true })
    await build().fit(X, Y, { batchSize: 1, epochs: 2, verbose: 0, callbacks })
    expect(readdirSync(join(folder, 's'))).toEqual(['1-3', '2-2'])
  })

  test.each([
    [() => modelCheckpoint(''), /path/],
    [() => modelCheckpoint('a{epoch'), /brace/],
    [() => modelCheckpoint('a', { saveFreq: 0 }), /saveFreq/],
    [() => modelCheckpoint('a', { save_best_only: true } as object), /"saveBestOnly"/],
  ])('modelCheckpoint refuses %s', (make, says) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(says)
  })
  test('modelCheckpoint refuses logs there will not be, before the first step', async () => {
    const m = build()
    await expect(fit(m, modelCheckpoint(join(folder, '{val_loss}')))).rejects.toThrow(
      /asks for "val_loss"; known are loss, mae, epoch/,
    )
    await expect(fit(m, modelCheckpoint(join(folder, 'x'), { saveBestOnly: true }))).rejects.toThrow(
      /no "val_loss".*validation data/,
    )
    expect(m.optimizer.iterations).toBe(0)
  })
})

describe('stopTraining', () => {
  test('ends an epoch after the batch in which it was set, with its validation, as in Keras', async () => {
    const x = Array.from({ length: 10 }, (_, i) => [i / 10])
    const make = (): Model => {
      setSeed(4)
      const one = input({ shape: [1] })
      return model({ inputs: one, outputs: dense(1)(one) }).compile({
        optimizer: sgd(),
        loss: 'mse',
      }) as never
    }
    const batches: number[] = []
    const stopper = {
      name: 'stopper',
      stopTraining: false,
      onBatchEnd(step: number): void {
        batches.push(step)
        if (batches.length === 7) this.stopTraining = true
      },
    }
    const stopped = make()
    const y = x.map(([v]) => v!)
    const { history, epoch } = await stopped.fit(x, y, {
      epochs: 9,
      batchSize: 2,
      shuffle: false,
      validationData: [x, y],
      verbose: 0,
      callbacks: stopper,
    })
    // Five batches, then two of the next epoch.
    expect(batches).toEqual([0, 1, 2, 3, 4, 0, 1])
    expect(epoch).toEqual([0, 1])
    expect(history.val_loss).toHaveLength(2)
    expect(stopped.optimizer.iterations).toBe(7)
    // A callback that hears no batches is asked after the epoch.
    const whole = make()
    await whole.fit(x, y, {
      epochs: 9,
      batchSize: 2,
      verbose: 0,
      callbacks: { stopTraining: true, onEpochEnd() {} },
    })
    expect(whole.optimizer.iterations).toBe(5)
  })
})
