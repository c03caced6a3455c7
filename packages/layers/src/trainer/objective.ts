import { type Tensor, valueAndGrads, ValueError, type Variable } from '@adjoint/core'
import { replaceLeaves } from '@adjoint/core/extend'
import { withLosses } from '../layer.js'
import { reduced } from '../losses/reduction.js'
import type { Model } from '../model.js'
import { regularizedOf, weightLoss, withAdded } from '../regularizers.js'
import { isSymbolic } from '../symbolic.js'
import type { Batch } from './batches.js'
import type { Compiled, OutputPlan } from './compile.js'
import { lossWeights } from './masked.js'

/** The losses that there are: by output, and over all. */
export interface Parts {
  readonly losses: readonly (Tensor | undefined)[]
  readonly modelLoss: Tensor | undefined
}

/** What a batch gave, without training. */
export interface Measured extends Parts {
  /** Undefined where nothing has added to the loss. */
  readonly total: Tensor | undefined
  readonly predictions: readonly Tensor[]
}

/** What a batch gave, and the gradients of its loss. */
export interface Opened extends Measured {
  readonly total: Tensor
  readonly grads: readonly Tensor[]
}

/** What a model computes of a batch, and what training minimises: ops alone, nothing is read or changed but statistics. */
export class Objective {
  readonly #model: Model
  readonly #compiled: Compiled
  readonly #variables: readonly Variable[]
  /** Variables that add to the loss. */
  readonly #regularized: readonly Variable[]
  /** The outputs with a loss of their own. */
  readonly scored: readonly OutputPlan[]

  constructor(model: Model, compiled: Compiled, variables: readonly Variable[]) {
    this.#model = model
    this.#compiled = compiled
    this.#variables = variables
    this.#regularized = regularizedOf(variables)
    this.scored = compiled.outputs.filter((output) => output.loss !== undefined)
  }

  /** In training, with the gradients of all variables. @throws ValueError where there is nothing to minimise. */
  open(batch: Batch): Opened {
    let measured: Measured | undefined
    const { value, grads } = valueAndGrads(() => {
      measured = this.measure(batch, true)
      if (measured.total === undefined)
        throw new ValueError(
          'there is nothing to minimise: no output has a loss, and no layer has added one; give compile a loss, or ' +
            'call addLoss in a layer',
        )
      return measured.total
    }, this.#variables)
    return { ...measured!, total: value, grads }
  }

  measure(batch: Batch, training: boolean): Measured {
    const { result, losses: added } = withLosses(() => this.#model.compute(batch.x, { training }) as Tensor[])
    const parts = { losses: this.#losses(batch, result), modelLoss: this.#modelLoss(batch, result) }
    return { ...parts, total: this.#total(parts, added), predictions: result }
  }

  #modelLoss(batch: Batch, predictions: readonly Tensor[]): Tensor | undefined {
    const { modelLoss, targets } = this.#compiled
    if (modelLoss === undefined) return undefined
    const { y, sampleWeight } = structured(this.#compiled, batch)
    return modelLoss.fn(y, replaceLeaves(targets.tree as never, isSymbolic, predictions), sampleWeight)
  }

  /** The mean loss of each output. */
  #losses(batch: Batch, predictions: readonly Tensor[]): (Tensor | undefined)[] {
    const losses = new Array<Tensor | undefined>(predictions.length).fill(undefined)
    for (const { index, loss } of this.scored) {
      const values = loss!.fn(batch.y[index]!, predictions[index]!)
      const given = { weights: batch.weights[index], there: batch.masks[index] }
      losses[index] = reduced(values, lossWeights(predictions[index]!, values, given, loss!), loss!)
    }
    return losses
  }

  /**
   * The weighted losses of the outputs, that over all, what layers have added, and what regularized weights add;
   * undefined where only the last could be.
   */
  #total({ losses, modelLoss }: Parts, added: readonly Tensor[]): Tensor | undefined {
    const { lossWeights, optimizer } = this.#compiled
    const weighted = lossWeights.sum(losses, optimizer.iterations)
    const [first, ...rest] = [weighted, modelLoss, ...added].filter((loss) => loss !== undefined)
    return first && withAdded(first, [...rest, ...this.#regularized.map(weightLoss)])
  }
}

/** A batch in the structure of the model, as functions of the user's get it. */
export function structured(
  { inputs, targets }: Compiled,
  batch: Batch,
): { x: unknown; y: unknown; sampleWeight: unknown } {
  const filled = (tree: unknown, leaves: readonly unknown[]): unknown =>
    replaceLeaves(tree as never, isSymbolic, leaves)
  const isWeighted = batch.weights.some((w) => w !== undefined)
  return {
    x: filled(inputs.tree, batch.x),
    y: filled(targets.tree, batch.y),
    sampleWeight: isWeighted ? filled(targets.tree, batch.weights) : undefined,
  }
}
