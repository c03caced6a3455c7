import {
  add,
  div,
  type Dim,
  maximum,
  mul,
  type Nested,
  NonFiniteError,
  reshape,
  type Shape,
  ShapeError,
  sqrt,
  sub,
  Tensor,
  tensor,
  type TypedArray,
  ValueError,
  type Variable,
} from '@adjoint/core'
import {
  abstractBackend,
  checkAxis,
  currentBackend,
  formatShape,
  isRecord,
  show,
  stridesOf,
} from '@adjoint/core/extend'
import type { SymbolicAval } from '../layer.js'
import { checkShaped, isColumnData, isShapedData, valuesOf } from '../trainer/columns.js'
import type { LayerOptions, NumericData } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link normalization}. */
export interface NormalizationOptions<N extends string = string> extends LayerOptions<N> {
  /** The axes, the batch counted as 0, whose places have a mean and variance each; null: one for all. Default -1. */
  readonly axis?: number | readonly number[] | null
  /** Given together with `variance`: then there is nothing to adapt. */
  readonly mean?: number | readonly number[]
  readonly variance?: number | readonly number[]
  /** Undoes the normalization instead. */
  readonly invert?: boolean
}

/** Below this a deviation counts as this, so that a constant feature becomes 0. */
const LEAST_DEVIATION = 1e-7

