import type { DType } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import type { Choice, Writer } from './choose.js'
import { Code, type Local } from './code.js'
import { type Compiled, compileModule } from './host.js'
import { isQuick, isVectorized, type Lanes } from './lanes.js'
import { writeMap } from './map.js'
import { memory } from './memory.js'

// Kernels of eager ops: one function for all sizes. Each is compiled when it is first needed and kept.

/** Which arguments are single numbers is told by the bits of a number. */
const MOST_ARGUMENTS = 30

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
  readonly #has = new Map<DType, boolean>()

  constructor(fn: ScalarFunction) {
    this.#fn = fn
  }

  has(out: DType): boolean {
    if (this.#fn.args.length > MOST_ARGUMENTS) return false
    let known = this.#has.get(out)
    if (known === undefined) this.#has.set(out, (known = isVectorized(this.#fn.body, out)))
    return known
  }

  /** Whether a kernel takes hardly longer than to copy its output. */
  isQuick(out: DType): boolean {
    return isQuick(this.#fn.body, out)
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

const kernels = new Map<Writer, Compiled>()

/** kernel(…operands, …sizes, scratch) */
export function kernelOf({ writer, sizes }: Choice, operands: number): Compiled {
  let kernel = kernels.get(writer)
  if (kernel === undefined) {
    const c = new Code()
    const ints = (count: number): Local[] => Array.from({ length: count }, () => c.param('i32'))
    const [at, known, scratch] = [ints(operands), ints(sizes.length), ints(1)[0]!]
    writer.write(c, at, known, scratch)
    kernel = compileModule({ functions: [c.source('kernel')] }, memory)['kernel']!
    kernels.set(writer, kernel)
  }
  return kernel
}
