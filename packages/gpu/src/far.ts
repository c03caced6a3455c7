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

/** @throws LimitError where float32 cannot hold a whole number. */
export function checkExact(op: string, host: ArrayLike<number>): void {
  for (let i = 0; i < host.length; i++)
    if (Math.abs(host[i]!) > EXACT)
      throw new LimitError(
        `${op}: ${host[i]} is over ${EXACT}, beyond which a GPU has no exact whole numbers; use the CPU for it`,
        { op },
      )
}
