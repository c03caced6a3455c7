import {
  type Backend,
  eye,
  floatx,
  full,
  mul,
  ones,
  random,
  ShapeError,
  type Sizes,
  type Tensor,
  tensor,
  ValueError,
  withBackend,
  zeros,
} from '@adjoint/core'
import { formatShape, sizeOf } from '@adjoint/core/extend'
import { functionOf, Names } from './names.js'
import {
  given,
  checkChoice,
  checkKeys,
  checkNumber,
  FINITE,
  NOT_NEGATIVE,
  POSITIVE,
} from './option-checks.js'
import type { InitializerName } from './types.js'

type Float = 'float32' | 'float64'

/** Makes the first values of a weight, of the default float unless a dtype is given. */
export interface WeightInitializer {
  (shape: Sizes, dtype?: Float): Tensor
  /** The name in Keras' spelling, and the options. */
  readonly config: Readonly<Record<string, string | number>>
}

/** Options of initializers that draw random numbers. */
export interface SeedOptions {
  /** Makes every call draw the same numbers; without it each call draws the next ones of the global seed. */
  readonly seed?: number
}
export interface RandomUniformOptions extends SeedOptions {
  /** Default -0.05. */
  readonly minval?: number
  /** Default 0.05. */
  readonly maxval?: number
}
export interface RandomNormalOptions extends SeedOptions {
  /** Default 0. */
  readonly mean?: number
  /** Default 0.05. */
  readonly stddev?: number
}
export interface GainOptions {
  /** Factor of all values (default 1). */
  readonly gain?: number
}
export interface VarianceScalingOptions extends SeedOptions {
  /** Default 1. */
  readonly scale?: number
  /** What the variance is divided by (default 'fan_in'). */
  readonly mode?: 'fan_in' | 'fan_out' | 'fan_avg'
  /** Default 'truncated_normal'. */
  readonly distribution?: 'uniform' | 'truncated_normal' | 'untruncated_normal'
}

function initializer(
  config: Readonly<Record<string, string | number>>,
  make: (shape: Sizes, dtype: Float) => Tensor,
): WeightInitializer {
  return Object.assign((shape: Sizes, dtype: Float = floatx()) => make(shape, dtype), { config })
}

/** All elements `value`. */
function constant(value: number): WeightInitializer {
  checkNumber('constant', 'value', value, FINITE)
  return initializer({ name: 'constant', value }, (shape, dtype) => full(shape, value, dtype))
}

/** Uniform in [minval, maxval). */
function randomUniform(options: RandomUniformOptions = {}): WeightInitializer {
  checkKeys('randomUniform', options, ['minval', 'maxval', 'seed'])
  const min = checkNumber('randomUniform', 'minval', given(options.minval, -0.05), FINITE)
  const max = checkNumber('randomUniform', 'maxval', given(options.maxval, 0.05), FINITE)
  if (min > max) throw new ValueError(`randomUniform: minval ${min} is above maxval ${max}`)
  return initializer(
    { name: 'random_uniform', minval: min, maxval: max, ...seedOf(options) },
    (shape, dtype) => random.uniform(shape, { min, max, dtype, ...seedOf(options) }),
  )
}

/** Normally distributed. */
function randomNormal(options: RandomNormalOptions = {}): WeightInitializer {
  const { mean, std } = checkNormal('randomNormal', options)
  return initializer({ name: 'random_normal', mean, stddev: std, ...seedOf(options) }, (shape, dtype) =>
    random.normal(shape, { mean, std, dtype, ...seedOf(options) }),
  )
}

/** Normally distributed, with values further than two standard deviations from the mean drawn again. */
function truncatedNormal(options: RandomNormalOptions = {}): WeightInitializer {
  const { mean, std } = checkNormal('truncatedNormal', options)
  return initializer({ name: 'truncated_normal', mean, stddev: std, ...seedOf(options) }, (shape, dtype) =>
    random.truncatedNormal(shape, { mean, std, dtype, ...seedOf(options) }),
  )
}

function checkNormal(what: string, options: RandomNormalOptions): { mean: number; std: number } {
  checkKeys(what, options, ['mean', 'stddev', 'seed'])
  return {
    mean: checkNumber(what, 'mean', given(options.mean, 0), FINITE),
    std: checkNumber(what, 'stddev', given(options.stddev, 0.05), NOT_NEGATIVE),
  }
}

/** The standard deviation of the standard normal distribution truncated at ±2. */
const STD_OF_TRUNCATED = 0.8796256610342398

/**
 * Values whose variance is scale / fan, whatever the shape: uniform within ±sqrt(3 scale / fan), or normal. The
 * truncated normal is widened, so that what is left has that variance.
 */
