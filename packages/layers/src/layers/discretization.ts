import { type Tensor, ValueError } from '@adjoint/core'
import { fromHost, show } from '@adjoint/core/extend'
import type { CallOptions, SymbolicAval } from '../layer.js'
import type { SymbolicTensor } from '../symbolic.js'
import type { LayerOptions, NumericData, NumIn } from '../types.js'
import { type ArrayColumn, readData } from './adapt-data.js'
import { checkCount } from './options.js'
import { SingleInputLayer } from './single-input.js'

/** Options of {@link discretization}: one of the two. */
export interface DiscretizationOptions<N extends string = string> extends LayerOptions<N> {
  /** Where bins meet, ascending; a boundary belongs to the bin above it. */
  readonly binBoundaries?: readonly number[]
  /** How many bins `adapt` makes, each with as much of the data. */
  readonly numBins?: number
}

/** The bin of each number: how many boundaries are not above it. */
export class Discretization<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['binBoundaries', 'numBins']
  readonly #bins: number | undefined
  #boundaries: readonly number[] | undefined

  constructor(options: DiscretizationOptions<N>) {
    super(options)
    const { binBoundaries, numBins } = options
    if (binBoundaries === undefined && numBins === undefined)
      throw new ValueError(`${this.label}: needs binBoundaries, or numBins and then adapt(data)`)
    this.#bins = numBins === undefined ? undefined : checkCount(this.label, 'numBins', numBins)
    if (binBoundaries === undefined) return
    if (
      !Array.isArray(binBoundaries) ||
      binBoundaries.some(
        (b: unknown, i) => !Number.isFinite(b) || (i > 0 && (b as number) < binBoundaries[i - 1]),
      )
    )
      throw new ValueError(
        `${this.label}: binBoundaries must be ascending finite numbers, got ${show(binBoundaries)}`,
      )
    this.#boundaries = [...(binBoundaries as number[])]
  }

  /** Where bins meet. @throws ValueError before `adapt`. */
  get binBoundaries(): readonly number[] {
    if (this.#boundaries === undefined)
      throw new ValueError(
        `${this.label}: it has no boundaries yet; call adapt(data) first, or give binBoundaries`,
      )
    return this.#boundaries
  }

  /** Takes the quantiles 1/numBins, 2/numBins, … of all numbers of `data` (between two: linearly) as boundaries. */
  adapt(data: NumericData | ArrayColumn<number>): void {
    const bins = this.#bins
    if (bins === undefined)
      throw new ValueError(`${this.label}: adapt: binBoundaries were given; give numBins instead`)
    const { values } = readData(`${this.label}: adapt`, data, 'numbers')
    const sorted = Float64Array.from(values as ArrayLike<number>).toSorted()
    const bad = sorted.find((value) => !Number.isFinite(value))
    if (sorted.length === 0 || bad !== undefined)
      throw new ValueError(
        `${this.label}: adapt: needs finite numbers, got ${sorted.length === 0 ? 'none' : bad}`,
      )
    this.#boundaries = Array.from({ length: bins - 1 }, (_, k) => {
      const at = ((k + 1) / bins) * (sorted.length - 1)
      const low = Math.floor(at)
      const below = sorted[low]!
      return below + (at - low) * ((sorted[low + 1] ?? below) - below)
    })
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval {
    return { shape: x!.shape, dtype: 'int32' }
  }

  override call(x: Tensor): Tensor {
    const { binBoundaries } = this
    const bins = Int32Array.from(x.dataSync(), (value) => {
      if (Number.isNaN(value)) throw new ValueError(`${this.label}: NaN is in no bin`)
      let [low, high] = [0, binBoundaries.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if (binBoundaries[middle]! <= value) low = middle + 1
        else high = middle
      }
      return low
    })
    return fromHost(bins, x.shape, 'int32')
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      ...(this.#boundaries !== undefined && { binBoundaries: this.#boundaries }),
      ...(this.#bins !== undefined && { numBins: this.#bins }),
    }
  }
}

export interface Discretization<N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S> ? SymbolicTensor<S, 'int32', N> : Tensor<'int32'>
}

/**
 * Turns numbers into the bins in which they lie.
 * @throws ValueError, when called on data, before it has boundaries.
 * @example discretization({ binBoundaries: [0, 1] })(tensor([[-3, 0.5, 1]])) // [[0, 1, 2]]
 */
export function discretization<const N extends string = string>(
  options: DiscretizationOptions<N>,
): Discretization<N> {
  return new Discretization(options)
}
