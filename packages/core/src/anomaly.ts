import { abstractBackend } from './abstract.js'
import { isFloat } from './dtype.js'
import { isThenable, readNow } from './backend.js'
import { BackendError, NonFiniteError, ValueError } from './errors.js'
import { checkFunction } from './options.js'
import { formatShape } from './shape.js'
import type { Tensor } from './tensor.js'

let depth = 0
/** What is being differentiated now, innermost last: the op and where it was applied. */
const backwardOf: string[] = []

export function isWatchingForAnomalies(): boolean {
  return depth > 0
}

/**
 * Runs `f` and stops at the first op that makes a NaN or an Infinity from finite numbers, forward or in a gradient.
 * Slow: every value is looked at, and every op remembers where it was called. `f` must be synchronous.
 * @throws NonFiniteError naming the op, its shapes and the line that called it; ValueError when `f` is asynchronous;
 * BackendError where values can only be read asynchronously.
 */
export function detectAnomalies<R>(f: () => R): R {
  checkFunction('detectAnomalies', f)
  depth++
  try {
    const result = f()
    if (isThenable(result))
      throw new ValueError(
        'detectAnomalies: the function is asynchronous, and what runs after its first await would not be looked at; ' +
          'call it inside, around what is synchronous',
        { op: 'detectAnomalies' },
      )
    return result
  } finally {
    depth--
  }
}

/** Folders of this library's code, as stack traces spell them. */
const ownFolders = new Set<string>()

/** Has lines of the file that calls this, and of those in its folder, passed over when places are told. */
export function markOwnCode(): void {
  const folder = folderOf(linesOf(new Error('where'))[1] ?? '')
  if (folder !== undefined) ownFolders.add(folder)
}

/** `file:///home/u/core/src/` of a line of a stack trace. */
function folderOf(line: string): string | undefined {
  return /(?:\(|@|at )((?:[\w-]+:\/\/|[\\/]|[A-Za-z]:[\\/]).*[\\/])[^\\/]*:\d+:\d+\)?$/.exec(line)?.[1]
}

/** The lines of a stack trace that name a place; V8 has the message in front of them. */
function linesOf({ stack = '' }: Error): string[] {
  return stack.split('\n').filter((line) => /:\d+:\d+\)?$/.test(line))
}

/** Deep enough to reach the user's code from within models of models. */
const DEEPEST = 200

/** Says where in the user's code an op was applied: the first line of the stack that is not this library's. */
export function callSite(): string {
  // V8 keeps ten lines unless told otherwise; other engines know no such limit.
  const limit = Error as { stackTraceLimit?: number }
  const before = limit.stackTraceLimit
  if (before !== undefined) limit.stackTraceLimit = DEEPEST
  const lines = linesOf(new Error('where'))
  if (before !== undefined) limit.stackTraceLimit = before
  const own = lines.find((line) => !isOwnLine(line))
  return own === undefined ? 'an unknown place' : own.trim().replace(/^at /, '')
}

/** Where a bundler has put user and library into one file, all lines are the library's. */
function isOwnLine(line: string): boolean {
  for (const folder of ownFolders) if (line.includes(folder)) return true
  return /[\\/]node_modules[\\/]@adjoint[\\/]/.test(line)
}

markOwnCode()

/** Runs a gradient rule so that what it makes is told as part of that gradient. */
export function inBackwardOf<R>(op: string, site: string | undefined, f: () => R): R {
  backwardOf.push(`the gradient of ${op}${site === undefined ? '' : `, applied at ${site}`}`)
  try {
    return f()
  } finally {
    backwardOf.pop()
  }
}

/** Runs `f` without looking at what it makes. */
export function unwatched<R>(f: () => R): R {
  const before = depth
  depth = 0
  try {
    return f()
  } finally {
    depth = before
  }
}

export function checkAnomaly(op: string, inputs: readonly Tensor[], out: Tensor): void {
  if (!isFloat(out.dtype)) return
  const bad = firstNonFinite(out)
  if (bad === undefined || inputs.some((x) => firstNonFinite(x) !== undefined)) return
  const shapes = inputs.map((x) => formatShape(x.shape)).join(', ')
  const where = backwardOf.length > 0 ? `in ${backwardOf.at(-1)}` : `called at ${callSite()}`
  throw new NonFiniteError(
    `${op}: made ${bad.value} at position ${bad.position} of ${formatShape(out.shape)} from finite inputs ${shapes}, ${where}`,
    { op, shapes: inputs.map((x) => x.shape) },
  )
}

function firstNonFinite(x: Tensor): { value: number; position: number } | undefined {
  const { backend } = x
  if (!isFloat(x.dtype) || backend === abstractBackend) return undefined
  const values = readNow(backend, x.handle, x) as ArrayLike<number> | undefined
  if (values === undefined) {
    if (backend.known === undefined) return undefined
    throw new BackendError(
      `detectAnomalies: the ${backend.name} backend reads asynchronously, so values cannot be looked at as they are ` +
        'made; look for them on the CPU, or on WebGL',
      { op: 'detectAnomalies' },
    )
  }
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i])) return { value: values[i]!, position: i }
  return undefined
}
