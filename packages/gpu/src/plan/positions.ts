import { sizeOf, stridesOf } from '@adjoint/core/extend'
import type { Statements } from './statements.js'

export type Sizes = readonly number[]

/** A position in a value: by axis, flat, or both. Whole numbers as text. */
export interface At {
  readonly shape: Sizes
  readonly digits?: readonly string[]
  readonly flat?: string
}

/** The flat position. */
export function flatOf(write: Statements, at: At): string {
  if (at.flat !== undefined) return at.flat
  const strides = stridesOf(at.shape)
  const terms = at.digits!.flatMap((digit, axis) =>
    at.shape[axis] === 1 || digit === '0'
      ? []
      : [strides[axis] === 1 ? digit : `${factor(digit)} * ${strides[axis]}`],
  )
  return terms.length === 0 ? '0' : write.integer(terms.join(' + '))
}

/** The position by axis. */
export function digitsOf(write: Statements, at: At): readonly string[] {
  if (at.digits !== undefined) return at.digits
  const digits = at.shape.map(() => '0')
  const axes = at.shape.flatMap((side, axis) => (side === 1 ? [] : [axis])).reverse()
  let rest = at.flat!
  for (const axis of axes) {
    if (axis === axes.at(-1) || rest === '0') digits[axis] = rest
    else {
      const quotient = write.quotient(rest, at.shape[axis]!)
      digits[axis] = write.integer(`${rest} - ${quotient} * ${at.shape[axis]}`)
      rest = quotient
    }
    if (rest === '0') break
  }
  return digits
}

/** Where an operand of `shape` is read for an element of what it is broadcast to. */
export function broadcastAt(write: Statements, at: At, shape: Sizes): At {
  const size = sizeOf(shape)
  if (size === 1) return { shape, flat: '0' }
  if (size === sizeOf(at.shape)) return reshapedAt(write, at, shape)
  const digits = digitsOf(write, at)
  const missing = at.shape.length - shape.length
  return { shape, digits: shape.map((side, axis) => (side === 1 ? '0' : digits[axis + missing]!)) }
}

/** The same element under another shape. */
export function reshapedAt(write: Statements, at: At, shape: Sizes): At {
  if (at.flat !== undefined) return { shape, flat: at.flat }
  const sides = (of: Sizes): number[] => of.filter((side) => side !== 1)
  if (sides(shape).join() !== sides(at.shape).join()) return { shape, flat: flatOf(write, at) }
  const digits = at.digits!.filter((_, axis) => at.shape[axis] !== 1)
  let next = 0
  return { shape, digits: shape.map((side) => (side === 1 ? '0' : digits[next++]!)) }
}

/** A text that may stand beside `*`. */
export const factor = (text: string): string => (/^\w+$/.test(text) ? text : `(${text})`)
