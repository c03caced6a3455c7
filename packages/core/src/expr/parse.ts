import { ValueError } from '../errors.js'
import { type Expr, type Function1, type Function2, FUNCTIONS_1, FUNCTIONS_2 } from './tree.js'

/**
 * Parses a formula such as `x > 0 ? x : alpha * expm1(x)`.
 *
 *     formula  = or [ '?' formula ':' formula ]
 *     or       = and { '||' and }          and     = compare { '&&' compare }
 *     compare  = sum [ ( '<' | '<=' | '>' | '>=' | '==' | '!=' ) sum ]
 *     sum      = product { ( '+' | '-' ) product }
 *     product  = sign { ( '*' | '/' ) sign }
 *     sign     = ( '-' | '!' ) sign | atom
 *     atom     = number | name | name '(' formula { ',' formula } ')' | '(' formula ')'
 *
 * Names are the arguments, the parameters, `pi`, `Infinity` and `NaN`.
 */
export function parse(source: string, args: readonly string[], params: readonly string[]): Expr {
  const tokens = source.match(/\d+\.?\d*(?:e[+-]?\d+)?|[A-Za-z_]\w*|[<>=!]=|&&|\|\||[-+*/<>!?:(),]|\S/g) ?? []
  let at = 0

  const fail = (what: string): never => {
    throw new ValueError(`formula "${source}": ${what} at token ${at + 1} ("${tokens[at] ?? 'the end'}")`)
  }
  const take = (token: string): boolean => tokens[at] === token && ++at > 0
  const expect = (token: string): void => {
    if (!take(token)) fail(`expected "${token}"`)
  }

  const formula = (): Expr => {
    const test = either()
    if (!take('?')) return test
    const a = formula()
    expect(':')
    return { kind: 'select', test, a, b: formula() }
  }
  const either = (): Expr => leftToRight(both, { '||': 'or' })
  const both = (): Expr => leftToRight(compare, { '&&': 'and' })
  const compare = (): Expr => {
    const x = sum()
    if (take('<')) return call2('less', x, sum())
    if (take('<=')) return call2('lessEqual', x, sum())
    if (take('>')) return call2('less', sum(), x)
    if (take('>=')) return call2('lessEqual', sum(), x)
    if (take('==')) return call2('equal', x, sum())
    if (take('!=')) return call2('notEqual', x, sum())
    return x
  }
  const sum = (): Expr => leftToRight(product, { '+': 'add', '-': 'sub' })
  const product = (): Expr => leftToRight(sign, { '*': 'mul', '/': 'div' })
  const leftToRight = (operand: () => Expr, operators: Readonly<Record<string, Function2>>): Expr => {
    let x = operand()
    for (let fn = operators[tokens[at] ?? '']; fn !== undefined; fn = operators[tokens[at] ?? '']) {
      at++
      x = call2(fn, x, operand())
    }
    return x
  }
  const sign = (): Expr => {
    if (take('-')) {
      const x = sign()
      return x.kind === 'const' ? { kind: 'const', value: -x.value } : { kind: 'call1', fn: 'neg', x }
    }
    return take('!') ? { kind: 'call1', fn: 'not', x: sign() } : atom()
  }
  const atom = (): Expr => {
    const token = tokens[at++] ?? ''
    if (/^\d/.test(token)) return { kind: 'const', value: Number(token) }
    if (token === '(') {
      const inner = formula()
      expect(')')
      return inner
    }
    if (take('(')) return callOf(token)
    const arg = args.indexOf(token)
    if (arg >= 0) return { kind: 'arg', index: arg }
    const param = params.indexOf(token)
    if (param >= 0) return { kind: 'param', index: param }
    const value = CONSTANTS.get(token)
    if (value !== undefined) return { kind: 'const', value }
    at--
    return fail('unknown name')
  }
  const callOf = (name: string): Expr => {
    const operands = [formula()]
    while (take(',')) operands.push(formula())
    expect(')')
    const [x, y] = operands
    if (operands.length === 1 && includes(FUNCTIONS_1, name)) return { kind: 'call1', fn: name, x: x! }
    if (operands.length === 2 && includes(FUNCTIONS_2, name)) return call2(name, x!, y!)
    return fail(`unknown function ${name} of ${operands.length}`)
  }

  const tree = formula()
  if (at < tokens.length) fail('unexpected')
  return tree
}

function call2(fn: Function2, x: Expr, y: Expr): Expr {
  return { kind: 'call2', fn, x, y }
}

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['Infinity', Infinity],
  ['NaN', NaN],
])

function includes<T extends Function1 | Function2>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name)
}
