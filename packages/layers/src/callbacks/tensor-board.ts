import { processId } from '../host.js'
import type { Optimizer } from '../optimizers.js'
import { checkKeys, checkNumber, COUNT } from '../option-checks.js'
import type { Callback, Logs } from '../trainer/types.js'
import { scalarRecord, versionRecord } from './event-file.js'
import { checkPath, Log } from './files.js'

/** Options of {@link tensorBoard}. */
export interface TensorBoardOptions {
  /** After each epoch (default); after each batch, or every so many, too. */
  readonly updateFreq?: 'epoch' | 'batch' | number
}

let made = 0

/**
 * Writes the logs as curves for TensorBoard, in folders and under names as Keras does: `epoch_loss` of `train` and of
 * `validation`, `epoch_learning_rate`, and with `updateFreq` the logs so far as `batch_loss`.
 * @throws ValueError for unknown options; from `fit`, BackendError where files cannot be written.
 * @example await m.fit(x, y, { callbacks: tensorBoard('logs/run-1') }) // then: tensorboard --logdir logs
 */
export function tensorBoard(logDir: string, options: TensorBoardOptions = {}): Callback {
  const what = 'tensorBoard'
  checkPath(what, logDir)
  checkKeys(what, options, ['updateFreq'])
  const { updateFreq = 'epoch' } = options
  const every = updateFreq === 'batch' ? 1 : updateFreq
  if (every !== 'epoch') checkNumber(what, 'updateFreq', every, COUNT)
  let files = new Map<string, Log>()
  let optimizer: Optimizer | undefined
  let steps = 0

  const write = async (folder: string, prefix: string, logs: Logs, step: number): Promise<void> => {
    const seconds = Date.now() / 1000
    let file = files.get(folder)
    if (file === undefined) {
      const name = `events.out.tfevents.${Math.floor(seconds)}.adjoint.${processId()}.${made++}.v2`
      file = new Log(what, `${logDir.replace(/[/\\]$/, '')}/${folder}/${name}`)
      await file.begin(versionRecord(seconds))
      files.set(folder, file)
    }
    for (const tag of Object.keys(logs))
      await file.append(scalarRecord({ tag: prefix + tag, value: logs[tag]!, step, seconds }))
  }
  return {
    name: what,
    setModel(model) {
      optimizer = model.optimizer
    },
    onTrainBegin() {
      files = new Map()
      steps = 0
    },
    async onEpochEnd(epoch, logs) {
      const { training, validation } = parted(logs)
      training['learning_rate'] ??= optimizer?.learningRate ?? NaN
      await write('train', 'epoch_', training as Logs, epoch)
      if (Object.keys(validation).length > 0) await write('validation', 'epoch_', validation as Logs, epoch)
    },
    ...(every !== 'epoch' && {
      async onBatchEnd(_batch: number, logs: Logs) {
        if (steps++ % every === 0) await write('train', 'batch_', logs, steps - 1)
      },
    }),
    getState: () => ({ steps }),
    setState(state) {
      steps = state['steps'] as number
    },
  }
}

function parted(logs: Logs): Record<'training' | 'validation', Record<string, number>> {
  const training: Record<string, number> = {}
  const validation: Record<string, number> = {}
  for (const [name, value] of Object.entries(logs))
    if (name.startsWith('val_')) validation[name.slice(4)] = value
    else training[name] = value
  return { training, validation }
}
