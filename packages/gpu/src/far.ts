import { LimitError } from '@adjoint/core'
import type { Kernel } from '@adjoint/core/extend'

/** Up to here float32, in which devices hold whole numbers, has every one. */
export const EXACT: number = 2 ** 24

/** Whether a kernel has positions, in its operands or its result, along an axis of `x` that float32 cannot count. */
export function isFar(kernel: Kernel, x: readonly number[] | undefined): boolean {
  switch (kernel.kind) {
    case 'gather':
    case 'scatterAdd':
    case 'argReduce':
      return x![kernel.axis]! > EXACT
    default:
      return false
  }
}

/** The first whole number that float32 cannot hold. */
export function inexactIn(host: ArrayLike<number>): number | undefined {
  for (let i = 0; i < host.length; i++) if (Math.abs(host[i]!) > EXACT) return host[i]
  return undefined
}

/** @throws LimitError where float32 cannot hold a whole number. */
export function checkExact(op: string, host: ArrayLike<number>): void {
  const found = inexactIn(host)
  if (found !== undefined)
    throw new LimitError(
      `${op}: ${found} is over ${EXACT}, beyond which a GPU has no exact whole numbers; use the CPU for it`,
      { op },
    )
}
