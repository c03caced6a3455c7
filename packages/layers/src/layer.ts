import {
  type Dim,
  type DType,
  DTypeError,
  floatx,
  GraphError,
  type NumericDType,
  reshape,
  type Shape,
  ShapeError,
  type Sizes,
  Tensor,
  tensor,
  type TypedArray,
  type Nested,
  ValueError,
  type Variable,
  variable,
  withBackend,
} from '@adjoint/core'
import {
  abstractBackend,
  baseBackend,
  checkShape,
  currentBackend,
  didYouMean,
  formatShape,
  isFloat,
  isRecord,
  markOwnCode,
  randomState,
  sameShape,
  setRandomState,
  show,
  typeName,
  withoutValues,
} from '@adjoint/core/extend'
import { Callable } from './callable.js'
import { constrain, resolveConstraint } from './constraints.js'
import { resolveInitializer } from './initializers.js'
import { contentOf, isLeaf, type Leaf, leavesIn, withLeaves } from './leaves.js'
import { maskOf, masksAreUsed, setMask } from './masks.js'
import { checkName, snakeCase } from './naming.js'
import {
  activityLoss,
  checkScalar,
  regularize,
  regularizedOf,
  resolveRegularizer,
  weightLoss,
} from './regularizers.js'
import { named, withUnknownSides } from './retelling.js'
import { isSymbolic, type Node, SymbolicTensor } from './symbolic.js'
import type {
  ConstraintLike,
  InitializerLike,
  IsSym,
  LayerOptions,
  NumIn,
  RegularizerLike,
  Sym,
} from './types.js'

/** What a layer is told beside its input. */
export interface CallContext {
  /** Whether the model is being trained: dropout drops, batch statistics are used. */
  readonly training: boolean
  /** Which time steps of the first input count: bool, of its leading axes; none where all do. */
  readonly mask?: Tensor | null
  /** The masks of all inputs, in order; not set where none has one. */
  readonly masks?: readonly (Tensor | undefined)[]
}

/** The masks of a layer's outputs: that of the first one, or a list for all. */
export type OutputMasks = Tensor | null | undefined | readonly (Tensor | null | undefined)[]

/** Options of a call: `layer(x, { training: true })`. */
export interface CallOptions {
  /** Whether to train. In a graph it holds whatever the model does: `dropout(0.5)(x, { training: true })` always drops. */
  readonly training?: boolean
  /** Which time steps of the (first) input count: bool, of its leading axes. For calls on values, not in graphs. */
  readonly mask?: Tensor<'bool'> | null
}

markOwnCode()

/** Sides of 79 and 83 (then 73 and 89) stand for unknown ones while shapes are inferred; what changes with them is unknown. */
const STAND_INS = [
  { batch: 83, side: 79 },
  { batch: 89, side: 73 },
] as const
type StandIn = (typeof STAND_INS)[number]

/** How many layers were made so far: automatic names follow the order of making. */
let made = 0

/** How to take back what the call under way has built and wired, should it fail. */
let undo: (() => void)[] | undefined

/** Runs `f`; if it throws, layers, graphs and random numbers are as they were before. @internal */
export function atomically<R>(f: () => R): R {
  if (undo !== undefined) return f()
  const random = randomState()
  const steps: (() => void)[] = []
  undo = steps
  try {
    return f()
  } catch (error) {
    for (const step of steps.toReversed()) step()
    setRandomState(random)
    throw error
  } finally {
    undo = undefined
  }
}

/** Has `step` run if the call under way fails. @internal */
export function onFailure(step: () => void): void {
  undo?.push(step)
}

/** Makes a weight of a model that is being loaded: values come later, from the file. */
type WeightMaker = (what: string, shape: Sizes, dtype: NumericDType) => Tensor
let makeWeight: WeightMaker | undefined

/** Runs `f` with weights made by `make`; initializers are not asked. @internal */
export function withWeightsMadeBy<R>(make: WeightMaker, f: () => R): R {
  const before = makeWeight
  makeWeight = make
  try {
    return f()
  } finally {
    makeWeight = before
  }
}

