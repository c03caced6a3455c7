import { columnsOf } from './columns.js'
import { ordered, type Rows } from './order.js'
import { type Link, ranksOf } from './ranks.js'

/** Something that takes room. Rows go down, in the direction of the links; what is drawn from left to right is turned. */
export interface Item {
  readonly width: number
  readonly height: number
  /** Where links enter at the top and leave at the bottom, from the left; spread by itself if not given. */
  readonly entries?: readonly number[]
  readonly exits?: readonly number[]
  /** In the last row. */
  readonly isLast?: boolean
}

/** From one of an item's outputs to one of the inputs of a later item. */
export interface Wire extends Link {
  readonly output: number
  readonly input: number
}

export interface Point {
  readonly x: number
  readonly y: number
}

/** A line down: straight to the first point, then curved to each second one and straight to the others. */
export type Course = readonly Point[]

export interface Layout {
  readonly width: number
  readonly height: number
  /** The upper left corner of each item. */
  readonly places: readonly Point[]
  /**
   * The way of each wire. Wires of one output share their way as far as they can. Points come in pairs: between a pair
   * the line is straight, from pair to pair it is curved.
   */
  readonly courses: readonly Course[]
}

const ITEM_GAP = 26
const WIRE_GAP = 14
const BEND_WIDTH = 2

/**
 * Places for items so that all wires go down and none runs through an item: rows by ranks, few crossings, straight long
 * wires (the method of Sugiyama, Tagawa & Toda 1981). Items must come after those that they are wired from.
 */
export function layoutOf(items: readonly Item[], wires: readonly Wire[]): Layout {
  const last = new Set(items.flatMap((item, i) => (item.isLast === true ? [i] : [])))
  const ranks = ranksOf(items.length, wires, last)
  const routed = withBends(items, wires, ranks)
  const { points, ways } = routed
  const rows = ordered(points)
  const isBend = points.width.map((_, p) => p >= items.length)
  const xs = columnsOf({
    ...points,
    rows,
    isBend,
    gap: (a, b) => (isBend[a]! && isBend[b]! ? WIRE_GAP : isBend[a]! || isBend[b]! ? 18 : ITEM_GAP),
  })
  const left = Math.min(...xs.map((x, p) => x - points.width[p]! / 2))
  const width = Math.max(...xs.map((x, p) => x + points.width[p]! / 2)) - left
  for (let p = 0; p < xs.length; p++) xs[p]! -= left

  const starts = ways.map((way, w) => exitOf(items, wires[w]!, xs))
  const ends = entriesOf(items, wires, ways, xs)
  const bands = bandsOf(items, rows, points.down, xs)
  const rankOf = (point: number): number => routed.ranks[point]!
  const places = items.map((item, i): Point => {
    const { top, height } = bands[rankOf(i)]!
    return { x: xs[i]! - item.width / 2, y: top + (height - item.height) / 2 }
  })
  const courses = ways.map((way, w): Course => {
    const { from, to } = wires[w]!
    const course: Point[] = [
      { x: starts[w]!, y: places[from]!.y + items[from]!.height },
      { x: starts[w]!, y: bottomOf(bands[rankOf(from)]!) },
    ]
    for (const bend of way) {
      const band = bands[rankOf(bend)]!
      course.push({ x: xs[bend]!, y: band.top }, { x: xs[bend]!, y: bottomOf(band) })
    }
    course.push({ x: ends[w]!, y: bands[rankOf(to)]!.top }, { x: ends[w]!, y: places[to]!.y })
    return course
  })
  return { width, height: bottomOf(bands.at(-1)!), places, courses }
}

interface Routed {
  readonly points: Rows & { readonly width: readonly number[] }
  readonly ranks: readonly number[]
  /** The bends of each wire, from above. */
  readonly ways: readonly (readonly number[])[]
}

/** Wires over several rows get a bend in each row between; wires of one output share them. */
function withBends(items: readonly Item[], wires: readonly Wire[], ranks: readonly number[]): Routed {
  const width = items.map((item) => item.width)
  const allRanks = [...ranks]
  const up: number[][] = items.map(() => [])
  const down: number[][] = items.map(() => [])
  const trunks = new Map<string, number[]>()
  const joined = new Set<string>()
  const join = (a: number, b: number): void => {
    if (joined.has(`${a}-${b}`)) return
    joined.add(`${a}-${b}`)
    down[a]!.push(b)
    up[b]!.push(a)
  }
  const ways = wires.map(({ from, output, to }) => {
    const trunk = trunks.get(`${from}:${output}`) ?? []
    trunks.set(`${from}:${output}`, trunk)
    while (trunk.length < ranks[to]! - ranks[from]! - 1) {
      const bend = width.push(BEND_WIDTH) - 1
      allRanks.push(ranks[from]! + trunk.length + 1)
      up.push([])
      down.push([])
      join(trunk.at(-1) ?? from, bend)
      trunk.push(bend)
    }
    const way = trunk.slice(0, ranks[to]! - ranks[from]! - 1)
    join(way.at(-1) ?? from, to)
    return way
  })
  const rows: number[][] = Array.from({ length: Math.max(...allRanks) + 1 }, () => [])
  allRanks.forEach((rank, point) => rows[rank]!.push(point))
  return { points: { rows, up, down, width }, ranks: allRanks, ways }
}

function exitOf(items: readonly Item[], { from, output }: Wire, xs: readonly number[]): number {
  const { exits, width } = items[from]!
  return exits === undefined ? xs[from]! : xs[from]! - width / 2 + exits[output]!
}

/** Where each wire enters its item: side by side, in the order in which the wires come. */
function entriesOf(
  items: readonly Item[],
  wires: readonly Wire[],
  ways: readonly (readonly number[])[],
  xs: readonly number[],
): number[] {
  const ends = new Array<number>(wires.length)
  const arriving = new Map<number, number[]>()
  wires.forEach(({ to }, w) => arriving.set(to, [...(arriving.get(to) ?? []), w]))
  for (const [to, group] of arriving) {
    const { entries, width } = items[to]!
    const leftEdge = xs[to]! - width / 2
    if (entries !== undefined) {
      for (const w of group) ends[w] = leftEdge + entries[wires[w]!.input]!
      continue
    }
    const comesFrom = (w: number): number => {
      const bend = ways[w]!.at(-1)
      return bend === undefined ? exitOf(items, wires[w]!, xs) : xs[bend]!
    }
    const sorted = group.toSorted((a, b) => comesFrom(a) - comesFrom(b) || wires[a]!.input - wires[b]!.input)
    const apart = Math.min(22, (width - 20) / Math.max(1, sorted.length - 1))
    sorted.forEach((w, i) => (ends[w] = xs[to]! + (i - (sorted.length - 1) / 2) * Math.max(0, apart)))
  }
  return ends
}

interface Band {
  readonly top: number
  readonly height: number
}

const bottomOf = ({ top, height }: Band): number => top + height

/** Rows from above; where wires go far to a side there is more room between, so that they are not too flat. */
function bandsOf(
  items: readonly Item[],
  rows: readonly (readonly number[])[],
  down: Rows['down'],
  xs: readonly number[],
): Band[] {
  let top = 0
  return rows.map((row): Band => {
    const band = { top, height: Math.max(...row.map((point) => items[point]?.height ?? 0)) }
    const reach = Math.max(0, ...row.flatMap((a) => down[a]!.map((b) => Math.abs(xs[a]! - xs[b]!))))
    top += band.height + Math.min(84, Math.max(30, 20 + reach * 0.13))
    return band
  })
}
