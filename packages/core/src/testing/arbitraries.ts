import type * as FC from 'fast-check'
import { allocate, isFloat, type NumericDType } from '../dtype.js'
import { ValueError } from '../errors.js'
import { sizeOf, type Sizes } from '../shape.js'
import { fromHost, type Tensor } from '../tensor.js'
import { type Program, programs, type ProgramOptions } from './program.js'

/** What is used of fast-check: pass the module itself, `import * as fc` and `import fc` alike. */
export type FastCheck = Pick<
  typeof FC,
  'array' | 'boolean' | 'constantFrom' | 'integer' | 'nat' | 'oneof' | 'tuple' | 'uniqueArray'
>

/** Options of {@link Arbitraries.shape}. */
export interface ShapeOptions {
  /** 0 unless given: scalars too. */
  readonly minRank?: number
  /** 3 unless given. */
  readonly maxRank?: number
  /** 1 unless given; 0 allows tensors without elements. */
  readonly minSide?: number
  /** 4 unless given. */
  readonly maxSide?: number
}

/** Options of {@link Arbitraries.tensor}. */
export interface TensorOptions {
  /** float64 unless given. */
  readonly dtype?: NumericDType
  /** -2 unless given. */
  readonly min?: number
  /** 2 unless given. */
  readonly max?: number
  /** Values to stay 0.05 away from: where the function to be checked has no derivative. */
  readonly kinks?: readonly number[]
  /** No two elements alike, for functions with kinks at ties, such as max. */
  readonly distinct?: boolean
  /** Also NaN, infinities, -0, the largest and the smallest numbers. For floats. */
  readonly special?: boolean
}

/** Made by {@link arbitraries}. */
export interface Arbitraries {
  shape(options?: ShapeOptions): FC.Arbitrary<number[]>
  /** `count` shapes that broadcast to one, by NumPy's rule. */
  broadcastableShapes(count: number, options?: ShapeOptions): FC.Arbitrary<number[][]>
  /** Short decimal fractions, that shrink towards 0; a shape may itself be an arbitrary. */
  tensor(shape: Sizes | FC.Arbitrary<Sizes>, options?: TensorOptions): FC.Arbitrary<Tensor>
  /** One tensor for each shape. */
  tensors(
    shapes: readonly Sizes[] | FC.Arbitrary<readonly Sizes[]>,
    options?: TensorOptions,
  ): FC.Arbitrary<Tensor[]>
  /** Whole differentiable functions, with inputs at which they are smooth. */
  program(options?: ProgramOptions): FC.Arbitrary<Program>
}

/**
 * fast-check's arbitraries for tensors and what is made of them. fast-check is handed in, so that this library does
 * not depend on it.
 * @example
 * const arb = arbitraries(fc)
 * fc.assert(fc.property(arb.tensor([3, 4]), (x) => checkGradients(myLoss, [x])))
 */
