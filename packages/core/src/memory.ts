import { planMemory, reservedBytes } from './plan/heap.js'
import { memory as eagerMemory } from './wasm/memory.js'

/** What {@link memory} tells, in bytes. */
export interface MemoryInfo {
  /**
   * The memory of WebAssembly for ops outside of plans: a ring that values pass through, and room for what one kernel
   * works on, the most so far. It never shrinks.
   */
  readonly eager: number
  readonly plans: {
    /** The memory of WebAssembly for compiled functions. It never shrinks; what is given back in it is used again. */
    readonly bytes: number
    /** Of it, what plans and the variables they work on hold now. The garbage collector gives it back. */
    readonly held: number
  }
}

/**
 * The memory of WebAssembly that this library has. Values that live longer are ordinary arrays, which the engine's own
 * tools count (`process.memoryUsage().arrayBuffers` in Node). Where WebAssembly is refused, all are 0.
 * @example memory().plans.held
 */
export function memory(): MemoryInfo {
  const plans = planMemory.buffer.byteLength
  return {
    eager: eagerMemory.buffer.byteLength,
    plans: { bytes: plans, held: plans === 0 ? 0 : reservedBytes() },
  }
}
