import { LimitError } from '../errors.js'
import { encodeModule, type ModuleSource } from './encoder.js'

// WebAssembly is a global of browsers and Node that neither's types need to be loaded for.

/** A compiled kernel: numbers in, numbers out. */
export type Compiled = (...args: number[]) => number

export interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** Compiled code, which may be sent to other threads. */
export type CompiledModule = object

interface Host {
  Module: new (bytes: Uint8Array) => CompiledModule
  Instance: new (
    module: CompiledModule,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, unknown>> }
  Memory: new (limits: { initial: number; maximum?: number; shared?: boolean }) => Memory
  validate(bytes: Uint8Array): boolean
}

const host = (globalThis as { readonly WebAssembly?: Host }).WebAssembly

/** Whether this engine runs WebAssembly with vectors, and is allowed to. */
export function hasWebAssembly(): boolean {
  if (host === undefined) return false
  try {
    // One function with a vector in it.
    const bytes = encodeModule({
      functions: [{ name: 'probe', params: [], results: [], locals: ['v128'], body: [] }],
    })
    if (!host.validate(bytes)) return false
    new host.Module(bytes)
    return true
  } catch {
    // A content security policy without 'wasm-unsafe-eval'.
    return false
  }
}

/** Which relaxed vector instructions may be used, and how well. */
export interface Relaxed {
  /** Whether there is multiplication and addition in one instruction. */
  readonly madd: boolean
  /**
   * Whether the engine's compiler keeps twelve sums and what is multiplied in registers. No feature says so; those that
   * do (V8 from 13, Firefox) got 64-bit memories at about that time.
   */
  readonly keepsMore: boolean
}

let known: Relaxed | undefined

export function relaxed(): Relaxed {
  return (known ??= {
    madd: isValid(
      encodeModule({
        functions: [
          {
            name: 'probe',
            params: ['v128'],
            results: ['v128'],
            locals: [],
            // The parameter three times, f32x4.relaxed_madd.
            body: [0x20, 0, 0x20, 0, 0x20, 0, 0xfd, 0x85, 0x02],
          },
        ],
      }),
    ),
    // A module that has nothing but such a memory.
    keepsMore: isValid(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1])),
  })
}

function isValid(bytes: Uint8Array): boolean {
  return host?.validate(bytes) === true
}

export function createMemory(pages: number): Memory {
  return new host!.Memory({ initial: pages })
}

/** How many pages a shared memory may have at most, from what most engines grant to what small devices do. */
const MOST_PAGES = [65_536, 16_384, 4096]

/** A memory that other threads can work on; undefined where the surroundings have none. */
export function createSharedMemory(pages: number): Memory | undefined {
  for (const maximum of canShareMemory() ? MOST_PAGES : [])
    try {
      return new host!.Memory({ initial: pages, maximum, shared: true })
    } catch {
      // Not so much of it.
    }
  return undefined
}

/** Node always can; browsers can for pages that are isolated from other origins. */
function canShareMemory(): boolean {
  const { process, crossOriginIsolated } = globalThis as {
    readonly process?: { readonly versions?: { readonly node?: string } }
    readonly crossOriginIsolated?: boolean
  }
  return (
    typeof SharedArrayBuffer === 'function' &&
    (crossOriginIsolated === true || process?.versions?.node !== undefined)
  )
}

/** @throws LimitError where there is no more memory to be had. */
export function grow(memory: Memory, pages: number): void {
  try {
    memory.grow(pages)
  } catch {
    throw new LimitError(
      `kernels need ${((pages * 65_536) / 1e6).toFixed(0)} MB beside the ${(memory.buffer.byteLength / 1e6).toFixed(0)} MB they ` +
        'have, which is more than WebAssembly can get here; compute with smaller tensors, or in parts',
    )
  }
}

export function buildModule(source: ModuleSource): CompiledModule {
  return new host!.Module(encodeModule(source))
}

/** The functions of a module's source, run over `memory`. */
export function compileModule(source: ModuleSource, memory: Memory): Readonly<Record<string, Compiled>> {
  return instantiate(buildModule(source), memory)
}

/** The functions of a module, run over `memory`. */
export function instantiate(
  module: CompiledModule,
  memory: Memory,
  imports: Readonly<Record<string, (...args: number[]) => void>> = {},
): Readonly<Record<string, Compiled>> {
  return new host!.Instance(module, { env: { memory, ...imports } }).exports as Readonly<
    Record<string, Compiled>
  >
}

const { Buffer } = globalThis as {
  readonly Buffer?: { readonly allocUnsafeSlow?: (bytes: number) => { readonly buffer: ArrayBuffer } }
}

/** Bytes of which each is going to be written. Node leaves out filling them with zeros, which would take as long again. */
export function unwritten(bytes: number): ArrayBuffer {
  return Buffer?.allocUnsafeSlow?.(bytes).buffer ?? new ArrayBuffer(bytes)
}

/** So many bytes aligned for vectors, which may read and write beyond the end, by three elements at most. */
export function padded(bytes: number): number {
  return (bytes + 24 + 15) & ~15
}
