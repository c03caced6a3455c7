import { fc } from '@fast-check/vitest'
import { type NumericDType, tensor, type Tensor } from '@adjoint/core'
import { type AnyRow, rows } from '@adjoint/core/extend'
import { arbitraries, type TensorOptions } from '@adjoint/core/testing'
import { along, at, axesOf, broadcastShape, build, indicesOf, type Nd, reduce, sizeOf } from './nd.js'
import { scalars } from './scalars.js'

/** One way to apply a row. */
export interface Case {
  readonly inputs: readonly Tensor[]
  readonly attrs: unknown
}

/** What the laws of a row need. Every row of the table has one; a row without is a failing test. */
export interface Sample {
  /** Any inputs: ties, kinks, points where nothing is defined, sides of 0. */
  readonly any: fc.Arbitrary<Case>
  /** Inputs at which the row has two derivatives; left out for rows that have none anywhere. */
  readonly smooth?: fc.Arbitrary<Case>
  /** Whole numbers and truth values, for rows that are a formula of their inputs at one position. */
  readonly whole?: fc.Arbitrary<Case>
  /** More elements than kernels take in one go. */
  readonly large?: readonly Case[]
  /** The same function on plain numbers, by the index. */
  readonly reference: (inputs: readonly Nd[], attrs: never) => Nd
}

const arb = arbitraries(fc)

/** Values in [-2, 2] that do not repeat. */
function long(shape: readonly number[], phase = 0, dtype: NumericDType = 'float64'): Tensor {
  const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => 2 * Math.sin(i * 1.7 + phase))
  return tensor(dtype === 'bool' ? values.map((value) => (value > 0 ? 1 : 0)) : values, { shape, dtype })
}

/** 600 elements along an axis, beside an axis of `side`. */
function longAlong<P>(attrs: (axis: number) => P, side = 5): Case[] {
  return [
    { inputs: [long([600, side])], attrs: attrs(0) },
    { inputs: [long([side, 600])], attrs: attrs(1) },
  ]
}

// ---- elementwise rows

type Domain = Readonly<Record<string, readonly [number, number]>>

const x = (low: number, high: number): Domain => ({ x: [low, high] })
const remainderDomains: readonly Domain[] = [
  { x: [3, 3.3], y: [1.2, 1.4] },
  { x: [-3.3, -3], y: [1.2, 1.4] },
  { x: [3, 3.3], y: [-1.4, -1.2] },
]

/** Where a row is smooth, for rows whose own domain does not say it or leaves out parts. */
const smoothOn: Readonly<Record<string, readonly Domain[]>> = {
  floor: [x(0.1, 0.9), x(-1.9, -1.1)],
  ceil: [x(0.1, 0.9), x(-1.9, -1.1)],
  trunc: [x(0.1, 0.9), x(-1.9, -1.1)],
  round: [x(0.6, 1.4), x(-0.4, 0.4)],
  relu6: [x(-2, 8)],
  hardSigmoid: [x(-4, 4)],
  hardSigmoid3: [x(-5, 5)],
  reciprocal: [x(0.3, 3), x(-3, -0.3)],
  div: [
    { x: [-2, 2], y: [0.3, 3] },
    { x: [-2, 2], y: [-3, -0.3] },
  ],
  atan2: [
    { x: [0.3, 2], y: [0.3, 2] },
    { x: [0.3, 2], y: [-2, 2] },
    { x: [-2, -0.3], y: [-2, 2] },
  ],
  hypot: [
    { x: [0.2, 2], y: [-2, 2] },
    { x: [-2, 2], y: [-2, -0.2] },
  ],
  mod: remainderDomains,
  fmod: remainderDomains,
  floorDiv: remainderDomains,
}

/** Kinks that rows do not name: of their first derivative, or at bounds that are attributes. */
const moreKinks: Readonly<Record<string, readonly number[]>> = {
  softsign: [0],
  clip: [-1, -0.5, 0.5, 1],
  gateWithin: [-1, -0.5, 0.5, 1],
  hardSigmoid: [-2.5, 2.5],
}

/** Rows with a kink where two inputs are equal. */
const comparing: readonly string[] = ['maximum', 'minimum', 'share']