function varianceScaling(options: VarianceScalingOptions = {}): WeightInitializer {
  return scaled('varianceScaling', 'variance_scaling', options, {}, ['scale', 'mode', 'distribution', 'seed'])
}

function scaled(
  what: string,
  name: string,
  options: VarianceScalingOptions,
  fixed: VarianceScalingOptions,
  known: readonly string[] = ['seed'],
): WeightInitializer {
  checkKeys(what, options, known)
  const { scale = 1, mode = 'fan_in', distribution = 'truncated_normal' } = { ...options, ...fixed }
  checkNumber(what, 'scale', scale, POSITIVE)
  checkChoice(what, 'mode', mode, ['fan_in', 'fan_out', 'fan_avg'])
  checkChoice(what, 'distribution', distribution, ['uniform', 'truncated_normal', 'untruncated_normal'])
  const seed = seedOf(options)
  return initializer({ name, ...options }, (shape, dtype) => {
    const { fanIn, fanOut } = computeFans(shape)
    const fan = { fan_in: fanIn, fan_out: fanOut, fan_avg: (fanIn + fanOut) / 2 }[mode]
    const variance = scale / Math.max(1, fan)
    if (distribution === 'uniform') {
      const max = Math.sqrt(3 * variance)
      return random.uniform(shape, { min: -max, max, dtype, ...seed })
    }
    const std = Math.sqrt(variance)
    return distribution === 'untruncated_normal'
      ? random.normal(shape, { std, dtype, ...seed })
      : random.truncatedNormal(shape, { std: std / STD_OF_TRUNCATED, dtype, ...seed })
  })
}

/**
 * How many numbers flow into and out of one unit of a weight: [in, out] for a matrix, kernels have their channels
 * last, [...window, in, out].
 */
export function computeFans(shape: Sizes): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2) {
    const fan = shape[0] ?? 1
    return { fanIn: fan, fanOut: fan }
  }
  const window = sizeOf(shape.slice(0, -2))
  return { fanIn: shape.at(-2)! * window, fanOut: shape.at(-1)! * window }
}

/** U(-a, a), a = sqrt(6 / (fanIn + fanOut)) (Glorot & Bengio 2010, eq. 16). */
function glorotUniform(options: SeedOptions = {}): WeightInitializer {
  return scaled('glorotUniform', 'glorot_uniform', options, { mode: 'fan_avg', distribution: 'uniform' })
}

/** Truncated normal of variance 2 / (fanIn + fanOut) (Glorot & Bengio 2010, eq. 12). */
function glorotNormal(options: SeedOptions = {}): WeightInitializer {
  return scaled('glorotNormal', 'glorot_normal', options, { mode: 'fan_avg' })
}

/** U(-a, a), a = sqrt(6 / fanIn) (He et al. 2015). */
function heUniform(options: SeedOptions = {}): WeightInitializer {
  return scaled('heUniform', 'he_uniform', options, { scale: 2, distribution: 'uniform' })
}

/** Truncated normal of variance 2 / fanIn (He et al. 2015, eq. 10). */
function heNormal(options: SeedOptions = {}): WeightInitializer {
  return scaled('heNormal', 'he_normal', options, { scale: 2 })
}

/** U(-a, a), a = sqrt(3 / fanIn). */
function lecunUniform(options: SeedOptions = {}): WeightInitializer {
  return scaled('lecunUniform', 'lecun_uniform', options, { distribution: 'uniform' })
}

/** Truncated normal of variance 1 / fanIn (LeCun et al. 1998). */
function lecunNormal(options: SeedOptions = {}): WeightInitializer {
  return scaled('lecunNormal', 'lecun_normal', options, {})
}

/**
 * A matrix with orthonormal columns, or rows where there are fewer of them; all axes but the last count as rows
 * (Saxe et al. 2014). Every such matrix is equally likely.
 */
function orthogonal(options: GainOptions & SeedOptions = {}): WeightInitializer {
  checkKeys('orthogonal', options, ['gain', 'seed'])
  const gain = checkNumber('orthogonal', 'gain', given(options.gain, 1), FINITE)
  const seed = seedOf(options)
  return initializer({ name: 'orthogonal', gain, ...seed }, (shape, dtype) => {
    if (shape.length < 2)
      throw new ShapeError(`orthogonal: the weight must have two axes or more, got ${formatShape(shape)}`, {
        op: 'orthogonal',
        shapes: [shape],
      })
    const columns = shape.at(-1)!
    const rows = sizeOf(shape.slice(0, -1))
    const count = Math.min(rows, columns)
    const length = Math.max(rows, columns)
    const vectors = withBackend(host, () =>
      random.normal([count, length], { dtype: 'float64', ...seed }).dataSync(),
    )
    orthonormalize(vectors, count, length)
    const values = new Float64Array(vectors.length)
    for (let k = 0; k < count; k++)
      for (let i = 0; i < length; i++)
        values[rows < columns ? k * length + i : i * count + k] = gain * vectors[k * length + i]!
    return tensor(values, { shape, dtype })
  })
}

