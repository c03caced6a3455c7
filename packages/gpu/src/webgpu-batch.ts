import type { Storage } from './device.js'
import type { GpuBuffer, GpuDevice, GpuEncoder, GpuPass, KernelInstance } from './gpujs.js'

// WebGPU's own numbers, of GPUBufferUsage.
const COPY_DST = 8
const UNIFORM = 64

/** Scalars of a run, and parts of a storage, begin at multiples of this many bytes; so many of them are kept. */
export const ALIGNMENT = 256
const MOST_SCALARS = 2 ** 18

/** How many bindings are kept, and of how many runs of a kernel the scalars are looked through. */
const MOST_BINDINGS = 1024
const MOST_LOOKS = 16

/** Threads of a group of gpu.js' kernels, and of ours. */
const GROUP = 64

/** Memory of the device, which one tensor has after the other. */
export interface Slot {
  readonly id: number
  readonly buffer: GpuBuffer
  /** The batch of runs that last used it. */
  batch: number
}

export interface Buffer extends Storage {
  readonly slot: Slot
  readonly bytes: number
  /** What went wrong while it was computed. */
  error?: Error
  /** What it is a part of, and from which byte on. */
  readonly whole?: Buffer
  readonly offset?: number
}

/**
 * Runs that were added and not yet handed to the driver. What a run needs beside its kernel is kept, and used again by
 * runs of the same sizes and numbers on the same buffers, as the steps of a loop are: to make it takes longer than all else.
 */
export class Batch {
  readonly #device: GpuDevice
  readonly #mostGroups: number
  #encoder: GpuEncoder | undefined
  #pass: GpuPass | undefined
  #number = 1
  readonly #scalars: GpuBuffer
  readonly #words = new Uint32Array(MOST_SCALARS / 4)
  readonly #integers = new Int32Array(this.#words.buffer)
  readonly #floats = new Float32Array(this.#words.buffer)
  /** Up to which byte scalars have been handed to the driver, and up to which there are any. */
  #given = 0
  #end = 0
  /** Where the scalars of a kernel's runs lie. */
  readonly #known = new Map<KernelInstance, number[]>()
  readonly #bindings = new Map<string, object>()

  constructor(device: GpuDevice) {
    this.#device = device
    this.#mostGroups = device.limits.maxComputeWorkgroupsPerDimension
    this.#scalars = device.createBuffer({ size: MOST_SCALARS, usage: UNIFORM | COPY_DST })
  }

  /** The number of the batch that is being filled. */
  get number(): number {
    return this.#number
  }

  /** Adds a run of so many threads. */
  add(kernel: KernelInstance, args: readonly (Storage | number)[], out: Buffer, threads: number): void {
    const groups = Math.ceil(threads / GROUP)
    const rows = Math.ceil(groups / this.#mostGroups)
    const inRow = Math.ceil(groups / rows)
    const offset = this.#scalarsOf(kernel, args, threads, inRow * GROUP)
    const pass = this.#openPass()
    pass.setPipeline(kernel.computePipeline)
    pass.setBindGroup(0, this.#bindingOf(kernel, args, out, offset))
    pass.dispatchWorkgroups(inRow, rows, 1)
  }

  /** Where the scalars of a run lie. */
  #scalarsOf(
    kernel: KernelInstance,
    args: readonly (Storage | number)[],
    threads: number,
    width: number,
  ): number {
    const { arrayArgs, scalarArgs, byteLength } = kernel.paramsLayout
    if (this.#end + byteLength > MOST_SCALARS) this.#startAgain()
    const offset = this.#end
    const words = this.#words
    const first = offset / 4
    words.fill(0, first, first + byteLength / 4)
    words[first] = threads
    words[first + 1] = words[first + 2] = 1
    words[first + 3] = width
    for (const { index, dimsOffset } of arrayArgs) {
      const at = (offset + dimsOffset) / 4
      words[at] = words[at + 3] = (args[index] as Storage).length
      words[at + 1] = words[at + 2] = 1
    }
    for (const { index, offset: within, type } of scalarArgs)
      (type === 'Integer' ? this.#integers : this.#floats)[(offset + within) / 4] = args[index] as number
    const known = this.#known.get(kernel)
    if (known === undefined) this.#known.set(kernel, [offset])
    else {
      for (let i = known.length - 1, last = Math.max(0, known.length - MOST_LOOKS); i >= last; i--)
        if (this.#areSame(known[i]!, offset, byteLength)) return known[i]!
      known.push(offset)
    }
    this.#end += Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT
    return offset
  }

  #areSame(offset: number, other: number, byteLength: number): boolean {
    const words = this.#words
    for (let i = 0; i < byteLength / 4; i++) if (words[offset / 4 + i] !== words[other / 4 + i]) return false
    return true
  }

  #bindingOf(
    kernel: KernelInstance,
    args: readonly (Storage | number)[],
    out: Buffer,
    offset: number,
  ): object {
    const { arrayArgs, byteLength } = kernel.paramsLayout
    const buffers = arrayArgs.map(({ index }) => args[index] as Buffer)
    buffers.push(out)
    let key = `${offset}`
    for (const { slot, length, offset: from } of buffers) {
      slot.batch = this.#number
      key += from === undefined ? ` ${slot.id}` : ` ${slot.id}+${from}:${length}`
    }
    const known = this.#bindings.get(key)
    if (known !== undefined) return known
    if (this.#bindings.size >= MOST_BINDINGS) this.#bindings.clear()
    const resources = buffers.map(({ slot, bytes, length, offset: from }) => ({
      buffer: slot.buffer,
      offset: from ?? 0,
      // All that it has room for, or up to the end of the last four values: kernels may go on so far.
      size: from === undefined ? bytes : Math.ceil(length / 4) * 16,
    }))
    const made = this.#device.createBindGroup({
      layout: kernel.bindGroupLayout,
      entries: [{ buffer: this.#scalars, offset, size: byteLength }, ...resources].map(
        (resource, binding) => ({ binding, resource }),
      ),
    })
    this.#bindings.set(key, made)
    return made
  }

  #openPass(): GpuPass {
    if (this.#pass !== undefined) return this.#pass
    this.#encoder = this.#device.createCommandEncoder()
    this.#pass = this.#encoder.beginComputePass()
    // What a piece of synchronous code starts goes to the driver together, when it ends.
    void Promise.resolve().then(() => {
      this.flush()
    })
    return this.#pass
  }

  /** Hands the batch to the driver. */
  flush(): void {
    if (this.#pass === undefined) return
    this.#pass.end()
    if (this.#end > this.#given) {
      const count = (this.#end - this.#given) / 4
      this.#device.queue.writeBuffer(this.#scalars, this.#given, this.#words, this.#given / 4, count)
      this.#given = this.#end
    }
    this.#device.queue.submit([this.#encoder!.finish()])
    this.#pass = undefined
    this.#encoder = undefined
    this.#number++
  }

  /** Forgets all scalars: the next ones stand in their place once the runs that read them are handed over. */
  #startAgain(): void {
    this.flush()
    this.#given = this.#end = 0
    this.#known.clear()
    this.forget()
  }

  /** Forgets what buffers were bound. */
  forget(): void {
    this.#bindings.clear()
  }
}
