import type { Tensor, Variable } from '@adjoint/core'
import { call, elementwise, scalarMath } from '@adjoint/core/extend'
import { given, checkNumber, NOT_NEGATIVE, RATE, WHOLE } from '../option-checks.js'
import { Optimizer, type OptimizerOptions, type Slots, type Step, type Update } from './optimizer.js'
import { followSquare } from './rows.js'

/** Options of {@link scheduleFreeAdamw}. */
export interface ScheduleFreeOptions extends OptimizerOptions {
  /** In (0, 1): how much of the average there is in the weights, the rest being the newest point (default 0.9). */
  readonly beta1?: number
  /** In [0, 1): how slowly the size of gradients changes (default 0.999). */
  readonly beta2?: number
  /** Added to the divisor (default 1e-8). */
  readonly epsilon?: number
  /** In how many steps the learning rate grows to its value (default 0). */
  readonly warmupSteps?: number
}

const freeStep = elementwise({
  name: 'freeStep',
  args: ['z', 'dw', 'v'],
  params: ['rate', 'correction', 'epsilon'],
  expr: 'z - rate * dw / (sqrt(v / correction) + epsilon)',
  vjp: null,
})

/** (1 - beta) z + beta x for the next x and z, told by what they were: exactly y where nothing moves. */
const freeMix = elementwise({
  name: 'freeMix',
  args: ['y', 'old', 'z'],
  params: ['beta', 'share'],
  expr: 'y + (1 - beta) * (z - old) + share * (beta * (z - y) + (1 - beta) * (old - y))',
  vjp: null,
})

const freeAverage = elementwise({
  name: 'freeAverage',
  args: ['y', 'z'],
  params: ['beta'],
  expr: 'z + (y - z) / beta',
  vjp: null,
})

/**
 * Adam steps of a point z, and their average x; the weights are y = (1 - beta1) z + beta1 x. It needs no schedule, nor
 * to know when training ends (Defazio et al. 2024).
 */
export class ScheduleFreeAdamW extends Optimizer<ScheduleFreeNumbers> {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly warmupSteps: number

  constructor(options: ScheduleFreeOptions = {}) {
    const name = 'schedule_free_adamw'
    super(name, options, { learningRate: 0.0025 }, ['beta1', 'beta2', 'epsilon', 'warmupSteps'])
    this.beta1 = checkNumber(name, 'beta1', given(options.beta1, 0.9), {
      holds: (x) => x > 0 && x < 1,
      words: 'in the range (0, 1)',
    })
    this.beta2 = checkNumber(name, 'beta2', given(options.beta2, 0.999), RATE)
    this.epsilon = checkNumber(name, 'epsilon', given(options.epsilon, 1e-8), NOT_NEGATIVE)
    this.warmupSteps = checkNumber(name, 'warmupSteps', given(options.warmupSteps, 0), WHOLE)
  }

  override get config(): Readonly<Record<string, unknown>> {
    const { beta1, beta2, epsilon, warmupSteps } = this
    return { ...super.config, beta1, beta2, epsilon, warmupSteps }
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum', 'velocity']]
  }

  /** z begins where the weights are. */
  protected override initialSlot(slot: string, of: Variable): number | Tensor {
    return slot === 'momentum' ? of.detach() : 0
  }

  /** The averages x, at which the paper looks at a model; the weights themselves stay y, as in Keras. */
  averages(variables: readonly Variable[]): Tensor[] {
    const { variables: known } = this.getState(variables)
    return variables.map((y, i) => call(freeAverage, [y, known[i]!.slots['momentum']!], { beta: this.beta1 }))
  }

  protected override numbers({ learningRate, t }: Step): ScheduleFreeNumbers {
    const warm = this.warmupSteps === 0 ? 1 : Math.min(t / this.warmupSteps, 1)
    return { rate: learningRate * warm, correction: 1 - scalarMath.pow(this.beta2, t), share: 1 / t }
  }

  protected override update(y: Tensor, g: Tensor, slots: Slots, numbers: ScheduleFreeNumbers): Update {
    const { rate, correction, share } = numbers
    const { beta1: beta, beta2, epsilon } = this
    const old = slots['momentum']!
    const velocity = call(followSquare, [slots['velocity']!, g], { share: 1 - beta2 })
    const z = call(freeStep, [old, g, velocity], { rate, correction, epsilon })
    return { value: call(freeMix, [y, old, z], { beta, share }), slots: { momentum: z, velocity } }
  }
}

interface ScheduleFreeNumbers {
  readonly rate: number
  readonly correction: number
  /** What the newest point counts in the average. */
  readonly share: number
}

/**
 * Schedule-free AdamW (default learning rate 0.0025), as in Keras without decay unless `weightDecay` is given.
 * @example scheduleFreeAdamw({ learningRate: 0.0025, weightDecay: 0.004, warmupSteps: 100 })
 */
export function scheduleFreeAdamw(options: ScheduleFreeOptions = {}): ScheduleFreeAdamW {
  return new ScheduleFreeAdamW(options)
}
