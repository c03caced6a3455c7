import { FormatError, Tensor, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { files } from '../host.js'
import { checkFlag, checkKeys, checkNumber, COUNT } from '../option-checks.js'
import { bytesOf, writeFile } from '../saving/files.js'
import { asFormatError, parseJson } from '../saving/json.js'
import { readSafetensors, type Stored, writeSafetensors } from '../saving/safetensors.js'
import { snapshotOf, tensorOf } from '../saving/tensors.js'
import { decodeValue, encodeValue } from '../saving/values.js'
import type { TrainingState } from '../trainer/position.js'
import type { Callback } from '../trainer/types.js'
import { checkPath, makeFolderOf } from './files.js'

/** Options of {@link backupAndRestore}. */
export interface BackupAndRestoreOptions {
  /** After each epoch (default), or after every so many steps and each epoch. */
  readonly saveFreq?: 'epoch' | number
  /** Whether to delete the file once the training has come to its end (default true). */
  readonly deleteCheckpoint?: boolean
}

const FORMAT = 'adjoint-backup'
const VERSION = '1'
const MOST_DEPTH = 20

/**
 * Backs the training up as it goes, so that it can be killed at any moment: started again by the same program, `fit`
 * goes on from the backup and ends with the same weights, history and callbacks, bit for bit, as if it had never been
 * interrupted. The file is written whole or not at all. Callbacks before and behind it are restored too, if they can
 * tell their state (all of this library can); `onEpochBegin` is not called again for an epoch that had begun.
 * @throws ValueError for unknown options; from `fit`, for a backup of another training, FormatError for a file that is
 * none, BackendError where it cannot be written.
 * @example await m.fit(x, y, { epochs: 100, callbacks: backupAndRestore('training.backup') })
 */
export function backupAndRestore(path: string, options: BackupAndRestoreOptions = {}): Callback {
  const what = 'backupAndRestore'
  checkPath(what, path)
  checkKeys(what, options, ['saveFreq', 'deleteCheckpoint'])
  const { saveFreq = 'epoch', deleteCheckpoint = true } = options
  if (saveFreq !== 'epoch') checkNumber(what, 'saveFreq', saveFreq, COUNT)
  checkFlag(what, 'deleteCheckpoint', deleteCheckpoint)
  return new BackupAndRestore(path, saveFreq, deleteCheckpoint)
}

/** What `fit` asks when there is one among its callbacks. @internal */
export class BackupAndRestore implements Callback {
  readonly name = 'backupAndRestore'
  readonly #path: string
  readonly #deletes: boolean

  constructor(
    path: string,
    readonly saveFreq: 'epoch' | number,
    deletes: boolean,
  ) {
    this.#path = path
    this.#deletes = deletes
  }

  /** Whether it saves in the middle of an epoch. */
  get isMidway(): boolean {
    return this.saveFreq !== 'epoch'
  }

  /** Whether to save after this many steps of an epoch. */
  isDue(step: number): boolean {
    return this.saveFreq !== 'epoch' && step % this.saveFreq === 0
  }

  /** All values are read before the first `await`. */
  async save(state: TrainingState): Promise<void> {
    const tensors: Tensor[] = []
    const json = encodeValue(this.name, packed(state, tensors))
    const metadata = new Map([
      ['format', FORMAT],
      ['version', VERSION],
      ['state', JSON.stringify(json)],
    ])
    const snapshots = tensors.map(snapshotOf)
    const stored = new Map<string, Stored>()
    for (const [i, read] of snapshots.entries()) stored.set(String(i), await read())
    const bytes = writeSafetensors(stored, metadata)
    await makeFolderOf(this.name, this.#path)
    await writeFile(this.name, this.#path, bytes)
  }

  /**
   * The state in the file; undefined where there is none.
   * @throws FormatError for a file that holds none, ValueError for the state of another training than this.
   */
  async load(shape: TrainingState['shape']): Promise<TrainingState | undefined> {
    const isThere = await files()
      ?.stat(this.#path)
      .then(
        () => true,
        () => false,
      )
    if (isThere !== true) return undefined
    const what = `${this.name}: ${show(this.#path)}`
    const { tensors, metadata } = readSafetensors(what, await bytesOf(what, this.#path))
    const [format, version, text] = ['format', 'version', 'state'].map((key) => metadata.get(key))
    if (format !== FORMAT || version !== VERSION || text === undefined)
      throw new FormatError(`${what}: is no backup that this build can read; delete it to start over`)
    const json = decodeValue(what, parseJson(`${what}: state`, text, MOST_DEPTH))
    const values = new Map([...tensors].map(([name, x]) => [name, tensorOf(`${what}: tensor ${name}`, x)]))
    const state = asFormatError(what, () => checkState(what, unpacked(what, json, values)))
    for (const key of Object.keys(shape) as (keyof typeof shape)[])
      if (JSON.stringify(state.shape[key] ?? null) !== JSON.stringify(shape[key] ?? null))
        throw new ValueError(
          `${what}: is of another training: ${key} was ${show(state.shape[key])} and is ${show(shape[key])}; ` +
            'delete the file to start over',
        )
    return state
  }

  /** The training has come to its end. */
  async done(): Promise<void> {
    if (!this.#deletes) return
    await files()
      ?.unlink(this.#path)
      .catch(() => undefined)
  }
}

/** What stands for a tensor: its number among those beside the JSON. */
const TENSOR = '@tensor'

/** The state without tensors, which are put behind `tensors`. */
function packed(value: unknown, tensors: Tensor[]): unknown {
  if (value instanceof Tensor) return { [TENSOR]: tensors.push(value as Tensor) - 1 }
  if (Array.isArray(value)) return value.map((x) => packed(x, tensors))
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, x]) => [key, packed(x, tensors)]))
}

function unpacked(what: string, value: unknown, tensors: ReadonlyMap<string, Tensor>): unknown {
  if (Array.isArray(value)) return value.map((x) => unpacked(what, x, tensors))
  if (!isRecord(value)) return value
  if (Object.hasOwn(value, TENSOR)) {
    const found = tensors.get(String(value[TENSOR]))
    if (found === undefined) throw new FormatError(`${what}: tensor ${show(value[TENSOR])} is missing`)
    return found
  }
  const out = Object.create(null) as Record<string, unknown>
  for (const key of Object.keys(value)) out[key] = unpacked(what, value[key], tensors)
  return out
}

const isCount = (x: unknown): boolean => Number.isSafeInteger(x) && (x as number) >= 0
const isRandom = (x: unknown): boolean => isRecord(x) && isCount(x['seed']) && isCount(x['draws'])
const isTensors = (x: unknown): boolean =>
  isRecord(x) && Object.values(x).every((value) => value instanceof Tensor)
const isSums = (x: unknown): boolean => Array.isArray(x) && x.every((value) => typeof value === 'number')

/** What each part of a state must be. */
const PARTS: Readonly<Record<keyof TrainingState, (x: unknown) => boolean>> = {
  shape: isRecord,
  epoch: isCount,
  step: isCount,
  origin: isRandom,
  random: isRandom,
  history: (x) =>
    isRecord(x) && isSums(x['epoch']) && isRecord(x['logs']) && Object.values(x['logs']).every(isSums),
  weights: isTensors,
  trained: (x) => Array.isArray(x) && x.every((path) => typeof path === 'string'),
  optimizer: (x) =>
    isRecord(x) &&
    Array.isArray(x['variables']) &&
    x['variables'].every((v) => isRecord(v) && isTensors(v['slots'])),
  meter: (x) =>
    x === undefined ||
    (isRecord(x) && typeof x['rows'] === 'number' && isSums(x['losses']) && Array.isArray(x['metrics'])),
  lossWeights: (x) => Array.isArray(x) && x.every((w) => w === null || typeof w === 'number'),
  callbacks: (x) => Array.isArray(x) && x.every((state) => state === null || isRecord(state)),
}

function checkState(what: string, state: unknown): TrainingState {
  if (!isRecord(state)) throw new FormatError(`${what}: the state is no record`)
  for (const part of Object.keys(PARTS) as (keyof TrainingState)[])
    if (!PARTS[part](state[part])) throw new FormatError(`${what}: ${part} of the state is damaged`)
  return state as unknown as TrainingState
}
