import { abstractBackend } from './abstract.js'
import { currentBackend } from './backend.js'
import { floatx, type FloatDType, type NumericArray } from './dtype.js'
import { LimitError, ShapeError, show, typeName, ValueError } from './errors.js'
import { exp as scalarExp } from './math/engine.js'
import { checkNumeric } from './op.js'
import { mul, sub } from './ops/arithmetic.js'
import { equal, less, lessEqual } from './ops/comparison.js'
import { cumsum } from './ops/cumulative.js'
import { exp } from './ops/exponential.js'
import { expandDims, reshape } from './ops/movement.js'
import { max, sum } from './ops/reduce.js'
import { cast, where } from './ops/select.js'
import { slice } from './ops/slicing.js'
import {
  integersBelow,
  normalFloat32,
  normalFloat64,
  permutation as permutationOf,
  uniformFloat32,
  uniformFloat64,
} from './rng.js'
import { checkOptions } from './options.js'
import { checkShape, formatShape, type Sizes, sizeOf } from './shape.js'
import { withoutRecording } from './tape.js'
import { formatIndex, fromDraw, fromHost, Tensor, unflatten } from './tensor.js'

/** Where the random numbers of this process stand: a seed, and how many draws were made since it was set. */
export interface RandomState {
  readonly seed: number
  readonly draws: number
}

let seed = Math.floor(Math.random() * 2 ** 32)
let draws = 0

/**
 * Makes every random number from now on the same as after the same call before, in any process.
 * @throws ValueError unless `value` is a whole number from 0 to 2^53 - 1.
 */
export function setSeed(value: number): void {
  seed = checkSeed('setSeed', value)
  draws = 0
}

/** @internal */
export function randomState(): RandomState {
  return { seed, draws }
}

/** @internal */
export function setRandomState(state: RandomState): void {
  seed = state.seed
  draws = state.draws
}

function checkSeed(op: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new ValueError(`${op}: the seed must be a whole number from 0 to 2^53 - 1, got ${show(value)}`)
  return value
}

interface Seeded {
  /** Makes this call the same each time, whatever was drawn before. */
  readonly seed?: number
  readonly dtype?: FloatDType
}

/** Streams below this belong to the global seed; a call with its own seed draws from this one. */
const OWN_STREAM = 2 ** 40

type Draw = (seed: number, stream: number, count: number) => NumericArray

/** Draws once: from the call's own seed, or from the next stream of the global one. */
function drawn(
  op: string,
  shape: Sizes,
  options: { seed?: number },
  dtype: 'float32' | 'float64' | 'int32' | 'bool',
  draw: Draw,
): Tensor {
  const sides = checkShape(op, shape, dtype)
  // Shapes are being inferred: nothing is drawn, so nothing later changes.
  if (currentBackend() === abstractBackend) return fromHost([], sides, dtype)
  if (options.seed !== undefined)
    return fromHost(draw(checkSeed(op, options.seed), OWN_STREAM, sizeOf(sides)), sides, dtype)
  // A draw that fails is none.
  const next = (): NumericArray => {
    const values = draw(seed, draws, sizeOf(sides))
    draws++
    return values
  }
  return fromDraw(next, sides, dtype)
}

function checkFinite(op: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new ValueError(`${op}: ${name} must be a finite number, got ${show(value)}`, { op })
  return value
}

function checkFloat(op: string, dtype: unknown): FloatDType {
  if (dtype === 'float32' || dtype === 'float64') return dtype
  throw new ValueError(`${op}: dtype must be float32 or float64, got ${show(dtype)}`, { op })
}

/** Uniform in [min, max), 0 and 1 unless given. */
function uniform(
  shape: Sizes,
  options: Seeded & { readonly min?: number; readonly max?: number } = {},
): Tensor<'float32'> {
  checkOptions('random.uniform', options, ['min', 'max', 'seed', 'dtype'])
  const min = checkFinite('random.uniform', 'min', options.min ?? 0)
  const max = checkFinite('random.uniform', 'max', options.max ?? 1)
  if (min > max) throw new ValueError(`random.uniform: min ${min} is above max ${max}`)
  const dtype = checkFloat('random.uniform', options.dtype ?? floatx())
  return drawn('random.uniform', shape, options, dtype, (s, stream, count) => {
    const values = dtype === 'float32' ? uniformFloat32(s, stream, count) : uniformFloat64(s, stream, count)
    if (min !== 0 || max !== 1) for (let i = 0; i < count; i++) values[i] = min + values[i]! * (max - min)
    return values
  }) as Tensor<'float32'>
}

