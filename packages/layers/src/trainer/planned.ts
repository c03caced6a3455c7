import { type Backend, BackendError, type DType, type Tensor, type Variable, variable } from '@adjoint/core'
import {
  cpuBackend,
  currentBackend,
  isWatchingForAnomalies,
  sameShape,
  type StepFunctions,
  StepPlan,
} from '@adjoint/core/extend'
import { warn } from '../host.js'
import type { LayerBase } from '../layer.js'
import { isOfThisPackage } from '../saving/registry.js'
import type { Model } from '../model.js'
import type { Sym } from '../types.js'
import type { Batch } from './batches.js'
import type { Compiled } from './compile.js'
import { endsOf } from './ends.js'

// Steps that are made often are recorded and replayed as plans. A plan gives the same numbers as the ops one by one, to
// the last bit, so it does not matter when a training begins to use them.

/** So many steps with batches of one kind are made op by op: fewer are not worth recording. */
const EAGER_STEPS = 8
/** Elsewhere each op costs a kernel to translate and start: a plan costs no more. */
const EAGER_STEPS_ELSEWHERE = 1
/** A training that needs more plans than this changes too often to gain by them. */
const MOST_PLANS = 12

/** What a recorded step computes, and how it is recorded. */
export interface Recording {
  /** What is the same for all steps that one plan can make, beside the batch's shapes. */
  readonly key: string
  record(batch: Batch): StepPlan
  /** Whether recording now would give the same plan. */
  isStill(plan: StepPlan, batch: Batch): boolean
}

interface Known {
  /** What it is for: {@link Recording.key}, and the kind of batch. */
  readonly key: string
  readonly parts: Parts
  uses: number
  plan: StepPlan | undefined
  /** How many steps in a row it could not make. */
  misses: number
}

/** The plans of a model that was compiled, for training and for testing. */
export class Plans {
  readonly #known = new Map<string, Known>()
  #count = 0
  #isGivenUp = false
  #latest: Known | undefined
  /** Plans that have been found to be still right since the last {@link doubt}. */
  readonly #trusted = new Set<StepPlan>()

  constructor(
    readonly op: string,
    /** Whether code of the user's runs in a step: it may depend on things that change without being seen. */
    readonly hasOwnCode: boolean,
  ) {}

