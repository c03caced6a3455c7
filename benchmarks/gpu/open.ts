// Who can be had here.
import { cpu, onGpu } from './adjoint.js'
import type { Contender, Device } from './contender.js'
import { jax } from './jax.js'
import { type Tf, tfjs } from './tfjs.js'
import type { Jax } from '../peers/jax-steps.js'

/** How the other libraries are loaded here. */
export interface Peers {
  /** With its backend for WebGPU. */
  tfjs(): Promise<Tf>
  jax(): Promise<Jax>
}

export interface Found {
  readonly contenders: readonly Contender[]
  /** Who could not be had, and why. */
  readonly missing: readonly string[]
}

/** The CPU, ours on each mode, and the others where asked. */
export async function openAll(modes: readonly ('webgl2' | 'webgpu')[], peers?: Peers): Promise<Found> {
  const contenders: Contender[] = [...cpu]
  const missing: string[] = []
  const attempt = async (name: string, open: () => Promise<readonly Contender[]>): Promise<void> => {
    try {
      contenders.push(...(await open()))
    } catch (error) {
      missing.push(`${name}: ${String(error).split('\n')[0]}`)
    }
  }
  /** The others do not tell what they compute on: it is what ours does in that mode. */
  const as = (name: string, mode: string): Device => {
    const own = contenders.find(({ device }) => device.name === `gpu.js ${mode}`)?.device
    return { name, adapter: own?.adapter ?? 'unknown', isSoftware: own?.isSoftware ?? false }
  }
  for (const mode of modes) await attempt(`gpu.js ${mode}`, () => onGpu(mode))
  if (peers === undefined) return { contenders, missing }
  if (modes.includes('webgl2'))
    await attempt('tfjs webgl', async () => [
      await tfjs(await peers.tfjs(), 'webgl', as('tfjs webgl', 'webgl2')),
    ])
  await attempt('tfjs webgpu', async () => [
    await tfjs(await peers.tfjs(), 'webgpu', as('tfjs webgpu', 'webgpu')),
  ])
  await attempt('jax-js webgpu', async () => [await jax(await peers.jax(), as('jax-js webgpu', 'webgpu'))])
  return { contenders, missing }
}
