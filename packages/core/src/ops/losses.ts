import { type FloatDType, toFloat } from '../dtype.js'
import { didYouMean, ShapeError, show, typeName, ValueError } from '../errors.js'
import { ScalarFunction } from '../expr/scalar.js'
import { call, checkNumeric, checkOption, defineOp, type Row, type Unary, unary } from '../op.js'
import { checkAxis, formatShape, sameShape } from '../shape.js'
import { arange, Tensor } from '../tensor.js'
import { abs, add, div, mul, neg, powScalar, rsqrt, square, squaredDifference, sub } from './arithmetic.js'
import { relu, sigmoid, softplus } from './activation.js'
import { equal, lessEqual, notEqual } from './comparison.js'
import { log, log1p } from './exponential.js'
import { gather } from './indexing.js'
import { expandDims, reshape, transpose } from './movement.js'
import { logSoftmax, softmax } from './nn.js'
import { type Axes, max, mean, sum } from './reduce.js'
import { cast, clip, where } from './select.js'
import { tanh } from './trigonometric.js'

// Formulas and constants are those of Keras 3 (keras.losses). All take targets first and compute in the float dtype
// of the predictions.

/** What becomes of the values for each sample: nothing, their mean, or their sum. */
export type LossReduction = 'none' | 'mean' | 'sum'

/** Options of all losses. */
export interface LossOptions {
  /** Default 'none': a value for each sample. */
  readonly reduction?: LossReduction
}

/** Options of losses that are taken along one axis. */
export interface AxisLossOptions extends LossOptions {
  /** The axis that one value is computed over (default: the last). */
  readonly axis?: number
}

/** Options of losses that keep away from log(0) or division by 0. */
export interface EpsilonLossOptions extends AxisLossOptions {
  /** Default 1e-7. */
  readonly epsilon?: number
}

/** Options of the huber loss. */
export interface HuberOptions extends AxisLossOptions {
  /** The error from which on the loss is linear (default 1). */
  readonly delta?: number
}

/** Options of cross-entropies. */
export interface CrossentropyOptions extends EpsilonLossOptions {
  /** Whether predictions are logits; else they are probabilities (default). */
  readonly fromLogits?: boolean
}

/** Options of cross-entropies with dense targets. */
export interface SmoothedCrossentropyOptions extends CrossentropyOptions {
  /** In [0, 1]: how far targets are moved towards all classes being equally likely (default 0). */
  readonly labelSmoothing?: number
}

/** Options of focal losses. */
export interface FocalOptions extends SmoothedCrossentropyOptions {
  /** Weight of the positive class, or of all (default 0.25). */
  readonly alpha?: number
  /** How strongly well classified samples are discounted (default 2). */
  readonly gamma?: number
}

/** Options of the binary focal loss. */
export interface BinaryFocalOptions extends FocalOptions {
  /** Whether classes are weighted by alpha and 1 - alpha (default false). */
  readonly applyClassBalancing?: boolean
}

/** Options of overlap losses. */
export interface OverlapOptions extends LossOptions {
  /** Axes that one value is computed over (default: all, the batch too). */
  readonly axis?: Axes
  /** Default 1e-7. */
  readonly epsilon?: number
}

/** Options of the Tversky loss. */
export interface TverskyOptions extends OverlapOptions {
  /** Weight of false positives (default 0.5). */
  readonly alpha?: number
  /** Weight of false negatives (default 0.5). */
  readonly beta?: number
}

const EPSILON = 1e-7

// ---- regression

/** mean((t - p)²) over the last axis. */
export function meanSquaredError(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const op = 'meanSquaredError'
  const { axis } = checked(op, options, AXIS)
  const [t, p] = aligned(op, yTrue, yPred)
  return reduced(mean(squaredDifference(t, p), axis), options)
}

/** mean(|t - p|) over the last axis. */
export function meanAbsoluteError(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const op = 'meanAbsoluteError'
  const { axis } = checked(op, options, AXIS)
  const [t, p] = aligned(op, yTrue, yPred)
  return reduced(mean(abs(sub(t, p)), axis), options)
}

