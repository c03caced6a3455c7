import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { format } from 'node:util'
import { expect } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** A program in a document: its text and the line it starts at. */
export interface Block {
  readonly source: string
  readonly line: number
}

export function textOf(file: string): string {
  return readFileSync(resolve(root, file), 'utf8')
}

/** The `ts` blocks of a Markdown file, given from the repository's root. */
export function blocksOf(file: string): Block[] {
  const lines = textOf(file).split('\n')
  const blocks: Block[] = []
  let start = -1
  lines.forEach((line, at) => {
    if (start < 0 && line.trim() === '```ts') start = at + 1
    else if (start >= 0 && line.trim() === '```') {
      blocks.push({ source: unindented(lines.slice(start, at)), line: start + 1 })
      start = -1
    }
  })
  return blocks
}

/** Without the indentation that a list gives to a block. */
function unindented(lines: readonly string[]): string {
  const indent = /^ */.exec(lines[0] ?? '')![0].length
  return lines.map((line) => line.slice(indent)).join('\n')
}

/** What each `console.log(…) // text` line promises to print. */
function promised(source: string): string[] {
  return source.split('\n').flatMap((line) => {
    const found = /console\.log\(.*\) \/\/ (.*)$/.exec(line)
    return found === null ? [] : [collapsed(found[1]!)]
  })
}

/** Blanks and line breaks inside printed tensors do not matter. */
export function collapsed(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/(?<=\[) | (?=\])/g, '')
    .trim()
}

/** Modules that import each other, in a folder of their own for as long as `use` takes. */
export async function withModules<R>(
  sources: Readonly<Record<string, string>>,
  use: (load: (name: string) => Promise<Record<string, unknown>>) => Promise<R>,
): Promise<R> {
  const folder = mkdtempSync(join(root, 'test', '.docs-'))
  try {
    for (const [name, source] of Object.entries(sources)) {
      mkdirSync(resolve(folder, name, '..'), { recursive: true })
      writeFileSync(join(folder, name), source)
    }
    return await use((name) => import(/* @vite-ignore */ join(folder, name)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Loads a module of `sources` and compares what it prints with what it says it prints. */
export async function runModule(sources: Readonly<Record<string, string>>, name: string): Promise<void> {
  const printed: string[] = []
  const { log } = console
  console.log = (...values: unknown[]) => printed.push(collapsed(format(...values)))
  try {
    await withModules(sources, (load) => load(name))
  } finally {
    console.log = log
  }
  const expected = promised(sources[name]!)
  if (expected.length > 0) expect(printed).toEqual(expected)
}

/** Runs a block as a module of its own and compares what it prints with what it says it prints. */
export async function runBlock({ source }: Block): Promise<void> {
  await runModule({ 'block.ts': source }, 'block.ts')
}
