import { ValueError } from '@adjoint/core'
import { didYouMean, show } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import { checkFlag, checkKeys, checkNumber, COUNT, FINITE } from '../option-checks.js'
import type { Callback, Logs } from '../trainer/types.js'
import { checkPath, makeFolderOf } from './files.js'
import { type MonitorMode, monitorOf } from './monitor.js'

/** Options of {@link modelCheckpoint}. */
export interface ModelCheckpointOptions {
  /** The log to watch with `saveBestOnly` (default 'val_loss'). */
  readonly monitor?: string
  readonly mode?: MonitorMode
  /** Whether to save only where the log is better than ever before (default false). */
  readonly saveBestOnly?: boolean
  /** Whether to save weights alone, for `loadWeights` (default false: all, for `loadModel`). */
  readonly saveWeightsOnly?: boolean
  /** After each epoch (default), or after every so many steps. */
  readonly saveFreq?: 'epoch' | number
  /** What the log must be better than to be saved at all. */
  readonly initialValueThreshold?: number
}

/** The callback of {@link modelCheckpoint}. */
export interface ModelCheckpoint extends Callback {
  /** The best value so far, with `saveBestOnly`. */
  readonly best: number | undefined
  /** The file that was written last. */
  readonly lastPath: string | undefined
}

/** `{epoch}`, `{epoch:02d}`, `{val_loss:.3f}` */
const FIELD = /\{(\w+)(?::(?:0?(\d+)d|\.(\d+)f))?\}/g

/**
 * Saves the model as it is trained. The path may hold the epoch (from 1, as it is printed), the step in it, and logs, as
 * in Keras: `'m-{epoch:02d}-{val_loss:.3f}.safetensors'`. Files are written whole or not at all.
 * @throws ValueError for unknown options and bad values; from `fit`, for a log that there will not be; BackendError
 * where a file cannot be written.
 * @example modelCheckpoint('best.safetensors', { monitor: 'val_loss', saveBestOnly: true })
 */
export function modelCheckpoint(path: string, options: ModelCheckpointOptions = {}): ModelCheckpoint {
  const what = 'modelCheckpoint'
  checkPath(what, path)
  checkFields(what, path)
  checkKeys(what, options, [
    'monitor',
    'mode',
    'saveBestOnly',
    'saveWeightsOnly',
    'saveFreq',
    'initialValueThreshold',
  ])
  const { monitor = 'val_loss', mode = 'auto', saveBestOnly = false, saveWeightsOnly = false } = options
  const { saveFreq = 'epoch', initialValueThreshold } = options
  checkFlag(what, 'saveBestOnly', saveBestOnly)
  checkFlag(what, 'saveWeightsOnly', saveWeightsOnly)
  if (saveFreq !== 'epoch') checkNumber(what, 'saveFreq', saveFreq, COUNT)
  if (initialValueThreshold !== undefined)
    checkNumber(what, 'initialValueThreshold', initialValueThreshold, FINITE)
  const watched = monitorOf(what, monitor, mode, 0)
  let model: Model | undefined
  let best = initialValueThreshold
  let epochNow = 0
  let steps = 0
  let lastPath: string | undefined

  const save = async (logs: Logs, batch?: number): Promise<void> => {
    if (saveBestOnly) {
      const value = watched.value(logs)
      if (value === undefined || Number.isNaN(value) || !watched.isBetter(value, best)) return
      best = value
    }
    const to = formatted(what, path, {
      ...logs,
      epoch: epochNow + 1,
      ...(batch !== undefined && { batch: batch + 1 }),
    })
    await makeFolderOf(what, to)
    await (saveWeightsOnly ? model?.saveWeights(to) : model?.save(to))
    lastPath = to
  }
  return {
    name: what,
    setModel(of) {
      model = of
    },
    setParams({ logNames }) {
      // Validation is over only when the epoch is.
      const names = saveFreq === 'epoch' ? logNames : logNames?.filter((name) => !name.startsWith('val_'))
      if (saveBestOnly) watched.begin(names)
      if (names !== undefined)
        checkFields(what, path, [...names, 'epoch', ...(saveFreq === 'epoch' ? [] : ['batch'])])
    },
    onTrainBegin() {
      best = initialValueThreshold
      steps = 0
      lastPath = undefined
    },
    onEpochBegin(epoch) {
      epochNow = epoch
    },
    ...(saveFreq === 'epoch'
      ? { onEpochEnd: (_epoch: number, logs: Logs) => save(logs) }
      : {
          async onBatchEnd(batch: number, logs: Logs) {
            if (++steps % saveFreq === 0) await save(logs, batch)
          },
        }),
    getState: () => ({ best, steps, epoch: epochNow, lastPath }),
    setState(state) {
      best = state['best'] as number | undefined
      steps = state['steps'] as number
      epochNow = state['epoch'] as number
      lastPath = state['lastPath'] as string | undefined
    },
    get best() {
      return best
    },
    get lastPath() {
      return lastPath
    },
  }
}

/** @throws ValueError for braces that are no field, and for names that are not `known`. */
function checkFields(what: string, path: string, known?: readonly string[]): void {
  const rest = path.replace(FIELD, '')
  if (/[{}]/.test(rest))
    throw new ValueError(
      `${what}: the path ${show(path)} holds a brace that is no field such as {epoch}, {epoch:02d} or {val_loss:.3f}`,
    )
  for (const [, name] of path.matchAll(FIELD))
    if (known !== undefined && !known.includes(name!) && name !== 'learning_rate')
      throw new ValueError(
        `${what}: the path ${show(path)} asks for ${show(name)}; known are ${known.join(', ')}.${didYouMean(name, known)}`,
      )
}

function formatted(what: string, path: string, values: Readonly<Record<string, number>>): string {
  return path.replace(FIELD, (_, name: string, width?: string, digits?: string) => {
    const value = values[name]
    if (value === undefined)
      throw new ValueError(`${what}: the path ${show(path)} asks for ${show(name)}, which there is not`)
    if (digits !== undefined) return value.toFixed(Number(digits))
    return String(value).padStart(Number(width ?? 0), '0')
  })
}
