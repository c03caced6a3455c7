import { ValueError } from '@adjoint/core'
import { scalarMath, show } from '@adjoint/core/extend'
import {
  checkFlag,
  checkKeys,
  checkNumber,
  FINITE,
  NOT_NEGATIVE,
  POSITIVE,
  SHARE,
  WHOLE,
} from './option-checks.js'

// Formulas and names are those of Keras 3 (keras.optimizers.schedules).

/**
 * The learning rate of each step, for `learningRate` of any optimizer. A function of how many steps were taken before
 * does as well; one of these is also saved with the optimizer.
 */
export interface Schedule {
  (step: number): number
  /** The name in Keras' spelling, and the options. */
  readonly config: Readonly<Record<string, unknown>>
}

function schedule<O extends object>(
  name: string,
  options: O,
  rate: (step: number, options: O) => number,
): Schedule {
  return Object.assign((step: number) => rate(step, options), { config: { name, ...options } })
}

/** Options of {@link exponentialDecay}. */
export interface ExponentialDecayOptions {
  readonly initialLearningRate: number
  /** After so many steps the rate is multiplied by `decayRate` once. */
  readonly decaySteps: number
  readonly decayRate: number
  /** Whether the rate falls in jumps, every `decaySteps` (default false). */
  readonly staircase?: boolean
}

/**
 * initialLearningRate · decayRate^(step / decaySteps).
 * @throws ValueError for unknown options and bad values.
 * @example adam({ learningRate: exponentialDecay({ initialLearningRate: 0.01, decaySteps: 1000, decayRate: 0.9 }) })
 */
export function exponentialDecay(options: ExponentialDecayOptions): Schedule {
  const given = checkDecay('exponentialDecay', options)
  return schedule('exponential_decay', given, (step, { initialLearningRate, decayRate }) => {
    return initialLearningRate * scalarMath.pow(decayRate, progress(step, given))
  })
}

/** Options of {@link inverseTimeDecay}. */
export type InverseTimeDecayOptions = ExponentialDecayOptions

/** initialLearningRate / (1 + decayRate · step / decaySteps). */
export function inverseTimeDecay(options: InverseTimeDecayOptions): Schedule {
  const given = checkDecay('inverseTimeDecay', options)
  return schedule('inverse_time_decay', given, (step, { initialLearningRate, decayRate }) => {
    return initialLearningRate / (1 + decayRate * progress(step, given))
  })
}

function checkDecay(what: string, options: ExponentialDecayOptions): Required<ExponentialDecayOptions> {
  checkKeys(what, options, ['initialLearningRate', 'decaySteps', 'decayRate', 'staircase'])
  const { initialLearningRate, decaySteps, decayRate, staircase = false } = options
  checkNumber(what, 'initialLearningRate', initialLearningRate, NOT_NEGATIVE)
  checkNumber(what, 'decaySteps', decaySteps, POSITIVE)
  checkNumber(what, 'decayRate', decayRate, NOT_NEGATIVE)
  checkFlag(what, 'staircase', staircase)
  return { initialLearningRate, decaySteps, decayRate, staircase }
}

/** How many times `decaySteps` have gone by. */
function progress(step: number, { decaySteps, staircase }: Required<ExponentialDecayOptions>): number {
  return staircase ? Math.floor(step / decaySteps) : step / decaySteps
}

/** Options of {@link piecewiseConstantDecay}. */
export interface PiecewiseConstantDecayOptions {
  /** Steps, ascending, after which the rate changes: a boundary belongs to the piece before it. */
  readonly boundaries: readonly number[]
  /** The rate of each piece: one more than boundaries. */
  readonly values: readonly number[]
}

/**
 * values[i] from boundaries[i - 1], without it, to boundaries[i].
 * @example piecewiseConstantDecay({ boundaries: [100, 200], values: [0.1, 0.01, 0.001] })
 */
