import { mean, ShapeError, Tensor, ValueError } from '@adjoint/core'
import { formatShape, isThenable, show, typeName } from '@adjoint/core/extend'
import { Layer, type LayerBase } from '../layer.js'

/** The name of the loss over all outputs in the logs, beside those of the outputs. */
export const MODEL_LOSS = 'model_loss'

/** A loss over all outputs at once. */
export interface ModelLoss {
  /** The loss, a scalar. All arguments are in the structure of the model's outputs. */
  readonly fn: (targets: unknown, outputs: unknown, sampleWeight: unknown) => Tensor
  /** Whether it has a log of its own: alone it is the loss. */
  readonly isLogged: boolean
}

/** @throws ValueError for what is no function. */
export function resolveModelLoss(spec: unknown): Pick<ModelLoss, 'fn'> | undefined {
  if (spec === undefined || spec === null) return undefined
  if (typeof spec !== 'function')
    throw new ValueError(`compile: modelLoss must be a function of targets and outputs, got ${show(spec)}`)
  return { fn: (...args) => checked((spec as (...args: unknown[]) => unknown)(...args)) }
}

function checked(value: unknown): Tensor {
  if (!(value instanceof Tensor))
    throw new ValueError(
      `modelLoss: expected a scalar tensor, got ${typeName(value)}` +
        (isThenable(value) ? '; a loss must be synchronous' : ''),
    )
  const loss = value as Tensor
  if (loss.rank > 1)
    throw new ShapeError(
      `modelLoss: expected a scalar, or a value for each sample, got ${formatShape(loss.shape)}; take the mean`,
      { op: 'modelLoss', shapes: [loss.shape] },
    )
  return loss.rank === 0 ? loss : mean(loss)
}

/** Whether a layer, or one inside it, adds to the loss by itself: it has done so, or its `call` is the user's own. */
export function mayAddLosses(layer: LayerBase): boolean {
  return layer.addsLosses || layer instanceof Layer || layer.sublayers.some(mayAddLosses)
}
