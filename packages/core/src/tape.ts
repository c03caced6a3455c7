import { callSite, isWatchingForAnomalies } from './anomaly.js'
import { type DType, isFloat } from './dtype.js'
import type { Row } from './op.js'
import type { Tensor, Variable } from './tensor.js'

/** What the tape needs to know of a row. */
export type Recorded = Pick<Row, 'name' | 'args' | 'vjp' | 'fn' | 'reach'> & {
  /** Whether its rule may keep tensors for later, as a user's function may. */
  readonly mayKeep?: boolean
}

/** One applied row. `parents[i]` is where on the tape input i was made, or -1 if it was not. */
export interface Entry {
  /** Absent for a leaf: a watched tensor, whose only parent is what it stood for before it was watched. */
  readonly row: Recorded | undefined
  readonly inputs: readonly Tensor[]
  readonly parents: readonly number[]
  readonly attrs: unknown
  readonly out: Tensor
  /** Where it was applied, while anomalies are being looked for. */
  readonly site: string | undefined
}

/**
 * The one tape: rows in the order in which they were applied, which is a topological order. A gradient is a range
 * of it read backwards. It grows only while a scope is open and shrinks when the last scope over its end closes.
 */
const entries: Entry[] = []
const open: Scope[] = []
/** How many of the open scopes are muted: a scope opened while others are muted records again. */
let muted = 0

/** Where `tensor` was made on the tape, or -1. Positions of closed scopes are stale and do not count. */
export function positionOf(tensor: Tensor<DType>): number {
  const p = tensor.position
  return p >= 0 && p < entries.length && entries[p]!.out === tensor ? p : -1
}

export function isRecording(): boolean {
  return open.length > muted
}

/** Whether anything is on the tape that may still be read, recorded or not from now on. */
export function isTaping(): boolean {
  return open.length > 0
}

/** Puts an applied row on the tape if a gradient could need it. */
export function record(row: Recorded, inputs: readonly Tensor[], attrs: unknown, out: Tensor): void {
  if (row.vjp === null || !isFloat(out.dtype)) return
  let tracked = false
  const parents = new Array<number>(inputs.length)
  for (let i = 0; i < inputs.length; i++) {
    const p = positionOf(inputs[i]!)
    parents[i] = p
    if (p >= 0) tracked = true
  }
  if (!tracked) return
  const site = isWatchingForAnomalies() ? callSite() : undefined
  out.position = entries.push({ row, inputs, parents, attrs, out, site }) - 1
}

/** Runs `f` without recording for the scopes that are open now; those that `f` opens do record. */
export function withoutRecording<R>(f: () => R): R {
  const before = muted
  muted = open.length
  try {
    return f()
  } finally {
    muted = before
  }
}

/** A range of the tape: `entries[i]` stands at `start + i`. */
export interface Segment {
  readonly entries: readonly Entry[]
  readonly start: number
}

interface ScopeOptions {
  readonly watchesVariables?: boolean
  readonly isolated?: boolean
}

/** A stretch of the tape for one gradient: from its opening to its closing. */
export class Scope {
  readonly start: number
  readonly #watched: { tensor: Tensor<DType>; before: number }[] = []
  readonly #leaves = new Map<Tensor<DType>, number[]>()
  /** Whether no scope around it was recording when it was opened. */
  readonly #isUnseen = open.length <= muted
  #isOpen = true

  /** Whether trainable variables are watched when they are first read. */
  readonly watchesVariables: boolean
  /** Whether scopes around it see none of what is read under it. */
  readonly isolated: boolean

  constructor({ watchesVariables = false, isolated = false }: ScopeOptions = {}) {
    this.start = entries.length
    this.watchesVariables = watchesVariables
    this.isolated = isolated
    open.push(this)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether no scope around this one records, so that its own backward pass need not be recorded either. */
  get isOutermost(): boolean {
    return open.length - 1 <= muted
  }

  /** Everything recorded since the scope was opened, and where on the tape that begins. */
  segment(): Segment {
    return { entries: entries.slice(this.start), start: this.start }
  }

  /** Makes `value` a leaf of this scope, on behalf of `source` (itself, or the variable that holds it). */
  watch(source: Tensor<DType>, value: Tensor): number {
    const positions = this.#leaves.get(source)
    const latest = positions?.at(-1)
    // Twice the same value would be twice the same gradient.
    if (latest !== undefined && entries[latest]?.out === value) return latest
    const before = positionOf(value)
    const position =
      entries.push({
        row: undefined,
        inputs: [value],
        parents: [before],
        attrs: null,
        out: value,
        site: undefined,
      }) - 1
    this.#watched.push({ tensor: value, before: value.position })
    value.position = position
    if (positions === undefined) this.#leaves.set(source, [position])
    else positions.push(position)
    return position
  }

  /** A copy of `original` under a new name, as a leaf: a gradient by the one is not mixed up with one by the other. */
  rename(original: Tensor): Tensor {
    const value = original.read()
    const alias = value.alias()
    alias.position =
      entries.push({
        row: undefined,
        inputs: [value],
        parents: [positionOf(value)],
        attrs: null,
        out: alias,
        site: undefined,
      }) - 1
    return alias
  }

  /** The leaves that stand for `source`: for a variable one for each value it had while it was watched. */
  leavesOf(source: Tensor<DType>): readonly number[] {
    return this.#leaves.get(source) ?? []
  }

  watches(source: Tensor<DType>): boolean {
    return this.#leaves.has(source)
  }

  /** The variables this scope watches. */
  variables(): Variable[] {
    return [...this.#leaves.keys()].filter((source): source is Variable => source.isVariable)
  }

  /** Ends the scope. `forget` also takes what it recorded off the tape: nothing outside may depend on it. */
  close({ forget = false }: { readonly forget?: boolean } = {}): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    open.splice(open.indexOf(this), 1)
    for (let i = this.#watched.length - 1; i >= 0; i--) {
      const { tensor, before } = this.#watched[i]!
      tensor.position = before
    }
    // What an outer scope still needs stays; its own leaves among it pass gradients through.
    if (open.length === 0) entries.length = 0
    else if (forget || (this.#isUnseen && open.length <= muted))
      entries.length = Math.min(entries.length, this.start)
  }
}

/** Called when a variable is read by an op. */
export function onRead(variable: Variable<DType>, value: Tensor<DType>): void {
  if (!isRecording() || !variable.trainable || !isFloat(value.dtype)) return
  const first = Math.max(
    0,
    open.findLastIndex((scope) => scope.isolated),
  )
  for (let i = first; i < open.length; i++) {
    const scope = open[i]!
    if (scope.watchesVariables && !scope.watches(variable)) scope.watch(variable, value as Tensor)
  }
}

/** Called when a watched variable gets another value: the new one is watched too, so no read goes unseen. */
export function onAssign(variable: Variable<DType>, value: Tensor<DType>): void {
  for (const scope of open) if (scope.watches(variable)) scope.watch(variable, value as Tensor)
}
