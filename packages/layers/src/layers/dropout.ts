import { mul, random, type Tensor, ValueError, where } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import type { CallContext } from '../layer.js'
import type { LayerOptions } from '../types.js'
import { positional } from './options.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link dropout}. */
export interface DropoutOptions<N extends string = string> extends LayerOptions<N> {
  /** Draws from a sequence of its own, whatever `setSeed` says. */
  readonly seed?: number
}

/** Zeros at random places while training; the rest is divided by 1 - rate, so that the mean stays. */
export class Dropout<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['rate', 'seed']
  readonly rate: number
  readonly #seed: number | undefined
  #draws = 0

  constructor(options: DropoutOptions<N> & { readonly rate: number }) {
    super(options)
    const { rate, seed } = options
    if (typeof rate !== 'number' || !(rate >= 0 && rate < 1))
      throw new ValueError(`${this.label}: rate must be in the range [0, 1), got ${show(rate)}`)
    if (seed !== undefined && (!Number.isSafeInteger(seed) || seed < 0))
      throw new ValueError(`${this.label}: seed must be a whole number from 0 to 2^53 - 1, got ${show(seed)}`)
    this.rate = rate
    this.#seed = seed
  }

  override call(x: Tensor, { training }: CallContext): Tensor {
    if (!training || this.rate === 0) return x
    const keep = random.bernoulli(1 - this.rate, x.shape, this.#nextSeed())
    // What is dropped is left out, not multiplied by 0: infinities go too, and no gradient comes from it.
    return where(keep as unknown as Tensor, mul(x, 1 / (1 - this.rate)), 0)
  }

  /** Every call draws other numbers; with a seed of its own, the same ones after the same number of calls. */
  #nextSeed(): { seed?: number } {
    return this.#seed === undefined ? {} : { seed: mixed(this.#seed, this.#draws++) }
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
    return {
      ...super.getConfig(),
      rate: this.rate,
      ...(this.#seed !== undefined && { seed: this.#seed }),
    }
  }
}

/** A seed for call `n` that shares no sequence with neighbouring seeds: 53 bits of two multiplicative hashes. */
function mixed(seed: number, n: number): number {
  const low = Math.imul((seed % 2 ** 32) ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(n + 1, 0xc2b2ae35)
  const high =
    Math.imul(Math.floor(seed / 2 ** 32) + 0x27d4eb2f, 0x165667b1) ^ Math.imul(low ^ (low >>> 15), 0x2c1b3c6d)
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}

export interface Dropout<N extends string> extends SameShape<N> {}

/**
 * Leaves out a part of its input at random while training, and scales the rest up; does nothing otherwise.
 * @param rate which part, in [0, 1).
 * @example dropout(0.5)(x)
 */
export function dropout<const N extends string = string>(
  rate: number | (DropoutOptions<N> & { readonly rate: number }),
  options: DropoutOptions<N> = {},
): Dropout<N> {
  return new Dropout(positional<'rate', number, DropoutOptions<N>>('dropout', 'rate', rate, options))
}
