import type { AnyRow } from '../op.js'
import * as table from '../ops/index.js'
import type { Sizes } from '../shape.js'
import type { Tensor } from '../tensor.js'
import { sourceOf } from './source.js'

// Programs are data: an op's exported name and its arguments. So they can be run, printed and shrunk.

/** An argument of a call: an earlier value, a call within the call, or a literal. */
export type Argument =
  | { readonly ref: number }
  | Call
  | number
  | string
  | boolean
  | null
  | readonly Argument[]
  | { readonly [option: string]: Argument }

export interface Call {
  readonly op: string
  readonly args: readonly Argument[]
  /** Which of the tensors is meant, for ops that return several. */
  readonly item?: number
}

type Op = (...args: readonly unknown[]) => unknown
// Each export's own arguments are checked by what the makers below return, in the tests of programs.
const ops = table as unknown as Readonly<Record<string, Op>>

export function evaluate({ op, args, item }: Call, values: readonly Tensor[]): Tensor {
  const valueOf = (argument: Argument): unknown => {
    if (Array.isArray(argument)) return (argument as readonly Argument[]).map(valueOf)
    if (typeof argument !== 'object' || argument === null) return argument
    if ('ref' in argument) return values[(argument as { ref: number }).ref]
    if ('op' in argument) return evaluate(argument as Call, values)
    return Object.fromEntries(Object.entries(argument).map(([k, v]) => [k, valueOf(v)]))
  }
  const out = ops[op]!(...args.map(valueOf))
  return item === undefined ? (out as Tensor) : (out as readonly Tensor[])[item]!
}

export function sourceOfCall({ op, args, item }: Call, nameOf: (ref: number) => string): string {
  const source = (argument: Argument): string => {
    if (Array.isArray(argument)) return `[${(argument as readonly Argument[]).map(source).join(', ')}]`
    if (typeof argument !== 'object' || argument === null) return sourceOf(argument)
    if ('ref' in argument) return nameOf((argument as { ref: number }).ref)
    if ('op' in argument) return sourceOfCall(argument as Call, nameOf)
    const options = Object.entries(argument).map(([k, v]) => `${k}: ${source(v)}`)
    return `{ ${options.join(', ')} }`
  }
  return `${op}(${args.map(source).join(', ')})${item === undefined ? '' : `[${item}]`}`
}

/** Turns numbers that know nothing of shapes into choices. */
export class Picks {
  #next = 0
  constructor(readonly picks: readonly number[]) {}

  /** A whole number from 0 to n - 1; 0 once shrunk. */
  below(n: number): number {
    return this.picks[this.#next++ % this.picks.length]! % n
  }

  of<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.below(list.length)]
  }

  /** A multiple of a tenth. */
  tenths(min: number, max: number): number {
    return (Math.round(min * 10) + this.below(Math.round((max - min) * 10) + 1)) / 10
  }
}

/** The arguments of a step on some of the values, or undefined where none fits. */
type Maker = (values: readonly Tensor[], pick: Picks) => Made | undefined
/** With `item` for ops that return several tensors. */
type Made = readonly Argument[] | Omit<Call, 'op'>

/** The step of this op, or undefined where no values fit it. */
export function stepOf(op: string, values: readonly Tensor[], pick: Picks): Call | undefined {
  const made = steps.get(op)!(values, pick)
  return made && ('args' in made ? { op, ...made } : { op, args: made })
}

const ref = (i: number): Argument => ({ ref: i })

/** A value that meets the condition; the newest once shrunk. */
function any(
  values: readonly Tensor[],
  pick: Picks,
  fits: (x: Tensor, i: number) => boolean = () => true,
): number | undefined {
  const fitting = values.map((_, i) => values.length - 1 - i).filter((i) => fits(values[i]!, i))
  return pick.of(fitting)
}

/** An op of one value and of arguments that depend on its shape. */
function ofOne(
  rest: (shape: Sizes, pick: Picks) => readonly Argument[] | undefined = () => [],
  fits: (shape: Sizes) => boolean = () => true,
): Maker {
  return (values, pick) => {
    const x = any(values, pick, ({ shape }) => fits(shape))
    if (x === undefined) return undefined
    const others = rest(values[x]!.shape, pick)
    return others && [ref(x), ...others]
  }
}

