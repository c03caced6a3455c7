import { pack, type Packed } from './protocol.js'

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
}
export type Unit = 'steps/s' | 'GFLOP/s' | 'µs' | 'ms'

export const BATCH = 32
/** Steps go round this many batches; targets are random, so a model cannot learn them by heart and stop moving. */
const BATCHES = 16
const ROWS = BATCH * BATCHES

/** Products of n terms in float32, summed in any order. */
const ROUNDED = 1e-5
/** Ten steps of Adam, which divides small gradients by their own size: rounding shows more than elsewhere. */
const TRAINED = 1e-4

export const CASES: readonly Case[] = [
  {
    name: 'b1',
    what: 'a training step, two inputs [10] and [5], Dense 64 and 32 relu, concat, Dense 1, mse; Adam; batch 32',
    program: 'b1',
    inputs: () => b1(),
    tolerance: TRAINED,
    unit: 'steps/s',
  },
  {
    name: 'b3',
    what: 'a training step, [20] → 128 → 64 → 32 relu with three heads, mse + bce + crossentropy; Adam; batch 32',
    program: 'b3',
    inputs: b3,
    tolerance: TRAINED,
    unit: 'steps/s',
  },
  {
    name: 'b1-train',
    what: 'b1 by trainOnBatch of the layers (PyTorch: its eager step again)',
    program: 'b1-train',
    inputs: () => b1(),
    tolerance: TRAINED,
    unit: 'steps/s',
  },
  {
    name: 'b3-train',
    what: 'b3 by trainOnBatch of the layers (PyTorch: its eager step again)',
    program: 'b3-train',
    inputs: b3,
    tolerance: TRAINED,
    unit: 'steps/s',
  },
  fitSeed1('first', 1),
  fitSeed1('second', 2),
  ...[32, 128, 512].map(matmul),
  elementwise('mul', 2),
  elementwise('exp', 1),
  elementwise('tanh', 1),
  {
    name: 'softmax',
    what: 'softmax of 1024 rows of 1000',
    program: 'softmax',
    inputs: () => ({ x: uniform('softmax', [1024, 1000], 5) }),
    tolerance: ROUNDED,
    unit: 'ms',
  },
]

function fitSeed1(which: string, call: number): Case {
  return {
    name: `fit-seed1-${which}`,
    what: `the ${which} call of fit of b1's model in a process: 100 rows, 10 epochs`,
    program: 'fit-seed1',
    inputs: () => b1(100),
    tolerance: TRAINED,
    unit: 'ms',
    call,
  }
}

function matmul(n: number): Case {
  return {
    name: `matmul-${n}`,
    what: `[${n},${n}] · [${n},${n}]`,
    program: 'matmul',
    inputs: () => ({ a: uniform('a', [n, n]), b: uniform('b', [n, n]) }),
    tolerance: ROUNDED,
    unit: 'GFLOP/s',
    flops: 2 * n ** 3,
  }
}

function elementwise(program: string, operands: 1 | 2): Case {
  return {
    name: program,
    what: `${program} of 1e5 elements`,
    program,
    inputs: () => ({
      x: uniform('x', [100_000], 3),
      ...(operands === 2 && { y: uniform('y', [100_000], 3) }),
    }),
    tolerance: ROUNDED,
    unit: 'µs',
  }
}

function b1(rows = ROWS): Readonly<Record<string, Packed>> {
  return {
    x1: uniform('x1', [rows, 10]),
    x2: uniform('x2', [rows, 5]),
    y: uniform('y', [rows, 1]),
    ...dense(1, 10, 64),
    ...dense(2, 5, 32),
    ...dense(3, 96, 1),
  }
}

function b3(): Readonly<Record<string, Packed>> {
  return {
    x: uniform('x', [ROWS, 20]),
    yA: uniform('yA', [ROWS, 1]),
    yB: numbers([ROWS, 1], (next) => (next() < 0.5 ? 0 : 1), 'yB'),
    yC: oneHot('yC', ROWS, 5),
    ...dense(1, 20, 128),
    ...dense(2, 128, 64),
    ...dense(3, 64, 32),
    ...dense('A', 64, 1),
    ...dense('B', 32, 1),
    ...dense('C', 96, 5),
  }
}

/** Weights w [m, n] as Glorot and Bengio draw them, and a bias b [n] of zeros. */
function dense(id: number | string, m: number, n: number): Readonly<Record<string, Packed>> {
  return {
    [`w${id}`]: uniform(`w${id}`, [m, n], Math.sqrt(6 / (m + n))),
    [`b${id}`]: numbers([n], () => 0, `b${id}`),
  }
}

function uniform(name: string, shape: readonly number[], bound = 1): Packed {
  return numbers(shape, (next) => (2 * next() - 1) * bound, name)
}

function oneHot(name: string, rows: number, classes: number): Packed {
  const next = generator(name)
  const values = new Float32Array(rows * classes)
  for (let row = 0; row < rows; row++) values[row * classes + Math.floor(next() * classes)] = 1
  return pack(values, [rows, classes])
}

function numbers(shape: readonly number[], value: (next: () => number) => number, name: string): Packed {
  const next = generator(name)
  const size = shape.reduce((n, side) => n * side, 1)
  return pack(
    Float32Array.from({ length: size }, () => value(next)),
    shape,
  )
}

/** Numbers in [0, 1) that depend on the name alone (mulberry32). */
function generator(name: string): () => number {
  let state = 0
  for (const character of name) state = (Math.imul(state, 31) + character.codePointAt(0)!) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
