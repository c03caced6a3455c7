import { ShapeError, type Tensor } from '@adjoint/core'
import { type CallOptions, LayerBase } from '../layer.js'
import { isSymbolic } from '../symbolic.js'
import type { NumIn } from '../types.js'
import type { SymbolicTensor } from '../symbolic.js'

/** A layer that takes one tensor. */
export abstract class SingleInputLayer<N extends string = string> extends LayerBase<N> {
  override get takesStrings(): boolean {
    return false
  }

  protected override splitArgs(args: readonly unknown[]): {
    values: readonly unknown[]
    options: CallOptions
  } {
    const split = super.splitArgs(args)
    const { values } = split
    const count = Array.isArray(values[0]) ? values[0].length : values.length
    if (values.length !== 1 || (Array.isArray(values[0]) && values[0].some(isTensorLike)))
      throw new ShapeError(
        `${this.label}: takes one tensor, got ${count}${count > 1 ? '; merge them first, as with concatenate([a, b])' : ''}`,
        { op: this.name },
      )
    return split
  }
}

function isTensorLike(x: unknown): boolean {
  return isSymbolic(x) || (typeof x === 'object' && x !== null && (x as { kind?: unknown }).kind === 'tensor')
}

/** The call of a layer whose output has the shape of its input. */
export interface SameShape<N extends string> {
  <X extends NumIn>(
    x: X,
    options?: CallOptions,
  ): X extends SymbolicTensor<infer S, infer D> ? SymbolicTensor<S, D, N> : Tensor
}
