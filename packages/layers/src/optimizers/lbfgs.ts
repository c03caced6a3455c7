import { NonFiniteError, tensor, type Tensor, valueAndGrads, ValueError, Variable } from '@adjoint/core'
import { show, typeName } from '@adjoint/core/extend'
import { isConstrained } from '../constraints.js'
import { checkKeys, checkNumber, COUNT, NOT_NEGATIVE } from '../option-checks.js'

/** Options of {@link lbfgs}. */
export interface LbfgsOptions {
  /** Default 100. */
  readonly maxIterations?: number
  /** How many of the last steps tell the curvature (default 10). */
  readonly historySize?: number
  /** It has converged where no element of the gradient is larger (default 1e-6). */
  readonly gradientTolerance?: number
  /** It has converged where a step lowers the loss by less than this share of it (default 1e-9). */
  readonly lossTolerance?: number
  /** Is told after each step; `false` ends it there. */
  readonly onIteration?: (at: LbfgsProgress) => boolean | void
}

/** How far {@link lbfgs} has come. */
export interface LbfgsProgress {
  readonly iteration: number
  readonly loss: number
  /** The largest element of the gradient. */
  readonly gradientSize: number
}

/** How {@link lbfgs} has ended. */
export interface LbfgsResult {
  /** At the variables' values now. */
  readonly loss: number
  readonly iterations: number
  /** How often loss and gradient were computed. */
  readonly evaluations: number
  /** Whether it came to a minimum: `reason` is 'gradient' or 'loss'. */
  readonly converged: boolean
  /** Which limit was met; 'lineSearch' where rounding leaves no lower loss along the direction. */
  readonly reason: 'gradient' | 'loss' | 'iterations' | 'lineSearch' | 'stopped'
}

/**
 * Minimises a loss over all data at once by L-BFGS: each step goes as far as the strong Wolfe conditions say, in the
 * direction that the last steps and gradients tell of the curvature (Nocedal & Wright 2006, algorithms 7.4 and 3.5).
 * When it fails, the variables are what they were.
 * @param loss a scalar of the variables, the same for the same values: no dropout, no batches.
 * @throws NonFiniteError where the loss or its gradient is not finite at the start; ValueError for what is no variable.
 * @example await lbfgs(() => losses.meanSquaredError(y, m(x)).mean(), m.trainableWeights)
 */
export async function lbfgs(
  loss: () => Tensor,
  variables: readonly Variable[],
  options: LbfgsOptions = {},
): Promise<LbfgsResult> {
  const { maxIterations, historySize, gradientTolerance, lossTolerance, onIteration } = checked(options)
  checkVariables(variables)
  const start = variables.map((v) => v.detach())
  const task = new Objective(loss, variables)
  try {
    let at = await task.evaluate(await task.values())
    if (!isSound(at))
      throw new NonFiniteError(`lbfgs: at the start the loss is ${at.loss}, or its gradient is not finite`)
    const history: Pair[] = []
    const end = (reason: LbfgsResult['reason'], iterations: number): LbfgsResult => {
      task.assign(at.x)
      const converged = reason === 'gradient' || reason === 'loss'
      return { loss: at.loss, iterations, evaluations: task.evaluations, converged, reason }
    }
    for (let iteration = 0; ; iteration++) {
      if (sizeOf(at.gradient) <= gradientTolerance) return end('gradient', iteration)
      if (iteration === maxIterations) return end('iterations', iteration)
      let direction = directionOf(at.gradient, history)
      // Rounding may have spoilt the curvature: then down the gradient again.
      if (!(dot(direction, at.gradient) < 0)) {
        history.length = 0
        direction = directionOf(at.gradient, history)
      }
      const first = history.length === 0 ? Math.min(1, 1 / sumOfSizes(at.gradient)) : 1
      const next = await search(task, at, direction, first)
      if (next === undefined) return end('lineSearch', iteration)
      remember(history, at, next, historySize)
      const gained = at.loss - next.loss
      at = next
      const progress = { iteration: iteration + 1, loss: at.loss, gradientSize: sizeOf(at.gradient) }
      if (onIteration?.(progress) === false) return end('stopped', iteration + 1)
      if (gained <= lossTolerance * Math.max(Math.abs(at.loss), Number.MIN_VALUE))
        return end('loss', iteration + 1)
    }
  } catch (error) {
    variables.forEach((v, i) => v.assign(start[i]!))
    throw error
  }
}

