import type { Tensor } from '@adjoint/core'
import { activationConfig, resolveActivation } from '../activations.js'
import type { ActivationLike, LayerOptions } from '../types.js'
import { positional } from './options.js'
import { type SameShape, SingleInputLayer } from './single-input.js'

/** Options of {@link activation}. */
export interface ActivationOptions<N extends string = string> extends LayerOptions<N> {
  readonly activation: ActivationLike
}

/** An activation function, element by element (softmax along the last axis). */
export class Activation<N extends string = string> extends SingleInputLayer<N> {
  static override readonly optionNames: readonly string[] = ['activation']
  readonly #activation: { readonly name: string; readonly fn: (x: Tensor) => Tensor }

  constructor(options: ActivationOptions<N>) {
    super(options)
    this.#activation = resolveActivation(options.activation)
  }

  override get supportsMasking(): boolean {
    return true
  }

  override get runsUserCode(): boolean {
    return true
  }

  override call(x: Tensor): Tensor {
    return this.#activation.fn(x)
  }

  override getConfig(): Record<string, unknown> {
    return { ...super.getConfig(), activation: activationConfig(this.#activation) }
  }
}

export interface Activation<N extends string> extends SameShape<N> {}

/**
 * An activation function as a layer: by Keras' name, or a function of a tensor.
 * @example activation('relu')(x)
 */
export function activation<const N extends string = string>(
  activation: ActivationLike | ActivationOptions<N>,
  options: LayerOptions<N> = {},
): Activation<N> {
  return new Activation(
    positional<'activation', ActivationLike, LayerOptions<N>>(
      'activation',
      'activation',
      activation,
      options,
    ),
  )
}
