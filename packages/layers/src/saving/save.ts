import { BackendError, ValueError } from '@adjoint/core'
import { isRecord, randomState, show } from '@adjoint/core/extend'
import type { LayerBase } from '../layer.js'
import type { Model } from '../model.js'
import { checkKeys } from '../option-checks.js'
import { type Optimizer, optimizers, resolveOptimizer } from '../optimizers.js'
import { architectureOf } from './encode.js'
import { writeFile } from './files.js'
import type { Json, JsonRecord } from './json.js'
import { type Paths, pathsOf } from './paths.js'
import { type Stored, writeSafetensors } from './safetensors.js'
import { snapshotOf } from './tensors.js'
import { encodeValue, wellFormed } from './values.js'

/** The version of the format that this build writes, and the only one that it reads. */
export const VERSION = '1'
export const MODEL_FORMAT = 'adjoint-model'
export const WEIGHTS_FORMAT = 'adjoint-weights'

/** Options of `model.save`. */
export interface SaveOptions {
  /** Whether to save how the model is trained, the optimizer's memory and the random state (default true). */
  readonly includeOptimizer?: boolean
}

/** Bytes in memory of their own, which a Blob takes; TypeScript before 5.7 cannot say Uint8Array<ArrayBuffer>. */
export type Bytes = Uint8Array & { readonly buffer: ArrayBuffer }

/** What is needed to go on training, as JSON; the tensors are beside it. */
type Snapshots = Map<string, () => Promise<Stored>>

/** @throws ValueError at once for what cannot be saved. All values are read before the first `await`. */
export async function modelBytes(what: string, model: Model, options: SaveOptions = {}): Promise<Bytes> {
  checkKeys(what, options, ['includeOptimizer'])
  const { includeOptimizer = true } = options
  if (typeof includeOptimizer !== 'boolean')
    throw new ValueError(`${what}: includeOptimizer must be true or false, got ${show(includeOptimizer)}`)
  const paths = pathsOf(model)
  const { json, constants } = architectureOf(what, model)
  const snapshots = weightSnapshots(what, paths)
  constants.forEach((x, i) => snapshots.set(`@constant/${i}`, snapshotOf(x)))
  const metadata = new Map([
    ['format', MODEL_FORMAT],
    ['version', VERSION],
    ['model', JSON.stringify(json)],
    ...statesOf(what, paths),
  ])
  if (includeOptimizer && model.compileOptions !== undefined)
    metadata.set('training', JSON.stringify(trainingOf(what, model, paths, snapshots)))
  return fileOf(snapshots, metadata)
}

/** As {@link modelBytes}, without the architecture. */
export async function weightsBytes(what: string, model: LayerBase): Promise<Bytes> {
  const paths = pathsOf(model)
  const metadata = new Map([['format', WEIGHTS_FORMAT], ['version', VERSION], ...statesOf(what, paths)])
  return fileOf(weightSnapshots(what, paths), metadata)
}

async function fileOf(snapshots: Snapshots, metadata: ReadonlyMap<string, string>): Promise<Bytes> {
  const tensors = new Map<string, Stored>()
  for (const [name, read] of snapshots) tensors.set(name, await read())
  return writeSafetensors(tensors, metadata)
}

export async function saveModel(model: Model, path: string, options?: SaveOptions): Promise<void> {
  checkPath('save', path)
  await writeFile('save', path, await modelBytes('save', model, options))
}

export async function saveWeights(model: LayerBase, path: string): Promise<void> {
  checkPath('saveWeights', path)
  await writeFile('saveWeights', path, await weightsBytes('saveWeights', model))
}

function checkPath(what: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new ValueError(`${what}: expected a path, got ${show(path)}`)
}

function weightSnapshots(what: string, { layers, weights }: Paths): Snapshots {
  for (const [path, layer] of layers)
    if (layer.className === 'Lambda' && layer.weights.length > 0)
      throw new ValueError(
        `${what}: layer ${show(path)}: its function calls layers with weights; write a class of its own for them`,
      )
  const snapshots: Snapshots = new Map()
  for (const [path, weight] of weights) snapshots.set(wellFormed(what, path), snapshotOf(weight))
  return snapshots
}

/** What layers remember besides their weights. */
function statesOf(what: string, { layers }: Paths): [string, string][] {
  const states: Json[] = []
  for (const [path, layer] of layers) {
    const state = layer.savedState()
    if (state !== undefined) states.push([path, encodeValue(`${what}: layer ${show(path)}`, state)])
  }
  return states.length === 0 ? [] : [['state', JSON.stringify(states)]]
}

function trainingOf(what: string, model: Model, { weights }: Paths, snapshots: Snapshots): JsonRecord {
  const { optimizer: given, ...rest } = model.compileOptions!
  const optimizer = model.isWired ? model.optimizer : resolveOptimizer(given ?? 'rmsprop')
  const known = [...weights].filter(([, weight]) => optimizer.knows(weight))
  const state = optimizer.getState(known.map(([, weight]) => weight))
  const updates = known.map(([path], i): Json => {
    const { updates: count, slots } = state.variables[i]!
    for (const slot of Object.keys(slots))
      snapshots.set(`@optimizer/${slot}/${path}`, snapshotOf(slots[slot]!))
    return [path, count]
  })
  const { seed, draws } = randomState()
  const way = 'save(path, { includeOptimizer: false }) leaves out how it is trained'
  return {
    compile: named(way, () => encodeValue(`${what}: compile`, withoutUndefined(rest))),
    optimizer: {
      ...named(way, () => optimizerConfig(`${what}: optimizer`, optimizer)),
      iterations: state.iterations,
      learning_rate: state.learningRate === null ? null : encodeValue(what, state.learningRate),
      updates,
    },
    random: { seed, draws },
  }
}

function optimizerConfig(what: string, optimizer: Optimizer): { class_name: string; config: Json } {
  const { name, ...config } = optimizer.config
  const make =
    typeof name === 'string' && Object.hasOwn(optimizers, name) ? optimizers[name as 'sgd'] : undefined
  if (make === undefined || make().constructor !== optimizer.constructor)
    throw new ValueError(`${what}: an optimizer of a class of your own cannot be saved`)
  return { class_name: name as string, config: encodeValue(what, config) }
}

/** Runs `f`; its error tells the way out. */
function named<R>(way: string, f: () => R): R {
  try {
    return f()
  } catch (error) {
    if (error instanceof ValueError) throw new ValueError(`${error.message}; or ${way}`, { cause: error })
    throw error
  }
}

function withoutUndefined(options: object): Record<string, unknown> {
  if (!isRecord(options)) throw new BackendError('save: the model was compiled with no record')
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
