import type { Message } from './worker.js'

// Workers of Node and of browsers, without the types of either.

/** A worker. */
export interface Link {
  send(message: Message): void
  stop(): void
}

interface Surroundings {
  readonly process?: { getBuiltinModule?(name: string): unknown }
  readonly Worker?: new (
    url: string,
    options: { readonly type: 'module'; readonly name: string },
  ) => WebWorker
  readonly Blob?: new (parts: readonly string[], options: { readonly type: string }) => object
  readonly URL?: { createObjectURL(blob: object): string; revokeObjectURL(url: string): void }
}

interface WebWorker {
  postMessage(message: Message): void
  terminate(): void
  onerror: ((event: { preventDefault?(): void }) => void) | null
}

interface NodeWorker {
  postMessage(message: Message): void
  terminate(): Promise<unknown>
  unref(): void
  on(event: 'error' | 'exit', listener: () => void): void
}
interface WorkerThreads {
  readonly Worker: new (source: string, options: object) => NodeWorker
}

const surroundings = globalThis as unknown as Surroundings

/** @param gone is called once the worker is no more. */
export function startWorker(source: string, gone: () => void): Link {
  const threads = surroundings.process?.getBuiltinModule?.('node:worker_threads') as WorkerThreads | undefined
  return threads === undefined ? startWebWorker(source, gone) : startNodeWorker(threads, source, gone)
}

function startNodeWorker({ Worker }: WorkerThreads, source: string, gone: () => void): Link {
  // What the program was started with (loaders, inspectors) is not for this.
  const worker = new Worker(source, { eval: true, execArgv: [], name: 'adjoint' })
  worker.on('error', () => undefined)
  worker.on('exit', gone)
  // The program ends without asking.
  worker.unref()
  return {
    send: (message) => worker.postMessage(message),
    stop: () => void worker.terminate().catch(() => undefined),
  }
}

function startWebWorker(source: string, gone: () => void): Link {
  const { Worker, Blob, URL } = surroundings
  const url = URL!.createObjectURL(new Blob!([source], { type: 'text/javascript' }))
  const worker = new Worker!(url, { type: 'module', name: 'adjoint' })
  worker.onerror = (event) => {
    event.preventDefault?.()
    worker.terminate()
    gone()
  }
  return {
    send: (message) => worker.postMessage(message),
    stop: () => worker.terminate(),
  }
}

/** Whether this thread may sleep: the main thread of a page may not. */
export function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0)
    return true
  } catch {
    return false
  }
}
