import { ShapeError, show, ValueError } from '../errors.js'
import { call, composite, type Operand, type Result, type Row } from '../op.js'
import { checkAxis, formatShape, isList, sameShape, sizeOf, type Sizes } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { mul } from './arithmetic.js'
import { matmul } from './linalg.js'
import { reshape, transpose } from './movement.js'

/** A tensor whose axes have names: axes of one name run together. */
export interface Labelled {
  readonly x: Tensor
  /** One for each axis, none twice. */
  readonly labels: readonly string[]
}

/** Sums the products of `a` and `b` over the labels that both have and `kept` has not, as one matrix product. */
export function contract(a: Labelled, b: Labelled, kept: ReadonlySet<string>): Labelled {
  const shared = a.labels.filter((label) => b.labels.includes(label))
  const batch = shared.filter((label) => kept.has(label))
  const inner = shared.filter((label) => !kept.has(label))
  const rows = a.labels.filter((label) => !shared.includes(label))
  const columns = b.labels.filter((label) => !shared.includes(label))
  const labels = [...batch, ...rows, ...columns]
  const sides = new Map<string, number>()
  for (const { x, labels: names } of [a, b]) names.forEach((label, axis) => sides.set(label, x.shape[axis]!))
  const sidesOf = (names: readonly string[]): number[] => names.map((label) => sides.get(label)!)
  const shape = sidesOf(labels)

  if (inner.length === 0) {
    // Nothing is summed: a product with broadcasting, sides of 1 in place of the other's labels.
    const left = reshaped(ordered(a, [...batch, ...rows]), [
      ...sidesOf([...batch, ...rows]),
      ...columns.map(() => 1),
    ])
    const right = reshaped(ordered(b, [...batch, ...columns]), [
      ...sidesOf(batch),
      ...rows.map(() => 1),
      ...sidesOf(columns),
    ])
    return { x: mul(left, right), labels }
  }
  const [m, k, n] = [rows, inner, columns].map((names) => sizeOf(sidesOf(names))) as [number, number, number]
  // Whichever of the two orders an operand already has costs nothing: matmul takes either.
  const isAcross = sameShapeOf(a.labels, [...batch, ...inner, ...rows])
  const isUpright = sameShapeOf(b.labels, [...batch, ...columns, ...inner])
  const left = reshaped(isAcross ? a.x : ordered(a, [...batch, ...rows, ...inner]), [
    ...sidesOf(batch),
    ...(isAcross ? [k, m] : [m, k]),
  ])
  const right = reshaped(isUpright ? b.x : ordered(b, [...batch, ...inner, ...columns]), [
    ...sidesOf(batch),
    ...(isUpright ? [n, k] : [k, n]),
  ])
  return { x: reshaped(matmul(left, right, isAcross, isUpright), shape), labels }
}

function sameShapeOf(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, i) => label === b[i])
}

/** The tensor with its axes in the order of `labels`. */
export function ordered({ x, labels: own }: Labelled, labels: readonly string[]): Tensor {
  const perm = labels.map((label) => own.indexOf(label))
  return perm.every((axis, i) => axis === i) ? x : transpose(x, perm)
}

function reshaped(x: Tensor, shape: Sizes): Tensor {
  return sameShape(x.shape, shape) ? x : reshape(x, shape)
}

interface TensordotAttrs {
  readonly axes: number | readonly [readonly number[], readonly number[]]
}

const tensordotRow: Row<'a' | 'b', TensordotAttrs> = composite({
  name: 'tensordot',
  args: ['a', 'b'],
  compose([a, b], { axes }) {
    const [left, right] = checkPairs(a!.shape, b!.shape, axes)
    const labelsOfA = a!.shape.map((_, axis) => `a${axis}`)
    const labelsOfB = b!.shape.map((_, axis) =>
      right.includes(axis) ? `a${left[right.indexOf(axis)]}` : `b${axis}`,
    )
    const free = [
      ...labelsOfA.filter((_, axis) => !left.includes(axis)),
      ...labelsOfB.filter((l) => l.startsWith('b')),
    ]
    return ordered(contract({ x: a!, labels: labelsOfA }, { x: b!, labels: labelsOfB }, new Set(free)), free)
  },
})

/** The axes of a and b that are summed over in pairs, from the front. */
function checkPairs(a: Sizes, b: Sizes, axes: TensordotAttrs['axes']): readonly [number[], number[]] {
  const fail = (why: string): ValueError =>
    new ValueError(`tensordot: axes ${show(axes)} ${why}; give a number or two lists of equal length`, {
      op: 'tensordot',
    })
  let pairs: readonly [readonly number[], readonly number[]]
  if (typeof axes === 'number') {
    if (!Number.isInteger(axes) || axes < 0 || axes > Math.min(a.length, b.length))
      throw fail(`do not fit ${formatShape(a)} and ${formatShape(b)}`)
    const count = Array.from({ length: axes }, (_, i) => i)
    pairs = [count.map((i) => a.length - axes + i), count]
  } else pairs = axes
  if (!isList(pairs) || pairs.length !== 2 || !pairs.every((list) => isList(list)))
    throw fail('are no pair of lists')
  const left = Array.from(pairs[0], (axis: number) => checkAxis('tensordot', axis, a.length, 'axis of a'))
  const right = Array.from(pairs[1], (axis: number) => checkAxis('tensordot', axis, b.length, 'axis of b'))
  if (
    left.length !== right.length ||
    new Set(left).size !== left.length ||
    new Set(right).size !== right.length
  )
    throw fail('do not pair')
  left.forEach((axis: number, i: number) => {
    if (a[axis] !== b[right[i]!])
      throw new ShapeError(
        `tensordot: axis ${axis} of ${formatShape(a)} is ${a[axis]}, axis ${right[i]} of ${formatShape(b)} is ${b[right[i]!]}`,
        { op: 'tensordot', shapes: [a, b] },
      )
  })
  return [left, right]
}

/**
 * Sums the products of a and b over pairs of axes: `[[axes of a], [axes of b]]`, or the last n of a with the first n
 * of b. What is left of a comes first in the result.
 */
export function tensordot<A extends Operand, B extends Operand>(
  a: A,
  b: B,
  axes: TensordotAttrs['axes'] = 2,
): Result<A | B> {
  return call(tensordotRow, [a, b], { axes }) as Result<A | B>
}

const dotRow: Row<'a' | 'b', object> = composite({
  name: 'dot',
  args: ['a', 'b'],
  compose([a, b]) {
    if (a!.rank === 0 || b!.rank === 0) return mul(a!, b!)
    return tensordot(a!, b!, [[a!.rank - 1], [Math.max(b!.rank - 2, 0)]])
  },
})

/** Sum of products over the last axis of a and the last but one (or only) axis of b, as NumPy's dot. */
export function dot<A extends Operand, B extends Operand>(a: A, b: B): Result<A | B> {
  return call(dotRow, [a, b], {}) as Result<A | B>
}

const outerRow: Row<'a' | 'b', object> = composite({
  name: 'outer',
  args: ['a', 'b'],
  compose: ([a, b]) => mul(reshape(a!, [a!.size, 1]), reshape(b!, [1, b!.size])),
})

/** [a.size, b.size]: each element of a times each of b, both flattened. */
export function outer<A extends Operand, B extends Operand>(a: A, b: B): Result<A | B> {
  return call(outerRow, [a, b], {}) as Result<A | B>
}