export function piecewiseConstantDecay(options: PiecewiseConstantDecayOptions): Schedule {
  const what = 'piecewiseConstantDecay'
  checkKeys(what, options, ['boundaries', 'values'])
  const { boundaries, values } = options
  for (const [name, list] of Object.entries({ boundaries, values } as Record<string, unknown>))
    if (!Array.isArray(list))
      throw new ValueError(`${what}: ${name} must be a list of numbers, got ${show(list)}`)
  if (values.length !== boundaries.length + 1)
    throw new ValueError(
      `${what}: expected one more value than boundaries, got ${values.length} values and ${boundaries.length} boundaries`,
    )
  values.forEach((value, i) => checkNumber(what, `values[${i}]`, value, NOT_NEGATIVE))
  boundaries.forEach((boundary, i) => {
    checkNumber(what, `boundaries[${i}]`, boundary, FINITE)
    if (i > 0 && boundary <= boundaries[i - 1]!)
      throw new ValueError(
        `${what}: boundaries must ascend, got ${boundaries[i - 1]} before ${boundary} at index ${i}`,
      )
  })
  const given = { boundaries: [...boundaries], values: [...values] }
  return schedule('piecewise_constant_decay', given, (step) => {
    const piece = given.boundaries.findIndex((boundary) => step <= boundary)
    return given.values[piece < 0 ? given.boundaries.length : piece]!
  })
}

/** Options of {@link polynomialDecay}. */
export interface PolynomialDecayOptions {
  readonly initialLearningRate: number
  /** After so many steps the rate is `endLearningRate`. */
  readonly decaySteps: number
  /** Default 0.0001. */
  readonly endLearningRate?: number
  /** Default 1: the rate falls in a straight line. */
  readonly power?: number
  /** Whether `decaySteps` doubles, triples, … when it is reached, instead of the rate staying (default false). */
  readonly cycle?: boolean
}

/** (initialLearningRate - endLearningRate) (1 - step / decaySteps)^power + endLearningRate. */
export function polynomialDecay(options: PolynomialDecayOptions): Schedule {
  const what = 'polynomialDecay'
  checkKeys(what, options, ['initialLearningRate', 'decaySteps', 'endLearningRate', 'power', 'cycle'])
  const { initialLearningRate, decaySteps, endLearningRate = 0.0001, power = 1, cycle = false } = options
  checkNumber(what, 'initialLearningRate', initialLearningRate, NOT_NEGATIVE)
  checkNumber(what, 'decaySteps', decaySteps, POSITIVE)
  checkNumber(what, 'endLearningRate', endLearningRate, NOT_NEGATIVE)
  checkNumber(what, 'power', power, POSITIVE)
  checkFlag(what, 'cycle', cycle)
  const given = { initialLearningRate, decaySteps, endLearningRate, power, cycle }
  return schedule('polynomial_decay', given, (step) => {
    const whole = cycle ? decaySteps * Math.max(1, Math.ceil(step / decaySteps)) : decaySteps
    const left = 1 - Math.min(step, whole) / whole
    return (initialLearningRate - endLearningRate) * scalarMath.pow(left, power) + endLearningRate
  })
}

/** Options of {@link cosineDecay}. */
export interface CosineDecayOptions {
  readonly initialLearningRate: number
  /** Steps of the decay, behind those of the warm-up. */
  readonly decaySteps: number
  /** What the rate falls to, as a share of where the decay begins (default 0). */
  readonly alpha?: number
  /** The rate that the warm-up ends at; without it there is no warm-up. */
  readonly warmupTarget?: number
  /** Steps from `initialLearningRate` to `warmupTarget`, in a straight line (default 0). */
  readonly warmupSteps?: number
}

/**
 * Half a wave of a cosine from a rate to `alpha` of it (Loshchilov & Hutter 2017), after a warm-up if there is one.
 * @example cosineDecay({ initialLearningRate: 0, warmupTarget: 1e-3, warmupSteps: 100, decaySteps: 1000 })
 */
