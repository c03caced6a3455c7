import { type Box, type Diagram, linesOf } from './diagram.js'
import { type Course, type Item, layoutOf, type Point, type Wire } from './layout.js'
import { escapeXml, px, shortened, textWidth } from './text.js'

export type RankDir = 'TB' | 'LR'

const TITLE = 13
const DETAIL = 11
const LINE = 15
const PAD = 11
const WIDEST = 260
const MARGIN = 16
/** Room for the name of a model whose inside is shown; the gap above its first row is used too. */
const HEADER = { TB: 24, LR: 38 }
/** Sides of a frame that differ by less are made equal, which keeps arrows straight. */
const EVEN = 60
const TIP = 7
/** Between a title and what stands behind it. */
const SPACE = 5

/** The diagram as SVG, with a title and a description for those who cannot see it. */
export function drawSvg(diagram: Diagram, name: string, rankDir: RankDir): string {
  const picture = arranged(
    diagram.boxes.map((box) => pictureOf(box, rankDir)),
    wiresOf(diagram),
    rankDir,
  )
  const [width, height] = [Math.ceil(picture.width + 2 * MARGIN), Math.ceil(picture.height + 2 * MARGIN)]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="adjoint-plot" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="Arial, Helvetica, 'DejaVu Sans', sans-serif" font-size="${DETAIL}">`,
    `<title>${escapeXml(`Graph of the model ${name}`)}</title>`,
    `<desc>${escapeXml(describe(diagram))}</desc>`,
    `<style>${DARK}</style>`,
    `<rect class="page" width="${width}" height="${height}" fill="#ffffff"/>`,
    ...picture.draw({ x: MARGIN, y: MARGIN }),
    '</svg>',
    '',
  ].join('\n')
}

/** Fill and line of each kind of box by day; blue boxes hold weights. */
const PAINT = {
  input: 'fill="#e9f5ee" stroke="#3c8a5a"',
  output: 'fill="#fdf1e2" stroke="#b8731a"',
  none: 'fill="#f6f7f9" stroke="#8a94a3"',
  trained: 'fill="#e7f0fb" stroke="#4276b4"',
  frozen: 'fill="#eef1f6" stroke="#6a7a93" stroke-dasharray="5 3"',
  inside: 'fill="#fbfcfd" stroke="#a9b3c0"',
} as const
const INK = '#1c2733'
const QUIET = '#55616f'
const LINES = '#66727f'

/** The same by night. */
const DARK = `@media (prefers-color-scheme:dark){${[
  ['page', 'fill:#14181d'],
  ['input', 'fill:#17301f;stroke:#62b585'],
  ['output', 'fill:#352512;stroke:#dd9d4a'],
  ['none', 'fill:#20262d;stroke:#7c8896'],
  ['trained', 'fill:#182c46;stroke:#6ea2e0'],
  ['frozen', 'fill:#222b38;stroke:#8b9ab1'],
  ['inside', 'fill:#1a1f25;stroke:#6a7684'],
  ['ink', 'fill:#e8edf3'],
  ['quiet', 'fill:#aab6c3'],
  ['wire', 'stroke:#94a1af'],
  ['tip', 'fill:#94a1af'],
]
  .map(([name, style]) => `.adjoint-plot .${name}{${style}}`)
  .join('')}}`

/** What reads what, in words. */
function describe({ boxes, arrows }: Diagram): string {
  return boxes
    .map((box) => {
      const what = box.kind === 'layer' || box.kind === 'model' ? `${box.name} (${box.title})` : box.name
      const read = arrows.filter(({ to }) => to === box).map(({ from }) => from.name)
      if (box.kind === 'input') return `input ${what}`
      return box.kind === 'output' ? `output ${what} is ${read[0]!}` : `${what} reads ${read.join(', ')}`
    })
    .join('; ')
}

/** Something of a size that can be drawn with its upper left corner at a point. */
interface Picture {
  readonly width: number
  readonly height: number
  /** Where arrows enter and leave, along the side they come to, if that is not for them to choose. */
  readonly entries?: readonly number[]
  readonly exits?: readonly number[]
  readonly isLast?: boolean
  draw(at: Point): string[]
}

interface Arranged extends Picture {
  readonly places: readonly Point[]
}

type Arrow = Wire & { readonly hasTip: boolean }

function wiresOf({ boxes, arrows }: Diagram, shift: number = 0): Arrow[] {
  const index = new Map(boxes.map((box, i) => [box, i + shift]))
  return arrows.map(({ from, output, to, input }) => ({
    from: index.get(from)!,
    output,
    to: index.get(to)!,
    input,
    hasTip: true,
  }))
}

/** Pictures in rows, from above or from the left, and the arrows between them. */
function arranged(pictures: readonly Picture[], arrows: readonly Arrow[], rankDir: RankDir): Arranged {
  const turned = <S extends { readonly width: number; readonly height: number }>(size: S): S =>
    rankDir === 'LR' ? { ...size, width: size.height, height: size.width } : size
  const swap = ({ x, y }: Point): Point => (rankDir === 'LR' ? { x: y, y: x } : { x, y })
  const layout = layoutOf(
    pictures.map((picture): Item => turned(picture)),
    arrows,
  )
  const places = layout.places.map(swap)
  return {
    ...turned({ width: layout.width, height: layout.height }),
    places,
    draw: (at) => [
      ...pictures.flatMap((picture, i) => picture.draw({ x: at.x + places[i]!.x, y: at.y + places[i]!.y })),
      ...drawArrows(arrows, layout.courses, rankDir === 'TB', (p) => {
        const { x, y } = swap(p)
        return { x: at.x + x, y: at.y + y }
      }),
    ],
  }
}

function pictureOf(box: Box, rankDir: RankDir): Picture {
  return box.inside === undefined ? boxPicture(box) : framePicture(box, box.inside, rankDir)
}

/** A box with its text in the middle. */
function boxPicture(box: Box): Picture {
  const { kind, weights, title, aside } = box
  const head = shortened(title, WIDEST, TITLE, true)
  const tail = shortened(aside, WIDEST / 2, DETAIL)
  const lines = linesOf(box).map((line) => shortened(line, WIDEST, DETAIL))
  const widest = Math.max(
    textWidth(head, TITLE, true) + (tail === '' ? 0 : SPACE + textWidth(tail, DETAIL)),
    ...lines.map((line) => textWidth(line, DETAIL)),
  )
  const width = Math.max(64, Math.ceil(widest + 2 * PAD))
  const height = 15 + LINE * (lines.length + 1)
  const paint = kind === 'input' || kind === 'output' ? kind : weights
  const radius = kind === 'input' || kind === 'output' ? 13 : 4
  return {
    width,
    height,
    draw: ({ x, y }) => {
      const rect = (inset: number): string =>
        `<rect class="${paint}" x="${px(x + inset)}" y="${px(y + inset)}" width="${px(width - 2 * inset)}" height="${px(height - 2 * inset)}" rx="${radius - inset / 2}" ${PAINT[paint]}/>`
      const middle = px(x + width / 2)
      return [
        `<g class="box"><title>${escapeXml(fullName(box))}</title>${rect(0)}${kind === 'model' ? rect(3) : ''}`,
        `<text text-anchor="middle" x="${middle}" y="${px(y + 20)}"><tspan class="ink" font-size="${TITLE}" font-weight="bold" fill="${INK}">${escapeXml(head)}</tspan>` +
          (tail === ''
            ? '</text>'
            : `<tspan class="quiet" dx="${SPACE}" fill="${QUIET}">${escapeXml(tail)}</tspan></text>`),
        ...lines.map(
          (line, i) =>
            `<text class="quiet" text-anchor="middle" x="${middle}" y="${px(y + 20 + LINE * (i + 1))}" fill="${QUIET}">${escapeXml(line)}</text>`,
        ),
        '</g>',
      ]
    },
  }
}

function fullName({ kind, name, title, aside }: Box): string {
  if (kind === 'input' || kind === 'output') return `${kind} ${name}`
  return `${name} (${title}${aside === '' ? '' : `, ${aside}`})`
}

/** The layers of a model in a frame. Doors in the first and the last row let its arrows in and out. */
function framePicture(box: Box, inside: Diagram, rankDir: RankDir): Picture {
  const door: Picture = { width: 1, height: 1, draw: () => [] }
  const { boxes, inputs, outputs } = inside
  const firstOut = inputs.length + boxes.length
  const indexOf = (inner: Box): number => inputs.length + boxes.indexOf(inner)
  const content = arranged(
    [
      ...inputs.map(() => door),
      ...boxes.map((inner) => pictureOf(inner, rankDir)),
      ...outputs.map(() => ({ ...door, isLast: true })),
    ],
    [
      ...inputs.map((inner, i) => ({ from: i, output: 0, to: indexOf(inner), input: 0, hasTip: true })),
      ...wiresOf(inside, inputs.length),
      ...outputs.map(({ box: inner, output }, i) => ({
        from: indexOf(inner),
        output,
        to: firstOut + i,
        input: 0,
        hasTip: false,
      })),
    ],
    rankDir,
  )
  const isLR = rankDir === 'LR'
  const doors = content.places.map(({ x, y }) => (isLR ? y : x) + 0.5)
  const ins = doors.slice(0, inputs.length)
  const most = isLR ? content.width / 2 - PAD : WIDEST
  const names: HeaderLine[] = [
    { text: shortened(box.name, most, DETAIL, true), isBold: true },
    { text: shortened(box.title, most, DETAIL), isBold: false },
  ]
  const marks = box.marks.map((text): HeaderLine => ({ text: shortened(text, most, DETAIL), isBold: false }))
  // Arrows that come from above pass between what is told on the left and on the right.
  const wanted = isLR
    ? [0, 0]
    : [
        Math.max(PAD, widthOf(names) + 2 * PAD - Math.min(...ins)),
        Math.max(PAD, widthOf(marks) + 2 * PAD - (content.width - Math.max(...ins))),
      ]
  const larger = Math.max(...wanted)
  const [left, right] = wanted.map((side) => (larger - side < EVEN ? larger : side)) as [number, number]
  const header = HEADER[rankDir]
  const width = content.width + left + right
  const height = content.height + header + (isLR ? PAD : 0)
  const along = isLR ? header : left
  return {
    width,
    height,
    entries: ins.map((x) => x + along),
    exits: doors.slice(firstOut).map((x) => x + along),
    draw: ({ x, y }) => [
      `<g class="frame"><title>${escapeXml(fullName(box))}</title>`,
      `<rect class="inside" x="${px(x)}" y="${px(y)}" width="${px(width)}" height="${px(height)}" rx="6" ${PAINT.inside}/>`,
      ...headerLines(names, x + PAD, y, 'start'),
      ...headerLines(marks, x + width - PAD, y, 'end'),
      ...(isLR ? [] : ins.map((at) => wire(`M${px(x + left + at)} ${px(y)}V${px(y + header)}`))),
      ...content.draw({ x: x + left, y: y + header }),
      '</g>',
    ],
  }
}

interface HeaderLine {
  readonly text: string
  readonly isBold: boolean
}

function widthOf(lines: readonly HeaderLine[]): number {
  return Math.max(-PAD, ...lines.map(({ text, isBold }) => textWidth(text, DETAIL, isBold)))
}

function headerLines(lines: readonly HeaderLine[], x: number, y: number, anchor: 'start' | 'end'): string[] {
  return lines.map(
    ({ text, isBold }, i) =>
      `<text class="${isBold ? 'ink' : 'quiet'}" text-anchor="${anchor}" x="${px(x)}" y="${px(y + 16 + 14 * i)}" fill="${isBold ? INK : QUIET}"${isBold ? ' font-weight="bold"' : ''}>${escapeXml(text)}</text>`,
  )
}

function wire(path: string): string {
  return `<path class="wire" d="${path}" fill="none" stroke="${LINES}" stroke-width="1.2" stroke-linecap="round"/>`
}

/** Arrows of one output share their way as far as it is the same, and it is drawn once. */
function drawArrows(
  arrows: readonly Arrow[],
  courses: readonly Course[],
  isDown: boolean,
  place: (point: Point) => Point,
): string[] {
  const drawn = new Set<string>()
  return arrows.flatMap(({ from, output, hasTip }, a) => {
    const points = courses[a]!.map(place)
    const end = points.at(-1)!
    const tipFrom = isDown ? { x: end.x, y: end.y - TIP } : { x: end.x - TIP, y: end.y }
    if (hasTip) {
      // Where the row begins with the box, the tip reaches into the curve before it.
      const last = points.length - 1
      const before = points[last - 1]!
      points[last] = tipFrom
      points[last - 1] = { x: Math.min(before.x, tipFrom.x), y: Math.min(before.y, tipFrom.y) }
    }
    let path = ''
    let isOpen = false
    for (let i = 1; i < points.length; i++) {
      const [p, q] = [points[i - 1]!, points[i]!]
      const piece = `${pair(p)}${i % 2 === 1 ? 'L' : curve(p, q, isDown)}${pair(q)}`
      const key = `${from}:${output}:${piece}`
      if (drawn.has(key) || (p.x === q.x && p.y === q.y)) {
        isOpen &&= !drawn.has(key)
        continue
      }
      drawn.add(key)
      path += isOpen ? piece.slice(pair(p).length) : `M${piece}`
      isOpen = true
    }
    const tip = isDown
      ? `${pair(end)} ${pair({ x: end.x - 3.6, y: tipFrom.y })} ${pair({ x: end.x + 3.6, y: tipFrom.y })}`
      : `${pair(end)} ${pair({ x: tipFrom.x, y: end.y - 3.6 })} ${pair({ x: tipFrom.x, y: end.y + 3.6 })}`
    return [
      ...(path === '' ? [] : [wire(path)]),
      ...(hasTip ? [`<polygon class="tip" points="${tip}" fill="${LINES}"/>`] : []),
    ]
  })
}

const pair = ({ x, y }: Point): string => `${px(x)} ${px(y)}`

/** Leaves and arrives in the direction of the rows. */
function curve(p: Point, q: Point, isDown: boolean): string {
  if (isDown ? p.x === q.x : p.y === q.y) return 'L'
  const [c, d] = isDown
    ? [
        { x: p.x, y: (p.y + q.y) / 2 },
        { x: q.x, y: (p.y + q.y) / 2 },
      ]
    : [
        { x: (p.x + q.x) / 2, y: p.y },
        { x: (p.x + q.x) / 2, y: q.y },
      ]
  return `C${pair(c)} ${pair(d)} `
}
