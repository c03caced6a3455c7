import type { Aval } from './aval.js'
import { plainBackend } from './cpu/index.js'
import type { DType, HostArray } from './dtype.js'
import { BackendError, show, ValueError } from './errors.js'
import type { ScalarFunction } from './expr/scalar.js'
import { checkFunction } from './options.js'
import type { Program, Replay } from './plan/program.js'
import type { Tensor, Variable } from './tensor.js'
import { wasmBackend } from './wasm/backend.js'
import { hasWebAssembly } from './wasm/host.js'

/** A backend's own name for stored values: flat, row-major, never changed once written. */
export type Handle = object

/** An input of a kernel. */
export interface Stored extends Aval {
  readonly handle: Handle
}

/** Everything a backend must be able to compute: plain data, shapes come with the operands. */
export type Kernel =
  /** out[i] = fn(x[i], y[i], …; params), operands broadcast to the output's shape. */
  | { readonly kind: 'map'; readonly fn: ScalarFunction; readonly params: readonly number[] }
  /** The same values under another shape. */
  | { readonly kind: 'view' }
  /** Reduces over `axes` (sorted, from the front). */
  | {
      readonly kind: 'reduce'
      readonly op: ReduceOp
      readonly axes: readonly number[]
      /** What variance takes off the count before it divides by it (0 unless given). */
      readonly correction?: number
    }
  /**
   * Input x: running sums along `axis`, out[i] = out[i - 1] + x[i]. Inputs x, decay: out[i] = decay[i] out[i - 1] + x[i].
   * out[-1] is `initial`; `reverse` goes from the end.
   */
  | {
      readonly kind: 'cumulate'
      readonly axis: number
      readonly reverse: boolean
      readonly initial: number
    }
  /** Position of the first largest or smallest value along `axis`; the first NaN wins. */
  | { readonly kind: 'argReduce'; readonly op: 'max' | 'min'; readonly axis: number }
  /** Batched matrix product of the last two axes; batch axes broadcast. */
  | { readonly kind: 'matmul'; readonly transposeA: boolean; readonly transposeB: boolean }
  /** Axis i of the output is axis perm[i] of the input. */
  | { readonly kind: 'permute'; readonly perm: readonly number[] }
  /** out[i] = x[begin + i * strides], axis by axis; strides may be negative. */
  | { readonly kind: 'slice'; readonly begin: readonly number[]; readonly strides: readonly number[] }
  /** The reverse of slice: x lies at begin + i * strides of the output, `value` elsewhere. */
  | {
      readonly kind: 'place'
      readonly begin: readonly number[]
      readonly strides: readonly number[]
      readonly value: number
    }
  | { readonly kind: 'concat'; readonly axis: number }
  /** Inputs x, indices: out = x with `axis` replaced by the axes of indices. */
  | { readonly kind: 'gather'; readonly axis: number }
  /** Inputs x, indices, updates: x, with updates added where the indices point along `axis`. */
  | { readonly kind: 'scatterAdd'; readonly axis: number }
  /** softmax or its logarithm along `axis`. */
  | { readonly kind: 'softmax'; readonly axis: number; readonly log: boolean }

/** norm is the root of the sum of squares; any and all take every value but 0 as true. */
export type ReduceOp =
  'sum' | 'mean' | 'variance' | 'norm' | 'logSumExp' | 'prod' | 'max' | 'min' | 'any' | 'all'

/** Starts computing and returns where the output will be. */
export type Prepared = (inputs: readonly Stored[], kernel: Kernel) => Handle

