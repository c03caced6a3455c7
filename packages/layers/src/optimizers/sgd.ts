import { add, type Tensor } from '@adjoint/core'
import { call, elementwise } from '@adjoint/core/extend'
import { given, checkFlag, checkNumber, SHARE } from '../option-checks.js'
import type { OptimizerOptions, Slots, Update } from './optimizer.js'
import { type Rate, RateOptimizer } from './rate.js'
import { descend } from './rows.js'

/** Options of {@link sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** In [0, 1]: how much of the last movement goes on (default 0). */
  readonly momentum?: number
  /** Whether to look ahead along the momentum (default false). */
  readonly nesterov?: boolean
}

const sgdMomentum = elementwise({
  name: 'sgdMomentum',
  args: ['m', 'dw'],
  params: ['momentum', 'rate'],
  expr: 'm * momentum - dw * rate',
  vjp: null,
})

const nesterovStep = elementwise({
  name: 'nesterovStep',
  args: ['w', 'm', 'dw'],
  params: ['momentum', 'rate'],
  expr: 'w + (m * momentum - dw * rate)',
  vjp: null,
})

/** w -= rate g; with momentum m = momentum m - rate g, w += m; Nesterov's w += momentum m - rate g. */
export class Sgd extends RateOptimizer {
  readonly momentum: number
  readonly nesterov: boolean

  constructor(options: SgdOptions = {}) {
    super('sgd', options, { learningRate: 0.01 }, ['momentum', 'nesterov'])
    this.momentum = checkNumber('sgd', 'momentum', given(options.momentum, 0), SHARE)
    this.nesterov = checkFlag('sgd', 'nesterov', given(options.nesterov, false))
  }

  override get config(): Readonly<Record<string, unknown>> {
    return { ...super.config, momentum: this.momentum, nesterov: this.nesterov }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return this.momentum === 0 ? [] : [['momentum']]
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    if (this.momentum === 0) return { value: call(descend, [w, g], { rate }), slots: {} }
    const params = { momentum: this.momentum, rate }
    const m = call(sgdMomentum, [slots['momentum']!, g], params)
    return {
      value: this.nesterov ? call(nesterovStep, [w, m, g], params) : add(w, m),
      slots: { momentum: m },
    }
  }
}

/**
 * Gradient descent, with momentum if asked for (default learning rate 0.01).
 * @example sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true })
 */
export function sgd(options: SgdOptions = {}): Sgd {
  return new Sgd(options)
}