/** The loss and its gradient at a point: all variables' elements, one after another. */
interface Point {
  readonly x: Float64Array
  readonly loss: number
  readonly gradient: Float64Array
}

class Objective {
  readonly #loss: () => Tensor
  readonly #variables: readonly Variable[]
  evaluations = 0

  constructor(loss: () => Tensor, variables: readonly Variable[]) {
    this.#loss = loss
    this.#variables = variables
  }

  values(): Promise<Float64Array> {
    return flat(this.#variables)
  }

  assign(x: Float64Array): void {
    let from = 0
    for (const v of this.#variables) {
      const values = x.subarray(from, (from += v.size))
      v.assign(tensor(v.dtype === 'float64' ? values.slice() : Float32Array.from(values), { shape: v.shape }))
    }
  }

  async evaluate(x: Float64Array): Promise<Point> {
    this.evaluations++
    this.assign(x)
    const { value, grads } = valueAndGrads(this.#loss, this.#variables)
    const [[loss], gradient] = await Promise.all([value.data(), flat(grads)])
    return { x, loss: Number(loss), gradient }
  }
}

async function flat(tensors: readonly Tensor[]): Promise<Float64Array> {
  const all = await Promise.all(tensors.map((x) => x.data()))
  const out = new Float64Array(tensors.reduce((n, x) => n + x.size, 0))
  let from = 0
  for (const values of all) {
    out.set(values, from)
    from += values.length
  }
  return out
}

// ---- direction

/** How far a step went, and how the gradient changed. */
interface Pair {
  readonly s: Float64Array
  readonly y: Float64Array
  readonly rho: number
}

function remember(history: Pair[], from: Point, to: Point, most: number): void {
  const s = to.x.map((x, i) => x - from.x[i]!)
  const y = to.gradient.map((g, i) => g - from.gradient[i]!)
  const curvature = dot(s, y)
  // Along a step of no curvature there is nothing to learn.
  if (!(curvature > 1e-10 * dot(y, y))) return
  history.push({ s, y, rho: 1 / curvature })
  if (history.length > most) history.shift()
}

/** -H g by the two-loop recursion, with H = sᵀy / yᵀy I at first. */
function directionOf(gradient: Float64Array, history: readonly Pair[]): Float64Array {
  const q = gradient.map((g) => -g)
  const shares: number[] = []
  for (const { s, y, rho } of history.toReversed()) {
    const share = rho * dot(s, q)
    shares.push(share)
    addTo(q, y, -share)
  }
  const last = history.at(-1)
  if (last !== undefined) {
    const scale = 1 / (last.rho * dot(last.y, last.y))
    for (let i = 0; i < q.length; i++) q[i]! *= scale
  }
  for (const { s, y, rho } of history) addTo(q, s, shares.pop()! - rho * dot(y, q))
  return q
}

// ---- line search

const [DECREASE, CURVATURE, MOST_TRIALS] = [1e-4, 0.9, 25]

/** A trial along the direction. */
interface Trial {
  readonly step: number
  readonly point: Point
  readonly slope: number
}

/** A point that is low enough and flat enough; failing that the lowest one; undefined where none is lower. */
async function search(
  task: Objective,
  start: Point,
  direction: Float64Array,
  first: number,
): Promise<Point | undefined> {
  const slope = dot(start.gradient, direction)
  const isLow = ({ step, point }: Trial): boolean => point.loss <= start.loss + DECREASE * step * slope
  const isFlat = (trial: Trial): boolean => Math.abs(trial.slope) <= -CURVATURE * slope
  const at = async (step: number): Promise<Trial> => {
    const point = await task.evaluate(start.x.map((x, i) => x + step * direction[i]!))
    return { step, point, slope: dot(point.gradient, direction) }
  }
  let low: Trial = { step: 0, point: start, slope }
  let high: Trial | undefined
  let step = first
  for (let trial = 0; trial < MOST_TRIALS; trial++) {
    const next = await at(step)
    if (!isSound(next.point) || !isLow(next) || next.point.loss >= low.point.loss) high = next
    else if (isFlat(next)) return next.point
    else {
      // The minimum lies on the side that the slope at the new lowest point falls to.
      if (high === undefined ? next.slope >= 0 : next.slope * (high.step - low.step) >= 0) high = low
      low = next
    }
    step = high === undefined ? 2 * step : between(low, high)
  }
  return low.point.loss < start.loss ? low.point : undefined
}

/** The minimum of the cubic through two trials and their slopes, kept away from both ends. */
function between(low: Trial, high: Trial): number {
  const [a, b] = [low.step, high.step]
  const middle = (a + b) / 2
  if (!isSound(high.point)) return a + (b - a) / 10
  const d1 = low.slope + high.slope - (3 * (low.point.loss - high.point.loss)) / (a - b)
  const d2 = Math.sign(b - a) * Math.sqrt(d1 * d1 - low.slope * high.slope)
  const best = b - ((b - a) * (high.slope + d2 - d1)) / (high.slope - low.slope + 2 * d2)
  const margin = 0.1 * Math.abs(b - a)
  return Math.abs(best - middle) <= Math.abs(b - a) / 2 - margin ? best : middle
}

// ---- vectors

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function addTo(a: Float64Array, b: Float64Array, factor: number): void {
  for (let i = 0; i < a.length; i++) a[i]! += factor * b[i]!
}

function sizeOf(x: Float64Array): number {
  return x.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

function sumOfSizes(x: Float64Array): number {
  return x.reduce((sum, value) => sum + Math.abs(value), 0)
}

function isSound({ loss, gradient }: Point): boolean {
  return Number.isFinite(loss) && gradient.every(Number.isFinite)
}

// ---- checks

function checked(options: LbfgsOptions): Required<Omit<LbfgsOptions, 'onIteration'>> & LbfgsOptions {
  const own = ['maxIterations', 'historySize', 'gradientTolerance', 'lossTolerance', 'onIteration']
  checkKeys('lbfgs', options, own)
  const { onIteration } = options
  if (onIteration !== undefined && typeof onIteration !== 'function')
    throw new ValueError(`lbfgs: onIteration must be a function, got ${show(onIteration)}`)
  const { maxIterations = 100, historySize = 10, gradientTolerance = 1e-6, lossTolerance = 1e-9 } = options
  return {
    maxIterations: checkNumber('lbfgs', 'maxIterations', maxIterations, COUNT),
    historySize: checkNumber('lbfgs', 'historySize', historySize, COUNT),
    gradientTolerance: checkNumber('lbfgs', 'gradientTolerance', gradientTolerance, NOT_NEGATIVE),
    lossTolerance: checkNumber('lbfgs', 'lossTolerance', lossTolerance, NOT_NEGATIVE),
    ...(onIteration !== undefined && { onIteration }),
  }
}

function checkVariables(variables: readonly Variable[]): void {
  if (!Array.isArray(variables) || variables.length === 0)
    throw new ValueError(`lbfgs: expected a list of variables, got ${show(variables)}`)
  variables.forEach((v: unknown, i) => {
    if (!(v instanceof Variable))
      throw new ValueError(`lbfgs: variable ${i} is ${typeName(v)}, not a variable`)
    if (isConstrained(v as Variable))
      throw new ValueError(
        `lbfgs: ${show(v.name)} has a constraint, which L-BFGS cannot keep; use an optimizer such as adam()`,
      )
  })
}
