import { either, show, ValueError } from './errors.js'

/** How far numbers may depend on the engine, see {@link setDeterminism}. */
export type Determinism = 'engine' | 'portable'

const MODES: readonly Determinism[] = ['engine', 'portable']

let current: Determinism = 'engine'

/**
 * How far numbers may depend on the engine that runs this. "engine", which is the default: equal runs on one engine give
 * equal numbers, for any number of threads. "portable": they are equal on all engines that run WebAssembly too, at some
 * cost: no relaxed vector instructions, and functions like exp and sin by this library's own arithmetic.
 * @throws ValueError for another mode.
 * @example setDeterminism('portable')
 */
export function setDeterminism(mode: Determinism): void {
  if (!MODES.includes(mode))
    throw new ValueError(`setDeterminism: expected ${either(MODES.map(show))}, got ${show(mode)}`, {
      op: 'setDeterminism',
    })
  current = mode
}

/** Whether numbers have to be the same on every engine. */
export function isPortable(): boolean {
  return current === 'portable'
}
