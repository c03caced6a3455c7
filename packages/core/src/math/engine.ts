import { isPortable } from '../determinism.js'
import * as exact from './exact.js'

// Functions that engines round as they like: the engine's own, which are fast, or those that are the same everywhere.

export function exp(x: number): number {
  return isPortable() ? exact.exp(x) : Math.exp(x)
}

export function expm1(x: number): number {
  return isPortable() ? exact.expm1(x) : Math.expm1(x)
}

export function log(x: number): number {
  return isPortable() ? exact.log(x) : Math.log(x)
}

export function log1p(x: number): number {
  return isPortable() ? exact.log1p(x) : Math.log1p(x)
}

export function cos(x: number): number {
  return isPortable() ? exact.cos(x) : Math.cos(x)
}

/** x to the power y. */
export function pow(x: number, y: number): number {
  return isPortable() ? exact.pow(x, y) : x ** y
}