/** Where random numbers are drawn to be worked on: nothing is computed there. */
const host: Backend = {
  name: 'host',
  run() {
    throw new Error('host: there are no kernels')
  },
  upload: (values) => values,
  read: (handle) => Promise.resolve(handle as Float64Array),
  readSync: (handle) => handle as Float64Array,
}

/** Gram and Schmidt's method, modified: each vector in turn is normalised and taken out of those after it. */
function orthonormalize(vectors: { [i: number]: number }, count: number, length: number): void {
  for (let k = 0; k < count; k++) {
    const at = k * length
    const norm = Math.sqrt(dot(vectors, at, at, length))
    for (let i = 0; i < length; i++) vectors[at + i] = vectors[at + i]! / norm
    for (let j = k + 1; j < count; j++) {
      const other = j * length
      const part = dot(vectors, at, other, length)
      for (let i = 0; i < length; i++) vectors[other + i] = vectors[other + i]! - part * vectors[at + i]!
    }
  }
}

function dot(values: { readonly [i: number]: number }, a: number, b: number, length: number): number {
  let sum = 0
  for (let i = 0; i < length; i++) sum += values[a + i]! * values[b + i]!
  return sum
}

/** `gain` on the diagonal, 0 elsewhere. */
function identity(options: GainOptions = {}): WeightInitializer {
  checkKeys('identity', options, ['gain'])
  const gain = checkNumber('identity', 'gain', given(options.gain, 1), FINITE)
  return initializer({ name: 'identity', gain }, (shape, dtype) => {
    if (shape.length !== 2)
      throw new ShapeError(`identity: the weight must have two axes, got ${formatShape(shape)}`, {
        op: 'identity',
        shapes: [shape],
      })
    return mul(eye(shape[0]!, shape[1], dtype), gain)
  })
}

function seedOf({ seed }: SeedOptions): SeedOptions {
  if (seed === undefined) return {}
  checkNumber('initializer', 'seed', seed, {
    holds: (x) => Number.isSafeInteger(x) && x >= 0,
    words: 'a whole number from 0 to 2^53 - 1',
  })
  return { seed }
}

/** Keras' initializers, made with options: `initializers.heNormal({ seed: 1 })`. */
export const initializers: {
  readonly zeros: () => WeightInitializer
  readonly ones: () => WeightInitializer
  readonly constant: typeof constant
  readonly randomUniform: typeof randomUniform
  readonly randomNormal: typeof randomNormal
  readonly truncatedNormal: typeof truncatedNormal
  readonly varianceScaling: typeof varianceScaling
  readonly glorotUniform: typeof glorotUniform
  readonly glorotNormal: typeof glorotNormal
  readonly heUniform: typeof heUniform
  readonly heNormal: typeof heNormal
  readonly lecunUniform: typeof lecunUniform
  readonly lecunNormal: typeof lecunNormal
  readonly orthogonal: typeof orthogonal
  readonly identity: typeof identity
} = {
  zeros: () => initializer({ name: 'zeros' }, zeros),
  ones: () => initializer({ name: 'ones' }, ones),
  constant,
  randomUniform,
  randomNormal,
  truncatedNormal,
  varianceScaling,
  glorotUniform,
  glorotNormal,
  heUniform,
  heNormal,
  lecunUniform,
  lecunNormal,
  orthogonal,
  identity,
}

type Make = () => WeightInitializer
const table: Readonly<Record<InitializerName, Make> & Record<string, Make>> = {
  zeros: initializers.zeros,
  ones: initializers.ones,
  random_uniform: randomUniform,
  random_normal: randomNormal,
  truncated_normal: truncatedNormal,
  variance_scaling: varianceScaling,
  glorot_uniform: glorotUniform,
  glorot_normal: glorotNormal,
  he_uniform: heUniform,
  he_normal: heNormal,
  lecun_uniform: lecunUniform,
  lecun_normal: lecunNormal,
  orthogonal,
  identity,
}

const names = new Names<Make>('initializer', 'a function', table)

/**
 * The initializer that a weight was given: by Keras' name, also in camel case, or as a function of the shape.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveInitializer(spec: unknown): (shape: Sizes, dtype?: Float) => Tensor {
  return functionOf(names, initializers, spec)
}
