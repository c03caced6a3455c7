import type { Aval } from '../aval.js'
import type { Backend, Kernel, Stored } from '../backend.js'
import { allocate, type HostArray, type NumericArray } from '../dtype.js'
import { sizeOf } from '../shape.js'
import { cumulate } from './cumulate.js'
import { gather, scatterAdd } from './gather.js'
import { map } from './map.js'
import { matmul } from './matmul.js'
import { concat, permute, place, slice } from './movement.js'
import { argReduce, reduce } from './reduce.js'
import { softmax } from './softmax.js'

/** A handle of this backend is the array itself. It is never changed once it is a tensor's. */
type Array_ = NumericArray

/** Plain loops on typed arrays: runs everywhere, and is the reference that other backends are tested against. */
export const plainBackend: Backend = {
  name: 'cpu',
  run(kernel, inputs, out) {
    if (kernel.kind === 'view') return inputs[0]!.handle
    const result = allocate(out.dtype, sizeOf(out.shape))
    if (result.length > 0) compute(kernel, inputs, out, result)
    return result
  },
  upload: (values) => values,
  read: async (handle) => copyOf(handle as HostArray),
  readSync: (handle) => copyOf(handle as HostArray),
  firstOutside: (handle, _aval, limit) => firstOutside(handle as Array_, limit),
}

/** Position of the first value that is no whole number in [0, limit), or -1. */
export function firstOutside(values: NumericArray, limit: number): number {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (!(value >= 0 && value < limit && Math.trunc(value) === value)) return i
  }
  return -1
}

function copyOf(values: HostArray): HostArray {
  return values.slice()
}

/** Computes `out` into `result`, whose elements are 0. */
export function compute(
  kernel: Exclude<Kernel, { kind: 'view' }>,
  inputs: readonly Stored[],
  out: Aval,
  result: Array_,
): void {
  const values = (i: number): Array_ => inputs[i]!.handle as Array_
  const shape = (i: number): readonly number[] => inputs[i]!.shape
  switch (kernel.kind) {
    case 'map':
      return map(kernel.fn, kernel.params, inputs, out, result)
    case 'reduce':
      return reduce(kernel, values(0), shape(0), result)
    case 'cumulate':
      return cumulate(kernel, shape(0), values(0), inputs.length > 1 ? values(1) : undefined, result)
    case 'argReduce':
      return argReduce(kernel.op, kernel.axis, values(0), shape(0), result)
    case 'matmul':
      return matmul(kernel, values(0), shape(0), values(1), shape(1), result, out.shape)
    case 'permute':
      return permute(kernel.perm, values(0), shape(0), result, out.shape)
    case 'slice':
      return slice(kernel, values(0), shape(0), result, out.shape)
    case 'place':
      return place(kernel, values(0), shape(0), result, out.shape)
    case 'concat':
      return concat(kernel.axis, inputs, result, out.shape)
    case 'gather':
      return gather(kernel.axis, values(0), shape(0), values(1), result)
    case 'scatterAdd':
      return scatterAdd(kernel.axis, values(0), shape(0), values(1), values(2), result)
    case 'softmax':
      return softmax(kernel, values(0), shape(0), result)
  }
}
