import type { Aval } from '../aval.js'
import type { Backend, Kernel, Prepared, Stored } from '../backend.js'
import { compute, firstOutside } from '../cpu/index.js'
import { loopsOver } from '../cpu/map.js'
import { allocate, BYTES, type HostArray, type NumericArray } from '../dtype.js'
import type { ScalarFunction } from '../expr/scalar.js'
import { type Sizes, sizeOf } from '../shape.js'
import { type Choice, choose } from './choose.js'
import type { Compiled } from './host.js'
import { kernelOf, MapKernels } from './kernels.js'
import {
  addressNow,
  addressOf,
  begin,
  constant,
  copyOut,
  copyTo,
  largeBlock,
  LARGEST,
  memory,
  ownArray,
  Place,
  resetScratch,
  scratch,
  temporarily,
  usedScratch,
  viewOf,
} from './memory.js'
import { Recipe } from './recipe.js'
import type { Block, WasmHandle } from './segment.js'

/** Kernels of WebAssembly where there are some, and the plain loops for the rest. */
export const wasmBackend: Backend = {
  name: 'cpu',
  run: (kernel, inputs, out) => prepare(kernel, inputs, out)(inputs, kernel),
  prepare,
  temporarily,
  constant,
  upload: (values) => values,
  read: async (handle, aval) => read(handle, aval),
  readSync: read,
  firstOutside: (handle, aval, limit) => firstOutside(view(handle, aval), limit),
}

function prepare(kernel: Kernel, inputs: readonly Aval[], out: Aval): Prepared {
  if (kernel.kind === 'view') return ([x]) => x!.handle
  const size = sizeOf(out.shape)
  if (size === 0) return () => allocate(out.dtype, 0)
  return vectorized(kernel, inputs, out, size) ?? plain(out, size)
}

function view(handle: object, { dtype, shape }: Aval): NumericArray {
  return viewOf(handle as WasmHandle, dtype, sizeOf(shape))
}

/** The values of several, some of which may have to be computed again. */
function viewsOf(handles: readonly WasmHandle[], avals: readonly Aval[]): NumericArray[] {
  const { buffer } = memory
  const views = handles.map((handle, i) => view(handle, avals[i]!))
  // Where memory had to grow for that, views made before are gone.
  return memory.buffer === buffer ? views : handles.map((handle, i) => view(handle, avals[i]!))
}

function read(handle: object, aval: Aval): HostArray {
  return aval.dtype === 'string' ? (handle as readonly string[]).slice() : view(handle, aval).slice()
}

/** The kernel in plain loops. */
function plain(out: Aval, size: number): Prepared {
  return (inputs, kernel) => {
    begin()
    const result = allocate(out.dtype, size)
    const handles = viewsOf(inputs.map(handleOf), inputs)
    const seen = inputs.map(({ shape, dtype }, i) => ({ shape, dtype, handle: handles[i]! }))
    compute(kernel as Computed, seen, out, result)
    return result
  }
}

const handleOf = ({ handle }: Stored): WasmHandle => handle as WasmHandle

type Computed = Exclude<Kernel, { kind: 'view' }>

/** The kernel in WebAssembly; undefined where there is none for this. */
function vectorized(
  kernel: Computed,
  inputs: readonly Aval[],
  out: Aval,
  size: number,
): Prepared | undefined {
  if (kernel.kind === 'map') return map(kernel, inputs, out, size)
  const choice = choose(kernel, inputs, out)
  if (choice === undefined) return undefined
  const count = inputs.length
  const f = kernelOf(choice, count + 1)
  const isLarge = [...inputs, out].some(({ dtype, shape }) => sizeOf(shape) * BYTES[dtype] > LARGEST)
  if (choice.hasRows === true && isLarge) {
    const large = rowsOf(f, choice, inputs, out)
    const make = kernel.kind === 'softmax' && size * BYTES[out.dtype] > LARGEST ? toRing : toArray
    return (stored) => {
      begin()
      return make(large, stored.map(handleOf))
    }
  }
  const place = new Place(out.dtype, size)
  const args: number[] = [...inputs.map(() => 0), 0, ...choice.sizes, 0]
  return (stored) => {
    begin()
    const to = place.make()
    for (let i = 0; i < count; i++) args[i] = addressOf(stored[i]!.handle as WasmHandle)
    const at = (args[count] = place.addressOf(to))
    args[args.length - 1] = choice.scratch > 0 ? scratch(choice.scratch) : 0
    f(...args)
    return place.finish(to, at)
  }
}

