import type { Backend, Kernel, Stored } from '../../packages/core/src/backend.js'
import type { HostArray } from '../../packages/core/src/dtype.js'
import type { ScalarFunction } from '../../packages/core/src/expr/scalar.js'
import type { Expr, Function2 } from '../../packages/core/src/expr/tree.js'
import { rows } from '../../packages/core/src/op.js'
import { sameShape, type Sizes, stridesOf } from '../../packages/core/src/shape.js'

/** A formula as text, and how tightly its outermost operator binds. */
interface Text {
  readonly text: string
  readonly binds: number
  /** The outermost operator, where there is one. */
  readonly operator?: string
}

/** What a value is, in words; the handle of the backend below. */
export interface Formula {
  text: Text
  /** What it is another shape of. */
  readonly reshaped?: { readonly text: Text; readonly shape: Sizes }
}

const ATOM = 9
const INFIX: Partial<Record<Function2, readonly [operator: string, binds: number]>> = {
  or: ['||', 1],
  and: ['&&', 2],
  less: ['<', 3],
  lessEqual: ['<=', 3],
  equal: ['==', 3],
  notEqual: ['!=', 3],
  add: ['+', 4],
  sub: ['-', 4],
  mul: ['*', 5],
  div: ['/', 5],
}
const PREFIX = 6

const atom = (text: string): Text => ({ text, binds: ATOM })
const nameOf = (name: string, args: readonly string[]): Text => atom(`${name}(${args.join(', ')})`)

/** Numbers that have a name. */
const NAMED: readonly (readonly [number, string])[] = [
  [Math.LN2, 'ln2'],
  [Math.LN10, 'ln10'],
  [2 / Math.sqrt(Math.PI), '(2 / √π)'],
  [-2 / Math.sqrt(Math.PI), '(-2 / √π)'],
]

function numberText(value: number): Text {
  const named = NAMED.find(([number]) => number === value)
  if (named !== undefined) return atom(named[1])
  return value < 0 ? { text: String(value), binds: PREFIX } : atom(String(value))
}

/**
 * A backend whose values are formulas: running a function on it writes down what the function computes.
 * Give operands their names with {@link named}.
 */
export function formulaBackend(isPublic: (op: string) => boolean): Backend {
  const rowOf = new Map<ScalarFunction, string>()
  for (const row of rows.values()) if (row.fn !== undefined) rowOf.set(row.fn, row.name)

  const textOf = (
    kernel: Exclude<Kernel, { readonly kind: 'view' }>,
    inputs: readonly Stored[],
    outShape: Sizes,
  ): Text => {
    const texts = inputs.map((x) => (x.handle as Formula).text)
    if (kernel.kind !== 'map') return structural(kernel, texts, inputs, outShape)
    const name = rowOf.get(kernel.fn)
    const { body } = kernel.fn
    if (name === undefined && body.kind === 'arg')
      return sameShape(inputs[0]!.shape, outShape)
        ? texts[0]!
        : nameOf('broadcastTo', [texts[0]!.text, shapeText(outShape)])
    // An op that users cannot call, or that has an operator, is shown as what it computes.
    if (name !== undefined && isPublic(name) && !isOperator(body))
      return nameOf(name, [
        ...texts.map((text) => text.text),
        ...kernel.params.map((p) => numberText(p).text),
      ])
    return substituted(body, texts, kernel.params)
  }

  return {
    name: 'formula',
    run(kernel, inputs, out): Formula {
      if (kernel.kind !== 'view') return { text: textOf(kernel, inputs, out.shape) }
      const [x] = inputs as [Stored]
      const formula = x.handle as Formula
      const reshaped = formula.reshaped ?? { text: formula.text, shape: x.shape }
      const isBack = sameShape(reshaped.shape, out.shape)
      return {
        text: isBack ? reshaped.text : nameOf('reshape', [reshaped.text.text, shapeText(out.shape)]),
        reshaped,
      }
    },
    upload: (values, { shape }): Formula => ({ text: constantText(values, shape) }),
    read: () => Promise.reject(new Error('a formula has no values')),
  }
}

