/** Points in rows, with lines between neighbouring rows: `up` and `down` are each point's neighbours. */
export interface Rows {
  readonly rows: readonly (readonly number[])[]
  readonly up: readonly (readonly number[])[]
  readonly down: readonly (readonly number[])[]
}

const SWEEPS = 16
/** Sweeps without a better result, after which there will hardly be one. */
const PATIENCE = 4

/**
 * The rows in an order in which few lines cross: each row in turn is sorted by where its neighbours are, then
 * neighbours change places while that helps (Gansner, Koutsofios, North & Vo 1993, section 3). The best of all sweeps
 * is kept; equal ones keep the order they came in.
 */
export function ordered({ rows, up, down }: Rows): number[][] {
  let best = rows.map((row) => [...row])
  let fewest = crossings(best, down)
  let current = best.map((row) => [...row])
  let lastBetter = 0
  for (let sweep = 0; sweep < SWEEPS && fewest > 0 && sweep - lastBetter <= PATIENCE; sweep++) {
    const goesDown = sweep % 2 === 0
    const places = placesOf(current)
    const order = goesDown ? current : current.toReversed()
    for (const row of order) sortByNeighbours(row, goesDown ? up : down, places)
    current = swapped(current, up, down)
    const count = crossings(current, down)
    if (count >= fewest) continue
    fewest = count
    lastBetter = sweep
    best = current.map((row) => [...row])
  }
  return best
}

/** Where each point stands in its row. */
function placesOf(rows: readonly (readonly number[])[]): number[] {
  const places: number[] = []
  for (const row of rows) row.forEach((point, place) => (places[point] = place))
  return places
}

/** By the mean of the neighbours' places; points without neighbours stay where they are. */
function sortByNeighbours(row: number[], neighbours: Rows['up'], places: number[]): void {
  const means = new Map<number, number>()
  for (const point of row) {
    const near = neighbours[point]!
    if (near.length > 0) means.set(point, near.reduce((sum, other) => sum + places[other]!, 0) / near.length)
  }
  const sorted = row.filter((point) => means.has(point)).toSorted((a, b) => means.get(a)! - means.get(b)!)
  let next = 0
  for (let i = 0; i < row.length; i++) if (means.has(row[i]!)) row[i] = sorted[next++]!
  row.forEach((point, place) => (places[point] = place))
}

/** Neighbours in a row change places while fewer lines cross. */
function swapped(rows: number[][], up: Rows['up'], down: Rows['down']): number[][] {
  const places = placesOf(rows)
  for (let pass = 0; pass < 2; pass++) {
    let improved = false
    for (const row of rows)
      for (let i = 0; i + 1 < row.length; i++) {
        const [a, b] = [row[i]!, row[i + 1]!]
        const gain =
          crossed(up[a]!, up[b]!, places) -
          crossed(up[b]!, up[a]!, places) +
          crossed(down[a]!, down[b]!, places) -
          crossed(down[b]!, down[a]!, places)
        if (gain <= 0) continue
        row[i] = b
        row[i + 1] = a
        places[b] = i
        places[a] = i + 1
        improved = true
      }
    if (!improved) break
  }
  return rows
}

/** How many lines cross of a point and one to its right, by their neighbours in the next row. */
function crossed(left: readonly number[], right: readonly number[], places: readonly number[]): number {
  let count = 0
  for (const a of left) for (const b of right) if (places[a]! > places[b]!) count++
  return count
}

/** How many pairs of lines cross: inversions, counted with a Fenwick tree for each pair of rows. */
export function crossings(rows: readonly (readonly number[])[], down: Rows['down']): number {
  const places = placesOf(rows)
  let count = 0
  rows.slice(0, -1).forEach((row, r) => {
    const size = rows[r + 1]!.length
    const tree = new Array<number>(size + 1).fill(0)
    let drawn = 0
    for (const point of row) {
      const ends = down[point]!.map((end) => places[end]!)
      for (const end of ends) {
        let notRight = 0
        for (let i = end + 1; i > 0; i -= i & -i) notRight += tree[i]!
        count += drawn - notRight
      }
      for (const end of ends) for (let i = end + 1; i <= size; i += i & -i) tree[i]!++
      drawn += ends.length
    }
  })
  return count
}
