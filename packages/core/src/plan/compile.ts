import type { Aval } from '../aval.js'
import { type Backend, currentBackend, isThenable, withBackend } from '../backend.js'
import { BackendError, show, typeName, ValueError } from '../errors.js'
import { checkFunction } from '../options.js'
import { sameShape } from '../shape.js'
import { isRecording, withoutRecording } from '../tape.js'
import { Tensor } from '../tensor.js'
import { isRecord, leavesOf, mapTree, type Tree } from '../tree.js'
import { Capture } from './capture.js'
import { exactNumber } from './exact.js'
import { hasPlans, planOn } from './plan.js'
import type { Program, Replay } from './program.js'
import { difference } from './simplify.js'

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** What one capture found: the program, and what the function returned. */
export interface Captured<R> {
  readonly program: Program
  readonly result: R
}

/** Runs `f` once without computing anything, and returns what it would compute. Variables stay as they are. */
export function capture<A extends readonly unknown[], R>(f: (...args: A) => R, args: A): Captured<R> {
  const backend = new Capture()
  try {
    return withBackend(backend, () =>
      withoutRecording(() => {
        let index = 0
        const staged = replaceTensors(args, (x) => {
          return new Tensor(x.aval, backend.argument(index++, x.aval), backend)
        })
        const result = f(...staged)
        if (isThenable(result))
          throw new BackendError('compile: the function is asynchronous; compile its synchronous parts')
        return { program: backend.finish(tensorsOf(result)), result }
      }),
    )
  } finally {
    backend.restore()
  }
}

/** The tensors of a pytree that may have other leaves too. */
function tensorsOf(tree: unknown): Tensor[] {
  return leavesOf(tree as Tree<Tensor>, isTensor).filter(isTensor)
}

function replaceTensors<A>(tree: A, f: (x: Tensor) => Tensor): A {
  return mapTree(tree as Tree<Tensor>, isTensor, (leaf) => (isTensor(leaf) ? f(leaf) : leaf)) as A
}

interface Known {
  readonly backend: Backend
  /** Undefined where the backend runs it op by op. */
  readonly plan: Replay | undefined
  /** The arguments it was made for, where all of them are tensors. */
  readonly avals: readonly Aval[] | undefined
  /** The result with the capture's tensors in it, and how many these are. */
  readonly result: unknown
  readonly results: number
}

/** A function that runs as a plan. */
export interface CompiledFunction<A extends readonly unknown[], R> {
  (...args: A): R
  /** The plan for arguments like these, made now if need be. Its text shows what runs, and what runs as one. */
  plan(...args: A): { toString(): string }
}

/**
 * The same function, faster: what it does is recorded once for each kind of arguments and then replayed as one piece
 * of code. Arguments and results may be pytrees of tensors; other arguments, and everything else the function uses but
 * variables, count as fixed. Variables may be read and assigned to. Random numbers are drawn anew in every call.
 * Inside a gradient or another plan, and on backends that have no plans, it is the function itself.
 * @throws BackendError where the function reads values of tensors, or does not do the same every time.
 * @example const step = compile((x: Tensor, y: Tensor) => update(loss(x, y)))
 */
export function compile<A extends readonly unknown[], R>(f: (...args: A) => R): CompiledFunction<A, R> {
  checkFunction('compile', f)
  const all = new WeakMap<Backend, Map<string, Known>>()
  let latest: Known | undefined
  const known = (backend: Backend, args: A, tensors: readonly Tensor[]): Known => {
    const plans = all.get(backend) ?? new Map<string, Known>()
    all.set(backend, plans)
    const key = keyOf(args, tensors)
    let found = plans.get(key)
    if (found === undefined) plans.set(key, (found = make(f, args)))
    return (latest = found)
  }
  const run = (...args: A): R => {
    const backend = currentBackend()
    if (!hasPlans(backend) || isRecording()) return f(...args)
    // Most calls are like the one before.
    const isLike = latest?.backend === backend && latest.avals !== undefined && areLike(args, latest.avals)
    const tensors = isLike ? (args as readonly unknown[] as readonly Tensor[]) : tensorsOf(args)
    const { plan, result, results } = isLike ? latest! : known(backend, args, tensors)
    if (plan === undefined) return f(...args)
    plan.compute(tensors)
    const made: Tensor[] = []
    for (let at = 0; at < results; at++) made.push(plan.result(at))
    plan.commit()
    if (isTensor(result)) return made[0] as R
    let next = 0
    return replaceTensors(result as R, () => made[next++]!)
  }
  const planFor = (...args: A): Replay => {
    const { plan, backend } = known(currentBackend(), args, tensorsOf(args))
    if (plan === undefined)
      throw new BackendError(`compile: the ${backend.name} backend runs this function op by op`, {
        op: 'compile',
      })
    return plan
  }
  return Object.assign(run, { plan: planFor })
}

function make<A extends readonly unknown[], R>(f: (...args: A) => R, args: A): Known {
  const first = capture(f, args)
  const second = capture(f, args)
  const why = difference(first.program, second.program)
  if (why !== undefined)
    throw new BackendError(
      `compile: the function did not do the same when it was recorded twice: ${why}. Pass what changes as a tensor, ` +
        'or keep it in a variable',
      { op: 'compile' },
    )
  const backend = currentBackend()
  return {
    backend,
    plan: planOn(backend, first.program, true),
    avals: args.every(isTensor) ? tensorsOf(args).map((x) => x.aval) : undefined,
    result: first.result,
    results: first.program.results.length,
  }
}

/** Whether arguments are tensors of these shapes and dtypes. */
function areLike(args: readonly unknown[], avals: readonly Aval[]): boolean {
  if (args.length !== avals.length) return false
  for (let i = 0; i < avals.length; i++) {
    const x = args[i]
    const { shape, dtype } = avals[i]!
    if (!isTensor(x) || x.dtype !== dtype || !sameShape(x.shape, shape)) return false
  }
  return true
}

function keyOf(args: readonly unknown[], tensors: readonly Tensor[]): string {
  let key = ''
  for (const { dtype, shape } of tensors) key += `${dtype} ${shape.join()};`
  return key + othersOf(args)
}

/** What is not a tensor among the arguments, as text: other text for whatever the function could tell apart. */
function othersOf(args: readonly unknown[]): string {
  return args.every(isTensor) ? '' : textOf(args)
}

function textOf(value: unknown): string {
  if (isTensor(value)) return 'tensor'
  if (Array.isArray(value)) return `[${Array.from(value, textOf).join()}]`
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return `${typeName(value)} ${Array.from(value as unknown as ArrayLike<unknown>, textOf).join()}`
  if (isRecord(value))
    return `{${Object.entries(value)
      .map(([key, child]) => `${JSON.stringify(key)}:${textOf(child)}`)
      .join()}}`
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return exactNumber(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'boolean' || value === undefined || value === null) return String(value)
  throw new ValueError(
    `compile: got ${typeof value === 'function' ? 'a function' : show(value)} as an argument; take tensors, numbers, ` +
      'strings, lists and records of them, and let the compiled function use all else from outside',
    { op: 'compile' },
  )
}
