import { type DType, type Shape, ShapeError, Tensor, type Tree, ValueError } from '@adjoint/core'
import { isRecord, show } from '@adjoint/core/extend'
import type { Graph } from './graph.js'
import { input, InputLayer } from './input-layer.js'
import { atomically, checkOptions, LayerBase, type SymbolicAval } from './layer.js'
import { Model } from './model.js'
import { checkName } from './naming.js'
import type { Optimizer } from './optimizers.js'
import { isSymbolic, type SymbolicTensor } from './symbolic.js'
import type {
  BatchOptions,
  CompileOptions,
  EvaluateOptions,
  FitOptions,
  History,
  Logs,
  PredictOptions,
} from './trainer/types.js'
import type { LayerOptions, NumericData, StringData } from './types.js'
import { namesOf } from './wiring.js'

type Ends = SymbolicTensor<Shape, 'float32'>
type Data = Tree<NumericData | StringData>

/**
 * Layers one after another. With the shape of its input it is a model at once; without, it becomes one when it is
 * first called, trained or run, by the shape of the data.
 */
// Without type parameters, so that it is a Model as every other is; `sequential` says what it takes and gives.
export class Sequential extends Model {
  readonly #layers: readonly LayerBase[]
  #start: InputLayer | undefined
  /** What it was compiled with before it had inputs. */
  #waiting: CompileOptions | undefined

  /** @internal Use {@link sequential}. */
  constructor(layers: readonly LayerBase[], options: LayerOptions) {
    super(undefined, options)
    checkLayers(layers)
    const [first, ...rest] = layers
    const startsWithInput = first instanceof InputLayer
    this.#layers = startsWithInput ? rest : layers
    for (const [layer, name] of namesOf(this.#layers)) layer.autoName(name)
    if (startsWithInput) this.#connect(first)
    else {
      const given = startOf(first!)
      if (given !== undefined) this.#build(given.shape, given.dtype)
    }
  }

  override get className(): string {
    return 'Sequential'
  }

  /** Its layers in order, without that of the input. */
  override get layers(): readonly LayerBase[] {
    return this.#layers
  }

  override get graph(): Graph {
    return this.isWired ? super.graph : { nodes: [], allNodes: new Set(), layers: this.#layers, levels: [] }
  }

  #build(rowShape: Shape, dtype: DType): void {
    atomically(() => {
      const start = input({ shape: rowShape, dtype })
      this.#connect(start.node.layer as InputLayer)
    })
  }

  #connect(start: InputLayer): void {
    let x: unknown = start.output
    for (const layer of this.#layers) {
      if (!isSymbolic(x))
        throw new ShapeError(
          `${this.label}: ${layer.label} would get several tensors; layers in a row give one`,
        )
      x = layer.invoke([x])
    }
    if (!isSymbolic(x))
      throw new ShapeError(`${this.label}: its last layer gives several tensors, expected one`)
    this.wire(start.output, x)
    this.#start = start
    if (this.#waiting !== undefined) {
      const options = this.#waiting
      this.#waiting = undefined
      super.compile(options)
    }
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    if (this.isWired) super.checkInputs(inputs)
    else if (inputs.length !== 1)
      throw new ShapeError(`${this.label}: takes one tensor, got ${inputs.length}`, { op: this.name })
  }

  override buildAll([first]: readonly SymbolicAval[]): void {
    const { shape, dtype } = first!
    this.#build(shape.slice(1), dtype === 'string' ? dtype : this.#layers[0]!.inputDType)
  }

  /** Builds it by the shape of data, which is not looked at otherwise. */
  #buildFor(op: string, data: unknown): void {
    if (this.isWired) return
    const found = sampleOf(data)
    if (found === undefined)
      throw new ValueError(
        `${op}: ${this.label} cannot tell the shape of its input from ${show(data)}; give its first layer an inputShape`,
      )
    const { shape, isString } = found
    // A flat list has one number in each row.
    const rowShape = shape.length === 1 ? [1] : shape.slice(1)
    this.#build(rowShape, isString ? 'string' : this.#layers[0]!.inputDType)
  }

  // ---- training: the shape of the data is the shape of the model, if it has none yet

  override get optimizer(): Optimizer {
    const waiting = this.#waiting?.optimizer
    return typeof waiting === 'object' ? waiting : super.optimizer
  }

  override get isCompiled(): boolean {
    return this.#waiting !== undefined || super.isCompiled
  }