/** Layers whose `call` is running, innermost last: calls inside it belong to it. */
const running: { readonly layer: LayerBase; readonly context: CallContext }[] = []

/** What layers have added to the loss in the call under way. */
let added: Tensor[] | undefined

/** Runs `f`; tells what layers add to the loss meanwhile. @internal */
export function withLosses<R>(f: () => R): { readonly result: R; readonly losses: readonly Tensor[] } {
  const before = added
  const losses: Tensor[] = []
  added = losses
  try {
    return { result: f(), losses }
  } finally {
    added = before
  }
}

const COMMON_OPTIONS = ['name', 'trainable', 'dtype', 'inputShape', 'activityRegularizer'] as const

/** @throws ValueError for a key that is not among `known`, or for options that are none. */
export function checkOptions(what: string, options: unknown, known: readonly string[]): void {
  if (!isRecord(options))
    throw new ValueError(`${what}: expected options such as { name: '…' }, got ${show(options)}`)
  for (const key of Object.keys(options))
    if (!known.includes(key))
      throw new ValueError(
        `${what}: unknown option ${show(key)}.${didYouMean(key, known)} Known are ${known.join(', ')}`,
      )
}

let structure = 0

/** Another number whenever some layer was frozen or thawed, got a weight or another layer inside. */
export function structureVersion(): number {
  return structure
}

/** What all layers are: callable, named, with weights. The classes of this package extend it; yours extend {@link Layer}. */
export abstract class LayerBase<N extends string = string> extends Callable {
  /** The options a class knows; others are refused. Classes without the list take any. @internal */
  static readonly optionNames?: readonly string[]

  /** The float dtype of its weights. */
  readonly dtype: 'float32' | 'float64'
  /** The shape of what it takes as a sequential model's first layer, without the batch. @internal */
  readonly inputShape: Shape | undefined
  /** Whether its weights exist; they are made when the first input's shape is known. */
  built = false
  /** Whether its `call` has added to the loss. @internal */
  addsLosses = false
  /** The calls of this layer in graphs. @internal */
  readonly nodes: Node[] = []
  /** The order in which layers were made. @internal */
  readonly serial: number = made++
  #trainable: boolean
  readonly #activity: { readonly given: unknown; readonly by: (y: Tensor) => Tensor } | undefined
  readonly #weights: Variable[] = []
  readonly #children = new Set<LayerBase>()
  #addedLosses: readonly Tensor[] = []
  #givenName: string | undefined
  #autoName: string | undefined

  constructor(options: LayerOptions<N> = {}) {
    super()
    const { optionNames } = new.target
    const what = snakeCase(new.target.name)
    if (optionNames !== undefined) checkOptions(what, options, [...COMMON_OPTIONS, ...optionNames])
    if (options.name !== undefined) this.#givenName = checkName(new.target.name, options.name)
    const { trainable = true, dtype = floatx(), inputShape } = options
    if (dtype !== 'float32' && dtype !== 'float64')
      throw new ValueError(`${what}: dtype must be "float32" or "float64", got ${show(dtype)}`)
    this.#trainable = checkTrainable(what, trainable)
    this.dtype = dtype
    this.inputShape = inputShape === undefined ? undefined : checkInputShape(what, inputShape)
    const by = resolveRegularizer(options.activityRegularizer)
    this.#activity = by && { given: options.activityRegularizer, by }
  }

  /** Whether training changes its weights. Setting it sets it for all layers inside too, as in Keras. */
  get trainable(): boolean {
    return this.#trainable
  }

  set trainable(value: boolean) {
    this.#trainable = checkTrainable(this.label, value)
    structure++
    for (const layer of this.sublayers) layer.trainable = value
  }

  /** Keras' name of its class, as `summary` prints it. */
  get className(): string {
    return this.constructor.name
  }

