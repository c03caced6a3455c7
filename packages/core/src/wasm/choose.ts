import type { Aval } from '../aval.js'
import type { Kernel } from '../backend.js'
import { loopsOver } from '../cpu/map.js'
import { BYTES, type DType, float32Bits } from '../dtype.js'
import { type Sizes, sizeOf, stridesOf } from '../shape.js'
import type { Code, Int } from './code.js'
import { type IndexType, scatterScratch, writeCopy, writeFill, writeGather, writeScatterAdd } from './copy.js'
import { type Epilogue, matmulScratch, matmulSource, writeMatmul, writeMatVec } from './matmul.js'
import {
  isOnePass,
  isVectorReduceOp,
  type Load,
  writeArgReduce,
  writeReduceColumns,
  writeReduceRows,
  writeSoftmaxColumns,
  writeSoftmaxRows,
} from './reduce.js'

/** Kernels of more operands are left to the plain loops: functions take a limited number of parameters. */
export const MOST_OPERANDS = 200

// Which code computes a kernel. Eager ops compile it once for all sizes, plans once for the sizes at hand.

/** The code of a kernel, given where its operands and scratch are and the whole numbers that it depends on. */
export interface Writer {
  /** Equal for writers that write the same. */
  readonly key: string
  /** `whole` are the sizes of the whole kernel, where this is a part of it: they tell how far rows are apart. */
  write(
    c: Code,
    operands: readonly Int[],
    sizes: readonly Int[],
    scratch: Int,
    finish?: Epilogue,
    whole?: readonly Int[],
    load?: Load,
  ): void
}

export interface Choice {
  readonly writer: Writer
  readonly sizes: readonly number[]
  /** Bytes of scratch. */
  readonly scratch: number
  /** Whether the writer lets an epilogue finish what it stores. */
  readonly takesEpilogue?: boolean
  /** Whether it takes the numbers of its first operand as they are computed, given how. */
  readonly takesLoad?: boolean
  /** Whether the first of the sizes counts rows that do not know of one another, of which each operand has as many. */
  readonly hasRows?: boolean
}

/** The code for a kernel whose output has elements; undefined where there is none, and the plain loops have to do. */
export function choose(kernel: Kernel, inputs: readonly Aval[], out: Aval): Choice | undefined {
  if (inputs.length > MOST_OPERANDS) return undefined
  switch (kernel.kind) {
    case 'matmul':
      return matmul(kernel, inputs[0]!, inputs[1]!, out)
    case 'reduce':
      return reduce(kernel, inputs[0]!, out)
    case 'softmax':
      return softmax(kernel, inputs[0]!, out)
    case 'argReduce':
      return argReduce(kernel, inputs[0]!)
    case 'concat':
      return concat(kernel.axis, inputs, out)
    case 'slice':
      return slice(kernel, inputs[0]!, out)
    case 'place':
      return place(kernel, inputs[0]!, out)
    case 'permute':
      return permute(kernel.perm, inputs[0]!, out)
    case 'gather':
      return gather(kernel.axis, inputs[0]!, inputs[1]!)
    case 'scatterAdd':
      return scatterAdd(kernel.axis, inputs[0]!, inputs[1]!, inputs[2]!)
    default:
      return undefined
  }
}

const writers = new Map<string, Writer>()

/** The one writer of this key: what is compiled for eager ops is kept by it. */
function writer(key: string, write: Writer['write']): Writer {
  let known = writers.get(key)
  if (known === undefined) writers.set(key, (known = { key, write }))
  return known
}

type Of<K extends Kernel['kind']> = Extract<Kernel, { kind: K }>

function isSingle({ dtype }: Aval): boolean {
  return dtype === 'float32'
}

