import {
  add,
  clip,
  div,
  DTypeError,
  maximum,
  mul,
  ShapeError,
  sqrt,
  square,
  sum,
  Tensor,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { formatShape, sameShape, show, typeName } from '@adjoint/core/extend'
import { functionOf, Names } from './names.js'
import { checkKeys, checkNumber, NOT_NEGATIVE, SHARE } from './option-checks.js'
import type { ConstraintName } from './types.js'

/** What a weight is replaced by after each step of an optimizer: the nearest value, or one nearer, that is allowed. */
export interface Constraint {
  (w: Tensor): Tensor
  /** The name in Keras' spelling, and the options. */
  readonly config: Readonly<Record<string, string | number | readonly number[]>>
}

export interface UnitNormOptions {
  /** The axes along which a norm is taken (default 0: a dense kernel's norms are those of its units). */
  readonly axis?: number | readonly number[]
}
export interface MaxNormOptions extends UnitNormOptions {
  /** Default 2. */
  readonly maxValue?: number
}
export interface MinMaxNormOptions extends UnitNormOptions {
  /** Default 0. */
  readonly minValue?: number
  /** Default 1. */
  readonly maxValue?: number
  /** How far towards the range a step goes: all the way by default, with 1. */
  readonly rate?: number
}

/** Added to norms, so that nothing is divided by 0. */
const EPSILON = 1e-7

function constraint(config: Constraint['config'], make: (w: Tensor) => Tensor): Constraint {
  return Object.assign((w: Tensor) => make(w), { config })
}

/** w · min(|w|, maxValue) / |w| */
function maxNorm(options: MaxNormOptions = {}): Constraint {
  checkKeys('maxNorm', options, ['maxValue', 'axis'])
  const { maxValue = 2 } = options
  const axis = axesOf('maxNorm', options)
  checkNumber('maxNorm', 'maxValue', maxValue, NOT_NEGATIVE)
  return constraint({ name: 'max_norm', maxValue, axis }, (w) => {
    const norm = normOf(w, axis)
    return mul(w, div(clip(norm, 0, maxValue), add(norm, EPSILON)))
  })
}

/** max(w, 0) */
function nonNeg(): Constraint {
  return constraint({ name: 'non_neg' }, (w) => maximum(w, 0))
}

/** w / |w| */
function unitNorm(options: UnitNormOptions = {}): Constraint {
  checkKeys('unitNorm', options, ['axis'])
  const axis = axesOf('unitNorm', options)
  return constraint({ name: 'unit_norm', axis }, (w) => div(w, add(normOf(w, axis), EPSILON)))
}

/** w · (rate · clip(|w|, minValue, maxValue) + (1 - rate) · |w|) / |w| */
function minMaxNorm(options: MinMaxNormOptions = {}): Constraint {
  checkKeys('minMaxNorm', options, ['minValue', 'maxValue', 'rate', 'axis'])
  const { minValue = 0, maxValue = 1, rate = 1 } = options
  const axis = axesOf('minMaxNorm', options)
  checkNumber('minMaxNorm', 'minValue', minValue, NOT_NEGATIVE)
  checkNumber('minMaxNorm', 'maxValue', maxValue, NOT_NEGATIVE)
  checkNumber('minMaxNorm', 'rate', rate, SHARE)
  if (minValue > maxValue)
    throw new ValueError(`minMaxNorm: minValue ${minValue} is above maxValue ${maxValue}`)
  const config = { name: 'min_max_norm', minValue, maxValue, rate, axis }
  return constraint(config, (w) => {
    const norm = normOf(w, axis)
    const desired = add(mul(clip(norm, minValue, maxValue), rate), mul(norm, 1 - rate))
    return mul(w, div(desired, add(norm, EPSILON)))
  })
}

function normOf(w: Tensor, axis: number | readonly number[]): Tensor {
  return sqrt(sum(square(w), axis, true))
}

function axesOf(what: string, { axis = 0 }: UnitNormOptions): number | readonly number[] {
  const axes: readonly unknown[] = Array.isArray(axis) ? axis : [axis]
  for (const a of axes)
    if (typeof a !== 'number' || !Number.isInteger(a))
      throw new ValueError(`${what}: axis must be a whole number or a list of them, got ${show(axis)}`)
  return axis
}

/** Keras' constraints, made with options: `constraints.maxNorm({ maxValue: 0.5 })`. */
export const constraints: {
  readonly maxNorm: typeof maxNorm
  readonly nonNeg: typeof nonNeg
  readonly unitNorm: typeof unitNorm
  readonly minMaxNorm: typeof minMaxNorm
} = { maxNorm, nonNeg, unitNorm, minMaxNorm }

type Make = () => Constraint
const table: Readonly<Record<ConstraintName, Make> & Record<string, Make>> = {
  max_norm: maxNorm,
  non_neg: nonNeg,
  unit_norm: unitNorm,
  min_max_norm: minMaxNorm,
}
const names = new Names<Make>('constraint', 'a function', table)

/**
 * The constraint that a layer was given: by Keras' name, also in camel case, or as a function.
 * @throws ValueError for an unknown name, with the nearest one.
 */
export function resolveConstraint(spec: unknown): ((w: Tensor) => Tensor) | undefined {
  return spec === undefined || spec === null ? undefined : functionOf(names, constraints, spec)
}

const ofWeights = new WeakMap<Variable, (w: Tensor) => Tensor>()

/** Has optimizers keep a weight within what is allowed. */
export function constrain(weight: Variable, by: (w: Tensor) => Tensor): void {
  ofWeights.set(weight, by)
}

export function isConstrained(weight: Variable): boolean {
  return ofWeights.has(weight)
}

/** Whether a weight is constrained by a function of the user's. */
export function hasOwnConstraint(weight: Variable): boolean {
  const by = ofWeights.get(weight)
  return by !== undefined && !('config' in by)
}

/**
 * The value that a weight gets instead of `value`.
 * @throws ValueError, ShapeError, DTypeError where the constraint does not give such a value.
 */
export function constrained(weight: Variable, value: Tensor): Tensor {
  const by = ofWeights.get(weight)
  if (by === undefined) return value
  const what = `the constraint of ${show(weight.name)}`
  const made = by(value)
  if (!((made as unknown) instanceof Tensor))
    throw new ValueError(`${what}: expected a tensor, got ${typeName(made)} (${show(made)})`)
  if (!sameShape(made.shape, weight.shape))
    throw new ShapeError(`${what}: expected ${formatShape(weight.shape)}, got ${formatShape(made.shape)}`, {
      op: what,
      shapes: [weight.shape, made.shape],
    })
  if (made.dtype !== weight.dtype)
    throw new DTypeError(`${what}: expected ${weight.dtype}, got ${made.dtype}`, { op: what })
  return made
}
