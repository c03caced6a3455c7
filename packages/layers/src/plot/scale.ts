import { px } from './text.js'

/** How values become places along an axis, and where the axis is labelled. */
export interface Scale {
  readonly isLog: boolean
  readonly ticks: readonly number[]
  /** 0 at the axis' start, 1 at its end. */
  at(value: number): number
}

/** Round numbers over the range of the values. */
export function linearScale(values: readonly number[], wanted: number): Scale {
  const [least, most] = widened(values)
  const step = niceStep((most - least) / wanted)
  const first = Math.ceil(least / step)
  const count = Math.floor(most / step) - first + 1
  const ticks = Array.from({ length: count }, (_, i) => rounded((first + i) * step, step))
  return { isLog: false, ticks, at: (value) => (value - least) / (most - least) }
}

/** Powers of ten over the range of the values; with few of them 2 and 5 between. */
export function logScale(values: readonly number[]): Scale {
  const [least, most] = widened(values.map(Math.log10))
  const steps = most - least > 2.5 ? [1] : [1, 2, 5]
  const first = Math.floor(least)
  const decades = Array.from({ length: Math.ceil(most) - first + 1 }, (_, i) => first + i)
  const all = decades.flatMap((decade) => steps.map((s) => s * 10 ** decade))
  const inside = all.filter((tick) => Math.log10(tick) >= least && Math.log10(tick) <= most)
  const every = Math.ceil(inside.length / 6)
  const ticks = inside.filter((_, i) => i % every === 0)
  return { isLog: true, ticks, at: (value) => (Math.log10(value) - least) / (most - least) }
}

/** Whole numbers only, exactly from the first to the last. */
export function epochScale(first: number, last: number, wanted: number): Scale {
  const step = Math.max(1, niceStep((last - first) / wanted))
  const ticks = [first]
  for (let tick = Math.ceil((first + step * 0.6) / step) * step; tick <= last; tick += step) ticks.push(tick)
  return { isLog: false, ticks, at: (epoch) => (last === first ? 0.5 : (epoch - first) / (last - first)) }
}

/** Values beyond cannot be told apart, or their differences overflow. */
const TINY = 1e-290
const HUGE = 1e300

/** Whether a value has a place on an axis. */
export function isDrawable(value: number): boolean {
  return Math.abs(value) <= HUGE
}

/** From the least to the largest value, and a little more on both sides. */
function widened(values: readonly number[]): [number, number] {
  const least = values.reduce((a, b) => Math.min(a, b))
  const most = values.reduce((a, b) => Math.max(a, b))
  // However close they are, there are numbers between.
  const pad = Math.max(
    most > least ? (most - least) * 0.04 : Math.abs(least) / 2 || 0.5,
    Math.abs(least) * 1e-9,
    TINY,
  )
  return [least - pad, most + pad]
}

/** 1, 2 or 5 times a power of ten, at least `rough`. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough || 1))
  return [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough * (1 - 1e-9)) ?? 10 * power
}

/** Without the dust of floating point. */
function rounded(value: number, step: number): number {
  const digits = Math.max(0, Math.min(100, 1 - Math.floor(Math.log10(step))))
  return Number(value.toFixed(digits))
}

/** Four digits that count. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '-∞'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6))
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
  return String(Number(value.toPrecision(4)))
}

/** A line through points, interrupted where there is none. Very many points are thinned to what pixels can show. */
export function lineThrough(
  points: readonly ({ readonly x: number; readonly y: number } | undefined)[],
): string {
  let path = ''
  let isOpen = false
  for (const point of thinned(points)) {
    if (point !== undefined) path += `${isOpen ? 'L' : 'M'}${px(point.x)} ${px(point.y)}`
    isOpen = point !== undefined
  }
  return path
}

/** Of the points that share a pixel the first, the lowest, the highest and the last. */
function thinned<P extends { readonly x: number; readonly y: number }>(
  points: readonly (P | undefined)[],
): (P | undefined)[] {
  const kept: (P | undefined)[] = []
  for (let i = 0; i < points.length;) {
    const start = points[i]
    let end = i + 1
    if (start !== undefined)
      while (points[end] !== undefined && Math.floor(points[end]!.x) === Math.floor(start.x)) end++
    const group = points.slice(i, end) as P[]
    if (group.length <= 4) kept.push(...group)
    else {
      const ys = group.map(({ y }) => y)
      const wanted = new Set([0, ys.indexOf(Math.min(...ys)), ys.indexOf(Math.max(...ys)), group.length - 1])
      kept.push(...group.filter((_, place) => wanted.has(place)))
    }
    i = end
  }
  return kept
}
