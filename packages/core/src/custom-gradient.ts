import { cotangentsOf, recordAll } from './bundle.js'
import { ShapeError, show, typeName, ValueError } from './errors.js'
import { checkFunction } from './options.js'
import { formatShape, isList, sameShape } from './shape.js'
import { type Recorded, withoutRecording } from './tape.js'
import { type Tensor, zeros } from './tensor.js'
import { checkedOutputs, isTensor, type TensorTree, tensorsIn } from './transforms.js'
import { formatPath, isRecord, replaceLeaves, type Tree } from './tree.js'

/** What a gradient of your own is given. */
export interface CustomContext<A extends readonly unknown[], R extends TensorTree = Tensor> {
  /** The cotangent of the output, in its structure. */
  readonly g: R
  readonly out: R
  readonly inputs: A
}

/** The cotangents of a structure: the same structure; null where nothing flows. */
export type Cotangents<T> = TensorTree extends T
  ? Tree<Tensor | null>
  : T extends Tensor
    ? Tensor | null
    : T extends readonly unknown[]
      ? readonly Cotangents<T[number]>[] | null
      : { readonly [K in keyof T]: Cotangents<T[K]> } | null

/**
 * `f` with a gradient of your own: `gradient` returns the cotangents of the inputs, in order (null: nothing flows).
 * Inputs and output may be pytrees. Written in ops it has derivatives of its own. Tensors that `f` closes over are
 * constants.
 * @throws ShapeError, ValueError when `gradient` returns another structure or other shapes than the inputs have.
 * @example
 * // Gradients through it are limited to [-1, 1].
 * const clipped = customGradient((x: Tensor) => x.mul(1), ({ g }) => [g.clip(-1, 1)])
 */
export function customGradient<A extends readonly unknown[], R extends TensorTree>(
  f: (...inputs: A) => R,
  gradient: (context: CustomContext<A, R>) => { readonly [K in keyof A]: Cotangents<A[K]> },
): (...inputs: A) => R {
  checkFunction('customGradient', f)
  checkFunction('customGradient', gradient)
  const name = f.name === '' ? 'customGradient' : f.name
  return (...inputs) => {
    const values = tensorsIn(name, inputs, 'inputs').map((x) => x.read())
    const given = replaceLeaves(inputs, isTensor, values) as A
    const made = withoutRecording(() => f(...given))
    const outs = checkedOutputs(name, made).map((out) => out.alias())
    const structured = (tensors: readonly Tensor[]): R => replaceLeaves(made, isTensor, tensors) as R
    // The cotangents of all inputs are computed at once, when the first of them is asked for.
    const known = new WeakMap<object, readonly (Tensor | null)[]>()
    const row: Recorded = {
      name,
      args: ['xs'],
      mayKeep: true,
      vjp: {
        xs(context, at) {
          let cotangents = known.get(context)
          if (cotangents === undefined) {
            const g = structured(cotangentsOf(context.g, outs))
            const returned: unknown = gradient({ g, out: structured(results), inputs: given })
            cotangents = checkCotangents(name, given, returned)
            known.set(context, cotangents)
          }
          return cotangents[at] ?? zeros(context.inputs[at]!.shape, context.inputs[at]!.dtype)
        },
      },
    }
    const results = recordAll(row, values, outs)
    return structured(results)
  }
}

/** The cotangents of all tensors of the inputs, in order. */
function checkCotangents(
  name: string,
  inputs: readonly unknown[],
  cotangents: unknown,
): readonly (Tensor | null)[] {
  if (!isList(cotangents) || cotangents.length !== inputs.length)
    throw new ShapeError(
      `${name}: its gradient must return a list of ${inputs.length} cotangents, got ${isList(cotangents) ? cotangents.length : typeName(cotangents)}`,
      { op: name },
    )
  const found: (Tensor | null)[] = []
  const match = (input: unknown, g: unknown, path: readonly (string | number)[]): void => {
    const what = formatPath('cotangent', path).replace(/^cotangent\[(\d+)\]/, 'cotangent $1')
    if (g === null) found.push(...tensorsIn(name, input, what).map(() => null))
    else if (isTensor(input)) found.push(checkCotangent(name, what, input, g))
    else if (isList(input)) {
      if (!isList(g) || g.length !== input.length)
        throw new ValueError(
          `${name}: ${what} must be a list of ${input.length} like its input, or null, got ${show(g)}`,
        )
      input.forEach((part, i) => match(part, g[i], [...path, i]))
    } else {
      const keys = Object.keys(input as object)
      if (!isRecord(g) || keys.length !== Object.keys(g).length || keys.some((key) => !Object.hasOwn(g, key)))
        throw new ValueError(
          `${name}: ${what} must have the keys ${keys.join(', ')} like its input, or be null, got ` +
            (isRecord(g) && !isTensor(g) ? Object.keys(g).join(', ') : typeName(g)),
        )
      for (const key of keys) match((input as Readonly<Record<string, unknown>>)[key], g[key], [...path, key])
    }
  }
  inputs.forEach((input, i) => match(input, cotangents[i], [i]))
  return found
}

function checkCotangent(name: string, what: string, input: Tensor, g: unknown): Tensor {
  if (!isTensor(g)) throw new ValueError(`${name}: ${what} must be a tensor or null, got ${typeName(g)}`)
  if (!sameShape(g.shape, input.shape))
    throw new ShapeError(
      `${name}: ${what} is ${formatShape(g.shape)}, its input ${formatShape(input.shape)}`,
      {
        op: name,
        shapes: [g.shape, input.shape],
      },
    )
  return g
}
