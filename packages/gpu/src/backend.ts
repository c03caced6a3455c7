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
import {
  argReduce,
  concat,
  cumulate,
  gather,
  map,
  type Operand,
  permute,
  place,
  reduce,
  scatterAdd,
  scatterAddSorted,
  slice,
  softmax,
} from './kernels.js'
import { matmul } from './matmul.js'

/** A {@link Backend} on a GPU. */
export interface GpuBackend extends Backend {
  /** Mode, adapter and driver. */
  readonly info: GpuInfo
  /** The buffers held on the device, and their bytes. */
  memory(): { readonly buffers: number; readonly bytes: number }
}

/** Above this, float32 has no room for every whole number. */
const EXACT = 2 ** 24

/** V8 collects by the memory it knows of: each value on the device weighs on the host at least so much. */
const LEAST_WEIGHT = 2048
const MOST_WEIGHT = 2 ** 22

/**
 * Where a tensor's values are: on the device, on the host, or both. What was made of host data stays there too: it can
 * be read at once, single numbers go to kernels as arguments, and indices can be checked.
 */
class Value {
  readonly host: HostArray | undefined
  storage: Storage | undefined
  /** As the CPU's kernels take it. */
  cpu: Handle | undefined
  /** Never touched; memory of the host that stands for memory of the device, so that collections come in time. */
  weight: ArrayBuffer | undefined

  constructor(host: HostArray | undefined, storage: Storage | undefined) {
    this.host = host
    this.storage = storage
  }
}

/** Makes a backend of a device. */
export function backendOn(device: Device): GpuBackend {
  const { mode } = device.info
  const storages = new FinalizationRegistry<Storage>((storage) => {
    device.free(storage)
  })

  const onDevice = (storage: Storage): Value => {
    const value = new Value(undefined, storage)
    hold(value, storage)
    return value
  }

  const hold = (value: Value, storage: Storage): void => {
    value.storage = storage
    value.weight = new ArrayBuffer(Math.min(Math.max(storage.length * 4, LEAST_WEIGHT), MOST_WEIGHT))
    storages.register(value, storage, value)
  }

  const storageOf = (value: Value): Storage => {
    if (value.storage === undefined) hold(value, device.upload(asFloats(value.host!)))
    return value.storage!
  }

  const cpuHandleOf = (value: Value, aval: Aval): Handle =>
    (value.cpu ??= cpuBackend.upload(value.host!, aval))

  /** Values that the host has, or can have at once. */
  const known = (value: Value, aval: Aval): HostArray | undefined => {
    if (value.host !== undefined) return value.host
    const read = device.readSync?.(value.storage!)
    return read === undefined ? undefined : asDType(read, aval)
  }

  const runOnHost = (kernel: Kernel, inputs: readonly Stored[], out: Aval): Handle => {
    const stored = inputs.map(({ handle, shape, dtype }, i) => {
      const value = handle as Value
      if (value.host !== undefined) return { handle: cpuHandleOf(value, { shape, dtype }), shape, dtype }
      const host = known(value, { shape, dtype })
      if (host === undefined)
        throw new BackendError(
          `${kernel.kind}: input ${i} is on the GPU (${mode}) and ${out.dtype} is computed on the host, which cannot ` +
            `read it at once; use tensor(await x.data(), { dtype })`,
          { op: kernel.kind },
        )
      return { handle: cpuBackend.upload(host, { shape, dtype }), shape, dtype }
    })
    const handle = cpuBackend.run(kernel, stored, out)
    return new Value(cpuBackend.readSync!(handle, out), undefined)
  }

  const operandOf = ({ handle, shape, dtype }: Stored, takesNumbers: boolean): Operand => {
    const value = handle as Value
    const isNumber = takesNumbers && value.host?.length === 1
    return { shape, dtype, storage: isNumber ? Number(value.host[0]) : storageOf(value) }
  }

  const compute = (kernel: Kernel, inputs: readonly Stored[], out: Aval): Storage => {
    const operands = inputs.map((x) => operandOf(x, kernel.kind === 'map'))
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
      case 'scatterAdd': {
        const indices = (inputs[1]!.handle as Value).host
        return indices === undefined
          ? scatterAdd(device, kernel.axis, x, y, z)
          : scatterAddSorted(device, kernel.axis, x, indices as ArrayLike<number>, z)
      }
      case 'softmax':
        return softmax(device, kernel.axis, kernel.log, x)
    }
  }

  const gpuBackend: GpuBackend = {
    name: `gpu.js (${mode})`,
    info: device.info,
    memory: () => device.held,
    run(kernel, inputs, out) {
      if (kernel.kind === 'view') return inputs[0]!.handle
      if (sizeOf(out.shape) === 0) return new Value(allocate(out.dtype, 0), undefined)
      if (isForHost(kernel, inputs, out)) return runOnHost(kernel, inputs, out)
      const filled = kernel.kind === 'concat' ? inputs.filter((x) => sizeOf(x.shape) > 0) : inputs
      if (kernel.kind === 'scatterAdd' && sizeOf(inputs[2]!.shape) === 0) return inputs[0]!.handle
      checkExact(kernel, filled, out)
      return onDevice(compute(kernel, filled, out))
    },
    upload: (values) => new Value(values, undefined),
    async read(handle, aval) {
      const value = handle as Value
      if (value.host !== undefined) return value.host.slice()
      return asDType(await device.read(value.storage!), aval)
    },
    known: (handle) => (handle as Value).host?.slice(),
    firstOutside(handle, _aval, limit) {
      const { host } = handle as Value
      if (host === undefined) return -1
      for (let i = 0; i < host.length; i++) {
        const value = host[i] as number
        if (!(value >= 0 && value < limit && Math.trunc(value) === value)) return i
      }
      return -1
    },
    release(handle) {
      const value = handle as Value
      storages.unregister(value)
      if (value.storage !== undefined) device.free(value.storage)
      value.storage = undefined
      value.weight = undefined
    },
  }
  if (device.readSync !== undefined)
    gpuBackend.readSync = (handle, aval) => {
      const value = handle as Value
      return value.host?.slice() ?? asDType(device.readSync!(value.storage!), aval)
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
  const areWhole = out.dtype !== 'float32' && inputs.every(({ dtype }) => dtype !== 'float32')
  return areWhole && inputs.every(({ handle }) => (handle as Value).host !== undefined)
}

/** @throws LimitError where whole numbers that float32 cannot hold would be computed with as such. */
function checkExact(kernel: Kernel, inputs: readonly Stored[], out: Aval): void {
  if (out.dtype === 'float32' && kernel.kind !== 'gather') return
  for (const { handle, dtype } of inputs) {
    const { host } = handle as Value
    if (dtype !== 'int32' || host === undefined) continue
    for (let i = 0; i < host.length; i++)
      if (Math.abs(host[i] as number) > EXACT)
        throw new LimitError(
          `${kernel.kind}: ${host[i]} is over ${EXACT}, beyond which a GPU has no exact whole numbers; use the CPU for it`,
          { op: kernel.kind },
        )
  }
}

function asFloats(values: HostArray): Float32Array {
  return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>)
}

function asDType(values: Float32Array, { dtype }: Aval): HostArray {
  if (dtype === 'float32') return values
  const result = allocate(dtype, values.length)
  result.set(values)
  return result
}
