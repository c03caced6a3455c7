import { fixed } from './fixed.js'

export interface TableColumn {
  readonly header: string
  readonly justify: 'left' | 'right' | 'center'
  /** Cells of text, without the two of padding. */
  readonly width: number
}

/**
 * A boxed table, `lineLength` cells wide, as Python's rich draws `Table(box=HEAVY_HEAD, show_lines=True,
 * width=lineLength)`: columns give up (or get) what the borders and the padding take too much (or leave over),
 * text wraps at spaces, and a word wider than its column ends in an ellipsis. Every line ends in a line feed.
 */
export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  lineLength: number,
): string {
  const widths = paddedWidths(columns, lineLength)
  const cellsOf = (texts: readonly string[]): string[][] =>
    columns.map(({ justify }, i) => cellLines(texts[i] ?? '', widths[i] ?? 0, justify))
  const rule = (left: string, line: string, cross: string, right: string): string =>
    left + widths.map((width) => line.repeat(width)).join(cross) + right

  const header = drawRow(cellsOf(columns.map((column) => column.header)), widths, '┃', 'bottom')
  const body = rows.map((row) => drawRow(cellsOf(row), widths, '│', 'top'))
  return [
    rule('┏', '━', '┳', '┓'),
    ...header,
    rule('┡', '━', '╇', '┩'),
    ...body.flatMap((lines, i) => (i === 0 ? lines : [rule('├', '─', '┼', '┤'), ...lines])),
    rule('└', '─', '┴', '┘'),
    '',
  ].join('\n')
}

/** The columns' widths with padding, which together with the k + 1 borders make `lineLength`. */
function paddedWidths(columns: readonly TableColumn[], lineLength: number): number[] {
  const available = lineLength - (columns.length + 1)
  const widths = columns.map(({ width }) => Math.min(width + 2, available))
  const excess = sum(widths) - available
  return excess > 0 ? reduced(widths, excess) : widened(widths, -excess)
}

/** Takes `excess` from the widths in equal parts. */
function reduced(widths: readonly number[], excess: number): number[] {
  let remaining = excess
  let slots = widths.filter((width) => width > 0).length
  return widths.map((width) => {
    if (width <= 0) return 0
    // Python's round: a half goes to the even neighbour.
    const cut = Math.min(width, Number(fixed(remaining / slots, 0)))
    remaining -= cut
    slots--
    return width - cut
  })
}

/** Adds `space` to the widths in proportion to them. */
function widened(widths: readonly number[], space: number): number[] {
  let remaining = space
  let total = sum(widths)
  return widths.map((width) => {
    const share = Math.ceil((width * remaining) / total)
    remaining -= share
    total -= width
    return width + share
  })
}

function drawRow(
  cells: readonly (readonly string[])[],
  widths: readonly number[],
  border: string,
  align: 'top' | 'bottom',
): string[] {
  const height = Math.max(1, ...cells.map((lines) => lines.length))
  return Array.from({ length: height }, (_, line) => {
    const texts = cells.map((lines, i) => {
      const index = align === 'top' ? line : line - (height - lines.length)
      return lines[index] ?? ' '.repeat(widths[i] ?? 0)
    })
    return border + texts.join(border) + border
  })
}

/** The lines of one cell, each `width` cells wide; none when the padding leaves no room. */
function cellLines(text: string, width: number, justify: TableColumn['justify']): string[] {
  const inner = width - 2
  if (inner < 1) return []
  const lines = text.split('\n').flatMap((line) => wrapped(line, inner))
  return lines.map((line) => ` ${justified(clipped(line, inner), inner, justify)} `)
}

/** `text` broken at spaces, which stay out of sight at the ends; a word too wide keeps a line of its own. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const [word] of text.matchAll(/\s*\S+\s*/g)) {
    if (line !== '' && cellWidth(line) + cellWidth(word.trimEnd()) > width) {
      lines.push(line.trimEnd())
      line = ''
    }
    line += word
  }
  return [...lines, line.trimEnd()]
}

/** `text` in at most `width` cells, with an ellipsis where something was cut off. */
function clipped(text: string, width: number): string {
  if (cellWidth(text) <= width) return text
  let kept = ''
  let used = 0
  for (const char of text) {
    const cells = charWidth(char)
    // Half a wide character cannot be shown: a space stands for it.
    if (used + cells > width - 1) return kept.padEnd(kept.length + width - 1 - used) + '…'
    kept += char
    used += cells
  }
  return kept
}

function justified(text: string, width: number, justify: TableColumn['justify']): string {
  const space = width - cellWidth(text)
  const left = justify === 'left' ? 0 : justify === 'right' ? space : Math.floor(space / 2)
  return ' '.repeat(left) + text + ' '.repeat(space - left)
}

/** Terminal cells that `text` takes: 2 for East Asian wide characters and emoji, 0 for combining marks. */
export function cellWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let width = 0
  for (const char of text) width += charWidth(char)
  return width
}

const charWidth = (char: string): number => (ZERO_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1)

/** Controls, marks, invisible format characters, and the vowels and finals that join a Hangul syllable. */
const ZERO_WIDTH = /^[\p{Cc}\p{M}\p{Cf}\u1160-\u11ff\ud7b0-\ud7fb]$/u

/** The blocks of East Asian Width W and F (Unicode Standard Annex 11) and what is shown as emoji by default. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
