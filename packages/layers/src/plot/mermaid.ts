import { type Box, type Diagram, flatArrows, linesOf } from './diagram.js'
import type { RankDir } from './draw.js'
import { printable } from './text.js'

/** The diagram as a Mermaid flowchart, as GitHub and GitLab draw it in Markdown. */
export function drawMermaid(diagram: Diagram, rankDir: RankDir): string {
  const classes = new Map<string, string[]>()
  const lines = [`flowchart ${rankDir}`, ...boxLines(diagram, '  ', rankDir, classes)]
  for (const { from, to } of flatArrows(diagram)) lines.push(`  ${from.id} --> ${to.id}`)
  for (const [name, style] of Object.entries(STYLES))
    if (classes.has(name))
      lines.push(`  classDef ${name} ${style}`, `  class ${classes.get(name)!.join(',')} ${name}`)
  return `${lines.join('\n')}\n`
}

const STYLES: Readonly<Record<string, string>> = {
  input: 'fill:#e9f5ee,stroke:#3c8a5a,color:#1c2733',
  output: 'fill:#fdf1e2,stroke:#b8731a,color:#1c2733',
  plain: 'fill:#f6f7f9,stroke:#8a94a3,color:#1c2733',
  trained: 'fill:#e7f0fb,stroke:#4276b4,color:#1c2733',
  frozen: 'fill:#eef1f6,stroke:#6a7a93,color:#1c2733,stroke-dasharray:5 3',
}

function boxLines(
  { boxes }: Diagram,
  indent: string,
  rankDir: RankDir,
  classes: Map<string, string[]>,
): string[] {
  return boxes.flatMap((box) => {
    if (box.inside !== undefined)
      return [
        `${indent}subgraph ${box.id}["${labelOf(box)}"]`,
        `${indent}  direction ${rankDir}`,
        ...boxLines(box.inside, `${indent}  `, rankDir, classes),
        `${indent}end`,
      ]
    const { id, kind, weights } = box
    const style = kind === 'input' || kind === 'output' ? kind : weights === 'none' ? 'plain' : weights
    classes.set(style, [...(classes.get(style) ?? []), id])
    const [open, close] =
      kind === 'input' || kind === 'output' ? ['([', '])'] : kind === 'model' ? ['[[', ']]'] : ['[', ']']
    return [`${indent}${id}${open}"${labelOf(box)}"${close}`]
  })
}

function labelOf(box: Box): string {
  const { title, aside } = box
  const head = aside === '' ? title : `${title} (${aside})`
  // An empty label would be a syntax error.
  return [head, ...linesOf(box)].map(escaped).join('<br/>') || ' '
}

/**
 * Letters, numbers and harmless signs as they are; all others by number, so that nothing is left that Mermaid, Markdown
 * or HTML could take for a command.
 */
function escaped(text: string): string {
  return printable(text).replace(/[!-'*+;-@[-^`{-~]/g, (char) => `#${char.charCodeAt(0)};`)
}
