import type { Arbitrary } from 'fast-check'
import type { Arbitraries, FastCheck } from './arbitraries.js'
import { sizeOf } from '../shape.js'
import { fromHost, type Tensor } from '../tensor.js'
import { sourceOf } from './source.js'
import { type Argument, type Call, evaluate, Picks, sourceOfCall, stepNames, stepOf } from './steps.js'

/** Options of {@link Arbitraries.program}. */
export interface ProgramOptions {
  /** 12 unless given. */
  readonly maxSteps?: number
  /** 3 unless given. */
  readonly maxInputs?: number
  /** Names of the ops to choose from; all differentiable ones unless given. */
  readonly ops?: readonly string[]
}

/** A random differentiable function: steps that use earlier ones, of which those that no other uses are returned. */
export class Program {
  /** @internal */
  constructor(
    /** Where `run` is smooth, in float64. The same tensor may be there twice. */
    readonly inputs: readonly Tensor[],
    readonly calls: readonly Call[],
  ) {}

  /** The results for any inputs of the shapes of `this.inputs`. */
  readonly run: (...inputs: Tensor[]) => Tensor[] = (...inputs) => {
    const values = [...inputs]
    for (const call of this.calls) values.push(evaluate(call, values))
    return this.#results().map((i) => values[i]!)
  }

  #results(): number[] {
    const used = new Set(this.calls.flatMap((call) => refsOf(call)))
    const all = Array.from({ length: this.inputs.length + this.calls.length }, (_, i) => i)
    const unused = all.filter((i) => i >= this.inputs.length && !used.has(i))
    return unused.length > 0 ? unused : [0]
  }

  /** TypeScript that makes `inputs` and the function `program` again. */
  toString(): string {
    const count = this.inputs.length
    const nameOf = (i: number): string => (i < count ? `x${i}` : `v${i - count}`)
    const names = this.inputs.map((_, i) => nameOf(i))
    const tensors = this.inputs.map((x, i) => {
      const first = this.inputs.indexOf(x)
      return `const ${names[i]} = ${first < i ? names[first] : sourceOf(x)}`
    })
    const lines = this.calls.map((call, i) => `  const ${nameOf(count + i)} = ${sourceOfCall(call, nameOf)}`)
    return [
      ...tensors,
      `const inputs = [${names.join(', ')}]`,
      `const program = (${names.join(', ')}) => {`,
      ...lines,
      `  return [${this.#results().map(nameOf).join(', ')}]`,
      '}',
    ].join('\n')
  }
}

function refsOf(argument: Argument): number[] {
  if (Array.isArray(argument)) return (argument as readonly Argument[]).flatMap(refsOf)
  if (typeof argument !== 'object' || argument === null) return []
  if ('ref' in argument) return [(argument as { ref: number }).ref]
  if ('op' in argument) return (argument as Call).args.flatMap(refsOf)
  return Object.values(argument as Readonly<Record<string, Argument>>).flatMap(refsOf)
}

/** One step before the shapes are known: which op, and numbers from which it chooses its operands. */
type Choice = readonly [op: number, picks: readonly number[]]

const PICKS = 8

export function programs(
  fc: FastCheck,
  { broadcastableShapes, tensor }: Pick<Arbitraries, 'broadcastableShapes' | 'tensor'>,
  { maxSteps = 12, maxInputs = 3, ops = stepNames }: ProgramOptions = {},
): Arbitrary<Program> {
  const choice: Arbitrary<Choice> = fc.tuple(
    fc.nat({ max: ops.length - 1 }),
    fc.array(fc.nat({ max: 9999 }), { minLength: PICKS, maxLength: PICKS }),
  )
  const choices = fc.array(choice, { maxLength: maxSteps, size: 'max' })
  const inputs = fc
    .integer({ min: 1, max: maxInputs })
    .chain((count) => broadcastableShapes(count, { maxRank: 3, maxSide: 3 }))
    .chain((shapes) =>
      fc.tuple(...shapes.map((sides) => fc.tuple(tensor(sides, { distinct: true }), fc.nat({ max: 4 })))),
    )
  return fc.tuple(inputs, choices).map(([drawn, list]) => {
    const tensors: Tensor[] = []
    // One in five inputs is an earlier one once more, if there is one.
    for (const [x, alias] of drawn)
      tensors.push(alias === 4 && tensors.length > 0 ? tensors[tensors.length - 1]! : x)
    return build(tensors, list, ops)
  })
}

const MOST_ELEMENTS = 64
/** Larger values make third derivatives so large that differences cannot follow. */
const LARGEST = 10

