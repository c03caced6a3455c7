import { BYTES } from '../dtype.js'
import { sizeOf } from '../shape.js'
import { LINE } from '../wasm/divide.js'
import { padded } from '../wasm/host.js'
import type { ByRows, Schedule, Stage } from './fuse.js'
import type { Program, ValueId } from './program.js'
import { inputsOf } from './program.js'
import { type Operand, type Rows, type Writing, writingOf } from './writing.js'

// Softmax, the crossentropy of it and their gradients, or a layer norm, are several kernels, each of which goes through
// rows: sums along them, and what is computed with those. They run as one stage, a few rows at a time: what they pass on
// to each other is then in the nearest cache, and needs room for these rows only. The numbers stay what they are.

/** A stage more makes the code longer, and what rows pass on larger. */
const MOST_PARTS = 8
/** So many bytes of an array are passed on at a time; at least so many rows, whose sums are whole vectors. */
const NEAR = 16_384
const AT_A_TIME = 4
/** Fewer rows are not worth it, and leave threads less to share. */
const LEAST_ROWS = 2 * AT_A_TIME

/** Stages in a row while they are put together. */
interface Chain {
  readonly parts: readonly Stage[]
  /** How many rows there are, once it is known. */
  readonly rows: number | undefined
}

/** Puts stages together that go through the same rows and need of one another no more than the row at hand. */
export function joinRows(program: Program, { stages, roots, windows }: Schedule): Schedule {
  const assigned = new Set(program.assigned.map(({ value }) => roots[value]!))
  const writings = new Map<Stage, Writing | undefined>()
  const chains: (Chain | undefined)[] = []
  /** Which chain computes a value. */
  const chainOf = new Map<ValueId, number>()
  const place = (chain: Chain, at: number): void => {
    chains[at] = chain
    for (const { members } of chain.parts) for (const member of members) chainOf.set(member, at)
  }
  /** The latest other chain that one takes something from. */
  const sourceOf = ({ parts }: Chain, own: number): number => {
    const from = parts.flatMap(({ members }) => members.flatMap((id) => inputsOf(program.values[id]!.source)))
    const others = from.map((id) => chainOf.get(roots[id]!) ?? -1).filter((at) => at !== own)
    return Math.max(-1, ...others)
  }
  for (const stage of stages) {
    const isOpen = !stage.members.some((id) => assigned.has(id))
    const writing = isOpen ? writingOf(program, stage.members, () => true, windows) : undefined
    writings.set(stage, writing)
    let own = chains.length
    place({ parts: [stage], rows: writing?.ownRows }, own)
    if (writing?.rows === undefined) continue
    // What follows is moved up to what it follows, as long as that goes through the same rows.
    for (let at = sourceOf(chains[own]!, own); at >= 0; at = sourceOf(chains[own]!, own)) {
      const joined = join(roots, writings, chains[at]!, chains[own]!)
      if (joined === undefined) break
      chains[own] = undefined
      place(joined, (own = at))
    }
  }
  return {
    roots,
    windows,
    stages: chains.flatMap((chain) => {
      if (chain === undefined) return []
      const { parts, rows: count } = chain
      if (parts.length === 1 || count === undefined) return [...parts]
      const members = parts.flatMap((part) => part.members)
      const byRows = { count, parts: parts.map((part) => part.members) }
      return [{ members, isFirst: parts[0]!.isFirst, byRows }]
    }),
  }
}

/** Two chains as one, if all that they pass on goes from row to row. */
function join(
  roots: readonly ValueId[],
  writings: ReadonlyMap<Stage, Writing | undefined>,
  first: Chain,
  second: Chain,
): Chain | undefined {
  const rows = first.rows ?? second.rows
  const parts = [...first.parts, ...second.parts]
  if (rows === undefined || rows < LEAST_ROWS || (second.rows ?? rows) !== rows) return undefined
  if (parts.length > MOST_PARTS || parts[0]!.isFirst !== second.parts[0]!.isFirst) return undefined
  /** How far the rows of what is computed here are apart. */
  const steps = new Map<ValueId, number>()
  for (const part of parts) {
    const writing = writings.get(part)
    const own = writing?.rows?.(rows)
    if (writing === undefined || own === undefined) return undefined
    for (const [i, operand] of writing.operands.entries()) {
      if (typeof operand !== 'number') continue
      const root = roots[operand]!
      const known = steps.get(root)
      if (known !== undefined && known !== own.steps[i]) return undefined
      if (part.members.includes(operand)) steps.set(root, own.steps[i]!)
    }
  }
  return { parts, rows }
}

/** What goes through rows, and where its operands are: among those of the whole, or in scratch. */
interface Part {
  readonly writing: Writing
  readonly rows: Rows
  readonly places: readonly ({ readonly outer: number } | { readonly inner: number })[]
}

