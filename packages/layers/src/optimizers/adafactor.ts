import {
  add,
  div,
  expandDims,
  maximum,
  mean,
  mul,
  sqrt,
  square,
  sub,
  type Tensor,
  type Variable,
  zeros,
} from '@adjoint/core'
import { call, scalarMath } from '@adjoint/core/extend'
import { given, checkNumber, NOT_NEGATIVE, POSITIVE } from '../option-checks.js'
import { Optimizer, type OptimizerOptions, type Slots, type Step, type Update } from './optimizer.js'
import { follow } from './rows.js'

/** Options of {@link adafactor}. */
export interface AdafactorOptions extends OptimizerOptions {
  /** At most 0: the size of gradients follows the newest by t^beta2Decay at step t (default -0.8). */
  readonly beta2Decay?: number
  /** Added to the squares of gradients (default 1e-30). */
  readonly epsilon1?: number
  /** Steps are as long as weights, but at least as weights of this size (default 1e-3). */
  readonly epsilon2?: number
  /** Larger steps are scaled down to it, before they are multiplied by the size of the weights (default 1). */
  readonly clipThreshold?: number
}

/**
 * Steps by the size of the weights, and of gradients; of a matrix only the sizes of its rows and columns are kept, so
 * that it remembers almost nothing (Shazeer & Stern 2018). The rate is at most 1 / sqrt(t), as in Keras.
 */
export class Adafactor extends Optimizer<AdafactorNumbers> {
  readonly beta2Decay: number
  readonly epsilon1: number
  readonly epsilon2: number
  readonly clipThreshold: number

  constructor(options: AdafactorOptions = {}) {
    const own = ['beta2Decay', 'epsilon1', 'epsilon2', 'clipThreshold']
    super('adafactor', options, { learningRate: 0.001 }, own)
    this.beta2Decay = checkNumber('adafactor', 'beta2Decay', given(options.beta2Decay, -0.8), {
      holds: (x) => x <= 0 && x > -Infinity,
      words: 'a finite number of at most 0',
    })
    this.epsilon1 = checkNumber('adafactor', 'epsilon1', given(options.epsilon1, 1e-30), POSITIVE)
    this.epsilon2 = checkNumber('adafactor', 'epsilon2', given(options.epsilon2, 1e-3), NOT_NEGATIVE)
    this.clipThreshold = checkNumber('adafactor', 'clipThreshold', given(options.clipThreshold, 1), POSITIVE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    const { beta2Decay, epsilon1, epsilon2, clipThreshold } = this
    return { ...super.config, beta2Decay, epsilon1, epsilon2, clipThreshold }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['rows', 'columns'], ['velocity']]
  }

  protected override initialSlot(slot: string, { shape, dtype }: Variable): number | Tensor | undefined {
    if (shape.length < 2) return slot === 'velocity' ? 0 : undefined
    if (slot === 'rows') return zeros(shape.slice(0, -1), dtype)
    return slot === 'columns' ? zeros([...shape.slice(0, -2), shape.at(-1)!], dtype) : undefined
  }

  protected override numbers({ learningRate, t }: Step): AdafactorNumbers {
    return { rate: Math.min(learningRate, 1 / Math.sqrt(t)), share: scalarMath.pow(t, this.beta2Decay) }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate, share }: AdafactorNumbers): Update {
    const squares = add(square(g), this.epsilon1)
    const next = this.#followed(slots, squares, share)
    const direction = div(g, sqrt(sizeOf(next)))
    const tooLong = maximum(div(rms(direction), this.clipThreshold), 1)
    const length = mul(maximum(rms(w), this.epsilon2), rate)
    return { value: sub(w, mul(div(direction, tooLong), length)), slots: next }
  }

  #followed(slots: Slots, squares: Tensor, share: number): Slots {
    const { rows, columns, velocity } = slots
    if (velocity !== undefined) return { velocity: call(follow, [velocity, squares], { share }) }
    return {
      rows: call(follow, [rows!, mean(squares, -1)], { share }),
      columns: call(follow, [columns!, mean(squares, -2)], { share }),
    }
  }
}

interface AdafactorNumbers {
  readonly rate: number
  /** How far the sizes follow the newest gradients. */
  readonly share: number
}

/** The mean square of each element's gradients; of a matrix the outer product of what its rows and columns tell. */
function sizeOf({ velocity, rows, columns }: Slots): Tensor {
  if (velocity !== undefined) return velocity
  return mul(expandDims(div(rows!, mean(rows!, -1, true)), -1), expandDims(columns!, -2))
}

function rms(x: Tensor): Tensor {
  return sqrt(mean(square(x)))
}

/** Adafactor (default learning rate 0.001), for models whose optimizer must remember little. */
export function adafactor(options: AdafactorOptions = {}): Adafactor {
  return new Adafactor(options)
}
