import { show } from './errors.js'
import { formatShape } from './shape.js'
import type { Entry, Segment } from './tape.js'
import type { Tensor } from './tensor.js'

const MOST_LINES = 200

/**
 * A stretch of the tape as a program, one line for each applied row:
 *
 *     %0 = watched              [2,3] float32
 *     %1 = mul(%0, [] float32)  [2,3] float32
 *     %2 = sum(%1, axis 1)      [2] float32
 */
export function formatSegment({ entries, start }: Segment): string {
  const left = entries.map((entry, i) => `%${i} = ${application(entry, start)}`)
  const width = Math.min(60, Math.max(0, ...left.map((line) => line.length)))
  const lines = left.map((line, i) => `${line.padEnd(width)}  ${avalText(entries[i]!.out)}`)
  if (lines.length <= MOST_LINES) return lines.join('\n')
  const half = MOST_LINES / 2
  return [...lines.slice(0, half), `… ${lines.length - MOST_LINES} more …`, ...lines.slice(-half)].join('\n')
}

function application({ row, inputs, parents, attrs }: Entry, start: number): string {
  const operands = inputs.map((x, i) => (parents[i]! >= start ? `%${parents[i]! - start}` : avalText(x)))
  if (row === undefined) return parents[0]! >= start ? `watched %${parents[0]! - start}` : 'watched'
  return `${row.name}(${[...operands, ...attrTexts(attrs)].join(', ')})`
}

function avalText(x: Tensor): string {
  return `${formatShape(x.shape)} ${x.dtype}`
}

/** Attributes that say something: `axis 1`, `keepDims`. */
function attrTexts(attrs: unknown): string[] {
  if (typeof attrs !== 'object' || attrs === null) return []
  return Object.entries(attrs).flatMap(([name, value]: [string, unknown]) => {
    if (value === null || value === undefined || value === false) return []
    if (value === true) return [name]
    return [`${name} ${Array.isArray(value) ? `[${value.join(',')}]` : show(value)}`]
  })
}
