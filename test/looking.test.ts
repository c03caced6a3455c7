import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { blocksOf, textOf, withModules } from './support/docs.js'

/** `npm run docs` runs this file in the mode that writes what the page's program gives into the page and its folder. */
const isWriting = process.env['MODE'] === 'pictures'

const page = resolve(import.meta.dirname, '../docs/looking.md')
const folder = resolve(page, '../pictures')
const pictures = [...textOf('docs/looking.md').matchAll(/\]\(pictures\/(\w+)\.svg\)/g)].map(
  ([, name]) => name!,
)

/** What is printed behind the blocks, by the names that the program gives it. */
const printed = { chart: 'mermaid', lines: 'text' } as const

describe('docs/looking.md', () => {
  let values: Record<string, unknown>
  beforeAll(async () => {
    const names = [...pictures, ...Object.keys(printed), 'report']
    const source = blocksOf('docs/looking.md').map((block) => block.source)
    const program = [...source, `export { ${names.join(', ')} }`].join('\n')
    values = await withModules({ 'page.ts': program }, (load) => load('page.ts'))
    if (!isWriting) return
    for (const name of pictures) writeFileSync(resolve(folder, `${name}.svg`), values[name] as string)
    let text = textOf('docs/looking.md')
    for (const [name, language] of Object.entries(printed))
      text = text.replace(new RegExp(`(?<=\`\`\`${language}\\n)[^\`]*(?=\`\`\`)`), () =>
        textFor(values[name]),
      )
    writeFileSync(page, text)
  })

  const textFor = (value: unknown): string =>
    `${(typeof value === 'string' ? value : (value as string[]).join('\n')).trimEnd()}\n`

  test('shows all pictures that there are, and no others', () => {
    expect(readdirSync(folder).toSorted()).toEqual(pictures.map((name) => `${name}.svg`).toSorted())
  })

  // The last bits of a training differ between machines: places may by a little.
  test.each(pictures)('%s.svg is what its program draws; if not, run npm run docs', (name) => {
    const [committed, drawn] = [readFileSync(resolve(folder, `${name}.svg`), 'utf8'), values[name] as string]
    expect(committed.length).toBeLessThan(30_000)
    const number = /-?\d+(?:\.\d+)?(?:e-?\d+)?/g
    expect(drawn.replace(number, '0')).toBe(committed.replace(number, '0'))
    const expected = [...committed.matchAll(number)].map(([digits]) => Number(digits))
    const far = [...drawn.matchAll(number)].filter(
      ([digits], i) => Math.abs(Number(digits) - expected[i]!) > 1 + 0.01 * Math.abs(expected[i]!),
    )
    expect(far).toEqual([])
  })

  test.each(Object.entries(printed))('%s is printed as it is', (name, language) => {
    const found = new RegExp(`\`\`\`${language}\n([^\`]*)\`\`\``).exec(textOf('docs/looking.md'))
    expect(found?.[1]).toBe(textFor(values[name]))
  })

  test('reports on the training', () => {
    expect(values['report']).toContain('<h2>Hyperparameters</h2>')
  })
})
