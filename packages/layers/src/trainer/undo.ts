import type { Tensor, Variable } from '@adjoint/core'
import type { RandomState } from '@adjoint/core/extend'
import type { Optimizer, OptimizerState } from '../optimizers.js'
import type { Bound } from './bound.js'

/** What a step changes before it is known to be sound: where random numbers stand, and moving averages. */
export interface Kept {
  readonly random: RandomState
  readonly statistics: readonly Tensor[]
}

/** What a step changes at its end. */
interface Moved {
  readonly values: readonly Tensor[]
  readonly optimizer: OptimizerState
}

/** What steps change, kept and put back: a step is made whole or not at all. */
export class Undo {
  constructor(
    readonly optimizer: Optimizer,
    readonly variables: readonly Variable[],
    /** Variables that layers change as they run, such as moving averages. */
    readonly statistics: readonly Variable[],
  ) {}

  keep(bound: Bound): Kept {
    return { random: bound.random, statistics: bound.run(() => this.statistics.map((v) => v.detach())) }
  }

  restore(bound: Bound, { random, statistics }: Kept): void {
    bound.random = random
    this.statistics.forEach((v, i) => v.assign(statistics[i]!))
  }

  /** Runs a part of a step under the bound backend; when it fails, nothing has happened. */
  tried<R>(bound: Bound, before: Kept, part: () => R): R {
    try {
      return bound.run(part)
    } catch (error) {
      this.restore(bound, before)
      throw error
    }
  }

  keepMoved(): Moved {
    return { values: this.variables.map((v) => v.detach()), optimizer: this.optimizer.getState() }
  }

  restoreMoved({ values, optimizer }: Moved): void {
    this.variables.forEach((v, i) => v.assign(values[i]!))
    this.optimizer.setState(optimizer)
  }

  /** Everything as it is now; the result puts it back. */
  snapshot(bound: Bound): () => void {
    const moved = bound.run(() => this.keepMoved())
    const before = this.keep(bound)
    return () => {
      bound.run(() => {
        this.restoreMoved(moved)
      })
      this.restore(bound, before)
    }
  }
}
