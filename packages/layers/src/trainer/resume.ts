import { type Tensor, ValueError } from '@adjoint/core'
import { formatShape, replaceLeaves, sameShape, show } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import { pathsOf } from '../saving/paths.js'
import { isSymbolic } from '../symbolic.js'
import type { Compiled } from './compile.js'
import type { TrainingState } from './position.js'

type Kept = Pick<TrainingState, 'weights' | 'trained' | 'optimizer' | 'lossWeights'>

/** What a model and its optimizer are at this moment. */
export function stateOf(model: Model, { optimizer, lossWeights }: Compiled): Kept {
  const { weights } = pathsOf(model)
  const known = [...weights].filter(([, weight]) => optimizer.knows(weight))
  return {
    weights: Object.fromEntries([...weights].map(([path, weight]) => [path, weight.detach()])),
    trained: known.map(([path]) => path),
    optimizer: optimizer.getState(known.map(([, weight]) => weight)),
    lossWeights: lossWeights.getState(),
  }
}

/** Makes them so again. @throws ValueError where the state is of another model; then nothing has changed. */
export function restore(model: Model, compiled: Compiled, state: Kept): void {
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
  if (state.lossWeights.length !== compiled.targets.list.length)
    throw new ValueError(`${what}: it has ${state.lossWeights.length} outputs`)
  compiled.optimizer.setState(state.optimizer, trained as Exclude<(typeof trained)[number], undefined>[])
  for (const [path, weight] of weights) weight.assign(state.weights[path] as Tensor)
  // Those that a callback has set.
  const now = compiled.lossWeights.getState()
  if (state.lossWeights.some((weight, i) => weight !== null && weight !== now[i]))
    model.setLossWeights(
      replaceLeaves(
        compiled.targets.tree as never,
        isSymbolic,
        state.lossWeights.map((weight) => weight ?? undefined),
      ) as never,
    )
}
