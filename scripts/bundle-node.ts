// Puts core and the layers into a few files for Node, dist/node, after tsc has built the rest: to load hundreds of
// modules takes it several times as long as the first training step. Browsers' bundlers get the modules and leave out
// what is not used.
import { build } from 'esbuild'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DECLARATIONS = /^(?:export )?(?:default )?(?:async )?(?:function\*?|class|var|const|let) (\w+)/gm
/** A class that speaks of itself has an inner name too. */
const CLASSES = /^var (\w+) = class (_\w+ )?.*\{$/gm

const ENTRIES = { core: ['index', 'extend', 'testing/index'], layers: ['index'] }

for (const [name, entries] of Object.entries(ENTRIES)) {
  const dist = fileURLToPath(new URL(`../packages/${name}/dist/`, import.meta.url))
  rmSync(join(dist, 'node'), { recursive: true, force: true })
  const modules = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.js'),
  )
  const given = new Set(modules.flatMap((file) => declaredIn(readFileSync(join(dist, file), 'utf8'))))
  const { outputFiles } = await build({
    entryPoints: entries.map((entry) => join(dist, `${entry}.js`)),
    outdir: join(dist, 'node'),
    outbase: dist,
    bundle: true,
    // What several entries share is there once.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    sourcemap: true,
    write: false,
  })
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, path.endsWith('.js') ? withNames(text, given) : text)
  }
}

/** The functions and classes that a module declares outside of others. */
function declaredIn(text: string): string[] {
  return Array.from(text.matchAll(DECLARATIONS), ([, name]) => name!)
}

/**
 * Where modules have functions or classes of the same name, all but one of them are given a number. They get their names
 * back, by which messages call them. (esbuild's keepNames does that for all functions, those too that are made again in
 * every call: a fifth of a small training step.)
 */
function withNames(text: string, given: ReadonlySet<string>): string {
  const renamed = declaredIn(text).filter((name) => !given.has(name))
  const own = (name: string): string => {
    if (given.has(name)) return name
    for (let before = name; /\d$/.test(before);) if (given.has((before = before.slice(0, -1)))) return before
    throw new Error(`${name}: no module declares what this was`)
  }
  const naming = (what: string, name: string): string =>
    `Object.defineProperty(${what}, 'name', { value: '${own(name)}', configurable: true });`
  const functions: string[] = []
  const named = text.replace(CLASSES, (line: string, name: string, inner?: string) =>
    inner !== undefined || renamed.includes(name) ? `${line} static { ${naming('this', name)} }` : line,
  )
  for (const name of renamed)
    if (new RegExp(`^(async )?function\\*? ${name}\\(`, 'm').test(text)) functions.push(naming(name, name))
  // Before anything else runs, in the first line, so that the others keep their numbers.
  return functions.join(' ') + named
}
