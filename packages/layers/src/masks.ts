import { broadcastTo, cast, mul, reshape, type Tensor } from '@adjoint/core'

// A mask says which time steps of a tensor count: bool, the tensor's shape without its last axis or axes. It belongs to
// the tensor, and layers hand it on.

const masks = new WeakMap<object, Tensor>()
let areUsed = false

/** Whether any tensor has had a mask: until then there is nothing to look for. */
export function masksAreUsed(): boolean {
  return areUsed
}

/** Which parts of a tensor count; undefined where all do. */
export function maskOf(x: object): Tensor | undefined {
  return areUsed ? masks.get(x) : undefined
}

export function setMask(x: object, mask: Tensor): void {
  areUsed = true
  masks.set(x, mask)
}

/** A mask with axes of 1 behind its own, so that it broadcasts along those of a tensor of `rank`. */
export function alignedMask(mask: Tensor, rank: number): Tensor {
  return rank <= mask.rank
    ? mask
    : reshape(mask, [...mask.shape, ...new Array<number>(rank - mask.rank).fill(1)])
}

/** 1 where a tensor like `x` counts and 0 elsewhere, in the shape and dtype of `x`. */
export function maskWeights(mask: Tensor, x: Tensor): Tensor {
  return broadcastTo(cast(alignedMask(mask, x.rank), x.dtype), x.shape)
}

/** The product of what rows and time steps count; one of the two may have more axes. */
export function combinedWeights(a: Tensor, b: Tensor | undefined): Tensor {
  if (b === undefined) return a
  const rank = Math.max(a.rank, b.rank)
  return mul(alignedMask(a, rank), alignedMask(b, rank))
}