/** `x + y`, `-x`, `x > y`, `x * x`. */
function isOperator(body: Expr): boolean {
  const isArg = (x: Expr): boolean => x.kind === 'arg'
  if (body.kind === 'call1') return (body.fn === 'neg' || body.fn === 'not') && isArg(body.x)
  return (
    body.kind === 'call2' &&
    INFIX[body.fn] !== undefined &&
    [body.x, body.y].every((x) => isArg(x) || x.kind === 'const')
  )
}

function substituted(body: Expr, args: readonly Text[], params: readonly number[]): Text {
  const of = (x: Expr): Text => substituted(x, args, params)
  switch (body.kind) {
    case 'arg':
      return args[body.index]!
    case 'param':
      return numberText(params[body.index]!)
    case 'const':
      return numberText(body.value)
    case 'call1': {
      const x = of(body.x)
      if (body.fn === 'neg') return negated(x)
      // Φ is the normal distribution function, φ its density.
      if (body.fn === 'geluSlope') return { text: `Φ(${x.text}) + ${within(x, 5)} * φ(${x.text})`, binds: 4 }
      return body.fn === 'not' ? { text: `!${within(x, PREFIX)}`, binds: PREFIX } : nameOf(body.fn, [x.text])
    }
    case 'call2':
      return infix(body.fn, of(body.x), of(body.y))
    case 'select': {
      const [test, a, b] = [body.test, body.a, body.b].map(of) as [Text, Text, Text]
      return { text: `${within(test, 1)} ? ${within(a, 1)} : ${b.text}`, binds: 0 }
    }
  }
}

function negated(x: Text): Text {
  if (x.operator === '*' || x.operator === '/') return { ...x, text: `-${x.text}` }
  return { text: `-${within(x, PREFIX + 1)}`, binds: PREFIX }
}

function infix(fn: Function2, x: Text, y: Text): Text {
  const operator = INFIX[fn]
  if (operator === undefined) return nameOf(fn, [x.text, y.text])
  const [sign, binds] = operator
  if (fn === 'less' && isNumber(x)) return { text: `${y.text} > ${x.text}`, binds }
  if (sign === '*' && x.text === '1') return y
  if (sign === '*' && y.text === '1') return x
  if (sign === '*' && x.text === y.text) return { text: `${within(x, ATOM)}²`, binds: ATOM }
  // Sums of sums and products of products need no brackets, differences and quotients do.
  const isSame = (sign === '*' || sign === '+') && y.operator === sign
  return {
    text: `${within(x, binds)} ${sign} ${isSame ? y.text : within(y, binds + 1)}`,
    binds,
    operator: sign,
  }
}

function isNumber({ text }: Text): boolean {
  return text !== '' && !Number.isNaN(Number(text))
}

/** The formula in brackets unless it binds at least as tightly as asked. */
function within({ text, binds }: Text, least: number): string {
  return binds >= least ? text : `(${text})`
}

