import { concat, mul, type NumericArray, reshape, sum, type Tensor } from '@adjoint/core'
import { withoutRecording } from '@adjoint/core/extend'
import type { Bound } from './bound.js'

// What training reads back from the device, all in one place: at once where the device can, else as promises.

const isSynchronous = (x: Tensor): boolean => x.backend.readSync !== undefined

/** The numbers of scalars. */
export function readScalars(scalars: readonly Tensor[], bound: Bound): number[] | Promise<number[]> {
  if (scalars.every(isSynchronous)) return scalars.map((x) => x.dataSync()[0]!)
  const isSame = scalars.every(({ dtype, backend }) => dtype === 'float32' && backend === bound.backend)
  if (!isSame) return Promise.all(scalars.map(async (x) => (await x.data())[0]!))
  // One reading for all of them: each takes its time, whatever its size.
  const all = bound.run(() => withoutRecording(() => concat(scalars.map((x) => reshape(x, [1])))))
  return all.data().then((numbers) => [...numbers])
}

/** The largest magnitude in each tensor; NaN or Infinity where it holds one. */
export function readMagnitudes(tensors: readonly Tensor[], bound: Bound): number[] | Promise<number[]> {
  if (tensors.every(isSynchronous)) return tensors.map(magnitude)
  // 0 for finite numbers, NaN for others: one number to read for each tensor.
  return readScalars(
    bound.run(() => tensors.map((x) => sum(mul(x, 0)))),
    bound,
  )
}

function magnitude(x: Tensor): number {
  return largest(x.dataSync())
}

/** A function of its own, which is compiled sooner than one that knows tensors. */
function largest(values: NumericArray): number {
  let most = 0
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!)
    // Written so that NaN is kept.
    if (!(size <= most)) most = size
    if (most !== most) return most
  }
  return most
}

/** Whether a tensor that can be read at once holds a NaN or an infinity. */
export function isKnownNonFinite(x: Tensor): boolean {
  return isSynchronous(x) && !Number.isFinite(magnitude(x))
}
