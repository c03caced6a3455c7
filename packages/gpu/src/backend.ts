import { type Backend, BackendError, type HostArray, LimitError } from '@adjoint/core'
import {
  allocate,
  type Aval,
  cpuBackend,
  type Handle,
  type Kernel,
  sizeOf,
  type Stored,
} from '@adjoint/core/extend'
import type { Device, GpuInfo, Storage } from './device.js'
import { checkExact, EXACT, isFar } from './far.js'
import { cumulate } from './kernels/cumulate.js'
import { gather, gatherFar, scatterAdd, scatterAddSorted } from './kernels/gathering.js'
import type { Operand } from './kernels/launch.js'
import { map } from './kernels/map.js'
import { matmul } from './kernels/matmul.js'
import { concat, permute, place, slice } from './kernels/movement.js'
import { argReduce, reduce, softmax } from './kernels/reductions.js'
import { planned } from './plan/beforehand.js'
import { GpuPlan } from './plan/plan.js'
import { Tensors } from './plan/tensors.js'
import { type Value, Values } from './values.js'

/** A {@link Backend} on a GPU. */
export interface GpuBackend extends Backend {
  /** Mode, adapter and driver. */
  readonly info: GpuInfo
  /** The buffers held on the device, and their bytes. */
  memory(): { readonly buffers: number; readonly bytes: number }
}

/** Makes a backend of a device. */
export function backendOn(device: Device): GpuBackend {
  const { mode } = device.info
  const values = new Values(device)

  const cpuHandleOf = (value: Value, aval: Aval): Handle =>
    (value.block.cpu ??= cpuBackend.upload(value.host!, aval))

  /** What the host has. Once the device is lost, what it had is all there is. */
  const atOnce = (value: Value): HostArray | undefined =>
    device.isLost ? value.last : (value.host ?? value.block.read)

  /** Has the host remember what it read of a variable as it is, or as it was before a plan changed it meanwhile. */
  const remember = (value: Value, read: HostArray, isCurrent: boolean): void => {
    if (value.block.isKept !== true) return
    if (isCurrent) value.block.read = read.slice()
    else value.copy = read.slice()
  }

  /** Values that the host has, or can have at once. */
  const known = (value: Value, aval: Aval, op: string): HostArray | undefined => {
    if (value.host !== undefined) return value.host
    const read = device.readSync?.(values.storageOf(value, op))
    return read === undefined ? undefined : asDType(read, aval)
  }

  const runOnHost = (kernel: Kernel, inputs: readonly Stored[], out: Aval): Handle => {
    const stored = inputs.map(({ handle, shape, dtype }, i) => {
      const value = handle as Value
      if (value.host !== undefined) return { handle: cpuHandleOf(value, { shape, dtype }), shape, dtype }
      const host = known(value, { shape, dtype }, kernel.kind)
      if (host === undefined)
        throw new BackendError(
          `${kernel.kind}: input ${i} is on the GPU (${mode}) and ${out.dtype} is computed on the host, which cannot ` +
            `read it at once; use tensor(await x.data(), { dtype })`,
          { op: kernel.kind },
        )
      return { handle: cpuBackend.upload(host, { shape, dtype }), shape, dtype }
    })
    const handle = cpuBackend.run(kernel, stored, out)
    return values.ofHost(cpuBackend.readSync!(handle, out))
  }

  const operandOf = ({ handle, shape, dtype }: Stored, kernel: Kernel): Operand => {
    const value = handle as Value
    const { host } = value
    if (kernel.kind === 'map' && host?.length === 1) return { shape, dtype, storage: Number(host[0]) }
    values.touch(value)
    return { shape, dtype, storage: values.storageOf(value, kernel.kind) }
  }

  const compute = (kernel: Kernel, inputs: readonly Stored[], out: Aval): Storage => {
    const operands = inputs.map((x) => operandOf(x, kernel))
    if (kernel.kind === 'scatterAdd' || kernel.kind === 'gather') {
      const [x, y, updates] = operands as [Operand, Operand, Operand]
      const indices = (inputs[1]!.handle as Value).host as ArrayLike<number> | undefined
      const far = isFar(kernel, x.shape)
      if (far && (indices === undefined || indices.length > EXACT))
        throw tooFar(kernel.kind, x.shape[kernel.axis]!, indices?.length)
      if (indices !== undefined && kernel.kind === 'scatterAdd')
        return start(kernel, [x, { ...y, host: indices }, updates], out)
      if (indices !== undefined && far) return gatherFar(device, kernel.axis, x, indices, out)
    }
    return start(kernel, operands, out)
  }

  const start = (kernel: Kernel, operands: readonly Operand[], out: Aval): Storage => {
    const [x, y, z] = operands as [Operand, Operand, Operand]
    switch (kernel.kind) {
      case 'map':
        return map(device, kernel.fn, kernel.params, operands, out)
      case 'view':
        throw new Error('a view is its input')
      case 'reduce':
        return reduce(device, kernel, x, out)
      case 'cumulate': {
        const { axis, reverse, initial } = kernel
        const line = {
          x: x.storage as Storage,
          decay: operands.length > 1 ? (y.storage as Storage) : undefined,
          outer: sizeOf(x.shape.slice(0, axis)),
          count: x.shape[axis]!,
          inner: sizeOf(x.shape.slice(axis + 1)),
        }
        return cumulate(device, line, reverse, initial)
      }
      case 'argReduce':
        return argReduce(device, kernel.op, kernel.axis, x)
      case 'matmul':
        return matmul(device, kernel, x, y, out)
      case 'permute':
        return permute(device, kernel.perm, x, out)
      case 'slice':
        return slice(device, kernel, x, out)
      case 'place':
        return place(device, kernel, x, out)
      case 'concat':
        return concat(device, kernel.axis, operands, out)
      case 'gather':
        return gather(device, kernel.axis, x, y, out)
      case 'scatterAdd':
        // Of many indices their order is no float32: then each place looks through all of them.
        return y.host !== undefined && y.host.length <= EXACT
          ? scatterAddSorted(device, kernel.axis, x, y.host, z)
          : scatterAdd(device, kernel.axis, x, y, z)
      case 'softmax':
        return softmax(device, kernel.axis, kernel.log, x)
    }
  }

  const gpuBackend: GpuBackend = {
    name: `gpu.js (${mode})`,
    info: device.info,
    canBeLost: true,
    get isLost() {
      return device.isLost
    },
    memory: () => device.held,
    run(kernel, inputs, out) {
      if (kernel.kind === 'view') return values.share(inputs[0]!.handle as Value)
      if (sizeOf(out.shape) === 0) return values.ofHost(allocate(out.dtype, 0))
      if (isForHost(kernel, inputs, out)) return runOnHost(kernel, inputs, out)
      const filled = kernel.kind === 'concat' ? inputs.filter((x) => sizeOf(x.shape) > 0) : inputs
      if (kernel.kind === 'scatterAdd' && sizeOf(inputs[2]!.shape) === 0)
        return values.share(inputs[0]!.handle as Value)
      checkWhole(kernel, filled, out)
      return values.onDevice(compute(kernel, filled, out))
    },
    upload: (host) => values.ofHost(host),
    async read(handle, aval) {
      const value = handle as Value
      const now = atOnce(value)
      if (now !== undefined) return now.slice()
      const { part } = value.block
      const read = asDType(await device.read(values.storageOf(value, 'data')), aval)
      // Meanwhile a plan may have changed it.
      remember(value, read, value.block.part === part)
      return read
    },
    known: (handle) => atOnce(handle as Value)?.slice(),
    firstOutside(handle, _aval, limit) {
      const { host } = handle as Value
      if (host === undefined) return -1
      for (let i = 0; i < host.length; i++) {
        const value = host[i] as number
        if (!(value >= 0 && value < limit && Math.trunc(value) === value)) return i
      }
      return -1
    },
    release: (handle) => values.giveBack(handle as Value),
    share: (handle) => values.share(handle as Value),
    plan: (program) => planned(program, tensors, (rest) => GpuPlan.of(device, tensors, rest)),
    openScope: () => values.open(),
    keep: (handle, before) => values.keep(handle as Value, before as Value | undefined),
    pin(handle) {
      ;(handle as Value).isPinned = true
    },
  }
  const tensors = new Tensors(values, gpuBackend, start)
  if (device.readSync !== undefined)
    gpuBackend.readSync = (handle, aval) => {
      const value = handle as Value
      const now = atOnce(value)
      if (now !== undefined) return now.slice()
      const read = asDType(device.readSync!(values.storageOf(value, 'dataSync')), aval)
      remember(value, read, true)
      return read
    }
  return gpuBackend
}

