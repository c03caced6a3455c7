import { exponential, fixed } from './fixed.js'
import { cellWidth } from './table.js'

export interface Progress {
  /** Steps done. */
  readonly current: number
  /** Steps there will be; null when nobody knows. */
  readonly target: number | null
  /** What to print behind the times, in this order. */
  readonly values: readonly (readonly [name: string, value: number])[]
  readonly elapsedSeconds: number
  /** Default: the elapsed time divided by the steps done. */
  readonly secondsPerStep?: number
  readonly finished: boolean
  /** Cells of the bar. Default: 20. */
  readonly width?: number
  /** Whether to write Keras' ANSI colours: green for what is done, grey for the rest. Default: false. */
  readonly color?: boolean
}

/**
 * One state of Keras 3's progress bar: ` 5/25 ━━━━──────────────── 1s 62ms/step - loss: 0.6931`, where the time is
 * what remains (once finished, what it took). Without colours, the part that is not done yet is thin.
 */
export function progressLine(progress: Progress): string {
  const { current, values, elapsedSeconds, finished, width = 20, color = false } = progress
  const secondsPerStep = stepTime(progress)
  const target = knownTarget(progress)
  const strong = (text: string): string => (color ? `\x1b[1m${text}\x1b[0m` : text)
  const head =
    target === null
      ? `${String(current).padStart(7)}/Unknown`
      : `${strong(countOf(current, target))} ${barOf(Math.min(current / target, 1), width, color)}`
  const time =
    target === null || finished ? wholeSeconds(elapsedSeconds) : clock(secondsPerStep * (target - current))
  return `${head} ${strong(time)} ${stepTimeText(secondsPerStep)}${valuesText(values)}`
}

/** A finished epoch for files and pipes: `25/25 - 0s - 2ms/step - loss: 0.6931`. */
export function plainLine(progress: Progress): string {
  const count = countOf(progress.current, progress.target ?? progress.current)
  const times = `${wholeSeconds(progress.elapsedSeconds)} - ${stepTimeText(stepTime(progress))}`
  return `${count} - ${times}${valuesText(progress.values)}`
}

/** `Epoch 1/10`; `epoch` counts from 1. */
export const epochHeader = (epoch: number, epochs: number): string => `Epoch ${epoch}/${epochs}`

export interface ProgressBarOptions {
  readonly target: number | null
  readonly write: (text: string) => void
  /** Milliseconds on any clock that does not go backwards. */
  readonly now: () => number
  readonly width?: number
  readonly color?: boolean
  /** Width of the terminal: until the bar is finished, values that would not fit are left out. */
  readonly columns?: number
}

/** Draws a progress bar over itself on one line of a terminal, at most every 50 ms. */
export class ProgressBar {
  readonly #options: ProgressBarOptions
  readonly #start: number
  #firstStepEnd: number | null = null
  #lastDraw = -Infinity
  #drawnWidth = 0
  #current = 0

  constructor(options: ProgressBarOptions) {
    this.#options = options
    this.#start = options.now()
  }

  /** Whether it would draw now. */
  get isDue(): boolean {
    return this.#options.now() - this.#lastDraw >= REDRAW_MS
  }

  /** `current` steps are done. */
  update(current: number, values: Progress['values'] = []): void {
    const now = this.#options.now()
    const secondsPerStep = this.#secondsPerStep(current, now)
    this.count(current)
    if (now - this.#lastDraw >= REDRAW_MS) this.#draw(values, now, secondsPerStep, false)
  }

  /** `current` steps are done, and nothing is drawn. */
  count(current: number): void {
    if (current === 1) this.#firstStepEnd = this.#options.now()
    this.#current = current
  }

  /** Draws the last state, whatever the time, and ends the line. */
  finish(values: Progress['values'] = []): void {
    const now = this.#options.now()
    const current = this.#options.target ?? this.#current
    this.#draw(values, now, this.#secondsPerStep(current, now), true)
    this.#options.write('\n')
  }

  /** The first step, which also warms up, does not count once there are others. */
  #secondsPerStep(current: number, now: number): number {
    if (current === 0) return 0
    const isWarm = this.#firstStepEnd !== null && current > 1
    const [since, steps] = isWarm ? [this.#firstStepEnd ?? now, current - 1] : [this.#start, current]
    return (now - since) / 1000 / steps
  }

  #draw(values: Progress['values'], now: number, secondsPerStep: number, finished: boolean): void {
    const { target, write, width = 20, color = false, columns = Infinity } = this.#options
    const current = finished ? (target ?? this.#current) : this.#current
    const elapsedSeconds = (now - this.#start) / 1000
    const state: Progress = { current, target, values, elapsedSeconds, secondsPerStep, finished, width }
    const shown = finished ? values : fitting(state, columns - 1)
    const drawnWidth = cellWidth(progressLine({ ...state, values: shown }))
    const leftover = Math.max(this.#drawnWidth - drawnWidth, 0)
    write('\r' + progressLine({ ...state, values: shown, color }) + ' '.repeat(leftover))
    this.#drawnWidth = drawnWidth
    this.#lastDraw = now
  }
}

const REDRAW_MS = 50

/** As many of the values, from the first, as fit into `width` cells. */
function fitting(state: Progress, width: number): Progress['values'] {
  let values = state.values
  while (values.length > 0 && cellWidth(progressLine({ ...state, values })) > width)
    values = values.slice(0, -1)
  return values
}

/** Null when nobody knows, or when there is nothing to do. */
function knownTarget({ target, current, finished }: Progress): number | null {
  const steps = target ?? (finished ? current : 0)
  return steps > 0 ? steps : null
}

const stepTime = ({ secondsPerStep, elapsedSeconds, current }: Progress): number =>
  secondsPerStep ?? (current > 0 ? elapsedSeconds / current : 0)

const countOf = (current: number, target: number): string =>
  `${String(current).padStart(String(target).length)}/${target}`

function barOf(part: number, width: number, color: boolean): string {
  const done = Math.trunc(width * part)
  if (!color) return '━'.repeat(done) + '─'.repeat(width - done)
  return (done > 0 ? `\x1b[32m${'━'.repeat(done)}\x1b[0m` : '') + `\x1b[37m${'━'.repeat(width - done)}\x1b[0m`
}

const wholeSeconds = (seconds: number): string => `${fixed(seconds, 0)}s`

/** `12s`, `2:05` or `1:02:05`. */
function clock(seconds: number): string {
  const whole = Math.trunc(seconds)
  const two = (n: number): string => String(Math.trunc(n)).padStart(2, '0')
  if (seconds > 3600) return `${Math.trunc(whole / 3600)}:${two((whole % 3600) / 60)}:${two(whole % 60)}`
  return seconds > 60 ? `${Math.trunc(whole / 60)}:${two(whole % 60)}` : `${whole}s`
}

function stepTimeText(seconds: number): string {
  if (seconds >= 1 || seconds === 0) return `${fixed(seconds, 0)}s/step`
  if (seconds >= 1e-3) return `${fixed(seconds * 1e3, 0)}ms/step`
  return `${fixed(seconds * 1e6, 0)}us/step`
}

const valuesText = (values: Progress['values']): string =>
  values.map(([name, value]) => ` - ${name}: ${valueText(value)}`).join('')

const valueText = (value: number): string =>
  Math.abs(value) > 1e-3 ? fixed(value, 4) : exponential(value, 4)