const hasAxes = (shape: Sizes): boolean => shape.length > 0
const axisOf = (shape: Sizes, pick: Picks): number => pick.below(2 * shape.length) - shape.length

/** A slice that leaves something, as text. */
function sliceText(shape: Sizes, pick: Picks): string {
  const parts = shape.map((side) =>
    pick.of([':', '::-1', '-1', '0:', `:${side}`, '::2', `${pick.below(side)}`])!,
  )
  const cut = pick.below(shape.length + 1)
  return [...parts.slice(0, cut), ...pick.of([['...'], ['...', 'None'], ['None', '...']])!].join(', ')
}

/** No axis, one, or several; and whether they are kept. */
function reduction(shape: Sizes, pick: Picks): readonly Argument[] {
  const axes = shape.map((_, axis) => axis).filter(() => pick.below(2) === 1)
  const axis = pick.below(3) === 0 ? null : axes.length === 1 ? axes[0]! : axes
  return [axis, pick.below(2) === 1]
}

/** The same as options. */
function reductionOptions(shape: Sizes, pick: Picks): { axis: Argument; keepDims: Argument } {
  const [axis, keepDims] = reduction(shape, pick) as [Argument, Argument]
  return { axis, keepDims }
}

const isMatrix = (shape: Sizes): boolean => shape.length > 1

const sameShapeAs =
  (x: Tensor) =>
  (y: Tensor): boolean =>
    String(x.shape) === String(y.shape)

/** One value for each channel of x (its last axis), and differently for each `how`. */
function channels(x: Argument, { shape }: Tensor, how: 'mean' | 'sin' | 'cos' | 'sigmoid'): Call {
  const means: Call = { op: 'mean', args: [x, shape.slice(1).map((_, axis) => axis)] }
  return how === 'mean' ? means : { op: how, args: [means] }
}

/** A large constant keeps the derivatives of 1 / sqrt(variance + epsilon) moderate. */
const EPSILON = 0.2

/** An op of a value, of numbers for its channels and of further arguments. */
function normalization(
  hows: readonly ('mean' | 'sin' | 'cos' | 'sigmoid')[],
  minRank: number,
  rest: (shape: Sizes, pick: Picks) => readonly Argument[],
): Maker {
  return (values, pick) => {
    const i = any(values, pick, ({ rank }) => rank >= minRank)
    if (i === undefined) return undefined
    const x = values[i]!
    return [ref(i), ...hows.map((how) => channels(ref(i), x, how)), ...rest(x.shape, pick)]
  }
}

/** A recurrent cell on x [n, u], with a state like x and kernels made of x: [u, u] for each gate, side by side. */
function cell(gates: number, states: number, rest: (kernel: Argument) => readonly Argument[]): Maker {
  return (values, pick) => {
    const x = any(values, pick, ({ rank }) => rank === 2)
    if (x === undefined) return undefined
    const others = Array.from({ length: states }, () => ref(any(values, pick, sameShapeAs(values[x]!))!))
    const square: Call = { op: 'matmul', args: [ref(x), ref(x), true] }
    const kernelOf = (...names: string[]): Call => ({
      op: 'concat',
      args: [names.slice(0, gates).map((op): Call => ({ op, args: [square] })), 1],
    })
    const kernel = kernelOf('sin', 'tanh', 'neg', 'cos')
    return [ref(x), ...others, kernel, kernelOf('cos', 'sin', 'atan', 'tanh'), ...rest(kernel)]
  }
}

function broadcasts(a: Sizes, b: Sizes): boolean {
  const rank = Math.min(a.length, b.length)
  for (let i = 1; i <= rank; i++) {
    const [p, q] = [a[a.length - i]!, b[b.length - i]!]
    if (p !== q && p !== 1 && q !== 1) return false
  }
  return true
}

/** Two values that broadcast, often the same one twice. */
function pair(values: readonly Tensor[], pick: Picks): readonly [number, number] {
  const x = any(values, pick)!
  return [x, any(values, pick, (y) => broadcasts(values[x]!.shape, y.shape))!]
}

