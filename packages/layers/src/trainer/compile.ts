import { GraphError, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import { type Loss, resolveLoss } from '../losses.js'
import { type Metric, resolveMetric } from '../metrics.js'
import type { Model } from '../model.js'
import { firstFree } from '../naming.js'
import { checkFlag, checkKeys } from '../option-checks.js'
import { type Optimizer, resolveOptimizer } from '../optimizers.js'
import { pathsOf } from '../saving/paths.js'
import type { Sym } from '../types.js'
import { checkFree } from './busy.js'
import { type End, type Ends, endsOf, spreadOption } from './ends.js'
import { type LossWeights, lossWeightsOf } from './loss-weights.js'
import { mayAddLosses, MODEL_LOSS, type ModelLoss, resolveModelLoss } from './model-loss.js'
import { missingTargetsOf } from './missing.js'
import { checkLossFits } from './targets.js'
import type { CompileOptions } from './types.js'

/** A metric of one output, under the name by which the logs know it. */
export interface MetricPlan {
  readonly logName: string
  readonly metric: Metric
  /** Whether sample weights count. */
  readonly isWeighted: boolean
}

/** One output as training uses it. */
export interface OutputPlan extends End {
  readonly index: number
  readonly tensor: Sym.Any
  readonly loss: Loss | undefined
  /** The loss's name in the logs; undefined where there is no loss or only one output. */
  readonly lossName: string | undefined
  /** Whether targets may have another shape than the output, since the loss is the user's own or there is none. */
  readonly isFree: boolean
  /** Whether targets that are missing are left out. */
  readonly masksMissing: boolean
  readonly metrics: readonly MetricPlan[]
}

/** What `compile` made of its options. */
export interface Compiled {
  readonly optimizer: Optimizer
  readonly inputs: Ends
  readonly targets: Ends
  readonly outputs: readonly OutputPlan[]
  readonly lossWeights: LossWeights
  /** The loss over all outputs at once. */
  readonly modelLoss: ModelLoss | undefined
  /** Whether there is anything to minimise, be it only what layers add. */
  readonly hasLoss: boolean
  readonly trainStep: CompileOptions['trainStep']
  /** Whether steps may be recorded and replayed. */
  readonly plan: boolean
}

/** @throws GraphError before `compile`, naming what needs it. */
export function compiledOf(model: Model, op: string): Compiled {
  if (model.compiled === undefined)
    throw new GraphError(`${op}: the model was not compiled; call model.compile({ optimizer, loss }) first`)
  return model.compiled
}

const OPTIONS = [
  'optimizer',
  'loss',
  'modelLoss',
  'lossWeights',
  'metrics',
  'weightedMetrics',
  'missingTargets',
  'trainStep',
  'plan',
]

export function compileModel(model: Model, options: CompileOptions): Compiled {
  checkKeys('compile', options, OPTIONS)
  checkFree(model, 'compile')
  const { trainStep, plan = true } = options
  checkFlag('compile', 'plan', plan)
  if (trainStep !== undefined && typeof trainStep !== 'function')
    throw new ValueError(`compile: trainStep must be a function, got ${show(trainStep)}`)
  const inputs = endsOf(model, 'input')
  const targets = endsOf(model, 'output')
  const losses = lossesOf(targets, options.loss)
  const modelLoss = resolveModelLoss(options.modelLoss)
  const hasOutputLoss = losses.some((loss) => loss !== undefined)
  const hasLoss = hasOutputLoss || modelLoss !== undefined || mayAddLosses(model)
  if (!hasLoss && trainStep === undefined)
    throw new ValueError(
      `compile: there is no loss to minimise; give one for at least one of the outputs ${targets.keys.join(', ')}, ` +
        'a modelLoss over all of them, or a layer that calls addLoss',
    )
  const lossWeights = lossWeightsOf(
    targets,
    options.lossWeights,
    losses.map((loss) => loss !== undefined),
  )
  const metrics = metricsOf(targets, options)
  const masksMissing = missingTargetsOf(targets, options.missingTargets)
  const outputs = targets.list.map(({ key, shown, tensor }, index): OutputPlan => {
    const loss = losses[index]
    const output: OutputPlan = {
      key,
      shown,
      index,
      tensor,
      loss: loss?.loss,
      lossName: loss === undefined || targets.list.length === 1 ? undefined : `${key}_loss`,
      isFree: loss === undefined || loss.isOwn || trainStep !== undefined,
      masksMissing: masksMissing[index]!,
      metrics: metrics[index]!,
    }
    checkLossFits(output)
    return output
  })
  const optimizer = resolveOptimizer(options.optimizer ?? 'rmsprop')
  optimizer.place(pathsOf(model).weights)
  // Training starts over, also with an optimizer that was used before.
  optimizer.reset(model.weights)
  if (!optimizer.built) optimizer.reset()
  return {
    optimizer,
    inputs,
    targets,
    outputs,
    lossWeights,
    modelLoss: modelLoss && { ...modelLoss, isLogged: hasOutputLoss },
    hasLoss,
    trainStep,
    plan,
  }
}

/** A loss or metric, good or bad, rather than a list or a record of them. */
const isSpec = (value: unknown): value is NonNullable<unknown> => {
  if (typeof value !== 'object' || value === null) return value !== undefined && value !== null
  if (Array.isArray(value)) return false
  return !isRecord(value) || typeof value['update'] === 'function'
}

function lossesOf(targets: Ends, option: unknown): ({ loss: Loss; isOwn: boolean } | undefined)[] {
  return spreadOption('compile: loss', targets, option, isSpec).map((spec, i) => {
    if (spec === undefined) return undefined
    const loss = named(targets, i, () => resolveLoss(spec))
    if (loss.reduction === 'none')
      throw new ValueError(
        `compile: output ${show(targets.keys[i])}: a loss with reduction "none" has no minimum to go to; leave it out or take "sum"`,
      )
    return { loss, isOwn: loss.isOwn }
  })
}

/** Runs `f`; its error tells the output. */
function named<R>(targets: Ends, index: number, f: () => R): R {
  try {
    return f()
  } catch (error) {
    if (error instanceof Error)
      error.message = `compile: output ${show(targets.keys[index])}: ${error.message}`
    throw error
  }
}

/** The metrics of each output, the weighted ones behind the others, each with a name of its own in the logs. */
function metricsOf(targets: Ends, { metrics, weightedMetrics }: CompileOptions): MetricPlan[][] {
  const taken = new Set<string>(['loss', MODEL_LOSS, ...targets.keys.map((key) => `${key}_loss`)])
  const prefix = (i: number): string => (targets.list.length === 1 ? '' : `${targets.keys[i]}_`)
  const plain = metricLists('compile: metrics', targets, metrics)
  const weighted = metricLists('compile: weightedMetrics', targets, weightedMetrics)
  const plan = (metric: Metric, i: number, isWeighted: boolean): MetricPlan => {
    const { name } = metric
    const isTaken = isWeighted && taken.has(prefix(i) + name)
    const logName = firstFree(`${prefix(i)}${isTaken ? 'weighted_' : ''}${name}`, taken)
    taken.add(logName)
    return { logName, metric, isWeighted }
  }
  const plans = plain.map((list, i) => list.map((metric) => plan(metric, i, false)))
  return plans.map((list, i) => [...list, ...weighted[i]!.map((metric) => plan(metric, i, true))])
}

function metricLists(what: string, targets: Ends, option: unknown): Metric[][] {
  const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
  // The list that holds all is never one output's own, unless there is only one output.
  const isOwn = (value: unknown): value is NonNullable<unknown> =>
    (isList(value) && value !== option && value.every((spec) => isSpec(spec))) || isSpec(value)
  const isOnly = targets.list.length === 1 && isList(option) && option.every((spec) => isSpec(spec))
  const lists = isOnly ? [option] : spreadOption(what, targets, option, isOwn)
  return lists.map((list, i) =>
    (list === undefined ? [] : isList(list) ? list : [list]).map((spec) =>
      named(targets, i, () => resolveMetric(spec)),
    ),
  )
}

/** The names of all logs, in order: the loss, that over all outputs, then for each output its loss and its metrics. */
export function logNamesOf({ outputs, modelLoss }: Compiled): string[] {
  return [
    'loss',
    ...(modelLoss?.isLogged === true ? [MODEL_LOSS] : []),
    ...outputs.flatMap(({ lossName, metrics }) => [
      ...(lossName === undefined ? [] : [lossName]),
      ...metrics.map(({ logName }) => logName),
    ]),
  ]
}
