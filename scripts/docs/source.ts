import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript59'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = 'packages/core/src/ops'

/** What the source says of an exported op. */
export interface Documented {
  readonly name: string
  /** The file it is in, without extension. */
  readonly family: string
  /** `sum(x, axis: Axes = null, keepDims: boolean = false): Tensor` */
  readonly signature: string
  /** Markdown paragraphs. */
  readonly text: string
  readonly options: readonly Option[]
}

interface Option {
  readonly name: string
  readonly type: string
  readonly text: string
}

/** All exported functions of the op files, in the order of the source. */
export function documentedOps(): Documented[] {
  const files = readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
    .map((file) => parsed(join(folder, file)))
  const declared: Declared = { interfaces: new Map(), aliases: new Map([['Sizes', 'number[]']]) }
  for (const file of files)
    ts.forEachChild(file, (node) => {
      if (ts.isInterfaceDeclaration(node)) declared.interfaces.set(node.name.text, node)
      if (ts.isTypeAliasDeclaration(node) && node.typeParameters === undefined)
        declared.aliases.set(node.name.text, node.type.getText())
    })
  return files.flatMap((file) => opsIn(file, declared))
}

/** The types of the op files. */
interface Declared {
  readonly interfaces: Map<string, ts.InterfaceDeclaration>
  readonly aliases: Map<string, string>
}

function parsed(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.ESNext, true)
}

function opsIn(file: ts.SourceFile, declared: Declared): Documented[] {
  const family = basename(file.fileName, '.ts')
  const renamed = exportNames(file)
  const found: Documented[] = []
  /** What the overloads of a function say, by its name; the last declaration has the body. */
  const overloads = new Map<string, string[]>()
  ts.forEachChild(file, (node) => {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined) {
      const name = exportedName(node, node.name.text, renamed)
      if (name === undefined) return
      const texts = [...(overloads.get(name) ?? []), docOf(node)].filter((text) => text !== '')
      overloads.set(name, texts)
      if (node.body === undefined) return
      const options = node.parameters.flatMap((parameter) => optionsOf(parameter.type, declared))
      const signature = signatureOf(name, node, declared)
      found.push({ name, family, signature, text: texts.join('\n\n'), options })
    }
    if (ts.isVariableStatement(node))
      for (const { name: variable, type } of node.declarationList.declarations) {
        const name = exportedName(node, variable.getText(), renamed)
        const args = { Unary: 'x', Binary: 'x, y' }[type?.getText() ?? '']
        if (name === undefined || args === undefined) continue
        const signature = `${name}(${args}): Tensor`
        found.push({ name, family, signature, text: docOf(node), options: [] })
      }
  })
  return found
}

/** `export { powOp as pow }` */
function exportNames(file: ts.SourceFile): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  ts.forEachChild(file, (node) => {
    if (ts.isExportDeclaration(node) && node.exportClause && ts.isNamedExports(node.exportClause))
      for (const { propertyName, name } of node.exportClause.elements)
        names.set((propertyName ?? name).text, name.text)
  })
  return names
}

function exportedName(
  node: ts.FunctionDeclaration | ts.VariableStatement,
  name: string,
  renamed: ReadonlyMap<string, string>,
): string | undefined {
  const isExported = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
  return isExported ? name : renamed.get(name)
}

function signatureOf(name: string, node: ts.FunctionDeclaration, declared: Declared): string {
  const generics = new Map(
    (node.typeParameters ?? []).map((p) => [p.name.text, p.constraint?.getText() ?? 'unknown']),
  )
  const parameters = node.parameters.map(
    ({ dotDotDotToken, name: own, questionToken, type, initializer }) => {
      const label = `${dotDotDotToken ? '...' : ''}${own.getText()}${questionToken ? '?' : ''}`
      const readable = readableType(type?.getText() ?? 'unknown', declared, generics)
      if (readable === 'Tensor' || (dotDotDotToken && readable === 'Tensor[]')) return label
      if (initializer === undefined) return `${label}: ${readable}`
      const value = oneLine(initializer.getText())
      if (value === '{}') return `${label}?: ${readable}`
      return readable === 'number' || readable === 'boolean'
        ? `${label} = ${value}`
        : `${label}: ${readable} = ${value}`
    },
  )
  return `${name}(${parameters.join(', ')}): ${resultType(node.type)}`
}

/** `Result<…>` and `Like<…>` are tensors, of tensors. */
function resultType(type: ts.TypeNode | undefined): string {
  if (type === undefined) return 'Tensor'
  if (ts.isArrayTypeNode(type)) return `${resultType(type.elementType)}[]`
  const isComputed = ts.isTypeReferenceNode(type) && /^(Result|Like)$/.test(type.typeName.getText())
  return isComputed ? 'Tensor' : oneLine(type.getText())
}

