import {
  add as plus,
  div,
  logicalOr,
  maximum as largest,
  minimum as smallest,
  mul,
  ShapeError,
  sub,
  type Tensor,
  where,
} from '@adjoint/core'
import type { SymbolicAval } from '../layer.js'
import type { LayerOptions } from '../types.js'
import { bothForms, Merge, type MergeFactory } from './merge.js'

/** The sum of its inputs. */
export class Add<N extends string = string> extends Merge<'add', N> {
  protected override combine(xs: readonly Tensor[]): Tensor {
    return xs.reduce((a, b) => plus(a, b))
  }
}

/** The first input less the second. */
export class Subtract<N extends string = string> extends Merge<'subtract', N> {
  override checkInputs(inputs: readonly SymbolicAval[]): void {
    if (inputs.length !== 2)
      throw new ShapeError(`${this.label}: takes exactly two tensors, got ${inputs.length}`, {
        op: this.name,
        shapes: inputs.map((x) => x.shape),
      })
    super.checkInputs(inputs)
  }

  protected override combine([a, b]: readonly Tensor[]): Tensor {
    return sub(a!, b!)
  }
}

/** The product of its inputs, element by element; what is masked counts as 1, and 0 is left where all are masked. */
export class Multiply<N extends string = string> extends Merge<'multiply', N> {
  protected override combine(
    xs: readonly Tensor[],
    masks: readonly (Tensor | undefined)[] | undefined,
  ): Tensor {
    if (masks === undefined) return xs.reduce((a, b) => mul(a, b))
    const product = xs.map((x, i) => whereCounts(masks[i], x, 1)).reduce((a, b) => mul(a, b))
    return whereCounts(anyOf(masks), product, 0)
  }
}

/** The mean of its inputs. */
export class Average<N extends string = string> extends Merge<'average', N> {
  protected override combine(xs: readonly Tensor[]): Tensor {
    return div(
      xs.reduce((a, b) => plus(a, b)),
      xs.length,
    )
  }
}

/** The largest of its inputs at each place, of those that are not masked there. */
export class Maximum<N extends string = string> extends Merge<'maximum', N> {
  protected override combine(
    xs: readonly Tensor[],
    masks: readonly (Tensor | undefined)[] | undefined,
  ): Tensor {
    return reduced(xs, masks, (a, b) => largest(a, b))
  }
}

/** The smallest of its inputs at each place, of those that are not masked there. */
export class Minimum<N extends string = string> extends Merge<'minimum', N> {
  protected override combine(
    xs: readonly Tensor[],
    masks: readonly (Tensor | undefined)[] | undefined,
  ): Tensor {
    return reduced(xs, masks, (a, b) => smallest(a, b))
  }
}

function whereCounts(mask: Tensor | undefined, x: Tensor, otherwise: number | Tensor): Tensor {
  return mask === undefined ? x : where(mask, x, otherwise)
}

/** Where any of several counts: everywhere, if one has no mask. */
function anyOf(masks: readonly (Tensor | undefined)[]): Tensor | undefined {
  return masks.reduce((a, b) => a && b && logicalOr(a, b))
}

/** One after another by `op`; where one of two is masked it is the other. */
function reduced(
  xs: readonly Tensor[],
  masks: readonly (Tensor | undefined)[] | undefined,
  op: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  if (masks === undefined) return xs.reduce((a, b) => op(a, b))
  let out = xs[0]!
  let seen = masks[0]
  for (let i = 1; i < xs.length; i++) {
    const next = whereCounts(masks[i], xs[i]!, out)
    out = op(whereCounts(seen, out, next), next)
    seen = seen && masks[i] && logicalOr(seen, masks[i]!)
  }
  return out
}

/**
 * The sum of two or more tensors, as a layer.
 * @example add()([a, b]); add([a, b])
 */
export const add: MergeFactory<'add'> = bothForms(
  'add',
  (o: LayerOptions) => new Add(o),
) as MergeFactory<'add'>

/**
 * The first tensor less the second, as a layer.
 * @example subtract([a, b])
 */
export const subtract: MergeFactory<'subtract'> = bothForms(
  'subtract',
  (o: LayerOptions) => new Subtract(o),
) as MergeFactory<'subtract'>

/**
 * The product of tensors, element by element, as a layer.
 * @example multiply([a, b])
 */
export const multiply: MergeFactory<'multiply'> = bothForms(
  'multiply',
  (o: LayerOptions) => new Multiply(o),
) as MergeFactory<'multiply'>

/**
 * The mean of tensors, as a layer.
 * @example average([a, b, c])
 */
export const average: MergeFactory<'average'> = bothForms(
  'average',
  (o: LayerOptions) => new Average(o),
) as MergeFactory<'average'>

/**
 * The largest of several tensors at each place, as a layer.
 * @example maximum([a, b])
 */
export const maximum: MergeFactory<'maximum'> = bothForms(
  'maximum',
  (o: LayerOptions) => new Maximum(o),
) as MergeFactory<'maximum'>

/**
 * The smallest of several tensors at each place, as a layer.
 * @example minimum([a, b])
 */
export const minimum: MergeFactory<'minimum'> = bothForms(
  'minimum',
  (o: LayerOptions) => new Minimum(o),
) as MergeFactory<'minimum'>