export function arbitraries(fc: FastCheck): Arbitraries {
  const shape = ({ minRank = 0, maxRank = 3, minSide = 1, maxSide = 4 }: ShapeOptions = {}): FC.Arbitrary<
    number[]
  > => fc.array(fc.integer({ min: minSide, max: maxSide }), { minLength: minRank, maxLength: maxRank })

  const broadcastableShapes = (count: number, options: ShapeOptions = {}): FC.Arbitrary<number[][]> => {
    const { minRank = 0, maxRank = 3 } = options
    const part = fc.tuple(
      fc.nat({ max: maxRank - minRank }),
      fc.array(fc.boolean(), { minLength: maxRank, maxLength: maxRank }),
    )
    return fc
      .tuple(shape(options), fc.array(part, { minLength: count, maxLength: count }))
      .map(([full, parts]) =>
        parts.map(([dropped, isOne]) =>
          full.map((side, axis) => (isOne[axis]! ? 1 : side)).slice(Math.min(dropped, full.length - minRank)),
        ),
      )
  }

  const tensor = (of: Sizes | FC.Arbitrary<Sizes>, options: TensorOptions = {}): FC.Arbitrary<Tensor> => {
    if (!isShape(of)) return of.chain((sides) => tensor(sides, options))
    const dtype = options.dtype ?? 'float64'
    return elements(fc, sizeOf(of), dtype, options).map((values) => tensorOf(values, of, dtype))
  }

  const tensors = (
    of: readonly Sizes[] | FC.Arbitrary<readonly Sizes[]>,
    options: TensorOptions = {},
  ): FC.Arbitrary<Tensor[]> => {
    if (!isList(of)) return of.chain((shapes) => tensors(shapes, options))
    const dtype = options.dtype ?? 'float64'
    const total = of.reduce((sum, sides) => sum + sizeOf(sides), 0)
    // One list for all, so that `distinct` holds across them.
    return elements(fc, total, dtype, options).map((values) => {
      let start = 0
      return of.map((sides) => tensorOf(values.slice(start, (start += sizeOf(sides))), sides, dtype))
    })
  }

  return {
    shape,
    broadcastableShapes,
    tensor,
    tensors,
    program: (options) => programs(fc, { broadcastableShapes, tensor }, options),
  }
}

const isShape = (x: Sizes | FC.Arbitrary<Sizes>): x is Sizes => Array.isArray(x)
const isList = (x: readonly Sizes[] | FC.Arbitrary<readonly Sizes[]>): x is readonly Sizes[] =>
  Array.isArray(x)

function tensorOf(values: readonly number[], shape: Sizes, dtype: NumericDType): Tensor {
  const array = allocate(dtype, values.length)
  array.set(values)
  return fromHost(array, shape, dtype)
}

const KINK_MARGIN = 0.05

function elements(
  fc: FastCheck,
  count: number,
  dtype: NumericDType,
  options: TensorOptions,
): FC.Arbitrary<number[]> {
  const { kinks = [], distinct = false, special = false } = options
  const [low, high] = dtype === 'bool' ? [0, 1] : dtype === 'uint8' ? [0, 255] : [-2, 2]
  const min = options.min ?? low
  const max = options.max ?? Math.max(high, min)
  // At least a hundred decimal fractions fill the range, and ten thousand where all must differ.
  const perUnit = isFloat(dtype)
    ? 10 ** ((distinct ? 4 : 2) - Math.floor(Math.log10(Math.max(max - min, Number.MIN_VALUE))))
    : 1
  const from = Math.ceil(min * perUnit)
  const to = Math.floor(max * perUnit)
  if (!(min <= max) || !Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from > to)
    throw new ValueError(`arbitraries.tensor: there is nothing to choose between min ${min} and max ${max}`)

  const whole = fc.integer({ min: from, max: to })
  const length = { minLength: count, maxLength: count }
  const wholes = distinct ? fc.uniqueArray(whole, length) : fc.array(whole, length)
  const ordinary = wholes.map((list) => list.map((k) => awayFrom(kinks, k / perUnit, min, max)))
  if (!special || !isFloat(dtype)) return ordinary

  // Which elements are replaced, and by what, shrinks to none.
  const replacements = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.constantFrom(...SPECIAL)), length)
  return fc
    .tuple(ordinary, replacements)
    .map(([list, marks]) => list.map((value, i) => (marks[i]![0] === 2 ? marks[i]![1] : value)))
}

const SPECIAL = [0, -0, NaN, Infinity, -Infinity, 1e300, -1e300, 1e-310, -1e-310, 2 ** -149, 1e38]

/** `value`, or the nearest one in [min, max] that is the margin away from the kink it is near to. */
function awayFrom(kinks: readonly number[], value: number, min: number, max: number): number {
  for (const kink of kinks) {
    if (Math.abs(value - kink) >= KINK_MARGIN) continue
    const above = kink + KINK_MARGIN
    const below = kink - KINK_MARGIN
    return (value >= kink && above <= max) || below < min ? above : below
  }
  return value
}
