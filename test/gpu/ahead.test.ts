// Training on a device that takes time to tell numbers: steps go ahead of what is known of them, and nothing else differs.
import { LimitError, random, setBackend, setSeed, tensor, type Tensor } from '@adjoint/core'
import { cpuBackend, StepPlan } from '@adjoint/core/extend'
import { batchNormalization, dense, dropout, input, type Metric, type Model, model } from '@adjoint/layers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebGpuDevice } from '../../packages/gpu/src/webgpu-device.js'
import { openGpu } from '../support/gpu.js'

const { gpu } = await openGpu()

const STEPS = 24
const ROWS = 4

interface Task {
  readonly m: Model
  readonly x: Tensor
  readonly y: Tensor
}

/** Batches of four rows; `targets` replaces those of one step. */
function task(targets: Readonly<Record<number, number>> = {}, metrics: readonly Metric[] = []): Task {
  setSeed(3)
  const x0 = input({ shape: [5] })
  const h = dropout(0.3)(batchNormalization()(dense(6, { activation: 'tanh' })(x0)))
  const m = model({ inputs: x0, outputs: dense(1)(h) })
  m.compile({ optimizer: 'adam', loss: 'mse', metrics })
  const y = random.uniform([STEPS * ROWS, 1], { seed: 2 }).arraySync() as number[][]
  for (const step of Object.keys(targets)) y[Number(step) * ROWS]![0] = targets[Number(step)]!
  return { m, x: random.uniform([STEPS * ROWS, 5], { seed: 1 }), y: tensor(y) }
}

const fitted = async ({ m, x, y }: Task): Promise<readonly number[]> => {
  const { history } = await m.fit(x, y, { epochs: 2, batchSize: ROWS, shuffle: false, verbose: 0 })
  return Object.values(history).flat()
}

/** Trains on batches that are all sound. */
const goOn = async ({ m }: Pick<Task, 'm'>, batchSize = ROWS): Promise<readonly number[]> => {
  const { x, y } = task()
  const { history } = await m.fit(x, y, { batchSize, epochs: 2, verbose: 0, shuffle: false })
  return Object.values(history).flat()
}

const valuesOf = async (m: Model): Promise<readonly number[]> => {
  const all = await Promise.all([...m.weights, ...m.optimizer.variables].map((v) => v.data()))
  return [m.optimizer.iterations, ...all.flatMap((values) => [...values])]
}

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got.length).toBe(want.length)
  got.forEach((value, i) => {
    const distance = Math.abs(value - want[i]!)
    if (!(distance <= 1e-3 * Math.max(1, Math.abs(want[i]!))))
      expect.fail(`number ${i} is ${value}, on the CPU ${want[i]}`)
  })
}

