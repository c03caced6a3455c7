import type { DType } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import { Code, type Local } from './code.js'
import { type Compiled, compileModule } from './host.js'
import { hasLanes, hasSeries, isTruth, type Lanes } from './lanes.js'
import { writeMap } from './map.js'
import { type MatmulSource, writeMatmul, writeMatVec } from './matmul.js'
import { memory } from './memory.js'
import {
  type VectorReduceOp,
  writeCopy,
  writeReduceColumns,
  writeReduceRows,
  writeSoftmax,
  writeTranspose,
} from './reduce.js'

// Kernels of eager ops: one function for all sizes. Each is compiled when it is first needed and kept.

/** Compiles a function of `count` whole numbers. */
function compiled(count: number, write: (c: Code, ints: readonly Local[]) => void): Compiled {
  const c = new Code()
  write(
    c,
    Array.from({ length: count }, () => c.param('i32')),
  )
  return compileModule({ functions: [c.source('kernel')] }, memory)['kernel']!
}

const cache = new Map<string, Compiled>()

function cached(key: string, make: () => Compiled): Compiled {
  let kernel = cache.get(key)
  if (kernel === undefined) cache.set(key, (kernel = make()))
  return kernel
}

const CODES: Readonly<Record<DType, number>> = {
  float32: 0,
  float64: 1,
  int32: 2,
  uint8: 3,
  bool: 4,
  string: 5,
}

/** The kernels of one formula, by the dtypes and walks of its operands. */
export class MapKernels {
  readonly #fn: ScalarFunction
  readonly #kernels = new Map<number, Compiled>()
  readonly #hasLanes: boolean
  readonly #hasSeries: boolean
  readonly #isTruth: boolean

  constructor(fn: ScalarFunction) {
    this.#fn = fn
    this.#hasLanes = hasLanes(fn.body)
    this.#hasSeries = hasSeries(fn.body)
    this.#isTruth = isTruth(fn.body)
  }

  /**
   * Whether there are kernels for results of this dtype. Whole numbers are left to the plain loops, and so are float64
   * numbers that come from series.
   */
  has(out: DType): boolean {
    if (!this.#hasLanes) return false
    return out === 'float32' || (out === 'bool' && this.#isTruth) || (out === 'float64' && !this.#hasSeries)
  }

  /** kernel(out, …inputs, inner, …params), or with rows kernel(out, …inputs, inner, rows, …input steps, …params). */
  get(out: DType, inputs: readonly { readonly dtype: DType }[], once: number, hasRows: boolean): Compiled {
    let key = CODES[out] * 2 + (hasRows ? 1 : 0)
    for (let i = 0; i < inputs.length; i++) key = key * 16 + CODES[inputs[i]!.dtype] * 2 + ((once >> i) & 1)
    let kernel = this.#kernels.get(key)
    if (kernel === undefined) {
      kernel = this.#compile(
        out,
        inputs.map(({ dtype }, i) => ({ dtype, isOnce: ((once >> i) & 1) === 1 })),
        hasRows,
      )
      this.#kernels.set(key, kernel)
    }
    return kernel
  }

  #compile(
    out: DType,
    inputs: readonly { readonly dtype: DType; readonly isOnce: boolean }[],
    hasRows: boolean,
  ): Compiled {
    const c = new Code()
    const ints = (count: number): Local[] => Array.from({ length: count }, () => c.param('i32'))
    const [to] = ints(1)
    const from = ints(inputs.length)
    const [inner] = ints(1)
    const rows = hasRows ? ints(1)[0]! : 1
    const inputSteps = hasRows ? ints(inputs.length) : []
    const numbers = this.#fn.params.map(() => c.param('f64'))
    const params = numbers.map((param): Lanes => {
      const all = c.local('v128')
      c.get(param).op('f64x2.splat').set(all)
      return { kind: 'double', low: all, high: all }
    })
    writeMap(
      c,
      {
        inputs,
        steps: [{ body: this.#fn.body, args: inputs.map((_, i) => i), dtype: out, params }],
        outputs: [0],
      },
      { inputs: from, inputSteps, outputs: [to!], rows, inner: inner! },
    )
    return compileModule({ functions: [c.source('kernel')] }, memory)['kernel']!
  }
}

/** kernel(a, b, out, scratch, m, n, k) */
export function matmulKernel(source: MatmulSource): Compiled {
  const { transposeA, transposeB, tileRows, narrow = 0, packs, isDeep } = source
  const key = `matmul ${transposeA} ${transposeB} ${tileRows} ${narrow} ${packs} ${isDeep}`
  return cached(key, () =>
    compiled(7, (c, [a, b, out, scratch, m, n, k]) => {
      const places = { a: a!, b: b!, out: out!, scratch: scratch!, m: m!, n: n!, k: k! }
      if (narrow === 1 && !transposeA) writeMatVec(c, source, places)
      else writeMatmul(c, source, places)
    }),
  )
}

/** kernel(x, out, outer, count, inner) */
export function reduceKernel(op: VectorReduceOp, isRows: boolean): Compiled {
  return cached(`${op} ${isRows}`, () =>
    compiled(5, (c, [x, out, outer, count, inner]) => {
      const write = isRows ? writeReduceRows : writeReduceColumns
      write(c, op, { x: x!, out: out!, outer: outer!, count: count!, inner: inner! })
    }),
  )
}

/** kernel(x, out, rows, count, scratch) */
export function softmaxKernel(): Compiled {
  return cached('softmax', () =>
    compiled(5, (c, [x, out, rows, count, scratch]) =>
      writeSoftmax(c, { x: x!, out: out!, rows: rows!, count: count!, scratch: scratch! }),
    ),
  )
}

/** kernel(from, to, rows, bytes, from step, to step) */
export function copyKernel(): Compiled {
  return cached('copy', () =>
    compiled(6, (c, [from, to, rows, bytes, fromStep, toStep]) =>
      writeCopy(c, {
        from: from!,
        to: to!,
        rows: rows!,
        bytes: bytes!,
        fromStep: fromStep!,
        toStep: toStep!,
      }),
    ),
  )
}

/** kernel(x, out, m, n) */
export function transposeKernel(): Compiled {
  return cached('transpose', () =>
    compiled(4, (c, [x, out, m, n]) => writeTranspose(c, { x: x!, out: out!, m: m!, n: n! })),
  )
}
