import { FormatError, LimitError, type Tensor, ValueError, type Variable, zeros } from '@adjoint/core'
import { BYTES, formatShape, isRecord, randomState, setRandomState, show, sizeOf } from '@adjoint/core/extend'
import { withWeightsMadeBy } from '../layer.js'
import type { Model } from '../model.js'
import { checkKeys } from '../option-checks.js'
import { optimizers, type OptimizerState } from '../optimizers.js'
import { modelOf } from './decode.js'
import { type ModelSource, openSource } from './files.js'
import { readFolder } from './folder.js'
import {
  asFormatError,
  countOf,
  isJsonRecord,
  type Json,
  listOf,
  parseJson,
  recordOf,
  textOf,
} from './json.js'
import { assignmentOf, checkHead, listed, MOST_DEPTH, restorersOf } from './load-weights.js'
import { LOSS_WEIGHTS, type Paths, pathsOf } from './paths.js'
import { type Contents, readSafetensors } from './safetensors.js'
import { MODEL_FORMAT, WEIGHTS_FORMAT } from './save.js'
import { tensorOf } from './tensors.js'
import { decodeValue } from './values.js'

/** Options of {@link loadModel}. */
export interface LoadOptions {
  /** Whether to compile the model as it was, with the optimizer's memory (default true). */
  readonly compile?: boolean
  /**
   * Whether to set the random numbers of this process to where they stood, so that training goes on as if it had
   * never stopped (default: as `compile`).
   */
  readonly restoreRandomState?: boolean
  /** Whether weights that are NaN or infinite are an error (default false). */
  readonly finiteOnly?: boolean
}

/**
 * Loads what `model.save` or `model.toBytes` made: the model with its weights, and, if it was compiled, the
 * optimizer with all it remembers. Nothing in a file is ever run.
 * @param source a path of a file or a folder, a URL (of a folder with a slash at its end), `indexeddb://name`, or bytes.
 * @throws FormatError for a file that is not what it should be, LimitError for one that asks for too much; nothing
 * has changed then.
 * @example const m = await loadModel('model.safetensors')
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  const what = 'loadModel'
  checkKeys(what, options, ['compile', 'restoreRandomState', 'finiteOnly'])
  for (const key of ['compile', 'restoreRandomState', 'finiteOnly'] as const)
    if (options[key] !== undefined && typeof options[key] !== 'boolean')
      throw new ValueError(`${what}: ${key} must be true or false, got ${show(options[key])}`)
  const parts = await partsOf(what, source)
  const before = randomState()
  let random = before
  try {
    const { model, random: saved } = modelIn(what, parts, options)
    if (saved !== undefined && (options.restoreRandomState ?? options.compile ?? true)) random = saved
    return model
  } finally {
    setRandomState(random)
  }
}

/** What was saved of a model, read but not yet understood. */
interface Parts {
  readonly architecture: Json
  readonly training: Json | undefined
  readonly contents: Contents
}

async function partsOf(what: string, source: ModelSource): Promise<Parts> {
  const opened = await openSource(what, source)
  if (opened instanceof Uint8Array) {
    const contents = readSafetensors(what, opened)
    checkHead(what, contents, [MODEL_FORMAT])
    const { metadata } = contents
    const json = metadata.get('model')
    if (json === undefined) throw new FormatError(`${what}: the field "model" is missing in __metadata__`)
    const training = metadata.get('training')
    return {
      architecture: parseJson(`${what}: model`, json, MOST_DEPTH),
      training: training === undefined ? undefined : parseJson(`${what}: training`, training, MOST_DEPTH),
      contents,
    }
  }
  const { head, contents } = await readFolder(what, opened)
  const record = recordOf(`${what}: model.json`, head, ['format', 'version', 'model'], ['training'])
  const own = new Map(
    ['format', 'version'].map((key) => [key, textOf(`${what}: model.json: ${key}`, record[key])]),
  )
  checkHead(`${what}: model.json`, { ...contents, metadata: own }, [MODEL_FORMAT])
  checkHead(what, contents, [WEIGHTS_FORMAT])
  return { architecture: record['model']!, training: record['training'], contents }
}

type Random = ReturnType<typeof randomState>

function modelIn(
  what: string,
  { architecture, training: saved, contents: file }: Parts,
  { compile = true, finiteOnly = false }: LoadOptions,
): { model: Model; random: Random | undefined } {
  const { tensors } = file
  const constants: Tensor[] = []
  for (let i = 0; tensors.has(`@constant/${i}`); i++)
    constants.push(tensorOf(`${what}: constant ${i}`, tensors.get(`@constant/${i}`)!))
  // Weights are made as large as the file has bytes for, and no larger.
  const held = [...tensors.values()].reduce((n, { bytes }) => n + bytes.length, 0)
  let left = held
  const model = withWeightsMadeBy(
    (label, shape, dtype) => {
      const bytes = sizeOf(shape) * BYTES[dtype]
      if (!(bytes <= left))
        throw new LimitError(
          `${what}: ${label} of ${formatShape(shape)} needs ${bytes} bytes; the file holds ${held} for all weights`,
        )
      left -= bytes
      return zeros(shape, dtype)
    },
    () => modelOf(what, architecture, constants),
  )
  // Compiling may make weights from which losses learn what they count.
  if (compile && saved !== undefined) compileAsIn(what, saved, model)
  const paths = pathsOf(model)
  const resume = saved === undefined ? undefined : trainingIn(what, saved, file, paths, compile)
  assignmentOf(what, file, paths, finiteOnly, new Set(resume?.tensors), constants.length)()
  restorersOf(what, file, paths)()
  if (compile && resume !== undefined)
    asFormatError(`${what}: training`, () => {
      resume.restore(model)
    })
  return { model, random: resume?.random }
}

