import type { Backend } from '../../packages/core/src/backend.js'
import { withBackend } from '../../packages/core/src/backend.js'
import { abstractBackend } from '../../packages/core/src/abstract.js'
import { isFloat, type NumericDType } from '../../packages/core/src/dtype.js'
import type { ScalarFunction } from '../../packages/core/src/expr/scalar.js'
import { rows } from '../../packages/core/src/op.js'
import * as ops from '../../packages/core/src/ops/index.js'
import { fromHost, ones, Tensor, zeros } from '../../packages/core/src/tensor.js'
import { grad, type TensorTree, vjp } from '../../packages/core/src/transforms.js'
import type { Example, Operands } from './examples.js'
import { formulaBackend, formulaOf, named } from './formula.js'

/** What is found out about an op by running its example. */
export interface Facts {
  /** What the example gives, printed. */
  readonly result: string
  /** What it computes, where that is short and says more than its name. */
  readonly formula?: string
  /** `dx = g / x`. Empty where the op has no derivative; undefined where they are too long to print. */
  readonly derivatives: readonly string[] | undefined
  /** `dx = 0 at x = 0`: what is returned where the derivative jumps or is infinite. */
  readonly singular: readonly string[]
  readonly dtype: string
}

const LONGEST = 120

export function factsOf(name: string, example: Example): Facts {
  const formula = formulaFor(name, example)
  return {
    result: listOf(example.call(example.operands as never))
      .map((x) =>
        String(x)
          .replace(/\s+/g, ' ')
          .replace(/([[]) /g, '$1'),
      )
      .join(', '),
    ...(formula !== undefined && { formula }),
    derivatives: derivativesFor(example),
    singular: singularPointsOf(name, example),
    dtype: dtypeRuleOf(example),
  }
}

function listOf(result: Tensor | readonly Tensor[]): readonly Tensor[] {
  return result instanceof Tensor ? [result] : result
}

/** The operands with every tensor replaced. */
function mapped(operands: Operands, f: (x: Tensor, name: string) => Tensor): Operands {
  return Object.fromEntries(
    Object.entries(operands).map(([name, x]) => [
      name,
      x instanceof Tensor ? f(x, name) : x.map((each, i) => f(each, `${name}[${i}]`)),
    ]),
  )
}

const isPublic = (op: string): boolean => op in ops

/** The operands as names, to be used on a backend that computes formulas. */
function asNames(operands: Operands): Operands {
  return mapped(operands, (x, name) => {
    const dtype = isFloat(x.dtype) ? 'float64' : x.dtype
    return named(fromHost(x.dataSync(), x.shape, dtype), name)
  })
}

function formulaFor(name: string, { operands, call }: Example): string | undefined {
  const used: ScalarFunction[] = []
  const formulas = formulaBackend((op) => isPublic(op) && op !== name)
  const backend: Backend = {
    ...formulas,
    run(kernel, inputs, out) {
      if (kernel.kind === 'map') used.push(kernel.fn)
      return formulas.run(kernel, inputs, out)
    },
  }
  const results = withBackend(backend, () => listOf(call(asNames(operands) as never)))
  // With its parameters by name.
  const own = rows.get(name)?.fn
  const text = own !== undefined && used.length === 1 && used[0] === own ? own.source : formulaOf(results[0]!)
  const saysNothing = text.startsWith(`${name}(`) || Object.keys(operands).includes(text)
  return results.length > 1 || saysNothing || text.length > LONGEST ? undefined : text
}

function derivativesFor({ operands, call }: Example): string[] | undefined {
  return withBackend(formulaBackend(isPublic), () => {
    const given = asNames(operands)
    const floats = Object.entries(given).filter(([, x]) => listOf(x).every((each) => isFloat(each.dtype)))
    const names = floats.map(([name]) => name)
    const [outs, pullback] = vjp(
      (...primals: TensorTree[]): TensorTree => {
        const replaced = Object.fromEntries(names.map((name, i) => [name, primals[i]!]))
        const made = listOf(call({ ...given, ...replaced } as never)).filter((out) => isFloat(out.dtype))
        return made.map((out, i) => named(out, made.length === 1 ? 'out' : `out[${i}]`))
      },
      floats.map(([, x]) => x),
    )
    const made = outs as readonly Tensor[]
    if (made.length === 0 || floats.length === 0) return []
    const cotangents = made.map((out, i) =>
      named(zeros(out.shape, out.dtype), made.length === 1 ? 'g' : `g[${i}]`),
    )
    const lines = pullback(cotangents).flatMap((cotangent, i) =>
      listOf(cotangent).map((x, at) => {
        const text = formulaOf(x)
        const of = floats[i]![1] instanceof Tensor ? names[i]! : `${names[i]!}[${at}]`
        return `d${of} = ${/^zeros\([^()]*\)$/.test(text) ? '0' : text}`
      }),
    )
    return lines.some((line) => line.length > LONGEST) ? undefined : lines
  })
}

/** Where the derivative of an elementwise op of one tensor jumps, or is infinite: what is returned there. */
function singularPointsOf(name: string, { operands, call, shape }: Example): string[] {
  const names = Object.keys(operands)
  if (shape !== undefined || names.length !== 1) return []
  const at = (x: number): Operands => ({ [names[0]!]: fromHost(Float64Array.of(x), [], 'float64') })
  const value = (x: number): number => listOf(call(at(x) as never))[0]!.itemSync()
  if (listOf(call(at(1) as never))[0]!.dtype !== 'float64') return []
  const slope = (x: number): number =>
    grad((primal: Tensor) => listOf(call({ [names[0]!]: primal } as never))[0]!)(
      at(x)[names[0]!] as Tensor,
    ).itemSync()
  const points = new Set([0, 1, -1])
  for (const row of rows.values()) for (const kink of row.kinks ?? []) points.add(kink)
  return [...points]
    .toSorted((a, b) => a - b)
    .filter((x) => {
      if (Number.isNaN(value(x))) return false
      const [left, right] = [slope(x - 1e-7), slope(x + 1e-7)]
      return !Number.isFinite(slope(x)) || Math.abs(left - right) > 1e-3 * Math.max(1, Math.abs(left))
    })
    .map((x) => `\`d${names[0]!} = ${timesG(slope(x))}\` at ${x}`)
}

function timesG(slope: number): string {
  return slope === 0 ? '0' : slope === 1 ? 'g' : `${slope} * g`
}

const ORDER: readonly NumericDType[] = ['bool', 'uint8', 'int32', 'float32', 'float64']

/** For the results of bool, uint8, int32, float32, float64, in this order. */
const RULES: Readonly<Record<string, string>> = {
  'bool uint8 int32 float32 float64': 'as the operands',
  'int32 uint8 int32 float32 float64': 'as the operands; bool becomes int32',
  'int32 int32 int32 float32 float64': 'as the operands; bool and uint8 become int32',
  'float32 float32 float32 float32 float64': 'float; whole numbers become the default float',
  'refused float32 float32 refused refused': 'the default float, unless asked for another',
  'bool bool bool bool bool': 'bool',
  'int32 int32 int32 int32 int32': 'int32',
}

/** Operands of each dtype are handed in, and the results read off. */
function dtypeRuleOf({ operands, call }: Example): string {
  const isFixed = Object.values(operands).every((x) => listOf(x).every(({ dtype }) => dtype === 'int32'))
  const results = ORDER.map((dtype) =>
    withBackend(abstractBackend, () => {
      const given = mapped(operands, (x) =>
        ones(x.shape, isFixed || isFloat(x.dtype) || x.dtype === dtype ? dtype : x.dtype),
      )
      try {
        return listOf(call(given as never))[0]!.dtype
      } catch {
        return 'refused'
      }
    }),
  )
  return RULES[results.join(' ')] ?? ORDER.map((dtype, i) => `${dtype}: ${results[i]!}`).join(', ')
}
