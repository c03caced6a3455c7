import { add, exp, mul, neg, type Tensor, ValueError, type Variable, variable, zeros } from '@adjoint/core'
import { replaceLeaves, scalarMath, show } from '@adjoint/core/extend'
import { checkNumber, NOT_NEGATIVE } from '../option-checks.js'
import { isSymbolic } from '../symbolic.js'
import type { Sym } from '../types.js'
import { type Ends, spreadOption } from './ends.js'

/** What a loss counts in the sum: a number, or a function of how many steps were taken before. */
export type LossWeight = number | ((step: number) => number)

/** How the losses of the outputs are summed up: by weights that are given, that follow a schedule, or are learned. */
export interface LossWeights {
  /** The weights that training changes too; none unless they are learned. */
  readonly variables: readonly Variable[]
  /** The sum of those losses that there are, each times its weight. */
  sum(losses: readonly (Tensor | undefined)[], step: number): Tensor | undefined
  /** The weight of one output's loss at a step. */
  at(index: number, step: number): number
  /** By output: null where a weight is learned or follows a schedule. */
  getState(): (number | null)[]
  /**
   * As the option of `compile` would give them after setting some.
   * @throws ValueError for what cannot be set.
   */
  set(option: unknown): unknown
}

/** @throws ValueError for another number of weights, unknown outputs, and what is no weight. */
export function lossWeightsOf(targets: Ends, option: unknown, hasLoss: readonly boolean[]): LossWeights {
  if (option === 'uncertainty') return new LearnedWeights(targets, hasLoss)
  return new GivenWeights(targets, spread('compile: lossWeights', targets, option))
}

function spread(what: string, targets: Ends, option: unknown): (LossWeight | undefined)[] {
  const isOne = (value: unknown): value is LossWeight => typeof value !== 'object'
  return spreadOption(what, targets, option, isOne).map((weight, i) =>
    weight === undefined || typeof weight === 'function'
      ? weight
      : checkNumber(what, targets.keys[i]!, weight, NOT_NEGATIVE),
  )
}

class GivenWeights implements LossWeights {
  readonly variables = []
  readonly #targets: Ends
  readonly #weights: LossWeight[]

  constructor(targets: Ends, weights: readonly (LossWeight | undefined)[]) {
    this.#targets = targets
    this.#weights = weights.map((weight) => weight ?? 1)
  }

  sum(losses: readonly (Tensor | undefined)[], step: number): Tensor | undefined {
    let total: Tensor | undefined
    losses.forEach((loss, i) => {
      if (loss === undefined) return
      const weight = this.at(i, step)
      const part = weight === 1 ? loss : mul(loss, weight)
      total = total === undefined ? part : add(total, part)
    })
    return total
  }

  at(index: number, step: number): number {
    const weight = this.#weights[index]!
    if (typeof weight !== 'function') return weight
    const what = `lossWeights: the schedule of ${show(this.#targets.keys[index])}`
    return checkNumber(what, `its value at step ${step}`, weight(step), NOT_NEGATIVE)
  }

  getState(): (number | null)[] {
    return this.#weights.map((weight) => (typeof weight === 'function' ? null : weight))
  }

  set(option: unknown): unknown {
    // All are checked before any is set.
    spread('setLossWeights', this.#targets, option).forEach((weight, i) => {
      if (weight !== undefined) this.#weights[i] = weight
    })
    return replaceLeaves(this.#targets.tree as never, isSymbolic, this.#weights)
  }
}

/**
 * Weights that are learned from how uncertain each task is (Kendall, Gal & Cipolla 2018): the sum is over
 * exp(-s) loss + s, where s stands for the logarithm of a task's variance and starts at 0.
 */
class LearnedWeights implements LossWeights {
  readonly variables: readonly Variable[]
  /** By output. */
  readonly #logVariances: readonly (Variable | undefined)[]

  constructor({ list }: Ends, hasLoss: readonly boolean[]) {
    this.#logVariances = list.map(({ key, tensor }, i) =>
      hasLoss[i] === true ? logVariance(key, tensor) : undefined,
    )
    this.variables = this.#logVariances.filter((s) => s !== undefined)
  }

  sum(losses: readonly (Tensor | undefined)[]): Tensor | undefined {
    let total: Tensor | undefined
    losses.forEach((loss, i) => {
      if (loss === undefined) return
      const s = this.#logVariances[i]!
      const part = add(mul(exp(neg(s)), loss), s)
      total = total === undefined ? part : add(total, part)
    })
    return total
  }

  at(index: number): number {
    const s = this.#logVariances[index]
    return s === undefined ? 1 : scalarMath.exp(-s.dataSync()[0]!)
  }

  getState(): (number | null)[] {
    return this.#logVariances.map(() => null)
  }

  set(): never {
    throw new ValueError(
      'setLossWeights: they are learned; compile with numbers for lossWeights to set them, or assign to model.weights',
    )
  }
}

function logVariance(key: string, { dtype }: Sym.Any): Variable {
  const value = zeros([], dtype === 'float64' ? 'float64' : 'float32')
  return variable(value, { name: `log_variance_${key}` })
}
