import { loopsOver } from '../cpu/map.js'
import { BYTES } from '../dtype.js'
import { sizeOf } from '../shape.js'
import { choose } from '../wasm/choose.js'
import { Code, type Local } from '../wasm/code.js'
import type { FunctionSource, ImportedFunction } from '../wasm/encoder.js'
import type { Lanes } from '../wasm/lanes.js'
import { loadOnce, type MapSource, writeMap, writeSteps } from '../wasm/map.js'
import { keep } from '../wasm/vector-math.js'
import type { Schedule, Stage } from './fuse.js'
import { isWoven, reachOf } from './fuse.js'
import type { Program, ValueId } from './program.js'

/** What has an address: a value, or one of the numbers given to every run. */
export type Operand = ValueId | { readonly slot: number }

/** A stage's code: a function of addresses, and the values whose addresses it is called with. */
interface Writing {
  /** Equal for stages that the same function does. */
  readonly key: string
  readonly operands: readonly Operand[]
  /** Bytes of scratch; its address comes last. */
  readonly scratch: number
  readonly write: (c: Code, addresses: readonly Local[]) => void
}

/** The code of a plan. */
export interface Emitted {
  readonly imports: readonly ImportedFunction[]
  readonly functions: readonly FunctionSource[]
  /** Stages that the plain loops do: the import `host` is called with their numbers. */
  readonly hosted: readonly number[]
  readonly scratch: number
}

/**
 * Writes the functions of a plan. "results" runs the stages that results and checks need, "changes" the others.
 * @param addressOf where a value's bytes, or a given number's, are.
 */
export function emit(
  program: Program,
  { stages }: Schedule,
  isStored: (id: ValueId) => boolean,
  addressOf: (operand: Operand) => number,
  scratchAddress: number,
): Emitted {
  const functions: FunctionSource[] = []
  const known = new Map<string, number>()
  const hosted: number[] = []
  /** The host function is function 0. */
  const imports: ImportedFunction[] = [{ name: 'host', params: ['i32'], results: [] }]
  let scratch = 0
  const main = (isFirst: boolean): Code => {
    const c = new Code()
    stages.forEach((stage, at) => {
      if (stage.isFirst !== isFirst) return
      const writing = writingOf(program, stage, isStored)
      if (writing === undefined) {
        hosted.push(at)
        c.op(at).call(0)
        return
      }
      let index = known.get(writing.key)
      if (index === undefined) {
        index = functions.length
        known.set(writing.key, index)
        const f = new Code()
        const count = writing.operands.length + (writing.scratch > 0 ? 1 : 0)
        writing.write(
          f,
          Array.from({ length: count }, () => f.param('i32')),
        )
        functions.push(f.source(`f${index}`))
      }
      scratch = Math.max(scratch, writing.scratch)
      for (const operand of writing.operands) c.op(addressOf(operand))
      if (writing.scratch > 0) c.op(scratchAddress)
      c.call(imports.length + index)
    })
    return c
  }
  const [results, changes] = [main(true), main(false)]
  return {
    imports,
    functions: [...functions, results.source('results'), changes.source('changes')],
    hosted,
    scratch,
  }
}

/** The most scratch that any stage of the schedule needs. */
export function scratchOf(program: Program, { stages }: Schedule): number {
  return Math.max(0, ...stages.map((stage) => writingOf(program, stage, () => true)?.scratch ?? 0))
}

/** How a stage is written; undefined where the plain loops have to do it. */
function writingOf(
  program: Program,
  { members }: Stage,
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  const id = members[0]!
  if (isWoven(program, id)) return mapWriting(program, members, isStored)
  if (members.length > 1) return productWriting(program, id, members.slice(1), isStored)
  const value = program.values[id]!
  if (value.source.kind !== 'kernel' || sizeOf(value.shape) === 0) return undefined
  const { kernel, inputs } = value.source
  const choice = choose(
    kernel,
    inputs.map((input) => program.values[input]!),
    value,
  )
  if (choice === undefined) return undefined
  const { writer, sizes, scratch } = choice
  const operands = [...inputs, id]
  return {
    key: `${writer.key} ${sizes.join()}`,
    operands,
    scratch,
    write: (c, addresses) => writer.write(c, addresses, sizes, addresses[operands.length] ?? 0),
  }
}

/** Several elementwise kernels as one, and what it reads and writes. */
interface Woven {
  readonly source: MapSource
  /** Inputs that are in memory; single numbers are written into the code. */
  readonly inputs: readonly ValueId[]
  readonly slots: readonly number[]
  readonly stored: readonly ValueId[]
}

/** @param isOnce whether all elements of a row read the same value of an input. */
function weave(
  program: Program,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
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
    outputs: stored.map((id) => members.indexOf(id)),
  }
  return { source, inputs, slots, stored }
}

/** Equal for sources that are written the same. */
function keyOf(source: MapSource): string {
  return JSON.stringify(source, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value)
      ? String(value)
      : Object.is(value, -0)
        ? '-0'
        : value,
  )
}