const range = fc.record({
  min: fc.constantFrom(-Infinity, -1, -0.5),
  max: fc.constantFrom(0.5, 1, Infinity),
})
const attributes: Readonly<Record<string, fc.Arbitrary<Readonly<Record<string, number>>>>> = {
  powScalar: fc.record({ exponent: fc.constantFrom(0, 1, 2, 3, -1, 0.5, 2.5) }),
  leakyRelu: fc.record({ alpha: fc.constantFrom(0, 0.2, 1.5) }),
  elu: fc.record({ alpha: fc.constantFrom(1, 0.3, 2) }),
  hardSigmoid: fc.constant({ slope: 0.2 }),
  clip: range,
  gateWithin: range,
}

const dtypes: Readonly<Record<string, readonly NumericDType[]>> = { where: ['bool', 'float64', 'float64'] }

function elementwise(row: AnyRow): Sample {
  const { name, args } = row
  const { params } = row.fn!
  const value = scalars.get(name)
  if (value === undefined) throw new Error(`test/support/scalars.ts has no entry ${name}`)
  const attrs = attributes[name] ?? fc.constant({})
  const kinks = [...(row.kinks ?? []), ...(moreKinks[name] ?? [])]
  const dtypeOf = (i: number): NumericDType => dtypes[name]?.[i] ?? 'float64'

  const inputsOf = (shapes: readonly number[][], options: (arg: string) => TensorOptions) =>
    fc.tuple(
      ...shapes.map((shape, i) =>
        arb.tensor(
          shape,
          dtypeOf(i) === 'bool' ? { dtype: 'bool' } : { ...options(args[i]!), dtype: dtypeOf(i) },
        ),
      ),
    )
  const smoothIn = (domain: Domain) => (shapes: readonly number[][]) =>
    comparing.includes(name)
      ? arb.tensors(shapes, { distinct: true })
      : inputsOf(shapes, (arg) => {
          const [min, max] = domain[arg] ?? [-2, 2]
          return { min, max, kinks }
        })

  const wholes = (shapes: readonly number[][]): fc.Arbitrary<readonly Tensor[]> =>
    fc.tuple(
      ...shapes.map((shape, i) =>
        fc
          .constantFrom<NumericDType>(
            ...(dtypeOf(i) === 'bool' ? (['bool'] as const) : (['int32', 'bool'] as const)),
          )
          .chain((dtype) => arb.tensor(shape, dtype === 'bool' ? { dtype } : { dtype, min: -4, max: 4 })),
      ),
    )

  const domains = smoothOn[name] ?? [(row.domain ?? {}) as Domain]
  return {
    any: casesOf(
      arb
        .broadcastableShapes(args.length, { minSide: 0, maxRank: 5, maxSide: 3 })
        .chain((shapes) => inputsOf(shapes, () => ({ min: -3, max: 3 }))),
      attrs,
    ),
    large: [[], [1100]].map((outer) => ({
      inputs: args.map((_, i) => long(i === 0 ? [3, 1100] : outer, i, dtypeOf(i))),
      attrs: fc.sample(attrs, { numRuns: 1, seed: 1 })[0],
    })),
    whole: casesOf(arb.broadcastableShapes(args.length, { maxRank: 2 }).chain(wholes), attrs),
    ...(row.vjp !== null && {
      smooth: casesOf(
        fc
          .constantFrom(...domains)
          .chain((domain) =>
            arb.broadcastableShapes(args.length, { maxRank: 2, maxSide: 3 }).chain(smoothIn(domain)),
          ),
        attrs,
      ),
    }),
    reference(inputs, given: Readonly<Record<string, number>>) {
      const shape = broadcastShape(inputs.map((input) => input.shape))
      const values = params.map((param) => given[param]!)
      return build(shape, (index) => value(...inputs.map((input) => at(input, index)), ...values))
    },
  }
}

function casesOf(
  inputs: fc.Arbitrary<readonly Tensor[]>,
  attrs: fc.Arbitrary<unknown> = fc.constant({}),
): fc.Arbitrary<Case> {
  return fc.record({ inputs, attrs })
}

// ---- all others

const ranks = (minRank: number, minSide = 1): fc.Arbitrary<number[]> => arb.shape({ minRank, minSide })

/** A tensor of any shape with at least `minRank` axes, and attributes for it. */
function ofOne(
  minRank: number,
  attrs: (shape: readonly number[]) => fc.Arbitrary<unknown>,
  options: TensorOptions & { readonly minSide?: number } = {},
): fc.Arbitrary<Case> {
  return ranks(minRank, options.minSide).chain((shape) =>
    casesOf(fc.tuple(arb.tensor(shape, options)), attrs(shape)),
  )
}