  /** The plan for a batch; undefined where its step is to be made op by op. */
  for(batch: Batch, recording: Recording): StepPlan | undefined {
    if (this.#isGivenUp || isWatchingForAnomalies()) return undefined
    const { key } = recording
    const latest = this.#latest
    // Most batches are like the one before.
    const known = latest?.key === key && isLike(batch, latest.parts) ? latest : this.#find(key, batch)
    this.#latest = known
    if (known.plan === undefined) {
      const least = currentBackend() === cpuBackend ? EAGER_STEPS : EAGER_STEPS_ELSEWHERE
      if (++known.uses <= least) return undefined
      known.plan = this.#record(batch, recording)
    } else if (this.hasOwnCode && !this.#trusted.has(known.plan)) {
      if (recording.isStill(known.plan, batch)) this.#trusted.add(known.plan)
      else known.plan = this.#record(batch, recording)
    }
    return known.plan
  }

  /** The plan for a batch if there is one that need not be looked at again. */
  ready(batch: Batch, { key }: Recording): StepPlan | undefined {
    if (this.#isGivenUp || isWatchingForAnomalies()) return undefined
    const latest = this.#latest
    const isLatest = latest?.key === key && isLike(batch, latest.parts)
    const plan = (isLatest ? latest : this.#known.get(`${key} ${kindOf(batch)}`))?.plan
    return plan === undefined || (this.hasOwnCode && !this.#trusted.has(plan)) ? undefined : plan
  }

  #find(key: string, batch: Batch): Known {
    const name = `${key} ${kindOf(batch)}`
    let known = this.#known.get(name)
    if (known === undefined)
      this.#known.set(name, (known = { key, parts: partsOf(batch), uses: 0, plan: undefined, misses: 0 }))
    return known
  }

  #record(batch: Batch, recording: Recording): StepPlan | undefined {
    if (++this.#count > MOST_PLANS) return this.#giveUp()
    try {
      const plan = recording.record(batch)
      this.#trusted.add(plan)
      return plan
    } catch (error) {
      if (this.hasOwnCode && error instanceof BackendError)
        warn(
          `${this.op}: the steps of this model are run op by op, which is slower than as a plan: ${error.message}. ` +
            'compile({ plan: false }) says that you know',
        )
      return this.#giveUp()
    }
  }

  #giveUp(): undefined {
    this.#isGivenUp = true
    this.#known.clear()
    this.#latest = undefined
    return undefined
  }

  /** Tells whether a plan could make its step. One that fails twice in a row is recorded anew. */
  report(plan: StepPlan, isMade: boolean): void {
    if (isMade && this.#latest?.plan === plan && this.#latest.misses === 0) return
    for (const known of this.#known.values()) {
      if (known.plan !== plan) continue
      known.misses = isMade ? 0 : known.misses + 1
      if (known.misses > 1) Object.assign(known, { plan: undefined, misses: 0 })
    }
  }

  /** Code of the user's may have changed what it does: plans are looked at again before they are used. */
  doubt(): void {
    this.#trusted.clear()
  }
}

/** The shapes and dtypes of a batch: of its inputs, targets, weights and masks. */
type Parts = readonly (readonly (Aval | undefined)[])[]
type Aval = Tensor['aval']

function partsOf({ x, y, weights, masks }: Batch): Parts {
  return [x, y, weights, masks].map((list) => list.map((part) => part?.aval))
}

function isLike({ x, y, weights, masks }: Batch, [a, b, c, d]: Parts): boolean {
  return areLike(x, a!) && areLike(y, b!) && areLike(weights, c!) && areLike(masks, d!)
}

function areLike(list: readonly (Tensor | undefined)[], known: readonly (Aval | undefined)[]): boolean {
  if (list.length !== known.length) return false
  for (let i = 0; i < list.length; i++) {
    const [x, y] = [list[i]?.aval, known[i]]
    // Mostly they are one object.
    if (x === y) continue
    if (x === undefined || y === undefined || x.dtype !== y.dtype || !sameShape(x.shape, y.shape))
      return false
  }
  return true
}

/** Equal for batches that the same plan can take. */
function kindOf({ x, y, weights, masks }: Batch): string {
  let kind = ''
  for (const list of [x, y, weights, masks]) {
    for (const part of list) kind += part === undefined ? '-;' : `${part.dtype} ${part.shape.join()};`
    kind += '|'
  }
  return kind
}

/** The tensors of a batch, in the order that {@link withTensors} takes. */
export function tensorsOf({ x, y, weights, masks }: Batch): Tensor[] {
  const tensors: Tensor[] = []
  for (const list of [x, y, weights, masks])
    for (const part of list) if (part !== undefined) tensors.push(part)
  return tensors
}

/** The same batch with other tensors. */
export function withTensors(batch: Batch, tensors: readonly Tensor[]): Batch {
  let next = 0
  const replaced = <T extends Tensor | undefined>(list: readonly T[]): T[] =>
    list.map((part) => (part === undefined ? part : (tensors[next++] as T)))
  return {
    ...batch,
    x: replaced(batch.x),
    y: replaced(batch.y),
    weights: replaced(batch.weights),
    masks: replaced(batch.masks),
  }
}

/** The plans of one model, as long as the same weights are trained. */
export interface PlanSet {
  /** Which runs them. */
  readonly backend: Backend
  readonly variables: readonly Variable[]
  readonly train: Plans
  readonly test: Plans
  /**
   * 1 as long as all steps were sound, so that steps may change variables without being looked at; one less for each that
   * has changed nothing: 0 after the first unsound one, then -1, … Undefined where a look takes no time.
   */
  readonly guard: Variable | undefined
}

const sets = new WeakMap<Compiled, PlanSet>()

/** The plans for a model's steps; undefined where they cannot be plans. */
export function plansOf(
  model: Model,
  compiled: Compiled,
  variables: readonly Variable[],
): PlanSet | undefined {
  const known = sets.get(compiled)
  const backend = currentBackend()
  if (known?.backend === backend && isSameList(known.variables, variables)) return known
  if (!mayBePlanned(model, compiled, variables)) return undefined
  const own = hasOwnCode(model, compiled)
  const made = {
    backend,
    variables,
    train: new Plans('fit', own),
    test: new Plans('evaluate', own),
    guard: backend.readSync === undefined ? variable(1, { name: 'guard' }) : undefined,
  }
  sets.set(compiled, made)
  return made
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

function mayBePlanned(
  model: Model,
  { inputs, plan, trainStep }: Compiled,
  variables: readonly Variable[],
): boolean {
  return (
    plan &&
    trainStep === undefined &&
    StepPlan.isPossible &&
    inputs.list.every(({ tensor }) => isOfNumbers(tensor)) &&
    variables.every(({ dtype }) => dtype === 'float32') &&
    allLayers(model).every((layer) => !layer.drawsBySeed)
  )
}

/** Whether a step runs code that is not this package's. */
function hasOwnCode(model: Model, { outputs, modelLoss }: Compiled): boolean {
  return (
    modelLoss !== undefined ||
    outputs.some(({ loss }) => loss?.isOwn === true) ||
    allLayers(model).some(holdsOwnCode)
  )
}

/** Whether a layer, or a function among its options, is the user's. The package's own functions tell their config. */
function holdsOwnCode(layer: LayerBase): boolean {
  const isOwn = (value: unknown): boolean => typeof value === 'function' && !('config' in value)
  return !isOfThisPackage(layer) || Object.values(layer.getConfig()).some(isOwn)
}

const inferences = new WeakMap<Model, { readonly backend: Backend; readonly plans: Plans }>()

/** A model's outputs for batches of inputs, without training. */
export class Inference {
  readonly #model: Model
  readonly #plans: Plans | undefined
  readonly #recording: Recording

  constructor(model: Model) {
    this.#model = model
    this.#recording = recordingOf(model)
    if (!StepPlan.isPossible || model.compiled?.plan === false) return
    if (!endsOf(model, 'input').list.every(({ tensor }) => isOfNumbers(tensor))) return
    const backend = currentBackend()
    let known = inferences.get(model)
    if (known?.backend !== backend) {
      known = { backend, plans: new Plans('predict', allLayers(model).some(holdsOwnCode)) }
      inferences.set(model, known)
    }
    known.plans.doubt()
    this.#plans = known.plans
  }

  run(x: readonly Tensor[]): readonly Tensor<DType>[] {
    const plan = this.#plans?.for(onlyInputs(x), this.#recording)
    if (plan === undefined) return this.#model.compute(x, { training: false })
    plan.compute(x)
    const outputs = this.#model.outputList.map((_, i) => plan.read(i))
    // Layers that train whatever the model does have other statistics now.
    plan.settle()
    return outputs
  }
}

function recordingOf(model: Model): Recording {
  const functions: StepFunctions = {
    compute: (x) => ({ read: model.compute(x, { training: false }) as Tensor[], grads: [] }),
    change: () => undefined,
  }
  return {
    key: '',
    record: ({ x }) => StepPlan.record(functions, x, () => undefined),
    isStill: (plan, { x }) => plan.isStill(functions, x, () => undefined),
  }
}

function onlyInputs(x: readonly Tensor[]): Batch {
  return { size: x[0]?.shape[0] ?? 0, x, y: [], weights: [], masks: [], shares: [] }
}

/** Strings are looked up on the host; float64 is for checks, and has no kernels of its own. */
function isOfNumbers({ dtype }: Sym.Any): boolean {
  return dtype !== 'string' && dtype !== 'float64'
}

/** The model and all layers in it, however deep. */
export function allLayers(model: Model): LayerBase[] {
  const all: LayerBase[] = []
  const visit = (layer: LayerBase): void => {
    all.push(layer)
    layer.sublayers.forEach(visit)
  }
  visit(model)
  return all
}
