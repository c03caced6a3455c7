import {
  add,
  cast,
  div,
  equal,
  expandDims,
  floatx,
  mean,
  mul,
  ones,
  reshape,
  scalar,
  ShapeError,
  type Sizes,
  sum,
  Tensor,
  ValueError,
  where,
  zeros,
} from '@adjoint/core'
import { formatShape, isFloat, sameShape, typeName, withoutRecording } from '@adjoint/core/extend'

/** What is reported of a model's predictions, over as many batches as there are. */
export interface Metric {
  /** Its key in logs and history. */
  readonly name: string
  /** Forgets all batches. */
  reset(): void
  /**
   * Takes a batch in.
   * @param sampleWeight what each sample counts, [batch] or with more of the targets' axes (default 1).
   */
  update(yTrue: Tensor, yPred: Tensor, sampleWeight?: Tensor): void
  /** The value over all batches since the last reset. */
  result(): number
}

export type MetricState = Readonly<Record<string, Tensor>>
type Float = 'float32' | 'float64'

/** How a metric is computed: pure functions of tensors, so that they can be captured and replayed. */
export interface MetricDefinition {
  /** The state before any batch, for predictions like these. */
  init(predictions: { readonly shape: Sizes; readonly dtype: Float }): MetricState
  update(state: MetricState, yTrue: Tensor, yPred: Tensor, sampleWeight: Tensor | undefined): MetricState
  result(state: MetricState): Tensor
}

/** A metric made of pure functions and a state. */
export class StatefulMetric implements Metric {
  #state: MetricState | undefined

  constructor(
    readonly name: string,
    readonly definition: MetricDefinition,
  ) {}

  /** What it remembers; undefined before the first batch. */
  get state(): MetricState | undefined {
    return this.#state
  }

  set state(state: MetricState | undefined) {
    this.#state = state
  }

  reset(): void {
    this.#state = undefined
  }

  update(yTrue: Tensor, yPred: Tensor, sampleWeight?: Tensor): void {
    for (const y of [yTrue, yPred, ...(sampleWeight === undefined ? [] : [sampleWeight])])
      if (!((y as unknown) instanceof Tensor))
        throw new ValueError(`metric ${this.name}: expected tensors, got ${typeName(y)}`)
    withoutRecording(() => {
      const dtype = isFloat(yPred.dtype) ? yPred.dtype : floatx()
      const as = (x: Tensor): Tensor => (x.dtype === dtype ? x : cast(x, dtype))
      const state = this.#state ?? this.definition.init({ shape: yPred.shape, dtype })
      this.#state = this.definition.update(state, as(yTrue), as(yPred), sampleWeight && as(sampleWeight))
    })
  }

  /** As {@link result}, as a tensor on the device: some metrics have a value for each class. */
  compute(): Tensor {
    const state = this.#state
    return state === undefined ? scalar(0) : withoutRecording(() => this.definition.result(state))
  }

  result(): number {
    return this.compute().itemSync()
  }
}

/** A function of targets and predictions in one dtype that returns a value for each sample, or more than one. */
export type ValuesFn = (yTrue: Tensor, yPred: Tensor) => Tensor

/** The mean of a value over all samples, weighted by the samples' weights. */
export function meanMetric(
  name: string,
  values: ValuesFn,
  finish: (mean: Tensor) => Tensor = (x) => x,
): StatefulMetric {
  return new StatefulMetric(name, {
    init: ({ dtype }) => ({ total: zeros([], dtype), count: zeros([], dtype) }),
    update({ total, count }, yTrue, yPred, weight) {
      const { sums, weights } = bySample(values(yTrue, yPred), weight)
      return { total: add(total!, cast(sum(sums), total!.dtype)), count: add(count!, weights) }
    },
    result: ({ total, count }) => finish(divideOrZero(total!, count!)),
  })
}

/** One number for each sample, weighted, and the sum of the weights. Values of more axes are averaged first. */
function bySample(values: Tensor, weight: Tensor | undefined): { sums: Tensor; weights: Tensor } {
  if (weight === undefined)
    return { sums: byRow(values), weights: scalar(values.shape[0] ?? 1, values.dtype) }
  const [v, w] = sameRank(values, weight)
  const averaged = v.rank > w.rank ? mean(v, axesFrom(w.rank, v.rank)) : v
  checkBroadcast(w, averaged.shape)
  return { sums: byRow(mul(averaged, w)), weights: sum(byRow(w)) }
}

function byRow(x: Tensor): Tensor {
  return x.rank > 1 ? mean(x, axesFrom(1, x.rank)) : x
}

function axesFrom(first: number, rank: number): number[] {
  return Array.from({ length: rank - first }, (_, i) => first + i)
}

/** Without this a weight for each sample could be taken for one for each column. */
function checkBroadcast(weight: Tensor, shape: Sizes): void {
  if (weight.shape.every((side, axis) => side === 1 || side === shape[axis])) return
  throw new ShapeError(
    `metric: sample weights ${formatShape(weight.shape)} do not fit values ${formatShape(shape)}`,
    { shapes: [weight.shape, shape] },
  )
}

/** Of ranks that differ by one: a last side of 1 is added to vectors, taken off all else (as in Keras). */
export function sameRank(a: Tensor, b: Tensor): [a: Tensor, b: Tensor] {
  if (a.rank === b.rank + 1 && a.shape[b.rank] === 1)
    return b.rank === 1 ? [a, expandDims(b, -1)] : [reshape(a, a.shape.slice(0, -1)), b]
  if (b.rank === a.rank + 1 && b.shape[a.rank] === 1)
    return a.rank === 1 ? [expandDims(a, -1), b] : [a, reshape(b, b.shape.slice(0, -1))]
  return [a, b]
}

/** Targets and predictions of one shape. @throws ShapeError where they are not; nothing is broadcast. */
export function sameShapes(name: string, yTrue: Tensor, yPred: Tensor): [t: Tensor, p: Tensor] {
  const [t, p] = sameRank(yTrue, yPred)
  if (sameShape(t.shape, p.shape)) return [t, p]
  throw new ShapeError(
    `metric ${name}: targets ${formatShape(yTrue.shape)} and predictions ${formatShape(yPred.shape)} differ in shape`,
    { shapes: [yTrue.shape, yPred.shape] },
  )
}

/** Weights for every element of `shape`: those of samples hold for all that belongs to the sample. */
export function weightsFor(weight: Tensor | undefined, shape: Sizes, dtype: Tensor['dtype']): Tensor {
  if (weight === undefined) return ones(shape, dtype)
  const sides =
    weight.rank > shape.length && weight.shape.at(-1) === 1 ? weight.shape.slice(0, -1) : weight.shape
  const all = reshape(weight, [
    ...sides,
    ...new Array<number>(Math.max(0, shape.length - sides.length)).fill(1),
  ])
  checkBroadcast(all, shape)
  return mul(ones(shape, dtype), all)
}

/** a / b, and 0 where b is 0. */
export function divideOrZero(a: Tensor, b: Tensor): Tensor {
  return where(equal(b, 0), 0, div(a, b))
}