/** Several elementwise kernels in one loop. */
function mapWriting(
  program: Program,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
): Writing | undefined {
  const { values } = program
  const { shape } = values[members[0]!]!
  if (sizeOf(shape) === 0) return undefined
  const { inputs } = weave(program, members, isStored, () => false)
  const loops = loopsOver(
    inputs.map((id) => ({ shape: values[id]!.shape })),
    shape,
  )
  const { source, slots, stored } = weave(
    program,
    members,
    isStored,
    (id) => loops.steps[inputs.indexOf(id)] === 0,
  )
  const { outer, strides, inner } = loops
  const rows = outer.at(-1) ?? 1
  const around = outer.slice(0, -1)
  const stepBytes = (axis: number): number[] => [
    ...inputs.map((id, i) => (strides[axis]?.[i] ?? 0) * BYTES[values[id]!.dtype]),
    ...slots.map(() => 0),
  ]
  const key = `map ${shape.join()} ${keyOf(source)} ${inner} ${outer.join()} ${strides.join(' ')}`
  return {
    key,
    operands: [...inputs, ...slots.map((slot) => ({ slot })), ...stored],
    scratch: 0,
    write: (c, addresses) => {
      const from = addresses.slice(0, inputs.length + slots.length)
      const to = addresses.slice(from.length)
      const blocks = stored.map((id) => rows * inner * BYTES[values[id]!.dtype])
      const nest = (axis: number): void => {
        if (axis === around.length) {
          writeMap(c, source, {
            inputs: from,
            inputSteps: stepBytes(outer.length - 1),
            outputs: to,
            rows,
            inner,
          })
          to.forEach((at, i) => c.advance(at, blocks[i]!))
          return
        }
        const moves = stepBytes(axis)
        const i = c.copyOf(0)
        c.op(0).set(i)
        c.loop(i, around[axis]!, 1, () => {
          nest(axis + 1)
          from.forEach((at, k) => c.advance(at, moves[k]!))
        })
        from.forEach((at, k) => c.advance(at, -moves[k]! * around[axis]!))
      }
      nest(0)
    },
  }
}

/** A product of matrices whose tiles elementwise kernels finish before they are stored. */
function productWriting(
  program: Program,
  product: ValueId,
  members: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
): Writing {
  const { values } = program
  const { source: from, shape } = values[product]!
  if (from.kind !== 'kernel') throw new Error('no product')
  const { writer, sizes, scratch } = choose(
    from.kernel,
    from.inputs.map((input) => values[input]!),
    values[product]!,
  )!
  const reach = (id: ValueId): string | undefined => reachOf(values[id]!.shape, shape)
  const { source, inputs, slots, stored } = weave(program, members, isStored, (id) => reach(id) === 'one')
  const others = inputs.filter((id) => id !== product)
  const outputs = isStored(product) ? [product, ...stored] : stored
  const key = `${writer.key} ${sizes.join()} ${inputs.indexOf(product)} ${isStored(product)} ${inputs.map(reach).join()}`
  return {
    key: `${key} ${keyOf(source)}`,
    operands: [...from.inputs, ...others, ...slots.map((slot) => ({ slot })), ...outputs],
    scratch,
    write: (c, addresses) => {
      const count = from.inputs.length
      const [a, b] = addresses
      const otherAt = (id: ValueId): Local => addresses[count + others.indexOf(id)]!
      const to = addresses.slice(
        count + others.length + slots.length,
        count + others.length + slots.length + outputs.length,
      )
      /** Where the tiles themselves are stored; the rest lies as far from it everywhere. */
      const main = to.at(-1)!
      const away = (address: Local): Local => {
        const distance = c.local('i32')
        c.op(address, main, 'i32.sub').set(distance)
        return distance
      }
      const known = new Map<ValueId, Lanes>()
      const distances = new Map<ValueId, Local>()
      for (const id of others)
        if (reach(id) === 'one') known.set(id, loadOnce(c, otherAt(id), 'float32'))
        else if (reach(id) === 'all') distances.set(id, away(otherAt(id)))
      const numbers = slots.map((_, i) => loadOnce(c, addresses[count + others.length + i]!, 'float64'))
      const toDistances = to.map((address) => (address === main ? undefined : away(address)))
      writer.write(c, [a!, b!, main], sizes, addresses.at(-1)!, (_, sums, column, at, offset) => {
        const load = (id: ValueId): Lanes => {
          if (id === product) return { kind: 'single', all: sums }
          const distance = distances.get(id)
          if (distance === undefined) c.op(otherAt(id), column, 'i32.add')
          else c.op(at, distance, 'i32.add')
          return { kind: 'single', all: keep(c, () => c.memory('v128.load', offset)) }
        }
        const results = writeSteps(c, source, [...inputs.map((id) => known.get(id) ?? load(id)), ...numbers])
        const vectorOf = (id: ValueId): Local => {
          const lanes: Lanes = id === product ? { kind: 'single', all: sums } : results[members.indexOf(id)]!
          if (lanes.kind !== 'single') throw new Error('not float32')
          return lanes.all
        }
        outputs.forEach((id, i) => {
          const distance = toDistances[i]
          if (distance === undefined) return
          c.op(at, distance, 'i32.add').get(vectorOf(id)).memory('v128.store', offset)
        })
        return vectorOf(outputs.at(-1)!)
      })
    },
  }
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
