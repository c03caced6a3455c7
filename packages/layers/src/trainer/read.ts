import { mul, sum, type Tensor } from '@adjoint/core'

// What training reads back from the device, all in one place: at once where the device can, else as promises.

const isSynchronous = (x: Tensor): boolean => x.backend.readSync !== undefined

/** The numbers of scalars. */
export function readScalars(scalars: readonly Tensor[]): number[] | Promise<number[]> {
  return scalars.every(isSynchronous)
    ? scalars.map((x) => x.dataSync()[0]!)
    : Promise.all(scalars.map(async (x) => (await x.data())[0]!))
}

/** The largest magnitude in each tensor; NaN or Infinity where it holds one. */
export function readMagnitudes(tensors: readonly Tensor[]): number[] | Promise<number[]> {
  if (tensors.every(isSynchronous)) return tensors.map(magnitude)
  // 0 for finite numbers, NaN for others: one number to read for each tensor.
  return readScalars(tensors.map((x) => sum(mul(x, 0))))
}

function magnitude(x: Tensor): number {
  const values = x.dataSync()
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
