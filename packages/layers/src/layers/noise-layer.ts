import { type Tensor, ValueError } from '@adjoint/core'
import { isFloat, isRecord, show } from '@adjoint/core/extend'
import type { CallContext } from '../layer.js'
import type { LayerOptions } from '../types.js'
import { SingleInputLayer } from './single-input.js'

/** Options of layers that draw random numbers in training. */
export interface NoiseOptions<N extends string = string> extends LayerOptions<N> {
  /** Draws from a sequence of its own, whatever `setSeed` says. */
  readonly seed?: number
}

/** A layer that draws random numbers in training. */
export abstract class NoiseLayer<N extends string = string> extends SingleInputLayer<N> {
  readonly #seed: number | undefined
  #draws = 0

  constructor(options: NoiseOptions<N>) {
    super(options)
    const { seed } = options
    if (seed !== undefined && (!Number.isSafeInteger(seed) || seed < 0))
      throw new ValueError(`${this.label}: seed must be a whole number from 0 to 2^53 - 1, got ${show(seed)}`)
    this.#seed = seed
  }

  override get drawsBySeed(): boolean {
    return this.#seed !== undefined
  }

  /** Every call draws other numbers; with a seed of its own, the same ones after the same number of calls. */
  protected nextSeed(): { seed?: number } {
    return this.#seed === undefined ? {} : { seed: mixed(this.#seed, this.#draws++) }
  }

  override get supportsMasking(): boolean {
    return true
  }

  override savedState(): unknown {
    return this.#seed === undefined || this.#draws === 0 ? undefined : { draws: this.#draws }
  }

  override restorer(state: unknown): () => void {
    const draws = isRecord(state) ? state['draws'] : undefined
    if (this.#seed === undefined || !Number.isSafeInteger(draws) || (draws as number) < 0)
      throw new ValueError(`${this.label}: draws must be a whole number >= 0, got ${show(draws)}`)
    return () => (this.#draws = draws as number)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), ...(this.#seed !== undefined && { seed: this.#seed }) }
  }
}

/** A layer that changes a part of its input while training, and nothing otherwise. */
export abstract class RateLayer<N extends string = string> extends NoiseLayer<N> {
  static override readonly optionNames: readonly string[] = ['rate', 'seed']
  readonly rate: number

  constructor(options: NoiseOptions<N> & { readonly rate: number }) {
    super(options)
    const rate: unknown = options.rate
    if (typeof rate !== 'number' || !(rate >= 0 && rate < 1))
      throw new ValueError(`${this.label}: rate must be in the range [0, 1), got ${show(rate)}`)
    this.rate = rate
  }

  /** What it makes of `x` while training. */
  protected abstract drop(x: Tensor): Tensor

  override call(x: Tensor, { training }: CallContext): Tensor {
    return training && this.rate > 0 ? this.drop(x) : x
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), rate: this.rate }
  }
}

/** The dtype of noise for `x`: its own, unless it is of whole numbers. */
export function floatOf(x: Tensor, otherwise: 'float32' | 'float64'): 'float32' | 'float64' {
  return isFloat(x.dtype) ? x.dtype : otherwise
}

/** A seed for call `n` that shares no sequence with neighbouring seeds: 53 bits of two multiplicative hashes. */
function mixed(seed: number, n: number): number {
  const low = Math.imul((seed % 2 ** 32) ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(n + 1, 0xc2b2ae35)
  const high =
    Math.imul(Math.floor(seed / 2 ** 32) + 0x27d4eb2f, 0x165667b1) ^ Math.imul(low ^ (low >>> 15), 0x2c1b3c6d)
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}