/** Takes the steps that fit: those whose operands exist, and that are smooth and of moderate size where they are. */
function build(inputs: readonly Tensor[], choices: readonly Choice[], ops: readonly string[]): Program {
  const values = [...inputs]
  const calls: Call[] = []
  for (const [op, picks] of choices) {
    const call = stepOf(ops[op]!, values, new Picks(picks))
    if (call === undefined) continue
    const out = evaluate(call, values)
    const size = sizeOf(out.shape)
    if (size === 0 || size > MOST_ELEMENTS || !isModerate(out) || !isSmooth(call, values, out)) continue
    values.push(out)
    calls.push(call)
  }
  return withoutUnused(inputs, calls)
}

/** The program of these calls, without the inputs that none of them uses; the first one stays if none is used. */
function withoutUnused(inputs: readonly Tensor[], calls: readonly Call[]): Program {
  const used = new Set(calls.flatMap((call) => refsOf(call)))
  const kept = [...inputs.keys()].filter((i) => used.has(i) || (i === 0 && calls.length === 0))
  const removed = inputs.length - kept.length
  const renumbered = (argument: Argument): Argument => {
    if (Array.isArray(argument)) return (argument as readonly Argument[]).map(renumbered)
    if (typeof argument !== 'object' || argument === null) return argument
    if ('ref' in argument) {
      const { ref } = argument as { ref: number }
      return { ref: ref < inputs.length ? kept.indexOf(ref) : ref - removed }
    }
    const entries = Object.entries(argument as Readonly<Record<string, Argument>>)
    return Object.fromEntries(entries.map(([k, v]) => [k, renumbered(v)]))
  }
  return new Program(
    kept.map((i) => inputs[i]!),
    calls.map((call) => renumbered(call as Argument) as Call),
  )
}

function isModerate(out: Tensor): boolean {
  return out.dataSync().every((value) => Math.abs(value) <= LARGEST)
}

/** d, how far values are moved to see whether a step is smooth there: a hundred times further than a check does. */
const MOVE = 1e-3
/** Second derivatives up to 20, third ones up to 100: larger ones leave too large an error in central differences. */
const MOST_SECOND = 20 * MOVE ** 2
const MOST_THIRD = 2 * 100 * MOVE ** 3
/**
 * How far differences may be from those of a polynomial of degree 3. The fourth derivative makes them d⁴ f⁗ / 16,
 * below this up to 1600; rounding, 1e-13 or so. A kink makes them d times the jump of the slope, and a kink of the
 * slope d² times the jump of the second derivative.
 */
const MOST_ROUGH = 1e-10

/** Whether a step has a kink, or bends too much, near the values that it is taken on: two directions see what one may miss. */
function isSmooth(call: Call, values: readonly Tensor[], out: Tensor): boolean {
  return [0, 1].every((direction) => isSmoothAlong(direction, call, values, out))
}

function isSmoothAlong(direction: number, call: Call, values: readonly Tensor[], out: Tensor): boolean {
  const at = (amount: number): ArrayLike<number> =>
    evaluate(
      call,
      values.map((x, i) => moved(x, amount * MOVE, i * 131 + direction * 1009)),
    ).dataSync()
  const [a, b, c] = [at(-2), at(-1), at(-0.5)] as const
  const [d, e, f] = [at(0.5), at(1), at(2)] as const
  return out.dataSync().every((y, i) => {
    const second = e[i]! - 2 * y + b[i]!
    const third = f[i]! - 2 * e[i]! + 2 * b[i]! - a[i]!
    // The same at half the distance: a quarter and an eighth as much, where the step is smooth.
    const secondNear = d[i]! - 2 * y + c[i]!
    const thirdNear = e[i]! - 2 * d[i]! + 2 * c[i]! - b[i]!
    return (
      Math.abs(second) <= MOST_SECOND &&
      Math.abs(third) <= MOST_THIRD &&
      Math.abs(second - 4 * secondNear) <= MOST_ROUGH &&
      Math.abs(third - 8 * thirdNear) <= MOST_ROUGH
    )
  })
}

/** Each element moved by its own share of `by`, up or down. */
function moved(x: Tensor, by: number, from: number): Tensor {
  const to = Float64Array.from(x.dataSync(), (value, at) => value + by * shareAt(from + at * 7))
  return fromHost(to, x.shape, 'float64')
}

/** Numbers in ±[0.5, 1) as if drawn: did they go up by the same from one to the next, kinks at ties could hide. */
function shareAt(n: number): number {
  const u = (n * n * 0.6180339887498949 + 0.31) % 1
  return u < 0.5 ? u - 1 : u
}
