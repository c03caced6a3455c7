import { BackendError } from '@adjoint/core'

/** Numbers on the device: flat, in float32, never changed once written. */
export interface Storage {
  readonly length: number
}

/** A kernel as text: the body of a function of these arguments that returns one value (or four) of the output. */
export interface Source {
  readonly args: readonly (readonly [name: string, type: ArgumentType])[]
  readonly body: string
  /** How many neighbouring values one run of the body returns, as a list where more than one. */
  readonly width?: number
  /** The same kernel in WGSL, from its entry point on, where a thread writes more than gpu.js lets it return. */
  readonly wgsl?: string
  /** Which arrays that reads by four values at once; true for all. */
  readonly readsVectors?: boolean | readonly string[]
  /** Whether it writes four values at once. */
  readonly writesVectors?: boolean
  /** How many values its arrays hold at least, in the arguments' order, the result last: positions are checked faster then. */
  readonly lengths?: readonly number[]
  /**
   * The same in GLSL of WebGL 2, as statements that set `four0` to `four3` to four texels of four outputs, from the
   * position `index` on.
   */
  readonly glsl?: string
  /** Numbers of its body that are for outputs of their own, where several are written at once. */
  readonly also?: readonly string[]
}

/** `vectors` is an array of which each element is four values; whole numbers are exact to 32 bits. */
export type ArgumentType = 'array' | 'vectors' | 'number' | 'integer'

/** A kernel made ready by one device. */
export interface Program {
  readonly source: Source
}

/** The way a GPU is reached. `headlessgl` is WebGL 1 without a window, in Node. */
export type GpuMode = 'webgpu' | 'webgl2' | 'headlessgl'

export interface GpuInfo {
  readonly mode: GpuMode
  /** The adapter as its driver names it. */
  readonly adapter: string
  readonly driver: string
  /** Whether the adapter computes on the CPU. */
  readonly isSoftware: boolean
}

/** What is thrown where a device has gone. */
export function lostDevice(mode: GpuMode, reason: string): BackendError {
  return new BackendError(
    `the ${mode} device was lost${reason === '' ? '' : ` (${reason})`}: make another backend with createGpuBackend, or ` +
      'use the CPU. Weights are there as the host last knew them, other values on the device are not',
  )
}

/** A part of a storage, from `at` on. */
export interface Into {
  readonly storage: Storage
  readonly at: number
}

/** How parts of storages lie. */
export interface Parts {
  /** Where one of so many values may begin, at `at` or later. */
  next(at: number, length: number): number
  /** A storage for such parts. */
  allocate(length: number): Storage
}

/** Programs kept at most: drivers slow down with thousands. The least recently used goes. */
export const MOST_PROGRAMS = 1000

/** Where kernels run. Everything happens in the order in which it is asked for. */
export interface Device {
  readonly info: GpuInfo
  /** Whether values lie by fours, so that kernels may read any array as vectors. */
  readonly packs: boolean
  /** Most arrays that one kernel may read. */
  readonly mostArrays: number
  /** The program for `key`, made of `source` when it is first needed. */
  program(key: string, source: () => Source): Program
  upload(values: Float32Array): Storage
  /**
   * Starts a program that computes `length` values. Arguments stand in the order of its source; `threads` is how many
   * of its WGSL run. What is written `into` another storage is a part of that, and is not given back by itself.
   */
  run(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
    threads?: number,
    into?: Into,
  ): Storage
  /** Where programs can write into others' storages: how parts lie in storages of up to about so many values. */
  readonly partsOf?: (length: number) => Parts
  /** Whether programs' WGSL is run; false once one was not taken. */
  readonly takesWgsl?: boolean
  /** How many values a storage of so many has room for: WGSL may write what it likes behind its own. */
  roomOf?(length: number): number
  /** Starts a program's GLSL, which computes `length` values of each of four outputs; undefined where it is not taken. */
  runFour?(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
  ): readonly [Storage, Storage, Storage, Storage] | undefined
  /** Starts a program for what it returns and what it is asked for also, each into its own part; false where it is not taken. */
  runTogether?(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
    into: readonly Into[],
  ): boolean
  read(storage: Storage): Promise<Float32Array>
  readSync?(storage: Storage): Float32Array
  /** Whether it is gone, and everything on it. */
  readonly isLost: boolean
  /** Called where memory is short, to give back what can be missed. */
  onShortage: () => void
  /** Gives memory back. What was started before still reads it. */
  free(storage: Storage): void
  /** How many storages are held, and their bytes. */
  readonly held: { readonly buffers: number; readonly bytes: number }
}
