import { ShapeError, typeName, ValueError } from './errors.js'
import type { RuleContext } from './op.js'
import { checkFunction } from './options.js'
import { formatShape, sameShape } from './shape.js'
import { isRecording, record, type Recorded, withoutRecording } from './tape.js'
import { type Tensor, zeros } from './tensor.js'
import { checkOutput, isTensor } from './transforms.js'

/** What a gradient of your own is given. */
export interface CustomContext<A extends readonly Tensor[]> {
  /** The cotangent of the output. */
  readonly g: Tensor
  readonly out: Tensor
  readonly inputs: A
}

/**
 * `f` with a gradient of your own: `gradient` returns the cotangents of the inputs, in order (null: nothing flows).
 * Written in ops it has derivatives of its own. Tensors that `f` closes over are constants.
 * @throws ShapeError, ValueError when `gradient` returns another number or other shapes than the inputs have.
 * @example
 * // Gradients through it are limited to [-1, 1].
 * const clipped = customGradient((x: Tensor) => x.mul(1), ({ g }) => [g.clip(-1, 1)])
 */
export function customGradient<A extends readonly Tensor[]>(
  f: (...inputs: A) => Tensor,
  gradient: (context: CustomContext<A>) => readonly (Tensor | null)[],
): (...inputs: A) => Tensor {
  checkFunction('customGradient', f)
  checkFunction('customGradient', gradient)
  const name = f.name === '' ? 'customGradient' : f.name
  // The cotangents of all inputs are computed at once, when the first of them is asked for.
  const known = new WeakMap<object, readonly (Tensor | null)[]>()
  const row: Recorded = {
    name,
    args: ['xs'],
    vjp: {
      xs(context, at) {
        let cotangents = known.get(context)
        if (cotangents === undefined) {
          cotangents = checkCotangents(name, context, gradient(context as unknown as CustomContext<A>))
          known.set(context, cotangents)
        }
        return cotangents[at] ?? zeros(context.inputs[at]!.shape, context.inputs[at]!.dtype)
      },
    },
  }
  return (...inputs) => {
    for (const x of inputs)
      if (!isTensor(x)) throw new ValueError(`${name}: inputs must be tensors, got ${typeName(x)}`)
    const values = inputs.map((x) => x.read())
    const made: unknown = withoutRecording(() => f(...(values as unknown as A)))
    checkOutput(name, made)
    const out = made.detach()
    if (isRecording()) record(row, values, null, out)
    return out
  }
}

function checkCotangents(
  name: string,
  { inputs }: RuleContext<string, unknown>,
  cotangents: unknown,
): readonly (Tensor | null)[] {
  if (!Array.isArray(cotangents) || cotangents.length !== inputs.length)
    throw new ShapeError(
      `${name}: its gradient must return a list of ${inputs.length} cotangents, got ${Array.isArray(cotangents) ? cotangents.length : typeName(cotangents)}`,
      { op: name },
    )
  cotangents.forEach((g: unknown, i) => {
    if (g === null) return
    if (!isTensor(g))
      throw new ValueError(`${name}: cotangent ${i} must be a tensor or null, got ${typeName(g)}`)
    if (!sameShape(g.shape, inputs[i]!.shape))
      throw new ShapeError(
        `${name}: cotangent ${i} is ${formatShape(g.shape)}, its input ${formatShape(inputs[i]!.shape)}`,
        { op: name, shapes: [g.shape, inputs[i]!.shape] },
      )
  })
  return cotangents as (Tensor | null)[]
}
