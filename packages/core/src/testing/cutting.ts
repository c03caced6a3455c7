import type { Arbitrary, Random, Stream, Value } from 'fast-check'
import type { FastCheck } from './arbitraries.js'
import { sizeOf, type Sizes } from '../shape.js'

/** The elements of a tensor in row-major order, not yet numbers. */
export interface Elements<E> {
  readonly shape: Sizes
  readonly list: readonly E[]
}

/**
 * Elements for the shapes of an arbitrary. They shrink by cutting: to parts along an axis, and by the axes of side 1;
 * so a failure that comes from one element shrinks to that element. (With `chain`, fast-check would draw all elements
 * anew for each smaller shape, and often none of them would fail.)
 */
export function elementsOf<E>(
  fc: FastCheck,
  shapes: Arbitrary<Sizes>,
  listOf: (size: number) => Arbitrary<E[]>,
): Arbitrary<Elements<E>> {
  class Cutting extends fc.Arbitrary<Elements<E>> {
    override generate(random: Random, bias: number | undefined): Value<Elements<E>> {
      const shape = shapes.generate(random, bias).value
      return withContext(shape, listOf(sizeOf(shape)).generate(random, bias))
    }

    override canShrinkWithoutContext(value: unknown): value is Elements<E> {
      return false
    }

    override shrink({ shape, list }: Elements<E>, context: unknown): Stream<Value<Elements<E>>> {
      const cut = cuts(shape, list).filter((smaller) => shapes.canShrinkWithoutContext(smaller.shape))
      const elements = listOf(list.length)
        .shrink([...list], context)
        .map((smaller) => withContext(shape, smaller))
      return fc.stream(cut.map((smaller) => new fc.Value(smaller, undefined)).values()).join(elements)
    }
  }

  // A list that was cut has no context: its elements shrink by what they are.
  const withContext = (shape: Sizes, list: Value<E[]>): Value<Elements<E>> =>
    new fc.Value({ shape, list: list.value }, list.context)

  return new Cutting()
}

/** Smaller tensors of the same elements, the smallest first. */
function cuts<E>(shape: Sizes, list: readonly E[]): Elements<E>[] {
  const found: Elements<E>[] = []
  shape.forEach((side, axis) => {
    if (side === 1) found.push({ shape: shape.toSpliced(axis, 1), list })
    const middle = side >> 1
    const keep = (isKept: (i: number) => boolean): void => {
      const kept = Array.from({ length: side }, (_, i) => i).filter(isKept)
      found.push({ shape: shape.with(axis, kept.length), list: taken(shape, list, axis, kept) })
    }
    if (side > 1) {
      keep((i) => i < middle)
      keep((i) => i >= middle)
    }
    if (side > 2) for (let at = 0; at < side; at++) keep((i) => i !== at)
  })
  return found.toSorted((a, b) => a.list.length - b.list.length)
}

/** The elements at the positions `kept` along `axis`. */
function taken<E>(shape: Sizes, list: readonly E[], axis: number, kept: readonly number[]): E[] {
  const inner = sizeOf(shape.slice(axis + 1))
  return list.filter((_, i) => kept.includes(Math.floor(i / inner) % shape[axis]!))
}
