import { abstractBackend } from './abstract.js'
import { checkAnomaly, isWatchingForAnomalies } from './anomaly.js'
import { type Aval, avalOf } from './aval.js'
import { type Backend, currentBackend, type Kernel, readNow, type Stored, withBackend } from './backend.js'
import { allocate, type DType, floatx, isFloat, type NumericDType, promote, toFloat } from './dtype.js'
import { BackendError, didYouMean, DTypeError, show, typeName, ValueError } from './errors.js'
import { ScalarFunction } from './expr/scalar.js'
import { broadcastShapes, formatShape, type Shape, type Sizes } from './shape.js'
import { signatureOf } from './signature.js'
import { isRecording, record } from './tape.js'
import {
  disposed,
  formatIndex,
  fromHost,
  isDisposedHandle,
  Tensor,
  type TensorLike,
  unflatten,
} from './tensor.js'

/** What a gradient rule is given: the cotangent `g` of the output, the output, the arguments by name, the attributes. */
export type RuleContext<A extends string, P> = {
  readonly g: Tensor
  readonly out: Tensor
  readonly attrs: P
  /** All arguments in order, for rows with a variadic one. */
  readonly inputs: readonly Tensor[]
} & {
  readonly [K in A]: Tensor
}

/**
 * The cotangent of one argument, written in ops. What a rule is given or makes it must not keep for later: with the
 * gradient it is gone. `at` tells which of a variadic argument's tensors is meant.
 */
export type Rule<A extends string, P> = (context: RuleContext<A, P>, at: number) => Tensor

/** All there is to know about an op. */
export interface Row<A extends string = string, P = unknown> {
  readonly name: string
  readonly args: readonly A[]
  /** The last argument stands for any number of tensors. */
  readonly variadic?: boolean
  /**
   * The output's shape and dtype, or a typed error. Everything is checked here; kernels check nothing. They follow from
   * the arguments alone, and so does the kernel: what is worked out once is used again.
   */
  infer(inputs: readonly Aval[], attrs: P): Aval
  kernel(attrs: P, inputs: readonly Aval[], out: Aval): Kernel
  /**
   * For an op of one argument whose output has sides that follow from it in no simple way: the output's shape in a
   * graph, where sides are null until there is data, the batch (axis 0) among them. Null where it would mix the batch.
   */
  shapeInGraph?(shape: Shape, attrs: P): Shape | null
  /** A rule for each argument; null where nothing flows. Null for the whole where the output has no derivative. */
  readonly vjp: { readonly [K in A]: Rule<A, P> | null } | null
  /** An argument whose values must be whole numbers in [0, limit): checked before anything runs. */
  readonly bounds?: {
    readonly arg: A
    limit(inputs: readonly Aval[], attrs: P): number
    readonly what: string
  }
  /** Written in other ops: applying it runs this. Made by {@link composite}, and not in the table. */
  readonly compose?: (inputs: readonly Tensor[], attrs: P) => Tensor
  /** The formula, for elementwise rows. */
  readonly fn?: ScalarFunction
  /** Whether all attributes are numbers in the formula: shapes and code are the same for any. */
  readonly isParametric?: boolean
  /**
   * Where argument number `at` of an elementwise row reaches the output, if not everywhere. Elsewhere nothing flows back
   * through the elementwise ops that made it either, be their derivatives infinite there.
   */
  reach?(at: number, inputs: readonly Tensor[]): Tensor
  /** Where an elementwise row is sampled by tests: [low, high] for each argument. */
  readonly domain?: { readonly [K in A]?: readonly [number, number] }
  /** Where an elementwise row has no two-sided derivative. */
  readonly kinks?: readonly number[]
  /**
   * How far, in units of the last place, float32 results may be from the nearest numbers to the true ones: kernels that
   * compute in float32 keep to it. Where a row says nothing, they are computed in float64 and rounded once.
   */
  readonly ulps?: number
}

/** Any row, its names and attributes forgotten. */
// Rules take their own attributes, so rows of different attributes have no common type but this.
// eslint-disable-next-line typescript/no-explicit-any
export type AnyRow = Row<string, any>

/** A stand-in for a tensor in a graph that is being built: applying a row to it extends the graph. */
export interface Staged {
  readonly kind: 'symbolic'
  /** Without the batch. */
  readonly shape: Shape
  readonly [APPLY]: (row: AnyRow, operands: readonly Operand[], attrs: unknown) => unknown
  /** The types of an op's result on this operand, of the same shape or of any; no value. */
  readonly [STAGED]?: { readonly same: unknown; readonly any: unknown }
}
export const APPLY: unique symbol = Symbol('apply')
export const STAGED: unique symbol = Symbol('staged')