  /** Unique in its model. Without a name of its own, `dense`, `dense_1`, … as its first model numbers it. */
  get name(): N {
    return (this.#givenName ?? this.#autoName ?? snakeCase(this.className)) as N
  }

  /** Whether its name was given by the user or by a model before. @internal */
  get isNamed(): boolean {
    return this.#givenName !== undefined || this.#autoName !== undefined
  }

  /** @internal */
  get hasGivenName(): boolean {
    return this.#givenName !== undefined
  }

  /** Called by the first model it becomes part of. @internal */
  autoName(name: string): void {
    this.#autoName ??= name
  }

  /** The dtype of what it takes as a sequential model's first layer. @internal */
  get inputDType(): DType {
    return this.dtype
  }

  /** Whether `call` is the user's, so that what it gives is checked against what it gave for shapes. @internal */
  get runsUserCode(): boolean {
    return false
  }

  /** How errors call it: `dense_2 (Dense)`. */
  get label(): string {
    return `${this.name} (${this.className})`
  }

  /** Whether it draws random numbers from a sequence of its own, which plans do not know. @internal */
  get drawsBySeed(): boolean {
    return false
  }

  /** The layers it consists of: those it called and those it holds in its fields. */
  get sublayers(): readonly LayerBase[] {
    for (const value of Object.values(this)) this.#adopt(value)
    return [...this.#children]
  }

  #adopt(value: unknown): void {
    const parts: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const part of parts)
      if (isLayer(part) && !this.#children.has(part)) {
        this.#children.add(part)
        structure++
      }
  }

  /** All weights: its own in the order they were made, trainable ones first, then its sublayers'. */
  get weights(): Variable[] {
    return this.graphWeights
  }

