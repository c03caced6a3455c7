import { type DType, GraphError, ShapeError, Tensor, ValueError, type Variable } from '@adjoint/core'
import {
  didYouMean,
  formatShape,
  isRecord,
  leavesOf,
  mapTree,
  replaceLeaves,
  show,
  typeName,
} from '@adjoint/core/extend'
import { type Graph, keyOf, traceGraph } from './graph.js'
import { type CallContext, type CallOptions, checkOptions, LayerBase, type SymbolicAval } from './layer.js'
import { checkName, firstFree, snakeCase } from './naming.js'
import { printSummary, type SummaryOptions } from './summary.js'
import { isSymbolic } from './symbolic.js'
import { type Compiled, compiledOf, compileModel } from './trainer/compile.js'
import { evaluate, fit, predict, testOnBatch, trainOnBatch } from './trainer/fit.js'
import type {
  CompileOptions,
  EvaluateOptions,
  FitOptions,
  History,
  Logs,
  PredictOptions,
} from './trainer/types.js'
import type { Optimizer } from './optimizers.js'
import type { CallArg, Feed, IsSym, Sym, SymLike, SymTree, TensorsOf } from './types.js'

/** One call on the way through a model: which slots of values it reads, and where its outputs go. */
interface Step {
  readonly layer: LayerBase
  readonly args: readonly unknown[]
  readonly reads: readonly number[]
  readonly writes: readonly number[]
  /** Set where the call has exactly one tensor as its only argument: the common case needs no structure. */
  readonly isPlain: boolean
}

const isTensor = (x: unknown): x is Tensor<DType> => x instanceof Tensor

/**
 * A graph of layers from inputs to outputs, which can be called like a layer, trained and run. `I` and `O` are the
 * structures of its inputs and outputs: one symbolic tensor, a list, a record, or nested.
 */
// A model whose structure is not known takes and gives anything.
// oxlint-disable-next-line typescript/no-explicit-any
export class Model<I = any, O = any> extends LayerBase {
  readonly inputs: I
  readonly outputs: O
  /** The layers in Keras' order: from the inputs to the outputs. */
  readonly layers: readonly LayerBase[]
  /** @internal */
  readonly graph: Graph
  /** The inputs in order, with the keys that data uses. @internal */
  readonly inputList: readonly Sym.Any[]
  /** @internal */
  readonly outputList: readonly Sym.Any[]
  readonly #names: ReadonlyMap<LayerBase, string>
  readonly #steps: readonly Step[]
  readonly #slots: number
  readonly #inputSlots: readonly number[]
  readonly #outputSlots: readonly number[]