/** Aliases replaced by what they stand for, operands by tensors. */
function readableType(
  type: string,
  { interfaces, aliases }: Declared,
  generics: ReadonlyMap<string, string> = new Map(),
): string {
  const field = /^(\w+)\['(\w+)'\]$/.exec(type)
  const member = field && interfaces.get(field[1]!)?.members.find((m) => m.name?.getText() === field[2])
  let text = member && ts.isPropertySignature(member) ? member.type!.getText() : type
  for (const [alias, meaning] of [...generics, ...aliases])
    text = text.replace(new RegExp(`\\b${alias}\\b`, 'g'), meaning)
  return oneLine(text)
    .replace(/\breadonly /g, '')
    .replace(/\((\w+\[\])\)/g, '$1')
    .replace(/\b(Operand|TensorLike)\b/g, 'Tensor')
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ')
}

/** The fields of the options among the types of a parameter. */
function optionsOf(type: ts.TypeNode | undefined, declared: Declared): Option[] {
  if (type === undefined) return []
  const types = ts.isUnionTypeNode(type) ? type.types : [type]
  return types.flatMap((part) => fieldsOf(part.getText(), declared))
}

function fieldsOf(name: string, declared: Declared): Option[] {
  const declaration = name.endsWith('Options') ? declared.interfaces.get(name) : undefined
  if (declaration === undefined) return []
  const inherited = (declaration.heritageClauses ?? []).flatMap((clause) =>
    clause.types.flatMap(({ expression }) => fieldsOf(expression.getText(), declared)),
  )
  const own = declaration.members.filter(ts.isPropertySignature).map((member) => ({
    name: `${member.name.getText()}${member.questionToken ? '?' : ''}`,
    type: readableType(member.type?.getText() ?? 'unknown', declared),
    text: docOf(member),
  }))
  const isOwn = new Set(own.map((option) => option.name))
  return [...inherited.filter((option) => !isOwn.has(option.name)), ...own]
}

/** The comment over a declaration as Markdown. */
function docOf(node: ts.Node): string {
  const doc = ts.getJSDocCommentsAndTags(node).findLast(ts.isJSDoc)
  if (doc === undefined) return ''
  const sentences = commentText(doc.comment)
  const throws = (doc.tags ?? [])
    .filter((tag) => tag.tagName.text === 'throws')
    .map((tag) => `Throws ${commentText(tag.comment)}`)
  return [sentences, ...throws].filter((part) => part !== '').join('\n\n')
}

function commentText(comment: string | ts.NodeArray<ts.JSDocComment> | undefined): string {
  const text =
    typeof comment === 'string' || comment === undefined
      ? (comment ?? '')
      : comment.map((part) => (part.kind === ts.SyntaxKind.JSDocText ? part.text : linkText(part))).join('')
  return escaped(text)
}

function linkText(part: ts.JSDocComment): string {
  const { name, text } = part as ts.JSDocLink
  return `\`${name?.getText() ?? text}\``
}

/** Characters that mean something to Markdown, outside of code, taken literally. */
function escaped(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith('`') ? part : part.replace(/[*_]|\](?=\()/g, (char) => `\\${char}`)))
    .join('')
}

/** How the calls in scripts/docs/examples.ts read with their operands in place. */
export function exampleSources(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const visit = (node: ts.Node): void => {
    if (
      ts.isPropertyAssignment(node) &&
      ts.isCallExpression(node.initializer) &&
      node.initializer.expression.getText() === 'op'
    ) {
      const [operands, call] = node.initializer.arguments
      if (operands && call && ts.isObjectLiteralExpression(operands) && ts.isArrowFunction(call))
        found.set(node.name.getText(), inlined(operands, call.body))
    } else ts.forEachChild(node, visit)
  }
  visit(parsed('scripts/docs/examples.ts'))
  return found
}

function inlined(operands: ts.ObjectLiteralExpression, body: ts.Node): string {
  const sources = new Map<string, string>()
  for (const property of operands.properties)
    if (ts.isPropertyAssignment(property))
      sources.set(property.name.getText(), compact(property.initializer.getText()))
  const start = body.getStart()
  const source = body.getText()
  const edits: { readonly from: number; readonly to: number; readonly text: string }[] = []
  const visit = (node: ts.Node): void => {
    const isLabel = ts.isPropertyAssignment(node.parent) && node.parent.name === node
    const text = ts.isIdentifier(node) && !isLabel ? sources.get(node.text) : undefined
    if (text !== undefined && !ts.isPropertyAccessExpression(node.parent))
      edits.push({ from: node.getStart() - start, to: node.getEnd() - start, text })
    else ts.forEachChild(node, visit)
  }
  ts.forEachChild(body, visit)
  const replaced = edits.reduceRight(
    (out, { from, to, text }) => out.slice(0, from) + text + out.slice(to),
    source,
  )
  return compact(replaced).replace(/\bops\./g, '')
}

/** On one line, without the commas and blanks that lines need. */
function compact(source: string): string {
  return oneLine(source)
    .replace(/,? ([\])])/g, '$1')
    .replace(/([[(]) /g, '$1')
}
