import { textWidth } from '../../packages/layers/src/plot/text.js'
import { type Element, elementsOf, textOf } from './xml.js'

export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
export interface Spot {
  readonly x: number
  readonly y: number
}

/** What is drawn where in a picture of `plotModel`. */
export interface Drawing {
  readonly page: Rect
  readonly boxes: readonly (Rect & { readonly title: string; readonly texts: readonly Rect[] })[]
  readonly frames: readonly (Rect & { readonly title: string; readonly texts: readonly Rect[] })[]
  /** Points along each line, close to each other. */
  readonly lines: readonly (readonly Spot[])[]
}

export function drawingOf(svg: Element): Drawing {
  const groups = elementsOf(svg, 'g')
  const ofClass = (name: string) =>
    groups
      .filter(({ attributes }) => attributes['class'] === name)
      .map((group) => {
        const own = group.children.filter((child) => typeof child !== 'string')
        return {
          ...rectOf(own.find((child) => child.name === 'rect')!),
          title: textOf(own.find((child) => child.name === 'title')!),
          texts: own.filter((child) => child.name === 'text').map(textRect),
        }
      })
  return {
    page: rectOf(elementsOf(svg, 'rect')[0]!),
    boxes: ofClass('box'),
    frames: ofClass('frame'),
    lines: elementsOf(svg, 'path').map(({ attributes }) => pointsAlong(attributes['d']!)),
  }
}

function rectOf({ attributes }: Element): Rect {
  const at = (key: string): number => Number(attributes[key] ?? 0)
  return { x: at('x'), y: at('y'), width: at('width'), height: at('height') }
}

/** The room that text takes, by the width that its letters have in a wide font. */
function textRect(element: Element): Rect {
  const { x, y, 'text-anchor': anchor } = element.attributes
  const parts = element.children.map((child) =>
    typeof child === 'string'
      ? textWidth(child, 11, element.attributes['font-weight'] === 'bold')
      : textWidth(
          textOf(child),
          Number(child.attributes['font-size'] ?? 11),
          child.attributes['font-weight'] === 'bold',
        ) + Number(child.attributes['dx'] ?? 0),
  )
  const width = parts.reduce((a, b) => a + b, 0)
  const left = Number(x) - (anchor === 'middle' ? width / 2 : anchor === 'end' ? width : 0)
  return { x: left, y: Number(y) - 11, width, height: 13 }
}

/** Moves, lines, verticals and cubic curves, absolute. */
export function pointsAlong(path: string): Spot[] {
  const points: Spot[] = []
  let [x, y] = [0, 0]
  for (const [, command, rest] of path.matchAll(/([MLVC])([^MLVC]*)/g)) {
    const n = rest!
      .trim()
      .split(/[\s,]+/)
      .map(Number)
    if (n.some((value) => !Number.isFinite(value))) throw new Error(`not a path: ${path}`)
    const ends = command === 'V' ? [x, n[0]!] : n.slice(-2)
    const controls = command === 'C' ? n : [x, y, ...ends, ...ends]
    if (command !== 'M')
      for (let t = 0; t <= 1; t += 1 / 64) {
        const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3]
        const mid = command === 'C' ? controls : [x, y, ends[0]!, ends[1]!, ends[0]!, ends[1]!]
        points.push({
          x: a * x + b * mid[0]! + c * mid[2]! + d * ends[0]!,
          y: a * y + b * mid[1]! + c * mid[3]! + d * ends[1]!,
        })
      }
    ;[x, y] = ends as [number, number]
  }
  return points
}

export function overlap(a: Rect, b: Rect): boolean {
  return (
    a.x < b.x + b.width - 0.2 &&
    b.x < a.x + a.width - 0.2 &&
    a.y < b.y + b.height - 0.2 &&
    b.y < a.y + a.height - 0.2
  )
}

export function holds(outer: Rect, inner: Rect): boolean {
  return (
    inner.x >= outer.x - 0.2 &&
    inner.y >= outer.y - 0.2 &&
    inner.x + inner.width <= outer.x + outer.width + 0.2 &&
    inner.y + inner.height <= outer.y + outer.height + 0.2
  )
}

/** Whether a point is well inside. */
export function isInside(rect: Rect, { x, y }: Spot): boolean {
  return (
    x > rect.x + 0.6 && x < rect.x + rect.width - 0.6 && y > rect.y + 0.6 && y < rect.y + rect.height - 0.6
  )
}
