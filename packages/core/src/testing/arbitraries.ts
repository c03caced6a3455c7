import type * as FC from 'fast-check'
import { allocate, isFloat, type NumericDType } from '../dtype.js'
import { ValueError } from '../errors.js'
import { sizeOf, type Sizes } from '../shape.js'
import { fromHost, type Tensor } from '../tensor.js'
import { elementsOf } from './cutting.js'
import { type Program, programs, type ProgramOptions } from './program.js'

/** What is used of fast-check: pass the module itself, `import * as fc` and `import fc` alike. */
export type FastCheck = Pick<
  typeof FC,
  | 'Arbitrary'
  | 'array'
  | 'boolean'
  | 'constantFrom'
  | 'integer'
  | 'nat'
  | 'stream'
  | 'tuple'
  | 'uniqueArray'
  | 'Value'
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
    const dtype = options.dtype ?? 'float64'
    const { listOf, numberOf } = elements(fc, dtype, options)
    if (isShape(of)) return listOf(sizeOf(of)).map((list) => tensorOf(list.map(numberOf), of, dtype))
    return elementsOf(fc, of, listOf).map((found) => tensorOf(found.list.map(numberOf), found.shape, dtype))
  }

  const tensors = (
    of: readonly Sizes[] | FC.Arbitrary<readonly Sizes[]>,
    options: TensorOptions = {},
  ): FC.Arbitrary<Tensor[]> => {
    if (!isList(of)) return of.chain((shapes) => tensors(shapes, options))
    const dtype = options.dtype ?? 'float64'
    const total = of.reduce((sum, sides) => sum + sizeOf(sides), 0)
    // One list for all, so that `distinct` holds across them.
    const { listOf, numberOf } = elements(fc, dtype, options)
    return listOf(total).map((list) => {
      const values = list.map(numberOf)
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

/** An element as it is drawn and shrunk: a whole number, of which it is a decimal fraction, and what to put in its place. */
type Drawn = readonly [whole: number, special: readonly [isUsed: number, value: number]]

function elements(
  fc: FastCheck,
  dtype: NumericDType,
  options: TensorOptions,
): { listOf: (size: number) => FC.Arbitrary<Drawn[]>; numberOf: (drawn: Drawn) => number } {
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
  const isBeside = (whole: number): boolean =>
    kinks.every((kink) => Math.abs(whole / perUnit - kink) >= KINK_MARGIN)
  if (
    !(min <= max) ||
    !Number.isSafeInteger(from) ||
    !Number.isSafeInteger(to) ||
    !someOf(from, to, isBeside)
  )
    throw new ValueError(
      `arbitraries.tensor: there is nothing to choose between min ${min} and max ${max}` +
        (kinks.length > 0 ? ` beside ${kinks.join(', ')}` : ''),
    )

  const all = fc.integer({ min: from, max: to })
  const whole = kinks.length === 0 ? all : all.filter(isBeside)
  // One in four is special where asked for, and none once shrunk.
  const replaced = fc.tuple(fc.nat({ max: special && isFloat(dtype) ? 3 : 0 }), fc.constantFrom(...SPECIAL))
  const drawn: FC.Arbitrary<Drawn> = fc.tuple(whole, replaced)
  return {
    listOf(size) {
      const length = { minLength: size, maxLength: size }
      return distinct
        ? fc.uniqueArray(drawn, { ...length, selector: ([k]: Drawn) => k })
        : fc.array(drawn, length)
    },
    numberOf: ([k, [isUsed, value]]) => (isUsed === 3 ? value : k / perUnit),
  }
}

/** Whether `f` is true of some whole number in a range, at most a few thousand of which are tried. */
function someOf(from: number, to: number, f: (k: number) => boolean): boolean {
  const step = Math.max(1, Math.floor((to - from) / 5000))
  for (let k = from; k <= to; k += step) if (f(k)) return true
  return from <= to && f(to)
}

const SPECIAL = [0, -0, NaN, Infinity, -Infinity, 1e300, -1e300, 1e-310, -1e-310, 2 ** -149, 1e38]
