// What is known of the program's surroundings. There may be none: browsers have no process, workers no terminal.

export { now, warn } from '@adjoint/core/extend'

interface Process {
  readonly stdout?: {
    readonly isTTY?: boolean
    readonly columns?: number
    write?(text: string): unknown
  }
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly pid?: number
  getBuiltinModule?(name: string): unknown
}

interface Console {
  log(...values: unknown[]): void
}

interface Surroundings {
  readonly process?: Process
  readonly console?: Console
  readonly setTimeout?: (f: () => void, ms: number) => unknown
  readonly setImmediate?: (f: () => void) => unknown
  readonly TextEncoder?: new () => { encode(text: string): Uint8Array }
  readonly TextDecoder?: new (
    label: string,
    options: { readonly fatal: boolean; readonly ignoreBOM: boolean },
  ) => { decode(bytes: Uint8Array): string }
  readonly fetch?: (url: string) => Promise<Response>
  readonly indexedDB?: IndexedDB
}

/** What is used of an answer from the network. */
interface Response {
  readonly ok: boolean
  readonly status: number
  readonly body?: {
    getReader(): {
      read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
      cancel(): Promise<void>
    }
  } | null
  arrayBuffer(): Promise<ArrayBuffer>
}

/** What is used of Node's `fs/promises`. */
export interface Files {
  readFile(path: string): Promise<Uint8Array>
  stat(path: string): Promise<FileInfo>
  /** As stat, of a link itself. */
  lstat(path: string): Promise<FileInfo>
  open(path: string, flags: string): Promise<OpenFile>
  mkdir(path: string): Promise<unknown>
  rmdir(path: string): Promise<void>
  readdir(path: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  mkdir(path: string, options: { readonly recursive: true }): Promise<unknown>
  appendFile(path: string, data: string | Uint8Array): Promise<void>
  truncate(path: string, length: number): Promise<void>
}
export interface FileInfo {
  readonly size: number
  /** Which file it is, on which device, and under how many names. */
  readonly ino: number
  readonly dev: number
  readonly nlink: number
  readonly mtimeMs: number
  isFile(): boolean
  isDirectory(): boolean
}
export interface OpenFile {
  stat(): Promise<FileInfo>
  readFile(): Promise<Uint8Array>
  writeFile(bytes: Uint8Array): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** What is used of a browser's storage for large values. */
export interface IndexedDB {
  open(name: string, version: number): Request<Database> & { onupgradeneeded: (() => void) | null }
}
export interface Request<R> {
  readonly result: R
  readonly error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}
export interface Database {
  createObjectStore(name: string): unknown
  transaction(store: string, mode: 'readonly' | 'readwrite'): Transaction
  close(): void
}
interface Transaction {
  readonly error: unknown
  oncomplete: (() => void) | null
  onabort: (() => void) | null
  objectStore(name: string): {
    get(key: string): Request<unknown>
    put(value: unknown, key: string): Request<unknown>
  }
}

const surroundings = globalThis as unknown as Surroundings

/** The terminal that output goes to, or what stands for one. */
export function terminal(): { readonly isTTY: boolean; readonly columns: number } {
  const stdout = surroundings.process?.stdout
  const fromEnv = Number(surroundings.process?.env?.['COLUMNS'])
  return {
    isTTY: stdout?.isTTY === true,
    columns: Number.isInteger(fromEnv) && fromEnv > 0 ? fromEnv : (stdout?.columns ?? 80),
  }
}

/** Whether a test runner (Vitest, Jest, node --test) runs this; not where a test has started a program of its own. */
export function isTesting(): boolean {
  const env = surroundings.process?.env
  return (
    '__vitest_worker__' in globalThis ||
    env?.['JEST_WORKER_ID'] !== undefined ||
    env?.['NODE_TEST_CONTEXT'] !== undefined
  )
}

/** Writes text as it is where there is a stream for it; line by line to the console elsewhere. */
export function write(text: string): void {
  const stdout = surroundings.process?.stdout
  if (stdout?.write !== undefined) stdout.write(text)
  else surroundings.console?.log(text.replace(/\n$/, ''))
}

export function writeLine(line: string): void {
  surroundings.console?.log(line)
}

/** Lets everything that waits for the event loop have its turn. */
export function giveAir(): Promise<void> {
  return new Promise((resolve) => {
    if (surroundings.setImmediate !== undefined) surroundings.setImmediate(resolve)
    else if (surroundings.setTimeout !== undefined) surroundings.setTimeout(resolve, 0)
    else resolve()
  })
}

/** The files of the machine, where there are any. */
export function files(): Files | undefined {
  // `process.getBuiltinModule` gives what `import` would, without an import that bundlers would follow.
  return surroundings.process?.getBuiltinModule?.('node:fs/promises') as Files | undefined
}

/** The path that a `file:` address means. */
export function pathOfUrl(address: string): string | undefined {
  const url = surroundings.process?.getBuiltinModule?.('node:url') as
    { fileURLToPath(address: string): string } | undefined
  return url?.fileURLToPath(address)
}

/** What tells this process from others that run at the same time. */
export function processId(): number {
  return surroundings.process?.pid ?? 0
}

/** The storage of a browser, where there is one. */
export function indexedDb(): IndexedDB | undefined {
  return surroundings.indexedDB
}

/** Asks the network for what is at an address. */
export function download(): ((address: string) => Promise<Response>) | undefined {
  return surroundings.fetch
}

export function encodeUtf8(text: string): Uint8Array {
  return new surroundings.TextEncoder!().encode(text)
}

/** The text, or undefined where the bytes are no UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new surroundings.TextDecoder!('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
