import { type NonFiniteError, ValueError } from '@adjoint/core'
import { didYouMean, isRecord, isThenable, show } from '@adjoint/core/extend'
import type { Model } from '../model.js'
import type { Callback, CallbackState, FitParams, Logs } from './types.js'

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

  /** Whether one of them takes it that a step found NaN or an infinity, and ends the training in peace. */
  accepts(error: NonFiniteError): boolean {
    const answers = this.#list.map((callback, i) =>
      attempt(callback, i, 'onNonFinite', () => callback.onNonFinite?.(error)),
    )
    return answers.includes(true)
  }

  /** What each remembers. */
  getStates(): (CallbackState | null)[] {
    return this.#list.map((callback, i) =>
      attempt(callback, i, 'getState', () => callback.getState?.() ?? null),
    )
  }

  /** Gives them back what they told, in the same order. */
  async setStates(states: readonly (CallbackState | null)[]): Promise<void> {
    for (const [i, callback] of this.#list.entries()) {
      const state = states[i] ?? null
      if (state !== null) await attempt(callback, i, 'setState', () => callback.setState?.(state))
    }
  }

  /** What each is called in messages. */
  get names(): readonly string[] {
    return this.#list.map(nameOf)
  }

  /** The callbacks themselves, in order. */
  get list(): readonly Callback[] {
    return this.#list
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

/** The same error, its message telling whose it is, once. */
function named(error: unknown, callback: Callback, at: number, method: string): unknown {
  if (error instanceof Error)
    try {
      const name = nameOf(callback, at)
      const own = `${name}: `
      const { message } = error
      error.message = `callback ${name}.${method}: ${message.startsWith(own) ? message.slice(own.length) : message}`
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

/** The methods that `fit` calls. */
export const CALLBACK_METHODS: readonly (keyof Callback)[] = [
  'setModel',
  'setParams',
  'onTrainBegin',
  'onTrainEnd',
  'onEpochBegin',
  'onEpochEnd',
  'onBatchBegin',
  'onBatchEnd',
  'onNonFinite',
  'getState',
  'setState',
]
/** What Keras calls some of them. */
const KERAS_NAMES: ReadonlyMap<string, keyof Callback> = new Map([
  ['onTrainBatchBegin', 'onBatchBegin'],
  ['onTrainBatchEnd', 'onBatchEnd'],
])

/** @throws ValueError for a method that would never be called, with the nearest that would. */
function checkNames(callback: Callback, what: string): void {
  const known = CALLBACK_METHODS as readonly string[]
  const isPlain = isRecord(callback)
  for (const name of methodNames(callback)) {
    if (known.includes(name)) continue
    const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    const meant = known.includes(camel) ? camel : KERAS_NAMES.get(camel)
    const hint = meant === undefined ? didYouMean(camel, known) : ` Did you mean ${show(meant)}?`
    // Other methods may well be a callback's own.
    if (/^on[A-Z_]/.test(name) || (isPlain && hint !== ''))
      throw new ValueError(
        `${what}: ${show(name)} would never be called; fit calls ${known.join(', ')}.${hint}`,
      )
  }
}

/** Names of all functions of an object, inherited ones too. */
function methodNames(object: object): Set<string> {
  const names = new Set<string>()
  for (let at = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at) as object)
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === 'function' && name !== 'constructor') names.add(name)
  return names
}

function checkCallbacks(callbacks: unknown): readonly Callback[] {
  if (callbacks === undefined || callbacks === null) return []
  const list: readonly unknown[] = Array.isArray(callbacks) ? callbacks : [callbacks]
  list.forEach((callback, i) => {
    if (typeof callback !== 'object' || callback === null)
      throw new ValueError(
        `fit: callback ${i} must be an object such as earlyStopping(), got ${show(callback)}` +
          (typeof callback === 'function' ? '; call it, or give { onEpochEnd: … }' : ''),
      )
    checkNames(callback, `fit: callback ${nameOf(callback, i)}`)
    for (const method of CALLBACK_METHODS) {
      const given = (callback as Callback)[method]
      if (given !== undefined && typeof given !== 'function')
        throw new ValueError(
          `fit: callback ${nameOf(callback, i)}: ${method} must be a function, got ${show(given)}`,
        )
    }
  })
  return list as readonly Callback[]
}