/** 100 mean(|t - p| / max(|t|, epsilon)) over the last axis. */
export function meanAbsolutePercentageError(
  yTrue: Tensor,
  yPred: Tensor,
  options: EpsilonLossOptions = {},
): Tensor {
  const op = 'meanAbsolutePercentageError'
  const { axis, epsilon } = checked(op, options, AXIS_EPSILON)
  const [t, p] = aligned(op, yTrue, yPred)
  return reduced(mul(mean(abs(div(sub(t, p), clip(abs(t), epsilon, null))), axis), 100), options)
}

/** mean((log(1 + max(p, epsilon)) - log(1 + max(t, epsilon)))²) over the last axis. */
export function meanSquaredLogarithmicError(
  yTrue: Tensor,
  yPred: Tensor,
  options: EpsilonLossOptions = {},
): Tensor {
  const op = 'meanSquaredLogarithmicError'
  const { axis, epsilon } = checked(op, options, AXIS_EPSILON)
  const [t, p] = aligned(op, yTrue, yPred)
  const logs = (x: Tensor): Tensor => log1p(clip(x, epsilon, null))
  return reduced(mean(squaredDifference(logs(p), logs(t)), axis), options)
}

/** Mean over the last axis of e² / 2 where |e| <= delta, else delta (|e| - delta / 2); e = p - t (Huber 1964). */
export function huber(yTrue: Tensor, yPred: Tensor, options: HuberOptions = {}): Tensor {
  const { axis, delta } = checked('huber', options, HUBER)
  const [t, p] = aligned('huber', yTrue, yPred)
  const error = sub(p, t)
  const size = abs(error)
  const values = where(lessEqual(size, delta), mul(square(error), 0.5), mul(sub(size, delta / 2), delta))
  return reduced(mean(values, axis), options)
}

/** log(cosh(x)) without overflow or cancellation. */
const logCoshOf: Unary = unary({
  name: 'logCosh',
  args: ['x'],
  // cosh(x) = 1 + 2 sinh(x/2)² near 0; (exp(|x|) + exp(-|x|)) / 2 elsewhere.
  expr:
    'abs(x) < 1 ? log1p(2 * sinh(x / 2) * sinh(x / 2)) : ' +
    'abs(x) + log1p(exp(-2 * abs(x))) - 0.6931471805599453',
  vjp: { x: ({ g, x }) => mul(g, tanh(x)) },
})

/** mean(log(cosh(p - t))) over the last axis: as e² / 2 near 0, as |e| - log(2) far away. */
export function logCosh(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const { axis } = checked('logCosh', options, AXIS)
  const [t, p] = aligned('logCosh', yTrue, yPred)
  return reduced(mean(logCoshOf(sub(p, t)), axis), options)
}

/** -sum(t p) over the last axis after scaling both to length 1: -1 for the same direction, 1 for opposite ones. */
export function cosineSimilarity(yTrue: Tensor, yPred: Tensor, options: EpsilonLossOptions = {}): Tensor {
  const op = 'cosineSimilarity'
  const { axis, epsilon } = checked(op, options, AXIS_EPSILON)
  const [t, p] = aligned(op, yTrue, yPred)
  // As min(rsqrt(sum), 1 / epsilon), and the gradient at the origin is finite.
  const unit = (x: Tensor): Tensor => mul(x, rsqrt(clip(sum(square(x), axis, true), epsilon * epsilon, null)))
  return reduced(neg(sum(mul(unit(t), unit(p)), axis)), options)
}

/** mean(p - t log(p + epsilon)) over the last axis. */
export function poisson(yTrue: Tensor, yPred: Tensor, options: EpsilonLossOptions = {}): Tensor {
  const { axis, epsilon } = checked('poisson', options, AXIS_EPSILON)
  const [t, p] = aligned('poisson', yTrue, yPred)
  return reduced(mean(sub(p, mul(t, log(add(p, epsilon)))), axis), options)
}

// ---- probabilities

/**
 * -mean(t log(p) + (1 - t) log(1 - p)) over the last axis; p is clipped to [epsilon, 1 - epsilon].
 * From logits it is computed without clipping.
 */
