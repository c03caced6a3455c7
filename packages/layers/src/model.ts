import {
  type DType,
  DTypeError,
  GraphError,
  type NumericDType,
  type Shape,
  ShapeError,
  type Tensor,
  ValueError,
  type Variable,
} from '@adjoint/core'
import { didYouMean, formatShape, isFloat, isRecord, promote, show, typeName } from '@adjoint/core/extend'
import type { Graph } from './graph.js'
import {
  type CallContext,
  type CallOptions,
  checkCallOptions,
  checkOptions,
  LayerBase,
  onFailure,
  type SymbolicAval,
} from './layer.js'
import { isTensor, mapLeaves, tensorsIn, withLeaves } from './leaves.js'
import { maskOf, setMask } from './masks.js'
import { checkName } from './naming.js'
import { architectureOf } from './saving/encode.js'
import type { ModelSource } from './saving/files.js'
import { loadWeights } from './saving/load-weights.js'
import { type Bytes, modelBytes, saveModel, type SaveOptions, saveWeights, VERSION } from './saving/save.js'
import { printSummary, type SummaryOptions } from './summary.js'
import { isSymbolic } from './symbolic.js'
import { type Compiled, compiledOf, compileModel } from './trainer/compile.js'
import { evaluate, testOnBatch, trainOnBatch } from './trainer/evaluate.js'
import { evaluateDataset, predictDataset } from './trainer/evaluate-dataset.js'
import { fit } from './trainer/fit.js'
import { fitDataset } from './trainer/fit-dataset.js'
import { predict } from './trainer/predict.js'
import type {
  Batches,
  BatchOptions,
  CompileOptions,
  DatasetBatch,
  DatasetOptions,
  EvaluateOptions,
  FitDatasetOptions,
  FitOptions,
  History,
  InputBatch,
  Logs,
  PredictOptions,
} from './trainer/types.js'
import type { LossWeight } from './trainer/loss-weights.js'
import type { Optimizer } from './optimizers.js'
import type {
  CallArg,
  Feed,
  IsSym,
  LayerOptions,
  OutKey,
  PerOutput,
  Sym,
  SymLike,
  SymTree,
  Targets,
  TensorsOf,
} from './types.js'
import { filled, type Wiring, wiringOf } from './wiring.js'

/**
 * A graph of layers from inputs to outputs, which can be called like a layer, trained and run. `I` and `O` are the
 * structures of its inputs and outputs: one symbolic tensor, a list, a record, or nested.
 */
// A model whose structure is not known takes and gives anything.
// oxlint-disable-next-line typescript/no-explicit-any
export class Model<I = any, O = any> extends LayerBase {
  #ends: { readonly inputs: I; readonly outputs: O } | undefined
  #wiring: Wiring | undefined

  /** @internal Use {@link model}. A sequential model may get its ends later. */
  constructor(ends: { readonly inputs: I; readonly outputs: O } | undefined, options: LayerOptions) {
    super(options)
    if (ends !== undefined) this.wire(ends.inputs, ends.outputs)
  }

  /** @internal */
  protected wire(inputs: I, outputs: O): void {
    onFailure(() => {
      this.#wiring = undefined
    })
    this.#wiring = wiringOf(inputs, outputs)
    this.#ends = { inputs, outputs }
    this.built = true
  }

  /** Whether its inputs and outputs are known, as those of a sequential model may not be. @internal */
  get isWired(): boolean {
    return this.#wiring !== undefined
  }

  get #wired(): Wiring {
    if (this.#wiring === undefined)
      throw new GraphError(
        `${this.label}: its inputs are not known yet; give the first layer an inputShape, or call the model on data`,
      )
    return this.#wiring
  }

  /** The symbolic tensors it starts from, as they were given. */
  get inputs(): I {
    void this.#wired
    return this.#ends!.inputs
  }

  /** The symbolic tensors it gives, as they were given. */
  get outputs(): O {
    void this.#wired
    return this.#ends!.outputs
  }

  /** The layers in Keras' order: from the inputs to the outputs. */
  get layers(): readonly LayerBase[] {
    return this.#wired.graph.layers
  }

  /** @internal */
  get graph(): Graph {
    return this.#wired.graph
  }

  /** The inputs in order. @internal */
  get inputList(): readonly Sym.Any[] {
    return this.#wired.inputs
  }

  /** @internal */
  get outputList(): readonly Sym.Any[] {
    return this.#wired.outputs
  }

  override get className(): string {
    return 'Functional'
  }

  override get sublayers(): readonly LayerBase[] {
    return this.layers
  }

  /** All weights; behind those of the layers the ones that `compile({ lossWeights: 'uncertainty' })` made. */
  override get weights(): Variable[] {
    return [...super.weights, ...this.lossVariables]
  }

