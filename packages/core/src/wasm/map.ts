import type { DType } from '../dtype.js'
import type { Expr } from '../expr/tree.js'
import type { Code, Int, Local } from './code.js'
import { type Lanes, LaneWriter } from './lanes.js'
import { keep } from './vector-math.js'

/** An elementwise kernel: formulas of its inputs and of one another, some of which are stored. */
export interface MapSource {
  readonly inputs: readonly MapInput[]
  readonly steps: readonly MapStep[]
  /** The steps that are stored, in the order of the outputs. */
  readonly outputs: readonly number[]
}

export interface MapStep {
  readonly body: Expr
  /** What the formula's arguments are: inputs of the kernel first, then the steps before; or known numbers. */
  readonly args: readonly (number | Lanes)[]
  /** The result is rounded to it. */
  readonly dtype: DType
  /** As the arguments. */
  readonly params: readonly (number | Lanes)[]
}

export interface MapInput {
  readonly dtype: DType
  /** Whether a row holds one value, for all its elements. */
  readonly isOnce: boolean
}

/** Where a kernel finds its operands. Rows of inputs are so many bytes apart; those of outputs follow one another, unless it is said. */
export interface MapPlaces {
  readonly inputs: readonly Int[]
  readonly inputSteps: readonly Int[]
  readonly outputs: readonly Int[]
  readonly outputSteps?: readonly Int[]
  readonly rows: Int
  /** Elements of a row. */
  readonly inner: Int
}

const BYTES_OF_FOUR: Readonly<Record<DType, number>> = {
  float32: 16,
  float64: 32,
  int32: 16,
  uint8: 4,
  bool: 4,
  string: 0,
}

/** An address that moves along a row: a local, and what is added to it at every access. */
interface Walk {
  readonly at: Local
  readonly offset: number
  readonly bytes: number
}

/**
 * Writes the loops of an elementwise kernel, four elements at a time. The last four of a row may reach over its end:
 * of inputs that is read and not used, of outputs it is written before the next row is, or lies in the padding.
 */
export function writeMap(c: Code, source: MapSource, places: MapPlaces): void {
  const { rows, inner } = places
  if (rows === 1) {
    writeRow(c, source, places.inputs, places.outputs, inner)
    return
  }
  const inputs = places.inputs.map((at) => c.copyOf(at))
  const outputs = places.outputs.map((at) => c.copyOf(at))
  const outputSteps =
    places.outputSteps ?? dtypesOf(source).map((dtype) => c.product(inner, BYTES_OF_FOUR[dtype] / 4))
  const row = c.copyOf(0)
  c.loop(row, rows, 1, () => {
    writeRow(c, source, inputs, outputs, inner)
    inputs.forEach((at, i) => c.advance(at, places.inputSteps[i]!))
    outputs.forEach((at, i) => c.advance(at, outputSteps[i]!))
  })
}

function dtypesOf({ steps, outputs }: MapSource): DType[] {
  return outputs.map((step) => steps[step]!.dtype)
}

function writeRow(
  c: Code,
  source: MapSource,
  inputs: readonly Int[],
  outputs: readonly Int[],
  inner: Int,
): void {
  /** Known addresses share one moving local for each size of element. */
  const shared = new Map<number, Walk>()
  const walks: Walk[] = []
  const walk = (base: Int, dtype: DType): Walk => {
    const bytes = BYTES_OF_FOUR[dtype]
    if (typeof base === 'object') {
      const own: Walk = { at: c.copyOf(base), offset: 0, bytes }
      walks.push(own)
      return own
    }
    let at = shared.get(bytes)
    if (at === undefined) {
      at = { at: c.copyOf(0), offset: 0, bytes }
      shared.set(bytes, at)
      walks.push(at)
    }
    return { ...at, offset: base }
  }
  const once = source.inputs.map(({ dtype, isOnce }, i) =>
    isOnce ? loadOnce(c, inputs[i]!, dtype) : undefined,
  )
  const inputWalks = source.inputs.map(({ dtype, isOnce }, i) =>
    isOnce ? undefined : walk(inputs[i]!, dtype),
  )
  const outputWalks = dtypesOf(source).map((dtype, i) => walk(outputs[i]!, dtype))
  const i = c.copyOf(0)
  c.loop(i, inner, 4, () => {
    const results = writeSteps(
      c,
      source,
      source.inputs.map(({ dtype }, k) => once[k] ?? load(c, inputWalks[k]!, dtype)),
    )
    // All are computed before any is stored: an output may lie where an input does.
    source.outputs.forEach((step, k) => store(c, outputWalks[k]!, source.steps[step]!.dtype, results[step]!))
    for (const { at, bytes } of walks) c.advance(at, bytes)
  })
}

