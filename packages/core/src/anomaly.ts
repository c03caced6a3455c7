import { abstractBackend } from './abstract.js'
import { isFloat } from './dtype.js'
import { NonFiniteError } from './errors.js'
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
 * @throws NonFiniteError naming the op, its shapes and the line that called it.
 */
export function detectAnomalies<R>(f: () => R): R {
  checkFunction('detectAnomalies', f)
  depth++
  try {
    return f()
  } finally {
    depth--
  }
}

/** Says where in the user's code an op was applied: the first line of the stack that is not this library's. */
export function callSite(): string {
  const lines = (new Error('where').stack ?? '').split('\n').slice(1)
  const own = lines.findIndex((line) => !isOwnLine(line))
  return own < 0 ? 'an unknown place' : lines[own]!.trim().replace(/^at /, '')
}

/** Lines of this package, from its source or its built files, wherever it is installed. */
function isOwnLine(line: string): boolean {
  return /[\\/](?:core|layers)[\\/](?:src|dist)[\\/]/.test(line) || /[\\/]@adjoint[\\/]/.test(line)
}

/** Runs a gradient rule so that what it makes is told as part of that gradient. */
export function inBackwardOf<R>(op: string, site: string | undefined, f: () => R): R {
  backwardOf.push(`the gradient of ${op}${site === undefined ? '' : `, applied at ${site}`}`)
  try {
    return f()
  } finally {
    backwardOf.pop()
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
  if (!isFloat(x.dtype) || backend === abstractBackend || backend.readSync === undefined) return undefined
  const values = backend.readSync(x.handle, x) as ArrayLike<number>
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i])) return { value: values[i]!, position: i }
  return undefined
}
