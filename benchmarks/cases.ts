import { type ModelName, MODELS, numbers, uniform } from './models.js'
import { type Inputs, pack, type Packed } from './protocol.js'

/** One thing to measure. Its program is written once in each library, see competitors/ and peers/. */
export interface Case {
  readonly name: string
  /** What is done once, for the tables. */
  readonly what: string
  readonly program: string
  readonly inputs: () => Readonly<Record<string, Packed>>
  /** Largest |result - reference|, as a fraction of the largest |reference|, that counts as equal. */
  readonly tolerance: number
  readonly unit: Unit
  /** Only this call in a fresh process counts: 1 for the first. */
  readonly call?: number
  /** Floating point operations of one run, where they say more than the time. */
  readonly flops?: number
  /** Bytes that one run has to read and write, likewise. */
  readonly bytes?: number
  /** How many times as fast as others Adjoint is meant to be, by their names. */
  readonly asked?: Readonly<Record<string, number>>
  /** The same of two threads, by the clock: over one thread (adjoint, or as a plan adjoint-plan), or over others. */
  readonly askedOfTwo?: Readonly<Record<string, number>>
  /** Cases that are asked the same, and told together. */
  readonly family?: string
}
export type Unit = 'steps/s' | 'GFLOP/s' | 'GB/s' | 'µs' | 'ms'

export const BATCH = 32
/** Steps go round this many batches; targets are random, so a model cannot learn them by heart and stop moving. */
const BATCHES = 16
const ROWS = BATCH * BATCHES
/** B4's batches are larger. */
export const LARGE_BATCH = 128

/** How often `adam` repeats the weights and gradients that it is given: up to 1e7. */
export const ADAM_TILES = 100
const ADAM_TILE = 100_000

/** Products of n terms in float32, summed in any order. */
const ROUNDED = 1e-5
/** Ten steps of Adam, which divides small gradients by their own size: rounding shows more than elsewhere. */
const TRAINED = 1e-4

/** What is said of the models, and how many rows they are given. */
const STEPS: Readonly<Record<ModelName, { readonly what: string; readonly rows: number }>> = {
  b1: { what: 'two inputs [10] and [5], Dense 64 and 32 relu, concat, Dense 1, mse; batch 32', rows: ROWS },
  b2: {
    what: '[10] → Dense 64 relu, a number below 100 → Embedding 32, concat, Dense 1 sigmoid, bce; batch 32',
    rows: ROWS,
  },
  b3: { what: '[20] → 128 → 64 → 32 relu with three heads, mse + bce + crossentropy; batch 32', rows: ROWS },
  b4: {
    what: '[784] → 256 → 128 relu → 10 softmax, crossentropy; batch 128',
    rows: LARGE_BATCH * BATCHES,
  },
}

const WAYS = {
  eager: 'by hand, eagerly',
  plan: 'by hand, as a plan: compile(f), the loss not read each step',
  train: 'by trainOnBatch of the layers, the loss returned',
}

