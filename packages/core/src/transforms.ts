import { backward } from './backward.js'
import { currentBackend, isThenable } from './backend.js'
import { isFloat } from './dtype.js'
import { DTypeError, ShapeError, show, typeName, ValueError } from './errors.js'
import { checkFunction, checkOptions } from './options.js'
import { formatShape, isList, sameShape } from './shape.js'
import { inScope, tensorsWithin } from './scope.js'
import { positionOf, Scope, type Segment, withoutRecording } from './tape.js'
import { ones, Tensor, type Variable, zeros } from './tensor.js'
import { formatPath, isRecord, leavesOf, mapTree, replaceLeaves, type Tree } from './tree.js'

/** A pytree of tensors: a tensor, or lists and records of such. */
export type TensorTree = Tree<Tensor>

/** Options of the transforms that differentiate by arguments. */
export interface ArgOptions<N extends number | readonly number[] = number | readonly number[]> {
  /** Which arguments to differentiate by; the first unless given. A list gives a list of gradients. */
  readonly argnums?: N
}

type Args = readonly unknown[]
type GradOf<A extends Args, N> = [N] extends [readonly number[]]
  ? { -readonly [K in keyof N]: N[K] extends keyof A ? A[N[K]] : A[number] }
  : N extends keyof A
    ? A[N]
    : number extends N
      ? A[0]
      : A[number]

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** A scope for one gradient; when it is the outermost, its backward pass is not recorded. */
export function differentiating<R>(f: (scope: Scope) => R): R {
  const scope = new Scope()
  try {
    return f(scope)
  } finally {
    scope.close()
  }
}

/** Runs the backward pass of a scope, recorded only where a gradient around it needs that. */
export function withRecordingIfNested<R>(scope: Scope, f: () => R): R {
  return scope.isOutermost ? withoutRecording(f) : f()
}

/** `tree` with its tensors renamed for this scope, and the new tensors in order. */
export function renamed(
  scope: Scope,
  op: string,
  tree: unknown,
  name: string,
): { tree: TensorTree; leaves: Tensor[] } {
  const leaves: Tensor[] = []
  const copy = mapTree(tree as TensorTree, isTensor, (leaf, path) => {
    checkDifferentiable(op, formatPath(name, path), leaf)
    const alias = scope.rename(leaf)
    leaves.push(alias)
    return alias
  })
  return { tree: copy, leaves }
}

export function checkDifferentiable(op: string, what: string, x: unknown): void {
  if (!isTensor(x)) throw new ValueError(`${op}: ${what} must be a tensor, got ${typeName(x)}`, { op })
  if (!isFloat(x.dtype))
    throw new DTypeError(`${op}: ${what} is ${x.dtype}; gradients exist for float32 and float64 only`, { op })
}

export function checkTuple(op: string, name: string, list: unknown): void {
  if (!Array.isArray(list))
    throw new ValueError(`${op}: ${name} must be a list, one for each argument, got ${show(list)}`, { op })
}

/** What a differentiated function may return. @throws ValueError for anything else, with the way out. */
export function checkOutput(op: string, value: unknown): asserts value is Tensor {
  if (isTensor(value)) return
  const hint = isThenable(value) ? '; differentiate a synchronous function' : ''
  throw new ValueError(`${op}: the function returned ${typeName(value)}, not a tensor${hint}`, { op })
}

/** The tensors of a structure, in order. @throws ValueError for anything else in it, saying where. */
export function tensorsIn(op: string, tree: unknown, name: string): Tensor[] {
  const found: Tensor[] = []
  mapTree(tree as TensorTree, isTensor, (leaf: unknown, path) => {
    if (!isTensor(leaf))
      throw new ValueError(`${op}: ${formatPath(name, path)} must be a tensor, got ${typeName(leaf)}`, { op })
    found.push(leaf)
  })
  return found
}

/** The tensors that a function returned, in order. @throws ValueError for anything else, with the way out. */
export function checkedOutputs(op: string, value: unknown): Tensor[] {
  const found = leavesOf<Tensor>(value as TensorTree, isTensor)
  for (const out of found) checkOutput(op, out)
  return found
}

export function checkScalar(op: string, value: Tensor): void {
  if (value.size !== 1 || value.rank > 0)
    throw new ValueError(
      `${op}: the function returned ${formatShape(value.shape)}, not a scalar; reduce it, or pass a cotangent to vjp`,
      { op, shapes: [value.shape] },
    )
  if (!isFloat(value.dtype))
    throw new DTypeError(`${op}: the function returned ${value.dtype}; gradients exist for floats only`, {
      op,
    })
}

