import { BackendError, LimitError } from '@adjoint/core'
import {
  type Device,
  type GpuInfo,
  type Into,
  type Parts,
  lostDevice,
  MOST_PROGRAMS,
  type Program,
  type Source,
  type Storage,
} from './device.js'
import { functionsIn } from './functions.js'
import {
  type GpuDevice,
  type GpuInstance,
  type KernelInstance,
  kernelOf,
  type WebGpuContext,
} from './gpujs.js'
import { SETTINGS, textOf } from './text.js'
import { ownTextOf } from './webgpu-text.js'
import { ALIGNMENT, Batch, type Buffer, type Slot } from './webgpu-batch.js'

// WebGPU's own numbers, of GPUBufferUsage and GPUMapMode.
const MAP_READ = 1
const COPY_SRC = 4
const COPY_DST = 8
const STORAGE = 128
const FOR_READING = 1

const LOSS_TOLD_WITHIN_MS = 100

const host = globalThis as unknown as { setTimeout(f: () => void, ms: number): unknown }

interface Built extends Program {
  kernel: KernelInstance
  /** Whether the kernel is the source's WGSL. */
  isOwn: boolean
  readonly width: number
  /** Unfinished until the driver has compiled it. */
  readonly ready: Promise<unknown>
  isReady: boolean
  /** Why it cannot be run. */
  error?: Error
}

/**
 * WebGPU through gpu.js. Kernels are compiled asynchronously, and everything else waits its turn in one queue until
 * they are; later runs go to the driver at once. Buffers are used again: the driver keeps the order.
 */
export class WebGpuDevice implements Device {
  readonly info: GpuInfo
  readonly mostArrays: number
  readonly packs = false
  readonly #gpu: GpuInstance
  readonly #context: WebGpuContext
  readonly #programs = new Map<string, Built>()
  readonly #waiting: (() => void | Promise<unknown>)[] = []
  #draining: Promise<void> | undefined
  readonly #free = new Map<number, Slot[]>()
  #slots = 0
  #freeBytes = 0
  #buffers = 0
  #bytes = 0
  readonly #mostBytes: number
  #lost: string | undefined
  onShortage: () => void = () => undefined

  readonly #batch: Batch
  #takesWgsl = true

  constructor(gpu: GpuInstance, context: WebGpuContext, info: GpuInfo, mostBytes: number) {
    this.#gpu = gpu
    this.#context = context
    this.info = info
    this.#mostBytes = mostBytes
    // One is taken by the output.
    this.mostArrays = Math.min(context.device.limits.maxStorageBuffersPerShaderStage, 8) - 1
    this.#batch = new Batch(context.device)
    void context.device.lost.then(({ message }) => {
      this.#lost = message
    })
  }

