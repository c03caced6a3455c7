import { BackendError, ValueError } from '@adjoint/core'
import { didYouMean, show } from '@adjoint/core/extend'
import { backendOn, type GpuBackend } from './backend.js'
import type { GpuInfo, GpuMode } from './device.js'
import { OPENERS } from './modes.js'

export type { GpuBackend, GpuInfo, GpuMode }

export interface GpuBackendOptions {
  /** Modes to try, in this order. Default: all. */
  readonly prefer?: readonly GpuMode[]
  /** Accept an adapter that computes on the CPU. Default: false. */
  readonly allowSoftware?: boolean
  /** Most bytes to hold on the device. Default: 2 GiB. */
  readonly maxBytes?: number
}

const MODES: readonly GpuMode[] = ['webgpu', 'webgl2', 'headlessgl']

/**
 * A backend that computes on the GPU, for setBackend or withBackend. Kernels are gpu.js', generated from the formulas
 * that the CPU's are made of, in float32; gpu.js is loaded by the first call.
 * @throws BackendError where no mode works, with the reason for each.
 * @example setBackend(await createGpuBackend())
 */
export async function createGpuBackend(options: GpuBackendOptions = {}): Promise<GpuBackend> {
  const { prefer, allowSoftware, maxBytes } = checked(options)
  const reasons: string[] = []
  for (const mode of prefer)
    try {
      return backendOn(await OPENERS[mode]({ allowSoftware, mostBytes: maxBytes }))
    } catch (error) {
      reasons.push(`${mode}: ${error instanceof Error ? error.message : String(error)}`)
    }
  throw new BackendError(`createGpuBackend: no GPU can be used: ${reasons.join('; ')}`, {
    op: 'createGpuBackend',
  })
}

function checked(options: unknown): Required<GpuBackendOptions> {
  const op = 'createGpuBackend'
  if (typeof options !== 'object' || options === null)
    throw new ValueError(`${op}: the options must be an object, got ${show(options)}`, { op })
  const names = ['prefer', 'allowSoftware', 'maxBytes']
  const unknown = Object.keys(options).find((key) => !names.includes(key))
  if (unknown !== undefined)
    throw new ValueError(`${op}: unknown option ${show(unknown)}.${didYouMean(unknown, names)}`, { op })
  const { prefer = MODES, allowSoftware = false, maxBytes = 2 ** 31 } = options as GpuBackendOptions
  if (!Array.isArray(prefer) || prefer.length === 0)
    throw new ValueError(`${op}: prefer must be a list of modes, got ${show(prefer)}`, { op })
  for (const mode of prefer as readonly unknown[])
    if (!(MODES as readonly unknown[]).includes(mode))
      throw new ValueError(
        `${op}: prefer: ${show(mode)} is no GPU mode; there are ${MODES.join(', ')}.${didYouMean(mode, MODES)}`,
        { op },
      )
  if (typeof allowSoftware !== 'boolean')
    throw new ValueError(`${op}: allowSoftware must be true or false, got ${show(allowSoftware)}`, { op })
  if (typeof maxBytes !== 'number' || !(maxBytes > 0))
    throw new ValueError(`${op}: maxBytes must be a number above 0, got ${show(maxBytes)}`, { op })
  return { prefer: prefer as readonly GpuMode[], allowSoftware, maxBytes }
}
