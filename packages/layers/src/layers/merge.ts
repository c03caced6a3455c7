import { type Dim, logicalOr, reshape, type Shape, ShapeError, type Tensor, withBackend } from '@adjoint/core'
import { abstractBackend, formatShape, isRecord, typeName, withoutValues } from '@adjoint/core/extend'
import { type CallContext, type CallOptions, LayerBase, type SymbolicAval } from '../layer.js'
import { alignedMask } from '../masks.js'
import type { LayerOptions, NumIn } from '../types.js'
import type { AtLeast, MergeCheck, Merged } from './merge-types.js'

/** A layer that makes one tensor of a list. */
export abstract class ListLayer<N extends string = string> extends LayerBase<N> {
  override get takesStrings(): boolean {
    return false
  }

  protected override splitArgs(args: readonly unknown[]): {
    values: readonly unknown[]
    options: CallOptions
  } {
    const split = super.splitArgs(args)
    if (split.values.length !== 1 || !Array.isArray(split.values[0]))
      throw new ShapeError(
        `${this.label}: takes a list of tensors, as in ${this.constructor.name.replace(/^./, (c) => c.toLowerCase())}()([a, b]); ` +
          `got ${split.values.length === 1 ? 'one tensor' : `${split.values.length} arguments`}`,
        { op: this.name },
      )
    return split
  }

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    if (inputs.length < 2)
      throw new ShapeError(`${this.label}: needs at least two tensors, got ${inputs.length}`, {
        op: this.name,
        shapes: inputs.map((x) => x.shape),
      })
    for (const { shape } of inputs)
      if (shape.length === 0)
        throw new ShapeError(`${this.label}: a scalar has no batch axis`, { op: this.name, shapes: [shape] })
  }
}

/**
 * A merge element by element. The batch stays in front; tensors of lower rank get axes of 1 behind it, and then sides
 * broadcast, as in Keras.
 */
export abstract class Merge<
  // The name of its factory, for messages in types.
  out Op extends string = string,
  N extends string = string,
> extends ListLayer<N> {
  static override readonly optionNames: readonly string[] = []
  declare readonly op?: Op

  /**
   * Makes one tensor of several, all of the same rank.
   * @param masks where each counts, of that rank too; not given where none has a mask.
   */
  protected abstract combine(
    xs: readonly Tensor[],
    masks: readonly (Tensor | undefined)[] | undefined,
  ): Tensor

  override checkInputs(inputs: readonly SymbolicAval[]): void {
    super.checkInputs(inputs)
    this.#mergedShape(inputs)
  }

  override inferOutput(inputs: readonly SymbolicAval[]): SymbolicAval {
    // Sides that are not known would not broadcast as stand-ins; the dtype is the same for any shape.
    const ones = inputs.map(({ shape, dtype }) => withoutValues({ shape: shape.map(() => 1), dtype }))
    const { dtype } = withBackend(abstractBackend, () => this.call(ones))
    return { shape: this.#mergedShape(inputs), dtype }
  }

  #mergedShape(inputs: readonly SymbolicAval[]): Shape {
    return inputs.map((x) => x.shape).reduce((a, b) => this.#broadcast(a, b))
  }

  #broadcast(a: Shape, b: Shape): Shape {
    const batch = this.#side(a, b, a[0]!, b[0]!, 0)
    const rank = Math.max(a.length, b.length)
    const out: Dim[] = [batch]
    for (let i = rank - 1; i > 0; i--) {
      const p = i < a.length ? a[a.length - i]! : 1
      const q = i < b.length ? b[b.length - i]! : 1
      out.push(this.#side(a, b, p, q, -i))
    }
    return out
  }

  #side(a: Shape, b: Shape, p: Dim, q: Dim, axis: number): Dim {
    if (p === 1 || p === q) return q
    if (q === 1) return p
    // Of a known and an unknown side the unknown one is found to be equal, or 1, when there is data.
    if (p === null || q === null) return axis === 0 ? null : (p ?? q)
    throw new ShapeError(
      `${this.label}: cannot combine ${formatShape(a)} with ${formatShape(b)}: ${p} and ${q} differ on axis ${axis}`,
      { op: this.name, shapes: [a, b] },
    )
  }

  /** What counts in any input counts in the output; where one input has no mask all does. */
  override computeMask(xs: readonly Tensor[], masks: readonly (Tensor | undefined)[]): Tensor | undefined {
    const rank = Math.max(...xs.map((x) => x.rank))
    const aligned = masks.map((mask, i) => mask && withRank(mask, mask.rank + rank - xs[i]!.rank))
    return aligned.reduce((a, b) => a && b && logicalOr(a, b))
  }

  override call(xs: readonly Tensor[], context?: CallContext): Tensor {
    const rank = Math.max(...xs.map((x) => x.rank))
    const masks = context?.masks?.map(
      (mask, i) => mask && alignedMask(withRank(mask, mask.rank + rank - xs[i]!.rank), rank),
    )
    return this.combine(
      xs.map((x) => withRank(x, rank)),
      masks,
    )
  }
}

/** `x` with axes of 1 behind the batch, until its rank is `rank`. */
function withRank(x: Tensor, rank: number): Tensor {
  if (x.rank === rank) return x
  const [rows, ...sides] = x.shape
  return reshape(x, [rows!, ...new Array<number>(rank - x.rank).fill(1), ...sides])
}

export interface Merge<Op extends string, N extends string> {
  <const T extends readonly NumIn[]>(xs: T & MergeCheck<Op, T>, options?: CallOptions): Merged<T, N>
}

/** A merge in both forms: `add()([a, b])` makes the layer, `add([a, b])` calls it at once. */
export interface MergeFactory<Op extends string> {
  <const N extends string = string>(options?: LayerOptions<N>): Merge<Op, N>
  <const T extends readonly NumIn[], const N extends string = string>(
    xs: T & MergeCheck<Op, T> & AtLeast<[NumIn, NumIn], Op, T>,
    options?: LayerOptions<N>,
  ): Merged<T, N>
}

/** Both forms of a layer that takes a list. */
export function bothForms<O extends object>(
  name: string,
  make: (options: O) => LayerBase,
): (first?: unknown, options?: unknown) => unknown {
  return (first = {}, options = {}) => {
    if (Array.isArray(first)) return (make(options as O) as unknown as (xs: unknown) => unknown)(first)
    if (isRecord(first)) return make(first as O)
    throw new ShapeError(
      `${name}: expected a list of tensors, as in ${name}([a, b]), got ${typeName(first) === 'SymbolicTensor' || typeName(first) === 'Tensor' ? 'one tensor' : typeName(first)}`,
      { op: name },
    )
  }
}