const axisOf = (rank: number): fc.Arbitrary<number> => fc.integer({ min: -rank, max: rank - 1 })
const alongAxis = (shape: readonly number[]) => fc.record({ axis: axisOf(shape.length) })

const axesAndDims = (shape: readonly number[]) =>
  fc.record({
    axis: fc.oneof(
      fc.constant(null),
      ...(shape.length === 0 ? [] : [axisOf(shape.length)]),
      fc.subarray(shape.map((_, axis) => axis)),
    ),
    keepDims: fc.boolean(),
  })

interface Reduction {
  readonly axis: number | readonly number[] | null
  readonly keepDims: boolean
}

function reduction(
  f: (values: readonly number[]) => number,
  options: TensorOptions & { readonly minSide?: number },
): Sample {
  const { minSide = 0, ...smooth } = options
  return {
    any: ofOne(0, axesAndDims, { minSide }),
    smooth: ofOne(0, axesAndDims, smooth),
    large: [
      ...longAlong((axis) => ({ axis, keepDims: false })),
      ...longAlong(() => ({ axis: null, keepDims: true })),
    ],
    reference: ([a], { axis, keepDims }: Reduction) => reduce(a!, axis, keepDims, f),
  }
}

function truths(f: (values: readonly number[]) => boolean): Sample {
  return {
    any: ofOne(0, axesAndDims, { minSide: 0, dtype: 'int32', min: 0, max: 2 }),
    reference: ([a], { axis, keepDims }: Reduction) =>
      reduce(a!, axis, keepDims, (values) => (f(values) ? 1 : 0)),
  }
}

/** Axes, and whether one value is taken off the count where it may be. */
const momentOf = (shape: readonly number[], mayCorrect: (count: number) => boolean) =>
  axesAndDims(shape).chain((attrs) => {
    const count = sizeOf(axesOf(attrs.axis, shape.length).map((axis) => shape[axis]!))
    return fc
      .constantFrom(0, ...(mayCorrect(count) ? [1] : []))
      .map((correction) => ({ ...attrs, correction }))
  })

function argReduction(isBetter: (a: number, b: number) => boolean): Sample {
  return {
    any: ofOne(1, alongAxis),
    large: longAlong((axis) => ({ axis })),
    reference: ([a], { axis }: { axis: number }) =>
      reduce(a!, axis, false, (values) =>
        values.reduce((best, value, i) => (isBetter(value, values[best]!) ? i : best), 0),
      ),
  }
}

function normalised(f: (values: readonly number[], value: number) => number): Sample {
  const any = ofOne(1, alongAxis)
  return {
    any,
    smooth: any,
    large: longAlong((axis) => ({ axis }), 1),
    reference: ([a], { axis }: { axis: number }) =>
      build(a!.shape, (index) => f(along(a!, axesOf(axis, index.length), index), at(a!, index))),
  }
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0)
const sumExp = (values: readonly number[]): number => sumOf(values.map(Math.exp))

/** The sample of a row that keeps the values in their order. */
function view(
  any: fc.Arbitrary<Case>,
  shapeOf: (shape: readonly number[], attrs: never) => readonly number[],
): Sample {
  return {
    any,
    smooth: any,
    reference: ([a], attrs: never) => ({ shape: shapeOf(a!.shape, attrs), data: a!.data }),
  }
}

/** Shapes of as many elements: some neighbouring axes merged, sides of 1 put in, one side left open. */
function reshapesOf(shape: readonly number[]): fc.Arbitrary<{ shape: number[] }> {
  const merged = shape.length < 2 ? [...shape, 1] : [shape[0]! * shape[1]!, ...shape.slice(2)]
  const split = shape.flatMap((side) => (side === 4 ? [2, 2] : [side]))
  const open = sizeOf(shape) > 0 ? [[-1], [1, -1], [...shape.slice(0, -1), -1]] : []
  return fc.record({ shape: fc.constantFrom([...shape], merged, split, [1, ...shape, 1], ...open) })
}

const withOnes = arb
  .shape({ minSide: 0 })
  .chain((shape) => fc.tuple(...shape.map((side) => fc.constantFrom(side, 1))))

interface Range {
  readonly begin: readonly number[]
  readonly size: readonly number[]
}

