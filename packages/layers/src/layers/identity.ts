import type { Tensor } from '@adjoint/core'
import type { LayerOptions } from '../types.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Gives what it takes: a place in a graph to give a name to. */
export class Identity<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = []

  override get takesStrings(): boolean {
    return true
  }

  override get supportsMasking(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return x
  }
}

export interface Identity<N extends string> extends SameShape<N> {}

/**
 * A layer that gives what it takes.
 * @example identity({ name: 'logits' })(x)
 */
export function identity<const N extends string = string>(options: LayerOptions<N> = {}): Identity<N> {
  return new Identity(options)
}