/** Where values live and kernels run. */
export interface Backend {
  readonly name: string
  /** Starts computing `out` and returns where it will be. Inputs are this backend's own handles. */
  run(kernel: Kernel, inputs: readonly Stored[], out: Aval): Handle
  /**
   * What `run` does for operands of these shapes and dtypes, to be kept and used again: all that follows from them is
   * worked out once. Kernels differ from `kernel` in the parameters of their formula at most.
   */
  prepare?(kernel: Kernel, inputs: readonly Aval[], out: Aval): Prepared
  /** Runs `f`. Of the values that are made meanwhile only those that it returns are used afterwards. */
  temporarily?<R extends readonly (Stored | undefined)[]>(f: () => R): R
  /** Takes over `values`: the caller must not change them afterwards. */
  upload(values: HostArray, aval: Aval): Handle
  /** One number, which many ops may be given. */
  constant?(value: number, dtype: DType): Handle
  /** A copy of the values on the host. */
  read(handle: Handle, aval: Aval): Promise<HostArray>
  /** The same at once, where the device can. */
  readSync?(handle: Handle, aval: Aval): HostArray
  /** A copy of values that the host has anyway, where the device reads asynchronously: of what was made of host data. */
  known?(handle: Handle, aval: Aval): HostArray | undefined
  /** Flat position of the first value that is no whole number in [0, limit), or -1; absent where unknowable. */
  firstOutside?(handle: Handle, aval: Aval, limit: number): number
  /** Gives memory back early. */
  release?(handle: Handle): void
  /** Another handle for the same values: giving one of them back leaves the other. */
  share?(handle: Handle): Handle
  /** Opens a scope within the one whose work is running; absent where the garbage collector is enough. */
  openScope?(): MemoryScope
  /** Has values outlive the scope that they are made in: for a variable, in the place of those that it held before. */
  keep?(handle: Handle, before?: Handle): void
  /** Whether values can be lost with the device; then those of variables are what was last read of them. */
  readonly canBeLost?: boolean
  /** Whether that has happened. */
  readonly isLost?: boolean
  /** Told that values may be read as long as there is a handle, also when a variable holds others by then. */
  pin?(handle: Handle): void
  /** Where a tensor of another backend is here; without it values are copied over. */
  adopt?(x: Tensor): Handle
  /** Takes over values that have to be made anew whenever this is run again. */
  draw?(make: () => HostArray, aval: Aval): Handle
  /** Checks later that values are whole numbers in [0, limit), for backends that know no values now. */
  check?(x: Stored, limit: number, fail: (value: number, at: number) => Error): void
  /**
   * Makes a program ready to be run again and again, as fast as this backend can; undefined where that is no better than
   * op by op.
   */
  plan?(program: Program): Replay | undefined
  /** Told when an op reads a variable. */
  onRead?(variable: Variable, value: Tensor): void
  /** Told before a variable is assigned to; returns what it is to hold. */
  onAssign?(variable: Variable, before: Tensor, next: Tensor): Tensor
}

/** Computes on the CPU: by WebAssembly where it may be used, else by plain loops. */
export const cpuBackend: Backend = hasWebAssembly() ? wasmBackend : plainBackend

/** Memory that is given back together. A scope may be entered again and again, across awaits, until it is closed. */
export interface MemoryScope {
  /** Runs synchronous work: what it makes belongs to the scope. */
  run<R>(work: () => R): R
  /** Has values outlive the scope: they belong to the one around it. */
  keep(handle: Handle): void
  /**
   * Gives the others back: when the next scope beside this one is closed, since code that ran in it may have told
   * somebody of them; or at once, where none can have.
   */
  close(atOnce?: boolean): void
}

/** The values of `handle`, where its backend can say them at once. */
export function readNow(backend: Backend, handle: Handle, aval: Aval): HostArray | undefined {
  return backend.readSync?.(handle, aval) ?? backend.known?.(handle, aval)
}

let base: Backend = cpuBackend
let current: Backend = cpuBackend

/** The backend that ops run on now. */
export function currentBackend(): Backend {
  return current
}

/** The backend set by {@link setBackend}: where weights are made, even while shapes are only being inferred. */
export function baseBackend(): Backend {
  return base
}

/** Makes `backend` the one that ops run on from now on. Tensors made before stay where they are and are copied over when used. */
export function setBackend(backend: Backend): void {
  checkBackend('setBackend', backend)
  base = backend
  current = backend
}

/**
 * Runs `f` with `backend` and returns its result.
 * @throws BackendError when `f` is asynchronous: ops after its first await would run elsewhere.
 */
export function withBackend<R>(backend: Backend, f: () => R): R {
  checkBackend('withBackend', backend)
  checkFunction('withBackend', f)
  const before = current
  current = backend
  try {
    const result = f()
    if (isThenable(result))
      throw new BackendError(
        'withBackend: the function is asynchronous; use setBackend around the whole of it',
        {
          op: 'withBackend',
        },
      )
    return result
  } finally {
    current = before
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

function checkBackend(op: string, backend: Backend): void {
  if (typeof backend !== 'object' || backend === null || typeof backend.run !== 'function')
    throw new ValueError(`${op}: expected a backend, got ${show(backend)}`, { op })
}
