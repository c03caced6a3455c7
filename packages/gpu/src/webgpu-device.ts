import { BackendError, LimitError } from '@adjoint/core'
import {
  type Device,
  type GpuInfo,
  type Into,
  type Parts,
  lostDevice,
  type Program,
  type Source,
  type Storage,
} from './device.js'
import { functionsIn } from './functions.js'
import type {
  GpuBuffer,
  GpuDevice,
  GpuEncoder,
  GpuInstance,
  GpuPass,
  KernelInstance,
  WebGpuContext,
} from './gpujs.js'
import { SETTINGS, textOf } from './text.js'

// WebGPU's own numbers, of GPUBufferUsage and GPUMapMode.
const MAP_READ = 1
const COPY_SRC = 4
const COPY_DST = 8
const UNIFORM = 64
const STORAGE = 128
const FOR_READING = 1

/** Scalars of a run, and parts of a storage, begin at multiples of this; so many bytes of them go to the driver at once. */
const ALIGNMENT = 256
const MOST_SCALARS = 2 ** 16

const LOSS_TOLD_WITHIN_MS = 100

const host = globalThis as unknown as { setTimeout(f: () => void, ms: number): unknown }

/** Memory of the device, which one tensor has after the other. */
interface Slot {
  readonly buffer: GpuBuffer
  /** The batch of runs that last used it. */
  batch: number
}