export function binaryCrossentropy(
  yTrue: Tensor,
  yPred: Tensor,
  options: SmoothedCrossentropyOptions = {},
): Tensor {
  const op = 'binaryCrossentropy'
  const { axis, epsilon, fromLogits, labelSmoothing } = checked(op, options, SMOOTHED)
  const [t, p] = aligned(op, yTrue, yPred)
  const labels = smoothed(t, labelSmoothing, 2)
  return reduced(mean(binaryLogLoss(labels, p, fromLogits, epsilon), axis), options)
}

/** -(t log(p) + (1 - t) log(1 - p)), element by element. */
function binaryLogLoss(t: Tensor, p: Tensor, fromLogits: boolean, epsilon: number): Tensor {
  if (fromLogits) return add(mul(t, softplus(neg(p))), mul(sub(1, t), softplus(p)))
  const inside = clip(p, epsilon, 1 - epsilon)
  return neg(add(mul(t, log(inside)), mul(sub(1, t), log(sub(1, inside)))))
}

/** Targets moved towards 1 / classes. */
function smoothed(t: Tensor, smoothing: number, classes: number): Tensor {
  return smoothing === 0 ? t : add(mul(t, 1 - smoothing), smoothing / classes)
}

/**
 * -sum(t log(p)) over the class axis (the last); p is divided by its sum, then clipped to [epsilon, 1 - epsilon].
 * From logits it is computed from log softmax, without clipping.
 */
export function categoricalCrossentropy(
  yTrue: Tensor,
  yPred: Tensor,
  options: SmoothedCrossentropyOptions = {},
): Tensor {
  const op = 'categoricalCrossentropy'
  const { axis, epsilon, fromLogits, labelSmoothing } = checked(op, options, SMOOTHED)
  const [t, p] = aligned(op, yTrue, yPred)
  const labels = smoothed(t, labelSmoothing, p.shape[checkAxis(op, axis, p.rank)]!)
  return reduced(neg(sum(mul(labels, logProbabilities(p, axis, fromLogits, epsilon)), axis)), options)
}

function logProbabilities(p: Tensor, axis: number, fromLogits: boolean, epsilon: number): Tensor {
  return fromLogits ? logSoftmax(p, axis) : log(normalized(p, axis, epsilon))
}

/** p divided by its sum, then clipped. */
function normalized(p: Tensor, axis: number, epsilon: number): Tensor {
  return clip(div(p, sum(p, axis, true)), epsilon, 1 - epsilon)
}

/** Class numbers as int32, once they are known to be in range. */
const classes: Row<'labels', { readonly count: number }> = defineOp({
  name: 'sparseCategoricalCrossentropy',
  args: ['labels'],
  bounds: { arg: 'labels', what: 'class', limit: (_, { count }) => count },
  infer([labels]) {
    checkNumeric('sparseCategoricalCrossentropy', labels!)
    return { shape: labels!.shape, dtype: 'int32' }
  },
  kernel: (_, [labels]) =>
    labels!.dtype === 'int32' ? { kind: 'view' } : { kind: 'map', fn: identity, params: [] },
  vjp: null,
})
const identity = new ScalarFunction('x', ['x'], [])

/**
 * As {@link categoricalCrossentropy}, with class numbers for targets: shape of the predictions without the class
 * axis (the last), or with a side of 1 there.
 * @throws ValueError for a class that is no whole number in 0..classes - 1.
 */
export function sparseCategoricalCrossentropy(
  yTrue: Tensor,
  yPred: Tensor,
  options: CrossentropyOptions = {},
): Tensor {
  const op = 'sparseCategoricalCrossentropy'
  const { axis, epsilon, fromLogits } = checked(op, options, CROSSENTROPY)
  checkTensors(op, yTrue, yPred)
  const p = floats(op, yPred)
  const along = checkAxis(op, axis, p.rank)
  const shape = p.shape.toSpliced(along, 1)
  const squeezed = yTrue.rank === p.rank && yTrue.shape[along] === 1
  if (!sameShape(squeezed ? yTrue.shape.toSpliced(along, 1) : yTrue.shape, shape))
    throw new ShapeError(
      `${op}: targets must be class numbers of shape ${formatShape(shape)} for predictions ` +
        `${formatShape(p.shape)}, got ${formatShape(yTrue.shape)}` +
        (sameShape(yTrue.shape, p.shape) ? '; did you mean categoricalCrossentropy?' : ''),
      { op, shapes: [yTrue.shape, yPred.shape] },
    )
  const picked = pickClasses(logProbabilities(p, axis, fromLogits, epsilon), along, yTrue)
  return reduced(neg(reshape(picked, shape)), options)
}