  /** @internal Use {@link model}. */
  constructor(inputs: I, outputs: O, name: string | undefined) {
    super(name === undefined ? {} : { name: checkName('model', name) })
    this.inputs = inputs
    this.outputs = outputs
    this.inputList = checkEnds('inputs', inputs)
    this.outputList = checkEnds('outputs', outputs)
    const twice = this.inputList.find((x, i) => this.inputList.some((y, k) => k < i && keyOf(x) === keyOf(y)))
    if (twice !== undefined) throw new GraphError(`model: input ${show(twice.name)} is listed twice`)
    this.graph = traceGraph(this.inputList, this.outputList)
    this.layers = this.graph.layers
    this.#names = nameLayers(this.layers)
    checkInputNames(this.inputList)
    const slots = new Map<string, number>()
    const slotOf = (x: Sym.Any): number => {
      const key = keyOf(x)
      if (!slots.has(key)) slots.set(key, slots.size)
      return slots.get(key)!
    }
    this.#inputSlots = this.inputList.map(slotOf)
    this.#steps = this.graph.nodes.map((node) => ({
      layer: node.layer,
      args: node.args,
      reads: node.inputs.map(slotOf),
      writes: node.outputs.map(slotOf),
      isPlain: node.args.length === 1 && isSymbolic(node.args[0]),
    }))
    this.#outputSlots = this.outputList.map(slotOf)
    this.#slots = slots.size
    this.built = true
  }

  override get className(): string {
    return 'Functional'
  }

  override get sublayers(): readonly LayerBase[] {
    return this.layers
  }

  /** The variables that training changes. */
  get trainableVariables(): readonly Variable[] {
    return this.trainableWeights
  }

  /** The layer's name in this model. */
  nameOf(layer: LayerBase): string {
    return this.#names.get(layer) ?? layer.name
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
    const values = leavesOf(args[0] as never, isTensor) as Tensor<DType>[]
    const context = args[1] as CallContext
    return replaceLeaves(this.outputs as never, isSymbolic, this.compute(values, context))
  }

  /** The output tensors, in order, for input tensors in order. @internal */
  compute(values: readonly Tensor<DType>[], context: CallContext): Tensor<DType>[] {
    const slots = new Array<Tensor<DType>>(this.#slots)
    for (let i = 0; i < values.length; i++) slots[this.#inputSlots[i]!] = values[i]!
    for (const { layer, args, reads, writes, isPlain } of this.#steps) {
      const result = layer.run(isPlain ? [slots[reads[0]!]] : filled(args, reads, slots), context)
      if (writes.length === 1 && result instanceof Tensor) slots[writes[0]!] = result
      else (leavesOf(result as never, isTensor) as Tensor<DType>[]).forEach((x, i) => (slots[writes[i]!] = x))
    }
    return this.#outputSlots.map((slot) => slots[slot]!)
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    if (inputs.length !== this.inputList.length)
      throw new ShapeError(
        `${this.label}: expected ${this.inputList.length} inputs (${this.inputList.map((x) => show(x.name)).join(', ')}), got ${inputs.length}`,
      )
    inputs.forEach(({ shape }, i) => {
      const expected = this.inputList[i]!
      const fits =
        shape.length === expected.shape.length + 1 &&
        expected.shape.every(
          (side, axis) => side === null || shape[axis + 1] === null || side === shape[axis + 1],
        )
      if (!fits)
        throw new ShapeError(
          `${this.label}: input ${show(expected.name)} expects [null,${expected.shape.join(',')}], got ${formatShape(shape)}`,
          { op: this.name, shapes: [[null, ...expected.shape], shape] },
        )
    })
  }

  protected override splitArgs(args: readonly unknown[]): {
    values: readonly unknown[]
    options: CallOptions
  } {
    const options = (args[1] ?? {}) as CallOptions
    const extra = Object.keys(options).find((key) => key !== 'training')
    if (extra !== undefined || args.length > 2)
      throw new ValueError(
        `${this.label}: unknown call option ${show(extra ?? args[2])}; call it as model(inputs, { training })`,
      )
    return { values: [this.#inOrder(args[0])], options }
  }

  /** What the model was called on, checked against the structure of its inputs. */
  #inOrder(value: unknown): unknown {
    return mapTree(this.inputs as never, isSymbolic, (expected, path) => {
      let node: unknown = value
      for (const key of path)
        node =
          isRecord(node) || Array.isArray(node) ? (node as Record<string | number, unknown>)[key] : undefined
      if (!isSymbolic(node) && !isTensor(node))
        throw new ValueError(
          `${this.label}: expected a tensor for input ${show((expected as Sym.Any).name)}, got ${typeName(node)}`,
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

  /** What `compile` made of its options. @internal */
  compiled: Compiled | undefined

  /**
   * Says how to train: optimizer, a loss for each output, metrics. Everything is checked at once. Compiling again
   * starts with a fresh optimizer state.
   * @throws ValueError for unknown names, outputs and options; ShapeError for a loss that does not fit its output.
   */
  compile(options: CompileOptions<I, O>): this {
    this.compiled = compileModel(this as Model, options as CompileOptions)
    return this
  }

  /**
   * Trains on arrays: `x` and `y` in the structure of the inputs and outputs, or by the names of their tensors.
   * All data is checked before the first step.
   */
  fit(x: Feed<I>, y: Feed<O>, options: FitOptions<I, O> = {}): Promise<History<O>> {
    return fit(this as Model, x, y, options as FitOptions) as Promise<History<O>>
  }

  /** The loss and metrics on data, as a record. */
  evaluate(x: Feed<I>, y: Feed<O>, options: EvaluateOptions<O> = {}): Promise<Logs> {
    return evaluate(this as Model, x, y, options as EvaluateOptions)
  }

  /** The outputs for data, in the structure of the model's outputs. */
  predict(x: Feed<I>, options: PredictOptions = {}): Promise<TensorsOf<O>> {
    return predict(this as Model, x, options) as Promise<TensorsOf<O>>
  }

  /** One training step on one batch; the losses before the update, and the metrics. */
  trainOnBatch(x: Feed<I>, y: Feed<O>): Promise<Logs> {
    return trainOnBatch(this as Model, x, y)
  }

  /** The losses and metrics on one batch. */
  testOnBatch(x: Feed<I>, y: Feed<O>): Promise<Logs> {
    return testOnBatch(this as Model, x, y)
  }

  /** Prints the table of layers as Keras does. */
  summary(options: SummaryOptions = {}): void {
    printSummary(this as Model, options)
  }
}

// The call signature: a graph on symbolic tensors, values on tensors, in the model's own structure.
export interface Model<I, O> {
  <A extends CallArg<I>>(
    x: A,
    options?: { readonly training?: boolean },
  ): IsSym<A> extends true ? SymLike<O> : TensorsOf<O>
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
  return new Model(options.inputs, options.outputs, options.name)
}

/** The symbolic tensors of one end of a model, in order. */
function checkEnds(which: 'inputs' | 'outputs', tree: unknown): Sym.Any[] {
  const leaves = leavesOf(tree as never, isSymbolic) as unknown[]
  if (leaves.length === 0)
    throw new ValueError(`model: ${which} are empty; a model needs at least one of them`)
  for (const leaf of leaves) {
    if (isSymbolic(leaf)) continue
    const hint =
      leaf instanceof LayerBase
        ? `the layer ${leaf.label}; call it on a tensor first`
        : leaf instanceof Tensor
          ? 'a concrete tensor; start from input(…)'
          : `${typeName(leaf)} (${show(leaf)})`
    throw new GraphError(`model: ${which} must be symbolic tensors, got ${hint}`)
  }
  return leaves as Sym.Any[]
}

/** Names for all layers of a model: given ones as they are, the others numbered in the order of making. */
function nameLayers(layers: readonly LayerBase[]): Map<LayerBase, string> {
  const names = new Map<LayerBase, string>()
  const taken = new Map<string, LayerBase>()
  for (const layer of layers) {
    if (!layer.hasGivenName) continue
    if (taken.has(layer.name))
      throw new GraphError(
        `model: two layers are named ${show(layer.name)} (${taken.get(layer.name)!.className} and ${layer.className}); names must be unique`,
      )
    taken.set(layer.name, layer)
    names.set(layer, layer.name)
  }
  const inOrder = layers.filter((layer) => !names.has(layer)).toSorted((a, b) => a.serial - b.serial)
  // Layers that another model named first keep that name where it is free.
  for (const layer of [...inOrder.filter((l) => l.isNamed), ...inOrder.filter((l) => !l.isNamed)]) {
    const name =
      layer.isNamed && !taken.has(layer.name) ? layer.name : firstFree(snakeCase(layer.className), taken)
    taken.set(name, layer)
    names.set(layer, name)
    layer.autoName(name)
  }
  return names
}

function checkInputNames(inputs: readonly Sym.Any[]): void {
  const seen = new Set<string>()
  for (const { name } of inputs) {
    if (seen.has(name))
      throw new GraphError(`model: two inputs are named ${show(name)}; names must be unique`)
    seen.add(name)
  }
}

/** A call's arguments with values in the places of symbolic tensors. */
function filled(
  args: readonly unknown[],
  reads: readonly number[],
  slots: readonly Tensor<DType>[],
): readonly unknown[] {
  let next = 0
  return mapTree(args as never, isSymbolicOrTensor, (leaf) =>
    isSymbolic(leaf) ? slots[reads[next++]!] : leaf,
  ) as unknown as readonly unknown[]
}
const isSymbolicOrTensor = (x: unknown): x is Sym.Any | Tensor<DType> => isSymbolic(x) || x instanceof Tensor
