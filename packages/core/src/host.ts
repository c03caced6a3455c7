// What every surrounding has, without the types of any.

interface Surroundings {
  readonly console?: { warn(message: string): void }
  readonly performance?: { now(): number }
}

const surroundings = globalThis as unknown as Surroundings

/** Milliseconds on a clock that never goes back. */
export function now(): number {
  return surroundings.performance?.now() ?? Date.now()
}

export function warn(message: string): void {
  surroundings.console?.warn(message)
}
