/** Holds the source to the tables below. Every run first plants each violation and checks that it is found. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import { fileURLToPath } from 'node:url'
import ts from 'typescript59'

const core = 'packages/core/src'
const layers = 'packages/layers/src'
const gpu = 'packages/gpu/src'
const entriesOfCore = ['@adjoint/core', '@adjoint/core/extend', '@adjoint/core/testing']

interface ImportRule {
  /** Files and folders whose imports the row governs, without extension. */
  within: string
  /** Files and folders excepted from the row. */
  except?: readonly string[]
  /** Nothing here may be imported: files and folders of this repository, or packages with all that is in them. */
  never?: readonly string[]
  /** All that may be imported: folders of this repository, and modules by their exact names. */
  only?: readonly string[]
  /** Modules that may be imported besides, as types. */
  types?: readonly string[]
}

const importRules: readonly ImportRule[] = [
  { within: `${core}/ops`, never: [`${core}/cpu`, `${core}/plan`, `${core}/transforms`] },
  { within: `${core}/cpu`, never: [`${core}/ops`, `${core}/tensor`, `${core}/tape`] },
  { within: core, except: [`${core}/testing`], only: [core] },
  { within: `${core}/testing`, only: [core], types: ['fast-check'] },
  { within: layers, only: [layers, ...entriesOfCore] },
  { within: gpu, only: [gpu, ...entriesOfCore, 'gpu.js'] },
  { within: '', except: ['benchmarks'], never: ['benchmarks', '@adjoint/benchmarks'] },
  { within: '', except: ['test'], never: ['test', '@adjoint/test'] },
]

type Construct = 'import()' | 'require()' | 'eval' | 'new Function' | 'import.meta' | 'top-level await'

interface ConstructRule {
  within: string
  never: readonly Construct[]
}

/** Bundlers, content security policies and `require(esm)` stumble over these. */
const constructRules: readonly ConstructRule[] = [
  {
    within: core,
    never: ['import()', 'require()', 'eval', 'new Function', 'import.meta', 'top-level await'],
  },
  {
    within: layers,
    never: ['import()', 'require()', 'eval', 'new Function', 'import.meta', 'top-level await'],
  },
  { within: gpu, never: ['require()', 'eval', 'new Function', 'top-level await'] },
]

interface Finding {
  line: number
  what: string
}

/** What the tables forbid in one file, `file` being its path from the root. */
function findingsIn(file: string, text: string): Finding[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true)
  const findings: Finding[] = []
  const report = (position: number, what: string) =>
    findings.push({ line: source.getLineAndCharacterOfPosition(position).line + 1, what })

  for (const { name, position, isType } of importsOf(source)) {
    const target = name.startsWith('.') ? withoutExtension(join(dirname(file), name)) : name
    if (importRules.some((rule) => breaks(rule, file, target, isType))) report(position, `imports ${target}`)
  }
  for (const { construct, position } of constructsOf(source))
    for (const { within, never } of constructRules)
      if (isIn(file, within) && never.includes(construct)) report(position, `uses ${construct}`)
  return findings
}

function breaks(rule: ImportRule, file: string, target: string, isType: boolean): boolean {
  if (!isIn(file, rule.within) || rule.except?.some((place) => isIn(file, place))) return false
  if (rule.never?.some((place) => isIn(target, place))) return true
  if (!rule.only || (isType && rule.types?.includes(target))) return false
  return !rule.only.some((place) => (place.startsWith('packages/') ? isIn(target, place) : target === place))
}

function isIn(path: string, place: string): boolean {
  return place === '' || withoutExtension(path) === place || path.startsWith(`${place}/`)
}

function withoutExtension(path: string): string {
  return path.replace(/\.[cm]?[jt]s$/, '')
}

interface Import {
  name: string
  position: number
  isType: boolean
}

function importsOf(source: ts.SourceFile): Import[] {
  const found: Import[] = [...source.referencedFiles, ...source.typeReferenceDirectives].map((reference) => ({
    name: reference.fileName,
    position: reference.pos,
    isType: true,
  }))
  const add = (name: ts.Node | undefined, isType: boolean) => {
    if (name && ts.isStringLiteralLike(name))
      found.push({ name: name.text, position: name.getStart(), isType })
  }
  walk(source, (node) => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isExternalModuleReference(node)) add(node.expression, false)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true)
    else if (isDynamicImport(node)) add(node.arguments[0], false)
  })
  return found
}

function constructsOf(source: ts.SourceFile): { construct: Construct; position: number }[] {
  const found: { construct: Construct; position: number }[] = []
  walk(source, (node) => {
    const construct = constructOf(node)
    if (construct) found.push({ construct, position: node.getStart() })
  })
  return found
}

function constructOf(node: ts.Node): Construct | undefined {
  if (isDynamicImport(node)) return 'import()'
  if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) return 'import.meta'
  // As the name of an option it evaluates nothing: Node's workers have one of that name.
  if (ts.isIdentifier(node) && node.text === 'eval' && !isNameOfOption(node)) return 'eval'
  if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
    const callee = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression
    if (ts.isIdentifier(callee) && callee.text === 'Function') return 'new Function'
    if (ts.isIdentifier(callee) && callee.text === 'require') return 'require()'
  }
  if (isAwait(node) && !ts.findAncestor(node, ts.isFunctionLike)) return 'top-level await'
  return undefined
}

function isNameOfOption(node: ts.Identifier): boolean {
  return ts.isPropertyAssignment(node.parent) && node.parent.name === node
}

function isDynamicImport(node: ts.Node): node is ts.CallExpression {
  return ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
}

