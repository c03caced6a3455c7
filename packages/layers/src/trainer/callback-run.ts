import { ValueError } from '@adjoint/core'
import { isThenable, show } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import type { Callback, FitParams, Logs } from './types.js'

type Method = 'onTrainBegin' | 'onTrainEnd' | 'onEpochBegin' | 'onEpochEnd' | 'onBatchBegin' | 'onBatchEnd'

/** The callbacks of one `fit`. What one throws is thrown on, with its name in front of the message. */
export class CallbackRun {
  readonly #list: readonly Callback[]
  /** Whether any wants to hear of batches: most do not, and then nothing is prepared for them. */
  readonly hearsBatchBegin: boolean
  readonly hearsBatchEnd: boolean

  constructor(callbacks: unknown) {
    this.#list = checkCallbacks(callbacks)
    this.hearsBatchBegin = this.#list.some((callback) => callback.onBatchBegin !== undefined)
    this.hearsBatchEnd = this.#list.some((callback) => callback.onBatchEnd !== undefined)
  }

  begin(model: Model, params: FitParams): void {
    for (const [i, callback] of this.#list.entries()) {
      attempt(callback, i, 'setModel', () => callback.setModel?.(model))
      attempt(callback, i, 'setParams', () => callback.setParams?.(params))
    }
  }

  /** Calls one method of all, in order, waiting for each. */
  async call(method: 'onTrainBegin' | 'onTrainEnd'): Promise<void>
  async call(method: 'onEpochBegin' | 'onBatchBegin', at: number): Promise<void>
  async call(method: 'onEpochEnd' | 'onBatchEnd', at: number, logs: Logs): Promise<void>
  async call(method: Method, at?: number, logs?: Logs): Promise<void> {
    for (const [i, callback] of this.#list.entries()) {
      if (callback[method] === undefined) continue
      const done: unknown = attempt(callback, i, method, () =>
        (callback[method] as (at?: number, logs?: Logs) => unknown)(at, logs),
      )
      if (!isThenable(done)) continue
      try {
        await done
      } catch (error) {
        throw named(error, callback, i, method)
      }
    }
  }

  /** Whether one of them wants the training to end. */
  get stops(): boolean {
    return this.#list.some((callback) => callback.stopTraining === true)
  }
}

function attempt<R>(callback: Callback, at: number, method: string, f: () => R): R {
  try {
    return f()
  } catch (error) {
    throw named(error, callback, at, method)
  }
}

/** The same error, its message telling whose it is. */
function named(error: unknown, callback: Callback, at: number, method: string): unknown {
  if (error instanceof Error)
    try {
      error.message = `callback ${nameOf(callback, at)}.${method}: ${error.message}`
    } catch {
      // A frozen error keeps its message.
    }
  return error
}

function nameOf(callback: Callback, at: number): string {
  if (typeof callback.name === 'string' && callback.name !== '') return callback.name
  const className = callback.constructor?.name
  return className === undefined || className === '' || className === 'Object' ? String(at) : className
}

const METHODS: readonly (keyof Callback)[] = [
  'setModel',
  'setParams',
  'onTrainBegin',
  'onTrainEnd',
  'onEpochBegin',
  'onEpochEnd',
  'onBatchBegin',
  'onBatchEnd',
]

function checkCallbacks(callbacks: unknown): readonly Callback[] {
  if (callbacks === undefined || callbacks === null) return []
  const list: readonly unknown[] = Array.isArray(callbacks) ? callbacks : [callbacks]
  list.forEach((callback, i) => {
    if (typeof callback !== 'object' || callback === null)
      throw new ValueError(
        `fit: callback ${i} must be an object such as earlyStopping(), got ${show(callback)}` +
          (typeof callback === 'function' ? '; call it, or give { onEpochEnd: … }' : ''),
      )
    for (const method of METHODS) {
      const given = (callback as Callback)[method]
      if (given !== undefined && typeof given !== 'function')
        throw new ValueError(
          `fit: callback ${nameOf(callback, i)}: ${method} must be a function, got ${show(given)}`,
        )
    }
  })
  return list as readonly Callback[]
}
