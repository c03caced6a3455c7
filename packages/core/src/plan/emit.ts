import type { Kernel } from '../backend.js'
import { loopsOver } from '../cpu/map.js'
import { BYTES, type DType } from '../dtype.js'
import { type Sizes, sizeOf } from '../shape.js'
import { Code, type Local } from '../wasm/code.js'
import type { FunctionSource, ImportedFunction } from '../wasm/encoder.js'
import type { Lanes } from '../wasm/lanes.js'
import { writeMap, type MapSource } from '../wasm/map.js'
import { matmulScratch, matmulSource, writeMatmul, writeMatVec } from '../wasm/matmul.js'
import {
  writeCopy,
  writeReduceColumns,
  writeReduceRows,
  writeSoftmax,
  writeTranspose,
} from '../wasm/reduce.js'
import type { Schedule, Stage } from './fuse.js'
import { isWoven } from './fuse.js'
import type { Program, ValueId } from './program.js'

/** A stage's code: a function of addresses, and the values whose addresses it is called with. */
interface Writing {
  /** Equal for stages that the same function does. */
  readonly key: string
  readonly operands: readonly ValueId[]
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
 * @param addressOf where a value's bytes are.
 */
export function emit(
  program: Program,
  { stages }: Schedule,
  isStored: (id: ValueId) => boolean,
  addressOf: (id: ValueId) => number,
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
  if (members.length > 1 || isWoven(program, id)) return mapWriting(program, members, isStored)
  const value = program.values[id]!
  if (value.source.kind !== 'kernel' || sizeOf(value.shape) === 0) return undefined
  const { kernel, inputs } = value.source
  const ins = inputs.map((input) => program.values[input]!)
  return kernelWriting(kernel, inputs, ins, id, value)
}

interface Typed {
  readonly shape: Sizes
  readonly dtype: DType
}

function kernelWriting(
  kernel: Kernel,
  inputs: readonly ValueId[],
  ins: readonly Typed[],
  id: ValueId,
  out: Typed,
): Writing | undefined {
  const [x] = ins
  const isSingle = out.dtype === 'float32' && ins.every(({ dtype }) => dtype === 'float32')
  const operands = [...inputs, id]
  switch (kernel.kind) {
    case 'matmul': {
      const rank = out.shape.length
      if (!isSingle || rank > 2) return undefined
      const [m, n] = [out.shape[rank - 2]!, out.shape[rank - 1]!]
      const k = x!.shape[kernel.transposeA ? 0 : 1]!
      if (k === 0) return undefined
      const source = matmulSource(kernel.transposeA, kernel.transposeB, m, n, k)
      return {
        key: `matmul ${source.transposeA} ${source.transposeB} ${m} ${n} ${k}`,
        operands,
        scratch: matmulScratch(k),
        write: (c, [a, b, to, scratch]) => {
          const places = { a: a!, b: b!, out: to!, scratch: scratch!, m, n, k }
          if (n === 1 && !source.transposeA) writeMatVec(c, source, places)
          else writeMatmul(c, source, places)
        },
      }
    }
    case 'reduce': {
      const { op, axes } = kernel
      if (!isSingle || (op !== 'sum' && op !== 'mean' && op !== 'max' && op !== 'min')) return undefined
      const first = axes[0] ?? 0
      const last = axes.at(-1) ?? -1
      if (last - first !== axes.length - 1) return undefined
      const outer = sizeOf(x!.shape.slice(0, first))
      const count = sizeOf(x!.shape.slice(first, last + 1))
      const inner = sizeOf(x!.shape.slice(last + 1))
      if (count === 0) return undefined
      return {
        key: `${op} ${outer} ${count} ${inner}`,
        operands,
        scratch: 0,
        write: (c, [from, to]) =>
          (inner === 1 ? writeReduceRows : writeReduceColumns)(c, op, {
            x: from!,
            out: to!,
            outer,
            count,
            inner,
          }),
      }
    }
    case 'softmax': {
      if (!isSingle || kernel.log || kernel.axis !== out.shape.length - 1) return undefined
      const count = out.shape[kernel.axis]!
      const rows = sizeOf(out.shape) / count
      return {
        key: `softmax ${rows} ${count}`,
        operands,
        scratch: count * 8 + 32,
        write: (c, [from, to, scratch]) =>
          writeSoftmax(c, { x: from!, out: to!, rows, count, scratch: scratch! }),
      }
    }
    case 'concat': {
      if (ins.some(({ dtype }) => dtype !== out.dtype)) return undefined
      const rows = sizeOf(out.shape.slice(0, kernel.axis))
      const widths = ins.map(({ shape }) => sizeOf(shape.slice(kernel.axis)) * BYTES[out.dtype])
      const toStep = widths.reduce((a, b) => a + b, 0)
      return {
        key: `concat ${rows} ${widths.join()}`,
        operands,
        scratch: 0,
        write: (c, addresses) => {
          const to = addresses.at(-1)!
          let at = 0
          widths.forEach((bytes, i) => {
            if (bytes > 0)
              writeCopy(c, { from: addresses[i]!, to: c.sum(to, at), rows, bytes, fromStep: bytes, toStep })
            at += bytes
          })
        },
      }
    }
    case 'slice': {
      const cut = cutOf(kernel, x!, out)
      if (cut === undefined) return undefined
      const { rows, bytes, fromStep, offset } = cut
      return {
        key: `slice ${rows} ${bytes} ${fromStep} ${offset}`,
        operands,
        scratch: 0,
        write: (c, [from, to]) =>
          writeCopy(c, { from: c.sum(from!, offset), to: to!, rows, bytes, fromStep, toStep: bytes }),
      }
    }
    case 'permute': {
      const { perm } = kernel
      if (perm.length !== 2 || perm[0] !== 1 || BYTES[out.dtype] !== 4) return undefined
      const [m, n] = [x!.shape[0]!, x!.shape[1]!]
      return {
        key: `transpose ${m} ${n}`,
        operands,
        scratch: 0,
        write: (c, [from, to]) => writeTranspose(c, { x: from!, out: to!, m, n }),
      }
    }
    default:
      return undefined
  }
}

/** A slice without gaps that cuts one axis, as rows of bytes. */
function cutOf(
  { begin, strides }: { readonly begin: readonly number[]; readonly strides: readonly number[] },
  x: Typed,
  out: Typed,
): { rows: number; bytes: number; fromStep: number; offset: number } | undefined {
  const axes = out.shape.flatMap((side, axis) => (side === x.shape[axis] ? [] : [axis]))
  if (axes.length !== 1 || strides.some((step) => step !== 1)) return undefined
  const axis = axes[0]!
  const inner = sizeOf(out.shape.slice(axis + 1)) * BYTES[out.dtype]
  return {
    rows: sizeOf(out.shape.slice(0, axis)),
    bytes: out.shape[axis]! * inner,
    fromStep: x.shape[axis]! * inner,
    offset: begin[axis]! * inner,
  }
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
  const given: ValueId[] = []
  for (const member of members)
    for (const input of inputsOfMap(program, member))
      if (!members.includes(input) && !given.includes(input)) given.push(input)
  const numbers = given.map((id) => numberOf(program, id))
  /** Inputs that are in memory; single numbers are written into the code. */
  const inputs = given.filter((_, i) => numbers[i] === undefined)
  const stored = members.filter(isStored)
  const { outer, strides, inner, steps } = loopsOver(
    inputs.map((id) => ({ shape: values[id]!.shape })),
    shape,
  )
  const source: MapSource = {
    inputs: inputs.map((id, i) => ({ dtype: values[id]!.dtype, isOnce: steps[i] === 0 })),
    steps: members.map((id) => {
      const { source: from, dtype } = values[id]!
      if (from.kind !== 'kernel' || from.kernel.kind !== 'map') throw new Error('not elementwise')
      const { kernel } = from
      return {
        body: kernel.fn.body,
        dtype,
        args: from.inputs.map((input): number | Lanes => {
          const member = members.indexOf(input)
          if (member >= 0) return inputs.length + member
          const value = numbers[given.indexOf(input)]
          return value === undefined ? inputs.indexOf(input) : { kind: 'constant', value }
        }),
        params: kernel.params.map((value): Lanes => ({ kind: 'constant', value })),
      }
    }),
    outputs: stored.map((id) => members.indexOf(id)),
  }
  const rows = outer.at(-1) ?? 1
  const around = outer.slice(0, -1)
  const stepBytes = (axis: number): number[] =>
    inputs.map((id, i) => (strides[axis]?.[i] ?? 0) * BYTES[values[id]!.dtype])
  const key = `map ${shape.join()} ${JSON.stringify(source, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value)
      ? String(value)
      : Object.is(value, -0)
        ? '-0'
        : value,
  )} ${inner} ${outer.join()} ${strides.join(' ')}`
  return {
    key,
    operands: [...inputs, ...stored],
    scratch: 0,
    write: (c, addresses) => {
      const from = addresses.slice(0, inputs.length)
      const to = addresses.slice(inputs.length)
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

function inputsOfMap({ values }: Program, id: ValueId): readonly ValueId[] {
  const { source } = values[id]!
  return source.kind === 'kernel' ? source.inputs : []
}

/** The number that a value is known to hold. */
function numberOf({ values }: Program, id: ValueId): number | undefined {
  const { source, shape } = values[id]!
  if (source.kind !== 'constant' || shape.length > 0 || source.values.length !== 1) return undefined
  const value = source.values[0]
  return typeof value === 'number' ? value : undefined
}
