import { type Backend, type DType, type Tensor, withBackend } from '@adjoint/core'
import {
  currentBackend,
  type MemoryScope,
  randomState,
  type RandomState,
  setRandomState,
} from '@adjoint/core/extend'

/**
 * The backend and the random numbers that an asynchronous call keeps across its awaits, whatever the rest of the
 * program sets meanwhile.
 */
export class Bound {
  readonly backend: Backend = currentBackend()
  #random: RandomState = randomState()
  readonly #scopes: MemoryScope[] = []

  /**
   * Begins a pass, or a step of it: what is made until it ends is given back then, where that is not the garbage
   * collector's to do.
   */
  begin(): void {
    if (this.backend.openScope === undefined) return
    this.#scopes.push(this.run(() => this.backend.openScope!()))
  }

  end(): void {
    this.#scopes.pop()?.close()
  }

  /** Has what a step made outlive it, instead of what it takes the place of. */
  keep(made: readonly Tensor<DType>[], before: readonly Tensor<DType>[] = []): void {
    const scope = this.#scopes.at(-1)
    if (scope === undefined) return
    for (const x of made) scope.keep(x.handle)
    for (const x of before) if (!made.includes(x)) x.dispose()
  }

  /** Runs synchronous work with both. */
  run<R>(work: () => R): R {
    const outside = randomState()
    setRandomState(this.#random)
    try {
      const scope = this.#scopes.at(-1)
      return withBackend(this.backend, scope === undefined ? work : () => scope.run(work))
    } finally {
      this.#random = randomState()
      setRandomState(outside)
    }
  }

  /** Continues with the random numbers of another seed. */
  reseed(seed: number): void {
    this.#random = { seed, draws: 0 }
  }

  /** Goes back to where the random numbers stood. */
  get random(): RandomState {
    return this.#random
  }
  set random(state: RandomState) {
    this.#random = state
  }

  /** Counts the draws that were made here as made by the program too, so that its next ones are others. */
  settle(): void {
    const { seed, draws } = randomState()
    if (seed === this.#random.seed && draws < this.#random.draws) setRandomState(this.#random)
  }
}
