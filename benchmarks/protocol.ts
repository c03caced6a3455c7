/**
 * What the runner and a competitor's process say to each other: one line of JSON each way, answers in order.
 * Lines that are no JSON object (a library's greeting, say) are ignored. Arrays travel as base64 of little-endian numbers.
 */
import { createInterface } from 'node:readline'

/** A float32 array: the same bytes go to every competitor. */
export interface Packed {
  readonly shape: readonly number[]
  readonly float32: string
}

export type Request =
  | {
      readonly type: 'prepare'
      readonly program: string
      readonly inputs: Readonly<Record<string, Packed>>
      /** Whether results are wanted. Without them the first run is the first that the process does. */
      readonly compare: boolean
    }
  | { readonly type: 'run'; readonly times: number }

export type Answer =
  /** Said unasked, once the library is loaded. */
  | { readonly type: 'ready'; readonly versions: Readonly<Record<string, string>> }
  /** Said instead of ready, when it is not installed. */
  | { readonly type: 'missing'; readonly reason: string }
  /** Base64 of float64. */
  | { readonly type: 'prepared'; readonly results: string }
  | ({ readonly type: 'ran' } & Spent)
  | { readonly type: 'failed'; readonly reason: string }

/** What work took, in ms: of time, and of the processors' time in all threads of its process. */
export interface Spent {
  readonly wall: number
  readonly cpu: number
}

/** An input as a competitor sees it. */
export interface Input {
  readonly shape: readonly number[]
  readonly values: Float32Array
}
export type Inputs = Readonly<Record<string, Input>>

/** A program made ready on given inputs. */
export interface Prepared {
  /** What is compared with the reference: the losses of the first steps, or the output. Asked for at most once, before any run. */
  results(): ArrayLike<number> | Promise<ArrayLike<number>>
  /** Does the work `times` times, one after another, each to its end. */
  run(times: number): Done | Promise<Done>
}
/** What was spent, where it was measured elsewhere: in a process of its own. */
export type Done = Spent | void
export type Program = (inputs: Inputs) => Prepared | Promise<Prepared>

/** A library under its own process: what it calls itself, and the programs written in it. */
export interface Library {
  readonly versions: Readonly<Record<string, string>>
  readonly programs: Readonly<Record<string, Program>>
}

export function pack(values: Float32Array, shape: readonly number[]): Packed {
  return { shape, float32: bytesOf(values) }
}

export function unpackResults(results: string): Float64Array {
  const bytes = Uint8Array.from(Buffer.from(results, 'base64'))
  return new Float64Array(bytes.buffer)
}

function bytesOf(values: Float32Array | Float64Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
}

function unpack({ shape, float32 }: Packed): Input {
  // Copied, because a small Buffer may lie anywhere in its pool.
  const bytes = Uint8Array.from(Buffer.from(float32, 'base64'))
  return { shape, values: new Float32Array(bytes.buffer) }
}

/** The life of a competitor's process: load, then answer until stdin ends. */
export async function serve(load: () => Library | Promise<Library>): Promise<void> {
  let library: Library
  try {
    library = await load()
  } catch (error) {
    const type = isNotInstalled(error) ? 'missing' : 'failed'
    say({ type, reason: messageOf(error) })
    return
  }
  say({ type: 'ready', versions: library.versions })

  let prepared: Prepared | undefined
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const request = JSON.parse(line) as Request
      if (request.type === 'prepare') {
        const inputs = Object.entries(request.inputs).map(([name, packed]) => [name, unpack(packed)])
        prepared = await library.programs[request.program]!(Object.fromEntries(inputs) as Inputs)
        const results = request.compare ? await prepared.results() : []
        say({ type: 'prepared', results: bytesOf(Float64Array.from(results)) })
      } else {
        const start = performance.now()
        const before = process.cpuUsage()
        const running = prepared!.run(request.times)
        const spent = running instanceof Promise ? await running : running
        const wall = performance.now() - start
        const { user, system } = process.cpuUsage(before)
        say({ type: 'ran', ...(spent ?? { wall, cpu: (user + system) / 1000 }) })
      }
    } catch (error) {
      say({ type: 'failed', reason: messageOf(error) })
    }
  }
}

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

function isNotInstalled(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null)?.code
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND'
}

function messageOf(error: unknown): string {
  const [first] = (error instanceof Error ? error.message : String(error)).split('\n')
  return first!.replace(/ imported from .*/, '')
}
