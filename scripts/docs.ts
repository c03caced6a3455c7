/** Writes docs/ops from the table of ops: `npm run docs`. With --check it only says whether the pages are up to date. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { pages } from './docs/pages.js'

const folder = fileURLToPath(new URL('../docs/ops', import.meta.url))

const config = await resolveConfig(join(folder, 'README.md'))
const wanted = new Map<string, string>()
for (const [file, text] of pages()) wanted.set(file, await format(text, { ...config, parser: 'markdown' }))

mkdirSync(folder, { recursive: true })
const present = readdirSync(folder)
const stale = [...wanted].filter(([file, text]) => !present.includes(file) || text !== read(file))
const surplus = present.filter((file) => !wanted.has(file))

if (process.argv.includes('--check')) {
  for (const file of [...stale.map(([name]) => name), ...surplus])
    console.error(`docs/ops/${file} is not what the table of ops says: run npm run docs`)
  if (stale.length + surplus.length > 0) process.exitCode = 1
} else {
  for (const [file, text] of stale) writeFileSync(join(folder, file), text)
  for (const file of surplus) rmSync(join(folder, file))
}
console.log(`docs: ${wanted.size} pages, ${stale.length + surplus.length} of them were not up to date`)

function read(file: string): string {
  return readFileSync(join(folder, file), 'utf8')
}
