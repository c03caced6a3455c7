import { maximum, scalar, sqrt, square, sum, type Tensor } from '@adjoint/core'
import { call, elementwise, type Row, scalarMath } from '@adjoint/core/extend'
import { given, checkFlag, checkNumber, NOT_NEGATIVE, RATE } from '../option-checks.js'
import { Optimizer, type OptimizerOptions, type Slots, type Step, type Update } from './optimizer.js'
import type { Rate } from './rate.js'
import { follow, followSquare } from './rows.js'

/** Options of the optimizers that keep a mean and a size of past gradients. */
export interface MomentsOptions extends OptimizerOptions {
  /** In [0, 1): how slowly the mean of gradients changes (default 0.9). */
  readonly beta1?: number
  /** In [0, 1): how slowly their size changes (default 0.999). */
  readonly beta2?: number
  /** Added to the divisor (default 1e-7). */
  readonly epsilon?: number
}

/** Options of {@link adam}. */
export interface AdamOptions extends MomentsOptions {
  /** Whether to divide by the largest size so far (default false; Reddi et al. 2018). */
  readonly amsgrad?: boolean
}

/** One step along the mean of gradients, by their size. */
export const adamStep: Row<'w' | 'm' | 'v', { readonly rate: number; readonly epsilon: number }> =
  elementwise({
    name: 'adamStep',
    args: ['w', 'm', 'v'],
    params: ['rate', 'epsilon'],
    expr: 'w - m * rate / (sqrt(v) + epsilon)',
    vjp: null,
  })

/** The base of the Adam family: its options, checked. */
abstract class MomentsOptimizer<N extends object> extends Optimizer<N> {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number

  constructor(
    name: string,
    options: MomentsOptions,
    defaults: OptimizerOptions & { readonly learningRate: number },
    own: readonly string[] = [],
  ) {
    super(name, options, defaults, ['beta1', 'beta2', 'epsilon', ...own])
    this.beta1 = checkNumber(name, 'beta1', given(options.beta1, 0.9), RATE)
    this.beta2 = checkNumber(name, 'beta2', given(options.beta2, 0.999), RATE)
    this.epsilon = checkNumber(name, 'epsilon', given(options.epsilon, 1e-7), NOT_NEGATIVE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    return { ...super.config, beta1: this.beta1, beta2: this.beta2, epsilon: this.epsilon }
  }

  protected override get numbersFollowStep(): boolean {
    return true
  }
}

/**
 * m += (g - m)(1 - beta1), v += (g² - v)(1 - beta2), w -= alpha m / (sqrt(v) + epsilon) with
 * alpha = rate sqrt(1 - beta2^t) / (1 - beta1^t) (Kingma & Ba 2015, epsilon as at the end of their section 2).
 */
export class Adam extends MomentsOptimizer<Rate> {
  readonly amsgrad: boolean

  constructor(
    options: AdamOptions = {},
    name: string = 'adam',
    defaults: OptimizerOptions & { readonly learningRate: number } = { learningRate: 0.001 },
  ) {
    super(name, options, defaults, ['amsgrad'])
    this.amsgrad = checkFlag(name, 'amsgrad', given(options.amsgrad, false))
  }

  override get config(): Readonly<Record<string, unknown>> {
    return { ...super.config, amsgrad: this.amsgrad }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum', 'velocity'], ...(this.amsgrad ? [['velocity_hat']] : [])]
  }

  protected override numbers({ learningRate, t }: Step): Rate {
    return {
      rate:
        (learningRate * Math.sqrt(1 - scalarMath.pow(this.beta2, t))) / (1 - scalarMath.pow(this.beta1, t)),
    }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    const { beta1, beta2, epsilon } = this
    const momentum = call(follow, [slots['momentum']!, g], { share: 1 - beta1 })
    const velocity = call(followSquare, [slots['velocity']!, g], { share: 1 - beta2 })
    const largest = this.amsgrad ? maximum(slots['velocity_hat']!, velocity) : velocity
    return {
      value: call(adamStep, [w, momentum, largest], { rate, epsilon }),
      slots: { momentum, velocity, ...(this.amsgrad && { velocity_hat: largest }) },
    }
  }
}

/** Adam (default learning rate 0.001). @example adam({ learningRate: 3e-4 }) */
export function adam(options: AdamOptions = {}): Adam {
  return new Adam(options)
}

/** Adam with decoupled weight decay (default 0.004; Loshchilov & Hutter 2019). */
export function adamw(options: AdamOptions = {}): Adam {
  return new Adam(options, 'adamw', { learningRate: 0.001, weightDecay: 0.004 })
}

const norm = elementwise({
  name: 'adamaxNorm',
  args: ['u', 'dw'],
  params: ['beta'],
  expr: 'max(u * beta, abs(dw))',
  vjp: null,
})

const adamaxStep = elementwise({
  name: 'adamaxStep',
  args: ['w', 'm', 'u'],
  params: ['rate', 'correction', 'epsilon'],
  expr: 'w - rate * m / (correction * (u + epsilon))',
  vjp: null,
})

/** As Adam with the largest |g| for a size: u = max(beta2 u, |g|) (Kingma & Ba 2015, section 7.1). */
export class Adamax extends MomentsOptimizer<AdamaxNumbers> {
  constructor(options: MomentsOptions = {}) {
    super('adamax', options, { learningRate: 0.001 })
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum', 'norm']]
  }

