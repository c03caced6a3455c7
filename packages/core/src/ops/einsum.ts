import { ShapeError, show, ValueError } from '../errors.js'
import { call, composite, type Operand, type Result, type Row } from '../op.js'
import { formatShape, MAX_RANK, sizeOf } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { contract, type Labelled, ordered } from './contraction.js'
import { diagonalOf } from './diagonal.js'
import { reshape } from './movement.js'
import { sum } from './reduce.js'

/** An equation taken apart: a label for each axis, '...' for any number of them. */
interface Equation {
  readonly source: string
  readonly inputs: readonly (readonly string[])[]
  readonly output: readonly string[]
}

const DOTS = '...'

/** Reads an equation from left to right, once, and no further than it can be right. */
function parseEquation(source: unknown, count: number): Equation {
  if (typeof source !== 'string') throw invalid(source, 'is no string')
  if (count === 0) throw invalid(source, 'was given no operands')
  const inputs: string[][] = [[]]
  let output: string[] | undefined
  let list = inputs[0]!
  for (let at = 0; at < source.length; at++) {
    const char = source[at]!
    if (char === ' ') continue
    if ((char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')) list.push(char)
    else if (char === '.' && source.startsWith(DOTS, at) && !list.includes(DOTS)) {
      list.push(DOTS)
      at += 2
    } else if (char === ',' && output === undefined) inputs.push((list = []))
    else if (char === '-' && source[at + 1] === '>' && output === undefined) {
      list = output = []
      at++
    } else throw invalid(source, `has an unexpected ${show(char)} at position ${at}`)
    if (list.length > MAX_RANK + 1)
      throw invalid(source, `has more than ${MAX_RANK} labels in a row at position ${at}`)
    if (inputs.length > count)
      throw invalid(source, `is for more operands than the ${count} given, at position ${at}`)
  }
  if (inputs.length < count) throw invalid(source, `is for ${inputs.length} operands, got ${count}`)
  return {
    source,
    inputs,
    output: output === undefined ? impliedOutput(inputs) : checkOutput(source, output, inputs),
  }
}

function invalid(source: unknown, why: string): ValueError {
  return new ValueError(`einsum: equation ${show(source)} ${why}`, { op: 'einsum' })
}

/** Without an arrow: the dots, then every label that occurs once, by the alphabet. */
function impliedOutput(inputs: readonly (readonly string[])[]): string[] {
  const counts = new Map<string, number>()
  for (const label of inputs.flat()) counts.set(label, (counts.get(label) ?? 0) + 1)
  const once = [...counts.keys()].filter((label) => label !== DOTS && counts.get(label) === 1).toSorted()
  return counts.has(DOTS) ? [DOTS, ...once] : once
}

function checkOutput(
  source: string,
  output: readonly string[],
  inputs: readonly (readonly string[])[],
): readonly string[] {
  const arrow = source.indexOf('->')
  const known = new Set(inputs.flat())
  const seen = new Set<string>()
  for (const label of output) {
    const position = `at position ${source.indexOf(label, arrow + 2)}`
    if (!known.has(label) && label !== DOTS)
      throw invalid(source, `has ${label} in the output only, ${position}`)
    if (seen.has(label))
      throw invalid(source, `has ${label} twice in the output, ${position} and ${source.lastIndexOf(label)}`)
    seen.add(label)
  }
  return output
}

/** The labels of each operand and of the output, dots replaced by '1', '2', … counted from the last axis they stand for. */
function labelAxes(
  { source, inputs, output }: Equation,
  xs: readonly Tensor[],
): { labels: string[][]; out: string[] } {
  let most = 0
  const labels = inputs.map((list, i) => {
    const { shape } = xs[i]!
    const dots = list.includes(DOTS) ? shape.length - list.length + 1 : 0
    if (dots < 0 || (!list.includes(DOTS) && list.length !== shape.length))
      throw new ShapeError(
        `einsum: equation ${show(source)}: operand ${i} is ${formatShape(shape)}, of rank ${shape.length}, ` +
          `but its part ${show(list.join(''))} has ${list.length} labels`,
        { op: 'einsum', shapes: [shape] },
      )
    most = Math.max(most, dots)
    return list.flatMap((label) => (label === DOTS ? dotLabels(dots) : [label]))
  })
  return { labels, out: output.flatMap((label) => (label === DOTS ? dotLabels(most) : [label])) }
}

function dotLabels(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(count - i))
}

/** The size of each label; sides of 1 broadcast. */
function sizesOf(
  { source }: Equation,
  xs: readonly Tensor[],
  labels: readonly (readonly string[])[],
): Map<string, number> {
  const sizes = new Map<string, number>()
  xs.forEach(({ shape }, i) =>
    labels[i]!.forEach((label, axis) => {
      const side = shape[axis]!
      const known = sizes.get(label) ?? 1
      if (side !== known && side !== 1 && known !== 1)
        throw new ShapeError(
          `einsum: equation ${show(source)}: ${label} is ${known} and, on axis ${axis} of operand ${i}, ${side}`,
          { op: 'einsum', shapes: xs.map((x) => x.shape) },
        )
      sizes.set(label, known === 1 ? side : known)
    }),
  )
  return sizes
}

/** The operand with each label once: sides of 1 that broadcast are left out, of repeated labels the diagonal is taken. */
function simplified(x: Tensor, labels: readonly string[], sizes: ReadonlyMap<string, number>): Labelled {
  const kept = labels.flatMap((label, axis) => (x.shape[axis] === 1 && sizes.get(label) !== 1 ? [] : [axis]))
  let out =
    kept.length === labels.length
      ? x
      : reshape(
          x,
          kept.map((axis) => x.shape[axis]!),
        )
  let names = kept.map((axis) => labels[axis]!)
  for (let at = 0; at < names.length; at++) {
    const again = names.indexOf(names[at]!, at + 1)
    if (again < 0) continue
    out = diagonalOf(out, at, again)
    names = [...names.filter((_, axis) => axis !== at && axis !== again), names[at]!]
    at = -1
  }
  return { x: out, labels: names }
}

/** The operand summed over the labels that nobody else needs. */
function summed({ x, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = labels.flatMap((label, axis) => (needed.has(label) ? [] : [axis]))
  return axes.length === 0
    ? { x, labels }
    : { x: sum(x, axes), labels: labels.filter((label) => needed.has(label)) }
}

/** With more operands than this they are multiplied from left to right. */
const MOST_COMPARED = 24

/** The two operands to multiply next: those with the smallest product. */
function nextPair(
  operands: readonly Labelled[],
  needed: (a: number, b: number) => ReadonlySet<string>,
  sizes: ReadonlyMap<string, number>,
): readonly [number, number] {
  if (operands.length === 2 || operands.length > MOST_COMPARED) return [0, 1]
  let best: readonly [number, number] = [0, 1]
  let smallest = Infinity
  for (let a = 0; a < operands.length; a++)
    for (let b = a + 1; b < operands.length; b++) {
      const kept = needed(a, b)
      const labels = new Set(
        [...operands[a]!.labels, ...operands[b]!.labels].filter((label) => kept.has(label)),
      )
      const size = sizeOf([...labels].map((label) => sizes.get(label)!))
      if (size < smallest) [smallest, best] = [size, [a, b]]
    }
  return best
}

const einsumRow: Row<'xs', { readonly equation: Equation }> = composite({
  name: 'einsum',
  args: ['xs'],
  variadic: true,
  compose(xs, { equation }) {
    const { labels, out } = labelAxes(equation, xs)
    const sizes = sizesOf(equation, xs, labels)
    let operands = xs.map((x, i) => simplified(x, labels[i]!, sizes))
    const neededBeside = (...skipped: number[]): Set<string> =>
      new Set([...out, ...operands.flatMap((o, i) => (skipped.includes(i) ? [] : o.labels))])
    operands = operands.map((operand, i) => summed(operand, neededBeside(i)))
    while (operands.length > 1) {
      const [a, b] = nextPair(operands, neededBeside, sizes)
      const product = contract(operands[a]!, operands[b]!, neededBeside(a, b))
      operands = [product, ...operands.filter((_, i) => i !== a && i !== b)]
      operands[0] = summed(product, neededBeside(0))
    }
    return ordered(operands[0]!, out)
  },
})

/**
 * Sums of products by Einstein's convention, of any number of operands: `einsum('ij,jk->ik', a, b)` is their matrix
 * product. Labels are letters; one that is repeated in an operand takes its diagonal, one left out of the output is
 * summed over; `...` stands for axes that broadcast. Without `->` the output has the labels that occur once.
 * @throws ValueError for an equation that is none, with the position; ShapeError for sizes that differ.
 */
export function einsum<const X extends readonly Operand[]>(equation: string, ...xs: X): Result<X[number]> {
  return call(einsumRow, xs, { equation: parseEquation(equation, xs.length) }) as Result<X[number]>
}
