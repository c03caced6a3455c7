import { Optimizer, type Step } from './optimizer.js'

/** All that some optimizers need to know of a step. */
export interface Rate {
  readonly rate: number
}

/** The base of optimizers whose steps differ by the learning rate alone. */
export abstract class RateOptimizer extends Optimizer<Rate> {
  protected override numbers({ learningRate: rate }: Step): Rate {
    return { rate }
  }
}
