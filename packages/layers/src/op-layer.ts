import { GraphError, type Shape, type Tensor } from '@adjoint/core'
import { type AnyRow, APPLY, call, formatShape, methods, type Operand } from '@adjoint/core/extend'
import { LayerBase, type SymbolicAval } from './layer.js'
import { isSymbolic, SymbolicTensor } from './symbolic.js'

/** What Keras calls some ops; the rest go by their own name. */
const KERAS_NAMES: ReadonlyMap<string, string> = new Map([
  ['sub', 'Subtract'],
  ['mul', 'Multiply'],
  ['div', 'TrueDivide'],
  ['neg', 'Negative'],
  ['pow', 'Power'],
  ['abs', 'Absolute'],
  ['getItem', 'GetItem'],
])

/** A row of core's op table applied in a graph. */
export class OpLayer extends LayerBase {
  readonly #row: AnyRow
  readonly #operands: readonly Operand[]
  readonly #attrs: unknown

  constructor(row: AnyRow, operands: readonly Operand[], attrs: unknown) {
    super({})
    this.#row = row
    this.#operands = operands
    this.#attrs = attrs
    this.built = true
  }

  /** What it applies. @internal */
  get row(): AnyRow {
    return this.#row
  }

  /** @internal */
  get attrs(): unknown {
    return this.#attrs
  }

  override get className(): string {
    const { name } = this.#row
    return KERAS_NAMES.get(name) ?? name[0]!.toUpperCase() + name.slice(1)
  }

  /** The node that applies the row to its operands. */
  stage(): SymbolicTensor {
    this.#refuseBatchAxis()
    const [first, ...rest] = this.#operands
    return this.stageCall([first, ...rest]) as SymbolicTensor
  }

  /** An op along the batch would mix rows that have nothing to do with each other. */
  #refuseBatchAxis(): void {
    const { axis, axes, perm, shape } = (this.#attrs ?? {}) as Readonly<Record<string, unknown>>
    const rank = Math.max(...this.#operands.map((x) => (isSymbolic(x) ? x.shape.length + 1 : 0)))
    const along = [axis, axes].flat().filter((a): a is number => typeof a === 'number')
    const grows = this.#row.name === 'expandDims' || this.#row.name === 'stack' ? 1 : 0
    const hitsBatch =
      along.some((a) => a === 0 || a === -rank - grows) ||
      (Array.isArray(perm) && perm[0] !== 0 && perm[0] !== -rank) ||
      // A shape to change to has a number in front where the batch must be.
      (Array.isArray(shape) && shape[0] !== -1)
    if (hitsBatch) throw mixesRows(this.#row.name, [null, ...firstShape(this.#operands)])
  }

  override inferOutput([x]: readonly SymbolicAval[]): SymbolicAval | undefined {
    const shape = this.#row.shapeInGraph?.(x!.shape, this.#attrs)
    if (shape === undefined) return undefined
    if (shape === null) throw mixesRows(this.#row.name, x!.shape)
    return { shape, dtype: x!.dtype }
  }

  override call(...args: unknown[]): Tensor {
    // The last argument is the context of the call; an op has no use for it.
    return call(this.#row, args.slice(0, this.#operands.length) as Operand[], this.#attrs)
  }
}

function firstShape(operands: readonly Operand[]): Shape {
  return operands.find(isSymbolic)?.shape ?? []
}

function mixesRows(op: string, shape: Shape): GraphError {
  return new GraphError(
    `${op}: on a symbolic tensor axis 0 is the batch (shape ${formatShape(shape)}), and this would mix its rows; ` +
      'name the other axes',
    { op },
  )
}

// Ops and their methods on symbolic tensors: each application becomes a node of the graph.
Object.defineProperty(SymbolicTensor.prototype, APPLY, {
  value: (row: AnyRow, operands: readonly Operand[], attrs: unknown) =>
    new OpLayer(row, operands, attrs).stage(),
})
for (const [name, op] of Object.entries(methods) as unknown as [string, (...args: unknown[]) => unknown][])
  Object.defineProperty(SymbolicTensor.prototype, name, {
    value(this: SymbolicTensor, ...rest: unknown[]) {
      return op(this, ...rest)
    },
  })