const formulas = new WeakMap<ScalarFunction, MapKernels>()

function map(
  { fn, params }: Extract<Kernel, { kind: 'map' }>,
  inputs: readonly Aval[],
  out: Aval,
  size: number,
): Prepared | undefined {
  let kernels = formulas.get(fn)
  if (kernels === undefined) formulas.set(fn, (kernels = new MapKernels(fn)))
  if (!kernels.has(out.dtype)) return undefined
  const count = inputs.length
  let once = 0
  let inner = size
  for (let i = 0; i < count; i++) {
    const x = inputs[i]!
    const own = sizeOf(x.shape)
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
    const make = kernels.isQuick(out.dtype) ? toRing : toArray
    return (stored, kernel) => {
      begin()
      return make(elementsOf(f, paramsOf(kernel), inputs, once, out), stored.map(handleOf))
    }
  }
  if (inner < 0) return broadcast(kernels, inputs, out, size)
  const place = new Place(out.dtype, size)
  const hasRows = inner < size
  const f = kernels.get(out.dtype, inputs, size === 1 ? (1 << count) - 1 : once, hasRows)
  /** Tells how to compute an output again: it need not be copied when it leaves the ring. */
  const remember = (to: WasmHandle, stored: readonly Stored[], kernel: Kernel): void => {
    const { segment } = to as Block
    if (!segment.isLasting) return
    const large = elementsOf(f, paramsOf(kernel), inputs, once, out)
    segment.standIn = new Recipe(stored.map(handleOf), (handles) => toArray(large, handles))
  }
  const remembers = place.isLarge && !hasRows && kernels.isQuick(out.dtype)
  if (!hasRows && params.length === 0 && count === 1)
    return ([x], kernel) => {
      begin()
      const to = place.make()
      const from = addressOf(x!.handle as WasmHandle)
      const at = place.addressOf(to)
      f(at, from, size)
      if (remembers) remember(to, [x!], kernel)
      return place.finish(to, at)
    }
  if (!hasRows && params.length === 0 && count === 2)
    return ([x, y], kernel) => {
      begin()
      const to = place.make()
      const from = addressOf(x!.handle as WasmHandle)
      const other = addressOf(y!.handle as WasmHandle)
      const at = place.addressOf(to)
      f(at, from, other, size)
      if (remembers) remember(to, [x!, y!], kernel)
      return place.finish(to, at)
    }
  const steps = inputs.map((x) => (sizeOf(x.shape) === size ? inner * BYTES[x.dtype] : 0))
  const sizes = hasRows ? [inner, size / inner, ...steps] : [size]
  const args = new Array<number>(1 + count).fill(0).concat(sizes, params)
  return (stored, kernel) => {
    begin()
    const to = place.make()
    for (let i = 0; i < count; i++) args[1 + i] = addressOf(stored[i]!.handle as WasmHandle)
    const at = (args[0] = place.addressOf(to))
    const numbers = paramsOf(kernel)
    for (let i = 0; i < numbers.length; i++) args[1 + count + sizes.length + i] = numbers[i]!
    f(...args)
    if (remembers) remember(to, stored, kernel)
    return place.finish(to, at)
  }
}

function paramsOf(kernel: Kernel): readonly number[] {
  return (kernel as Extract<Kernel, { kind: 'map' }>).params
}

/** So many elements of a large array are in the memory at a time: they stay in the cache, and the memory stays small. */
const PIECE = 65_536

/** A kernel on values that are too large for the memory, or for the cache: a piece of them at a time. */
interface Large {
  readonly inputs: readonly Aval[]
  readonly out: Aval
  /** How many pieces there may be, and their elements: of each input, 0 for those that all pieces need, and of the output. */
  readonly rows: number
  readonly widths: readonly number[]
  readonly width: number
  /** Bytes of scratch. */
  readonly room: number
  run(from: readonly number[], to: number, rows: number, scratch: number): void
}