/** The elements of x at `labels` along `axis`, flat. */
function pickClasses(x: Tensor, axis: number, labels: Tensor): Tensor {
  const count = x.shape[axis]!
  const others = Array.from(x.shape.keys()).filter((i) => i !== axis)
  const rows = axis === x.rank - 1 ? x : transpose(x, [...others, axis])
  const known = reshape(call(classes, [labels], { count }), [labels.size])
  return gather(reshape(rows, [x.size]), add(known, arange(0, x.size, count, 'int32')))
}

/** sum(t log(t / p)) over the last axis; both are clipped to [epsilon, 1] (Kullback & Leibler 1951). */
export function klDivergence(yTrue: Tensor, yPred: Tensor, options: EpsilonLossOptions = {}): Tensor {
  const { axis, epsilon } = checked('klDivergence', options, AXIS_EPSILON)
  const [t, p] = aligned('klDivergence', yTrue, yPred)
  const from = clip(t, epsilon, 1)
  return reduced(sum(mul(from, log(div(from, clip(p, epsilon, 1)))), axis), options)
}

/**
 * Mean over the last axis of (1 - q)^gamma times the binary cross-entropy, q the probability given to the true class
 * (Lin et al. 2017).
 */
export function binaryFocalCrossentropy(
  yTrue: Tensor,
  yPred: Tensor,
  options: BinaryFocalOptions = {},
): Tensor {
  const op = 'binaryFocalCrossentropy'
  const { axis, epsilon, fromLogits, labelSmoothing, alpha, gamma, applyClassBalancing } = checked(
    op,
    options,
    BINARY_FOCAL,
  )
  const [t, p] = aligned(op, yTrue, yPred)
  const labels = smoothed(t, labelSmoothing, 2)
  const others = sub(1, labels)
  const [yes, no] = fromLogits ? [sigmoid(p), sigmoid(neg(p))] : [p, sub(1, p)]
  // 1 - (t p + (1 - t) (1 - p)), since targets and probabilities each sum to 1.
  const missed = add(mul(labels, no), mul(others, yes))
  let values = mul(powScalar(missed, gamma), binaryLogLoss(labels, p, fromLogits, epsilon))
  if (applyClassBalancing) values = mul(values, add(mul(labels, alpha), mul(others, 1 - alpha)))
  return reduced(mean(values, axis), options)
}

/** -alpha sum((1 - p)^gamma t log(p)) over the class axis (the last), p as in {@link categoricalCrossentropy}. */
export function categoricalFocalCrossentropy(
  yTrue: Tensor,
  yPred: Tensor,
  options: FocalOptions = {},
): Tensor {
  const op = 'categoricalFocalCrossentropy'
  const { axis, epsilon, fromLogits, labelSmoothing, alpha, gamma } = checked(op, options, FOCAL)
  const [t, p] = aligned(op, yTrue, yPred)
  const labels = smoothed(t, labelSmoothing, p.shape[checkAxis(op, axis, p.rank)]!)
  const likely = normalized(fromLogits ? softmax(p, axis) : p, axis, epsilon)
  const weight = mul(powScalar(sub(1, likely), gamma), alpha)
  return reduced(neg(sum(mul(weight, mul(labels, log(likely))), axis)), options)
}

// ---- margins

/** mean(max(1 - t p, 0)) over the last axis; targets -1 and 1, or 0 and 1, which are moved to -1 and 1. */
export function hinge(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const { axis } = checked('hinge', options, AXIS)
  return reduced(mean(margin('hinge', yTrue, yPred), axis), options)
}