/** The cotangents at `leaves`, zeros where the output does not depend on one. */
function cotangentsAt(scope: Scope, out: Tensor, cotangent: Tensor, leaves: readonly Tensor[]): Tensor[] {
  return withRecordingIfNested(scope, () => {
    const position = positionOf(out)
    const seeds = position < 0 ? [] : [{ position, cotangent }]
    const found = backward(scope.segment(), seeds, leaves.map(positionOf))
    return leaves.map((leaf, i) => found[i] ?? zeros(leaf.shape, leaf.dtype))
  })
}

/**
 * The function that returns `[value, gradient]` of `f`, which must return a scalar. Arguments may be pytrees of
 * float tensors; the gradient has the structure of the argument (of a list of them for a list of `argnums`).
 * @throws ValueError when `f` returns no scalar; DTypeError for arguments that are no floats.
 * @example valueAndGrad((x: Tensor) => x.square().sum())(tensor([1, 2])) // [5, [2., 4.]]
 */
export function valueAndGrad<A extends Args, const N extends number | readonly number[] = 0>(
  f: (...args: A) => Tensor,
  options: ArgOptions<N> = {},
): (...args: A) => [value: Tensor, gradient: GradOf<A, N>] {
  checkFunction('valueAndGrad', f)
  checkOptions('valueAndGrad', options, ['argnums'])
  return (...args) =>
    inScope(() => differentiate('valueAndGrad', f, options.argnums, args), tensorsWithin) as [
      Tensor,
      GradOf<A, N>,
    ]
}

/** As {@link valueAndGrad}, the gradient alone. */
export function grad<A extends Args, const N extends number | readonly number[] = 0>(
  f: (...args: A) => Tensor,
  options: ArgOptions<N> = {},
): (...args: A) => GradOf<A, N> {
  checkFunction('grad', f)
  checkOptions('grad', options, ['argnums'])
  return (...args) =>
    inScope(() => differentiate('grad', f, options.argnums, args)[1] as GradOf<A, N>, tensorsWithin)
}

function checkArgnums(op: string, argnums: unknown, count: number): readonly number[] {
  const nums: unknown = typeof argnums === 'number' ? [argnums] : argnums
  if (!isList(nums) || nums.length > count)
    throw new ValueError(
      `${op}: argnums must be a number or a list of at most ${count}, got ${show(argnums)}`,
      { op },
    )
  return Array.from(nums, (n, i) => {
    if (typeof n !== 'number' || !Number.isInteger(n) || n < 0 || n >= count)
      throw new ValueError(
        `${op}: argnums ${show(n)} is out of range; the function was given ${count} arguments`,
        { op },
      )
    if (nums.indexOf(n) < i) throw new ValueError(`${op}: argnums ${show(nums)} names ${n} twice`, { op })
    return n
  })
}

function differentiate<A extends Args>(
  op: string,
  f: (...args: A) => Tensor,
  argnums: number | readonly number[] = 0,
  args: A,
): [Tensor, unknown] {
  return differentiating((scope) => {
    const called: unknown[] = [...args]
    const parts = checkArgnums(op, argnums, args.length).map((n) => {
      const part = renamed(scope, op, args[n], `argument ${n}`)
      called[n] = part.tree
      return part
    })
    const value: unknown = f(...(called as unknown as A))
    checkOutput(op, value)
    checkScalar(op, value)
    const all = parts.flatMap((part) => part.leaves)
    const gradients = cotangentsAt(scope, value, ones([], value.dtype), all)
    let next = 0
    const trees = parts.map((part) =>
      replaceLeaves(part.tree, isTensor, gradients.slice(next, (next += part.leaves.length))),
    )
    return [value, typeof argnums === 'number' ? trees[0] : trees]
  })
}

/**
 * The value of `f` and its gradients by variables that it reads: what a training step needs.
 * A variable it does not depend on gets zeros.
 */
export function valueAndGrads(
  f: () => Tensor,
  variables: readonly Variable[],
): { value: Tensor; grads: Tensor[] } {
  checkFunction('valueAndGrads', f)
  checkTuple('valueAndGrads', 'variables', variables)
  const run = (scope: Scope): { value: Tensor; grads: Tensor[] } => {
    for (const [i, v] of variables.entries()) {
      checkDifferentiable('valueAndGrads', v instanceof Tensor && v.name ? v.name : `variable ${i}`, v)
      scope.watch(v, v.read())
    }
    const value: unknown = f()
    checkOutput('valueAndGrads', value)
    checkScalar('valueAndGrads', value)
    return { value, grads: gradientsBy(scope, value, ones([], value.dtype), variables) }
  }
  return inScope(
    () => differentiating(run),
    ({ value, grads }) => [value, ...grads],
  )
}