function isAwait(node: ts.Node): boolean {
  return (
    ts.isAwaitExpression(node) ||
    (ts.isForOfStatement(node) && node.awaitModifier !== undefined) ||
    (ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.AwaitUsing) === ts.NodeFlags.AwaitUsing)
  )
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => {
    walk(child, visit)
  })
}

/** One file each: its path, its text, and what must be found in it, if anything. */
const plants: readonly [file: string, text: string, found: string | null][] = [
  [`${core}/ops/a.ts`, `import { b } from '../tensor.js'`, null],
  [`${core}/ops/a.ts`, `import '../cpu/index.js'`, `imports ${core}/cpu/index`],
  [`${core}/ops/a.ts`, `export * from '../plan/fuse.js'`, `imports ${core}/plan/fuse`],
  [`${core}/ops/nn/a.ts`, `import type { T } from '../../transforms.js'`, `imports ${core}/transforms`],
  [`${core}/cpu/wasm/a.ts`, `import './ops.js'`, null],
  [`${core}/cpu/wasm/a.ts`, `import '../../ops/index.js'`, `imports ${core}/ops/index`],
  [`${core}/cpu/a.ts`, `import { tensor } from '../tensor.js'`, `imports ${core}/tensor`],
  [`${core}/cpu/a.ts`, `type T = import('../tape.js').Tape`, `imports ${core}/tape`],
  [`${core}/a.ts`, `import { readFileSync } from 'node:fs'`, 'imports node:fs'],
  [`${core}/a.ts`, `import { x } from '../../layers/src/index.js'`, `imports ${layers}/index`],
  [`${core}/a.ts`, `import type fc from 'fast-check'`, 'imports fast-check'],
  [`${core}/a.ts`, `/// <reference types="node" />`, 'imports node'],
  [`${core}/a.ts`, `/// <reference lib="esnext.disposable" />`, null],
  [`${core}/a.ts`, `async () => await import('./b.js')`, 'uses import()'],
  [`${core}/a.ts`, `await f()`, 'uses top-level await'],
  [`${core}/a.ts`, `for await (const x of xs) f(x)`, 'uses top-level await'],
  [`${core}/a.ts`, `async function f() { await g() }`, null],
  [`${core}/a.ts`, `new URL('./b.wasm', import.meta.url)`, 'uses import.meta'],
  [`${core}/a.ts`, `globalThis.eval('1')`, 'uses eval'],
  [`${core}/a.ts`, `const f = { g: eval }`, 'uses eval'],
  [`${core}/a.ts`, `new Worker(source, { eval: true })`, null],
  [`${core}/a.ts`, `// eval, import('x') and new Function() in words\nconst s = "import('x')"`, null],
  [`${core}/testing/a.ts`, `import type fc from 'fast-check'`, null],
  [`${core}/testing/a.ts`, `import fc from 'fast-check'`, 'imports fast-check'],
  [`${layers}/a.ts`, `import { add } from '@adjoint/core'\nimport '@adjoint/core/extend'`, null],
  [`${layers}/a.ts`, `import { add } from '@adjoint/core/src/op.js'`, 'imports @adjoint/core/src/op.js'],
  [`${layers}/a.ts`, `import { add } from '../../core/src/op.js'`, `imports ${core}/op`],
  [`${layers}/a.ts`, `import { createGpuBackend } from '@adjoint/gpu'`, 'imports @adjoint/gpu'],
  [`${layers}/a.ts`, `new Function('return 1')`, 'uses new Function'],
  [`${layers}/a.ts`, `globalThis.Function('return 1')`, 'uses new Function'],
  [`${layers}/a.ts`, `const fs = require('node:fs')`, 'uses require()'],
  [`${gpu}/a.ts`, `import { dense } from '@adjoint/layers'`, 'imports @adjoint/layers'],
  [`${gpu}/a.ts`, `import { t } from '../../../test/tools.js'`, 'imports test/tools'],
  [`${gpu}/a.ts`, `async () => await import('gpu.js')`, null],
  [`${layers}/a.ts`, `import 'gpu.js'`, 'imports gpu.js'],
  ['examples/a.ts', `import { t } from '../benchmarks/run.ts'`, 'imports benchmarks/run'],
  ['benchmarks/a.ts', `import { t } from './rounds.js'`, null],
  ['test/a.test.ts', `import '../packages/core/src/plan/fuse.js'\nimport './tools.js'`, null],
]

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return ['node_modules', 'dist', 'oracles'].includes(entry.name) ? [] : filesUnder(path)
    return /\.[cm]?[jt]s$/.test(entry.name) ? [path] : []
  })
}

const missed = plants.filter(([file, text, found]) => {
  const whats = findingsIn(file, text).map(({ what }) => what)
  return found === null ? whats.length > 0 : !whats.includes(found)
})
for (const [file, text, found] of missed)
  console.error(`self-test: ${file} with \`${text}\` should give ${found ?? 'nothing'}`)

const root = fileURLToPath(new URL('..', import.meta.url))
const files = ['packages', 'examples', 'benchmarks', 'test', 'scripts'].flatMap(filesUnder)
const findings = files.flatMap((file) =>
  findingsIn(file, readFileSync(join(root, file), 'utf8')).map(
    ({ line, what }) => `${file}:${line}: ${what}`,
  ),
)
for (const finding of findings) console.error(finding)

console.log(
  `imports: ${files.length} files, ${findings.length} violations; ${plants.length - missed.length} of ${plants.length} planted cases judged rightly`,
)
if (findings.length + missed.length > 0) process.exitCode = 1
