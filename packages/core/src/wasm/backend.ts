import type { Aval, Backend, Kernel, Stored } from '../backend.js'
import { compute, firstOutside } from '../cpu/index.js'
import { loopsOver } from '../cpu/map.js'
import { allocate, BYTES, type HostArray, type NumericArray } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import { type Sizes, sizeOf } from '../shape.js'
import { choose } from './choose.js'
import type { Compiled } from './host.js'
import { kernelOf, MapKernels } from './kernels.js'
import {
  addressOf,
  copyIn,
  copyOut,
  LARGEST,
  Output,
  resetScratch,
  scratch,
  viewOf,
  type WasmHandle,
} from './memory.js'

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
  if (kernel.kind === 'map') return map(kernel.fn, kernel.params, inputs, out, size)
  const choice = choose(kernel, inputs, out)
  if (choice === undefined) return undefined
  const to = new Output(out.dtype, size)
  const args: number[] = []
  for (const { handle } of inputs) args.push(addressOf(handle as WasmHandle))
  args.push(to.address, ...choice.sizes, choice.scratch > 0 ? scratch(choice.scratch) : 0)
  kernelOf(choice, inputs.length + 1)(...args)
  return to.finish()
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
  if (inner === size && size * BYTES[out.dtype] > LARGEST) {
    const f = kernels.get(out.dtype, inputs, once, false)
    return inPieces(f, params, inputs, once, out, size)
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

/** So many elements of a large array are in the memory at a time: they stay in the cache, and the memory stays small. */
const PIECE = 65_536

/** An elementwise kernel on arrays that are too large to live in the memory. */
function inPieces(
  f: Compiled,
  params: readonly number[],
  inputs: readonly Stored[],
  once: number,
  out: Aval,
  size: number,
): NumericArray {
  const result = allocate(out.dtype, size)
  const from = inputs.map((x) => view(x.handle, x))
  for (let at = 0; at < size; at += PIECE) {
    resetScratch()
    const end = Math.min(at + PIECE, size)
    const to = scratch((end - at) * BYTES[out.dtype])
    const addresses = from.map((values, i) =>
      copyIn(((once >> i) & 1) === 1 ? values : values.subarray(at, end)),
    )
    f(to, ...addresses, end - at, ...params)
    copyOut(to, result.subarray(at, end))
  }
  return result
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