function matmul({ transposeA, transposeB }: Of<'matmul'>, a: Aval, b: Aval, out: Aval): Choice | undefined {
  if (!isSingle(a) || !isSingle(b)) return undefined
  const rank = out.shape.length
  let m = out.shape[rank - 2]!
  const n = out.shape[rank - 1]!
  const k = a.shape[a.shape.length - (transposeA ? 2 : 1)]!
  if (k === 0) return undefined
  let counts: readonly number[] = []
  let steps: readonly (readonly number[])[] = []
  if (rank > 2) {
    const batches = [a, b].map(({ shape }) => ({ shape: shape.slice(0, -2) }))
    const loops = loopsOver(batches, out.shape.slice(0, -2))
    counts = [...loops.outer, loops.inner]
    steps = [...loops.strides, loops.steps].map(([ofA, ofB]) => [ofA! * m * k * 4, ofB! * k * n * 4])
    // Rows of one matrix under another are a taller one; a batch of one is none.
    if (
      counts.length === 1 &&
      (counts[0] === 1 || (!transposeA && steps[0]![1] === 0 && steps[0]![0] !== 0))
    ) {
      m *= counts[0]!
      counts = steps = []
    }
  }
  // A vector is a row and a column: bᵀa, or baᵀ, has nothing to be turned where ab has.
  const flips = n === 1 ? transposeA : m === 1 && transposeB
  const source = flips
    ? matmulSource(!transposeB, !transposeA, n, m, k)
    : matmulSource(transposeA, transposeB, m, n, k)
  const { narrow } = source
  const loops = counts.length
  const key = `matmul ${flips} ${Object.values(source).join()} ${loops}`
  return {
    writer: writer(key, (c, [a0, b0, out0], sizes, scratch, finish, [wholeM, wholeN] = sizes) => {
      const [m_, n_, k_, ...rest] = sizes
      const write = narrow === 1 && !source.transposeA ? writeMatVec : writeMatmul
      const multiply = (at: Int, bt: Int, product: Int): void => {
        const places = flips
          ? { a: bt, b: at, m: n_!, n: m_!, wholeM: wholeN!, wholeN: wholeM! }
          : { a: at, b: bt, m: m_!, n: n_!, wholeM: wholeM!, wholeN: wholeN! }
        write(c, source, { ...places, k: k_!, out: product, scratch }, finish)
      }
      if (loops === 0) {
        multiply(a0!, b0!, out0!)
        return
      }
      const to = c.copyOf(out0!)
      const bytes = c.product(c.product(m_!, n_!), 4)
      const nest = (axis: number, at: Int, bt: Int): void => {
        if (axis === loops) {
          multiply(at, bt, to)
          c.advance(to, bytes)
          return
        }
        const [x, y] = [c.copyOf(at), c.copyOf(bt)]
        const i = c.copyOf(0)
        c.loop(i, rest[axis]!, 1, () => {
          nest(axis + 1, x, y)
          c.advance(x, rest[loops + axis]!).advance(y, rest[2 * loops + axis]!)
        })
      }
      nest(0, a0!, b0!)
    }),
    sizes: [m, n, k, ...counts, ...steps.map(([ofA]) => ofA!), ...steps.map(([, ofB]) => ofB!)],
    scratch: matmulScratch(source, flips ? n : m, k),
    takesEpilogue: loops === 0 && narrow === undefined,
  }
}

/** The sides before, along and after adjacent axes. */
function around(shape: Sizes, first: number, last: number): readonly [number, number, number] {
  return [sizeOf(shape.slice(0, first)), sizeOf(shape.slice(first, last + 1)), sizeOf(shape.slice(last + 1))]
}

function reduce({ op, axes, correction = 0 }: Of<'reduce'>, x: Aval, out: Aval): Choice | undefined {
  if (!isSingle(x) || !isSingle(out) || !isVectorReduceOp(op)) return undefined
  const first = axes[0] ?? 0
  const last = axes.at(-1) ?? -1
  if (last - first !== axes.length - 1 || !Number.isInteger(correction)) return undefined
  const [outer, count, inner] = around(x.shape, first, last)
  if (count === 0) return undefined
  const isRows = inner === 1
  const divisor = Math.max(count - (op === 'variance' ? correction : 0), 0)
  return {
    writer: writer(
      isRows ? `${op} of rows` : `${op} of columns`,
      (c, [from, to], sizes, _scratch, _finish, whole = sizes, load) => {
        const [outer_, count_, inner_, divisor_] = sizes as [Int, Int, Int, Int]
        const sides = {
          outer: outer_,
          count: count_,
          inner: inner_,
          wholeInner: whole[2]!,
          divisor: divisor_,
        }
        const places = { x: from!, out: to!, load, ...sides }
        if (isRows) writeReduceRows(c, op, places)
        else writeReduceColumns(c, op, places)
      },
    ),
    sizes: [outer, count, inner, divisor],
    scratch: 0,
    takesLoad: isOnePass(op, isRows),
    hasRows: true,
  }
}