/** `argument`, bent smoothly into [low, high] where the value is not there already. */
function within(
  values: readonly Tensor[],
  i: number,
  range: readonly [number, number] | undefined,
): Argument {
  if (range === undefined) return ref(i)
  const [low, high] = [Math.max(range[0], -4), Math.min(range[1], 4)]
  const fits = values[i]!.dataSync().every((value) => value >= low && value <= high)
  if (fits) return ref(i)
  const unit: Call = { op: 'sigmoid', args: [ref(i)] }
  return { op: 'add', args: [{ op: 'mul', args: [unit, high - low] }, low] }
}

/** Ops made by unary and binary carry their row, which says where they are defined. */
function ofRow(row: AnyRow): Maker {
  const [first, second] = row.args as [string, string?]
  if (second === undefined) return (values, pick) => [within(values, any(values, pick)!, row.domain?.[first])]
  return (values, pick) => {
    const [x, y] = pair(values, pick)
    return [within(values, x, row.domain?.[first]), within(values, y, row.domain?.[second])]
  }
}

/** A loss of targets and predictions of one shape, bent into the ranges where it is defined. */
function loss(targets?: readonly [number, number], predictions = targets): Maker {
  return (values, pick) => {
    const x = any(values, pick, ({ rank }) => rank > 0)
    if (x === undefined) return undefined
    const y = any(values, pick, ({ shape }) => String(shape) === String(values[x]!.shape))!
    return [within(values, x, targets), within(values, y, predictions), { reduction: pick.of(REDUCTIONS)! }]
  }
}
const REDUCTIONS = ['none', 'mean', 'sum'] as const
const PROBABILITY = [0.05, 0.95] as const
const POSITIVE = [0.2, 3] as const

/** Of two tensors of one shape, by their rank: products, sums, contractions, transposes. */
const EQUATIONS: readonly (readonly string[])[] = [
  [',->'],
  ['i,i->', 'i,i->i', 'i,j->ij'],
  ['ij,kj->ik', 'ij,ik->jk', 'ij,ij->j', 'ij,ij->', 'ij,ij->ji', '...i,...i->...'],
  ['bij,bkj->bik', 'bij,bij->', 'bij,bkj->ki', 'bij,bij->jb', '...i,...i->...'],
]

