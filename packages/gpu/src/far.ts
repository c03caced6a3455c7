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
