// What is known of the program's surroundings. There may be none: browsers have no process, workers no terminal.

interface Process {
  readonly stdout?: {
    readonly isTTY?: boolean
    readonly columns?: number
    write?(text: string): unknown
  }
  readonly env?: Readonly<Record<string, string | undefined>>
}

interface Console {
  log(...values: unknown[]): void
  warn(...values: unknown[]): void
}

interface Surroundings {
  readonly process?: Process
  readonly console?: Console
  readonly performance?: { now(): number }
  readonly setTimeout?: (f: () => void, ms: number) => unknown
  readonly setImmediate?: (f: () => void) => unknown
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

/** Writes text as it is where there is a stream for it; line by line to the console elsewhere. */
export function write(text: string): void {
  const stdout = surroundings.process?.stdout
  if (stdout?.write !== undefined) stdout.write(text)
  else surroundings.console?.log(text.replace(/\n$/, ''))
}

export function writeLine(line: string): void {
  surroundings.console?.log(line)
}

export function warn(message: string): void {
  surroundings.console?.warn(message)
}

/** Milliseconds on a clock that never goes back. */
export function now(): number {
  return surroundings.performance?.now() ?? Date.now()
}

/** Lets everything that waits for the event loop have its turn. */
export function giveAir(): Promise<void> {
  return new Promise((resolve) => {
    if (surroundings.setImmediate !== undefined) surroundings.setImmediate(resolve)
    else if (surroundings.setTimeout !== undefined) surroundings.setTimeout(resolve, 0)
    else resolve()
  })
}
