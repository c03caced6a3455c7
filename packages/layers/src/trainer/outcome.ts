import type { Tensor } from '@adjoint/core'
import type { Compiled } from './compile.js'
import type { Measured, Parts } from './objective.js'

/** What one step found: the loss before its update, those of the outputs, and what metrics are told. */
export interface Outcome {
  readonly loss: number
  /** By output; undefined where there is no loss. */
  readonly losses: readonly (number | undefined)[]
  /** The loss over all outputs at once, if there is one. */
  readonly modelLoss?: number | undefined
  readonly predictions: readonly Tensor[]
  /** What each loss counted in the sum, where targets may be missing. */
  readonly lossWeights?: readonly number[]
  /** What a step of the user's own returned. */
  readonly logs?: Readonly<Record<string, number>>
}

/** What is read from the device after a step. */
export function scalarsOf(total: Tensor, { losses, modelLoss }: Parts): Tensor[] {
  return [total, ...[...losses, modelLoss].filter((loss) => loss !== undefined)]
}

/** What was read of {@link scalarsOf}, where it belongs. */
export function outcomeOf(compiled: Compiled, found: Measured, numbers: readonly number[]): Outcome {
  let next = 1
  const number = (loss: Tensor | undefined): number | undefined =>
    loss === undefined ? undefined : numbers[next++]!
  const losses = found.losses.map(number)
  const { predictions } = found
  return weighted(compiled, { loss: numbers[0]!, losses, modelLoss: number(found.modelLoss), predictions })
}

/** With what each loss counted, where the logs need it. */
export function weighted({ outputs, lossWeights, optimizer }: Compiled, outcome: Outcome): Outcome {
  // Learned weights change with every step: what they counted is not told apart.
  if (lossWeights.variables.length > 0 || outputs.every(({ masksMissing }) => !masksMissing)) return outcome
  return { ...outcome, lossWeights: outputs.map(({ index }) => lossWeights.at(index, optimizer.iterations)) }
}
