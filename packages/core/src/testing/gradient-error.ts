import { AdjointError } from '../errors.js'

interface GradientFacts {
  readonly input: string
  readonly index: readonly number[]
  readonly order: 1 | 2
  readonly analytic: number
  readonly numeric: number
  readonly allowed: number
  /** Words in front, such as `3 of 6 elements differ; the worst is `. */
  readonly count: string
  readonly hint: string
  readonly reproduction: string
}

/** A gradient that disagrees with central differences. */
export class GradientError extends AdjointError {
  readonly code = 'GRADIENT'
  /** The input by which was differentiated: `inputs[0]`, or `inputs[1].kernel` in a pytree. */
  readonly input: string
  /** The element of it. */
  readonly index: readonly number[]
  /** 1 where the gradient is wrong, 2 where the gradient of the gradient is. */
  readonly order: 1 | 2
  /** The derivative by this element that the gradient claims. */
  readonly analytic: number
  /** The derivative that central differences find. */
  readonly numeric: number
  /** A line of code that fails in the same way. */
  readonly reproduction: string

  /** @internal */
  constructor({ allowed, count, hint, ...facts }: GradientFacts) {
    const what = facts.order === 1 ? 'the gradient' : 'the gradient of the gradient'
    super(
      `checkGradients: ${count}${facts.input}[${facts.index.join(', ')}]: ${what} is ${facts.analytic}, ` +
        `central differences give ${facts.numeric} (allowed difference ${allowed.toPrecision(2)})` +
        `${hint === '' ? '' : `\n  ${hint}`}\n  reproduce: ${facts.reproduction}`,
      { op: 'checkGradients' },
    )
    this.input = facts.input
    this.index = facts.index
    this.order = facts.order
    this.analytic = facts.analytic
    this.numeric = facts.numeric
    this.reproduction = facts.reproduction
  }
}
