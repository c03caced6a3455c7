import type { DType } from './dtype.js'
import type { Sizes } from './shape.js'

/** What is known of a value without computing it. */
export interface Aval<D extends DType = DType, S extends Sizes = Sizes> {
  readonly shape: S
  readonly dtype: D
}

/** A shape, and those that begin with it. */
interface Prefix {
  /** By the next side. */
  readonly longer: Map<number, Prefix>
  readonly avals: Map<DType, Aval>
}

/** So many sides are remembered; then all are forgotten, and values of one shape may have different objects for a while. */
const MOST_PREFIXES = 10_000
let none: Prefix
let count = MOST_PREFIXES

function prefix(): Prefix {
  count++
  return { longer: new Map(), avals: new Map() }
}

/** The one object for this shape and dtype, so that what follows from these can be looked up by it. */
export function avalOf<D extends DType, S extends Sizes>(shape: S, dtype: D): Aval<D, S> {
  if (count >= MOST_PREFIXES) {
    count = 0
    none = prefix()
  }
  let at = none
  for (let i = 0; i < shape.length; i++) {
    const side = shape[i]!
    let next = at.longer.get(side)
    if (next === undefined) at.longer.set(side, (next = prefix()))
    at = next
  }
  let aval = at.avals.get(dtype)
  if (aval === undefined) {
    aval = Object.freeze({ shape: Object.freeze([...shape]), dtype })
    at.avals.set(dtype, aval)
  }
  // A shape that is equal is of the same type.
  return aval as Aval<D, S>
}
