import type { Aval } from '@adjoint/core/extend'
import type { ArgumentType, Device, Source, Storage } from '../device.js'

/** An input on the device, or a single value that the host knows. */
export interface Operand extends Aval {
  readonly storage: Storage | number
  /** From where on it lies there, for kernels that say so: a multiple of four. */
  readonly at?: number
  /** Its values, where the host has them and a kernel is faster for knowing them. */
  readonly host?: ArrayLike<number>
}

/** An argument of a kernel: its name, its type, its value. */
export type Argument = readonly [name: string, type: ArgumentType, value: Storage | number]

export const array = (name: string, value: Storage): Argument => [name, 'array', value]
/** An array of which each element is four values. */
export const vectors = (name: string, value: Storage): Argument => [name, 'vectors', value]
export const number = (name: string, value: number): Argument => [name, 'number', value]
export const integer = (name: string, value: number): Argument => [name, 'integer', value]
export const integers = (name: string, values: readonly number[]): Argument[] =>
  values.map((value, i) => integer(`${name}${i}`, value))

/** Runs the kernel named by `key`, written by `body` when it is new, on `args`. */
export function launch(
  device: Device,
  key: string,
  args: readonly Argument[],
  length: number,
  body: () => string,
): Storage {
  return launchWide(device, key, args, length, 1, body)
}

/** WGSL of a kernel's own, which so many threads run. */
interface OwnText {
  readonly threads: number
  readonly wgsl: () => string
  /** Which arrays it reads by four values at once, and whether it writes so. */
  readonly readsFours?: readonly string[]
  readonly writesFours?: boolean
}

/** The same of a kernel that returns `width` values, or that has WGSL of its own. */
export function launchWide(
  device: Device,
  key: string,
  args: readonly Argument[],
  length: number,
  width: number,
  body: () => string,
  own?: OwnText,
): Storage {
  const program = device.program(`${key}|${args.map(([name]) => name).join()}`, (): Source => ({
    args: args.map(([name, type]) => [name, type]),
    body: body(),
    width,
    ...(own !== undefined && { wgsl: own.wgsl() }),
    ...(own?.readsFours !== undefined && { readsVectors: own.readsFours }),
    ...(own?.writesFours !== undefined && { writesVectors: own.writesFours }),
  }))
  return device.run(
    program,
    args.map(([, , value]) => value),
    length,
    own?.threads,
  )
}

/** What `work` gives. What else it kept on the way is freed after it, also where it fails. */
export function inSteps(device: Device, work: (keep: (storage: Storage) => Storage) => Storage): Storage {
  const made: Storage[] = []
  let result: Storage | undefined
  try {
    result = work((storage) => {
      made.push(storage)
      return storage
    })
    return result
  } finally {
    for (const storage of made) if (storage !== result) device.free(storage)
  }
}
