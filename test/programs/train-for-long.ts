/**
 * `trainOnBatch` as often as the argument says, and models that nobody keeps: what they leave behind. Prints one line
 * of JSON. Needs --expose-gc.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { memory, random } from '@adjoint/core'
import { adam, concatenate, dense, input, model, type Model } from '@adjoint/layers'

const { gc } = globalThis
if (gc === undefined) throw new Error('run it with node --expose-gc')

function build(): Model {
  const a = input({ shape: [10], name: 'a' })
  const b = input({ shape: [5], name: 'b' })
  const both = concatenate([dense(64, { activation: 'relu' })(a), dense(32, { activation: 'relu' })(b)])
  const m = model({ inputs: [a, b], outputs: dense(1)(both) })
  return m.compile({ optimizer: adam({ learningRate: 0.003 }), loss: 'mse' }) as Model
}

const x = [random.normal([32, 10], { seed: 1 }), random.normal([32, 5], { seed: 2 })]
const y = x[0]!.sum(1, true)

async function train(m: Model, steps: number): Promise<number[]> {
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const { loss } = await m.trainOnBatch(x, y)
    if (i === 0 || i === steps - 1) losses.push(loss)
  }
  return losses
}

/** Bytes that are held once all garbage is collected; what finalizers give back is given back in later turns. */
async function held(): Promise<{ heap: number; buffers: number; plans: number }> {
  for (let i = 0; i < 4; i++) {
    gc!()
    await sleep(5)
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return { heap: heapUsed, buffers: arrayBuffers, plans: memory().plans.held }
}

async function forgotten(models: number): Promise<number> {
  const kept: Model[] = []
  for (let i = 0; i < models; i++) {
    kept.push(build())
    await train(kept[i]!, 12)
  }
  return memory().plans.held
}

const count = Number(process.argv[2])
const none = memory().plans.held
const withModels = await forgotten(5)
const released = await held()

const m = build()
const [first] = await train(m, 3000)
const before = await held()
const start = performance.now()
const last = (await train(m, count)).at(-1)!
const seconds = (performance.now() - start) / 1000
const after = await held()
console.log(
  JSON.stringify({
    none,
    withModels,
    released: released.plans,
    before,
    after,
    first,
    last,
    seconds,
  }),
)
