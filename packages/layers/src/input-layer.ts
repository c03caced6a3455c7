import { type Dim, type DType, floatx, type Shape } from '@adjoint/core'
import { checkDType, show } from '@adjoint/core/extend'
import { checkInputShape, checkOptions, LayerBase } from './layer.js'
import { checkName } from './naming.js'
import { type Node, SymbolicTensor } from './symbolic.js'
import type { LayerOptions } from './types.js'

/** Where a graph begins: no computation, one output. */
export class InputLayer extends LayerBase {
  readonly #output: SymbolicTensor

  constructor(shape: readonly Dim[], dtype: DType | undefined, options: LayerOptions) {
    super(options)
    this.built = true
    const outputs: SymbolicTensor[] = []
    const node: Node = { layer: this, index: 0, args: [], training: undefined, inputs: [], outputs }
    outputs.push(new SymbolicTensor(shape, dtype ?? floatx(), node, 0))
    this.nodes.push(node)
    this.#output = outputs[0]!
  }

  override get output(): SymbolicTensor {
    return this.#output
  }

  override call(): never {
    throw new Error('an input layer is never called')
  }
}

/** Options of {@link input}. */
export interface InputOptions<S extends Shape, N extends string, D extends DType> {
  /** Without the batch; null for sides that only the data will tell. */
  readonly shape: S
  /** The key of its data; `input_layer` and so on unless given. */
  readonly name?: N
  readonly dtype?: D
}

/**
 * The layer of an input, to start a sequential model with.
 * @example sequential([inputLayer({ shape: [10] }), dense(1)])
 */
export function inputLayer(options: InputOptions<Shape, string, DType>): InputLayer {
  return made('inputLayer', options)
}

function made(what: string, options: InputOptions<Shape, string, DType>): InputLayer {
  checkOptions(what, options, ['shape', 'name', 'dtype'])
  const { shape, name, dtype } = options
  return new InputLayer(
    checkInputShape(name === undefined ? what : `${what} ${show(name)}`, shape),
    dtype === undefined ? undefined : checkDType(what, dtype),
    name === undefined ? {} : { name: checkName(what, name) },
  )
}

/**
 * An input of a graph: a symbolic tensor to call layers on.
 * @throws ValueError for a bad name or dtype, ShapeError for a bad shape.
 * @example const price = input({ shape: [10], name: 'price' })
 */
export function input<
  const S extends Shape,
  const N extends string = string,
  const D extends DType = 'float32',
  // Where the result goes must not decide its dtype, which is float32 unless it is given.
>(options: InputOptions<S, N, D>): SymbolicTensor<S, NoInfer<D>, N> {
  return made('input', options).output as SymbolicTensor<S, D, N>
}
