import type { Rows } from './order.js'

/** What is known of the points that get their places. */
export interface Points extends Rows {
  readonly width: readonly number[]
  /** Whether it is only a bend of a long line; those are kept straight before all else. */
  readonly isBend: readonly boolean[]
  /** The space to leave between two neighbours in a row. */
  readonly gap: (left: number, right: number) => number
}

/**
 * The middle of each point along its row: rows keep their order, nothing overlaps, long lines are straight
 * (Brandes & Köpf 2001). Four layouts, packed to the left or right and aligned with the row above or below, are
 * brought to one width, and each point goes to the mean of its two middle places.
 */
export function columnsOf(points: Points): number[] {
  const { width } = points
  const conflicts = conflictsOf(points)
  const layouts = [false, true].flatMap((fromBelow) =>
    [false, true].map((fromRight) => layout(points, conflicts, fromBelow, fromRight)),
  )
  const spans = layouts.map((xs) => ({
    from: Math.min(...xs.map((x, i) => x - width[i]! / 2)),
    to: Math.max(...xs.map((x, i) => x + width[i]! / 2)),
  }))
  const narrowest = spans.reduce((a, b) => (b.to - b.from < a.to - a.from ? b : a))
  layouts.forEach((xs, i) => {
    // Those packed to the left are brought to its left side, the others to its right.
    const shift = i % 2 === 0 ? narrowest.from - spans[i]!.from : narrowest.to - spans[i]!.to
    for (let p = 0; p < xs.length; p++) xs[p]! += shift
  })
  return width.map((_, p) => {
    const sorted = layouts.map((xs) => xs[p]!).toSorted((a, b) => a - b)
    return (sorted[1]! + sorted[2]!) / 2
  })
}

/** Lines that cross a straight piece of a long line, and so may not be aligned: keys of both ends. */
function conflictsOf({ rows, up, isBend }: Points): Set<string> {
  const conflicts = new Set<string>()
  const places: number[] = []
  for (const row of rows) row.forEach((point, place) => (places[point] = place))
  for (let r = 1; r < rows.length; r++) {
    const row = rows[r]!
    let from = 0
    let left = -1
    row.forEach((point, i) => {
      const inner = isBend[point]! ? up[point]!.find((other) => isBend[other]!) : undefined
      if (inner === undefined && i < row.length - 1) return
      const right = inner === undefined ? Infinity : places[inner]!
      for (; from <= i; from++)
        for (const other of up[row[from]!]!)
          if (places[other]! < left || places[other]! > right)
            if (!(isBend[other]! && isBend[row[from]!]!)) conflicts.add(`${other}-${row[from]!}`)
      left = right
    })
  }
  return conflicts
}

function layout(
  { rows, up, down, width, gap }: Points,
  conflicts: ReadonlySet<string>,
  fromBelow: boolean,
  fromRight: boolean,
): number[] {
  const vertical = fromBelow ? rows.toReversed() : rows
  const seen = fromRight ? vertical.map((row) => row.toReversed()) : vertical
  const roots = aligned(seen, fromBelow ? down : up, (a, b) =>
    conflicts.has(fromBelow ? `${b}-${a}` : `${a}-${b}`),
  )
  const distance = (a: number, b: number): number =>
    (width[a]! + width[b]!) / 2 + (fromRight ? gap(b, a) : gap(a, b))
  const xs = packed(seen, roots, distance)
  return fromRight ? xs.map((x) => -x) : xs
}

/** Each point is put into one column with its middle neighbour, where no column crosses another: the columns' heads. */
function aligned(
  rows: readonly (readonly number[])[],
  neighbours: Rows['up'],
  isConflict: (neighbour: number, point: number) => boolean,
): number[] {
  const roots: number[] = []
  const places: number[] = []
  for (const row of rows)
    row.forEach((point, place) => {
      places[point] = place
      roots[point] = point
    })
  for (const row of rows) {
    let last = -1
    for (const point of row) {
      const near = neighbours[point]!.toSorted((a, b) => places[a]! - places[b]!)
      const middle = (near.length - 1) / 2
      for (const neighbour of near.slice(Math.floor(middle), Math.ceil(middle) + 1)) {
        if (places[neighbour]! <= last || isConflict(neighbour, point)) continue
        roots[point] = roots[neighbour]!
        last = places[neighbour]!
        break
      }
    }
  }
  return roots
}

/** Columns as far left as they go, then moved right up to their neighbours where there is room. */
function packed(
  rows: readonly (readonly number[])[],
  roots: readonly number[],
  distance: (left: number, right: number) => number,
): number[] {
  const after = new Map<number, Map<number, number>>()
  const waiting = new Map<number, number>()
  for (const root of new Set(roots)) {
    after.set(root, new Map())
    waiting.set(root, 0)
  }
  for (const row of rows)
    for (let i = 1; i < row.length; i++) {
      const [left, right] = [roots[row[i - 1]!]!, roots[row[i]!]!]
      const ends = after.get(left)!
      if (!ends.has(right)) waiting.set(right, waiting.get(right)! + 1)
      ends.set(right, Math.max(ends.get(right) ?? 0, distance(row[i - 1]!, row[i]!)))
    }
  const order = [...waiting].filter(([, count]) => count === 0).map(([root]) => root)
  const at = new Map<number, number>()
  // The list grows while it is gone through.
  for (const root of order) {
    const x = at.get(root) ?? 0
    at.set(root, x)
    for (const [right, apart] of after.get(root)!) {
      at.set(right, Math.max(at.get(right) ?? 0, x + apart))
      waiting.set(right, waiting.get(right)! - 1)
      if (waiting.get(right) === 0) order.push(right)
    }
  }
  for (const root of order.toReversed()) {
    const room = Math.min(...[...after.get(root)!].map(([right, apart]) => at.get(right)! - apart))
    if (room < Infinity) at.set(root, Math.max(at.get(root)!, room))
  }
  return roots.map((root) => at.get(root)!)
}