function softmax({ axis, log }: Of<'softmax'>, x: Aval, out: Aval): Choice | undefined {
  if (!isSingle(x) || !isSingle(out)) return undefined
  const [outer, count, inner] = around(x.shape, axis, axis)
  const isRows = inner === 1
  return {
    writer: writer(`softmax ${log} ${isRows}`, (c, [from, to], [outer_, count_, inner_]) => {
      const places = { x: from!, out: to!, outer: outer_!, count: count_!, inner: inner_! }
      if (isRows) writeSoftmaxRows(c, log, places)
      else writeSoftmaxColumns(c, log, places)
    }),
    sizes: [outer, count, inner],
    scratch: 0,
    hasRows: true,
  }
}

function argReduce({ op, axis }: Of<'argReduce'>, x: Aval): Choice | undefined {
  if (!isSingle(x)) return undefined
  return {
    writer: writer(`position of ${op}`, (c, [from, to], [outer, count, inner]) =>
      writeArgReduce(c, op, { x: from!, out: to!, outer: outer!, count: count!, inner: inner! }),
    ),
    sizes: [...around(x.shape, axis, axis)],
    scratch: 0,
    hasRows: true,
  }
}

function concat(axis: number, inputs: readonly Aval[], out: Aval): Choice | undefined {
  if (inputs.some(({ dtype }) => dtype !== out.dtype)) return undefined
  const unit = BYTES[out.dtype]
  const rows = sizeOf(out.shape.slice(0, axis))
  const widths = inputs.map(({ shape }) => sizeOf(shape.slice(axis)) * unit)
  return {
    writer: writer(`concat ${inputs.length} ${unit}`, (c, operands, [rows_, step, ...bytes]) => {
      let to: Int = operands.at(-1)!
      bytes.forEach((width, i) => {
        if (width === 0) return
        const write = (): void =>
          writeCopy(c, {
            from: operands[i]!,
            to,
            counts: [rows_!],
            fromSteps: [width],
            toSteps: [step!],
            bytes: width,
            unit,
          })
        if (typeof width === 'number') write()
        else c.op(width).if(write)
        to = c.sum(to, width)
      })
    }),
    sizes: [rows, widths.reduce((a, b) => a + b, 0), ...widths],
    scratch: 0,
  }
}

function slice({ begin, strides }: Of<'slice'>, x: Aval, out: Aval): Choice {
  const own = stridesOf(x.shape)
  const start = begin.reduce((sum, b, axis) => sum + b * own[axis]!, 0)
  const from = strides.map((s, axis) => s * own[axis]!)
  return copy(out.shape, from, stridesOf(out.shape), start, 0, out.dtype)
}

function permute(perm: readonly number[], x: Aval, out: Aval): Choice {
  const own = stridesOf(x.shape)
  const from = perm.map((axis) => own[axis]!)
  return copy(out.shape, from, stridesOf(out.shape), 0, 0, out.dtype)
}

function place({ begin, strides, value }: Of<'place'>, x: Aval, out: Aval): Choice | undefined {
  const own = stridesOf(out.shape)
  const start = begin.reduce((sum, b, axis) => sum + b * own[axis]!, 0)
  const to = strides.map((s, axis) => s * own[axis]!)
  const unit = BYTES[out.dtype]
  // Eight bytes are only ever filled with zeros.
  if (unit === 8 && !Object.is(value, 0)) return undefined
  const bits = out.dtype === 'float32' ? float32Bits(value) : out.dtype === 'float64' ? 0 : value
  const isWord = unit === 4 && bits !== 0
  const bytes = sizeOf(out.shape) * unit
  if (sizeOf(x.shape) === 0)
    return {
      writer: writer(`fill ${isWord}`, (c, operands, [bits_, bytes_]) =>
        writeFill(c, operands.at(-1)!, bytes_!, bits_!, isWord),
      ),
      sizes: [bits, bytes],
      scratch: 0,
    }
  const inside = copy(x.shape, stridesOf(x.shape), to, 0, start, out.dtype)
  return {
    writer: writer(
      `fill ${isWord} and ${inside.writer.key}`,
      (c, operands, [bits_, bytes_, ...rest], scratch) => {
        writeFill(c, operands.at(-1)!, bytes_!, bits_!, isWord)
        inside.writer.write(c, operands, rest, scratch)
      },
    ),
    sizes: [bits, bytes, ...inside.sizes],
    scratch: 0,
  }
}