/** (x - mean) / max(sqrt(variance), 1e-7), with the mean and variance of data it was adapted to. */
export class Normalization<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis', 'mean', 'variance', 'invert']
  readonly #axes: readonly number[]
  readonly #invert: boolean
  /** Mean and variance as they were given. */
  readonly #options: Pick<NormalizationOptions, 'mean' | 'variance'>
  readonly #given: { readonly mean: Tensor; readonly variance: Tensor } | undefined
  #learned: { readonly mean: Variable; readonly variance: Variable; readonly count: Variable } | undefined
  /** What the mean held when it was made: another value means that it was adapted, or its weights were set. */
  #untouched: object | undefined
  /** The sides of the kept axes, and the shape in which the statistics meet the input. */
  #sides: readonly number[] = []
  #broadcast: readonly number[] = []

  constructor(options: NormalizationOptions<N> = {}) {
    super(options)
    const { axis = -1, mean, variance, invert = false } = options
    this.#axes = checkAxes(this.label, axis)
    this.#invert = invert
    this.#options = mean === undefined || variance === undefined ? {} : { mean, variance }
    this.#given = givenStatistics(this.label, mean, variance, this.#axes.length, this.dtype)
  }

  /** Means, of the shape of the kept axes. @throws ValueError before `adapt`. */
  get mean(): Tensor {
    return (this.#given ?? this.#adapted('mean')).mean.detach()
  }

  get variance(): Tensor {
    return (this.#given ?? this.#adapted('variance')).variance.detach()
  }

  #adapted(what: string): { readonly mean: Tensor; readonly variance: Tensor } {
    const learned = this.#learned
    if (learned === undefined || learned.mean.handle === this.#untouched)
      throw new ValueError(
        `${this.label}: ${what} is not known yet; call adapt(data) first, or give mean and variance`,
      )
    return learned
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    const { sides, broadcast } = this.#keptSides(x!.shape)
    if (
      this.built &&
      (sides.length !== this.#sides.length || sides.some((side, i) => side !== this.#sides[i]))
    )
      throw new ShapeError(
        `${this.label}: expected ${formatShape(this.#broadcast)} statistics (from build) for [null,${x!.shape.slice(1).join(',')}], which needs ${formatShape(broadcast)}`,
        { op: this.name, shapes: [x!.shape] },
      )
  }

  #keptSides(shape: Shape): { sides: number[]; broadcast: number[] } {
    const kept = new Set(this.#axes.map((axis) => checkAxis(this.label, axis, shape.length)))
    if (kept.has(0))
      throw new ValueError(
        `${this.label}: axis ${show(this.#axes)} of [null,${shape.slice(1).join(',')}] is the batch; rows have no statistics of their own`,
      )
    const broadcast = shape.map((side: Dim, axis) => {
      if (!kept.has(axis)) return 1
      if (side === null)
        throw new ShapeError(`${this.label}: axis ${axis} of ${formatShape(shape)} must be known`, {
          op: this.name,
          shapes: [shape],
        })
      return side
    })
    return { sides: broadcast.filter((_, axis) => kept.has(axis)), broadcast }
  }

  override build(inputShape: Shape): void {
    const { sides, broadcast } = this.#keptSides(inputShape)
    if (this.#given !== undefined) {
      const own = this.#given.mean.shape
      if (own.some((side, i) => side !== 1 && side !== sides.at(i - own.length)))
        throw new ShapeError(
          `${this.label}: mean and variance of ${formatShape(own)} do not fit ${formatShape(inputShape)}`,
          { op: this.name, shapes: [inputShape, own] },
        )
    } else {
      const frozen = { trainable: false }
      this.#learned = {
        mean: this.addWeight('mean', sides, { ...frozen, initializer: 'zeros' }),
        variance: this.addWeight('variance', sides, { ...frozen, initializer: 'ones' }),
        count: this.addWeight('count', [], { ...frozen, initializer: 'zeros', dtype: 'int32' }),
      }
      this.#untouched = this.#learned.mean.handle
    }
    this.#sides = sides
    this.#broadcast = broadcast
  }

  /**
   * Learns mean and variance from data: rows of what the layer will be called on; of a flat list each number is a row.
   * Computed in float64 from the deviations, so that a large offset costs no precision.
   * @throws ValueError for no rows; NonFiniteError for NaN and infinities, with their place.
   */
  adapt(data: NumericData): void {
    if (this.#given !== undefined)
      throw new ValueError(`${this.label}: adapt: mean and variance were given; there is nothing to adapt`)
    const { values, shape } = numbersOf(this.label, data)
    this.checkInputs([{ shape, dtype: 'float64' }])
    const { sides, broadcast } = this.#keptSides(shape)
    const { mean, variance, count } = statistics(this.label, values, shape, broadcast)
    this.ensureBuilt([{ shape: [null, ...shape.slice(1)], dtype: 'float64' }])
    const learned = this.#learned!
    const { dtype } = learned.mean
    learned.mean.assign(tensor(mean, { dtype, shape: sides }))
    learned.variance.assign(tensor(variance, { dtype, shape: sides }))
    learned.count.assign(tensor(Math.min(count, 2 ** 31 - 1), { dtype: 'int32' }))
  }

  override call(x: Tensor): Tensor {
    // While shapes are inferred the values do not matter yet.
    const { mean, variance } =
      this.#given ?? (currentBackend() === abstractBackend ? this.#learned! : this.#adapted('its mean'))
    const center = this.#aligned(mean)
    const deviation = maximum(sqrt(this.#aligned(variance)), LEAST_DEVIATION)
    return this.#invert ? add(mul(x, deviation), center) : div(sub(x, center), deviation)
  }

  /** Statistics with an axis of 1 wherever they are shared. */
  #aligned(statistic: Tensor): Tensor {
    if (statistic.rank === 0) return statistic
    const sides: number[] = this.#broadcast.map(() => 1)
    const kept = this.#axes.map((axis) => (axis < 0 ? axis + sides.length : axis)).toSorted((a, b) => a - b)
    statistic.shape.forEach((side, i) => (sides[kept.at(i - statistic.rank)!] = side))
    return reshape(statistic, sides)
  }

  override savedState(): unknown {
    const learned = this.#learned
    return learned === undefined || learned.mean.handle !== this.#untouched ? undefined : { adapted: false }
  }

  override restorer(state: unknown): () => void {
    if (!isRecord(state) || state['adapted'] !== false)
      throw new ValueError(`${this.label}: adapted can only be false`)
    return () => {
      this.#untouched = this.#learned?.mean.handle
    }
  }

  override getConfig(): Record<string, unknown> {
    const axis = this.#axes.length === 1 ? this.#axes[0] : this.#axes.length === 0 ? null : this.#axes
    return { ...super.getConfig(), axis, invert: this.#invert, ...this.#options }
  }
}

function checkAxes(what: string, axis: unknown): number[] {
  const axes = axis === null ? [] : Array.isArray(axis) ? (axis as unknown[]) : [axis]
  for (const a of axes)
    if (typeof a !== 'number' || !Number.isInteger(a))
      throw new ValueError(`${what}: axis must be a whole number, a list of them or null, got ${show(axis)}`)
  return axes as number[]
}

function givenStatistics(
  what: string,
  mean: unknown,
  variance: unknown,
  axes: number,
  dtype: 'float32' | 'float64',
): { readonly mean: Tensor; readonly variance: Tensor } | undefined {
  if (mean === undefined && variance === undefined) return undefined
  if (mean === undefined || variance === undefined)
    throw new ValueError(
      `${what}: mean and variance must be given together, ${mean === undefined ? 'mean' : 'variance'} is missing`,
    )
  const read = (name: string, value: unknown): Tensor => {
    const numbers: unknown[] = Array.isArray(value) ? value : [value]
    for (const n of numbers)
      if (typeof n !== 'number' || !Number.isFinite(n) || (name === 'variance' && n < 0))
        throw new ValueError(
          `${what}: ${name} must be ${name === 'variance' ? 'finite and at least 0' : 'finite'}, got ${show(n)}`,
        )
    if (Array.isArray(value) && axes === 0)
      throw new ValueError(`${what}: without an axis ${name} must be one number, got ${show(value)}`)
    return tensor(value as number | number[], { dtype })
  }
  const statistics = { mean: read('mean', mean), variance: read('variance', variance) }
  if (statistics.mean.size !== statistics.variance.size)
    throw new ValueError(
      `${what}: mean has ${statistics.mean.size} numbers, variance ${statistics.variance.size}; they must be as many`,
    )
  return statistics
}

/** Data as flat float64 numbers and their shape; a flat list is a column. */
function numbersOf(
  what: string,
  given: NumericData,
): { values: ArrayLike<number>; shape: readonly number[] } {
  if (isShapedData(given)) {
    const shape = checkShaped(`${what}: adapt`, given)
    return { values: given.data, shape: shape.length === 1 ? [shape[0]!, 1] : shape }
  }
  const data = isColumnData(given)
    ? (rowsOf(valuesOf(`${what}: adapt`, given)) as Nested<number> | TypedArray)
    : given
  const isTensor = data instanceof Tensor
  if (!isTensor && !Array.isArray(data) && !ArrayBuffer.isView(data))
    throw new ValueError(`${what}: adapt: expected an array or a tensor, got ${show(data)}`)
  const read = isTensor
    ? data
    : ArrayBuffer.isView(data)
      ? tensor(data)
      : tensor(data as number[], typeof firstLeaf(data) === 'boolean' ? {} : { dtype: 'float64' })
  if (read.rank === 0) throw new ShapeError(`${what}: adapt: needs rows, got one number`)
  return { values: read.dataSync(), shape: read.rank === 1 ? [read.size, 1] : read.shape }
}

/** The values of a column, whose rows may be typed arrays, as lists. */
function rowsOf(values: unknown): unknown {
  if (!Array.isArray(values)) return values
  return values.map((row: unknown) => (ArrayBuffer.isView(row) ? Array.from(row as Float64Array) : row))
}

function firstLeaf(data: unknown): unknown {
  let node = data
  while (Array.isArray(node)) node = node[0] as unknown
  return node
}

/** Two passes: the mean, then the mean square of the deviations, each for every place of the kept axes. */
function statistics(
  what: string,
  values: ArrayLike<number>,
  shape: readonly number[],
  broadcast: readonly number[],
): { mean: Float64Array; variance: Float64Array; count: number } {
  const places = broadcast.reduce((n, side) => n * side, 1)
  const count = values.length / places
  if (values.length === 0 || places === 0)
    throw new ValueError(`${what}: adapt: there are no rows in ${formatShape(shape)}`)
  const strides = stridesOf(shape)
  const kept = stridesOf(broadcast)
  const placeOf = (at: number): number => {
    let place = 0
    for (let axis = 0; axis < shape.length; axis++)
      if (broadcast[axis] !== 1) place += (Math.floor(at / strides[axis]!) % shape[axis]!) * kept[axis]!
    return place
  }
  const mean = new Float64Array(places)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (!Number.isFinite(value))
      throw new NonFiniteError(
        `${what}: adapt: ${show(value)} in row ${Math.floor(i / strides[0]!)} (place ${i % strides[0]!} in it); leave such rows out`,
      )
    // A running mean stays in the range of the data, where a sum could overflow.
    mean[placeOf(i)]! += value / count
  }
  const variance = new Float64Array(places)
  const rest = new Float64Array(places)
  for (let i = 0; i < values.length; i++) {
    const place = placeOf(i)
    const deviation = values[i]! - mean[place]!
    variance[place]! += (deviation * deviation) / count
    rest[place]! += deviation / count
  }
  // What rounding left of the deviations' mean, which should be 0.
  for (let p = 0; p < places; p++) {
    variance[p] = Math.max(0, variance[p]! - rest[p]! * rest[p]!)
    mean[p]! += rest[p]!
  }
  return { mean, variance, count }
}

export interface Normalization<N extends string> extends SameShape<N> {}

/**
 * Brings each feature to mean 0 and variance 1. Give it data first, with `adapt`, or mean and variance.
 * @example const norm = normalization(); norm.adapt(prices); const x = norm(price)
 */
export function normalization<const N extends string = string>(
  options: NormalizationOptions<N> = {},
): Normalization<N> {
  return new Normalization(options)
}