interface Resume {
  /** Names of the tensors that belong to it. */
  readonly tensors: readonly string[]
  readonly random: Random
  /** Gives the optimizer what it remembered. */
  restore(model: Model): void
}

const OPTIMIZER = ['class_name', 'config', 'iterations', 'learning_rate', 'updates']

function compileAsIn(what: string, json: Json, model: Model): void {
  const label = `${what}: training`
  const record = recordOf(label, json, ['compile', 'optimizer', 'random'])
  const own = recordOf(`${label}: optimizer`, record['optimizer'], OPTIMIZER)
  asFormatError(label, () => {
    const name = textOf(`${label}: optimizer: class_name`, own['class_name'])
    if (!Object.hasOwn(optimizers, name)) throw new FormatError(`${label}: unknown optimizer ${show(name)}`)
    if (!isJsonRecord(own['config']))
      throw new FormatError(`${label}: the optimizer's config must be a record`)
    const config = { ...(decodeValue(`${label}: optimizer`, own['config']) as object) }
    const optimizer = optimizers[name as 'sgd'](config)
    const options = decodeValue(`${label}: compile`, record['compile']!)
    if (!isRecord(options) || Object.hasOwn(options, 'optimizer'))
      throw new FormatError(`${label}: compile must be a record of options`)
    model.compile({ ...options, optimizer } as never)
  })
}

/** @param isCompiled whether the model has what training added to it. */
function trainingIn(
  what: string,
  json: Json,
  { tensors }: Contents,
  { weights }: Paths,
  isCompiled: boolean,
): Resume {
  const label = `${what}: training`
  const record = recordOf(label, json, ['compile', 'optimizer', 'random'])
  const random = recordOf(`${label}: random`, record['random'], ['seed', 'draws'])
  const own = recordOf(`${label}: optimizer`, record['optimizer'], OPTIMIZER)
  const iterations = countOf(`${label}: iterations`, own['iterations'])
  const learningRate = decodeValue(label, own['learning_rate']!)
  if (learningRate !== null && typeof learningRate !== 'number')
    throw new FormatError(`${label}: learning_rate must be a number, got ${show(learningRate)}`)
  // Without compiling there are no weights from which losses learn what they count.
  const others = new Set(
    isCompiled ? [] : [...tensors.keys()].filter((name) => name.startsWith(LOSS_WEIGHTS)),
  )
  const most = weights.size + others.size
  const updates = listOf(`${label}: updates`, own['updates'], most).map((pair) => {
    const [path, count] = listOf(`${label}: updates`, pair, 2)
    const name = textOf(`${label}: updates`, path)
    const weight = weights.get(name)
    if (weight === undefined && !others.has(name))
      throw new FormatError(`${label}: weight ${show(name)} is not in the model`)
    return { name, weight, count: countOf(`${label}: updates of ${show(name)}`, count) }
  })
  const slotsOf = new Map<string, Map<string, string>>(updates.map(({ name }) => [name, new Map()]))
  const mine: string[] = [...others]
  for (const name of tensors.keys()) {
    if (!name.startsWith('@optimizer/')) continue
    const [, slot = '', ...path] = name.split('/')
    const slots = slotsOf.get(path.join('/'))
    if (slots === undefined) throw new FormatError(`${label}: tensor ${show(name)} belongs to no weight`)
    slots.set(slot, name)
    mine.push(name)
  }
  const stateOf = (): OptimizerState => ({
    iterations,
    learningRate,
    variables: updates.map(({ name, count }) => ({
      updates: count,
      slots: Object.fromEntries(
        [...slotsOf.get(name)!].map(([slot, tensor]) => [
          slot,
          tensorOf(`${label}: ${show(tensor)}`, tensors.get(tensor)!),
        ]),
      ),
    })),
  })
  return {
    tensors: mine,
    random: {
      seed: countOf(`${label}: seed`, random['seed']),
      draws: countOf(`${label}: draws`, random['draws']),
    },
    restore(model) {
      // The optimizer of a model that knows no inputs yet has nothing to remember.
      if (!model.isWired) return
      const { optimizer } = model
      const state = stateOf()
      for (const [i, { slots }] of state.variables.entries()) checkSlots(label, updates[i]!, slots, optimizer)
      optimizer.setState(
        state,
        updates.map(({ weight }) => weight!),
      )
    },
  }
}

/** @throws FormatError for slots of another optimizer. */
function checkSlots(
  what: string,
  { name, weight }: { readonly name: string; readonly weight: Variable | undefined },
  slots: Readonly<Record<string, Tensor>>,
  optimizer: ReturnType<typeof optimizers.sgd>,
): void {
  const expected = optimizer.slotNames
  for (const slot of Object.keys(slots))
    if (!expected.includes(slot))
      throw new FormatError(
        `${what}: slot ${show(slot)} of ${show(name)} (${formatShape(weight!.shape)}) is not one of ${optimizer.name}'s: ${listed(expected)}`,
      )
}
