import { NonFiniteError, type Tensor, type Variable } from '@adjoint/core'
import { formatShape, randomState, setRandomState, show } from '@adjoint/core/extend'
import type { LayerBase } from '../layer.js'
import type { Model } from '../model.js'
import type { Batch } from './batches.js'
import type { Compiled } from './compile.js'
import type { Outcome } from './outcome.js'
import { isKnownNonFinite } from './read.js'
import type { Kept } from './undo.js'

/** Where in the training a step is, for messages. */
export interface Place {
  readonly op: string
  readonly epoch: number
  readonly step: number
}

/** The model whose steps are looked at. */
interface Suspect {
  readonly model: Model
  readonly compiled: Compiled
  readonly variables: readonly Variable[]
  readonly statistics: readonly Variable[]
}

/** @param before where the model stood before the step, which is made again to see where it went wrong. */
export function badLoss(
  suspect: Suspect,
  batch: Batch,
  { loss: total, losses, modelLoss }: Omit<Outcome, 'predictions'>,
  before: Kept,
  place: Place,
): NonFiniteError {
  const bad = suspect.compiled.outputs.find(
    ({ index, loss }) => loss !== undefined && !Number.isFinite(losses[index]),
  )
  const what =
    bad !== undefined
      ? `the loss of output ${show(bad.key)} is ${losses[bad.index]}`
      : modelLoss !== undefined && !Number.isFinite(modelLoss)
        ? `the modelLoss is ${modelLoss}`
        : `the sum of the losses is ${total}`
  return new NonFiniteError(
    `${where(place)}: ${what}; ${firstNonFinite(suspect, batch, before)}. The weights before this step are kept`,
    { op: place.op },
  )
}

/** Runs the model again, as before, to see where the first NaN or infinity comes up. */
function firstNonFinite(suspect: Suspect, batch: Batch, before: Kept): string {
  const { model, compiled, variables, statistics } = suspect
  const now = randomState()
  const kept = statistics.map((v) => v.detach())
  setRandomState(before.random)
  try {
    let found: string | undefined
    const look = (label: string, x: Tensor): void => {
      if (found === undefined && isKnownNonFinite(x))
        found = `${label} (${formatShape(x.shape)}) is the first that is not finite`
    }
    compiled.inputs.list.forEach(({ key }, i) => look(`input ${show(key)}`, batch.x[i]!))
    for (const v of [...variables, ...statistics]) look(`the weight ${labelOf(suspect, v)}`, v)
    model.compute(batch.x, { training: true }, (layer, outputs) => {
      for (const x of outputs) look(`the output of ${model.nameOf(layer)} (${layer.className})`, x as Tensor)
    })
    return found ?? 'all layers gave finite numbers, so it is the loss itself'
  } finally {
    setRandomState(now)
    statistics.forEach((v, i) => v.assign(kept[i]!))
  }
}

export function badGradient(suspect: Suspect, at: number, size: number, place: Place): NonFiniteError {
  return new NonFiniteError(
    `${where(place)}: the gradient of ${labelOf(suspect, suspect.variables[at]!)} holds ${size}, though the loss is ` +
      'finite. The weights before this step are kept',
    { op: place.op },
  )
}

export function badWeight(suspect: Suspect, at: number, size: number, place: Place): NonFiniteError {
  return new NonFiniteError(
    `${where(place)}: ${labelOf(suspect, suspect.variables[at]!)} would become ${size}; is the learning rate ` +
      `${suspect.compiled.optimizer.learningRate} too large? The weights before this step are kept`,
    { op: place.op },
  )
}

/** `dense_1/kernel`. */
function labelOf({ model, compiled }: Suspect, variable: Variable): string {
  if (compiled.lossWeights.variables.includes(variable)) return `the loss weight ${variable.name}`
  const owner = ownerOf(model.layers, variable)
  return owner === undefined ? show(variable.name) : `${model.nameOf(owner)}/${variable.name}`
}

function ownerOf(layers: readonly LayerBase[], variable: Variable): LayerBase | undefined {
  for (const layer of layers) {
    if (layer.ownWeights.includes(variable)) return layer
    const inner = ownerOf(layer.sublayers, variable)
    if (inner !== undefined) return inner
  }
  return undefined
}

/** `fit: epoch 0, step 3`. */
export function where({ op, epoch, step }: Place): string {
  return op.startsWith('fit') ? `${op}: epoch ${epoch}, step ${step}` : op
}