/** What ops take. */
export type Operand = TensorLike | Staged

/** The type of an op's result: a Tensor of tensors, a node of nodes. */
export type Result<X> = StagedOf<X, 'any'>
/** As {@link Result}, for ops that keep the shape of their operand. */
export type Like<X> = StagedOf<X, 'same'>
type StagedOf<X, K extends 'same' | 'any'> = [Extract<X, Staged>] extends [never]
  ? Tensor
  : NonNullable<Extract<X, Staged>[typeof STAGED]>[K]

export const rows: Map<string, AnyRow> = new Map()

/** Ops written in other ops, by name: graphs that were saved are made again of these and of {@link rows}. */
export const composites: Map<string, AnyRow> = new Map()

/** What a rule's context holds beside the arguments. */
const CONTEXT_NAMES: readonly string[] = ['g', 'out', 'attrs', 'inputs']

/** Enters a row in the table. @throws ValueError when the name, or one of an argument, is taken. */
export function defineOp<const A extends string, P>(row: Row<A, P>): Row<A, P> {
  if (rows.has(row.name)) throw new ValueError(`defineOp: there is already an op ${show(row.name)}`)
  const taken = row.args.find((arg) => CONTEXT_NAMES.includes(arg))
  if (taken !== undefined)
    throw new ValueError(
      `defineOp: ${show(row.name)} has an argument ${show(taken)}, which gradient rules know as something else; ` +
        `${CONTEXT_NAMES.join(', ')} are taken`,
    )
  rows.set(row.name, row as AnyRow)
  return row
}

interface CompositeSpec<A extends string, P> {
  readonly name: string
  readonly args: readonly A[]
  readonly variadic?: boolean
  /** The op in other ops. Shapes are known here, also where it stands in a graph: there it runs when the graph does. */
  readonly compose: (inputs: readonly Tensor[], attrs: P) => Tensor
  readonly shapeInGraph?: (shape: Shape, attrs: P) => Shape | null
}

/** An op written in other ops: one node of a graph, many entries of the tape. */
export function composite<const A extends string, P>(spec: CompositeSpec<A, P>): Row<A, P> {
  const row: Row<A, P> = {
    ...spec,
    infer: (inputs, attrs) =>
      withBackend(abstractBackend, () => spec.compose(inputs.map(withoutValues), attrs)),
    kernel() {
      throw new BackendError(`${spec.name}: is made of other ops and has no kernel of its own`)
    },
    vjp: null,
  }
  composites.set(spec.name, row as AnyRow)
  return row
}

/** A tensor of which only this is known. @internal */
export function withoutValues({ shape, dtype }: Aval): Tensor {
  const aval = avalOf(shape, dtype as NumericDType)
  return new Tensor(aval, abstractBackend.upload([], aval), abstractBackend)
}

/** The one door: infer, run, record. */
export function apply<P>(row: Row<string, P>, operands: readonly Tensor[], attrs: P): Tensor {
  if (row.compose !== undefined) return row.compose(operands, attrs)
  const backend = currentBackend()
  const inputs = new Array<Tensor>(operands.length)
  let isHere = true
  for (let i = 0; i < operands.length; i++) {
    const value = operands[i]!.read()
    if (isDisposedHandle(value.handle)) throw disposed(row.name, value)
    if (value.backend !== backend) isHere = false
    inputs[i] = value
  }
  const signature = signatureOf(row as AnyRow, inputs, attrs)
  const stored: readonly Stored[] = isHere
    ? inputs
    : inputs.map((x, i) => resident(row, x, backend, operands[i]!.isVariable))
  if (row.bounds !== undefined) checkBounds(row, stored, attrs, backend)
  const handle = signature.run(backend, stored, attrs)
  const out = new Tensor(signature.out, handle, backend)
  if (isWatchingForAnomalies()) checkAnomaly(row.name, inputs, out)
  if (isRecording()) record(row as AnyRow, inputs, attrs, out)
  return out
}

/** The door for operands of any kind: numbers become scalars, a staged operand takes the row over. */
export function call<P>(row: Row<string, P>, operands: readonly Operand[], attrs: P): Tensor {
  let inputs = operands
  for (let i = 0; i < operands.length; i++) {
    const x = operands[i]!
    if (x instanceof Tensor) continue
    // The declared results of ops on staged operands are what their APPLY returns.
    if (isStaged(x)) return x[APPLY](row as AnyRow, operands, attrs) as Tensor
    if (typeof x !== 'number') throw notAnOperand(row, i, x)
    inputs = inputs.with(i, constantFor(row, x, operands))
  }
  // All of them are tensors now.
  return apply(row, inputs as readonly Tensor[], attrs)
}

