import {
  add,
  div,
  matmul,
  mul,
  sqrt,
  square,
  sum,
  type Tensor,
  transpose,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { call, elementwise, scalarMath, show } from '@adjoint/core/extend'
import { given, checkFlag, checkNumber, COUNT, FINITE, NOT_NEGATIVE, RATE } from '../option-checks.js'
import { adamStep } from './adam.js'
import { Optimizer, type OptimizerOptions, type Slots, type Step, type Update } from './optimizer.js'
import type { Rate } from './rate.js'
import { descend, follow, followSquare } from './rows.js'

/** Options of {@link muon}. */
export interface MuonOptions extends OptimizerOptions {
  /** How much of the last movement of matrices goes on (default 0.95). */
  readonly momentum?: number
  /** Whether to look ahead along the momentum (default true). */
  readonly nesterov?: boolean
  /** How often a matrix is made more orthogonal in each step (default 5). */
  readonly nsSteps?: number
  /** The coefficients of that: x becomes a x + b x xᵀ x + c (x xᵀ)² x (defaults 3.4445, -4.775 and 2.0315). */
  readonly muonA?: number
  readonly muonB?: number
  readonly muonC?: number
  /** A matrix moves by sqrt(its longer side) times this; null: by 1 (default 0.2). */
  readonly rmsRate?: number | null
  /** Matrices whose names contain one of these, and those of layers so named, move as with Adam. */
  readonly excludeLayers?: readonly string[]
  /** Whether embeddings move as with Adam (default true). */
  readonly excludeEmbeddings?: boolean
  /** What multiplies the learning rate where weights move as with Adam (default 1). */
  readonly adamLrRatio?: number
  /** Default 0.9. */
  readonly adamBeta1?: number
  /** Default 0.999. */
  readonly adamBeta2?: number
  /** The weight decay where weights move as with Adam (default 0.004). */
  readonly adamWeightDecay?: number
  /** Added to Adam's divisor (default 1e-7). */
  readonly epsilon?: number
}

const NUMBERS = {
  momentum: [0.95, RATE],
  nsSteps: [5, COUNT],
  muonA: [3.4445, FINITE],
  muonB: [-4.775, FINITE],
  muonC: [2.0315, FINITE],
  adamLrRatio: [1, NOT_NEGATIVE],
  adamBeta1: [0.9, RATE],
  adamBeta2: [0.999, RATE],
  adamWeightDecay: [0.004, NOT_NEGATIVE],
  epsilon: [1e-7, NOT_NEGATIVE],
} as const
type Numbers = Record<keyof typeof NUMBERS, number>

const muonMomentum = elementwise({
  name: 'muonMomentum',
  args: ['m', 'dw'],
  params: ['momentum'],
  expr: 'm * momentum + dw',
  vjp: null,
})

/**
 * Matrices move by their momentum made orthogonal (Jordan 2024), scaled by their longer side (Liu et al. 2025); all
 * else moves as with AdamW.
 */
export class Muon extends Optimizer<Rate> {
  readonly #numbers: Numbers
  readonly nesterov: boolean
  readonly rmsRate: number | null
  readonly excludeLayers: readonly string[]
  readonly excludeEmbeddings: boolean

  constructor(options: MuonOptions = {}) {
    const own = ['nesterov', 'rmsRate', 'excludeLayers', 'excludeEmbeddings', ...Object.keys(NUMBERS)]
    super('muon', options, { learningRate: 0.001, weightDecay: 0.004 }, own)
    const entries = Object.entries(NUMBERS) as [keyof Numbers, (typeof NUMBERS)[keyof Numbers]][]
    this.#numbers = Object.fromEntries(
      entries.map(([name, [value, range]]) => [
        name,
        checkNumber('muon', name, given(options[name], value), range),
      ]),
    ) as Numbers
    this.nesterov = checkFlag('muon', 'nesterov', given(options.nesterov, true))
    this.excludeEmbeddings = checkFlag('muon', 'excludeEmbeddings', given(options.excludeEmbeddings, true))
    const { rmsRate = 0.2, excludeLayers = [] } = options
    this.rmsRate = rmsRate === null ? null : checkNumber('muon', 'rmsRate', rmsRate, NOT_NEGATIVE)
    if (!Array.isArray(excludeLayers))
      throw new ValueError(`muon: excludeLayers must be a list of names, got ${show(excludeLayers)}`)
    this.excludeLayers = excludeLayers as readonly string[]
  }

  override get config(): Readonly<Record<string, unknown>> {
    const { nesterov, rmsRate, excludeLayers, excludeEmbeddings } = this
    return { ...super.config, ...this.#numbers, nesterov, rmsRate, excludeLayers, excludeEmbeddings }
  }

  /** Whether a weight moves as with Adam. */
  #isAdams(v: Variable): boolean {
    const names = this.excludeEmbeddings ? ['embeddings', ...this.excludeLayers] : this.excludeLayers
    return v.rank !== 2 || this.isNamedBy(v, names)
  }

  protected override slotGroups(): readonly (readonly string[])[] {
    return [['momentum'], ['velocity']]
  }

  protected override initialSlot(slot: string, of: Variable): number | undefined {
    return slot === 'momentum' || this.#isAdams(of) ? 0 : undefined
  }

  protected override weightDecayOf(v: Variable): number {
    return this.#isAdams(v) ? this.#numbers.adamWeightDecay : super.weightDecayOf(v)
  }

  protected override numbers({ learningRate, t }: Step, v: Variable): Rate {
    if (!this.#isAdams(v)) {
      const scale = this.rmsRate === null ? 1 : this.rmsRate * Math.sqrt(Math.max(...v.shape))
      return { rate: learningRate * scale }
    }
    const { adamBeta1: beta1, adamBeta2: beta2, adamLrRatio } = this.#numbers
    return {
      rate:
        (learningRate * adamLrRatio * Math.sqrt(1 - scalarMath.pow(beta2, t))) /
        (1 - scalarMath.pow(beta1, t)),
    }
  }

  protected override update(w: Tensor, g: Tensor, slots: Slots, { rate }: Rate): Update {
    return slots['velocity'] === undefined
      ? this.#muonUpdate(w, g, slots, rate)
      : this.#adamUpdate(w, g, slots, rate)
  }

  #muonUpdate(w: Tensor, g: Tensor, slots: Slots, rate: number): Update {
    const params = { momentum: this.#numbers.momentum }
    const momentum = call(muonMomentum, [slots['momentum']!, g], params)
    const direction = this.#orthogonal(this.nesterov ? call(muonMomentum, [momentum, g], params) : momentum)
    return { value: call(descend, [w, direction], { rate }), slots: { momentum } }
  }

  /** Close to the nearest matrix with orthonormal rows or columns, by Newton and Schulz's iteration. */
  #orthogonal(matrix: Tensor): Tensor {
    const { muonA: a, muonB: b, muonC: c, nsSteps } = this.#numbers
    const [rows, columns] = matrix.shape as [number, number]
    const wide = rows > columns ? transpose(matrix) : matrix
    let x = div(wide, add(sqrt(sum(square(wide))), 1e-7))
    for (let i = 0; i < nsSteps; i++) {
      const squared = matmul(x, x, false, true)
      const factor = add(mul(squared, b), mul(matmul(squared, squared), c))
      x = add(mul(x, a), matmul(factor, x))
    }
    return rows > columns ? transpose(x) : x
  }

  #adamUpdate(w: Tensor, g: Tensor, slots: Slots, rate: number): Update {
    const { adamBeta1: beta1, adamBeta2: beta2, epsilon } = this.#numbers
    const momentum = call(follow, [slots['momentum']!, g], { share: 1 - beta1 })
    const velocity = call(followSquare, [slots['velocity']!, g], { share: 1 - beta2 })
    return {
      value: call(adamStep, [w, momentum, velocity], { rate, epsilon }),
      slots: { momentum, velocity },
    }
  }
}

/**
 * Muon (default learning rate 0.001) for kernels, AdamW for all other weights.
 * @example muon({ learningRate: 0.02, excludeLayers: ['head'] })
 */
export function muon(options: MuonOptions = {}): Muon {
  return new Muon(options)
}
