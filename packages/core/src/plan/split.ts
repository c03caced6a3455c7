import { Code, type Local } from '../wasm/code.js'
import type { Division } from '../wasm/divide.js'
import type { FunctionSource } from '../wasm/encoder.js'

/** A stage in parts, which threads take in any order. */
export interface Split {
  readonly division: Division
  readonly parts: number
  /** All of the size that is divided. */
  readonly whole: number
  /** Where its operands are. */
  readonly addresses: readonly number[]
  /** Outputs that lie over inputs, and their bytes for each of what the division counts. */
  readonly inPlace: readonly { readonly operand: number; readonly bytes: number }[]
}

/** f(part, scratch): calls the stage's function on a part's operands, with how much it has, and scratch if it takes some. */
export function writePart(name: string, split: Split, callee: number, takesScratch: boolean): FunctionSource {
  const c = new Code()
  const [part, scratch] = [c.param('i32'), c.param('i32')]
  const { first, extent } = rangeOf(c, split, part)
  split.addresses.forEach((address, i) => c.op(c.sum(c.product(first, split.division.steps[i]!), address)))
  c.op(extent)
  if (takesScratch) c.op(scratch)
  return c.call(callee).source(name)
}

/** f(part, to): copies what the part will change, or puts it back as it was. */
export function writeCopyOfPart(name: string, split: Split, puts: 'aside' | 'back'): FunctionSource {
  const c = new Code()
  const [part, at] = [c.param('i32'), c.param('i32')]
  const { first, extent } = rangeOf(c, split, part)
  for (const { operand, bytes } of split.inPlace) {
    const own = c.sum(c.product(first, split.division.steps[operand]!), split.addresses[operand]!)
    const size = c.product(extent, bytes)
    if (puts === 'aside') c.copy(at, own, size)
    else c.copy(own, at, size)
    c.op(at, size, 'i32.add').set(at)
  }
  return c.source(name)
}

/** How many bytes a part has at most that are copied aside. */
export function bytesAside({ division, parts, whole, inPlace }: Split): number {
  const { units, perUnit } = division
  const most = Math.ceil(units / parts) * perUnit + (whole - units * perUnit)
  return inPlace.reduce((sum, { bytes }) => sum + bytes * most, 0)
}

/** A part's first unit, and how much it has. The first parts have a unit more where they are not all the same. */
function rangeOf(c: Code, { division, parts, whole }: Split, part: Local): { first: Local; extent: Local } {
  const { units, perUnit } = division
  const [each, more] = [Math.floor(units / parts), units % parts]
  const first = c.local('i32')
  c.op(part, each, 'i32.mul', part, more, part, more, 'i32.lt_u', 'select', 'i32.add').set(first)
  const extent = c.local('i32')
  c.op(part, more, 'i32.lt_u', each, 'i32.add', perUnit, 'i32.mul')
  c.op(whole - units * perUnit, 0, part, parts - 1, 'i32.eq', 'select', 'i32.add').set(extent)
  return { first, extent }
}
