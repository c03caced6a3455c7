import { type NumericArray, tensor, type Variable } from '@adjoint/core'
import type { Model } from '../model.js'
import type { Compiled } from './compile.js'

/** All that training changes as it was at one moment, on the host: what is left when a device is lost. */
export class HostCopy {
  readonly #values: ReadonlyMap<Variable, NumericArray>
  /** Puts back how many steps the optimizer counts. */
  readonly #putBack: () => void

  private constructor(values: ReadonlyMap<Variable, NumericArray>, putBack: () => void) {
    this.#values = values
    this.#putBack = putBack
  }

  /** Reads it. Nothing may change it meanwhile. */
  static async of(model: Model, { optimizer, lossWeights }: Compiled): Promise<HostCopy> {
    const putBack = optimizer.mark()
    const all = [...new Set([...model.weights, ...lossWeights.variables, ...optimizer.slots])]
    const values = await Promise.all(all.map(async (v) => [v, await v.data()] as const))
    return new HostCopy(new Map(values), putBack)
  }

  /** Makes everything so again. */
  restore(): void {
    this.#putBack()
    for (const [v, values] of this.#values) v.assign(tensor(values, { shape: v.shape, dtype: v.dtype }))
  }
}
