import type { Aval, Backend, Kernel, Stored } from '../backend.js'
import { compute, firstOutside } from '../cpu/index.js'
import { loopsOver } from '../cpu/map.js'
import { allocate, BYTES, type HostArray, type NumericArray } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import { type Sizes, sizeOf } from '../shape.js'
import {
  copyKernel,
  MapKernels,
  matmulKernel,
  reduceKernel,
  softmaxKernel,
  transposeKernel,
} from './kernels.js'
import { matmulScratch, matmulSource } from './matmul.js'
import { addressOf, Output, resetScratch, scratch, viewOf, type WasmHandle } from './memory.js'

/** Kernels of WebAssembly where there are some, and the plain loops for the rest. */
export const wasmBackend: Backend = {
  name: 'cpu',
  run(kernel, inputs, out) {
    if (kernel.kind === 'view') return inputs[0]!.handle
    const size = sizeOf(out.shape)
    if (size === 0) return allocate(out.dtype, 0)
    resetScratch()
    return vectorized(kernel, inputs, out, size) ?? plain(kernel, inputs, out, size)
  },
  upload: (values) => values,
  read: async (handle, aval) => read(handle, aval),
  readSync: read,
  firstOutside: (handle, aval, limit) => firstOutside(view(handle, aval), limit),
}

function view(handle: object, { dtype, shape }: Aval): NumericArray {
  return viewOf(handle as WasmHandle, dtype, sizeOf(shape))
}

function read(handle: object, aval: Aval): HostArray {
  return aval.dtype === 'string' ? (handle as readonly string[]).slice() : view(handle, aval).slice()
}

function plain(
  kernel: Exclude<Kernel, { kind: 'view' }>,
  inputs: readonly Stored[],
  out: Aval,
  size: number,
): NumericArray {
  const result = allocate(out.dtype, size)
  const seen = inputs.map(({ handle, shape, dtype }) => ({
    shape,
    dtype,
    handle: view(handle, { shape, dtype }),
  }))
  compute(kernel, seen, out, result)
  return result
}

/** Runs a kernel of WebAssembly; undefined where there is none for this. */
function vectorized(
  kernel: Exclude<Kernel, { kind: 'view' }>,
  inputs: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  switch (kernel.kind) {
    case 'map':
      return map(kernel.fn, kernel.params, inputs, out, size)
    case 'matmul':
      return matmul(kernel, inputs, out, size)
    case 'reduce':
      return reduce(kernel, inputs, out, size)
    case 'softmax':
      return softmax(kernel, inputs, out, size)
    case 'concat':
      return concat(kernel.axis, inputs, out, size)
    case 'slice':
      return slice(kernel, inputs, out, size)
    case 'permute':
      return transpose(kernel.perm, inputs, out, size)
    default:
      return undefined
  }
}

const formulas = new WeakMap<ScalarFunction, MapKernels>()

function map(
  fn: ScalarFunction,
  params: readonly number[],
  inputs: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  let kernels = formulas.get(fn)
  if (kernels === undefined) formulas.set(fn, (kernels = new MapKernels(fn)))
  if (!kernels.has(out.dtype)) return undefined
  const count = inputs.length
  let once = 0
  let inner = size
  for (let i = 0; i < count; i++) {
    const x = inputs[i]!
    const own = x.shape === out.shape ? size : sizeOf(x.shape)
    if (own === 1) once |= 1 << i
    else if (own !== size) {
      // Along the last axes only, as a bias is.
      if (!endsWith(out.shape, x.shape) || (inner !== size && inner !== own)) {
        inner = -1
        break
      }
      inner = own
    }
  }
  const to = new Output(out.dtype, size)
  if (inner === size) {
    const f = kernels.get(out.dtype, inputs, size === 1 ? (1 << count) - 1 : once, false)
    const x = addressOf(inputs[0]!.handle as WasmHandle)
    if (params.length > 0)
      f(
        to.address,
        x,
        ...inputs.slice(1).map((input) => addressOf(input.handle as WasmHandle)),
        size,
        ...params,
      )
    else if (count === 1) f(to.address, x, size)
    else if (count === 2) f(to.address, x, addressOf(inputs[1]!.handle as WasmHandle), size)
    else f(to.address, x, ...inputs.slice(1).map((input) => addressOf(input.handle as WasmHandle)), size)
    return to.finish()
  }
  const from = inputs.map((x) => addressOf(x.handle as WasmHandle))
  if (inner > 0) {
    const f = kernels.get(out.dtype, inputs, once, true)
    const steps = inputs.map((x) => (sizeOf(x.shape) === size ? inner * BYTES[x.dtype] : 0))
    f(to.address, ...from, inner, size / inner, ...steps, ...params)
    return to.finish()
  }
  broadcast(kernels, params, inputs, from, out, to.address)
  return to.finish()
}

function endsWith(shape: Sizes, end: Sizes): boolean {
  const skipped = shape.length - end.length
  if (skipped < 1) return false
  for (let i = 0; i < end.length; i++) if (shape[skipped + i] !== end[i]) return false
  return true
}