/** Normally distributed with the given mean (0) and standard deviation (1). */
function normal(
  shape: Sizes,
  options: Seeded & { readonly mean?: number; readonly std?: number } = {},
): Tensor<'float32'> {
  checkOptions('random.normal', options, ['mean', 'std', 'seed', 'dtype'])
  const mean = checkFinite('random.normal', 'mean', options.mean ?? 0)
  const std = checkFinite('random.normal', 'std', options.std ?? 1)
  if (std < 0) throw new ValueError(`random.normal: std ${std} is negative`)
  const dtype = checkFloat('random.normal', options.dtype ?? floatx())
  return drawn('random.normal', shape, options, dtype, (s, stream, count) => {
    const values = dtype === 'float32' ? normalFloat32(s, stream, count) : normalFloat64(s, stream, count)
    if (mean !== 0 || std !== 1) for (let i = 0; i < count; i++) values[i] = mean + values[i]! * std
    return values
  }) as Tensor<'float32'>
}

/** As normal, with values further than two standard deviations from the mean drawn again (Keras' truncated normal). */
function truncatedNormal(
  shape: Sizes,
  options: Seeded & { readonly mean?: number; readonly std?: number } = {},
): Tensor<'float32'> {
  checkOptions('random.truncatedNormal', options, ['mean', 'std', 'seed', 'dtype'])
  const mean = checkFinite('random.truncatedNormal', 'mean', options.mean ?? 0)
  const std = checkFinite('random.truncatedNormal', 'std', options.std ?? 1)
  const dtype = checkFloat('random.truncatedNormal', options.dtype ?? floatx())
  return drawn('random.truncatedNormal', shape, options, dtype, (s, stream, count) => {
    const values = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count)
    // About 1 in 22 draws falls outside; further blocks come from streams far away from every other draw.
    for (let filled = 0, block = 0; filled < count; block++) {
      const some = normalFloat64(s, stream + block * 2 ** 41, Math.ceil((count - filled) * 1.1) + 16)
      for (let i = 0; i < some.length && filled < count; i++)
        if (Math.abs(some[i]!) <= 2) values[filled++] = mean + some[i]! * std
    }
    return values
  }) as Tensor<'float32'>
}

/** Whole numbers from low to high - 1, all equally likely. */
function randint(
  low: number,
  high: number,
  shape: Sizes,
  options: { readonly seed?: number } = {},
): Tensor<'int32'> {
  checkOptions('random.randint', options, ['seed'])
  for (const [name, value] of [
    ['low', low],
    ['high', high],
  ] as const)
    if (typeof value !== 'number' || (value | 0) !== value)
      throw new ValueError(`random.randint: ${name} must be an int32, got ${show(value)}`)
  if (low >= high) throw new ValueError(`random.randint: low ${low} must be below high ${high}`)
  if (high - low > 2 ** 32) throw new LimitError(`random.randint: the range ${low}..${high} is too wide`)
  return drawn('random.randint', shape, options, 'int32', (s, stream, count) => {
    const values = new Int32Array(count)
    const offsets = integersBelow(s, stream, count, high - low)
    for (let i = 0; i < count; i++) values[i] = low + offsets[i]!
    return values
  }) as unknown as Tensor<'int32'>
}

/** True with probability p. */
function bernoulli(p: number, shape: Sizes, options: { readonly seed?: number } = {}): Tensor<'bool'> {
  checkOptions('random.bernoulli', options, ['seed'])
  if (typeof p !== 'number' || !(p >= 0 && p <= 1))
    throw new ValueError(`random.bernoulli: p must be in [0, 1], got ${show(p)}`)
  return drawn('random.bernoulli', shape, options, 'bool', (s, stream, count) => {
    const u = uniformFloat32(s, stream, count)
    const values = new Uint8Array(count)
    for (let i = 0; i < count; i++) values[i] = u[i]! < p ? 1 : 0
    return values
  }) as unknown as Tensor<'bool'>
}

/** 0 … n - 1 in random order. */
function permutation(n: number, options: { readonly seed?: number } = {}): Tensor<'int32'> {
  checkOptions('random.permutation', options, ['seed'])
  return drawn('random.permutation', [n], options, 'int32', (s, stream, count) =>
    permutationOf(s, stream, count),
  ) as unknown as Tensor<'int32'>
}

/**
 * Classes drawn with the probabilities softmax(logits) along the last axis: of [..., classes] one for each row,
 * [...], or `count` for each, [..., count]. A class whose logit is -Infinity is never drawn.
 * @throws ValueError for a logit that is NaN or Infinity, and for a row without a class that could be drawn.
 * @example random.categorical(tensor([[0, 0], [0, -Infinity]]), 3).shape // [2, 3]
 */