export function cosineDecay(options: CosineDecayOptions): Schedule {
  const what = 'cosineDecay'
  checkKeys(what, options, ['initialLearningRate', 'decaySteps', 'alpha', 'warmupTarget', 'warmupSteps'])
  const { initialLearningRate, decaySteps, alpha = 0, warmupTarget, warmupSteps = 0 } = options
  checkNumber(what, 'initialLearningRate', initialLearningRate, NOT_NEGATIVE)
  checkNumber(what, 'decaySteps', decaySteps, POSITIVE)
  checkNumber(what, 'alpha', alpha, SHARE)
  checkNumber(what, 'warmupSteps', warmupSteps, WHOLE)
  if (warmupTarget !== undefined) checkNumber(what, 'warmupTarget', warmupTarget, NOT_NEGATIVE)
  else if (warmupSteps > 0)
    throw new ValueError(`${what}: warmupSteps is ${warmupSteps} without a warmupTarget to reach`)
  const given = { initialLearningRate, decaySteps, alpha, warmupSteps }
  return schedule('cosine_decay', warmupTarget === undefined ? given : { ...given, warmupTarget }, (step) => {
    const from = warmupTarget ?? initialLearningRate
    if (step < warmupSteps) return initialLearningRate + (from - initialLearningRate) * (step / warmupSteps)
    return from * cosine(Math.min((step - warmupSteps) / decaySteps, 1), 1, alpha)
  })
}

/** From `height` at 0 to `alpha` at 1. */
function cosine(x: number, height: number, alpha: number): number {
  return (1 - alpha) * (0.5 * height * (1 + scalarMath.cos(Math.PI * x))) + alpha
}

/** Options of {@link cosineDecayRestarts}. */
export interface CosineDecayRestartsOptions {
  readonly initialLearningRate: number
  /** Steps of the first period. */
  readonly firstDecaySteps: number
  /** At least 1: how much longer each period is than the one before (default 2). */
  readonly tMul?: number
  /** How much higher each period begins than the one before (default 1). */
  readonly mMul?: number
  /** What the rate falls to, as a share of `initialLearningRate` (default 0). */
  readonly alpha?: number
}

/** As {@link cosineDecay}, over and over again (SGDR; Loshchilov & Hutter 2017). */
export function cosineDecayRestarts(options: CosineDecayRestartsOptions): Schedule {
  const what = 'cosineDecayRestarts'
  checkKeys(what, options, ['initialLearningRate', 'firstDecaySteps', 'tMul', 'mMul', 'alpha'])
  const { initialLearningRate, firstDecaySteps, tMul = 2, mMul = 1, alpha = 0 } = options
  checkNumber(what, 'initialLearningRate', initialLearningRate, NOT_NEGATIVE)
  checkNumber(what, 'firstDecaySteps', firstDecaySteps, POSITIVE)
  checkNumber(what, 'tMul', tMul, { holds: (x) => x >= 1 && x < Infinity, words: 'a finite number >= 1' })
  checkNumber(what, 'mMul', mMul, NOT_NEGATIVE)
  checkNumber(what, 'alpha', alpha, SHARE)
  const given = { initialLearningRate, firstDecaySteps, tMul, mMul, alpha }
  return schedule('cosine_decay_restarts', given, (step) => {
    const { restarts, x } = periodOf(step / firstDecaySteps, tMul)
    return initialLearningRate * cosine(x, scalarMath.pow(mMul, restarts), alpha)
  })
}

/** How many periods are over, and how far the current one is; periods are 1, tMul, tMul², … long. */
function periodOf(at: number, tMul: number): { readonly restarts: number; readonly x: number } {
  if (tMul === 1) return { restarts: Math.floor(at), x: at - Math.floor(at) }
  const endOf = (periods: number): number => (scalarMath.pow(tMul, periods) - 1) / (tMul - 1)
  let restarts = Math.floor(scalarMath.log(1 + at * (tMul - 1)) / scalarMath.log(tMul))
  // Where a period ends, the logarithms may be off by a rounding.
  if (endOf(restarts + 1) <= at) restarts++
  else if (endOf(restarts) > at) restarts--
  return { restarts, x: (at - endOf(restarts)) / scalarMath.pow(tMul, restarts) }
}

/** All of them, by name. @internal */
export const schedules: Readonly<Record<string, (options: never) => Schedule>> = {
  exponentialDecay,
  inverseTimeDecay,
  piecewiseConstantDecay,
  polynomialDecay,
  cosineDecay,
  cosineDecayRestarts,
}