describe.skipIf(gpu === undefined)('fit on webgpu', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    setBackend(cpuBackend)
  })

  /** Has the plans that are recorded changed. */
  function onPlans(change: (plan: StepPlan) => void): void {
    const record = StepPlan.record.bind(StepPlan)
    vi.spyOn(StepPlan, 'record').mockImplementation((...args) => {
      const plan = record(...args)
      change(plan)
      return plan
    })
  }

  type Read = () => Promise<readonly number[]>

  /** Has a plan's numbers read later by what `watch` makes of it. */
  function watchReads(plan: StepPlan, watch: (read: Read) => ReturnType<Read>): void {
    const later = plan.later.bind(plan)
    plan.later = (count) => {
      const made = later(count)
      return { read: () => watch(() => made.read()) }
    }
    // However slow this machine is now.
    vi.spyOn(performance, 'now').mockReturnValue(0)
  }

  test('reads nothing back while it goes ahead, many steps at a time', async () => {
    let events = ''
    onPlans((plan) => {
      const compute = plan.compute.bind(plan)
      plan.compute = (batch) => {
        events += 's'
        compute(batch)
      }
      watchReads(plan, (read) => {
        events += 'r'
        return read()
      })
    })
    setBackend(gpu!)
    await fitted(task())
    // The first step is made by ops, the second is looked at.
    const parts = [1, 2, 4, 8, 7, STEPS].map((n) => 's'.repeat(n) + 'r'.repeat(n))
    expect(events).toBe(`s${parts.join('')}`)
  })

  test('evaluate reads together what batches found, and tells of the first that cannot be read', async () => {
    const { m, x, y } = task()
    const evaluated = (): Promise<{ loss: number }> => m.evaluate(x, y, { batchSize: ROWS, verbose: 0 })
    const want = await evaluated()
    setBackend(gpu!)
    // However slow this machine is now.
    vi.spyOn(performance, 'now').mockReturnValue(0)
    const read = Object.getOwnPropertyDescriptor(WebGpuDevice.prototype, 'read')!
      .value as WebGpuDevice['read']
    let [open, most, bad] = [0, 0, -1]
    const watched = vi.spyOn(WebGpuDevice.prototype, 'read').mockImplementation(async function (
      this: WebGpuDevice,
      ...args
    ) {
      most = Math.max(most, ++open)
      const values = await read.apply(this, args)
      open--
      if (watched.mock.calls.length > bad && bad >= 0) throw new Error('no numbers')
      return values
    })
    expectClose([(await evaluated()).loss], [want.loss])
    expect([watched.mock.calls.length, most]).toEqual([STEPS, STEPS])
    bad = STEPS + 3
    await expect(evaluated()).rejects.toThrow('no numbers')
    bad = -1
    expectClose([(await evaluated()).loss], [want.loss])
  })

  test('leaves all as it was before a step whose loss is no number, and says which that was', async () => {
    // Its square is infinite.
    const bad = task({ 17: 1e30 })
    setBackend(gpu!)
    const failed = fitted(bad)
    await expect(failed).rejects.toThrow(/fit: epoch 0, step 17: the loss of .* is Infinity/)
    expect(bad.m.optimizer.iterations).toBe(17)
    const got = await valuesOf(bad.m)
    setBackend(cpuBackend)
    const want = task({ 17: 1e30 })
    await expect(fitted(want)).rejects.toThrow(/epoch 0, step 17/)
    expectClose(got, await valuesOf(want.m))
    // And goes on from there, the last batch being a smaller one.
    const more = await goOn(want, 7)
    setBackend(gpu!)
    expectClose(await goOn(bad, 7), more)
    expectClose(await valuesOf(bad.m), await valuesOf(want.m))
  })

  test('makes a step of large numbers, and those after it, as the CPU does', async () => {
    const targets = { 13: 1e10 }
    const cpu = task(targets)
    const want = await fitted(cpu)
    setBackend(gpu!)
    const own = task(targets)
    expectClose(await fitted(own), want)
    expectClose(await valuesOf(own.m), await valuesOf(cpu.m))
  })

  // Steps 9 to 16 are one window.
  const UNSOUND = { 13: 1e10 }
  /** Trains on after so many steps, as a model does that made those on the CPU. */
  const expectOnAsOnCpu = async (m: Model, steps: number, metrics: readonly Metric[] = []): Promise<void> => {
    vi.restoreAllMocks()
    expect(m.optimizer.iterations).toBe(steps)
    const got = await goOn({ m })
    setBackend(cpuBackend)
    const cpu = task(UNSOUND, metrics)
    const part = (all: Tensor, columns: number): Tensor => all.slice([0, 0], [steps * ROWS, columns])
    await cpu.m.fit(part(cpu.x, 5), part(cpu.y, 1), { batchSize: ROWS, shuffle: false, verbose: 0 })
    expectClose(got, await goOn(cpu))
    setBackend(gpu!)
    expectClose(await valuesOf(m), await valuesOf(cpu.m))
  }

  test.each([
    // What was read first is step 2.
    { failing: [12, 15], what: 'before the unsound step' },
    { failing: [10, 12, 13, 14], what: 'before, at and after the unsound step' },
  ])('tells that numbers cannot be read, and trains on as the CPU does: $what', async ({ failing }) => {
    let step = 2
    onPlans((plan) => {
      watchReads(plan, async (read) => {
        const at = step++
        const numbers = await read()
        if (failing.includes(at)) throw new Error(`step ${at} cannot be read`)
        return numbers
      })
    })
    setBackend(gpu!)
    const own = task(UNSOUND)
    await expect(fitted(own)).rejects.toThrow(`step ${failing[0]} cannot be read`)
    await expectOnAsOnCpu(own.m, 13)
  })

  test('tells that a metric fails before an unsound step, and trains on as the CPU does', async () => {
    let updates = 0
    const metric: Metric = {
      name: 'own',
      reset: () => undefined,
      update: () => {
        if (updates++ === 11) throw new Error('the metric fails')
      },
      result: () => 0,
    }
    vi.spyOn(performance, 'now').mockReturnValue(0)
    setBackend(gpu!)
    const own = task(UNSOUND, [metric])
    await expect(fitted(own)).rejects.toThrow('the metric fails')
    await expectOnAsOnCpu(own.m, 13, [metric])
  })

  test('makes a step again that was unsound and whose numbers cannot be read', async () => {
    const cpu = task(UNSOUND)
    const want = await fitted(cpu)
    let step = 2
    onPlans((plan) => {
      watchReads(plan, async (read) => {
        const at = step++
        const numbers = await read()
        if (at === 13) throw new Error('step 13 cannot be read')
        return numbers
      })
    })
    setBackend(gpu!)
    const own = task(UNSOUND)
    expectClose(await fitted(own), want)
    expectClose(await valuesOf(own.m), await valuesOf(cpu.m))
  })

  test('gives back what it kept for a step that cannot be made', async () => {
    setBackend(gpu!)
    const own = task()
    let step = 1
    onPlans((plan) => {
      const changeBy = plan.changeBy.bind(plan)
      plan.changeBy = (foreseen) => {
        if (step++ % 4 === 0) throw new LimitError('too large')
        return changeBy(foreseen)
      }
    })
    const held: number[] = []
    for (let i = 0; i < 4; i++) {
      await expect(fitted(own)).rejects.toThrow('too large')
      held.push(gpu!.memory().buffers)
    }
    expect(held[3]).toBe(held[2])
  })
})
