/** An arrow from one item to another that comes later in the list. */
export interface Link {
  readonly from: number
  readonly to: number
}

/**
 * A row for each of `count` items, so that all links go down: each as high as it can be, then moved down where that
 * makes links shorter, such as an input that only a late layer reads.
 * @param last items that must be in the last row.
 */
export function ranksOf(count: number, links: readonly Link[], last: ReadonlySet<number>): number[] {
  const above: number[][] = Array.from({ length: count }, () => [])
  const below: number[][] = Array.from({ length: count }, () => [])
  for (const { from, to } of links) {
    above[to]!.push(from)
    below[from]!.push(to)
  }
  const ranks = new Array<number>(count).fill(0)
  for (let i = 0; i < count; i++) ranks[i] = Math.max(-1, ...above[i]!.map((j) => ranks[j]!)) + 1
  const deepest = Math.max(...ranks.map((rank, i) => (last.has(i) ? rank : rank + (last.size > 0 ? 1 : 0))))
  for (const i of last) ranks[i] = deepest
  for (let pass = 0; pass < 8; pass++) {
    let moved = false
    for (let i = count - 1; i >= 0; i--) {
      if (new Set(below[i]).size <= new Set(above[i]).size) continue
      const lowest = Math.min(...below[i]!.map((j) => ranks[j]!)) - 1
      moved ||= ranks[i] !== lowest
      ranks[i] = lowest
    }
    if (!moved) break
  }
  return ranks
}