const rangeIn = (shape: readonly number[]): fc.Arbitrary<Range> =>
  fc
    .tuple(...shape.map((side) => fc.nat({ max: side })))
    .chain((begin) =>
      fc
        .tuple(...shape.map((side, axis) => fc.integer({ min: -1, max: side - begin[axis]! })))
        .map((size) => ({ begin, size })),
    )

interface Strided {
  readonly begin: readonly number[]
  readonly size: readonly number[]
  readonly strides: readonly number[]
}

/** Positions begin + i * stride that stay inside an axis, forwards or backwards. */
const stridesIn = (side: number): fc.Arbitrary<readonly [begin: number, size: number, stride: number]> =>
  fc.tuple(fc.nat({ max: Math.max(side - 1, 0) }), fc.constantFrom(1, -1, 2, -2)).chain(([begin, stride]) => {
    const most = side === 0 ? 0 : Math.floor((stride > 0 ? side - 1 - begin : begin) / Math.abs(stride)) + 1
    return fc.nat({ max: most }).map((size) => [begin, size, stride] as const)
  })

const stridedIn = (shape: readonly number[]): fc.Arbitrary<Strided> =>
  fc.tuple(...shape.map(stridesIn)).map((axes) => ({
    begin: axes.map(([begin]) => begin),
    size: axes.map(([, size]) => size),
    strides: axes.map(([, , stride]) => stride),
  }))

/** x at begin + i * strides, axis by axis. */
function readAt(a: Nd, { begin, size, strides }: Strided): Nd {
  return build(size, (index) =>
    at(
      a,
      index.map((i, axis) => begin[axis]! + i * strides[axis]!),
    ),
  )
}

interface Placed {
  readonly begin: readonly number[]
  readonly strides: readonly number[]
  readonly shape: readonly number[]
  readonly value: number
}

/** Where a block may lie in something larger: with gaps, or backwards. */
const placesFor = (shape: readonly number[]): fc.Arbitrary<Placed> =>
  fc
    .record({
      axes: fc.tuple(
        ...shape.map(() => fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 }), fc.constantFrom(1, -1, 2))),
      ),
      value: fc.constantFrom(0, -1.5),
    })
    .map(({ axes, value }) => {
      const spans = shape.map((side, axis) => Math.max(side - 1, 0) * Math.abs(axes[axis]![2]) + 1)
      return {
        begin: axes.map(([before, , stride], axis) => before + (stride < 0 ? spans[axis]! - 1 : 0)),
        strides: axes.map(([, , stride]) => stride),
        shape: axes.map(([before, after], axis) => before + spans[axis]! + after),
        value,
      }
    })

/** Python's x[begin:end:stride]: which positions of an axis it names. */
function positionsOf(side: number, begin: number | null, end: number | null, stride: number): number[] {
  const fromEnd = (position: number): number => (position < 0 ? position + side : position)
  const positions: number[] = []
  if (stride > 0) {
    const stop = Math.min(end === null ? side : fromEnd(end), side)
    for (let i = Math.max(begin === null ? 0 : fromEnd(begin), 0); i < stop; i += stride) positions.push(i)
  } else {
    const stop = Math.max(end === null ? -1 : fromEnd(end), -1)
    const start = Math.min(begin === null ? side - 1 : fromEnd(begin), side - 1)
    for (let i = start; i > stop; i += stride) positions.push(i)
  }
  return positions
}

type Bounds = Readonly<Record<'begin' | 'end' | 'strides', readonly (number | null)[] | undefined>>

const boundsFor = (shape: readonly number[]): fc.Arbitrary<Bounds> => {
  const listOf = (value: fc.Arbitrary<number>): fc.Arbitrary<(number | null)[] | undefined> =>
    fc.option(fc.array(fc.option(value), { maxLength: shape.length }), { nil: undefined })
  return fc.record({
    begin: listOf(fc.integer({ min: -6, max: 6 })),
    end: listOf(fc.integer({ min: -6, max: 6 })),
    strides: listOf(fc.constantFrom(1, 2, 3, -1, -2)),
  })
}

const wholeBelow = (limit: number, shape: readonly number[]): fc.Arbitrary<Tensor> =>
  arb.tensor(shape, { dtype: 'int32', min: 0, max: limit - 1 })

interface Along {
  readonly axis: number
}

