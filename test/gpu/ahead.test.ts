// Training on a device that takes time to tell numbers: steps go ahead of what is known of them, and nothing else differs.
import { random, setBackend, setSeed, tensor, type Tensor } from '@adjoint/core'
import { cpuBackend, StepPlan } from '@adjoint/core/extend'
import { batchNormalization, dense, dropout, input, type Model, model } from '@adjoint/layers'
import { afterEach, describe, expect, test, vi } from 'vitest'
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
function task(targets: Readonly<Record<number, number>> = {}): Task {
  setSeed(3)
  const x0 = input({ shape: [5] })
  const h = dropout(0.3)(batchNormalization()(dense(6, { activation: 'tanh' })(x0)))
  const m = model({ inputs: x0, outputs: dense(1)(h) })
  m.compile({ optimizer: 'adam', loss: 'mse' })
  const y = random.uniform([STEPS * ROWS, 1], { seed: 2 }).arraySync() as number[][]
  for (const step of Object.keys(targets)) y[Number(step) * ROWS]![0] = targets[Number(step)]!
  return { m, x: random.uniform([STEPS * ROWS, 5], { seed: 1 }), y: tensor(y) }
}

const fitted = async ({ m, x, y }: Task): Promise<readonly number[]> => {
  const { history } = await m.fit(x, y, { epochs: 2, batchSize: ROWS, shuffle: false, verbose: 0 })
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

  test('reads nothing back while it goes ahead, many steps at a time', async () => {
    let events = ''
    const record = StepPlan.record.bind(StepPlan)
    vi.spyOn(StepPlan, 'record').mockImplementation((...args) => {
      const plan = record(...args)
      const compute = plan.compute.bind(plan)
      const later = plan.later.bind(plan)
      plan.compute = (batch) => {
        events += 's'
        compute(batch)
      }
      plan.later = (count) => {
        const made = later(count)
        return {
          read() {
            events += 'r'
            return made.read()
          },
        }
      }
      return plan
    })
    // However slow this machine is now.
    vi.spyOn(performance, 'now').mockReturnValue(0)
    setBackend(gpu!)
    await fitted(task())
    // The first step is made by ops, the second is looked at.
    const parts = [1, 2, 4, 8, 7, STEPS].map((n) => 's'.repeat(n) + 'r'.repeat(n))
    expect(events).toBe(`s${parts.join('')}`)
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
    const goOn = async ({ m }: Task): Promise<readonly number[]> => {
      const { x, y } = task()
      const { history } = await m.fit(x, y, { batchSize: 7, epochs: 2, verbose: 0, shuffle: false })
      return Object.values(history).flat()
    }
    const more = await goOn(want)
    setBackend(gpu!)
    expectClose(await goOn(bad), more)
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
})
