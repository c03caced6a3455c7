import { epochHeader, plainLine, ProgressBar } from '../progress.js'
import { isTesting, now, terminal, write } from '../host.js'
import type { Logs } from './types.js'

export type Verbosity = 0 | 1 | 2

/** By itself 0 in tests, 1 on a terminal, 2 elsewhere. */
export function verbosityOf(verbose: Verbosity | 'auto'): Verbosity {
  if (verbose !== 'auto') return verbose
  return isTesting() ? 0 : terminal().isTTY ? 1 : 2
}

/** Prints how a pass over the data goes, as Keras does: a bar, or one line at its end. */
export class Report {
  readonly #verbosity: Verbosity
  readonly #steps: number | undefined
  readonly #start: number = now()
  readonly #bar: ProgressBar | undefined

  /** @param header what to print first, such as `Epoch 1/10`. */
  constructor(
    verbosity: Verbosity,
    steps: number | undefined,
    header?: readonly [epoch: number, epochs: number],
  ) {
    this.#verbosity = verbosity
    this.#steps = steps
    if (verbosity > 0 && header !== undefined) write(`${epochHeader(...header)}\n`)
    if (verbosity !== 1) return
    const { columns, isTTY } = terminal()
    this.#bar = new ProgressBar({ target: steps ?? null, write, now, columns, color: isTTY })
  }

  /** Whether `step` would be shown, so that its logs are wanted. */
  get isDue(): boolean {
    return this.#bar?.isDue === true
  }

  step(done: number, logs: Logs | undefined): void {
    this.#bar?.update(done, entriesOf(logs))
  }

  /** A step that is not shown. */
  pass(done: number): void {
    this.#bar?.count(done)
  }

  /** @param steps how many there were, where that was not known. */
  end(logs: Logs | undefined, steps: number = 0): void {
    const values = entriesOf(logs)
    this.#bar?.finish(values)
    if (this.#verbosity !== 2) return
    const elapsedSeconds = (now() - this.#start) / 1000
    const current = this.#steps ?? steps
    write(`${plainLine({ current, target: current, values, elapsedSeconds, finished: true })}\n`)
  }
}

function entriesOf(logs: Logs | undefined): [string, number][] {
  return logs === undefined ? [] : Object.entries(logs)
}
