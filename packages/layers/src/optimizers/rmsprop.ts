import { sub, type Tensor } from '@adjoint/core'
import { call, elementwise } from '@adjoint/core/extend'
import { given, checkFlag, checkNumber, NOT_NEGATIVE, RATE, SHARE } from '../option-checks.js'
import type { OptimizerOptions, Slots, Update } from './optimizer.js'
import { type Rate, RateOptimizer } from './rate.js'
import { addSquare, descend, follow, followSquare } from './rows.js'

/** Options of {@link rmsprop}. */
export interface RmspropOptions extends OptimizerOptions {
  /** In [0, 1): how slowly the mean square changes (default 0.9). */
  readonly rho?: number
  /** In [0, 1]: how much of the last movement goes on (default 0). */
  readonly momentum?: number
  /** Added under the root (default 1e-7). */
  readonly epsilon?: number
  /** Whether to divide by the standard deviation instead of the root mean square (default false). */
  readonly centered?: boolean
}

const rmspropIncrement = elementwise({
  name: 'rmspropIncrement',
  args: ['dw', 'v'],
  params: ['rate', 'epsilon'],
  expr: 'rate * dw / sqrt(v + epsilon)',
  vjp: null,
})

const centeredIncrement = elementwise({
  name: 'rmspropCenteredIncrement',
  args: ['dw', 'v', 'mean'],
  params: ['rate', 'epsilon'],
  expr: 'rate * dw / sqrt(v - mean * mean + epsilon)',
  vjp: null,
})

const withMomentum = elementwise({
  name: 'rmspropMomentum',
  args: ['m', 'x'],
  params: ['momentum'],
  expr: 'm * momentum + x',
  vjp: null,
})

/** v = rho v + (1 - rho) g², w -= rate g / sqrt(v + epsilon) (Hinton 2012, with Keras' epsilon). */
export class Rmsprop extends RateOptimizer {
  readonly rho: number
  readonly momentum: number
  readonly epsilon: number
  readonly centered: boolean

  constructor(options: RmspropOptions = {}) {
    super('rmsprop', options, { learningRate: 0.001 }, ['rho', 'momentum', 'epsilon', 'centered'])
    this.rho = checkNumber('rmsprop', 'rho', given(options.rho, 0.9), RATE)
    this.momentum = checkNumber('rmsprop', 'momentum', given(options.momentum, 0), SHARE)
    this.epsilon = checkNumber('rmsprop', 'epsilon', given(options.epsilon, 1e-7), NOT_NEGATIVE)
    this.centered = checkFlag('rmsprop', 'centered', given(options.centered, false))
  }

  override get config(): Readonly<Record<string, unknown>> {
    const { rho, momentum, epsilon, centered } = this
    return { ...super.config, rho, momentum, epsilon, centered }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [
      ['velocity'],
      ...(this.momentum > 0 ? [['momentum']] : []),
      ...(this.centered ? [['average_gradient']] : []),
    ]
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    const { rho, epsilon, momentum } = this
    const velocity = call(followSquare, [slots['velocity']!, g], { share: 1 - rho })
    const next: Record<string, Tensor> = { velocity }
    let increment: Tensor
    if (this.centered) {
      const mean = call(follow, [slots['average_gradient']!, g], { share: 1 - rho })
      next['average_gradient'] = mean
      increment = call(centeredIncrement, [g, velocity, mean], { rate, epsilon })
    } else increment = call(rmspropIncrement, [g, velocity], { rate, epsilon })
    if (momentum > 0)
      next['momentum'] = increment = call(withMomentum, [slots['momentum']!, increment], { momentum })
    return { value: sub(w, increment), slots: next }
  }
}

/** RMSprop (default learning rate 0.001). */
export function rmsprop(options: RmspropOptions = {}): Rmsprop {
  return new Rmsprop(options)
}

/** Options of {@link adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** What the sums of squares start from (default 0.1). */
  readonly initialAccumulatorValue?: number
  /** Added under the root (default 1e-7). */
  readonly epsilon?: number
}

/** a += g², w -= rate g / sqrt(a + epsilon) (Duchi et al. 2011). */
export class Adagrad extends RateOptimizer {
  readonly initialAccumulatorValue: number
  readonly epsilon: number

  constructor(options: AdagradOptions = {}) {
    super('adagrad', options, { learningRate: 0.001 }, ['initialAccumulatorValue', 'epsilon'])
    const { initialAccumulatorValue = 0.1, epsilon = 1e-7 } = options
    this.initialAccumulatorValue = checkNumber(
      'adagrad',
      'initialAccumulatorValue',
      initialAccumulatorValue,
      NOT_NEGATIVE,
    )
    this.epsilon = checkNumber('adagrad', 'epsilon', epsilon, NOT_NEGATIVE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    const { initialAccumulatorValue, epsilon } = this
    return { ...super.config, initialAccumulatorValue, epsilon }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['accumulator']]
  }

  protected override initialSlot(): number {
    return this.initialAccumulatorValue
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    const accumulator = call(addSquare, [slots['accumulator']!, g], {})
    const increment = call(rmspropIncrement, [g, accumulator], { rate, epsilon: this.epsilon })
    return { value: sub(w, increment), slots: { accumulator } }
  }
}

/** Adagrad (default learning rate 0.001). */
export function adagrad(options: AdagradOptions = {}): Adagrad {
  return new Adagrad(options)
}

/** Options of {@link adadelta}. */
export interface AdadeltaOptions extends OptimizerOptions {
  /** In [0, 1): how slowly mean squares change (default 0.95). */
  readonly rho?: number
  /** Added under the roots (default 1e-7). */
  readonly epsilon?: number
}

const adadeltaIncrement = elementwise({
  name: 'adadeltaIncrement',
  args: ['dw', 'a', 'd'],
  params: ['epsilon'],
  expr: 'sqrt(d + epsilon) * dw / sqrt(a + epsilon)',
  vjp: null,
})

/** x = sqrt(d + epsilon) g / sqrt(a + epsilon), w -= rate x; a and d are mean squares of g and x (Zeiler 2012). */
export class Adadelta extends RateOptimizer {
  readonly rho: number
  readonly epsilon: number

  constructor(options: AdadeltaOptions = {}) {
    super('adadelta', options, { learningRate: 0.001 }, ['rho', 'epsilon'])
    this.rho = checkNumber('adadelta', 'rho', given(options.rho, 0.95), RATE)
    this.epsilon = checkNumber('adadelta', 'epsilon', given(options.epsilon, 1e-7), NOT_NEGATIVE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    return { ...super.config, rho: this.rho, epsilon: this.epsilon }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['accumulated_grad', 'accumulated_delta_var']]
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    const share = 1 - this.rho
    const a = call(followSquare, [slots['accumulated_grad']!, g], { share })
    const before = slots['accumulated_delta_var']!
    const x = call(adadeltaIncrement, [g, a, before], { epsilon: this.epsilon })
    return {
      value: call(descend, [w, x], { rate }),
      slots: { accumulated_grad: a, accumulated_delta_var: call(followSquare, [before, x], { share }) },
    }
  }
}

/** Adadelta (default learning rate 0.001; the paper's is 1). */
export function adadelta(options: AdadeltaOptions = {}): Adadelta {
  return new Adadelta(options)
}
