import type { Lanes } from '../wasm/lanes.js'
import { workOf } from '../wasm/divide.js'
import type { MapSource } from '../wasm/map.js'
import { exactJson } from './exact.js'
import type { Window, Windows } from './fuse.js'
import type { Program, ValueId } from './program.js'

export const NO_WINDOWS: Windows = { into: new Map(), from: new Map(), joined: new Set() }

/** Several elementwise kernels as one, and what it reads and writes. */
export interface Woven {
  readonly source: MapSource
  /** Inputs that are in memory; single numbers are written into the code. */
  readonly inputs: readonly ValueId[]
  readonly slots: readonly number[]
  readonly stored: readonly ValueId[]
  /** Where it is written besides. */
  readonly into: readonly Window[]
}

/** @param isOnce whether all elements of a row read the same value of an input. */
export function weave(
  program: Program,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
  windows: Windows,
  isOnce: (input: ValueId) => boolean,
): Woven {
  const { values } = program
  const given: ValueId[] = []
  for (const member of members)
    for (const input of inputsOfMap(program, member))
      if (!members.includes(input) && !given.includes(input)) given.push(input)
  const numbers = given.map((id) => numberOf(program, id))
  const inputs = given.filter((_, i) => numbers[i] === undefined)
  const slots = members.flatMap((id) => slotsOf(program, id))
  const stored = members.filter(isStored)
  const also = members.filter((id) => windows.into.has(id))
  const source: MapSource = {
    inputs: [
      ...inputs.map((id) => ({ dtype: values[id]!.dtype, isOnce: isOnce(id) })),
      ...slots.map(() => ({ dtype: 'float64' as const, isOnce: true })),
    ],
    steps: members.map((id) => {
      const { source: from, dtype } = values[id]!
      if (from.kind !== 'kernel' || from.kernel.kind !== 'map') throw new Error('not elementwise')
      const { kernel } = from
      return {
        body: kernel.fn.body,
        dtype,
        args: from.inputs.map((input): number | Lanes => {
          const member = members.indexOf(input)
          if (member >= 0) return inputs.length + slots.length + member
          const value = numbers[given.indexOf(input)]
          return value === undefined ? inputs.indexOf(input) : { kind: 'constant', value }
        }),
        params: kernel.params.map((value, i): number | Lanes =>
          from.slots === undefined
            ? { kind: 'constant', value }
            : inputs.length + slots.indexOf(from.slots[i]!),
        ),
      }
    }),
    outputs: [...stored, ...also].map((id) => members.indexOf(id)),
  }
  return { source, inputs, slots, stored, into: also.map((id) => windows.into.get(id)!) }
}

/** Equal for sources that are written the same. */
export function keyOf(source: MapSource): string {
  return exactJson(source)
}

/** About the work of elementwise kernels for one element. */
export function costOf({ values }: Program, members: readonly ValueId[]): number {
  const costs = members.map((id) => {
    const { source } = values[id]!
    return source.kind === 'kernel' && source.kernel.kind === 'map' ? workOf(source.kernel.fn.body) : 0
  })
  return costs.reduce((a, b) => a + b, 0)
}

function inputsOfMap({ values }: Program, id: ValueId): readonly ValueId[] {
  const { source } = values[id]!
  return source.kind === 'kernel' ? source.inputs : []
}

function slotsOf({ values }: Program, id: ValueId): readonly number[] {
  const { source } = values[id]!
  return source.kind === 'kernel' ? (source.slots ?? []) : []
}

/** The number that a value is known to hold. Whole numbers of 32 bits are loaded: formulas tell them from float32. */
function numberOf({ values }: Program, id: ValueId): number | undefined {
  const { source, shape, dtype } = values[id]!
  if (
    source.kind !== 'constant' ||
    source.slot !== undefined ||
    shape.length > 0 ||
    dtype === 'int32' ||
    source.values.length !== 1
  )
    return undefined
  const value = source.values[0]
  return typeof value === 'number' ? value : undefined
}