  override get trainableWeights(): Variable[] {
    return this.trainable ? [...super.trainableWeights, ...this.lossVariables] : []
  }

  /** The weights from which losses learn what they count. @internal */
  get lossVariables(): readonly Variable[] {
    return this.compiled?.lossWeights.variables ?? []
  }

  /** The variables that training changes. */
  get trainableVariables(): readonly Variable[] {
    return this.trainableWeights
  }

  /** The layer's name in this model. */
  nameOf(layer: LayerBase): string {
    return this.#wiring?.names.get(layer) ?? layer.name
  }

  /**
   * A layer by its name, or by its place in `layers`.
   * @throws ValueError for another one, with the nearest name.
   */
  getLayer(which: string | number): LayerBase {
    if (typeof which === 'number') {
      const layer = this.layers[which]
      if (layer === undefined)
        throw new ValueError(
          `getLayer: index ${show(which)} is out of range; the model has ${this.layers.length} layers`,
        )
      return layer
    }
    const layer = this.layers.find((candidate) => this.nameOf(candidate) === which)
    if (layer === undefined) {
      const names = this.layers.map((candidate) => this.nameOf(candidate))
      throw new ValueError(
        `getLayer: no layer ${show(which)}.${didYouMean(which, names)} Layers are ${names.join(', ')}`,
      )
    }
    return layer
  }

  override call(...args: unknown[]): unknown {
    const { inputs } = this.#wired
    const values = tensorsIn(args[0]).map((x, i) => {
      const { dtype } = inputs[i]!
      if (x.dtype === dtype) return x
      const cast = (x as Tensor).cast(dtype as NumericDType)
      const mask = maskOf(x)
      if (mask !== undefined) setMask(cast, mask)
      return cast
    })
    const outputs = this.compute(values, args[1] as CallContext)
    return withLeaves(this.outputs, outputs)
  }

  /**
   * The output tensors, in order, for input tensors in order.
   * @param look is shown what each layer returned.
   * @internal
   */
  compute(
    values: readonly Tensor<DType>[],
    context: CallContext,
    look?: (layer: LayerBase, outputs: readonly Tensor<DType>[]) => void,
  ): Tensor<DType>[] {
    const wiring = this.#wired
    const slots = new Array<Tensor<DType>>(wiring.slots)
    for (let i = 0; i < values.length; i++) slots[wiring.inputSlots[i]!] = values[i]!
    for (const { layer, args, training, reads, writes, isPlain, promised } of wiring.steps) {
      const result = layer.run(
        isPlain ? [slots[reads[0]!]] : filled(args, reads, slots),
        training === undefined ? context : { ...context, training },
      )
      if (writes.length === 1 && isTensor(result)) slots[writes[0]!] = result
      else tensorsIn(result).forEach((x, i) => (slots[writes[i]!] = x))
      promised?.forEach((shape, i) => {
        checkPromise(layer, shape, slots[writes[i]!])
      })
      look?.(
        layer,
        writes.map((slot) => slots[slot]!),
      )
    }
    return wiring.outputSlots.map((slot) => slots[slot]!)
  }

  override checkInputs(given: readonly SymbolicAval[]): void {
    const { inputs } = this.#wired
    if (given.length !== inputs.length)
      throw new ShapeError(
        `${this.label}: expected ${inputs.length} inputs (${inputs.map((x) => show(x.name)).join(', ')}), got ${given.length}`,
      )
    given.forEach(({ shape, dtype }, i) => {
      const expected = inputs[i]!
      const full = [null, ...expected.shape]
      if (shape.length !== full.length || !fits(shape.slice(1), expected.shape))
        throw new ShapeError(
          `${this.label}: input ${show(expected.name)} expects ${formatShape(full)}, got ${formatShape(shape)}`,
          { op: this.name, shapes: [full, shape] },
        )
      if (dtype !== expected.dtype && !becomes(dtype, expected.dtype))
        throw new DTypeError(
          `${this.label}: input ${show(expected.name)} expects ${expected.dtype}, got ${dtype}`,
          { op: this.name },
        )
    })
  }