function categorical(
  logits: Tensor,
  count?: number,
  options: { readonly seed?: number } = {},
): Tensor<'int32'> {
  const op = 'random.categorical'
  checkOptions(op, options, ['seed'])
  if (!(logits instanceof Tensor))
    throw new ValueError(`${op}: logits must be a tensor, got ${typeName(logits)}; wrap them in tensor(…)`, {
      op,
    })
  checkNumeric(op, logits)
  const classes = logits.shape.at(-1)
  if (classes === undefined || classes === 0)
    throw new ShapeError(
      `${op}: logits ${formatShape(logits.shape)} have no classes; the last axis must have at least one`,
      { op, shapes: [logits.shape] },
    )
  const rows = logits.shape.slice(0, -1)
  const shape = count === undefined ? rows : [...rows, count]
  const { backend, handle } = logits.read()
  const isOutOfReach = backend.readSync === undefined && backend.known?.(handle, logits) === undefined
  if (currentBackend().draw !== undefined || isOutOfReach)
    return withoutRecording(() => categoricalInOps(logits, shape, options))
  return drawn(op, shape, options, 'int32', (s, stream, size) => {
    const values = new Int32Array(size)
    const points = uniformFloat64(s, stream, size)
    const scores = logits.read().dataSync()
    const perRow = count ?? 1
    const below = new Float64Array(classes)
    for (let row = 0; row * perRow < size; row++) {
      accumulate(scores, row * classes, below, logits.shape)
      const total = below[classes - 1]!
      for (let i = row * perRow; i < (row + 1) * perRow; i++)
        values[i] = firstAbove(below, points[i]! * total)
    }
    return values
  }) as unknown as Tensor<'int32'>
}

/**
 * The same, where the logits have no values yet (in plans: to the last bit) or none that can be had now (on a device):
 * how many classes end at or below the point that is drawn. The last never does.
 */
function categoricalInOps(logits: Tensor, shape: Sizes, options: { seed?: number }): Tensor<'int32'> {
  const op = 'random.categorical'
  const backend = currentBackend()
  const isPlan = backend.draw !== undefined
  const scores = cast(logits, isPlan ? 'float64' : 'float32')
  const most = max(scores, -1, true)
  const refuse = (bad: Tensor, fail: (value: number, at: number) => Error): void =>
    backend.check?.(bad.read(), 1, fail)
  refuse(where(less(scores, Infinity), 0, scores), (value, at) => badLogit(value, at, logits.shape))
  refuse(where(equal(most, -Infinity), 1, 0), (_, row) => noClass(row * logits.shape.at(-1)!, logits.shape))
  const below = cumsum(exp(sub(scores, most)), -1)
  const rows = logits.shape.slice(0, -1)
  const points = drawn(
    op,
    [...rows, shape.length > rows.length ? shape.at(-1)! : 1],
    options,
    scores.dtype as FloatDType,
    (s, stream, size) => (isPlan ? uniformFloat64(s, stream, size) : uniformFloat32(s, stream, size)),
  )
  const ends = slice(expandDims(below, -2), '..., :-1')
  const isBelow = lessEqual(ends, expandDims(mul(points, slice(below, '..., -1:')), -1))
  return reshape(sum(isBelow, -1), shape) as unknown as Tensor<'int32'>
}

/** below[k] = the sum of exp(scores[start + i] - their maximum) over i <= k. @throws ValueError for no such sum. */
function accumulate(scores: NumericArray, start: number, below: Float64Array, shape: Sizes): void {
  let most = -Infinity
  for (let k = 0; k < below.length; k++) {
    const score = scores[start + k]!
    if (!(score < Infinity)) throw badLogit(score, start + k, shape)
    most = Math.max(most, score)
  }
  if (most === -Infinity) throw noClass(start, shape)
  let sum = 0
  for (let k = 0; k < below.length; k++) below[k] = sum += scalarExp(scores[start + k]! - most)
}

function badLogit(value: number, at: number, shape: Sizes): ValueError {
  return new ValueError(
    `random.categorical: the logit at ${formatIndex(unflatten(at, shape))} is ${value}; ` +
      'logits must be finite, or -Infinity for what is never drawn',
  )
}

/** Of the row that begins at flat position `start`. */
function noClass(start: number, shape: Sizes): ValueError {
  return new ValueError(
    `random.categorical: all logits of row ${formatIndex(unflatten(start, shape).slice(0, -1))} are -Infinity; ` +
      'at least one class must be possible',
  )
}

/** The first position whose value is above `point`: a class without weight is as low as the one before, and passed over. */
function firstAbove(below: Float64Array, point: number): number {
  let [low, high] = [0, below.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (below[middle]! > point) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Random numbers, all from one counter-based generator (Philox): the same seed gives the same numbers on every
 * machine and engine. Each call takes the next stream of the global seed, or its own `seed` where one is given.
 */
export const random: {
  readonly uniform: typeof uniform
  readonly normal: typeof normal
  readonly truncatedNormal: typeof truncatedNormal
  readonly randint: typeof randint
  readonly bernoulli: typeof bernoulli
  readonly categorical: typeof categorical
  readonly permutation: typeof permutation
} = { uniform, normal, truncatedNormal, randint, bernoulli, categorical, permutation }
