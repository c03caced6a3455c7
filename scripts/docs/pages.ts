import { rows } from '../../packages/core/src/op.js'
import { methods } from '../../packages/core/src/ops/index.js'
import { type Example, examples, families, type OpName } from './examples.js'
import { factsOf } from './facts.js'
import { gpuPage, onGpu } from './gpu.js'
import { type Documented, documentedOps, exampleSources } from './source.js'

/** The pages of docs/ops by file name, as Markdown that is still to be formatted. */
export function pages(): ReadonlyMap<string, string> {
  const ops = documentedOps().filter(({ name }) => name in examples)
  const missing = Object.keys(examples).filter((name) => !ops.some((op) => op.name === name))
  if (missing.length > 0) throw new Error(`docs: no declaration was found of ${missing.join(', ')}`)
  const unknown = ops.find(({ family }) => families[family] === undefined)
  if (unknown !== undefined) throw new Error(`docs: scripts/docs/examples.ts has no family ${unknown.family}`)

  const sources = exampleSources()
  const found = new Map<string, string>()
  found.set('README.md', indexPage(ops))
  found.set('on-a-gpu.md', `${GENERATED}\n\n${gpuPage(ops)}`)
  for (const [family, { title, intro }] of Object.entries(families)) {
    const own = ops.filter((op) => op.family === family)
    if (own.length === 0) continue
    const sections = own.map((op) => sectionOf(op, examples[op.name as OpName], sources.get(op.name)!))
    found.set(`${family}.md`, [GENERATED, `# ${title}`, intro, ...sections].join('\n\n'))
  }
  return found
}

const GENERATED = '<!-- Written by `npm run docs` from the table of ops. -->'

function indexPage(ops: readonly Documented[]): string {
  const lines = Object.entries(families).flatMap(([family, { title }]) => {
    const links = ops
      .filter((op) => op.family === family)
      .map(({ name }) => `[${name}](${family}.md#${name.toLowerCase()})`)
    return links.length === 0 ? [] : [`- [${title}](${family}.md): ${links.join(', ')}`]
  })
  return [
    GENERATED,
    '# Ops',
    'Every op is a function of `@adjoint/core`, and most are methods too. Operands are tensors; a number stands for a ' +
      "scalar of the other operand's dtype; in a graph model they are symbolic tensors. Shapes broadcast as in NumPy, " +
      'and of two dtypes the wider one wins: bool < uint8 < int32 < float32 < float64.',
    'A derivative is given as what flows back: `g` is the cotangent of the result `out`, and `dx` the cotangent of the ' +
      'operand `x`; where `x` was broadcast, `dx` is summed over what was repeated. Derivatives that depend on shapes ' +
      'are printed for the shapes of the example. In formulas `x > y` and their like are 1 or 0, `xᵀ` is `x` with ' +
      'its last two axes swapped, `x[1:3, ::2]` is a slice as in Python, and `g at [1:3, ::2]` is 0 but for g in that ' +
      'place. All derivatives can be differentiated ' +
      'again, to any order.',
    lines.join('\n'),
    '[On a GPU](on-a-gpu.md) tells how accurate ops are there.',
    'The pages are written from the table of ops, and their examples are run by the tests. ' +
      '[Adding an op](../adding-an-op.md) tells how to add one.',
  ].join('\n\n')
}

function sectionOf(op: Documented, example: Example, source: string): string {
  const facts = factsOf(op.name, example)
  const names = Object.keys(example.operands)
  const shape =
    example.shape ?? (names.length === 1 ? `that of ${names[0]!}` : `broadcast of ${listed(names)}`)
  const derivatives =
    example.derivative ??
    (facts.derivatives === undefined
      ? 'too long for a line'
      : facts.derivatives.length === 0
        ? 'none'
        : facts.derivatives.map((line) => `\`${line}\``).join(', '))
  const ulps = rows.get(op.name)?.ulps
  const points = [
    ...(facts.formula === undefined ? [] : [`- Formula: \`${facts.formula}\``]),
    `- Shape: ${shape}`,
    `- dtype: ${example.dtype ?? facts.dtype}`,
    `- Derivative: ${derivatives}`,
    ...(ulps === undefined ? [] : [`- Precision in float32: ${ulps} ulp`]),
    ...onGpu(op.name),
    ...(facts.singular.length === 0 ? [] : [`- At kinks and singular points: ${facts.singular.join(', ')}`]),
    ...op.options.map(
      ({ name, type, text }) => `- Option \`${name}: ${type}\`${text === '' ? '' : ` – ${text}`}`,
    ),
  ]
  const heading = op.name in methods ? `\`${op.signature}\`, or \`${methodCall(op)}\`` : `\`${op.signature}\``
  return [`## ${op.name}`, heading, op.text, points.join('\n'), block(source, facts.result)]
    .filter((part) => part !== '')
    .join('\n\n')
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)!}`
}

/** `x.softmax(axis)` */
function methodCall({ signature }: Documented): string {
  const [, name, parameters] = /^(\w+)\((.*)\): /.exec(signature)!
  const [self, ...rest] = parameters!.split(', ').flatMap((p) => /^\w+/.exec(p)?.[0] ?? [])
  return `${self}.${name}(${rest.join(', ')})`
}

const WIDTH = 100

function block(source: string, result: string): string {
  const line = `${source} // ${result}`
  return ['```ts', line.length <= WIDTH ? line : `${source}\n// ${result}`, '```'].join('\n')
}
