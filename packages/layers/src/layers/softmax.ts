import { softmax as softmaxOp, sub, type Tensor, ValueError, where } from '@adjoint/core'
import { checkAxis, formatShape } from '@adjoint/core/extend'
import type { CallContext, SymbolicAval } from '../layer.js'
import { alignedMask } from '../masks.js'
import { checkNumber } from '../option-checks.js'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link softmax}. */
export interface SoftmaxOptions<N extends string = string> extends LayerOptions<N> {
  /** The axis, the batch counted as 0 (default -1). */
  readonly axis?: number
}

const WHOLE = { holds: (x: number) => Number.isInteger(x), words: 'a whole number' }

/** What is taken from masked values, as in Keras: their share is 0, unless all are masked. */
const FAR_BELOW = 1e9

/** exp(x) over its sum along an axis; masked steps have no share. */
export class Softmax<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['axis']
  readonly axis: number

  constructor(options: SoftmaxOptions<N> = {}) {
    super(options)
    this.axis = checkNumber(this.label, 'axis', options.axis ?? -1, WHOLE)
  }

  override get supportsMasking(): boolean {
    return true
  }

  override checkInputs([x]: readonly SymbolicAval[]): void {
    if (checkAxis(this.label, this.axis, x!.shape.length) === 0)
      throw new ValueError(`${this.label}: axis 0 of ${formatShape(x!.shape)} is the batch; name another one`)
  }

  override call(x: Tensor, { mask }: CallContext): Tensor {
    if (mask === undefined || mask === null) return softmaxOp(x, this.axis)
    return softmaxOp(where(alignedMask(mask, x.rank), x, sub(x, FAR_BELOW)), this.axis)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), axis: this.axis }
  }
}

export interface Softmax<N extends string> extends SameShape<N> {}

/**
 * Turns the values along an axis into shares that sum to 1.
 * @example softmax()(x)
 */
export function softmax<const N extends string = string>(options: SoftmaxOptions<N> = {}): Softmax<N> {
  return new Softmax(options)
}