/** Steps for the ops that take more than tensors. An op that a program can use needs a line here and nothing else. */
const makers: Readonly<Record<string, Maker>> = {
  powScalar: (values, pick) => [
    within(values, any(values, pick)!, [0.2, 3]),
    pick.of([2, 3, -1, 0.5, 1.5, 1, 0])!,
  ],
  leakyRelu: ofOne((_, pick) => [pick.tenths(0, 0.5)]),
  elu: ofOne((_, pick) => [pick.tenths(0.5, 2)]),
  gelu: ofOne((_, pick) => [pick.below(2) === 1]),
  hardSigmoid: ofOne((_, pick) => [pick.of(['keras3', 'keras2'])!]),
  clip: ofOne((_, pick) => [pick.of([null, -1, -0.5])!, pick.of([null, 0.5, 1])!]),
  cast: ofOne(() => ['float64']),
  where(values, pick) {
    const [x, y] = pair(values, pick)
    const cond: Call = { op: 'greater', args: [ref(x), pick.tenths(-1, 1)] }
    return [cond, ref(x), ref(y)]
  },

  sum: ofOne(reduction),
  mean: ofOne(reduction),
  max: ofOne(reduction),
  min: ofOne(reduction),
  prod: ofOne(reduction),
  logSumExp: ofOne(reduction),
  variance: ofOne((shape, pick) => [{ ...reductionOptions(shape, pick), correction: 0 }]),
  std: ofOne((shape, pick) => [{ ...reductionOptions(shape, pick), correction: 0 }]),
  norm: ofOne((shape, pick) => [{ ...reductionOptions(shape, pick), ord: pick.of([2, 1, 'inf'])! }]),
  cumsum: ofOne((shape, pick) => [running(shape, pick)], hasAxes),
  cumprod: ofOne((shape, pick) => [running(shape, pick)], hasAxes),
  softmax: ofOne((shape, pick) => [axisOf(shape, pick)], hasAxes),
  logSoftmax: ofOne((shape, pick) => [axisOf(shape, pick)], hasAxes),

  matmul(values, pick) {
    const [transposeA, transposeB] = [pick.below(2) === 1, pick.below(2) === 1]
    const a = any(values, pick, (x) => x.rank > 0)
    if (a === undefined) return undefined
    const inner = sideOf(values[a]!.shape, transposeA ? 2 : 1)
    const b = any(
      values,
      pick,
      ({ shape }) =>
        shape.length > 0 &&
        sideOf(shape, transposeB ? 1 : 2) === inner &&
        broadcasts(values[a]!.shape.slice(0, -2), shape.slice(0, -2)),
    )
    // Every matrix has a product with its own transpose.
    return b === undefined
      ? [ref(a), ref(a), transposeA, !transposeA]
      : [ref(a), ref(b), transposeA, transposeB]
  },

  dot(values, pick) {
    const a = any(values, pick)!
    const inner = values[a]!.shape.at(-1)
    const fits = ({ shape }: Tensor): boolean =>
      inner === undefined || shape.length === 0 || sideOf(shape, 2) === inner
    const b = any(values, pick, fits)
    return b === undefined ? undefined : [ref(a), ref(b)]
  },
  outer: (values, pick) => [ref(any(values, pick)!), ref(any(values, pick)!)],
  tensordot(values, pick) {
    const a = any(values, pick, ({ rank }) => rank > 0)
    if (a === undefined) return undefined
    const axis = pick.below(values[a]!.rank)
    const side = values[a]!.shape[axis]!
    const b = any(values, pick, ({ shape }) => shape.includes(side))!
    return [ref(a), ref(b), [[axis], [values[b]!.shape.indexOf(side)]]]
  },
  einsum(values, pick) {
    const a = any(values, pick)!
    const b = any(values, pick, sameShapeAs(values[a]!))!
    const equation = pick.of(EQUATIONS[values[a]!.rank] ?? ['...i,...i->...'])!
    return [equation, ref(a), ref(b)]
  },
  scaledDotProductAttention(values, pick) {
    const q = any(values, pick, ({ rank }) => rank > 1)
    if (q === undefined) return undefined
    const like = sameShapeAs(values[q]!)
    return [ref(q), ref(any(values, pick, like)!), ref(any(values, pick, like)!)]
  },
  lstmCell(values, pick) {
    const args = cell(4, 2, (kernel) => [{ op: 'sum', args: [kernel, 0] }])(values, pick)
    return args && { args: args as readonly Argument[], item: pick.below(2) }
  },
  gruCell: cell(3, 1, (kernel) => [{ op: 'gather', args: [kernel, [0, 0], 0] }]),

  layerNorm: normalization(['sin', 'cos'], 1, () => [EPSILON]),
  rmsNorm: normalization(['sin'], 1, () => [EPSILON]),
  groupNorm: normalization(['sin', 'cos'], 2, (shape, pick) => [pick.of([1, shape.at(-1)!])!, EPSILON]),
  batchNormTrain(values, pick) {
    const args = normalization(['sin', 'cos'], 1, () => [EPSILON])(values, pick)
    return args && { args: args as readonly Argument[], item: pick.below(3) }
  },
  batchNormInference: normalization(['mean', 'sigmoid', 'sin', 'cos'], 1, () => [EPSILON]),
  l2Normalize: ofOne((shape, pick) => [1e-12, axisOf(shape, pick)], hasAxes),

  reshape: ofOne((shape, pick) => [
    pick.of([[-1], [...shape, 1], [1, ...shape], [...shape].reverse(), [...shape.slice(0, -2), -1]])!,
  ]),
  expandDims: ofOne((shape, pick) => [pick.below(shape.length + 1)]),
  squeeze: ofOne((shape, pick) => {
    const ones = shape.map((side, axis) => (side === 1 ? axis : -1)).filter((axis) => axis >= 0)
    return [pick.of([null, ones, ...ones])!]
  }),
  transpose: ofOne((shape, pick) => {
    const by = pick.below(Math.max(1, shape.length))
    const turned = shape.map((_, axis) => (axis + by) % shape.length)
    return [pick.of([null, turned, [...turned].reverse()])!]
  }),
  broadcastTo: ofOne((shape, pick) => [
    [
      ...Array.from({ length: pick.below(2) }, () => 2),
      ...shape.map((side) => (side === 1 ? 1 + pick.below(3) : side)),
    ],
  ]),
  slice: ofOne((shape, pick) => {
    if (pick.below(2) === 1) return [sliceText(shape, pick)]
    const begin = shape.map((side) => pick.below(side))
    return [begin, shape.map((side, axis) => pick.of([-1, 1, side - begin[axis]!])!)]
  }),
  stridedSlice: ofOne((shape, pick) => {
    const begin = shape.map((side) => pick.of([null, 0, side - 1, -1])!)
    return [{ begin, strides: shape.map(() => pick.of([1, 2, -1])!) }]
  }),
  flip: ofOne((shape, pick) => [reduction(shape, pick)[0]!]),
  pad: ofOne((shape, pick) => {
    const mode = pick.of(['constant', 'edge', 'symmetric', 'reflect'])!
    const most = (side: number): number => (mode === 'reflect' ? Math.min(side, 2) : 2)
    const paddings = shape.map((side) => [pick.below(most(side)), pick.below(most(side))])
    return [{ paddings, mode, value: 0.5 }]
  }),
  tile: ofOne((shape, pick) => [shape.map(() => 1 + pick.below(2))]),
  repeat: ofOne((shape, pick) => [1 + pick.below(3), pick.of([null, ...shape.keys()])!]),
  roll: ofOne((shape, pick) => [pick.below(5) - 2, pick.of([null, ...shape.keys()])!]),
  diagonal: ofOne((_, pick) => [pick.below(3) - 1], isMatrix),
  tril: ofOne((_, pick) => [pick.below(3) - 1], isMatrix),
  triu: ofOne((_, pick) => [pick.below(3) - 1], isMatrix),
  split(values, pick) {
    const x = any(values, pick, ({ rank }) => rank > 0)
    if (x === undefined) return undefined
    const axis = axisOf(values[x]!.shape, pick)
    const side = values[x]!.shape.at(axis)!
    const first = 1 + pick.below(side)
    return { args: [ref(x), [first, side - first], axis], item: first === side ? 0 : pick.below(2) }
  },
  unstack(values, pick) {
    const x = any(values, pick, ({ rank }) => rank > 0)
    if (x === undefined) return undefined
    const axis = axisOf(values[x]!.shape, pick)
    return { args: [ref(x), axis], item: pick.below(values[x]!.shape.at(axis)!) }
  },
  concat(values, pick) {
    const x = any(values, pick, (value) => value.rank > 0)
    if (x === undefined) return undefined
    const { shape } = values[x]!
    const axis = axisOf(shape, pick)
    const along = axis < 0 ? axis + shape.length : axis
    const fits = (other: Tensor): boolean =>
      other.rank === shape.length && other.shape.every((side, a) => a === along || side === shape[a])
    return [[ref(x), ref(any(values, pick, fits)!), ref(any(values, pick, fits)!)], axis]
  },
  stack(values, pick) {
    const x = any(values, pick)!
    const { shape } = values[x]!
    const same = (other: Tensor): boolean => String(other.shape) === String(shape)
    return [[ref(x), ref(any(values, pick, same)!)], pick.below(shape.length + 1)]
  },
  gather: ofOne((shape, pick) => {
    const axis = axisOf(shape, pick)
    return [indicesFor(shape.at(axis)!, pick), axis]
  }, hasAxes),
  takeAlongAxis: ofOne(
    (shape, pick) => {
      const axis = axisOf(shape, pick)
      const along = axis < 0 ? axis + shape.length : axis
      const wanted = indicesFor(shape[along]!, pick)
      const indices = shape.length === 1 ? wanted : along === 0 ? wanted.map((index) => [index]) : [wanted]
      return [indices, axis]
    },
    (shape) => shape.length === 1 || shape.length === 2,
  ),
  gatherND: ofOne((shape, pick) => {
    const depth = 1 + pick.below(shape.length)
    const index = (): number[] => shape.slice(0, depth).map((side) => pick.below(side))
    return [Array.from({ length: 1 + pick.below(3) }, index)]
  }, hasAxes),
  embedding: ofOne(
    (shape, pick) => [indicesFor(shape[0]!, pick)],
    (shape) => shape.length === 2,
  ),
  scatterAdd(values, pick) {
    const x = any(values, pick, (value) => value.rank > 0)
    if (x === undefined) return undefined
    const axis = axisOf(values[x]!.shape, pick)
    const indices = indicesFor(values[x]!.shape.at(axis)!, pick)
    const source = any(values, pick, (other) => String(other.shape) === String(values[x]!.shape))!
    return [ref(x), indices, { op: 'gather', args: [ref(source), [...indices].reverse(), axis] }, axis]
  },

  meanSquaredError: loss(),
  meanAbsoluteError: loss(),
  meanAbsolutePercentageError: loss([1, 3]),
  meanSquaredLogarithmicError: loss(POSITIVE),
  huber: loss(),
  logCosh: loss(),
  // Away from the origin, where directions turn fast.
  cosineSimilarity: loss(POSITIVE),
  poisson: loss(POSITIVE),
  binaryCrossentropy: loss(PROBABILITY),
  categoricalCrossentropy: loss(PROBABILITY),
  sparseCategoricalCrossentropy(values, pick) {
    const x = any(values, pick, ({ rank }) => rank === 1 || rank === 2)
    if (x === undefined) return undefined
    const { shape } = values[x]!
    const classes = shape[shape.length - 1]!
    const numbers = Array.from({ length: shape.length === 2 ? shape[0]! : 1 }, () => pick.below(classes))
    // A list of numbers as a tensor of whole ones.
    const labels: Call = { op: 'argMax', args: [{ op: 'oneHot', args: [numbers, classes] }, -1] }
    return [labels, within(values, x, PROBABILITY)]
  },
  klDivergence: loss(PROBABILITY),
  binaryFocalCrossentropy: loss(PROBABILITY),
  categoricalFocalCrossentropy: loss(PROBABILITY),
  // Targets of nothing but 0 and 1 would stand for -1 and 1.
  hinge: loss([1.1, 3], [-4, 4]),
  squaredHinge: loss([1.1, 3], [-4, 4]),
  categoricalHinge: loss(PROBABILITY),
  dice: loss(PROBABILITY),
  tversky: loss(PROBABILITY),
}

