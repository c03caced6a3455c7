import type { Tensor } from '@adjoint/core'
import { call, elementwise } from '@adjoint/core/extend'
import { given, checkNumber, NOT_NEGATIVE, SHARE } from '../option-checks.js'
import { Optimizer, type OptimizerOptions, type Slots, type Step, type Update } from './optimizer.js'
import { type Rate, RateOptimizer } from './rate.js'
import { addSquare, follow } from './rows.js'

/** Options of {@link lion}. */
export interface LionOptions extends OptimizerOptions {
  /** In (0, 1]: what the mean of gradients counts in a step (default 0.9). */
  readonly beta1?: number
  /** In [0, 1]: how slowly that mean changes (default 0.99). */
  readonly beta2?: number
}

const lionStep = elementwise({
  name: 'lionStep',
  args: ['w', 'm', 'dw'],
  params: ['beta', 'rate'],
  expr: 'w - rate * sign(m * beta + dw * (1 - beta))',
  vjp: null,
})

/** w -= rate sign(beta1 m + (1 - beta1) g), m = beta2 m + (1 - beta2) g (Chen et al. 2023). */
export class Lion extends RateOptimizer {
  readonly beta1: number
  readonly beta2: number

  constructor(options: LionOptions = {}) {
    super('lion', options, { learningRate: 0.001 }, ['beta1', 'beta2'])
    this.beta1 = checkNumber('lion', 'beta1', given(options.beta1, 0.9), {
      holds: (x) => x > 0 && x <= 1,
      words: 'in the range (0, 1]',
    })
    this.beta2 = checkNumber('lion', 'beta2', given(options.beta2, 0.99), SHARE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    return { ...super.config, beta1: this.beta1, beta2: this.beta2 }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum']]
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    const m = slots['momentum']!
    return {
      value: call(lionStep, [w, m, g], { beta: this.beta1, rate }),
      slots: { momentum: call(follow, [m, g], { share: 1 - this.beta2 }) },
    }
  }
}

/** Lion (default learning rate 0.001). */
export function lion(options: LionOptions = {}): Lion {
  return new Lion(options)
}

/** Options of {@link ftrl}. */
export interface FtrlOptions extends OptimizerOptions {
  /** At most 0: how rates fall with the sums of squares (default -0.5). */
  readonly learningRatePower?: number
  /** What the sums of squares start from (default 0.1). */
  readonly initialAccumulatorValue?: number
  /** Weights smaller than this pushes them become 0 (default 0). */
  readonly l1RegularizationStrength?: number
  /** Default 0. */
  readonly l2RegularizationStrength?: number
  /** Default 0. */
  readonly l2ShrinkageRegularizationStrength?: number
  /** Default 0. */
  readonly beta?: number
}

const FTRL_OPTIONS = [
  'initialAccumulatorValue',
  'l1RegularizationStrength',
  'l2RegularizationStrength',
  'l2ShrinkageRegularizationStrength',
  'beta',
] as const

const ftrlLinear = elementwise({
  name: 'ftrlLinear',
  args: ['z', 'w', 'dw', 'n', 'sum'],
  params: ['power', 'rate', 'shrinkage'],
  expr: 'z + (dw + 2 * shrinkage * w - (pow(sum, power) - pow(n, power)) / rate * w)',
  vjp: null,
})

const ftrlStep = elementwise({
  name: 'ftrlStep',
  args: ['z', 'sum'],
  params: ['power', 'rate', 'l1', 'l2'],
  expr: '(min(max(z, -l1), l1) - z) / (pow(sum, power) / rate + 2 * l2)',
  vjp: null,
})

/** Follow the regularised leader, coordinate by coordinate (McMahan et al. 2013). */
export class Ftrl extends Optimizer<Step> {
  readonly learningRatePower: number
  readonly initialAccumulatorValue: number
  readonly l1RegularizationStrength: number
  readonly l2RegularizationStrength: number
  readonly l2ShrinkageRegularizationStrength: number
  readonly beta: number

  constructor(options: FtrlOptions = {}) {
    super('ftrl', options, { learningRate: 0.001 }, ['learningRatePower', ...FTRL_OPTIONS])
    this.learningRatePower = checkNumber(
      'ftrl',
      'learningRatePower',
      given(options.learningRatePower, -0.5),
      {
        holds: (x) => x <= 0 && x > -Infinity,
        words: 'a finite number of at most 0',
      },
    )
    const [initial, l1, l2, shrinkage, beta] = FTRL_OPTIONS.map((name) =>
      checkNumber(
        'ftrl',
        name,
        given(options[name], name === 'initialAccumulatorValue' ? 0.1 : 0),
        NOT_NEGATIVE,
      ),
    )
    this.initialAccumulatorValue = initial!
    this.l1RegularizationStrength = l1!
    this.l2RegularizationStrength = l2!
    this.l2ShrinkageRegularizationStrength = shrinkage!
    this.beta = beta!
  }

  override get config(): Readonly<Record<string, unknown>> {
    const own = FTRL_OPTIONS.map((name) => [name, this[name]] as const)
    return { ...super.config, learningRatePower: this.learningRatePower, ...Object.fromEntries(own) }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['accumulator', 'linear']]
  }

  protected override initialSlot(slot: string): number {
    return slot === 'accumulator' ? this.initialAccumulatorValue : 0
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { learningRate: rate }: Step): Update {
    // The formulas divide by the rate; what they tend to is standing still.
    if (rate === 0) return { value: w, slots: {} }
    const power = -this.learningRatePower
    const n = slots['accumulator']!
    const sum = call(addSquare, [n, g], {})
    const linear = call(ftrlLinear, [slots['linear']!, w, g, n, sum], {
      power,
      rate,
      shrinkage: this.l2ShrinkageRegularizationStrength,
    })
    const l2 = this.l2RegularizationStrength + this.beta / (2 * rate)
    const value = call(ftrlStep, [linear, sum], { power, rate, l1: this.l1RegularizationStrength, l2 })
    return { value, slots: { accumulator: sum, linear } }
  }
}

/** Ftrl (default learning rate 0.001). */
export function ftrl(options: FtrlOptions = {}): Ftrl {
  return new Ftrl(options)
}