/** to[offset + i * toStrides] = from[offset + i * fromStrides] for all positions of a shape; strides in elements. */
function copy(
  shape: Sizes,
  fromStrides: readonly number[],
  toStrides: readonly number[],
  fromOffset: number,
  toOffset: number,
  dtype: DType,
): Choice {
  const unit = BYTES[dtype]
  const counts: number[] = []
  const from: number[] = []
  const to: number[] = []
  // From the last axis, neighbours merged where one continues the other on both sides.
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const side = shape[axis]!
    if (side === 1) continue
    const [f, t] = [fromStrides[axis]!, toStrides[axis]!]
    const n = counts[0]
    if (n !== undefined && f === from[0]! * n && t === to[0]! * n) counts[0] = n * side
    else {
      counts.unshift(side)
      from.unshift(f)
      to.unshift(t)
    }
  }
  let bytes = unit
  if (from.at(-1) === 1 && to.at(-1) === 1) {
    bytes *= counts.pop()!
    from.pop()
    to.pop()
  }
  const loops = counts.length
  const isElement = bytes === unit
  return {
    writer: writer(`copy ${loops} ${unit} ${isElement}`, (c, operands, sizes) => {
      const [fromStart, toStart, width, ...rest] = sizes as [Int, Int, Int, ...Int[]]
      writeCopy(c, {
        from: c.sum(operands[0]!, fromStart),
        to: c.sum(operands.at(-1)!, toStart),
        counts: rest.slice(0, loops),
        fromSteps: rest.slice(loops, 2 * loops),
        toSteps: rest.slice(2 * loops),
        bytes: isElement ? unit : width,
        unit,
      })
    }),
    sizes: [
      fromOffset * unit,
      toOffset * unit,
      bytes,
      ...counts,
      ...from.map((step) => step * unit),
      ...to.map((step) => step * unit),
    ],
    scratch: 0,
  }
}

function indexType({ dtype }: Aval): IndexType | undefined {
  return dtype === 'int32' || dtype === 'uint8' ? dtype : undefined
}

function gather(axis: number, x: Aval, indices: Aval): Choice | undefined {
  const type = indexType(indices)
  const [outer, side, inner] = around(x.shape, axis, axis)
  if (type === undefined || side === 0) return undefined
  const unit = BYTES[x.dtype]
  const isElement = inner === 1
  return {
    writer: writer(`gather ${type} ${unit} ${isElement}`, (c, [from, at, to], sizes) => {
      const [outer_, count, side_, bytes] = sizes as [Int, Int, Int, Int]
      writeGather(c, type, {
        x: from!,
        indices: at!,
        out: to!,
        outer: outer_,
        count,
        side: side_,
        bytes: isElement ? unit : bytes,
        unit,
      })
    }),
    sizes: [outer, sizeOf(indices.shape), side, inner * unit],
    scratch: 0,
  }
}

function scatterAdd(axis: number, x: Aval, indices: Aval, updates: Aval): Choice | undefined {
  const type = indexType(indices)
  const [outer, side, inner] = around(x.shape, axis, axis)
  const count = sizeOf(indices.shape)
  if (type === undefined || !isSingle(x) || !isSingle(updates) || count === 0) return undefined
  return {
    writer: writer(`scatter ${type}`, (c, operands, sizes, scratch) => {
      const [from, at, terms, to] = operands as [Int, Int, Int, Int]
      const [outer_, count_, side_, inner_] = sizes as [Int, Int, Int, Int]
      writeScatterAdd(c, type, {
        x: from,
        indices: at,
        updates: terms,
        out: to,
        outer: outer_,
        count: count_,
        side: side_,
        inner: inner_,
        scratch,
      })
    }),
    sizes: [outer, count, side, inner],
    scratch: scatterScratch(side, count, inner),
  }
}