/** mean(max(1 - t p, 0)²) over the last axis; targets as for {@link hinge}. */
export function squaredHinge(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const { axis } = checked('squaredHinge', options, AXIS)
  return reduced(mean(square(margin('squaredHinge', yTrue, yPred)), axis), options)
}

function margin(op: string, yTrue: Tensor, yPred: Tensor): Tensor {
  const [t, p] = aligned(op, yTrue, yPred)
  const isBinary = equal(sum(notEqual(mul(t, sub(t, 1)), 0)), 0)
  return relu(sub(1, mul(where(isBinary, sub(mul(t, 2), 1), t), p)))
}

/** max(max((1 - t) p) - sum(t p) + 1, 0) over the last axis. */
export function categoricalHinge(yTrue: Tensor, yPred: Tensor, options: AxisLossOptions = {}): Tensor {
  const { axis } = checked('categoricalHinge', options, AXIS)
  const [t, p] = aligned('categoricalHinge', yTrue, yPred)
  const wrong = max(mul(sub(1, t), p), axis)
  return reduced(relu(add(sub(wrong, sum(mul(t, p), axis)), 1)), options)
}

// ---- overlap

/** 1 - 2 sum(t p) / (sum(t) + sum(p) + epsilon), over everything unless axes are given (Milletari et al. 2016). */
export function dice(yTrue: Tensor, yPred: Tensor, options: OverlapOptions = {}): Tensor {
  const { axis, epsilon } = checked('dice', options, OVERLAP)
  const [t, p] = aligned('dice', yTrue, yPred)
  const both = sum(mul(t, p), axis)
  return reduced(sub(1, div(mul(both, 2), add(add(sum(t, axis), sum(p, axis)), epsilon))), options)
}

/**
 * 1 - sum(t p) / (sum(t p) + alpha sum((1 - t) p) + beta sum(t (1 - p)) + epsilon), over everything unless axes are
 * given (Salehi et al. 2017).
 */
export function tversky(yTrue: Tensor, yPred: Tensor, options: TverskyOptions = {}): Tensor {
  const { axis, epsilon, alpha, beta } = checked('tversky', options, TVERSKY)
  const [t, p] = aligned('tversky', yTrue, yPred)
  const both = sum(mul(t, p), axis)
  const falsePositives = sum(mul(sub(1, t), p), axis)
  const falseNegatives = sum(mul(t, sub(1, p)), axis)
  const whole = add(add(both, mul(falsePositives, alpha)), add(mul(falseNegatives, beta), epsilon))
  return reduced(sub(1, div(both, whole)), options)
}

// ---- what they share

function checkTensors(op: string, yTrue: unknown, yPred: unknown): void {
  for (const [name, y] of [
    ['yTrue', yTrue],
    ['yPred', yPred],
  ] as const)
    if (!(y instanceof Tensor))
      throw new ValueError(
        `${op}: ${name} must be a tensor, got ${typeName(y)}${Array.isArray(y) ? '; wrap it in tensor(…)' : ''}`,
        { op },
      )
}

function floats(op: string, x: Tensor, dtype: FloatDType = toFloat(op, x.dtype)): Tensor {
  return x.dtype === dtype ? x : cast(x, dtype)
}

/**
 * Targets and predictions in the predictions' dtype and of one shape. A last side of 1 that only one of them has is
 * added to or taken off the other, as in Keras; nothing else is broadcast.
 */
function aligned(op: string, yTrue: Tensor, yPred: Tensor): [t: Tensor, p: Tensor] {
  checkTensors(op, yTrue, yPred)
  let p = floats(op, yPred)
  let t = floats(op, yTrue, p.dtype as FloatDType)
  if (t.rank + 1 === p.rank && p.shape[t.rank] === 1) {
    if (t.rank === 1) t = expandDims(t, -1)
    else p = reshape(p, p.shape.slice(0, -1))
  } else if (p.rank + 1 === t.rank && t.shape[p.rank] === 1) {
    if (p.rank === 1) p = expandDims(p, -1)
    else t = reshape(t, t.shape.slice(0, -1))
  }
  if (!sameShape(t.shape, p.shape))
    throw new ShapeError(
      `${op}: targets ${formatShape(yTrue.shape)} and predictions ${formatShape(yPred.shape)} differ in shape` +
        (isSparse(op, yTrue, yPred) ? '; did you mean sparseCategoricalCrossentropy?' : ''),
      { op, shapes: [yTrue.shape, yPred.shape] },
    )
  return [t, p]
}