  protected override splitArgs(args: readonly unknown[]): {
    values: readonly unknown[]
    options: CallOptions
  } {
    if (args.length > 2)
      throw new ValueError(
        `${this.label}: called with ${args.length} arguments; call it as model(inputs, { training, mask })`,
      )
    const options = checkCallOptions(this.label, args[1] ?? {})
    return { values: [this.isWired ? this.#inOrder(args[0]) : args[0]], options }
  }

  /** What the model was called on, checked against the structure of its inputs. */
  #inOrder(value: unknown): unknown {
    const { inputs } = this
    const count = Array.isArray(inputs) ? inputs.length : isRecord(inputs) ? undefined : 1
    if (count !== undefined && count > 1 && Array.isArray(value) && value.length !== count)
      throw new ShapeError(`${this.label}: expected a list of ${count} tensors, got ${value.length}`)
    return mapLeaves(inputs, (expected, path) => {
      let node: unknown = value
      for (const key of path) node = childOf(node, key)
      if (!isSymbolic(node) && !isTensor(node))
        throw new ValueError(
          `${this.label}: expected a tensor for input ${show((expected as Sym.Any).name)}, got ${typeName(node)}` +
            (Array.isArray(node) || ArrayBuffer.isView(node) ? '; wrap data in tensor(…)' : ''),
        )
      return node
    })
  }

  // ---- training

  /** The optimizer it was compiled with. @throws GraphError before `compile`. */
  get optimizer(): Optimizer {
    return compiledOf(this, 'optimizer').optimizer
  }

  /** Whether `compile` was called. */
  get isCompiled(): boolean {
    return this.compiled !== undefined
  }

  /** The options of the last `compile`. @internal */
  compileOptions: CompileOptions | undefined

  /** What `compile` made of its options. @internal */
  compiled: Compiled | undefined

  /**
   * Says how to train: optimizer, a loss for each output, metrics. Everything is checked at once. Compiling again
   * starts with a fresh optimizer state.
   * @throws ValueError for unknown names, outputs and options; ShapeError for a loss that does not fit its output.
   */
  compile(options: CompileOptions<I, O>): this {
    this.compiled = compileModel(this as Model, options as CompileOptions)
    this.compileOptions = options as CompileOptions
    return this
  }

  /** What the loss of each output counts in the sum at the next step, by output. @throws GraphError before `compile`. */
  get lossWeights(): { readonly [K in OutKey<O>]: number } {
    const { lossWeights, outputs, optimizer } = compiledOf(this as Model, 'lossWeights')
    const pairs = outputs
      .filter(({ loss }) => loss !== undefined)
      .map(({ key, index }) => [key, lossWeights.at(index, optimizer.iterations)])
    return Object.fromEntries(pairs) as { readonly [K in OutKey<O>]: number }
  }

  /**
   * Changes what losses count in the sum, from the next step on, without compiling again; a callback may do so while
   * the model is trained. Outputs that are not named keep theirs.
   * @throws ValueError for unknown outputs, for what is no weight, and where weights are learned.
   * @example { onEpochBegin: (epoch) => m.setLossWeights({ volume: epoch < 5 ? 1 : 0.2 }) }
   */
  setLossWeights(weights: PerOutput<O, LossWeight>): void {
    const { lossWeights } = compiledOf(this as Model, 'setLossWeights')
    const all = lossWeights.set(weights) as PerOutput<O, LossWeight>
    this.compileOptions = { ...this.compileOptions, lossWeights: all as never }
  }

  /**
   * Trains on arrays: `x` and `y` in the structure of the inputs and outputs, or by the names of their tensors.
   * All data is checked before the first step. `y` is null where layers alone add to the loss.
   */
  fit(x: Feed<I>, y: Targets<O> | null, options: FitOptions<I, O> = {}): Promise<History<O>> {
    return fit(this as Model, x, y, options as FitOptions) as Promise<History<O>>
  }

  /** The loss and metrics on data, as a record. */
  evaluate(x: Feed<I>, y: Targets<O> | null, options: EvaluateOptions<O> = {}): Promise<Logs> {
    return evaluate(this as Model, x, y, options as EvaluateOptions)
  }

  /** The outputs for data, in the structure of the model's outputs. */
  predict(x: Feed<I>, options: PredictOptions = {}): Promise<TensorsOf<O>> {
    return predict(this as Model, x, options) as Promise<TensorsOf<O>>
  }

  /**
   * Trains on batches as they come: an iterable or async iterable of `[x, y]` or `[x, y, sampleWeight]`, each as `fit`
   * takes them, or a function that returns a fresh one for each epoch.
   * @throws DataError that names epoch, step and batch when the data fails; then the model is as before the call.
   */
  fitDataset(data: Batches<DatasetBatch<I, O>>, options: FitDatasetOptions<I, O> = {}): Promise<History<O>> {
    return fitDataset(this as Model, data, options as FitDatasetOptions) as Promise<History<O>>
  }

  /** The loss and metrics on batches, as {@link fitDataset} takes them. */
  evaluateDataset(data: Batches<DatasetBatch<I, O>>, options: DatasetOptions = {}): Promise<Logs> {
    return evaluateDataset(this as Model, data, options)
  }

  /** The outputs for all batches of inputs, joined. Targets that come along are ignored. */
  predictDataset(data: Batches<InputBatch<I>>, options: DatasetOptions = {}): Promise<TensorsOf<O>> {
    return predictDataset(this as Model, data, options) as Promise<TensorsOf<O>>
  }

  /** One training step on one batch; the losses before the update, and the metrics. */
  trainOnBatch(x: Feed<I>, y: Targets<O> | null, options: BatchOptions<O> = {}): Promise<Logs> {
    return trainOnBatch(this as Model, x, y, options as BatchOptions)
  }

  /** The losses and metrics on one batch. */
  testOnBatch(x: Feed<I>, y: Targets<O> | null, options: BatchOptions<O> = {}): Promise<Logs> {
    return testOnBatch(this as Model, x, y, options as BatchOptions)
  }

  // ---- saving

  /**
   * Writes the model into one file, or a folder, from which {@link loadModel} makes it again: architecture, weights, preprocessing,
   * and, if it was compiled, the optimizer with all it remembers and the random state. The file is a safetensors
   * file. A path that ends with a slash is a folder, with the architecture in `model.json` and the weights beside it;
   * `indexeddb://name` is a browser's storage. It is written whole or not at all; all values are those of the moment
   * of the call.
   * @throws ValueError for what cannot be saved, such as a function that has no name; BackendError where there are no
   * files, or this one cannot be written.
   * @example await m.save('model.safetensors')
   * @example await m.save('model/')
   */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(this as Model, path, options)
  }