  override compile(options: CompileOptions): this {
    if (this.isWired) return super.compile(options)
    this.#waiting = options
    this.compileOptions = options
    return this
  }

  // Asynchronous, so that a bad shape rejects; what follows starts in the same turn.
  override async fit(x: Data, y: Data, options: FitOptions = {}): Promise<History> {
    this.#buildFor('fit', x)
    return super.fit(x, y, options)
  }

  override async evaluate(x: Data, y: Data, options: EvaluateOptions = {}): Promise<Logs> {
    this.#buildFor('evaluate', x)
    return super.evaluate(x, y, options)
  }

  override async predict(x: Data, options: PredictOptions = {}): Promise<Tree<Tensor<DType>>> {
    this.#buildFor('predict', x)
    return super.predict(x, options) as Promise<Tree<Tensor<DType>>>
  }

  override async trainOnBatch(x: Data, y: Data, options: BatchOptions = {}): Promise<Logs> {
    this.#buildFor('trainOnBatch', x)
    return super.trainOnBatch(x, y, options)
  }

  override async testOnBatch(x: Data, y: Data, options: BatchOptions = {}): Promise<Logs> {
    this.#buildFor('testOnBatch', x)
    return super.testOnBatch(x, y, options)
  }

  override getConfig(): Record<string, unknown> {
    return {
      ...super.getConfig(),
      ...(this.#start !== undefined && { inputShape: this.#start.output.shape }),
    }
  }
}

function checkLayers(layers: unknown): asserts layers is readonly LayerBase[] {
  if (!Array.isArray(layers))
    throw new ValueError(`sequential: expected a list of layers, got ${show(layers)}`)
  if (layers.length === 0) throw new ValueError('sequential: needs at least one layer, got none')
  ;(layers as unknown[]).forEach((layer, i) => {
    if (!(layer instanceof LayerBase))
      throw new ValueError(
        `sequential: item ${i} must be a layer, got ${
          isSymbolic(layer)
            ? `the symbolic tensor ${show(layer.name)}; start with inputLayer({ shape: [...] }) or give the first layer an inputShape`
            : show(layer)
        }`,
      )
    if (layer instanceof InputLayer && i > 0)
      throw new ValueError(`sequential: the input layer ${show(layer.name)} must come first, it is item ${i}`)
    if (layer instanceof InputLayer && layers.length === 1)
      throw new ValueError(`sequential: needs a layer behind the input layer ${show(layer.name)}`)
  })
}

/** What a layer says about its input: by its `inputShape`, or as a model. */
function startOf(layer: LayerBase): { readonly shape: Shape; readonly dtype: DType } | undefined {
  if (layer.inputShape !== undefined) return { shape: layer.inputShape, dtype: layer.inputDType }
  if (layer instanceof Model && layer.isWired && layer.inputList.length === 1) return layer.inputList[0]
  return undefined
}

/** The shape of data and whether it holds strings, going by its first entries. */
function sampleOf(
  data: unknown,
): { readonly shape: readonly number[]; readonly isString: boolean } | undefined {
  if (data instanceof Tensor) {
    const { shape, dtype } = data as Tensor<DType>
    return shape.length === 0 ? undefined : { shape, isString: dtype === 'string' }
  }
  if (ArrayBuffer.isView(data))
    return { shape: [(data as unknown as ArrayLike<number>).length], isString: false }
  if (isRecord(data)) {
    const values = Object.values(data)
    return values.length === 1 ? sampleOf(values[0]) : undefined
  }
  if (!Array.isArray(data)) return undefined
  const shape: number[] = []
  let node: unknown = data
  for (; Array.isArray(node) || ArrayBuffer.isView(node); node = (node as unknown as ArrayLike<unknown>)[0]) {
    if (shape.length === 32) return undefined
    shape.push((node as unknown as ArrayLike<unknown>).length)
  }
  return { shape, isString: typeof node === 'string' }
}

/**
 * A model of layers one after another.
 * @throws ValueError for no layers, and for what is no layer.
 * @example sequential([dense(64, { activation: 'relu', inputShape: [10] }), dense(1)])
 */
export function sequential(
  layers: readonly LayerBase[],
  options: { readonly name?: string } = {},
): Model<Ends, Ends> {
  checkOptions('sequential', options, ['name'])
  const { name } = options
  const made = new Sequential(layers, name === undefined ? {} : { name: checkName('sequential', name) })
  return made as Model as Model<Ends, Ends>
}
