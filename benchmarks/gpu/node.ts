// npm run bench -- --gpu: the CPU against the GPU in Node, through Dawn.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { load, machine } from '../machine.js'
import type { Jax } from '../peers/jax-steps.js'
import { casesOf } from './cases.js'
import { type Compared, compare } from './compare.js'
import { clock } from './contender.js'
import { openAll, type Peers } from './open.js'
import { inMs, reportOf } from './report.js'
import type { Tf } from './tfjs.js'

const SOFTWARE_DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json'

const requirePeer = createRequire(new URL('../peers/package.json', import.meta.url))

const PEERS: Peers = {
  async tfjs() {
    // createRequire gives untyped modules.
    const tf = requirePeer('@tensorflow/tfjs') as Tf
    requirePeer('@tensorflow/tfjs-backend-webgpu')
    return tf
  },
  jax: async () => (await import(pathToFileURL(requirePeer.resolve('@jax-js/jax')).href)) as Jax,
}

/** What the other libraries look for where browsers have it: a name, and the constants of WebGPU. */
async function provideGlobals(): Promise<void> {
  if (typeof navigator === 'undefined')
    Object.defineProperty(globalThis, 'navigator', {
      value: { userAgent: 'Node.js', hardwareConcurrency: 1 },
    })
  const { resolve } = createRequire(new URL('../../packages/gpu/package.json', import.meta.url))
  const { globals } = (await import(pathToFileURL(resolve('webgpu')).href)) as { globals: object }
  Object.assign(globalThis, globals)
}

/** Of all threads of this process, in ms. */
function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export async function benchGpu(isQuick: boolean, only: string): Promise<void> {
  // Where a machine has no Vulkan driver of its own, the CPU's serves, and the report says so.
  if (
    process.env['VK_ICD_FILENAMES'] === undefined &&
    !existsSync('/usr/share/vulkan/icd.d') &&
    existsSync(SOFTWARE_DRIVER)
  )
    process.env['VK_ICD_FILENAMES'] = SOFTWARE_DRIVER
  const cases = casesOf({ isQuick, only })
  await provideGlobals()
  const { contenders, missing } = await openAll(['webgpu'], PEERS)
  // With other programs on the machine the clock counts those too.
  const isSoftware = contenders.some(({ device }) => device.isSoftware)
  if (isSoftware) clock.now = processorTime
  const before = load()
  const results: Compared[] = []
  for (const what of cases) {
    const pace = { rounds: isQuick ? 2 : 5, slice: isQuick ? 20 : 100 }
    const result = await compare(what, contenders, pace, () => Promise.resolve())
    results.push(result)
    const told = result.timings.map(
      ({ contender, ms, reason }) => `${contender} ${ms === undefined ? reason : inMs(ms)}`,
    )
    console.log(`${result.kind} ${result.size}: ${told.join('; ')}`)
  }
  const { cpu, cores, node } = machine()
  const where = `Node ${node.split(' ')[0]} through Dawn, ${cpu}, ${cores} cores, load ${before} to ${load()}, ${new Date().toISOString().slice(0, 10)}`
  console.log(
    `\n${reportOf(where, contenders, missing, results, isSoftware ? 'ms of processor time' : 'ms')}`,
  )
}