/** Computes the output to an address, or to an array. */
function inPieces(large: Large, handles: readonly WasmHandle[], target: number | NumericArray): void {
  const { inputs, out, rows, widths, width, room } = large
  // Those that have to be computed first, before any room is taken.
  viewsOf(handles, inputs)
  const used = usedScratch()
  const piece = Math.min(rows, Math.max(1, Math.floor(PIECE / Math.max(width, ...widths))))
  const own = scratch(room)
  const to = typeof target === 'number' ? target : scratch(piece * width * BYTES[out.dtype])
  const fixed = handles.map(addressNow)
  const places = inputs.map(({ dtype }, i) => fixed[i] ?? scratch((widths[i]! * piece || 1) * BYTES[dtype]))
  const from = viewsOf(handles, inputs)
  for (let at = 0; at < rows; at += piece) {
    const end = Math.min(at + piece, rows)
    from.forEach((values, i) => {
      const side = widths[i]!
      if (fixed[i] !== undefined) places[i] = fixed[i] + at * side * BYTES[inputs[i]!.dtype]
      else if (side > 0) copyTo(places[i]!, values.subarray(at * side, end * side))
      else if (at === 0) copyTo(places[i]!, values)
    })
    if (typeof target === 'number') large.run(places, to + at * width * BYTES[out.dtype], end - at, own)
    else {
      large.run(places, to, end - at, own)
      copyOut(to, target.subarray(at * width, end * width))
    }
  }
  resetScratch(used)
}

/** The output in an array of its own. */
function toArray(large: Large, handles: readonly WasmHandle[]): NumericArray {
  const result = ownArray(large.out.dtype, large.rows * large.width)
  inPieces(large, handles, result)
  return result
}

/** The output in a ring, where it can be computed again once it has to leave that. */
function toRing(large: Large, handles: readonly WasmHandle[]): WasmHandle {
  const block = largeBlock(large.rows * large.width * BYTES[large.out.dtype])
  if (block === undefined) return toArray(large, handles)
  inPieces(large, handles, block.segment.base + block.offset)
  block.segment.standIn = new Recipe(handles, (again) => toArray(large, again))
  return block
}

/** A kernel of rows that do not know of one another. */
function rowsOf(
  f: Compiled,
  { sizes: [rows, ...sizes], scratch: room }: Choice,
  inputs: readonly Aval[],
  out: Aval,
): Large {
  return {
    inputs,
    out,
    rows: rows!,
    widths: inputs.map(({ shape }) => sizeOf(shape) / rows!),
    width: sizeOf(out.shape) / rows!,
    room,
    run: (from, to, count, own) => f(...from, to, count, ...sizes, own),
  }
}

/** An elementwise kernel. Inputs of one element are told by the bits of `once`. */
function elementsOf(
  f: Compiled,
  params: readonly number[],
  inputs: readonly Aval[],
  once: number,
  out: Aval,
): Large {
  return {
    inputs,
    out,
    rows: sizeOf(out.shape),
    widths: inputs.map((_, i) => 1 - ((once >> i) & 1)),
    width: 1,
    room: 0,
    run: (from, to, count) => f(to, ...from, count, ...params),
  }
}

function endsWith(shape: Sizes, end: Sizes): boolean {
  const skipped = shape.length - end.length
  if (skipped < 1) return false
  for (let i = 0; i < end.length; i++) if (shape[skipped + i] !== end[i]) return false
  return true
}

/** Any broadcasting: the two innermost loops in the kernel, those around them here. */
function broadcast(kernels: MapKernels, inputs: readonly Aval[], out: Aval, size: number): Prepared {
  const { outer, strides, inner, steps } = loopsOver(inputs, out.shape)
  let once = 0
  steps.forEach((step, i) => {
    if (step === 0) once |= 1 << i
  })
  const f = kernels.get(out.dtype, inputs, once, true)
  const place = new Place(out.dtype, size)
  const rows = outer.at(-1) ?? 1
  const inBytes = (ofInputs: readonly number[] | undefined): number[] =>
    inputs.map(({ dtype }, i) => (ofInputs?.[i] ?? 0) * BYTES[dtype])
  const rowSteps = inBytes(strides.at(-1))
  const around = outer.slice(0, -1)
  const moves = strides.slice(0, -1).map(inBytes)
  const blockBytes = rows * inner * BYTES[out.dtype]
  return (stored, kernel) => {
    begin()
    const result = place.make()
    const at = stored.map((x) => addressOf(x.handle as WasmHandle))
    const start = place.addressOf(result)
    const params = paramsOf(kernel)
    const index = around.map(() => 0)
    for (let to = start; ; to += blockBytes) {
      f(to, ...at, inner, rows, ...rowSteps, ...params)
      let axis = around.length - 1
      for (; axis >= 0; axis--) {
        const move = moves[axis]!
        for (let i = 0; i < at.length; i++) at[i]! += move[i]!
        if (++index[axis]! < around[axis]!) break
        for (let i = 0; i < at.length; i++) at[i]! -= around[axis]! * move[i]!
        index[axis] = 0
      }
      if (axis < 0) return place.finish(result, start)
    }
  }
}