const gatherCases: fc.Arbitrary<Case> = ranks(1).chain((shape) =>
  fc
    .tuple(alongAxis(shape), arb.shape({ maxRank: 2, maxSide: 3, minSide: 0 }))
    .chain(([attrs, indices]) =>
      casesOf(fc.tuple(arb.tensor(shape), wholeBelow(shape.at(attrs.axis)!, indices)), fc.constant(attrs)),
    ),
)

function gathered(shape: readonly number[], axis: number, indices: readonly number[]): number[] {
  return [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)]
}

const scatterCases: fc.Arbitrary<Case> = ranks(1).chain((shape) =>
  fc.tuple(alongAxis(shape), arb.shape({ maxRank: 2, maxSide: 3, minSide: 0 })).chain(([attrs, indices]) => {
    const [axis] = axesOf(attrs.axis, shape.length)
    const updates = arb.tensor(gathered(shape, axis!, indices))
    return casesOf(
      fc.tuple(arb.tensor(shape), wholeBelow(shape[axis!]!, indices), updates),
      fc.constant(attrs),
    )
  }),
)

const concatCases: fc.Arbitrary<Case> = ranks(1, 0).chain((shape) =>
  fc
    .tuple(axisOf(shape.length), fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }))
    .chain(([axis, sides]) => {
      const [along_] = axesOf(axis, shape.length)
      return casesOf(
        fc.tuple(...sides.map((side) => arb.tensor(shape.with(along_!, side)))),
        fc.constant({ axis }),
      )
    }),
)

interface Running extends Along {
  readonly reverse: boolean
}

/** out[i] = f(out[i - 1], i) along `axis`, i a flat position; out[-1] is `initial`. */
function running(
  a: Nd,
  axis: number,
  reverse: boolean,
  f: (before: number, i: number) => number,
  initial: number,
): Nd {
  const [along_] = axesOf(axis, a.shape.length)
  const stride = sizeOf(a.shape.slice(along_! + 1))
  const data = a.data.slice()
  const positions = indicesOf(a.shape).map((index, i) => ({ i, step: index[along_!]! }))
  const last = a.shape[along_!]! - 1
  for (const { i, step } of reverse ? positions.toReversed() : positions) {
    const isFirst = step === (reverse ? last : 0)
    data[i] = f(isFirst ? initial : data[reverse ? i + stride : i - stride]!, i)
  }
  return { shape: a.shape, data }
}

/** Matrices [m, k] and [k, n] behind batch axes that broadcast, either stored transposed. */
const matmulCases: fc.Arbitrary<Case> = fc
  .record({
    batches: arb.broadcastableShapes(2, { maxRank: 2, maxSide: 2, minSide: 0 }),
    sides: fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 }), fc.nat({ max: 5 })),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
  })
  .chain(({ batches, sides: [m, k, n], transposeA, transposeB }) =>
    casesOf(
      fc.tuple(
        arb.tensor([...batches[0]!, ...(transposeA ? [k, m] : [m, k])]),
        arb.tensor([...batches[1]!, ...(transposeB ? [n, k] : [k, n])]),
      ),
      fc.constant({ transposeA, transposeB }),
    ),
  )

function matmulReference(
  [a, b]: readonly Nd[],
  attrs: { readonly transposeA: boolean; readonly transposeB: boolean },
): Nd {
  const p = attrs.transposeA ? swapped(a!) : a!
  const q = attrs.transposeB ? swapped(b!) : b!
  const k = p.shape.at(-1)!
  const batch = broadcastShape([p.shape.slice(0, -2), q.shape.slice(0, -2)])
  return build([...batch, p.shape.at(-2)!, q.shape.at(-1)!], (index) => {
    const [i, j] = index.slice(-2) as [number, number]
    const head = index.slice(0, -2)
    // The sides of the matrices are spelt out: only batch axes of side 1 are broadcast.
    const term = (t: number): number => at(p, [...head, i, t]) * at(q, [...head, t, j])
    return sumOf(Array.from({ length: k }, (_, t) => term(t)))
  })
}

/** The last two axes swapped. */
function swapped(a: Nd): Nd {
  const shape = [...a.shape.slice(0, -2), a.shape.at(-1)!, a.shape.at(-2)!]
  return build(shape, (index) => at(a, [...index.slice(0, -2), index.at(-1)!, index.at(-2)!]))
}