export const CASES: readonly Case[] = [
  step('b1', 'eager', { pytorch: 6, 'tfjs-wasm': 5 }),
  step('b3', 'eager', { pytorch: 2 }),
  step('b1', 'plan', { pytorch: 25 }),
  step('b2', 'plan', { pytorch: 20 }),
  { ...step('b3', 'plan', { pytorch: 5 }), askedOfTwo: { adjoint: 1 } },
  { ...step('b4', 'plan', { 'jax-js': 2.2 }), askedOfTwo: { adjoint: 1, 'jax-js': 3.5 } },
  step('b1', 'train', { pytorch: 8 }),
  step('b2', 'train', { pytorch: 8 }),
  step('b3', 'train', { pytorch: 4 }),
  fitSeed1('first', 1, 2),
  fitSeed1('second', 2, 50),
  {
    name: 'import',
    what: "import of the layers to the end of the first step of b1's model, in a fresh process",
    program: 'import',
    inputs: () => packed(MODELS.b1(BATCH)),
    tolerance: TRAINED,
    unit: 'ms',
    call: 1,
    asked: { 'tfjs-wasm': 1 / 0.7 },
  },
  ...[32, 64, 128, 256, 512, 1024, 2048].flatMap((n) =>
    ['', '-tn', '-nt', '-tt'].map((form) => matmul(n, form)),
  ),
  elementwise('mul', 2),
  elementwise('exp', 1, { 'tfjs-wasm': 8 }),
  elementwise('tanh', 1, { 'tfjs-wasm': 8 }),
  elementwise('sigmoid', 1, { 'tfjs-wasm': 8 }),
  {
    name: 'softmax',
    what: 'softmax of 1024 rows of 1000',
    program: 'softmax',
    inputs: () => packed({ x: uniform('softmax', [1024, 1000], 5) }),
    tolerance: ROUNDED,
    unit: 'ms',
    asked: { 'tfjs-wasm': 1 },
  },
  {
    name: 'adam',
    what: 'a step of Adam for 1e7 weights, gradients given (4 arrays read, 3 written)',
    program: 'adam',
    inputs: () =>
      packed({
        w: uniform('w', [ADAM_TILE]),
        // Away from 0, where it counts whether epsilon is added before or after the averages are corrected.
        g: numbers([ADAM_TILE], (next) => (next() < 0.5 ? -1 : 1) * (0.1 + next()), 'g'),
      }),
    tolerance: TRAINED,
    unit: 'GB/s',
    bytes: 7 * 4 * ADAM_TILE * ADAM_TILES,
  },
]

/** A training step with Adam: forward, loss, backward, update. */
function step(model: ModelName, way: keyof typeof WAYS, asked: Case['asked']): Case {
  const { what, rows } = STEPS[model]
  return {
    name: `${model}-${way}`,
    what: `a training step ${WAYS[way]}: ${what}`,
    program: `${model}-${way}`,
    inputs: () => packed(MODELS[model](rows)),
    tolerance: TRAINED,
    unit: 'steps/s',
    ...(asked !== undefined && { asked }),
  }
}

function fitSeed1(which: string, call: number, asked: number): Case {
  return {
    name: `fit-seed1-${which}`,
    what: `the ${which} call of fit of b1's model in a process: 100 rows, 10 epochs`,
    program: 'fit-seed1',
    inputs: () => packed(MODELS.b1(100)),
    tolerance: TRAINED,
    unit: 'ms',
    call,
    asked: { 'tfjs-wasm': asked },
  }
}

/** `form` tells which operands are transposed: '' none, '-tn' the first, '-nt' the second, '-tt' both. */
function matmul(n: number, form: string): Case {
  return {
    name: `matmul-${n}${form}`,
    what: `[${n},${n}]${form.startsWith('-t') ? 'ᵀ' : ''} · [${n},${n}]${form.endsWith('t') ? 'ᵀ' : ''}`,
    program: `matmul${form}`,
    inputs: () => packed({ a: uniform('a', [n, n]), b: uniform('b', [n, n]) }),
    tolerance: ROUNDED,
    unit: 'GFLOP/s',
    flops: 2 * n ** 3,
    family: form === '' ? 'matmul' : 'matmul, transposed',
    asked: { peak: 0.8, 'jax-js': 1.7, 'tfjs-wasm': form === '' ? 1.25 : 15 },
    ...(n >= 256 && { askedOfTwo: { 'adjoint-plan': 1.7 } }),
  }
}

function elementwise(program: string, operands: 1 | 2, asked?: Case['asked']): Case {
  return {
    name: program,
    what: `${program} of 1e5 elements`,
    program,
    inputs: () =>
      packed({
        x: uniform('x', [100_000], 3),
        ...(operands === 2 && { y: uniform('y', [100_000], 3) }),
      }),
    tolerance: ROUNDED,
    unit: 'µs',
    ...(asked !== undefined && { asked }),
  }
}

function packed(inputs: Inputs): Readonly<Record<string, Packed>> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { values, shape }]) => [name, pack(values, shape)]),
  )
}
