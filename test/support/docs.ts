import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { format } from 'node:util'
import { expect } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** A program in a document: its text and the line it starts at. */
export interface Block {
  readonly source: string
  readonly line: number
}

/** The `ts` blocks of a Markdown file, given from the repository's root. */
export function blocksOf(file: string): Block[] {
  const lines = readFileSync(resolve(root, file), 'utf8').split('\n')
  const blocks: Block[] = []
  let start = -1
  lines.forEach((line, at) => {
    if (start < 0 && line.trim() === '```ts') start = at + 1
    else if (start >= 0 && line.trim() === '```') {
      blocks.push({ source: lines.slice(start, at).join('\n'), line: start + 1 })
      start = -1
    }
  })
  return blocks
}

/** What each `console.log(…) // text` line promises to print. */
function promised(source: string): string[] {
  return source.split('\n').flatMap((line) => {
    const found = /console\.log\(.*\) \/\/ (.*)$/.exec(line)
    return found === null ? [] : [collapsed(found[1]!)]
  })
}

/** Blanks and line breaks inside printed tensors do not matter. */
function collapsed(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

/** Runs a block as a module of its own and compares what it prints with what it says it prints. */
export async function runBlock({ source }: Block): Promise<void> {
  const folder = mkdtempSync(join(root, 'test', '.docs-'))
  const printed: string[] = []
  const { log } = console
  console.log = (...values: unknown[]) => printed.push(collapsed(format(...values)))
  try {
    const file = join(folder, 'block.ts')
    writeFileSync(file, source)
    await import(/* @vite-ignore */ file)
  } finally {
    console.log = log
    rmSync(folder, { recursive: true })
  }
  const expected = promised(source)
  if (expected.length > 0) expect(printed).toEqual(expected)
}