interface Buffer extends Storage {
  readonly slot: Slot
  readonly bytes: number
  /** What went wrong while it was computed. */
  error?: Error
  /** What it is a part of, and from which byte on. */
  readonly whole?: Buffer
  readonly offset?: number
}

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
  #freeBytes = 0
  #buffers = 0
  #bytes = 0
  readonly #mostBytes: number
  #lost: string | undefined
  onShortage: () => void = () => undefined

  // The batch: runs that were added and not yet handed to the driver, with their scalars.
  #encoder: GpuEncoder | undefined
  #pass: GpuPass | undefined
  #batch = 1
  #scalarBytes = 0
  readonly #scalarBuffer: GpuBuffer
  readonly #words = new Uint32Array(MOST_SCALARS / 4)
  readonly #integers = new Int32Array(this.#words.buffer)
  readonly #floats = new Float32Array(this.#words.buffer)

  constructor(gpu: GpuInstance, context: WebGpuContext, info: GpuInfo, mostBytes: number) {
    this.#gpu = gpu
    this.#context = context
    this.info = info
    this.#mostBytes = mostBytes
    // One is taken by the output.
    this.mostArrays = Math.min(context.device.limits.maxStorageBuffersPerShaderStage, 8) - 1
    this.#scalarBuffer = context.device.createBuffer({ size: MOST_SCALARS, usage: UNIFORM | COPY_DST })
    void context.device.lost.then(({ message }) => {
      this.#lost = message
    })
  }

  get #device(): GpuDevice {
    return this.#context.device
  }

  get held(): { buffers: number; bytes: number } {
    return { buffers: this.#buffers, bytes: this.#bytes }
  }

  // ---- programs

  program(key: string, source: () => Source): Program {
    const known = this.#programs.get(key)
    if (known !== undefined) return known
    const made = this.#build(source())
    this.#programs.set(key, made)
    return made
  }

  #build(source: Source): Built {
    const isOwn = source.wgsl !== undefined
    const kernel = this.#translate(source, isOwn)
    const { wgsl } = source
    const args = source.args.map(() => 0)
    const done = (): void => {
      built.isReady = true
    }
    const failed = (error: unknown): void => {
      built.error = asError(error)
    }
    // What gpu.js makes of the body does the same, where it or the driver does not take our WGSL.
    const fallBack = (): Promise<void> => {
      built.isOwn = false
      built.kernel = this.#translate(source, false)
      return built.kernel.build(...args)!.then(done, failed)
    }
    const ready = kernel.build(...args)!.then(
      () => (wgsl !== undefined && kernel.compiledSource?.includes(wgsl) !== true ? fallBack() : done()),
      (error: unknown) => (isOwn ? fallBack() : failed(error)),
    )
    const built: Built = { source, kernel, isOwn, width: source.width ?? 1, ready, isReady: false }
    return built
  }

  #translate(source: Source, isOwn: boolean): KernelInstance {
    const text = textOf(source)
    const { kernel } = this.#gpu.createKernel(text, {
      ...SETTINGS,
      functions: functionsIn(text),
      argumentTypes: source.args.map(([, type]) => ARGUMENT_TYPES[type]),
      dynamicOutput: true,
      output: [1],
    })
    if (!isOwn) return kernel
    const assemble = kernel.assembleWGSL.bind(kernel)
    kernel.assembleWGSL = () => {
      const whole = assemble()
      const begun = whole.slice(0, whole.lastIndexOf('@compute'))
      const read = byVectors(begun, source.readsVectors ?? false)
      const written = read.replace(/(var<storage, read_write> result : )array<f32>/, '$1array<vec4<f32>>')
      return (source.writesVectors === true ? written : read) + source.wgsl!
    }
    return kernel
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
      if (made.slot.batch === this.#batch) this.#flush()
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
    const { arrayArgs, scalarArgs, byteLength } = kernel.paramsLayout
    if (this.#scalarBytes + byteLength > MOST_SCALARS) this.#flush()
    const offset = this.#scalarBytes
    this.#scalarBytes += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT
    const threads = [isOwn ? ownThreads! : out.length / width, 1, 1]
    kernel.output = [threads[0]!]
    const { groups, dispatchWidth } = kernel._computeDispatch(threads)
    this.#words.set([...threads, dispatchWidth], offset / 4)
    const entries = [{ binding: 0, resource: { buffer: this.#scalarBuffer, offset, size: byteLength } }]
    const bind = (buffer: Buffer): void => {
      buffer.slot.batch = this.#batch
      entries.push({
        binding: entries.length,
        // All that it has room for, or up to the end of the last four values: kernels may go on so far.
        resource: {
          buffer: buffer.slot.buffer,
          offset: buffer.offset ?? 0,
          size: buffer.whole === undefined ? buffer.bytes : Math.ceil(buffer.length / 4) * 16,
        },
      })
    }
    for (const { index, dimsOffset } of arrayArgs) {
      const given = args[index] as Buffer
      bind(given)
      this.#words.set([given.length, 1, 1, given.length], (offset + dimsOffset) / 4)
    }
    for (const { index, offset: at, type } of scalarArgs) {
      if (type === 'Integer') this.#integers[(offset + at) / 4] = args[index] as number
      else this.#floats[(offset + at) / 4] = args[index] as number
    }
    bind(out)
    const pass = this.#openPass()
    pass.setPipeline(kernel.computePipeline)
    pass.setBindGroup(0, this.#device.createBindGroup({ layout: kernel.bindGroupLayout, entries }))
    pass.dispatchWorkgroups(groups[0]!, groups[1]!, groups[2]!)
  }

  #openPass(): GpuPass {
    if (this.#pass !== undefined) return this.#pass
    this.#encoder = this.#device.createCommandEncoder()
    this.#pass = this.#encoder.beginComputePass()
    // What a piece of synchronous code starts goes to the driver together, when it ends.
    void Promise.resolve().then(() => {
      this.#flush()
    })
    return this.#pass
  }

  /** Hands the batch to the driver. */
  #flush(): void {
    if (this.#pass === undefined) return
    this.#pass.end()
    this.#device.queue.writeBuffer(this.#scalarBuffer, 0, this.#words, 0, this.#scalarBytes / 4)
    this.#device.queue.submit([this.#encoder!.finish()])
    this.#pass = undefined
    this.#encoder = undefined
    this.#scalarBytes = 0
    this.#batch++
  }

  async read(storage: Storage): Promise<Float32Array> {
    const { slot, length, offset } = storage as Buffer
    const size = length * 4
    const staging = this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST })
    this.#enqueue(() => {
      this.#flush()
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
      this.#flush()
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

/** A shader's beginning in which arrays are read by four values, without gpu.js' functions that read one. */
function byVectors(begun: string, arrays: boolean | readonly string[]): string {
  const isOne = (name: string): boolean => (typeof arrays === 'boolean' ? arrays : arrays.includes(name))
  return begun
    .replace(/(var<storage, read> user_(\w+) : )array<f32>/g, (text, declared: string, name: string) =>
      isOne(name) ? `${declared}array<vec4<f32>>` : text,
    )
    .replace(/fn get_user_(\w+)\([^)]*\) -> f32 \{[^}]*\}/g, (text, name: string) =>
      isOne(name) ? '' : text,
    )
}

const ARGUMENT_TYPES = { array: 'Array', vectors: 'Array', number: 'Number', integer: 'Integer' } as const

/** To one of few sizes, so that buffers are used again. */
function roundedUp(bytes: number): number {
  if (bytes <= 256) return 256
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 2)
  return Math.ceil(bytes / step) * step
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