function structural(
  kernel: Exclude<Kernel, { readonly kind: 'map' | 'view' }>,
  texts: readonly Text[],
  inputs: readonly Stored[],
  out: Sizes,
): Text {
  const [x] = texts as [Text]
  const shape = inputs[0]!.shape
  const plain = texts.map(({ text }) => text)
  switch (kernel.kind) {
    case 'reduce': {
      const { axes } = kernel
      const isKept = out.length === shape.length && axes.length > 0
      const axis = axes.length === 1 ? String(axes[0]) : shapeText(axes)
      if (axes.length === shape.length && !isKept) return nameOf(kernel.op, [x.text])
      return nameOf(kernel.op, [x.text, axis, ...(isKept ? ['true'] : [])])
    }
    case 'cumulate':
      return nameOf(texts.length === 1 ? 'cumsum' : 'recurrence', [
        ...plain,
        kernel.reverse ? `{ axis: ${kernel.axis}, reverse: true }` : String(kernel.axis),
      ])
    case 'argReduce':
      return nameOf(kernel.op === 'max' ? 'argMax' : 'argMin', [x.text, String(kernel.axis)])
    case 'matmul':
      return nameOf('matmul', [
        kernel.transposeA ? transposed(x) : x.text,
        kernel.transposeB ? transposed(texts[1]!) : texts[1]!.text,
      ])
    case 'permute': {
      const isReversed = kernel.perm.every((axis, i) => axis === kernel.perm.length - 1 - i)
      if (kernel.perm.every((axis, i) => axis === i)) return x
      return isReversed
        ? nameOf('transpose', [x.text])
        : nameOf('transpose', [x.text, shapeText(kernel.perm)])
    }
    case 'slice':
      return atom(`${within(x, ATOM)}[${rangesOf(kernel.begin, kernel.strides, out, shape)}]`)
    case 'place': {
      const isWhole = sameShape(shape, out)
      if (isWhole) return atom(`${within(x, ATOM)}[${rangesOf(kernel.begin, kernel.strides, shape, out)}]`)
      if (kernel.strides.some((stride) => stride !== 1))
        return atom(`(${x.text} at [${rangesOf(kernel.begin, kernel.strides, shape, out)}])`)
      const paddings = kernel.begin.map((before, axis) => [before, out[axis]! - before - shape[axis]!])
      return nameOf('pad', [x.text, `[${paddings.map(shapeText).join(', ')}]`])
    }
    case 'concat':
      return nameOf('concat', [`[${plain.join(', ')}]`, String(kernel.axis)])
    case 'gather':
    case 'scatterAdd':
      return nameOf(kernel.kind, [...plain, ...(kernel.axis === 0 ? [] : [String(kernel.axis)])])
    case 'softmax':
      return nameOf(kernel.log ? 'logSoftmax' : 'softmax', [
        x.text,
        ...(kernel.axis === shape.length - 1 ? [] : [String(kernel.axis)]),
      ])
  }
}

function transposed(x: Text): string {
  return `${within(x, ATOM)}ᵀ`
}

/** `1:3, ::-1`, as in Python. */
function rangesOf(begin: Sizes, strides: Sizes, size: Sizes, whole: Sizes): string {
  return begin
    .map((from, axis) => {
      const stride = strides[axis]!
      const side = whole[axis]!
      const end = from + (size[axis]! - 1) * stride + Math.sign(stride)
      if (stride < 0) return `${from === side - 1 ? '' : from}:${end < 0 ? '' : end}:${stride}`
      const isToEnd = end >= side || from + size[axis]! * stride >= side
      return `${from === 0 ? '' : from}:${isToEnd ? '' : end}${stride === 1 ? '' : `:${stride}`}`
    })
    .join(', ')
}

const MOST_SHOWN = 6

function constantText(values: HostArray, shape: Sizes): Text {
  const [first] = values
  if (values.length > 0 && values.every((value) => Object.is(value, first)) && typeof first === 'number')
    return shape.length === 0 || first === 0 || first === 1
      ? shape.length === 0
        ? numberText(first)
        : nameOf(first === 0 ? 'zeros' : 'ones', [shapeText(shape)])
      : nameOf('full', [shapeText(shape), numberText(first).text])
  if (values.length > 1 && values.every((value, i) => value === i))
    return nameOf('arange', [String(values.length)])
  return atom(values.length > MOST_SHOWN ? 'constant' : nested(values, shape))
}

function nested(values: HostArray, shape: Sizes): string {
  const strides = stridesOf(shape)
  const listOf = (axis: number, at: number): string =>
    axis === shape.length
      ? String(values[at])
      : `[${Array.from({ length: shape[axis]! }, (_, i) => listOf(axis + 1, at + i * strides[axis]!)).join(', ')}]`
  return listOf(0, 0)
}

function shapeText(shape: Sizes): string {
  return `[${shape.join(', ')}]`
}

/** Gives a value a name: formulas made from it afterwards show the name. */
export function named<X extends { handle: object }>(x: X, name: string): X {
  x.handle = { text: atom(name) } satisfies Formula
  return x
}

/** The formula of a value. */
export function formulaOf(x: { readonly handle: object }): string {
  return (x.handle as Formula).text.text
}
