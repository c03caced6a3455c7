/** What an error can say beside its message. */
export interface ErrorDetails {
  /** The op or layer that refused. */
  readonly op?: string
  /** The shapes involved, in argument order. */
  readonly shapes?: readonly (readonly (number | null)[])[]
  readonly cause?: unknown
}

/** The base of every error this library throws on purpose. `code` is stable; messages may improve. */
export abstract class AdjointError extends Error {
  abstract readonly code: string
  declare readonly op?: string
  declare readonly shapes?: readonly (readonly (number | null)[])[]

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = new.target.name
    if (details.op !== undefined) this.op = details.op
    if (details.shapes !== undefined) this.shapes = details.shapes
  }
}

/** Shapes that do not fit together, or no shape at all. */
export class ShapeError extends AdjointError {
  readonly code = 'SHAPE'
}
/** A dtype that an op or a layer cannot take. */
export class DTypeError extends AdjointError {
  readonly code = 'DTYPE'
}
/** A bad argument value. */
export class ValueError extends AdjointError {
  readonly code = 'VALUE'
}
/** Wrong wiring of a model, or of a gradient. */
export class GraphError extends AdjointError {
  readonly code: string = 'GRAPH'
}
/** Data for fit, evaluate or predict that does not fit the model. */
export class DataError extends AdjointError {
  readonly code = 'DATA'
}
/** A file that is not what it should be. */
export class FormatError extends AdjointError {
  readonly code = 'FORMAT'
}
/** A size beyond what can be had. */
export class LimitError extends AdjointError {
  readonly code = 'LIMIT'
}
/** A tensor used after its memory was given back. */
export class DisposedError extends AdjointError {
  readonly code = 'DISPOSED'
}
/** A NaN or an Infinity where none may be. */
export class NonFiniteError extends AdjointError {
  readonly code = 'NON_FINITE'
}
/** Something a backend cannot do. */
export class BackendError extends AdjointError {
  readonly code = 'BACKEND'
}
/** A gradient tape used the wrong way. */
export class TapeError extends GraphError {
  override readonly code: string = 'TAPE'
}
/** A worker that failed. */
export class WorkerError extends AdjointError {
  readonly code = 'WORKER'
}

const LONGEST_SHOWN = 80

/** A value as it appears in a message: one line, control characters escaped, at most 80 characters. */
export function show(value: unknown): string {
  let text: string
  if (typeof value === 'string') text = escapeHidden(JSON.stringify(value.slice(0, 200)))
  else if (typeof value === 'bigint') text = `${value}n`
  else if (typeof value === 'function') text = `a function${value.name ? ` (${value.name})` : ''}`
  else if (typeof value === 'symbol') text = 'a symbol'
  else if (Object.is(value, -0)) text = '-0'
  else if (Array.isArray(value)) text = value.length > 20 ? `an array of ${value.length}` : showArray(value)
  else if (typeof value === 'object' && value !== null) text = `an object (${className(value)})`
  else text = String(value)
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 1)}…` : text
}

/** JSON leaves characters as they are that are not seen, or turn the text around. */
function escapeHidden(text: string): string {
  return text.replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function showArray(values: readonly unknown[]): string {
  return `[${values.map((v) => (typeof v === 'object' && v !== null ? className(v) : show(v))).join(', ')}]`
}

/** The kind of a value in words: `null`, `string`, `Date`, `number`. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'object' ? className(value) : typeof value
}

function className(value: object): string {
  const proto = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null
  const name = proto?.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'object'
}

/** `list` as words: `a, b or c`. */
export function either(list: readonly string[]): string {
  if (list.length < 2) return list.join('')
  return `${list.slice(0, -1).join(', ')} or ${list[list.length - 1]}`
}

/** The option nearest to `name` within two edits (case aside), or undefined. Linear in long names. */
export function nearest(name: string, options: readonly string[]): string | undefined {
  if (name.length > 64) return undefined
  const wanted = simplified(name)
  let best: string | undefined
  let bestDistance = 3
  for (const option of options) {
    if (Math.abs(option.length - name.length) > 4) continue
    const distance = editDistance(wanted, simplified(option))
    // A name of which nothing is left is no misspelling of another.
    if (distance < bestDistance && distance < Math.max(wanted.length, 1)) {
      best = option
      bestDistance = distance
    }
  }
  return best
}

function simplified(name: string): string {
  return name.trim().toLowerCase().replaceAll('_', '')
}

/** ` Did you mean "x"?` where an option is near, else the empty string. */
export function didYouMean(name: unknown, options: readonly string[]): string {
  const near = typeof name === 'string' ? nearest(name, options) : undefined
  return near === undefined ? '' : ` Did you mean ${show(near)}?`
}

/** Damerau's distance for neighbours: insertions, deletions, substitutions, swaps of adjacent letters. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let d = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        d = Math.min(d, before[j - 2]! + 1)
      next.push(d)
    }
    before = row
    row = next
  }
  return row[b.length]!
}