  /** The weights of the layer itself and of those inside, without what training adds to a model. @internal */
  get graphWeights(): Variable[] {
    const own = [...this.#weights.filter((w) => w.trainable), ...this.#weights.filter((w) => !w.trainable)]
    return unique([...own, ...this.sublayers.flatMap((layer) => layer.graphWeights)])
  }

  /** The weights that training changes: none while the layer is frozen. */
  get trainableWeights(): Variable[] {
    return this.trainableGraphWeights
  }

  /** @internal */
  get trainableGraphWeights(): Variable[] {
    if (!this.trainable) return []
    return unique([
      ...this.#weights.filter((w) => w.trainable),
      ...this.sublayers.flatMap((layer) => layer.trainableGraphWeights),
    ])
  }

  get nonTrainableWeights(): Variable[] {
    const changing = new Set(this.trainableWeights)
    return this.weights.filter((w) => !changing.has(w))
  }

  /** The weights made by {@link addWeight}, without sublayers'. @internal */
  get ownWeights(): readonly Variable[] {
    return this.#weights
  }

  /**
   * What is added to the loss: by layers in its last call, then by the regularizers of the weights that are trained.
   * `fit` and its kin add it by themselves.
   */
  get losses(): Tensor[] {
    return [...this.#addedLosses, ...regularizedOf(this.trainableWeights).map(weightLoss)]
  }

  /** Copies of all weights' values. */
  getWeights(): Tensor[] {
    return this.weights.map((w) => w.detach())
  }

  /**
   * Sets all weights, in the order of `weights`.
   * @throws ShapeError for another number or other shapes; then no weight has changed.
   */
  setWeights(values: readonly (Tensor | TypedArray | Nested<number>)[]): void {
    const { weights } = this
    if (!Array.isArray(values) || values.length !== weights.length)
      throw new ShapeError(
        `setWeights: ${this.label} has ${weights.length} weights, got ${Array.isArray(values) ? values.length : show(values)}`,
      )
    const next = weights.map((w, i) => this.#asWeight(w, values[i] as Tensor | TypedArray | Nested<number>))
    weights.forEach((w, i) => w.assign(next[i]!))
  }

  #asWeight(weight: Variable, value: Tensor | TypedArray | Nested<number>): Tensor {
    const what = `setWeights: ${this.label}: weight ${show(weight.name)}`
    try {
      const { dtype } = weight
      const given =
        value instanceof Tensor
          ? value
          : tensor(value, ArrayBuffer.isView(value) ? { dtype, shape: weight.shape } : { dtype })
      // Reading refuses what was disposed, before any weight has changed.
      if (given.read().isDisposed) given.dataSync()
      // A weight's present value: it may be set itself before its turn comes.
      if (sameShape(given.shape, weight.shape))
        return given.dtype === dtype ? given.read() : given.cast(dtype)
      throw new ShapeError(`expected ${formatShape(weight.shape)}, got ${formatShape(given.shape)}`)
    } catch (error) {
      throw named(error, what)
    }
  }

  /** How many numbers its weights hold. */
  countParams(): number {
    return this.weights.reduce((n, w) => n + w.size, 0)
  }

  /** What its factory would need to make it again, in camelCase. */
  getConfig(): Record<string, unknown> {
    const { name, trainable } = this
    return { name, trainable, ...(this.#activity && { activityRegularizer: this.#activity.given }) }
  }

  /** What neither its config nor its weights tell, as JSON; nothing for most. @internal */
  savedState(): unknown {
    return undefined
  }

  /**
   * Takes in what `savedState` told. Nothing changes before the result is called.
   * @throws ValueError for what it never told.
   * @internal
   */
  restorer(_state: unknown): () => void {
    throw new ValueError(`${this.label}: has no state to restore`)
  }

  /** The symbolic tensors of its only call. @throws GraphError unless it was called exactly once. */
  get input(): unknown {
    return this.#onlyNode('input').args[0]
  }

  get output(): unknown {
    const { outputs } = this.#onlyNode('output')
    return outputs.length === 1 ? outputs[0] : outputs
  }

  #onlyNode(what: string): Node {
    if (this.nodes.length !== 1)
      throw new GraphError(
        `${this.label} was called ${this.nodes.length} times in graphs, so its ${what} is ${this.nodes.length === 0 ? 'not known' : 'ambiguous'}`,
      )
    return this.nodes[0]!
  }

  /**
   * Makes the weights, once the input's shape (batch in front, as null) is known. With several inputs the shape is
   * that of the first; override `buildAll` to see all.
   */
  build(_inputShape: Shape): void {}

  /** As {@link build}, given the shapes and dtypes of all tensors of the first call. @internal */
  buildAll(inputs: readonly SymbolicAval[]): void {
    this.build(inputs[0]?.shape ?? [])
  }

  /** Whether it may be called on strings. @internal */
  get takesStrings(): boolean {
    return true
  }

  #checkStrings(inputs: readonly SymbolicAval[]): void {
    const strings = this.takesStrings ? undefined : inputs.find((x) => x.dtype === 'string')
    if (strings !== undefined)
      throw new DTypeError(
        `${this.label}: takes numbers, got strings, ${described(strings)}; look them up first (stringLookup)`,
        { op: this.name },
      )
  }

  /** Throws what the input's shapes and dtypes alone can tell is wrong. Shapes have the batch in front. @internal */
  checkInputs(_inputs: readonly SymbolicAval[]): void {}

  /** The output for inputs of these shapes, for layers whose `call` cannot run without values. @internal */
  inferOutput(_inputs: readonly SymbolicAval[]): SymbolicAval | undefined {
    return undefined
  }

  /**
   * Whether what it makes of a time step depends on that step alone, so that its output has the mask of its input.
   * Other layers stop masks, as in Keras; or override {@link computeMask}.
   */
  get supportsMasking(): boolean {
    return false
  }

  /**
   * The mask of the output: by default that of the first input, if the layer supports masking, and none otherwise.
   * @param inputs all tensors of the call, in order.
   * @param masks theirs, undefined where all of a tensor counts.
   */
  computeMask(_inputs: readonly Tensor[], masks: readonly (Tensor | undefined)[]): OutputMasks {
    return this.supportsMasking ? masks[0] : undefined
  }

  /** Computes the output. Called with the arguments of the call, then the context. */
  abstract call(...args: unknown[]): unknown

  /**
   * Makes a weight, named within the layer.
   * @param options.initializer makes its first values (default 'glorot_uniform').
   * @param options.regularizer says what it adds to the loss while it is trained.
   * @param options.constraint is applied to it after each step of an optimizer.
   */
  protected addWeight(
    name: string,
    shape: Sizes,
    options: {
      readonly initializer?: InitializerLike
      readonly trainable?: boolean
      readonly dtype?: NumericDType
      readonly regularizer?: RegularizerLike | undefined
      readonly constraint?: ConstraintLike | undefined
    } = {},
  ): Variable {
    const regularizer = resolveRegularizer(options.regularizer)
    const constraint = resolveConstraint(options.constraint)
    const dtype = options.dtype ?? this.dtype
    const sides = checkShape(`${this.label}: weight ${show(name)}`, shape, dtype)
    const initialize = resolveInitializer(options.initializer ?? 'glorot_uniform')
    const make = makeWeight
    // Weights are real also while shapes are being inferred.
    const value = withBackend(baseBackend(), () =>
      make === undefined
        ? initialize(sides, isFloat(dtype) ? dtype : undefined)
        : make(`${this.label}: weight ${show(name)}`, sides, dtype),
    )
    if (!(value instanceof Tensor) || !sameShape(value.shape, sides))
      throw new ShapeError(
        `${this.label}: the initializer of ${show(name)} made ${value instanceof Tensor ? formatShape(value.shape) : show(value)}, expected ${formatShape(sides)}`,
      )
    const weight = variable(
      value.dtype === dtype ? value : withBackend(baseBackend(), () => value.cast(dtype)),
      {
        name,
        trainable: options.trainable ?? true,
      },
    )
    if (regularizer !== undefined) regularize(weight, regularizer)
    if (constraint !== undefined) constrain(weight, constraint)
    this.#weights.push(weight)
    structure++
    return weight
  }

  /**
   * Adds a scalar to the loss of the model that is being trained; for use within `call`.
   * @throws ShapeError for what is no scalar; GraphError outside of a call.
   */
  protected addLoss(loss: Tensor): void {
    if (running.at(-1)?.layer !== this || added === undefined)
      throw new GraphError(`${this.label}: addLoss: a layer adds to the loss only while it is called`)
    added.push(checkScalar('addLoss', loss))
    this.addsLosses = true
  }

  /** @internal */
  override invoke(args: readonly unknown[]): unknown {
    return atomically(() => this.#called(args))
  }

  #called(args: readonly unknown[]): unknown {
    const parent = running.at(-1)
    if (parent !== undefined && parent.layer !== this) parent.layer.#children.add(this)
    const { values, options } = this.splitArgs(args)
    const leaves = contentOf(values)
    for (const leaf of leaves) if (!isLeaf(leaf)) throw this.#notATensor(leaf)
    if (leaves.length === 0) throw new ValueError(`${this.label}: called on nothing`)
    return leaves.some(isSymbolic)
      ? this.stageCall(values, options)
      : this.#runEagerly(values, leaves as Tensor<DType>[], options)
  }

  #notATensor(leaf: unknown): ValueError {
    if (leaf instanceof LayerBase)
      return new ValueError(
        `${this.label}: called on the layer ${leaf.label} itself; call that on its input first`,
      )
    return new ValueError(
      `${this.label}: expected tensors, got ${typeName(leaf)} (${show(leaf)})${typeof leaf === 'function' ? '' : '; wrap data in tensor(…)'}`,
    )
  }

  /** Takes the options off the end of the arguments. @internal */
  protected splitArgs(args: readonly unknown[]): { values: readonly unknown[]; options: CallOptions } {
    const last = args.at(-1)
    if (args.length > 1 && isRecord(last) && ('mask' in last || contentOf(last).every((x) => !isLeaf(x))))
      return { values: args.slice(0, -1), options: checkCallOptions(this.label, last) }
    return { values: args.at(-1) === undefined ? args.slice(0, -1) : args, options: {} }
  }

  #runEagerly(values: readonly unknown[], leaves: readonly Tensor<DType>[], options: CallOptions): unknown {
    const outer = running.at(-1)?.context
    const context: CallContext = { training: options.training ?? outer?.training ?? false }
    const given = leaves.map(symbolicAval)
    this.#checkStrings(given)
    this.checkInputs(given)
    if (!this.built) this.ensureBuilt(leaves.map(withoutBatchSize))
    const { mask } = options
    const result = this.run(
      mask === undefined || mask === null ? values : this.#masked(values, mask),
      context,
    )
    if (!(result instanceof Tensor)) for (const leaf of contentOf(result)) this.#checkResult(leaf)
    return result
  }