function running(shape: Sizes, pick: Picks): { readonly [option: string]: Argument } {
  return { axis: pick.below(shape.length), exclusive: pick.below(2) === 1, reverse: pick.below(2) === 1 }
}

function sideOf(shape: Sizes, fromEnd: number): number {
  return shape[shape.length - Math.min(fromEnd, shape.length)]!
}

/** One to three positions, often the same. */
function indicesFor(side: number, pick: Picks): number[] {
  return Array.from({ length: 1 + pick.below(3) }, () => pick.below(side))
}

function rowOf(op: unknown): AnyRow | undefined {
  return typeof op === 'function' && 'row' in op ? (op as unknown as { row: AnyRow }).row : undefined
}

function isDifferentiable({ vjp }: AnyRow): boolean {
  return vjp !== null && Object.values(vjp).some((rule) => rule !== null)
}

/** How to use each op in a program, by its exported name. */
export const steps: ReadonlyMap<string, Maker> = new Map([
  ...Object.entries(ops).flatMap(([name, op]): [string, Maker][] => {
    const row = rowOf(op)
    return row !== undefined && isDifferentiable(row) ? [[name, ofRow(row)]] : []
  }),
  ...Object.entries(makers),
])

/** The simple ones first, so that programs shrink to them. */
export const stepNames: readonly string[] = [...new Set(['add', 'mul', ...steps.keys()])]
