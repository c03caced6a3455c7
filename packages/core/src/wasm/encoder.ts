// The binary format of WebAssembly, as much of it as kernels need (https://webassembly.github.io/spec/core/binary).

/** The types that kernels' parameters and locals have. */
export type ValueType = 'i32' | 'f32' | 'f64' | 'v128'

const TYPE_CODES: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b }

/** A function to be written into a module. */
export interface FunctionSource {
  readonly name: string
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
  /** Of the locals after the parameters. */
  readonly locals: readonly ValueType[]
  /** Instructions, without the closing `end`. */
  readonly body: readonly number[]
}

/** A function of the host that a module calls. Imports come first in the index space of functions. */
export interface ImportedFunction {
  readonly name: string
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

export interface ModuleSource {
  readonly imports?: readonly ImportedFunction[]
  readonly functions: readonly FunctionSource[]
  /** Whether the memory it imports is shared between threads. */
  readonly sharedMemory?: boolean
}

/** An unsigned number in LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = []
  pushUnsigned(bytes, value)
  return bytes
}

export function pushUnsigned(to: number[], value: number): void {
  while (value >= 128) {
    to.push((value % 128) | 128)
    value = Math.floor(value / 128)
  }
  to.push(value)
}

/** Appends a signed 32-bit number in LEB128. */
export function pushSigned(to: number[], value: number): void {
  while (value < -64 || value > 63) {
    to.push((value & 127) | 128)
    value >>= 7
  }
  to.push(value & 127)
}

/** The eight bytes of a float64, least significant first. */
export function float64Bytes(value: number): number[] {
  return [...new Uint8Array(Float64Array.of(value).buffer)]
}

export function float32Bytes(value: number): number[] {
  return [...new Uint8Array(Float32Array.of(value).buffer)]
}

function text(value: string): number[] {
  const bytes = Array.from(value, (c) => c.charCodeAt(0))
  return [...unsigned(bytes.length), ...bytes]
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

export function append(to: number[], bytes: readonly number[]): void {
  for (const byte of bytes) to.push(byte)
}

function section(id: number, bytes: readonly number[]): number[] {
  return [id, ...unsigned(bytes.length), ...bytes]
}

function signature(params: readonly ValueType[], results: readonly ValueType[]): number[] {
  const types = (all: readonly ValueType[]): number[] => [
    ...unsigned(all.length),
    ...all.map((type) => TYPE_CODES[type]),
  ]
  return [0x60, ...types(params), ...types(results)]
}

/** What comes before a function's instructions: how long it is, and its locals. */
function headOf({ locals, body }: FunctionSource): number[] {
  const runs: number[] = []
  let count = 0
  for (let i = 0; i < locals.length; count++) {
    let end = i
    while (end < locals.length && locals[end] === locals[i]) end++
    pushUnsigned(runs, end - i)
    runs.push(TYPE_CODES[locals[i]!])
    i = end
  }
  const declared = unsigned(count)
  append(declared, runs)
  const head = unsigned(declared.length + body.length + 1)
  append(head, declared)
  return head
}

/** The bytes of a module that imports `memory` and its host functions from "env" and exports each of its functions. */
export function encodeModule({ imports = [], functions, sharedMemory = false }: ModuleSource): Uint8Array {
  const signatures: number[][] = []
  const seen = new Map<string, number>()
  const typeOf = (f: { params: readonly ValueType[]; results: readonly ValueType[] }): number[] => {
    const key = `${f.params.join()}>${f.results.join()}`
    let index = seen.get(key)
    if (index === undefined) {
      index = signatures.push(signature(f.params, f.results)) - 1
      seen.set(key, index)
    }
    return unsigned(index)
  }
  const importEntries = [
    // At least one page; a shared memory also has to say how large it may grow.
    [...text('env'), ...text('memory'), 0x02, ...(sharedMemory ? [0x03, 1, ...unsigned(65_536)] : [0x00, 1])],
    ...imports.map((f) => [...text('env'), ...text(f.name), 0x00, ...typeOf(f)]),
  ]
  const functionTypes = functions.map(typeOf)
  const exports = functions.map((f, i) => [...text(f.name), 0x00, ...unsigned(imports.length + i)])
  const bytes: number[] = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  append(bytes, section(1, list(signatures)))
  append(bytes, section(2, list(importEntries)))
  append(bytes, section(3, list(functionTypes)))
  append(bytes, section(7, list(exports)))
  const heads = functions.map(headOf)
  const size = unsigned(functions.length)
  const sizeOfCode = functions.reduce((n, { body }, i) => n + heads[i]!.length + body.length + 1, size.length)
  bytes.push(10)
  pushUnsigned(bytes, sizeOfCode)
  const module = new Uint8Array(bytes.length + sizeOfCode)
  module.set(bytes)
  module.set(size, bytes.length)
  let at = bytes.length + size.length
  functions.forEach(({ body }, i) => {
    module.set(heads[i]!, at)
    module.set(body, (at += heads[i]!.length))
    at += body.length
    module[at++] = 0x0b
  })
  return module
}