/** The results of all steps for four elements of each input. */
export function writeSteps(c: Code, { steps }: MapSource, inputs: readonly Lanes[]): readonly Lanes[] {
  const values = [...inputs]
  for (const { body, args, dtype, params } of steps) {
    const writer = new LaneWriter(
      c,
      dtype,
      args.map((arg) => (typeof arg === 'number' ? values[arg]! : arg)),
      params.map((param) => (typeof param === 'number' ? values[param]! : param)),
    )
    values.push(writer.result(body))
  }
  return values.slice(inputs.length)
}

function load(c: Code, { at, offset }: Walk, dtype: DType): Lanes {
  switch (dtype) {
    case 'float32':
      return { kind: 'single', all: keep(c, () => c.get(at).memory('v128.load', offset)) }
    case 'float64': {
      const low = keep(c, () => c.get(at).memory('v128.load', offset))
      return { kind: 'double', low, high: keep(c, () => c.get(at).memory('v128.load', offset + 16)) }
    }
    case 'int32': {
      return { kind: 'int', all: keep(c, () => c.get(at).memory('v128.load', offset)) }
    }
    default: {
      const all = keep(c, () =>
        c
          .get(at)
          .memory('v128.load32_zero', offset)
          .op('i16x8.extend_low_i8x16_u', 'i32x4.extend_low_i16x8_u', 'f32x4.convert_i32x4_u'),
      )
      return { kind: 'single', all }
    }
  }
}

/** One value, four times. */
export function loadOnce(c: Code, at: Int, dtype: DType): Lanes {
  const address = (): Code => c.op(at)
  switch (dtype) {
    case 'float32':
      return { kind: 'single', all: keep(c, () => address().memory('v128.load32_splat')) }
    case 'float64': {
      const all = keep(c, () => address().memory('v128.load64_splat'))
      return { kind: 'double', low: all, high: all }
    }
    case 'int32': {
      return { kind: 'int', all: keep(c, () => address().memory('v128.load32_splat')) }
    }
    default: {
      const all = keep(c, () => address().memory('i32.load8_u').op('i32x4.splat', 'f32x4.convert_i32x4_u'))
      return { kind: 'single', all }
    }
  }
}

function store(c: Code, { at, offset }: Walk, dtype: DType, value: Lanes): void {
  c.get(at)
  if (value.kind === 'single' || (value.kind === 'int' && dtype === 'int32'))
    c.get(value.all).memory('v128.store', offset)
  else if (value.kind === 'double') {
    c.get(value.low).memory('v128.store', offset)
    c.get(at)
      .get(value.high)
      .memory('v128.store', offset + 16)
  } else if (value.kind === 'mask') {
    // A mask's lanes are 0 or -1; narrowed with signs they keep one byte of that each, of which the lowest bit stays.
    c.get(value.all).get(value.all).op('i16x8.narrow_i32x4_s')
    const narrow = keep(c, () => undefined)
    c.get(narrow).get(narrow).op('i8x16.narrow_i16x8_s')
    c.lane('i32x4', 0).op(0x01010101, 'i32.and').memory('i32.store', offset)
  } else if (value.kind === 'int') {
    // Each is below 256.
    c.get(value.all).get(value.all).op('i16x8.narrow_i32x4_s')
    const narrow = keep(c, () => undefined)
    c.get(narrow).get(narrow).op('i8x16.narrow_i16x8_u')
    c.lane('i32x4', 0).memory('i32.store', offset)
  } else throw new Error(`a constant cannot be stored as ${dtype}`)
}