const CASTS: Readonly<Record<string, (value: number) => number>> = {
  float64: (value) => value,
  float32: Math.fround,
  int32: Math.trunc,
  bool: (value) => (value === 0 ? 0 : 1),
}

const indicesBelow4 = fc.tuple(arb.shape().chain((shape) => wholeBelow(4, shape)))

/** Rows that give back the indices that they have checked. */
const checkedIndices: Sample = {
  any: casesOf(indicesBelow4, fc.constant({ limit: 4 })),
  reference: ([indices]) => indices!,
}

/** Every row that is no formula of its inputs at one position. A new row needs a line here and nothing else. */
const structural: Readonly<Record<string, Sample>> = {
  sum: reduction(sumOf, {}),
  mean: reduction((values) => sumOf(values) / values.length, {}),
  max: reduction((values) => Math.max(...values), { minSide: 1, distinct: true }),
  min: reduction((values) => Math.min(...values), { minSide: 1, distinct: true }),
  prod: reduction((values) => values.reduce((product, value) => product * value, 1), {}),
  logSumExp: reduction((values) => Math.log(sumExp(values)), {}),
  any: truths((values) => values.some((value) => value !== 0)),
  all: truths((values) => values.every((value) => value !== 0)),
  variance: {
    any: ofOne(0, (shape) => momentOf(shape, () => true), { minSide: 0 }),
    smooth: ofOne(0, (shape) => momentOf(shape, (count) => count > 1)),
    large: longAlong((axis) => ({ axis, keepDims: true, correction: 1 })),
    reference: ([a], { axis, keepDims, correction }: Reduction & { readonly correction: number }) =>
      reduce(a!, axis, keepDims, (values) => {
        const center = sumOf(values) / values.length
        const squares = sumOf(values.map((value) => (value - center) ** 2))
        return values.length <= correction ? NaN : squares / (values.length - correction)
      }),
  },
  // Bent most at the origin, where its derivative is a convention.
  norm: reduction((values) => Math.sqrt(sumOf(values.map((value) => value * value))), { kinks: [0] }),
  argMax: argReduction((a, b) => a > b),
  argMin: argReduction((a, b) => a < b),
  softmax: normalised((values, value) => Math.exp(value) / sumExp(values)),
  logSoftmax: normalised((values, value) => value - Math.log(sumExp(values))),

  cumsum: both({
    any: ofOne(1, (shape) => fc.record({ axis: axisOf(shape.length), reverse: fc.boolean() }), {
      minSide: 0,
    }),
    reference: ([a], { axis, reverse }: Running) =>
      running(a!, axis, reverse, (before, i) => before + a!.data[i]!, 0),
  }),
  recurrence: both({
    any: ranks(1, 0).chain((shape) =>
      casesOf(
        fc.tuple(arb.tensor(shape), arb.tensor(shape)),
        fc.record({
          axis: fc.nat({ max: shape.length - 1 }),
          reverse: fc.boolean(),
          initial: fc.constantFrom(0, 1, -0.5),
        }),
      ),
    ),
    reference: ([a, decay], { axis, reverse, initial }: Running & { readonly initial: number }) =>
      running(a!, axis, reverse, (before, i) => decay!.data[i]! * before + a!.data[i]!, initial),
  }),

  matmul: {
    any: matmulCases,
    smooth: matmulCases,
    large: [false, true].map((transposed) => ({
      inputs: transposed ? [long([2, 700, 9]), long([6, 700], 1)] : [long([2, 9, 700]), long([700, 6], 1)],
      attrs: { transposeA: transposed, transposeB: transposed },
    })),
    reference: matmulReference,
  },

  reshape: view(
    ofOne(0, reshapesOf, { minSide: 0 }),
    (shape, { shape: to }: { shape: readonly number[] }) => {
      const known = to.reduce((size, side) => (side === -1 ? size : size * side), 1)
      return to.map((side) => (side === -1 ? sizeOf(shape) / known : side))
    },
  ),
  expandDims: view(
    ofOne(0, (shape) => fc.record({ axis: axisOf(shape.length + 1) }), { minSide: 0 }),
    (shape, { axis }: Along) => {
      const to = axis < 0 ? axis + shape.length + 1 : axis
      return [...shape.slice(0, to), 1, ...shape.slice(to)]
    },
  ),
  squeeze: view(
    withOnes.chain((shape) => {
      const ones = shape.map((side, axis) => (side === 1 ? axis : -1)).filter((axis) => axis >= 0)
      const axes = fc.oneof(
        fc.constant(null),
        fc.subarray(ones),
        ...ones.map((axis) => fc.constantFrom(axis, axis - shape.length)),
      )
      return casesOf(fc.tuple(arb.tensor(shape)), fc.record({ axis: axes }))
    }),
    (shape, { axis }: { axis: number | readonly number[] | null }) => {
      const gone =
        axis === null ? shape.flatMap((side, i) => (side === 1 ? [i] : [])) : axesOf(axis, shape.length)
      return shape.filter((_, i) => !gone.includes(i))
    },
  ),
  transpose: both({
    any: ofOne(
      0,
      (shape) => {
        const axes = shape.map((_, axis) => axis)
        const all = fc.shuffledSubarray(axes, { minLength: axes.length, maxLength: axes.length })
        return fc.record({ perm: fc.option(all) })
      },
      { minSide: 0 },
    ),
    reference([a], { perm }: { perm: readonly number[] | null }) {
      const order = perm ?? a!.shape.map((_, i) => a!.shape.length - 1 - i)
      const shape = order.map((axis) => a!.shape[axis]!)
      return build(shape, (index) => {
        const from = new Array<number>(order.length)
        order.forEach((axis, i) => (from[axis] = index[i]!))
        return at(a!, from)
      })
    },
  }),
  broadcastTo: both({
    any: arb
      .broadcastableShapes(2, { minSide: 0, maxRank: 4, maxSide: 3 })
      .chain(([a, b]) => casesOf(fc.tuple(arb.tensor(a!)), fc.constant({ shape: broadcastShape([a!, b!]) }))),
    reference: ([a], { shape }: { shape: readonly number[] }) => build(shape, (index) => at(a!, index)),
  }),
  slice: both({
    any: ofOne(0, rangeIn, { minSide: 0 }),
    reference: ([a], { begin, size }: Range) =>
      build(
        a!.shape.map((side, axis) => (size[axis] === -1 ? side - begin[axis]! : size[axis]!)),
        (index) =>
          at(
            a!,
            index.map((i, axis) => i + begin[axis]!),
          ),
      ),
  }),
  range: both({
    any: ofOne(0, stridedIn, { minSide: 0 }),
    reference: ([a], range: Strided) => readAt(a!, range),
  }),
  stridedSlice: both({
    any: ofOne(0, boundsFor, { minSide: 0 }),
    reference([a], { begin, end, strides }: Bounds) {
      const positions = a!.shape.map((side, axis) =>
        positionsOf(side, begin?.[axis] ?? null, end?.[axis] ?? null, strides?.[axis] ?? 1),
      )
      return build(
        positions.map((list) => list.length),
        (index) =>
          at(
            a!,
            index.map((i, axis) => positions[axis]![i]!),
          ),
      )
    },
  }),
  flip: both({
    any: ofOne(0, (shape) => axesAndDims(shape).map(({ axis }) => ({ axes: axis })), { minSide: 0 }),
    reference([a], { axes }: { axes: number | readonly number[] | null }) {
      const flipped = axesOf(axes, a!.shape.length)
      return build(a!.shape, (index) =>
        at(
          a!,
          index.map((i, axis) => (flipped.includes(axis) ? a!.shape[axis]! - 1 - i : i)),
        ),
      )
    },
  }),
  part: both({
    any: ofOne(
      1,
      (shape) =>
        axisOf(shape.length).chain((axis) =>
          stridesIn(shape.at(axis)!)
            .filter(([, , stride]) => stride === 1)
            .map(([begin, size]) => ({ axis, begin, size })),
        ),
      { minSide: 0 },
    ),
    reference([a], { axis, begin, size }: { axis: number; begin: number; size: number }) {
      const [along_] = axesOf(axis, a!.shape.length)
      return build(a!.shape.with(along_!, size), (index) =>
        at(a!, index.with(along_!, index[along_!]! + begin)),
      )
    },
  }),
  place: both({
    any: ofOne(0, placesFor, { minSide: 0 }),
    reference([a], { begin, strides, shape, value }: Placed) {
      const data = build(shape, () => value).data.slice()
      indicesOf(a!.shape).forEach((index, k) => {
        const to = index.map((i, axis) => begin[axis]! + i * strides[axis]!)
        data[to.reduce((flat, i, axis) => flat * shape[axis]! + i, 0)] = a!.data[k]!
      })
      return { shape, data }
    },
  }),
  pad: both({
    any: ofOne(
      0,
      (shape) =>
        fc.record({
          paddings: fc.tuple(...shape.map(() => fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 })))),
          value: fc.constantFrom(0, 2.5),
        }),
      { minSide: 0 },
    ),
    reference([a], { paddings, value }: { paddings: readonly (readonly [number, number])[]; value: number }) {
      const shape = a!.shape.map((side, axis) => side + paddings[axis]![0] + paddings[axis]![1])
      return build(shape, (index) => {
        const from = index.map((i, axis) => i - paddings[axis]![0])
        return from.every((i, axis) => i >= 0 && i < a!.shape[axis]!) ? at(a!, from) : value
      })
    },
  }),
  concat: both({
    any: concatCases,
    reference(inputs, { axis }: Along) {
      const rank = inputs[0]!.shape.length
      const [along_] = axesOf(axis, rank)
      const total = sumOf(inputs.map(({ shape }) => shape[along_!]!))
      return build(inputs[0]!.shape.with(along_!, total), (index) => {
        let from = index[along_!]!
        let which = 0
        while (from >= inputs[which]!.shape[along_!]!) from -= inputs[which++]!.shape[along_!]!
        return at(inputs[which]!, index.with(along_!, from))
      })
    },
  }),

  gather: both({
    any: gatherCases,
    reference([a, indices], { axis }: Along) {
      const [along_] = axesOf(axis, a!.shape.length)
      const rank = indices!.shape.length
      return build(gathered(a!.shape, along_!, indices!.shape), (index) => {
        const chosen = at(indices!, index.slice(along_, along_! + rank))
        return at(a!, [...index.slice(0, along_), chosen, ...index.slice(along_! + rank)])
      })
    },
  }),
  scatterAdd: both({
    any: scatterCases,
    reference([a, indices, updates], { axis }: Along) {
      const [along_] = axesOf(axis, a!.shape.length)
      const positions = build(indices!.shape, () => 0).data.map((_, k) => k)
      return build(a!.shape, (index) => {
        const inner = sizeOf(a!.shape.slice(along_! + 1))
        const count = positions.length
        const flat = index.slice(along_! + 1).reduce((sum, i, d) => sum * a!.shape[along_! + 1 + d]! + i, 0)
        const outer = index.slice(0, along_).reduce((sum, i, d) => sum * a!.shape[d]! + i, 0)
        const added = positions.filter((k) => indices!.data[k] === index[along_!])
        return at(a!, index) + sumOf(added.map((k) => updates!.data[(outer * count + k) * inner + flat]!))
      })
    },
  }),

  cast: {
    any: ofOne(0, () => fc.record({ dtype: fc.constantFrom('float64', 'float32', 'int32', 'bool') }), {
      minSide: 0,
    }),
    smooth: ofOne(0, () => fc.constant({ dtype: 'float64' })),
    reference: ([a], { dtype }: { dtype: string }) => ({ shape: a!.shape, data: a!.data.map(CASTS[dtype]!) }),
  },
  stopGradient: { any: ofOne(0, () => fc.constant({}), { minSide: 0 }), reference: ([a]) => a! },
  oneHot: checkedIndices,
  takeAlongAxis: checkedIndices,
  gatherND: checkedIndices,
  sparseCategoricalCrossentropy: {
    ...checkedIndices,
    any: casesOf(indicesBelow4, fc.constant({ count: 4 })),
  },
}

/** Smooth wherever it is defined. */
function both(sample: Omit<Sample, 'smooth'>): Sample {
  return { ...sample, smooth: sample.any }
}

/** The sample of a row. @throws where there is none. */
export function sampleOf(row: AnyRow): Sample {
  const sample = structural[row.name]
  if (sample !== undefined) return sample
  if (row.fn === undefined) throw new Error(`test/support/samples.ts has no entry ${row.name}`)
  return elementwise(row)
}

/** Entries for rows that do not exist. */
export function surplus(): string[] {
  return [...Object.keys(structural), ...scalars.keys()].filter((name) => !rows.has(name))
}

/** A tensor of the same values in memory of its own. */
export function copyOf(a: Tensor): Tensor {
  return tensor(a.dataSync(), { shape: a.shape, dtype: a.dtype })
}
