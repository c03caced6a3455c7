import { type Backend, withBackend } from '@adjoint/core'
import { currentBackend, randomState, type RandomState, setRandomState } from '@adjoint/core/extend'

/**
 * The backend and the random numbers that an asynchronous call keeps across its awaits, whatever the rest of the
 * program sets meanwhile.
 */
export class Bound {
  readonly backend: Backend = currentBackend()
  #random: RandomState = randomState()

  /** Runs synchronous work with both. */
  run<R>(work: () => R): R {
    const outside = randomState()
    setRandomState(this.#random)
    try {
      return withBackend(this.backend, work)
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