/** Gradients by tensors and variables that a scope watches, or that were made under it. */
export function gradientsBy(
  scope: Scope,
  out: Tensor,
  cotangent: Tensor,
  sources: readonly Tensor[],
): Tensor[] {
  return withRecordingIfNested(scope, () => {
    const position = positionOf(out)
    const leaves = sources.map((x) =>
      scope.watches(x) ? scope.leavesOf(x) : [positionOf(x)].filter((p) => p >= scope.start),
    )
    const seeds = position < 0 ? [] : [{ position, cotangent }]
    const found = backward(scope.segment(), seeds, leaves.flat())
    let next = 0
    return sources.map((x, i) => {
      const parts = found.slice(next, (next += leaves[i]!.length)).filter((part) => part !== undefined)
      return parts.length === 0 ? zeros(x.shape, x.dtype) : parts.reduce((a, b) => a.add(b))
    })
  })
}

/**
 * The value of `f` at `primals`, and its pullback: the function that takes a cotangent of the value (of the same
 * structure) to the cotangents of the primals. The pullback may be called any number of times.
 * @throws ShapeError, DTypeError for a cotangent unlike the value.
 */
export function vjp<A extends Args, R extends TensorTree>(
  f: (...primals: A) => R,
  primals: A,
): [value: R, pullback: (cotangent: R) => { -readonly [K in keyof A]: A[K] }] {
  checkFunction('vjp', f)
  checkTuple('vjp', 'primals', primals)
  return differentiating((scope) => {
    const parts = Array.from(primals, (primal, i) => renamed(scope, 'vjp', primal, `primal ${i}`))
    const value = f(...(parts.map((part) => part.tree) as unknown as A))
    const outs = leavesOf<Tensor>(value, isTensor)
    for (const out of outs) checkOutput('vjp', out)
    const positions = outs.map(positionOf)
    const segment: Segment = scope.segment()
    const wanted = parts.map((part) => part.leaves.map(positionOf))
    const pullback = (cotangent: R): { -readonly [K in keyof A]: A[K] } => {
      const given = tensorsLike('vjp', 'the cotangent', cotangent, value, 'the value')
      const seeds = positions.flatMap((position, i) =>
        position < 0 ? [] : [{ position, cotangent: given[i]! }],
      )
      const found = backward(segment, seeds, wanted.flat())
      let next = 0
      return parts.map((part) =>
        replaceLeaves(
          part.tree,
          isTensor,
          part.leaves.map((leaf) => found[next++] ?? zeros(leaf.shape, leaf.dtype)),
        ),
      ) as { -readonly [K in keyof A]: A[K] }
    }
    pinAll(segment)
    return [value, pullback]
  })
}

/** A pullback reads what it needs whenever it is called, old values of variables too. */
function pinAll({ entries }: Segment): void {
  if (currentBackend().pin === undefined) return
  for (const { inputs } of entries) for (const { backend, handle } of inputs) backend.pin?.(handle)
}

/**
 * The tensors of `given` in the order of those of `like`, whose structure, shapes and dtypes it must have; records are
 * matched by their keys.
 */
export function tensorsLike(
  op: string,
  name: string,
  given: unknown,
  like: TensorTree,
  role: string,
): Tensor[] {
  const found: Tensor[] = []
  const match = (x: unknown, y: TensorTree, path: readonly (string | number)[]): void => {
    const what = `${op}: ${formatPath(name, path)} must be`
    if (isTensor(y)) found.push(checkTensorLike(op, what, x, y, role))
    else if (isList(y)) {
      if (!isList(x) || x.length !== y.length)
        throw new ValueError(`${what} a list of ${y.length} like ${role}, got ${show(x)}`, { op })
      y.forEach((part, i) => match(x[i], part, [...path, i]))
    } else {
      const keys = Object.keys(y)
      if (!isRecord(x) || keys.length !== Object.keys(x).length || keys.some((key) => !Object.hasOwn(x, key)))
        throw new ValueError(
          `${what} a record of ${keys.join(', ')} like ${role}, got ` +
            (isRecord(x) ? Object.keys(x).join(', ') : show(x)),
          { op },
        )
      for (const key of keys) match(x[key], (y as Readonly<Record<string, TensorTree>>)[key]!, [...path, key])
    }
  }
  match(given, like, [])
  return found
}

function checkTensorLike(op: string, what: string, x: unknown, y: Tensor, role: string): Tensor {
  if (!isTensor(x)) throw new ValueError(`${what} a tensor, got ${typeName(x)}`, { op })
  if (!sameShape(x.shape, y.shape) || x.dtype !== y.dtype)
    throw new ShapeError(
      `${what} ${formatShape(y.shape)} ${y.dtype} like ${role}, got ${formatShape(x.shape)} ${x.dtype}`,
      { op, shapes: [y.shape, x.shape] },
    )
  return x
}