  get #device(): GpuDevice {
    return this.#context.device
  }

  get takesWgsl(): boolean {
    return this.#takesWgsl
  }

  get held(): { buffers: number; bytes: number } {
    return { buffers: this.#buffers, bytes: this.#bytes }
  }

  // ---- programs

  program(key: string, source: () => Source): Program {
    const built = this.#programs.get(key) ?? this.#build(source())
    // The one that was used last stands last; the first is forgotten, and compiled again where it is run again.
    if (!this.#programs.delete(key) && this.#programs.size >= MOST_PROGRAMS)
      this.#programs.delete(this.#programs.keys().next().value!)
    this.#programs.set(key, built)
    return built
  }

  #build(source: Source): Built {
    const { kernel, isTaken } = this.#translate(source, true)
    const args = source.args.map(() => 0)
    const done = (): void => {
      built.isReady = true
    }
    const failed = (error: unknown): void => {
      built.error = asError(error)
    }
    // What gpu.js makes of the body does the same, where it or the driver does not take our WGSL.
    const fallBack = (): Promise<void> => {
      this.#takesWgsl = false
      built.isOwn = false
      built.kernel = this.#translate(source, false).kernel
      return built.kernel.build(...args)!.then(done, failed)
    }
    const ready = kernel.build(...args)!.then(
      () => (isTaken === undefined || isTaken() ? done() : fallBack()),
      (error: unknown) => (isTaken === undefined ? failed(error) : fallBack()),
    )
    const isOwn = source.wgsl !== undefined
    const built: Built = { source, kernel, isOwn, width: source.width ?? 1, ready, isReady: false }
    return built
  }

  /** A kernel of gpu.js, with texts of this package where there are any and they are wanted; then also whether they were taken. */
  #translate(
    source: Source,
    isOwn: boolean,
  ): { readonly kernel: KernelInstance; readonly isTaken?: () => boolean } {
    const text = textOf(source)
    const functions = functionsIn(text)
    const kernel = kernelOf(this.#gpu, text, {
      ...SETTINGS,
      functions,
      argumentTypes: source.args.map(([, type]) => ARGUMENT_TYPES[type]),
      dynamicOutput: true,
      output: [1],
    })
    const hasOwn = source.wgsl !== undefined || functions.some(({ wgsl }) => wgsl !== undefined)
    if (!isOwn || !hasOwn) return { kernel }
    const assemble = kernel.assembleWGSL.bind(kernel)
    let own: string | undefined
    kernel.assembleWGSL = () => (own = ownTextOf(assemble(), source, functions))
    return { kernel, isTaken: () => own !== undefined && kernel.compiledSource === own }
  }

  // ---- the queue

  /** Does `task` in its turn: at once where nothing waits and `isReady`. */
  #enqueue(task: () => void, ready: Promise<unknown> | undefined): void {
    if (this.#draining === undefined && ready === undefined) {
      task()
      return
    }
    if (ready !== undefined) this.#waiting.push(() => ready)
    this.#waiting.push(task)
    this.#draining ??= this.#drain()
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const pending = next()
      if (pending !== undefined) await pending
    }
    this.#draining = undefined
  }

  // ---- values

  upload(values: Float32Array): Storage {
    const made = this.#allocate(values.length)
    this.#enqueue(() => {
      // The buffer may have been another tensor's, which runs of the batch still read.
      if (made.slot.batch === this.#batch.number) this.#batch.flush()
      this.#device.queue.writeBuffer(made.slot.buffer, 0, values)
    }, undefined)
    return made
  }

  partsOf(): Parts {
    const apart = ALIGNMENT / 4
    return {
      next: (at) => Math.ceil(at / apart) * apart,
      allocate: (length) => this.#allocate(length),
    }
  }

  run(
    program: Program,
    args: readonly (Storage | number)[],
    length: number,
    threads?: number,
    into?: Into,
  ): Storage {
    const built = program as Built
    const out = into === undefined ? this.#allocate(length) : partOf(into, length)
    this.#enqueue(() => this.#dispatch(built, args, out, threads), built.isReady ? undefined : built.ready)
    return out
  }

  /** Adds a run to the batch. */
  #dispatch(
    { kernel, isOwn, width, error }: Built,
    args: readonly (Storage | number)[],
    out: Buffer,
    ownThreads: number | undefined,
  ): void {
    if (error !== undefined) out.error = error
    for (const arg of args)
      if (typeof arg !== 'number' && (arg as Buffer).error) out.error = (arg as Buffer).error!
    if (out.error !== undefined) {
      if (out.whole !== undefined) out.whole.error = out.error
      return
    }
    this.#batch.add(kernel, args, out, isOwn ? ownThreads! : out.length / width)
  }

  async read(storage: Storage): Promise<Float32Array> {
    const { slot, length, offset } = storage as Buffer
    const size = length * 4
    const staging = this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST })
    this.#enqueue(() => {
      this.#batch.flush()
      const encoder = this.#device.createCommandEncoder()
      encoder.copyBufferToBuffer(slot.buffer, offset ?? 0, staging, 0, size)
      this.#device.queue.submit([encoder.finish()])
    }, undefined)
    // What failed before the copy was made is known when the queue is empty.
    while (this.#draining !== undefined) await this.#draining
    try {
      const { error } = storage as Buffer
      if (error !== undefined) throw error
      await staging.mapAsync(FOR_READING)
      return new Float32Array(staging.getMappedRange(0, size).slice(0))
    } catch (error) {
      // The device tells of its loss, if that is what it is, after its calls have failed.
      await this.#anyLoss()
      this.#checkThere()
      throw new BackendError(`data: the ${this.info.mode} device failed: ${asError(error).message}`, {
        op: 'data',
        cause: error,
      })
    } finally {
      staging.destroy()
    }
  }

  get isLost(): boolean {
    return this.#lost !== undefined || this.#context.isLost
  }

  /** Waits a moment for the news that the device is lost. */
  async #anyLoss(): Promise<void> {
    const soon = new Promise<void>((resolve) => {
      host.setTimeout(resolve, LOSS_TOLD_WITHIN_MS)
    })
    await Promise.race([this.#device.lost, soon])
  }

  /** @throws BackendError where the device is lost. */
  #checkThere(): void {
    if (this.isLost) throw lostDevice(this.info.mode, this.#lost ?? '')
  }

  // ---- memory

  roomOf(length: number): number {
    return roundedUp(length * 4) / 4
  }

  #allocate(length: number): Buffer {
    this.#checkThere()
    const bytes = roundedUp(length * 4)
    const most = this.#device.limits.maxStorageBufferBindingSize
    if (bytes > most)
      throw new LimitError(`${length} values need ${bytes} bytes; this device allows ${most} for one tensor`)
    const kept = this.#free.get(bytes)?.pop()
    if (kept === undefined) this.#makeRoom(bytes)
    else this.#freeBytes -= bytes
    const slot = kept ?? {
      id: this.#slots++,
      buffer: this.#device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST }),
      batch: 0,
    }
    this.#buffers++
    this.#bytes += bytes
    return { length, slot, bytes }
  }

  #makeRoom(bytes: number): void {
    if (this.#bytes + this.#freeBytes + bytes <= this.#mostBytes) return
    if (this.#bytes + bytes > this.#mostBytes) this.onShortage()
    const slots = [...this.#free.values()].flat()
    // Runs that were asked for before may still use them.
    this.#enqueue(() => {
      this.#batch.flush()
      this.#batch.forget()
      for (const { buffer } of slots) buffer.destroy()
    }, undefined)
    this.#free.clear()
    this.#freeBytes = 0
    if (this.#bytes + bytes > this.#mostBytes)
      throw new LimitError(
        `${bytes} more bytes are over the GPU's budget of ${this.#mostBytes}, of which ${this.#bytes} are held by ` +
          `${this.#buffers} tensors; await now and then (memory is given back between tasks), put the steps of a loop ` +
          'into scope(() => …), or dispose() of tensors',
      )
  }

  free(storage: Storage): void {
    const { bytes, slot } = storage as Buffer
    this.#buffers--
    this.#bytes -= bytes
    const list = this.#free.get(bytes)
    if (list === undefined) this.#free.set(bytes, [slot])
    else list.push(slot)
    this.#freeBytes += bytes
  }
}

function partOf({ storage, at }: Into, length: number): Buffer {
  const whole = storage as Buffer
  return { length, slot: whole.slot, bytes: 0, whole, offset: at * 4 }
}

const ARGUMENT_TYPES = { array: 'Array', vectors: 'Array', number: 'Number', integer: 'Integer' } as const

/** To one of few sizes, so that buffers are used again; larger ones have room for whole groups of threads, four values each. */
function roundedUp(bytes: number): number {
  if (bytes <= 256) return 256
  const quarter = 2 ** (Math.floor(Math.log2(bytes)) - 2)
  const step = bytes > LEAST_ROOM ? Math.max(quarter, LEAST_ROOM) : quarter
  return Math.ceil(bytes / step) * step
}

const LEAST_ROOM = 1024

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