  /** The arguments of a call, of which the first tensor has a mask. */
  #masked(values: readonly unknown[], mask: Tensor<DType>): readonly unknown[] {
    const [first, ...rest] = contentOf(values) as Tensor[]
    this.#checkMask('mask', mask, first!)
    // The caller's own tensor stays without.
    const own = reshape(first!, first!.shape)
    setMask(own, mask)
    return withLeaves(values, [own, ...rest]) as readonly unknown[]
  }

  #checkResult(result: unknown): asserts result is Tensor<DType> {
    if (!(result instanceof Tensor))
      throw new ValueError(`${this.label}: call returned ${typeName(result)}, expected a tensor`)
  }

  /** Runs `call`, as the parent of the layers it calls; errors are told with the layer's name. @internal */
  run(values: readonly unknown[], context: CallContext): unknown {
    if (added !== undefined) return this.#runInside(values, context)
    const { result, losses } = withLosses(() => this.#runInside(values, context))
    // While shapes are inferred there are no losses to keep.
    if (currentBackend() !== abstractBackend) this.#addedLosses = losses
    return result
  }

  #runInside(values: readonly unknown[], context: CallContext): unknown {
    // A layer is a function, and inherits another `call` where its class has none.
    if (this.call === Function.prototype.call || typeof this.call !== 'function')
      throw new ValueError(`${this.label}: its class has no call method; define call(x, context)`)
    const known = this.#withMasks(values, context)
    running.push({ layer: this, context: known })
    try {
      const result: unknown = this.call(...values, known)
      if (this.#activity !== undefined) this.#addActivity(this.#activity.by, result)
      this.#maskOutputs(values, known, result)
      return result
    } catch (error) {
      throw named(error, this.label)
    } finally {
      running.pop()
    }
  }

  #addActivity(by: (y: Tensor) => Tensor, result: unknown): void {
    for (const y of contentOf(result) as readonly Tensor[])
      if ((y as unknown) instanceof Tensor && isFloat(y.dtype)) this.addLoss(activityLoss(by, y))
  }

  /** The context, with the masks of the inputs and no others. */
  #withMasks(values: readonly unknown[], context: CallContext): CallContext {
    if (!masksAreUsed()) return context
    const masks = contentOf(values).map((x) => maskOf(x as object))
    const { training } = context
    return masks.some((mask) => mask !== undefined)
      ? { training, mask: masks[0] ?? null, masks }
      : { training }
  }

  #maskOutputs(values: readonly unknown[], { masks }: CallContext, result: unknown): void {
    if (masks === undefined && this.computeMask === LayerBase.prototype.computeMask) return
    // While shapes are inferred there is nothing to mask.
    if (currentBackend() === abstractBackend) return
    const inputs = contentOf(values) as readonly Tensor[]
    const made = this.computeMask(inputs, masks ?? inputs.map(() => undefined))
    const list: readonly unknown[] = Array.isArray(made) ? made : [made]
    contentOf(result).forEach((output, i) => {
      const mask = list[i]
      if (mask === undefined || mask === null || !(output instanceof Tensor)) return
      this.#checkMask('computeMask', mask, output as Tensor)
      setMask(output, mask)
    })
  }

  #checkMask(what: string, mask: unknown, x: Tensor): asserts mask is Tensor {
    if (!(mask instanceof Tensor))
      throw new ValueError(`${what}: expected a bool tensor, got ${typeName(mask)}`)
    const { shape, dtype } = mask as Tensor<DType>
    if (dtype !== 'bool') throw new ValueError(`${what}: expected a bool tensor, got ${dtype}`)
    const fits = shape.length <= x.rank && shape.every((n, i) => n === 1 || n === x.shape[i])
    if (!fits)
      throw new ShapeError(`${what}: the mask ${formatShape(shape)} does not fit ${formatShape(x.shape)}`, {
        op: this.name,
        shapes: [shape, x.shape],
      })
  }

  /** Makes the weights if that has not happened yet. @internal */
  ensureBuilt(inputs: readonly SymbolicAval[]): void {
    if (this.built) return
    // Weights made by a constructor stay; a half-built layer starts over at the next call.
    const before = this.#weights.length
    onFailure(() => {
      this.#weights.length = before
      this.built = false
    })
    try {
      withBackend(baseBackend(), () => {
        this.buildAll(inputs)
      })
    } catch (error) {
      throw named(error, this.label)
    }
    this.built = true
  }

  /** Adds a call to the graph and returns its outputs, in the structure that `call` returns. @internal */
  stageCall(values: readonly unknown[], { training, mask }: CallOptions = {}): unknown {
    if (mask !== undefined && mask !== null)
      throw new GraphError(
        `${this.label}: a mask is given to calls on values; in a graph it comes from masking() or embedding(…, { maskZero: true })`,
      )
    const leaves = leavesIn(values)
    // Ops also take numbers; what they cannot take they refuse themselves.
    const avals = leaves.filter(isLeaf).map(symbolicAval)
    this.#checkStrings(avals)
    this.checkInputs(avals)
    this.ensureBuilt(avals)
    const { structure, outputs } = this.#inferOutputs(values, leaves, avals)
    const made: SymbolicTensor[] = []
    const node: Node = {
      layer: this,
      index: this.nodes.length,
      args: values,
      training,
      inputs: leaves.filter(isSymbolic),
      outputs: made,
    }
    outputs.forEach(({ shape, dtype }, i) => made.push(new SymbolicTensor(shape.slice(1), dtype, node, i)))
    this.nodes.push(node)
    onFailure(() => {
      this.nodes.length = node.index
    })
    return withLeaves(structure, made)
  }

  #inferOutputs(
    values: readonly unknown[],
    leaves: readonly Leaf[],
    avals: readonly SymbolicAval[],
  ): { structure: unknown; outputs: readonly SymbolicAval[] } {
    const known = this.inferOutput(avals)
    if (known !== undefined) return { structure: leaves[0], outputs: [known] }
    const runWith = (standIn: StandIn): { structure: unknown; outputs: Tensor<DType>[] } => {
      const standIns = leaves.map((leaf) => (isSymbolic(leaf) ? abstractTensor(leaf, standIn) : leaf))
      const args = withLeaves(values, standIns) as readonly unknown[]
      return withBackend(abstractBackend, () => {
        const structure = this.run(args, { training: false })
        const outputs = contentOf(structure)
        for (const out of outputs) this.#checkResult(out)
        return { structure, outputs: outputs as Tensor<DType>[] }
      })
    }
    const [first, second] = [attempt(() => runWith(STAND_INS[0])), attempt(() => runWith(STAND_INS[1]))]
    if ('error' in first) throw 'error' in second ? withUnknownSides(first.error, second.error) : first.error
    if ('error' in second) throw second.error
    const { structure, outputs } = first.value
    if (outputs.length !== second.value.outputs.length)
      throw new GraphError(
        `${this.label}: call returned ${outputs.length} tensors, then ${second.value.outputs.length} for the same input`,
      )
    return { structure, outputs: outputs.map((a, i) => this.#compared(a, second.value.outputs[i]!)) }
  }

  /** The shape that two runs with different stand-ins agree on: what differs is unknown, and the batch must lead. */
  #compared(a: Tensor<DType>, b: Tensor<DType>): SymbolicAval {
    if (a.shape[0] !== STAND_INS[0].batch || b.shape[0] !== STAND_INS[1].batch)
      throw new GraphError(
        `${this.label}: the batch (axis 0) must stay in front, but the output's shape is ` +
          `[${a.shape.map((side, i) => (side === b.shape[i] ? side : 'depends on the batch')).join(', ')}]; ` +
          'an op over axis 0, or over all axes, mixes the rows of the batch: name the other axes',
      )
    const shape: Dim[] = a.shape.map((side, axis) => (axis > 0 && side === b.shape[axis] ? side : null))
    return { shape, dtype: a.dtype }
  }
}