/** Any broadcasting: the two innermost loops in the kernel, those around them here. */
function broadcast(
  kernels: MapKernels,
  params: readonly number[],
  inputs: readonly Stored[],
  from: readonly number[],
  out: Aval,
  to: number,
): void {
  const { outer, strides, inner, steps } = loopsOver(inputs, out.shape)
  let once = 0
  steps.forEach((step, i) => {
    if (step === 0) once |= 1 << i
  })
  const f = kernels.get(out.dtype, inputs, once, true)
  const rows = outer.at(-1) ?? 1
  const rowSteps = inputs.map((x, i) => (strides.at(-1)?.[i] ?? 0) * BYTES[x.dtype])
  const around = outer.slice(0, -1)
  const index = around.map(() => 0)
  const at = [...from]
  const blockBytes = rows * inner * BYTES[out.dtype]
  for (;;) {
    f(to, ...at, inner, rows, ...rowSteps, ...params)
    to += blockBytes
    let axis = around.length - 1
    for (; axis >= 0; axis--) {
      const move = (by: number): void =>
        inputs.forEach((x, i) => (at[i]! += by * strides[axis]![i]! * BYTES[x.dtype]))
      move(1)
      if (++index[axis]! < around[axis]!) break
      move(-around[axis]!)
      index[axis] = 0
    }
    if (axis < 0) return
  }
}

function matmul(
  kernel: { readonly transposeA: boolean; readonly transposeB: boolean },
  [a, b]: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  if (a!.dtype !== 'float32' || b!.dtype !== 'float32') return undefined
  const rank = out.shape.length
  const m = out.shape[rank - 2]!
  const n = out.shape[rank - 1]!
  const k = a!.shape[a!.shape.length - (kernel.transposeA ? 2 : 1)]!
  if (k === 0 || rank > 2) return undefined
  const source = matmulSource(kernel.transposeA, kernel.transposeB, m, n, k)
  const to = new Output('float32', size)
  const room = scratch(matmulScratch(k))
  const from = addressOf(a!.handle as WasmHandle)
  matmulKernel(source)(from, addressOf(b!.handle as WasmHandle), to.address, room, m, n, k)
  return to.finish()
}

function reduce(
  { op, axes }: { readonly op: string; readonly axes: readonly number[] },
  [x]: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  if (x!.dtype !== 'float32' || out.dtype !== 'float32') return undefined
  if (op !== 'sum' && op !== 'mean' && op !== 'max' && op !== 'min') return undefined
  const first = axes[0] ?? 0
  const last = axes.at(-1) ?? -1
  if (last - first !== axes.length - 1) return undefined
  const { shape } = x!
  const outer = sizeOf(shape.slice(0, first))
  const inner = sizeOf(shape.slice(last + 1))
  const count = sizeOf(shape.slice(first, last + 1))
  if (count === 0) return undefined
  const to = new Output('float32', size)
  reduceKernel(op, inner === 1)(addressOf(x!.handle as WasmHandle), to.address, outer, count, inner)
  return to.finish()
}

function softmax(
  { axis, log }: { readonly axis: number; readonly log: boolean },
  [x]: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  if (log || axis !== out.shape.length - 1 || out.dtype !== 'float32' || x!.dtype !== 'float32')
    return undefined
  const count = out.shape[axis]!
  const to = new Output('float32', size)
  const room = scratch(count * 8 + 32)
  softmaxKernel()(addressOf(x!.handle as WasmHandle), to.address, size / count, count, room)
  return to.finish()
}

function concat(axis: number, inputs: readonly Stored[], out: Aval, size: number): WasmHandle | undefined {
  if (inputs.some((x) => x.dtype !== out.dtype)) return undefined
  const to = new Output(out.dtype, size)
  const rows = sizeOf(out.shape.slice(0, axis))
  const step = (size / rows) * BYTES[out.dtype]
  const copy = copyKernel()
  let at = to.address
  for (const x of inputs) {
    const bytes = sizeOf(x.shape.slice(axis)) * BYTES[out.dtype]
    if (bytes > 0) copy(addressOf(x.handle as WasmHandle), at, rows, bytes, bytes, step)
    at += bytes
  }
  return to.finish()
}

/** A slice that cuts one axis and leaves no gaps. */
function slice(
  { begin, strides }: { readonly begin: readonly number[]; readonly strides: readonly number[] },
  [x]: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  let axis = 0
  let cuts = 0
  for (let i = 0; i < out.shape.length; i++) {
    if (strides[i] !== 1) return undefined
    if (out.shape[i] !== x!.shape[i]) {
      axis = i
      cuts++
    }
  }
  if (cuts !== 1) return undefined
  const to = new Output(out.dtype, size)
  const width = BYTES[out.dtype]
  const inner = sizeOf(out.shape.slice(axis + 1)) * width
  const bytes = out.shape[axis]! * inner
  const from = addressOf(x!.handle as WasmHandle) + begin[axis]! * inner
  copyKernel()(from, to.address, sizeOf(out.shape.slice(0, axis)), bytes, x!.shape[axis]! * inner, bytes)
  return to.finish()
}

function transpose(
  perm: readonly number[],
  [x]: readonly Stored[],
  out: Aval,
  size: number,
): WasmHandle | undefined {
  if (perm.length !== 2 || perm[0] !== 1 || BYTES[out.dtype] !== 4) return undefined
  const to = new Output(out.dtype, size)
  transposeKernel()(addressOf(x!.handle as WasmHandle), to.address, x!.shape[0]!, x!.shape[1]!)
  return to.finish()
}
