import { type Dim, type DType, GraphError, type Shape } from '@adjoint/core'
import type {
  AnyRow,
  APPLY,
  BinaryName,
  Operand,
  OtherMethods,
  SlicedShape,
  SliceWhere,
  Staged,
  STAGED,
  UnaryName,
} from '@adjoint/core/extend'
import { formatShape, show } from '@adjoint/core/extend'
import type { LayerBase } from './layer.js'
import { checkName } from './naming.js'
import type { NumIn, Sym } from './types.js'

/** One call of a layer in a graph. `args` is what it was called with: a structure with symbolic tensors in it. */
export interface Node {
  readonly layer: LayerBase
  /** Which of the layer's calls this is. */
  readonly index: number
  readonly args: readonly unknown[]
  /** Set where the call says whether the layer trains, whatever the model does. */
  readonly training: boolean | undefined
  /** The symbolic tensors in `args`, in order. */
  readonly inputs: readonly Sym.Any[]
  readonly outputs: readonly Sym.Any[]
}

/**
 * A tensor of a graph that is being built: it has a dtype and a shape, without the batch, and no values.
 * Layers and ops take it and give further ones. `S` is literal where it is known, `number` where it is not.
 */
export class SymbolicTensor<
  out S extends Shape = Shape,
  out D extends DType = DType,
  out N extends string = string,
> implements Staged {
  declare readonly kind: 'symbolic'
  readonly shape: S
  readonly dtype: D
  /** The call that makes it. @internal */
  readonly node: Node
  /** Which of the call's outputs it is. @internal */
  readonly outputIndex: number
  readonly #name: string | undefined

  /** @internal Use {@link input}, layers and ops. */
  constructor(shape: S, dtype: D, node: Node, outputIndex: number, name?: string) {
    this.shape = shape
    this.dtype = dtype
    this.node = node
    this.outputIndex = outputIndex
    this.#name = name
  }

  /** Its own name if it was given one, else its layer's. */
  get name(): N {
    return (this.#name ?? this.node.layer.name) as N
  }

  /** Whether {@link named} gave it a name of its own. @internal */
  get ownName(): string | undefined {
    return this.#name
  }

  /** The same tensor under the name by which a model's outputs, losses and history know it. */
  named<const M extends string>(name: M): SymbolicTensor<S, D, M> {
    return new SymbolicTensor(this.shape, this.dtype, this.node, this.outputIndex, checkName('named', name))
  }

  /** What `JSON.stringify` writes: what it is, without the graph that it hangs on. */
  toJSON(): { readonly name: string; readonly shape: Shape; readonly dtype: DType } {
    return { name: this.name, shape: [null, ...this.shape], dtype: this.dtype }
  }

  toString(): string {
    return `<symbolic ${this.name}: ${formatShape([null, ...this.shape])} ${this.dtype}>`
  }
}

type Grown<S extends Shape, D extends DType, T> = T extends number | SymbolicTensor<S>
  ? SymbolicTensor<S, D>
  : SymbolicTensor<Shape, D>

/** A shape without the batch. */
type RowShape<S extends Shape> = S extends readonly [Dim, ...infer R extends Shape] ? readonly [...R] : Shape

// oxlint-disable-next-line no-unused-vars -- merged declarations must name the same parameters
export interface SymbolicTensor<out S extends Shape, out D extends DType, out N extends string>
  extends
    OtherMethods<SymbolicTensor<S, D>, SymbolicTensor<Shape, D>, NumIn>,
    Record<UnaryName, () => SymbolicTensor<S, D>>,
    Record<BinaryName, <T extends NumIn | number>(y: T) => Grown<S, D, T>> {
  /** The part that NumPy's `x[text]` is, the batch in front: `x.slice(':, 0, 1:-1, ..., None')`. */
  slice<const T extends string | readonly number[]>(
    where: SliceWhere<readonly [number, ...S], T>,
    size?: readonly number[],
  ): SymbolicTensor<RowShape<SlicedShape<readonly [number, ...S], T>>, D>
  // Put on the prototype by op-layer.ts, as the methods are.
  readonly [APPLY]: (row: AnyRow, operands: readonly Operand[], attrs: unknown) => unknown
  readonly [STAGED]?: { readonly same: SymbolicTensor<S, D>; readonly any: SymbolicTensor<Shape, D> }
}

Object.defineProperty(SymbolicTensor.prototype, 'kind', { value: 'symbolic' })

// Not in the type: there it is a compile error, which is better. This is for those who run without types.
for (const method of ['data', 'dataSync', 'array', 'arraySync', 'item', 'itemSync'])
  Object.defineProperty(SymbolicTensor.prototype, method, {
    value(this: SymbolicTensor): never {
      throw new GraphError(
        `${method}: ${show(this.name)} is a node of a graph and has no values; ` +
          'make a model of it and call that on data: model({ inputs, outputs })(x), or use await predict(x)',
        { op: method },
      )
    },
  })

export function isSymbolic(x: unknown): x is Sym.Any {
  return x instanceof SymbolicTensor
}