function isLayer(x: unknown): x is LayerBase {
  return x instanceof LayerBase
}

/** The shape (batch in front, null where unknown) and dtype of a tensor in a graph or in hand. */
export interface SymbolicAval {
  readonly shape: Shape
  readonly dtype: DType
  /** What a graph calls it. */
  readonly name?: string
}

/** `[null,10] from "price"` @internal */
export function described({ shape, name }: SymbolicAval): string {
  return formatShape(shape) + (name === undefined ? '' : ` from ${show(name)}`)
}

function symbolicAval(x: Leaf): SymbolicAval {
  return isSymbolic(x)
    ? { shape: [null, ...x.shape], dtype: x.dtype, name: x.name }
    : { shape: x.shape, dtype: x.dtype }
}

function abstractTensor(x: Sym.Any, standIn: StandIn): Tensor {
  const shape = [standIn.batch, ...x.shape.map((side) => side ?? standIn.side)]
  return withoutValues({ shape, dtype: x.dtype })
}

function unique<T>(list: readonly T[]): T[] {
  return [...new Set(list)]
}

/** What is known of data: everything but how many rows there will be next time. */
function withoutBatchSize({ shape, dtype }: Tensor<DType>): SymbolicAval {
  return { shape: shape.map((side, axis) => (axis === 0 ? null : side)), dtype }
}

