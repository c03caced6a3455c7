import { type Tensor, ValueError } from '@adjoint/core'
import { formatShape, sameShape, show } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import type { Optimizer } from '../optimizers.js'
import { pathsOf } from '../saving/paths.js'
import type { TrainingState } from './position.js'

type Kept = Pick<TrainingState, 'weights' | 'trained' | 'optimizer'>

/** What a model and its optimizer are at this moment. */
export function stateOf(model: Model, optimizer: Optimizer): Kept {
  const { weights } = pathsOf(model)
  const known = [...weights].filter(([, weight]) => optimizer.knows(weight))
  return {
    weights: Object.fromEntries([...weights].map(([path, weight]) => [path, weight.detach()])),
    trained: known.map(([path]) => path),
    optimizer: optimizer.getState(known.map(([, weight]) => weight)),
  }
}

/** Makes them so again. @throws ValueError where the state is of another model; then nothing has changed. */
export function restore(model: Model, optimizer: Optimizer, state: Kept): void {
  const what = 'backupAndRestore: the backup is of another model'
  const { weights } = pathsOf(model)
  for (const path of Object.keys(state.weights))
    if (!weights.has(path)) throw new ValueError(`${what}: there is no weight ${show(path)} here`)
  for (const [path, weight] of weights) {
    const saved = state.weights[path]
    if (saved === undefined) throw new ValueError(`${what}: it lacks the weight ${show(path)}`)
    if (!sameShape(saved.shape, weight.shape) || saved.dtype !== weight.dtype)
      throw new ValueError(
        `${what}: ${show(path)} was ${saved.dtype} of ${formatShape(saved.shape)} and is ${weight.dtype} of ${formatShape(weight.shape)}`,
      )
  }
  const trained = state.trained.map((path) => weights.get(path))
  if (trained.includes(undefined)) throw new ValueError(`${what}: its optimizer knows other weights`)
  optimizer.setState(state.optimizer, trained as Exclude<(typeof trained)[number], undefined>[])
  for (const [path, weight] of weights) weight.assign(state.weights[path] as Tensor)
}