/** What parts pass on to later ones and nobody else needs. */
function passedOn(
  { values }: Program,
  stageParts: readonly (readonly ValueId[])[],
  roots: readonly ValueId[],
  isStored: (id: ValueId) => boolean,
): ReadonlySet<ValueId> {
  const passed = new Set<ValueId>()
  for (const part of stageParts)
    for (const member of part)
      for (const input of inputsOf(values[member]!.source)) {
        const root = roots[input]!
        if (!part.includes(root) && stageParts.some((other) => other.includes(root)) && !isStored(root))
          passed.add(root)
      }
  return passed
}

/** The code of a stage of several parts, each of which is a function of its own. */
export function rowsWriting(
  program: Program,
  { count, parts: stageParts }: ByRows,
  { roots, windows }: Schedule,
  isStored: (id: ValueId) => boolean,
): Writing {
  const { values } = program
  const passed = passedOn(program, stageParts, roots, isStored)
  const isWritten = (id: ValueId): boolean => isStored(id) || passed.has(id)
  const writings = stageParts.map((part) => writingOf(program, part, isWritten, windows)!)
  const bytesOf = (id: ValueId): number => (sizeOf(values[id]!.shape) / count) * BYTES[values[id]!.dtype]
  const widest = Math.max(...stageParts.flat().map(bytesOf))
  const block = Math.max(AT_A_TIME, Math.min(LINE, Math.floor(NEAR / widest) & ~3))
  let scratch = 0
  const room = (bytes: number): number => {
    const at = scratch
    scratch += padded(bytes)
    return at
  }
  const scratchAt = new Map([...passed].map((id) => [id, room(block * bytesOf(id))]))
  const operands: Operand[] = []
  const steps: number[] = []
  const outer = (operand: Operand, step: number): number => {
    const isSame = (other: Operand): boolean =>
      typeof operand === 'number' && typeof other === 'number'
        ? roots[other] === roots[operand]
        : JSON.stringify(other) === JSON.stringify(operand)
    const known = operands.findIndex((other, i) => steps[i] === step && isSame(other))
    if (known >= 0) return known
    steps.push(step)
    return operands.push(operand) - 1
  }
  const parts = writings.map((writing): Part => {
    const rows = writing.rows!(count)!
    const places = writing.operands.map((operand, i) => {
      const inner = typeof operand === 'number' ? scratchAt.get(roots[operand]!) : undefined
      return inner === undefined ? { outer: outer(operand, rows.steps[i]!) } : { inner }
    })
    return { writing, rows, places }
  })
  /** What could reach into rows that another thread writes is first written to scratch. */
  const aside = parts.map(({ rows, writing, places }, p) =>
    writing.operands.flatMap((id, operand) => {
      const [place, step] = [places[operand]!, rows.steps[operand]!]
      const isOutput = typeof id === 'number' && stageParts[p]!.includes(id)
      return rows.isExact || !isOutput || 'inner' in place
        ? []
        : [{ operand, outer: place.outer, step, at: room(block * step) }]
    }),
  )
  const perUnit = count < 4 * LINE ? AT_A_TIME : LINE
  const own = room(Math.max(...writings.map((writing) => writing.scratch)))
  const key = parts.map(
    ({ writing: { key: own, sizes }, rows, places }) =>
      `${own} ${sizes.join()} ${JSON.stringify([rows, places])}`,
  )
  return {
    key: `rows ${block} ${steps.join()} ${key.join(' then ')}`,
    operands,
    sizes: [count],
    scratch,
    leastParts: 1,
    divide: () => ({
      units: Math.floor(count / perUnit),
      steps: steps.map((step) => step * perUnit),
      size: 0,
      perUnit,
      work: writings.reduce((sum, { divide }) => sum + (divide()?.work ?? 0), 0),
    }),
    callees: writings,
    write(c, addresses, [end], [all], functions) {
      const at = operands.map((_, i) => c.copyOf(addresses[i]!))
      const base = addresses[operands.length]!
      const i = c.copyOf(0)
      const left = c.local('i32')
      c.loop(i, end!, block, () => {
        c.op(end!, i, 'i32.sub').set(left)
        c.op(left, block, left, block, 'i32.lt_u', 'select').set(left)
        parts.forEach(({ writing, rows, places }, p) => {
          const copies = end === all ? [] : aside[p]!
          places.forEach((place, k) => {
            const copy = copies.find(({ operand }) => operand === k)
            if (copy === undefined && 'outer' in place) c.op(at[place.outer]!)
            else c.op(base, copy?.at ?? (place as { inner: number }).inner, 'i32.add')
          })
          c.op(left, rows.extent, 'i32.mul')
          if (writing.scratch > 0) c.op(base, own, 'i32.add')
          c.call(functions[p]!)
          for (const copy of copies) c.copy(at[copy.outer]!, c.sum(base, copy.at), c.product(left, copy.step))
        })
        at.forEach((address, k) => c.advance(address, steps[k]! * block))
      })
    },
  }
}