type Attempt<R> = { readonly value: R } | { readonly error: unknown }
function attempt<R>(f: () => R): Attempt<R> {
  try {
    return { value: f() }
  } catch (error) {
    return { error }
  }
}

function checkTrainable(what: string, value: unknown): boolean {
  if (typeof value !== 'boolean')
    throw new ValueError(`${what}: trainable must be true or false, got ${show(value)}`)
  return value
}

/** A copy of a shape without the batch. @throws ShapeError for a side that is neither a whole number nor null. @internal */
export function checkInputShape(what: string, shape: unknown): Dim[] {
  if (!Array.isArray(shape))
    throw new ShapeError(`${what}: expected a shape such as [10], got ${show(shape)}`)
  shape.forEach((side: unknown, axis) => {
    if (side !== null && (typeof side !== 'number' || !Number.isInteger(side) || side < 0))
      throw new ShapeError(`${what}: side ${axis} is ${show(side)}; it must be a whole number >= 0 or null`)
  })
  return [...(shape as Dim[])]
}

/** @throws ValueError for anything but { training: boolean, mask: tensor }. @internal */
export function checkCallOptions(what: string, options: unknown): CallOptions {
  if (!isRecord(options))
    throw new ValueError(`${what}: expected call options such as { training: true }, got ${show(options)}`)
  for (const key of Object.keys(options))
    if (key !== 'training' && key !== 'mask')
      throw new ValueError(
        `${what}: unknown call option ${show(key)}.${didYouMean(key, ['training', 'mask'])} Known are training, mask`,
      )
  const { training } = options
  if (training !== undefined && typeof training !== 'boolean')
    throw new ValueError(`${what}: training must be true or false, got ${show(training)}`)
  return options
}

/** A layer of your own: override `call`, and `build` if its weights depend on the input's shape. */
export abstract class Layer extends LayerBase {
  override get runsUserCode(): boolean {
    return true
  }

  abstract override call(x: Tensor | readonly Tensor[], context: CallContext): Tensor
}

export interface Layer {
  <X extends NumIn | readonly NumIn[]>(
    x: X,
    options?: CallOptions,
  ): IsSym<X> extends true ? SymbolicTensor<Shape, 'float32'> : Tensor
}
