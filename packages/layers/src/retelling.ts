import { AdjointError } from '@adjoint/core'

// Errors of calls inside a layer, told again with what the layer knows.

/** The error with the layer's name in front of its message. */
export function named(error: unknown, label: string): unknown {
  return error instanceof Error && !error.message.startsWith(label)
    ? retold(error, `${label}: ${error.message}`)
    : error
}

/** An error of shape inference. Where two runs tell of different numbers, these stood for sides that are not known. */
export function withUnknownSides(first: unknown, second: unknown): unknown {
  if (!(first instanceof Error && second instanceof Error)) return first
  const a = first.message.split(/(\d+)/)
  const b = second.message.split(/(\d+)/)
  const isSameText = a.length === b.length && a.every((part, i) => i % 2 === 1 || part === b[i])
  if (!isSameText) return first
  if (first instanceof AdjointError && second instanceof AdjointError) {
    const others = second.shapes
    const shapes = first.shapes?.map((shape, i) =>
      shape.map((side, k) => (side === others?.[i]?.[k] ? side : null)),
    )
    if (shapes !== undefined) Object.assign(first, { shapes })
  }
  return retold(first, a.map((part, i) => (part === b[i] ? part : 'null')).join(''))
}

/** The same error with another message, in its stack too; a frozen error keeps its own. */
function retold(error: Error, message: string): Error {
  if (Object.isFrozen(error)) return error
  const { message: before, stack } = error
  error.message = message
  if (before !== '' && stack?.includes(before) === true) error.stack = stack.replace(before, () => message)
  return error
}
