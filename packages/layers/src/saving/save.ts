import { BackendError, ValueError } from '@adjoint/core'
import { isRecord, randomState, show } from '@adjoint/core/extend'
import type { LayerBase } from '../layer.js'
import type { Model } from '../model.js'
import { checkChoice, checkFlag, checkKeys, checkNumber, COUNT } from '../option-checks.js'
import { type Optimizer, optimizers, resolveOptimizer } from '../optimizers.js'
import { architectureOf } from './encode.js'
import { writeFile } from './files.js'
import { writeFolder } from './folder.js'
import type { Json, JsonRecord } from './json.js'
import { LOSS_WEIGHTS, type Paths, pathsOf } from './paths.js'
import { type Stored, writeSafetensors } from './safetensors.js'
import { storageName } from './storage.js'
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
  /**
   * One file, or a folder with the architecture as JSON and the weights beside it (default: a folder where the path
   * ends with a slash).
   */
  readonly format?: 'file' | 'folder'
  /** In a folder: weights go into several files so that each stays below (default 1 GiB). */
  readonly maxFileBytes?: number
}

/** Bytes in memory of their own, which a Blob takes; TypeScript before 5.7 cannot say Uint8Array<ArrayBuffer>. */
export type Bytes = Uint8Array & { readonly buffer: ArrayBuffer }

/** What is needed to go on training, as JSON; the tensors are beside it. */
type Snapshots = Map<string, () => Promise<Stored>>

/** Everything that is saved of a model, read or about to be. */
interface Saved {
  readonly model: JsonRecord
  readonly training: JsonRecord | undefined
  readonly states: readonly [string, string][]
  readonly snapshots: Snapshots
}

/** @throws ValueError at once for what cannot be saved. All values are read before the first `await`. */
function savedOf(what: string, model: Model, options: SaveOptions): Saved {
  checkKeys(what, options, ['includeOptimizer', 'format', 'maxFileBytes'])
  const { includeOptimizer = true } = options
  checkFlag(what, 'includeOptimizer', includeOptimizer)
  const paths = pathsOf(model)
  const { json, constants } = architectureOf(what, model)
  const snapshots = weightSnapshots(what, paths)
  constants.forEach((x, i) => snapshots.set(`@constant/${i}`, snapshotOf(x)))
  const states = statesOf(what, paths)
  const training =
    includeOptimizer && model.compileOptions !== undefined
      ? trainingOf(what, model, paths, snapshots)
      : undefined
  // Without how it is trained nobody would know what they are for.
  if (training === undefined)
    for (const name of snapshots.keys()) if (name.startsWith(LOSS_WEIGHTS)) snapshots.delete(name)
  return { model: json, training, states, snapshots }
}

/** The bytes of one file with everything. */
export async function modelBytes(what: string, model: Model, options: SaveOptions = {}): Promise<Bytes> {
  const saved = savedOf(what, model, options)
  const metadata = new Map([
    ['format', MODEL_FORMAT],
    ['version', VERSION],
    ['model', JSON.stringify(saved.model)],
    ...saved.states,
  ])
  if (saved.training !== undefined) metadata.set('training', JSON.stringify(saved.training))
  return writeSafetensors(await readAll(saved.snapshots), metadata)
}

/** As {@link modelBytes}, without the architecture. */
export async function weightsBytes(what: string, model: LayerBase): Promise<Bytes> {
  const paths = pathsOf(model)
  const metadata = new Map([['format', WEIGHTS_FORMAT], ['version', VERSION], ...statesOf(what, paths)])
  return writeSafetensors(await readAll(weightSnapshots(what, paths)), metadata)
}

async function readAll(snapshots: Snapshots): Promise<Map<string, Stored>> {
  const tensors = new Map<string, Stored>()
  for (const [name, read] of snapshots) tensors.set(name, await read())
  return tensors
}

export async function saveModel(model: Model, path: string, options: SaveOptions = {}): Promise<void> {
  const what = 'save'
  checkPath(what, path)
  const { format = /[/\\]$/.test(path) ? 'folder' : 'file', maxFileBytes = 2 ** 30 } = options
  checkChoice(what, 'format', format, ['file', 'folder'])
  checkNumber(what, 'maxFileBytes', maxFileBytes, COUNT)
  if (format === 'file') return writeFile(what, path, await modelBytes(what, model, options))
  if (storageName(what, path) !== undefined)
    throw new ValueError(
      `${what}: a browser's storage keeps a model as one record; write indexeddb://my-model`,
    )
  const saved = savedOf(what, model, options)
  await writeFolder(what, path, {
    head: {
      format: MODEL_FORMAT,
      version: VERSION,
      model: saved.model,
      ...(saved.training !== undefined && { training: saved.training }),
    },
    tensors: await readAll(saved.snapshots),
    metadata: new Map([
      ['format', WEIGHTS_FORMAT],
      ['version', VERSION],
    ]),
    firstMetadata: new Map(saved.states),
    mostBytes: maxFileBytes,
  })
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