  protected override numbers({ learningRate: rate, t }: Step): AdamaxNumbers {
    return { rate, correction: 1 - scalarMath.pow(this.beta1, t) }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, numbers: AdamaxNumbers): Update {
    const { beta1, beta2, epsilon } = this
    const m = call(follow, [slots['momentum']!, g], { share: 1 - beta1 })
    const u = call(norm, [slots['norm']!, g], { beta: beta2 })
    const value = call(adamaxStep, [w, m, u], { ...numbers, epsilon })
    return { value, slots: { momentum: m, norm: u } }
  }
}

interface AdamaxNumbers extends Rate {
  readonly correction: number
}

/** Adamax (default learning rate 0.001). */
export function adamax(options: MomentsOptions = {}): Adamax {
  return new Adamax(options)
}

const nadamStep = elementwise({
  name: 'nadamStep',
  args: ['w', 'dw', 'm', 'v'],
  params: ['ofMean', 'ofGradient', 'correction', 'rate', 'epsilon'],
  expr: 'w - (ofMean * m + ofGradient * dw) * rate / (sqrt(v / correction) + epsilon)',
  vjp: null,
})

/** Adam with Nesterov's momentum, which grows from step to step (Dozat 2016). */
export class Nadam extends MomentsOptimizer<NadamNumbers> {
  /** The product of the momenta of the first t steps. */
  #product = { t: 0, value: 1 }

  constructor(options: MomentsOptions = {}) {
    super('nadam', options, { learningRate: 0.001 })
  }

  /** The product of momenta counts as a variable, as in Keras. */
  override get variables(): readonly Tensor[] {
    const all = super.variables
    return this.built ? [...all, scalar(this.#product.value)] : all
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum', 'velocity']]
  }

  #momentum(t: number): number {
    return this.beta1 * (1 - 0.5 * scalarMath.pow(0.96, t))
  }

  #productUntil(t: number): number {
    if (this.#product.t > t) this.#product = { t: 0, value: 1 }
    let { t: at, value } = this.#product
    while (at < t) value *= this.#momentum(++at)
    this.#product = { t, value }
    return value
  }

  protected override numbers({ learningRate: rate, t }: Step): NadamNumbers {
    const next = this.#momentum(t + 1)
    const product = this.#productUntil(t)
    return {
      ofMean: next / (1 - product * next),
      ofGradient: (1 - this.#momentum(t)) / (1 - product),
      correction: 1 - scalarMath.pow(this.beta2, t),
      rate,
    }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, numbers: NadamNumbers): Update {
    const { beta1, beta2, epsilon } = this
    const m = call(follow, [slots['momentum']!, g], { share: 1 - beta1 })
    const v = call(followSquare, [slots['velocity']!, g], { share: 1 - beta2 })
    const value = call(nadamStep, [w, g, m, v], { ...numbers, epsilon })
    return { value, slots: { momentum: m, velocity: v } }
  }
}

interface NadamNumbers extends Rate {
  readonly ofMean: number
  readonly ofGradient: number
  readonly correction: number
}

/** Nadam (default learning rate 0.001). */
export function nadam(options: MomentsOptions = {}): Nadam {
  return new Nadam(options)
}

const lambDirection = elementwise({
  name: 'lambDirection',
  args: ['m', 'v'],
  params: ['ofMean', 'ofSize', 'epsilon'],
  expr: 'm / ofMean / (sqrt(v / ofSize) + epsilon)',
  vjp: null,
})

const lambStep = elementwise({
  name: 'lambStep',
  args: ['w', 'x', 'norm', 'length'],
  params: ['rate'],
  expr: 'w - rate * (norm > 0 ? (length > 0 ? norm / length : 1) : 1) * x',
  vjp: null,
})

/**
 * As Adam, each variable's step as long as the variable itself times the rate: x = m̂ / (sqrt(v̂) + epsilon),
 * w -= rate |w| / |x| x (You et al. 2020).
 */
export class Lamb extends MomentsOptimizer<LambNumbers> {
  constructor(options: MomentsOptions = {}) {
    super('lamb', options, { learningRate: 0.001 })
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum', 'velocity']]
  }

  protected override numbers({ learningRate: rate, t }: Step): LambNumbers {
    return { rate, ofMean: 1 - scalarMath.pow(this.beta1, t), ofSize: 1 - scalarMath.pow(this.beta2, t) }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, numbers: LambNumbers): Update {
    const { rate, ofMean, ofSize } = numbers
    const { beta1, beta2, epsilon } = this
    const momentum = call(follow, [slots['momentum']!, g], { share: 1 - beta1 })
    const velocity = call(followSquare, [slots['velocity']!, g], { share: 1 - beta2 })
    const x = call(lambDirection, [momentum, velocity], { ofMean, ofSize, epsilon })
    const length = (of: Tensor): Tensor => sqrt(sum(square(of)))
    return {
      value: call(lambStep, [w, x, length(w), length(x)], { rate }),
      slots: { momentum, velocity },
    }
  }
}

interface LambNumbers extends Rate {
  readonly ofMean: number
  readonly ofSize: number
}

/** Lamb (default learning rate 0.001), for large batches. */
export function lamb(options: MomentsOptions = {}): Lamb {
  return new Lamb(options)
}