/** The sides of an operand, the batch included (null where only the data will tell). */
export function sidesOf(x: Operand): Shape {
  if (x instanceof Tensor) return x.shape
  return isStaged(x) ? [null, ...x.shape] : []
}

export function isStaged(x: unknown): x is Staged {
  return (typeof x === 'object' || typeof x === 'function') && x !== null && APPLY in x
}

function notAnOperand(row: Row<string, never>, at: number, x: unknown): ValueError {
  const arg = row.args[Math.min(at, row.args.length - 1)]!
  const hint = Array.isArray(x) || ArrayBuffer.isView(x) ? '; wrap it in tensor(…)' : ''
  return new ValueError(`${row.name}: ${arg} must be a tensor or a number, got ${typeName(x)}${hint}`, {
    op: row.name,
  })
}

/** A number takes the dtype of the tensors beside it; a fraction beside whole numbers makes a float. */
function constantFor(row: Row<string, never>, value: number, operands: readonly Operand[]): Tensor {
  let beside: DType | undefined
  for (const x of operands)
    if (x instanceof Tensor) beside = beside === undefined ? x.dtype : promote(row.name, beside, x.dtype)
  return constant(value, beside === undefined ? floatx() : weakDType(value, beside))
}

function weakDType(value: number, beside: DType): NumericDType {
  if (isFloat(beside)) return beside
  if (beside === 'int32' || beside === 'uint8' || beside === 'bool')
    return (value | 0) === value
      ? beside === 'uint8' && value >= 0 && value < 256
        ? 'uint8'
        : 'int32'
      : floatx()
  return floatx()
}

/** A scalar tensor. */
export function constant(value: number, dtype: NumericDType): Tensor {
  const backend = currentBackend()
  if (backend.constant !== undefined)
    return new Tensor(avalOf(SCALAR, dtype), backend.constant(value, dtype), backend)
  const values = allocate(dtype, 1)
  values[0] = value
  return fromHost(values, SCALAR, dtype)
}
const SCALAR: Sizes = []

/** Where the values of `x` are on `backend`; they are copied there if need be. */
function resident(row: Row<string, never>, x: Tensor, backend: Backend, isVariable: boolean): Stored {
  if (x.backend === backend || backend === abstractBackend) return x
  if (x.backend === abstractBackend)
    throw new BackendError(
      `${row.name}: a tensor without values, made while shapes were inferred, was kept and used afterwards`,
      { op: row.name },
    )
  if (backend.adopt !== undefined) return { shape: x.shape, dtype: x.dtype, handle: backend.adopt(x) }
  const values = readNow(x.backend, x.handle, x)
  if (values === undefined)
    throw new BackendError(
      isVariable
        ? `${row.name}: a variable on the ${x.backend.name} backend was used on ${backend.name}, and the host does not know ` +
            "its values as they are now; it does after await v.data(), and those of a model's weights after fit, or await " +
            'Promise.all(model.weights.map((v) => v.data()))'
        : `${row.name}: a tensor on the ${x.backend.name} backend was used on ${backend.name}; copy it with tensor(await x.data())`,
      { op: row.name },
    )
  return { shape: x.shape, dtype: x.dtype, handle: backend.upload(values, x) }
}

function checkBounds<P>(row: Row<string, P>, inputs: readonly Stored[], attrs: P, backend: Backend): void {
  const bounds = row.bounds!
  if (backend.firstOutside === undefined && backend.check === undefined) return
  const indices = inputs[row.args.indexOf(bounds.arg)]!
  const most = bounds.limit(inputs, attrs)
  const fail = (value: number, at: number): ValueError =>
    new ValueError(
      `${row.name}: ${bounds.what} ${show(value)} at position ${formatIndex(unflatten(at, indices.shape))} is out of range; ` +
        `valid are 0..${most - 1}`,
      { op: row.name },
    )
  if (backend.check !== undefined) {
    backend.check(indices, most, fail)
    return
  }
  const at = backend.firstOutside!(indices.handle, indices, most)
  if (at >= 0) throw fail((readNow(backend, indices.handle, indices) as ArrayLike<number>)[at]!, at)
}

// ---- elementwise rows

