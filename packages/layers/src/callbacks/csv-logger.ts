import { ValueError } from '@adjoint/core'
import { show } from '@adjoint/core/extend'
import { decodeUtf8 } from '../host.js'
import { checkFlag, checkKeys } from '../option-checks.js'
import type { Callback } from '../trainer/types.js'
import { checkPath, Log } from './files.js'

/** Options of {@link csvLogger}. */
export interface CSVLoggerOptions {
  /** Between two columns (default ','). */
  readonly separator?: string
  /** Whether to go on behind what the file holds, instead of starting it over (default false). */
  readonly append?: boolean
}

/**
 * Writes the logs of each epoch into a file: a line with their names, then a line for each epoch, counted from 0.
 * Columns are those of the first epoch, in the order of the logs; a log that is missing later is NA.
 * @throws ValueError for unknown options; BackendError where the file cannot be written.
 * @example await m.fit(x, y, { callbacks: csvLogger('training.csv') })
 */
export function csvLogger(path: string, options: CSVLoggerOptions = {}): Callback {
  const what = 'csvLogger'
  checkPath(what, path)
  checkKeys(what, options, ['separator', 'append'])
  const { separator = ',', append = false } = options
  if (typeof separator !== 'string' || separator === '' || /["\r\n]/.test(separator))
    throw new ValueError(`${what}: separator must be a text such as ";", got ${show(separator)}`)
  checkFlag(what, 'append', append)
  const cell = (text: string): string =>
    text.includes(separator) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  const lineOf = (cells: readonly string[]): string => `${cells.map(cell).join(separator)}\n`
  let log = new Log(what, path)
  let columns: readonly string[] | undefined

  /** Takes the file as it is, or begins a new one. */
  const open = async (names: readonly string[]): Promise<void> => {
    columns = names
    const header = lineOf(['epoch', ...columns])
    const before = append ? await log.resume() : undefined
    if (before === undefined || before.length === 0) return log.begin(header)
    const first = decodeUtf8(before)?.split(/(?<=\n)/, 1)[0]
    if (first !== header)
      throw new ValueError(
        `${what}: ${show(path)} has the columns ${show(first?.trimEnd())}, this training ${show(header.trimEnd())}`,
      )
  }
  return {
    name: what,
    onTrainBegin() {
      log = new Log(what, path)
      columns = undefined
    },
    async onEpochEnd(epoch, logs) {
      if (columns === undefined) await open(Object.keys(logs))
      const cells = columns!.map((name) => (Object.hasOwn(logs, name) ? String(logs[name]) : 'NA'))
      await log.append(lineOf([String(epoch), ...cells]))
    },
    getState: () => ({ length: log.length, columns: columns && JSON.stringify(columns) }),
    async setState({ length, columns: names }) {
      if (length === undefined || names === undefined) return
      // Epochs that are trained again are logged again.
      await log.cut(length as number)
      columns = JSON.parse(names as string) as string[]
    },
  }
}