  /** The bytes that {@link save} writes, for storing them elsewhere; `loadModel` takes them. */
  toBytes(options: SaveOptions = {}): Promise<Bytes> {
    return modelBytes('toBytes', this as Model, options)
  }

  /** The architecture as JSON, in the manner of Keras: class_name, config, inbound_nodes. */
  toJSON(): object {
    return { format: 'adjoint-model', version: VERSION, ...architectureOf('toJSON', this as Model).json }
  }

  /** Writes the weights alone into a safetensors file. */
  saveWeights(path: string): Promise<void> {
    return saveWeights(this, path)
  }

  /**
   * Sets all weights to those in a file of `saveWeights` or `save`.
   * @throws FormatError where they are not this model's; then no weight has changed.
   */
  loadWeights(source: ModelSource, options: { readonly finiteOnly?: boolean } = {}): Promise<void> {
    return loadWeights(this, source, options)
  }

  /** Prints the table of layers as Keras does. */
  summary(options: SummaryOptions = {}): void {
    printSummary(this as Model, options)
  }
}

// The call signature: a graph on symbolic tensors, values on tensors, in the model's own structure.
export interface Model<I, O> {
  <A extends CallArg<I>>(x: A, options?: CallOptions): IsSym<A> extends true ? SymLike<O> : TensorsOf<O>
}

/**
 * A model from a graph's inputs to its outputs.
 * @throws GraphError for a path to an input that is not listed, and for names that are not unique.
 * @example const m = model({ inputs: { price, sentiment }, outputs: { direction, volume } })
 */
export function model<const I extends SymTree, const O extends SymTree>(options: {
  readonly inputs: I
  readonly outputs: O
  readonly name?: string
}): Model<I, O> {
  checkOptions('model', options, ['inputs', 'outputs', 'name'])
  const { inputs, outputs, name } = options
  return new Model({ inputs, outputs }, name === undefined ? {} : { name: checkName('model', name) })
}

function childOf(node: unknown, key: string | number): unknown {
  if (Array.isArray(node) || isRecord(node))
    return Object.hasOwn(node, key) ? (node as Record<string | number, unknown>)[key] : undefined
  return undefined
}

/** Whether sides that are known on both sides agree. */
function fits(shape: Shape, expected: Shape): boolean {
  return (
    shape.length === expected.length &&
    expected.every((side, axis) => side === null || shape[axis] === null || side === shape[axis])
  )
}

/** Whether data of one dtype is taken as another: floats of any width, whole numbers as wider ones or as floats. */
function becomes(given: DType, expected: DType): boolean {
  if (given === 'string' || expected === 'string') return false
  return isFloat(expected) || promote('model', given, expected) === expected
}

/** The user's code may compute other shapes from data than it did from shapes alone. */
function checkPromise(layer: LayerBase, promised: Shape, got: Tensor<DType> | undefined): void {
  if (got === undefined)
    throw new ValueError(`${layer.label}: call returned fewer tensors than when the graph was built`)
  if (!fits(got.shape, promised))
    throw new ShapeError(
      `${layer.label}: call gave ${formatShape(got.shape)}, but ${formatShape(promised)} when the graph was built`,
      { op: layer.name, shapes: [promised, got.shape] },
    )
}