/** Whether the targets of a cross-entropy look like class numbers. */
function isSparse(op: string, yTrue: Tensor, yPred: Tensor): boolean {
  if (!op.endsWith('Crossentropy')) return false
  const rows = yPred.shape.slice(0, -1)
  return sameShape(yTrue.shape, rows) || sameShape(yTrue.shape, [...rows, 1])
}

function reduced(values: Tensor, { reduction = 'none' }: LossOptions): Tensor {
  if (reduction === 'none') return values
  return reduction === 'mean' ? mean(values) : sum(values)
}

// ---- options: defaults, and what is allowed

type Check = (op: string, name: string, value: unknown) => void
type Known = Readonly<Record<string, { readonly value: unknown; readonly check: Check }>>
type Values<K extends Known> = { readonly [N in keyof K]: K[N]['value'] }

/** The options with defaults filled in. @throws ValueError for an unknown one or a value out of range. */
function checked<K extends Known>(op: string, options: object, known: K): Values<K> {
  if (typeof options !== 'object' || options === null)
    throw new ValueError(`${op}: options must be an object, got ${show(options)}`, { op })
  const values: Record<string, unknown> = {}
  for (const name in known) values[name] = known[name]!.value
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!Object.hasOwn(known, name)) throw unknownOption(op, name, Object.keys(known))
    known[name]!.check(op, name, value)
    values[name] = value
  }
  return values as Values<K>
}

function unknownOption(op: string, name: string, names: readonly string[]): ValueError {
  return new ValueError(
    `${op}: option ${show(name)} is unknown; known are ${names.join(', ')}.${didYouMean(name, names)}`,
    { op },
  )
}

function within(isAllowed: (value: number) => boolean, range: string): Check {
  return (op, name, value) => {
    if (typeof value !== 'number' || !isAllowed(value))
      throw new ValueError(`${op}: ${name} must be ${range}, got ${show(value)}`, { op })
  }
}
const positive = within((x) => x > 0 && x < Infinity, 'a number above 0')
const notNegative = within((x) => x >= 0 && x < Infinity, 'a number of at least 0')
const share = within((x) => x >= 0 && x <= 1, 'a number in [0, 1]')
const small = within((x) => x > 0 && x < 0.5, 'a number in (0, 0.5)')

const flag: Check = (op, name, value) => {
  if (typeof value !== 'boolean')
    throw new ValueError(`${op}: ${name} must be true or false, got ${show(value)}`, { op })
}
const oneOfReductions: Check = (op, name, value) => {
  checkOption(op, name, value, ['none', 'mean', 'sum'])
}
/** Axes are checked where they are used. */
const elsewhere: Check = () => undefined

const BASE = { reduction: { value: 'none' as LossReduction, check: oneOfReductions } }
const AXIS = { ...BASE, axis: { value: -1, check: elsewhere } }
const AXIS_EPSILON = { ...AXIS, epsilon: { value: EPSILON, check: positive } }
const HUBER = { ...AXIS, delta: { value: 1, check: positive } }
const CROSSENTROPY = {
  ...AXIS,
  epsilon: { value: EPSILON, check: small },
  fromLogits: { value: false, check: flag },
}
const SMOOTHED = { ...CROSSENTROPY, labelSmoothing: { value: 0, check: share } }
const FOCAL = {
  ...SMOOTHED,
  alpha: { value: 0.25, check: share },
  gamma: { value: 2, check: notNegative },
}
const BINARY_FOCAL = { ...FOCAL, applyClassBalancing: { value: false, check: flag } }
const OVERLAP = {
  ...BASE,
  axis: { value: null as Axes, check: elsewhere },
  epsilon: { value: EPSILON, check: positive },
}
const TVERSKY = {
  ...OVERLAP,
  alpha: { value: 0.5, check: notNegative },
  beta: { value: 0.5, check: notNegative },
}