/** Which dtype the output of an elementwise row has, given its inputs' dtypes. */
export type DTypeRule = 'same' | 'number' | 'float' | 'bool'

interface ElementwiseSpec<A extends string, N extends string> {
  readonly name: string
  readonly args: readonly A[]
  /** The formula over the arguments and parameters, see expr/. */
  readonly expr: string
  /** Names of scalar parameters in the formula; they are the row's attributes. */
  readonly params?: readonly N[]
  /**
   * float (default): floats stay, whole numbers become the default float. number: as promoted, bool counts as int32.
   * same: as promoted. bool: always bool.
   */
  readonly dtype?: DTypeRule
  readonly vjp: { readonly [K in A]: Rule<A, Params<N>> | null } | null
  readonly domain?: { readonly [K in A]?: readonly [number, number] }
  readonly kinks?: readonly number[]
  readonly ulps?: number
}
export type Params<N extends string> = { readonly [K in N]: number }

/** A row whose output at each position is a formula of its inputs at that position. */
export function elementwise<const A extends string, const N extends string = never>(
  spec: ElementwiseSpec<A, N>,
): Row<A, Params<N>> {
  const { name, args, expr, params = [] } = spec
  const rule = spec.dtype ?? 'float'
  const fn = new ScalarFunction(expr, args, params)
  const plain: Kernel = { kind: 'map', fn, params: [] }
  return defineOp<A, Params<N>>({
    name,
    args,
    fn,
    infer: (inputs) => inferElementwise(name, rule, inputs),
    kernel:
      params.length === 0
        ? () => plain
        : (attrs) => ({ kind: 'map', fn, params: params.map((p) => attrs[p]) }),
    isParametric: params.length > 0,
    vjp: spec.vjp,
    ...(spec.domain && { domain: spec.domain }),
    ...(spec.kinks && { kinks: spec.kinks }),
    ...(spec.ulps && { ulps: spec.ulps }),
  })
}

function inferElementwise(name: string, rule: DTypeRule, inputs: readonly Aval[]): Aval {
  let { shape, dtype } = inputs[0]!
  for (let i = 1; i < inputs.length; i++) {
    const next = inputs[i]!
    shape = broadcastShapes(name, shape, next.shape)
    if (dtype !== next.dtype || dtype === 'string') dtype = promote(name, dtype, next.dtype)
  }
  return { shape, dtype: resultDType(name, rule, dtype) }
}

function resultDType(name: string, rule: DTypeRule, dtype: DType): DType {
  if (rule === 'float') return toFloat(name, dtype)
  if (dtype === 'string') promote(name, dtype, dtype)
  if (rule === 'bool') return 'bool'
  return rule === 'number' && dtype === 'bool' ? 'int32' : dtype
}

/** An op of one tensor, keeping its shape. */
export interface Unary {
  <X extends Operand>(x: X): Like<X>
  readonly row: Row<'x', Params<never>>
}

/** An op of two tensors that broadcast to one shape. */
export interface Binary {
  <X extends Operand, Y extends Operand>(x: X, y: Y): Result<X | Y>
  readonly row: Row<'x' | 'y', Params<never>>
}

const NONE = {}

export function unary(spec: ElementwiseSpec<'x', never>): Unary {
  const row = elementwise<'x'>(spec)
  const f = (x: Operand): Tensor => call(row, [x], NONE)
  return Object.assign(f, { row })
}

export function binary(spec: ElementwiseSpec<'x' | 'y', never>): Binary {
  const row = elementwise<'x' | 'y'>(spec)
  const f = (x: Operand, y: Operand): Tensor => call(row, [x, y], NONE)
  return Object.assign(f, { row })
}

// ---- checks that ops share

/** `value` if it is a finite number (or an infinity where allowed). */
export function checkNumber(op: string, name: string, value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value))
    throw new ValueError(`${op}: ${name} must be a number, got ${show(value)}`, { op })
  return value
}

export function checkOption<T extends string>(
  op: string,
  name: string,
  value: unknown,
  options: readonly T[],
): T {
  if (typeof value === 'string' && (options as readonly string[]).includes(value)) return value as T
  throw new ValueError(
    `${op}: ${name} ${show(value)} is unknown; known are ${options.join(', ')}.${didYouMean(value, options)}`,
    { op },
  )
}

/** @throws DTypeError unless the tensor holds numbers. */
export function checkNumeric(op: string, x: Aval): void {
  if (x.dtype === 'string')
    throw new DTypeError(`${op}: got strings, of shape ${formatShape(x.shape)}`, { op })
}
