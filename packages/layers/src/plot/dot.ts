import { type Box, type Diagram, flatArrows, linesOf } from './diagram.js'
import type { RankDir } from './draw.js'
import { printable } from './text.js'

/** The diagram in Graphviz' language. */
export function drawDot(diagram: Diagram, name: string, rankDir: RankDir): string {
  return [
    `digraph ${quoted([name])} {`,
    `  graph [rankdir=${rankDir}, fontname="Helvetica", fontsize=11, color="#a9b3c0", labeljust=l];`,
    '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
    '  edge [color="#66727f", arrowsize=0.7];',
    ...boxLines(diagram, '  '),
    ...flatArrows(diagram).map(({ from, to }) => `  ${from.id} -> ${to.id};`),
    '}',
    '',
  ].join('\n')
}

const PAINT = {
  input: 'fillcolor="#e9f5ee", color="#3c8a5a"',
  output: 'fillcolor="#fdf1e2", color="#b8731a"',
  none: 'fillcolor="#f6f7f9", color="#8a94a3"',
  trained: 'fillcolor="#e7f0fb", color="#4276b4"',
  frozen: 'fillcolor="#eef1f6", color="#6a7a93", style="rounded,filled,dashed"',
} as const

function boxLines({ boxes }: Diagram, indent: string): string[] {
  return boxes.flatMap((box) => {
    if (box.inside !== undefined)
      return [
        `${indent}subgraph cluster_${box.id} {`,
        `${indent}  label=${labelOf(box)};`,
        ...boxLines(box.inside, `${indent}  `),
        `${indent}}`,
      ]
    const paint = box.kind === 'input' || box.kind === 'output' ? box.kind : box.weights
    const border = box.kind === 'model' ? ', peripheries=2' : ''
    return [`${indent}${box.id} [label=${labelOf(box)}, ${PAINT[paint]}${border}];`]
  })
}

function labelOf(box: Box): string {
  const { title, aside } = box
  return quoted([aside === '' ? title : `${title} (${aside})`, ...linesOf(box)])
}

/** Lines in quotes. Backslashes and entities would mean something else in them. */
function quoted(lines: readonly string[]): string {
  const escaped = lines.map((line) =>
    printable(line).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('&', '&amp;'),
  )
  return `"${escaped.join('\\n')}"`
}