/** Devices have float32 alone: float64 is the host's, and so are whole numbers as long as the host has them. */
function isForHost(kernel: Kernel, inputs: readonly Stored[], out: Aval): boolean {
  if (out.dtype === 'float64' || inputs.some(({ dtype }) => dtype === 'float64')) return true
  if (
    kernel.kind !== 'concat' &&
    kernel.kind !== 'scatterAdd' &&
    inputs.some(({ shape }) => sizeOf(shape) === 0)
  )
    return true
  if (kernel.kind === 'argReduce' && isFar(kernel, inputs[0]!.shape)) return true
  const areWhole = out.dtype !== 'float32' && inputs.every(({ dtype }) => dtype !== 'float32')
  return areWhole && inputs.every(({ handle }) => (handle as Value).host !== undefined)
}

/** @throws LimitError where whole numbers that float32 cannot hold would be computed with as such. */
function checkWhole(kernel: Kernel, inputs: readonly Stored[], out: Aval): void {
  if (out.dtype === 'float32' && (kernel.kind !== 'gather' || isFar(kernel, inputs[0]!.shape))) return
  for (const { handle, dtype } of inputs) {
    const { host } = handle as Value
    if (dtype !== 'int32' || host === undefined) continue
    checkExact(kernel.kind, host as ArrayLike<number>)
  }
}

/** @param count of indices that the host knows. */
function tooFar(op: string, side: number, count: number | undefined): LimitError {
  const other =
    count === undefined
      ? 'and the host does not know the indices; use tensor(await indices.data()), or the CPU'
      : `and so are the ${count} indices; use fewer at once, or the CPU`
  return new LimitError(
    `${op}: an axis of ${side} is over ${EXACT}, up to which a GPU counts exactly, ${other}`,
    { op },
  )
}

function asDType(values: Float32Array, { dtype }: Aval): HostArray {
  if (dtype === 'float32') return values
  const result = allocate(dtype, values.length)
  result.set(values)
  return result
}
